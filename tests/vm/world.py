"""What stands around a machine: the simulated gateway behind TLS, and the simulated printer behind its cable."""

import asyncio
import contextlib
import os
import select
import ssl
import subprocess
import sys
import threading
import time
import tty
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import msgspec

from tests.vm.control import connect
from tests.vm.image import HOST_NAME

VENDOR_SN, APP_ID, VENDOR_KEY = "91800000", "2026030200000001", "simulated-vendor-key"
ACTIVATION_CODE = "SIMULATED"
PATIENCE_S = 60.0


class Order(msgspec.Struct):
    """One order in the gateway's books. Amounts in fen."""

    client_sn: str
    paid: int
    net: int
    submits: int


class _Books(msgspec.Struct):
    orders: list[Order]


def wait_for(is_so: Callable[[], bool], what: str, *, limit_s: float = PATIENCE_S) -> None:
    """Wait until something is so."""
    deadline = time.monotonic() + limit_s
    while not is_so():
        assert time.monotonic() < deadline, what
        time.sleep(0.2)


class Gateway:
    """A simulated gateway with a certificate of its own, which is valid from now on."""

    def __init__(self, directory: Path) -> None:
        """Start it."""
        self.certificate = directory / "gateway.pem"
        key = directory / "gateway.key"
        subprocess.run(
            [
                *("/usr/bin/openssl", "req", "-x509", "-nodes", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"),
                *("-days", "3650", "-subj", f"/CN={HOST_NAME}", "-addext", f"subjectAltName=DNS:{HOST_NAME}"),
                *("-keyout", key, "-out", self.certificate),
            ],
            check=True,
            capture_output=True,
        )
        self._log = directory / "gateway.log"
        command = [sys.executable, "-m", "terminald", "simulate", "gateway", "--port", "0", "--seed", "1"]
        with self._log.open("wb") as out:
            self._process = subprocess.Popen(command, stdout=out, stderr=out)
        wait_for(lambda: "listening on " in self._log.read_text(), "the simulated gateway")
        self._url = self._log.read_text().split("listening on ", 1)[1].split()[0]
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.certificate, key)
        self._front = _TlsFront(context, int(self._url.rpartition(":")[2]))
        self.url = f"https://{HOST_NAME}:{self._front.port}"

    def books(self) -> dict[str, Order]:
        """Return the orders that it knows."""
        answer = httpx.get(f"{self._url}/_sim/books", timeout=PATIENCE_S)
        return {order.client_sn: order for order in msgspec.json.decode(answer.content, type=_Books).orders}

    def script(self, *faults: dict[str, str | float]) -> None:
        """Let things go wrong."""
        httpx.post(f"{self._url}/_sim/faults", json=list(faults), timeout=PATIENCE_S).raise_for_status()

    def close(self) -> None:
        """End it."""
        self._front.close()
        self._process.terminate()
        self._process.wait()


class _TlsFront:
    """Takes TLS connections, and makes plain ones to the gateway behind it."""

    def __init__(self, context: ssl.SSLContext, behind: int) -> None:
        self._context, self._behind = context, behind
        self._loop = asyncio.new_event_loop()
        self._tasks: set[asyncio.Task[None]] = set()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._server = asyncio.run_coroutine_threadsafe(self._serve(), self._loop).result()
        self.port: int = self._server.sockets[0].getsockname()[1]

    def close(self) -> None:
        asyncio.run_coroutine_threadsafe(self._stop(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _serve(self) -> asyncio.Server:
        return await asyncio.start_server(self._accept, "127.0.0.1", 0, ssl=self._context)

    async def _stop(self) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        plain_reader, plain_writer = await asyncio.open_connection("127.0.0.1", self._behind)
        try:
            ways = [
                asyncio.ensure_future(_copy(reader, plain_writer)),
                asyncio.ensure_future(_copy(plain_reader, writer)),
            ]
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)
        finally:
            for each in (writer, plain_writer):
                each.close()
                with contextlib.suppress(OSError, asyncio.CancelledError):
                    await each.wait_closed()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()


class Printer:
    """A simulated printer; each machine that runs is a cable to it."""

    def __init__(self, directory: Path) -> None:
        """Start it."""
        self._link = directory / "printer"
        self._log = directory / "printer.log"
        command = [sys.executable, "-m", "terminald", "simulate", "printer", "--flow", "none"]
        with self._log.open("wb") as out:
            self._process = subprocess.Popen(
                [*command, "--link", str(self._link), "--out", str(directory / "receipts")],
                stdin=subprocess.PIPE,
                stdout=out,
                stderr=out,
            )
        wait_for(lambda: "commands: " in self._log.read_text(), "the simulated printer")

    def receipts(self) -> list[Path]:
        """Return the pictures of what it has printed."""
        return [Path(line.partition(" ")[2]) for line in self._log.read_text().splitlines() if line[:8] == "printed "]

    @contextlib.contextmanager
    def cable(self, far_end: Path) -> Iterator[None]:
        """Join it to the far end of a machine's serial device."""
        tty_fd = os.open(self._link, os.O_RDWR | os.O_NOCTTY)
        tty.setraw(tty_fd)
        is_over_fd, end_fd = os.pipe()
        with connect(far_end) as sock:
            thread = threading.Thread(target=_join, args=(sock.fileno(), tty_fd, is_over_fd), daemon=True)
            thread.start()
            try:
                yield
            finally:
                os.close(end_fd)
                thread.join()
        os.close(tty_fd)
        os.close(is_over_fd)

    def close(self) -> None:
        """End it."""
        self._process.terminate()
        self._process.communicate()


def _join(one: int, other: int, is_over: int) -> None:
    """Carry bytes both ways, until one end hangs up or it is over."""
    while True:
        ready, _, _ = select.select([one, other, is_over], [], [])
        for source, target in ((one, other), (other, one)):
            if source in ready:
                with contextlib.suppress(OSError):
                    if data := os.read(source, 4096):
                        os.write(target, data)
                        continue
                return
        if is_over in ready:
            return
