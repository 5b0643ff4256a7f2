"""The keyboard scanner on a real one: ``pytest --scanner=/dev/input/by-id/… -s``, and a person who scans when told."""

import asyncio
import re
import sys

import pytest

from terminald.adapters.input_nodes import open_keyboard
from terminald.adapters.scanner_hid import HidScanner
from terminald.adapters.supervisor import supervise
from terminald.config_keyboard import KeyboardChoice, parse_keyboard
from terminald.errors import DeviceAbsent

#: For a person to find something that can be scanned, or the plug.
PATIENCE_S = 50


@pytest.fixture
def choice(request: pytest.FixtureRequest) -> KeyboardChoice:
    value: str | None = request.config.getoption("--scanner")
    if value is None:
        pytest.skip("no --scanner=PATH")
    return parse_keyboard(value)


def ask(what: str) -> None:
    print(f"\n>>> {what}", file=sys.__stderr__, flush=True)


def test_a_real_scan_arrives_whole_and_twice_the_same(choice: KeyboardChoice) -> None:
    async def scenario() -> None:
        frames: asyncio.Queue[str] = asyncio.Queue()
        scanner = HidScanner(
            name="real", choice=choice, suffix="auto", on_frame=lambda _, text: frames.put_nowait(text)
        )
        await scanner.open()
        task = asyncio.create_task(scanner.run())
        try:
            with pytest.raises(DeviceAbsent, match="held by another program"):
                await HidScanner(name="rival", choice=choice, suffix="auto", on_frame=lambda *_: None).open()
            scanner.arm()
            ask("scan any barcode, twice")
            async with asyncio.timeout(PATIENCE_S):
                first, second = await frames.get(), await frames.get()
            assert first == second
            assert re.fullmatch(r"[ -~]+", first)
        finally:
            task.cancel()
            await asyncio.wait([task])
            await scanner.close()

    asyncio.run(scenario())


def test_a_real_scanner_comes_back_after_it_was_unplugged(choice: KeyboardChoice) -> None:
    async def scenario() -> None:
        reports: asyncio.Queue[str] = asyncio.Queue()
        scanner = HidScanner(name="real", choice=choice, suffix="auto", on_frame=lambda *_: None)
        task = asyncio.create_task(
            supervise(scanner, lambda report: reports.put_nowait(report.detail), jitter=lambda: 0.5)
        )
        async with asyncio.timeout(PATIENCE_S):
            assert await reports.get() == ""
            ask("unplug the scanner")
            assert "went away" in await reports.get()
            ask("plug it in again")
            while await reports.get():
                pass
        task.cancel()
        await asyncio.wait([task])
        open_keyboard(choice).close()

    asyncio.run(scenario())
