"""The socket server performs every fault on a real loopback connection."""

import asyncio
import base64
import gzip
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import httpx
import pytest

from terminald.simulator.gateway import Fault, GatewayWorld, Request, serve, sign
from tests.simulator.gateway_terminal import Clock, Terminal, make_world

ANSWER_WITHIN_S = 10.0
SILENCE_S = 0.1
"""Long enough on loopback to tell a silent connection from a slow one."""


@dataclass(slots=True)
class Running:
    """A server in this event loop, and a terminal that was activated behind its back."""

    terminal: Terminal
    port: int
    lines: list[str]
    logged: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def world(self) -> GatewayWorld:
        return self.terminal.world

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


@asynccontextmanager
async def running(speed: float) -> AsyncIterator[Running]:
    clock = Clock()
    terminal = Terminal(make_world(clock, speed=speed), clock)
    bound: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    here = Running(terminal, 0, [])

    def log(line: str) -> None:
        here.lines.append(line)
        here.logged.set()

    task = asyncio.create_task(serve(terminal.world, "127.0.0.1", 0, ready=bound.set_result, log=log))
    here.port = await asyncio.wait_for(bound, ANSWER_WITHIN_S)
    try:
        yield here
    finally:
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


def with_server(scenario: Callable[[Running], Awaitable[None]], *, speed: float = 1.0) -> None:
    async def run() -> None:
        async with running(speed) as here, asyncio.timeout(ANSWER_WITHIN_S):
            await scenario(here)

    asyncio.run(run())


def wire(request: Request, *extra: str) -> bytes:
    head = [
        f"{request.method} {request.path} HTTP/1.1",
        "Host: 127.0.0.1",
        f"Authorization: {request.authorization}",
        f"Content-Type: {request.content_type}",
        f"Content-Length: {len(request.body)}",
        *extra,
    ]
    return "\r\n".join([*head, "", ""]).encode() + request.body


async def exchange(here: Running, data: bytes) -> bytes:
    """Send bytes on a fresh connection, and read to its end."""
    reader, writer = await asyncio.open_connection("127.0.0.1", here.port)
    try:
        writer.write(data)
        return await reader.read()
    finally:
        writer.close()


async def pay_once(here: Running, digits: str = "00") -> bytes:
    return await exchange(here, wire(here.terminal.pay_request(digits), "Connection: close"))


async def post(client: httpx.AsyncClient, request: Request) -> httpx.Response:
    headers = {"Authorization": request.authorization, "Content-Type": request.content_type}
    return await client.post(request.path, content=request.body, headers=headers)


def paid(here: Running) -> int:
    return here.world.view().totals.paid


def test_one_connection_serves_many_requests() -> None:
    async def scenario(here: Running) -> None:
        async with httpx.AsyncClient(base_url=here.url, trust_env=False) as client:
            first = await post(client, here.terminal.pay_request("00"))
            assert first.json()["biz_response"]["data"]["order_status"] == "PAID"
            assert first.headers["date"].endswith("GMT")
            stream = first.extensions["network_stream"].get_extra_info("client_addr")
            second = await post(client, here.terminal.request("query", client_sn="order-1"))
            assert second.extensions["network_stream"].get_extra_info("client_addr") == stream

    with_server(scenario)


@pytest.mark.parametrize(
    ("fault", "charged"), [(Fault(kind="lose_request"), 0), (Fault(kind="lose_answer"), 350)], ids=["request", "answer"]
)
def test_a_lost_message_leaves_the_connection_silent(fault: Fault, charged: int) -> None:
    async def scenario(here: Running) -> None:
        here.world.faults.add(fault)
        answer = asyncio.create_task(pay_once(here))
        await here.logged.wait()
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(answer, SILENCE_S)
        assert paid(here) == charged

    with_server(scenario)


@pytest.mark.parametrize(("digits", "charged"), [("40", 350), ("41", 0)])
def test_a_closed_connection_has_not_one_byte(digits: str, charged: int) -> None:
    async def scenario(here: Running) -> None:
        assert await pay_once(here, digits) == b""
        assert paid(here) == charged

    with_server(scenario)


def test_a_reset_is_a_reset() -> None:
    async def scenario(here: Running) -> None:
        here.world.faults.add(Fault(kind="reset", path="pay"))
        with pytest.raises(ConnectionResetError):
            await pay_once(here)
        assert paid(here) == 350

    with_server(scenario)


def test_a_delayed_request_arrives_though_its_client_has_gone() -> None:
    async def scenario(here: Running) -> None:
        _, writer = await asyncio.open_connection("127.0.0.1", here.port)
        writer.write(wire(here.terminal.pay_request("42")))
        await writer.drain()
        writer.close()
        await writer.wait_closed()
        assert paid(here) == 0
        await here.logged.wait()
        assert paid(here) == 350

    with_server(scenario, speed=200)


def test_a_slow_answer_comes_after_the_charge() -> None:
    async def scenario(here: Running) -> None:
        answer = asyncio.create_task(pay_once(here, "43"))
        await here.logged.wait()
        assert paid(here) == 350
        assert not answer.done()
        assert b"PAY_SUCCESS" in await answer

    with_server(scenario, speed=100)


def test_a_trickled_answer_is_whole_in_the_end() -> None:
    async def scenario(here: Running) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", here.port)
        writer.write(wire(here.terminal.pay_request("53"), "Connection: close"))
        pieces = []
        while piece := await reader.read(65_536):
            pieces.append(piece)
        writer.close()
        assert len(pieces) > 50
        assert b"PAY_SUCCESS" in b"".join(pieces)

    with_server(scenario, speed=50)


@pytest.mark.parametrize(
    ("digits", "status", "part"),
    [
        ("44", 502, b"<!DOCTYPE"),
        ("45", 200, b"<!DOCTYPE"),
        ("46", 200, b"\xff\xfe"),
        ("47", 200, b""),
        ("48", 200, b"PAY_SUCCESS"),
        ("49", 302, b""),
        ("50", 200, b'"351"'),
        ("51", 200, b'"Xorder-1"'),
        ("54", 200, b'"91'),
    ],
)
def test_a_distorted_answer_is_proper_http(digits: str, status: int, part: bytes) -> None:
    async def scenario(here: Running) -> None:
        async with httpx.AsyncClient(base_url=here.url, trust_env=False) as client:
            response = await post(client, here.terminal.pay_request(digits))
            assert response.status_code == status
            assert part in response.content
            assert bool(part) is bool(response.content)
            assert (await post(client, here.terminal.request("query", client_sn="order-1"))).status_code == 200
        assert paid(here) == 350

    with_server(scenario)


def test_a_status_that_http_does_not_name_can_be_sent() -> None:
    async def scenario(here: Running) -> None:
        here.world.faults.add(Fault(kind="http_status", status=599))
        assert (await pay_once(here)).startswith(b"HTTP/1.1 599 ")

    with_server(scenario)


def test_an_illegal_sign_on_the_wire_is_followed_by_a_good_one() -> None:
    async def scenario(here: Running) -> None:
        assert b"ILLEGAL_SIGN" in await pay_once(here, "52")
        assert paid(here) == 0
        assert b"PAY_SUCCESS" in await pay_once(here, "52")

    with_server(scenario)


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"nonsense\r\n\r\n", b"400"),
        (b"POST /upay/v2/pay HTTP/1.1\r\nContent-Length: x\r\n\r\n", b"400"),
        (b"POST /upay/v2/pay HTTP/1.1\r\nContent-Length: -1\r\n\r\n", b"400"),
        (b"POST /upay/v2/pay HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", b"411"),
        (b"POST /upay/v2/pay HTTP/1.1\r\nContent-Length: 99999999\r\n\r\n", b"413"),
        (b"POST /upay/v2/pay HTTP/1.1\r\nContent-Length: " + b"9" * 5000 + b"\r\n\r\n", b"413"),
        (b"GET /elsewhere HTTP/1.0\r\n\r\n", b"404"),
    ],
)
def test_what_is_not_a_request_is_answered_and_cut_off(data: bytes, status: bytes) -> None:
    async def scenario(here: Running) -> None:
        answer = await exchange(here, data)
        assert answer.startswith(b"HTTP/1.1 " + status)
        assert b"Connection: close" in answer

    with_server(scenario)


@pytest.mark.parametrize("data", [b"GET / HTTP/1.1\r\nX: " + b"x" * 20_000, b"POST /x HTTP/1.1\r\nContent-Le"])
def test_a_head_too_long_or_cut_off_ends_the_connection(data: bytes) -> None:
    async def scenario(here: Running) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", here.port)
        writer.write(data)
        writer.write_eof()
        try:
            assert await reader.read() == b""
        except ConnectionResetError:
            assert len(data) > 16_384  # closing with unread bytes resets
        writer.close()

    with_server(scenario)


def test_stopping_cuts_idle_and_silent_connections() -> None:
    async def scenario() -> None:
        async with running(1.0) as here:
            here.world.faults.add(Fault(kind="lose_answer"))
            idle, idle_writer = await asyncio.open_connection("127.0.0.1", here.port)
            silent, silent_writer = await asyncio.open_connection("127.0.0.1", here.port)
            silent_writer.write(wire(here.terminal.pay_request("00")))
            await here.logged.wait()
        assert (await idle.read(), await silent.read()) == (b"", b"")
        idle_writer.close()
        silent_writer.close()

    asyncio.run(asyncio.wait_for(scenario(), ANSWER_WITHIN_S))


def test_the_control_calls_show_the_books_and_move_the_world() -> None:
    async def scenario(here: Running) -> None:
        async with httpx.AsyncClient(base_url=here.url, trust_env=False) as client:
            await post(client, here.terminal.pay_request("10"))
            qr = here.terminal.precreate("order-2", 100)
            assert (await client.post("/_sim/advance", json={"seconds": 6})).status_code == 200
            customer = {"qr_code": qr.data["qr_code"], "action": "pay"}
            assert [(await client.post("/_sim/customer", json=customer)).status_code for _ in range(2)] == [200, 409]
            books = (await client.get("/_sim/books")).json()
            assert books["totals"] == {"orders": 2, "paid": 450, "refunded": 0, "net": 450}
            assert books["duplicate_submits"] == 0
            assert {order["client_sn"]: order["status"] for order in books["orders"]} == {
                "order-1": "PAID",
                "order-2": "PAID",
            }
            assert here.terminal.sn == books["terminals"][0]["terminal_sn"]
            faults = [{"kind": "http_status", "status": 503, "path": "query"}]
            assert (await client.post("/_sim/faults", json=faults)).json() == {"armed": 1}
            query = here.terminal.request("query", client_sn="order-1")
            assert [(await post(client, query)).status_code for _ in range(2)] == [503, 200]
            assert "INSUFFICIENT_FUND" in (await client.get("/_sim/outcomes")).text

    with_server(scenario)


def test_an_uploaded_log_can_be_looked_at() -> None:
    async def scenario(here: Running) -> None:
        body = gzip.compress(b"one line\n")
        signed = f"{here.terminal.sn} {sign(body, here.terminal.key)}"
        here.world.faults.add(Fault(kind="close_answer", path="uploadLog"))
        for _ in range(2):
            request = Request(path="/terminal/uploadLog", body=body, authorization=signed)
            await exchange(here, wire(request, "Connection: close"))
        async with httpx.AsyncClient(base_url=here.url, trust_env=False) as client:
            logs = (await client.get("/_sim/logs")).json()
        assert [log["text"] for log in logs] == ["one line\n", "one line\n"]
        assert [base64.b64decode(log["body"]) for log in logs] == [body, body]

    with_server(scenario)


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("faults", b"not json", 422),
        ("faults", b'[{"kind": "unknown"}]', 422),
        ("faults", json.dumps([{"kind": "empty"}] * 1001).encode(), 422),
        ("advance", b'{"seconds": -1}', 422),
        ("advance", b'{"seconds": 1e99}', 422),
        ("customer", b'{"action": "dance"}', 422),
        ("customer", b'{"action": "pay", "client_sn": "unknown"}', 409),
        ("unknown", b"", 404),
        ("books", b"", 404),
    ],
)
def test_a_bad_control_call_is_refused(path: str, body: bytes, status: int) -> None:
    async def scenario(here: Running) -> None:
        async with httpx.AsyncClient(base_url=here.url, trust_env=False) as client:
            response = await client.post(f"/_sim/{path}", content=body)
            assert response.status_code == status
            assert response.json()["error"]

    with_server(scenario)


def test_each_request_makes_one_line_without_secrets() -> None:
    """I7."""

    async def scenario(here: Running) -> None:
        await pay_once(here, "10")
        await pay_once(here, "41")
        await exchange(here, b"GET /\x1b[31m\xe9 HTTP/1.0\r\n\r\n")
        query = here.terminal.request("query", client_sn="\x1b[2Jorder" + "x" * 100)
        await exchange(here, wire(query, "Connection: close"))
        text = "\n".join(here.lines)
        assert len(here.lines) == 4
        assert here.lines[0] == "10:00:00 pay order-1 350 fen code …10 → PAY_IN_PROGRESS CREATED"
        assert here.lines[1] == "10:00:00 pay order-1 350 fen code …41 → FAIL CLIENT_SN_CONFLICT"
        assert here.terminal.key not in text
        assert "1308123412341234" not in text
        assert text.replace("\n", "").replace("→", "").replace("…", "").isascii()
        assert "\x1b" not in text

    with_server(scenario)
