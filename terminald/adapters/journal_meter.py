"""How long the journal's commits take: a card that is dying becomes slow before it fails."""

import time
from collections.abc import Callable, Iterator
from typing import Final

from terminald.adapters.meters import Counter, Stopwatch
from terminald.errors import JournalError
from terminald.wire.metrics import Family

#: A good card needs some 5 to 50 ms, one that tidies up needs seconds (field facts of operations).
BOUNDS_S: Final = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10)


class CommitMeter:
    """Measures commits on the thread that makes them: the wait for that thread is no part of it."""

    def __init__(self) -> None:
        self._took = Stopwatch(
            "terminald_journal_commit_duration_seconds",
            "How long commits of the journal took, each with a full sync of the disk.",
            BOUNDS_S,
        )
        self._failed = Counter("terminald_journal_commit_failures_total", "Commits of the journal that failed.")

    def measure(self, commit: Callable[[], int]) -> int:
        """Carry out a commit, and return what it does.

        Raises:
            JournalError: it failed, and is counted.
        """
        began = time.monotonic()
        try:
            seq = commit()
        except JournalError:
            self._failed.add()
            raise
        self._took.note(time.monotonic() - began)
        return seq

    def figures(self) -> Iterator[Family]:
        """Yield what was measured since the start."""
        yield self._took.family()
        yield self._failed.family()
