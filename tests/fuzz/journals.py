"""The journal on a card that fails: its rows, the whole file, and what a restore makes of it."""

import re
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final, TypeVar

from terminald.adapters.journal_copy import copy_of
from terminald.adapters.journal_identity import FLOORS, ROTATIONS
from terminald.adapters.journal_look import look
from terminald.adapters.journal_restore import restore
from terminald.adapters.journal_rows import ATTEMPTS, JOBS, REFUNDS, SALES, VENDS, Snapshots
from terminald.adapters.journal_sqlite import SqliteJournal
from terminald.adapters.ports import SaleFilter
from terminald.core.ids import Instant
from terminald.errors import JournalCorrupt, JournalError
from tests.adapters.test_journal_restore import STAMP, Accident
from tests.fuzz.target import Check, Target, always, scratch

T = TypeVar("T")

_LONGEST: Final = 700
_KEYS: Final = re.compile(r"key-[12]")


def _reader(kind: Snapshots[T]) -> Callable[[str], None]:
    def read(text: str) -> None:
        found = kind.decode(text)
        assert kind.decode(kind.encode(found)) == found

    return read


_READERS: Final = (
    *(_reader(SALES), _reader(ATTEMPTS), _reader(REFUNDS), _reader(JOBS), _reader(VENDS)),
    *(_reader(ROTATIONS), _reader(FLOORS)),
)


def check_row(data: bytes) -> None:
    """Read a snapshot. The first byte chooses of what; the rest is text, as SQLite gives no other."""
    read = _READERS[data[0] % len(_READERS)] if data else _READERS[0]
    try:
        text = data[1:].decode()
    except UnicodeDecodeError:
        return
    try:
        read(text)
    except JournalCorrupt as exc:
        assert len(str(exc)) <= _LONGEST, "I11"


def _damaged(sound: bytes, data: bytes) -> bytes:
    """Damage a file: each four bytes of the input are a place and the byte that stands there then; a fifth cuts."""
    found = bytearray(sound)
    for at in range(0, len(data) - 3, 4):
        found[int.from_bytes(data[at : at + 3]) % len(sound)] = data[at + 3]
    if len(data) % 4 == 1:
        del found[data[-1] * len(sound) // 256 :]
    return bytes(found)


def _use(file: Path) -> None:
    """Read all that a start reads, and what people ask for."""
    with closing(SqliteJournal(file)) as journal:
        journal.load_book(Instant(0))
        journal.load_terminal()
        journal.load_custody()
        journal.time_floor()
        journal.activations()
        journal.load_hold()
        journal.load_mark()
        for view in journal.list_sales(SaleFilter()):
            journal.find_sale(view.sale.id)
        journal.events_after(0, 1000)
        journal.records_after(0, 1000)


@contextmanager
def _opening() -> Iterator[Check]:
    with scratch() as made, scratch() as directory:
        sound = Accident(made).before

        def check(data: bytes) -> None:
            for left in directory.iterdir():
                left.unlink()
            file = directory / "journal.db"
            file.write_bytes(_damaged(sound, data))
            for use in (_use, look):
                try:
                    use(file)
                except JournalError as exc:
                    assert not _KEYS.search(str(exc)), "I7: a key is shown"

        yield check


@contextmanager
def _restoring() -> Iterator[Check]:
    with scratch() as made:
        accident = Accident(made)
        copy = copy_of(accident.file).read_bytes()

        def check(data: bytes) -> None:
            with scratch() as directory:
                file = directory / "journal.db"
                copy_of(file).write_bytes(copy)
                file.write_bytes(_damaged(accident.before, data))
                done = restore(file, STAMP)
                assert (done.evidence / "journal.db").read_bytes() == _damaged(accident.before, data)
                with closing(SqliteJournal(file)) as journal:
                    assert accident.copied <= {view.sale.id for view in journal.list_sales(SaleFilter(limit=200))}
                    assert done.has_keys == (journal.load_terminal() is not None) or not data
                _use(file)

        yield check


def _rows(journal: Path) -> tuple[bytes, ...]:
    """Return the snapshots of a journal, each behind the byte that chooses its kind."""
    with closing(sqlite3.connect(journal)) as connection:
        tables = ("sales", "attempts", "refunds", "jobs", "vends")
        return tuple(
            bytes((kind,)) + str(text).encode()
            for kind, table in enumerate(tables)
            for (text,) in connection.execute(f"SELECT snapshot FROM {table}")  # noqa: S608 - one of five words
        )


def _spots(sound: bytes) -> tuple[bytes, ...]:
    """Return places where damage matters, as three bytes each: SQLite's header, names, keys, snapshots, and pages."""
    places = {0, 16, 18, 19, 20, 24, 28, 40, 44, 56, 59, 60, 63, 96, 100, 103}
    for word in (
        b"CREATE",
        b"sales",
        b"T1",
        b"key-1",
        b"order-",
        b'{"',
        b'"state',
        b"board",
        b"attempt",
        b"salt",
        b"t-0",
    ):
        places |= {found.start() for found in re.finditer(re.escape(word), sound)}
    places |= {page + at for page in range(0, len(sound), 4096) for at in (0, 1, 3, 5, 8, 9, 12)}
    return tuple(place.to_bytes(3) for place in sorted(places))


def _made() -> tuple[tuple[bytes, ...], tuple[bytes, ...]]:
    with scratch() as directory:
        accident = Accident(directory)
        shutil.copyfile(accident.file, directory / "read.db")
        return _rows(directory / "read.db"), _spots(accident.before)


_ROWS, _SPOTS = _made()
_TYPES: Final = (b"null", b"true", b"{}", b"[]", b"-1", b"1.5", b"NaN", b"9" * 400, b'"x"', b"[" * 1100, b'"\\ud800"')
_DAMAGES: Final = (b"", b"\x80", *(spot + b"\xef" for spot in _SPOTS[:: 1 + len(_SPOTS) // 24]))

JOURNALS: Final = (
    Target(name="journal_row", opened=always(check_row), samples=_ROWS, words=_TYPES, longest=4096, examples=250),
    Target(name="journal_file", opened=_opening, samples=_DAMAGES, words=_SPOTS, longest=256, examples=100),
    Target(name="journal_restore", opened=_restoring, samples=_DAMAGES, words=_SPOTS, longest=256, examples=50),
)
