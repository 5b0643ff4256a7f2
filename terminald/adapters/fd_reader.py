"""What a device says, read for a while after it was spoken to, and never faster than it matters."""

import asyncio
import os
from collections.abc import Callable
from typing import Final

#: Answers of a printer are a few bytes.
READ_SIZE: Final = 256
#: How long after it was last spoken to a printer is listened to. Longer than any question waits for its answer; who
#: waits for a proof goes on asking.
LISTEN_S: Final = 60.0
#: After a read: a device that floods us costs no more than this allows.
PAUSE_S: Final = 0.005
#: After an empty read, with which some USB printers answer when they have nothing to say.
EMPTY_S: Final = 0.05


class FdReader:
    """Reads a descriptor that stays the owner's. Between the times of listening it costs nothing."""

    def __init__(self, fd: int, sink: Callable[[bytes], None], *, on_end: Callable[[], None] | None = None) -> None:
        """Without on_end, an empty read is not the end. Errors are; the owner finds them when it writes."""
        self._fd = fd
        self._sink = sink
        self._on_end = on_end
        self._until = 0.0
        self._is_reading = False
        self._pause: asyncio.TimerHandle | None = None
        #: Whether nothing more will be read.
        self.is_ended = False

    def listen(self, for_s: float = LISTEN_S) -> None:
        """Listen from now on for so long."""
        loop = asyncio.get_running_loop()
        self._until = max(self._until, loop.time() + for_s)
        if not self._is_reading and self._pause is None and not self.is_ended:
            self._resume()

    def close(self) -> None:
        """Stop to listen, for good."""
        self.is_ended = True
        self._stop()

    @staticmethod
    def can_read(fd: int) -> bool:
        """Whether the kernel tells when there is something to read."""
        loop = asyncio.get_running_loop()
        try:
            loop.add_reader(fd, int)
        except PermissionError:  # epoll refuses what is always readable, such as /dev/null
            return False
        loop.remove_reader(fd)
        return True

    def _resume(self) -> None:
        loop = asyncio.get_running_loop()
        self._pause = None
        left_s = self._until - loop.time()
        if left_s <= 0:
            return
        self._is_reading = True
        loop.add_reader(self._fd, self._on_readable)
        self._pause = loop.call_later(left_s, self._rest)

    def _rest(self) -> None:
        """Stop when the time is over; it may have been prolonged."""
        self._stop()
        if not self.is_ended:
            self._resume()

    def _stop(self) -> None:
        if self._is_reading:
            self._is_reading = False
            asyncio.get_running_loop().remove_reader(self._fd)
        if self._pause is not None:
            self._pause.cancel()
            self._pause = None

    def _on_readable(self) -> None:
        try:
            data = os.read(self._fd, READ_SIZE)
        except BlockingIOError:
            return
        except OSError:
            self._end()
            return
        if not data and self._on_end is not None:
            self._end()
            return
        self._stop()
        self._pause = asyncio.get_running_loop().call_later(PAUSE_S if data else EMPTY_S, self._resume)
        if data:
            self._sink(data)

    def _end(self) -> None:
        self.close()
        if self._on_end is not None:
            self._on_end()
