"""Answers of the gateway become events: the tables that say what each code means for the money.

How an answer is judged, for every request alike:

1. What is not the gateway's envelope is ambiguous, like no answer at all.
2. An answer that names another terminal, order or amount than was asked is a mismatch, whatever else it says (I4).
3. The first layer: a known refusal of the request is definite; anything else but success is ambiguous.
4. The second layer: result code and error code are looked up in the request's table.
5. The third layer is authoritative for the money: a verdict is believed only beside the states of the order that go
   with it, and "paid" only when status, order number and amount are there and agree.

Whatever is in no table is ambiguous, never "declined". Codes are those of the Web API documents, section "error codes"
and the result codes of each call.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from terminald.core.events import (
    Answer,
    AnswerMismatched,
    Fault,
    OrderAbsent,
    OrderClosed,
    OrderErrored,
    OrderFacts,
    OrderPaid,
    OrderPartlyReturned,
    OrderPending,
    OrderReturned,
    OutcomePending,
    OutcomeUnknown,
    PayConfirmed,
    PayDeclined,
    QueryFailed,
    RefundConfirmed,
    RefundPending,
    RefundRefused,
    RequestRefused,
    ReversalConfirmed,
    ReversalPending,
    ReversalRefused,
)
from terminald.core.ids import ClientSn
from terminald.core.money import Fen
from terminald.wire.upay_envelope import (
    COMMUNICATED,
    MAX_FACT,
    Envelope,
    Fields,
    clean,
    fault,
    is_refusal,
    parse_fen,
    read_envelope,
    unreadable,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What the request was about: every answer is checked against it (I4)."""

    terminal_sn: str
    client_sn: ClientSn
    amount: Fen


@dataclass(frozen=True, slots=True, kw_only=True)
class _Verdict:
    """What a code means beside these states of the order, and beside any other. None: beside every state.

    An empty state is an answer that does not name one.
    """

    answer: type[Answer]
    beside: frozenset[str] | None = None
    else_: type[Answer] = OutcomeUnknown


#: Verdicts of one result code, by error code. ANY stands for the error codes, or result codes, that are not named.
_Row = Mapping[str, _Verdict]
ANY = "*"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Call:
    """One kind of request: what each layer means for it."""

    ambiguous: type[Answer]
    results: Mapping[str, _Row]
    #: Error codes of the first layer that are definite.
    refusals: Mapping[str, type[Answer]]
    #: What "paid" becomes while it is not proven, and when the gateway counts the payment itself as failed.
    unproven: type[Answer] = OutcomePending
    failed: type[Answer] = OutcomePending
    #: By order_status, in place of an error code: a query that succeeded says what the order says.
    orders: Mapping[str, type[Answer]] = field(default_factory=dict)


_PAID = frozenset({"PAID"})
_UNTOUCHED = frozenset({""})
_NEVER_PAID = frozenset({"", "PAY_CANCELED", "CANCELED"})
_UNDONE = frozenset({"", "PAY_CANCELED", "CANCELED", "REFUNDED"})
_GIVEN_BACK = frozenset({"", "REFUNDED", "PARTIAL_REFUNDED"})
#: A cancel "is not possible once any refund was made" (documents, cancel).
_BEYOND_CANCEL = frozenset({"", "PAID", "PARTIAL_REFUNDED", "REFUND_ERROR"})
#: A refund that was refused has left something, or there was nothing from the start.
_NOT_GIVEN_BACK = frozenset({"", "PAID", "PARTIAL_REFUNDED", "CREATED", "PAY_CANCELED", "CANCELED"})

#: Printed both ways in the documents.
_ABSENT = ("UPAY_ORDER_NOT_EXISTS", "UPAY_ORDER_NOT_EXIST")
_TERMINAL = ("UPAY_TERMINAL_NOT_EXISTS", "UPAY_TERMINAL_STATUS_ABNORMAL")

#: The first layer refuses the request itself: the order is untouched.
_REFUSALS: Mapping[str, type[Answer]] = {
    "INVALID_PARAMS": RequestRefused,
    "INVALID_PARAMETER": RequestRefused,
    "INVALID_TERMINAL": RequestRefused,
    "TERMINAL_NOT_EXISTS": RequestRefused,
    "ILLEGAL_SIGN": RequestRefused,
    **dict.fromkeys(_TERMINAL, RequestRefused),
}
_ABSENCES: Mapping[str, type[Answer]] = dict.fromkeys(_ABSENT, OrderAbsent)

# --- pay -------------------------------------------------------------------------------------------------------------

_TERMINAL_REFUSED = dict.fromkeys(_TERMINAL, _Verdict(answer=RequestRefused, beside=_UNTOUCHED))
#: "client_sn is already in use": it arrived before, and its fate is at the gateway.
_SUBMIT_ERRORS: _Row = {**_TERMINAL_REFUSED, "CLIENT_SN_CONFLICT": _Verdict(answer=OutcomeUnknown)}
_UNKNOWN = _Verdict(answer=OutcomeUnknown)

_SUBMIT = _Call(
    ambiguous=OutcomeUnknown,
    refusals=_REFUSALS,
    results={
        "PAY_SUCCESS": {ANY: _Verdict(answer=PayConfirmed, beside=_PAID, else_=OutcomePending)},
        "PAY_FAIL": {**_SUBMIT_ERRORS, ANY: _Verdict(answer=PayDeclined, beside=_NEVER_PAID)},
        "PAY_IN_PROGRESS": {ANY: _Verdict(answer=OutcomePending)},
        "FAIL": {**_SUBMIT_ERRORS, ANY: _UNKNOWN},
        # PAY_FAIL_ERROR and PAY_FAIL_IN_PROGRESS are documented as unknown; so is whatever is not documented.
        ANY: {ANY: _UNKNOWN},
    },
)

# --- query -----------------------------------------------------------------------------------------------------------

_QUERY = _Call(
    ambiguous=QueryFailed,
    refusals=_ABSENCES,
    results={
        "SUCCESS": {ANY: _Verdict(answer=OrderPending)},
        "FAIL": {
            **dict.fromkeys(_ABSENT, _Verdict(answer=OrderAbsent, beside=_UNTOUCHED, else_=QueryFailed)),
            ANY: _Verdict(answer=QueryFailed),
        },
        ANY: {ANY: _Verdict(answer=QueryFailed)},
    },
    unproven=OrderPending,
    failed=OrderErrored,
    # CREATED, CANCEL_INPROGRESS, IN_QUEUE and whatever is not known are not final.
    orders={
        "PAID": OrderPaid,
        "PAY_CANCELED": OrderClosed,
        "CANCELED": OrderClosed,
        "REFUNDED": OrderReturned,
        "PARTIAL_REFUNDED": OrderPartlyReturned,
        "PAY_ERROR": OrderErrored,
        "REFUND_ERROR": OrderErrored,
        "CANCEL_ERROR": OrderErrored,
        "INVALID_STATUS_CODE": OrderErrored,
    },
)

# --- cancel ----------------------------------------------------------------------------------------------------------

_UNDONE_VERDICT = _Verdict(answer=ReversalConfirmed, beside=_UNDONE, else_=ReversalPending)
_PENDING_VERDICT = _Verdict(answer=ReversalPending)
_REFUSED_VERDICT = _Verdict(answer=ReversalRefused, beside=_BEYOND_CANCEL, else_=ReversalPending)
#: Error codes outrank result codes, except those that claim success or progress: a repeated cancel ends in an error
#: that says the first one was done.
_CANCEL_ERRORS: _Row = {
    "UPAY_CANCEL_ORDER_NOOP": _UNDONE_VERDICT,
    **dict.fromkeys(_ABSENT, _Verdict(answer=OrderAbsent, beside=_UNTOUCHED, else_=ReversalPending)),
    **_TERMINAL_REFUSED,
    "UPAY_CANCEL_INVALID_ORDER_STATE": _REFUSED_VERDICT,
    "UPAY_REFUND_INVALID_ORDER_STATE": _REFUSED_VERDICT,
    "UPAY_TCP_ORDER_NOT_REFUNDABLE": _REFUSED_VERDICT,
    "REFUND_AMT_NOT_EQUAL_TOTAL": _REFUSED_VERDICT,
    # The merchant's balance fills up again.
    "SELLER_BALANCE_NOT_ENOUGH": _PENDING_VERDICT,
    "ACCOUNT_BALANCE_NOT_ENOUGH": _PENDING_VERDICT,
}

_REVERSE = _Call(
    ambiguous=OutcomeUnknown,
    refusals={**_REFUSALS, **_ABSENCES},
    results={
        "CANCEL_SUCCESS": {ANY: _UNDONE_VERDICT},
        "CANCEL_ABORT_SUCCESS": {ANY: _UNDONE_VERDICT},
        "CANCEL_IN_PROGRESS": {ANY: _PENDING_VERDICT},
        "CANCEL_ABORT_IN_PROGRESS": {ANY: _PENDING_VERDICT},
        "CANCEL_ERROR": {**_CANCEL_ERRORS, ANY: _PENDING_VERDICT},
        "CANCEL_ABORT_ERROR": {**_CANCEL_ERRORS, ANY: _PENDING_VERDICT},
        # "FAIL: the order is left as it was" (documents).
        "FAIL": {**_CANCEL_ERRORS, ANY: _REFUSED_VERDICT},
        ANY: {**_CANCEL_ERRORS, ANY: _UNKNOWN},
    },
)

# --- refund ----------------------------------------------------------------------------------------------------------

_REFUNDED = _Verdict(answer=RefundConfirmed, beside=_GIVEN_BACK, else_=RefundPending)
_NOT_REFUNDED = _Verdict(answer=RefundRefused, beside=_NOT_GIVEN_BACK, else_=RefundPending)
#: "This very refund is already done" (documents, refund).
_REFUND_NOOP: _Row = {"UPAY_REFUND_ORDER_NOOP": _REFUNDED}
#: Definite, and said with FAIL as well as with REFUND_FAIL.
_REFUND_ERRORS: _Row = {
    **_REFUND_NOOP,
    **_TERMINAL_REFUSED,
    **dict.fromkeys(_ABSENT, _Verdict(answer=OrderAbsent, beside=_UNTOUCHED, else_=RefundPending)),
    "REFUNDABLE_AMOUNT_NOT_ENOUGH": _NOT_REFUNDED,
    "UPAY_REFUND_INVALID_ORDER_STATE": _NOT_REFUNDED,
    "UPAY_TCP_ORDER_NOT_REFUNDABLE": _NOT_REFUNDED,
    "REFUND_AMT_NOT_EQUAL_TOTAL": _NOT_REFUNDED,
    "SELLER_BALANCE_NOT_ENOUGH": _NOT_REFUNDED,
    "ACCOUNT_BALANCE_NOT_ENOUGH": _NOT_REFUNDED,
}

_REFUND = _Call(
    ambiguous=OutcomeUnknown,
    refusals={**_REFUSALS, **_ABSENCES},
    results={
        "REFUND_SUCCESS": {ANY: _REFUNDED},
        "REFUND_IN_PROGRESS": {ANY: _Verdict(answer=RefundPending)},
        "REFUND_ERROR": {**_REFUND_NOOP, ANY: _Verdict(answer=RefundPending)},
        "REFUND_FAIL_ERROR": {**_REFUND_NOOP, ANY: _Verdict(answer=RefundPending)},
        "REFUND_FAIL": {**_REFUND_ERRORS, ANY: _NOT_REFUNDED},
        "FAIL": {**_REFUND_ERRORS, ANY: _UNKNOWN},
        ANY: {**_REFUND_NOOP, ANY: _UNKNOWN},
    },
)

# --- judging ---------------------------------------------------------------------------------------------------------

_TAKEN = (PayConfirmed, OrderPaid)
#: Nothing needs to be explained, unless the gateway does so itself.
_QUIET = (
    PayConfirmed,
    OutcomePending,
    OrderPaid,
    OrderPending,
    OrderClosed,
    OrderReturned,
    OrderPartlyReturned,
    ReversalConfirmed,
    RefundConfirmed,
)
#: Nothing of the payment may be left; of every other order something is.
_EMPTIED = (OrderClosed, OrderReturned, ReversalConfirmed, RefundConfirmed)


def decode_submit(status: int, body: bytes, *, asked: Asked) -> Answer:
    """Read the answer to a pay request. Total: no bytes raise."""
    return _decode(_SUBMIT, status, body, asked)


def decode_query(status: int, body: bytes, *, asked: Asked) -> Answer:
    """Read the answer to a query. Total: no bytes raise."""
    return _decode(_QUERY, status, body, asked)


def decode_reverse(status: int, body: bytes, *, asked: Asked) -> Answer:
    """Read the answer to a cancel. Total: no bytes raise."""
    return _decode(_REVERSE, status, body, asked)


def decode_refund(status: int, body: bytes, *, asked: Asked) -> Answer:
    """Read the answer to a refund. Total: no bytes raise."""
    return _decode(_REFUND, status, body, asked)


def _decode(call: _Call, status: int, body: bytes, asked: Asked) -> Answer:
    envelope = read_envelope(status, body)
    if envelope is None:
        return call.ambiguous(fault=unreadable(status))
    if differing := _find_mismatch(envelope.data, asked):
        return AnswerMismatched(
            fault=Fault(code="answer_mismatch", message=f"the answer's {differing} is not the one that was asked about")
        )
    if envelope.outer.result_code != COMMUNICATED:
        refused = call.refusals.get(envelope.outer.error_code) if is_refusal(envelope) else None
        return (refused or call.ambiguous)(fault=_explain(envelope))
    answer = _judge(call, envelope, asked)
    explained = bool(envelope.biz.error_code) or not issubclass(answer, _QUIET)
    return answer(facts=_facts(envelope.data, answer, asked), fault=_explain(envelope) if explained else None)


def _find_mismatch(data: Fields, asked: Asked) -> str:
    """Return the name of the first field that differs from what was asked; a missing or empty one does not differ."""
    if data.get("terminal_sn", "") not in ("", asked.terminal_sn):
        return "terminal_sn"
    if data.get("client_sn", "") not in ("", asked.client_sn):
        return "client_sn"
    amount = data.get("total_amount", "")
    if amount and parse_fen(amount) != asked.amount:
        return "total_amount"
    return ""


def _judge(call: _Call, envelope: Envelope, asked: Asked) -> type[Answer]:
    """Judge the second and the third layer."""
    biz, data = envelope.biz, envelope.data
    order = data.get("order_status", "")
    row = call.results.get(biz.result_code) or call.results[ANY]
    verdict = row.get(biz.error_code) or row[ANY]
    answer = verdict.answer if verdict.beside is None or order in verdict.beside else verdict.else_
    if answer is OrderPending:
        answer = call.orders.get(order, OrderPending)
    if issubclass(answer, _TAKEN):
        return _prove(call, answer, data)
    if answer is OrderPartlyReturned and _net_amount(data, answer, asked) is None:
        return call.unproven
    return answer


def _prove(call: _Call, answer: type[Answer], data: Fields) -> type[Answer]:
    """Believe "paid" only of this order and amount (I4), and not of a payment that the gateway counts as failed.

    "FAIL_*: it counts as failed whatever the customer's phone shows" (documents, status of a transaction).
    """
    if data.get("status", "").startswith("FAIL_"):
        return call.failed
    # Present means equal here: what differs is a mismatch already.
    if not (data.get("client_sn") and data.get("total_amount")):
        return call.unproven
    return answer


def _facts(data: Fields, answer: type[Answer], asked: Asked) -> OrderFacts:
    return OrderFacts(
        sn=clean(data.get("sn", ""), MAX_FACT),
        trade_no=clean(data.get("trade_no", ""), MAX_FACT),
        payway=clean(data.get("payway", ""), MAX_FACT),
        finish_time=clean(data.get("finish_time", ""), MAX_FACT),
        net_amount=_net_amount(data, answer, asked),
    )


def _net_amount(data: Fields, answer: type[Answer], asked: Asked) -> Fen | None:
    """Return total minus refunded where it can be true beside the answer: it decides how much is given back later."""
    net = parse_fen(data.get("net_amount", ""))
    if net is None or net > asked.amount:
        return None
    is_possible = net == asked.amount if issubclass(answer, _TAKEN) else net > 0 or issubclass(answer, _EMPTIED)
    return Fen(net) if is_possible else None


def _explain(envelope: Envelope) -> Fault:
    """Return the gateway's own words; where it has none, the codes of its layers."""
    layer = envelope.biz if envelope.outer.result_code == COMMUNICATED else envelope.outer
    order, transaction = envelope.data.get("order_status", ""), envelope.data.get("status", "")
    told = (layer.result_code, order, transaction)
    return fault(
        layer.error_code or order or layer.result_code or "no_result_code",
        layer.error_message or " ".join(clean(each, MAX_FACT) for each in told if each),
    )
