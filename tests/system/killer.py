"""The real daemon, made to die by SIGKILL at the n-th commit of one sale: just before it, or just after it.

``python -m tests.system.killer CONFIG REFERENCE N before|after``. The reference "vend" stands for the sale of the first
vending machine's request that this process sees. Nothing else differs from ``terminald run``.
"""

import asyncio
import os
import signal
import sys
from contextlib import ExitStack
from pathlib import Path

from terminald import app, config, logs
from terminald.adapters.journal_meter import MeteredJournal
from terminald.adapters.ports import Batch
from terminald.adapters.state_directory import lock
from terminald.core.sale_table import Sale, SaleState


class KillingJournal(MeteredJournal):
    """A journal in which the n-th commit of a sale is the last thing that this process does, or does not do."""

    reference = ""
    fatal = 0
    is_fatal_after = False
    number = 0

    def _is_meant(self, sale: Sale) -> bool:
        is_new_vend = self.reference == "vend" and sale.order.is_vend and sale.state is SaleState.AWAITING_PAYMENT
        if is_new_vend and not sale.attempts:
            self.reference = sale.order.reference
        return sale.order.reference == self.reference

    def commit(self, batch: Batch) -> int:
        self.number += any(self._is_meant(sale) for sale in batch.sales)
        is_fatal = self.number == self.fatal
        if is_fatal and not self.is_fatal_after:
            os.kill(os.getpid(), signal.SIGKILL)
        seq = super().commit(batch)
        if is_fatal:
            os.kill(os.getpid(), signal.SIGKILL)
        return seq


def main() -> None:
    settings = config.load(Path(sys.argv[1]))
    logs.configure("info", stream=sys.stderr)
    with ExitStack() as stack:
        stack.enter_context(lock(settings.state.directory))
        journal = KillingJournal(settings.state.directory / "journal.db")
        stack.callback(journal.close)
        journal.reference = sys.argv[2]
        journal.fatal = int(sys.argv[3])
        journal.is_fatal_after = sys.argv[4] == "after"
        asyncio.run(app.App(settings, journal).run())


if __name__ == "__main__":
    main()
