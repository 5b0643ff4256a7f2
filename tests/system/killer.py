"""The real daemon, made to die by SIGKILL at its n-th commit: just before it, or just after it.

``python -m tests.system.killer CONFIG N before|after``. Nothing else differs from ``terminald run``.
"""

import asyncio
import os
import signal
import sys
from contextlib import ExitStack
from pathlib import Path

from terminald import app, config, logs
from terminald.adapters.journal_sqlite import SqliteJournal
from terminald.adapters.ports import Batch
from terminald.adapters.state_directory import lock


class KillingJournal(SqliteJournal):
    """A journal whose n-th commit is the last thing that this process does, or does not do."""

    number = 0
    fatal = 0
    is_fatal_after = False

    def commit(self, batch: Batch) -> int:
        self.number += 1
        if self.number == self.fatal and not self.is_fatal_after:
            os.kill(os.getpid(), signal.SIGKILL)
        seq = super().commit(batch)
        if self.number == self.fatal:
            os.kill(os.getpid(), signal.SIGKILL)
        return seq


def main() -> None:
    settings = config.load(Path(sys.argv[1]))
    logs.configure("info", stream=sys.stderr)
    with ExitStack() as stack:
        stack.enter_context(lock(settings.state.directory))
        journal = KillingJournal(settings.state.directory / "journal.db")
        stack.callback(journal.close)
        journal.fatal = int(sys.argv[2])
        journal.is_fatal_after = sys.argv[3] == "after"
        asyncio.run(app.App(settings, journal).run())


if __name__ == "__main__":
    main()
