"""A vending machine behind a Qibixx MDB adapter, on USB or on a UART.

What the lines mean and what follows from them is decided in ``terminald.wire.qibixx_talk``; here bytes and moments are
passed to it, and what it says is carried out: written, told, logged. While the machine is quiet, nothing wakes up more
than once a minute.

An approval must leave at once, for nothing in it says whose it is: what lies in the kernel is for whoever has selected
by the time at which it leaves. So it is written to an empty line only: one that does not get empty is lost, and nothing
was approved. And it is taken back (``TCOFLUSH``) when it has not left in time, or when the machine says anything about
its request while it has not. The line is lost then too, and what becomes of the request is unknown, not denied: a part
of it may have left unseen, or all of it in the moment of taking it back, and some drivers count more than there is.
"""

import asyncio
import contextlib
import logging
import os
import termios
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path
from typing import Final

import serial

from terminald.adapters.fd_writer import kernel_backlog
from terminald.adapters.ports_devices import DeviceReport, DeviceSink, DeviceState
from terminald.adapters.ports_vending import VmcSink
from terminald.adapters.scanner_serial import DRAIN_READS, READ_LIMIT, SETTLE_S
from terminald.adapters.serial_opening import SerialOpener
from terminald.core.vend_events import ApprovalNotSent, ApprovalSent, VendEvent
from terminald.errors import DeviceAbsent, DeviceLost
from terminald.logs import log_event
from terminald.logs_ids import LogId
from terminald.wire import qibixx
from terminald.wire.qibixx_setup import Act, Note
from terminald.wire.qibixx_talk import Talk, Terms

_log = logging.getLogger(__name__)

#: "115200 8N1" (field facts).
BAUDRATE: Final = 115_200
#: What may wait for the line to take it: every command of one round, and some. They are written one at a time.
WAITING_LIMIT: Final = 1024
#: A line that takes nothing for so long is dead; 4 KB, which the kernel takes besides, are gone in 0.4 s.
STALL_S: Final = 3.0
#: What was written has left in 1 to 4 ms. It is waited for before an approval and at closing, for so long at most.
LEAVING_S: Final = 0.5
LEAVING_POLL_S: Final = 0.005

TAKES_NOTHING: Final = "the adapter takes nothing more; plug it in again"

_LEVELS: Final = {"info": logging.INFO, "warning": logging.WARNING}


class QibixxVmc:
    """One machine; implements :class:`terminald.adapters.ports_vending.Vmc`."""

    kind: str = "vmc"

    def __init__(  # noqa: PLR0913 - keywords, one for each thing it is told
        self,
        *,
        name: str,
        device: str,
        terms: Terms,
        has_display: bool,
        on_event: VmcSink,
        report: DeviceSink,
        settle: Callable[[], Awaitable[None]] = lambda: asyncio.sleep(SETTLE_S),
        backlog: Callable[[int], int] = kernel_backlog,
    ) -> None:
        """Device is a path, best one below /dev/serial/by-id; settle: as of a serial scanner.

        Backlog counts the bytes that the kernel has taken for a descriptor and not sent; may raise OSError.
        Report gets what the supervisor can not see: that nothing is behind an adapter which works.
        """
        self.name = name
        self._device = device
        self._opener = SerialOpener(name, device, BAUDRATE)
        self._has_display = has_display
        self._on_event = on_event
        self._report = report
        self._settle = settle
        self._backlog = backlog
        self._talk = Talk(terms)
        self._lines = qibixx.Lines()
        self._line: serial.Serial | None = None
        self._ailment = ""  # as reported
        self._wake = asyncio.Event()
        self._waiting = bytearray()  # to be written
        self._stalled_s = 0.0  # since when nothing was taken
        self._approval_s: float | None = None  # since when one may be in the kernel still
        self._fault = ""  # of the line

    @property
    def watched(self) -> tuple[Path, ...]:
        """Return the line's path."""
        return (Path(self._device),)

    @property
    def is_ready(self) -> bool:
        """Tell whether the machine can ask for money now."""
        return self._talk.is_ready

    async def open(self) -> None:
        """Open the line and set the adapter up; see :meth:`terminald.adapters.ports.Device.open`."""
        line = await self._opener.open()
        self._line = line
        self._lines.reset()
        self._waiting.clear()
        self._ailment = self._fault = ""
        self._approval_s = None
        await self._settle()
        self._drain(line.fileno())
        self._perform(self._talk.open(_now_ms()))
        try:
            await self._converse(line, lambda: self._talk.is_set_up)
        except DeviceLost as exc:
            raise DeviceAbsent(self.name, exc.detail) from exc

    async def run(self) -> None:
        """Hear the machine; the sink's exceptions go to the caller. See :meth:`terminald.adapters.ports.Device.run`."""
        line = self._line
        if line is None:
            raise DeviceLost(self.name, f"{self._device} is not open")
        try:
            await self._converse(line, lambda: False)
        except DeviceLost:
            self._perform(self._talk.lose())
            raise

    async def close(self) -> None:
        """Take the reader from the machine's bus, and let go of the line.

        An approval that has no result yet is left to the adapter. See :meth:`terminald.adapters.ports.Device.close`.
        """
        line = self._line
        if line is None:
            return
        with contextlib.suppress(DeviceLost):
            self._perform(self._talk.close(_now_ms()))
        self._line = None
        is_said = not self._waiting and await self._has_left(line.fileno())
        self._waiting.clear()
        discarding = termios.TCIFLUSH if is_said else termios.TCIOFLUSH
        await self._opener.close(line, discarding=discarding)

    def set_open(self, *, is_open: bool) -> None:
        """See :meth:`terminald.adapters.ports_vending.Vmc.set_open`."""
        self._do(self._talk.set_open(is_open=is_open, now_ms=_now_ms()))

    async def approve(self, request: int, price: str) -> ApprovalSent | ApprovalNotSent:
        """See :meth:`terminald.adapters.ports_vending.Vmc.approve`."""
        line = self._line
        is_free = line is not None and await self._has_left(line.fileno())
        if line is None or self._line is not line:
            return ApprovalNotSent(request=request, reason="the adapter is away")
        self._wake.set()
        try:
            self._receive(line.fileno())  # what the machine has said, and nobody has looked at yet
            self._heed_fault()
        except DeviceLost as exc:
            return ApprovalNotSent(request=request, reason=exc.detail)
        if not is_free:
            self._give_up(line.fileno(), TAKES_NOTHING)
        reason = self._fault or self._talk.refusal(request, price) or self._write_approval(line.fileno(), price)
        if reason:
            log_event(_log, LogId.VEND_NOT_APPROVED, device=self.name, request=request, reason=reason)
            return ApprovalNotSent(request=request, reason=reason)
        self._talk.approved(_now_ms())
        log_event(_log, LogId.VEND_APPROVED, device=self.name, request=request)
        return ApprovalSent(request=request)

    async def deny(self, request: int) -> None:
        """See :meth:`terminald.adapters.ports_vending.Vmc.deny`."""
        self._do(self._talk.deny(request, _now_ms()))

    def display(self, text: str) -> None:
        """See :meth:`terminald.adapters.ports_vending.Vmc.display`."""
        command = self._talk.display(text)
        if self._has_display and command and not self._waiting and self._approval_s is None:
            self._do([command])

    # --- the line ----------------------------------------------------------------------------------------------------

    async def _converse(self, line: serial.Serial, is_enough: Callable[[], bool]) -> None:
        """Pass lines and moments on until it is enough.

        Raises:
            DeviceLost: the line was hung up, takes nothing, or what is behind it is of no use.
        """
        loop = asyncio.get_running_loop()
        fd = line.fileno()
        loop.add_reader(fd, self._wake.set)
        try:
            while not is_enough():
                await self._wait(fd)
                self._wake.clear()
                self._receive(fd)
                self._flush(fd)
                self._watch_approval(fd)
                deadline_ms = self._talk.deadline()
                if deadline_ms is not None and _now_ms() >= deadline_ms:
                    self._perform(self._talk.due(_now_ms()))
                self._heed_fault()
                self._look()
        finally:
            # A hung-up line stays readable for ever.
            loop.remove_reader(fd)

    async def _wait(self, fd: int) -> None:
        """Return when there may be something to read or to do, or room for what waits to be written."""
        loop = asyncio.get_running_loop()
        deadline_ms = self._talk.deadline()
        # One millisecond later, so that the rounded time is not before the deadline.
        moments = [] if deadline_ms is None else [(deadline_ms + 1) / 1000]
        if self._waiting:
            moments.append(self._stalled_s + STALL_S)
            loop.add_writer(fd, self._wake.set)
        if self._approval_s is not None:
            moments.append(loop.time() + LEAVING_POLL_S)
        try:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout_at(min(moments, default=None)):
                    await self._wake.wait()
        finally:
            loop.remove_writer(fd)

    def _receive(self, fd: int) -> None:
        """Read once, and carry out what follows.

        Raises:
            DeviceLost: the line was hung up.
        """
        try:
            data = os.read(fd, READ_LIMIT)
        except BlockingIOError:
            return
        except OSError as exc:
            raise self._gone() from exc
        if not data:
            raise self._gone()
        for text in self._lines.feed(data):
            acts = self._talk.hear(text, _now_ms())
            if any(isinstance(act, VendEvent) for act in acts):
                self._end_approval(fd, "an approval was overtaken by the machine")
            self._perform(acts)
            self._heed_fault()

    def _look(self) -> None:
        """Report whether the machine is there, where that has changed."""
        ailment = self._talk.ailment
        if ailment != self._ailment:
            self._ailment = ailment
            state = DeviceState.FAULTY if ailment else DeviceState.READY
            self._report(DeviceReport(name=self.name, kind=self.kind, state=state, detail=ailment))

    def _heed_fault(self) -> None:
        if fault := self._fault or self._talk.fault:
            raise DeviceLost(self.name, f"{self._device}: {fault}")

    def _drain(self, fd: int) -> None:
        """Discard what was said to and by whoever had the line before; what is cut by it begins like no line."""
        with contextlib.suppress(OSError, termios.error):
            for _ in range(DRAIN_READS):
                os.read(fd, READ_LIMIT)
            termios.tcflush(fd, termios.TCIOFLUSH)

    def _gone(self) -> DeviceLost:
        return DeviceLost(self.name, f"{self._device} went away; check the cable")

    # --- what follows ------------------------------------------------------------------------------------------------

    def _do(self, acts: Iterable[Act]) -> None:
        """Carry out what does not follow from a line; a line that is lost by now is met by :meth:`run` as well."""
        with contextlib.suppress(DeviceLost):
            self._perform(acts)
        self._wake.set()

    def _perform(self, acts: Iterable[Act]) -> None:
        for act in acts:
            match act:
                case bytes():
                    self._write(act)
                case Note():
                    log_event(_log, LogId.ADAPTER_SAYS, level=_LEVELS[act.level], device=self.name, detail=act.text)
                case VendEvent():
                    name = type(act).__name__
                    log_event(_log, LogId.MACHINE_EVENT, device=self.name, request=act.request, event=name)
                    self._on_event(self.name, act)

    def _write(self, command: bytes) -> None:
        """Write a command, after those that wait. To a line that is given up nothing is said.

        Raises:
            DeviceLost: the line takes nothing.
        """
        if self._line is None or self._fault:
            return
        if len(self._waiting) + len(command) > WAITING_LIMIT:
            raise self._stall()
        if not self._waiting:
            self._stalled_s = asyncio.get_running_loop().time()
        self._waiting += command
        self._flush(self._line.fileno())

    def _flush(self, fd: int) -> None:
        """Write what waits, as far as the line takes it. That it was hung up is met when it is read."""
        if not self._waiting:
            return
        now_s = asyncio.get_running_loop().time()
        with contextlib.suppress(OSError):
            written = os.write(fd, self._waiting)
            if written:
                del self._waiting[:written]
                self._stalled_s = now_s
        if self._waiting and now_s >= self._stalled_s + STALL_S:
            raise self._stall()

    # --- approvals ---------------------------------------------------------------------------------------------------

    def _write_approval(self, fd: int, price: str) -> str:
        """Write an approval now or never; return why it is never. What waits behind other commands could come late."""
        command = qibixx.approve(price)
        if self._waiting:
            return "the adapter takes nothing"
        try:
            written = os.write(fd, command)
        except OSError as exc:
            return f"the adapter takes nothing: {exc.strerror}"
        self._approval_s = asyncio.get_running_loop().time()
        if written < len(command):
            self._stalled_s = self._approval_s
            self._waiting += command[written:]
        return ""

    def _watch_approval(self, fd: int) -> None:
        """Give the line up when an approval does not leave.

        Raises:
            DeviceLost: it was taken back.
        """
        since_s = self._approval_s
        if since_s is None:
            return
        if not self._is_held(fd):
            self._approval_s = None
        elif asyncio.get_running_loop().time() >= since_s + STALL_S:
            self._end_approval(fd, "the adapter does not take an approval; plug it in again")
            self._heed_fault()

    def _end_approval(self, fd: int, fault: str) -> None:
        """Take back what has not left of an approval, which is the line's fault; do nothing when it has left."""
        if self._approval_s is not None and self._is_held(fd):
            self._give_up(fd, fault)
        self._approval_s = None

    def _give_up(self, fd: int, fault: str) -> None:
        """Discard what has not left, and say nothing more; :meth:`run` ends with the fault."""
        with contextlib.suppress(OSError, termios.error):
            termios.tcflush(fd, termios.TCOFLUSH)
        self._waiting.clear()
        self._fault = fault

    def _is_held(self, fd: int) -> bool:
        """Tell whether anything that was written has not left; what was hung up has let it go."""
        with contextlib.suppress(OSError):
            return bool(self._waiting or self._backlog(fd))
        return False

    async def _has_left(self, fd: int) -> bool:
        """Wait a moment for what was written to leave; return whether it has."""
        until_s = asyncio.get_running_loop().time() + LEAVING_S
        with contextlib.suppress(OSError):
            while self._backlog(fd):
                if asyncio.get_running_loop().time() >= until_s:
                    return False
                await asyncio.sleep(LEAVING_POLL_S)
            return True
        return False

    def _stall(self) -> DeviceLost:
        return DeviceLost(self.name, f"{self._device}: {TAKES_NOTHING}")


def _now_ms() -> int:
    return int(asyncio.get_running_loop().time() * 1000)
