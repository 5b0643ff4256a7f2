"""The simulated adapter on a pseudo terminal, which a host opens as if it were ``/dev/ttyACM0``.

A stable symbolic link does what udev does for a real adapter: it goes away with it and comes back pointing to another
device.
"""

import asyncio
import os
import tty
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from terminald.simulator import device_link
from terminald.simulator.vmc_firmware import Firmware
from terminald.simulator.vmc_line import Clock, Manner, Timer
from terminald.simulator.vmc_machine import MachineModel
from terminald.simulator.vmc_world import VmcWorld

#: A day of a busy machine.
NOTES_LIMIT: Final = 10_000
_READ_SIZE: Final = 4096


class LoopClock(Clock):
    """The running event loop's time."""

    def time(self) -> float:
        """Return the loop's time."""
        return asyncio.get_running_loop().time()

    def call_later(self, delay: float, callback: Callable[[], None], /) -> Timer:
        """Have the loop call it."""
        return asyncio.get_running_loop().call_later(delay, callback)


class PtyLine:
    """A pseudo terminal under a symbolic link; for the thread of the event loop alone."""

    def __init__(self, *, link: Path | None, on_data: Callable[[bytes], None]) -> None:
        self.device = ""
        self.lost = 0
        self._link = link
        self._on_data = on_data
        self._master = -1
        self._slave = -1

    def plug_in(self) -> None:
        """Be there, as a new device; harmless when plugged in.

        Raises:
            OSError: no pseudo terminal is to be had, or something other than a link is in the link's place.
        """
        if self._master >= 0:
            return
        device_link.claim(self._link)
        self._master, self._slave = os.openpty()
        tty.setraw(self._slave)
        os.set_blocking(self._master, False)
        self.device = os.ttyname(self._slave)
        asyncio.get_running_loop().add_reader(self._master, self._on_readable)
        device_link.point(self._link, self.device)

    def pull_out(self) -> None:
        """Hang up; harmless when unplugged."""
        if self._master < 0:
            return
        asyncio.get_running_loop().remove_reader(self._master)
        device_link.withdraw(self._link, self.device)
        os.close(self._slave)
        os.close(self._master)
        self._master = self._slave = -1
        self.device = ""

    def write(self, data: bytes) -> None:
        """Send to the host. What finds no room, because the host does not read, is lost and counted."""
        written = 0
        if self._master >= 0:
            with suppress(BlockingIOError):
                written = os.write(self._master, data)
        self.lost += len(data) - written

    def _on_readable(self) -> None:
        try:
            data = os.read(self._master, _READ_SIZE)
        except BlockingIOError:
            return
        self._on_data(data)


class SimulatedVmc(VmcWorld):
    """A vending machine behind an adapter behind :attr:`device`; an asynchronous context manager.

    Its methods are for the thread of the event loop.

    Args:
        link: a symbolic link to the device, kept while the adapter is there.
        model, firmware, manner: what kind of machine, adapter and line it is.
        seed: decides what noise looks like.
        note: told what happens, a line each; :attr:`notes` keeps the last ones as well.
    """

    def __init__(
        self,
        *,
        link: Path | None = None,
        model: MachineModel | None = None,
        firmware: Firmware | None = None,
        manner: Manner | None = None,
        seed: int = 0,
        note: Callable[[str], None] = lambda _: None,
    ) -> None:
        self.notes: deque[str] = deque(maxlen=NOTES_LIMIT)
        self._tell = note
        self._changed = asyncio.Event()
        self._link = link
        self._pty = PtyLine(link=link, on_data=self._on_data)
        super().__init__(
            clock=LoopClock(),
            line=self._pty,
            model=model,
            firmware=firmware,
            manner=manner,
            seed=seed,
            note=self._keep,
        )

    @property
    def device(self) -> str:
        """Return the path of the pseudo terminal; empty while there is none."""
        return self._pty.device

    @property
    def path(self) -> str:
        """Return what the host is to be configured with: the link if there is one, else the device."""
        return str(self._link) if self._link is not None else self.device

    @property
    def lost(self) -> int:
        """Count the bytes that the host did not read in time."""
        return self._pty.lost

    async def __aenter__(self) -> Self:
        self.replug()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.unplug()
        self.machine.stop()

    async def until(self, is_reached: Callable[[], bool]) -> None:
        """Wait until something is so; it is looked at whenever something happens."""
        while not is_reached():
            self._changed.clear()
            await self._changed.wait()

    async def until_status(self, status: str) -> None:
        """Wait until the reader is in this state, such as ``ENABLED`` or ``APPROVED``; see :attr:`status`."""
        await self.until(lambda: self.status == status)

    async def until_ended(self, number: int) -> None:
        """Wait until the vend of that number, counted from 1, has ended."""
        await self.until(lambda: len(self.books.vends) >= number and self.books.vends[number - 1].end is not None)

    def _on_data(self, data: bytes) -> None:
        self.hear(data)
        self._changed.set()

    def _keep(self, text: str) -> None:
        self.notes.append(text)
        self._changed.set()
        self._tell(text)
