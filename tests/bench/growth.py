"""Resident memory of a daemon that waits, and of the same one after many sales."""

import subprocess
import time

from tests.bench import processes
from tests.bench.installed import NOTE
from tests.bench.startup import daemon_command
from tests.bench.table import Row, Section
from tests.bench.terminal import pause, payment_code
from tests.system.rig import Bench

#: After READY: devices are opened, the link is proven.
_SETTLE_S = 3.0
#: Sales of which the first caches are full.
_WARM_SALES = 20
#: Wanted of the figures, in MB.
_MOST_IDLE, _MOST_GROWTH = 48.0, 2.0
_BETWEEN_S = 0.002


class Growing:
    """A daemon that sells, and then waits until it has forgotten what it remembers of used codes."""

    def __init__(self, terminal: Bench, *, sales: int, rest_s: float) -> None:
        """The bench is activated, and its daemon is not running."""
        self._terminal = terminal
        self._rest_s = rest_s
        with terminal.log.open("ab") as log:
            terminal.daemon = subprocess.Popen(daemon_command(terminal), stdout=log, stderr=log)
        terminal.wait_ready()
        self._pid = terminal.daemon.pid
        pause(_SETTLE_S)
        self._idle_mb = self._look()
        for number in range(1, _WARM_SALES + 1):
            self._sell(number)
        self._warm_mb = self._look()
        for number in range(_WARM_SALES + 1, sales + 1):
            self._sell(number)
        self._sales = sales
        self._sold_mb = self._look()
        self._sold_at = time.monotonic()

    def finish(self) -> Section:
        """Wait for what is left of the rest, and look again."""
        pause(max(0.0, self._sold_at + self._rest_s - time.monotonic()))
        # What is forgotten is found out with the next step.
        self._sell(self._sales + 1)
        rested_mb = self._look()
        self._terminal.stop()
        growth = rested_mb - self._idle_mb
        return Section(
            title=f"Memory: resident, idle and after {self._sales:,} sales",
            rows=(
                Row(name="idle", values=(self._idle_mb,), unit="MB", most=_MOST_IDLE),
                Row(name=f"after {_WARM_SALES} sales", values=(self._warm_mb,), unit="MB"),
                Row(name=f"after {self._sales:,} sales in a row", values=(self._sold_mb,), unit="MB"),
                Row(name=f"and {self._rest_s:g} s later", values=(rested_mb,), unit="MB"),
                Row(name="more than idle", values=(growth,), unit="MB", most=_MOST_GROWTH),
            ),
            notes=(
                "Used codes are remembered for three minutes: of sales one after the other, that is all of them.",
                NOTE,
            ),
        )

    def _look(self) -> float:
        return processes.memory_mb(self._pid)[0]

    def _sell(self, number: int) -> None:
        reference, api = f"grow-{number}", self._terminal.api
        api.post("/v1/sales", json={"reference": reference, "amount": 350, "subject": "Cola"}).raise_for_status()
        code = {"code": payment_code(number)}
        api.post(f"/v1/sales/{reference}/payment-code", json=code).raise_for_status()
        while self._terminal.sale(reference).state != "completed":
            pause(_BETWEEN_S)
