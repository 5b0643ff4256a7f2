"""Money that goes back from a paid sale: one revoke or refund at the gateway, under one number, until it is proven.

Rules that the table obeys:

- One request about an order's money is under way at a time: the others are ``queued`` until their turn comes.
- The request number is fixed when the refund is recorded; every repeat carries it, and the gateway carries it out once
  (I9).
- ``done`` is entered on a proof: the gateway's own word, or the order's state. ``refused`` is entered only when the
  order's state shows that nothing was moved after the gateway had refused: an earlier try may have been carried out,
  and one without a clear answer is given the time to arrive late. What was asked for and others have overtaken, so that
  less is left than it asks for, is ``refused`` without being sent: it has moved nothing by itself.
- ``blocked`` is entered on the same proof, and after the same time; or where the gateway does not know the order any
  more. That proves nothing: it is asked about the order before it tries again, and a person may give it up.
- A repeat that the gateway did not look at (its signature, its fields) says nothing of an earlier try without a clear
  answer. It goes out again, for the same amount, until the gateway looks at it, or until the order has more left than
  the refund would have left: then it is ``blocked``, and told to a person.
- A return of all that is left begins with a revoke where the business day allows it (no fee), and goes on as a refund
  where the gateway refuses that.
- A revoke is sent on the gateway's business day alone, where that is known.
- What is owed (goods that did not come out) is never ``refused``: it is ``blocked``, tried again, and told to a person.
  Of what is owed and more than what is left, the rest goes back. Where nobody had reported the goods, and they came out
  after all, nothing is owed any more: what has not moved stays.
"""

from dataclasses import dataclass
from enum import Enum

from terminald.core.commands import Command, EnqueuePrint, QueryOrder, RefundOrder, RevokeOrder, TellSale
from terminald.core.events import (
    AnswerMismatched,
    AttentionDue,
    Fault,
    OrderAbsent,
    OrderErrored,
    OrderPending,
    OutcomeUnknown,
    PowerReturned,
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
)
from terminald.core.ids import ClientSn, Instant, RefundId, SaleId, WallTime
from terminald.core.money import Fen
from terminald.core.return_events import (
    AllReturned,
    ClosedByHand,
    LookTurn,
    NothingLeft,
    OrderGone,
    OrderStuck,
    RefundAccounted,
    RefundClosed,
    RefundDenied,
    RefundDone,
    RefundDoubted,
    RefundEvent,
    RefundFailed,
    RefundHeldUp,
    RefundMissing,
    RefundNeedless,
    RefundOvertaken,
    RefundTurn,
    ReturnCalledOff,
    RevokeLapsed,
    RevokeLookTurn,
    RevokeRefused,
    RevokeTurn,
    TurnMissed,
)
from terminald.core.tables import Attention, Row, Table


class RefundKind(Enum):
    """What was asked for."""

    REFUND = "refund"  # an amount
    REVOKE = "revoke"  # the whole payment, without a fee, or nothing
    RETURN = "return"  # all that is left: revoked where that is possible, else refunded


class RefundState(Enum):
    """Each with the money that may have moved."""

    QUEUED = "requested"  # none: another request about this order is under way
    REVOKING = "revoking"  # unknown: a revoke is under way
    CHECKING = "checking"  # unknown: a revoke had no clear answer; a query decides
    REFUNDING = "refunding"  # unknown: a refund is under way
    PROVING = "proving"  # unknown: a refund had no clear answer, or a refusal; a query decides
    BLOCKED = "blocked"  # none: the gateway refuses for now; unknown where its order does not tell
    DONE = "done"  # gone back, proven
    REFUSED = "refused"  # none by this one: the gateway does not do it, others were first, or the goods came out
    CLOSED = "closed"  # whatever a person says

    @property
    def is_final(self) -> bool:
        """Whether nothing more will happen."""
        return self in FINAL

    @property
    def is_asking(self) -> bool:
        """Whether a request that moves money is under way, or its outcome is not known."""
        return self not in FINAL and self not in (RefundState.QUEUED, RefundState.BLOCKED)


FINAL = frozenset({RefundState.DONE, RefundState.REFUSED, RefundState.CLOSED})


@dataclass(frozen=True, slots=True, kw_only=True)
class Refund:
    """A snapshot. Complete: what happens next follows from it and the next event alone."""

    id: RefundId
    sale_id: SaleId
    #: The paid order.
    client_sn: ClientSn
    order_amount: Fen
    #: The host's name for it, unique within the sale.
    reference: str
    kind: RefundKind
    amount: Fen
    #: What was left of the payment when its turn came: what the order's state is compared with.
    left: Fen
    #: "≤ 20, unique within the order" (Web API documents, refund_request_no).
    request_no: str
    operator: str
    #: Whether the money is owed: then a refusal of the gateway is not the end.
    is_owed: bool
    state: RefundState
    token: int
    fault: Fault | None
    #: The code with which the gateway refused the last request, or that it says nothing; empty when it did not refuse.
    refusal: str
    opened: Instant
    opened_at: WallTime
    ended_at: WallTime | None
    retry: Instant | None
    tries: int
    attention: Attention | None
    #: The codes of what a person has closed: they are not raised again.
    attention_closed: tuple[str, ...] = ()
    #: When a request that moves money was last left without a clear answer.
    unclear: Instant | None = None
    #: When the gateway's day ends on which it revokes the payment; None where that is not known, or not asked for.
    revoke_until: WallTime | None = None


# --- what rows ask for -----------------------------------------------------------------------------------------------


def _query(refund: Refund) -> Command:
    return QueryOrder(client_sn=refund.client_sn, token=refund.token, amount=refund.order_amount, refund_id=refund.id)


def _revoke(refund: Refund) -> Command:
    return RevokeOrder(client_sn=refund.client_sn, token=refund.token, amount=refund.order_amount, refund_id=refund.id)


def _refund(refund: Refund) -> Command:
    return RefundOrder(
        client_sn=refund.client_sn,
        token=refund.token,
        amount=refund.order_amount,
        refund_id=refund.id,
        request_no=refund.request_no,
        refund_amount=refund.amount,
        operator=refund.operator,
    )


def _tell(refund: Refund, kind: type[RefundEvent]) -> Command:
    return TellSale(sale_id=refund.sale_id, event=kind(refund_id=refund.id, amount=refund.amount))


def _done(refund: Refund) -> Command:
    return _tell(refund, RefundDone if refund.kind is RefundKind.REFUND else AllReturned)


def _print(refund: Refund) -> Command:
    return EnqueuePrint(sale_id=refund.sale_id, slip="refund", about=refund.id)


def _failed(refund: Refund) -> Command:
    return _tell(refund, RefundFailed)


def _closed(refund: Refund) -> Command:
    return _tell(refund, RefundClosed)


# --- the table -------------------------------------------------------------------------------------------------------

_S = RefundState

TABLE: Table[RefundState, Refund] = {
    _S.QUEUED: {
        RevokeTurn: Row(_S.REVOKING, (_revoke,)),
        RefundTurn: Row(_S.REFUNDING, (_refund,)),
        LookTurn: Row(_S.PROVING, (_query,)),
        RevokeLookTurn: Row(_S.CHECKING, (_query,)),
        NothingLeft: Row(_S.DONE, (_done,)),
        TurnMissed: Row(_S.REFUSED, (_failed,)),
        ReturnCalledOff: Row(_S.REFUSED, (_failed,)),
        ClosedByHand: Row(_S.CLOSED, (_closed,)),
        AttentionDue: Row(_S.QUEUED),
        Recovered: Row(_S.QUEUED),
        PowerReturned: Row(_S.QUEUED),
    },
    _S.REVOKING: {
        ReversalConfirmed: Row(_S.DONE, (_done, _print)),
        ReversalRefused: Row(_S.REFUNDING, (_refund,)),
        RevokeRefused: Row(_S.CHECKING, (_query,)),
        ReversalPending: Row(_S.CHECKING),
        OutcomeUnknown: Row(_S.CHECKING),
        AnswerMismatched: Row(_S.CHECKING),
        RequestNotSent: Row(_S.CHECKING),
        RequestRefused: Row(_S.CHECKING),
        OrderAbsent: Row(_S.CHECKING),
        AttentionDue: Row(_S.REVOKING),
        Recovered: Row(_S.CHECKING, (_query,)),
        PowerReturned: Row(_S.CHECKING, (_query,)),
    },
    _S.CHECKING: {
        RetryDue: Row(_S.CHECKING, (_query,)),
        RefundAccounted: Row(_S.DONE, (_done, _print)),
        RefundMissing: Row(_S.REVOKING, (_revoke,)),
        RefundTurn: Row(_S.REFUNDING, (_refund,)),
        RefundDenied: Row(_S.REFUSED, (_failed,)),
        RefundDoubted: Row(_S.CHECKING),
        OrderErrored: Row(_S.REVOKING, (_revoke,)),
        OrderStuck: Row(_S.CHECKING),
        RevokeLapsed: Row(_S.BLOCKED),
        OrderGone: Row(_S.BLOCKED),
        OrderPending: Row(_S.CHECKING),
        OrderAbsent: Row(_S.CHECKING),
        AnswerMismatched: Row(_S.CHECKING),
        QueryFailed: Row(_S.CHECKING),
        AttentionDue: Row(_S.CHECKING),
        Recovered: Row(_S.CHECKING, (_query,)),
        PowerReturned: Row(_S.CHECKING, (_query,)),
    },
    _S.REFUNDING: {
        RefundConfirmed: Row(_S.DONE, (_done, _print)),
        RefundPending: Row(_S.PROVING),
        RefundRefused: Row(_S.PROVING, (_query,)),
        OutcomeUnknown: Row(_S.PROVING),
        AnswerMismatched: Row(_S.PROVING),
        RequestNotSent: Row(_S.PROVING),
        RequestRefused: Row(_S.PROVING),
        OrderAbsent: Row(_S.PROVING),
        AttentionDue: Row(_S.REFUNDING),
        Recovered: Row(_S.PROVING, (_query,)),
        PowerReturned: Row(_S.PROVING, (_query,)),
    },
    _S.PROVING: {
        RetryDue: Row(_S.PROVING, (_query,)),
        RefundAccounted: Row(_S.DONE, (_done, _print)),
        RefundMissing: Row(_S.REFUNDING, (_refund,)),
        RefundOvertaken: Row(_S.REFUSED, (_failed,)),
        RefundNeedless: Row(_S.DONE, (_done,)),
        RefundDenied: Row(_S.REFUSED, (_failed,)),
        RefundDoubted: Row(_S.PROVING),
        RefundHeldUp: Row(_S.BLOCKED),
        OrderErrored: Row(_S.REFUNDING, (_refund,)),
        OrderStuck: Row(_S.PROVING),
        OrderGone: Row(_S.BLOCKED),
        OrderPending: Row(_S.PROVING),
        OrderAbsent: Row(_S.PROVING),
        AnswerMismatched: Row(_S.PROVING),
        QueryFailed: Row(_S.PROVING),
        AttentionDue: Row(_S.PROVING),
        Recovered: Row(_S.PROVING, (_query,)),
        PowerReturned: Row(_S.PROVING, (_query,)),
    },
    _S.BLOCKED: {
        RetryDue: Row(_S.QUEUED),
        NothingLeft: Row(_S.DONE, (_done,)),
        TurnMissed: Row(_S.REFUSED, (_failed,)),
        ReturnCalledOff: Row(_S.REFUSED, (_failed,)),
        ClosedByHand: Row(_S.CLOSED, (_closed,)),
        Recovered: Row(_S.BLOCKED),
        PowerReturned: Row(_S.BLOCKED),
    },
    _S.DONE: {},
    _S.REFUSED: {},
    _S.CLOSED: {},
}

#: What is asked of the gateway: a completion will come.
GATEWAY_ASKS = frozenset({_query, _revoke, _refund})
