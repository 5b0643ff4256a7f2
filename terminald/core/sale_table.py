"""What the host asked for: several orders at the gateway, at most one charge; the goods; the money that goes back.

Rules that the table obeys:

- There is one order with the customer's code at a time; the next begins only when it is proven unpaid. A code that is
  scanned while a QR order is open is held until that order is proven unpaid (I1), and is never sent when that turns out
  to be paid.
- ``paid`` is entered on the word of an order whose payment is proven (I4), and never left for ``canceled``.
- ``canceled`` is entered only when every order is unpaid: proven, or unseen at the gateway and watched (I3).
- The window is the customer's time to pay; it does not cut off a payment that is being confirmed, nor one by QR that
  was made in it and is not known yet.
- Where the host reports delivery, a paid sale ends with its report, with the money on its way back, or with the word of
  the person who was called for the report; a report that comes after that is honoured.
- An alarm of the goods says what is true of goods and money as they stand: what changes that takes it back.
- ``returned`` is entered only when nothing of the payment is left.
"""

from dataclasses import dataclass
from enum import Enum

from terminald.core.commands import (
    AbandonAttempt,
    ArmScanners,
    CallOffReturn,
    ClearWay,
    Command,
    DisarmScanners,
    EnqueuePrint,
    OpenReturn,
    OrderText,
    TellSale,
)
from terminald.core.events import (
    AttemptOffered,
    AttemptPaid,
    AttemptRefused,
    AttemptReversing,
    AttemptUnpaid,
    CancelRequested,
    ChargeEnded,
    CodeBesideOffer,
    CodeScanned,
    DrainRequested,
    LastOfferEnded,
    OfferClosing,
    OfferDue,
    OfferEnded,
    OfferPutOff,
    OfferRanOut,
    OfferWithdrawn,
    PowerReturned,
    PresentationExpired,
    Recovered,
    ShutdownRequested,
)
from terminald.core.ids import ClientSn, Duration, Instant, Reference, RefundId, SaleId, WallTime
from terminald.core.money import NO_MONEY, Fen
from terminald.core.return_events import (
    AllReturned,
    Delivered,
    DeliveredInTime,
    DeliveryClosed,
    DeliveryLapsed,
    DeliveryOverdue,
    DeliveryWaived,
    LateDelivered,
    LatePartUndelivered,
    LateUndelivered,
    PartStillOwed,
    PartUndelivered,
    RefundBegun,
    RefundDone,
    RefundFailed,
    ReturnBegun,
    ReturnDropped,
    ReturnFailed,
    ReturnStillOwed,
    Undelivered,
)
from terminald.core.tables import Attention, Row, Table


@dataclass(frozen=True, slots=True, kw_only=True)
class YieldAttempt(AbandonAttempt):
    """Undo this QR order for the sake of a presented code, unless it turns out to be paid."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpireOffer(AbandonAttempt):
    """Undo this QR order because its time is over, unless it turns out to be paid."""


class SaleState(Enum):
    """As the host sees it, but for ``switching`` and ``expiring``, which are shown as ``processing``."""

    AWAITING_PAYMENT = "awaiting_payment"  # a QR may be paid at any time. "Present your payment code, or scan the QR"
    SWITCHING = "switching"  # the QR is being undone, and a code is held. "One moment"
    EXPIRING = "expiring"  # the QR's time is over, and the gateway is asked whether it was paid in time. "One moment"
    PROCESSING = "processing"  # unknown: a code is with the gateway. "Confirm on your phone"
    PAID = "paid"  # taken; the goods are not reported yet. "Paid"
    COMPLETED = "completed"  # taken, and nothing is owed. "Thank you"
    CANCELING = "canceling"  # unknown, and whatever it is goes back. "Not paid; if you were charged it comes back"
    CANCELED = "canceled"  # none kept. "Canceled"
    RETURNING = "returning"  # taken, and on its way back. "Your money comes back"
    RETURNED = "returned"  # none left. "Refunded"

    @property
    def shown(self) -> str:
        """What the host is told."""
        return "processing" if self in (SaleState.SWITCHING, SaleState.EXPIRING) else self.value

    @property
    def is_with_customer(self) -> bool:
        """Whether a customer stands before the terminal: no other sale can be opened."""
        return self in (
            SaleState.AWAITING_PAYMENT,
            SaleState.SWITCHING,
            SaleState.EXPIRING,
            SaleState.PROCESSING,
        )

    @property
    def is_final(self) -> bool:
        """Whether nothing more will happen to the sale by itself."""
        return self in (SaleState.COMPLETED, SaleState.CANCELED, SaleState.RETURNED)


class DeliveryState(Enum):
    """What is known about the goods."""

    NONE = "none"  # the host does not report it
    PENDING = "pending"  # not reported yet
    OVERDUE = "overdue"  # not reported in time
    CLOSED = "closed"  # the same, and the person who was called answers for the goods
    DELIVERED = "delivered"
    UNDELIVERED = "undelivered"


@dataclass(frozen=True, slots=True, kw_only=True)
class SaleOrder:
    """What the host asked for. Two requests with one reference must be equal in this."""

    reference: Reference
    amount: Fen
    methods: tuple[str, ...]  # of "scan" and "qr"
    text: OrderText
    wants_receipt: bool
    #: With whose app the QR is scanned (the gateway's numbers); empty where no QR is offered.
    qr_payway: str = ""
    #: Whether money that went back is proven on paper as well.
    prints_refunds: bool = True
    #: Whether the host reports delivery.
    reports_delivery: bool = False
    #: Whether that is a vending machine, of whose request the sale is a part.
    is_vend: bool = False
    #: How long the customer has to pay, where that is not what is configured.
    window: Duration | None = None

    @property
    def takes_codes(self) -> bool:
        """Whether the customer may present a code."""
        return "scan" in self.methods

    @property
    def offers_qr(self) -> bool:
        """Whether the customer may scan a QR."""
        return "qr" in self.methods


@dataclass(frozen=True, slots=True, kw_only=True)
class Sale:
    """A snapshot."""

    id: SaleId
    order: SaleOrder
    state: SaleState
    #: In the order in which they began; a code that is with the gateway is the last one.
    attempts: tuple[ClientSn, ...]
    paid: Fen
    #: Why it will not be, or was not, paid.
    reason: str
    window_ends: Instant
    created_at: WallTime
    updated_at: WallTime
    closed_at: WallTime | None
    #: The QR order that is not proven unpaid.
    offer: ClientSn | None = None
    #: How many QR orders were opened.
    offers: int = 0
    #: When another one is offered.
    offer_at: Instant | None = None
    #: The orders that a canceled sale waits for.
    waits_for: tuple[ClientSn, ...] = ()
    returned: Fen = NO_MONEY
    #: The return of all that is left.
    whole: RefundId | None = None
    delivery: DeliveryState = DeliveryState.NONE
    delivery_ends: Instant | None = None
    attention: Attention | None = None
    #: Whether the host has reported goods as not delivered while a return of its own was under way.
    is_return_owed: bool = False
    #: Their worth, where they were a part; all of it otherwise.
    part_owed: Fen | None = None


# --- what rows ask for -----------------------------------------------------------------------------------------------


def _arm(_: Sale) -> Command:
    return ArmScanners()


def _disarm(_: Sale) -> Command:
    return DisarmScanners()


def _abandon(sale: Sale) -> Command:
    return AbandonAttempt(client_sn=sale.attempts[-1])


def _abandon_offer(sale: Sale) -> Command:
    return AbandonAttempt(client_sn=_offer(sale))


def _yield_offer(sale: Sale) -> Command:
    return YieldAttempt(client_sn=_offer(sale))


def _expire_offer(sale: Sale) -> Command:
    return ExpireOffer(client_sn=_offer(sale))


def _clear_way(sale: Sale) -> Command:
    return ClearWay(client_sn=sale.attempts[-1])


def _offer(sale: Sale) -> ClientSn:
    if sale.offer is None:
        raise LookupError(f"sale {sale.id} has no QR order")
    return sale.offer


def _waive_delivery(sale: Sale) -> Command:
    return TellSale(sale_id=sale.id, event=DeliveryWaived())


def _print(sale: Sale) -> Command:
    return EnqueuePrint(sale_id=sale.id)


def _print_qr(sale: Sale) -> Command:
    return EnqueuePrint(sale_id=sale.id, slip="qr", about=_offer(sale))


def _return(sale: Sale) -> Command:
    return OpenReturn(sale_id=sale.id)


def _call_off(sale: Sale) -> Command:
    if sale.whole is None:
        raise LookupError(f"sale {sale.id} has no return")
    return CallOffReturn(refund_id=sale.whole)


def _return_part(sale: Sale) -> Command:
    return OpenReturn(sale_id=sale.id, amount=sale.part_owed)


# --- the table -------------------------------------------------------------------------------------------------------

_S = SaleState

TABLE: Table[SaleState, Sale] = {
    _S.AWAITING_PAYMENT: {
        CodeScanned: Row(_S.PROCESSING, (_disarm,)),
        CodeBesideOffer: Row(_S.SWITCHING, (_disarm, _yield_offer)),
        OfferDue: Row(_S.AWAITING_PAYMENT),
        OfferPutOff: Row(_S.AWAITING_PAYMENT),
        AttemptOffered: Row(_S.AWAITING_PAYMENT, (_print_qr,)),
        AttemptPaid: Row(_S.PAID, (_disarm, _print, _waive_delivery)),
        OfferClosing: Row(_S.AWAITING_PAYMENT),
        OfferEnded: Row(_S.AWAITING_PAYMENT),
        LastOfferEnded: Row(_S.CANCELED),
        AttemptRefused: Row(_S.CANCELED, (_disarm,)),
        AttemptReversing: Row(_S.CANCELING, (_disarm,)),
        PresentationExpired: Row(_S.CANCELED, (_disarm,)),
        OfferRanOut: Row(_S.EXPIRING, (_disarm, _expire_offer)),
        CancelRequested: Row(_S.CANCELED, (_disarm,)),
        ShutdownRequested: Row(_S.CANCELED, (_disarm,)),
        DrainRequested: Row(_S.CANCELED, (_disarm,)),
        OfferWithdrawn: Row(_S.CANCELING, (_disarm, _abandon_offer)),
        Recovered: Row(_S.AWAITING_PAYMENT, (_arm,)),
        PowerReturned: Row(_S.CANCELED),
    },
    _S.SWITCHING: {
        OfferEnded: Row(_S.PROCESSING, (_clear_way,)),
        AttemptPaid: Row(_S.PAID, (_abandon, _print, _waive_delivery)),
        # The code was held too long; the QR order is still being undone.
        AttemptUnpaid: Row(_S.AWAITING_PAYMENT, (_arm,)),
        # The QR order was paid, and somebody gave back a part: the rest goes back as well.
        AttemptReversing: Row(_S.SWITCHING),
        CancelRequested: Row(_S.CANCELING, (_abandon, _abandon_offer)),
        Recovered: Row(_S.SWITCHING),
        PowerReturned: Row(_S.SWITCHING),
    },
    _S.EXPIRING: {
        AttemptPaid: Row(_S.PAID, (_print, _waive_delivery)),
        AttemptUnpaid: Row(_S.CANCELED),
        AttemptReversing: Row(_S.CANCELING),
        CancelRequested: Row(_S.CANCELING, (_abandon_offer,)),
        Recovered: Row(_S.EXPIRING),
        PowerReturned: Row(_S.EXPIRING),
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
        Delivered: Row(_S.COMPLETED),
        Undelivered: Row(_S.RETURNING, (_return,)),
        PartUndelivered: Row(_S.COMPLETED),
        DeliveryOverdue: Row(_S.PAID),
        DeliveryLapsed: Row(_S.RETURNING, (_return,)),
        DeliveryClosed: Row(_S.COMPLETED),
        ReturnBegun: Row(_S.RETURNING),
        RefundBegun: Row(_S.PAID),
        RefundDone: Row(_S.PAID),
        RefundFailed: Row(_S.PAID),
        AllReturned: Row(_S.RETURNED),
        Recovered: Row(_S.PAID),
        PowerReturned: Row(_S.PAID),
    },
    _S.COMPLETED: {
        LateDelivered: Row(_S.COMPLETED),
        LateUndelivered: Row(_S.RETURNING, (_return,)),
        LatePartUndelivered: Row(_S.COMPLETED),
        ReturnBegun: Row(_S.RETURNING),
        RefundBegun: Row(_S.COMPLETED),
        RefundDone: Row(_S.COMPLETED),
        RefundFailed: Row(_S.COMPLETED),
        AllReturned: Row(_S.RETURNED),
    },
    _S.RETURNING: {
        ReturnBegun: Row(_S.RETURNING),
        RefundDone: Row(_S.RETURNING),
        RefundFailed: Row(_S.RETURNING),
        ReturnFailed: Row(_S.COMPLETED),
        ReturnDropped: Row(_S.PAID),
        AllReturned: Row(_S.RETURNED),
        ReturnStillOwed: Row(_S.RETURNING, (_return,)),
        PartStillOwed: Row(_S.COMPLETED, (_return_part,)),
        DeliveredInTime: Row(_S.COMPLETED, (_call_off,)),
        # Too late to keep the money: a person should know that the goods came out.
        Delivered: Row(_S.RETURNING),
        Undelivered: Row(_S.RETURNING),
        PartUndelivered: Row(_S.RETURNING),
        DeliveryClosed: Row(_S.RETURNING),
        Recovered: Row(_S.RETURNING),
        PowerReturned: Row(_S.RETURNING),
    },
    _S.RETURNED: {
        Delivered: Row(_S.RETURNED),
    },
    _S.CANCELING: {
        AttemptUnpaid: Row(_S.CANCELED),
        ChargeEnded: Row(_S.CANCELING),
        CancelRequested: Row(_S.CANCELING),
        Recovered: Row(_S.CANCELING),
        PowerReturned: Row(_S.CANCELING),
    },
    _S.CANCELED: {
        # A late arrival was found by a look, and has been undone.
        AttemptUnpaid: Row(_S.CANCELED),
        CancelRequested: Row(_S.CANCELED),
    },
}
