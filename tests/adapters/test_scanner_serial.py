"""The serial scanner on real pseudo terminals."""

import asyncio
import contextlib
import os
import selectors
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator
from pathlib import Path

import pytest

from terminald.adapters.ports_devices import DeviceReport, DeviceState, Scanner
from terminald.adapters.scanner_serial import DRAIN_READS, READ_LIMIT, SerialScanner
from terminald.adapters.serial_opening import open_line
from terminald.adapters.supervisor import Backoff, supervise
from terminald.errors import DeviceAbsent, DeviceHeld, DeviceLost
from terminald.simulator.scanner import SimulatedScanner
from terminald.wire.barcode import Suffix

CODE = "130812345678901147"
OTHER = "284412345678905566"
LAST = "6222222222222222222"
WAIT_S = 20


class Sink:
    """What the engine would be told."""

    def __init__(self) -> None:
        self.frames: list[str] = []
        self._arrived = asyncio.Event()

    def __call__(self, name: str, text: str) -> None:
        assert name == "front"
        self.frames.append(text)
        self._arrived.set()

    async def wait_for(self, text: str) -> None:
        """Return when this frame has come."""
        async with asyncio.timeout(WAIT_S):
            while text not in self.frames:
                self._arrived.clear()
                await self._arrived.wait()


@pytest.fixture
def simulated(tmp_path: Path) -> Iterator[SimulatedScanner]:
    with SimulatedScanner(link=tmp_path / "scanner0") as scanner:
        yield scanner


async def quiet() -> None:
    """Settle at once."""


def build(
    simulated: SimulatedScanner, sink: Sink, *, suffix: Suffix = "auto", settle: Callable[[], Awaitable[None]] = quiet
) -> SerialScanner:
    return SerialScanner(
        name="front", device=simulated.path, baudrate=115_200, suffix=suffix, on_frame=sink, settle=settle
    )


@contextlib.asynccontextmanager
async def serving(scanner: SerialScanner) -> AsyncIterator[asyncio.Task[None]]:
    """Open and run the scanner; it is closed at the end, and its fault comes out of the task."""
    await scanner.open()
    task = asyncio.create_task(scanner.run())
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.wait([task])
        await scanner.close()


async def until_counted(scanner: SerialScanner, unarmed: int) -> None:
    async with asyncio.timeout(WAIT_S):
        while True:
            if scanner.counters.unarmed >= unarmed:
                return
            await asyncio.sleep(0)


class WatchedSelector(selectors.DefaultSelector):
    """A selector that tells when the loop waits with nothing else to do, and what it listens to."""

    def __init__(self) -> None:
        super().__init__()
        self.waits_for_ever = threading.Event()

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:
            self.waits_for_ever.set()
        return super().select(timeout)

    def run(self, scenario: Coroutine[None, None, None]) -> None:
        with asyncio.Runner(loop_factory=lambda: asyncio.SelectorEventLoop(self)) as runner:
            runner.run(scenario)


def test_it_is_a_scanner(simulated: SimulatedScanner) -> None:
    async def scenario() -> None:
        scanner: Scanner = build(simulated, Sink())
        assert scanner.kind == "scanner"

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("suffix", "end"), [("auto", "\r\n"), ("cr", "\r"), ("lf", "\n"), ("crlf", "\r\n"), ("tab", "\t"), ("none", "")]
)
@pytest.mark.parametrize("chunk", [None, 1])
def test_a_scan_is_delivered_whole_whatever_its_suffix(
    simulated: SimulatedScanner, suffix: Suffix, end: str, chunk: int | None
) -> None:
    async def scenario() -> None:
        sink = Sink()
        scanner = build(simulated, sink, suffix=suffix)
        async with serving(scanner):
            scanner.arm()
            simulated.scan(CODE, prefix="]Q1", suffix=end, chunk=chunk)
            await sink.wait_for(f"]Q1{CODE}")
            assert sink.frames == [f"]Q1{CODE}"]
            assert scanner.counters.delivered == 1

    asyncio.run(scenario())


def test_only_what_is_scanned_while_armed_is_delivered(simulated: SimulatedScanner) -> None:
    async def scenario() -> None:
        sink = Sink()
        scanner = build(simulated, sink)
        async with serving(scanner):
            simulated.scan(CODE)
            await until_counted(scanner, 1)
            scanner.arm()
            simulated.scan(OTHER)
            await sink.wait_for(OTHER)
            scanner.disarm()
            simulated.scan(CODE)
            await until_counted(scanner, 2)
            assert sink.frames == [OTHER]

    asyncio.run(scenario())


def test_scans_that_wait_in_the_line_when_armed_are_discarded(simulated: SimulatedScanner) -> None:
    async def scenario() -> None:
        sink = Sink()
        scanner = build(simulated, sink)
        await scanner.open()
        simulated.scan(CODE)
        scanner.arm()
        simulated.scan(OTHER)
        assert scanner.counters.unarmed == 1
        task = asyncio.create_task(scanner.run())
        await sink.wait_for(OTHER)
        assert sink.frames == [OTHER]
        task.cancel()
        await asyncio.wait([task])
        await scanner.close()

    asyncio.run(scenario())


@pytest.mark.parametrize("suffix", ["auto", "cr"])
def test_a_code_of_which_a_part_came_before_arming_is_discarded_whole(
    simulated: SimulatedScanner, suffix: Suffix
) -> None:
    async def scenario() -> None:
        sink = Sink()
        scanner = build(simulated, sink, suffix=suffix)
        async with serving(scanner):
            simulated.scan(CODE[:2], suffix="")
            scanner.arm()
            simulated.scan(CODE[2:])
            simulated.scan(OTHER)
            await sink.wait_for(OTHER)
            assert sink.frames == [OTHER]

    asyncio.run(scenario())


def test_arming_on_a_line_that_is_full_flushes_it_and_drops_the_code_that_the_flush_cut(
    simulated: SimulatedScanner,
) -> None:
    async def scenario() -> None:
        sink = Sink()
        scanner = build(simulated, sink)
        await scanner.open()
        assert simulated.send(b"1\r" * (READ_LIMIT * DRAIN_READS // 2 + 250))
        scanner.arm()
        assert simulated.scan(CODE[5:])
        assert simulated.scan(OTHER)
        task = asyncio.create_task(scanner.run())
        await sink.wait_for(OTHER)
        assert sink.frames == [OTHER]
        task.cancel()
        await asyncio.wait([task])
        await scanner.close()

    asyncio.run(scenario())


def test_a_sink_that_disarms_or_arms_gets_no_more_of_what_was_received_before(simulated: SimulatedScanner) -> None:
    async def scenario(*, arms: bool) -> None:
        sink = Sink()

        def first_only(name: str, text: str) -> None:
            sink(name, text)
            scanner.disarm()
            if arms:
                scanner.arm()

        scanner = SerialScanner(
            name="front", device=simulated.path, baudrate=9600, suffix="auto", on_frame=first_only, settle=quiet
        )
        async with serving(scanner):
            scanner.arm()
            simulated.send(f"{CODE}\r{OTHER}\r".encode())
            await until_counted(scanner, 1)
            assert sink.frames == [CODE]

    asyncio.run(scenario(arms=False))
    asyncio.run(scenario(arms=True))


def test_what_arrives_while_the_line_settles_is_noise(simulated: SimulatedScanner) -> None:
    async def scenario() -> None:
        async def chatter() -> None:
            simulated.scan("9" * 17)
            simulated.scan(CODE[:2], suffix="")

        sink = Sink()
        scanner = build(simulated, sink, settle=chatter)
        scanner.arm()
        async with serving(scanner):
            simulated.scan(CODE[2:])
            simulated.scan(OTHER)
            await sink.wait_for(OTHER)
            assert sink.frames == [OTHER]

    asyncio.run(scenario())


def test_a_scanner_that_is_not_open_can_be_armed_and_closed_but_not_run(simulated: SimulatedScanner) -> None:
    async def scenario() -> None:
        scanner = build(simulated, Sink())
        scanner.arm()
        scanner.disarm()
        await scanner.close()
        with pytest.raises(DeviceLost):
            await scanner.run()

    asyncio.run(scenario())


def test_a_hang_up_ends_the_run_and_leaves_no_reader_behind(simulated: SimulatedScanner) -> None:
    """A hung-up line is readable for ever: a reader that stayed would spin."""
    selector = WatchedSelector()

    async def scenario() -> None:
        scanner = build(simulated, Sink())
        listened_to = set(selector.get_map())
        async with serving(scanner) as task:
            scanner.arm()
            await asyncio.sleep(0)
            assert len(set(selector.get_map()) - listened_to) == 1
            simulated.unplug()
            scanner.arm()
            with pytest.raises(DeviceLost, match="went away"):
                await asyncio.wait_for(task, WAIT_S)
            assert set(selector.get_map()) == listened_to

    selector.run(scenario())


def test_a_quiet_line_causes_no_wake_up(simulated: SimulatedScanner) -> None:
    selector = WatchedSelector()

    def scan_when_all_is_quiet() -> bool:
        return selector.waits_for_ever.wait(WAIT_S) and simulated.scan(OTHER)

    async def scenario() -> None:
        sink = Sink()
        scanner = build(simulated, sink)
        async with serving(scanner):
            scanner.arm()
            simulated.scan(CODE)
            await sink.wait_for(CODE)
            selector.waits_for_ever.clear()
            assert await asyncio.to_thread(scan_when_all_is_quiet)
            await sink.wait_for(OTHER)

    selector.run(scenario())


def test_a_megabyte_of_noise_neither_stalls_the_loop_nor_hides_the_next_code(simulated: SimulatedScanner) -> None:
    """I8: a bounded number of bytes is read per turn of the loop."""

    async def scenario() -> None:
        sink = Sink()
        scanner = build(simulated, sink)
        turns = 0
        async with serving(scanner):
            scanner.arm()
            writing = asyncio.create_task(asyncio.to_thread(simulated.noise, 1 << 20))
            while not writing.done():
                turns += 1
                await asyncio.sleep(0)
            assert await writing
            simulated.scan("", suffix="\r")
            simulated.scan(CODE)
            await sink.wait_for(CODE)
            assert turns > (1 << 20) // READ_LIMIT / 2
            assert scanner.counters.garbled > 0

    asyncio.run(scenario())


def test_a_line_has_one_owner(simulated: SimulatedScanner) -> None:
    async def scenario() -> None:
        first, second = build(simulated, Sink()), build(simulated, Sink())
        await first.open()
        with pytest.raises(DeviceHeld, match="held by terminald itself"):
            await second.open()
        await first.close()
        await first.close()
        await second.open()
        await second.close()

    asyncio.run(scenario())


def test_an_absent_device_and_a_file_say_what_they_are(tmp_path: Path) -> None:
    async def scenario(path: Path, said: str) -> None:
        scanner = SerialScanner(name="front", device=str(path), baudrate=9600, suffix="cr", on_frame=Sink())
        with pytest.raises(DeviceAbsent, match=said) as caught:
            await scanner.open()
        assert caught.value.device == "front"
        assert str(path) in caught.value.detail

    (tmp_path / "file").touch()
    asyncio.run(scenario(tmp_path / "absent", "is not there"))
    asyncio.run(scenario(tmp_path / "file", "not a serial line"))


def test_an_opening_that_is_cancelled_does_not_keep_the_line(simulated: SimulatedScanner) -> None:
    async def scenario() -> None:
        scanner = build(simulated, Sink())
        opening = asyncio.create_task(scanner.open())
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        opening.cancel()
        with pytest.raises(asyncio.CancelledError):
            await opening
        again = build(simulated, Sink())
        async with asyncio.timeout(WAIT_S):
            while True:
                try:
                    await again.open()
                except DeviceAbsent:
                    continue
                break
        await again.close()

    asyncio.run(scenario())


def test_reading_an_empty_line_is_not_a_hang_up(simulated: SimulatedScanner) -> None:
    line = open_line(simulated.path, 9600)
    with pytest.raises(BlockingIOError):
        os.read(line.fileno(), 1)
    line.close()


def test_a_scanner_that_is_unplugged_and_plugged_in_again_goes_on(simulated: SimulatedScanner) -> None:
    """I8: it stays armed, and is found under its stable path."""

    async def scenario() -> None:
        sink = Sink()
        scanner = build(simulated, sink)
        reports: asyncio.Queue[DeviceReport] = asyncio.Queue()
        backoff = Backoff(first_s=0.001, longest_s=0.01, longest_absent_s=0.01)
        task = asyncio.create_task(supervise(scanner, reports.put_nowait, jitter=lambda: 0.5, backoff=backoff))
        scanner.arm()
        async with asyncio.timeout(WAIT_S):
            for code in (CODE, OTHER, LAST):
                assert (await reports.get()).state is DeviceState.READY
                simulated.scan(code)
                await sink.wait_for(code)
                simulated.unplug()
                assert "went away" in (await reports.get()).detail
                assert "not there" in (await reports.get()).detail
                simulated.replug()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert sink.frames == [CODE, OTHER, LAST]

    asyncio.run(scenario())
