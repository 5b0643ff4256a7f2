"""Whatever the gateway says: no exception, and no money from an answer that does not prove it."""

import json
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from terminald.core.attempt_table import TABLE, AttemptState
from terminald.core.events import (
    Answer,
    OrderAbsent,
    OrderPaid,
    PayConfirmed,
    PayDeclined,
    QrOffered,
    RefundConfirmed,
    RequestRefused,
    ReversalConfirmed,
)
from terminald.core.refund_table import TABLE as REFUND_TABLE
from terminald.core.refund_table import RefundState
from terminald.wire.upay import (
    decode_activation,
    decode_offer,
    decode_query,
    decode_refund,
    decode_reverse,
    decode_revoke,
    decode_submit,
)
from tests.wire.upay_answers import ASKED, Decoder, answer, order

#: What each state that asks can be told.
ROWS = {
    decode_submit: TABLE[AttemptState.SUBMITTING].keys(),
    decode_offer: TABLE[AttemptState.OFFERING].keys(),
    decode_query: TABLE[AttemptState.POLLING].keys() & TABLE[AttemptState.OFFERED].keys(),
    decode_reverse: TABLE[AttemptState.REVERSING].keys(),
    decode_revoke: REFUND_TABLE[RefundState.REVOKING].keys(),
    decode_refund: TABLE[AttemptState.REFUNDING].keys() & REFUND_TABLE[RefundState.REFUNDING].keys(),
}
RESULTS = st.sampled_from(
    [
        "PAY_SUCCESS",
        "PAY_FAIL",
        "PAY_IN_PROGRESS",
        "PAY_FAIL_ERROR",
        "PRECREATE_SUCCESS",
        "PRECREATE_FAIL",
        "PRECREATE_FAIL_IN_PROGRESS",
        "SUCCESS",
        "FAIL",
        "CANCEL_SUCCESS",
        "CANCEL_ERROR",
        "CANCEL_ABORT_SUCCESS",
        "REFUND_SUCCESS",
        "REFUND_FAIL",
        "REFUND_ERROR",
        "NEW",
        "",
    ]
)
ERRORS = st.sampled_from(
    [
        "",
        "INVALID_BARCODE",
        "CLIENT_SN_CONFLICT",
        "UPAY_ORDER_NOT_EXISTS",
        "UPAY_CANCEL_ORDER_NOOP",
        "UPAY_REFUND_ORDER_NOOP",
        "UPAY_CANCEL_INVALID_ORDER_STATE",
        "UPAY_TCP_ORDER_NOT_REFUNDABLE",
        "ACCOUNT_BALANCE_NOT_ENOUGH",
        "UPAY_TERMINAL_STATUS_ABNORMAL",
        "ILLEGAL_SIGN",
        "NEW",
    ]
)
ORDERS = st.sampled_from(
    [
        None,
        "",
        "CREATED",
        "PAID",
        "PAY_CANCELED",
        "PAY_ERROR",
        "REFUNDED",
        "PARTIAL_REFUNDED",
        "REFUND_ERROR",
        "CANCELED",
        "CANCEL_ERROR",
        "NEW",
    ]
)
TRANSACTIONS = st.sampled_from([None, "SUCCESS", "IN_PROG", "FAIL_CANCELED", "FAIL_PROTOCOL_1", ""])
DATA = st.builds(
    order,
    order_status=ORDERS,
    status=TRANSACTIONS,
    client_sn=st.sampled_from([None, "", ASKED.client_sn, "other"]),
    terminal_sn=st.sampled_from([None, ASKED.terminal_sn, "other"]),
    total_amount=st.sampled_from([None, "350", 350, "351", "", 3.5]),
    net_amount=st.sampled_from([None, "350", "0", "100", "x"]),
    client_tsn=st.sampled_from([None, ASKED.client_sn, f"{ASKED.client_sn}-r1", "x\n", "x" * 65]),
    qr_code=st.none() | st.text(max_size=140) | st.just("https://qr.example/1"),
)
ENVELOPES = st.builds(
    lambda outer, biz: json.dumps({**json.loads(biz), "result_code": outer}).encode(),
    st.sampled_from(["200", "200", "200", 200, "400", "500"]),
    st.builds(answer, RESULTS, ERRORS, data=st.none() | DATA),
)


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    """Draw an answer with some bytes replaced, cut out or doubled."""
    body = bytearray(draw(ENVELOPES))
    for _ in range(draw(st.integers(0, 6))):
        at = draw(st.integers(0, len(body)))
        body[at : at + draw(st.integers(0, 4))] = draw(st.binary(max_size=4))
    return bytes(body)


def each(check: Callable[[Decoder, Answer], None], status: int, body: bytes) -> None:
    for decode in ROWS:
        check(decode, decode(status, body, asked=ASKED))


def fits_the_machine(decode: Decoder, said: Answer) -> None:
    assert type(said) in ROWS[decode]
    fault = said.fault
    assert fault is None or (len(fault.code) <= 128 and len(fault.message) <= 256)


@given(st.integers(), st.binary())
def test_any_bytes_become_an_event_the_machine_knows(status: int, body: bytes) -> None:
    each(fits_the_machine, status, body)
    decode_activation(status, body)


@given(mutated())
def test_damaged_answers_become_an_event_the_machine_knows(body: bytes) -> None:
    each(fits_the_machine, 200, body)
    decode_activation(200, body)


@given(st.one_of(ENVELOPES, mutated()))
def test_paid_is_said_only_of_this_order_and_amount(body: bytes) -> None:
    """I4."""
    for said in (decode_submit(200, body, asked=ASKED), decode_query(200, body, asked=ASKED)):
        if isinstance(said, PayConfirmed | OrderPaid):
            data = json.loads(body)["biz_response"]["data"]
            assert data["order_status"] == "PAID"
            assert data["client_sn"] == ASKED.client_sn
            assert str(data["total_amount"]) == "350"
            assert data.get("terminal_sn", ASKED.terminal_sn) in ("", ASKED.terminal_sn)
            assert not (data.get("status") or "").startswith("FAIL_")


@given(st.one_of(ENVELOPES, mutated()))
def test_a_qr_is_offered_only_of_this_order_and_amount(body: bytes) -> None:
    """I4, I11: and only one that can be shown."""
    said = decode_offer(200, body, asked=ASKED)
    if isinstance(said, QrOffered):
        data = json.loads(body)["biz_response"]["data"]
        assert data["order_status"] == "CREATED"
        assert data["client_sn"] == ASKED.client_sn
        assert str(data["total_amount"]) == "350"
        assert 0 < len(said.content) <= 128
        assert said.content.isascii()
        assert said.content.isprintable()


@given(ENVELOPES)
def test_facts_can_be_true_and_are_bounded(body: bytes) -> None:
    """I11: what decides about giving back is never of an impossible order, and of no unfinished transaction."""
    data = json.loads(body)["biz_response"].get("data") or {}
    for decode in ROWS:
        facts = decode(200, body, asked=ASKED).facts
        if facts.net_amount is not None:
            assert str(facts.net_amount) == data["net_amount"]
            state = data.get("order_status")
            assert facts.net_amount > 0 or state in {"REFUNDED", "CANCELED", "PAY_CANCELED"}
            assert facts.net_amount < 350 or state not in {"REFUNDED", "PARTIAL_REFUNDED", "CANCELED"}
        if facts.client_tsn:
            assert facts.client_tsn == data["client_tsn"]
            assert data["status"] == "SUCCESS"


@given(ENVELOPES)
def test_an_order_that_is_paid_is_never_said_to_be_unpaid(body: bytes) -> None:
    """I3: what closes an attempt without payment is never said beside PAID."""
    data = json.loads(body)["biz_response"].get("data") or {}
    if data.get("order_status") == "PAID":
        for decode in ROWS:
            said = decode(200, body, asked=ASKED)
            assert not isinstance(
                said, PayDeclined | OrderAbsent | ReversalConfirmed | RefundConfirmed | RequestRefused
            )


@pytest.mark.parametrize("status", [199, 300, 302, 400, 500, 502])
@given(body=ENVELOPES)
def test_nothing_is_believed_without_the_success_of_http(status: int, body: bytes) -> None:
    ambiguous = {type(decode(200, b"", asked=ASKED)) for decode in ROWS}
    assert {type(decode(status, body, asked=ASKED)) for decode in ROWS} == ambiguous
