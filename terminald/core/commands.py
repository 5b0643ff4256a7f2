"""What a machine may ask for. Values only: the shell performs them after the commit that recorded them."""

from dataclasses import dataclass

from terminald.core.events import (
    AttemptEvent,
    CancelRequested,
)
from terminald.core.ids import ClientSn, Instant, JobId, PaymentCode, RefundId, SaleId
from terminald.core.money import Fen
from terminald.core.return_events import (
    Delivered,
    DeliveryLapsed,
    DeliveryOverdue,
    DeliveryWaived,
    RefundEvent,
    Undelivered,
)
from terminald.core.vend_events import SaleTold


@dataclass(frozen=True, slots=True, kw_only=True)
class Goods:
    """One line of the basket, as the gateway's goods_details wants it."""

    id: str
    name: str
    quantity: int
    price: Fen
    promotion: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderText:
    """What a pay request says beside the money."""

    subject: str
    operator: str
    payway: str = ""
    description: str = ""
    reflect: str = ""
    goods: tuple[Goods, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """Base of everything that may be asked of the shell or of another machine."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewayCommand(Command):
    """A request about one order. The token names it: only the completion of the last command counts."""

    client_sn: ClientSn
    token: int
    amount: Fen  # of the whole order: every answer is checked against it (I4)
    #: The refund that asks; None where the order itself does.
    refund_id: RefundId | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SubmitPayment(GatewayCommand):
    """Pay with a scanned code. Performed once for a client_sn, ever (I2)."""

    code: PaymentCode
    text: OrderText


@dataclass(frozen=True, slots=True, kw_only=True)
class OfferOrder(GatewayCommand):
    """Make an order that a customer pays by scanning a QR (pre-create). Performed once for a client_sn, ever (I2)."""

    payway: str
    text: OrderText


@dataclass(frozen=True, slots=True, kw_only=True)
class QueryOrder(GatewayCommand):
    """Ask how the order stands. Changes nothing at the gateway."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReverseOrder(GatewayCommand):
    """Undo an order that has no final result, or that nobody wants (the gateway's cancel). Repeatable."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RefundOrder(GatewayCommand):
    """Give money back. Repeatable under the same number: the gateway carries it out once (I9)."""

    request_no: str
    refund_amount: Fen
    operator: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RevokeOrder(GatewayCommand):
    """Give the whole payment back, without a fee, on the day on which it was made. Repeatable."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ArmScanners(Command):
    """Listen for a payment code, and warm the connection to the gateway for it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DisarmScanners(Command):
    """Stop to listen."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SendJob(Command):
    """Send a print job to the printer."""

    sale_id: SaleId
    job_id: JobId
    token: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ApproveVend(Command):
    """Tell a vending machine to dispense, if it asks for this request still. Performed once for a vend, ever."""

    sale_id: SaleId
    machine: str
    request: int
    price: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DenyVend(Command):
    """Tell a vending machine that it is not paid, if it asks for this request still."""

    machine: str
    request: int | None


# --- from machine to machine, within one commit ----------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenAttempt(Command):
    """Begin an order at the gateway for this sale. Held: its code waits in memory until the way is clear."""

    sale_id: SaleId
    client_sn: ClientSn
    code: PaymentCode
    digest: str
    is_held: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenOffer(Command):
    """Begin an order that the customer pays by scanning a QR, until the sale's window ends."""

    sale_id: SaleId
    client_sn: ClientSn
    ends: Instant


@dataclass(frozen=True, slots=True, kw_only=True)
class ClearWay(Command):
    """Submit the code that was held for this attempt."""

    client_sn: ClientSn


@dataclass(frozen=True, slots=True, kw_only=True)
class SubmitHeld(GatewayCommand):
    """The attempt's one submit; the code that it needs is held in memory."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenReturn(Command):
    """Give back money that is owed: all that is left, or the amount."""

    sale_id: SaleId
    amount: Fen | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AbandonAttempt(Command):
    """Undo this attempt, whatever has become of it."""

    client_sn: ClientSn


@dataclass(frozen=True, slots=True, kw_only=True)
class TellSale(Command):
    """Report to the sale."""

    sale_id: SaleId
    event: AttemptEvent | RefundEvent | DeliveryWaived


@dataclass(frozen=True, slots=True, kw_only=True)
class EnqueuePrint(Command):
    """Print a slip of this sale: its receipt, the QR of an attempt, or the proof of a refund."""

    sale_id: SaleId
    is_copy: bool = False
    slip: str = "receipt"  # "receipt" | "qr" | "refund"
    #: The attempt's client_sn or the refund's id that the slip is about; empty for a receipt.
    about: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class TellVend(Command):
    """Report to the vend of this sale."""

    sale_id: SaleId
    event: SaleTold


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelSale(Command):
    """The vending machine does not want the payment any more."""

    sale_id: SaleId
    event: CancelRequested


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportGoods(Command):
    """What the vending machine has said of the goods, or that it says nothing."""

    sale_id: SaleId
    event: Delivered | Undelivered | DeliveryOverdue | DeliveryLapsed
