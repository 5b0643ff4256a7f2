"""What an answer about an order means for a refund of it: carried out, missing, refused, or not known yet."""

from terminald.core.events import (
    Answer,
    Event,
    Fault,
    OrderAbsent,
    OrderClosed,
    OrderErrored,
    OrderPaid,
    OrderPartlyReturned,
    OrderReturned,
    ReversalRefused,
)
from terminald.core.ids import Instant
from terminald.core.money import Fen
from terminald.core.refund_table import Refund, RefundKind, RefundState
from terminald.core.return_events import (
    OrderGone,
    OrderStuck,
    RefundAccounted,
    RefundDenied,
    RefundDoubted,
    RefundHeldUp,
    RefundMissing,
    RefundNeedless,
    RefundOvertaken,
    RefundTurn,
    RevokeLapsed,
    RevokeRefused,
)
from terminald.core.schedule import LATE_REQUEST, Now, later

#: The merchant's balance fills up again: a refusal that passes.
FOR_NOW = frozenset({"ACCOUNT_BALANCE_NOT_ENOUGH", "SELLER_BALANCE_NOT_ENOUGH"})
#: In place of the code that refused a repeat which the gateway did not look at (its signature, its fields), where an
#: earlier try may have been carried out.
UNHEARD = "unheard"
#: The same, where the gateway did not know the order any more: an earlier try may have been carried out before.
LOST = "order_lost"
#: The same, where the gateway's error was its last word about a revoke that can not be repeated any more.
ERRORED = "order_errored"
#: Why what was asked for is not possible any more: our own words beside the gateway's codes.
ALREADY_RETURNED = "already_returned"
LESS_LEFT = "refund_too_much"
DAY_OVER = "business_day_over"
GOODS_OUT = "goods_delivered"
OWN_REFUSALS = frozenset({ALREADY_RETURNED, LESS_LEFT, DAY_OVER, GOODS_OUT})
GOODS_ARE_OUT = Fault(code=GOODS_OUT, message="the goods were reported after all, before any of the money had moved")
ALL_IS_BACK = Fault(
    code=ALREADY_RETURNED, message="all of the payment has gone back by another refund; this one moved no money"
)
DAY_IS_OVER = Fault(code=DAY_OVER, message="the gateway's day of this payment is over; it is not revoked any more")
#: Ended without an answer, as what is owed goes back by a refund: which request moved the money the gateway knows.
REPLACED = "revoke_replaced"
IS_REPLACED = Fault(
    code=REPLACED, message="what is owed goes back by a refund in place of this revoke; once in any case"
)
#: So many revokes may end in an error before the money is refunded instead.
_MOST_REVOKES = 4


def less_is_left(left: Fen) -> Fault:
    """Return why more than what is left can not go back."""
    return Fault(code=LESS_LEFT, message=f"another refund was first; only {left} fen are left; this one moved no money")


def doubt_ends(refund: Refund) -> Instant:
    """Return until when a refusal is not believed: an earlier try without a clear answer may still arrive."""
    return refund.opened if refund.unclear is None else later(refund.unclear, LATE_REQUEST)


def is_lost(refund: Refund, now: Now) -> bool:
    """Whether what the gateway does not know has been looked for as long as a request may be on its way."""
    since = refund.opened if refund.unclear is None else refund.unclear
    return now.instant >= later(since, LATE_REQUEST)


def may_have_moved(refund: Refund) -> bool:
    """Whether a refund that waits for its turn may have been carried out: its order did not tell."""
    return refund.refusal in (LOST, ERRORED)


def is_doubted(refund: Refund, now: Now) -> bool:
    """Whether a refusal proves nothing yet."""
    return now.instant < doubt_ends(refund)


def judged(refund: Refund, event: Event, now: Now) -> Event:
    """Tell what an answer about the order means for this refund."""
    said = _said(refund, event, now)
    # What is held up is taken for not moved as well: others may overtake it.
    is_refusal = isinstance(said, RefundDenied | RefundOvertaken | RefundNeedless | RefundHeldUp | RevokeLapsed)
    # What was refused as too much goes out again for the rest: not while all of it may have been carried out (I9).
    is_other_amount = (
        isinstance(said, RefundMissing) and refund.kind is RefundKind.REFUND and asks_too_much(said, refund)
    )
    if isinstance(said, Answer) and (is_refusal or is_other_amount) and is_doubted(refund, now):
        return RefundDoubted(facts=said.facts, fault=said.fault)
    return said


def left_by(event: Answer, refund: Refund) -> Fen:
    """Return what is left of the payment by this answer."""
    net = event.facts.net_amount
    return refund.left if net is None else min(net, refund.left)


def asks_too_much(event: Answer, refund: Refund) -> bool:
    """Whether a refused refund was of more than what is left, as somebody else has given back a part.

    The rest will do, where all that is left is to go back, or a part is owed.
    """
    takes_the_rest = refund.kind is RefundKind.RETURN or refund.is_owed
    return takes_the_rest and _is_refused(event, refund) and left_by(event, refund) < refund.amount


def _is_refused(event: Answer, refund: Refund) -> bool:
    """Whether the gateway's refusal, together with what the order shows, means that no try was carried out.

    The gateway answers a repeat as it did the try that it carried out, so that its refusal is one of every try: not
    where it did not look at the repeat. Then the order decides: it has more left than a refund would have left.
    """
    if refund.refusal != UNHEARD:
        return refund.refusal != ""
    net = event.facts.net_amount
    return isinstance(event, OrderPaid) if net is None else refund.left - net < refund.amount


def _said(refund: Refund, event: Event, now: Now) -> Event:
    if refund.state is RefundState.REVOKING and isinstance(event, ReversalRefused) and _is_only_revoke(refund):
        return RevokeRefused(facts=event.facts, fault=event.fault)
    is_asked = refund.state in (RefundState.CHECKING, RefundState.PROVING)
    if is_asked and isinstance(event, OrderAbsent) and is_lost(refund, now):
        return OrderGone(facts=event.facts, fault=event.fault)
    if refund.state is RefundState.CHECKING:
        return _checked(refund, event, now)
    if refund.state is RefundState.PROVING:
        return _proved(refund, event)
    return event


def _is_only_revoke(refund: Refund) -> bool:
    return refund.kind is RefundKind.REVOKE


# --- a revoke --------------------------------------------------------------------------------------------------------


def _checked(refund: Refund, event: Event, now: Now) -> Event:
    """Judge what a query says after a revoke without a clear answer."""
    is_past = refund.revoke_until is not None and now.is_trusted and now.wall >= refund.revoke_until
    # It was known once, whatever the clock is worth since.
    is_day_over = is_past or refund.refusal == ERRORED
    match event:
        case OrderClosed() | OrderReturned():
            return RefundAccounted(facts=event.facts, fault=event.fault)
        case OrderErrored():
            return _errored(refund, event, is_day_over=is_day_over)
        case OrderPaid() | OrderPartlyReturned() if _is_only_revoke(refund):
            return _not_revoked(refund, event, is_day_over=is_day_over)
        case OrderPartlyReturned():
            return RefundTurn(left=left_by(event, refund))
        case OrderPaid():
            return RefundTurn(left=refund.left) if is_day_over else RefundMissing(facts=event.facts)
    return event


def _not_revoked(refund: Refund, event: Answer, *, is_day_over: bool) -> Event:
    """Judge that the order stands, where nothing but a revoke was asked for."""
    if refund.refusal not in ("", ERRORED):
        return RefundDenied(facts=event.facts, fault=refund.fault)
    if isinstance(event, OrderPartlyReturned):
        return RefundDenied(facts=event.facts, fault=less_is_left(left_by(event, refund)))
    if is_day_over:
        return RefundDenied(facts=event.facts, fault=DAY_IS_OVER)
    return RefundMissing(facts=event.facts)


# --- a refund --------------------------------------------------------------------------------------------------------


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
        case OrderClosed() | OrderReturned() if _is_refused(event, refund):
            kind = RefundNeedless if refund.is_owed else RefundOvertaken
            return kind(facts=event.facts, fault=ALL_IS_BACK)
        case OrderClosed() | OrderReturned():
            return RefundMissing(facts=event.facts)
        case OrderPaid() | OrderPartlyReturned():
            return _not_refunded(refund, event)
    return event


def _not_refunded(refund: Refund, event: Answer) -> Event:
    """Judge that the order does not show the refund, and that something is left."""
    if not _is_refused(event, refund) or asks_too_much(event, refund):
        return RefundMissing(facts=event.facts)
    if refund.is_owed or refund.refusal in FOR_NOW or refund.refusal == UNHEARD:
        return RefundHeldUp(facts=event.facts, fault=refund.fault)
    return RefundDenied(facts=event.facts, fault=refund.fault)


def _accounts_for(event: Answer, refund: Refund) -> bool:
    if not isinstance(event, OrderPartlyReturned) and refund.amount >= refund.left:
        # All that was left was to go back, and nothing is left.
        return True
    named = event.facts.client_tsn
    if named == f"{refund.client_sn}-{refund.request_no}":
        return True
    # Another refund that is named has taken as much by chance: ours is repeated, and carried out once in any case.
    is_another = named.startswith(f"{refund.client_sn}-")
    may_have_run = refund.unclear is not None and not is_another
    return may_have_run and event.facts.net_amount == refund.left - refund.amount


# --- either ----------------------------------------------------------------------------------------------------------


def _errored(refund: Refund, event: OrderErrored, *, is_day_over: bool = False) -> Event:
    """Judge an error of the gateway's own: the request is repeated, but not at once where it was refused (I11).

    A revoke is not repeated on another day. Where nothing else was asked for it waits then, and others have their turn.
    """
    is_revoking = refund.state is RefundState.CHECKING and not _is_only_revoke(refund)
    if is_revoking and (refund.tries >= _MOST_REVOKES or is_day_over):
        return RefundTurn(left=refund.left)
    if is_day_over:
        return RevokeLapsed(facts=event.facts, fault=event.fault)
    return OrderStuck(facts=event.facts, fault=event.fault) if refund.refusal else event
