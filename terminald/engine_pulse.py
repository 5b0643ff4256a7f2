"""Whether the loop and the journal's thread are alive, told by a round trip through both."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

from terminald.errors import JournalError


class Pulse:
    """Beats when the engine has got round to its work and the journal's thread has answered, be it with a refusal.

    A disk that is full or read-only is no reason for a restart: the loop that tries a commit again and again is alive.
    One that hangs in a step, and a thread that hangs in a write, do not beat.
    """

    def __init__(self, read: Callable[[], Awaitable[object]]) -> None:
        """Read asks the journal's thread for something small."""
        self._read = read
        self._beaten = asyncio.Event()
        self._is_asked = False

    async def wait(self, put: Callable[[Callable[[], Awaitable[None]]], None]) -> None:
        """Return after the next beat. Put places work in the loop's inbox; one question waits there at most (I11)."""
        self._beaten.clear()
        if not self._is_asked:
            self._is_asked = True
            put(self._answer)
        await self._beaten.wait()

    async def _answer(self) -> None:
        self._is_asked = False
        with suppress(JournalError):
            await self._read()
        self.note()

    def note(self) -> None:
        """Take a commit that returned, whichever way, for a beat."""
        self._beaten.set()
