"""Hosts after the payment: goods that come out or do not, and people who give money back, all at once."""

import asyncio
from collections.abc import Awaitable, Callable

from terminald.core.book import SaleView
from terminald.core.money import Fen
from terminald.core.refund_table import Refund
from terminald.core.sale_table import DeliveryState, SaleState
from terminald.engine_desk import EngineDesk
from terminald.simulator.gateway import Fault
from terminald.simulator.gateway_books import BUSINESS_DAY_OFFSET_S, DAY_S
from tests.simulation.history import History

#: A host tries so often before it gives up on a terminal that does not answer.
_TRIES = 200
#: So near to the end of the gateway's day it is waited for.
_NEAR_S = 900.0
#: How often a host's refund is held up while goods do not come out.
_OVERTAKEN = 0.25
_WAYS_BACK = (
    *("nothing", "nothing", "parts", "parts", "all", "too much", "revoke", "revoke", "mixed", "both"),
    *("midnight", "midnight"),
)
#: Answers after which a host asks again.
_AGAIN = frozenset({"lost", "overloaded"})


async def look_after(history: History, reference: str) -> None:
    """Do what a host does with a sale that the customer has left."""
    view = await insist_on_view(history, reference)
    if not view.sale.paid:
        why, _ = await insist(history, lambda desk: desk.refund(reference, "wrong", None))
        _note(history, "refund of an unpaid sale", why)
        return
    if view.sale.order.reports_delivery and history.rng.random() < _OVERTAKEN:
        await asyncio.gather(_be_overtaken(history, reference, int(view.sale.order.amount)), _befall(history))
        return
    await asyncio.gather(_report_goods(history, view), _give_back(history, view), _befall(history))


async def insist_on_view(history: History, reference: str) -> SaleView:
    """Ask for the sale until it is shown."""
    while (view := await history.look(reference)) is None:  # noqa: ASYNC110 - a host that polls
        await asyncio.sleep(1.0)
    return view


async def _befall(history: History) -> None:
    rng = history.rng
    await asyncio.sleep(rng.choice((0.0, 0.02, 0.05, 0.3, 1.0, 5.0, 60.0)))
    if rng.random() < 0.4:
        history.door.seen["killed after a payment"] += 1
        history.kill()


# --- the goods -------------------------------------------------------------------------------------------------------


async def _report_goods(history: History, view: SaleView) -> None:
    rng, reference = history.rng, str(view.sale.order.reference)
    if not view.sale.order.reports_delivery:
        return
    window_s = history.rules.delivery_window / 1000
    await asyncio.sleep(rng.choice((0.0, 1.0, 5.0, window_s - 0.5, window_s + 1.0, window_s + 600.0, window_s + 600.0)))
    match rng.choice(("delivered", "whole", "part", "both", "answered for", *("silence",) * 3)):
        case "delivered":
            await _deliver(history, reference)
        case "whole":
            await _undeliver(history, reference, None)
        case "part":
            await _undeliver(history, reference, rng.randint(1, view.sale.order.amount))
        case "both":
            await asyncio.gather(_deliver(history, reference), _undeliver(history, reference, None))
        case "answered for":
            await _answer_for(history, reference)
        case _:
            history.door.seen["the host never reported"] += 1


async def _answer_for(history: History, reference: str) -> None:
    """A person who is called for the report closes the call; the host reports after that."""
    await asyncio.sleep(history.rules.delivery_window / 1000 + 5.0)
    called = await insist_on_view(history, reference)
    if called.sale.attention is not None:
        await close_by_hand(history, called)
        await asyncio.sleep(history.rng.choice((0.0, 10.0, 1000.0)))
        await report_late(history, await insist_on_view(history, reference))


async def _deliver(history: History, reference: str) -> None:
    why, _ = await insist(history, lambda desk: desk.deliver(reference))
    _note(history, "delivered", why)


async def _undeliver(history: History, reference: str, amount: int | None) -> None:
    part = None if amount is None else Fen(amount)
    for _ in range(history.rng.choice((1, 2))):
        why, shown = await insist(history, lambda desk: desk.undeliver(reference, part))
        _note(history, "undelivered" if part is None else "undelivered in part", why)
        if why:
            continue
        assert isinstance(shown, SaleView)
        told = history.promises.undelivered.get(reference, 0)
        if shown.sale.is_return_owed:
            # Beside a return of the host's own a report corrects the one before.
            history.promises.undelivered[reference] = amount
        elif told is not None:
            # Else it takes nothing back of what was owed before.
            history.promises.undelivered[reference] = None if amount is None else max(amount, told)


# --- money -----------------------------------------------------------------------------------------------------------


async def _give_back(history: History, view: SaleView) -> None:
    rng, reference, amount = history.rng, str(view.sale.order.reference), int(view.sale.order.amount)
    await asyncio.sleep(rng.choice((0.0, 0.5, 5.0, 300.0)))
    match rng.choice(_WAYS_BACK):
        case "parts":
            await _refund_parts(history, reference, amount)
        case "all":
            await _refund(history, reference, "all", None)
        case "too much":
            await _refund(history, reference, "part", rng.randint(1, amount))
            await _refund(history, reference, "too much", amount + rng.randint(0, 100))
        case "revoke":
            await asyncio.gather(*(_revoke(history, reference) for _ in range(rng.choice((1, 2)))))
        case "both":
            given, owed = rng.randint(1, amount), rng.randint(1, amount)
            await asyncio.gather(_refund(history, reference, "a", given), _undeliver(history, reference, owed))
        case "midnight":
            await _revoke_at_midnight(history, reference)
        case "mixed":
            await asyncio.gather(
                _revoke(history, reference),
                _refund(history, reference, "a", rng.randint(1, amount)),
                _refund(history, reference, "b", rng.randint(1, amount)),
            )


async def _be_overtaken(history: History, reference: str, amount: int) -> None:
    """The merchant's balance holds a refund up, and meanwhile all of it goes back."""
    history.put(Fault(kind="declined", path="refund", count=3, error_code="ACCOUNT_BALANCE_NOT_ENOUGH"))
    await _refund(history, reference, "held up", history.rng.randint(1, amount))
    await asyncio.sleep(history.rng.choice((1.0, 5.0, 5.0, 4000.0)))
    await _undeliver(history, reference, None)


async def _refund_parts(history: History, reference: str, amount: int) -> None:
    """Several refunds, each asked for by the host and by a person at once, and again after a restart."""
    rng = history.rng
    parts = [(f"part-{number}", rng.randint(1, max(1, amount // 2))) for number in range(rng.randint(1, 3))]
    for name, part in parts:
        await asyncio.gather(*(_refund(history, reference, name, part) for _ in range(rng.choice((1, 2, 3)))))
        await asyncio.sleep(rng.choice((0.0, 0.0, 0.1, 30.0)))
    if rng.random() < 0.5:
        history.kill()
    for name, part in parts:
        await _refund(history, reference, name, part)
        history.door.seen["a refund was repeated after a restart"] += 1


async def _refund(history: History, reference: str, name: str, amount: int | None) -> None:
    part = None if amount is None else Fen(amount)
    why, refund = await insist(history, lambda desk: desk.refund(reference, name, part))
    _note(history, "refund", why)
    if refund is not None:
        assert isinstance(refund, Refund)
        known = history.promises.refunds.setdefault((reference, name), set())
        if known:
            history.door.seen["a refund's reference was repeated"] += 1
        known.add(refund.id)


async def _revoke(history: History, reference: str) -> None:
    why, _ = await insist(history, lambda desk: desk.revoke(reference))
    _note(history, "revoke", why)


async def _revoke_at_midnight(history: History, reference: str) -> None:
    """A revoke or a return that is begun in time, and can not be sent before the gateway's day is over."""
    left_s = left_of_day_s(history)
    is_near = left_s < _NEAR_S
    await asyncio.sleep(max(0.0, left_s - 3.0) if is_near else 0.0)
    back = _revoke(history, reference) if history.rng.choice((True, False)) else _undeliver(history, reference, None)
    cut_s = history.rng.choice((2.0, 8.0, 30.0)) if is_near else 0.0
    await asyncio.gather(history.cut_link(cut_s), back)


def left_of_day_s(history: History) -> float:
    """How long the gateway's day still lasts."""
    return DAY_S - (history.gateway.now_s() + BUSINESS_DAY_OFFSET_S) % DAY_S


async def close_by_hand(history: History, view: SaleView) -> None:
    """A person settles by other means what can not go back, or answers for goods that nobody reports."""
    why, _ = await insist(history, lambda desk: desk.close_attention(view.sale.id, "paid back in cash"))
    _note(history, "closing by hand", why)


async def report_beside_return(history: History, view: SaleView) -> None:
    """The goods are out after all, while the money that goes back for the silence about them is held up."""
    is_silence = view.sale.state is SaleState.RETURNING and view.sale.delivery is DeliveryState.OVERDUE
    if is_silence and history.rng.random() < 0.5:
        await _deliver(history, str(view.sale.order.reference))


async def report_late(history: History, view: SaleView) -> None:
    """The host that never reported does so in the end, whatever a person has made of it."""
    reference, paid = str(view.sale.order.reference), int(view.sale.paid)
    is_closed = view.sale.delivery is DeliveryState.CLOSED and view.sale.state is SaleState.COMPLETED
    if is_closed or view.sale.state is SaleState.PAID:
        match history.rng.choice(("whole", "part", "delivered")):
            case "whole":
                await _undeliver(history, reference, None)
            case "part":
                await _undeliver(history, reference, history.rng.randint(1, paid))
            case _:
                await _deliver(history, reference)
        history.door.seen["a late report after a person" if is_closed else "a late report"] += 1


def _note(history: History, what: str, why: str) -> None:
    history.door.seen[f"{what}: {why or 'done'}"] += 1


async def insist(
    history: History, what: Callable[[EngineDesk], Awaitable[SaleView | Refund]]
) -> tuple[str, SaleView | Refund | None]:
    """Ask until there is an answer or a refusal."""
    why: str = "lost"
    answer: SaleView | Refund | None = None
    for _ in range(_TRIES):
        why, answer = await history.ask(what)
        if why not in _AGAIN:
            break
        await asyncio.sleep(history.rng.choice((0.1, 1.0, 5.0)))
    return why, answer
