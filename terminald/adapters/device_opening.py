"""Opening and closing of devices whose drivers may block: in a thread of the device's own, and never for long.

Theory of operation: a driver that does not answer keeps its thread, and nothing can end that. So a device has one
thread, and while that is stuck no other opening begins: the threads that all share are never used up. What is opened
after its opening was given up is closed by the thread itself.
"""

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from typing import Final, Generic, TypeVar

from terminald.errors import DeviceAbsent
from terminald.logs import log_event
from terminald.logs_ids import LogId

_log = logging.getLogger(__name__)

#: USB control requests end after 5 s in the kernel; a driver that takes this long will not answer.
OPEN_LIMIT_S: Final = 10.0
#: Closing waits for nothing of value.
CLOSE_LIMIT_S: Final = 2.0

T = TypeVar("T")


class Opener(Generic[T]):
    """Opens and closes what is behind one device."""

    def __init__(
        self,
        name: str,
        *,
        close: Callable[[T], None],
        open_limit_s: float = OPEN_LIMIT_S,
        close_limit_s: float = CLOSE_LIMIT_S,
    ) -> None:
        """Close is given what nobody waits for any more; it blocks, and may raise OSError."""
        self._name = name
        self._close = close
        self._open_limit_s = open_limit_s
        self._close_limit_s = close_limit_s
        self._thread = ThreadPoolExecutor(1, "device-opening")
        self._latest: Future[T] | Future[None] | None = None

    async def open(self, device: str, opening: Callable[[], T]) -> T:
        """Return what a blocking opening returns; device is its name for people. What the opening raises is raised.

        Raises:
            DeviceAbsent: it took too long, or an earlier opening or closing is still under way.
        """
        if self._latest is not None and not self._latest.done():
            raise self._silent(device)
        running = self._thread.submit(opening)
        self._latest = running
        waiting = asyncio.wrap_future(running)
        waiting.add_done_callback(_note)
        try:
            await asyncio.wait({waiting}, timeout=self._open_limit_s)
        except asyncio.CancelledError:
            running.add_done_callback(self._close_late)
            raise
        if not waiting.done():
            running.add_done_callback(self._close_late)
            raise self._silent(device)
        return running.result()

    async def close(self, device: str, closing: Callable[[], None]) -> None:
        """Carry out a blocking closing; one that takes long is left to the thread."""
        running = self._thread.submit(closing)
        self._latest = running
        waiting = asyncio.wrap_future(running)
        waiting.add_done_callback(_note)
        await asyncio.wait({waiting}, timeout=self._close_limit_s)
        if not waiting.done():
            log_event(_log, LogId.CLOSING_SLOW, device=self._name, path=device)

    def _close_late(self, opened: "Future[T]") -> None:
        """Runs in the thread, or where the opening was given up in the moment of its end."""
        if not opened.cancelled() and opened.exception() is None:
            with suppress(RuntimeError):  # the interpreter is ending, which closes everything
                self._latest = self._thread.submit(self._close, opened.result())

    def _silent(self, device: str) -> DeviceAbsent:
        return DeviceAbsent(self._name, f"{device} can not be opened: its driver does not answer; plug it in again")


def _note(waiting: "asyncio.Future[T]") -> None:
    """Take note of an error, so that asyncio does not report one that concerns nobody any more."""
    if not waiting.cancelled():
        waiting.exception()
