"""What receipts need of the world, and offer to callers; parts of the ports of the same names."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from terminald.adapters.ports_report import ClosingPrinter
from terminald.core.book import SaleView
from terminald.core.commands import OrderText
from terminald.core.events import PrintAnswer
from terminald.core.ids import SaleId
from terminald.core.spool import PrintJob

#: Called with what is known about a job before its completion. Must not block.
PrintSink = Callable[[PrintAnswer], None]


class ReceiptSender(ClosingPrinter, Protocol):
    """Draws a receipt and sends it to the printer."""

    async def send(self, job: PrintJob, look: Callable[[], SaleView | None], tell: PrintSink) -> PrintAnswer:
        """Send one job once, when the printer is free for it, and return what is known about the paper.

        Look returns the sale as it is at the moment at which it is called; None when nobody waits for the slip any
        more. Never raises for anything a printer does.

        A printer that stops in the middle is waited for; tell is called with JobInterrupted then.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class WrittenReceipt:
    """A receipt as plain text, and what was ordered."""

    sale_id: SaleId
    columns: int
    text: str
    order: OrderText


class ReceiptDesk(Protocol):
    """What the engine does for callers with the receipt of a sale."""

    async def print_copy(self, name: str) -> SaleView:
        """Print the receipt once more, marked as a copy; ApiError nothing_to_print, printer_off."""

    async def receipt_text(self, name: str) -> WrittenReceipt:
        """Write the receipt of a paid sale as text, whether or not there is a printer; ApiError nothing_to_print."""
