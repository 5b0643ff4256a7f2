"""What each code of the gateway means for the money: one table for each request, and how a table is read.

A result code and an error code lead to a verdict, and the verdict holds beside some states of the order only. Whatever
is in no table is ambiguous, never "declined". Codes are those of the Web API documents, section "error codes" and the
result codes of each call.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from terminald.core.events import (
    Answer,
    OrderAbsent,
    OrderClosed,
    OrderErrored,
    OrderPaid,
    OrderPartlyReturned,
    OrderPending,
    OrderReturned,
    OutcomePending,
    OutcomeUnknown,
    PayConfirmed,
    PayDeclined,
    QrOffered,
    QueryFailed,
    RefundConfirmed,
    RefundPending,
    RefundRefused,
    RequestRefused,
    ReversalConfirmed,
    ReversalPending,
    ReversalRefused,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What a code means beside these states of the order, and beside any other. None: beside every state.

    An empty state is an answer that does not name one.
    """

    answer: type[Answer]
    beside: frozenset[str] | None = None
    else_: type[Answer] = OutcomeUnknown

    def of(self, order: str) -> type[Answer]:
        """Return what the code means beside this state of the order."""
        return self.answer if self.beside is None or order in self.beside else self.else_


#: Verdicts of one result code, by error code. ANY stands for the error codes, or result codes, that are not named.
Row = Mapping[str, Verdict]
ANY = "*"


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One kind of request: what each layer means for it."""

    ambiguous: type[Answer]
    results: Mapping[str, Row]
    #: Error codes of the first layer that are definite.
    refusals: Mapping[str, type[Answer]]
    #: What a claim becomes while it is not proven, and when the gateway counts the payment itself as failed.
    unproven: type[Answer] = OutcomePending
    failed: type[Answer] = OutcomePending
    #: By order_status, in place of an error code: a query that succeeded says what the order says.
    orders: Mapping[str, type[Answer]] = field(default_factory=dict)
    #: Our words for a result code that explains nothing where it is not believed.
    words: Mapping[str, str] = field(default_factory=dict)

    def find(self, result: str, error: str) -> Verdict:
        """Return the verdict of these codes."""
        row = self.results.get(result) or self.results[ANY]
        return row.get(error) or row[ANY]


_PAID = frozenset({"PAID"})
_CREATED = frozenset({"CREATED"})
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
#: The merchant has less than is to go back: the gateway's own words, and the provider's.
_SHORT = ("ACCOUNT_BALANCE_NOT_ENOUGH", "SELLER_BALANCE_NOT_ENOUGH")

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

_TERMINAL_REFUSED = dict.fromkeys(_TERMINAL, Verdict(answer=RequestRefused, beside=_UNTOUCHED))
_UNKNOWN = Verdict(answer=OutcomeUnknown)

# --- pay and pre-create ----------------------------------------------------------------------------------------------

#: "client_sn is already in use": it arrived before, and its fate is at the gateway.
_CONFLICT: Row = {"CLIENT_SN_CONFLICT": _UNKNOWN}
_SUBMIT_ERRORS: Row = {**_TERMINAL_REFUSED, **_CONFLICT}
#: Beside an order that may have been paid, or may still be, a failure is none.
_SUBMIT_FAILED: Row = {**_SUBMIT_ERRORS, ANY: Verdict(answer=PayDeclined, beside=_NEVER_PAID)}

SUBMIT = Call(
    ambiguous=OutcomeUnknown,
    refusals=_REFUSALS,
    results={
        "PAY_SUCCESS": {ANY: Verdict(answer=PayConfirmed, beside=_PAID, else_=OutcomePending)},
        "PAY_FAIL": _SUBMIT_FAILED,
        "PAY_IN_PROGRESS": {ANY: Verdict(answer=OutcomePending)},
        "FAIL": {**_SUBMIT_ERRORS, ANY: _UNKNOWN},
        # PAY_FAIL_ERROR and PAY_FAIL_IN_PROGRESS are documented as unknown; so is whatever is not documented.
        ANY: {ANY: _UNKNOWN},
    },
)

OFFER = Call(
    ambiguous=OutcomeUnknown,
    refusals=_REFUSALS,
    results={
        "PRECREATE_SUCCESS": {**_CONFLICT, ANY: Verdict(answer=QrOffered, beside=_CREATED)},
        "PRECREATE_FAIL": _SUBMIT_FAILED,
        "FAIL": {**_SUBMIT_ERRORS, ANY: _UNKNOWN},
        # As above, of PRECREATE_FAIL_ERROR and PRECREATE_FAIL_IN_PROGRESS.
        ANY: {ANY: _UNKNOWN},
    },
    unproven=OutcomeUnknown,
    failed=OutcomeUnknown,
    words={"PRECREATE_SUCCESS": "no_usable_qr"},
)

# --- query -----------------------------------------------------------------------------------------------------------

QUERY = Call(
    ambiguous=QueryFailed,
    refusals=_ABSENCES,
    results={
        "SUCCESS": {ANY: Verdict(answer=OrderPending)},
        "FAIL": {
            **dict.fromkeys(_ABSENT, Verdict(answer=OrderAbsent, beside=_UNTOUCHED, else_=QueryFailed)),
            ANY: Verdict(answer=QueryFailed),
        },
        ANY: {ANY: Verdict(answer=QueryFailed)},
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

# --- cancel and revoke -----------------------------------------------------------------------------------------------

_UNDONE_VERDICT = Verdict(answer=ReversalConfirmed, beside=_UNDONE, else_=ReversalPending)
_PENDING_VERDICT = Verdict(answer=ReversalPending)
_REFUSED_VERDICT = Verdict(answer=ReversalRefused, beside=_BEYOND_CANCEL, else_=ReversalPending)
#: A repeated cancel ends in an error that says the first one was done.
_CANCEL_ERRORS: Row = {
    "UPAY_CANCEL_ORDER_NOOP": _UNDONE_VERDICT,
    **dict.fromkeys(_ABSENT, Verdict(answer=OrderAbsent, beside=_UNTOUCHED, else_=ReversalPending)),
    **_TERMINAL_REFUSED,
    "UPAY_CANCEL_INVALID_ORDER_STATE": _REFUSED_VERDICT,
    "UPAY_REFUND_INVALID_ORDER_STATE": _REFUSED_VERDICT,
    "UPAY_TCP_ORDER_NOT_REFUNDABLE": _REFUSED_VERDICT,
    "REFUND_AMT_NOT_EQUAL_TOTAL": _REFUSED_VERDICT,
}


def _cancel_results(errors: Row) -> Mapping[str, Row]:
    """Return the table of a cancel. Error codes outrank result codes, except those that claim success or progress.

    The documents' own example of a cancel that failed has CANCEL_ERROR beside an error code that is definite.
    """
    return {
        "CANCEL_SUCCESS": {ANY: _UNDONE_VERDICT},
        "CANCEL_ABORT_SUCCESS": {ANY: _UNDONE_VERDICT},
        "CANCEL_IN_PROGRESS": {ANY: _PENDING_VERDICT},
        "CANCEL_ABORT_IN_PROGRESS": {ANY: _PENDING_VERDICT},
        "CANCEL_ERROR": {**errors, ANY: _PENDING_VERDICT},
        "CANCEL_ABORT_ERROR": {**errors, ANY: _PENDING_VERDICT},
        # "FAIL: the order is left as it was" (documents).
        "FAIL": {**errors, ANY: _REFUSED_VERDICT},
        ANY: {**errors, ANY: _UNKNOWN},
    }


REVERSE = Call(
    ambiguous=OutcomeUnknown,
    refusals={**_REFUSALS, **_ABSENCES},
    # Nobody wants this payment: a balance fills up again, and until then the cancel is repeated.
    results=_cancel_results({**_CANCEL_ERRORS, **dict.fromkeys(_SHORT, _PENDING_VERDICT)}),
)

#: "Same logic, other purpose", under the result codes of cancel (documents, revoke).
REVOKE = Call(
    ambiguous=OutcomeUnknown,
    refusals={**_REFUSALS, **_ABSENCES},
    # Somebody asked for this money: they are told why it does not go back now.
    results=_cancel_results({**_CANCEL_ERRORS, **dict.fromkeys(_SHORT, _REFUSED_VERDICT)}),
)

# --- refund ----------------------------------------------------------------------------------------------------------

_REFUNDED = Verdict(answer=RefundConfirmed, beside=_GIVEN_BACK, else_=RefundPending)
_NOT_REFUNDED = Verdict(answer=RefundRefused, beside=_NOT_GIVEN_BACK, else_=RefundPending)
#: "This very refund is already done" (documents, refund).
_REFUND_NOOP: Row = {"UPAY_REFUND_ORDER_NOOP": _REFUNDED}
#: Definite, whatever failure they are said with: as in a cancel, they outrank the result code.
_REFUND_ERRORS: Row = {
    **_REFUND_NOOP,
    **_TERMINAL_REFUSED,
    **dict.fromkeys(_ABSENT, Verdict(answer=OrderAbsent, beside=_UNTOUCHED, else_=RefundPending)),
    "REFUNDABLE_AMOUNT_NOT_ENOUGH": _NOT_REFUNDED,
    "UPAY_REFUND_INVALID_ORDER_STATE": _NOT_REFUNDED,
    "UPAY_TCP_ORDER_NOT_REFUNDABLE": _NOT_REFUNDED,
    "REFUND_AMT_NOT_EQUAL_TOTAL": _NOT_REFUNDED,
    **dict.fromkeys(_SHORT, _NOT_REFUNDED),
}

REFUND = Call(
    ambiguous=OutcomeUnknown,
    refusals={**_REFUSALS, **_ABSENCES},
    results={
        "REFUND_SUCCESS": {ANY: _REFUNDED},
        "REFUND_IN_PROGRESS": {ANY: Verdict(answer=RefundPending)},
        "REFUND_ERROR": {**_REFUND_ERRORS, ANY: Verdict(answer=RefundPending)},
        "REFUND_FAIL_ERROR": {**_REFUND_ERRORS, ANY: Verdict(answer=RefundPending)},
        "REFUND_FAIL": {**_REFUND_ERRORS, ANY: _NOT_REFUNDED},
        "FAIL": {**_REFUND_ERRORS, ANY: _UNKNOWN},
        ANY: {**_REFUND_NOOP, ANY: _UNKNOWN},
    },
)
