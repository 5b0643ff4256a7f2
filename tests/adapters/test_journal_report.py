"""What belongs to a day is found in the journal, page by page, and nothing is found twice or left out."""

import asyncio
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from terminald.adapters.journal_report import REFUNDS_PER_PAGE, SALES_PER_PAGE
from terminald.adapters.journal_sqlite import SqliteJournal
from terminald.adapters.journal_thread import JournalThread
from terminald.adapters.ports import Batch
from terminald.adapters.ports_report import CreatedAfter
from terminald.core.book import SaleView
from terminald.core.ids import ClientSn, Reference, RefundId, SaleId, WallTime
from terminald.core.money import Fen
from terminald.core.refund_table import Refund, RefundState
from terminald.core.report import OPENED_BEFORE
from terminald.core.schedule import CLOCK_UNSET_BEFORE, FINISH_EARLIEST, HOUR
from terminald.core.schedule import DAY as DAY_MS
from terminald.errors import JournalCorrupt
from tests.wire.api_samples import NOW, paid_view, refund
from tests.wire.report_samples import DAY


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "journal.db"


@pytest.fixture
def journal(file: Path) -> Iterator[SqliteJournal]:
    with closing(SqliteJournal(file)) as opened:
        yield opened


def sale_at(number: int, at: int) -> SaleView:
    view = paid_view(f"01J{number:06}")
    order = replace(view.sale.order, reference=Reference(f"order-{number}"))
    paid = replace(view.attempts[0], client_sn=ClientSn(f"A{number}"), sale_id=view.sale.id, started_at=WallTime(at))
    sale = replace(view.sale, order=order, attempts=(paid.client_sn,), created_at=WallTime(at))
    return SaleView(sale=sale, attempts=(paid,))


def refund_of(view: SaleView, number: int, at: int, state: RefundState = RefundState.DONE) -> Refund:
    return replace(
        refund(number, state=state),
        id=RefundId(f"{view.sale.id}-r{number}"),
        sale_id=view.sale.id,
        opened_at=WallTime(at - 1_000),
        ended_at=WallTime(at) if state.is_final else None,
    )


def commit(journal: SqliteJournal, *views: SaleView) -> None:
    journal.commit(
        Batch(
            now=NOW,
            sales=tuple(view.sale for view in views),
            attempts=tuple(one for view in views for one in view.attempts),
            refunds=tuple(one for view in views for one in view.refunds),
        )
    )


def pages(journal: SqliteJournal) -> list[tuple[SaleView, ...]]:
    page = journal.sales_created(DAY, None)
    found = [page.views]
    while page.following is not None:
        page = journal.sales_created(DAY, page.following)
        found.append(page.views)
    return found


def refunded(journal: SqliteJournal) -> list[tuple[SaleId, ...]]:
    page = journal.sales_refunded(DAY, 0)
    found = [page.sales]
    while page.following is not None:
        page = journal.sales_refunded(DAY, page.following)
        found.append(page.sales)
    return found


def test_an_empty_journal_has_nothing(journal: SqliteJournal) -> None:
    assert [view for page in pages(journal) for view in page] == []
    assert refunded(journal) == [()]


def test_sales_from_a_day_before_to_an_hour_after_are_found_oldest_first(journal: SqliteJournal) -> None:
    first, last = DAY.start - OPENED_BEFORE, DAY.end + FINISH_EARLIEST - 1
    inside = [sale_at(1, first + 1), sale_at(2, DAY.start), sale_at(3, last)]
    commit(journal, sale_at(4, first - 1), *reversed(inside), sale_at(5, last + 1))
    assert [view for page in pages(journal) for view in page] == inside


def test_sales_of_a_clock_that_was_never_set_are_found_for_any_day(journal: SqliteJournal) -> None:
    early = [sale_at(1, 7), sale_at(2, CLOCK_UNSET_BEFORE - 1)]
    commit(journal, *early, sale_at(3, CLOCK_UNSET_BEFORE))
    assert [view for page in pages(journal) for view in page] == early


@pytest.mark.parametrize("count", [SALES_PER_PAGE - 1, SALES_PER_PAGE, SALES_PER_PAGE + 1, 2 * SALES_PER_PAGE])
def test_a_day_is_read_in_pages(journal: SqliteJournal, count: int) -> None:
    """All of these sales were opened in the same millisecond."""
    views = [sale_at(number, DAY.start) for number in range(count)]
    commit(journal, *views)
    found = pages(journal)
    assert [view for page in found for view in page] == views
    assert max(len(page) for page in found) <= SALES_PER_PAGE


def test_sales_that_are_opened_meanwhile_disturb_nothing(journal: SqliteJournal) -> None:
    commit(journal, *(sale_at(number, DAY.start + number) for number in range(SALES_PER_PAGE)))
    page = journal.sales_created(DAY, CreatedAfter(part=1))
    commit(journal, sale_at(900, DAY.start + 5), sale_at(901, DAY.start + HOUR))
    assert page.following is not None
    assert [view.sale.id for view in journal.sales_created(DAY, page.following).views] == ["01J000901"]


def test_a_refund_of_an_old_sale_is_found_by_its_day(journal: SqliteJournal) -> None:
    """Done on the day, or begun on it and not done yet."""
    long_ago = DAY.start - 60 * DAY_MS
    old = [sale_at(number, long_ago) for number in range(5)]
    commit(
        journal,
        replace(old[0], refunds=(refund_of(old[0], 1, DAY.start), refund_of(old[0], 2, DAY.end - 1))),
        replace(old[1], refunds=(refund_of(old[1], 1, DAY.start - 1),)),
        replace(old[2], refunds=(refund_of(old[2], 1, DAY.start + HOUR, RefundState.BLOCKED),)),
        replace(old[3], refunds=(refund_of(old[3], 1, DAY.end),)),
        old[4],
    )
    assert set(refunded(journal)[0]) == {old[0].sale.id, old[2].sale.id}


def test_refunds_are_read_in_pages(journal: SqliteJournal) -> None:
    view = sale_at(1, DAY.start - 60 * DAY_MS)
    count = 2 * REFUNDS_PER_PAGE
    commit(journal, replace(view, refunds=tuple(refund_of(view, number, DAY.start) for number in range(count))))
    assert [len(page) for page in refunded(journal)] == [REFUNDS_PER_PAGE, REFUNDS_PER_PAGE, 0]


def test_the_days_are_read_by_their_index(journal: SqliteJournal, file: Path) -> None:
    commit(journal, sale_at(1, DAY.start))
    with closing(sqlite3.connect(file)) as other:
        plan = other.execute(
            "EXPLAIN QUERY PLAN SELECT rowid, created_at, snapshot FROM sales "
            "WHERE (created_at, rowid) > (?, ?) AND created_at < ? ORDER BY created_at, rowid LIMIT ?",
            (0, 0, 1, 1),
        ).fetchall()
    assert [row[3] for row in plan] == ["SEARCH sales USING INDEX sales_created (created_at>? AND created_at<?)"]


@pytest.mark.parametrize("table", ["sales", "refunds"])
def test_a_snapshot_that_can_not_be_read_is_a_corrupt_journal(journal: SqliteJournal, file: Path, table: str) -> None:
    view = sale_at(1, DAY.start)
    commit(journal, replace(view, refunds=(refund_of(view, 1, DAY.start),)))
    with closing(sqlite3.connect(file)) as other, other:
        other.execute(f"UPDATE {table} SET snapshot = '{{'")  # noqa: S608 - one of two literals
    with pytest.raises(JournalCorrupt):
        pages(journal) if table == "sales" else refunded(journal)


def test_a_commit_waits_for_one_page_at_most(file: Path) -> None:
    async def scene() -> None:
        store = SqliteJournal(file)
        views = [sale_at(number, DAY.start + number) for number in range(SALES_PER_PAGE)]
        commit(store, *views)
        journal = JournalThread(store)
        try:
            read = [asyncio.create_task(journal.sales_created(DAY, CreatedAfter(part=1))) for _ in range(5)]
            await asyncio.sleep(0)
            paid = replace(views[0].sale, returned=Fen(1))
            await journal.commit(Batch(now=NOW, sales=(paid,)))
            # One that was being read, and one that the loop may hear of together with the commit.
            assert sum(one.done() for one in read) <= 2
            pages_read = await asyncio.gather(*read)
            assert all(len(page.views) == SALES_PER_PAGE for page in pages_read)
            assert (await journal.sales_refunded(DAY, 0)).sales == ()
        finally:
            await journal.aclose()

    asyncio.run(scene())
