"""Customers before a QR, a scanner, or both; and what befalls the terminal meanwhile."""

import asyncio
import random
from collections.abc import Callable, Coroutine

from terminald.simulator.gateway import Fault
from tests.simulation.history import History
from tests.simulation.kinds import ENDINGS

Habit = Callable[[History, str], Coroutine[None, None, None]]

#: Around a moment: before it, in it, within the flight of a message, and after it.
AROUND_S = (-1.0, -0.1, -0.02, 0.0, 0.01, 0.03, 0.05, 0.1, 0.3, 1.0, 3.0)


async def find_qr(history: History, reference: str) -> str:
    """Look at the screen until it shows a QR; empty when there is none for long."""
    for _ in range(200):
        if content := await history.qr_of(reference):
            return content
        await asyncio.sleep(0.3)
    return ""


async def pay_qr(history: History, reference: str) -> None:
    """Scan the QR, think, and pay, whatever has become of the sale."""
    content = await find_qr(history, reference)
    await asyncio.sleep(history.rng.choice((0.0, 0.5, 3.0, 5.0, 20.0, 29.9, 90.0, 101.0, 239.5, 300.0)))
    history.door.pay(content)


async def pay_qr_at_its_end(history: History, reference: str) -> None:
    """Pay in the last seconds before the end that is shown, or just after it."""
    content = await find_qr(history, reference)
    if content:
        left_s = history.door.offers.end_at(content) - history.gateway.now_s()
        await asyncio.sleep(max(0.0, left_s - history.rng.choice((5.0, 1.9, 0.5, 0.1, 0.03, 0.01, 0.0, -0.01, -0.05))))
        if history.door.pay(content):
            history.door.seen["a QR was paid in its last seconds"] += 1


async def die_at_the_end(history: History, reference: str, draw: random.Random) -> None:
    """The process dies while it asks a last time about the QR whose end has come."""
    content = await find_qr(history, reference)
    if content:
        left_s = history.door.offers.end_at(content) - history.gateway.now_s()
        await asyncio.sleep(max(0.0, left_s + draw.choice((0.035, 0.05, 0.07, 0.1))))
        history.kill()


async def pay_qr_that_is_forgotten(history: History, reference: str) -> None:
    """Pay, or not, while the gateway says for a while that it does not know the order, which it has confirmed."""
    rng = history.rng
    content = await find_qr(history, reference)
    order = history.door.order_of_qr(content)
    if order is None:
        return
    for path in rng.sample(("query", "cancel", "cancel"), 2):
        history.put(
            Fault(
                kind="declined",
                path="query" if path == "query" else "cancel",
                client_sn=order.client_sn,
                count=rng.choice((1, 2, 5)),
                skip=rng.choice((0, 0, 1, 5)) if path == "query" else 0,
                error_code="UPAY_ORDER_NOT_EXISTS",
            )
        )
    history.door.seen["the gateway forgot an order"] += 1
    await asyncio.sleep(rng.choice((1.0, 29.0, 35.0, 100.0)))
    history.door.pay(content)


async def pay_qr_when_it_is_undone(history: History, reference: str) -> None:
    """Pay in the very moment in which a message about the order is on its way."""
    content = await find_qr(history, reference)
    if content:
        call, is_answer = history.rng.choice((("cancel", False), ("cancel", False), ("query", False), ("query", True)))
        for _ in range(history.rng.choice((1, 1, 2, 5))):
            await history.door.passing(call, content, is_answer=is_answer)
        await asyncio.sleep(history.rng.choice((0.0, 0.0, 0.01, 0.03, 1.0)))
        history.door.pay(content)


async def pay_qr_while_its_cancel_is_held_up(history: History, reference: str, draw: random.Random) -> None:
    """Present a code, and pay the QR while the cancel of its order is on its way: it lands on a payment."""
    content = await find_qr(history, reference)
    order = history.door.order_of_qr(content)
    if order is None:
        return
    late_s = draw.choice((16.0, 20.0, 40.0))
    history.put(Fault(kind="delay_request", path="cancel", client_sn=order.client_sn, seconds=late_s))
    await asyncio.sleep(draw.choice((0.5, 5.0)))
    await history.scan(reference, f"13{draw.randrange(10**14):014d}99")
    await asyncio.sleep(draw.choice((0.1, 1.0, 10.0, 15.0)))
    if history.door.pay(content):
        history.door.seen["a QR was paid while its cancel was held up"] += 1


async def scan_and_pay(history: History, reference: str) -> None:
    """Do both at once, each at its moment."""
    rng = history.rng
    content = await find_qr(history, reference)
    await asyncio.sleep(1.0 + rng.choice((0.0, 1.0, 5.0, 40.0)))
    paying = asyncio.create_task(_pay_after(history, content, 1.0 + rng.choice(AROUND_S)))
    await asyncio.sleep(1.0)
    await history.scan(reference, code(history))
    await paying


async def _pay_after(history: History, content: str, seconds: float) -> None:
    await asyncio.sleep(seconds)
    history.door.pay(content)


async def scan_beside_qr(history: History, reference: str) -> None:
    """Scan some codes while the QR is offered."""
    rng = history.rng
    await find_qr(history, reference)
    for _ in range(rng.randint(1, 3)):
        await asyncio.sleep(rng.choice((0.3, 1.0, 2.0, 10.0, 40.0)))
        await history.scan(reference, code(history))


async def scan_beside_an_earlier_order(history: History, reference: str) -> None:
    """Refuse the first QR; the second one is made late, and its order undone with difficulty: scan meanwhile."""
    rng = history.rng
    content = await find_qr(history, reference)
    late_s = rng.choice((16.0, 20.0, 40.0))
    history.put(
        Fault(kind="delay_request", path="precreate", seconds=late_s),
        Fault(kind="close_request", path="cancel", count=rng.choice((1, 4)), skip=1),
    )
    history.gateway.customer("refuse", qr_code=content)
    for _ in range(600):
        await asyncio.sleep(0.3)
        if history.has_order_in_the_way(reference):
            history.door.offers.yield_to_code(reference)
            why, _ = await history.ask(lambda desk: desk.present_code(reference, code(history)))
            history.door.seen[f"a code beside an earlier order: {why or 'taken'}"] += 1
            await asyncio.sleep(rng.choice((0.0, 1.0, 5.0)))


async def refuse_qr(history: History, reference: str) -> None:
    """Scan the QR and refuse: the gateway closes the order."""
    content = await find_qr(history, reference)
    await asyncio.sleep(history.rng.choice((0.5, 10.0)))
    if history.gateway.customer("refuse", qr_code=content):
        history.door.seen["a customer refused a QR"] += 1


async def walk_away(history: History, _: str) -> None:
    """Do nothing at all."""
    history.door.seen["a customer walked away"] += 1


def code(history: History) -> str:
    """Return a payment code; most pay at once, some have a story."""
    ending = history.rng.choice(("99", "99", history.rng.choice(ENDINGS)))
    return f"13{history.rng.randrange(10**14):014d}{ending}"


NOTHING = ("nothing",) * 7
QR_HABITS: tuple[Habit, ...] = (
    *(pay_qr, pay_qr, pay_qr, pay_qr_at_its_end, pay_qr_at_its_end, pay_qr_that_is_forgotten),
    *(pay_qr_when_it_is_undone, pay_qr_when_it_is_undone),
    *(refuse_qr, walk_away),
)
BOTH_HABITS: tuple[Habit, ...] = (
    *QR_HABITS,
    scan_and_pay,
    scan_and_pay,
    scan_and_pay,
    scan_beside_qr,
    scan_beside_qr,
    scan_beside_an_earlier_order,
)


async def befall(history: History, reference: str) -> None:
    """Let something happen to the terminal while the customer is there."""
    rng = history.rng
    await asyncio.sleep(rng.choice((0.0, 0.03, 0.5, 1.0, 2.0, 10.0, 40.0, 100.0)))
    what = rng.choice((*NOTHING, "cancel", "cancel", "stop", "kill", "query", "cut", "disk", "clock"))
    history.door.seen[f"befallen by: {what}"] += 1
    match what:
        case "cancel":
            await history.cancel(reference)
        case "stop":
            await history.shut_down()
        case "kill":
            history.kill()
        case "query":
            await history.query(reference)
        case "cut":
            await history.cut_link(rng.choice((1.0, 20.0, 120.0)))
        case "disk":
            await history.fill_disk(rng.choice((0.5, 5.0, 70.0, 200.0)))
        case "clock":
            history.set_clock()


async def visit(history: History, reference: str) -> None:
    """A customer who presents some codes at some times, beside a host that may lose patience."""
    rng = history.rng
    for _ in range(rng.randint(0, 3)):
        await asyncio.sleep(rng.choice((0.3, 2.0, 10.0, 40.0)))
        code = f"13{rng.randrange(10**14):014d}{rng.choice(ENDINGS)}"
        for _ in range(rng.choice((1, 1, 2))):
            await history.scan(reference, code)
        if rng.random() < 0.3:
            await asyncio.sleep(rng.choice((0.0, 0.05, 3.0, 51.0)))
            await history.query(reference)
        if rng.random() < 0.15:
            await history.fill_disk(rng.choice((0.5, 5.0, 70.0, 200.0)))
        await asyncio.sleep(rng.choice((0.0, 1.0, 20.0)))
    if rng.random() < 0.1:
        history.set_clock()
    if rng.random() < 0.4:
        await asyncio.sleep(rng.choice((0.0, 0.03, 1.0, 30.0, 60.0)))
        await history.cancel(reference)
