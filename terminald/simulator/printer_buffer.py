"""A printer's receive buffer, and what its line does when that is full."""

import re
from typing import Final, Literal

Flow = Literal["rtscts", "xonxoff", "none"]

#: A cheap printer's receive buffer.
BUFFER_BYTES: Final = 4096
#: Bytes that are free when a printer says that it is busy, and when it is ready again (Epson-5000+).
BUSY_FREE, READY_FREE = 256, 528
#: What a pseudo terminal takes from a host before anybody reads it (measured, Linux 6).
PTY_BYTES: Final = 20_480

XON, XOFF = b"\x11", b"\x13"
_READ_SIZE = 4096

#: DLE EOT n and DLE ENQ n, which are obeyed on reception. The first two bytes alone are kept like any others.
_REAL_TIME = re.compile(rb"\x10[\x04\x05][\x01-\x04]")


class ReceiveBuffer:
    """Takes what a host sends as the line delivers it, and gives it to the printer in order.

    A real line has hardly anything on its way when XOFF arrives: a UART's driver and its FIFO. A pseudo terminal may
    have 20 kB, which no host can take back. So while the printer is busy, as much as that waits here, as if the host
    had not sent it. A host that sends more than that does not obey: its bytes come in, and what finds no room is lost.

    Attributes:
        flow: how it keeps the host off.
        received: bytes that were sent by the host.
        overrun: bytes of these that found no room; real-time commands do not need any.
    """

    def __init__(
        self,
        *,
        flow: Flow,
        size: int = BUFFER_BYTES,
        busy_free: int = BUSY_FREE,
        ready_free: int = READY_FREE,
        on_the_way: int = PTY_BYTES,
    ) -> None:
        """Busy with so many bytes free or fewer, and ready again with so many or more.

        Raises:
            ValueError: these do not lie between nothing and the size, in this order.
        """
        if not 0 <= busy_free < ready_free <= size:
            raise ValueError(f"busy at {busy_free} and ready at {ready_free} free bytes is impossible with {size}")
        self.flow = flow
        self.received = 0
        self.overrun = 0
        self._size = size
        self._busy_free = busy_free
        self._ready_free = ready_free
        self._on_the_way = on_the_way if flow == "xonxoff" else 0
        self._waiting = bytearray()
        self._held = bytearray()
        self._is_busy = False

    def __len__(self) -> int:
        return len(self._held)

    @property
    def readable(self) -> int:
        """Return how many bytes are to be read from the line now; 0 while the host is kept off by its CTS."""
        if self.flow != "rtscts":
            return _READ_SIZE
        return 0 if self._is_busy else self._free

    def arrive(self, data: bytes) -> None:
        """Take what came from the line."""
        self.received += len(data)
        self._waiting += data
        self._let_in()

    def take(self, size: int) -> bytes:
        """Give the printer its next bytes."""
        data = bytes(self._held[:size])
        del self._held[:size]
        return data

    def regulate(self, *, is_off_line: bool) -> bytes:
        """Return what is to be sent to the host now, and let in what may come."""
        said = b""
        if not self._is_busy and (self._free <= self._busy_free or self._is_held_off(is_off_line=is_off_line)):
            self._is_busy = True
            said = XOFF
        elif self._is_busy and self._free >= self._ready_free and not self._is_held_off(is_off_line=is_off_line):
            self._is_busy = False
            said = XON
            self._let_in()
            if self._free <= self._busy_free:
                self._is_busy = True
                said += XOFF
        return said if self.flow == "xonxoff" else b""

    def restart(self) -> bytes:
        """Forget what was received, as after a loss of power; return what a printer says when it is on-line again."""
        self._held.clear()
        self._is_busy = False
        self._let_in()
        return XON if self.flow == "xonxoff" else b""

    def drop(self) -> None:
        """Forget what was received, and go on."""
        self._held.clear()

    @property
    def _free(self) -> int:
        return self._size - len(self._held)

    def _is_held_off(self, *, is_off_line: bool) -> bool:
        return is_off_line and self.flow == "xonxoff"

    def _let_in(self) -> None:
        """Move what the host can not be kept from sending, or need not be."""
        count = len(self._waiting) - self._on_the_way
        if not self._is_busy and self._on_the_way:
            count = max(count, min(len(self._waiting), self._free - self._busy_free))
        if count <= 0:
            return
        data = bytes(self._waiting[:count])
        del self._waiting[:count]
        room = self._free
        for command in _REAL_TIME.finditer(data):
            if command.start() < room < command.end():
                room = command.start()
        self._held += data[:room]
        lost = data[room:]
        self.overrun += len(lost) - sum(len(command) for command in _REAL_TIME.findall(lost))
