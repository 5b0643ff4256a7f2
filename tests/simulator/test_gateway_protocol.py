"""The gateway refuses what the documents forbid, and its answers have the documents' layers."""

import gzip
import json
from email.utils import parsedate_to_datetime

import pytest

from terminald.simulator.gateway import Request, sign
from terminald.simulator.gateway_terminals import LOGS_KEPT
from tests.simulator.gateway_terminal import Clock, Terminal, activation, decode, make_world, new_terminal, signed


def test_the_signature_is_the_documents_md5_of_body_and_key() -> None:
    assert sign(b"hello", "world") == "fc5e038d38a57032085441e7fe7010b0"


@pytest.mark.parametrize(
    "authorization",
    ["", "{sn}", "{sn}  {sign}", " {sn} {sign}", "{sn} {sign} ", "{sn}\t{sign}", "{sn} {upper}", "{sn} {other}"],
)
def test_any_flaw_of_the_authorization_is_an_illegal_sign(authorization: str) -> None:
    terminal = new_terminal()
    request = terminal.request("query", client_sn="order-1")
    good = sign(request.body, terminal.key)
    text = authorization.format(sn=terminal.sn, sign=good, upper=good.upper(), other=sign(request.body, "x"))
    answer = decode(terminal.world.receive(Request(path=request.path, body=request.body, authorization=text)))
    assert (answer.result_code, answer.error_code) == ("400", "ILLEGAL_SIGN")
    assert answer.biz_response.result_code == ""


def test_a_changed_body_breaks_the_signature() -> None:
    terminal = new_terminal()
    request = terminal.pay_request("00")
    forged = Request(path=request.path, body=request.body + b" ", authorization=request.authorization)
    assert decode(terminal.world.receive(forged)).error_code == "ILLEGAL_SIGN"
    assert terminal.world.view().orders == ()


def test_activation_is_signed_by_the_vendor_and_nothing_else_is() -> None:
    terminal = new_terminal()
    fields = {"terminal_sn": terminal.sn, "client_sn": "order-1"}
    as_vendor = signed("query", fields, terminal.world.vendor_sn, terminal.world.vendor_key)
    assert decode(terminal.world.receive(as_vendor)).error_code == "TERMINAL_NOT_EXISTS"
    body = activation().body
    as_terminal = Request(
        path="/terminal/activate", body=body, authorization=f"{terminal.sn} {sign(body, terminal.key)}"
    )
    assert decode(terminal.world.receive(as_terminal)).error_code == "ILLEGAL_SIGN"


def test_a_request_speaks_only_for_the_terminal_that_signed_it() -> None:
    clock = Clock()
    world = make_world(clock)
    one, other = Terminal(world, clock), Terminal(world, clock)
    request = signed("query", {"terminal_sn": other.sn, "client_sn": "order-1"}, one.sn, one.key)
    assert decode(world.receive(request)).error_code == "INVALID_TERMINAL"


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'"text"', b"\xff\xfe", b"[" * 100_000, b'{"a": NaN'])
def test_a_body_that_is_not_a_json_object_is_refused(body: bytes) -> None:
    terminal = new_terminal()
    request = Request(path="/upay/v2/pay", body=body, authorization=f"{terminal.sn} {sign(body, terminal.key)}")
    terminal.world.plan(request)
    answer = decode(terminal.world.receive(request))
    assert (answer.result_code, answer.error_code) == ("400", "INVALID_PARAMS")


GOOD = {
    "client_sn": "order-1",
    "total_amount": "350",
    "dynamic_id": "130812341234123400",
    "subject": "Cola",
    "operator": "kiosk",
}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("client_sn", ""),
        ("client_sn", "x" * 33),
        ("client_sn", "blank blank"),
        ("total_amount", "0"),
        ("total_amount", "-1"),
        ("total_amount", "3.50"),
        ("total_amount", "012"),
        ("total_amount", "12345678901"),
        ("total_amount", "３５０"),
        ("dynamic_id", "1" * 33),
        ("dynamic_id", ""),
        ("subject", "x" * 65),
        ("subject", ""),
        ("operator", "x" * 33),
        ("description", "x" * 257),
        ("reflect", "x" * 65),
        ("device_id", "x" * 33),
        ("notify_url", "x" * 129),
        ("longitude", "121.4"),
        ("payway", "99"),
        ("payway", "NFC"),
    ],
)
def test_a_field_outside_its_limits_is_refused_and_nothing_is_entered(name: str, value: str) -> None:
    terminal = new_terminal()
    answer = terminal.send("pay", **{**GOOD, name: value})
    assert (answer.result_code, answer.error_code) == ("400", "INVALID_PARAMS")
    assert name in answer.error_message
    assert terminal.world.view().orders == ()


@pytest.mark.parametrize(
    ("name", "value", "accepted"),
    [
        ("total_amount", 350, False),
        ("unknown", 1, False),
        ("unknown", "text", True),
        ("description", None, True),
        ("extended", {"goods_tag": "beijing"}, True),
        ("extended", "text", True),
        ("extended", 1, False),
        ("extended", {"k" * 65: "v"}, False),
        ("extended", {"k": "v" * 257}, False),
        ("extended", {"k": 1}, False),
        ("extended", {str(n): "" for n in range(25)}, False),
        ("goods_details", [{"goods_id": "1", "goods_name": "Cola", "quantity": 1, "price": 350}], True),
        ("goods_details", [{"goods_id": "1", "goods_name": ""}], False),
        ("goods_details", [{"goods_id": "x" * 33, "goods_name": "Cola"}], False),
        ("goods_details", ["text"], False),
    ],
)
def test_every_value_is_a_string_but_for_the_two_structures(name: str, value: object, *, accepted: bool) -> None:
    terminal = new_terminal()
    body = json.dumps({"terminal_sn": terminal.sn, **GOOD, name: value}).encode()
    request = Request(path="/upay/v2/pay", body=body, authorization=f"{terminal.sn} {sign(body, terminal.key)}")
    answer = decode(terminal.world.receive(request))
    assert answer.result == ("PAY_SUCCESS" if accepted else "INVALID_PARAMS")


@pytest.mark.parametrize(
    ("fields", "result"),
    [
        ({"payway": "3"}, "PRECREATE_SUCCESS"),
        ({"payway": "3", "sub_payway": "4", "payer_uid": "o1"}, "PRECREATE_SUCCESS"),
        ({}, "INVALID_PARAMS"),
        ({"payway": "6"}, "INVALID_PARAMS"),
        ({"payway": "3", "sub_payway": "3"}, "INVALID_PARAMS"),
        ({"payway": "3", "sub_payway": "9"}, "INVALID_PARAMS"),
    ],
)
def test_a_precreate_names_its_provider(fields: dict[str, str], result: str) -> None:
    common = {"client_sn": "order-1", "total_amount": "350", "subject": "Cola", "operator": "kiosk"}
    assert new_terminal().send("precreate", **common, **fields).result == result


@pytest.mark.parametrize("call", ["query", "cancel", "revoke"])
def test_an_order_is_named_by_sn_or_client_sn_and_sn_wins(call: str) -> None:
    terminal = new_terminal()
    first = terminal.pay("00", "order-1")
    terminal.pay("01", "order-2")
    assert terminal.send(call).error_code == "INVALID_PARAMS"
    answer = terminal.send(call, sn=first.data["sn"], client_sn="order-2")
    assert answer.data["client_sn"] == "order-1"
    assert terminal.send(call, client_sn="order-9").result == "UPAY_ORDER_NOT_EXISTS"
    assert terminal.send(call, client_sn="order-9").biz_response.result_code == "FAIL"


def test_an_unknown_path_and_another_method_are_not_found() -> None:
    terminal = new_terminal()
    request = terminal.pay_request("00")
    for path, method in (("/upay/v2/unknown", "POST"), ("/", "POST"), (request.path, "GET")):
        other = Request(path=path, method=method, body=request.body, authorization=request.authorization)
        terminal.world.plan(other)
        assert terminal.world.receive(other).status == 404
    assert terminal.world.view().orders == ()


def test_a_body_must_be_announced_as_json() -> None:
    terminal = new_terminal()
    good = terminal.pay_request("00")
    for content_type, result in (("text/plain", "INVALID_PARAMS"), ("application/json; charset=utf-8", "PAY_SUCCESS")):
        request = Request(path=good.path, body=good.body, authorization=good.authorization, content_type=content_type)
        assert decode(terminal.world.receive(request)).result == result


def test_the_answer_to_a_payment_carries_the_documents_fields_all_as_strings() -> None:
    terminal = new_terminal()
    response = terminal.carry(terminal.pay_request("00"))
    assert response is not None
    document = json.loads(response.body)
    assert document["result_code"] == "200"
    assert set(document) == {"result_code", "biz_response"}
    data = document["biz_response"]["data"]
    assert all(isinstance(value, str) for value in data.values())
    assert set(data) >= {
        "sn", "client_sn", "client_tsn", "trade_no", "status", "order_status", "payway", "sub_payway", "payer_uid",
        "payer_login", "total_amount", "net_amount", "subject", "operator", "reflect", "finish_time",
        "channel_finish_time", "ctime", "terminal_sn", "store_id",
    }  # fmt: skip
    assert data["terminal_sn"] == terminal.sn
    assert (data["total_amount"], data["net_amount"], data["reflect"]) == ("350", "350", "r-1")


def test_the_date_header_follows_the_gateways_clock() -> None:
    terminal = new_terminal()
    for expected in ("2026-03-02T02:00:00+00:00", "2026-03-02T02:01:30+00:00"):
        response = terminal.world.receive(terminal.request("query", client_sn="order-1"))
        assert parsedate_to_datetime(response.headers["Date"]).isoformat() == expected
        terminal.world.advance(90)


def test_a_log_is_signed_over_its_compressed_bytes() -> None:
    terminal = new_terminal()
    log = gzip.compress(b"one line\n" * 1000)
    for body, result_code in ((log, "200"), (b"plain text", "400"), (log[:-9], "400")):
        request = Request(
            path="/terminal/uploadLog", body=body, authorization=f"{terminal.sn} {sign(body, terminal.key)}"
        )
        assert decode(terminal.world.receive(request)).result_code == result_code
    assert terminal.world.view().terminals[0].logs == 1


def test_the_last_logs_can_be_looked_at() -> None:
    terminal = new_terminal()
    for number in range(LOGS_KEPT + 1):
        body = gzip.compress(b"\xff %d" % number)
        terminal.world.receive(
            Request(path="/terminal/uploadLog", body=body, authorization=f"{terminal.sn} {sign(body, terminal.key)}")
        )
    kept = terminal.world.logs()
    assert [log.text for log in kept] == [f"\ufffd {number}" for number in range(1, LOGS_KEPT + 1)]
    assert gzip.decompress(kept[-1].body) == b"\xff %d" % LOGS_KEPT
    assert kept[0].terminal_sn == terminal.sn


@pytest.mark.parametrize(
    ("prefix", "payway"),
    [
        ("1008123412341234", "3"),
        ("1508123412341234", "3"),
        ("2508123412341234", "2"),
        ("30081234123412", "2"),
        ("3008123412341234567890", "2"),
        ("62081234123412341", "17"),
        ("9108123412341234", "6"),
    ],
)
def test_the_provider_follows_from_the_payment_code(prefix: str, payway: str) -> None:
    terminal = new_terminal()
    response = terminal.carry(terminal.pay_request("00", prefix=prefix))
    assert response is not None
    assert decode(response).data["payway"] == payway


@pytest.mark.parametrize("prefix", ["69012345678", "1608123412341234", "130812341234123", "abc", "31081234123412"])
def test_what_is_no_payment_code_is_declined(prefix: str) -> None:
    terminal = new_terminal()
    response = terminal.carry(terminal.pay_request("00", prefix=prefix))
    assert response is not None
    answer = decode(response)
    assert (answer.biz_response.result_code, answer.result) == ("PAY_FAIL", "INVALID_BARCODE")
    assert terminal.entry().paid == 0
