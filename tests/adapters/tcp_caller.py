"""A server with a loopback port, and callers that send bytes as they are."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from terminald.adapters.api_door import Door
from terminald.adapters.api_limits import ApiLimits
from terminald.adapters.api_peer import Gate
from terminald.adapters.api_server import ApiServer
from terminald.adapters.api_socket import bound
from terminald.core.ids import Secret
from terminald.wire.api_door import Terms
from tests.adapters.api_desk import FakeDesk, settings
from tests.wire.api_samples import DEFAULTS, NOW

TOKEN = "MARKED-TOKEN-of-32-characters-xx"
OTHER = "MARKED-OTHER-token-32-characters"
PAGE = "http://localhost:8080"
TERMS = Terms(origins=frozenset({PAGE}), token=Secret(TOKEN))


@dataclass
class Answer:
    """What came back, taken apart."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def code(self) -> str:
        told: dict[str, str] = json.loads(self.body)
        return told["code"]


def parse(data: bytes) -> Answer:
    head, _, body = data.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    pairs = [line.split(": ", 1) for line in lines]
    return Answer(status=int(first.split()[1]), headers={key.lower(): value for key, value in pairs}, body=body)


@dataclass
class Port:
    """A server that listens on a port and on a Unix socket."""

    server: ApiServer
    door: Door
    number: int
    path: Path

    async def raw(self, data: bytes) -> bytes:
        """Send bytes over TCP, and return all that comes until the server closes."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.number)
        try:
            writer.write(data)
            return await reader.read()
        finally:
            writer.close()
            await writer.wait_closed()

    def request(self, call: str, *headers: str, host: str | None = None, token: str | None = TOKEN) -> bytes:
        """Return a head with the right host and token, unless said otherwise."""
        lines = [f"{call} HTTP/1.1", f"Host: {host or f'127.0.0.1:{self.number}'}", "Connection: close", *headers]
        lines += [f"Authorization: Bearer {token}"] if token else []
        return "\r\n".join([*lines, "", ""]).encode("latin-1")

    async def call(
        self, call: str, *headers: str, body: bytes = b"", host: str | None = None, token: str | None = TOKEN
    ) -> Answer:
        more = (f"Content-Length: {len(body)}",) if body else ()
        return parse(await self.raw(self.request(call, *headers, *more, host=host, token=token) + body))

    async def post(self, path: str, body: bytes = b"{}", *headers: str) -> Answer:
        return await self.call(f"POST {path}", "Content-Type: application/json", *headers, body=body)


@asynccontextmanager
async def serving_port(
    directory: Path,
    desk: FakeDesk,
    *,
    terms: Terms | None = TERMS,
    limits: ApiLimits | None = None,
    gate: Gate | None = None,
) -> AsyncIterator[Port]:
    config, door = settings(directory), Door(terms)
    server = ApiServer(desk, DEFAULTS, lambda: NOW, "1.2.3", limits, gate, None if terms is None else door)
    with bound(config) as unix, socket.create_server(("127.0.0.1", 0)) as tcp:
        tcp.settimeout(0)
        task = asyncio.create_task(server.serve(unix, tcp))
        yield Port(server=server, door=door, number=tcp.getsockname()[1], path=config.socket)
        server.stop()
        await task
