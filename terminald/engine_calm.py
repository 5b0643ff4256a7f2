"""Whether anybody is being served, for work that can wait."""

import asyncio
from contextlib import suppress

from terminald.engine import Engine

#: A quiet moment begins with an event nearly always; where it does not, it is noticed so much later.
LOOK_AGAIN_S = 30.0


class EngineCalm:
    """Implements :class:`terminald.adapters.ports.Calm` on an engine."""

    def __init__(self, engine: Engine) -> None:
        """Nothing in the engine waits for this."""
        self._engine = engine

    async def wait_quiet(self) -> None:
        """Return when no customer is served, nothing is asked of the gateway, and no answer about the key awaited."""
        while not self.is_quiet():
            with suppress(TimeoutError):
                async with asyncio.timeout(LOOK_AGAIN_S):
                    await self._engine.wait_for_event(self._engine.last_seq)

    async def wait_busy(self) -> None:
        """Return when one of these is so: each begins with an event."""
        while self.is_quiet():
            await self._engine.wait_for_event(self._engine.last_seq)

    def is_quiet(self) -> bool:
        """Whether it is so now."""
        return self._engine.is_quiet() and not self._engine.keeper.is_busy
