"""When the journal is copied: once a week, while nobody is being served; given up for whoever comes."""

import asyncio
import logging
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Final, NoReturn

from terminald.adapters.journal_copy import CopiedAt, copied_at, make_copy
from terminald.core.schedule import DAY
from terminald.engine import Engine
from terminald.engine_calm import EngineCalm
from terminald.errors import JournalDamaged, JournalError
from terminald.logs import log_event
from terminald.logs_ids import LogId

log = logging.getLogger(__name__)

#: How old a copy gets, on the terminal's own time line.
COPY_EVERY: Final = 7 * DAY
#: How often it is looked whether one is due; a copy that was given up is tried again then.
LOOK_EVERY_S: Final = 900.0


class Copies:
    """Makes the copies. One instance for the life of the process."""

    def __init__(self, engine: Engine, file: Path, spare: Callable[[], int]) -> None:
        """Spare is how many bytes of the disk a copy leaves free."""
        self._engine = engine
        self._calm = EngineCalm(engine)
        self._file = file
        self._spare = spare
        #: The last copy; None before the first.
        self.last: CopiedAt | None = copied_at(file)
        self._was_told = False

    async def run(self) -> NoReturn:
        """Look again and again, until cancelled. A copy that is under way then is given up."""
        while True:
            await asyncio.sleep(LOOK_EVERY_S)
            await self.look()

    async def look(self) -> None:
        """Look once: make a copy where one is due.

        Raises:
            JournalDamaged: SQLite calls the journal damaged. The next start looks at all of it, and decides.
        """
        if self.is_due():
            await self._try()

    def is_due(self) -> bool:
        """Whether there is none, or an old one."""
        return self.last is None or self._engine.world.clock.now().instant - self.last.instant >= COPY_EVERY

    async def _try(self) -> None:
        await self._calm.wait_quiet()
        try:
            made = await self.make()
        except JournalDamaged:
            raise
        except JournalError as exc:
            level = logging.DEBUG if self._was_told else None
            log_event(log, LogId.JOURNAL_NOT_COPIED, level=level, detail=str(exc))
            self._was_told = True
        else:
            if made:
                self._was_told = False
                log_event(log, LogId.JOURNAL_COPIED)

    async def make(self) -> bool:
        """Make a copy now, unless somebody comes; return whether it was made.

        Raises:
            JournalError: it can not be made.
        """
        given_up = threading.Event()
        now, spare = self._engine.world.clock.now(), self._spare()

        def work() -> CopiedAt | None:
            return make_copy(self._file, now, spare=spare, is_wanted=lambda: not given_up.is_set())

        making = asyncio.ensure_future(asyncio.to_thread(work))
        busy = asyncio.create_task(self._calm.wait_busy())
        try:
            await asyncio.wait({making, busy}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            given_up.set()
            busy.cancel()
            made = await asyncio.shield(making)
        self.last = made or self.last
        return made is not None
