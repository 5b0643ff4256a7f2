"""What a host, a person, a scanner, a printer and time do to a terminal: each move does one thing that is possible."""

from collections.abc import Callable
from dataclasses import replace
from typing import TypeVar

from terminald.core import book as books
from terminald.core import events, stimuli
from terminald.core.attempt_table import Attempt, AttemptState
from terminald.core.book import SaleView
from terminald.core.events import Answer, CancelRequested, CodeScanned
from terminald.core.ids import ClientSn, PaymentCode, Reference, SaleId
from terminald.core.money import Fen
from terminald.core.refund import Asked
from terminald.core.refund_table import RefundKind
from terminald.core.return_events import Delivered, PartUndelivered, Undelivered
from terminald.core.sale_table import DeliveryState, SaleState
from terminald.core.schedule import CODE_LIFE, DAY, HOUR, MINUTE
from terminald.core.siblings import in_the_way
from terminald.core.stimuli import AskRefund, CloseAttention, OpenSale, PrintCopy, ToJob, ToSale
from terminald.errors import IllegalTransition
from tests.core.gateway_model import Pick
from tests.core.machine_builders import BOTH_ORDER, ORDER, QR_ORDER, after
from tests.core.terminal_world import Terminal

T = TypeVar("T")

#: Most sales, and most orders of one, in one history: more would only repeat.
MOST_SALES = 3
MOST_ORDERS = 6
CODES = [PaymentCode(f"13081234567890{ending}") for ending in range(1000, 1004)]
#: Closed unpaid, and a query that somebody asked for says otherwise.
_NOT_CLOSED = (events.OrderPaid, events.OrderPending, events.OrderErrored, events.OrderPartlyReturned)
_QUERYABLE = (
    AttemptState.OFFERED,
    AttemptState.POLLING,
    AttemptState.PROVING,
    AttemptState.SETTLING,
    AttemptState.WATCHING,
    AttemptState.LAST_LOOK,
)


def choose(pick: Pick, things: list[T]) -> T | None:
    """Return one of the things; None where there is none."""
    return things[pick(len(things))] if things else None


# --- the host and the customer ---------------------------------------------------------------------------------------


def open_sale(world: Terminal, pick: Pick) -> None:
    """The host wants a sale."""
    if books.sale_with_customer(world.book) is None and len(world.sales) < MOST_SALES:
        order = replace(
            [BOTH_ORDER, QR_ORDER, ORDER][pick(3)],
            reference=Reference(world.name("order")),
            wants_receipt=not pick(4),
            reports_delivery=not pick(2),
        )
        world.apply(OpenSale(sale_id=SaleId(world.name("sale")), order=order))


def scan(world: Terminal, pick: Pick) -> None:
    """The customer presents a code."""
    sale = books.sale_with_customer(world.book)
    seen = sale and books.view(world.book, sale.id)
    if world.is_armed and sale and seen and not in_the_way(seen) and len(sale.attempts) < MOST_ORDERS:
        code = CODES[pick(len(CODES))]
        digest = code.digest(b"salt")
        if not books.is_code_used(world.book, digest, world.now.instant):
            event = CodeScanned(client_sn=ClientSn(world.name("scan")), code=code, digest=digest)
            world.apply(ToSale(sale_id=sale.id, event=event))


def cancel(world: Terminal, pick: Pick) -> None:
    """The host cancels: possible until the sale is paid."""
    sale = choose(pick, list(world.book.sales.values()))
    if sale and not pick(3):
        try:
            world.apply(ToSale(sale_id=sale.id, event=CancelRequested()))
        except IllegalTransition:
            assert sale.paid
        else:
            assert world.sales[sale.id].state in (SaleState.CANCELING, SaleState.CANCELED)


def drain(world: Terminal, pick: Pick) -> None:
    """The daemon is to stop, or sales are held back."""
    sale = books.sale_with_customer(world.book)
    if sale and sale.state is SaleState.AWAITING_PAYMENT and not pick(3):
        world.apply(ToSale(sale_id=sale.id, event=(events.ShutdownRequested(), events.DrainRequested())[pick(2)]))


def report(world: Terminal, pick: Pick) -> None:
    """The host reports the goods, where that is still to come, or late."""
    found = choose(pick, [one for one in books.views(world.committed) if one.sale.order.reports_delivery])
    if found is None:
        return
    sale = found.sale
    world.take_up(sale.id)
    is_closed = sale.state is SaleState.COMPLETED and sale.delivery is DeliveryState.CLOSED
    is_reported = sale.delivery in (DeliveryState.DELIVERED, DeliveryState.UNDELIVERED)
    if is_closed or (sale.state in (SaleState.PAID, SaleState.RETURNING) and not is_reported):
        left = Fen(sale.paid - sale.returned)
        part = Fen(1 + pick(left))
        event = [Delivered(), Undelivered(), PartUndelivered(amount=part) if part < left else Undelivered()][pick(3)]
        world.apply(ToSale(sale_id=sale.id, event=event))
    elif sale.state in (SaleState.RETURNING, SaleState.RETURNED):
        world.apply(ToSale(sale_id=sale.id, event=Delivered()))


def ask_refund(world: Terminal, pick: Pick) -> None:
    """The host wants money back: a part, all that is left, or a revoke."""
    found = choose(pick, [one for one in books.views(world.committed) if one.returnable])
    if found is not None:
        asked = _asked(found, pick)
        if found.sale.state is not SaleState.RETURNING or asked.kind is RefundKind.RETURN:
            world.take_up(found.sale.id)
            world.apply(AskRefund(sale_id=found.sale.id, asked=asked))


def _asked(found: SaleView, pick: Pick) -> Asked:
    kind = [RefundKind.REFUND, RefundKind.REFUND, RefundKind.RETURN, RefundKind.REVOKE][pick(4)]
    if kind is RefundKind.REVOKE and found.returnable != found.sale.paid:
        kind = RefundKind.REFUND
    part = [Fen(1 + pick(found.returnable)), found.returnable][pick(2)]
    return Asked(kind=kind, amount=part if kind is RefundKind.REFUND else found.returnable, reference="r")


def close_attention(world: Terminal, pick: Pick) -> None:
    """A person has looked at a sale."""
    if found := choose(pick, [one for one in books.views(world.committed) if one.attention]):
        world.take_up(found.sale.id)
        world.apply(CloseAttention(sale_id=found.sale.id, reason="looked at"))


def may_tell(attempt: Attempt, answer: Answer) -> bool:
    """Whether the desk uses what a person's question about this attempt was answered with."""
    is_reopened = attempt.state in (AttemptState.DECLINED, AttemptState.REVERSED) and isinstance(answer, _NOT_CLOSED)
    return attempt.state in _QUERYABLE or is_reopened


def print_copy(world: Terminal, pick: Pick) -> None:
    """Somebody wants the receipt once more."""
    if sale := choose(pick, [one for one in world.committed.sales.values() if one.paid]):
        world.take_up(sale.id)
        world.apply(PrintCopy(sale_id=sale.id))


# --- time, paper and power -------------------------------------------------------------------------------------------


def wake(world: Terminal, pick: Pick) -> None:
    """The next wake-up comes, perhaps late."""
    delay = [0, 0, 0, 1, MINUTE, DAY][pick(6)]
    world.now = replace(after(world.now, delay), jitter=pick(4) / 4, is_trusted=bool(pick(3)))
    world.wake()


def wait(world: Terminal, pick: Pick) -> None:
    """Time passes."""
    world.now = after(world.now, [1, 3_000, MINUTE, CODE_LIFE, HOUR][pick(5)])


PRINT_ANSWERS = (
    *(events.JobPrinted, events.JobSent, events.PrinterAbsent, events.JobBlocked, events.JobInterrupted),
    *(events.JobLost, events.JobBroken, events.SlipOutdated),
)


def print_slip(world: Terminal, pick: Pick) -> None:
    """The printer answers, or says that it can not go on."""
    if sent := choose(pick, world.printing):
        told = PRINT_ANSWERS[pick(len(PRINT_ANSWERS))]()
        if told != events.JobInterrupted():
            world.printing.remove(sent)
        world.apply(ToJob(job_id=sent.job_id, event=told, token=sent.token))


def refill(world: Terminal, _: Pick) -> None:
    """Somebody sees to the printer."""
    for stimulus in stimuli.printer_ready(world.book):
        world.apply(stimulus)


def kill(world: Terminal, pick: Pick) -> None:
    """The process is killed."""
    world.now = after(world.now, [0, 5_000, DAY][pick(3)])
    world.restart([events.Recovered(), events.PowerReturned()][pick(2)])


TerminalMove = Callable[[Terminal, Pick], None]
#: Repeated ones happen more often.
HOST_MOVES: tuple[TerminalMove, ...] = (
    *(open_sale, scan, scan, cancel, drain, report, report, ask_refund, ask_refund, close_attention),
    *(print_copy, wake, wake, wake, wait, print_slip, print_slip, refill),
)
