"""When the event log is uploaded: after each check-in whose new key was proven, while nobody is being served."""

from terminald.adapters.ports import LogCourier
from terminald.core.custody_table import Custody, CustodyState
from terminald.engine import Engine
from terminald.engine_calm import EngineCalm


class LogUploads:
    """Follows the committed state of the key, and sends the courier."""

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
                await self._courier.carry_out(EngineCalm(self._engine))
            else:
                await self._engine.wait_for_event(seq)


def _handled(custody: Custody) -> int:
    """Return the number of the last key after whose proof there is nothing to do, at the start.

    A key that came by a check-in and has still to be proven counts as new; the first one came by an activation.
    """
    version = custody.rotation.version
    return max(1, version - 1) if custody.state is CustodyState.UNPROVEN else version
