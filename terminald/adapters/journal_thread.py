"""The journal for the event loop: every call is carried out on one thread of its own."""

import asyncio
import sqlite3
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Final, NoReturn, TypeVar

from terminald.adapters.journal_sqlite import SqliteJournal
from terminald.adapters.ports import Batch, LoggedEvent, LoggedRecord, SaleFilter
from terminald.adapters.ports_care import Forgotten, PrunePlace, PruneStep
from terminald.adapters.ports_report import CreatedAfter, CreatedPage, RefundPage
from terminald.adapters.ports_story import RecordPage
from terminald.core.book import Book, SaleView
from terminald.core.ids import Instant, SaleId
from terminald.core.kiosk_action import ActionMark
from terminald.core.readiness import Hold
from terminald.core.report import BusinessDay
from terminald.core.retention import Horizon
from terminald.errors import JournalDamaged, JournalUnavailable

#: The longest page of sales or events that is read at once: a commit waits no longer than a page takes to read.
MAX_PAGE: Final = 500

T = TypeVar("T")


class JournalThread:
    """A journal for the event loop: implements :class:`terminald.adapters.ports.Journal` on one thread of its own.

    Calls are carried out in the order in which they are made. Of the reads one at a time is handed to the thread, so
    that a commit waits for one page at most.
    """

    def __init__(self, journal: SqliteJournal) -> None:
        """The journal belongs to this object from now on."""
        self._journal = journal
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="journal")
        self._one_read = asyncio.Lock()
        self._closed: asyncio.Future[None] | None = None
        self._damaged: JournalDamaged | None = None
        self._is_damaged = asyncio.Event()

    async def aclose(self) -> None:
        """Wait for what is under way, then close the journal; harmless when repeated. Not undone by cancelling."""
        if self._closed is None:
            self._closed = self._submit(self._journal.close)
            self._thread.shutdown(wait=False)
        await asyncio.shield(self._closed)

    async def commit(self, batch: Batch) -> int:
        """Make a batch durable; return the sequence number of the last event in the log.

        Not undone by cancelling: a caller that was cancelled does not know whether it was committed.
        """
        return await asyncio.shield(self._submit(lambda: self._journal.commit(batch)))

    def commit_ms(self) -> Sequence[float]:
        """Return what the last commits took, in milliseconds."""
        return tuple(self._journal.commit_ms)

    async def put_mark(self, mark: ActionMark) -> None:
        """Store how far an action was begun. Not undone by cancelling."""
        await asyncio.shield(self._submit(lambda: self._journal.put_mark(mark)))

    async def put_hold(self, hold: Hold) -> None:
        """Store why no sales are begun. Not undone by cancelling."""
        await asyncio.shield(self._submit(lambda: self._journal.put_hold(hold)))

    async def prove(self) -> None:
        """Write something of no meaning. Not undone by cancelling."""
        await asyncio.shield(self._submit(self._journal.prove))

    async def is_spent(self, reference: str) -> bool:
        """Whether a sale that was deleted had this reference."""
        return await self._read(lambda: self._journal.is_spent(reference))

    async def forgotten(self) -> Forgotten:
        """Return from where on everything is there."""
        return await self._read(self._journal.forgotten)

    async def prune(self, before: Horizon, kept: Collection[SaleId], place: PrunePlace) -> PruneStep:
        """Delete a few old sales and their events. Not undone by cancelling."""
        return await asyncio.shield(self._submit(lambda: self._journal.prune(before, kept, place)))

    async def find_sale(self, name: str) -> SaleView | None:
        """Find one sale by any of its names."""
        return await self._read(lambda: self._journal.find_sale(name))

    async def list_sales(self, wanted: SaleFilter) -> tuple[SaleView, ...]:
        """List sales, newest first; at most MAX_PAGE of them."""
        page = replace(wanted, limit=min(wanted.limit, MAX_PAGE))
        return await self._read(lambda: self._journal.list_sales(page))

    async def sales_created(self, day: BusinessDay, after: CreatedAfter | None) -> CreatedPage:
        """Return a page of the sales that can have orders or payments of the day."""
        return await self._read(lambda: self._journal.sales_created(day, after))

    async def sales_refunded(self, day: BusinessDay, after: int) -> RefundPage:
        """Return which sales have refunds that were done, or begun and not ended, on the day."""
        return await self._read(lambda: self._journal.sales_refunded(day, after))

    async def events_after(self, seq: int, limit: int) -> tuple[LoggedEvent, ...]:
        """Return public events with a greater sequence number, oldest first; at most MAX_PAGE of them."""
        return await self._read(lambda: self._journal.events_after(seq, min(limit, MAX_PAGE)))

    async def records_after(self, seq: int, limit: int) -> tuple[LoggedRecord, ...]:
        """Return every event with a greater sequence number, oldest first; at most MAX_PAGE of them."""
        return await self._read(lambda: self._journal.records_after(seq, min(limit, MAX_PAGE)))

    async def packed_seq(self) -> int:
        """Return the sequence number of the last event that was packed for an upload; 0 before the first."""
        return await self._read(self._journal.packed_seq)

    async def note_packed(self, seq: int) -> None:
        """Store what :meth:`packed_seq` returns. Not undone by cancelling."""
        await asyncio.shield(self._submit(lambda: self._journal.note_packed(seq)))

    async def seq_before(self, instant: Instant) -> int:
        """Return the sequence number of the last row of the event log before a moment; 0 where there is none."""
        return await self._read(lambda: self._journal.seq_before(instant))

    async def records_of(self, seq: int, sale_id: SaleId, limit: int) -> RecordPage:
        """Read at most MAX_PAGE rows of the event log, and return those of one sale."""
        return await self._read(lambda: self._journal.records_of(seq, sale_id, min(limit, MAX_PAGE)))

    async def load_book(self, now: Instant) -> Book:
        """Return every open thing with its sale, and the codes that may still live."""
        return await self._read(lambda: self._journal.load_book(now))

    async def last_seq(self) -> int:
        """Return the sequence number of the last event. A round trip through the thread, for the watchdog as well."""
        return await self._read(self._journal.last_seq)

    async def read(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Do the reading of another module of the journal: a page at most."""
        return await self._read(lambda: self._journal.read(work))

    async def write(self, doing: str, work: Callable[[sqlite3.Connection], None]) -> None:
        """Do the writing of another module of the journal. Not undone by cancelling."""
        await asyncio.shield(self._submit(lambda: self._journal.write(doing, work)))

    async def _read(self, work: Callable[[], T]) -> T:
        async with self._one_read:
            return await self._submit(work)

    def _submit(self, work: Callable[[], T]) -> asyncio.Future[T]:
        if self._closed is not None:
            raise JournalUnavailable("the journal is closed: terminald is stopping")
        done = asyncio.get_running_loop().run_in_executor(self._thread, work)
        done.add_done_callback(self._look)
        return done

    def _look(self, done: asyncio.Future[T]) -> None:
        if not done.cancelled() and isinstance(fault := done.exception(), JournalDamaged):
            self._damaged = fault
            self._is_damaged.set()

    async def fail_when_damaged(self) -> NoReturn:
        """Wait until the file turns out to be damaged.

        Raises:
            JournalDamaged: it did.
        """
        await self._is_damaged.wait()
        raise JournalDamaged(str(self._damaged))
