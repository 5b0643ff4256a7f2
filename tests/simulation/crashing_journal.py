"""A journal during whose commits the process dies, and that may be full."""

import asyncio
from collections.abc import Callable

from terminald.adapters.ports import Batch
from terminald.core.kiosk_action import ActionMark
from terminald.errors import JournalUnavailable
from tests.simulation.inline_journal import InlineJournal


class Crash(Exception):
    """The process is gone."""


class CrashingJournal(InlineJournal):
    """Dies at a chosen commit: before it, or after it and before anything is performed."""

    is_full: Callable[[], bool] = staticmethod(lambda: False)
    #: Takes what the host is told, and by how many seconds the terminal's clock was fast when that was written down.
    tell: Callable[[bytes, float], None] = staticmethod(lambda _, __: None)
    fast_s: Callable[[], float] = staticmethod(lambda: 0.0)
    note: Callable[[Batch], None] = staticmethod(lambda _: None)
    crash_in: int | None = None
    crash_after = False
    commits = 0

    async def put_mark(self, mark: ActionMark) -> None:
        self.commits += 1
        await asyncio.sleep(0.03)
        if self.is_full():
            raise JournalUnavailable("the disk is full")
        dies = self.crash_in is not None and self.commits >= self.crash_in
        if dies and not self.crash_after:
            raise Crash
        await super().put_mark(mark)
        if dies:
            raise Crash

    async def commit(self, batch: Batch) -> int:
        self.commits += 1
        fast_s = self.fast_s()
        # A disk takes its time: whatever did not wait for it happens before.
        await asyncio.sleep(0.03)
        if self.is_full():
            raise JournalUnavailable("the disk is full")
        dies = self.crash_in is not None and self.commits >= self.crash_in
        if dies and not self.crash_after:
            raise Crash
        seq = await super().commit(batch)
        for entry in batch.entries:
            if entry.topic == "sale":
                self.tell(entry.body, fast_s)
        self.note(batch)
        if dies:
            raise Crash
        return seq
