"""The sign of life that the watchdog gets: a round trip through the loop and the journal's thread."""

import asyncio
from collections.abc import Awaitable, Callable

from terminald.engine_pulse import Pulse
from terminald.errors import JournalUnavailable

Inbox = asyncio.Queue[Callable[[], Awaitable[None]]]


async def ticks() -> None:
    """Let everything run that can."""
    for _ in range(5):
        await asyncio.sleep(0)


def test_it_beats_when_the_loop_and_the_journal_have_answered() -> None:
    async def scene() -> None:
        inbox, gate = Inbox(), asyncio.Event()
        pulse = Pulse(gate.wait)
        beat = asyncio.create_task(pulse.wait(inbox.put_nowait))
        await ticks()
        work = asyncio.ensure_future(inbox.get_nowait()())
        await ticks()
        assert not beat.done(), "the journal's thread has not answered"
        gate.set()
        await beat
        await work

    asyncio.run(scene())


def test_a_loop_that_hangs_gets_one_question_and_gives_no_beat() -> None:
    """I11: the watchdog's questions do not gather."""

    async def scene() -> None:
        inbox = Inbox()
        pulse = Pulse(ticks)
        for _ in range(3):
            beat = asyncio.create_task(pulse.wait(inbox.put_nowait))
            await ticks()
            assert not beat.done()
            beat.cancel()
        assert inbox.qsize() == 1

    asyncio.run(scene())


def test_a_disk_that_refuses_is_no_reason_for_a_restart() -> None:
    async def scene() -> None:
        async def refuse() -> None:
            raise JournalUnavailable("full")

        inbox = Inbox()
        pulse = Pulse(refuse)
        beat = asyncio.create_task(pulse.wait(inbox.put_nowait))
        await ticks()
        await inbox.get_nowait()()
        await beat
        beat = asyncio.create_task(pulse.wait(inbox.put_nowait))
        await ticks()
        pulse.note()  # a commit that is tried again, while the question waits behind it
        await beat

    asyncio.run(scene())
