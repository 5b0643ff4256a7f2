"""The line between a host and a simulated printer: a pseudo terminal, and a symbolic link that stays."""

import asyncio
import os
import pty
import select
import tty
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final

from terminald.simulator import device_link

#: How often bytes arrive on a line that takes its time.
TICK_S: Final = 0.01


class Line:
    """A pseudo terminal of which the host opens :attr:`device`; for the thread of the event loop alone.

    Args:
        link: a symbolic link to the device, which goes and comes with it.
        on_readable: called while something can be read and :meth:`listen` says so.
        bytes_per_second: how fast the host's bytes arrive, as on a real line; 0 is at once. A host that writes more has
            it waiting in the pseudo terminal, which does not tell how much that is.
    """

    def __init__(self, *, link: Path | None, on_readable: Callable[[], None], bytes_per_second: float = 0) -> None:
        self.device = ""
        self._link = link
        self._on_readable = on_readable
        self._master = -1
        self._slave = -1
        self._is_listening = False
        self._bytes_per_second = bytes_per_second
        self._due: asyncio.TimerHandle | None = None
        self._since = 0.0  # when the last byte that was read had arrived; 0 while the line is idle
        self._arrived = 0

    @property
    def is_open(self) -> bool:
        """Whether the plug is in."""
        return self._master >= 0

    def open(self) -> None:
        """Plug in, as a new device; harmless when plugged in.

        Raises:
            OSError: no pseudo terminal is to be had, or the link can not be made.
        """
        if self.is_open:
            return
        device_link.claim(self._link)
        self._master, self._slave = pty.openpty()
        tty.setraw(self._slave)
        os.set_blocking(self._master, False)
        self.device = os.ttyname(self._slave)
        try:
            device_link.point(self._link, self.device)
        except OSError:
            self.close()
            raise

    def close(self) -> None:
        """Pull the plug: the host's end hangs up. Harmless when unplugged."""
        if not self.is_open:
            return
        self.listen(on=False)
        os.close(self._slave)
        os.close(self._master)
        self._master = self._slave = -1
        device_link.withdraw(self._link, self.device)

    def listen(self, *, on: bool) -> None:
        """Read what the host sends from now on, or leave it where it is, which stops the host when that is full."""
        if not self.is_open or on is self._is_listening:
            return
        self._is_listening = on
        loop = asyncio.get_running_loop()
        if on:
            loop.add_reader(self._master, self._on_readable if not self._bytes_per_second else self._begin)
        else:
            loop.remove_reader(self._master)
            self._since = 0.0
            if self._due is not None:
                self._due.cancel()
                self._due = None

    def _begin(self) -> None:
        """Let bytes arrive; the first of them need their time too."""
        loop = asyncio.get_running_loop()
        loop.remove_reader(self._master)
        self._since = self._since or loop.time()
        self._due = loop.call_later(TICK_S, self._deliver)

    def _deliver(self) -> None:
        loop = asyncio.get_running_loop()
        self._due = None
        self._arrived = int((loop.time() - self._since) * self._bytes_per_second)
        if self._arrived:
            self._on_readable()
        if self._is_listening and self._due is None:
            if not select.select([self._master], [], [], 0)[0]:
                self._since = 0.0  # idle, though as much was there as had arrived
            loop.add_reader(self._master, self._begin)

    def read(self, size: int) -> bytes:
        """Return what the host has sent and has arrived; empty when that is nothing."""
        if self._bytes_per_second:
            size = min(size, self._arrived)
        try:
            data = os.read(self._master, size) if size else b""
        except BlockingIOError:
            data = b""
        if self._bytes_per_second:
            is_idle = len(data) < size
            self._arrived -= len(data)
            self._since = 0.0 if is_idle else self._since + len(data) / self._bytes_per_second
        return data

    def send(self, data: bytes) -> None:
        """Send to the host; what it does not read is lost."""
        if self.is_open and data:
            with suppress(BlockingIOError):
                os.write(self._master, data)
