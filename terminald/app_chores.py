"""What is done for the journal and its disk beside the sales."""

import shutil
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Final

from terminald.adapters.journal_check import check_beside
from terminald.adapters.journal_thread import JournalThread
from terminald.config import Config, StateConfig
from terminald.core.ids import WallTime
from terminald.engine import Engine
from terminald.engine_copies import Copies
from terminald.engine_desk import EngineDesk
from terminald.engine_disk import DiskCare
from terminald.engine_retention import Retention

#: Of the state directory.
JOURNAL_NAME: Final = "journal.db"


def chores(
    engine: Engine, desk: EngineDesk, journal: JournalThread, state: StateConfig, spare: Callable[[], int]
) -> Iterator[Coroutine[None, None, None]]:
    """Yield what is to run beside the engine, to its end or until it is cancelled.

    Spare is how many bytes of the disk stay free.
    """
    yield journal.fail_when_damaged()
    yield check_beside(state.directory / JOURNAL_NAME)
    yield Retention(engine, state.keep_days).run()
    copies = Copies(engine, state.directory / JOURNAL_NAME, spare)
    yield copies.run()

    def copied_at() -> WallTime | None:
        return None if copies.last is None else copies.last.wall

    disk = DiskCare(engine, state.directory, journal.commit_ms, copied_at)
    desk.look_at_disk = disk.status
    yield disk.run()


def spare_bytes(config: Config) -> int:
    """Return how many bytes of the disk stay free for sales."""
    return config.readiness.min_free_disk_mb * 1_000_000


def disk_watch(config: Config) -> Callable[[], bool]:
    """Return a look at whether so many are free."""
    directory: Path = config.state.directory
    least = spare_bytes(config)

    def has_space() -> bool:
        try:
            return shutil.disk_usage(directory).free >= least
        except OSError:
            return False

    return has_space
