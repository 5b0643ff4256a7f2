"""Answers of the gateway: bodies that anybody on the way may have made, and the date above them."""

import json
from collections.abc import Callable
from typing import Final

from terminald.adapters.gateway_http import parse_date
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
from terminald.wire import upay
from terminald.wire.upay_envelope import MAX_FACT, MAX_MESSAGE
from tests.fuzz.target import Target, always
from tests.wire.test_upay_properties import ROWS, fits_the_machine
from tests.wire.upay_answers import ASKED, Decoder, answer, order, refusal

_CARD: Final = "130812345678901147"
#: What no answer beside PAID may become: it would close the order without the money that is kept.
_UNPAID: Final = (PayDeclined, OrderAbsent, ReversalConfirmed, RefundConfirmed, RequestRefused)


def _read(body: bytes) -> dict[str, str]:
    """Return the order in an answer, read by other means than terminald's; a name given twice is nobody's."""

    def once(pairs: list[tuple[str, object]]) -> dict[str, object]:
        names = [name for name, _ in pairs]
        return {name.rstrip(): value for name, value in pairs if names.count(name) == 1}

    document = json.loads(body, object_pairs_hook=once)
    data = document["biz_response"]["data"]
    return {name: str(value) for name, value in data.items() if isinstance(value, str | int)}


def _check_claim(said: Answer, body: bytes) -> None:
    if isinstance(said, PayConfirmed | OrderPaid | QrOffered):
        data = _read(body)
        assert data["order_status"] == ("CREATED" if isinstance(said, QrOffered) else "PAID"), "I4: not said"
        assert (data["client_sn"], data["total_amount"].lstrip("0")) == (ASKED.client_sn, "350"), "I4: of another order"
        assert data.get("terminal_sn", ASKED.terminal_sn) in ("", ASKED.terminal_sn)
        assert not data.get("status", "").startswith("FAIL_")
    if isinstance(said, QrOffered):
        assert 0 < len(said.content) <= MAX_FACT
        assert said.content.isascii()
        assert said.content.isprintable()
    if isinstance(said, _UNPAID):
        envelope = upay.read_envelope(200, body)
        assert envelope is not None
        assert envelope.data.get("order_status") != "PAID", "I3: said to be unpaid beside PAID"


def _check_bounds(said: Answer) -> None:
    """I11, I7: what is kept of an answer is short, can be printed, and has no code in it."""
    facts = said.facts
    for text in (facts.sn, facts.trade_no, facts.payway, facts.finish_time, facts.client_tsn):
        assert len(text) <= MAX_FACT
        assert text.isprintable()
        text.encode()
    assert facts.net_amount is None or 0 <= facts.net_amount < 10**10
    if said.fault is not None:
        assert len(said.fault.message) <= MAX_MESSAGE + 10
        assert not _has_code(said.fault.code + " " + said.fault.message), "I7: what may be a code is repeated"
        said.fault.message.encode()


def _has_code(text: str) -> bool:
    return max((len(run) for run in "".join(c if c in "0123456789" else " " for c in text).split()), default=0) >= 16


def check_answer(body: bytes, decoders: dict[Decoder, object] | None = None) -> None:
    """Read a body as the answer to each request."""
    for decode in decoders or ROWS:
        said = decode(200, body, asked=ASKED)
        if decoders is None:
            fits_the_machine(decode, said)
        _check_claim(said, body)
        _check_bounds(said)
        ambiguous = decode(200, b"", asked=ASKED)
        assert type(decode(502, body, asked=ASKED)) is type(ambiguous), "believed without the success of HTTP"
    match upay.decode_activation(200, body):
        case upay.Activated(terminal_sn=sn, terminal_key=key):
            assert 0 < len(sn) <= 32
            assert 0 < len(key.reveal()) <= MAX_FACT
            assert key.reveal() not in repr(upay.decode_activation(200, body)) or len(key.reveal()) < 8, "I7"
        case upay.ActivationRefused(fault=fault) | upay.ActivationUnknown(fault=fault):
            assert not _has_code(fault.message)
    upay.decode_upload(200, body)
    if upay.is_key_refused(200, body):
        assert upay.read_envelope(200, body) is not None
        for decode in ROWS:
            assert not isinstance(decode(200, body, asked=ASKED), PayConfirmed | OrderPaid)


def check_date(data: bytes) -> None:
    """Read the Date of an answer: the clock of a board without a battery is compared with it."""
    wall = parse_date(data.decode("latin-1"))
    assert wall is None or abs(wall) < 10**15


def _samples() -> tuple[bytes, ...]:
    results: Callable[..., bytes] = answer
    return (
        results("PAY_SUCCESS", data=order()),
        results("SUCCESS", data=order()),
        results("PRECREATE_SUCCESS", data=order(order_status="CREATED", status="IN_PROG", qr_code="https://qr/1")),
        results("PAY_FAIL", "INVALID_BARCODE", message=f"{_CARD} 已过期", data=order(order_status="PAY_CANCELED")),
        results("CANCEL_SUCCESS", data=order(order_status="CANCELED", net_amount="0")),
        results("REFUND_SUCCESS", data=order(order_status="PARTIAL_REFUNDED", net_amount="100")),
        results("FAIL", "UPAY_ORDER_NOT_EXISTS"),
        refusal("ILLEGAL_SIGN"),
        refusal("INVALID_PARAMS"),
        b'{"result_code":"200","biz_response":{"terminal_sn":"100","terminal_key":"68d499beda5f72116592f5c527465656"}}',
        b'{"result_code":"200"}',
    )  # fmt: skip


def _words() -> tuple[bytes, ...]:
    codes = str.split(
        "PAY_SUCCESS PAY_FAIL PAY_IN_PROGRESS PAY_FAIL_ERROR PRECREATE_SUCCESS SUCCESS FAIL CANCEL_SUCCESS "
        "CANCEL_ERROR CANCEL_ABORT_SUCCESS REFUND_SUCCESS REFUND_FAIL CREATED PAID PAY_CANCELED PAY_ERROR REFUNDED "
        "PARTIAL_REFUNDED "
        "CANCELED FAIL_CANCELED ILLEGAL_SIGN UPAY_ORDER_NOT_EXISTS TERMINAL_NOT_EXISTS result_code error_code "
        "error_message biz_response data order_status status client_sn terminal_sn total_amount net_amount qr_code "
        "client_tsn terminal_key sn 350 0350 351 200 400 500"
    )
    strange = (
        b'"\\ud800"', b"NaN", b"-Infinity", b"1e999", b"9" * 40, b"null", b"true", b"{}", b"[]", b'"a":1,"a":1,',
        b'"order_status ":"PAID",', b'"total_amount":350,', b"[" * 30, b"\\u0000", b"\xff", "　".encode(), b"3.5e2",
    )  # fmt: skip
    return (*(f'"{code}"'.encode() for code in codes), *strange)


GATEWAY: Final = (
    Target(name="gateway_answer", opened=always(check_answer), samples=_samples(), words=_words(), examples=400),
    Target(
        name="gateway_date",
        opened=always(check_date),
        samples=(b"Mon, 23 Nov 2026 16:49:16 GMT", b"Monday, 23-Nov-26 16:49:16 GMT", b"Mon Nov 23 16:49:16 2026"),
        words=(b"GMT", b"+0800", b"-0000", b"9999999999", b"Feb 29", b"24:61:61", b"+2400", b"+9" * 9, b"\xb2"),
        longest=128,
        examples=200,
    ),
)
