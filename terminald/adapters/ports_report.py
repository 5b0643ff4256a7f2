"""What the reports of a day need of the world, and offer to callers; parts of the ports of the same names."""

from dataclasses import dataclass
from typing import Protocol

from terminald.core.book import SaleView
from terminald.core.events import PrintAnswer
from terminald.core.ids import SaleId
from terminald.core.report import BusinessDay, DayReport
from terminald.core.schedule import Now


@dataclass(frozen=True, slots=True, kw_only=True)
class CreatedAfter:
    """Where a page of sales begins: after this row of a part, or with the part's first row."""

    part: int
    created_at: int = 0
    row: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CreatedPage:
    """Sales with all that belongs to them; following is where the next page begins, None after the last one."""

    views: tuple[SaleView, ...]
    following: CreatedAfter | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RefundPage:
    """Names of sales, perhaps more than once; following as above."""

    sales: tuple[SaleId, ...]
    following: int | None


class DayJournal(Protocol):
    """What the journal has of a day, in pages. Methods raise JournalUnavailable and JournalCorrupt."""

    async def sales_created(self, day: BusinessDay, after: CreatedAfter | None) -> CreatedPage:
        """Return a page of the sales that can have orders or payments of the day."""

    async def sales_refunded(self, day: BusinessDay, after: int) -> RefundPage:
        """Return which sales have refunds that were done, or begun and not ended, on the day."""


class ClosingPrinter(Protocol):
    """Draws the slip of a day and sends it to the printer."""

    async def send_closing(self, report: DayReport, now: Now) -> PrintAnswer:
        """Send it once, and return what is known about the paper. Never raises for anything a printer does."""


class ReportDesk(Protocol):
    """What the engine does for callers with the report of a day."""

    async def report(self, day: int | None) -> DayReport:
        """Return the report of a day, by its number since 1970; None: today. ApiError where today is not known."""

    async def print_report(self, day: int | None) -> PrintAnswer:
        """Print its slip now, and return what is known about the paper; ApiError printer_off."""
