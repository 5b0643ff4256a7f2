"""Drivers that block, fail late, or never answer."""

import asyncio
import logging
import threading
from collections.abc import Callable

import pytest

from terminald.adapters.device_opening import Opener
from terminald.errors import DeviceAbsent
from tests.log_lines import lines

WAIT_S = 20


class Driver:
    """A driver that answers when it is let go."""

    def __init__(self, fault: OSError | None = None) -> None:
        self.go = threading.Event()
        self.begun = threading.Event()
        self.closed = threading.Event()
        self._fault = fault

    def open(self) -> int:
        self.begun.set()
        assert self.go.wait(WAIT_S)
        if self._fault is not None:
            raise self._fault
        return 7

    def close(self, number: int) -> None:
        assert number == 7
        self.closed.set()


async def seen(event: threading.Event) -> None:
    assert await asyncio.to_thread(event.wait, WAIT_S)


def test_what_was_opened_is_returned_and_what_was_raised_is_raised() -> None:
    async def scene() -> None:
        driver = Driver()
        opener = Opener("printer", close=driver.close)
        driver.go.set()
        assert await opener.open("it", driver.open) == 7
        await opener.close("it", lambda: driver.close(7))
        assert driver.closed.is_set()
        refused = TimeoutError(110, "refused")
        failing = Driver(refused)
        failing.go.set()
        with pytest.raises(TimeoutError) as caught:
            await opener.open("it", failing.open)
        assert caught.value is refused

    asyncio.run(scene())


def test_an_opening_that_takes_too_long_is_given_up_and_closed_late() -> None:
    """I11."""

    async def scene() -> None:
        driver = Driver()
        opener = Opener("printer", close=driver.close, open_limit_s=0.01)
        for _ in range(2):
            with pytest.raises(DeviceAbsent, match="it can not be opened: its driver does not answer"):
                await opener.open("it", driver.open)
        driver.go.set()
        await seen(driver.closed)

    asyncio.run(scene())


@pytest.mark.parametrize("fault", [None, OSError(5, "late")])
def test_a_cancelled_opening_ends_at_once_and_what_comes_of_it_is_closed(fault: OSError | None) -> None:
    async def scene() -> None:
        driver = Driver(fault)
        opener = Opener("printer", close=driver.close)
        task = asyncio.create_task(opener.open("it", driver.open))
        await seen(driver.begun)
        task.cancel()
        await asyncio.wait({task})
        assert task.cancelled()
        driver.go.set()
        if fault is None:
            await seen(driver.closed)
        await opener.close("it", driver.closed.clear)
        assert not driver.closed.is_set()

    asyncio.run(scene())


def test_a_closing_that_takes_too_long_is_left_to_its_thread(caplog: pytest.LogCaptureFixture) -> None:
    """I11."""
    go, ended = threading.Event(), threading.Event()

    def stuck() -> None:
        assert go.wait(WAIT_S)
        ended.set()
        raise OSError(5, "of no interest")

    async def until_ready(opening: Callable[[], int], opener: Opener[int]) -> int:
        async with asyncio.timeout(WAIT_S):
            while True:
                try:
                    return await opener.open("it", opening)
                except DeviceAbsent:
                    await asyncio.sleep(0.001)

    async def scene() -> None:
        opener = Opener[int]("printer", close=lambda _: None, close_limit_s=0.01)
        await opener.close("it", stuck)
        with pytest.raises(DeviceAbsent, match="does not answer"):
            await opener.open("it", lambda: 7)
        go.set()
        await seen(ended)
        assert await until_ready(lambda: 7, opener) == 7

    with caplog.at_level(logging.WARNING):
        asyncio.run(scene())
    told = "a device takes long to close; left to a thread device=printer path=it"
    assert lines(caplog.records) == [told]
