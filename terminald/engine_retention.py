"""When old sales are deleted: a few at a time, while nobody is being served, never beside a step of the machines."""

import asyncio
import logging
from functools import partial
from typing import Final, NoReturn

from terminald.adapters.ports_care import PrunePlace, PruneStep, UnreadSale
from terminald.core import book as books
from terminald.core.retention import horizon
from terminald.engine import Engine
from terminald.engine_calm import EngineCalm
from terminald.errors import ApiError, JournalError
from terminald.logs import log_event
from terminald.logs_ids import LogId

log = logging.getLogger(__name__)

#: How often it is looked for old sales: each time there are those of some hours.
PASS_EVERY_S: Final = 6 * 3600.0
#: The first look after a start: whatever has to be done at a start is done by then.
FIRST_AFTER_S: Final = 600.0
#: Between two steps. A backlog of years is worked off within a day, and the disk has something else to do as well.
PAUSE_S: Final = 0.5
#: Sales that can not be read and are remembered as told; of more of them nothing new is to be learnt.
MOST_TOLD: Final = 100


class Retention:
    """Deletes what ended before so many days. One instance for the life of the process."""

    def __init__(self, engine: Engine, keep_days: int) -> None:
        """Nothing in the engine waits for this, but for one step of it."""
        self._engine = engine
        self._calm = EngineCalm(engine)
        self._keep_days = keep_days
        self._told: set[str] = set()

    async def run(self) -> NoReturn:
        """Look again and again, until cancelled."""
        await asyncio.sleep(FIRST_AFTER_S)
        while True:
            try:
                await self._pass()
            except JournalError as exc:
                log_event(log, LogId.SALES_NOT_DELETED, detail=str(exc))
            except ApiError as exc:
                log_event(log, LogId.SALES_NOT_DELETED, detail=exc.detail)
            await asyncio.sleep(PASS_EVERY_S)

    async def _pass(self) -> None:
        place: PrunePlace | None = PrunePlace()
        while place is not None:
            await self._calm.wait_quiet()
            step = await self._engine.request(partial(self._step, place))
            for one in step.unread:
                self._tell(one)
            place = step.then
            await asyncio.sleep(PAUSE_S)

    async def _step(self, place: PrunePlace) -> PruneStep:
        """Take one step within the engine's loop, so that no sale is taken up again in the middle of it."""
        engine, now = self._engine, self._engine.world.clock.now()
        before = horizon(now, self._keep_days)
        if before is None:
            return PruneStep(then=None)
        if not self._calm.is_quiet():
            return PruneStep(then=place)
        engine.book = books.prune(engine.book, now.instant)
        return await engine.written(engine.world.journal.prune(before, engine.book.sales.keys(), place))

    def _tell(self, unread: UnreadSale) -> None:
        """Tell once of a sale that stays."""
        if unread.sale not in self._told and len(self._told) < MOST_TOLD:
            self._told.add(unread.sale)
            log_event(log, LogId.SALE_NOT_READ, sale=unread.sale, detail=unread.why)
