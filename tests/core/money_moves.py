"""What can happen to a terminal, its host, its customers and its gateway: each move does one thing that is possible."""

from collections.abc import Callable
from dataclasses import replace
from typing import TypeVar

from terminald.core import book as books
from terminald.core import events
from terminald.core.attempt_table import AttemptState
from terminald.core.book import SaleView
from terminald.core.commands import QueryOrder
from terminald.core.events import Answer, CancelRequested, CodeScanned, JobBroken, JobSent, PrinterAbsent
from terminald.core.ids import ClientSn, PaymentCode, Reference, SaleId
from terminald.core.money import Fen
from terminald.core.refund import Asked
from terminald.core.refund_table import RefundKind
from terminald.core.return_events import Delivered, PartUndelivered, Undelivered
from terminald.core.sale_table import SaleState
from terminald.core.schedule import CODE_LIFE, DAY, HOUR, MINUTE
from terminald.core.stimuli import AskRefund, CloseAttention, OpenSale, PrintCopy, ToAttempt, ToJob, ToSale
from terminald.errors import IllegalTransition
from tests.core.gateway_model import BALANCE, FORBIDDEN, Order, Pick
from tests.core.machine_builders import BOTH_ORDER, ORDER, QR_ORDER, after
from tests.core.money_world import Flight, World

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


def open_sale(world: World, pick: Pick) -> None:
    """The host wants a sale."""
    if books.sale_with_customer(world.book) is None and len(world.sales) < MOST_SALES:
        order = replace(
            [BOTH_ORDER, QR_ORDER, ORDER][pick(3)],
            reference=Reference(world.name("order")),
            wants_receipt=not pick(4),
            reports_delivery=not pick(2),
        )
        world.apply(OpenSale(sale_id=SaleId(world.name("sale")), order=order))


def scan(world: World, pick: Pick) -> None:
    """The customer presents a code."""
    sale = books.sale_with_customer(world.book)
    if world.is_armed and sale is not None and len(sale.attempts) < MOST_ORDERS:
        code = CODES[pick(len(CODES))]
        digest = code.digest(b"salt")
        if not books.is_code_used(world.book, digest, world.now.instant):
            event = CodeScanned(client_sn=ClientSn(world.name("scan")), code=code, digest=digest)
            world.apply(ToSale(sale_id=sale.id, event=event))


def cancel(world: World, pick: Pick) -> None:
    """The host cancels: possible until the sale is paid."""
    if sale := choose(pick, list(world.book.sales.values())):
        try:
            world.apply(ToSale(sale_id=sale.id, event=CancelRequested()))
        except IllegalTransition:
            assert sale.paid
        else:
            assert world.sales[sale.id].state in (SaleState.CANCELING, SaleState.CANCELED)


def drain(world: World, _: Pick) -> None:
    """The daemon is to stop."""
    sale = books.sale_with_customer(world.book)
    if sale and sale.state is SaleState.AWAITING_PAYMENT:
        world.apply(ToSale(sale_id=sale.id, event=events.ShutdownRequested()))


def report(world: World, pick: Pick) -> None:
    """The host reports the goods, where that is still to come, or late."""
    found = choose(pick, [one for one in books.views(world.book) if one.sale.order.reports_delivery])
    if found is None:
        return
    state, sale_id = found.sale.state, found.sale.id
    if state is SaleState.PAID and found.returnable:
        part = Fen(1 + pick(found.returnable))
        is_part = part < found.returnable
        event = [Delivered(), Undelivered(), PartUndelivered(amount=part) if is_part else Undelivered()][pick(3)]
        world.apply(ToSale(sale_id=sale_id, event=event))
    elif state in (SaleState.RETURNING, SaleState.RETURNED):
        world.apply(ToSale(sale_id=sale_id, event=Delivered()))


def ask_refund(world: World, pick: Pick) -> None:
    """The host wants money back: a part, all that is left, or a revoke."""
    found = choose(pick, [one for one in books.views(world.book) if one.returnable])
    if found is not None:
        asked = _asked(found, pick)
        if found.sale.state is not SaleState.RETURNING or asked.kind is RefundKind.RETURN:
            world.apply(AskRefund(sale_id=found.sale.id, asked=asked))


def _asked(found: SaleView, pick: Pick) -> Asked:
    kind = [RefundKind.REFUND, RefundKind.REFUND, RefundKind.RETURN, RefundKind.REVOKE][pick(4)]
    if kind is RefundKind.REVOKE and found.returnable != found.sale.paid:
        kind = RefundKind.REFUND
    part = [Fen(1 + pick(found.returnable)), found.returnable][pick(2)]
    return Asked(kind=kind, amount=part if kind is RefundKind.REFUND else found.returnable, reference="r")


def close_attention(world: World, pick: Pick) -> None:
    """A person has looked at a sale."""
    if found := choose(pick, [one for one in books.views(world.book) if one.attention]):
        world.apply(CloseAttention(sale_id=found.sale.id, reason="looked at"))


def ask_the_gateway(world: World, pick: Pick) -> None:
    """A person asks about an order; the answer is used as the desk uses it."""
    if attempt := choose(pick, list(world.book.attempts.values())):
        question = QueryOrder(client_sn=attempt.client_sn, token=attempt.token, amount=attempt.amount)
        answer = world.gateway.carry_out(question, pick, world.now)
        is_reopened = attempt.state in (AttemptState.DECLINED, AttemptState.REVERSED) and isinstance(
            answer, _NOT_CLOSED
        )
        if attempt.state in _QUERYABLE or is_reopened:
            world.apply(ToAttempt(client_sn=attempt.client_sn, event=answer))


def print_copy(world: World, pick: Pick) -> None:
    """Somebody wants the receipt once more."""
    if sale := choose(pick, [one for one in world.book.sales.values() if one.paid]):
        world.apply(PrintCopy(sale_id=sale.id))


def pay(world: World, pick: Pick) -> None:
    """A customer pays what can be paid: a QR only when it was shown, but then even after its end."""
    if order := choose(pick, [one for one in _open_orders(world) if _is_shown(world, one)]):
        order.pay(world.now, with_time=bool(pick(2)))


def refuse(world: World, pick: Pick) -> None:
    """An order closes unpaid: the customer refused, or its time is over."""
    if order := choose(pick, _open_orders(world)):
        order.state = "closed"


def _open_orders(world: World) -> list[Order]:
    return [one for one in world.gateway.orders.values() if one.state == "open"]


def _is_shown(world: World, order: Order) -> bool:
    return not order.is_qr or bool(world.attempts[order.client_sn].qr_content)


# --- the gateway and the way to it -----------------------------------------------------------------------------------


def arrive(world: World, pick: Pick) -> None:
    """A request arrives and is carried out; its answer is on its way."""
    if flight := choose(pick, [one for one in world.in_flight if one.answer is None]):
        flight.answer = world.gateway.carry_out(flight.command, pick, world.now)


def answer(world: World, pick: Pick) -> None:
    """An answer comes."""
    if flight := choose(pick, world.in_flight):
        world.in_flight.remove(flight)
        told = flight.answer or world.gateway.carry_out(flight.command, pick, world.now)
        if isinstance(told, events.RefundRefused | events.ReversalRefused):
            _void(world, flight)
        world.complete(flight.command, told)


def lose(world: World, pick: Pick) -> None:
    """An answer is lost, or speaks of something else; the request arrived, will arrive late, or never."""
    if flight := choose(pick, world.in_flight):
        world.in_flight.remove(flight)
        _strand(world, flight, pick)
        lost: Answer = events.QueryFailed() if isinstance(flight.command, QueryOrder) else events.OutcomeUnknown()
        world.complete(flight.command, [lost, lost, events.AnswerMismatched()][pick(3)])


def fail(world: World, pick: Pick) -> None:
    """A request is not sent, or refused: the order is untouched."""
    if flight := choose(pick, [one for one in world.in_flight if one.answer is None]):
        world.in_flight.remove(flight)
        failed: Answer = [events.RequestNotSent(), events.RequestNotSent(), events.RequestRefused()][pick(3)]
        if isinstance(failed, events.RequestRefused):
            _void(world, flight)
        world.complete(flight.command, events.QueryFailed() if isinstance(flight.command, QueryOrder) else failed)


def _void(world: World, refused: Flight) -> None:
    """Drop what is still on its way where the gateway has refused the same."""
    world.delayed = [one for one in world.delayed if not world.gateway.void(refused.command, one)]


def _strand(world: World, flight: Flight, pick: Pick) -> None:
    if flight.answer is None and not isinstance(flight.command, QueryOrder):
        match pick(3):
            case 0:
                world.gateway.carry_out(flight.command, pick, world.now)
            case 1:
                world.delayed.append(flight.command)


def arrive_late(world: World, pick: Pick) -> None:
    """A request arrives that nobody waits for any more."""
    if command := choose(pick, world.delayed):
        world.delayed.remove(command)
        if not world.is_too_late(command):
            world.gateway.carry_out(command, pick, world.now)


def change_the_gateway(world: World, pick: Pick) -> None:
    """An order gets into an error of the gateway's own, or out of it; the merchant's balance is empty, or not."""
    if order := choose(pick, list(world.gateway.orders.values())):
        match pick(3):
            case 0:
                order.has_error = not order.has_error
            case 1 if order.policy != FORBIDDEN:
                order.policy = "" if order.policy else BALANCE
            case _ if not pick(3):
                order.policy = FORBIDDEN


def refund_elsewhere(world: World, pick: Pick) -> None:
    """Somebody gives back a part by other means, of an order that no error stands in the way of."""
    orders = [
        one for one in world.gateway.orders.values() if one.state == "paid" and one.kept > 1 and not one.has_error
    ]
    if not pick(4) and (order := choose(pick, orders)):
        order.elsewhere = Fen(order.elsewhere + 1 + pick(order.kept - 1))
        order.latest = f"{order.client_sn}-x{order.elsewhere}"


# --- time, paper and power -------------------------------------------------------------------------------------------


def wake(world: World, pick: Pick) -> None:
    """The next wake-up comes, perhaps late."""
    delay = [0, 0, 0, 1, MINUTE, DAY][pick(6)]
    world.now = replace(after(world.now, delay), jitter=pick(4) / 4, is_trusted=bool(pick(3)))
    world.wake()


def wait(world: World, pick: Pick) -> None:
    """Time passes."""
    world.now = after(world.now, [1, 3_000, MINUTE, CODE_LIFE, HOUR][pick(5)])


def print_slip(world: World, pick: Pick) -> None:
    """The printer answers."""
    if sent := choose(pick, world.printing):
        world.printing.remove(sent)
        told = [JobSent(), PrinterAbsent(), JobBroken(), events.SlipOutdated()][pick(4)]
        world.apply(ToJob(job_id=sent.job_id, event=told, token=sent.token))


def kill(world: World, pick: Pick) -> None:
    """The process is killed: what was asked for and not answered arrived, arrives late, or never."""
    if pick(3):
        return
    for flight in world.in_flight:
        _strand(world, flight, pick)
    world.now = after(world.now, [0, 5_000, DAY][pick(3)])
    world.restart([events.Recovered(), events.PowerReturned()][pick(2)])


Move = Callable[[World, Pick], None]
#: Repeated ones happen more often.
MOVES: tuple[Move, ...] = (
    *(open_sale, scan, scan, cancel, drain, report, report, ask_refund, ask_refund, close_attention),
    *(ask_the_gateway, print_copy, pay, pay, refuse),
    *(arrive, arrive, answer, answer, answer, answer, answer, lose, fail, arrive_late),
    *(change_the_gateway, refund_elsewhere, wake, wake, wake, wait, print_slip, print_slip, kill),
)
