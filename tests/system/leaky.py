"""The real daemon, whose journal fails with exceptions that quote every secret there is.

``python -m tests.system.leaky CONFIG SECRET…``. Nothing else differs from ``terminald run``.
"""

import asyncio
import sys
from contextlib import ExitStack
from pathlib import Path

from terminald import app, config, logs
from terminald.adapters.journal_meter import MeteredJournal
from terminald.adapters.ports import Batch, SaleFilter
from terminald.adapters.state_directory import lock
from terminald.core.book import SaleView
from terminald.core.sale_table import SaleState
from terminald.errors import JournalUnavailable


class LeakyJournal(MeteredJournal):
    """Fails once for the first sale that is paid, and whenever all sales are listed."""

    secrets: tuple[str, ...] = ()
    has_failed = False

    def commit(self, batch: Batch) -> int:
        if not self.has_failed and any(sale.state is SaleState.COMPLETED for sale in batch.sales):
            self.has_failed = True
            raise JournalUnavailable(self._everything()) from ValueError(*self._everything().split())
        return super().commit(batch)

    def list_sales(self, wanted: SaleFilter) -> tuple[SaleView, ...]:
        if wanted.reference:
            return super().list_sales(wanted)
        exc = LookupError(f"{wanted} {self._everything()}")
        exc.add_note(f"while {self._everything()}")
        raise exc

    def _everything(self) -> str:
        terminal = self.load_terminal()
        assert terminal is not None
        keys = (key.reveal() for key in (terminal.current_key, terminal.previous_key) if key is not None)
        return " ".join((*self.secrets, *keys))


def main() -> None:
    settings = config.load(Path(sys.argv[1]))
    logs.configure("debug", stream=sys.stderr)
    with ExitStack() as stack:
        stack.enter_context(lock(settings.state.directory))
        journal = LeakyJournal(settings.state.directory / "journal.db")
        journal.secrets = tuple(sys.argv[2:])
        stack.callback(journal.close)
        asyncio.run(app.App(settings, journal).run())


if __name__ == "__main__":
    main()
