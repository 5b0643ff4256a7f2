"""The simulated scanner: a pseudo terminal that codes come out of.

The host opens the path of the pseudo terminal as if it were ``/dev/ttyACM0``. A stable symbolic link does what udev
does for a real scanner: it goes away with the scanner and comes back pointing to another device.
"""

import os
import random
import select
import termios
import threading
import time
import tty
from bisect import bisect_left
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from terminald.simulator import device_link

SUFFIXES: Final = {
    "cr": "\r",
    "lf": "\n",
    "crlf": "\r\n",
    "tab": "\t",
    "etx": "\x03",
    "etxcr": "\x03\r",
    "nul": "\0",
    "none": "",
}
#: What scanners put before a code: nothing, STX, or the AIM name of what kind of code it was.
PREFIXES: Final = {
    "none": "",
    "stx": "\x02",
    "code128": "]C0",
    "gs1": "]C1",
    "qr": "]Q1",
    "qrfnc1": "]Q3",
    "datamatrix": "]d2",
    "pdf417": "]L0",
    "ean": "]E0",
    "stxqr": "\x02]Q1",
}

#: A scanner does not wait for a host that does not read: when the line takes nothing for this long, the rest is lost.
WRITE_LIMIT_S: Final = 2.0
#: The kernel makes room in a pseudo terminal in the background, and does not always tell.
RETRY_MS: Final = 5
_READ_SIZE: Final = 4096
#: Start, eight data bits, stop.
_BITS: Final = 10

_SPEEDS: Final = {
    getattr(termios, f"B{speed}"): speed
    for speed in (1200, 2400, 4800, 9600, 19200, 38400, 57600, 115200, 230400, 460800, 921600)
}


def at_wrong_speed(data: bytes, *, sent_at: int, read_at: int) -> bytes:
    """Return what a receiver at one speed makes of bytes at another; both in bits per second, 8N1, low bit first.

    A receiver waits for the edge of a start bit and samples the middle of each bit by its own clock. A missing stop
    bit does not keep Linux from delivering the byte.
    """
    line = [bit for byte in data for bit in (0, *(byte >> place & 1 for place in range(8)), 1)]
    # In units of 1 / (2 · sent_at · read_at) seconds, in which half a bit of either side is whole.
    sent_bit, read_bit = 2 * read_at, 2 * sent_at
    falls = [place * sent_bit for place, bit in enumerate(line) if not bit and (not place or line[place - 1])]
    read = bytearray()
    at = 0
    while (next_fall := bisect_left(falls, at)) < len(falls):
        edge = falls[next_fall]
        middles = [(edge + (2 * place + 1) * read_bit // 2) // sent_bit for place in range(_BITS)]
        samples = [line[place] if place < len(line) else 1 for place in middles]
        if samples[0] == 0:
            read.append(sum(bit << place for place, bit in enumerate(samples[1:9])))
            at = edge + (2 * _BITS - 1) * read_bit // 2
        else:  # shorter than half a bit: a spike
            at = edge + read_bit // 2
    return bytes(read)


class SimulatedScanner:
    """A scanner that can be scanned with, unplugged and plugged in again. Its methods may be called from any thread.

    Attributes:
        baudrate: its speed; a host with another one reads garbage, and is not understood. None is any speed, as on USB.
    """

    def __init__(self, *, link: Path | None = None, seed: int = 0, baudrate: int | None = None) -> None:
        """Plug the scanner in. Link is created now; seed decides the noise.

        Raises:
            FileExistsError: something other than a symbolic link is in the link's place.
        """
        device_link.claim(link)
        self.baudrate = baudrate
        self._link = link
        self._random = random.Random(seed)
        self._one_user = threading.RLock()
        self._master = -1
        self._slave = -1
        self._device = ""
        self.replug()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.unplug()

    @property
    def device(self) -> str:
        """Return the path of the pseudo terminal; empty while unplugged."""
        return self._device

    @property
    def path(self) -> str:
        """Return what the host is to be configured with: the link if there is one, else the device."""
        return str(self._link) if self._link is not None else self._device

    def scan(
        self,
        text: str,
        *,
        suffix: str = "\r",
        prefix: str = "",
        chunk: int | None = None,
        gap_s: float = 0,
        times: int = 1,
    ) -> bool:
        """Scan a code so many times, sent whole or in chunks of that many bytes with a pause between them.

        Returns whether the line took it all; it takes nothing while unplugged.
        """
        data = f"{prefix}{text}{suffix}".encode() * times
        size = chunk or len(data) or 1
        for start in range(0, len(data), size):
            if start and gap_s:
                time.sleep(gap_s)
            if not self.send(data[start : start + size]):
                return False
        return True

    def noise(self, count: int) -> bool:
        """Send random bytes. Returns whether the line took them all."""
        return self.send(self._random.randbytes(count))

    def send(self, data: bytes) -> bool:
        """Send bytes at the scanner's speed. Returns whether the line took them all."""
        with self._one_user:
            if self._master < 0:
                return False
            host = self._host_speed()
            if self.baudrate is not None and host != self.baudrate:
                data = at_wrong_speed(data, sent_at=self.baudrate, read_at=host)
            return self._send(data)

    def receive(self) -> bytes:
        """Return what the host has sent, as the scanner reads it at its speed; empty when that is nothing."""
        with self._one_user:
            try:
                data = os.read(self._master, _READ_SIZE) if self._master >= 0 else b""
            except BlockingIOError:
                return b""
            host = self._host_speed() if data else 0
            if data and self.baudrate is not None and host != self.baudrate:
                data = at_wrong_speed(data, sent_at=host, read_at=self.baudrate)
            return data

    def unplug(self) -> None:
        """Go away: the host sees a hang-up, and the link is gone. Harmless when unplugged."""
        with self._one_user:
            if self._master < 0:
                return
            device_link.withdraw(self._link, self._device)
            os.close(self._slave)
            os.close(self._master)
            self._master = self._slave = -1
            self._device = ""

    def replug(self) -> None:
        """Come back as a new device under the same link. Harmless when plugged in."""
        with self._one_user:
            if self._master >= 0:
                return
            self._master, self._slave = os.openpty()
            tty.setraw(self._slave)
            os.set_blocking(self._master, False)
            self._device = os.ttyname(self._slave)
            device_link.point(self._link, self._device)

    def _send(self, data: bytes) -> bool:
        poll = select.poll()
        poll.register(self._master, select.POLLOUT)
        rest = memoryview(data)
        give_up_at = time.monotonic() + WRITE_LIMIT_S
        while rest:
            try:
                rest = rest[os.write(self._master, rest) :]
                give_up_at = time.monotonic() + WRITE_LIMIT_S
            except BlockingIOError:
                if time.monotonic() > give_up_at:
                    return False
                poll.poll(RETRY_MS)
        return True

    def _host_speed(self) -> int:
        """Return the speed that the host has set its end to; pseudo terminals know it, and do nothing with it."""
        return _SPEEDS.get(termios.tcgetattr(self._slave)[5], 9600)
