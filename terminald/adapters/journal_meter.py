"""How long the journal's commits take: a card that is dying becomes slow before it fails."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from terminald.adapters.journal_sqlite import SqliteJournal
from terminald.adapters.meters import Counter, Stopwatch
from terminald.adapters.ports import Batch
from terminald.errors import JournalError
from terminald.wire.metrics import Family

#: A good card needs some 5 to 50 ms, one that tidies up needs seconds (field facts of operations).
BOUNDS_S: Final = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10)


class CommitMeter:
    """What was measured of commits, on the thread that makes them: the wait for that thread is no part of it."""

    def __init__(self) -> None:
        self.took = Stopwatch(
            "terminald_journal_commit_duration_seconds",
            "How long commits of the journal took, each with a full sync of the disk.",
            BOUNDS_S,
        )
        self.failed = Counter("terminald_journal_commit_failures_total", "Commits of the journal that failed.")

    def figures(self) -> Iterator[Family]:
        """Yield what was measured since the start."""
        yield self.took.family()
        yield self.failed.family()


class MeteredJournal(SqliteJournal):
    """A journal whose commits are measured; in all else the journal itself."""

    def __init__(self, file: Path, *, most_bytes: int | None = None) -> None:
        """See :class:`terminald.adapters.journal_sqlite.SqliteJournal`."""
        super().__init__(file, most_bytes=most_bytes)
        self.meter = CommitMeter()

    def commit(self, batch: Batch) -> int:
        """Make a batch durable, and measure it."""
        began = time.monotonic()
        try:
            seq = super().commit(batch)
        except JournalError:
            self.meter.failed.add()
            raise
        self.meter.took.note(time.monotonic() - began)
        return seq
