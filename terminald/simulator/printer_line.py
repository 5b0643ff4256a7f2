"""The line between a host and a simulated printer: a pseudo terminal, and a symbolic link that stays."""

import asyncio
import os
import pty
import tty
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path


class Line:
    """A pseudo terminal of which the host opens :attr:`device`; for the thread of the event loop alone.

    Args:
        link: a symbolic link to the device, which goes and comes with it.
        on_readable: called while something can be read and :meth:`listen` says so.
    """

    def __init__(self, *, link: Path | None, on_readable: Callable[[], None]) -> None:
        self.device = ""
        self._link = link
        self._on_readable = on_readable
        self._master = -1
        self._slave = -1
        self._is_listening = False

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
        self._master, self._slave = pty.openpty()
        tty.setraw(self._slave)
        os.set_blocking(self._master, False)
        self.device = os.ttyname(self._slave)
        if self._link is None:
            return
        try:
            self._link.unlink(missing_ok=True)
            self._link.symlink_to(self.device)
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
        if self._link is not None and self._link.is_symlink():
            self._link.unlink()

    def listen(self, *, on: bool) -> None:
        """Read what the host sends from now on, or leave it where it is, which stops the host when that is full."""
        if not self.is_open or on is self._is_listening:
            return
        self._is_listening = on
        loop = asyncio.get_running_loop()
        if on:
            loop.add_reader(self._master, self._on_readable)
        else:
            loop.remove_reader(self._master)

    def read(self, size: int) -> bytes:
        """Return what the host has sent; empty when that is nothing."""
        try:
            return os.read(self._master, size)
        except BlockingIOError:
            return b""

    def send(self, data: bytes) -> None:
        """Send to the host; what it does not read is lost."""
        if self.is_open and data:
            with suppress(BlockingIOError):
                os.write(self._master, data)
