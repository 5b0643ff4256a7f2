"""A simulated receipt printer on a pseudo terminal, which draws what it prints."""

import argparse
import asyncio
import os
import pty
import signal
import sys
import threading
import tty
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Literal, Self

from terminald.simulator.printer_escpos import Encoding, Interpreter, Item, RealTime, Request
from terminald.simulator.printer_paper import Paper, Sheet, font_note

Flow = Literal["rtscts", "xonxoff", "none"]

#: A cheap printer's receive buffer, and the parts of it that are free at XOFF and at XON. Real printers say XOFF with
#: 256 bytes to spare (Epson 5000+) or 800 (Toshiba); much earlier here: a pseudo terminal holds 4 kB on their way.
BUFFER_BYTES, XOFF_FREE, XON_FREE = 4096, 0.75, 0.875
#: How often a slow printer takes its next bytes.
TICK_S = 0.01

_XON, _XOFF = b"\x11", b"\x13"


@dataclass(frozen=True, slots=True, kw_only=True)
class Printed:
    """A receipt as it was cut off: its text, and its picture if a directory for it was given."""

    text: str
    png: Path | None


class SimulatedPrinter:
    """A printer behind :attr:`device`; an asynchronous context manager.

    Args:
        out: directory of the pictures ``receipt-0001.png`` …; numbers in use are passed over. None draws nothing.
        width_dots: 384, 512 or 576.
        encoding: the character set it was set to.
        flow: ``rtscts`` takes nothing while its buffer is full, as a held CTS does on a real line; ``xonxoff`` sends
            XOFF and XON; with the last two, bytes beyond the buffer are dropped and counted in :attr:`overrun`.
        bytes_per_second: how fast it prints what it has received; 0 is at once.
        buffer_bytes: what it can receive before it is printed.
        link: a symbolic link to the device, kept while the printer runs.
    """

    def __init__(
        self,
        *,
        out: Path | None = None,
        width_dots: int = 384,
        encoding: Encoding = "gbk",
        flow: Flow = "rtscts",
        bytes_per_second: int = 0,
        buffer_bytes: int = BUFFER_BYTES,
        link: Path | None = None,
    ) -> None:
        self.device = ""
        self.receipts: list[Printed] = []
        self.received = 0
        self.overrun = 0
        self._out = out
        self._flow = flow
        self._bytes_per_second = bytes_per_second
        self._buffer_bytes = buffer_bytes
        self._link = link
        self._paper_out = self._cover_open = self._switched_off_line = False
        self._interpreter = Interpreter(width_dots=width_dots, encoding=encoding)
        self._real_time = RealTime()
        self._paper = Paper(width_dots=width_dots)
        self._buffer = bytearray()
        self._is_holding = False
        self._is_reading = False
        self._wake = asyncio.Event()
        self._changed = asyncio.Event()
        self._next_number = 1
        self._master = -1
        self._slave = -1
        self._printing: asyncio.Task[None] | None = None

    @property
    def unknown(self) -> int:
        """Count the commands and characters that were not understood."""
        return self._interpreter.unknown

    @property
    def is_stopped(self) -> bool:
        """Whether it prints nothing for now."""
        return self._paper_out or self._cover_open or self._switched_off_line

    async def __aenter__(self) -> Self:
        self._master, self._slave = pty.openpty()
        tty.setraw(self._slave)
        os.set_blocking(self._master, False)
        self.device = os.ttyname(self._slave)
        if self._link is not None:
            self._link.unlink(missing_ok=True)
            self._link.symlink_to(self.device)
        if self._out is not None:
            self._out.mkdir(parents=True, exist_ok=True)
            taken = [int(path.stem[-4:]) for path in self._out.glob("receipt-[0-9][0-9][0-9][0-9].png")]
            self._next_number = max(taken, default=0) + 1
        self._read(on=True)
        self._printing = asyncio.create_task(self._print())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._printing is not None:
            self._printing.cancel()
            await asyncio.wait({self._printing})
        self.unplug()
        if self._link is not None:
            self._link.unlink(missing_ok=True)

    def unplug(self) -> None:
        """Hang the line up, as pulling the cable of a USB adapter does."""
        if self._master >= 0:
            self._read(on=False)
            os.close(self._slave)
            os.close(self._master)
            self._master = self._slave = -1

    def set_paper(self, *, is_out: bool) -> None:
        """Take the paper out, or put new paper in: what was received before is printed then."""
        self._paper_out = is_out
        self._wake.set()

    def set_cover(self, *, is_open: bool) -> None:
        """Open or close the cover."""
        self._cover_open = is_open
        self._wake.set()

    def set_online(self, *, is_online: bool) -> None:
        """Switch the printer on-line or off-line by its button."""
        self._switched_off_line = not is_online
        self._wake.set()

    async def wait_receipt(self, count: int) -> Printed:
        """Wait until so many receipts have been printed since the start; return that one."""
        await self._wait(lambda: len(self.receipts) >= count)
        return self.receipts[count - 1]

    async def wait_received(self, count: int) -> None:
        """Wait until so many bytes have been received since the start."""
        await self._wait(lambda: self.received >= count)

    async def _wait(self, is_reached: Callable[[], bool]) -> None:
        while not is_reached():
            self._changed.clear()
            await self._changed.wait()

    def _read(self, *, on: bool) -> None:
        if on is self._is_reading:
            return
        self._is_reading = on
        loop = asyncio.get_running_loop()
        if on:
            loop.add_reader(self._master, self._on_readable)
        else:
            loop.remove_reader(self._master)

    def _on_readable(self) -> None:
        room = self._buffer_bytes - len(self._buffer)
        try:
            data = os.read(self._master, room if self._flow == "rtscts" else BUFFER_BYTES)
        except BlockingIOError:
            return
        for kind in self._real_time.feed(data):
            self._answer(bytes((self._status(kind),)))
        self.received += len(data)
        self.overrun += max(0, len(data) - room)
        self._buffer += data[:room]
        self._control_flow()
        self._wake.set()
        self._changed.set()

    async def _print(self) -> None:
        """Print what is in the buffer, at the printer's own speed."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            self._control_flow()
            while self._buffer and not self.is_stopped:
                size = max(1, int(self._bytes_per_second * TICK_S)) if self._bytes_per_second else len(self._buffer)
                data = bytes(self._buffer[:size])
                del self._buffer[:size]
                self._control_flow()
                for item in self._interpreter.feed(data):
                    await self._perform(item)
                if self._bytes_per_second:
                    await asyncio.sleep(TICK_S)

    async def _perform(self, item: Item) -> None:
        if isinstance(item, Request):
            self._answer(b"\x37\x22" + item.tag + b"\x00" if item.about == "id" else b"\x00")
        elif (sheet := self._paper.add(item)) is not None:
            png = await asyncio.to_thread(self._save, sheet)
            self.receipts.append(Printed(text=sheet.text, png=png))
            self._changed.set()

    def _save(self, sheet: Sheet) -> Path | None:
        if self._out is None:
            return None
        png = self._out / f"receipt-{self._next_number:04}.png"
        self._next_number += 1
        sheet.draw().save(png)
        return png

    def _status(self, kind: int) -> int:
        """DLE EOT: bits 1 and 4 are always set; 1 printer, 2 cause of off-line, 3 error, 4 paper sensor."""
        status = 0x12
        if kind == 1 and self.is_stopped:
            status |= 0x08
        elif kind == 2:  # noqa: PLR2004 - DLE EOT 2
            status |= 0x04 * self._cover_open | 0x20 * self._paper_out
        elif kind == 4 and self._paper_out:  # noqa: PLR2004 - DLE EOT 4
            status |= 0x6C
        return status

    def _control_flow(self) -> None:
        """Hold the host off while the buffer is nearly full or the printer is stopped."""
        free = self._buffer_bytes - len(self._buffer)
        if self._master < 0:
            return
        if self._flow == "rtscts":
            self._read(on=free > 0)
        elif self._flow == "xonxoff":
            if not self._is_holding and (self.is_stopped or free <= XOFF_FREE * self._buffer_bytes):
                self._is_holding = True
                self._answer(_XOFF)
            elif self._is_holding and not self.is_stopped and free >= XON_FREE * self._buffer_bytes:
                self._is_holding = False
                self._answer(_XON)

    def _answer(self, data: bytes) -> None:
        """Send to the host; what it does not read is lost."""
        if self._master >= 0:
            with suppress(BlockingIOError):
                os.write(self._master, data)


_COMMANDS: dict[str, Callable[[SimulatedPrinter], None]] = {
    "paper out": lambda printer: printer.set_paper(is_out=True),
    "paper ok": lambda printer: printer.set_paper(is_out=False),
    "cover open": lambda printer: printer.set_cover(is_open=True),
    "cover closed": lambda printer: printer.set_cover(is_open=False),
    "offline": lambda printer: printer.set_online(is_online=False),
    "online": lambda printer: printer.set_online(is_online=True),
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``simulate printer``."""
    parser.add_argument("--link", type=Path, metavar="PATH", help="keep a symbolic link to the device here")
    parser.add_argument("--out", type=Path, default=Path("receipts"), metavar="DIR", help="where the pictures go")
    parser.add_argument("--width", type=int, choices=(384, 512, 576), default=384, help="dots across the paper")
    parser.add_argument("--encoding", choices=("gbk", "gb18030", "utf-8"), default="gbk", help="character set")
    parser.add_argument("--flow", choices=("rtscts", "xonxoff", "none"), default="rtscts", help="flow control")
    parser.add_argument("--speed", type=int, default=0, metavar="N", help="bytes printed per second; 0: at once")


def main(args: argparse.Namespace) -> int:
    """Run a printer until it is interrupted; its conditions are typed on standard input."""
    if note := font_note():
        print(f"note: {note}", file=sys.stderr)
    printer = SimulatedPrinter(
        out=args.out,
        width_dots=args.width,
        encoding=args.encoding,
        flow=args.flow,
        bytes_per_second=args.speed,
        link=args.link,
    )
    try:
        asyncio.run(_serve(printer, args.link))
    except OSError as exc:
        print(f"simulate printer: {exc}", file=sys.stderr)
        return 1
    return 0


async def _serve(printer: SimulatedPrinter, link: Path | None) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    async with printer:
        print(f"printer on {link or printer.device}", flush=True)
        print(f'[printer] driver = "serial", device = "{link or printer.device}"', flush=True)
        print("commands: " + ", ".join(_COMMANDS), flush=True)
        # A thread, because standard input may be a file, which an event loop can not wait for.
        threading.Thread(target=_read_commands, args=(loop, printer), daemon=True).start()
        stopping = asyncio.create_task(stop.wait())
        count = 0
        while not stopping.done():
            printing = asyncio.create_task(printer.wait_receipt(count + 1))
            await asyncio.wait({stopping, printing}, return_when=asyncio.FIRST_COMPLETED)
            if printing.done():
                count += 1
                print(f"printed {printing.result().png}", flush=True)
            printing.cancel()


def _read_commands(loop: asyncio.AbstractEventLoop, printer: SimulatedPrinter) -> None:
    for line in sys.stdin:
        command = " ".join(line.split()).lower()
        if not command:
            continue
        perform = _COMMANDS.get(command)
        if perform is None:
            print("not a command; there are: " + ", ".join(_COMMANDS), flush=True)
            continue
        with suppress(RuntimeError):  # the loop has ended
            loop.call_soon_threadsafe(perform, printer)
