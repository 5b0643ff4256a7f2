"""Scan → answer over a network with a distance: TLS with an authority of its own, and a delay each way."""

import asyncio
import contextlib
import json
import ssl
import subprocess
import sys
import threading
import time
from pathlib import Path
from urllib.parse import urlsplit

from terminald.simulator.scanner import SimulatedScanner
from tests.bench.latency import credentials
from tests.bench.table import Row, Section
from tests.bench.tap import Tap
from tests.bench.terminal import LAST_BYTE_S, TappedTerminal, pause, payment_code

ROUND_TRIP_S = 0.05
_TLS = Path(__file__).parent.parent / "data" / "tls"
#: After the opening of a sale: even a first connection and its query are done.
_SETTLE_S = 0.4
_WARM_UPS = 2


class DistantGateway:
    """Speaks TLS for a gateway that does not, so many milliseconds away.

    On loopback a connection is there at once; here its first bytes wait a round trip longer, which it takes in life.
    """

    def __init__(self, gateway_url: str) -> None:
        place = urlsplit(gateway_url)
        self._gateway = (place.hostname, place.port)
        self._loop = asyncio.new_event_loop()
        self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._tls.load_cert_chain(_TLS / "valid.pem")
        self._tasks: set[asyncio.Task[None]] = set()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self.port = asyncio.run_coroutine_threadsafe(self._listen(), self._loop).result()

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self.port}"

    def close(self) -> None:
        asyncio.run_coroutine_threadsafe(self._end(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _listen(self) -> int:
        inner = await asyncio.start_server(self._decrypted, "127.0.0.1", 0, ssl=self._tls)
        self._inner_port = inner.sockets[0].getsockname()[1]
        outer = await asyncio.start_server(self._far, "127.0.0.1", 0)
        self._servers = (inner, outer)
        return int(outer.sockets[0].getsockname()[1])

    async def _decrypted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await self._join(reader, writer, self._gateway, 0.0, 0.0)

    async def _far(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await self._join(reader, writer, ("127.0.0.1", self._inner_port), ROUND_TRIP_S, ROUND_TRIP_S / 2)

    async def _join(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        to: tuple[str | None, int | None],
        first_s: float,
        delay_s: float,
    ) -> None:
        task = asyncio.current_task()
        if task is None:
            raise AssertionError
        self._tasks.add(task)
        there_reader, there_writer = await asyncio.open_connection(*to)
        with contextlib.suppress(ConnectionError, ssl.SSLError):
            await asyncio.gather(
                _pump(reader, there_writer, first_s, delay_s), _pump(there_reader, writer, 0.0, delay_s)
            )
        self._tasks.discard(task)

    async def _end(self) -> None:
        for server in self._servers:
            server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


async def _pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter, first_s: float, delay_s: float) -> None:
    loop = asyncio.get_running_loop()
    not_before = loop.time() + first_s
    while data := await source.read(65536):
        at = max(loop.time(), not_before) + delay_s
        loop.call_at(at, sink.write, data)
    loop.call_at(max(loop.time(), not_before) + delay_s, sink.close)


class _Fresh:
    """A client that connects for each request, as the vendor's demo does."""

    def __init__(self, terminal: TappedTerminal, url: str, stack: contextlib.ExitStack) -> None:
        self._scanner = stack.enter_context(SimulatedScanner())
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.bench.bare", "fresh"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        stack.enter_context(self._process)
        stack.callback(self._process.kill)
        sn, key = credentials(terminal)
        told = {"device": self._scanner.path, "port": urlsplit(url).port, "sn": sn, "key": key}
        if self._process.stdin is None:
            raise AssertionError
        self._process.stdin.write(json.dumps({**told, "ca": str(_TLS / "ca.pem")}).encode())
        self._process.stdin.close()
        self._line()

    def _line(self) -> bytes:
        if self._process.stdout is None or not (line := self._process.stdout.readline()):
            raise AssertionError("the bare script has ended")
        return line

    def scan_ms(self, number: int) -> float:
        self._scanner.send(payment_code(number).encode())
        pause(LAST_BYTE_S)
        at = time.monotonic_ns()
        self._scanner.send(b"\r")
        return (int(self._line()) - at) / 1e6


def measure(directory: Path, *, rounds: int) -> Section:
    """Sell on a terminal and with a bare client in turn."""
    with contextlib.ExitStack() as stack:
        far: list[DistantGateway] = []

        def go_far(tap: Tap) -> str:
            far.append(DistantGateway(tap.url))
            stack.callback(far[0].close)
            return f'{far[0].url}"\nca_file = "{_TLS / "ca.pem"}'

        terminal = TappedTerminal(directory / "far", address=go_far)
        stack.callback(terminal.close)
        fresh = _Fresh(terminal, far[0].url, stack)
        taken = [
            (terminal.sell(settle_s=_SETTLE_S).scan_to_completed_ms, fresh.scan_ms(3 * 10**9 + number))
            for number in range(_WARM_UPS + rounds)
        ]
        terminal.stop()
    ours, theirs = zip(*taken[_WARM_UPS:], strict=True)
    return Section(
        title=f"Distance: scan → answer over TLS, {ROUND_TRIP_S * 1000:g} ms for a round trip",
        rows=(
            Row(name="terminald, to the event for the host", values=ours, unit="ms"),
            Row(name="a connection for each request", values=theirs, unit="ms", role="beside", most=0.5),
        ),
        notes=("The client signs, connects, posts and reads the answer, with one TLS context, and keeps no journal.",),
    )
