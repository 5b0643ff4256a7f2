"""A server on a loopback socket that reads whole requests and answers with whatever bytes a test gives it."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

#: Writes an answer; True keeps the connection for the next request.
Act = Callable[[asyncio.StreamWriter], Awaitable[bool]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """One request as it came, and the number of the connection it came on."""

    connection: int
    target: str
    headers: dict[str, str]
    body: bytes


@dataclass(slots=True)
class RawGateway:
    """Each request gets the next act; without one, the connection is closed."""

    acts: list[Act]
    port: int = 0
    seen: list[Seen] = field(default_factory=list)
    connections: int = 0
    gone: asyncio.Event = field(default_factory=asyncio.Event)
    tasks: set[asyncio.Task[None]] = field(default_factory=set)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection."""
        task = asyncio.current_task()
        assert task is not None
        self.tasks.add(task)
        self.connections += 1
        number = self.connections
        try:
            with suppress(ConnectionError, asyncio.IncompleteReadError):
                while await self._turn(number, reader, writer):
                    pass
        finally:
            writer.close()
            with suppress(ConnectionError, ssl.SSLError):
                await writer.wait_closed()
            self.gone.set()

    async def _turn(self, number: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in head[1:] if line)}
        body = await reader.readexactly(int(headers["content-length"]))
        self.seen.append(Seen(connection=number, target=head[0], headers=headers, body=body))
        return bool(self.acts) and await self.acts.pop(0)(writer)

    @property
    def url(self) -> str:
        """Return the address without TLS."""
        return f"http://127.0.0.1:{self.port}"


@asynccontextmanager
async def raw_gateway(*acts: Act, tls: ssl.SSLContext | None = None) -> AsyncIterator[RawGateway]:
    """Serve until the block is left; then every connection is cut."""
    gateway = RawGateway(list(acts))
    server = await asyncio.start_server(gateway.serve, "127.0.0.1", 0, ssl=tls)
    gateway.port = server.sockets[0].getsockname()[1]
    try:
        yield gateway
    finally:
        server.close()
        for task in gateway.tasks:
            task.cancel()
        await asyncio.gather(*gateway.tasks, return_exceptions=True)
        await server.wait_closed()


def says(body: bytes, *, status: str = "200 OK", headers: str = "", keeps: bool = True) -> Act:
    """Answer properly; the connection stays open on our side unless keeps is false."""

    async def act(writer: asyncio.StreamWriter) -> bool:
        head = f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n{headers}\r\n"
        writer.write(head.encode() + body)
        await writer.drain()
        return keeps

    return act


def raw(data: bytes) -> Act:
    """Write these bytes and close."""

    async def act(writer: asyncio.StreamWriter) -> bool:
        writer.write(data)
        await writer.drain()
        return False

    return act


def resets() -> Act:
    """Cut the connection with a reset."""

    async def act(writer: asyncio.StreamWriter) -> bool:
        writer.transport.abort()
        return False

    return act


def hangs(data: bytes = b"") -> Act:
    """Write these bytes, then nothing until the client has gone or the server ends."""

    async def act(writer: asyncio.StreamWriter) -> bool:
        writer.write(data)
        await writer.drain()
        await asyncio.get_running_loop().create_future()
        return False

    return act


def pours(head: bytes, piece: bytes) -> Act:
    """Write the piece again and again, as fast as the client takes it, until it goes away."""

    async def act(writer: asyncio.StreamWriter) -> bool:
        writer.write(head)
        while not writer.is_closing():
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(0)
        return False

    return act
