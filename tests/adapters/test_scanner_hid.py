"""The keyboard scanner on a model of the kernel's event interface: real events, real descriptors, real readiness."""

import asyncio
import contextlib
import errno
import os
import random
import selectors
import socket
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator

import pytest
from evdev import ecodes

from terminald.adapters.input_nodes import DIRECTORY, InputNode, NoSuchKeyboard
from terminald.adapters.ports_devices import DeviceReport, DeviceState, Scanner
from terminald.adapters.scanner_hid import DRAIN_READS, READ_EVENTS, HidScanner
from terminald.adapters.supervisor import Backoff, supervise
from terminald.config_keyboard import KeyboardChoice
from terminald.errors import DeviceAbsent, DeviceLost
from terminald.wire.barcode import Suffix
from tests.adapters.kernel_keyboard import BUFFER, KernelKeyboard, code_of, packed, packet, strokes

CODE = "130812345678901147"
OTHER = "284412345678905566"
LAST = "6222222222222222222"
BY_ID = KeyboardChoice(by="id", text="05f9:2206")
WAIT_S = 20
#: Turns of the loop in which everything that can be read is read.
TURNS = 6


class Sink:
    """What the engine would be told."""

    def __init__(self, name: str = "front") -> None:
        self.frames: list[str] = []
        self._name = name
        self._arrived = asyncio.Event()

    def __call__(self, name: str, text: str) -> None:
        assert name == self._name
        self.frames.append(text)
        self._arrived.set()

    async def wait_for(self, text: str) -> None:
        """Return when this frame has come."""
        async with asyncio.timeout(WAIT_S):
            while text not in self.frames:
                self._arrived.clear()
                await self._arrived.wait()


@pytest.fixture
def keyboard() -> Iterator[KernelKeyboard]:
    with contextlib.closing(KernelKeyboard()) as device:
        yield device


async def quiet() -> None:
    """Settle at once."""


async def turn() -> None:
    """Let the scanner read what there is."""
    for _ in range(TURNS):
        await asyncio.sleep(0)


def build(
    keyboard: KernelKeyboard,
    sink: Sink,
    *,
    suffix: Suffix = "auto",
    settle: Callable[[], Awaitable[None]] = quiet,
    choice: KeyboardChoice = BY_ID,
    name: str = "front",
) -> HidScanner:
    return HidScanner(name=name, choice=choice, suffix=suffix, on_frame=sink, opener=keyboard.open, settle=settle)


@contextlib.asynccontextmanager
async def serving(scanner: HidScanner) -> AsyncIterator[asyncio.Task[None]]:
    """Open and run the scanner; it is closed at the end, and its fault comes out of the task."""
    await scanner.open()
    task = asyncio.create_task(scanner.run())
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.wait([task])
        await scanner.close()


async def until_counted(scanner: HidScanner, unarmed: int) -> None:
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


class TestScans:
    def test_it_is_a_scanner(self, keyboard: KernelKeyboard) -> None:
        async def scenario() -> None:
            scanner: Scanner = build(keyboard, Sink())
            assert scanner.kind == "scanner"

        asyncio.run(scenario())

    @pytest.mark.parametrize(
        ("suffix", "end"), [("auto", "\n"), ("auto", "\t"), ("cr", "\n"), ("tab", "\t"), ("none", "")]
    )
    def test_a_scan_is_delivered_whole_whatever_its_suffix(
        self, keyboard: KernelKeyboard, suffix: Suffix, end: str
    ) -> None:
        async def scenario() -> None:
            sink = Sink()
            scanner = build(keyboard, sink, suffix=suffix)
            async with serving(scanner):
                scanner.arm()
                for character in f"]Q1{CODE}{end}":
                    keyboard.type(character)
                    await turn()
                await sink.wait_for(f"]Q1{CODE}")
                assert sink.frames == [f"]Q1{CODE}"]
                assert scanner.counters.delivered == 1

        asyncio.run(scenario())

    def test_only_what_is_scanned_while_armed_is_delivered(self, keyboard: KernelKeyboard) -> None:
        async def scenario() -> None:
            sink = Sink()
            scanner = build(keyboard, sink)
            async with serving(scanner):
                await scan(keyboard, CODE)
                assert scanner.counters.unarmed == 1
                scanner.arm()
                await scan(keyboard, OTHER)
                scanner.disarm()
                await scan(keyboard, CODE)
                assert scanner.counters.unarmed == 2
                assert sink.frames == [OTHER]

        asyncio.run(scenario())

    def test_what_waits_to_be_read_when_armed_is_discarded_with_its_remainder(self, keyboard: KernelKeyboard) -> None:
        async def scenario() -> None:
            sink = Sink()
            scanner = build(keyboard, sink)
            async with serving(scanner):
                keyboard.type("11\n22\n12")
                scanner.arm()
                assert scanner.counters.unarmed == 2
                await scan(keyboard, CODE)
                await scan(keyboard, OTHER)
                assert sink.frames == [OTHER]

        asyncio.run(scenario())

    def test_a_sink_that_disarms_or_arms_gets_no_more_of_what_was_typed_before(self, keyboard: KernelKeyboard) -> None:
        async def scenario(*, arms: bool) -> None:
            sink = Sink()

            def first_only(name: str, text: str) -> None:
                sink(name, text)
                scanner.disarm()
                if arms:
                    scanner.arm()

            scanner = HidScanner(
                name="front", choice=BY_ID, suffix="auto", on_frame=first_only, opener=keyboard.open, settle=quiet
            )
            async with serving(scanner):
                scanner.arm()
                keyboard.type("123\n456\n")
                await turn()
                assert sink.frames == ["123"]
                assert scanner.counters.unarmed == 1

        asyncio.run(scenario(arms=False))
        asyncio.run(scenario(arms=True))

    def test_a_device_that_never_falls_silent_can_be_armed(self) -> None:
        """I8, I11: arming reads a bounded number of times, whatever the size of the buffer."""

        async def scenario() -> None:
            reading, writing = os.pipe2(os.O_NONBLOCK)
            scanner = HidScanner(
                name="front",
                choice=BY_ID,
                suffix="auto",
                on_frame=Sink(),
                opener=lambda _: InputNode(fd=reading, path="/dev/x", ioctl=lambda *_: None),
                settle=quiet,
            )
            await scanner.open()
            one, tab = packed(*packet(code_of("KEY_1"), 1)[1:]), packed(*packet(code_of("KEY_TAB"), 1)[1:])
            os.write(writing, (one + tab) * READ_EVENTS)
            scanner.arm()
            assert scanner.counters.dropped == 1
            assert scanner.counters.unarmed == DRAIN_READS * READ_EVENTS // 4
            await scanner.close()
            os.close(writing)

        asyncio.run(scenario())

    def test_two_scanners_do_not_disturb_each_other(self, keyboard: KernelKeyboard) -> None:
        async def scenario(second: KernelKeyboard) -> None:
            sinks = Sink("left"), Sink("right")
            left = build(keyboard, sinks[0], name="left")
            right = build(second, sinks[1], name="right", choice=KeyboardChoice(by="port", text="usb-1/input0"))
            async with serving(left), serving(right):
                left.arm()
                right.arm()
                for one, other in zip(strokes(CODE + "\n"), strokes(OTHER + "\n"), strict=True):
                    keyboard.move(*one)
                    second.move(*other)
                    await turn()
                assert [sink.frames for sink in sinks] == [[CODE], [OTHER]]

        with contextlib.closing(KernelKeyboard("/dev/input/event4")) as second:
            asyncio.run(scenario(second))

    def test_silence_causes_no_wake_up(self, keyboard: KernelKeyboard) -> None:
        selector = WatchedSelector()

        def scan_when_all_is_quiet() -> bool:
            is_quiet = selector.waits_for_ever.wait(WAIT_S)
            keyboard.type("123\n")
            return is_quiet

        async def scenario() -> None:
            sink = Sink()
            scanner = build(keyboard, sink)
            async with serving(scanner):
                scanner.arm()
                keyboard.type("456\n")
                await sink.wait_for("456")
                selector.waits_for_ever.clear()
                assert await asyncio.to_thread(scan_when_all_is_quiet)
                await sink.wait_for("123")

        selector.run(scenario())


async def scan(keyboard: KernelKeyboard, code: str) -> None:
    """Scan a code so slowly that the loop keeps up."""
    for move in strokes(code + "\n"):
        keyboard.move(*move)
        await turn()


class TestGrab:
    def test_every_opening_grabs_before_anything_else_and_reads_nothing_before(self, keyboard: KernelKeyboard) -> None:
        async def scenario() -> None:
            scanner = build(keyboard, Sink())
            for _ in range(3):
                keyboard.asked.clear()
                keyboard.before_asking = type_before_the_grab
                async with serving(scanner):
                    names = [name for name, _ in keyboard.asked]
                    assert names[:2] == ["open", "grab"]
                    assert names[2:] == ["mask"] * 5 + ["keys", "leds"]
                    assert keyboard.asked[1] == ("grab", waiting)

        def type_before_the_grab(name: str) -> None:
            if name == "grab":
                keyboard.type("12\n")

        waiting = 3 * 2 * 3
        asyncio.run(scenario())

    def test_what_was_typed_before_the_grab_is_discarded_with_its_remainder(self, keyboard: KernelKeyboard) -> None:
        async def scenario() -> None:
            async def remainder() -> None:
                keyboard.type(CODE[5:7])

            sink = Sink()
            scanner = build(keyboard, sink, settle=remainder)
            scanner.arm()
            async with serving(scanner):
                await scan(keyboard, CODE[7:])
                await scan(keyboard, OTHER)
                assert sink.frames == [OTHER]

        def type_before_the_grab(name: str) -> None:
            if name == "grab":
                keyboard.type(CODE[:5])

        keyboard.before_asking = type_before_the_grab
        asyncio.run(scenario())

    def test_nobody_else_gets_a_key_while_it_is_open_armed_or_not(self, keyboard: KernelKeyboard) -> None:
        async def scenario() -> None:
            login = keyboard.open()
            scanner = build(keyboard, Sink())
            async with serving(scanner):
                await scan(keyboard, CODE)
                scanner.arm()
                await scan(keyboard, CODE)
                scanner.disarm()
                await scan(keyboard, CODE)
                with pytest.raises(BlockingIOError):
                    os.read(login.fd, 24)
            await scan(keyboard, CODE)
            assert os.read(login.fd, 24)
            login.close()

        asyncio.run(scenario())

    def test_a_keyboard_has_one_owner(self, keyboard: KernelKeyboard) -> None:
        async def scenario() -> None:
            first, second = build(keyboard, Sink()), build(keyboard, Sink())
            await first.open()
            with pytest.raises(DeviceAbsent, match="/dev/input/event3 is held by another process") as caught:
                await second.open()
            assert caught.value.device == "front"
            await second.close()
            await first.close()
            await first.close()
            await second.open()
            await second.close()

        asyncio.run(scenario())

    def test_shift_and_caps_lock_are_as_they_were_found(self) -> None:
        async def scenario(keyboard: KernelKeyboard) -> None:
            sink = Sink()
            scanner = build(keyboard, sink)
            keyboard.move(ecodes.KEY_RIGHTSHIFT, 1)
            async with serving(scanner):
                scanner.arm()
                keyboard.type("1a")
                keyboard.move(ecodes.KEY_RIGHTSHIFT, 0)
                keyboard.type("1a\n")
                await turn()
                assert sink.frames == ["!a1A"]

        with contextlib.closing(KernelKeyboard(is_caps=True)) as lit:
            asyncio.run(scenario(lit))


class TestStalls:
    CODES = tuple(f"{number:02}{10**21 + number * 7_919_191_919_191:022}" for number in range(20))

    @pytest.mark.parametrize("seed", range(25))
    def test_twenty_codes_at_a_millisecond_a_key_with_the_loop_stalled_are_right_or_missing_as_a_whole(
        self, keyboard: KernelKeyboard, seed: int
    ) -> None:
        """A stall of 100 ms is 100 keys during which nothing is read; the kernel keeps the events of 15."""

        async def scenario() -> None:
            sink = Sink()
            scanner = build(keyboard, sink)
            random.seed(seed)
            keys = len("".join(self.CODES)) + len(self.CODES)
            stalls = {begin: begin + 100 for begin in random.sample(range(keys - 100), seed % 3)}
            async with serving(scanner):
                scanner.arm()
                stalled_until = 0
                for key, character in enumerate("".join(f"{code}\n" for code in self.CODES)):
                    keyboard.type(character)
                    stalled_until = max(stalled_until, stalls.get(key, 0))
                    if key >= stalled_until:
                        await turn()
                await turn()
                in_order = iter(self.CODES)
                assert all(frame in in_order for frame in sink.frames)
                # 100 keys are parts of five codes; one more is given up because its beginning was not seen.
                assert len(sink.frames) >= len(self.CODES) - 6 * len(stalls)
                assert (scanner.counters.dropped > 0) == bool(stalls)

        asyncio.run(scenario())

    @pytest.mark.parametrize(("has_masks", "keeps"), [(True, 15), (False, 10)])
    def test_a_short_stall_loses_nothing(self, *, has_masks: bool, keeps: int) -> None:
        async def scenario(keyboard: KernelKeyboard, keys: int) -> bool:
            sink = Sink()
            async with serving(scanner := build(keyboard, sink)):
                scanner.arm()
                keyboard.type("1" * (keys - 1) + "\n")
                await turn()
                return sink.frames == ["1" * (keys - 1)]

        for keys, is_kept in ((keeps, True), (keeps + 1, False)):
            with contextlib.closing(KernelKeyboard(has_masks=has_masks)) as keyboard:
                assert asyncio.run(scenario(keyboard, keys)) == is_kept
        assert keeps == (BUFFER - 1) // (4 if has_masks else 6)

    def test_what_is_typed_while_the_held_keys_are_asked_for_makes_no_code(self, keyboard: KernelKeyboard) -> None:
        """The kernel removes it unseen: the end of the damaged code, and the beginning of the next."""

        async def scenario() -> None:
            sink = Sink()
            async with serving(scanner := build(keyboard, sink)):
                scanner.arm()
                keyboard.type("1" * BUFFER)
                keyboard.before_asking = lambda _: keyboard.type(f"\n{CODE[:5]}")
                await turn()
                keyboard.before_asking = lambda _: None
                await scan(keyboard, CODE[5:])
                await scan(keyboard, OTHER)
                assert sink.frames == [OTHER]

        asyncio.run(scenario())

    def test_a_loss_while_disarmed_is_mended_too(self, keyboard: KernelKeyboard) -> None:
        async def scenario() -> None:
            sink = Sink()
            async with serving(scanner := build(keyboard, sink)):
                keyboard.type("1" * BUFFER)
                scanner.arm()
                await scan(keyboard, CODE[5:])
                await scan(keyboard, OTHER)
                assert sink.frames == [OTHER]

        asyncio.run(scenario())

    def test_a_scanner_that_types_faster_than_anybody_reads_types_no_wrong_code(self, keyboard: KernelKeyboard) -> None:
        """The writer runs in a thread of its own: it overflows at any moment of the reader."""

        async def scenario() -> None:
            sink = Sink()
            async with serving(scanner := build(keyboard, sink)):
                scanner.arm()
                text = "".join(f"{code}\n" for code in self.CODES) * 10
                await asyncio.to_thread(keyboard.type, text)
                await turn()
                await scan(keyboard, "")
                await scan(keyboard, LAST)
                assert sink.frames[-1] == LAST
                assert set(sink.frames) <= {*self.CODES, LAST}

        asyncio.run(scenario())


class TestLosses:
    def test_an_unplugged_keyboard_ends_the_run_and_leaves_no_reader_behind(self, keyboard: KernelKeyboard) -> None:
        """A device that went away is readable for ever: a reader that stayed would spin."""
        selector = WatchedSelector()

        async def scenario() -> None:
            scanner = build(keyboard, Sink())
            listened_to = set(selector.get_map())
            async with serving(scanner) as task:
                scanner.arm()
                await asyncio.sleep(0)
                assert len(set(selector.get_map()) - listened_to) == 1
                keyboard.type("12")
                keyboard.unplug()
                scanner.arm()
                with pytest.raises(DeviceLost, match="/dev/input/event3 went away"):
                    await asyncio.wait_for(task, WAIT_S)
                assert set(selector.get_map()) == listened_to

        selector.run(scenario())

    def test_a_read_that_fails_is_a_loss(self) -> None:
        async def scenario() -> None:
            ours, theirs = socket.socketpair(type=socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
            scanner = HidScanner(
                name="front",
                choice=BY_ID,
                suffix="auto",
                on_frame=Sink(),
                opener=lambda _: InputNode(fd=theirs.detach(), path="/dev/x", ioctl=lambda *_: None),
                settle=quiet,
            )
            async with serving(scanner) as task:
                node = scanner._node
                assert node is not None
                os.write(node.fd, b"unread")
                ours.close()
                with pytest.raises(DeviceLost, match="/dev/x went away"):
                    await asyncio.wait_for(task, WAIT_S)

        asyncio.run(scenario())

    @pytest.mark.parametrize("arms", [False, True])
    def test_a_keyboard_that_goes_while_its_keys_are_asked_for_is_lost(
        self, keyboard: KernelKeyboard, *, arms: bool
    ) -> None:
        async def scenario() -> None:
            async with serving(scanner := build(keyboard, Sink())) as task:
                keyboard.type("1" * BUFFER)
                keyboard.before_asking = lambda _: keyboard.unplug()
                if arms:
                    scanner.arm()
                with pytest.raises(DeviceLost, match="went away"):
                    await asyncio.wait_for(task, WAIT_S)

        asyncio.run(scenario())

    def test_a_keyboard_that_goes_while_it_is_opened_is_absent(self, keyboard: KernelKeyboard) -> None:
        async def scenario() -> None:
            with pytest.raises(DeviceAbsent, match="/dev/input/event3 is not there"):
                await build(keyboard, Sink()).open()

        def unplug(name: str) -> None:
            if name == "mask":
                keyboard.unplug()

        keyboard.before_asking = unplug
        asyncio.run(scenario())

    def test_what_can_not_be_found_is_said_in_words(self, keyboard: KernelKeyboard) -> None:
        def opener(_: KeyboardChoice) -> InputNode:
            raise NoSuchKeyboard("two of them")

        async def scenario() -> None:
            scanner = HidScanner(name="front", choice=BY_ID, suffix="auto", on_frame=Sink(), opener=opener)
            with pytest.raises(DeviceAbsent, match="front: two of them"):
                await scanner.open()
            keyboard.open_fault = OSError(errno.EACCES, "Permission denied", "/dev/input/event7")
            with pytest.raises(DeviceAbsent, match=r"no permission to open /dev/input/event7; .* group input"):
                await build(keyboard, Sink()).open()

        asyncio.run(scenario())

    def test_a_driver_that_hangs_costs_one_thread_however_often_it_is_tried(self, keyboard: KernelKeyboard) -> None:
        """I11. What all share, such as the threads of asyncio, is left alone."""
        go, calls = threading.Event(), list[KeyboardChoice]()

        def opener(choice: KeyboardChoice) -> InputNode:
            calls.append(choice)
            assert go.wait(WAIT_S)
            return keyboard.open(choice)

        async def scenario() -> None:
            scanner = HidScanner(
                name="front", choice=BY_ID, suffix="auto", on_frame=Sink(), opener=opener, open_limit_s=0.1
            )
            for _ in range(3):
                with pytest.raises(
                    DeviceAbsent, match="can not be opened: its driver does not answer; plug it in again"
                ):
                    await scanner.open()
            assert calls == [BY_ID]
            go.set()
            async with asyncio.timeout(WAIT_S):
                while True:
                    with contextlib.suppress(DeviceAbsent):
                        await scanner.open()
                        break
                    await asyncio.sleep(0.01)
            await scanner.close()

        asyncio.run(scenario())

    def test_a_scanner_that_is_not_open_can_be_armed_and_closed_but_not_run(self, keyboard: KernelKeyboard) -> None:
        async def scenario() -> None:
            scanner = build(keyboard, Sink())
            scanner.arm()
            scanner.disarm()
            await scanner.close()
            with pytest.raises(DeviceLost):
                await scanner.run()

        asyncio.run(scenario())

    def test_an_opening_that_is_cancelled_does_not_keep_the_keyboard(self, keyboard: KernelKeyboard) -> None:
        async def scenario() -> None:
            scanner = build(keyboard, Sink())
            opening = asyncio.create_task(scanner.open())
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            opening.cancel()
            with pytest.raises(asyncio.CancelledError):
                await opening
            again = build(keyboard, Sink())
            async with asyncio.timeout(WAIT_S):
                while True:
                    try:
                        await again.open()
                    except DeviceAbsent:
                        continue
                    break
            await again.close()

        asyncio.run(scenario())

    def test_a_scanner_that_is_unplugged_and_plugged_in_again_elsewhere_goes_on(self, keyboard: KernelKeyboard) -> None:
        """I8: it stays armed, is found under another name, and is grabbed anew."""

        async def scenario() -> None:
            sink = Sink()
            scanner = build(keyboard, sink)
            reports: asyncio.Queue[DeviceReport] = asyncio.Queue()
            backoff = Backoff(first_s=0.001, longest_s=0.01, longest_absent_s=0.01)
            task = asyncio.create_task(supervise(scanner, reports.put_nowait, jitter=lambda: 0.5, backoff=backoff))
            scanner.arm()
            async with asyncio.timeout(WAIT_S):
                for number, code in enumerate((CODE, OTHER, LAST)):
                    assert (await reports.get()).state is DeviceState.READY
                    await scan(keyboard, code)
                    await sink.wait_for(code)
                    keyboard.type(CODE[:4])
                    keyboard.unplug()
                    assert "went away" in (await reports.get()).detail
                    assert "not there" in (await reports.get()).detail
                    keyboard.replug(f"/dev/input/event{number + 8}")
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert sink.frames == [CODE, OTHER, LAST]
            openings = [name for name, _ in keyboard.asked].count("open")
            assert [name for name, _ in keyboard.asked].count("grab") == openings >= 3

        asyncio.run(scenario())


def test_it_says_where_it_may_come_back(keyboard: KernelKeyboard) -> None:
    async def scenario() -> None:
        assert build(keyboard, Sink()).watched == (DIRECTORY,)
        by_path = KeyboardChoice(by="path", text="/dev/terminald/scanner0")
        assert [str(path) for path in build(keyboard, Sink(), choice=by_path).watched] == [by_path.text]

    asyncio.run(scenario())
