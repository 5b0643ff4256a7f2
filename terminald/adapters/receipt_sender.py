"""From a sale to paper: what a slip says, its bytes, and an honest word about the outcome."""

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, timezone
from functools import partial
from typing import Final

from terminald.adapters.ports_receipts import PrintSink
from terminald.adapters.printer_dialog import PrinterDialog
from terminald.core.attempt_table import AttemptState
from terminald.core.book import SaleView
from terminald.core.closing_slip import ClosingSlip, layout_closing
from terminald.core.events import JobBroken, PrintAnswer
from terminald.core.receipt import Goods, Language, Mark, Receipt, layout, render_text
from terminald.core.report import DayReport, paid_at
from terminald.core.sale_table import SaleState
from terminald.core.schedule import Now
from terminald.core.spool import PrintJob
from terminald.errors import ApiError
from terminald.wire.api_report import day_text, is_over, offset_text
from terminald.wire.escpos import Profile, encode


@dataclass(frozen=True, slots=True, kw_only=True)
class Stationery:
    """What is the same on every receipt of this terminal."""

    terminal_name: str
    header: tuple[str, ...]
    footer: tuple[str, ...]
    language: Language
    zone: timezone


#: Of a terminal that has nothing of its own to say.
PLAIN: Final = Stationery(terminal_name="", header=(), footer=(), language="zh", zone=timezone(timedelta(hours=8)))


def text_of(view: SaleView, stationery: Stationery, columns: int) -> str:
    """Write the receipt of a paid sale as plain text, whether or not there is a printer.

    Raises:
        ApiError: nothing_to_print, where the sale is not paid.
    """
    if view.paid_by is None:
        raise ApiError("nothing_to_print", f"sale {view.sale.id} is not paid")
    slip = _receipt_of(view, stationery, is_copy=False)
    return render_text(layout(slip, columns=columns), columns)


class ReceiptSender:
    """Implements the port of the same name on one printer, one slip after the other.

    A job may wait for minutes behind one that the printer holds up. What a slip says, and whether anybody still wants
    it, is therefore judged when its turn has come.
    """

    def __init__(self, printer: PrinterDialog, profile: Profile, stationery: Stationery) -> None:
        """Profile says what the printer understands."""
        self._printer = printer
        self._profile = profile
        self._stationery = stationery
        #: Closing slips that the printer stopped in the middle of.
        self._stopped: set[asyncio.Task[PrintAnswer]] = set()

    async def send(self, job: PrintJob, look: Callable[[], SaleView | None], tell: PrintSink) -> PrintAnswer:
        """Send one job once, and return what is known about the paper; tell takes what is known before."""

        def marks() -> Iterable[Mark] | None:
            view = look()
            slip = None if view is None else slip_of(view, job, self._stationery)
            return None if slip is None else layout(slip, columns=self._profile.columns)

        return await self._print(marks, tell)

    async def send_closing(self, report: DayReport, now: Now) -> PrintAnswer:
        """Send the slip of a day once, and return what is known about the paper."""
        stationery = self._stationery
        slip = ClosingSlip(
            language=stationery.language,
            header=stationery.header,
            day=f"{day_text(report.day.number)} ({offset_text(report.day.offset)})",
            printed=_written(now.wall, stationery.zone),
            terminal_name=stationery.terminal_name,
            is_over=is_over(report, now),
        )
        marks = partial(layout_closing, report, slip, columns=self._profile.columns)
        # Whoever asked is not kept waiting for new paper; the printer is, or the rest would come out with the next job.
        stopped: asyncio.Future[PrintAnswer] = asyncio.get_running_loop().create_future()
        printing = asyncio.create_task(self._print(marks, partial(_set, stopped), may_repeat=False))
        try:
            await asyncio.wait({printing, stopped}, return_when=asyncio.FIRST_COMPLETED)
        except asyncio.CancelledError:
            printing.cancel()
            raise
        if printing.done():
            return printing.result()
        self._stopped.add(printing)
        printing.add_done_callback(self._stopped.discard)
        return stopped.result()

    async def _print(
        self, write: Callable[[], Iterable[Mark] | None], tell: PrintSink, *, may_repeat: bool = True
    ) -> PrintAnswer:
        async def draw() -> bytes | None:
            marks = write()
            # In a thread: drawing the first QR code imports a library.
            return None if marks is None else await asyncio.to_thread(encode, marks, self._profile)

        try:
            return await self._printer.print(draw, tell, may_repeat=may_repeat)
        except (OSError, ValueError) as error:
            return JobBroken(evidence=f"nothing was printed: {error}")


def _set(told: asyncio.Future[PrintAnswer], answer: PrintAnswer) -> None:
    if not told.done():
        told.set_result(answer)


def slip_of(view: SaleView, job: PrintJob, stationery: Stationery) -> Receipt | None:
    """Say what a slip says; None for a QR that can not be paid any more.

    Raises:
        LookupError: there is nothing of the kind in this sale.
    """
    match job.slip:
        case "qr":
            return _qr_of(view, job, stationery)
        case "refund":
            return _refund_of(view, job, stationery)
        case _:
            return receipt_of(view, job, stationery)


def _qr_of(view: SaleView, job: PrintJob, stationery: Stationery) -> Receipt | None:
    attempt = next(one for one in view.attempts if one.client_sn == job.about)
    if attempt.state is not AttemptState.OFFERED or view.sale.state is not SaleState.AWAITING_PAYMENT:
        return None
    order = view.sale.order
    # Ends on the time line as far from its start as on the calendar.
    ends_ms = attempt.started_at + (attempt.window_ends - attempt.started)
    return replace(
        _common(view, stationery, is_copy=job.is_copy),
        kind="qr",
        amount=order.amount,
        payway=order.qr_payway,
        time="",
        qr_content=attempt.qr_content,
        pay_before=_written(ends_ms, stationery.zone)[-8:],
    )


def _refund_of(view: SaleView, job: PrintJob, stationery: Stationery) -> Receipt:
    refund = next(one for one in view.refunds if one.id == job.about)
    done_ms = refund.ended_at or refund.opened_at
    return replace(
        _receipt_of(view, stationery, is_copy=job.is_copy),
        kind="refund",
        amount=refund.amount,
        goods=(),
        code_masked="",
        refund_no=refund.request_no,
        time=_written(done_ms, stationery.zone),
    )


def _common(view: SaleView, stationery: Stationery, *, is_copy: bool) -> Receipt:
    order = view.sale.order
    return Receipt(
        kind="sale",
        language=stationery.language,
        header=stationery.header,
        footer=stationery.footer,
        terminal_name=stationery.terminal_name,
        subject=order.text.subject,
        goods=tuple(Goods(name=one.name, quantity=one.quantity, price=one.price) for one in order.text.goods),
        amount=order.amount,
        payway="",
        operator=order.text.operator,
        reference=order.reference,
        time="",
        copy=is_copy,
    )


def receipt_of(view: SaleView, job: PrintJob, stationery: Stationery) -> Receipt:
    """Say what the receipt of a paid sale says.

    Raises:
        LookupError: the sale is not paid: there is nothing to print.
    """
    return _receipt_of(view, stationery, is_copy=job.is_copy)


def _receipt_of(view: SaleView, stationery: Stationery, *, is_copy: bool) -> Receipt:
    attempt = view.paid_by
    if attempt is None:
        raise LookupError(f"sale {view.sale.id} is not paid")
    facts = attempt.facts
    return replace(
        _common(view, stationery, is_copy=is_copy),
        payway=facts.payway,
        sn=facts.sn,
        trade_no=facts.trade_no,
        client_sn=attempt.client_sn,
        code_masked=attempt.code_masked,
        time=_local_time(paid_at(attempt), attempt.started_at, stationery.zone),
    )


def _local_time(paid_ms: int, started_ms: int, zone: timezone) -> str:
    """Write the gateway's time of the payment; ours where the gateway's can not be a date."""
    try:
        return _written(paid_ms, zone)
    except (OverflowError, ValueError, OSError):
        return _written(started_ms, zone)


def _written(wall_ms: int, zone: timezone) -> str:
    return datetime.fromtimestamp(wall_ms / 1000, zone).strftime("%Y-%m-%d %H:%M:%S")
