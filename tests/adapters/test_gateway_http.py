"""The gateway over real loopback sockets: what is sent, signed with which key, and what is told of it."""

import asyncio
import json
import logging
from dataclasses import replace

import pytest

from terminald.adapters.gateway_activation import ActivationNotSent, activate
from terminald.adapters.gateway_http import Credentials, GatewaySettings, HttpGateway
from terminald.adapters.gateway_line import Signature
from terminald.adapters.ports import LinkReport, LinkState
from terminald.core.events import (
    OrderPaid,
    OutcomeUnknown,
    PayConfirmed,
    QrOffered,
    RefundConfirmed,
    RequestRefused,
    ReversalConfirmed,
)
from terminald.core.ids import ClientSn, Secret, WallTime
from terminald.wire import upay
from tests.adapters.gateway_orders import (
    ABSENT,
    BOTH_KEYS,
    CODE,
    CREDENTIALS,
    ILLEGAL_SIGN,
    KEY,
    LAST_KEY,
    OFFER,
    OFFERED,
    PAID,
    PAY,
    QR,
    QUERY,
    REFUND,
    REVERSE,
    REVOKE,
    SN,
    ask,
    authorization,
    biz,
    free_port,
    gateway_at,
    perform,
    types,
)
from tests.adapters.raw_gateway import Act, RawGateway, raw, raw_gateway, resets, says

# --- what is sent ----------------------------------------------------------------------------------------------------


def test_each_command_has_its_path_and_the_body_is_signed_as_sent() -> None:
    acts = (
        says(PAID), says(OFFERED), says(biz("SUCCESS", "PAID")), says(biz("CANCEL_SUCCESS", "CANCELED")),
        says(biz("CANCEL_SUCCESS", "CANCELED")), says(biz("REFUND_SUCCESS", "REFUNDED")),
    )  # fmt: skip
    answers, server = ask(*acts, commands=(PAY, OFFER, QUERY, REVERSE, REVOKE, REFUND))
    assert types(answers) == [PayConfirmed, QrOffered, OrderPaid, ReversalConfirmed, ReversalConfirmed, RefundConfirmed]
    assert [seen.target.split()[:2] for seen in server.seen] == [
        ["POST", f"/upay/v2/{call}"] for call in ("pay", "precreate", "query", "cancel", "revoke", "refund")
    ]
    for seen in server.seen:
        assert seen.headers["authorization"] == authorization(SN, seen.body, KEY)
        assert seen.headers["content-type"] == "application/json; charset=utf-8"
        assert seen.headers["accept-encoding"] == "identity"
        assert seen.headers["user-agent"] == "terminald"
    for seen in server.seen[:2]:
        assert json.loads(seen.body)["device_id"] == "d1"
    assert json.loads(server.seen[1].body)["payway"] == "3"


def test_an_offer_beyond_the_documents_limits_is_refused_before_it_is_sent() -> None:
    answers, server = ask(commands=(replace(OFFER, payway=""), replace(REVOKE, client_sn=ClientSn("c 1"))))
    assert types(answers) == [RequestRefused, RequestRefused]
    assert server.seen == []


def test_what_the_customer_scans_is_told_and_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, logger="terminald")
    answers, _ = ask(says(OFFERED), commands=(OFFER,))
    assert isinstance(answers[0], QrOffered)
    assert answers[0].content == QR
    assert "MARKED" not in "\n".join(repr(vars(record)) for record in caplog.records)


def test_a_lost_answer_to_an_offer_or_a_revoke_is_ambiguous() -> None:
    answers, server = ask(raw(b""), raw(b""), commands=(OFFER, REVOKE))
    assert types(answers) == [OutcomeUnknown, OutcomeUnknown]
    assert len(server.seen) == 2


def test_one_connection_serves_one_request_after_the_other() -> None:
    _, server = ask(says(ABSENT), says(PAID), commands=(QUERY, PAY))
    assert [seen.connection for seen in server.seen] == [1, 1]


def test_an_address_may_have_a_path() -> None:
    async def run() -> RawGateway:
        async with raw_gateway(says(PAID)) as server:
            await perform(gateway_at(f"{server.url}/vsi/"), PAY)
            return server

    assert asyncio.run(run()).seen[0].target.split()[1] == "/vsi" + upay.PAY_PATH


def test_the_environment_can_not_redirect_requests(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    answers, _ = ask(says(PAID))
    assert types(answers) == [PayConfirmed]


def test_cookies_are_not_kept() -> None:
    answers, server = ask(
        says(ABSENT, headers="Set-Cookie: a=b; Path=/\r\nSet-Cookie: \xff=;;; Max-Age=x\r\n"),
        says(PAID),
        commands=(QUERY, PAY),
    )
    assert types(answers)[1] is PayConfirmed
    assert "cookie" not in server.seen[1].headers


# --- the other key ---------------------------------------------------------------------------------------------------


def test_a_refused_signature_is_repeated_once_with_the_previous_key() -> None:
    """I2: the same bytes; the gateway provably did nothing."""
    answers, server = ask(says(ILLEGAL_SIGN), says(PAID), credentials=BOTH_KEYS)
    assert types(answers) == [PayConfirmed]
    first, second = server.seen
    assert first.body == second.body
    for seen, key in ((first, KEY), (second, LAST_KEY)):
        assert seen.headers["authorization"] == authorization(SN, seen.body, key)


def test_two_refused_signatures_are_a_refusal() -> None:
    answers, server = ask(says(ILLEGAL_SIGN), says(ILLEGAL_SIGN), says(PAID), credentials=BOTH_KEYS)
    assert types(answers) == [RequestRefused]
    assert len(server.seen) == 2


def test_without_a_previous_key_a_refused_signature_is_a_refusal() -> None:
    answers, server = ask(says(ILLEGAL_SIGN), says(PAID))
    assert types(answers) == [RequestRefused]
    assert len(server.seen) == 1


@pytest.mark.parametrize("status", ["400 Bad Request", "502 Bad Gateway"])
def test_a_signature_refused_by_something_else_than_the_gateway_is_not_repeated(status: str) -> None:
    """I2."""
    answers, server = ask(says(ILLEGAL_SIGN, status=status), says(PAID), credentials=BOTH_KEYS)
    assert types(answers) == [OutcomeUnknown]
    assert len(server.seen) == 1


def test_a_lost_answer_to_the_repeat_is_ambiguous() -> None:
    answers, server = ask(says(ILLEGAL_SIGN), raw(b""), says(PAID), credentials=BOTH_KEYS)
    assert types(answers) == [OutcomeUnknown]
    assert len(server.seen) == 2


def test_keys_that_change_under_way_do_not_mix() -> None:
    async def run() -> None:
        keys = [BOTH_KEYS]

        async def rotate(writer: asyncio.StreamWriter) -> bool:
            keys[0] = Credentials(
                terminal_sn="2",
                device_id="d2",
                current=Secret("n"),
                previous=Secret(KEY),
                version=2,
                previous_version=1,
            )
            return await says(ILLEGAL_SIGN)(writer)

        async with raw_gateway(rotate, says(PAID)) as server:
            settings = GatewaySettings(url=server.url, connect_timeout_s=5, read_timeout_s=5)
            gateway = HttpGateway(settings, credentials=lambda: keys[0], on_time=lambda _: None)
            assert types(await perform(gateway, PAY)) == [PayConfirmed]
            sent = server.seen[1]
            assert sent.headers["authorization"] == authorization(SN, sent.body, LAST_KEY)

    asyncio.run(run())


# --- probe, time, activation -----------------------------------------------------------------------------------------


def probe(*acts: Act, credentials: Credentials = CREDENTIALS, url: str = "", read_s: float = 5.0) -> LinkReport:
    async def run() -> LinkReport:
        async with raw_gateway(*acts) as server:
            gateway = gateway_at(url or server.url, credentials=credentials, read_s=read_s)
            try:
                return await gateway.probe()
            finally:
                await gateway.aclose()

    return asyncio.run(run())


MAINTENANCE = b'{"result_code":"500","error_code":"MAINTENANCE_INPROGRESS"}'
NO_TERMINAL = b'{"result_code":"400","error_code":"TERMINAL_NOT_EXISTS"}'
ABNORMAL = b'{"result_code":"200","biz_response":{"result_code":"FAIL","error_code":"UPAY_TERMINAL_STATUS_ABNORMAL"}}'


@pytest.mark.parametrize(
    ("acts", "state", "code"),
    [
        ((says(ABSENT),), LinkState.PROVEN, ""),
        ((says(b'{"result_code":"400","error_code":"UPAY_ORDER_NOT_EXIST"}'),), LinkState.PROVEN, ""),
        ((says(ILLEGAL_SIGN), says(ABSENT)), LinkState.PROVEN, ""),
        ((says(ILLEGAL_SIGN), says(ILLEGAL_SIGN)), LinkState.KEY_REFUSED, "ILLEGAL_SIGN"),
        ((says(MAINTENANCE),), LinkState.DOWN, "MAINTENANCE_INPROGRESS"),
        ((says(ABNORMAL),), LinkState.TERMINAL_REFUSED, "UPAY_TERMINAL_STATUS_ABNORMAL"),
        ((says(NO_TERMINAL),), LinkState.TERMINAL_REFUSED, "TERMINAL_NOT_EXISTS"),
        ((says(biz("SUCCESS", "PAID")),), LinkState.DOWN, "answer_mismatch"),
        ((says(b"<html>log in</html>"),), LinkState.DOWN, "unreadable_answer"),
        ((says(ABSENT, status="503 Busy"),), LinkState.DOWN, "http_503"),
        ((raw(b""),), LinkState.DOWN, "gateway_no_answer"),
    ],
)
def test_a_probe_tells_link_and_key_apart(acts: tuple[Act, ...], state: LinkState, code: str) -> None:
    report = probe(*acts, credentials=BOTH_KEYS)
    assert report.state is state
    assert (report.fault.code if report.fault else "") == code


def test_a_probe_without_a_connection_or_a_usable_identity_is_down() -> None:
    assert probe(url=f"http://127.0.0.1:{free_port()}").state is LinkState.DOWN
    spoilt = Credentials(
        terminal_sn="two words", device_id="d", current=Secret(KEY), previous=None, version=7, previous_version=None
    )
    report = probe(credentials=spoilt)
    assert report.state is LinkState.DOWN
    assert report.fault is not None
    assert report.fault.code == "invalid_request"


def test_a_probe_warms_the_connection() -> None:
    async def run() -> None:
        async with raw_gateway(says(ABSENT), says(PAID)) as server:
            gateway = gateway_at(server.url)
            await gateway.probe()
            await perform(gateway, PAY)
            assert [seen.connection for seen in server.seen] == [1, 1]
            assert json.loads(server.seen[0].body)["client_sn"] == upay.PROBE_CLIENT_SN

    asyncio.run(run())


@pytest.mark.parametrize(
    ("body", "date", "told"),
    [
        (PAID, "Date: Mon, 02 Mar 2026 02:00:00 GMT\r\n", [1_772_416_800_000]),
        (ILLEGAL_SIGN, "Date: Mon, 02 Mar 2026 02:00:00 GMT\r\n", [1_772_416_800_000]),
        (b"<html>", "Date: Mon, 02 Mar 2026 02:00:00 GMT\r\n", []),
        (PAID, "Date: Mon, 02 Mar 2026 02:00:00 -0000\r\n", []),
        (PAID, "Date: yesterday\r\n", []),
        (PAID, "Date: Mon, 99 Mar 99999999999999 02:00:00 GMT\r\n", []),
        (PAID, "", []),
    ],
)
def test_time_is_learned_from_the_gateways_own_answers_only(body: bytes, date: str, told: list[int]) -> None:
    async def run() -> list[WallTime]:
        times: list[WallTime] = []
        async with raw_gateway(says(body, headers=date)) as server:
            await perform(gateway_at(server.url, on_time=times.append), PAY)
        return times

    assert asyncio.run(run()) == told


def activation(*acts: Act, url: str = "") -> tuple[object, RawGateway]:
    async def run() -> tuple[object, RawGateway]:
        async with raw_gateway(*acts) as server:
            settings = GatewaySettings(url=url or server.url, connect_timeout_s=5, read_timeout_s=5)
            body = upay.encode_activate(app_id="a", code=Secret("12345678"), device_id="d1")
            return await activate(settings, body, vendor_sn="v1", vendor_key=Secret(KEY)), server

    return asyncio.run(run())


def test_activation_is_signed_by_the_vendor() -> None:
    key = b'{"result_code":"200","biz_response":{"terminal_sn":"1","terminal_key":"k"}}'
    said, server = activation(says(key))
    assert said == upay.Activated(terminal_sn="1", terminal_key=Secret("k"))
    sent = server.seen[0]
    assert sent.target.split()[1] == upay.ACTIVATE_PATH
    assert sent.headers["authorization"] == authorization("v1", sent.body, KEY)


def test_activation_is_never_repeated() -> None:
    assert isinstance(activation(says(ILLEGAL_SIGN))[0], upay.ActivationRefused)
    said, server = activation(raw(b""), raw(b""))
    assert isinstance(said, upay.ActivationUnknown)
    assert len(server.seen) == 1
    assert isinstance(activation(url=f"http://127.0.0.1:{free_port()}")[0], ActivationNotSent)


# --- secrets ---------------------------------------------------------------------------------------------------------


def chain(error: BaseException | None) -> str:
    return "" if error is None else repr(error) + chain(error.__cause__ or error.__context__)


@pytest.mark.parametrize(
    "act",
    [says(PAID), says(ILLEGAL_SIGN), raw(b""), resets(), says(CODE.encode() + KEY.encode()), "echo"],
    ids=["paid", "illegal sign", "nothing", "reset", "secrets", "echo"],
)
def test_keys_and_codes_appear_in_no_log_and_no_event(act: Act | str, caplog: pytest.LogCaptureFixture) -> None:
    """I7: not even where the other end sends back what it got."""

    async def echo(writer: asyncio.StreamWriter) -> bool:
        return await raw(f"HTTP/1.1 200 OK\r\n{CODE} {KEY}\r\n\r\n".encode())(writer)

    caplog.set_level(logging.DEBUG, logger="terminald")
    answers, _ = ask(echo if isinstance(act, str) else act, says(ILLEGAL_SIGN), credentials=BOTH_KEYS)
    shown = "\n".join([*(repr(vars(record)) for record in caplog.records), repr(answers), repr(BOTH_KEYS)])
    assert CODE not in shown
    assert "MARKED" not in shown
    assert "MARKED" not in repr(Signature(SN, Secret(KEY)))


def test_each_request_is_one_line_of_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="terminald")
    ask(says(PAID), raw(b""), commands=(PAY, QUERY))
    fields = [vars(record)["fields"] for record in caplog.records]
    assert [(line["command"], line["client_sn"], line["event"]) for line in fields] == [
        ("SubmitPayment", "c-1", "PayConfirmed"),
        ("QueryOrder", "c-1", "QueryFailed"),
    ]
    assert all(line["elapsed_ms"] >= 0 for line in fields)
