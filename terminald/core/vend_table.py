"""A vending machine that asks for money: one request of the machine, the sale that pays it, and what came out.

Rules that the table obeys (MDB/ICP 4.2, section 7; the names of events are in ``vend_events``):

- The machine is told to dispense once at most, only when the payment is proven and on disk, and only while it asks for
  this very request. That it is about to be told is on disk before it is told.
- Whatever ends the request before that cancels the sale, and the machine is denied; money found later goes back.
- The machine's own word decides after an approval: success is delivered; failure, and an approval that provably did not
  reach it, give the money back. Anything else, and silence, is ``unknown``: the money is kept, as a reset after an
  approval counts as dispensed, and a person is called; or it goes back, where the configuration says so.
- ``unknown`` is left for a result that comes late.
- What a restart interrupts was not approved, and goes back; or it may have been, and is ``unknown``.
- A machine may say anything at any time: there is a row for all of it in every state, and for all that can happen to
  its sale by other hands.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

from terminald.core.commands import ApproveVend, CancelSale, Command, DenyVend, ReportGoods
from terminald.core.events import CancelRequested, Event, PowerReturned, Recovered
from terminald.core.ids import Duration, Instant, SaleId, WallTime
from terminald.core.return_events import Delivered, DeliveryLapsed, DeliveryOverdue, Undelivered
from terminald.core.tables import Row, Table
from terminald.core.vend_events import (
    AdapterLost,
    AnswerDue,
    ApprovalDoubted,
    ApprovalDue,
    ApprovalNotSent,
    ApprovalRejected,
    ApprovalSent,
    MachineReset,
    RequestGone,
    ResultOverdue,
    SaleCanceled,
    SaleCanceling,
    SaleCompleted,
    SalePaid,
    SalePaying,
    SaleReturned,
    SaleReturning,
    SaleWaiting,
    VendCanceled,
    VendFailed,
    VendSucceeded,
)

#: Why a sale is not paid, in the words of the local API.
GONE, EXPIRED = "machine", "expired"


class VendState(Enum):
    """Each with what the machine was told, and the money that may have moved."""

    REQUESTED = "requested"  # nothing; none, but a QR may be paid at any time
    PAYING = "paying"  # nothing; unknown
    PAID = "paid"  # nothing; taken
    APPROVING = "approving"  # to dispense, or nothing; taken
    APPROVED = "approved"  # to dispense, and it has not said what came of it; taken
    DONE = "done"  # to dispense, and it has; kept
    CANCELING = "canceling"  # not to; unknown, and whatever it is goes back
    DENIED = "denied"  # not to; none kept
    RETURNING = "returning"  # not to, or it could not; on its way back
    RETURNED = "returned"  # not to, or it could not, or nobody knows; gone back
    UNKNOWN = "unknown"  # to dispense, and nobody knows what came of it; as the configuration says
    CLOSED = "closed"  # not to, or it could not; whatever a person says

    @property
    def is_final(self) -> bool:
        """Whether nothing more will happen by itself; a late result may still change it."""
        return self in FINAL

    @property
    def is_on_sale(self) -> bool:
        """Whether the machine waits for its answer, or for what it has been told to do."""
        return self in (
            VendState.REQUESTED,
            VendState.PAYING,
            VendState.PAID,
            VendState.APPROVING,
            VendState.APPROVED,
        )


FINAL = frozenset(
    {VendState.DONE, VendState.DENIED, VendState.RETURNED, VendState.UNKNOWN, VendState.CLOSED},
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Vend:
    """A snapshot. It has the name of its sale: each belongs to the other for ever."""

    sale_id: SaleId
    #: The machine's configured name.
    machine: str
    #: What was selected, in the machine's own words; empty where it does not say.
    item: str
    #: As received, and echoed in the approval.
    price: str
    state: VendState
    #: By which number the machine's driver knows it; None once nobody can tell anything of it.
    request: int | None
    #: When the machine has to have its answer.
    answer_by: Instant
    #: How long the machine may take to tell what became of an approval.
    result_window: Duration
    #: Whether the money goes back when that is not known.
    returns_unknown: bool
    opened_at: WallTime
    ended_at: WallTime | None = None
    #: When the present state is to be left by itself, where it does not wait for somebody.
    due: Instant | None = None
    #: Whether the machine has told something that speaks against an approval while that was on its way.
    is_doubted: bool = False


# --- what rows ask for -----------------------------------------------------------------------------------------------


def _approve(vend: Vend) -> Command:
    if vend.request is None:
        raise LookupError(f"vend {vend.sale_id} has no request")
    return ApproveVend(sale_id=vend.sale_id, machine=vend.machine, request=vend.request, price=vend.price)


def _deny(vend: Vend) -> Command:
    return DenyVend(machine=vend.machine, request=vend.request)


def _cancel(vend: Vend) -> Command:
    return CancelSale(sale_id=vend.sale_id, event=CancelRequested(reason=GONE))


def _cancel_late(vend: Vend) -> Command:
    return CancelSale(sale_id=vend.sale_id, event=CancelRequested(reason=EXPIRED))


def _delivered(vend: Vend) -> Command:
    return ReportGoods(sale_id=vend.sale_id, event=Delivered())


def _undelivered(vend: Vend) -> Command:
    return ReportGoods(sale_id=vend.sale_id, event=Undelivered())


def _unknown(vend: Vend) -> Command:
    event = DeliveryLapsed() if vend.returns_unknown else DeliveryOverdue()
    return ReportGoods(sale_id=vend.sale_id, event=event)


# --- the table -------------------------------------------------------------------------------------------------------

_S = VendState
_Rows = Mapping[type[Event], Row[VendState, Vend]]

#: What says that the machine does not want an answer any more, or what it does with one.
DOUBTS: tuple[type[Event], ...] = (VendCanceled, MachineReset, RequestGone, AdapterLost)
#: All that a machine and its driver can tell of a request that is open here.
OF_MACHINE: tuple[type[Event], ...] = (
    *DOUBTS,
    *(VendSucceeded, VendFailed, ApprovalRejected, ApprovalSent, ApprovalNotSent),
)
OF_SALE: tuple[type[Event], ...] = (
    *(SaleWaiting, SalePaying, SalePaid, SaleCanceling, SaleCanceled),
    *(SaleReturning, SaleReturned, SaleCompleted),
)
_RESTARTS: tuple[type[Event], ...] = (Recovered, PowerReturned)


def _each(events: tuple[type[Event], ...], row: Row[VendState, Vend]) -> _Rows:
    return dict.fromkeys(events, row)


def _nothing(state: VendState) -> _Rows:
    """Whatever is told, nothing follows from it but what is said otherwise."""
    return _each((*OF_MACHINE, *OF_SALE), Row(state))


_UNANSWERED: _Rows = {
    SalePaying: Row(_S.PAYING),
    SaleWaiting: Row(_S.REQUESTED),
    SalePaid: Row(_S.PAID),
    SaleCanceling: Row(_S.CANCELING, (_deny,)),
    SaleCanceled: Row(_S.DENIED, (_deny,)),
    # A machine that says that it has dispensed what it was not told to is not paid for that.
    **_each((*DOUBTS, VendFailed, VendSucceeded), Row(_S.CANCELING, (_deny, _cancel))),
    AnswerDue: Row(_S.CANCELING, (_deny, _cancel_late)),
    **_each(_RESTARTS, Row(_S.CANCELING, (_cancel,))),
}

TABLE: Table[VendState, Vend] = {
    _S.REQUESTED: {**_nothing(_S.REQUESTED), **_UNANSWERED},
    _S.PAYING: {**_nothing(_S.PAYING), **_UNANSWERED},
    _S.PAID: {
        **_nothing(_S.PAID),
        ApprovalDue: Row(_S.APPROVING, (_approve,)),
        VendSucceeded: Row(_S.DONE, (_delivered,)),
        **_each((*DOUBTS, VendFailed, AnswerDue, SaleReturning), Row(_S.RETURNING, (_deny, _undelivered))),
        SaleReturned: Row(_S.RETURNED, (_deny,)),
        **_each(_RESTARTS, Row(_S.RETURNING, (_undelivered,))),
    },
    _S.APPROVING: {
        **_nothing(_S.APPROVING),
        ApprovalSent: Row(_S.APPROVED),
        ApprovalDoubted: Row(_S.UNKNOWN, (_unknown,)),
        VendSucceeded: Row(_S.DONE, (_delivered,)),
        **_each((VendFailed, ApprovalRejected, ApprovalNotSent), Row(_S.RETURNING, (_deny, _undelivered))),
        **_each(_RESTARTS, Row(_S.UNKNOWN, (_unknown,))),
    },
    _S.APPROVED: {
        **_nothing(_S.APPROVED),
        VendSucceeded: Row(_S.DONE, (_delivered,)),
        **_each((VendFailed, ApprovalRejected), Row(_S.RETURNING, (_undelivered,))),
        **_each((*DOUBTS, ResultOverdue, *_RESTARTS), Row(_S.UNKNOWN, (_unknown,))),
        # A machine at rest is done, and the line that says how may come after the one that says so.
        RequestGone: Row(_S.APPROVED),
    },
    _S.DONE: _nothing(_S.DONE),
    _S.CANCELING: {
        **_nothing(_S.CANCELING),
        SaleCanceled: Row(_S.DENIED),
        SalePaid: Row(_S.RETURNING, (_undelivered,)),
        **_each(_RESTARTS, Row(_S.CANCELING)),
    },
    _S.DENIED: {
        **_nothing(_S.DENIED),
        SalePaid: Row(_S.RETURNING, (_undelivered,)),
    },
    _S.RETURNING: {
        **_nothing(_S.RETURNING),
        SaleReturned: Row(_S.RETURNED),
        SaleCompleted: Row(_S.CLOSED),
        SalePaid: Row(_S.RETURNING, (_undelivered,)),
        VendSucceeded: Row(_S.RETURNING, (_delivered,)),
        **_each(_RESTARTS, Row(_S.RETURNING)),
    },
    _S.RETURNED: {
        **_nothing(_S.RETURNED),
        VendSucceeded: Row(_S.RETURNED, (_delivered,)),
    },
    _S.UNKNOWN: {
        **_nothing(_S.UNKNOWN),
        VendSucceeded: Row(_S.DONE, (_delivered,)),
        **_each((VendFailed, ApprovalRejected, ApprovalNotSent), Row(_S.RETURNING, (_undelivered,))),
        SaleReturned: Row(_S.RETURNED),
        # A return that somebody had asked for came to nothing.
        SalePaid: Row(_S.UNKNOWN, (_unknown,)),
    },
    _S.CLOSED: _nothing(_S.CLOSED),
}
