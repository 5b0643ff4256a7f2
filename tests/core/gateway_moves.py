"""What customers, a gateway and the way to it do: each move does one thing that is possible."""

from collections.abc import Callable

from terminald.core import events
from terminald.core.commands import QueryOrder
from terminald.core.events import Answer
from terminald.core.money import Fen
from terminald.core.schedule import LATE_REQUEST, later
from terminald.core.stimuli import ToAttempt
from tests.core import host_moves
from tests.core.gateway_model import BALANCE, FORBIDDEN, Order, Pick
from tests.core.host_moves import HOST_MOVES, choose, may_tell
from tests.core.money_world import Late, World
from tests.core.terminal_world import Flight


def ask_the_gateway(world: World, pick: Pick) -> None:
    """A person asks about an order; the answer is used as the desk uses it."""
    if attempt := choose(pick, list(world.committed.attempts.values())):
        question = QueryOrder(client_sn=attempt.client_sn, token=attempt.token, amount=attempt.amount)
        answer = world.gateway.carry_out(question, pick, world.now)
        if may_tell(attempt, answer):
            world.take_up(attempt.sale_id)
            world.apply(ToAttempt(client_sn=attempt.client_sn, event=answer))


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
        world.complete(flight.command, flight.answer or world.gateway.carry_out(flight.command, pick, world.now))


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
        world.complete(flight.command, events.QueryFailed() if isinstance(flight.command, QueryOrder) else failed)


def _strand(world: World, flight: Flight, pick: Pick) -> None:
    if flight.answer is None and not isinstance(flight.command, QueryOrder):
        match pick(3):
            case 0:
                world.gateway.carry_out(flight.command, pick, world.now)
            case 1:
                world.delayed.append(Late(flight.command, later(world.now.instant, LATE_REQUEST)))


def arrive_late(world: World, pick: Pick) -> None:
    """A request arrives that nobody waits for any more."""
    if late := choose(pick, world.delayed):
        world.delayed.remove(late)
        world.let_arrive(late, pick)


def change_the_gateway(world: World, pick: Pick) -> None:
    """An order gets into an error of the gateway's own, or is lost; the merchant's balance is empty; or no more."""
    if order := choose(pick, list(world.gateway.orders.values())):
        match pick(4):
            case 3:
                order.is_hidden = not order.is_hidden and world.is_confirmed(order.client_sn)
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


def kill(world: World, pick: Pick) -> None:
    """The process is killed: what was asked for and not answered arrived, arrives late, or never."""
    if pick(3):
        return
    for flight in world.in_flight:
        _strand(world, flight, pick)
    host_moves.kill(world, pick)


Move = Callable[[World, Pick], None]
#: Repeated ones happen more often.
MOVES: tuple[Move, ...] = (
    *HOST_MOVES,
    *(ask_the_gateway, pay, pay, refuse, arrive, arrive, lose, fail, arrive_late),
    *(answer, answer, answer, answer, answer, change_the_gateway, refund_elsewhere, kill),
)
