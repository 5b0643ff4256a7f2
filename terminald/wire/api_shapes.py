"""The JSON of the local API as types: what is encoded and decoded, and what the OpenAPI document is generated from.

Amounts are integers in fen. Times are RFC 3339 in UTC, written with the offset ``+00:00`` and milliseconds.
"""

from enum import Enum
from typing import Annotated, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

from terminald.core.attempt_table import AttemptState
from terminald.core.money import MAX_AMOUNT
from terminald.core.refund_table import RefundKind, RefundState
from terminald.core.sale_table import DeliveryState
from terminald.wire.api_vend import Vend

#: As many lines of goods as a receipt shows.
MAX_GOODS = 50
#: More pieces of one thing than a kiosk sells at once; keeps quantity times price far from overflowing anything.
MAX_QUANTITY = 9_999
#: dynamic_id is ≤ 32 (Web API documents, pay); twice that leaves room for a scanner's prefix.
MAX_CODE = 64

Time = Annotated[str, Meta(extra_json_schema={"format": "date-time"})]
Amount = Annotated[int, Meta(description="in fen")]
ReceiptState = Literal["off", "queued", "printing", "blocked", "printed", "unverified", "expired", "failed"]
Slip = Literal["receipt", "qr", "refund"]
#: The states of the terminal's key, in public words.
KEY_STATES = ("fresh", "stale", "expired", "doubtful", "locked_out")
Payway = Literal["1", "2", "3", "4", "5", "6", "7", "8", "15", "16", "17", "18"]


# --- what callers send -----------------------------------------------------------------------------------------------


class Request(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of every body that a caller sends."""


class GoodsRequest(Request, frozen=True, kw_only=True):
    """One line of the basket. Lengths: Web API documents, goods_details."""

    name: Annotated[str, Meta(min_length=1, max_length=32)]
    quantity: Annotated[int, Meta(ge=1, le=MAX_QUANTITY)]
    price: Annotated[int, Meta(ge=0, le=MAX_AMOUNT, description="of one piece, in fen")]
    id: Annotated[str, Meta(max_length=32)] = ""
    promotion: bool = False


class SaleRequest(Request, frozen=True, kw_only=True):
    """Opens a sale. Lengths: Web API documents, common fields."""

    reference: Annotated[str, Meta(min_length=1, max_length=64, description="your own name of the sale")]
    amount: Annotated[int, Meta(ge=1, le=MAX_AMOUNT, description="in fen; sale.max_amount limits it further")]
    subject: Annotated[str, Meta(min_length=1, max_length=64, description="shown in the customer's wallet")]
    methods: Annotated[tuple[Literal["scan", "qr"], ...], Meta(min_length=1, max_length=2)] | None = None
    payway: Payway | None = None
    description: Annotated[str, Meta(max_length=256)] | None = None
    operator: Annotated[str, Meta(min_length=1, max_length=32)] | None = None
    goods: Annotated[tuple[GoodsRequest, ...], Meta(max_length=MAX_GOODS)] | None = None
    reflect: Annotated[str, Meta(max_length=64, description="given back by the gateway as it is")] | None = None
    delivery: Literal["none", "confirm"] | None = None
    receipt: bool | None = None


class CodeRequest(Request, frozen=True, kw_only=True):
    """A payment code that the host scanned itself."""

    code: Annotated[str, Meta(min_length=1, max_length=MAX_CODE)]

    def __repr__(self) -> str:
        return "CodeRequest(***)"


class UndeliveredRequest(Request, frozen=True, kw_only=True):
    """Goods did not come out: all of them, or goods of this worth."""

    amount: Annotated[int, Meta(ge=1, le=MAX_AMOUNT, description="in fen; all when missing")] | None = None


class RefundRequest(Request, frozen=True, kw_only=True):
    """Gives money back. The same reference is carried out once, whoever repeats it."""

    reference: Annotated[str, Meta(min_length=1, max_length=64, description="your own name of the refund")]
    amount: Annotated[int, Meta(ge=1, le=MAX_AMOUNT, description="in fen; all that is left when missing")] | None = None


class ClosingRequest(Request, frozen=True, kw_only=True):
    """A person has looked."""

    reason: Annotated[str, Meta(min_length=1, max_length=200, description="how it was settled, for the record")]
    code: Annotated[str, Meta(min_length=1, max_length=64, description="of the call that was looked at")] | None = None


class EmptyRequest(Request, frozen=True, kw_only=True):
    """The body of a call that needs none."""


# --- a sale ----------------------------------------------------------------------------------------------------------


class Outcome(Enum):
    """How an attempt stands, in public words."""

    HELD = "held"  # none: waits until another order is proven unpaid
    OFFERED = "offered"  # unknown: the QR can be paid at any time
    PROCESSING = "processing"  # with the gateway
    PAID = "paid"  # taken, proven
    DECLINED = "declined"  # none, proven
    REVERSING = "reversing"  # whatever was taken is on its way back
    REVERSED = "reversed"  # none kept
    UNSENT = "unsent"  # nothing left the terminal
    WATCHING = "watching"  # unknown to the gateway so far; looked up again later


_S = AttemptState
OUTCOMES: dict[AttemptState, Outcome] = {
    _S.HELD: Outcome.HELD,
    _S.SUBMITTING: Outcome.PROCESSING,
    _S.OFFERING: Outcome.PROCESSING,
    _S.OFFERED: Outcome.OFFERED,
    _S.ABANDONING: Outcome.REVERSING,
    _S.POLLING: Outcome.PROCESSING,
    _S.REVERSING: Outcome.REVERSING,
    _S.PROVING: Outcome.REVERSING,
    _S.SETTLING: Outcome.REVERSING,
    _S.REFUNDING: Outcome.REVERSING,
    _S.WATCHING: Outcome.WATCHING,
    _S.LAST_LOOK: Outcome.WATCHING,
    _S.PAID: Outcome.PAID,
    _S.DECLINED: Outcome.DECLINED,
    _S.REVERSED: Outcome.REVERSED,
    _S.UNSENT: Outcome.UNSENT,
}


class ShownState(Enum):
    """A sale's state, in public words."""

    AWAITING_PAYMENT = "awaiting_payment"
    PROCESSING = "processing"
    PAID = "paid"
    COMPLETED = "completed"
    CANCELING = "canceling"
    CANCELED = "canceled"
    RETURNING = "returning"
    RETURNED = "returned"

    @property
    def is_final(self) -> bool:
        """Whether nothing more will happen by itself."""
        return self in (ShownState.COMPLETED, ShownState.CANCELED, ShownState.RETURNED)


class Error(Struct, frozen=True, kw_only=True):
    """What went wrong, in the gateway's words or ours."""

    code: str
    message: str


class Attempt(Struct, frozen=True, kw_only=True):
    """One order at the gateway. What is not known yet is null; the payment code is masked."""

    client_sn: str
    kind: str
    sn: str | None
    trade_no: str | None
    payway: str | None
    code: str | None
    outcome: Outcome
    error: Error | None
    started_at: Time
    ended_at: Time | None


class Qr(Struct, frozen=True, kw_only=True):
    """A QR code that the customer can pay now. Not to be shown any more from expires_at on, and once it is null."""

    content: str
    payway: str
    expires_at: Time


class Refund(Struct, frozen=True, kw_only=True):
    """Money that goes back. Reference is null where you gave it none; error is the last one, the gateway's or ours."""

    id: str
    reference: str | None
    kind: RefundKind
    amount: Amount
    state: RefundState
    error: Error | None
    started_at: Time
    ended_at: Time | None


class Delivery(Struct, frozen=True, kw_only=True):
    """Whether the goods were handed over, where the host reports that; until when it is to."""

    required: bool
    state: DeliveryState
    deadline: Time | None


class Attention(Struct, frozen=True, kw_only=True):
    """A person should look."""

    code: str
    since: Time
    advice: str


class Sale(Struct, frozen=True, kw_only=True):
    """One sale. Reason is given while it is being, or was, canceled; receipt is the state of the latest receipt."""

    id: str
    reference: str
    state: ShownState
    amount: Amount
    subject: str
    methods: tuple[str, ...]
    qr: Qr | None
    attempts: tuple[Attempt, ...]
    paid: Amount
    returned: Amount
    refunds: tuple[Refund, ...]
    delivery: Delivery
    vend: Vend | None
    receipt: ReceiptState
    reason: str | None
    attention: Attention | None
    created_at: Time
    updated_at: Time
    closed_at: Time | None


class SaleList(Struct, frozen=True, kw_only=True):
    """A page of sales, newest first. Give next_cursor as ``cursor`` for the next page; null: this is the last."""

    sales: tuple[Sale, ...]
    next_cursor: str | None


class OrderLook(Struct, frozen=True, kw_only=True):
    """What the gateway said of one attempt; net is what the merchant has of it now, null where it did not say."""

    client_sn: str
    answer: str
    net: Amount | None = None


class QueriedSale(Struct, frozen=True, kw_only=True):
    """A sale, and what the gateway said just now of each attempt that may have reached it."""

    sale: Sale
    orders: tuple[OrderLook, ...]


# --- parts of the status ---------------------------------------------------------------------------------------------


class Key(Struct, frozen=True, kw_only=True):
    """The terminal key's age and state, never the key. Attention says why a person should look at it."""

    age_s: int
    rotated_at: Time
    next_checkin: Time | None
    state: Annotated[str, Meta(extra_json_schema={"enum": list(KEY_STATES)})]
    attention: Attention | None = None


class Device(Struct, frozen=True, kw_only=True):
    """One device; detail says what is wrong and what to do, since: since when it is in this state.

    Also the body of a ``device`` event.
    """

    name: str
    kind: str
    state: Annotated[str, Meta(extra_json_schema={"enum": ["absent", "ready", "faulty"]})]
    detail: str
    since: str | None = None


# --- events and problems ---------------------------------------------------------------------------------------------


class PrintEvent(Struct, frozen=True, kw_only=True):
    """A print job changed; detail says what is known about the paper."""

    job: str
    sale: str
    slip: Slip
    copy: bool
    state: ReceiptState
    detail: str


class RefundEvent(Struct, frozen=True, kw_only=True):
    """Money is on its way back, or is back."""

    sale: str
    refund: Refund


class ScanEvent(Struct, frozen=True, kw_only=True):
    """A scan was not taken as a payment. What was scanned is not told."""

    sale: str | None
    device: str
    reason: str
    detail: str


class ReadinessEvent(Struct, frozen=True, kw_only=True):
    """Sales are, or are not, begun from now on."""

    ready: bool
    reasons: tuple[str, ...]


class KeyEvent(Struct, frozen=True, kw_only=True):
    """The terminal's key changed its state, or a person should look at it."""

    key: Key


class AttentionEvent(Struct, frozen=True, kw_only=True):
    """A person should look at a sale, or at the terminal's key; whatever can be put right without one goes on.

    Client_sn is of one order only. Both are null where it is about the key.
    """

    sale: str | None
    client_sn: str | None
    code: str
    since: Time
    advice: str


class Problem(Struct, frozen=True, kw_only=True):
    """A refusal (RFC 9457). Field names the faulty input; reasons are those of not_ready."""

    type: str
    title: str
    status: int
    detail: str
    advice: str
    code: str
    field: str | UnsetType = UNSET
    reasons: tuple[str, ...] | UnsetType = UNSET
