"""When the event log is uploaded: after each check-in whose new key was proven, while nobody is being served."""

import asyncio
from contextlib import suppress

from terminald.adapters.ports import LogCourier
from terminald.core.custody_table import Custody, CustodyState
from terminald.engine import Engine

#: A quiet moment begins with an event nearly always; where it does not, it is noticed so much later.
LOOK_AGAIN_S = 30.0


class LogUploads:
    """Follows the committed state of the key, and sends the courier. Implements the courier's port ``Calm``."""

    def __init__(self, engine: Engine, courier: LogCourier) -> None:
        """Nothing in the engine waits for this."""
        self._engine = engine
        self._courier = courier

    async def run(self) -> None:
        """Have one run made for each proven check-in, until cancelled; return at once without an identity."""
        custody = self._engine.keeper.custody
        if custody is None:
            return
        handled = _handled(custody)
        while True:
            seq, custody = self._engine.last_seq, self._engine.keeper.custody or custody
            if custody.state is CustodyState.FRESH and custody.rotation.version > handled:
                handled = custody.rotation.version
                await self._courier.carry_out(self)
            else:
                await self._engine.wait_for_event(seq)

    # --- calm --------------------------------------------------------------------------------------------------------

    async def wait_quiet(self) -> None:
        """Return when no customer is served, nothing is asked of the gateway, and no answer about the key awaited."""
        while not self._is_quiet():
            with suppress(TimeoutError):
                async with asyncio.timeout(LOOK_AGAIN_S):
                    await self._engine.wait_for_event(self._engine.last_seq)

    async def wait_busy(self) -> None:
        """Return when one of these is so: each begins with an event."""
        while self._is_quiet():
            await self._engine.wait_for_event(self._engine.last_seq)

    def _is_quiet(self) -> bool:
        return self._engine.is_quiet() and not self._engine.keeper.is_busy


def _handled(custody: Custody) -> int:
    """Return the number of the last key after whose proof there is nothing to do, at the start.

    A key that came by a check-in and has still to be proven counts as new; the first one came by an activation.
    """
    version = custody.rotation.version
    return max(1, version - 1) if custody.state is CustodyState.UNPROVEN else version
