"""A barcode scanner on a serial line: UART, RS-232 or USB serial.

Reading is ours and not pyserial's, because that turns a hang-up into text, and its writing can spin. While the line is
quiet nothing wakes up.
"""

import asyncio
import contextlib
import os
import termios
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final

import serial

from terminald.adapters.ports_devices import FrameSink
from terminald.adapters.scan_delivery import Delivery, ScannerCounters, wait_for_input
from terminald.adapters.scanner_trigger import Trigger
from terminald.adapters.serial_opening import SerialOpener
from terminald.errors import DeviceLost
from terminald.wire.barcode import Framer, Suffix

#: Bytes taken per turn of the loop: about what the kernel keeps for a line, and one or two milliseconds of framing.
READ_LIMIT: Final = 4096
#: Reads when arming, so that a line which never falls silent can not hold the loop.
DRAIN_READS: Final = 2
#: What a UART receives while the scanner's own supply comes up is noise.
SETTLE_S: Final = 0.1


class SerialScanner:
    """Deliver a serial scanner's frames while armed; implements :class:`terminald.adapters.ports.Scanner`.

    A frame is delivered as scanned, with its AIM prefix if there is one: ``classify`` and ``bare`` read it. An engine
    that the host triggers is on while armed: switched off after each opening and before each closing, and on again
    after a reading that did not end the waiting. What it answers to commands is taken out by the framer.
    """

    kind = "scanner"

    def __init__(  # noqa: PLR0913 - keywords, one for each setting of a scanner
        self,
        *,
        name: str,
        device: str,
        baudrate: int,
        suffix: Suffix,
        on_frame: FrameSink,
        trigger_on: bytes = b"",
        trigger_off: bytes = b"",
        settle: Callable[[], Awaitable[None]] = lambda: asyncio.sleep(SETTLE_S),
    ) -> None:
        """Device is a path, best a stable symlink; settle returns when what was just opened has stopped to chatter."""
        self.name = name
        self._device = device
        self._opener = SerialOpener(name, device, baudrate)
        self._settle = settle
        self._framer = Framer(suffix, baudrate=baudrate)
        self._trigger = Trigger(name, on=trigger_on, off=trigger_off)
        self._line: serial.Serial | None = None
        self._is_settled = False
        self._wake = asyncio.Event()
        self._deliver = Delivery(name, on_frame)

    @property
    def watched(self) -> tuple[Path, ...]:
        """Return the line's path."""
        return (Path(self._device),)

    @property
    def is_armed(self) -> bool:
        """Whether frames are delivered."""
        return self._deliver.is_armed

    @property
    def counters(self) -> ScannerCounters:
        """Return the counters as they are now."""
        return ScannerCounters(
            delivered=self._deliver.delivered,
            unarmed=self._deliver.unarmed,
            garbled=self._framer.garbled,
            truncated=self._framer.truncated,
            dropped=self._framer.dropped,
            untaken=self._trigger.untaken,
        )

    async def open(self) -> None:
        """Open and lock the line, and discard what a line chatters when it is opened.

        See :meth:`terminald.adapters.ports.Device.open`.
        """
        line = await self._opener.open()
        self._line = line
        self._framer.reset()
        self._wake.clear()
        self._trigger.attach(line.fileno())
        await self._settle()
        self._drain(line.fileno())
        self._is_settled = True
        if self._deliver.is_armed:
            self._trigger.switch(is_on=True)

    async def run(self) -> None:
        """Read the line; see :meth:`terminald.adapters.ports.Device.run`. Exceptions of the sink go to the caller."""
        line = self._line
        if line is None:
            raise DeviceLost(self.name, f"{self._device} is not open")
        loop = asyncio.get_running_loop()
        fd = line.fileno()
        loop.add_reader(fd, self._wake.set)
        try:
            while True:
                await wait_for_input(self._wake, self._framer.deadline())
                self._wake.clear()
                self._receive(fd)
        finally:
            # A hung-up line stays readable for ever.
            loop.remove_reader(fd)

    async def close(self) -> None:
        """Let go of the line, whatever state it is in; see :meth:`terminald.adapters.ports.Device.close`."""
        line, self._line = self._line, None
        if line is None:
            return
        self._is_settled = False
        has_last_word = self._trigger.detach()
        await self._opener.close(line, has_last_word=has_last_word)

    def arm(self) -> None:
        """Begin to deliver frames. A frame of which a part was received before is discarded with its remainder."""
        if self._line is not None:
            self._drain(self._line.fileno())
        self._deliver.arm()
        if self._is_settled:
            self._trigger.switch(is_on=True)

    def disarm(self) -> None:
        """Stop to deliver frames; those that arrive are counted and dropped."""
        self._deliver.disarm()
        if self._is_settled:
            self._trigger.switch(is_on=False)

    def _receive(self, fd: int) -> None:
        """Read once, and deliver what is complete.

        Raises:
            DeviceLost: the line was hung up.
        """
        loop = asyncio.get_running_loop()
        # Before reading for silence, and after it for bytes: however long this process is held up in between, a pause
        # never looks longer than it was.
        asked_ms = int(loop.time() * 1000)
        before, armings = self.counters, self._deliver.armings
        try:
            data = os.read(fd, READ_LIMIT)
        except BlockingIOError:
            self._deliver(self._framer.idle(asked_ms))
        except OSError as exc:
            raise self._lost() from exc
        else:
            if not data:
                raise self._lost()
            self._deliver(self._framer.feed(data, int(loop.time() * 1000)))
        # It has read something, whatever that was, and is off now unless it latches.
        if self._deliver.is_armed and self._deliver.armings == armings and self.counters != before:
            self._trigger.repeat()

    def _drain(self, fd: int) -> None:
        """Discard what has arrived.

        The bytes are read and framed: flushing them unseen would leave a half-received code's second half to be taken
        for a code. Errors are left to :meth:`run`, which meets them as well.
        """
        now_ms = int(asyncio.get_running_loop().time() * 1000)
        for _ in range(DRAIN_READS):
            try:
                data = os.read(fd, READ_LIMIT)
            except OSError:
                break
            if not data:
                break
            self._deliver.unarmed += len(self._framer.feed(data, now_ms))
        else:
            with contextlib.suppress(OSError, termios.error):
                termios.tcflush(fd, termios.TCIFLUSH)
            self._framer.resynchronise()
        self._framer.discard()
        self._wake.set()

    def _lost(self) -> DeviceLost:
        return DeviceLost(self.name, f"{self._device} went away; check the cable")
