"""One seeded history of sales by payment code alone, with faults everywhere."""

import asyncio
from contextlib import suppress
from pathlib import Path

from terminald.simulator.gateway import Fault
from tests.simulation.customers import visit
from tests.simulation.history import History
from tests.simulation.kinds import FAULT_KINDS


def scatter_faults(history: History) -> None:
    """Put some faults on the road, of every kind and at every message."""
    rng = history.rng
    for _ in range(rng.randint(0, 4)):
        history.put(
            Fault(
                kind=rng.choice(FAULT_KINDS),
                path=rng.choice(("pay", "pay", "query", "cancel", "refund", "*")),
                count=rng.choice((1, 1, 2, 5, 30)),
                skip=rng.randint(0, 3),
                seconds=rng.choice((1.0, 10.0, 20.0, 65.0)),
                arrives=rng.random() < 0.5,
            )
        )


async def live_through(seed: int, path: Path, *, without: frozenset[int] = frozenset()) -> History:
    """Live one history to its rest."""
    history = History(seed, path, without=without)
    history.crashes_left = history.rng.choice((0, 0, 1, 2, 4))
    daemon = asyncio.create_task(history.serve())
    for number in range(history.rng.randint(1, 3)):
        scatter_faults(history)
        await history.sell(f"order-{number}", history.rng.randint(1, 5000), visit)
    await history.rest()
    daemon.cancel()
    with suppress(asyncio.CancelledError):
        await daemon
    return history
