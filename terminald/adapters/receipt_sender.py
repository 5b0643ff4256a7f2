"""From a paid sale to paper: what the receipt says, its bytes, and an honest word about the outcome."""

from dataclasses import dataclass
from datetime import datetime, timezone

from terminald.adapters.ports import Printer
from terminald.core.attempt_table import AttemptState
from terminald.core.book import SaleView
from terminald.core.events import JobBroken, JobSent, PrintAnswer, PrinterAbsent
from terminald.core.receipt import Goods, Language, Receipt, layout
from terminald.core.spool import PrintJob
from terminald.errors import DeviceAbsent, DeviceError
from terminald.wire.escpos import Profile, encode


@dataclass(frozen=True, slots=True, kw_only=True)
class Stationery:
    """What is the same on every receipt of this terminal."""

    terminal_name: str
    header: tuple[str, ...]
    footer: tuple[str, ...]
    language: Language
    zone: timezone


class ReceiptSender:
    """Implements the port of the same name on one printer."""

    def __init__(self, printer: Printer, profile: Profile, stationery: Stationery) -> None:
        """Profile says what the printer understands."""
        self._printer = printer
        self._profile = profile
        self._stationery = stationery

    async def send(self, view: SaleView, job: PrintJob) -> PrintAnswer:
        """Send one job once, and return what is known about the paper."""
        lines = layout(receipt_of(view, job, self._stationery), columns=self._profile.columns)
        try:
            await self._printer.write(encode(lines, self._profile))
        except DeviceAbsent as error:
            return PrinterAbsent(evidence=error.detail)
        except DeviceError as error:
            return JobBroken(evidence=error.detail)
        return JobSent(evidence="the printer took every byte; it was not asked whether it printed them")


def receipt_of(view: SaleView, job: PrintJob, stationery: Stationery) -> Receipt:
    """Say what the receipt of a paid sale says.

    Raises:
        LookupError: the sale is not paid: there is nothing to print.
    """
    order = view.sale.order
    attempt = next((one for one in view.attempts if one.state is AttemptState.PAID), None)
    if attempt is None:
        raise LookupError(f"sale {view.sale.id} is not paid")
    facts = attempt.facts
    paid_ms = (
        int(facts.finish_time) if facts.finish_time.isascii() and facts.finish_time.isdigit() else attempt.started_at
    )
    return Receipt(
        kind="sale",
        language=stationery.language,
        header=stationery.header,
        footer=stationery.footer,
        terminal_name=stationery.terminal_name,
        subject=order.text.subject,
        goods=tuple(Goods(name=one.name, quantity=one.quantity, price=one.price) for one in order.text.goods),
        amount=order.amount,
        payway=facts.payway,
        sn=facts.sn,
        trade_no=facts.trade_no,
        client_sn=attempt.client_sn,
        code_masked=attempt.code_masked,
        operator=order.text.operator,
        reference=order.reference,
        time=_local_time(paid_ms, attempt.started_at, stationery.zone),
        copy=job.is_copy,
    )


def _local_time(paid_ms: int, started_ms: int, zone: timezone) -> str:
    """Write the gateway's time of the payment; ours where the gateway's can not be a date."""
    try:
        moment = datetime.fromtimestamp(paid_ms / 1000, zone)
    except (OverflowError, ValueError, OSError):
        moment = datetime.fromtimestamp(started_ms / 1000, zone)
    return moment.strftime("%Y-%m-%d %H:%M:%S")
