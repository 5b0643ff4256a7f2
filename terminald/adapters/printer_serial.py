"""A printer on a serial line: a UART, or a USB adapter that looks like one."""

import asyncio
import fcntl
import os
import termios
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final, Literal

import serial

from terminald.adapters.device_faults import opening_error
from terminald.adapters.device_opening import OPEN_LIMIT_S, Opener
from terminald.adapters.fd_writer import GRACE_S, FdWriter, job_deadline_s, kernel_backlog
from terminald.adapters.modem_lines import ModemLines, tells
from terminald.errors import DeviceAbsent, DeviceLost, DeviceTimeout

Flow = Literal["none", "xonxoff", "rtscts", "dsrdtr"]

#: Bits on the line for one byte: start, eight, stop.
BITS_PER_BYTE: Final = 10

_XON, _XOFF = 0x11, 0x13
_READ_SIZE = 4096
#: Debian's group of serial lines.
_GROUP: Final = "dialout"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Line:
    """An open line. Its number is kept apart, because a port that another thread closes forgets it."""

    port: serial.Serial
    fd: int
    writer: FdWriter
    #: What is looked at before each chunk.
    gate: ModemLines | None

    def shut(self) -> None:
        """Close the port; blocks."""
        if self.gate is not None:
            self.gate.end()
        self.port.close()


class SerialPrinter:
    """Sends jobs over a serial line, with the flow control that the printer was set to.

    All flow control is obeyed here and not in the kernel: there, a held line would swallow status requests too. CTS or
    DSR is looked at before each chunk. Only where a line does not tell its CTS, RTS/CTS is left to the kernel.
    """

    kind: str = "printer"
    notices_power_off: bool = False

    def __init__(
        self,
        *,
        device: str,
        baudrate: int,
        flow: Flow,
        name: str = "printer",
        grace_s: float = GRACE_S,
        open_limit_s: float = OPEN_LIMIT_S,
    ) -> None:
        """Device is a path, best one that survives replugging (/dev/serial/by-id/…)."""
        self.name = name
        self._device = device
        self._baudrate = baudrate
        self._flow = flow
        self._grace_s = grace_s
        self._line: _Line | None = None
        self._opener = Opener[serial.Serial](name, close=serial.Serial.close, open_limit_s=open_limit_s)
        self._lost = asyncio.Event()
        self._lost_detail = ""
        self._sink: Callable[[bytes], None] = _ignore
        self.has_begun = False

    def listen(self, sink: Callable[[bytes], None]) -> None:
        """From now on give what the printer sends to the sink, XON and XOFF left out where they are obeyed."""
        self._sink = sink

    @property
    def can_answer(self) -> bool:
        """Whether what the printer says could arrive: a line has two directions, wired or not."""
        return True

    @property
    def line_rate(self) -> float | None:
        """Return how many bytes the line takes in a second; it does not show that the printer lost its power."""
        return self._baudrate / BITS_PER_BYTE

    @property
    def watched(self) -> tuple[Path, ...]:
        """Return the line's path."""
        return (Path(self._device),)

    async def open(self) -> None:
        """Open and configure the line, for us alone.

        Raises:
            DeviceAbsent: it is not there, may not be opened, does not answer, is used by another program, or lacks the
                modem lines.
        """
        try:
            port = await self._opener.open(self._device, self._open_port)
        except (OSError, ValueError, termios.error) as exc:
            raise await opening_error(self.name, self._device, exc, group=_GROUP) from exc
        fd = port.fileno()
        gate = self._gate(port, fd)
        writer = FdWriter(self.name, fd, may_send=gate, backlog=partial(kernel_backlog, fd))
        self._line = _Line(port=port, fd=fd, writer=writer, gate=gate)
        self._lost.clear()
        asyncio.get_running_loop().add_reader(fd, self._on_readable, self._line)

    def _open_port(self) -> serial.Serial:
        """Open the port, in a thread: opening a serial line may wait for a carrier."""
        port = serial.Serial(self._device, self._baudrate, timeout=0, write_timeout=0, exclusive=True)
        try:
            fcntl.ioctl(port.fileno(), termios.TIOCEXCL)
            if self._flow == "dsrdtr":
                tells(
                    port.fileno(), termios.TIOCM_DSR
                )  # a line without modem control refuses here, not in the middle of a receipt
            if self._flow == "rtscts":
                port.rtscts = not _tells_clear(port.fileno())
        except OSError:
            port.close()
            raise
        return port

    def _gate(self, port: serial.Serial, fd: int) -> ModemLines | None:
        """Say what is to be looked at before each chunk."""
        if self._flow == "dsrdtr":
            return ModemLines(partial(tells, fd, termios.TIOCM_DSR))
        if self._flow == "rtscts" and not port.rtscts:
            return ModemLines(partial(tells, fd, termios.TIOCM_CTS))
        return None

    async def run(self) -> None:
        """Wait until the line hangs up.

        Raises:
            DeviceLost: it did.
        """
        await self._lost.wait()
        raise DeviceLost(self.name, self._lost_detail)

    async def close(self) -> None:
        """Let go of the line; what the driver has not sent is discarded, so that closing can not wait for it."""
        line, self._line = self._line, None
        if line is None:
            return
        self._lose(line, f"{self._device} was closed")
        _discard(line.fd, termios.TCIOFLUSH)
        await self._opener.close(self._device, line.shut)

    async def write(self, data: bytes) -> None:
        """Send one whole job; returns when the driver holds nothing of it any more.

        Raises:
            DeviceAbsent: nothing was sent.
            DeviceLost, DeviceTimeout: detail says how many of how many bytes.
        """
        line, self.has_begun = self._line, False
        if line is None:
            raise DeviceAbsent(self.name, f"{self._device} is not open; 0 of {len(data)} bytes sent")
        deadline_s = job_deadline_s(data, bytes_per_second=self._baudrate / BITS_PER_BYTE, grace_s=self._grace_s)
        try:
            await line.writer.write(data, deadline_s=deadline_s)
        except (DeviceAbsent, DeviceTimeout, asyncio.CancelledError):
            if line is self._line:
                _discard(line.fd, termios.TCOFLUSH)
            raise
        finally:
            self.has_begun = line.writer.has_begun

    async def ask(self, request: bytes) -> None:
        """Send a few bytes that the printer obeys at once, whether or not it holds the line.

        Raises:
            DeviceAbsent: the line is not open.
            DeviceLost: it went away.
            DeviceTimeout: a job is under way and in the middle of a command.
        """
        if self._line is None:
            raise DeviceAbsent(self.name, f"{self._device} is not open")
        await self._line.writer.ask(request)

    def stalled_s(self) -> float:
        """Return for how long the job under way has made no progress; 0 without one."""
        return self._line.writer.stalled_s() if self._line else 0.0

    def prolong(self, by_s: float) -> None:
        """Give the job under way at least so much more time."""
        if self._line:
            self._line.writer.prolong(by_s)

    def go_on(self) -> bool:
        """Forget an XOFF; whether there was one."""
        return self._line.writer.go_on() if self._line else False

    def _on_readable(self, line: _Line) -> None:
        """Obey XON and XOFF, pass on what else was said, and notice a hang-up: it makes the line readable for ever."""
        try:
            data = os.read(line.fd, _READ_SIZE)
        except BlockingIOError:
            return
        except OSError as exc:
            self._lose(line, f"{self._device}: {exc.strerror}: check the cable and the power")
            return
        if not data:
            self._lose(line, f"{self._device} hung up: check the cable and the power")
            return
        if self._flow == "xonxoff":
            for byte in data:
                if byte == _XOFF:
                    line.writer.hold()
                elif byte == _XON:
                    line.writer.release()
            data = data.translate(None, bytes((_XON, _XOFF)))
        if data:
            self._sink(data)

    def _lose(self, line: _Line, detail: str) -> None:
        asyncio.get_running_loop().remove_reader(line.fd)
        line.writer.lose(detail)
        self._lost_detail = detail
        self._lost.set()


def _ignore(_: bytes) -> None:
    pass


def _tells_clear(fd: int) -> bool:
    """Whether the line says whether its CTS is set; a pseudo terminal does not."""
    try:
        tells(fd, termios.TIOCM_CTS)
    except OSError:
        return False
    return True


def _discard(fd: int, queue: int) -> None:
    with suppress(OSError, termios.error):
        termios.tcflush(fd, queue)
