"""The disk under the journal, looked at for as long as it works: does it still take writes, and how slowly."""

import asyncio
import logging
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, NoReturn

from terminald.adapters.api_views import DISK_SLOW, disk_attention_event
from terminald.adapters.ports_care import DiskStatus
from terminald.core.ids import WallTime
from terminald.core.stimuli import NO_SALE, Record
from terminald.engine import Engine
from terminald.errors import ApiError, JournalError
from terminald.logs import log_event
from terminald.logs_ids import LogId

log = logging.getLogger(__name__)

#: How often it is looked at.
LOOK_S: Final = 60.0
#: A disk to which nothing was written for so long is proven by a write: a card that died, or was remounted read-only,
#: should be known before the next customer comes. That is 96 small writes a day at most.
PROVE_AFTER_S: Final = 900.0
#: A card is dying when one commit in a hundred takes longer (field facts of operating: "alarm on p99 > 1 s"), …
SLOW_MS: Final = 1_000
#: … and has recovered below this.
FAST_MS: Final = 500
#: Of fewer commits than these nothing is said: one that hit a pause of the card is no p99.
LEAST_COMMITS: Final = 100


class DiskCare:
    """Looks after the disk. One instance for the life of the process."""

    def __init__(
        self,
        engine: Engine,
        directory: Path,
        commit_ms: Callable[[], Sequence[float]],
        copied_at: Callable[[], WallTime | None],
    ) -> None:
        """Commit_ms returns what the last commits took; copied_at of when the copy of the journal is."""
        self._engine = engine
        self._directory = directory
        self._commit_ms = commit_ms
        self._copied_at = copied_at
        self._slow_since: WallTime | None = None
        self._idle_s = 0.0
        self._seq = engine.last_seq

    async def run(self) -> NoReturn:
        """Look again and again, until cancelled."""
        while True:
            await asyncio.sleep(LOOK_S)
            await self.look()

    async def look(self) -> None:
        """Look once: call for a person where the disk has become slow, and prove it where it was idle."""
        p99 = self.p99_ms()
        if p99 is not None and p99 > SLOW_MS and self._slow_since is None:
            self._slow_since = self._engine.world.clock.now().wall
            log_event(log, LogId.DISK_SLOW, elapsed_ms=p99)
            self._engine.tell(self._tell)
        elif p99 is not None and p99 < FAST_MS and self._slow_since is not None:
            self._slow_since = None
            log_event(log, LogId.DISK_FAST, elapsed_ms=p99)
        await self._prove_when_idle()

    async def _tell(self) -> None:
        if self._slow_since is not None:
            record = Record(
                kind="attention", subject="disk", sale_id=NO_SALE, cause="DiskSlow", before="", after=DISK_SLOW
            )
            await self._engine.publish(record, "attention", disk_attention_event(self._slow_since))

    async def _prove_when_idle(self) -> None:
        engine = self._engine
        self._idle_s = self._idle_s + LOOK_S if engine.last_seq == self._seq else 0.0
        self._seq = engine.last_seq
        if self._idle_s < PROVE_AFTER_S or not engine.is_journal_writable:
            return
        self._idle_s = 0.0
        try:
            await engine.request(lambda: engine.written(engine.world.journal.prove()))
        except (JournalError, ApiError) as exc:
            log_event(log, LogId.DISK_UNPROVEN, detail=str(exc))

    def p99_ms(self) -> int | None:
        """Return what 99 of 100 commits take at most; None of too few."""
        times = sorted(self._commit_ms())
        return None if len(times) < LEAST_COMMITS else int(times[len(times) * 99 // 100])

    def status(self) -> DiskStatus:
        """Return what is known of the disk."""
        try:
            free = shutil.disk_usage(self._directory).free // 1_000_000
        except OSError:
            free = None
        return DiskStatus(
            free_mb=free, commit_p99_ms=self.p99_ms(), copied_at=self._copied_at(), slow_since=self._slow_since
        )
