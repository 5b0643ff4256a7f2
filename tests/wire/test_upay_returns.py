"""Money that goes back: revokes and refunds, and what a query says of them afterwards."""

import pytest

from terminald.core.events import (
    Answer,
    OrderAbsent,
    OrderClosed,
    OrderErrored,
    OrderPaid,
    OrderPartlyReturned,
    OrderPending,
    OrderReturned,
    OutcomeUnknown,
    RefundRefused,
    RequestRefused,
    ReversalConfirmed,
    ReversalPending,
    ReversalRefused,
)
from terminald.core.refund_table import TABLE, RefundState
from terminald.wire.upay import decode_query, decode_refund, decode_reverse, decode_revoke
from tests.wire.upay_answers import ASKED, answer, order, reader

query, refund, reverse, revoke = map(reader, (decode_query, decode_refund, decode_reverse, decode_revoke))

SHORT = ["ACCOUNT_BALANCE_NOT_ENOUGH", "SELLER_BALANCE_NOT_ENOUGH"]
#: Result code, error code, order_status (None: no third layer), what it means.
REVOCATIONS: list[tuple[str, str, str | None, type[Answer]]] = [
    ("CANCEL_SUCCESS", "", "CANCELED", ReversalConfirmed),
    ("CANCEL_SUCCESS", "", None, ReversalConfirmed),
    ("CANCEL_ABORT_SUCCESS", "", "CANCELED", ReversalConfirmed),
    ("CANCEL_SUCCESS", "", "PAID", ReversalPending),
    ("CANCEL_SUCCESS", "", "PARTIAL_REFUNDED", ReversalPending),
    ("FAIL", "UPAY_CANCEL_ORDER_NOOP", None, ReversalConfirmed),
    ("CANCEL_ERROR", "UPAY_CANCEL_ORDER_NOOP", "CANCELED", ReversalConfirmed),
    ("CANCEL_IN_PROGRESS", "", "CANCEL_INPROGRESS", ReversalPending),
    ("CANCEL_ABORT_IN_PROGRESS", "", "PAID", ReversalPending),
    ("CANCEL_ERROR", "", "CANCEL_ERROR", ReversalPending),
    ("CANCEL_ERROR", "TRADE_TIMEOUT", None, ReversalPending),
    ("CANCEL_ABORT_ERROR", "", "PAID", ReversalPending),
    # The documents' own example of a cancel that failed.
    ("CANCEL_ERROR", "UPAY_TCP_ORDER_NOT_REFUNDABLE", None, ReversalRefused),
    ("FAIL", "UPAY_TCP_ORDER_NOT_REFUNDABLE", "PAID", ReversalRefused),
    ("FAIL", "UPAY_CANCEL_INVALID_ORDER_STATE", "PAID", ReversalRefused),
    ("FAIL", "UPAY_CANCEL_INVALID_ORDER_STATE", "PARTIAL_REFUNDED", ReversalRefused),
    ("FAIL", "UPAY_CANCEL_INVALID_ORDER_STATE", "CANCEL_INPROGRESS", ReversalPending),
    ("FAIL", "ACCOUNT_BALANCE_NOT_ENOUGH", None, ReversalRefused),
    ("FAIL", "SELLER_BALANCE_NOT_ENOUGH", "PAID", ReversalRefused),
    ("CANCEL_ERROR", "ACCOUNT_BALANCE_NOT_ENOUGH", "PAID", ReversalRefused),
    ("CANCEL_ERROR", "ACCOUNT_BALANCE_NOT_ENOUGH", "CANCEL_ERROR", ReversalPending),
    ("CANCEL_IN_PROGRESS", "ACCOUNT_BALANCE_NOT_ENOUGH", "PAID", ReversalPending),
    ("FAIL", "UPAY_ORDER_NOT_EXISTS", None, OrderAbsent),
    ("FAIL", "UPAY_ORDER_NOT_EXISTS", "PAID", ReversalPending),
    ("FAIL", "UPAY_TERMINAL_NOT_EXISTS", None, RequestRefused),
    ("FAIL", "", None, ReversalRefused),
    # Revoke has the result codes of cancel; its own would be unheard of.
    ("REVOKE_SUCCESS", "", "CANCELED", OutcomeUnknown),
    ("REVOKE_ERROR", "", "PAID", OutcomeUnknown),
    ("", "", "CANCELED", OutcomeUnknown),
]


@pytest.mark.parametrize(("result", "error", "state", "said"), REVOCATIONS)
def test_answers_to_revoke(result: str, error: str, state: str | None, said: type[Answer]) -> None:
    data = None if state is None else order(order_status=state, net_amount=None)
    read = revoke(answer(result, error, data=data))
    assert type(read) is said
    assert type(read) in TABLE[RefundState.REVOKING]


@pytest.mark.parametrize(("result", "error", "state", "said"), REVOCATIONS)
def test_a_cancel_differs_from_a_revoke_where_the_merchant_has_too_little_alone(
    result: str, error: str, state: str | None, said: type[Answer]
) -> None:
    """What nobody wants is cancelled again and again; who asks for money back is told why it does not come now."""
    data = None if state is None else order(order_status=state, net_amount=None)
    assert type(reverse(answer(result, error, data=data))) is (ReversalPending if error in SHORT else said)


@pytest.mark.parametrize("code", [*SHORT, "UPAY_TCP_ORDER_NOT_REFUNDABLE"])
@pytest.mark.parametrize("state", [None, "PAID", "PARTIAL_REFUNDED"])
def test_what_stands_in_the_way_is_named_by_the_gateways_own_code(code: str, state: str | None) -> None:
    data = None if state is None else order(order_status=state, net_amount=None)
    for result in ("FAIL", "REFUND_FAIL", "REFUND_ERROR"):
        said = refund(answer(result, code, data=data))
        assert type(said) is RefundRefused
        assert said.fault is not None
        assert said.fault.code == code
    for result in ("FAIL", "CANCEL_ERROR"):
        said = revoke(answer(result, code, data=data))
        assert type(said) is ReversalRefused
        assert said.fault is not None
        assert said.fault.code == code


def test_a_refusal_without_an_error_code_is_not_named_by_the_state_of_the_order() -> None:
    for read, result, kind in ((refund, "REFUND_FAIL", RefundRefused), (revoke, "FAIL", ReversalRefused)):
        said = read(answer(result, data=order()))
        assert type(said) is kind
        assert said.fault is not None
        assert said.fault.code == result


@pytest.mark.parametrize(
    ("state", "net", "said", "fact"),
    [
        ("PAID", "350", OrderPaid, 350),
        ("PAID", "0", OrderPaid, None),
        ("PAID", "100", OrderPaid, None),
        ("PARTIAL_REFUNDED", "150", OrderPartlyReturned, 150),
        ("PARTIAL_REFUNDED", "1", OrderPartlyReturned, 1),
        ("PARTIAL_REFUNDED", "0", OrderPending, None),
        ("PARTIAL_REFUNDED", "350", OrderPending, None),
        ("PARTIAL_REFUNDED", "351", OrderPending, None),
        ("PARTIAL_REFUNDED", "-1", OrderPending, None),
        ("PARTIAL_REFUNDED", None, OrderPending, None),
        ("REFUNDED", "0", OrderReturned, 0),
        ("REFUNDED", "100", OrderReturned, None),
        ("REFUND_ERROR", "350", OrderErrored, 350),
        ("REFUND_ERROR", "150", OrderErrored, 150),
        ("REFUND_ERROR", "0", OrderErrored, None),
        ("REFUND_INPROGRESS", "350", OrderPending, 350),
        ("REFUND_INPROGRESS", "150", OrderPending, None),
        ("CANCELED", "0", OrderClosed, 0),
        ("CANCELED", "350", OrderClosed, None),
        ("PAY_CANCELED", "0", OrderClosed, 0),
        ("PAY_CANCELED", "350", OrderClosed, 350),
        ("PAY_CANCELED", "100", OrderClosed, None),
        ("CREATED", "0", OrderPending, None),
        ("CREATED", "350", OrderPending, 350),
    ],
)
def test_what_is_left_is_believed_only_where_it_can_be_true(
    state: str, net: str | None, said: type[Answer], fact: int | None
) -> None:
    """What is left decides how much is given back."""
    read = query(answer("SUCCESS", data=order(order_status=state, net_amount=net)))
    assert type(read) is said
    assert read.facts.net_amount == fact


@pytest.mark.parametrize(
    ("status", "fact"),
    [("SUCCESS", f"{ASKED.client_sn}-r2"), ("IN_PROG", ""), ("REFUND_ERROR", ""), ("FAIL_ERROR", ""), ("", "")],
)
def test_the_latest_transaction_is_named_only_when_it_was_carried_out(status: str, fact: str) -> None:
    """I9: a refund that is under way, or has failed, is named beside the state in which another one left the order."""
    data = order(
        order_status="PARTIAL_REFUNDED", net_amount="150", client_tsn=f"{ASKED.client_sn}-r2", status=status or None
    )
    read = query(answer("SUCCESS", data=data))
    assert type(read) is OrderPartlyReturned
    assert read.facts.client_tsn == fact


@pytest.mark.parametrize("said", [None, "", " r1", "r1\n", "r1\x00", "r 1", "r" * 65, "rück", 1.5])
def test_the_name_of_a_transaction_is_taken_whole_or_not_at_all(said: object) -> None:
    """I11."""
    assert query(answer("SUCCESS", data=order(client_tsn=said))).facts.client_tsn == ""


def test_the_longest_name_of_a_refund_is_kept() -> None:
    """Documents, refund: client_sn, "-", refund_request_no."""
    name = f"{'c' * 32}-{'r' * 20}"
    assert refund(answer("REFUND_SUCCESS", data=order(order_status=None, client_tsn=name))).facts.client_tsn == name
