"""A small HTTP/1.1 server that can also fail as a network does: lose, hang, trickle, reset.

Decides nothing: it performs the plan of :class:`~terminald.simulator.gateway_world.GatewayWorld`, in the order that
:mod:`terminald.simulator.gateway_faults` describes. A request that was read is carried out even when its client has
gone.
"""

import asyncio
import socket
import struct
from asyncio.trsock import TransportSocket
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, timezone
from http import HTTPStatus

import msgspec

from terminald.simulator.gateway_control import PREFIX, control
from terminald.simulator.gateway_faults import Delivery, Plan
from terminald.simulator.gateway_protocol import Request, Response, peek
from terminald.simulator.gateway_world import GatewayWorld

#: A terminal's request head is far below a kilobyte; more is not one of ours.
MAX_HEAD_BYTES = 16 * 1024
#: A compressed log of a day; every other body is below two kilobytes.
MAX_BODY_BYTES = 8 * 1024 * 1024
#: Keep-alive: longer than the gateway's usual 60 s would hide a client that does not expect a closed connection.
IDLE_S = 60.0
#: How long a lost answer keeps the connection silent; every sensible client has given up by then.
HANG_S = 60.0
_BUSINESS_ZONE = timezone(timedelta(hours=8))
_SHOWN_TEXT = 40


class _Biz(msgspec.Struct):
    result_code: str = ""
    error_code: str = ""
    data: dict[str, str] = {}


class _Envelope(msgspec.Struct):
    result_code: str
    error_code: str = ""
    biz_response: _Biz = msgspec.field(default_factory=_Biz)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Message:
    request: Request
    keep_alive: bool


class _BadMessage(Exception):
    """The bytes are not a request that this server reads. Carries the HTTP status."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


async def serve(
    world: GatewayWorld,
    host: str,
    port: int,
    *,
    ready: Callable[[int], None],
    log: Callable[[str], None] | None = None,
) -> None:
    """Serve the world until cancelled; then every connection is cut.

    Port 0 picks a free one; ready is called once with the port in use. Log gets one line for each request, without keys
    and without payment codes.

    Raises:
        OSError: the address can not be bound.
    """
    service = _Service(world=world, log=log or (lambda _: None))
    server = await asyncio.start_server(service.connection, host, port, limit=MAX_HEAD_BYTES)
    try:
        ready(server.sockets[0].getsockname()[1])
        await asyncio.get_running_loop().create_future()
    finally:
        server.close()
        for task in service.tasks:
            task.cancel()
        await asyncio.gather(*service.tasks, return_exceptions=True)
        await server.wait_closed()


@dataclass(slots=True, kw_only=True)
class _Service:
    world: GatewayWorld
    log: Callable[[str], None]
    tasks: set[asyncio.Task[None]] = field(default_factory=set)

    async def connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection until either side ends it."""
        task: asyncio.Task[None] | None = asyncio.current_task()
        if task is not None:
            self.tasks.add(task)
            task.add_done_callback(self.tasks.discard)
        try:
            with suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, TimeoutError):
                while await self._exchange(reader, writer):
                    pass
        finally:
            writer.close()
            with suppress(ConnectionError):
                await writer.wait_closed()

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Serve one request; False when the connection ends with it."""
        try:
            message = await _read(reader)
        except _BadMessage as bad:
            await _send(writer, Response(status=bad.status, headers={}, body=b""), keep_alive=False)
            return False
        request = message.request
        if request.path.startswith(PREFIX):
            await _send(writer, control(self.world, request), keep_alive=message.keep_alive)
            return message.keep_alive
        plan = self.world.plan(request)
        response = None
        if plan.arrives:
            await asyncio.sleep(plan.arrival_delay_s)
            response = self.world.receive(request)
        self.log(describe(self.world.now_s(), request, plan, response))
        await asyncio.sleep(plan.answer_delay_s)
        if plan.delivery is Delivery.SEND:
            answer = self.world.answer(plan, response)
            await _send(writer, answer, keep_alive=message.keep_alive, trickle_s=plan.trickle_s)
            return message.keep_alive
        if plan.delivery is Delivery.HANG:
            async with asyncio.timeout(HANG_S):
                await reader.read(1)
        elif plan.delivery is Delivery.RESET:
            _reset(writer)
        return False


async def _read(reader: asyncio.StreamReader) -> _Message:
    """Read one whole request."""
    async with asyncio.timeout(IDLE_S):
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        request_line, *lines = head.rstrip("\r\n").split("\r\n")
        parts = request_line.split(" ")
        if len(parts) != 3:  # noqa: PLR2004 - method, target, version
            raise _BadMessage(HTTPStatus.BAD_REQUEST)
        headers = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        body = await reader.readexactly(_content_length(headers))
    method, target, version = parts
    request = Request(
        method=method,
        path=target.partition("?")[0],
        authorization=headers.get("authorization", ""),
        content_type=headers.get("content-type", ""),
        body=body,
    )
    keep_alive = version == "HTTP/1.1" and headers.get("connection", "").lower() != "close"
    return _Message(request=request, keep_alive=keep_alive)


def _content_length(headers: Mapping[str, str]) -> int:
    if "transfer-encoding" in headers:
        raise _BadMessage(HTTPStatus.LENGTH_REQUIRED)
    text = headers.get("content-length", "0")
    if not (text.isascii() and text.isdigit()):
        raise _BadMessage(HTTPStatus.BAD_REQUEST)
    if len(text) > len(str(MAX_BODY_BYTES)) or int(text) > MAX_BODY_BYTES:
        raise _BadMessage(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
    return int(text)


async def _send(writer: asyncio.StreamWriter, response: Response, *, keep_alive: bool, trickle_s: float = 0.0) -> None:
    lines = [f"HTTP/1.1 {response.status} {_phrase(response.status)}"]
    lines += [f"{name}: {value}" for name, value in response.headers.items()]
    lines += [f"Content-Length: {len(response.body)}", f"Connection: {'keep-alive' if keep_alive else 'close'}"]
    data = "\r\n".join([*lines, "", ""]).encode("latin-1") + response.body
    if trickle_s == 0.0:
        writer.write(data)
        await writer.drain()
        return
    for index in range(len(data)):
        writer.write(data[index : index + 1])
        await writer.drain()
        await asyncio.sleep(trickle_s / len(data))


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Simulated"


def _reset(writer: asyncio.StreamWriter) -> None:
    """Make the peer see a reset: a linger time of zero lets the kernel drop the connection."""
    sock: TransportSocket = writer.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


def describe(now_s: float, request: Request, plan: Plan, response: Response | None) -> str:
    """Return the line that tells a person about one request: no keys, and of a payment code its last two digits."""
    fields = peek(request.body)
    words = [datetime.fromtimestamp(now_s, tz=UTC).astimezone(_BUSINESS_ZONE).strftime("%H:%M:%S")]
    words += [_plain(request.call), _plain(fields.get("client_sn") or fields.get("sn", ""))]
    if amount := fields.get("total_amount") or fields.get("refund_amount"):
        words.append(f"{_plain(amount)} fen")
    if code := fields.get("dynamic_id"):
        words.append(f"code …{_plain(code[-2:])}")
    words += ["→", _result(response)]
    if plan.fault is not None:
        words.append(f"[{plan.fault.kind}]")
    return " ".join(word for word in words if word)


def _result(response: Response | None) -> str:
    if response is None:
        return "never arrived"
    if response.status != HTTPStatus.OK:
        return str(response.status)
    envelope = msgspec.json.decode(response.body, type=_Envelope)
    biz = envelope.biz_response
    words = (biz.result_code, envelope.error_code or biz.error_code, biz.data.get("order_status", ""))
    return " ".join(word for word in words if word) or "done"


def _plain(text: str) -> str:
    """Return what a hostile client sent, fit for a terminal window."""
    return "".join(char if char.isascii() and char.isprintable() else "?" for char in text[:_SHOWN_TEXT])
