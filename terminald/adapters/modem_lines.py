"""The modem lines of a serial port (CTS, DSR), looked at without keeping the event loop waiting.

For many USB adapters (FTDI, CP210x) a look is a transfer to the adapter and back, and one that hangs takes seconds. So
a port has a thread for it, and one look at a time.
"""

import asyncio
import fcntl
import struct
import termios
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor


def tells(fd: int, line: int) -> bool:
    """Return whether a line, such as ``termios.TIOCM_CTS``, is set; blocks.

    Raises:
        OSError: the port does not tell, as a pseudo terminal.
    """
    return bool(struct.unpack("I", fcntl.ioctl(fd, termios.TIOCMGET, bytes(4)))[0] & line)


class ModemLines:
    """Answers one question of an open port, again and again."""

    def __init__(self, look: Callable[[], bool]) -> None:
        """Look is called in the thread; it may block, and raise OSError."""
        self._look = look
        self._thread = ThreadPoolExecutor(1, "modem-lines")
        self._looking: asyncio.Future[bool] | None = None

    async def __call__(self) -> bool:
        """Look once, and return what was seen. A look that nobody waits for any more ends first.

        Raises:
            OSError: the port is gone.
        """
        if self._looking is not None:
            await asyncio.wait({self._looking})
        self._looking = asyncio.get_running_loop().run_in_executor(self._thread, self._look)
        self._looking.add_done_callback(_note)
        await asyncio.wait({self._looking})
        return self._looking.result()

    def end(self) -> None:
        """Wait for the look under way; blocks."""
        self._thread.shutdown()


def _note(looking: "asyncio.Future[bool]") -> None:
    """Take note of an error, so that asyncio does not report one that concerns nobody any more."""
    if not looking.cancelled():
        looking.exception()
