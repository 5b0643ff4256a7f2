"""What is told to the machines together, and what becomes of it: stimuli in, one advance out."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from terminald.core import attempt as attempts
from terminald.core import book as books
from terminald.core import refund as refunds
from terminald.core import sale as sales
from terminald.core import spool
from terminald.core import vend as vends
from terminald.core.attempt_table import Attempt
from terminald.core.book import Book
from terminald.core.commands import Command
from terminald.core.events import DrainRequested, Event, PowerReturned, PrinterReady, Recovered, ShutdownRequested
from terminald.core.ids import ClientSn, Instant, JobId, PaymentCode, RefundId, SaleId
from terminald.core.refund import Asked
from terminald.core.refund_table import Refund
from terminald.core.return_events import DeliveryUnheard, DeliveryWindowClosed
from terminald.core.sale_table import Sale, SaleOrder, SaleState
from terminald.core.schedule import REPORT_LATEST, later
from terminald.core.spool import PrintJob
from terminald.core.tables import Wakeup
from terminald.core.vend import VendAsked
from terminald.core.vend_table import Vend

#: In a record that concerns no sale.
NO_SALE = SaleId("")
#: Where reports of goods could be given all the time.
_EVER = Instant(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenSale:
    """A new sale is asked for."""

    sale_id: SaleId
    order: SaleOrder


@dataclass(frozen=True, slots=True, kw_only=True)
class ToSale:
    """An event for a sale."""

    sale_id: SaleId
    event: Event


@dataclass(frozen=True, slots=True, kw_only=True)
class ToAttempt:
    """An event for an attempt. A completion carries the token of the command that it completes."""

    client_sn: ClientSn
    event: Event
    token: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ToRefund:
    """An event for a refund. A completion carries the token of the command that it completes."""

    refund_id: RefundId
    event: Event
    token: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ToJob:
    """An event for a print job. A completion carries the token of the command that it completes."""

    job_id: JobId
    event: Event
    token: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenVend:
    """A vending machine asks for money: a new sale, and the vend that it pays."""

    sale_id: SaleId
    order: SaleOrder
    asked: VendAsked


@dataclass(frozen=True, slots=True, kw_only=True)
class ToVend:
    """An event for the vend of a sale. One that the book does not hold any more has its result already."""

    sale_id: SaleId
    event: Event


@dataclass(frozen=True, slots=True, kw_only=True)
class AskRefund:
    """Money of a paid sale is to go back. The amount is not more than what can be returned."""

    sale_id: SaleId
    asked: Asked


@dataclass(frozen=True, slots=True, kw_only=True)
class CloseAttention:
    """A person has looked at a sale. What waits for a person is closed; what goes on by itself goes on."""

    sale_id: SaleId
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PrintCopy:
    """A person or the host wants the receipt of a sale once more."""

    sale_id: SaleId


Stimulus = OpenSale | OpenVend | ToSale | ToAttempt | ToRefund | ToJob | ToVend | AskRefund | CloseAttention | PrintCopy


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One transition, for the event log and the log line."""

    kind: str  # "sale" | "attempt" | "refund" | "print" | "vend" | "attention" | "scan" | "basket" | "action" | …
    subject: str
    sale_id: SaleId
    cause: str
    before: str
    after: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Advance:
    """What is to be committed, and then performed. Without records: the stimulus was stale and changed nothing."""

    sales: tuple[Sale, ...] = ()
    attempts: tuple[Attempt, ...] = ()
    refunds: tuple[Refund, ...] = ()
    jobs: tuple[PrintJob, ...] = ()
    vends: tuple[Vend, ...] = ()
    records: tuple[Record, ...] = ()
    commands: tuple[Command, ...] = ()
    #: Codes to keep in memory; they are in no commit.
    held: Mapping[ClientSn, PaymentCode] = field(default_factory=dict)


def merge(book: Book, done: Advance) -> Book:
    """Return the book with the snapshots of an advance in it."""
    return Book(
        sales={**book.sales, **{sale.id: sale for sale in done.sales}},
        attempts={**book.attempts, **{attempt.client_sn: attempt for attempt in done.attempts}},
        refunds={**book.refunds, **{refund.id: refund for refund in done.refunds}},
        jobs={**book.jobs, **{job.id: job for job in done.jobs}},
        vends={**book.vends, **{vend.sale_id: vend for vend in done.vends}},
        held={**book.held, **done.held},
        used=book.used,
    )


def next_wakeup(book: Book, *, reports_until: Instant | None = _EVER) -> tuple[Wakeup, Stimulus] | None:
    """Return the earliest wake-up of all machines, with the stimulus to apply then.

    No report of goods is missing before reports_until, whatever its time was; with None none is. Where that has put it
    off for too long, a person is called for it, and no money moves.
    """
    return min(_wakeups(book, reports_until), key=lambda pair: pair[0].at, default=None)


def due(book: Book, instant: Instant, *, reports_until: Instant | None = _EVER) -> Stimulus | None:
    """Return the wake-up that is due, the earliest first; None when none is."""
    first = next_wakeup(book, reports_until=reports_until)
    return first[1] if first and first[0].at <= instant else None


def _wakeups(book: Book, reports_until: Instant | None) -> Iterator[tuple[Wakeup, Stimulus]]:  # noqa: C901 - three lines for each machine
    for sale in book.sales.values():
        wakeup = sales.next_wakeup(sale)
        if wakeup is not None and isinstance(wakeup.event, DeliveryWindowClosed):
            wakeup = None if reports_until is None else _after_reports(wakeup, reports_until)
        if wakeup is not None:
            yield wakeup, ToSale(sale_id=sale.id, event=wakeup.event)
    for attempt in book.attempts.values():
        if wakeup := attempts.next_wakeup(attempt):
            yield wakeup, ToAttempt(client_sn=attempt.client_sn, event=wakeup.event)
    for refund in book.refunds.values():
        if wakeup := refunds.next_wakeup(refund):
            yield wakeup, ToRefund(refund_id=refund.id, event=wakeup.event)
    for job in book.jobs.values():
        if wakeup := spool.next_wakeup(job):
            yield wakeup, ToJob(job_id=job.id, event=wakeup.event)
    for vend in book.vends.values():
        if wakeup := vends.next_wakeup(vend):
            yield wakeup, ToVend(sale_id=vend.sale_id, event=wakeup.event)


def _after_reports(window: Wakeup, reports_until: Instant) -> Wakeup:
    at, latest = max(window.at, reports_until), later(window.at, REPORT_LATEST)
    return replace(window, at=at) if at < latest else Wakeup(at=latest, event=DeliveryUnheard())


def recovery(book: Book, event: Event) -> tuple[Stimulus, ...]:
    """Return what to apply after a start: every open machine is told, attempts first, so that money is looked for."""
    return (
        *(ToAttempt(client_sn=one.client_sn, event=event) for one in book.attempts.values() if not one.state.is_final),
        *(ToRefund(refund_id=one.id, event=event) for one in book.refunds.values() if not one.state.is_final),
        *(ToSale(sale_id=sale.id, event=event) for sale in book.sales.values() if not sale.state.is_final),
        # After its sale, which may have settled it.
        *(ToVend(sale_id=vend.sale_id, event=event) for vend in book.vends.values() if not vend.state.is_final),
        *(ToJob(job_id=job.id, event=event) for job in book.jobs.values() if not job.state.is_final),
    )


def unless_over(book: Book, told: Stimulus) -> Stimulus | None:
    """Return a recovery; None where it comes too late for its sale, which was settled since the start."""
    sale = book.sales.get(told.sale_id) if isinstance(told, ToSale) else None
    is_over = isinstance(told, ToSale) and (sale is None or sale.state.is_final)
    return None if is_over else told


def closing(book: Book, *, is_stopping: bool) -> Stimulus | None:
    """Return what to apply at a stop, or else where sales are held back, to the sale that waits for a code."""
    sale = books.sale_with_customer(book)
    if sale is None or sale.state is not SaleState.AWAITING_PAYMENT:
        return None
    return ToSale(sale_id=sale.id, event=ShutdownRequested() if is_stopping else DrainRequested())


def printer_ready(book: Book) -> tuple[Stimulus, ...]:
    """Return what to apply when the printer is ready (again): every slip that waits for it is sent, oldest first."""
    waiting = (job for job in book.jobs.values() if spool.is_waiting(job))
    return tuple(ToJob(job_id=job.id, event=PrinterReady()) for job in waiting)


def is_stale(told: ToAttempt | ToRefund | ToJob, subject: Attempt | Refund | PrintJob | None) -> bool:
    """Tell whether a completion comes too late: something else was asked since, or it is closed by other means.

    So does a recovery of what another one's recovery has closed.
    """
    if isinstance(told.event, Recovered | PowerReturned):
        return subject is None or subject.state.is_final
    return told.token is not None and (subject is None or subject.state.is_final or told.token != subject.token)
