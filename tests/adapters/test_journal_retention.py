"""Old sales go a few at a time, whole or not at all; what must outlive them stays; nothing else is touched."""

import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import replace
from pathlib import Path

import pytest

from terminald.adapters import journal_retention
from terminald.adapters.journal_retention import SALES_PER_STEP
from terminald.adapters.journal_sqlite import SqliteJournal
from terminald.adapters.ports import SaleFilter
from terminald.adapters.ports_care import Forgotten, PrunePlace, UnreadSale
from terminald.core.events import AnswerMismatched, JobSent, PayConfirmed, PayDeclined
from terminald.core.ids import Instant, SaleId, WallTime
from terminald.core.retention import Horizon, horizon
from terminald.core.schedule import DAY
from tests.adapters.journal_samples import Shop
from tests.core.machine_builders import NOON

KEEP = 400
OLD_SALES = 3 * SALES_PER_STEP + 4


class Years:
    """A journal with sales of long ago and of today."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self.journal = SqliteJournal(file)
        self.shop = Shop(self.journal.commit, replace(NOON, is_trusted=True))
        self.old = [self.sell() for _ in range(OLD_SALES)]
        self.waiting = self.shop.open_sale()
        self.shop.answer(self.shop.scan(self.waiting), AnswerMismatched())
        self.shop.cancel(self.waiting)
        self.seq_of_old = self.shop.seq
        self.shop.pass_time((KEEP + 2) * DAY)
        self.new = [self.sell() for _ in range(3)]
        self.unread: tuple[UnreadSale, ...] = ()

    def sell(self) -> SaleId:
        sale_id = self.shop.open_sale()
        self.shop.answer(self.shop.scan(sale_id), PayDeclined())
        self.shop.answer(self.shop.scan(sale_id), PayConfirmed())
        self.shop.wake()
        self.shop.finish_print(JobSent(evidence="sent"))
        self.shop.pass_time(60_000)
        return sale_id

    def before(self) -> Horizon:
        found = horizon(self.shop.now, KEEP)
        assert found is not None
        return found

    def prune(self, kept: tuple[SaleId, ...] = ()) -> int:
        """Make one pass, and return its steps."""
        place: PrunePlace | None = PrunePlace()
        steps = 0
        while place is not None:
            step = self.journal.prune(self.before(), kept, place)
            self.unread += step.unread
            place = step.then
            steps += 1
        return steps

    def spoil(self, sale_id: SaleId, snapshot: str) -> None:
        """Put an SQL expression in the place of what is on record of a sale."""
        with closing(sqlite3.connect(self.file)) as raw, raw:
            raw.execute(f"UPDATE sales SET snapshot = {snapshot} WHERE id = ?", (sale_id,))  # noqa: S608 - a test's choice

    def sell_ahead(self, days: int, sales: int) -> list[SaleId]:
        """Sell while the clock is so many days ahead."""
        self.shop.step_clock(self.shop.now.wall + days * DAY)
        sold = [self.sell() for _ in range(sales)]
        self.shop.step_clock(self.shop.now.wall - days * DAY)
        return sold

    def ids(self) -> set[SaleId]:
        return {view.sale.id for view in self.journal.list_sales(SaleFilter(limit=500))}

    def rows(self, table: str) -> int:
        with closing(sqlite3.connect(self.file)) as raw:
            (count,) = raw.execute(f"SELECT count(*) FROM {table}").fetchone()  # noqa: S608 - a test's choice
        return int(count)


@pytest.fixture
def years(tmp_path: Path) -> Iterator[Years]:
    made = Years(tmp_path / "journal.db")
    yield made
    made.journal.close()


def test_old_sales_go_with_all_that_belongs_to_them_and_others_stay(years: Years) -> None:
    before = {table: years.rows(table) for table in ("attempts", "jobs", "events")}
    assert years.prune() > 4
    assert years.ids() == {years.waiting, *years.new}
    assert years.rows("attempts") == before["attempts"] - 2 * OLD_SALES
    assert years.rows("jobs") == before["jobs"] - OLD_SALES
    with closing(sqlite3.connect(years.file)) as raw:
        left = {sale_id for (sale_id,) in raw.execute("SELECT DISTINCT sale_id FROM events")}
        assert raw.execute("PRAGMA foreign_key_check").fetchall() == []
        assert raw.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    assert left == {years.waiting, *years.new}
    assert years.journal.find_sale(years.new[0]) is not None
    assert set(years.shop.book.sales) >= {years.waiting}


def test_a_second_pass_finds_nothing_and_a_step_is_small(years: Years) -> None:
    statements: list[int] = []
    place: PrunePlace | None = PrunePlace()
    while place is not None:
        sales = years.rows("sales")
        place = years.journal.prune(years.before(), (), place).then
        statements.append(sales - years.rows("sales"))
    assert max(statements) <= SALES_PER_STEP
    events = years.rows("events")
    years.prune()
    assert (years.rows("events"), years.rows("sales")) == (events, 4)


def test_what_somebody_is_at_work_on_stays_until_the_next_pass(years: Years) -> None:
    kept = years.old[7]
    years.prune((kept,))
    assert years.ids() == {kept, years.waiting, *years.new}
    found = years.journal.find_sale(kept)
    assert found is not None
    assert len(found.attempts) == 2
    page = years.journal.records_of(0, kept, 500)
    assert page.records[0].record.cause == "SaleOpened"
    years.prune()
    assert years.ids() == {years.waiting, *years.new}


def test_a_reference_outlives_its_sale(years: Years) -> None:
    found = years.journal.find_sale(years.old[3])
    assert found is not None
    reference = found.sale.order.reference
    assert not years.journal.is_spent(reference)
    years.prune()
    assert years.journal.find_sale(reference) is None
    assert years.journal.is_spent(reference)
    assert not years.journal.is_spent(reference + "x")
    assert years.rows("spent") == OLD_SALES


def test_it_is_known_from_where_on_everything_is_there(years: Years) -> None:
    assert years.journal.forgotten() == Forgotten(seq=0, before=WallTime(0))
    years.prune()
    after = years.journal.forgotten()
    assert 0 < after.seq <= years.seq_of_old
    assert after.before == years.before().wall
    years.prune()
    assert years.journal.forgotten() == after


def test_events_are_never_numbered_again(years: Years) -> None:
    last = years.journal.last_seq()
    years.shop.pass_time((KEEP + 200) * DAY)
    years.prune()
    assert years.journal.last_seq() == last
    years.sell()
    assert years.journal.last_seq() > last


def test_a_crash_between_two_steps_leaves_whole_sales(years: Years) -> None:
    years.journal.prune(years.before(), (), PrunePlace())
    years.journal.close()
    with closing(SqliteJournal(years.file)) as again:
        views = again.list_sales(SaleFilter(limit=500))
        assert len(views) == OLD_SALES - SALES_PER_STEP + 4
        assert again.load_book(Instant(10**15)).sales.keys() == {years.waiting}
    years.journal = SqliteJournal(years.file)


def test_foreign_keys_are_watched_again_after_each_step_that_failed_too(years: Years) -> None:
    with closing(sqlite3.connect(years.file, isolation_level=None)) as raw:
        raw.execute("PRAGMA foreign_keys=ON")
        with suppress(RuntimeError), journal_retention.without_foreign_keys(raw):
            assert raw.execute("PRAGMA foreign_keys").fetchone() == (0,)
            raise RuntimeError
        assert raw.execute("PRAGMA foreign_keys").fetchone() == (1,)


def test_no_step_reads_a_table_from_end_to_end(years: Years) -> None:
    years.sell_ahead(20 * 365, sales=40)
    for _ in range(40):
        years.sell()
    said: list[str] = []
    with closing(sqlite3.connect(years.file, isolation_level=None)) as raw:
        raw.set_trace_callback(said.append)
        place: PrunePlace | None = PrunePlace()
        raw.execute("PRAGMA foreign_keys=OFF")
        while place is not None:
            place = journal_retention.prune(raw, years.before(), (), place).then
        raw.set_trace_callback(None)
        plans = {
            str(row[3])
            for one in {*said}
            if one.startswith(("SELECT", "DELETE", "\n"))
            for row in raw.execute(f"EXPLAIN QUERY PLAN {one}")
        }
    assert [line for line in plans if line.startswith("SCAN") and not re.search("subquery|CONSTANT", line)] == []
    for table, index in (("sales", "INDEX sales_created"), ("sales", "INTEGER PRIMARY KEY"), ("events", "INTEGER P")):
        assert any(line.startswith(f"SEARCH {table} ") and index in line for line in plans), sorted(plans)


@pytest.mark.parametrize(
    "snapshot",
    ["'{'", "json_set(snapshot, '$.state', 'of_a_newer_release')", "CAST(x'7bff7d' AS TEXT)"],
    ids=["cut", "newer", "not_utf8"],
)
def test_a_sale_that_can_not_be_read_is_kept_and_told_and_is_in_nobody_s_way(years: Years, snapshot: str) -> None:
    spoiled = years.old[2]
    years.spoil(spoiled, snapshot)
    events = years.rows("events")
    years.prune()
    with closing(sqlite3.connect(years.file)) as raw:
        left = {sale_id for (sale_id,) in raw.execute("SELECT id FROM sales")}
        (kept,) = raw.execute("SELECT count(*) FROM events WHERE sale_id = ?", (spoiled,)).fetchone()
    assert left == {spoiled, years.waiting, *years.new}
    assert kept > 0
    assert years.rows("events") < events
    assert {one.sale for one in years.unread} == {spoiled}
    assert all("can not be read" in one.why for one in years.unread)


def test_a_whole_step_that_can_not_be_read_is_in_nobody_s_way(years: Years) -> None:
    for sale_id in years.old[: SALES_PER_STEP + 1]:
        years.spoil(sale_id, "'{'")
    years.prune()
    assert years.rows("sales") == SALES_PER_STEP + 1 + 4


def test_a_part_that_can_not_be_read_keeps_its_sale(years: Years) -> None:
    with closing(sqlite3.connect(years.file)) as raw, raw:
        raw.execute("UPDATE jobs SET snapshot = CAST(x'ff' AS TEXT) WHERE sale_id = ?", (years.old[0],))
    years.prune()
    assert {one.sale for one in years.unread} == {years.old[0]}
    assert years.rows("sales") == 1 + 4


def test_a_name_that_can_not_be_read_is_told_by_its_row(years: Years) -> None:
    with closing(sqlite3.connect(years.file)) as raw, raw:
        raw.execute("UPDATE sales SET id = CAST(x'ff' AS TEXT) WHERE id = ?", (years.old[0],))
    years.prune()
    assert {one.sale for one in years.unread} == {"row 1"}


def test_a_damaged_file_is_no_sale_that_can_not_be_read(years: Years) -> None:
    years.journal.close()
    with closing(sqlite3.connect(years.file)) as raw:
        (size,) = raw.execute("PRAGMA page_size").fetchone()
        (root,) = raw.execute("SELECT rootpage FROM sqlite_schema WHERE name = 'jobs'").fetchone()
    with years.file.open("r+b") as file:
        file.seek((root - 1) * size)
        file.write(b"\xff" * size)
    with closing(sqlite3.connect(years.file, isolation_level=None)) as raw, pytest.raises(sqlite3.DatabaseError):
        journal_retention.prune(raw, years.before(), (), PrunePlace())
    years.journal = SqliteJournal(years.file.with_name("another.db"))


@pytest.mark.parametrize("days", [100, 20 * 365])
def test_sales_of_a_clock_that_was_ahead_go_by_the_terminal_s_own_time(years: Years, days: int) -> None:
    """And are in the way of no sale, and of no event, that was recorded after them."""
    years.prune()
    ahead = years.sell_ahead(days, sales=40)
    behind = [years.sell() for _ in range(40)]
    last = years.shop.seq
    years.shop.pass_time((KEEP - 1) * DAY)
    years.prune()
    assert {*ahead, *behind} <= years.ids()
    years.shop.pass_time(2 * DAY)
    today = years.sell()
    years.prune()
    if days > KEEP:
        assert years.ids() == {years.waiting, today}
    else:
        assert years.ids() == {years.waiting, *ahead, today}
        years.shop.pass_time(days * DAY)
        years.prune()
        assert years.ids() == {years.waiting, today}
    with closing(sqlite3.connect(years.file)) as raw:
        left = raw.execute("SELECT DISTINCT sale_id FROM events WHERE seq <= ?", (last,)).fetchall()
    assert left == [(years.waiting,)]


def test_events_behind_those_of_a_clock_that_was_ahead_go_in_time(years: Years) -> None:
    years.prune()
    years.sell_ahead(100, sales=40)
    first = years.shop.seq
    for _ in range(60):
        years.sell()
    last = years.shop.seq
    years.shop.pass_time((KEEP + 1) * DAY)
    for _ in range(20):
        years.sell()
    years.prune()
    with closing(sqlite3.connect(years.file)) as raw:
        (left,) = raw.execute("SELECT count(*) FROM events WHERE seq > ? AND seq <= ?", (first, last)).fetchone()
    assert left == 0


def test_a_pass_reads_what_is_old_and_no_more(years: Years) -> None:
    """However much there is of the rest, and whatever of it can not be read or is of a clock that was ahead."""
    years.prune()
    years.sell_ahead(20 * 365, sales=3)
    for sale_id in [years.sell() for _ in range(200)][::2]:
        years.spoil(sale_id, "'{'")
    assert years.prune() <= 6
    assert years.unread == ()
