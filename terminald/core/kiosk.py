"""Steps of a kiosk: what is in the basket, what the guard makes of a code, and what a sale's state means here."""

from dataclasses import replace
from typing import Final

from terminald.core.commands import Command, Goods
from terminald.core.events import Event
from terminald.core.ids import Instant, PaymentCode
from terminald.core.kiosk_events import (
    BasketExpired,
    BasketFull,
    BasketKept,
    BasketLine,
    ClearScanned,
    CodeShown,
    CodeStillThere,
    CodeTaken,
    CodeWithoutBasket,
    LineAdded,
    Product,
    ProductScanned,
    SaleAsks,
    SaleBegun,
    SaleEnded,
    SaleNotBegun,
    SalePaid,
    SaleWaits,
    Served,
    TellBasket,
    TellScan,
)
from terminald.core.kiosk_table import SALE_OPEN, STILL_THERE, TABLE, Kiosk, KioskRules, KioskState
from terminald.core.money import Fen
from terminald.core.sale_table import DeliveryState, Sale, SaleState
from terminald.core.schedule import later
from terminald.core.tables import Wakeup, find_row

#: More pieces of one thing than anybody scans one by one.
MAX_QUANTITY: Final = 99
#: The longest subject that the gateway takes (Web API documents, pay).
MAX_SUBJECT: Final = 64

#: Told once for as long as codes are read without a pause: a reader repeats what lies before it every second.
_TOLD_ONCE: Final = frozenset({STILL_THERE, SALE_OPEN})


def begin(now: Instant, rules: KioskRules) -> Kiosk:
    """Return the kiosk after a start. It rests first: whoever paid before it may still hold the phone there."""
    return Kiosk(state=KioskState.IDLE, rests_until=later(now, rules.pause))


def step(kiosk: Kiosk, event: Event, *, now: Instant, rules: KioskRules) -> tuple[Kiosk, tuple[Command, ...]]:
    """Take one step.

    Raises:
        IllegalTransition: the table has no such row; nothing was changed.
    """
    judged = _judged(kiosk, event, now, rules)
    row = find_row(TABLE, kiosk.state, judged)
    after = _learn(kiosk, judged, now, rules)
    commands = tuple(command for ask in row.ask if _is_news(command := ask(after), kiosk, after))
    after = _resting(replace(after, state=row.to, code=None), judged, now, rules)
    for command in commands:
        if isinstance(command, TellScan) and command.reason in _TOLD_ONCE:
            after = replace(after, told=command.reason)
    return after, commands


def next_wakeup(kiosk: Kiosk) -> Wakeup | None:
    """Return when the basket is emptied; None without one."""
    if kiosk.state is KioskState.FILLING and kiosk.expires is not None:
        return Wakeup(at=kiosk.expires, event=BasketExpired())
    return None


def event_of(sale: Sale) -> Event:
    """Return what a sale's state means here. Money on its way back is no reason for the next customer to wait."""
    match sale.state:
        case SaleState.AWAITING_PAYMENT:
            return SaleWaits()
        case SaleState.SWITCHING | SaleState.EXPIRING | SaleState.PROCESSING:
            return SaleAsks()
        case SaleState.PAID if sale.delivery is DeliveryState.PENDING:
            return SalePaid()
        case _:
            return SaleEnded()


# --- the basket ------------------------------------------------------------------------------------------------------


def total(lines: tuple[BasketLine, ...]) -> Fen:
    """Add up a basket."""
    return Fen(sum(line.total for line in lines))


def goods(lines: tuple[BasketLine, ...]) -> tuple[Goods, ...]:
    """Return a basket as the goods of a sale, in the order in which they were first scanned."""
    return tuple(
        Goods(id=line.product.barcode, name=line.product.name, quantity=line.quantity, price=line.product.price)
        for line in lines
    )


def subject(lines: tuple[BasketLine, ...]) -> str:
    """Return what the customer's wallet shows of a basket: its names, as far as there is room."""
    names = ", ".join(line.product.name for line in lines)
    return names if len(names) <= MAX_SUBJECT else names[: MAX_SUBJECT - 1] + "…"


def with_one_more(lines: tuple[BasketLine, ...], product: Product) -> tuple[BasketLine, ...]:
    """Return the basket with another piece of a product."""
    known = next((line for line in lines if line.product == product), None)
    if known is None:
        return (*lines, BasketLine(product=product))
    return tuple(replace(line, quantity=line.quantity + 1) if line is known else line for line in lines)


def _has_room(lines: tuple[BasketLine, ...], rules: KioskRules) -> bool:
    is_few = len(lines) <= rules.max_lines and all(line.quantity <= MAX_QUANTITY for line in lines)
    return is_few and total(lines) <= rules.max_total


# --- the step --------------------------------------------------------------------------------------------------------


def _judged(kiosk: Kiosk, event: Event, now: Instant, rules: KioskRules) -> Event:
    """Tell apart what the same scan means beside a basket, and by the guard."""
    match event:
        case ProductScanned():
            has_room = _has_room(with_one_more(kiosk.lines, event.product), rules)
            return (LineAdded if has_room else BasketFull)(product=event.product)
        case CodeShown():
            return _judged_code(kiosk, event.code, now, rules)
        case SaleNotBegun() if kiosk.lines:
            return BasketKept()
    return event


def _judged_code(kiosk: Kiosk, code: PaymentCode, now: Instant, rules: KioskRules) -> CodeShown:
    # A sale that waits for another code takes it at once: it is paid once, whatever is shown to it.
    is_retry = kiosk.state is KioskState.RETRYING
    if now < kiosk.rests_until and not is_retry:
        return CodeStillThere(code=code)
    if rules.price is None and not kiosk.lines and not is_retry:
        return CodeWithoutBasket(code=code)
    return CodeTaken(code=code)


def _learn(kiosk: Kiosk, event: Event, now: Instant, rules: KioskRules) -> Kiosk:
    """Keep what the event says beside its type."""
    match event:
        case LineAdded() if kiosk.state in (KioskState.IDLE, KioskState.FILLING):
            lines = with_one_more(kiosk.lines, event.product)
            kiosk = replace(kiosk, lines=lines, expires=later(now, rules.basket_window))
        case CodeShown():
            kiosk = replace(kiosk, code=event.code, told="" if now >= kiosk.rests_until else kiosk.told)
        case SaleBegun():
            kiosk = replace(kiosk, sale_id=event.sale_id)
        case BasketKept():
            kiosk = replace(kiosk, expires=later(now, rules.basket_window))
        case ClearScanned() if kiosk.state is KioskState.FILLING:
            kiosk = _emptied(kiosk)
        case SaleEnded() if kiosk.state is not KioskState.SERVING:
            kiosk = _emptied(kiosk)
        case BasketExpired() | Served():
            kiosk = _emptied(kiosk)
    return kiosk


def _emptied(kiosk: Kiosk) -> Kiosk:
    return replace(kiosk, lines=(), expires=None, sale_id=None)


def _resting(kiosk: Kiosk, event: Event, now: Instant, rules: KioskRules) -> Kiosk:
    """Begin the pause anew where a code was read or a customer is done."""
    if isinstance(event, CodeShown | SaleEnded | Served):
        return replace(kiosk, rests_until=max(kiosk.rests_until, later(now, rules.pause)))
    return kiosk


def _is_news(command: Command, before: Kiosk, after: Kiosk) -> bool:
    """Drop what was told already: a repeated scan, and that an empty basket is empty."""
    match command:
        case TellScan():
            return command.reason not in _TOLD_ONCE or command.reason != after.told
        case TellBasket():
            return before.lines != after.lines
    return True
