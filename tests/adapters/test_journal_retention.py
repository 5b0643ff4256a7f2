"""Old sales go a few at a time, whole or not at all; what must outlive them stays; nothing else is touched."""

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
from terminald.adapters.ports_care import Forgotten, PrunePlace
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
            place = self.journal.prune(self.before(), kept, place)
            steps += 1
        return steps

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
        place = years.journal.prune(years.before(), (), place)
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
    said: list[str] = []
    with closing(sqlite3.connect(years.file, isolation_level=None)) as raw:
        raw.set_trace_callback(said.append)
        place: PrunePlace | None = PrunePlace()
        raw.execute("PRAGMA foreign_keys=OFF")
        while place is not None:
            place = journal_retention.prune(raw, years.before(), (), place)
        raw.set_trace_callback(None)
        plans = {
            str(row[3])
            for one in {*said}
            if one.startswith(("SELECT", "DELETE", "\n"))
            for row in raw.execute(f"EXPLAIN QUERY PLAN {one}")
        }
    assert [
        line for line in plans if line.startswith("SCAN") and "(subquery" not in line and "CONSTANT" not in line
    ] == []
