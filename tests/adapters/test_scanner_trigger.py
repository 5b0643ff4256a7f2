"""Engines that the host switches on and off, on real pseudo terminals."""

import asyncio
import contextlib
import logging
import os
import signal
import subprocess
import sys
import termios
import tty
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator

import pytest

from terminald.adapters.scanner_serial import SerialScanner
from terminald.adapters.scanner_trigger import Trigger
from terminald.errors import DeviceLost
from terminald.simulator.scanner import ENGINES, SUFFIXES, Engine, ScannerWindow, SimulatedScanner
from terminald.wire.barcode import Suffix
from tests.log_lines import lines

CODE = "130812345678901147"
PRODUCT = "6901234567892"
GM65 = ENGINES["gm65"]
WAIT_S = 20


async def quiet() -> None:
    """Settle at once."""


class Scene:
    """A simulated engine, and the scanner that the daemon has for it; armed until a payment code comes."""

    def __init__(self, engine: Engine, *, suffix: Suffix = "auto", end: str = "\r") -> None:
        self.simulated = SimulatedScanner()
        self.window = ScannerWindow(self.simulated, engine=engine, suffix=end, interval_s=0.01)
        self.frames: asyncio.Queue[str] = asyncio.Queue()
        self.scanner = SerialScanner(
            name="front",
            device=self.simulated.path,
            baudrate=115_200,
            suffix=suffix,
            on_frame=self._take,
            trigger_on=engine.on,
            trigger_off=engine.off,
            settle=quiet,
        )

    def _take(self, _: str, text: str) -> None:
        self.frames.put_nowait(text)
        if text != PRODUCT:
            self.scanner.disarm()

    async def heard(self, *commands: str) -> None:
        """Return when the engine has heard exactly these."""
        assert await asyncio.to_thread(self.window.wait, lambda: self.window.heard == list(commands)), self.window.heard

    async def frame(self) -> str:
        async with asyncio.timeout(WAIT_S):
            return await self.frames.get()

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[asyncio.Task[None]]:
        await self.scanner.open()
        task = asyncio.create_task(self.scanner.run())
        try:
            yield task
        finally:
            task.cancel()
            await asyncio.wait([task])
            await self.scanner.close()


@contextlib.contextmanager
def scene(kind: str = "gm65", *, suffix: Suffix = "auto", end: str = "\r") -> Iterator[Scene]:
    made = Scene(ENGINES[kind], suffix=suffix, end=end)
    with made.simulated, made.window:
        yield made


def test_it_is_on_while_armed_and_off_at_the_beginning_and_at_the_end() -> None:
    async def story(it: Scene) -> None:
        async with it.running():
            await it.heard("off")
            it.scanner.arm()
            await it.heard("off", "on")
            it.scanner.disarm()
            await it.heard("off", "on", "off")
            it.scanner.arm()
            await it.heard("off", "on", "off", "on")
        await it.heard("off", "on", "off", "on", "off")
        it.scanner.disarm()
        assert it.scanner.counters.untaken == 0

    with scene() as it:
        asyncio.run(story(it))


def test_a_scanner_that_was_armed_before_it_is_opened_is_off_first_and_then_on() -> None:
    async def story(it: Scene) -> None:
        it.scanner.arm()
        async with it.running():
            await it.heard("off", "on")

    with scene() as it:
        asyncio.run(story(it))


@pytest.mark.parametrize("kind", ENGINES)
@pytest.mark.parametrize("suffix", ["auto", "cr", "lf", "crlf", "tab", "none"])
def test_codes_are_exact_among_the_replies_of_each_engine(kind: str, suffix: Suffix) -> None:
    async def story(it: Scene) -> None:
        async with it.running():
            for number in range(3):
                code = f"{CODE}{number}"
                it.scanner.arm()
                it.window.show(code)
                assert await it.frame() == code
        assert it.scanner.counters.garbled == it.scanner.counters.truncated == 0

    with scene(kind, suffix=suffix, end=SUFFIXES["cr" if suffix == "auto" else suffix]) as it:
        asyncio.run(story(it))


@pytest.mark.parametrize("first", [PRODUCT, "二维码"])
def test_an_engine_that_has_read_something_else_is_switched_on_again(first: str) -> None:
    async def story(it: Scene) -> None:
        async with it.running():
            it.scanner.arm()
            await it.heard("off", "on")
            it.window.show(first)
            await it.heard("off", "on", "on")
            it.window.show(CODE)
            assert await it.frame() == (PRODUCT if first == PRODUCT else CODE)
            await it.heard("off", "on", "on", "off")

    with scene() as it:
        asyncio.run(story(it))


def test_a_phone_that_stays_is_read_once_for_each_arming() -> None:
    async def story(it: Scene) -> None:
        async with it.running():
            it.window.leave(CODE)
            for _ in range(3):
                it.scanner.arm()
                assert await it.frame() == CODE
        assert it.scanner.counters.delivered == 3

    with scene() as it:
        asyncio.run(story(it))


def test_a_scanner_without_commands_is_sent_nothing() -> None:
    async def story(it: Scene) -> None:
        scanner = SerialScanner(
            name="front", device=it.simulated.path, baudrate=9600, suffix="cr", on_frame=it._take, settle=quiet
        )
        await scanner.open()
        scanner.arm()
        scanner.disarm()
        await scanner.close()
        async with it.running():
            await it.heard("off")

    with scene() as it:
        asyncio.run(story(it))


def test_an_unplugged_engine_is_lost_and_not_written_to() -> None:
    async def story(it: Scene) -> None:
        async with it.running() as task:
            it.scanner.arm()
            it.simulated.unplug()
            it.scanner.disarm()
            it.scanner.arm()
            with pytest.raises(DeviceLost):
                await asyncio.wait_for(task, WAIT_S)

    with scene() as it:
        asyncio.run(story(it))


KILLED = """
import asyncio, os, signal, sys
from terminald.adapters.scanner_serial import SerialScanner
async def main():
    on, off = (bytes.fromhex(each) for each in sys.argv[2:])
    scanner = SerialScanner(name="front", device=sys.argv[1], baudrate=9600, suffix="cr", on_frame=print,
                            trigger_on=on, trigger_off=off)
    await scanner.open()
    scanner.arm()
    print("armed", flush=True)
    await scanner.run()
asyncio.run(main())
"""


def test_an_engine_that_a_killed_process_left_on_is_switched_off() -> None:
    async def story(it: Scene) -> None:
        async with it.running():
            await it.heard("off", "on", "off")
            assert not it.window.is_lit

    with scene() as it:
        command = [sys.executable, "-c", KILLED, it.simulated.path, GM65.on.hex(), GM65.off.hex()]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == b"armed\n"
            assert it.window.wait(lambda: it.window.is_lit)
            process.send_signal(signal.SIGKILL)
            assert process.wait(WAIT_S) == -signal.SIGKILL
        assert it.window.is_lit
        asyncio.run(story(it))


class Stuck:
    """A line whose other end can keep everything from being sent."""

    def __init__(self) -> None:
        self.far, self.near = os.openpty()
        tty.setraw(self.near)
        os.set_blocking(self.near, False)
        os.set_blocking(self.far, False)

    def hold(self, *, on: bool) -> None:
        termios.tcflow(self.near, termios.TCOOFF if on else termios.TCOON)

    async def read(self, count: int) -> bytes:
        data = b""
        loop = asyncio.get_running_loop()
        while len(data) < count:
            readable = asyncio.Event()
            loop.add_reader(self.far, readable.set)
            async with asyncio.timeout(WAIT_S):
                await readable.wait()
            loop.remove_reader(self.far)
            data += os.read(self.far, count - len(data))
        return data

    def has_more(self) -> bool:
        with contextlib.suppress(BlockingIOError):
            return bool(os.read(self.far, 1))
        return False

    def close(self) -> None:
        os.close(self.near)
        os.close(self.far)


def on_a_stuck_line(story: Coroutine[None, None, None], line: Stuck) -> None:
    try:
        asyncio.run(story)
    finally:
        line.close()


def test_a_line_that_takes_nothing_gets_the_newest_wish_later() -> None:
    line = Stuck()

    async def story() -> None:
        trigger = Trigger("front", on=b"<on>", off=b"<off>")
        line.hold(on=True)
        trigger.attach(line.near)
        for is_on in (True, False, True):
            trigger.switch(is_on=is_on)
        line.hold(on=False)
        assert await line.read(4) == b"<on>"
        trigger.switch(is_on=False)
        assert await line.read(5) == b"<off>"
        assert not line.has_more()
        assert trigger.detach()
        assert await line.read(5) == b"<off>"
        assert not trigger.detach()
        assert trigger.untaken == 0

    on_a_stuck_line(story(), line)


def test_a_command_of_which_a_part_has_left_is_finished_first() -> None:
    line = Stuck()
    long = b"N" * 100_000

    async def story() -> None:
        trigger = Trigger("front", on=long, off=b"<off>")
        trigger.attach(line.near)
        trigger.switch(is_on=True)
        trigger.switch(is_on=True)
        trigger.switch(is_on=False)
        assert await line.read(5 + len(long) + 5) == b"<off>" + long + b"<off>"

    on_a_stuck_line(story(), line)


def test_a_command_that_is_never_taken_is_given_up_counted_and_told_once(caplog: pytest.LogCaptureFixture) -> None:
    line = Stuck()

    async def given_up(trigger: Trigger, count: int) -> None:
        async with asyncio.timeout(WAIT_S):
            while trigger.untaken < count:  # noqa: ASYNC110 - the trigger tells nobody
                await asyncio.sleep(0.001)

    async def story() -> None:
        trigger = Trigger("front", on=b"<on>", off=b"<off>", limit_s=0.01)
        line.hold(on=True)
        trigger.attach(line.near)
        await given_up(trigger, 1)
        trigger.switch(is_on=True)
        await given_up(trigger, 2)
        line.hold(on=False)
        assert not line.has_more()
        trigger.switch(is_on=True)
        assert await line.read(4) == b"<on>"
        line.hold(on=True)
        trigger.switch(is_on=False)
        await given_up(trigger, 3)
        assert trigger.detach()

    with caplog.at_level(logging.WARNING):
        on_a_stuck_line(story(), line)
    told = "a scanner's line takes no trigger command; check the cable and flow control device=front"
    assert lines(caplog.records) == [told] * 2


async def until(is_so: Callable[[], bool]) -> None:
    async with asyncio.timeout(WAIT_S):
        while not is_so():  # noqa: ASYNC110 - the trigger tells nobody
            await asyncio.sleep(0.001)


def timers() -> int:
    """Count what the running loop would still wake up for, timers that were cancelled left out."""
    scheduled: list[asyncio.TimerHandle] = getattr(asyncio.get_running_loop(), "_scheduled")  # noqa: B009 - private
    return sum(not timer.cancelled() for timer in scheduled)


def test_an_engine_that_could_not_be_switched_off_is_switched_off_as_soon_as_the_line_takes_it() -> None:
    """I11. However long the line was held; and once it has taken the command, nothing wakes up any more."""
    line = Stuck()

    async def story() -> None:
        trigger = Trigger("front", on=b"<on>", off=b"<off>", limit_s=0.01, retry_s=0.01)
        trigger.attach(line.near)
        trigger.switch(is_on=True)
        assert await line.read(9) == b"<off><on>"
        line.hold(on=True)
        trigger.switch(is_on=False)
        await until(lambda: trigger.untaken >= 3)
        line.hold(on=False)
        assert await line.read(5) == b"<off>"
        await until(lambda: timers() == 1)  # that of until
        assert not line.has_more()

    on_a_stuck_line(story(), line)


def test_only_the_newest_wish_is_tried_again() -> None:
    line = Stuck()

    async def story() -> None:
        trigger = Trigger("front", on=b"<on>", off=b"<off>", limit_s=0.01, retry_s=WAIT_S)
        line.hold(on=True)
        trigger.attach(line.near)
        await until(lambda: trigger.untaken == 1)
        trigger.switch(is_on=True)
        await until(lambda: trigger.untaken == 2)
        line.hold(on=False)
        trigger.switch(is_on=False)
        assert await line.read(5) == b"<off>"
        assert timers() == 0
        line.hold(on=True)
        trigger.switch(is_on=True)
        await until(lambda: trigger.untaken == 3)
        assert timers() == 1
        trigger.detach()
        assert timers() == 0

    on_a_stuck_line(story(), line)


def test_half_a_pair_of_commands_is_enough() -> None:
    line = Stuck()

    async def story() -> None:
        trigger = Trigger("front", on=b"<on>", off=b"")
        trigger.attach(line.near)
        line.hold(on=True)
        trigger.switch(is_on=True)
        trigger.switch(is_on=False)
        line.hold(on=False)
        await asyncio.sleep(0.02)
        assert not line.has_more()
        trigger.switch(is_on=True)
        assert await line.read(4) == b"<on>"
        trigger.repeat()
        trigger.repeat()
        assert await line.read(4) == b"<on>"
        trigger.repeat()
        assert not trigger.detach()
        Trigger("front", on=b"", off=b"<off>").repeat()

    on_a_stuck_line(story(), line)
