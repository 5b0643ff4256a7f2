"""Steps of a refund: what an answer means for it, what an event teaches, and when to ask next."""

from dataclasses import dataclass, replace

from terminald.core.commands import Command
from terminald.core.events import (
    Answer,
    AnswerMismatched,
    AttentionDue,
    Event,
    OrderAbsent,
    OrderClosed,
    OrderErrored,
    OrderPaid,
    OrderPartlyReturned,
    OrderReturned,
    OutcomeUnknown,
    PowerReturned,
    Recovered,
    RefundPending,
    RefundRefused,
    RequestRefused,
    RetryDue,
    ReversalPending,
    ReversalRefused,
)
from terminald.core.ids import ClientSn, RefundId, SaleId, WallTime
from terminald.core.money import Fen
from terminald.core.refund_table import GATEWAY_ASKS, TABLE, Refund, RefundKind, RefundState
from terminald.core.return_events import (
    NothingLeft,
    OrderStuck,
    RefundAccounted,
    RefundDenied,
    RefundDoubted,
    RefundHeldUp,
    RefundMissing,
    RefundTurn,
    RevokeRefused,
    RevokeTurn,
    Turn,
)
from terminald.core.schedule import (
    BLOCKED_RETRY,
    LATE_REQUEST,
    REVERSAL_ATTENTION_AFTER,
    Now,
    Rules,
    day_of,
    later,
    retry_delay,
)
from terminald.core.tables import Attention, Wakeup, find_row

#: The merchant's balance fills up again: a refusal that passes.
_FOR_NOW = frozenset({"ACCOUNT_BALANCE_NOT_ENOUGH", "SELLER_BALANCE_NOT_ENOUGH"})
#: So many revokes may end in an error before the money is refunded instead.
_MOST_REVOKES = 4
OPEN_TOO_LONG = "refund_open"
_ATTENTION: dict[type[Event], str] = {
    AnswerMismatched: "answer_mismatch",
    OrderErrored: "order_errored",
    OrderStuck: "order_errored",
    OrderAbsent: "order_lost",
    AttentionDue: OPEN_TOO_LONG,
}
_REFUSALS = (RefundRefused, RevokeRefused, RequestRefused)
#: After these nobody knows whether the request that was under way is still to arrive.
_UNCLEAR = (
    OutcomeUnknown,
    AnswerMismatched,
    OrderAbsent,
    RefundPending,
    ReversalPending,
    Recovered,
    PowerReturned,
)
_UNDER_WAY = frozenset({RefundState.REFUNDING, RefundState.REVOKING})


# --- steps -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What is asked for: by the host, or because it is owed."""

    kind: RefundKind
    amount: Fen
    reference: str = ""
    is_owed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class PaidOrder:
    """The order that a sale was paid with."""

    sale_id: SaleId
    client_sn: ClientSn
    amount: Fen
    operator: str
    #: When it was paid, by the gateway's clock; None when the gateway did not say.
    paid_at: WallTime | None


def begin(asked: Asked, number: int, paid: PaidOrder, *, now: Now) -> Refund:
    """Record a refund, before its turn has come. Number counts the refunds of the sale, from 1."""
    return Refund(
        id=RefundId(f"{paid.sale_id}-r{number}"),
        sale_id=paid.sale_id,
        client_sn=paid.client_sn,
        order_amount=paid.amount,
        reference=asked.reference,
        kind=asked.kind,
        amount=asked.amount,
        left=paid.amount,
        request_no=f"r{number}",
        operator=paid.operator,
        is_owed=asked.is_owed,
        state=RefundState.QUEUED,
        token=0,
        fault=None,
        refusal="",
        opened=now.instant,
        opened_at=now.wall,
        ended_at=None,
        retry=None,
        tries=0,
        attention=None,
    )


def turn(refund: Refund, paid: PaidOrder, left: Fen, *, now: Now, rules: Rules) -> Turn:
    """Return how a refund begins whose turn has come: what is left of the payment is known now."""
    if left <= 0:
        return NothingLeft(left=left)
    if refund.kind is RefundKind.REVOKE or (refund.kind is RefundKind.RETURN and may_revoke(paid, left, now, rules)):
        return RevokeTurn(left=left)
    return RefundTurn(left=left)


def may_revoke(paid: PaidOrder, left: Fen, now: Now, rules: Rules) -> bool:
    """Whether the gateway may still revoke: nothing was refunded, and its day is not known to be over (I10)."""
    if left != paid.amount:
        return False
    if paid.paid_at is None or not now.is_trusted:
        return True
    return day_of(paid.paid_at, rules.day_offset) == day_of(now.wall, rules.day_offset)


def step(refund: Refund, event: Event, *, now: Now) -> tuple[Refund, tuple[Command, ...]]:
    """Take one step.

    Raises:
        IllegalTransition: the table has no such row; nothing was changed.
    """
    event = _judged(refund, event, now)
    row = find_row(TABLE, refund.state, event)
    asks_gateway = not GATEWAY_ASKS.isdisjoint(row.ask)
    after = _learn(refund, event, now)
    after = replace(after, state=row.to, token=after.token + asks_gateway)
    after = _arrange(refund.state, after, event, now, is_waiting=asks_gateway)
    return after, tuple(ask(after) for ask in row.ask)


def _judged(refund: Refund, event: Event, now: Now) -> Event:
    """Tell what an answer about the order means for this refund."""
    judged = _said(refund, event)
    is_recent = refund.unclear is not None and now.instant < later(refund.unclear, LATE_REQUEST)
    if isinstance(judged, RefundDenied) and is_recent:
        return RefundDoubted(facts=judged.facts, fault=judged.fault)
    return judged


def _said(refund: Refund, event: Event) -> Event:
    if refund.state is RefundState.REVOKING and isinstance(event, ReversalRefused) and _is_only_revoke(refund):
        return RevokeRefused(facts=event.facts, fault=event.fault)
    if refund.state is RefundState.CHECKING:
        return _checked(refund, event)
    if refund.state is RefundState.PROVING:
        return _proved(refund, event)
    return event


def _is_only_revoke(refund: Refund) -> bool:
    return refund.kind is RefundKind.REVOKE


def _checked(refund: Refund, event: Event) -> Event:
    """Judge what a query says after a revoke without a clear answer."""
    match event:
        case OrderClosed() | OrderReturned():
            return RefundAccounted(facts=event.facts, fault=event.fault)
        case OrderPaid() | OrderPartlyReturned() if _is_only_revoke(refund) and refund.refusal:
            return RefundDenied(facts=event.facts, fault=refund.fault)
        case OrderPartlyReturned():
            return RefundDenied(facts=event.facts) if _is_only_revoke(refund) else RefundTurn(left=_net(event, refund))
        case OrderErrored():
            return _errored(refund, event)
        case OrderPaid():
            return RefundMissing(facts=event.facts)
    return event


def _proved(refund: Refund, event: Event) -> Event:
    """Judge what a query says after a refund without a clear answer, or refused.

    It names the order's latest transaction, and what is left of the payment: either accounts for the refund (Web API
    documents, refund).
    """
    match event:
        case OrderClosed() | OrderReturned() | OrderPartlyReturned() if _accounts_for(event, refund):
            return RefundAccounted(facts=event.facts, fault=event.fault)
        case OrderErrored():
            return _errored(refund, event)
        case OrderPaid() | OrderPartlyReturned() if not refund.refusal or _asks_too_much(event, refund):
            return RefundMissing(facts=event.facts)
        case OrderPaid() | OrderPartlyReturned() if refund.is_owed or refund.refusal in _FOR_NOW:
            return RefundHeldUp(facts=event.facts, fault=refund.fault)
        case OrderPaid() | OrderPartlyReturned():
            return RefundDenied(facts=event.facts, fault=refund.fault)
    return event


def _errored(refund: Refund, event: OrderErrored) -> Event:
    """Judge an error of the gateway's own: the request is repeated, but not at once where it was refused (I11)."""
    is_revoking = refund.state is RefundState.CHECKING and not _is_only_revoke(refund)
    if is_revoking and refund.tries >= _MOST_REVOKES:
        return RefundTurn(left=refund.left)
    return OrderStuck(facts=event.facts, fault=event.fault) if refund.refusal else event


def _accounts_for(event: Answer, refund: Refund) -> bool:
    if not isinstance(event, OrderPartlyReturned):
        return True
    named = event.facts.client_tsn
    if named == f"{refund.client_sn}-{refund.request_no}":
        return True
    # Another refund that is named has taken as much by chance: ours is repeated, and carried out once in any case.
    is_another = named.startswith(f"{refund.client_sn}-")
    may_have_run = refund.unclear is not None and not is_another
    return may_have_run and event.facts.net_amount == refund.left - refund.amount


def _asks_too_much(event: Answer, refund: Refund) -> bool:
    """Whether all that is left was asked for, and somebody else has given back a part of it meanwhile."""
    return refund.kind is RefundKind.RETURN and _net(event, refund) < refund.amount


def _net(event: Answer, refund: Refund) -> Fen:
    net = event.facts.net_amount
    return refund.left if net is None else min(net, refund.left)


def _learn(refund: Refund, event: Event, now: Now) -> Refund:
    """Keep what the event says beside its type."""
    if isinstance(event, Turn):
        is_all = refund.kind is not RefundKind.REFUND
        refund = replace(refund, left=event.left, amount=event.left if is_all else refund.amount)
    if isinstance(event, Answer):
        refund = replace(refund, fault=event.fault or refund.fault)
    if isinstance(event, _REFUSALS):
        refund = replace(refund, refusal=event.fault.code if event.fault else "refused")
    if isinstance(event, _UNCLEAR) and refund.state in _UNDER_WAY:
        refund = replace(refund, unclear=now.instant)
    if isinstance(event, OrderStuck):
        # The next look decides anew: a repeat may be taken then.
        refund = replace(refund, refusal="")
    if isinstance(event, RefundMissing | RefundHeldUp) and refund.kind is RefundKind.RETURN:
        # Somebody else gave back a part meanwhile: the return is of what is left.
        left = _net(event, refund)
        refund = replace(refund, left=left, amount=left)
    code = _ATTENTION.get(type(event))
    if isinstance(event, RefundHeldUp):
        code = _held_up_by(refund.refusal)
    if code and not refund.attention and code not in refund.attention_closed:
        refund = replace(refund, attention=Attention(code=code, since=now.instant))
    return refund


def _held_up_by(refusal: str) -> str:
    if refusal in _FOR_NOW:
        return "merchant_balance"
    return "not_refundable" if refusal == "UPAY_TCP_ORDER_NOT_REFUNDABLE" else "refund_refused"


def _arrange(before: RefundState, after: Refund, event: Event, now: Now, *, is_waiting: bool) -> Refund:
    """Set what goes with the state that is entered, and when to ask next."""
    state = after.state
    if state.is_final:
        return replace(after, retry=None, attention=None, ended_at=now.wall)
    if state in _UNDER_WAY and is_waiting:
        return replace(after, retry=None, refusal="")
    if is_waiting or state is RefundState.QUEUED:
        return replace(after, retry=None)
    if state is RefundState.BLOCKED:
        wait = int(BLOCKED_RETRY * (1 + now.jitter / 2))
        return replace(after, retry=later(now.instant, wait)) if state is not before else after
    if not isinstance(event, Answer):
        return after
    return replace(after, retry=later(now.instant, retry_delay(after.tries, now.jitter)), tries=after.tries + 1)


def next_wakeup(refund: Refund) -> Wakeup | None:
    """Return the next moment at which this refund wants an event; None when it is final, or waits for its turn."""
    times = list[Wakeup]()
    if refund.retry is not None:
        times.append(Wakeup(at=refund.retry, event=RetryDue()))
    if _may_alarm(refund):
        times.append(Wakeup(at=later(refund.opened, REVERSAL_ATTENTION_AFTER), event=AttentionDue()))
    return min(times, key=lambda wakeup: wakeup.at, default=None)


def _may_alarm(refund: Refund) -> bool:
    is_told = refund.attention is not None or OPEN_TOO_LONG in refund.attention_closed
    return AttentionDue in TABLE[refund.state] and not is_told
