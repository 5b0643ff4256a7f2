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
- While a submit is under way nothing else is sent about its order.
- After a restart there are queries and repeats that change nothing when they are repeated, never a submit.

The token counts the commands of an attempt. The completion of any but the last one is stale, and is dropped before it
reaches the table: the question was asked again, or did not matter any more.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

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
    Fault,
    HoldEnded,
    LastLookDue,
    LookDue,
    OfferExpired,
    OrderAbsent,
    OrderClosed,
    OrderErrored,
    OrderFacts,
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
from terminald.core.ids import ClientSn, Instant, SaleId, WallTime
from terminald.core.money import Fen
from terminald.core.tables import Attention, Row, Table

#: The number under which an attempt's money is refunded where a cancel is refused. One number, however often it is
#: repeated (I9). "≤ 20, unique within the order" (Web API documents, refund_request_no).
UNDO_REQUEST_NO = "undo"


class AttemptState(Enum):
    """Each with the money that may have moved, and what the customer sees."""

    HELD = "held"  # none: nothing was sent; waits until another order is undone. "One moment"
    SUBMITTING = "submitting"  # unknown: the pay request may have left. "One moment"
    ABANDONING = "abandoning"  # unknown: as above, and nobody wants it any more. "Not paid"
    OFFERING = "offering"  # unknown: the pre-create may have left. "One moment"
    OFFERED = "offered"  # unknown: the customer may scan at any time. The QR
    POLLING = "polling"  # unknown: the gateway has it, or nobody knows; a QR: was it paid? "Confirm on your phone"
    REVERSING = "reversing"  # unknown: a cancel may have run. "If you were charged it comes back"
    PROVING = "proving"  # unknown: a cancel had no clear answer, or a refund was refused; a query decides. As above
    SETTLING = "settling"  # unknown: cancel refused, or a refund had no clear answer; a query decides. As above
    REFUNDING = "refunding"  # taken, and on its way back. As above
    WATCHING = "watching"  # none that the gateway knows of; could still arrive. As when closed
    LAST_LOOK = "last_look"  # the same, before it is closed for good. As when closed
    PAID = "paid"  # taken, proven
    DECLINED = "declined"  # none, proven
    REVERSED = "reversed"  # none kept, proven; or never seen and looked up for long enough
    UNSENT = "unsent"  # none: nothing left the device

    @property
    def is_final(self) -> bool:
        """Whether nothing more will happen by itself."""
        return self in FINAL

    @property
    def is_unpaid(self) -> bool:
        """Whether no payment is known and none is under way: the next attempt may be submitted (I1)."""
        return self in UNPAID


FINAL = frozenset({AttemptState.PAID, AttemptState.DECLINED, AttemptState.REVERSED, AttemptState.UNSENT})
UNPAID = frozenset((FINAL - {AttemptState.PAID}) | {AttemptState.WATCHING, AttemptState.LAST_LOOK})


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """A snapshot. Complete: what happens next follows from it and the next event alone."""

    client_sn: ClientSn
    sale_id: SaleId
    kind: str  # "scan" | "qr"
    amount: Fen
    operator: str
    code_masked: str
    code_digest: str
    state: AttemptState
    token: int
    facts: OrderFacts
    fault: Fault | None
    started: Instant
    started_at: WallTime
    ended_at: WallTime | None
    #: When the gateway should have become final.
    window_ends: Instant
    #: When to ask again; None while a completion is awaited.
    retry: Instant | None
    #: Waits since the undoing or the last look began: what the back-off grows with.
    tries: int
    #: Whether the last request had no usable answer.
    is_unanswered: bool
    undoing_since: Instant | None
    looks: tuple[Instant, ...]
    attention: Attention | None
    #: What the customer scans; empty but in a QR order that was offered.
    qr_content: str = ""
    #: The codes of what a person has closed: they are not raised again.
    attention_closed: tuple[str, ...] = ()


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
