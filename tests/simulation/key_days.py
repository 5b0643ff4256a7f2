"""Days in the life of the key: a terminal whose link and power come and go, and a gateway where keys die of age."""

import asyncio
import random
from contextlib import suppress
from pathlib import Path

from terminald.adapters.journal_sqlite import SqliteJournal
from terminald.core.custody_table import CustodyState
from terminald.simulator.gateway import Fault
from terminald.simulator.gateway_faults import FaultKind
from tests.simulation.customers import visit
from tests.simulation.history import History

HOUR_S = 3600.0
LOST: tuple[FaultKind, ...] = (
    "lose_request", "close_request", "lose_answer", "close_answer", "reset", "delay_request", "slow", "http_status",
    "html", "garbage", "empty", "redirect", "system_error",
)  # fmt: skip
#: States in which a check-in is about to be sent, or under way.
ASKING = frozenset({CustodyState.CHECKING_IN.value, CustodyState.RECHECKING.value})
#: States in which a terminal says that it may have no key.
SAYS_SO = frozenset({CustodyState.STOPPED, CustodyState.EXPIRED, CustodyState.LOCKED_OUT})


class KeyDays(History):
    """A history in which only the check-ins and proofs are disturbed."""

    def __init__(self, seed: int, path: Path, *, loss: float) -> None:
        super().__init__(seed, path)
        # A wrong clock moves the check-in; the years of the key have boards of their own.
        self.board.set_right()
        self.loss = loss
        self.found: list[str] = []
        #: When the link was cut, and when it came back, in the gateway's milliseconds since 1970.
        self.cuts: list[tuple[int, int]] = []
        self._cut_since: int | None = None

    def accepted(self) -> bool:
        """Whether the gateway accepts a key that is on disk."""
        store = SqliteJournal(self.path)
        terminal = store.load_terminal()
        store.close()
        assert terminal is not None
        return any(
            key is not None and self.gateway.accepts_key(terminal.terminal_sn, key.reveal())
            for key in (terminal.current_key, terminal.previous_key)
        )

    def state(self) -> CustodyState:
        """The state of custody on disk."""
        store = SqliteJournal(self.path)
        custody = store.load_custody()
        store.close()
        return CustodyState.UNPROVEN if custody is None else custody.state

    async def disturb(self, days: int) -> None:
        """Every two hours, lose some messages for a while, or cut the link; look at the key each time."""
        for _ in range(days * 12):
            self.gateway.faults.clear()
            for path in ("checkin", "checkin", "query"):
                if self.rng.random() < self.loss:
                    self.gateway.faults.add(
                        Fault(
                            kind=self.rng.choice(LOST),
                            path=path,
                            count=1,
                            seconds=self.rng.choice((1.0, 20.0, 65.0)),
                            arrives=self.rng.random() < 0.5,
                        )
                    )
            self._cut(is_cut=self.rng.random() < 0.1)
            if self.crash_rate and self.rng.random() < self.crash_rate:
                self.crashes_left += 1
            await asyncio.sleep(2 * HOUR_S)
            self.judge()
        self._cut(is_cut=False)

    def _cut(self, *, is_cut: bool) -> None:
        self.carrier.is_cut, now = is_cut, self.now()
        if is_cut and self._cut_since is None:
            self._cut_since = now
        elif not is_cut and self._cut_since is not None:
            self.cuts.append((self._cut_since, now))
            self._cut_since = None

    def now(self) -> int:
        """The gateway's time."""
        return int(self.gateway.now_s() * 1000)

    def checkins(self) -> list[int]:
        """When a check-in was about to be sent, as the journal has it."""
        store = SqliteJournal(self.path)
        records = store.records_after(0, store.last_seq())
        store.close()
        return [
            one.wall
            for one in records
            if one.record.kind == "key" and one.record.before != one.record.after and one.record.after in ASKING
        ]

    crash_rate = 0.0

    def set_clock(self) -> None:
        """Nobody does."""

    def judge(self) -> None:
        """I6: a terminal that runs holds an accepted key, or says that it may have none."""
        if not self.accepted() and self.state() not in SAYS_SO:
            self.found.append(f"I6: no accepted key, and {self.state().value}")


async def live_days(seed: int, path: Path, *, days: int = 10, loss: float = 0.05, crashes: float = 0.0) -> KeyDays:
    """Live through some days, with a sale now and then."""
    history = KeyDays(seed, path, loss=loss)
    history.crash_rate = crashes
    daemon = asyncio.create_task(history.serve())
    disturber = asyncio.create_task(history.disturb(days))
    rng = random.Random(seed + 1)
    number = 0
    while not disturber.done():
        await asyncio.wait({disturber}, timeout=rng.uniform(1, 30) * HOUR_S)
        if not disturber.done() and history.state() not in SAYS_SO and not history.carrier.is_cut:
            number += 1
            with suppress(TimeoutError):
                async with asyncio.timeout(HOUR_S):
                    await history.sell(f"order-{number}", 350, visit)
    await disturber
    await history.rest()
    daemon.cancel()
    with suppress(asyncio.CancelledError):
        await daemon
    return history
