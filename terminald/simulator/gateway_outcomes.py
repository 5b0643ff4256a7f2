"""What the last two digits of a payment code make happen. Every pair that is not in the table is paid at once.

Of each lost request or answer there are two kinds: the connection hangs (``lose_request``, ``lose_answer``), or it is
closed without a byte (``close_request``, ``close_answer``). The table closes, so that nobody has to wait for a timeout;
scripted faults can do either.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, StrEnum

from terminald.simulator.gateway_faults import Fault, FaultPath


class OrderStatus(StrEnum):
    """``order_status``, as far as this gateway uses it."""

    CREATED = "CREATED"
    PAID = "PAID"
    PAY_CANCELED = "PAY_CANCELED"
    PAY_ERROR = "PAY_ERROR"
    PARTIAL_REFUNDED = "PARTIAL_REFUNDED"
    REFUNDED = "REFUNDED"
    REFUND_ERROR = "REFUND_ERROR"
    REFUND_INPROGRESS = "REFUND_INPROGRESS"
    CANCELED = "CANCELED"
    CANCEL_ERROR = "CANCEL_ERROR"
    CANCEL_INPROGRESS = "CANCEL_INPROGRESS"


#: The documents' list. Only a refund or a cancellation of a paid order leaves one of these.
FINAL = frozenset(
    {
        OrderStatus.PAID,
        OrderStatus.PAY_CANCELED,
        OrderStatus.REFUNDED,
        OrderStatus.PARTIAL_REFUNDED,
        OrderStatus.CANCELED,
    }
)


class Status(StrEnum):
    """``status``: the state of one transaction of an order."""

    SUCCESS = "SUCCESS"
    IN_PROG = "IN_PROG"
    FAIL_CANCELED = "FAIL_CANCELED"
    FAIL_PROTOCOL_1 = "FAIL_PROTOCOL_1"
    FAIL_IO_1 = "FAIL_IO_1"
    FAIL_ERROR = "FAIL_ERROR"
    CANCEL_ERROR = "CANCEL_ERROR"
    REFUND_ERROR = "REFUND_ERROR"


class Effect(Enum):
    """What happens to an order by itself, at its time."""

    PAY = "pay"  # the customer's money is taken
    CLOSE = "close"  # ends unpaid
    CANCEL = "cancel"  # a cancellation that was accepted is done; money goes back
    REFUND = "refund"  # the same of a refund


class AtCancel(Enum):
    """What the gateway does with a cancellation of this order."""

    PLAIN = "plain"  # done at once
    PAID_MEANWHILE = "paid meanwhile"  # the customer pays at that moment; taken and returned
    REFUSED = "refused"  # the customer has just paid; only a refund helps
    SLOW = "slow"  # in progress for a while
    FAILING = "failing"  # CANCEL_ERROR twice, then done


class AtRefund(Enum):
    """What the gateway does with one refund."""

    PLAIN = "plain"  # done at once
    SLOW = "slow"  # in progress for a while
    FAILING = "failing"  # REFUND_ERROR; may be repeated


@dataclass(frozen=True, slots=True, kw_only=True)
class Opening:
    """How the answer to ``pay`` leaves a new order."""

    result_code: str
    order_status: OrderStatus
    status: Status


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """The whole story of an order. ``after`` is its next effect in seconds at speed 1."""

    text: str
    opening: Opening
    error_code: str = ""
    after: tuple[float, Effect] | None = None
    at_cancel: AtCancel = AtCancel.PLAIN
    faults: tuple[Fault, ...] = ()


PAID = Opening(result_code="PAY_SUCCESS", order_status=OrderStatus.PAID, status=Status.SUCCESS)
PENDING = Opening(result_code="PAY_IN_PROGRESS", order_status=OrderStatus.CREATED, status=Status.IN_PROG)
FAILED = Opening(result_code="PAY_FAIL", order_status=OrderStatus.PAY_CANCELED, status=Status.FAIL_CANCELED)
ERROR = Opening(result_code="PAY_FAIL_ERROR", order_status=OrderStatus.PAY_ERROR, status=Status.FAIL_ERROR)
UNDOING = Opening(result_code="PAY_FAIL_IN_PROGRESS", order_status=OrderStatus.PAY_ERROR, status=Status.FAIL_IO_1)
PROTOCOL = Opening(result_code="PAY_IN_PROGRESS", order_status=OrderStatus.CREATED, status=Status.FAIL_PROTOCOL_1)
OFFERED = Opening(result_code="PRECREATE_SUCCESS", order_status=OrderStatus.CREATED, status=Status.IN_PROG)

#: How long a cancellation of :attr:`AtCancel.SLOW` takes, at speed 1.
SLOW_CANCEL_S = 10.0
#: How often a cancellation of :attr:`AtCancel.FAILING` fails.
CANCEL_FAILURES = 2


def _declined(error_code: str) -> Outcome:
    return Outcome(text=f"declined: {error_code}", opening=FAILED, error_code=error_code)


def _paid(text: str, *faults: Fault) -> Outcome:
    return Outcome(text=text, opening=PAID, faults=faults)


def _refused_back(text: str, error_code: str, *calls: FaultPath) -> Outcome:
    """Return a payment that these calls do not give back, until the simulator is told otherwise."""
    return _paid(text, *(Fault(kind="declined", path=call, error_code=error_code, count=None) for call in calls))


def _lying(text: str, *faults: Fault) -> Outcome:
    return Outcome(text=f"paid, but every answer to pay and query {text}", opening=PAID, faults=faults)


AT_ONCE = _paid("paid at once")
#: Of a code that no provider knows, or that has paid before, whatever its last digits are.
NOT_A_CODE = _declined("INVALID_BARCODE")

OUTCOMES: Mapping[str, Outcome] = {
    "10": Outcome(text="in progress, paid after 6 s", opening=PENDING, after=(6, Effect.PAY)),
    "11": Outcome(text="in progress, paid after 30 s", opening=PENDING, after=(30, Effect.PAY)),
    "12": Outcome(text="in progress for ever", opening=PENDING),
    "13": Outcome(text="in progress, the customer refuses after 6 s", opening=PENDING, after=(6, Effect.CLOSE)),
    "14": Outcome(text="in progress, paid after 70 s", opening=PENDING, after=(70, Effect.PAY)),
    "20": _declined("INSUFFICIENT_FUND"),
    "21": _declined("EXPIRED_BARCODE"),
    "22": _declined("INVALID_BARCODE"),
    "23": _declined("BUYER_OVER_DAILY_LIMIT"),
    "24": _declined("TRADE_FAILED"),
    "30": Outcome(text="PAY_ERROR, then PAY_CANCELED after 10 s", opening=ERROR, after=(10, Effect.CLOSE)),
    "31": Outcome(text="PAY_ERROR, then PAID after 10 s", opening=ERROR, after=(10, Effect.PAY)),
    "32": Outcome(text="PAY_FAIL_IN_PROGRESS, closed after 6 s", opening=UNDOING, after=(6, Effect.CLOSE)),
    "33": Outcome(
        text="status FAIL_PROTOCOL_1 while not final, closed after 120 s", opening=PROTOCOL, after=(120, Effect.CLOSE)
    ),
    "40": _paid("paid, the answer is lost: closed without a byte", Fault(kind="close_answer", path="pay")),
    "41": _paid("never arrives: closed without a byte", Fault(kind="close_request", path="pay")),
    "42": _paid("arrives 20 s late, then paid at once", Fault(kind="delay_request", path="pay", seconds=20)),
    "43": _paid("paid, answered after 10 s", Fault(kind="slow", path="pay", seconds=10)),
    "44": _paid("paid, answered 502 with HTML", Fault(kind="http_status", path="pay", status=502)),
    "45": _paid("paid, answered 200 with HTML", Fault(kind="html", path="pay")),
    "46": _paid("paid, answered with bytes that are not text", Fault(kind="garbage", path="pay")),
    "47": _paid("paid, answered with an empty body", Fault(kind="empty", path="pay")),
    "48": _paid("paid, answered with 5 MB", Fault(kind="huge", path="pay")),
    "49": _paid("paid, answered 302", Fault(kind="redirect", path="pay")),
    "50": _lying(
        "names another total_amount",
        Fault(kind="wrong_amount", path="pay", count=None),
        Fault(kind="wrong_amount", path="query", count=None),
    ),
    "51": _lying(
        "names another client_sn",
        Fault(kind="wrong_client_sn", path="pay", count=None),
        Fault(kind="wrong_client_sn", path="query", count=None),
    ),
    "52": _paid("ILLEGAL_SIGN once, nothing done; paid when sent again", Fault(kind="illegal_sign", path="pay")),
    "53": _paid("paid, answered in single bytes over 20 s", Fault(kind="trickle", path="pay", seconds=20)),
    "54": _lying(
        "names another terminal_sn",
        Fault(kind="wrong_terminal_sn", path="pay", count=None),
        Fault(kind="wrong_terminal_sn", path="query", count=None),
    ),
    "60": Outcome(
        text="in progress; the customer pays at the moment of the cancel, and gets it back",
        opening=PENDING,
        at_cancel=AtCancel.PAID_MEANWHILE,
    ),
    "61": Outcome(
        text="in progress for ever; the first cancel is done, its answer is lost",
        opening=PENDING,
        faults=(Fault(kind="close_answer", path="cancel"),),
    ),
    "62": Outcome(text="in progress for ever; a cancel takes 10 s", opening=PENDING, at_cancel=AtCancel.SLOW),
    "63": Outcome(
        text="in progress for ever; the first two cancels end in CANCEL_ERROR",
        opening=PENDING,
        at_cancel=AtCancel.FAILING,
    ),
    "64": Outcome(
        text="in progress; the cancel is refused, because the customer has just paid: needs a refund",
        opening=PENDING,
        at_cancel=AtCancel.REFUSED,
    ),
    "70": _paid("paid; the first refund ends in REFUND_ERROR", Fault(kind="refund_error", path="refund")),
    "71": _paid("paid; the first revoke ends in CANCEL_ERROR", Fault(kind="cancel_error", path="revoke")),
    "72": _refused_back(
        "paid in a promotion: UPAY_TCP_ORDER_NOT_REFUNDABLE to cancel and revoke; needs a refund",
        "UPAY_TCP_ORDER_NOT_REFUNDABLE",
        *("cancel", "revoke"),
    ),
    "73": _refused_back(
        "paid in a promotion: UPAY_TCP_ORDER_NOT_REFUNDABLE to cancel, revoke and refund until disarmed",
        "UPAY_TCP_ORDER_NOT_REFUNDABLE",
        *("cancel", "revoke", "refund"),
    ),
    "74": _refused_back(
        "paid; ACCOUNT_BALANCE_NOT_ENOUGH to cancel, revoke and refund until disarmed",
        "ACCOUNT_BALANCE_NOT_ENOUGH",
        *("cancel", "revoke", "refund"),
    ),
    "75": _paid("paid; the first refund is done, its answer is lost", Fault(kind="close_answer", path="refund")),
    "76": _paid("paid; the first revoke is done, its answer is lost", Fault(kind="close_answer", path="revoke")),
    "77": _paid("paid; the first refund takes 10 s", Fault(kind="in_progress", path="refund", seconds=10)),
    "78": _paid("paid; the first revoke takes 10 s", Fault(kind="in_progress", path="revoke", seconds=10)),
    "79": _paid("paid; the first refund arrives 20 s late", Fault(kind="delay_request", path="refund", seconds=20)),
}


def outcome_of(payment_code: str) -> Outcome:
    """Return what this payment code makes happen."""
    return OUTCOMES.get(payment_code[-2:], AT_ONCE)


def outcomes_table() -> str:
    """Return the table for people, one line for each pair of digits."""
    lines = [f"  {digits}  {outcome.text}" for digits, outcome in OUTCOMES.items()]
    return "\n".join(["last two digits of the payment code:", *lines, f"  …   {AT_ONCE.text}"])
