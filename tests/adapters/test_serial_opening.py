"""Serial lines whose drivers do not answer."""

import asyncio
import contextlib
import threading
from pathlib import Path

import pytest
import serial

from terminald.adapters.serial_opening import SerialOpener, open_line
from terminald.errors import DeviceAbsent, DeviceHeld
from terminald.simulator.scanner import SimulatedScanner

WAIT_S = 20


class Driver:
    """Opens a line when it is let go."""

    def __init__(self) -> None:
        self.go = threading.Event()
        self.calls = 0

    def open(self, device: str, baudrate: int) -> serial.Serial:
        self.calls += 1
        assert self.go.wait(WAIT_S)
        return open_line(device, baudrate)


def test_a_line_whose_driver_hangs_costs_one_thread_however_often_it_is_tried(tmp_path: Path) -> None:
    """I11. What all share, such as the threads of asyncio, is left alone; the line is free when the driver answers."""

    async def scene(device: str) -> None:
        driver = Driver()
        opener = SerialOpener("front", device, 9600, opening=driver.open, open_limit_s=0.01)
        for _ in range(5):
            with pytest.raises(DeviceAbsent, match="can not be opened: its driver does not answer; plug it in again"):
                await opener.open()
        assert driver.calls == 1
        driver.go.set()
        other = SerialOpener("other", device, 9600)
        async with asyncio.timeout(WAIT_S):
            line = await open_when_free(other)
        await other.close(line)
        assert not line.is_open

    with SimulatedScanner(link=tmp_path / "scanner0") as simulated:
        asyncio.run(scene(simulated.path))


async def open_when_free(opener: SerialOpener) -> serial.Serial:
    while True:
        with contextlib.suppress(DeviceHeld):
            return await opener.open()
        await asyncio.sleep(0.01)
