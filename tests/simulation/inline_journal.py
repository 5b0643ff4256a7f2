"""The real journal on a virtual clock: calls are carried out at once, in the loop's own thread."""

from collections.abc import Collection

from terminald.adapters.journal_sqlite import SqliteJournal
from terminald.adapters.ports import Batch, LoggedEvent, SaleFilter
from terminald.adapters.ports_care import Forgotten, PrunePlace, PruneStep
from terminald.adapters.ports_report import CreatedAfter, CreatedPage, RefundPage
from terminald.adapters.ports_story import RecordPage
from terminald.core.book import Book, SaleView
from terminald.core.ids import Instant, SaleId
from terminald.core.kiosk_action import ActionMark
from terminald.core.readiness import Hold
from terminald.core.report import BusinessDay
from terminald.core.retention import Horizon


class InlineJournal:
    """Implements the journal's port without a thread. Store is the journal itself, for what only start-up asks."""

    def __init__(self, store: SqliteJournal) -> None:
        self.store = store

    def close(self) -> None:
        self.store.close()

    async def commit(self, batch: Batch) -> int:
        return self.store.commit(batch)

    async def put_mark(self, mark: ActionMark) -> None:
        self.store.put_mark(mark)

    async def put_hold(self, hold: Hold) -> None:
        self.store.put_hold(hold)

    async def prove(self) -> None:
        self.store.prove()

    async def is_spent(self, reference: str) -> bool:
        return self.store.is_spent(reference)

    async def forgotten(self) -> Forgotten:
        return self.store.forgotten()

    async def prune(self, before: Horizon, kept: Collection[SaleId], place: PrunePlace) -> PruneStep:
        return self.store.prune(before, kept, place)

    async def find_sale(self, name: str) -> SaleView | None:
        return self.store.find_sale(name)

    async def list_sales(self, wanted: SaleFilter) -> tuple[SaleView, ...]:
        return self.store.list_sales(wanted)

    async def sales_created(self, day: BusinessDay, after: CreatedAfter | None) -> CreatedPage:
        return self.store.sales_created(day, after)

    async def sales_refunded(self, day: BusinessDay, after: int) -> RefundPage:
        return self.store.sales_refunded(day, after)

    async def events_after(self, seq: int, limit: int) -> tuple[LoggedEvent, ...]:
        return self.store.events_after(seq, limit)

    async def seq_before(self, instant: Instant) -> int:
        return self.store.seq_before(instant)

    async def records_of(self, seq: int, sale_id: SaleId, limit: int) -> RecordPage:
        return self.store.records_of(seq, sale_id, limit)

    async def load_book(self, now: Instant) -> Book:
        return self.store.load_book(now)
