"""The journal in the event loop: in order, not undone by cancelling, and closed when all is done."""

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from terminald.adapters.journal_sqlite import SqliteJournal
from terminald.adapters.journal_thread import MAX_PAGE, JournalThread
from terminald.adapters.ports import Batch, Entry, Journal, SaleFilter
from terminald.core.book import Book
from terminald.core.events import PayConfirmed
from terminald.core.ids import Instant, SaleId
from terminald.core.stimuli import Record
from terminald.errors import JournalUnavailable
from tests.adapters.journal_samples import Shop
from tests.core.machine_builders import NOON
from tests.simulation.inline_journal import InlineJournal


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "journal.db"


def batch(events: int = 1) -> Batch:
    record = Record(kind="sale", subject="x", sale_id=SaleId("x"), cause="", before="", after="")
    return Batch(now=NOON, entries=(Entry(record=record, topic="sale", body=b"x"),) * events)


def as_ports(thread: JournalThread, inline: InlineJournal) -> tuple[Journal, Journal]:
    """For the type checker: both are what the engine wants."""
    return thread, inline


def test_everything_that_the_engine_asks_for_goes_through_the_thread(file: Path) -> None:
    store = SqliteJournal(file)
    shop = Shop(store.commit)
    sale_id = shop.open_sale()
    shop.answer(shop.scan(sale_id), PayConfirmed())
    view = store.find_sale(sale_id)
    events = store.events_after(0, 100)

    async def main() -> None:
        thread = JournalThread(store)
        for journal in as_ports(thread, InlineJournal(store)):
            assert await journal.find_sale("order-1") == view
            assert await journal.list_sales(SaleFilter()) == (view,)
            assert await journal.events_after(0, 100) == events
            assert await journal.load_book(shop.now.instant) == shop.book
            assert await journal.load_book(Instant(0)) != Book()
        assert await thread.last_seq() == shop.seq
        assert await thread.commit(batch()) == shop.seq + 1
        await thread.aclose()

    asyncio.run(main())


def test_commits_are_carried_out_in_the_order_of_the_calls(file: Path) -> None:
    async def main() -> None:
        thread = JournalThread(SqliteJournal(file))
        assert await asyncio.gather(*(thread.commit(batch()) for _ in range(50))) == list(range(1, 51))
        await thread.aclose()

    asyncio.run(main())


def test_pages_are_bounded(file: Path) -> None:
    """I11."""

    async def main() -> None:
        thread = JournalThread(SqliteJournal(file))
        await thread.commit(batch(MAX_PAGE + 1))
        assert len(await thread.events_after(0, 10**9)) == MAX_PAGE
        assert await thread.list_sales(SaleFilter(limit=10**9)) == ()
        await thread.aclose()

    asyncio.run(main())


def test_a_commit_that_is_cancelled_is_committed_all_the_same(file: Path) -> None:
    async def main() -> None:
        thread = JournalThread(SqliteJournal(file))
        with closing(sqlite3.connect(file, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            waiting = [asyncio.create_task(thread.commit(batch())) for _ in range(2)]
            await asyncio.sleep(0)
            for task in waiting:
                task.cancel()
            assert await asyncio.gather(*waiting, return_exceptions=True) != [1, 2]
            assert all(task.cancelled() for task in waiting)
            other.execute("ROLLBACK")
        assert await thread.last_seq() == 2
        await thread.aclose()

    asyncio.run(main())


def test_closing_waits_for_what_is_under_way_and_refuses_what_comes_after(file: Path) -> None:
    async def main() -> None:
        thread = JournalThread(SqliteJournal(file))
        commits = [asyncio.create_task(thread.commit(batch())) for _ in range(10)]
        await asyncio.sleep(0)
        await asyncio.gather(thread.aclose(), thread.aclose())
        assert await asyncio.gather(*commits) == list(range(1, 11))
        for call in (thread.commit(batch()), thread.last_seq()):
            with pytest.raises(JournalUnavailable, match="closed"):
                await call
        await thread.aclose()

    asyncio.run(main())
    assert not file.with_name("journal.db-wal").exists()
