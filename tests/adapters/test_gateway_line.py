"""Requests over real loopback sockets: what is certain, told from the phase in which they fail."""

import asyncio
import json
import re
import socket
import ssl
import sys
from pathlib import Path

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from terminald.adapters.ports import LinkState
from terminald.core.commands import GatewayCommand, OrderText, SubmitPayment
from terminald.core.events import Answer, OutcomeUnknown, PayConfirmed, QueryFailed, RequestNotSent, RequestRefused
from terminald.core.ids import ClientSn
from terminald.core.money import Fen
from terminald.wire import upay
from tests.adapters.gateway_orders import (
    ABSENT,
    CLIENT_SN,
    PAID,
    PAY,
    QUERY,
    REFUND,
    REVERSE,
    ask,
    free_port,
    gateway_at,
    perform,
    types,
)
from tests.adapters.raw_gateway import Act, hangs, pours, raw, raw_gateway, resets, says

TLS = Path(__file__).parent.parent / "data" / "tls"

# --- nothing was sent ------------------------------------------------------------------------------------------------


def test_a_refused_connection_means_nothing_was_sent() -> None:
    gateway = gateway_at(f"http://127.0.0.1:{free_port()}")
    answers = asyncio.run(perform(gateway, PAY, REVERSE, REFUND, QUERY))
    assert types(answers) == [RequestNotSent, RequestNotSent, RequestNotSent, QueryFailed]
    assert all(answer.fault is not None and answer.fault.code == "gateway_unreachable" for answer in answers)


def test_a_name_that_does_not_resolve_means_nothing_was_sent() -> None:
    assert types(asyncio.run(perform(gateway_at("https://gateway.invalid", connect_s=0.5), PAY))) == [RequestNotSent]


def test_a_connection_that_takes_too_long_means_nothing_was_sent() -> None:
    async def run() -> list[Answer]:
        with socket.create_server(("127.0.0.1", 0)) as silent:  # accepts, and never answers the TLS handshake
            port = silent.getsockname()[1]
            return await perform(gateway_at(f"https://127.0.0.1:{port}", connect_s=0.05), PAY)

    assert types(asyncio.run(run())) == [RequestNotSent]


def test_no_free_connection_means_nothing_was_sent() -> None:
    async def run() -> list[type[Answer]]:
        async with raw_gateway(*[hangs()] * 20) as server:
            gateway = gateway_at(server.url, connect_s=0.5, read_s=1.5)
            answers = await asyncio.gather(*(gateway.perform(PAY) for _ in range(12)))
            await gateway.aclose()
            assert len(server.seen) == 8
            return [type(answer) for answer in answers]

    said = asyncio.run(run())
    assert (said.count(OutcomeUnknown), said.count(RequestNotSent)) == (8, 4)


@pytest.mark.parametrize("error", [httpx.UnsupportedProtocol, httpx.LocalProtocolError, httpx.ConnectError])
def test_a_request_that_was_never_written_means_nothing_was_sent(error: type[httpx.TransportError]) -> None:
    class Broken(httpx.AsyncBaseTransport):
        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            raise error("x", request=request)

    assert types(asyncio.run(perform(gateway_at("https://x", transport=Broken()), PAY))) == [RequestNotSent]


def test_an_error_of_connecting_proves_nothing_once_the_request_is_on_its_way() -> None:
    class Confused(httpx.AsyncBaseTransport):
        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            await request.extensions["trace"]("http11.send_request_headers.started", {})
            raise httpx.ConnectError("x", request=request)

    assert types(asyncio.run(perform(gateway_at("https://x", transport=Confused()), PAY))) == [OutcomeUnknown]


def test_without_an_identity_nothing_is_sent() -> None:
    gateway = gateway_at("https://x", credentials=None)
    answers = asyncio.run(perform(gateway, PAY, QUERY))
    assert types(answers) == [RequestNotSent, QueryFailed]
    assert asyncio.run(gateway.probe()).state is LinkState.DOWN


def test_a_request_beyond_the_limits_is_not_sent() -> None:
    long = SubmitPayment(
        client_sn=CLIENT_SN, token=1, amount=Fen(350), code=PAY.code, text=OrderText(subject="", operator="k")
    )
    answers, server = ask(commands=(long,))
    assert types(answers) == [RequestRefused]
    assert answers[0].fault is not None
    assert answers[0].fault.message == "subject: 1 to 64 characters"
    assert not server.seen


def test_a_command_that_is_no_request_is_a_bug() -> None:
    with pytest.raises(TypeError, match="GatewayCommand"):
        ask(commands=(GatewayCommand(client_sn=CLIENT_SN, token=1, amount=Fen(1)),))


# --- it may have run -------------------------------------------------------------------------------------------------

HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
AMBIGUOUS: dict[str, Act] = {
    "closed without a byte": raw(b""),
    "reset": resets(),
    "not HTTP": raw(b"SSH-2.0-OpenSSH_9.2\r\n"),
    "closed in the head": raw(b"HTTP/1.1 200 OK\r\nContent-Le"),
    "closed in the body": raw(HEAD + PAID),
    "closed in a chunk": raw(CHUNKED + b"5\r\nab"),
    "bad chunk": raw(CHUNKED + b"zz\r\n"),
    "bad length": raw(b"HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\n"),
    "head without end": pours(b"HTTP/1.1 200 OK\r\n", b"X-A: b\r\n" * 100),
    "interim answers without end": pours(b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 100),
    "body without end": pours(CHUNKED, b"1000\r\n" + b" " * 4096 + b"\r\n"),
    "long body": pours(b"HTTP/1.1 200 OK\r\nContent-Length: 5000000\r\n\r\n", b" " * 4096),
    "compressed": says(PAID, headers="Content-Encoding: gzip\r\n"),
    "redirect": says(b"", status="302 Found", headers="Location: /elsewhere\r\n"),
    "redirect to nowhere": says(b"", status="307 Temporary Redirect", headers="Location: http://[::\r\n"),
    "redirect to another host": says(b"", status="308 Permanent Redirect", headers="Location: ftp://a b/\r\n"),
    "switch of protocols": raw(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n"),
    "bad gateway": says(PAID, status="502 Bad Gateway"),
    "no content": says(b"", status="204 No Content"),
    "a page": says(b"<html></html>"),
    "an unknown status": says(PAID, status="999 Odd"),
}


@pytest.mark.parametrize("name", AMBIGUOUS)
def test_everything_but_a_whole_answer_of_the_gateway_is_ambiguous(name: str) -> None:
    """I2: and nothing is sent a second time."""
    answers, server = ask(AMBIGUOUS[name], connect_s=0.3, read_s=0.5)
    assert types(answers) == [OutcomeUnknown]
    assert answers[0].fault is not None
    assert len(server.seen) == 1


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from([b"", HEAD, CHUNKED, b"HTTP/1.1 ", b"HTTP/1.1 200 OK\r\n"]),
    st.lists(st.binary(max_size=30) | st.sampled_from([b"\r\n", b": ", b"0\r\n\r\n", b"Date: ", b"Location: ", PAID])),
)
def test_no_bytes_of_the_other_end_raise(start: bytes, rest: list[bytes]) -> None:
    answers, server = ask(raw(start + b"".join(rest)), connect_s=1, read_s=1)
    assert len(server.seen) == 1
    assert types(answers) in ([OutcomeUnknown], [PayConfirmed])


def test_an_ambiguous_answer_to_a_query_tells_nothing() -> None:
    assert types(ask(raw(b""), commands=(QUERY,))[0]) == [QueryFailed]


def test_silence_ends_with_the_read_timeout() -> None:
    answers, _ = ask(hangs(), read_s=0.05)
    assert types(answers) == [OutcomeUnknown]


@pytest.mark.parametrize("start", [b"HTTP/1.1 200 OK\r\nX: ", CHUNKED])
def test_a_trickle_ends_with_the_deadline(start: bytes) -> None:
    """I11: there is always one more byte, and never enough of them to be too many."""

    async def trickle(writer: asyncio.StreamWriter) -> bool:
        writer.write(start)
        while not writer.is_closing():
            writer.write(b"1\r\n \r\n" if start is CHUNKED else b"x")
            await writer.drain()
            await asyncio.sleep(0)
        return False

    answers, _ = ask(trickle, connect_s=0.1, read_s=0.2)
    assert types(answers) == [OutcomeUnknown]
    assert answers[0].fault is not None
    assert "within 0.5 s" in answers[0].fault.message


def test_a_body_that_is_too_long_is_not_read_to_its_end() -> None:
    """I11."""

    async def run() -> None:
        async with raw_gateway(pours(CHUNKED, b"1000\r\n" + b" " * 4096 + b"\r\n")) as server:
            answers = await perform(gateway_at(server.url, read_s=60), PAY)
            assert answers[0].fault is not None
            assert "longer than" in answers[0].fault.message
            await server.gone.wait()

    asyncio.run(run())


def test_a_cancelled_request_leaves_a_gateway_that_works() -> None:
    async def run() -> list[Answer]:
        arrived = asyncio.Event()

        async def never(writer: asyncio.StreamWriter) -> bool:
            arrived.set()
            return await hangs()(writer)

        async with raw_gateway(never, says(PAID)) as server:
            gateway = gateway_at(server.url)
            request = asyncio.create_task(gateway.perform(PAY))
            await arrived.wait()
            request.cancel()
            with pytest.raises(asyncio.CancelledError):
                await request
            return await perform(gateway, PAY)

    assert types(asyncio.run(run())) == [PayConfirmed]


# --- stale connections -----------------------------------------------------------------------------------------------


def test_a_connection_that_the_server_has_closed_is_not_used() -> None:
    async def run() -> None:
        async with raw_gateway(says(ABSENT, keeps=False), says(PAID)) as server:
            gateway = gateway_at(server.url)
            await gateway.perform(QUERY)
            await server.gone.wait()
            assert types(await perform(gateway, PAY)) == [PayConfirmed]
            assert [seen.connection for seen in server.seen] == [1, 2]

    asyncio.run(run())


def test_a_request_that_crosses_the_servers_close_is_never_sent_again() -> None:
    """I2: the server took the pay request on a kept connection and closed without a word."""
    answers, server = ask(says(ABSENT), raw(b""), says(PAID), commands=(QUERY, PAY))
    assert types(answers)[1] is OutcomeUnknown
    assert [seen.target.split()[1] for seen in server.seen] == [upay.QUERY_PATH, upay.PAY_PATH]


def test_a_reset_of_a_kept_connection_is_never_sent_again() -> None:
    """I2."""
    answers, server = ask(says(ABSENT), resets(), says(PAID), commands=(QUERY, PAY))
    assert types(answers)[1] is OutcomeUnknown
    assert len(server.seen) == 2


def test_requests_beside_each_other_get_their_own_answers() -> None:
    async def run() -> None:
        names = [ClientSn(f"c-{number}") for number in range(8)]

        async def answer_in_kind(writer: asyncio.StreamWriter) -> bool:
            asked = json.loads(server.seen[-1].body)["client_sn"]
            return await says(PAID.replace(CLIENT_SN.encode(), asked.encode()))(writer)

        async with raw_gateway(*[answer_in_kind] * len(names)) as server:
            gateway = gateway_at(server.url)
            commands = [
                SubmitPayment(client_sn=name, token=1, amount=Fen(350), code=PAY.code, text=PAY.text) for name in names
            ]
            answers = await asyncio.gather(*(gateway.perform(command) for command in commands))
            await gateway.aclose()
            assert types(answers) == [PayConfirmed] * len(names)
            assert sorted(json.loads(seen.body)["client_sn"] for seen in server.seen) == names

    asyncio.run(run())


def test_no_module_is_looked_for_once_a_connection_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    class Watch:
        @staticmethod
        def find_spec(name: str, _path: object, _target: object = None) -> None:
            looked_for.append(name)

    async def run() -> None:
        async with raw_gateway(says(ABSENT), says(PAID)) as server:
            gateway = gateway_at(server.url)
            await gateway.perform(QUERY)
            with monkeypatch.context() as patch:
                patch.setattr(sys, "meta_path", [Watch, *sys.meta_path])
                await gateway.perform(PAY)
            await gateway.aclose()

    looked_for: list[str] = []
    asyncio.run(run())
    assert not looked_for


# --- TLS and addresses -----------------------------------------------------------------------------------------------


def over_tls(
    certificate: str,
    *,
    ca_file: Path | None = TLS / "ca.pem",
    most: ssl.TLSVersion | None = None,
    is_clock_right: bool = False,
) -> Answer:
    async def run() -> Answer:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(TLS / certificate)
        if most is not None:
            context.maximum_version = most
        async with raw_gateway(says(PAID), tls=context) as server:
            url = f"https://127.0.0.1:{server.port}"
            (answer,) = await perform(gateway_at(url, ca_file=ca_file, is_clock_right=lambda: is_clock_right), PAY)
            assert len(server.seen) == isinstance(answer, PayConfirmed)
            return answer

    return asyncio.run(run())


def test_a_certificate_of_an_added_authority_is_trusted() -> None:
    assert isinstance(over_tls("valid.pem"), PayConfirmed)


VERDICTS = {"expired.pem": "certificate has expired", "future.pem": "certificate is not yet valid"}


@pytest.mark.parametrize("certificate", VERDICTS)
def test_a_certificate_that_is_not_valid_now_is_a_fault_of_the_clock(certificate: str) -> None:
    answer = over_tls(certificate)
    assert isinstance(answer, RequestNotSent)
    assert answer.fault is not None
    assert answer.fault.code == "clock"
    shown, _, verdict = answer.fault.message.partition(" the gateway's ")
    assert re.fullmatch(r"by this machine's clock \(\d{4}-\d\d-\d\d \d\d:\d\d UTC\)", shown)
    assert verdict == f"{VERDICTS[certificate]}: check the clock"


@pytest.mark.parametrize("certificate", VERDICTS)
def test_where_the_clock_is_known_to_be_right_it_is_the_certificates_fault(certificate: str) -> None:
    answer = over_tls(certificate, is_clock_right=True)
    assert isinstance(answer, RequestNotSent)
    assert answer.fault is not None
    assert answer.fault.code == "gateway_unreachable"
    assert answer.fault.message == f"the clock is right, but the gateway's {VERDICTS[certificate]}"


def test_a_certificate_of_an_unknown_authority_is_not_trusted() -> None:
    answer = over_tls("valid.pem", ca_file=None)
    assert isinstance(answer, RequestNotSent)
    assert answer.fault is not None
    assert "not trusted" in answer.fault.message


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1_1 is deprecated:DeprecationWarning")
def test_old_tls_is_refused() -> None:
    assert isinstance(over_tls("valid.pem", most=ssl.TLSVersion.TLSv1_1), RequestNotSent)


@pytest.mark.parametrize(
    "url",
    ["http://vsi-api.shouqianba.com", "http://192.168.1.1", "ftp://127.0.0.1", "127.0.0.1", "", "https://", "https://u:p@host",
     "https://host/?q=1", "https://host/#f", "https://[::", "http://localhost.example.com"],
)  # fmt: skip
def test_an_address_that_may_not_be_used_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match=r"gateway\.url"):
        gateway_at(url)


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:80", "http://[::1]:80", "http://localhost", "https://vsi-api.shouqianba.com"]
)
def test_https_and_loopback_are_allowed(url: str) -> None:
    asyncio.run(gateway_at(url).aclose())


def test_a_ca_file_that_is_none_is_refused(tmp_path: Path) -> None:
    (tmp_path / "empty.pem").write_text("")
    for name in ("absent.pem", "empty.pem"):
        with pytest.raises(ValueError, match=r"gateway\.ca_file"):
            gateway_at("https://x", ca_file=tmp_path / name)
