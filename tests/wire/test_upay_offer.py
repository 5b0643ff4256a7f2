"""Answers to a pre-create: a QR that can be shown, or an order that has to be undone."""

import pytest

from terminald.core.attempt_table import TABLE, AttemptState
from terminald.core.events import Answer, Fault, OrderFacts, OutcomeUnknown, PayDeclined, QrOffered, RequestRefused
from terminald.core.money import Fen
from terminald.wire.upay import decode_offer
from tests.wire.upay_answers import answer, order, reader

offer = reader(decode_offer)

CONTENT = "https://qr.alipay.com/bax8z75ihyoqpgkv5f"


def offered(**changes: object) -> dict[str, object]:
    """Return the order of an answer to a pre-create, as the documents print it."""
    told: dict[str, object] = {
        "order_status": "CREATED",
        "status": "IN_PROG",
        "qr_code": CONTENT,
        "trade_no": None,
        "finish_time": None,
    }
    return order(**{**told, **changes})


#: Result code, error code, order_status (None: no third layer), what it means.
CASES: list[tuple[str, str, str | None, type[Answer]]] = [
    ("PRECREATE_SUCCESS", "", "CREATED", QrOffered),
    ("PRECREATE_SUCCESS", "SOMETHING_NEW", "CREATED", QrOffered),
    ("PRECREATE_SUCCESS", "CLIENT_SN_CONFLICT", "CREATED", OutcomeUnknown),
    ("PRECREATE_SUCCESS", "", "PAID", OutcomeUnknown),
    ("PRECREATE_SUCCESS", "", "PAY_CANCELED", OutcomeUnknown),
    ("PRECREATE_SUCCESS", "", "IN_QUEUE", OutcomeUnknown),
    ("PRECREATE_SUCCESS", "", "SOMETHING_NEW", OutcomeUnknown),
    ("PRECREATE_SUCCESS", "", "", OutcomeUnknown),
    ("PRECREATE_SUCCESS", "", None, OutcomeUnknown),
    ("PRECREATE_FAIL", "SELLER_OVER_DAILY_LIMIT", None, PayDeclined),
    ("PRECREATE_FAIL", "UPAY_STORE_OVER_DAILY_LIMIT", "PAY_CANCELED", PayDeclined),
    ("PRECREATE_FAIL", "", "CANCELED", PayDeclined),
    ("PRECREATE_FAIL", "TRADE_FAILED", "CREATED", OutcomeUnknown),
    ("PRECREATE_FAIL", "TRADE_FAILED", "PAID", OutcomeUnknown),
    ("PRECREATE_FAIL", "TRADE_FAILED", "SOMETHING_NEW", OutcomeUnknown),
    ("PRECREATE_FAIL", "CLIENT_SN_CONFLICT", None, OutcomeUnknown),
    ("PRECREATE_FAIL", "CLIENT_SN_CONFLICT", "PAY_CANCELED", OutcomeUnknown),
    ("PRECREATE_FAIL", "UPAY_TERMINAL_NOT_EXISTS", None, RequestRefused),
    ("PRECREATE_FAIL", "UPAY_TERMINAL_STATUS_ABNORMAL", "PAID", OutcomeUnknown),
    ("FAIL", "CLIENT_SN_CONFLICT", None, OutcomeUnknown),
    ("FAIL", "UPAY_TERMINAL_STATUS_ABNORMAL", None, RequestRefused),
    ("FAIL", "TRADE_FAILED", None, OutcomeUnknown),
    ("PRECREATE_FAIL_ERROR", "TRADE_TIMEOUT", "CREATED", OutcomeUnknown),
    ("PRECREATE_FAIL_IN_PROGRESS", "", "CREATED", OutcomeUnknown),
    ("PRECREATE_IN_PROGRESS", "", "CREATED", OutcomeUnknown),
    ("PAY_SUCCESS", "", "PAID", OutcomeUnknown),
    ("PAY_IN_PROGRESS", "", "CREATED", OutcomeUnknown),
    ("SUCCESS", "", "CREATED", OutcomeUnknown),
    ("", "", "CREATED", OutcomeUnknown),
]


@pytest.mark.parametrize(("result", "error", "state", "said"), CASES)
def test_answers_to_precreate(result: str, error: str, state: str | None, said: type[Answer]) -> None:
    data = None if state is None else offered(order_status=state)
    assert type(offer(answer(result, error, data=data))) is said


def test_the_machine_has_a_row_for_every_answer() -> None:
    said = {case[3] for case in CASES}
    for state in (AttemptState.OFFERING, AttemptState.ABANDONING):
        assert said <= TABLE[state].keys()


def test_an_offer_carries_what_the_customer_scans_and_the_order_s_facts() -> None:
    assert offer(answer("PRECREATE_SUCCESS", data=offered())) == QrOffered(
        content=CONTENT, facts=OrderFacts(sn="7892259488292938", payway="3", net_amount=Fen(350))
    )


@pytest.mark.parametrize(
    "content",
    [
        "x",
        "weixin://wxpay/bizpayurl?pr=NwY5Mz9&groupid=00",
        "https://x.example/?q=" + "x" * 107,
        "5904Cola 6008Shanghai",
    ],
)
def test_a_qr_of_up_to_128_printable_characters_can_be_shown(content: str) -> None:
    said = offer(answer("PRECREATE_SUCCESS", data=offered(qr_code=content)))
    assert isinstance(said, QrOffered)
    assert said.content == content


@pytest.mark.parametrize(
    "content",
    [
        None, "", " ", " https://x.example", "https://x.example ", "https://x.example\n", "x" * 129, "a\x00b",
        "a\x1b[2Jb", "https://支付.example", "a\u202eb", "x\ud800", True, 1.5, ["https://x.example"], {"url": "x"},
    ],
    ids=repr,
)  # fmt: skip
def test_an_order_without_a_qr_that_can_be_shown_is_undone(content: object) -> None:
    """I11: nobody can be shown it, and somebody might still pay it."""
    said = offer(answer("PRECREATE_SUCCESS", data=offered(qr_code=content)))
    assert type(said) is OutcomeUnknown
    assert said.fault == Fault(code="no_usable_qr", message="PRECREATE_SUCCESS CREATED IN_PROG")


@pytest.mark.parametrize("field", ["client_sn", "total_amount"])
def test_a_qr_is_not_shown_without_order_number_and_amount(field: str) -> None:
    """I4: whoever pays it must pay this order."""
    assert type(offer(answer("PRECREATE_SUCCESS", data=offered(**{field: None})))) is OutcomeUnknown


def test_a_failed_transaction_offers_nothing_whatever_the_order_says() -> None:
    assert type(offer(answer("PRECREATE_SUCCESS", data=offered(status="FAIL_IO_1")))) is OutcomeUnknown


def test_a_decline_carries_the_gateways_words() -> None:
    said = offer(answer("PRECREATE_FAIL", "SELLER_OVER_DAILY_LIMIT", message="超过上限"))
    assert said == PayDeclined(fault=Fault(code="SELLER_OVER_DAILY_LIMIT", message="超过上限"))
    bare = offer(answer("PRECREATE_FAIL", data=offered(order_status="PAY_CANCELED", status="FAIL_CANCELED")))
    assert bare.fault == Fault(code="PRECREATE_FAIL", message="PRECREATE_FAIL PAY_CANCELED FAIL_CANCELED")
