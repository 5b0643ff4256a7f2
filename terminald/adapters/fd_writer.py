"""Whole jobs to one non-blocking descriptor: flow control, a deadline, and the exact count of what left.

Theory of operation: a job goes out in small chunks. Before each chunk the line must be free: not lost, not held by the
printer (XOFF), allowed by the gate (a modem line), with little left in the kernel, and writable. A kernel that does
the flow control itself shows it as "not writable". What is still in the kernel when a job fails was not sent; the
owner of the descriptor discards it, so that no rest of an old job comes out before the next one.
"""

import asyncio
import fcntl
import os
import struct
import termios
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from terminald.errors import DeviceAbsent, DeviceError, DeviceLost, DeviceTimeout

#: Bytes per write. One chunk in the kernel and one being written stay below the smallest reserve that a printer keeps
#: after XOFF (256 bytes).
CHUNK: Final = 128
#: How often the gate and the kernel's backlog are looked at: half the time of one chunk at 115 200 baud.
POLL_S: Final = 0.005
#: A job's time beyond transmission and printing: a busy printer finishing what it holds.
GRACE_S: Final = 3.0

_LINE_MM = 3.75  # 30 dots at 8 dots/mm
_SLOWEST_MM_S = 50  # the slowest heads sold print 50 to 100 mm/s
_MARGIN = 1.2  # pauses between the characters of a USB adapter


def job_deadline_s(data: bytes, *, bytes_per_second: float, grace_s: float = GRACE_S) -> float:
    """Return how long a job may take: its transmission, the paper it moves past a slow head, and the grace."""
    return len(data) / bytes_per_second * _MARGIN + data.count(b"\n") * _LINE_MM / _SLOWEST_MM_S + grace_s


def kernel_backlog(fd: int) -> int:
    """Count the bytes that the driver of a serial line has not sent, or that a socket's peer has not acknowledged.

    Raises:
        OSError: the descriptor is of another kind, or hung up.
    """
    return int(struct.unpack("i", fcntl.ioctl(fd, termios.TIOCOUTQ, bytes(4)))[0])


def _always() -> bool:
    return True


def _nothing() -> int:
    return 0


class FdWriter:
    """Writes to a descriptor that stays the owner's.

    Args:
        device: name in errors.
        fd: non-blocking.
        may_send: asked before each chunk; may raise OSError.
        backlog: bytes that the kernel has taken and not yet passed on; may raise OSError when the peer is gone.
        window: the backlog at which the next chunk waits.
    """

    def __init__(
        self,
        device: str,
        fd: int,
        *,
        may_send: Callable[[], bool] = _always,
        backlog: Callable[[], int] = _nothing,
        window: int = CHUNK,
    ) -> None:
        self._device = device
        self._fd = fd
        self._may_send = may_send
        self._backlog = backlog
        self._window = window
        self._free = asyncio.Event()
        self._free.set()
        self._writable = asyncio.Event()
        self._held = False
        self._lost: str | None = None
        self._one_job = asyncio.Lock()

    def hold(self) -> None:
        """Stop before the next chunk: the printer's buffer is nearly full."""
        self._held = True
        if self._lost is None:
            self._free.clear()

    def release(self) -> None:
        """Go on after :meth:`hold`."""
        self._held = False
        self._free.set()

    def lose(self, detail: str) -> None:
        """Fail the job under way and every later one: the device is gone, and its descriptor may be closed at once."""
        asyncio.get_running_loop().remove_writer(self._fd)
        self._lost = detail
        self._free.set()
        self._writable.set()

    async def write(self, data: bytes, *, deadline_s: float) -> None:
        """Send one job, after the one under way; returns when nothing of it is left in the kernel.

        Raises:
            DeviceAbsent: not one byte left.
            DeviceLost: the device went away; detail says after how many of how many bytes.
            DeviceTimeout: the deadline passed; detail as above.
        """
        async with self._one_job:
            await self._write(data, deadline_s)

    async def _write(self, data: bytes, deadline_s: float) -> None:
        sent = 0
        try:
            async with asyncio.timeout(deadline_s):
                while sent < len(data):
                    await self._until(self._window)
                    await self._until_writable()
                    if not self._held:  # XOFF may have come while the descriptor was not writable
                        with suppress(BlockingIOError):
                            sent += os.write(self._fd, data[sent : sent + CHUNK])
                await self._until(1)
        except TimeoutError as exc:
            raise self._failure(DeviceTimeout, self._stall(deadline_s), sent, len(data)) from exc
        except OSError as exc:
            raise self._failure(DeviceLost, self._lost or exc.strerror or str(exc), sent, len(data)) from exc

    async def _until(self, window: int) -> None:
        """Wait until nobody holds the line and the backlog is below the window."""
        while True:
            await self._free.wait()
            if self._lost is not None:
                raise OSError(self._lost)
            if self._may_send() and self._backlog() < window:
                return
            await asyncio.sleep(POLL_S)

    async def _until_writable(self) -> None:
        loop = asyncio.get_running_loop()
        self._writable.clear()
        try:
            loop.add_writer(self._fd, self._writable.set)
        except PermissionError:  # epoll refuses what never blocks, such as /dev/null
            return
        try:
            await self._writable.wait()
        finally:
            if self._lost is None:
                loop.remove_writer(self._fd)

    def _stall(self, deadline_s: float) -> str:
        cause = "the printer holds the line (XOFF)" if self._held else "it accepts nothing more"
        return f"{cause} after {deadline_s:.1f} s: paper, cover, cable, flow control"

    def _failure(self, error: type[DeviceError], detail: str, sent: int, total: int) -> DeviceError:
        if self._lost is None:
            with suppress(OSError):
                sent -= min(sent, self._backlog())
        if sent == 0:
            error = DeviceAbsent
        return error(self._device, f"{detail}; {sent} of {total} bytes sent")
