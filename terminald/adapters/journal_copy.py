"""A second copy of the journal beside it, for the day on which the file is damaged.

It is made by a reader of its own, so that no commit waits for it: one that never writes and never checkpoints, and is
no second writer. It is whole or not there: written under another name, checked, synced, and renamed. It is given up at
any moment before: nobody waits for a check or a sync of gigabytes. No key is in it: after two days it would be of no
use, and people carry copies away.
"""

import os
import shutil
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeVar

import msgspec

from terminald.adapters.fingerprint import Residence
from terminald.adapters.journal_faults import transaction, translated
from terminald.adapters.journal_identity import get_setting, load_board, put_setting
from terminald.adapters.journal_rows import last_seq
from terminald.adapters.state_directory import FILE_MODE, sync_directory
from terminald.core.ids import Instant, WallTime
from terminald.core.schedule import Now
from terminald.errors import JournalCorrupt, JournalUnavailable

T = TypeVar("T")

COPY_NAME: Final = "journal-copy.db"
_UNFINISHED: Final = ".tmp"
#: SQLite's own steps between two looks at whether the copy is still wanted: well below a millisecond of work.
_LOOK_AFTER: Final = 100
#: And between two looks while a whole tree of pages is checked: a stop waits no longer.
LOOK_EVERY_S: Final = 0.02
#: What is written is synced in pieces: the last sync, and a commit of the journal beside it, then wait for one piece at
#: most, which takes a slow card about a second.
SYNC_EVERY_BYTES: Final = 4_000_000
#: What is kept of the pages that were read.
_CACHE_KIB: Final = 256
#: The setting in the copy that says of when it is.
_COPIED: Final = "copied"


@dataclass(frozen=True, slots=True, kw_only=True)
class CopiedAt:
    """Of when a copy is, and up to which event."""

    instant: Instant
    wall: WallTime
    seq: int


def copy_of(file: Path) -> Path:
    """Return where a journal's copy is."""
    return file.with_name(COPY_NAME)


def make_copy(file: Path, now: Now, *, spare: int, is_wanted: Callable[[], bool]) -> CopiedAt | None:
    """Replace the copy by one of now; None where it was not wanted any more: then the one before is still there.

    Is_wanted is asked many times a second. So many bytes of the disk stay free beside it.

    Raises:
        JournalUnavailable: there is no room, or the disk fails; the one before is still there.
        JournalCorrupt: the journal itself is damaged.
    """
    target = copy_of(file)
    unfinished = target.with_name(target.name + _UNFINISHED)
    with translated(file, "copying"):
        unfinished.unlink(missing_ok=True)
        _expect_room(file, spare)
        try:
            _vacuum(file, unfinished, is_wanted)
            copied = _finish(unfinished, now, is_wanted)
            if not is_wanted():
                return None
            unfinished.replace(target)
            sync_directory(target.parent)
        except sqlite3.OperationalError as exc:
            if getattr(exc, "sqlite_errorcode", None) != sqlite3.SQLITE_INTERRUPT:
                raise
            return None
        finally:
            unfinished.unlink(missing_ok=True)
    return copied


def copied_at(file: Path) -> CopiedAt | None:
    """Return of when the copy beside a journal is; None where there is none that can be read."""
    return _from_copy(file, copied_in)


def copied_in(connection: sqlite3.Connection) -> CopiedAt | None:
    """Return of when the copy is that this journal is, or was restored from; None where it says nothing of the kind."""
    try:
        return msgspec.json.decode(get_setting(connection, _COPIED), type=CopiedAt)
    except msgspec.DecodeError:
        return None


def residence_in_copy(file: Path) -> Residence | None:
    """Return where the identity lives, as far as the copy beside a journal says so; None where it can not be read."""
    return _from_copy(file, lambda copy: Residence(device_id=get_setting(copy, "device_id"), board=load_board(copy)))


def _from_copy(file: Path, read: Callable[[sqlite3.Connection], T | None]) -> T | None:
    """Return what is read in the copy beside a journal; None where there is no copy that can be read."""
    target = copy_of(file)
    try:
        if not target.exists():
            return None
        with _opened(f"{target.absolute().as_uri()}?mode=ro&immutable=1") as connection:
            return read(connection)
    except (sqlite3.Error, OSError, UnicodeDecodeError):
        # The last: what SQLite says of a damaged file quotes names out of it.
        return None


def _expect_room(file: Path, spare: int) -> None:
    needed = sum(one.stat().st_size for one in (file, file.with_name(f"{file.name}-wal")) if one.exists())
    free = shutil.disk_usage(file.parent).free
    if free < needed + spare:
        raise JournalUnavailable(
            f"{file}: no room for a copy: {free // 1_000_000} MB are free, and {(needed + spare) // 1_000_000} MB are "
            "needed: free some disk space"
        )


def _vacuum(file: Path, unfinished: Path, is_wanted: Callable[[], bool]) -> None:
    """Write it, as far as it is wanted."""
    # An empty file is taken as it is, with its mode.
    unfinished.touch(mode=FILE_MODE, exist_ok=False)
    with (
        syncing(unfinished) as sync,
        _opened(f"{file.absolute().as_uri()}?mode=ro") as connection,
    ):
        connection.set_progress_handler(lambda: not (is_wanted() and sync()), _LOOK_AFTER)
        connection.execute("VACUUM INTO ?", (str(unfinished),))


@contextmanager
def syncing(unfinished: Path, every: int = SYNC_EVERY_BYTES) -> Iterator[Callable[[], bool]]:
    """Yield what syncs a file that grows, a piece at a time; to be called often. It returns whether that went well.

    Raises:
        OSError: it did not, whatever came of it: SQLite knows an exception in a callback only as an interruption.
    """
    descriptor = os.open(unfinished, os.O_RDONLY)
    done = 0
    fault: OSError | None = None

    def sync() -> bool:
        nonlocal done, fault
        try:
            size = os.fstat(descriptor).st_size
            if size - done >= every:
                os.fsync(descriptor)
                done = size
        except OSError as exc:
            fault = exc
        return fault is None

    try:
        yield sync
    finally:
        os.close(descriptor)
        if fault is not None:
            raise fault


def _finish(unfinished: Path, now: Now, is_wanted: Callable[[], bool]) -> CopiedAt:
    """Take the keys out, say of when it is, check it, and sync it, as far as it is wanted."""
    with _opened(f"{unfinished.absolute().as_uri()}?mode=rw") as connection, _interrupting(connection, is_wanted):
        # Nobody needs it after a crash in between. The keys do not stay behind in the free part of a page.
        for setting in ("journal_mode=MEMORY", "synchronous=OFF", "secure_delete=ON"):
            connection.execute(f"PRAGMA {setting}").fetchall()
        copied = CopiedAt(instant=now.instant, wall=now.wall, seq=last_seq(connection))
        with transaction(connection):
            connection.execute("DELETE FROM custody")
            connection.execute("DELETE FROM terminal")
            put_setting(connection, _COPIED, msgspec.json.encode(copied).decode())
        (verdict,) = connection.execute("PRAGMA quick_check(1)").fetchone()
        if verdict != "ok":
            raise JournalCorrupt(f"{unfinished}: a copy of the journal is not whole: {verdict}")
    descriptor = os.open(unfinished, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    return copied


@contextmanager
def _interrupting(connection: sqlite3.Connection, is_wanted: Callable[[], bool]) -> Iterator[None]:
    """Interrupt whatever a connection does within as soon as it is not wanted any more.

    From a thread of its own: within the look at a tree of pages SQLite before 3.41 calls no progress handler. Again and
    again: an interruption between two statements is none.
    """
    ended = threading.Event()

    def watch() -> None:
        while not ended.wait(LOOK_EVERY_S):
            if not is_wanted():
                connection.interrupt()

    watching = threading.Thread(target=watch, name="journal-copy")
    connection.set_progress_handler(lambda: not is_wanted(), _LOOK_AFTER)
    watching.start()
    try:
        yield
    finally:
        ended.set()
        watching.join()


@contextmanager
def _opened(uri: str) -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(uri, uri=True, isolation_level=None, check_same_thread=False)) as connection:
        # Each page is read once: what a larger cache takes stays with the process.
        connection.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
        yield connection
