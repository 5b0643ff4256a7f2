"""The loopback port of the real server, with requests as bytes: rebinding, other pages, callers without a token."""

import asyncio
import json
import logging
import os
from pathlib import Path

import pytest

from terminald.adapters.api_door import terms_of
from terminald.adapters.api_limits import ApiLimits
from terminald.adapters.api_peer import Gate
from terminald.config import ApiConfig
from terminald.core.ids import Secret
from terminald.logs import redact
from terminald.wire.api_calls import CALLS
from terminald.wire.api_door import Terms
from tests.adapters.api_desk import FakeDesk, raw
from tests.adapters.sse_reader import SseReader
from tests.adapters.tcp_caller import OTHER, PAGE, TERMS, TOKEN, Port, parse, serving_port
from tests.log_lines import line
from tests.wire.api_samples import paid_view

ORDER = b'{"reference": "order-8841", "amount": 350, "subject": "Cola"}'
ORIGIN = f"Origin: {PAGE}"
JSON = "Content-Type: application/json"
PREFLIGHT = ("Access-Control-Request-Method: POST", "Access-Control-Request-Headers: authorization,content-type")


def test_with_the_token_everything_that_sells_works(tmp_path: Path) -> None:
    async def story() -> None:
        desk = FakeDesk()
        async with serving_port(tmp_path, desk) as port:
            made = await port.post("/v1/sales", ORDER, ORIGIN)
            assert (made.status, json.loads(made.body)["state"]) == (201, "awaiting_payment")
            assert made.headers["access-control-allow-origin"] == PAGE
            assert "location" in made.headers["access-control-expose-headers"].lower()
            assert (await port.post("/v1/sales/order-8841/cancel", b"")).status == 200
            for path in ("/v1/status", "/v1/sales", "/metrics", "/v1/openapi.json"):
                shown = await port.call(f"GET {path}", host=f"localhost:{port.number}")
                assert shown.status == 200
                assert shown.headers["vary"] == "Origin"
        assert [call[0] for call in desk.calls] == ["open_sale", "cancel", "list_sales"]

    asyncio.run(story())


#: What each caller lacks, as the headers of an order, with what it gets.
STRANGERS = {
    "rebinding": (("Host: rebind.example:PORT", ORIGIN, JSON, "Authorization: Bearer TOKEN"), 403, "host_not_allowed"),
    "rebinding, same origin": (
        ("Host: rebind.example:PORT", "Origin: http://rebind.example:PORT", JSON, "Authorization: Bearer TOKEN"),
        *(403, "host_not_allowed"),
    ),
    "a name that resolves here": (
        ("Host: kiosk.lan:PORT", JSON, "Authorization: Bearer TOKEN"),
        403,
        "host_not_allowed",
    ),
    "another port": (("Host: 127.0.0.1:1", JSON, "Authorization: Bearer TOKEN"), 403, "host_not_allowed"),
    "another page": (
        ("Host: 127.0.0.1:PORT", "Origin: http://evil.example", JSON, "Authorization: Bearer TOKEN"),
        *(403, "origin_not_allowed"),
    ),
    "a page from a file": (
        ("Host: 127.0.0.1:PORT", "Origin: null", JSON, "Authorization: Bearer TOKEN"),
        *(403, "origin_not_allowed"),
    ),
    "a form of another page": (
        ("Host: localhost:PORT", "Origin: http://evil.example", "Content-Type: application/x-www-form-urlencoded"),
        *(403, "origin_not_allowed"),
    ),
    "a browser that hides the page": (
        ("Host: localhost:PORT", "Sec-Fetch-Site: cross-site", JSON, "Authorization: Bearer TOKEN"),
        *(403, "origin_not_allowed"),
    ),
    "no token": (("Host: 127.0.0.1:PORT", ORIGIN, JSON), 401, "unauthorized"),
    "another token": (("Host: 127.0.0.1:PORT", ORIGIN, JSON, "Authorization: Bearer OTHER"), 401, "unauthorized"),
    "a token in the wrong place": (("Host: 127.0.0.1:PORT", JSON, "Cookie: token=TOKEN"), 401, "unauthorized"),
    "plain text": (
        ("Host: 127.0.0.1:PORT", ORIGIN, "Content-Type: text/plain", "Authorization: Bearer TOKEN"),
        *(415, "unsupported_media_type"),
    ),
    "no media type": (("Host: 127.0.0.1:PORT", ORIGIN, "Authorization: Bearer TOKEN"), 415, "unsupported_media_type"),
}


@pytest.mark.parametrize("who", STRANGERS)
def test_a_stranger_is_refused_in_words_and_nothing_is_done(who: str, tmp_path: Path) -> None:
    headers, status, code = STRANGERS[who]

    async def story() -> None:
        desk = FakeDesk()
        async with serving_port(tmp_path, desk) as port:
            # The body is announced and never sent: nobody waits for it.
            lines = ["POST /v1/sales HTTP/1.1", *headers, "Content-Length: 60000", "", ""]
            text = "\r\n".join(lines).replace("PORT", str(port.number))
            data = text.replace("TOKEN", TOKEN).replace("OTHER", OTHER)
            answer = parse(await port.raw(data.encode()))
            assert (answer.status, answer.code) == (status, code)
            assert answer.headers["content-type"] == "application/problem+json"
            assert answer.headers["connection"] == "close"
            may_read = ORIGIN in headers and status != 403
            assert answer.headers.get("access-control-allow-origin") == (PAGE if may_read else None)
            assert TOKEN not in str(answer)
            assert (await port.call("GET /v1/status")).status == 200
        assert desk.calls == []

    asyncio.run(story())


@pytest.mark.parametrize(
    "call", ["GET /v1/status", "GET /v1/events", "GET /metrics", "GET /no/such", "DELETE /v1/sales"]
)
def test_whatever_is_asked_the_door_comes_first(call: str, tmp_path: Path) -> None:
    async def story() -> None:
        async with serving_port(tmp_path, FakeDesk()) as port:
            assert (await port.call(call, token=None)).code == "unauthorized"
            assert (await port.call(call, host="rebind.example")).code == "host_not_allowed"
            assert (await port.call(call, "Origin: http://evil.example")).code == "origin_not_allowed"

    asyncio.run(story())


@pytest.mark.parametrize(
    "head",
    [
        b"GET /v1/status HTTP/1.0\r\n\r\n",
        b"GET /v1/status HTTP/1.1\r\n\r\n",
        b"GET /v1/status HTTP/1.1\r\nHost: 127.0.0.1:PORT\r\nHost: rebind.example\r\nConnection: close\r\n\r\n",
        b"GET http://127.0.0.1:PORT/v1/status HTTP/1.1\r\nHost: rebind.example\r\nConnection: close\r\n\r\n",
        (
            b"GET /v1/events HTTP/1.1\r\nHost: 127.0.0.1:PORT\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Origin: http://evil.example\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        ),
    ],
)
def test_odd_requests_are_refused_too(head: bytes, tmp_path: Path) -> None:
    async def story() -> None:
        async with serving_port(tmp_path, FakeDesk()) as port:
            answer = parse(await port.raw(head.replace(b"PORT", str(port.number).encode())))
            assert answer.code in ("invalid_http", "host_not_allowed", "origin_not_allowed")

    asyncio.run(story())


def test_a_browser_that_asks_before_is_answered_without_the_token(tmp_path: Path) -> None:
    async def story() -> None:
        desk = FakeDesk()
        async with serving_port(tmp_path, desk) as port:
            private = "Access-Control-Request-Private-Network: true"
            answer = await port.call("OPTIONS /v1/sales", ORIGIN, *PREFLIGHT, private, token=None)
            assert (answer.status, answer.body) == (204, b"")
            assert answer.headers["access-control-allow-origin"] == PAGE
            assert answer.headers["access-control-allow-methods"] == "GET, POST"
            assert answer.headers["access-control-allow-headers"] == "Authorization, Content-Type, Last-Event-ID"
            assert answer.headers["access-control-allow-private-network"] == "true"
            for origin in ("Origin: http://evil.example", "Origin: null"):
                refused = await port.call("OPTIONS /v1/sales", origin, *PREFLIGHT, token=None)
                assert refused.status == 403
                assert not [name for name in refused.headers if name.startswith("access-control")]
            rebound = await port.call("OPTIONS /v1/sales", ORIGIN, *PREFLIGHT, host="rebind.example", token=None)
            assert rebound.code == "host_not_allowed"
        assert desk.calls == []

    asyncio.run(story())


def test_a_page_reads_every_answer_also_those_that_refuse(tmp_path: Path) -> None:
    async def story() -> None:
        desk = FakeDesk()
        async with serving_port(tmp_path, desk) as port:
            answers = [
                await port.call("GET /v1/sales/none", ORIGIN),
                await port.call("GET /no/such", ORIGIN),
                await port.call("DELETE /v1/sales", ORIGIN),
                await port.post("/v1/sales", b"{", ORIGIN),
                await port.call("GET /v1/status", ORIGIN, token=OTHER),
            ]
            desk.failure = RuntimeError("internals")
            answers.append(await port.post("/v1/sales", ORDER, ORIGIN))
        assert [answer.status for answer in answers] == [404, 404, 405, 400, 401, 500]
        for answer in answers:
            assert answer.headers["access-control-allow-origin"] == PAGE

    asyncio.run(story())


def test_a_caller_over_tcp_is_never_an_administrator(tmp_path: Path) -> None:
    """Whoever it is, root and the service's own user among them: the kernel is not asked."""

    async def story() -> None:
        desk = FakeDesk({"01": paid_view("01")})
        gate = Gate(own_uid=os.geteuid(), group="terminald-admin", admin_gid=os.getegid())
        async with serving_port(tmp_path, desk, gate=gate) as port:
            for call in CALLS:
                if call.is_for_admins:
                    answer = await port.post(call.path.replace("{id}", "01"), b'{"reference": "r", "reason": "r"}')
                    assert (answer.status, answer.code) == (403, "forbidden")
                    assert "a caller over TCP may sell" in json.loads(answer.body)["detail"]
        assert desk.calls == []

    asyncio.run(story())


def test_callers_of_the_unix_socket_do_not_pass_the_door(tmp_path: Path) -> None:
    async def story() -> None:
        async with serving_port(tmp_path, FakeDesk()) as port:
            head = (
                b"GET /v1/status HTTP/1.1\r\nHost: anything\r\nOrigin: http://evil.example\r\nConnection: close\r\n\r\n"
            )
            answer = parse(await raw(port.path, head))
            assert answer.status == 200
            assert "vary" not in answer.headers

    asyncio.run(story())


def test_without_terms_nobody_comes_in_over_tcp(tmp_path: Path) -> None:
    async def story() -> None:
        async with serving_port(tmp_path, FakeDesk(), terms=None) as port:
            for token in (TOKEN, "", "x"):
                assert (await port.call("GET /v1/status", f"Authorization: Bearer {token}", token=None)).status == 401

    asyncio.run(story())


# --- events, and another token ---------------------------------------------------------------------------------------


async def follow(port: Port, *headers: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter, SseReader]:
    """Open an event stream, and read until it tells its position."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port.number)
    writer.write(port.request("GET /v1/events", *headers))
    head = parse(await reader.readuntil(b"\r\n\r\n"))
    assert head.status == 200
    assert head.headers["access-control-allow-origin"] == PAGE
    events = SseReader()
    await more(reader, events)
    return reader, writer, events


async def more(reader: asyncio.StreamReader, events: SseReader) -> bool:
    """Read one chunk; false at the end of the stream."""
    size = int(await reader.readline(), 16)
    events.feed((await reader.readexactly(size + 2))[:-2])
    return size > 0


def test_events_are_followed_over_tcp_and_resumed_there(tmp_path: Path) -> None:
    async def story() -> None:
        desk = FakeDesk()
        desk.publish()
        async with serving_port(tmp_path, desk) as port:
            reader, writer, events = await follow(port, ORIGIN, "Last-Event-ID: 0")
            desk.publish(b'{"n":2}', topic="print")
            while len(events.events) < 2:
                await more(reader, events)
            assert [event.id for event in events.events] == ["1", "2"]
            writer.close()
            await writer.wait_closed()

    asyncio.run(story())


@pytest.mark.parametrize(
    "terms",
    [Terms(origins=TERMS.origins, token=Secret(OTHER)), Terms(token=Secret(TOKEN)), Terms()],
    ids=["another token", "no pages", "nobody"],
)
def test_other_terms_let_out_whoever_came_in_by_those_before(terms: Terms, tmp_path: Path) -> None:
    async def story() -> None:
        desk = FakeDesk()
        async with serving_port(tmp_path, desk) as port:
            reader, writer, events = await follow(port, ORIGIN)
            port.door.take(TERMS)
            desk.publish()
            assert await more(reader, events)
            port.door.take(terms)
            assert not await more(reader, events)
            assert await reader.read() == b""
            writer.close()
            await writer.wait_closed()
            assert (await port.call("GET /v1/status", ORIGIN)).status in (401, 403)

    asyncio.run(story())


def test_a_call_under_way_is_answered_although_the_token_changes(tmp_path: Path) -> None:
    """It may have moved money: its caller is told what came of it."""

    async def story() -> None:
        desk = FakeDesk({"01": paid_view("01")})
        desk.gate.clear()
        async with serving_port(tmp_path, desk) as port:
            call = asyncio.create_task(port.post("/v1/sales/01/cancel"))
            await desk.arrived.wait()
            port.door.take(Terms(origins=TERMS.origins, token=Secret(OTHER)))
            desk.gate.set()
            assert (await call).status == 200
            assert (await port.post("/v1/sales/01/cancel")).code == "unauthorized"
            assert (await port.call("GET /v1/status", token=OTHER)).status == 200

    asyncio.run(story())


def test_a_body_that_comes_in_by_an_old_token_is_not_taken(tmp_path: Path) -> None:
    async def story() -> None:
        desk = FakeDesk()
        async with serving_port(tmp_path, desk) as port:
            reader, writer = await asyncio.open_connection("127.0.0.1", port.number)
            writer.write(port.request("POST /v1/sales", JSON, f"Content-Length: {len(ORDER)}", "Expect: 100-continue"))
            # Asked for: the body is being waited for.
            assert (await reader.readline()).startswith(b"HTTP/1.1 100 ")
            port.door.take(Terms())
            answer = await reader.read()
            assert b'"body_timeout"' in answer
            writer.close()
            await writer.wait_closed()
        assert desk.calls == []

    asyncio.run(story())


# --- limits, and the log ---------------------------------------------------------------------------------------------


def test_callers_over_tcp_leave_room_for_the_unix_socket(tmp_path: Path) -> None:
    """I11: every user may connect to a port."""

    async def story() -> None:
        limits = ApiLimits(max_connections=4, max_tcp_connections=2)
        async with serving_port(tmp_path, FakeDesk(), limits=limits) as port:
            kept = [await asyncio.open_connection("127.0.0.1", port.number) for _ in range(2)]
            assert parse(await port.raw(b"")).code == "overloaded"
            head = b"GET /v1/status HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
            assert parse(await raw(port.path, head)).status == 200
            for reader, writer in kept:
                writer.write(port.request("GET /v1/status"))
                assert parse(await reader.read()).status == 200
                writer.close()
                await writer.wait_closed()
            assert (await port.call("GET /v1/status")).status == 200

    asyncio.run(story())


def test_the_token_is_hidden_in_whatever_is_logged() -> None:
    """I7."""
    token = "MARKED-that-is-logged-by-mistake-0"
    terms = terms_of(ApiConfig(allowed_origins=(PAGE,)), Secret(token))
    assert terms == Terms(origins=frozenset({PAGE}), token=Secret(token))
    assert redact(f"it is {token}.") == "it is ***."


def test_a_refusal_is_told_once_a_minute_and_never_with_a_token(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """I7, I11."""

    async def story() -> None:
        async with serving_port(tmp_path, FakeDesk()) as port:
            for _ in range(20):
                await port.call("GET /v1/status", "Origin: http://evil.example")
                await port.call("GET /v1/status", token=OTHER)

    caplog.set_level(logging.DEBUG, logger="terminald")
    asyncio.run(story())
    warned = [line(record) for record in caplog.records if record.levelno == logging.WARNING]
    assert len(warned) == 2
    assert "code=origin_not_allowed detail=Pages of http://evil.example may not call: api.allowed_origins" in warned[0]
    assert "unauthorized" in warned[1]
    assert "MARKED" not in repr([vars(record) for record in caplog.records])
