"""One sale's records are found in the log by their moment, and read in bounded pieces."""

import asyncio
import sqlite3
from bisect import bisect_left
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from terminald.adapters.journal_sqlite import SqliteJournal
from terminald.adapters.journal_thread import MAX_PAGE, JournalThread
from terminald.adapters.ports import Batch, Entry
from terminald.core.ids import Instant, SaleId, WallTime
from terminald.core.schedule import Now
from terminald.core.stimuli import Record

#: Several rows of one moment, moments without rows, and a clock on the wall that was set back.
MOMENTS = (100, 100, 100, 250, 251, 251, 900)
MINE, OTHER = SaleId("mine"), SaleId("other")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "journal.db"


@pytest.fixture
def journal(file: Path) -> Iterator[SqliteJournal]:
    with closing(SqliteJournal(file)) as opened:
        yield opened


def put(journal: SqliteJournal, at: int, sale_id: SaleId, *, count: int = 1) -> None:
    record = Record(kind="sale", subject=sale_id, sale_id=sale_id, cause="C", before="b", after="a")
    now = Now(instant=Instant(at), wall=WallTime(10_000 - at))
    journal.commit(Batch(now=now, entries=(Entry(record=record, topic="sale", body=b"{}"),) * count))


@pytest.mark.parametrize("first", [1, 5])
def test_a_moment_is_found_by_halving(journal: SqliteJournal, file: Path, first: int) -> None:
    for at in MOMENTS:
        put(journal, at, MINE)
    with closing(sqlite3.connect(file)) as other, other:
        other.execute("DELETE FROM events WHERE seq < ?", (first,))
    left = MOMENTS[first - 1 :]
    for instant in range(90, 910):
        expected = bisect_left(left, instant)
        assert journal.seq_before(Instant(instant)) == first - 1 + expected


def test_a_moment_is_found_where_rows_are_missing(journal: SqliteJournal, file: Path) -> None:
    for at in range(100, 200):
        put(journal, at, MINE)
    with closing(sqlite3.connect(file)) as other, other:
        other.execute("DELETE FROM events WHERE seq BETWEEN 20 AND 60")
    for instant in range(90, 210):
        found = journal.seq_before(Instant(instant))
        following = journal.records_of(found, MINE, 1).records
        assert not following or following[0].at >= instant
        before = [one for one in journal.records_of(0, MINE, 500).records if one.seq <= found]
        assert all(one.at < instant for one in before)


def test_in_an_empty_log_nothing_is_found(journal: SqliteJournal) -> None:
    assert journal.seq_before(Instant(0)) == journal.seq_before(Instant(10**15)) == 0
    page = journal.records_of(0, MINE, 100)
    assert (page.records, page.next_seq) == ((), None)


def test_of_a_piece_of_the_log_only_the_sales_own_records_are_given(journal: SqliteJournal) -> None:
    put(journal, 100, MINE)
    put(journal, 200, OTHER)
    put(journal, 300, MINE)
    page = journal.records_of(0, MINE, 100)
    assert page.next_seq == 3
    assert [(one.seq, one.at, one.wall) for one in page.records] == [(1, 100, 9_900), (3, 300, 9_700)]
    assert page.records[0].record == Record(kind="sale", subject="mine", sale_id=MINE, cause="C", before="b", after="a")


def test_pieces_follow_each_other_to_the_end(journal: SqliteJournal) -> None:
    for number in range(10):
        put(journal, 100 + number, MINE if number % 3 == 0 else OTHER)
    seqs, following = [], 0
    while True:
        page = journal.records_of(following, MINE, 3)
        seqs += [one.seq for one in page.records]
        if page.next_seq is None:
            break
        following = page.next_seq
    assert (seqs, following) == ([1, 4, 7, 10], 10)


def test_a_piece_has_a_row_at_least(journal: SqliteJournal) -> None:
    put(journal, 100, MINE)
    assert journal.records_of(0, MINE, -5).next_seq == 1


def test_a_commit_waits_for_one_piece_at_most(file: Path) -> None:
    """I11."""

    async def main() -> None:
        store = SqliteJournal(file)
        put(store, 100, MINE, count=MAX_PAGE * 3)
        thread = JournalThread(store)
        page = await thread.records_of(0, MINE, 10**9)
        assert (len(page.records), page.next_seq) == (MAX_PAGE, MAX_PAGE)
        assert await thread.seq_before(Instant(101)) == MAX_PAGE * 3
        await thread.aclose()

    asyncio.run(main())


def test_no_index_of_the_log_is_needed(journal: SqliteJournal, file: Path) -> None:
    put(journal, 100, MINE)
    with closing(sqlite3.connect(file)) as other:
        indexes = other.execute("SELECT name FROM sqlite_master WHERE type = 'index' AND tbl_name = 'events'")
        assert indexes.fetchall() == []
