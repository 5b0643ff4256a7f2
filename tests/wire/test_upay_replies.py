"""What each code of the gateway means for the money."""

import pytest

from terminald.core.attempt_table import TABLE, AttemptState
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
from terminald.core.money import Fen
from terminald.wire.upay import (
    decode_offer,
    decode_query,
    decode_refund,
    decode_reverse,
    decode_revoke,
    decode_submit,
)
from tests.wire.upay_answers import ASKED, Decoder, answer, order, reader, refusal

submit, query, reverse, refund = map(reader, (decode_submit, decode_query, decode_reverse, decode_refund))
offer, revoke = map(reader, (decode_offer, decode_revoke))
EVERY = {
    decode_submit: OutcomeUnknown,
    decode_offer: OutcomeUnknown,
    decode_query: QueryFailed,
    decode_reverse: OutcomeUnknown,
    decode_revoke: OutcomeUnknown,
    decode_refund: OutcomeUnknown,
}

#: Result code, error code, order_status (None: no third layer), what it means.
Case = tuple[str, str, str | None, type[Answer]]

SUBMITS: list[Case] = [
    ("PAY_SUCCESS", "", "PAID", PayConfirmed),
    ("PAY_SUCCESS", "CLIENT_SN_CONFLICT", "PAID", PayConfirmed),
    ("PAY_SUCCESS", "", "CREATED", OutcomePending),
    ("PAY_SUCCESS", "", "PAY_CANCELED", OutcomePending),
    ("PAY_SUCCESS", "", "SOMETHING_NEW", OutcomePending),
    ("PAY_SUCCESS", "", None, OutcomePending),
    ("PAY_IN_PROGRESS", "", "CREATED", OutcomePending),
    ("PAY_IN_PROGRESS", "", "PAID", OutcomePending),
    ("PAY_FAIL", "INSUFFICIENT_FUND", "PAY_CANCELED", PayDeclined),
    ("PAY_FAIL", "EXPIRED_BARCODE", None, PayDeclined),
    ("PAY_FAIL", "", "CANCELED", PayDeclined),
    ("PAY_FAIL", "INVALID_BARCODE", "PAID", OutcomeUnknown),
    ("PAY_FAIL", "INVALID_BARCODE", "CREATED", OutcomeUnknown),
    ("PAY_FAIL", "INVALID_BARCODE", "PAY_ERROR", OutcomeUnknown),
    ("PAY_FAIL", "INVALID_BARCODE", "SOMETHING_NEW", OutcomeUnknown),
    ("PAY_FAIL", "CLIENT_SN_CONFLICT", None, OutcomeUnknown),
    ("PAY_FAIL", "CLIENT_SN_CONFLICT", "PAY_CANCELED", OutcomeUnknown),
    ("PAY_FAIL", "UPAY_TERMINAL_NOT_EXISTS", None, RequestRefused),
    ("PAY_FAIL", "UPAY_TERMINAL_STATUS_ABNORMAL", "PAID", OutcomeUnknown),
    ("PAY_FAIL_ERROR", "TRADE_TIMEOUT", "PAY_ERROR", OutcomeUnknown),
    ("PAY_FAIL_IN_PROGRESS", "", "PAY_ERROR", OutcomeUnknown),
    ("FAIL", "UPAY_TERMINAL_STATUS_ABNORMAL", None, RequestRefused),
    ("FAIL", "CLIENT_SN_CONFLICT", None, OutcomeUnknown),
    ("FAIL", "INVALID_BARCODE", None, OutcomeUnknown),
    ("SUCCESS", "", "PAID", OutcomeUnknown),
    ("PRECREATE_SUCCESS", "", "CREATED", OutcomeUnknown),
    ("", "", "PAID", OutcomeUnknown),
    ("*", "*", "PAID", OutcomeUnknown),
]
QUERIES: list[Case] = [
    ("SUCCESS", "", "PAID", OrderPaid),
    ("SUCCESS", "", "PAY_CANCELED", OrderClosed),
    ("SUCCESS", "", "CANCELED", OrderClosed),
    ("SUCCESS", "", "REFUNDED", OrderReturned),
    ("SUCCESS", "", "PARTIAL_REFUNDED", OrderPartlyReturned),
    ("SUCCESS", "", "PAY_ERROR", OrderErrored),
    ("SUCCESS", "", "REFUND_ERROR", OrderErrored),
    ("SUCCESS", "", "CANCEL_ERROR", OrderErrored),
    ("SUCCESS", "", "INVALID_STATUS_CODE", OrderErrored),
    ("SUCCESS", "", "CREATED", OrderPending),
    ("SUCCESS", "", "CANCEL_INPROGRESS", OrderPending),
    ("SUCCESS", "", "IN_QUEUE", OrderPending),
    ("SUCCESS", "", "SOMETHING_NEW", OrderPending),
    ("SUCCESS", "", None, OrderPending),
    ("FAIL", "UPAY_ORDER_NOT_EXISTS", None, OrderAbsent),
    ("FAIL", "UPAY_ORDER_NOT_EXIST", None, OrderAbsent),
    ("FAIL", "UPAY_ORDER_NOT_EXISTS", "PAID", QueryFailed),
    ("FAIL", "UPAY_TERMINAL_STATUS_ABNORMAL", None, QueryFailed),
    ("FAIL", "", "PAID", QueryFailed),
    ("PAY_SUCCESS", "", "PAID", QueryFailed),
    ("", "", "PAID", QueryFailed),
]
REVERSALS: list[Case] = [
    ("CANCEL_SUCCESS", "", "CANCELED", ReversalConfirmed),
    ("CANCEL_ABORT_SUCCESS", "", "PAY_CANCELED", ReversalConfirmed),
    ("CANCEL_SUCCESS", "", "REFUNDED", ReversalConfirmed),
    ("CANCEL_SUCCESS", "", None, ReversalConfirmed),
    ("CANCEL_SUCCESS", "", "PAID", ReversalPending),
    ("CANCEL_SUCCESS", "", "CREATED", ReversalPending),
    ("CANCEL_SUCCESS", "", "PARTIAL_REFUNDED", ReversalPending),
    ("CANCEL_SUCCESS", "", "SOMETHING_NEW", ReversalPending),
    ("CANCEL_ERROR", "UPAY_CANCEL_ORDER_NOOP", "CANCELED", ReversalConfirmed),
    ("FAIL", "UPAY_CANCEL_ORDER_NOOP", None, ReversalConfirmed),
    ("SOMETHING_NEW", "UPAY_CANCEL_ORDER_NOOP", None, ReversalConfirmed),
    ("FAIL", "UPAY_CANCEL_ORDER_NOOP", "PAID", ReversalPending),
    ("CANCEL_IN_PROGRESS", "UPAY_CANCEL_ORDER_NOOP", None, ReversalPending),
    ("FAIL", "UPAY_ORDER_NOT_EXISTS", None, OrderAbsent),
    ("CANCEL_ERROR", "UPAY_ORDER_NOT_EXIST", None, OrderAbsent),
    ("FAIL", "UPAY_ORDER_NOT_EXISTS", "PAID", ReversalPending),
    ("CANCEL_IN_PROGRESS", "", "CANCEL_INPROGRESS", ReversalPending),
    ("CANCEL_ABORT_IN_PROGRESS", "", "CANCEL_INPROGRESS", ReversalPending),
    ("CANCEL_ERROR", "", "CANCEL_ERROR", ReversalPending),
    ("CANCEL_ABORT_ERROR", "TRADE_TIMEOUT", "CANCEL_ERROR", ReversalPending),
    ("FAIL", "SELLER_BALANCE_NOT_ENOUGH", "PAID", ReversalPending),
    ("FAIL", "UPAY_CANCEL_INVALID_ORDER_STATE", None, ReversalRefused),
    ("CANCEL_ERROR", "UPAY_CANCEL_INVALID_ORDER_STATE", "PAID", ReversalRefused),
    ("FAIL", "UPAY_TCP_ORDER_NOT_REFUNDABLE", "PAID", ReversalRefused),
    ("FAIL", "UPAY_REFUND_INVALID_ORDER_STATE", "PARTIAL_REFUNDED", ReversalRefused),
    ("FAIL", "UPAY_CANCEL_INVALID_ORDER_STATE", "CREATED", ReversalPending),
    ("FAIL", "UPAY_CANCEL_INVALID_ORDER_STATE", "REFUNDED", ReversalPending),
    ("FAIL", "UPAY_TERMINAL_STATUS_ABNORMAL", None, RequestRefused),
    ("FAIL", "TRADE_FAILED", None, ReversalRefused),
    ("FAIL", "", None, ReversalRefused),
    ("SUCCESS", "", "CANCELED", OutcomeUnknown),
    ("", "", None, OutcomeUnknown),
]
REFUNDS: list[Case] = [
    ("REFUND_SUCCESS", "", "REFUNDED", RefundConfirmed),
    ("REFUND_SUCCESS", "", "PARTIAL_REFUNDED", RefundConfirmed),
    ("REFUND_SUCCESS", "", None, RefundConfirmed),
    ("REFUND_SUCCESS", "", "PAID", RefundPending),
    ("REFUND_SUCCESS", "", "REFUND_ERROR", RefundPending),
    ("REFUND_FAIL", "UPAY_REFUND_ORDER_NOOP", "PARTIAL_REFUNDED", RefundConfirmed),
    ("REFUND_ERROR", "UPAY_REFUND_ORDER_NOOP", None, RefundConfirmed),
    ("REFUND_ERROR", "UPAY_TCP_ORDER_NOT_REFUNDABLE", None, RefundRefused),
    ("REFUND_ERROR", "ACCOUNT_BALANCE_NOT_ENOUGH", "PAID", RefundRefused),
    ("REFUND_FAIL_ERROR", "SELLER_BALANCE_NOT_ENOUGH", "PARTIAL_REFUNDED", RefundRefused),
    ("REFUND_ERROR", "ACCOUNT_BALANCE_NOT_ENOUGH", "REFUND_ERROR", RefundPending),
    ("REFUND_IN_PROGRESS", "ACCOUNT_BALANCE_NOT_ENOUGH", "PAID", RefundPending),
    ("FAIL", "UPAY_REFUND_ORDER_NOOP", None, RefundConfirmed),
    ("SOMETHING_NEW", "UPAY_REFUND_ORDER_NOOP", None, RefundConfirmed),
    ("FAIL", "UPAY_REFUND_ORDER_NOOP", "PAID", RefundPending),
    ("REFUND_IN_PROGRESS", "", "PAID", RefundPending),
    ("REFUND_ERROR", "TRADE_TIMEOUT", "REFUND_ERROR", RefundPending),
    ("REFUND_FAIL_ERROR", "", "REFUND_ERROR", RefundPending),
    ("REFUND_FAIL", "REFUNDABLE_AMOUNT_NOT_ENOUGH", "PAID", RefundRefused),
    ("REFUND_FAIL", "", None, RefundRefused),
    ("REFUND_FAIL", "", "REFUNDED", RefundPending),
    ("REFUND_FAIL", "UPAY_ORDER_NOT_EXISTS", None, OrderAbsent),
    ("REFUND_FAIL", "UPAY_TERMINAL_STATUS_ABNORMAL", None, RequestRefused),
    ("FAIL", "REFUNDABLE_AMOUNT_NOT_ENOUGH", None, RefundRefused),
    ("FAIL", "UPAY_REFUND_INVALID_ORDER_STATE", "CREATED", RefundRefused),
    ("FAIL", "TRADE_FAILED", None, OutcomeUnknown),
    ("SUCCESS", "", "REFUNDED", OutcomeUnknown),
    ("", "", None, OutcomeUnknown),
]


def body_of(case: Case) -> bytes:
    result, error, state, _ = case
    net = {"PARTIAL_REFUNDED": "150", "REFUNDED": "0"}.get(state or "", "350")
    return answer(result, error, data=None if state is None else order(order_status=state, net_amount=net))


def label(case: object) -> str:
    return "-".join(str(part) for part in case[:3]) if isinstance(case, tuple) else ""


@pytest.mark.parametrize("case", SUBMITS, ids=label)
def test_answers_to_pay(case: Case) -> None:
    assert type(submit(body_of(case))) is case[3]


@pytest.mark.parametrize("case", QUERIES, ids=label)
def test_answers_to_query(case: Case) -> None:
    assert type(query(body_of(case))) is case[3]


@pytest.mark.parametrize("case", REVERSALS, ids=label)
def test_answers_to_cancel(case: Case) -> None:
    assert type(reverse(body_of(case))) is case[3]


@pytest.mark.parametrize("case", REFUNDS, ids=label)
def test_answers_to_refund(case: Case) -> None:
    assert type(refund(body_of(case))) is case[3]


def test_the_machine_has_a_row_for_every_answer() -> None:
    """Each decoder gives only what the states that asked can be told."""
    for cases, state in (
        (SUBMITS, AttemptState.SUBMITTING),
        (QUERIES, AttemptState.POLLING),
        (REVERSALS, AttemptState.REVERSING),
        (REFUNDS, AttemptState.REFUNDING),
    ):
        assert {case[3] for case in cases} <= TABLE[state].keys()


DEFINITE = [
    "INVALID_PARAMS", "INVALID_PARAMETER", "INVALID_TERMINAL", "TERMINAL_NOT_EXISTS", "ILLEGAL_SIGN",
    "UPAY_TERMINAL_NOT_EXISTS", "UPAY_TERMINAL_STATUS_ABNORMAL",
]  # fmt: skip


@pytest.mark.parametrize("code", DEFINITE)
def test_a_known_client_error_is_a_refusal_of_the_request(code: str) -> None:
    for read in (submit, offer, reverse, revoke, refund):
        assert read(refusal(code)) == RequestRefused(fault=Fault(code=code, message="错误"))
    assert query(refusal(code)) == QueryFailed(fault=Fault(code=code, message="错误"))


@pytest.mark.parametrize("decode", EVERY)
@pytest.mark.parametrize(
    "body",
    [
        refusal("SOMETHING_NEW"),
        refusal(""),
        refusal("UNKNOWN_SYSTEM_ERROR", "500"),
        refusal("INVALID_PARAMS", "500"),
        refusal("MAINTENANCE_INPROGRESS", "503"),
        refusal("INVALID_PARAMS", "400", biz_response={"result_code": "PAY_SUCCESS"}),
        b'{"result_code": "200"}',
        b'{"result_code": "200", "biz_response": "PAY_SUCCESS"}',
        b"<html>",
    ],
    ids=repr,
)
def test_every_other_first_layer_is_ambiguous(decode: Decoder, body: bytes) -> None:
    assert type(decode(200, body, asked=ASKED)) is EVERY[decode]


@pytest.mark.parametrize("decode", EVERY)
def test_an_error_of_http_is_ambiguous_whatever_the_body_says(decode: Decoder) -> None:
    said = decode(502, refusal("ILLEGAL_SIGN"), asked=ASKED)
    assert type(said) is EVERY[decode]
    assert said.fault is not None
    assert said.fault.code == "http_502"


@pytest.mark.parametrize("code", ["UPAY_ORDER_NOT_EXISTS", "UPAY_ORDER_NOT_EXIST"])
def test_an_absent_order_may_be_told_by_the_first_layer(code: str) -> None:
    assert type(query(refusal(code))) is OrderAbsent
    assert type(reverse(refusal(code))) is OrderAbsent
    assert type(revoke(refusal(code))) is OrderAbsent
    assert type(refund(refusal(code))) is OrderAbsent
    assert type(submit(refusal(code))) is OutcomeUnknown
    assert type(offer(refusal(code))) is OutcomeUnknown


TABLES: dict[Decoder, list[Case]] = {
    decode_submit: SUBMITS,
    decode_offer: [("PRECREATE_SUCCESS", "", "CREATED", OutcomeUnknown)],
    decode_query: QUERIES,
    decode_reverse: REVERSALS,
    decode_revoke: REVERSALS,
    decode_refund: REFUNDS,
}


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("terminal_sn", "100114020002046"), ("client_sn", "18348290098298292839"), ("client_sn", ASKED.client_sn + " "),
        ("total_amount", "351"), ("total_amount", "3.50"), ("total_amount", "350 "), ("total_amount", 351),
        ("total_amount", "-350"), ("total_amount", "３５０"),
    ],
)  # fmt: skip
def test_an_answer_about_something_else_is_a_mismatch_whatever_it_says(field: str, value: object) -> None:
    """I4."""
    cases = [(decode, case) for decode, table in TABLES.items() for case in table if case[2] is not None]
    for decode, (result, error, state, _) in cases:
        said = decode(200, answer(result, error, data=order(**{"order_status": state, field: value})), asked=ASKED)
        assert type(said) is AnswerMismatched
        assert said.facts == OrderFacts(sn=str(order()["sn"]) if field == "total_amount" else "")
        assert said.fault is not None
        assert field in said.fault.message
        assert str(value) not in said.fault.message


def test_another_amount_of_a_nameless_order_does_not_name_it() -> None:
    """That the gateway has spoken of this order keeps its later "not known" from being a proof."""
    said = query(answer("SUCCESS", data=order(client_sn="", total_amount="351")))
    assert (type(said), said.facts) == (AnswerMismatched, OrderFacts())


def test_amounts_may_be_numbers_where_the_documents_promise_text() -> None:
    assert type(submit(answer("PAY_SUCCESS", data=order(total_amount=350)))) is PayConfirmed


@pytest.mark.parametrize("field", ["client_sn", "total_amount"])
@pytest.mark.parametrize("value", [None, "", 350.0, [], True])
def test_paid_is_not_believed_without_order_number_and_amount(field: str, value: object) -> None:
    """I4: what is not there proves nothing."""
    data = order(**{field: value})
    assert type(submit(answer("PAY_SUCCESS", data=data))) is OutcomePending
    assert type(query(answer("SUCCESS", data=data))) is OrderPending


def test_paid_is_believed_without_a_terminal() -> None:
    data = order(terminal_sn=None)
    assert type(submit(answer("PAY_SUCCESS", data=data))) is PayConfirmed
    assert type(query(answer("SUCCESS", data=data))) is OrderPaid


@pytest.mark.parametrize("status", ["FAIL_CANCELED", "FAIL_PROTOCOL_1", "FAIL_IO_2", "FAIL_ERROR", "FAIL_NEW"])
def test_a_failed_transaction_is_not_paid_whatever_the_order_says(status: str) -> None:
    assert type(submit(answer("PAY_SUCCESS", data=order(status=status)))) is OutcomePending
    errored = query(answer("SUCCESS", data=order(status=status)))
    assert type(errored) is OrderErrored
    assert errored.fault == Fault(code="PAID", message=f"SUCCESS PAID {status}")


def test_facts_are_taken_from_the_order() -> None:
    assert submit(answer("PAY_SUCCESS", data=order())) == PayConfirmed(
        facts=OrderFacts(
            sn="7892259488292938",
            trade_no="2006101016201512090096528672",
            payway="3",
            finish_time="1449646835244",
            net_amount=Fen(350),
            client_tsn=ASKED.client_sn,
        )
    )


def test_facts_are_optional() -> None:
    data = {"order_status": "PAID", "client_sn": ASKED.client_sn, "total_amount": "350"}
    assert query(answer("SUCCESS", data=data)) == OrderPaid()


def test_facts_and_faults_are_bounded_and_printable() -> None:
    """I11."""
    data = order(trade_no="\x1b[31m" + "t" * 500, sn="a\ud800b\x00c")
    facts = query(answer("SUCCESS", data=data)).facts
    assert facts.trade_no == ("[31m" + "t" * 500)[:128]
    assert facts.sn == "abc"
    declined = order(order_status="PAY_CANCELED")
    fault = submit(answer("PAY_FAIL", "E" * 500, message="m" * 500, data=declined)).fault
    assert fault == Fault(code="E" * 128, message="m" * 256)


def test_a_decline_carries_the_gateways_words() -> None:
    said = submit(
        answer("PAY_FAIL", "INSUFFICIENT_FUND", data=order(order_status="PAY_CANCELED", status="FAIL_CANCELED"))
    )
    assert said.fault == Fault(code="INSUFFICIENT_FUND", message="出错了")


def test_a_payment_code_in_the_gateways_words_is_masked() -> None:
    """I7."""
    said = submit(answer("PAY_FAIL", "X130818341921441147", message="条码130818341921441147错误"))
    assert said.fault == Fault(code="X1308…1147", message="条码1308…1147错误")


def test_without_words_of_the_gateway_its_codes_explain() -> None:
    assert reverse(
        answer("CANCEL_ERROR", data=order(order_status="CANCEL_ERROR", status="CANCEL_ERROR"))
    ).fault == Fault(code="CANCEL_ERROR", message="CANCEL_ERROR CANCEL_ERROR CANCEL_ERROR")
    assert submit(b'{"result_code": "200"}').fault == Fault(code="no_result_code", message="")
