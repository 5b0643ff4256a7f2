"""Many scans, through the real line of a simulated scanner."""

import asyncio
import random
import re
from collections.abc import Callable

import pytest

from terminald.adapters.scanner_serial import SerialScanner
from terminald.core.ids import PaymentCode
from terminald.simulator.scanner import ENGINES, PREFIXES, SUFFIXES, ScannerWindow, SimulatedScanner, at_wrong_speed
from terminald.wire.barcode import Framer, Suffix, classify

#: In all, with five suffixes.
SCANS = 10_000
PATTERN = re.compile("[0-9]{16,24}")
SPEEDS = (1200, 4800, 9600, 19200, 38400, 115200)
WAIT_S = 60


async def quiet() -> None:
    """Settle at once."""


def scanner_on(
    simulated: SimulatedScanner, take: Callable[[str, str], None], *, suffix: Suffix, baudrate: int = 9600
) -> SerialScanner:
    return SerialScanner(
        name="front", device=simulated.path, baudrate=baudrate, suffix=suffix, on_frame=take, settle=quiet
    )


@pytest.mark.parametrize(
    ("suffix", "end"), [("auto", "crlf"), ("auto", "etxcr"), ("cr", "cr"), ("lf", "lf"), ("tab", "tab")]
)
def test_ten_thousand_scans_through_the_line_are_exact(suffix: Suffix, end: str) -> None:
    draw = random.Random(f"{suffix} {end}")
    codes = ["".join(draw.choices("0123456789", k=draw.randint(16, 24))) for _ in range(SCANS // 5)]
    prefixes = draw.choices([prefix for name, prefix in PREFIXES.items() if name != "ean"], k=len(codes))
    replies = [engine.answer for engine in ENGINES.values()] + [ENGINES["ssi"].refusal]
    received: list[str] = []

    def scan_all(simulated: SimulatedScanner) -> bool:
        for code, prefix in zip(codes, prefixes, strict=True):
            if draw.random() < 0.1:
                simulated.send(draw.choice(replies))
            if not simulated.scan(code, prefix=prefix, suffix=SUFFIXES[end], chunk=draw.choice((None, 1, 7, 16, 64))):
                return False
        return True

    async def story(simulated: SimulatedScanner) -> None:
        done = asyncio.Event()

        def take(_: str, text: str) -> None:
            received.append(text)
            if len(received) == len(codes):
                done.set()

        scanner = scanner_on(simulated, take, suffix=suffix)
        await scanner.open()
        scanner.arm()
        running = asyncio.create_task(scanner.run())
        assert await asyncio.to_thread(scan_all, simulated)
        async with asyncio.timeout(WAIT_S):
            await done.wait()
        running.cancel()
        await asyncio.wait([running])
        await scanner.close()
        assert scanner.counters.delivered == len(codes)

    with SimulatedScanner() as simulated:
        asyncio.run(story(simulated))
    found = [classify(frame, PATTERN) for frame in received]
    assert [code.reveal() for code in found if isinstance(code, PaymentCode)] == codes


@pytest.mark.parametrize("sent_at", SPEEDS)
@pytest.mark.parametrize("suffix", ["auto", "cr", "none"])
def test_a_code_at_the_wrong_speed_is_no_other_code(suffix: Suffix, sent_at: int) -> None:
    draw = random.Random(sent_at)
    for read_at in set(SPEEDS) - {sent_at}:
        framer = Framer(suffix)
        frames: list[str] = []
        now_ms = 0
        for _ in range(50):
            code = "".join(draw.choices("0123456789", k=draw.randint(16, 24)))
            data = f"{draw.choice(tuple(PREFIXES.values()))}{code}\r".encode()
            frames += framer.feed(at_wrong_speed(data, sent_at=sent_at, read_at=read_at), now_ms)
            now_ms += 1000
            frames += framer.idle(now_ms)
        assert not [frame for frame in frames if isinstance(classify(frame, PATTERN), PaymentCode)]


def test_a_scanner_of_another_speed_delivers_no_code_and_is_right_when_the_speed_is() -> None:
    code = "130812345678901147"

    async def story(simulated: SimulatedScanner) -> None:
        frames: asyncio.Queue[str] = asyncio.Queue()
        for baudrate in (4800, 19200, 9600):
            scanner = scanner_on(simulated, lambda _, text: frames.put_nowait(text), suffix="auto", baudrate=baudrate)
            await scanner.open()
            scanner.arm()
            running = asyncio.create_task(scanner.run())
            assert simulated.scan(code)
            if baudrate == simulated.baudrate:
                async with asyncio.timeout(WAIT_S):
                    while (frame := await frames.get()) != code:
                        assert not isinstance(classify(frame, PATTERN), PaymentCode)
            running.cancel()
            await asyncio.wait([running])
            await scanner.close()

    with SimulatedScanner(baudrate=9600) as simulated:
        asyncio.run(story(simulated))


def test_a_scanner_in_continuous_mode_delivers_what_stays_until_it_is_disarmed() -> None:
    code = "130812345678901147"

    async def story(simulated: SimulatedScanner, window: ScannerWindow) -> None:
        frames: list[str] = []
        done = asyncio.Event()

        def take(_: str, text: str) -> None:
            frames.append(text)
            if len(frames) == 3:
                scanner.disarm()
                done.set()

        scanner = scanner_on(simulated, take, suffix="auto")
        await scanner.open()
        scanner.arm()
        running = asyncio.create_task(scanner.run())
        window.leave(code)
        async with asyncio.timeout(WAIT_S):
            await done.wait()
        assert await asyncio.to_thread(window.wait, lambda: window.reads >= 5)
        running.cancel()
        await asyncio.wait([running])
        await scanner.close()
        assert frames == [code] * 3

    with SimulatedScanner() as simulated, ScannerWindow(simulated, is_continuous=True, interval_s=0.02) as window:
        asyncio.run(story(simulated, window))
