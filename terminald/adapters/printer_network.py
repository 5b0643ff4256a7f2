"""A printer with a network socket (port 9100, "raw")."""

import asyncio
import os
import socket
import struct
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

from terminald.adapters.fd_reader import FdReader
from terminald.adapters.fd_writer import GRACE_S, FdWriter, job_deadline_s, kernel_backlog
from terminald.errors import DeviceAbsent, DeviceError, DeviceLost

#: A printer in the same network answers within milliseconds; this covers name resolution and one lost packet.
CONNECT_S: Final = 4.0
#: Slower than any printer's network part takes bytes while paper is not what it waits for.
BYTES_PER_SECOND: Final = 20_000
#: How long a connection is kept after its last use: while a fault stands it is asked more often than that.
KEEP_S: Final = 10.0

#: More than any job: the kernel's send buffer is the bound here, because TCP does the flow control.
_WINDOW = 1 << 30
#: SO_LINGER: reset on close, what has not left is thrown away; and the usual way.
_DISCARD, _KEEP = struct.pack("ii", 1, 0), struct.pack("ii", 0, 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Connection:
    socket: socket.socket
    writer: FdWriter
    reader: FdReader


class NetworkPrinter:
    """Sends each job over a connection that is kept for what belongs to it: questions before, and the proof after.

    Such printers serve one connection at a time and drop idle ones without a word, so none is kept for long: opening
    proves that the printer answers, and the device counts as ready until a job finds that it does not.
    """

    kind: str = "printer"
    notices_power_off: bool = True
    line_rate: float | None = None
    can_answer: bool = True

    def __init__(
        self, *, host: str, port: int, name: str = "printer", grace_s: float = GRACE_S, keep_s: float = KEEP_S
    ) -> None:
        """Host is a name or an address."""
        self.name = name
        self._host = host
        self._port = port
        self._grace_s = grace_s
        self._keep_s = keep_s
        self._lost = asyncio.Event()
        self._lost_detail = ""
        self._sink: Callable[[bytes], None] = _ignore
        self._connection: _Connection | None = None
        self.has_begun = False
        self._connecting = asyncio.Lock()
        self._in_use = 0
        self._farewell: asyncio.TimerHandle | None = None
        # Asking for an address may take half a minute. With a thread of its own, what is tried again meanwhile uses up
        # none of those that all share.
        self._resolver = ThreadPoolExecutor(1, "printer-address")

    def listen(self, sink: Callable[[bytes], None]) -> None:
        """From now on give what the printer sends to the sink."""
        self._sink = sink

    @property
    def watched(self) -> tuple[Path, ...]:
        """Return nothing: no file tells that a printer in the network is switched on."""
        return ()

    async def open(self) -> None:
        """Connect once, and let go.

        Raises:
            DeviceAbsent: nobody answers there.
        """
        (await self._connect()).close()
        self._lost.clear()

    async def run(self) -> None:
        """Wait until a job fails.

        Raises:
            DeviceLost: the printer did not answer, or went away.
        """
        await self._lost.wait()
        raise DeviceLost(self.name, self._lost_detail)

    async def close(self) -> None:
        """Let go of the connection, if there is one."""
        if self._connection is not None:
            self._connection.writer.lose("closed")
            self._hang_up()

    async def write(self, data: bytes) -> None:
        """Send one whole job; returns when the printer has acknowledged every byte.

        What was not acknowledged may have arrived all the same: only what never went into the connection was not sent.

        Raises:
            DeviceAbsent: nothing was sent.
            DeviceLost, DeviceTimeout: detail says how many of how many bytes.
        """
        self.has_begun = False
        try:
            async with self._kept() as connection:
                await self._send(connection, data)
        except DeviceError as exc:
            self._hang_up()
            self._lost_detail = exc.detail
            self._lost.set()
            raise
        except asyncio.CancelledError:
            self._hang_up()
            raise

    async def ask(self, request: bytes) -> None:
        """Send a few bytes that the printer obeys at once.

        Raises:
            DeviceAbsent: nobody answers there.
            DeviceLost: it went away.
            DeviceTimeout: a job is under way and in the middle of a command, or it takes nothing.
        """
        try:
            async with self._kept() as connection:
                await connection.writer.ask(request)
        except DeviceLost:
            self._hang_up()
            raise

    def stalled_s(self) -> float:
        """Return for how long the job under way has made no progress; 0 without one."""
        return self._connection.writer.stalled_s() if self._connection else 0.0

    def go_on(self) -> bool:
        """Return that no XOFF is obeyed here."""
        return False

    def prolong(self, by_s: float) -> None:
        """Give the job under way at least so much more time."""
        if self._connection:
            self._connection.writer.prolong(by_s)

    @asynccontextmanager
    async def _kept(self) -> AsyncIterator[_Connection]:
        """Use the connection, a new one if there is none, and keep it for a while."""
        if self._farewell is not None:
            self._farewell.cancel()
            self._farewell = None
        self._in_use += 1
        try:
            async with self._connecting:
                if self._connection is None:
                    self._connection = self._equip(await self._connect())
            self._connection.reader.listen()
            yield self._connection
        finally:
            self._in_use -= 1
            if not self._in_use and (self._connection is None or self._connection.reader.is_ended):
                self._hang_up()
            elif not self._in_use:
                self._farewell = asyncio.get_running_loop().call_later(self._keep_s, self._hang_up)

    def _equip(self, connection: socket.socket) -> _Connection:
        def backlog() -> int:
            if error := connection.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
                raise OSError(error, os.strerror(error))
            return kernel_backlog(connection.fileno())

        fd = connection.fileno()
        writer = FdWriter(self.name, fd, backlog=backlog, takes_back=False, window=_WINDOW)
        return _Connection(socket=connection, writer=writer, reader=FdReader(fd, self._sink, on_end=self._on_end))

    def _on_end(self) -> None:
        """The printer has closed its side: nothing more comes from there. A job under way may still be taken."""
        if not self._in_use:
            self._hang_up()

    def _hang_up(self) -> None:
        if self._farewell is not None:
            self._farewell.cancel()
            self._farewell = None
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.reader.close()
            connection.socket.close()

    async def _send(self, connection: _Connection, data: bytes) -> None:
        deadline_s = job_deadline_s(data, bytes_per_second=BYTES_PER_SECOND, grace_s=self._grace_s)
        connection.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _DISCARD)
        try:
            await connection.writer.write(data, deadline_s=deadline_s)
        finally:
            self.has_begun = connection.writer.has_begun
        connection.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _KEEP)

    async def _connect(self) -> socket.socket:
        try:
            async with asyncio.timeout(CONNECT_S):
                return await self._connect_any()
        except TimeoutError as exc:
            raise self._absent(f"no answer within {CONNECT_S:.0f} s") from exc
        except (OSError, UnicodeError) as exc:  # UnicodeError: a name that no resolver would be asked for
            raise self._absent(_reason(exc)) from exc

    async def _connect_any(self) -> socket.socket:
        """Connect to the first address of the host that answers."""
        loop = asyncio.get_running_loop()
        failure = OSError("the name has no address")
        ask = partial(socket.getaddrinfo, self._host, self._port, type=socket.SOCK_STREAM)
        for family, kind, protocol, _, address in await loop.run_in_executor(self._resolver, ask):
            with ExitStack() as undo:
                connection = undo.enter_context(socket.socket(family, kind, protocol))
                connection.settimeout(0)
                try:
                    await loop.sock_connect(connection, address)
                except OSError as exc:
                    failure = exc
                    continue
                undo.pop_all()
                return connection
        raise failure

    def _absent(self, why: str) -> DeviceAbsent:
        where = f"{self._host}:{self._port}"
        return DeviceAbsent(self.name, f"{where}: {why}: check the printer's power, network and [printer] device")


def _ignore(_: bytes) -> None:
    pass


def _reason(exc: OSError | UnicodeError) -> str:
    """Say what went wrong; the event loop's own text repeats the address."""
    if isinstance(exc, OSError) and exc.errno is not None and exc.errno > 0:
        return os.strerror(exc.errno)
    return str(exc)
