"""Nothing that a device does delays the event loop by more than 50 ms: on real lines, with the real supervisor.

A turn that is too long because the machine is busy is not the code's fault, and comes at random; one that is too long
because something blocks comes each time. So the scene is played again where a turn was too long, and fails when that
was so each time.
"""

import asyncio
import os
import pty
import random
import re
import select
import threading
import time
import tty
from collections.abc import Awaitable, Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from terminald.adapters.device_watch import DeviceWatch
from terminald.adapters.ports_devices import Device, DeviceReport, DeviceState
from terminald.adapters.printer_dialog import PrinterDialog
from terminald.adapters.printer_questions import TIMING
from terminald.adapters.printer_serial import SerialPrinter
from terminald.adapters.scanner_serial import SerialScanner
from terminald.adapters.supervisor import Backoff, Flapping, supervise
from terminald.core.events import PrintAnswer
from terminald.core.receipt import Line
from terminald.simulator.scanner import SimulatedScanner
from terminald.wire.barcode import classify
from terminald.wire.escpos import Profile, encode
from tests.measured_loop import MeasuredLoop

LIMIT_S = 0.05
TRIES = 4
FLOOD = 1 << 20
FLAPS = 60
PATTERN = re.compile("^[0-9]{16,24}$")
#: Faster than in life: more openings and more questions in the same time.
IMPATIENT = replace(TIMING, answer_s=0.03, look_s=0.02, stall_s=0.04, blind_s=0.1, poll_s=0.05)
EAGER = Backoff(first_s=0.01, longest_lost_s=0.02, longest_flapping_s=0.02, settle_s=0.01, longest_settle_s=0.02)


def longest_turn_s(play: Callable[[], Awaitable[None]]) -> float:
    """Play a scene on a loop of its own; return the longest turn of that."""
    loop = MeasuredLoop()
    try:
        loop.run_until_complete(play())
        assert loop.measured.turns > 1
        return loop.measured.longest_s
    finally:
        loop.close()


def is_kept_waiting(play: Callable[[], Awaitable[None]]) -> bool:
    """Whether the loop was kept waiting each time that the scene was played."""
    return all(longest_turn_s(play) > LIMIT_S for _ in range(TRIES))


class HoldingPrinter:
    """The far end of a serial line: takes a little, says XOFF, and holds the line until it is let go."""

    def __init__(self, path: Path) -> None:
        self._master, self._slave = pty.openpty()
        tty.setraw(self._slave)
        path.unlink(missing_ok=True)
        path.symlink_to(os.ttyname(self._slave))
        self.received = 0
        self.is_holding = threading.Event()
        self._release = threading.Event()
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        poll = select.poll()
        poll.register(self._master, select.POLLIN)
        while not self._is_over.is_set():
            if not poll.poll(50):
                continue
            self.received += len(os.read(self._master, 4096))
            if self.received > 200 and not self.is_holding.is_set():
                os.write(self._master, b"\x13")
                self.is_holding.set()
                while not self._release.wait(0.02) and not self._is_over.is_set():
                    os.write(self._master, b"\x13\x00\xff\x16")  # says it again, and nonsense
                os.write(self._master, b"\x11")

    def let_go(self) -> None:
        self._release.set()

    def flood(self) -> None:
        """Say a megabyte of nonsense, as a printer with another speed does, or one that sends back what it gets."""
        noise = memoryview(random.Random(7).randbytes(FLOOD).translate(None, b"\x11\x13"))
        while noise:
            noise = noise[os.write(self._master, noise[:16_384]) :]

    def end(self) -> None:
        self._is_over.set()
        self._thread.join()
        os.close(self._master)
        os.close(self._slave)


def flood(scanner: SimulatedScanner) -> None:
    """Send a megabyte: of noise, of codes, and of a line that never ends."""
    noise = random.Random(5).randbytes(FLOOD // 2)
    codes = b"134679085213467908\r" * (FLOOD // 4 // 19)
    for data in (noise, codes, b"7" * (FLOOD // 4)):
        for start in range(0, len(data), 16_384):
            assert scanner.send(data[start : start + 16_384])


def flap(scanner: SimulatedScanner, directory: Path) -> None:
    """Let a device come and go, and others around it."""
    for number in range(FLAPS):
        scanner.unplug()
        for other in range(8):
            node = directory / f"ttyUSB{other}"
            node.write_text("")
            node.chmod(0o660)
        scanner.replug()
        for other in range(8):
            (directory / f"ttyUSB{other}").unlink()
        time.sleep(0.06 if number % 2 else 0.001)


class Scene:
    """A flooding scanner, a flapping one, and a flooding printer that holds its line, in the care of supervisors."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.codes = 0
        self.reports: list[DeviceReport] = []

    async def play(self) -> None:
        dev = self.directory
        printer = HoldingPrinter(dev / "printer")
        loop = asyncio.get_running_loop()
        with SimulatedScanner(link=dev / "flooding") as flooding, SimulatedScanner(link=dev / "flapping") as flapping:
            watch = DeviceWatch()
            devices = [self._scanner("flooding"), self._scanner("flapping")]
            transport = SerialPrinter(device=str(dev / "printer"), baudrate=115_200, flow="xonxoff")
            dialog = PrinterDialog(transport, asks=True, confirm="none", report=self.reports.append, timing=IMPATIENT)
            cared_for: list[Device] = [*devices, dialog]
            keepers = [asyncio.ensure_future(self._keep(one, watch)) for one in cared_for]
            try:
                await self._until(lambda: {one.name for one in self.reports} >= {"flooding", "flapping", "printer"})
                for device in devices:
                    device.arm()
                printing = asyncio.ensure_future(dialog.print(self._draw, self._tell, may_repeat=False))
                await self._until(printer.is_holding.is_set)
                troubles = [
                    loop.run_in_executor(None, partial(flood, flooding)),
                    loop.run_in_executor(None, partial(flap, flapping, dev)),
                    loop.run_in_executor(None, printer.flood),
                ]
                await asyncio.gather(*troubles)
                assert not printing.done()
                printer.let_go()
                await printing
                assert printer.received > 20_000
                assert self.codes > 1000
            finally:
                for keeper in keepers:
                    keeper.cancel()
                await asyncio.wait(keepers)
                watch.close()
                await asyncio.to_thread(printer.end)

    def _scanner(self, name: str) -> SerialScanner:
        device = str(self.directory / name)
        return SerialScanner(name=name, device=device, baudrate=9600, suffix="auto", on_frame=self._take)

    def _take(self, _: str, text: str) -> None:
        classify(text, PATTERN)
        self.codes += 1

    async def _keep(self, device: Device, watch: DeviceWatch) -> None:
        calm = Flapping(losses=10 * FLAPS)
        await supervise(device, self.reports.append, jitter=lambda: 0.5, watch=watch, backoff=EAGER, flapping=calm)

    async def _draw(self) -> bytes:
        profile = Profile(columns=32, width_dots=384, encoding="raster", cut="full")
        lines = [Line(text=f"line {number} of a long receipt") for number in range(60)]
        return await asyncio.to_thread(encode, lines, profile)

    def _tell(self, _: PrintAnswer) -> None:
        pass

    async def _until(self, is_so: Callable[[], bool]) -> None:
        async with asyncio.timeout(30):
            while not is_so():  # noqa: ASYNC110 - several events, in several threads
                await asyncio.sleep(0.01)


def test_no_device_keeps_the_loop_waiting(tmp_path: Path) -> None:
    """A printer says XOFF, holds its line and floods a megabyte; so does a scanner; another comes and goes: at once."""
    scenes: list[Scene] = []

    async def play() -> None:
        directory = tmp_path / f"dev{len(scenes)}"
        directory.mkdir()
        scenes.append(Scene(directory))
        await scenes[-1].play()

    assert not is_kept_waiting(play)
    states = [(one.name, one.state) for one in scenes[-1].reports]
    assert states.count(("flapping", DeviceState.READY)) > 3
    assert states.count(("flapping", DeviceState.ABSENT)) > 3


@pytest.mark.parametrize("block", [lambda: time.sleep(LIMIT_S * 1.2), lambda: sum(range(10_000_000))])
def test_the_measure_sees_what_blocks(block: Callable[[], object]) -> None:
    """Whether it sleeps or computes; so that the test above can fail."""

    async def play() -> None:
        await asyncio.sleep(0.01)
        block()
        await asyncio.sleep(0.01)

    assert is_kept_waiting(play)


def test_the_measure_does_not_count_waiting_for_others() -> None:
    async def play() -> None:
        await asyncio.sleep(LIMIT_S * 3)

    assert not is_kept_waiting(play)
