"""After a restore everything that could be read is there, nothing is numbered twice, and nobody sells by himself."""

import re
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from terminald.adapters import journal_restore
from terminald.adapters.journal_copy import copy_of, make_copy
from terminald.adapters.journal_restore import EVENTS_SKIPPED, restore
from terminald.adapters.journal_sqlite import SqliteJournal
from terminald.adapters.ports import SaleFilter
from terminald.core.events import PayConfirmed
from terminald.core.ids import Instant
from terminald.core.readiness import Hold
from terminald.errors import JournalCorrupt, JournalUnavailable
from tests.adapters.journal_dump import TERMINAL, fill
from tests.adapters.journal_samples import Shop
from tests.adapters.test_journal_file import PAGE
from tests.core.machine_builders import NOON

STAMP = "20261123T120000Z"


class Accident:
    """A journal with a copy, sales after it, and then damage."""

    def __init__(self, directory: Path) -> None:
        self.file = directory / "journal.db"
        with closing(SqliteJournal(self.file)) as journal:
            fill(journal)
            journal.salt()
            assert make_copy(self.file, NOON, spare=0, is_wanted=lambda: True)
            self.copied = {view.sale.id for view in journal.list_sales(SaleFilter())}
            shop = Shop(journal.commit, count=500)
            self.paid = shop.open_sale()
            shop.answer(shop.scan(self.paid), PayConfirmed())
            self.open = shop.open_sale()
            shop.scan(self.open)
            self.seq = journal.last_seq()
        self.before = self.file.read_bytes()

    def damage(self, hits: Callable[[int, bytes], bool]) -> bytes:
        """Spoil pages; return what the file is then."""
        pages = [self.before[start : start + PAGE] for start in range(0, len(self.before), PAGE)]
        spoilt = b"".join(b"\xa5" * 64 + page[64:] if hits(number, page) else page for number, page in enumerate(pages))
        assert spoilt != self.before
        self.file.write_bytes(spoilt)
        with pytest.raises(JournalCorrupt, match="terminald restore"):
            SqliteJournal(self.file)
        return spoilt


@pytest.fixture
def accident(tmp_path: Path) -> Accident:
    return Accident(tmp_path)


def events_leaf(_: int, page: bytes) -> bool:
    """Whether a page holds the newest events alone: a leaf of a table without a snapshot in it."""
    return page[0] == 0x0D and page.count(b"sale") > 5 and b"code_digest" not in page and b'"order"' not in page


def test_a_restored_journal_has_the_copy_and_all_that_can_be_read(accident: Accident) -> None:
    spoilt = accident.damage(lambda number, page: number > 2 and page[0] == 0x0A and b"order-" in page)
    done = restore(accident.file, STAMP)
    assert (done.evidence / "journal.db").read_bytes() == spoilt
    assert sorted(one.name for one in accident.file.parent.iterdir()) == [
        f"evidence-{STAMP}", "journal-copy.db", "journal.db"
    ]  # fmt: skip
    assert done.has_keys
    with closing(SqliteJournal(accident.file)) as journal:
        ids = {view.sale.id for view in journal.list_sales(SaleFilter())}
        assert ids == {*accident.copied, accident.paid, accident.open}
        assert journal.load_terminal() == TERMINAL
        assert journal.load_custody() is not None
        found = journal.find_sale(accident.paid)
        assert found is not None
        assert found.sale.paid
        assert accident.open in journal.load_book(Instant(10**12)).sales


@pytest.mark.parametrize("page", range(1, 24))
def test_whatever_page_is_spoilt_the_result_is_whole_and_says_what_it_lacks(accident: Accident, page: int) -> None:
    pages = len(accident.before) // PAGE
    spoilt = bytearray(accident.before)
    number = page % pages
    spoilt[number * PAGE : number * PAGE + 64] = b"\xa5" * 64
    accident.file.write_bytes(spoilt)
    done = restore(accident.file, STAMP)
    with closing(SqliteJournal(accident.file)) as journal:
        ids = {view.sale.id for view in journal.list_sales(SaleFilter())}
        assert accident.copied <= ids
        assert (journal.load_terminal() is not None) == done.has_keys
        missing = {accident.paid, accident.open} - ids
        assert not (done.is_whole and missing)
        assert done.lost == () or set(done.lost) <= {accident.paid, accident.open, *accident.copied}
        journal.load_book(Instant(10**12))


def test_the_identity_lives_where_it_was_taken_to_after_the_copy(accident: Accident) -> None:
    """``terminald adopt``, and a restore within a week: the terminal is not of the board that was replaced."""
    with closing(SqliteJournal(accident.file)) as journal:
        journal.put_board({"serial": "new"}, device_id="board-2")
    accident.before = accident.file.read_bytes()
    accident.damage(lambda number, page: number > 2 and page[0] == 0x0A and b"order-" in page)
    restore(accident.file, STAMP)
    with closing(SqliteJournal(accident.file)) as journal:
        assert (journal.board(), journal.device_id()) == ({"serial": "new"}, "board-2")
        assert journal.load_terminal() == TERMINAL


def test_a_board_that_can_not_be_read_is_that_of_the_copy(accident: Accident) -> None:
    with closing(SqliteJournal(accident.file)) as journal:
        copied = journal.board()
    accident.damage(lambda _, page: b"device_id" in page and b"salt" in page)
    restore(accident.file, STAMP)
    with closing(SqliteJournal(accident.file)) as journal:
        assert (journal.board(), journal.device_id()) == (copied, "board-1")


def test_a_file_of_which_nothing_can_be_read_leaves_the_copy(accident: Accident) -> None:
    accident.file.write_bytes(b"\xa5" * len(accident.before))
    done = restore(accident.file, STAMP)
    assert (done.has_keys, done.is_whole, done.saved) == (False, False, 0)
    with closing(SqliteJournal(accident.file)) as journal:
        assert {view.sale.id for view in journal.list_sales(SaleFilter())} == accident.copied
        assert journal.load_terminal() is None
        assert journal.device_id() == "board-1"


@pytest.mark.parametrize("name", [b"tablesales", b"indexattempts_sn", b"tableevents", b"tableterminal"])
def test_a_schema_that_is_no_text_any_more_leaves_the_copy(accident: Accident, name: bytes) -> None:
    """What SQLite says of it can not be read either."""
    spoilt = accident.before.replace(name, name[:5] + b"\xef" + name[6:])
    assert spoilt != accident.before
    accident.file.write_bytes(spoilt)
    restore(accident.file, STAMP)
    with closing(SqliteJournal(accident.file)) as journal:
        assert accident.copied <= {view.sale.id for view in journal.list_sales(SaleFilter())}


def test_what_a_spoilt_index_mixes_is_lost_and_not_taken_over(accident: Accident) -> None:
    """The search for an attempt may end at another one's; the integrity check of a start does not look there."""
    # In the index the name stands before the number of its row; what is before it is SQLite's.
    places = [found.end() - 6 for found in re.finditer(rb"\x03\x19\x01t-[0-9]{4}", accident.before)]
    assert len(places) > 3
    for number, place in enumerate(places):
        accident.file.write_bytes(accident.before[:place] + b"\xef" + accident.before[place + 1 :])
        done = restore(accident.file, f"{STAMP}-{number}")
        with closing(SqliteJournal(accident.file)) as journal:
            for view in journal.list_sales(SaleFilter()):
                assert tuple(one.client_sn for one in view.attempts) == view.sale.attempts
            assert {accident.paid, accident.open} <= {
                *done.lost,
                *(one.sale.id for one in journal.list_sales(SaleFilter())),
            }
            journal.load_book(Instant(0))


def test_sales_are_held_back_and_nothing_is_numbered_a_second_time(accident: Accident) -> None:
    accident.file.write_bytes(b"\xa5" * 100_000)
    restore(accident.file, STAMP)
    with closing(SqliteJournal(accident.file)) as journal:
        assert (journal.load_hold(), journal.series()) == (Hold.RESTORED, 1)
        assert journal.restored_from() == NOON.wall, "who confirms it is told of when the copy is"
        assert journal.last_seq() >= accident.seq + EVENTS_SKIPPED - 100
        assert journal.forgotten().seq == journal.last_seq()
        shop = Shop(journal.commit, count=900)
        shop.open_sale()
        assert journal.events_after(journal.forgotten().seq, 10)


@pytest.mark.parametrize("step", ["marked", "moved", "exchanged"])
def test_an_interrupted_restore_is_finished_and_nothing_is_used_before(accident: Accident, step: str) -> None:
    accident.file.write_bytes(b"\xa5" * 100_000)
    work = accident.file.with_name("journal-restored.tmp")
    done = restore(accident.file, STAMP)
    evidence = done.evidence / "journal.db"
    mark = accident.file.with_name(journal_restore.MARK)
    mark.touch()
    if step != "exchanged":
        accident.file.rename(work)
    if step == "marked":
        evidence.rename(accident.file)
    with pytest.raises(JournalUnavailable, match="run terminald restore again"):
        SqliteJournal(accident.file)
    assert journal_restore.is_interrupted(accident.file)
    journal_restore.finish(accident.file, STAMP)
    assert not journal_restore.is_interrupted(accident.file)
    assert evidence.read_bytes() == b"\xa5" * 100_000
    with closing(SqliteJournal(accident.file)) as journal:
        assert journal.load_hold() is Hold.RESTORED


def test_without_a_copy_nothing_is_touched(accident: Accident) -> None:
    copy_of(accident.file).unlink()
    accident.file.write_bytes(b"\xa5" * 1000)
    with pytest.raises(JournalUnavailable, match="there is no copy"):
        restore(accident.file, STAMP)
    assert [one.name for one in accident.file.parent.iterdir()] == ["journal.db"]
