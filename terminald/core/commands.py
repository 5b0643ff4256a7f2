"""What a machine may ask for. Values only: the shell performs them after the commit that recorded them."""

from dataclasses import dataclass

from terminald.core.events import AttemptEvent, DeliveryWaived
from terminald.core.ids import ClientSn, JobId, PaymentCode, SaleId
from terminald.core.money import Fen


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


@dataclass(frozen=True, slots=True, kw_only=True)
class SubmitPayment(GatewayCommand):
    """Pay with a scanned code. Performed once for a client_sn, ever (I2)."""

    code: PaymentCode
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
class ArmScanners(Command):
    """Listen for a payment code, and warm the connection to the gateway for it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DisarmScanners(Command):
    """Stop to listen."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SendJob(Command):
    """Send a print job to the printer."""

    job_id: JobId
    token: int


# --- from machine to machine, within one commit ----------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenAttempt(Command):
    """Begin an order at the gateway for this sale."""

    sale_id: SaleId
    client_sn: ClientSn
    code: PaymentCode
    digest: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AbandonAttempt(Command):
    """Undo this attempt, whatever has become of it."""

    client_sn: ClientSn


@dataclass(frozen=True, slots=True, kw_only=True)
class TellSale(Command):
    """Report to the sale."""

    sale_id: SaleId
    event: AttemptEvent | DeliveryWaived


@dataclass(frozen=True, slots=True, kw_only=True)
class EnqueuePrint(Command):
    """Print the receipt of this sale."""

    sale_id: SaleId
    is_copy: bool = False
