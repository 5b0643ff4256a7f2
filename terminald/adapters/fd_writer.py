"""Whole jobs to one non-blocking descriptor: flow control, a deadline, and the exact count of what left.

Theory of operation: a job goes out in small chunks. Before each chunk the line must be free: not lost, not held by the
printer (XOFF), allowed by the gate (a modem line), with little left in the kernel, and writable. A kernel that does
the flow control itself shows it as "not writable". Chunks end between two commands where they can, so that a printer
that holds the line can be asked why, without harm to the job. What is still in the kernel of a line when a job is given
up was not sent; the owner of the descriptor discards it, so that no rest of an old job comes out before the next one.
What is in the kernel of a socket may have arrived without a word, and counts as sent.
"""

import asyncio
import fcntl
import os
import struct
import termios
from bisect import bisect_right
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Final

from terminald.errors import DeviceAbsent, DeviceError, DeviceLost, DeviceTimeout
from terminald.wire.escpos_walk import paper_mm, stops

#: Bytes per write. One chunk in the kernel and one being written stay below the smallest reserve that a printer keeps
#: after XOFF (256 bytes).
CHUNK: Final = 128
#: How often the gate and the kernel's backlog are looked at: half the time of one chunk at 115 200 baud.
POLL_S: Final = 0.005
#: The same, of a line that has been held for longer than STALLED_S: somebody has to put in paper first.
SLOW_POLL_S: Final = 0.05
STALLED_S: Final = 1.0
#: How long a few bytes may take to leave that a printer obeys at once.
ASK_S: Final = 0.3
#: A job's time beyond transmission and printing: a busy printer finishing what it holds.
GRACE_S: Final = 3.0

_SLOWEST_MM_S = 50  # the slowest heads sold print 50 to 100 mm/s
_MARGIN = 1.2  # pauses between the characters of a USB adapter


def job_deadline_s(data: bytes, *, bytes_per_second: float, grace_s: float = GRACE_S) -> float:
    """Return how long a job may take: its transmission, the paper it moves past a slow head, and the grace."""
    return len(data) / bytes_per_second * _MARGIN + paper_mm(data) / _SLOWEST_MM_S + grace_s


def kernel_backlog(fd: int) -> int:
    """Count the bytes that the driver of a serial line has not sent, or that a socket's peer has not acknowledged.

    Raises:
        OSError: the descriptor is of another kind, or hung up.
    """
    return int(struct.unpack("i", fcntl.ioctl(fd, termios.TIOCOUTQ, bytes(4)))[0])


def _nothing() -> int:
    return 0


class FdWriter:
    """Writes to a descriptor that stays the owner's.

    Args:
        device: name in errors.
        fd: non-blocking.
        may_send: asked before each chunk, where there is anything to ask; may raise OSError.
        backlog: bytes that the kernel has taken and not yet passed on; may raise OSError when the peer is gone.
        takes_back: whether these have provably not left, and are discarded by the owner, when a job is given up.
        window: the backlog at which the next chunk waits.
    """

    def __init__(
        self,
        device: str,
        fd: int,
        *,
        may_send: Callable[[], Awaitable[bool]] | None = None,
        backlog: Callable[[], int] = _nothing,
        takes_back: bool = True,
        window: int = CHUNK,
    ) -> None:
        self._device = device
        self._fd = fd
        self._may_send = may_send
        self._backlog = backlog
        self._takes_back = takes_back
        self._window = window
        self._free = asyncio.Event()
        self._free.set()
        self._writable = asyncio.Event()
        self._held = False
        self._lost: str | None = None
        self._one_job = asyncio.Lock()
        self._timeout: asyncio.Timeout | None = None
        self._has_begun = False
        self._progress = 0.0  # the event loop's time of the last one
        self._left = 0  # in the kernel, when it was looked at last
        self._sent = 0  # of the job under way, into the kernel
        self._gone = 0  # of these, provably out of the kernel
        self._rest = b""  # of a question that left in part: a printer takes the next byte for it, whatever that is
        self._asked = 0  # of questions, into the kernel since it was empty
        self._is_interruptible = True
        self._is_asking = False

    @property
    def has_begun(self) -> bool:
        """Whether the kernel has taken any byte of the last job."""
        return self._sent > 0

    def hold(self) -> None:
        """Stop before the next chunk: the printer's buffer is nearly full."""
        self._held = True
        if self._lost is None:
            self._free.clear()

    def release(self) -> None:
        """Go on after :meth:`hold`."""
        self._held = False
        self._free.set()

    def go_on(self) -> bool:
        """Release the line, and return whether it was held."""
        was_held = self._held
        self.release()
        return was_held

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

    async def ask(self, request: bytes) -> None:
        """Send a few bytes that the printer obeys at once, whether or not it holds the line; within ASK_S.

        Raises:
            DeviceLost: the device went away.
            DeviceTimeout: a job is under way and in the middle of a command, or the kernel takes nothing.
        """
        if self._lost is not None:
            raise DeviceLost(self._device, self._lost)
        if not self._is_interruptible or self._is_asking:
            raise DeviceTimeout(self._device, "a job is under way")
        self._is_asking = True
        left = self._rest + request
        try:
            async with asyncio.timeout(ASK_S):
                while left:
                    with suppress(BlockingIOError):
                        taken = os.write(self._fd, left)
                        left = left[taken:]
                        self._asked += taken
                    if left:
                        await asyncio.sleep(POLL_S)
        except TimeoutError as exc:
            raise DeviceTimeout(self._device, "it accepts nothing") from exc
        except OSError as exc:
            raise DeviceLost(self._device, exc.strerror or str(exc)) from exc
        finally:
            self._is_asking = False
            self._rest = unfinished(left, request)

    def stalled_s(self) -> float:
        """Return for how long the job under way has made no progress; 0 without one, and before its first byte."""
        return asyncio.get_running_loop().time() - self._progress if self._has_begun else 0.0

    def prolong(self, by_s: float) -> None:
        """Move the deadline of the job under way so far from now, if it is nearer.

        No effect before the job's first byte: what was not begun is better tried again later.
        """
        timeout = self._timeout if self._has_begun else None
        when = asyncio.get_running_loop().time() + by_s
        if timeout is not None and not timeout.expired() and when > (timeout.when() or when):
            timeout.reschedule(when)

    async def _write(self, data: bytes, deadline_s: float) -> None:
        sent = self._sent = self._gone = 0
        ends = stops(data)
        started = self._note_progress()
        try:
            async with asyncio.timeout(deadline_s) as self._timeout:
                while sent < len(data):
                    await self._until(self._window)
                    await self._until_writable()
                    # Each may have come while the line was looked at.
                    if not self._held and not self._is_asking and self._lost is None:
                        with suppress(BlockingIOError):
                            sent += self._send(data[sent : chunk_end(ends, sent)])
                            self._sent = sent
                            self._note_progress()
                            self._has_begun = sent > 0
                        self._is_interruptible = is_stop(ends, sent)
                await self._until(1)
        except TimeoutError as exc:
            raise self._too_late(self._stall(self._note_progress() - started), sent, len(data)) from exc
        except OSError as exc:
            raise self._went(self._lost or exc.strerror or str(exc), sent, len(data)) from exc
        finally:
            self._timeout, self._has_begun = None, False
            self._is_interruptible = True

    def _send(self, chunk: bytes) -> int:
        """Finish a question that left in part, then send; return how much of the chunk the kernel has taken."""
        rest = self._rest
        taken = os.write(self._fd, rest + chunk)
        self._rest = rest[taken:]
        self._asked += min(taken, len(rest))
        return max(0, taken - len(rest))

    def _note_progress(self) -> float:
        self._progress = asyncio.get_running_loop().time()
        return self._progress

    async def _until(self, window: int) -> None:
        """Wait until nobody holds the line and the backlog is below the window."""
        while True:
            await self._free.wait()
            if self._lost is not None:
                raise OSError(self._lost)
            left = self._backlog()
            if left < self._left:
                self._note_progress()
            self._left = left
            self._asked = self._asked if left else 0
            self._gone = max(self._gone, self._sent - left)
            if left < window and not self._is_asking and await self._is_let():
                return
            is_slow = asyncio.get_running_loop().time() - self._progress >= STALLED_S
            await asyncio.sleep(SLOW_POLL_S if is_slow else POLL_S)

    async def _is_let(self) -> bool:
        """Whether a chunk may be sent, and the device was not lost while that was found out."""
        return (self._may_send is None or await self._may_send()) and self._lost is None

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

    def _stall(self, after_s: float) -> str:
        cause = "the printer holds the line (XOFF)" if self._held else "it accepts nothing more"
        return f"{cause} after {after_s:.1f} s: paper, cover, cable, flow control"

    def _too_late(self, detail: str, sent: int, total: int) -> DeviceError:
        if self._takes_back:
            with suppress(OSError):
                sent = self._count_left(sent, self._backlog())
        error = DeviceTimeout if sent else DeviceAbsent
        return error(self._device, f"{detail}; {sent} of {total} bytes sent")

    def _count_left(self, sent: int, backlog: int) -> int:
        """Count what has left. Some drivers (cdc_acm) count each buffer in use as a full one, which tells nothing.

        What was seen to leave has left then; where nothing was seen, the first chunk may have.
        """
        if backlog > sent + self._asked:
            return self._gone or sent
        return max(self._gone, sent - backlog)

    def _went(self, detail: str, sent: int, total: int) -> DeviceError:
        """Say that the device is gone. What was in the kernel may have left it before, or not."""
        detail = f"{detail}; {sent} of {total} bytes sent"
        if sent == 0:
            return DeviceAbsent(self._device, detail)
        return DeviceLost(self._device, detail, may_be_whole=sent == total)


def chunk_end(ends: tuple[int, ...], start: int) -> int:
    """Return where the chunk that begins there ends: between two commands, where one of them ends in time."""
    before = bisect_right(ends, start + CHUNK)
    return ends[before - 1] if before and ends[before - 1] > start else start + CHUNK


def unfinished(left: bytes, request: bytes) -> bytes:
    """Return what must still be sent of the questions of which so much is left; the last of them is the request."""
    return left if len(left) < len(request) else left[: len(left) - len(request)]


def is_stop(ends: tuple[int, ...], place: int) -> bool:
    """Tell whether other bytes may be sent there without harm."""
    before = bisect_right(ends, place)
    return place == 0 or (before > 0 and ends[before - 1] == place)
