"""The real daemon, made to die by SIGKILL when a kiosk's action is put on record: just before it, or just after it.

``python -m tests.system.kiosk_killer CONFIG before|after``. Nothing else differs from ``terminald run``.
"""

import asyncio
import os
import signal
import sys
from contextlib import ExitStack
from pathlib import Path

from terminald import app, config, logs
from terminald.adapters.journal_meter import MeteredJournal
from terminald.adapters.state_directory import lock
from terminald.core.kiosk_action import ActionMark


class KillingJournal(MeteredJournal):
    """A journal in which the first mark is the last thing that this process makes durable, or does not."""

    is_fatal_after = False

    def put_mark(self, mark: ActionMark) -> None:
        if self.is_fatal_after:
            super().put_mark(mark)
        os.kill(os.getpid(), signal.SIGKILL)


def main() -> None:
    settings = config.load(Path(sys.argv[1]))
    logs.configure("info", stream=sys.stderr)
    with ExitStack() as stack:
        stack.enter_context(lock(settings.state.directory))
        journal = KillingJournal(settings.state.directory / "journal.db")
        stack.callback(journal.close)
        journal.is_fatal_after = sys.argv[2] == "after"
        asyncio.run(app.App(settings, journal).run())


if __name__ == "__main__":
    main()
