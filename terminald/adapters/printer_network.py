"""A printer with a network socket (port 9100, "raw")."""

import asyncio
import os
import socket
import struct
from contextlib import ExitStack
from pathlib import Path
from typing import Final

from terminald.adapters.fd_writer import GRACE_S, FdWriter, job_deadline_s, kernel_backlog
from terminald.errors import DeviceAbsent, DeviceError, DeviceLost

#: A printer in the same network answers within milliseconds; this covers name resolution and one lost packet.
CONNECT_S: Final = 4.0
#: Slower than any printer's network part takes bytes while paper is not what it waits for.
BYTES_PER_SECOND: Final = 20_000

#: More than any job: the kernel's send buffer is the bound here, because TCP does the flow control.
_WINDOW = 1 << 30
_DISCARD = struct.pack("ii", 1, 0)  # SO_LINGER: reset on close, what is not acknowledged is thrown away


class NetworkPrinter:
    """Sends each job over a connection of its own.

    Such printers serve one connection at a time and drop idle ones without a word, so none is kept: opening proves that
    the printer answers, and the device counts as ready until a job finds that it does not.
    """

    kind: str = "printer"

    def __init__(self, *, host: str, port: int, name: str = "printer", grace_s: float = GRACE_S) -> None:
        """Host is a name or an address."""
        self.name = name
        self._host = host
        self._port = port
        self._grace_s = grace_s
        self._lost = asyncio.Event()
        self._lost_detail = ""

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
        """Do nothing: no connection outlives its job."""

    async def write(self, data: bytes) -> None:
        """Send one whole job; returns when the printer has acknowledged every byte.

        Raises:
            DeviceAbsent: nothing was sent.
            DeviceLost, DeviceTimeout: detail says how many of how many bytes.
        """
        try:
            connection = await self._connect()
            with connection:
                await self._send(connection, data)
        except DeviceError as exc:
            self._lost_detail = exc.detail
            self._lost.set()
            raise

    async def _send(self, connection: socket.socket, data: bytes) -> None:
        def backlog() -> int:
            if error := connection.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
                raise OSError(error, os.strerror(error))
            return kernel_backlog(connection.fileno())

        writer = FdWriter(self.name, connection.fileno(), backlog=backlog, window=_WINDOW)
        deadline_s = job_deadline_s(data, bytes_per_second=BYTES_PER_SECOND, grace_s=self._grace_s)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _DISCARD)
        await writer.write(data, deadline_s=deadline_s)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 0, 0))

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
        for family, kind, protocol, _, address in await loop.getaddrinfo(
            self._host, self._port, type=socket.SOCK_STREAM
        ):
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


def _reason(exc: OSError | UnicodeError) -> str:
    """Say what went wrong; the event loop's own text repeats the address."""
    if isinstance(exc, OSError) and exc.errno is not None and exc.errno > 0:
        return os.strerror(exc.errno)
    return str(exc)
