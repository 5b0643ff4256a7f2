"""Code and QR at once, by exhaustion: scans, payments, the host, time, power and answers in every order."""

import copy
from collections import deque
from collections.abc import Iterator
from dataclasses import replace
from functools import cache

from terminald.core import book as books
from terminald.core import events, stimuli
from terminald.core.attempt_table import AttemptState
from terminald.core.commands import OfferOrder, QueryOrder, ReverseOrder, SubmitPayment
from terminald.core.events import CancelRequested, CodeScanned, ShutdownRequested
from terminald.core.ids import ClientSn, Instant
from terminald.core.sale_table import SaleState
from terminald.core.siblings import in_the_way
from terminald.core.stimuli import OpenSale, ToSale
from tests.core.gateway_model import Gateway, Pick
from tests.core.machine_builders import BOTH_ORDER, CODE, SALE_ID
from tests.core.money_world import Late, World
from tests.core.terminal_world import Flight

#: So many codes are scanned, and so many QR orders opened: more would only repeat.
MOST_CODES, MOST_QRS = 2, 1
#: Far more than there are; reaching it means that the states are not finite.
MAX_STATES = 50_000

S = SaleState
A = AttemptState


def opened() -> World:
    """A sale that offers both, and whose pre-create is under way."""
    world = World()
    world.apply(OpenSale(sale_id=SALE_ID, order=replace(BOTH_ORDER, wants_receipt=False)))
    return world


def twin(world: World) -> World:
    """Return an independent copy: snapshots are values, so the containers and the gateway's orders are enough."""
    after = copy.copy(world)
    for name, value in vars(world).items():
        if isinstance(value, dict | set | list):
            setattr(after, name, value.copy())
    after.gateway = Gateway()
    after.gateway.orders = {
        name: replace(order, refunds={**order.refunds}) for name, order in world.gateway.orders.items()
    }
    after.in_flight = [copy.copy(flight) for flight in world.in_flight]
    return after


def key(world: World) -> tuple[object, ...]:
    """What tells two worlds apart: all but names, tokens and the time."""
    sale = world.sales[SALE_ID]
    names = {client_sn: number for number, client_sn in enumerate(sale.attempts)}
    due = stimuli.next_wakeup(world.book)
    flights = sorted(
        (names[one.command.client_sn], type(one.command).__name__, type(one.answer).__name__, is_current(world, one))
        for one in world.in_flight
    )
    orders = sorted((names[one.client_sn], one.state, one.kept > 0) for one in world.gateway.orders.values())
    delayed = sorted(names[late.command.client_sn] for late in world.delayed)
    return (
        (sale.state, names.get(sale.offer) if sale.offer else None, sale.offers, sale.offer_at is not None),
        tuple(sorted(names[one] for one in sale.waits_for)),
        tuple((one.kind, one.state, one.is_yielding) for one in map(world.attempts.__getitem__, sale.attempts)),
        tuple((names[one], world.is_beyond_cancel(one)) for one in world.cancels if world.attempts[one].kind == "qr"),
        tuple(flights),
        tuple(orders),
        tuple(delayed),
        world.is_armed,
        type(due[0].event).__name__ if due else None,
    )


def is_current(world: World, flight: Flight) -> bool:
    """Whether the answer will still count."""
    attempt = world.attempts[flight.command.client_sn]
    return attempt.token == flight.command.token and not attempt.state.is_final


# --- what can happen -------------------------------------------------------------------------------------------------


def successors(world: World) -> Iterator[tuple[str, World]]:
    """Everything that can happen next, each in a world of its own."""
    yield from of_the_sale(world)
    for number, order in enumerate(world.gateway.orders.values()):
        if order.state == "open" and (not order.is_qr or world.attempts[order.client_sn].qr_content):
            after = twin(world)
            after.gateway.orders[order.client_sn].pay(after.now)
            yield f"pay {number}", after
    for number, flight in enumerate(world.in_flight):
        yield from answers(world, number, flight)
    yield from late_arrivals(world)
    yield from of_time_and_power(world)


def of_the_sale(world: World) -> Iterator[tuple[str, World]]:
    """What the customer and the host tell the sale."""
    sale = world.sales[SALE_ID]
    scans = sum(world.attempts[one].kind == "scan" for one in sale.attempts)
    seen = books.view(world.book, SALE_ID)
    if world.is_armed and scans < MOST_CODES and seen and not in_the_way(seen):
        code = CodeScanned(client_sn=ClientSn(f"scan-{scans}"), code=CODE, digest=f"d{scans}")
        yield told("scan", world, code)
    if not sale.paid and SALE_ID in world.book.sales:
        yield told("cancel", world, CancelRequested())
    if sale.state is S.AWAITING_PAYMENT:
        yield told("shutdown", world, ShutdownRequested())


def told(name: str, world: World, event: events.Event) -> tuple[str, World]:
    """Tell the sale."""
    after = twin(world)
    after.apply(ToSale(sale_id=SALE_ID, event=event))
    return name, after


def of_time_and_power(world: World) -> Iterator[tuple[str, World]]:
    """The next wake-up comes, or the process or the board is started again."""
    due = stimuli.next_wakeup(world.book)
    is_another = type(due[0].event) is events.OfferDue if due else True
    if not is_another or world.sales[SALE_ID].offers < MOST_QRS:
        after = twin(world)
        if after.wake():
            yield "wake", after
    for restart in (events.Recovered(), events.PowerReturned()):
        for has_arrived in (True, False):
            after = twin(world)
            for one in after.in_flight:
                if has_arrived and one.answer is None:
                    after.gateway.carry_out(one.command, always(1), after.now)
            after.restart(restart)
            yield f"{type(restart).__name__} {has_arrived}", after


def answers(world: World, number: int, flight: Flight) -> Iterator[tuple[str, World]]:
    """A request arrives; its answer comes, or is lost; or it is lost itself, or never sent."""
    name = type(flight.command).__name__
    outcomes = range(3) if isinstance(flight.command, SubmitPayment) else range(1)
    for outcome in outcomes if flight.answer is None else ():
        after = twin(world)
        arrived = after.in_flight[number]
        arrived.answer = after.gateway.carry_out(arrived.command, always(outcome), after.now)
        yield f"{name} arrives", after
    lost: events.Answer = events.QueryFailed() if isinstance(flight.command, QueryOrder) else events.OutcomeUnknown()
    unsent: events.Answer = lost if isinstance(flight.command, QueryOrder) else events.RequestNotSent()
    is_refusable = isinstance(flight.command, ReverseOrder) and world.attempts[flight.command.client_sn].kind == "qr"
    refused = events.ReversalRefused() if is_refusable and flight.answer is None else None
    for answer in (flight.answer, lost, unsent if flight.answer is None else None, refused):
        if answer is not None:
            after = twin(world)
            done = after.in_flight.pop(number)
            after.complete(done.command, answer)
            yield f"{name}: {type(answer).__name__}", after
    if flight.answer is None and isinstance(flight.command, OfferOrder):
        after = twin(world)
        done = after.in_flight.pop(number)
        after.delayed.append(Late(done.command, Instant(0)))
        after.complete(done.command, lost)
        yield f"{name} is held up", after


def late_arrivals(world: World) -> Iterator[tuple[str, World]]:
    """A pre-create that was held up on its way, and that nobody waits for, arrives."""
    for number in range(len(world.delayed)):
        after = twin(world)
        after.let_arrive(after.delayed.pop(number), always(0))
        yield "OfferOrder arrives late", after


def always(number: int) -> Pick:
    """Pick this one."""
    return lambda _: number


@cache
def reach() -> dict[tuple[object, ...], World]:
    """Every state that can be reached. Each step on the way was checked."""
    start = opened()
    seen = {key(start): start}
    queue = deque(seen.values())
    while queue:
        world = queue.popleft()
        for name, after in successors(world):
            # Queries whose answer will not count change nothing.
            after.in_flight = [one for one in after.in_flight if is_current(after, one)]
            if (what := key(after)) not in seen:
                after.story = [*world.story, name]
                seen[what] = after
                queue.append(after)
        assert len(seen) < MAX_STATES
    return seen


# --- what holds ------------------------------------------------------------------------------------------------------


def test_the_search_is_whole() -> None:
    """Each step was checked when it was taken: I1, I2, I4, I5, and that nothing that can happen is illegal."""
    reached = reach().values()
    assert {world.sales[SALE_ID].state for world in reached} == set(S) - {S.PAID, S.RETURNING, S.RETURNED}
    met = {world.attempts[one].state for world in reached for one in world.sales[SALE_ID].attempts}
    assert met >= {A.HELD, A.OFFERED, A.ABANDONING, A.POLLING, A.REVERSING, A.PROVING, A.WATCHING, A.PAID, A.UNSENT}


def test_a_qr_that_turns_out_to_be_paid_pays_the_sale_and_its_code_is_never_sent() -> None:
    """I1: on the way there each step was checked, that a payment which stands is kept (``Terminal.must_keep``)."""
    found, beside_cancel = 0, 0
    for world in reach().values():
        qr, *codes = [world.attempts[one] for one in world.sales[SALE_ID].attempts]
        if qr.state is A.PAID:
            assert not any(order.kept for order in world.gateway.orders.values() if not order.is_qr)
            assert all(one.state is A.UNSENT for one in codes if one.client_sn not in world.gateway.orders)
            found += bool(codes) and codes[-1].client_sn not in world.submitted
            beside_cancel += bool(world.cancels.get(qr.client_sn))
    assert found
    assert beside_cancel, "paid between the question and a cancel that was refused"


def test_wherever_it_stops_the_books_are_right_in_the_end() -> None:
    """I1, I3, I4, I5: from every state everything ends, and what the host was told is what the gateway has."""
    for world in reach().values():
        end = twin(world)
        end.settle_with(always(0))
        assert sum(order.kept for order in end.gateway.orders.values()) == end.sales[SALE_ID].paid, world.story
