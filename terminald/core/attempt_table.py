"""One order at the gateway: submitted once, followed until its end is proven, undone when nobody wants it.

Rules that the table obeys:

- A submit is asked for by creating the attempt, or by the one row that leaves ``held``. No row leads back to ``held``:
  it can not happen twice (I2).
- A code is held while another order of its sale is not proven unpaid (I1). It is in memory only: a restart drops it.
- Whatever is not understood leaves the attempt open; only a proof closes it (I5).
- ``paid`` is entered on the gateway's word alone (I4); every other way out has kept no money (I3).
- An order that was undone without ever having been seen is looked up again: a delayed request may still arrive (I3).
- That the gateway does not know an order proves nothing once it has confirmed it (I1, I3).
- A QR that ends, or yields to a presented code, is asked about before it is undone: a payment until its end counts, and
  a cancel would give it back. Where the host cancels, at a shutdown and after a power cut it is undone at once.
- A QR that yields is paid all the same, where it was paid between the question and the cancel, as long as no cancel may
  still undo it: one at the most was sent, and it was clearly refused (I4).
- While a submit is under way nothing else is sent about its order.
- After a restart there are queries and repeats that change nothing when they are repeated, never a submit.

The token counts the commands of an attempt. The completion of any but the last one is stale, and is dropped before it
reaches the table: the question was asked again, or did not matter any more.
"""

from collections.abc import Mapping

from terminald.core.attempt_states import FINAL, UNPAID, Attempt, AttemptState
from terminald.core.commands import Command, QueryOrder, RefundOrder, ReverseOrder, SubmitHeld, TellSale
from terminald.core.events import (
    AbandonRequested,
    AnswerMismatched,
    AttemptEvent,
    AttemptOffered,
    AttemptPaid,
    AttemptRefused,
    AttemptReversing,
    AttemptUnpaid,
    AttentionDue,
    Event,
    HoldEnded,
    LastLookDue,
    LookDue,
    OfferExpired,
    OrderAbsent,
    OrderClosed,
    OrderErrored,
    OrderPaid,
    OrderPartlyReturned,
    OrderPending,
    OrderReturned,
    OrderVanished,
    OutcomePending,
    OutcomeUnknown,
    PayConfirmed,
    PayDeclined,
    PaymentNotSeen,
    PaymentStands,
    PollDue,
    PollWindowClosed,
    PowerReturned,
    QrOffered,
    QueryFailed,
    Recovered,
    RefundConfirmed,
    RefundPending,
    RefundRefused,
    RequestNotSent,
    RequestRefused,
    RetryDue,
    ReversalConfirmed,
    ReversalPending,
    ReversalRefused,
    WayCleared,
    YieldRequested,
)
from terminald.core.tables import Row, Table

__all__ = ["FINAL", "GATEWAY_ASKS", "TABLE", "UNDO_REQUEST_NO", "UNPAID", "Attempt", "AttemptState"]

#: The number under which an attempt's money is refunded where a cancel is refused. One number, however often it is
#: repeated (I9). "≤ 20, unique within the order" (Web API documents, refund_request_no).
UNDO_REQUEST_NO = "undo"


# --- what rows ask for -----------------------------------------------------------------------------------------------


def _query(attempt: Attempt) -> Command:
    return QueryOrder(client_sn=attempt.client_sn, token=attempt.token, amount=attempt.amount)


def _reverse(attempt: Attempt) -> Command:
    return ReverseOrder(client_sn=attempt.client_sn, token=attempt.token, amount=attempt.amount)


def _submit_held(attempt: Attempt) -> Command:
    return SubmitHeld(client_sn=attempt.client_sn, token=attempt.token, amount=attempt.amount)


def _refund(attempt: Attempt) -> Command:
    return RefundOrder(
        client_sn=attempt.client_sn,
        token=attempt.token,
        amount=attempt.amount,
        request_no=UNDO_REQUEST_NO,
        refund_amount=attempt.facts.net_amount or attempt.amount,
        operator=attempt.operator,
    )


def _tell(attempt: Attempt, kind: type[AttemptEvent], reason: str) -> Command:
    return TellSale(sale_id=attempt.sale_id, event=kind(client_sn=attempt.client_sn, reason=reason))


def _paid(attempt: Attempt) -> Command:
    return _tell(attempt, AttemptPaid, "")


def _offered(attempt: Attempt) -> Command:
    return _tell(attempt, AttemptOffered, "")


def _declined(attempt: Attempt) -> Command:
    return _tell(attempt, AttemptUnpaid, "declined")


def _unsent(attempt: Attempt) -> Command:
    return _tell(attempt, AttemptUnpaid, "gateway_unreachable")


def _refused(attempt: Attempt) -> Command:
    return _tell(attempt, AttemptRefused, "terminal_refused")


def _given_up(attempt: Attempt) -> Command:
    """Tell why: the customer took too long, or nobody could ask the gateway."""
    return _tell(attempt, AttemptReversing, "gateway_unreachable" if attempt.is_unanswered else "expired")


def _undone(attempt: Attempt) -> Command:
    return _tell(attempt, AttemptUnpaid, "")


# --- the table -------------------------------------------------------------------------------------------------------

_S = AttemptState

#: It is at the gateway after all, or still is.
_FOUND: Mapping[type[Event], Row[AttemptState, Attempt]] = {
    OrderPaid: Row(_S.REVERSING, (_reverse,)),
    OrderPending: Row(_S.REVERSING, (_reverse,)),
    OrderErrored: Row(_S.REVERSING, (_reverse,)),
    OrderPartlyReturned: Row(_S.REFUNDING, (_refund,)),
}

TABLE: Table[AttemptState, Attempt] = {
    _S.HELD: {
        WayCleared: Row(_S.SUBMITTING, (_submit_held,)),
        HoldEnded: Row(_S.UNSENT, (_undone,)),
        AbandonRequested: Row(_S.UNSENT),
        Recovered: Row(_S.UNSENT, (_undone,)),
        PowerReturned: Row(_S.UNSENT, (_undone,)),
    },
    _S.SUBMITTING: {
        PayConfirmed: Row(_S.PAID, (_paid,)),
        PayDeclined: Row(_S.DECLINED, (_declined,)),
        RequestRefused: Row(_S.DECLINED, (_refused,)),
        RequestNotSent: Row(_S.UNSENT, (_unsent,)),
        OutcomePending: Row(_S.POLLING),
        OutcomeUnknown: Row(_S.POLLING, (_query,)),
        AnswerMismatched: Row(_S.POLLING, (_query,)),
        AbandonRequested: Row(_S.ABANDONING),
        Recovered: Row(_S.POLLING, (_query,)),
        PowerReturned: Row(_S.POLLING, (_query,)),
    },
    _S.OFFERING: {
        QrOffered: Row(_S.OFFERED, (_offered,)),
        PayDeclined: Row(_S.DECLINED, (_declined,)),
        RequestRefused: Row(_S.DECLINED, (_refused,)),
        RequestNotSent: Row(_S.UNSENT, (_unsent,)),
        # Its QR is unknown: nobody can be shown it.
        OutcomeUnknown: Row(_S.REVERSING, (_reverse,)),
        AnswerMismatched: Row(_S.REVERSING, (_reverse,)),
        AbandonRequested: Row(_S.ABANDONING),
        Recovered: Row(_S.REVERSING, (_reverse,)),
        PowerReturned: Row(_S.REVERSING, (_reverse,)),
    },
    _S.OFFERED: {
        PollDue: Row(_S.OFFERED, (_query,)),
        OrderPaid: Row(_S.PAID, (_paid,)),
        OrderClosed: Row(_S.DECLINED, (_declined,)),
        OrderReturned: Row(_S.REVERSED, (_declined,)),
        OrderPartlyReturned: Row(_S.REFUNDING, (_refund, _given_up)),
        OrderPending: Row(_S.OFFERED),
        OrderErrored: Row(_S.OFFERED),
        OrderAbsent: Row(_S.OFFERED),
        AnswerMismatched: Row(_S.OFFERED),
        QueryFailed: Row(_S.OFFERED),
        AbandonRequested: Row(_S.REVERSING, (_reverse,)),
        # It may have been paid since the last look: a cancel would give that money back.
        OfferExpired: Row(_S.POLLING, (_query,)),
        YieldRequested: Row(_S.POLLING, (_query,)),
        Recovered: Row(_S.OFFERED, (_query,)),
        PowerReturned: Row(_S.OFFERED, (_query,)),
    },
    _S.ABANDONING: {
        QrOffered: Row(_S.REVERSING, (_reverse,)),
        PayConfirmed: Row(_S.REVERSING, (_reverse,)),
        PayDeclined: Row(_S.DECLINED, (_undone,)),
        RequestRefused: Row(_S.DECLINED, (_undone,)),
        RequestNotSent: Row(_S.UNSENT, (_undone,)),
        OutcomePending: Row(_S.REVERSING, (_reverse,)),
        OutcomeUnknown: Row(_S.REVERSING, (_reverse,)),
        AnswerMismatched: Row(_S.REVERSING, (_reverse,)),
        AbandonRequested: Row(_S.ABANDONING),
        Recovered: Row(_S.REVERSING, (_reverse,)),
        PowerReturned: Row(_S.REVERSING, (_reverse,)),
    },
    _S.POLLING: {
        PollDue: Row(_S.POLLING, (_query,)),
        OrderPaid: Row(_S.PAID, (_paid,)),
        OrderClosed: Row(_S.DECLINED, (_declined,)),
        OrderReturned: Row(_S.REVERSED, (_declined,)),
        OrderPartlyReturned: Row(_S.REFUNDING, (_refund, _given_up)),
        OrderPending: Row(_S.POLLING),
        OrderErrored: Row(_S.POLLING),
        OrderAbsent: Row(_S.POLLING),
        AnswerMismatched: Row(_S.POLLING),
        QueryFailed: Row(_S.POLLING),
        PollWindowClosed: Row(_S.REVERSING, (_reverse, _given_up)),
        AbandonRequested: Row(_S.REVERSING, (_reverse,)),
        PaymentNotSeen: Row(_S.REVERSING, (_reverse, _given_up)),
        OfferExpired: Row(_S.POLLING),
        YieldRequested: Row(_S.POLLING),
        Recovered: Row(_S.POLLING, (_query,)),
        PowerReturned: Row(_S.POLLING, (_query,)),
    },
    _S.REVERSING: {
        ReversalConfirmed: Row(_S.REVERSED, (_undone,)),
        OrderAbsent: Row(_S.WATCHING, (_undone,)),
        OrderVanished: Row(_S.PROVING),
        ReversalPending: Row(_S.PROVING),
        OutcomeUnknown: Row(_S.PROVING),
        AnswerMismatched: Row(_S.PROVING),
        RequestNotSent: Row(_S.PROVING),
        RequestRefused: Row(_S.PROVING),
        ReversalRefused: Row(_S.SETTLING),
        AbandonRequested: Row(_S.REVERSING),
        AttentionDue: Row(_S.REVERSING),
        Recovered: Row(_S.REVERSING, (_reverse,)),
        PowerReturned: Row(_S.REVERSING, (_reverse,)),
    },
    _S.PROVING: {
        RetryDue: Row(_S.PROVING, (_query,)),
        OrderClosed: Row(_S.REVERSED, (_undone,)),
        OrderReturned: Row(_S.REVERSED, (_undone,)),
        OrderAbsent: Row(_S.WATCHING, (_undone,)),
        OrderVanished: Row(_S.REVERSING, (_reverse,)),
        PaymentStands: Row(_S.PAID, (_paid,)),
        **_FOUND,
        AnswerMismatched: Row(_S.REVERSING, (_reverse,)),
        QueryFailed: Row(_S.PROVING),
        AbandonRequested: Row(_S.PROVING),
        AttentionDue: Row(_S.PROVING),
        Recovered: Row(_S.PROVING, (_query,)),
        PowerReturned: Row(_S.PROVING, (_query,)),
    },
    _S.SETTLING: {
        RetryDue: Row(_S.SETTLING, (_query,)),
        OrderClosed: Row(_S.REVERSED, (_undone,)),
        OrderReturned: Row(_S.REVERSED, (_undone,)),
        OrderAbsent: Row(_S.WATCHING, (_undone,)),
        OrderVanished: Row(_S.SETTLING),
        PaymentStands: Row(_S.PAID, (_paid,)),
        OrderPaid: Row(_S.REFUNDING, (_refund,)),
        OrderPartlyReturned: Row(_S.REFUNDING, (_refund,)),
        OrderPending: Row(_S.REVERSING, (_reverse,)),
        OrderErrored: Row(_S.REFUNDING, (_refund,)),
        AnswerMismatched: Row(_S.SETTLING),
        QueryFailed: Row(_S.SETTLING),
        AbandonRequested: Row(_S.SETTLING),
        AttentionDue: Row(_S.SETTLING),
        Recovered: Row(_S.SETTLING, (_query,)),
        PowerReturned: Row(_S.SETTLING, (_query,)),
    },
    _S.REFUNDING: {
        RefundConfirmed: Row(_S.REVERSED, (_undone,)),
        RefundPending: Row(_S.SETTLING),
        # What can not be refunded may never have been paid, whatever the cancel was refused for.
        RefundRefused: Row(_S.PROVING),
        OutcomeUnknown: Row(_S.SETTLING),
        AnswerMismatched: Row(_S.SETTLING),
        RequestNotSent: Row(_S.SETTLING),
        RequestRefused: Row(_S.SETTLING),
        OrderAbsent: Row(_S.SETTLING),
        AbandonRequested: Row(_S.REFUNDING),
        AttentionDue: Row(_S.REFUNDING),
        Recovered: Row(_S.SETTLING, (_query,)),
        PowerReturned: Row(_S.SETTLING, (_query,)),
    },
    _S.WATCHING: {
        LookDue: Row(_S.WATCHING, (_query,)),
        LastLookDue: Row(_S.LAST_LOOK, (_query,)),
        OrderAbsent: Row(_S.WATCHING),
        QueryFailed: Row(_S.WATCHING),
        OrderClosed: Row(_S.REVERSED),
        OrderReturned: Row(_S.REVERSED),
        **_FOUND,
        AnswerMismatched: Row(_S.REVERSING, (_reverse,)),
        AbandonRequested: Row(_S.WATCHING),
        Recovered: Row(_S.WATCHING, (_query,)),
        PowerReturned: Row(_S.WATCHING, (_query,)),
    },
    _S.LAST_LOOK: {
        RetryDue: Row(_S.LAST_LOOK, (_query,)),
        OrderAbsent: Row(_S.REVERSED),
        QueryFailed: Row(_S.LAST_LOOK),
        OrderClosed: Row(_S.REVERSED),
        OrderReturned: Row(_S.REVERSED),
        **_FOUND,
        AnswerMismatched: Row(_S.REVERSING, (_reverse,)),
        AbandonRequested: Row(_S.LAST_LOOK),
        Recovered: Row(_S.LAST_LOOK, (_query,)),
        PowerReturned: Row(_S.LAST_LOOK, (_query,)),
    },
    _S.PAID: {},
    # Closed unpaid, and a query that somebody asked for says otherwise.
    _S.DECLINED: _FOUND,
    _S.REVERSED: _FOUND,
    _S.UNSENT: {},
}

#: What is asked of the gateway: a completion will come.
GATEWAY_ASKS = frozenset({_submit_held, _query, _reverse, _refund})
