"""What the host asked for: several attempts, at most one charge.

Rules that the table obeys:

- There is one attempt with the customer at a time; the next begins only when it is proven unpaid (I1).
- ``paid`` is entered on the word of an attempt whose payment is proven (I4), and never left for ``canceled``.
- ``canceled`` is entered only when every attempt is unpaid: proven, or unseen at the gateway and watched (I3).
- The window is the time to present a code; it does not cut off a payment that is being confirmed.
"""

from dataclasses import dataclass, replace
from enum import Enum

from terminald.core.commands import (
    AbandonAttempt,
    ArmScanners,
    Command,
    DisarmScanners,
    EnqueuePrint,
    OpenAttempt,
    OrderText,
    TellSale,
)
from terminald.core.events import (
    AttemptEvent,
    AttemptPaid,
    AttemptRefused,
    AttemptReversing,
    AttemptUnpaid,
    CancelRequested,
    CodeScanned,
    DeliveryWaived,
    Event,
    PowerReturned,
    PresentationExpired,
    Recovered,
    ShutdownRequested,
)
from terminald.core.ids import ClientSn, Instant, Reference, SaleId, WallTime
from terminald.core.money import Fen
from terminald.core.schedule import Now, Rules, later
from terminald.core.tables import Row, Table, Wakeup, find_row


class SaleState(Enum):
    """As the host sees it."""

    AWAITING_PAYMENT = "awaiting_payment"  # no money has moved. "Present your payment code"
    PROCESSING = "processing"  # unknown: an attempt is with the gateway. "Confirm on your phone"
    PAID = "paid"  # taken. "Paid"
    COMPLETED = "completed"  # taken, and nothing is owed. "Thank you"
    CANCELING = "canceling"  # unknown, and whatever it is goes back. "Not paid; if you were charged it comes back"
    CANCELED = "canceled"  # none kept. "Canceled"

    @property
    def is_with_customer(self) -> bool:
        """Whether a customer stands before the terminal: no other sale can be opened."""
        return self in (SaleState.AWAITING_PAYMENT, SaleState.PROCESSING)

    @property
    def is_final(self) -> bool:
        """Whether nothing more will happen to the sale by itself."""
        return self in (SaleState.COMPLETED, SaleState.CANCELED)


@dataclass(frozen=True, slots=True, kw_only=True)
class SaleOrder:
    """What the host asked for. Two requests with one reference must be equal in this."""

    reference: Reference
    amount: Fen
    methods: tuple[str, ...]
    text: OrderText
    wants_receipt: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Sale:
    """A snapshot."""

    id: SaleId
    order: SaleOrder
    state: SaleState
    #: In the order in which they began; the last one may be with the customer.
    attempts: tuple[ClientSn, ...]
    paid: Fen
    #: Why it will not be, or was not, paid.
    reason: str
    window_ends: Instant
    created_at: WallTime
    updated_at: WallTime
    closed_at: WallTime | None


# --- what rows ask for -----------------------------------------------------------------------------------------------


def _arm(_: Sale) -> Command:
    return ArmScanners()


def _disarm(_: Sale) -> Command:
    return DisarmScanners()


def _abandon(sale: Sale) -> Command:
    return AbandonAttempt(client_sn=sale.attempts[-1])


def _waive_delivery(sale: Sale) -> Command:
    return TellSale(sale_id=sale.id, event=DeliveryWaived())


def _print(sale: Sale) -> Command:
    return EnqueuePrint(sale_id=sale.id)


# --- the table -------------------------------------------------------------------------------------------------------

_S = SaleState

TABLE: Table[SaleState, Sale] = {
    _S.AWAITING_PAYMENT: {
        CodeScanned: Row(_S.PROCESSING, (_disarm,)),
        PresentationExpired: Row(_S.CANCELED, (_disarm,)),
        CancelRequested: Row(_S.CANCELED, (_disarm,)),
        ShutdownRequested: Row(_S.CANCELED, (_disarm,)),
        Recovered: Row(_S.AWAITING_PAYMENT, (_arm,)),
        PowerReturned: Row(_S.CANCELED),
    },
    _S.PROCESSING: {
        AttemptPaid: Row(_S.PAID, (_print, _waive_delivery)),
        AttemptUnpaid: Row(_S.AWAITING_PAYMENT, (_arm,)),
        AttemptRefused: Row(_S.CANCELED),
        AttemptReversing: Row(_S.CANCELING),
        CancelRequested: Row(_S.CANCELING, (_abandon,)),
        Recovered: Row(_S.PROCESSING),
        PowerReturned: Row(_S.PROCESSING),
    },
    _S.PAID: {
        DeliveryWaived: Row(_S.COMPLETED),
        Recovered: Row(_S.PAID),
        PowerReturned: Row(_S.PAID),
    },
    _S.CANCELING: {
        AttemptUnpaid: Row(_S.CANCELED),
        CancelRequested: Row(_S.CANCELING),
        Recovered: Row(_S.CANCELING),
        PowerReturned: Row(_S.CANCELING),
    },
    _S.COMPLETED: {},
    _S.CANCELED: {
        # A late arrival was found by a look, and has been undone.
        AttemptUnpaid: Row(_S.CANCELED),
        CancelRequested: Row(_S.CANCELED),
    },
}

#: Why a sale ends in ``canceled``, where the event alone says it.
_REASONS: dict[type[Event], str] = {
    CancelRequested: "host",
    ShutdownRequested: "shutdown",
    PowerReturned: "power_lost",
}


# --- steps -----------------------------------------------------------------------------------------------------------


def begin(sale_id: SaleId, order: SaleOrder, *, now: Now, rules: Rules) -> tuple[Sale, tuple[Command, ...]]:
    """Open a sale: the scanners listen from now on, for the length of the payment window."""
    sale = Sale(
        id=sale_id,
        order=order,
        state=SaleState.AWAITING_PAYMENT,
        attempts=(),
        paid=Fen(0),
        reason="",
        window_ends=later(now.instant, rules.payment_window),
        created_at=now.wall,
        updated_at=now.wall,
        closed_at=None,
    )
    return sale, (_arm(sale),)


def step(sale: Sale, event: Event, *, now: Now) -> tuple[Sale, tuple[Command, ...]]:
    """Take one step.

    Raises:
        IllegalTransition: the table has no such row; nothing was changed.
    """
    row = find_row(TABLE, sale.state, event)
    after = replace(
        sale,
        state=row.to,
        reason=_reason(sale, event, row.to),
        updated_at=now.wall,
        closed_at=sale.closed_at or (now.wall if row.to.is_final else None),
    )
    commands = tuple(ask(after) for ask in row.ask)
    if isinstance(event, CodeScanned):
        after = replace(after, attempts=(*after.attempts, event.client_sn))
        opening = OpenAttempt(sale_id=sale.id, client_sn=event.client_sn, code=event.code, digest=event.digest)
        commands = (*commands, opening)
    if isinstance(event, AttemptPaid):
        after = replace(after, paid=sale.order.amount)
    return after, commands


def _reason(sale: Sale, event: Event, to: SaleState) -> str:
    """Say why the sale is not paid: the first cause stands once the sale is being canceled."""
    if to in (SaleState.PAID, SaleState.COMPLETED):
        return ""
    if to is sale.state or sale.state is SaleState.CANCELING:
        return sale.reason
    if isinstance(event, PresentationExpired):
        return sale.reason or "expired"
    if isinstance(event, AttemptEvent):
        return event.reason
    return _REASONS.get(type(event), sale.reason)


def next_wakeup(sale: Sale) -> Wakeup | None:
    """Return the end of the customer's time to present a code; None in every state that waits for something else."""
    if sale.state is SaleState.AWAITING_PAYMENT:
        return Wakeup(at=sale.window_ends, event=PresentationExpired())
    return None
