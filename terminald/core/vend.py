"""Steps of a vend: how it begins, what an event means in it, what it and its sale tell each other, and when to act."""

from dataclasses import dataclass, replace
from typing import Final

from terminald.core.commands import Command, DenyVend
from terminald.core.events import CancelRequested, Event, PowerReturned, Recovered
from terminald.core.ids import Duration, SaleId
from terminald.core.return_events import Delivered, DeliveryLapsed, DeliveryOverdue, Undelivered
from terminald.core.sale_table import TABLE as SALE_TABLE
from terminald.core.sale_table import DeliveryState, Sale, SaleState
from terminald.core.schedule import Now, later
from terminald.core.tables import Wakeup, find_row
from terminald.core.vend_events import (
    AnswerDue,
    ApprovalDoubted,
    ApprovalDue,
    ApprovalSent,
    ResultOverdue,
    SaleCanceled,
    SaleCanceling,
    SaleCompleted,
    SalePaid,
    SalePaying,
    SaleReturned,
    SaleReturning,
    SaleTold,
    SaleWaiting,
)
from terminald.core.vend_table import DOUBTS, TABLE, Vend, VendState

_STANDINGS: Final[dict[SaleState, type[SaleTold]]] = {
    SaleState.AWAITING_PAYMENT: SaleWaiting,
    SaleState.SWITCHING: SalePaying,
    SaleState.EXPIRING: SalePaying,
    SaleState.PROCESSING: SalePaying,
    SaleState.PAID: SalePaid,
    SaleState.COMPLETED: SaleCompleted,
    SaleState.CANCELING: SaleCanceling,
    SaleState.CANCELED: SaleCanceled,
    SaleState.RETURNING: SaleReturning,
    SaleState.RETURNED: SaleReturned,
}
_UNANSWERED = frozenset({VendState.REQUESTED, VendState.PAYING})


@dataclass(frozen=True, slots=True, kw_only=True)
class VendAsked:
    """What a machine has asked for, and the terms on which its requests are served."""

    machine: str
    request: int
    price: str
    item: str
    #: Until when, from now, the machine is answered.
    answer_window: Duration
    result_window: Duration
    returns_unknown: bool


def begin(asked: VendAsked, sale_id: SaleId, *, now: Now) -> Vend:
    """Record a request, together with the sale that pays it."""
    return Vend(
        sale_id=sale_id,
        machine=asked.machine,
        item=asked.item,
        price=asked.price,
        state=VendState.REQUESTED,
        request=asked.request,
        answer_by=later(now.instant, asked.answer_window),
        result_window=asked.result_window,
        returns_unknown=asked.returns_unknown,
        opened_at=now.wall,
    )


def step(vend: Vend, event: Event, *, now: Now) -> tuple[Vend, tuple[Command, ...]]:
    """Take one step.

    Raises:
        IllegalTransition: the table has no such row; nothing was changed.
    """
    row = find_row(TABLE, vend.state, _judged(vend, event, now))
    after = replace(vend, state=row.to)
    if isinstance(event, Recovered | PowerReturned):
        # Requests are numbered as long as a process lives.
        after = replace(after, request=None)
    if vend.state is VendState.APPROVING and isinstance(event, DOUBTS):
        after = replace(after, is_doubted=True)
    if row.to is not vend.state:
        after = _enter(after, now)
    return after, tuple(command for ask in row.ask if _is_possible(command := ask(after)))


def _judged(vend: Vend, event: Event, now: Now) -> Event:
    """Tell an approval that is in time from one that is not, and one that is certain to be heeded from one in doubt."""
    if isinstance(event, ApprovalDue) and now.instant >= vend.answer_by:
        return AnswerDue()
    if isinstance(event, ApprovalSent) and vend.state is VendState.APPROVING and vend.is_doubted:
        return ApprovalDoubted()
    return event


def _enter(vend: Vend, now: Now) -> Vend:
    """Set what goes with the state that is entered."""
    due = None
    if vend.state is VendState.PAID:
        due = now.instant
    if vend.state is VendState.APPROVED:
        due = later(now.instant, vend.result_window)
    return replace(vend, due=due, ended_at=now.wall if vend.state.is_final else None)


def _is_possible(command: Command) -> bool:
    """Drop the denial of a request that nobody knows any more."""
    return not isinstance(command, DenyVend) or command.request is not None


def next_wakeup(vend: Vend) -> Wakeup | None:
    """Return when the machine's or our own time is over; None when a completion, the sale or nothing is awaited."""
    if vend.state in _UNANSWERED:
        return Wakeup(at=vend.answer_by, event=AnswerDue())
    if vend.due is None:
        return None
    return Wakeup(at=vend.due, event=ApprovalDue() if vend.state is VendState.PAID else ResultOverdue())


# --- a vend and its sale ---------------------------------------------------------------------------------------------


def standing(sale: Sale) -> SaleTold:
    """Return what the sale's state is to its vend."""
    return _STANDINGS[sale.state]()


def change(before: Sale, after: Sale) -> SaleTold | None:
    """Return what a step of the sale is to its vend; None where that is nothing new."""
    told, known = standing(after), standing(before)
    return told if told != known else None


def concerns(vend: Vend, event: SaleTold) -> bool:
    """Whether anything follows from what the sale tells."""
    row = TABLE[vend.state][type(event)]
    return row.to is not vend.state or bool(row.ask)


def is_heeded(sale: Sale, event: Event) -> bool:
    """Whether what its vend tells a sale is news to it: people may have settled it meanwhile."""
    is_closed = sale.state is SaleState.COMPLETED and sale.delivery is DeliveryState.CLOSED
    match event:
        case CancelRequested():
            return CancelRequested in SALE_TABLE[sale.state]
        case DeliveryOverdue() | DeliveryLapsed():
            return sale.state is SaleState.PAID and sale.delivery is DeliveryState.PENDING
        case Delivered():
            is_news = sale.delivery is not DeliveryState.DELIVERED
            return is_closed or (is_news and sale.state in (SaleState.PAID, SaleState.RETURNING, SaleState.RETURNED))
        case Undelivered():
            is_news = sale.delivery not in (DeliveryState.DELIVERED, DeliveryState.UNDELIVERED)
            return is_closed or sale.state is SaleState.PAID or (is_news and sale.state is SaleState.RETURNING)
    raise TypeError(f"no vend tells its sale {type(event).__name__}")
