"""A hang-up is heard; what can be read or written is not."""

import asyncio
import os
from collections.abc import Iterator

import pytest

from terminald.adapters.fd_hangup import heeding_hangup

WAIT_S = 20


@pytest.fixture
def pair() -> Iterator[list[int]]:
    """The two ends of a pseudo terminal; an end that a test has closed is no more in it."""
    ends = list(os.openpty())
    yield ends
    for end in ends:
        os.close(end)


def test_the_other_end_that_goes_is_heard_once(pair: list[int]) -> None:
    async def scene() -> None:
        calls = 0
        heard = asyncio.Event()

        def hear() -> None:
            nonlocal calls
            calls += 1
            heard.set()

        with heeding_hangup(pair[1], hear):
            os.write(pair[0], b"something to read\n")
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            assert calls == 0
            os.close(pair.pop(0))
            async with asyncio.timeout(WAIT_S):
                await heard.wait()
            await asyncio.sleep(0)
            await asyncio.sleep(0)
        assert calls == 1

    asyncio.run(scene())


def test_what_has_something_to_read_for_ever_wakes_nobody(pair: list[int]) -> None:
    async def scene() -> None:
        os.write(pair[0], b"never read\n")
        with heeding_hangup(pair[1], pytest.fail):
            for _ in range(100):
                await asyncio.sleep(0)

    asyncio.run(scene())


def test_what_can_not_be_polled_is_left_alone() -> None:
    async def scene() -> None:
        with open(os.devnull, "wb") as null, heeding_hangup(null.fileno(), pytest.fail):  # noqa: ASYNC230, PTH123 - a device
            await asyncio.sleep(0)

    asyncio.run(scene())
