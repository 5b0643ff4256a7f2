"""The real daemon with a journal that notes when each commit began and ended, and how much it was asked to write.

``python -m tests.bench.timed_daemon CONFIG FILE``: at its end FILE has one line of JSON for each commit. Nothing else
differs from ``terminald run``.
"""

import asyncio
import sys
import time
from contextlib import ExitStack
from pathlib import Path

import msgspec

from terminald import app, config, logs
from terminald.adapters.journal_check import SMALL_BYTES
from terminald.adapters.journal_meter import MeteredJournal
from terminald.adapters.journal_rows import ATTEMPTS, JOBS, SALES
from terminald.adapters.ports import Batch
from terminald.adapters.state_directory import lock


class Commit(msgspec.Struct, frozen=True):
    """One commit: monotonic nanoseconds, rows of the event log, bytes of snapshots and public events."""

    begin: int
    end: int
    entries: int
    payload: int


class TimedJournal(MeteredJournal):
    """A journal that remembers what it did; sizes are taken at the end."""

    def __init__(self, file: Path) -> None:
        super().__init__(file, most_bytes=SMALL_BYTES)
        self._done: list[tuple[int, int, Batch]] = []

    def commit(self, batch: Batch) -> int:
        begin = time.monotonic_ns()
        seq = super().commit(batch)
        self._done.append((begin, time.monotonic_ns(), batch))
        return seq

    def commits(self) -> list[Commit]:
        return [
            Commit(begin=begin, end=end, entries=len(batch.entries), payload=_payload(batch))
            for begin, end, batch in self._done
        ]


def _payload(batch: Batch) -> int:
    texts = [
        *map(SALES.encode, batch.sales),
        *map(ATTEMPTS.encode, batch.attempts),
        *map(JOBS.encode, batch.jobs),
    ]
    return sum(len(text.encode()) for text in texts) + sum(len(entry.body) for entry in batch.entries)


def main() -> None:
    settings = config.load(Path(sys.argv[1]))
    logs.configure("info", stream=sys.stderr)
    with ExitStack() as stack:
        stack.enter_context(lock(settings.state.directory))
        journal = TimedJournal(settings.state.directory / "journal.db")
        stack.callback(journal.close)
        asyncio.run(app.App(settings, journal).run())
        Path(sys.argv[2]).write_bytes(b"\n".join(map(msgspec.json.encode, journal.commits())))


if __name__ == "__main__":
    main()
