"""The real processes of the demo: the simulated gateway, and terminald itself as a service manager would run it."""

import asyncio
import os
import signal
import socket
import sys
from asyncio.subprocess import DEVNULL, PIPE, STDOUT, Process
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from contextlib import aclosing, asynccontextmanager, suppress
from pathlib import Path
from typing import Self

import httpx
import msgspec

from terminald.cli.event_stream import EventDecoder, StreamEvent
from terminald.cli.outcome import CommandFailed
from terminald.simulator.gateway import BooksView
from terminald.wire import api_shapes as shapes
from terminald.wire import api_status

#: A Python program with a web server starts in a second; a busy board with a slow card takes many.
START_LIMIT_S = 30.0
#: How long a process may take to end when it is asked to; then it is killed.
STOP_LIMIT_S = 5.0
#: Any step of a demo sale is done within seconds, or never.
CALL_LIMIT_S = 20.0
#: A notification of the service manager's protocol is a line or two.
_DATAGRAM = 4096

_TERMINALD = (sys.executable, "-m", "terminald")


@asynccontextmanager
async def process(
    *arguments: str, log: Path, stdout: int = DEVNULL, environment: Mapping[str, str] | None = None
) -> AsyncIterator[Process]:
    """Run terminald with these arguments and its standard error in a log; it has ended when this is left.

    The process has a session of its own: a Ctrl-C is for the demo, which then ends its processes in order.
    """
    with log.open("ab") as stderr:
        running = await asyncio.create_subprocess_exec(
            *_TERMINALD,
            *arguments,
            stdin=DEVNULL,
            stdout=stdout,
            stderr=stderr,
            env={**os.environ, **(environment or {})},
            start_new_session=True,
        )
    try:
        yield running
    finally:
        await stop(running)


async def stop(running: Process) -> None:
    """End a process: ask, wait, and kill what does not listen."""
    if running.returncode is None:
        with suppress(ProcessLookupError):
            running.send_signal(signal.SIGTERM)
        try:
            async with asyncio.timeout(STOP_LIMIT_S):
                await running.wait()
        except (TimeoutError, asyncio.CancelledError):
            with suppress(ProcessLookupError):
                running.kill()
            await running.wait()
            raise


async def run_once(*arguments: str, stdin: str = "") -> tuple[int, str]:
    """Run one command of terminald to its end; return its exit code and everything that it said."""
    running = await asyncio.create_subprocess_exec(
        *_TERMINALD, *arguments, stdin=PIPE, stdout=PIPE, stderr=STDOUT, start_new_session=True
    )
    try:
        async with asyncio.timeout(START_LIMIT_S):
            said, _ = await running.communicate(stdin.encode())
    finally:
        await stop(running)
    return running.returncode or 0, said.decode()


class Gateway:
    """The simulated gateway, whose own log is listened to."""

    def __init__(self, running: Process, url: str, log: Path) -> None:
        """Url is where it listens."""
        self.url = url
        self.lines: list[str] = []
        self._running = running
        self._log = log
        self._news = asyncio.Condition()

    @classmethod
    async def begin(cls, running: Process, log: Path) -> Self:
        """Wait until it says where it listens.

        Raises:
            CommandFailed: it does not start.
        """
        assert running.stdout is not None  # noqa: S101 - it was started with a pipe
        async with asyncio.timeout(START_LIMIT_S):
            first = (await running.stdout.readline()).decode().split()
        if not first or not first[-1].startswith("http://"):
            raise CommandFailed("the simulated gateway does not start", advice=f"see {log}")
        return cls(running, first[-1], log)

    async def listen(self) -> None:
        """Read its log for as long as it runs."""
        assert self._running.stdout is not None  # noqa: S101 - same
        with self._log.open("ab") as file:
            async for line in self._running.stdout:
                file.write(line)
                async with self._news:
                    self.lines.append(line.decode(errors="replace").rstrip())
                    self._news.notify_all()

    async def wait_line(self, is_it: Callable[[str], bool], *, since: int) -> str:
        """Return the first line after the given number of lines that is it."""
        async with asyncio.timeout(CALL_LIMIT_S), self._news:
            await self._news.wait_for(lambda: any(map(is_it, self.lines[since:])))
            return next(line for line in self.lines[since:] if is_it(line))

    async def books(self) -> BooksView:
        """Return where the gateway says the money is."""
        async with httpx.AsyncClient(trust_env=False, timeout=CALL_LIMIT_S) as client:
            answer = await client.get(f"{self.url}/_sim/books")
        return msgspec.json.decode(answer.raise_for_status().content, type=BooksView)

    async def customer(self, action: str, *, qr_code: str) -> None:
        """Let a customer pay, or refuse, the order of a QR."""
        async with httpx.AsyncClient(trust_env=False, timeout=CALL_LIMIT_S) as client:
            wanted = {"action": action, "qr_code": qr_code}
            (await client.post(f"{self.url}/_sim/customer", json=wanted)).raise_for_status()


class Service:
    """terminald as its own process, started and heard as systemd does: it says READY on a socket."""

    def __init__(self, config: Path, api: Path, directory: Path) -> None:
        """Directory is for the log and the socket of the service manager."""
        self.log = directory / "terminald.log"
        self._config = config
        self._notify = directory / "notify"
        self._http = httpx.AsyncClient(
            transport=httpx.AsyncHTTPTransport(uds=str(api)), base_url="http://terminald", timeout=CALL_LIMIT_S
        )
        #: The number of the last event that was seen: the next look begins there, after a restart as well.
        self.position = 0

    async def aclose(self) -> None:
        """Close the connections to the daemon."""
        await self._http.aclose()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Process]:
        """Start the daemon, and wait until it says that it serves.

        Raises:
            CommandFailed: it ended instead, or said nothing for too long.
        """
        self._notify.unlink(missing_ok=True)
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
            manager.settimeout(0)
            manager.bind(str(self._notify))
            environment = {"NOTIFY_SOCKET": str(self._notify)}
            arguments = ("--config", str(self._config), "run")
            async with process(*arguments, log=self.log, environment=environment) as daemon:
                await self._wait_ready(manager, daemon)
                yield daemon

    async def _wait_ready(self, manager: socket.socket, daemon: Process) -> None:
        hearing = asyncio.create_task(_hear_ready(manager))
        ending = asyncio.create_task(daemon.wait())
        try:
            await asyncio.wait({hearing, ending}, timeout=START_LIMIT_S, return_when=asyncio.FIRST_COMPLETED)
            if not hearing.done():
                raise CommandFailed("terminald does not start", advice=f"see {self.log}")
        finally:
            hearing.cancel()
            ending.cancel()

    # --- calls -------------------------------------------------------------------------------------------------------

    async def status(self) -> api_status.Status:
        """Return the status."""
        return msgspec.json.decode(await self._answer("GET", "/v1/status"), type=api_status.Status)

    async def sales(self) -> tuple[shapes.Sale, ...]:
        """Return every sale."""
        return msgspec.json.decode(await self._answer("GET", "/v1/sales"), type=shapes.SaleList).sales

    async def open_sale(self, request: shapes.SaleRequest) -> shapes.Sale:
        """Open a sale, as a host application does."""
        answer = await self._answer("POST", "/v1/sales", msgspec.json.encode(request))
        return msgspec.json.decode(answer, type=shapes.Sale)

    async def refund(self, name: str, request: shapes.RefundRequest) -> shapes.Refund:
        """Give money of a sale back, as a host application does."""
        answer = await self._answer("POST", f"/v1/sales/{name}/refunds", msgspec.json.encode(request))
        return msgspec.json.decode(answer, type=shapes.Refund)

    async def report(self, name: str, report: str) -> None:
        """Report what became of the goods: "delivered" or "undelivered"."""
        await self._answer("POST", f"/v1/sales/{name}/{report}", b"{}")

    async def _answer(self, method: str, path: str, body: bytes | None = None) -> bytes:
        answer = await self._http.request(method, path, content=body, headers={"Content-Type": "application/json"})
        if not answer.is_success:
            raise CommandFailed(f"terminald refused {method} {path}: {answer.text}", advice=f"see {self.log}")
        return answer.content

    async def events(self) -> AsyncGenerator[StreamEvent, None]:
        """Yield events from the last position on, without end; the position moves with them."""
        decoder = EventDecoder(self.position)
        async with self._http.stream("GET", "/v1/events", params={"since": str(self.position)}) as answer:
            async for chunk in answer.aiter_bytes():
                for event in decoder.feed(chunk):
                    self.position = event.id
                    yield event

    async def wait_ready(self) -> api_status.Status:
        """Return the status once a sale may be begun: gateway, scanner and printer are there."""
        while True:
            status = await self.status()
            if status.ready:
                return status
            async with asyncio.timeout(CALL_LIMIT_S), aclosing(self.events()) as events:
                async for event in events:
                    if event.topic == "readiness":
                        break

    async def follow(self, sale_id: str, tell: Callable[[shapes.Sale], bool]) -> shapes.Sale:
        """Show each change of a sale to ``tell``, until it says that this was the last one wanted."""
        async with asyncio.timeout(CALL_LIMIT_S), aclosing(self.events()) as events:
            # What is read while something else is waited for does not come again.
            sale = msgspec.json.decode(await self._answer("GET", f"/v1/sales/{sale_id}"), type=shapes.Sale)
            if tell(sale):
                return sale
            async for event in events:
                if event.topic == "sale":
                    sale = msgspec.json.decode(event.data, type=shapes.Sale)
                    if sale.id == sale_id and tell(sale):
                        return sale
        raise CommandFailed("terminald ended its events", advice=f"see {self.log}")


async def _hear_ready(manager: socket.socket) -> None:
    loop = asyncio.get_running_loop()
    while b"READY=1" not in (await loop.sock_recv(manager, _DATAGRAM)).split(b"\n"):
        pass
