"""Watches the clock beside the engine: tells when it was set, and puts the time of day on record.

A clock that was set fires nothing by itself: no deadline depends on it (I10). What it may do is to open the way to the
gateway, or to close it, as certificates are judged by it; so the link is proven again.
"""

import asyncio
import datetime as dt
import logging
from collections.abc import Callable

from terminald.adapters.ports import Batch
from terminald.core import stimuli
from terminald.core.ids import Duration, Instant
from terminald.core.schedule import MINUTE, later
from terminald.core.stimuli import Record
from terminald.engine import WATCH_INTERVAL_S, Engine
from terminald.errors import JournalUnavailable
from terminald.logs import log_event
from terminald.logs_ids import LogId

log = logging.getLogger(__name__)

#: How often the journal is given a trusted time, of which it writes one an hour: a night without a sale is on record
#: as well.
MARK_INTERVAL = Duration(10 * MINUTE)


class ClockWatch:
    """One instance for the life of the process; :meth:`run` is its only task."""

    def __init__(self, engine: Engine, *, take_step: Callable[[], int]) -> None:
        """Take_step returns by how many ms the system's clock was set since it was last called."""
        self._engine = engine
        self._take_step = take_step
        self._next_mark = Instant(0)

    async def run(self) -> None:
        """Watch until cancelled."""
        while True:
            if step := self._take_step():
                self._tell(step)
                self._engine.link.prove()
            await self._mark()
            await asyncio.sleep(WATCH_INTERVAL_S)

    def _tell(self, step: int) -> None:
        way = "forward" if step > 0 else "back"
        log_event(log, LogId.CLOCK_SET, detail=f"{way} by {dt.timedelta(seconds=abs(step) // 1000)}")
        record = Record(
            kind="clock",
            subject="system",
            sale_id=stimuli.NO_SALE,
            cause="ClockSet",
            before="",
            after=f"{step:+d} ms",
        )
        self._engine.tell(lambda: self._engine.publish(record, "", b""))

    async def _mark(self) -> None:
        """Put a trusted time on record. Whether the journal can be written is found out by others."""
        world = self._engine.world
        now = world.clock.now()
        if not now.is_trusted or now.instant < self._next_mark:
            return
        try:
            await world.journal.commit(Batch(now=now))
        except JournalUnavailable:
            log_event(log, LogId.CLOCK_NOT_MARKED)
        else:
            self._next_mark = later(now.instant, MARK_INTERVAL)
