"""Opening and closing of serial lines that are read, and written now and then: scanners, and adapters that answer.

pyserial opens and configures a line, because it knows the speeds and settings. Its driver may block meanwhile, so that
is done in the line's own thread.
"""

import contextlib
import fcntl
import termios
import time
from collections.abc import Callable
from functools import partial
from typing import Final

import serial

from terminald.adapters.device_faults import opening_error
from terminald.adapters.device_opening import OPEN_LIMIT_S, Opener
from terminald.adapters.fd_writer import kernel_backlog

#: What is to be said last is given a moment to leave: 32 bytes at 1200 baud.
LAST_WORD_S: Final = 0.3
#: How often it is looked whether that has left: two bytes at 1200 baud.
LAST_WORD_POLL_S: Final = 0.01

#: Debian's group of serial lines.
_GROUP: Final = "dialout"


def open_line(device: str, baudrate: int) -> serial.Serial:
    """Open a line for one owner; blocks. Reading it gives nothing (``b""``) only when it was hung up.

    Raises:
        OSError, termios.error, ValueError: as ``device_faults.opening_fault`` explains them.
    """
    # inter_byte_timeout=0 sets VMIN to 1; with pyserial's usual 0 an empty line would read like a hung-up one.
    line = serial.Serial(device, baudrate, timeout=0, write_timeout=0, inter_byte_timeout=0, exclusive=True)
    try:
        # The lock above keeps out those who ask for it, this the others (except root).
        fcntl.ioctl(line.fileno(), termios.TIOCEXCL)
    except OSError:
        line.close()
        raise
    return line


class SerialOpener:
    """Opens and closes one device's line, again and again."""

    def __init__(
        self,
        name: str,
        device: str,
        baudrate: int,
        *,
        opening: Callable[[str, int], serial.Serial] = open_line,
        open_limit_s: float = OPEN_LIMIT_S,
    ) -> None:
        """Name is the device's in errors; opening blocks, and raises what :func:`open_line` raises."""
        self._name = name
        self._device = device
        self._open_line = partial(opening, device, baudrate)
        self._opener = Opener[serial.Serial](name, close=_let_go, open_limit_s=open_limit_s)

    async def open(self) -> serial.Serial:
        """Open the line without blocking.

        Raises:
            DeviceAbsent: as :meth:`terminald.adapters.ports.Device.open` says, with its kinds.
        """
        try:
            return await self._opener.open(self._device, self._open_line)
        except (OSError, termios.error, ValueError) as exc:
            raise await opening_error(self._name, self._device, exc, group=_GROUP) from exc

    async def close(
        self, line: serial.Serial, *, discarding: int = termios.TCIOFLUSH, has_last_word: bool = False
    ) -> None:
        """Close the line, whatever state it is in, without waiting for it for long; discarding as ``tcflush``.

        A last word is given a moment to leave.
        """
        await self._opener.close(self._device, partial(_let_go, line, discarding, has_last_word=has_last_word))


def _let_go(line: serial.Serial, discarding: int = termios.TCIOFLUSH, *, has_last_word: bool = False) -> None:
    with contextlib.suppress(OSError):
        give_up_at = time.monotonic() + LAST_WORD_S
        while has_last_word and kernel_backlog(line.fileno()) and time.monotonic() < give_up_at:
            time.sleep(LAST_WORD_POLL_S)
    with contextlib.suppress(OSError, termios.error):
        # Closing would wait for output that a dead line never takes.
        has_left = has_last_word and not kernel_backlog(line.fileno())
        termios.tcflush(line.fileno(), termios.TCIFLUSH if has_left else discarding)
        fcntl.ioctl(line.fileno(), termios.TIOCNXCL)
    with contextlib.suppress(OSError):
        line.close()
