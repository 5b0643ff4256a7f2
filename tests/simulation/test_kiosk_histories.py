"""A kiosk without a host: crashes at every commit, and random customers; money and what was done for it agree."""

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from terminald.core.ids import Duration
from tests.simulation.history import RULES
from tests.simulation.kiosk_history import KioskHistory, World, live, live_as_kiosk
from tests.simulation.virtual_time import run_virtually

#: More commits than one sale has; reaching it is a failure.
MAX_COMMITS = 60
GOOD = "13000000000000{number:02d}99"

KINDS = {
    "a command": World(),
    "a command that fails": World(fails_at=1),
    "pulses": World(steps=3, has_parts=True),
    "pulses that fail": World(steps=3, has_parts=True, fails_at=3),
    "a signal that fails": World(steps=3, fails_at=2),
}


async def _one_customer(
    path: Path, world: World, plan: list[tuple[int, bool]], *, returns: bool, power_fails: bool = False
) -> KioskHistory:
    """One life after the other ends at the planned commit, before it or after it. Power fails once."""
    rules = replace(RULES, poll_interval=Duration(10_000), delivery_window=Duration(10_000), returns_overdue=returns)
    history = KioskHistory(plan[0][0], path, world=world, rules=rules)
    history.crash_plan = list(plan)

    async def fail_power() -> None:
        history.power_cuts = 1.0
        while history.lives < 2:  # noqa: ASYNC110 - the process is watched from outside
            await asyncio.sleep(0.01)
        history.power_cuts = 0.0

    async def come() -> None:
        await asyncio.sleep(5)
        history.show(GOOD.format(number=1))
        await asyncio.sleep(60)

    failing = asyncio.create_task(fail_power()) if power_fails else None
    await live(history, asyncio.create_task(come()))
    if failing is not None:
        failing.cancel()
    return history


@pytest.mark.simulation
@pytest.mark.parametrize("policy", ["attention", "return"])
@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_crash_at_any_commit_ends_by_the_restart_rules(kind: str, when: str, policy: str, tmp_path: Path) -> None:
    """I2, I3, I5: nothing is done twice, and nothing is kept for what provably was not done."""
    for number in range(1, MAX_COMMITS):
        world = replace(KINDS[kind], taken=[], asked=set(), ended={}, found=[])
        history = run_virtually(
            _one_customer(tmp_path / f"{number}.db", world, [(number, when == "after")], returns=policy == "return")
        )
        assert history.judge() == [], number
        assert any(order.paid_fen for order in history.gateway.books.orders.values()) or number < 12, "nobody paid"
        if history.lives == 1:
            assert number > 8, "opening, scanning, paying, marking, reporting have commits of their own"
            return
    raise AssertionError("the sale has no end")


@pytest.mark.simulation
@pytest.mark.parametrize("again", range(1, 7))
def test_a_death_while_a_power_cut_is_seen_to_leaves_nobody_to_be_called(again: int, tmp_path: Path) -> None:
    """What provably was not done is given back, in whichever start that is said."""
    for number in range(1, MAX_COMMITS):
        plan = [(number, True), (again, True)]
        file = tmp_path / f"{number}.db"
        history = run_virtually(_one_customer(file, World(), plan, returns=False, power_fails=True))
        assert history.judge() == [], number
        if history.lives == 1:
            return
    raise AssertionError("the sale has no end")


@pytest.mark.simulation
@pytest.mark.parametrize("block", range(4))
def test_whatever_customers_and_power_do_money_and_service_agree(block: int, tmp_path: Path) -> None:
    """I1 to I5: money is kept for what was done; each step is taken once, with payment and mark on disk."""
    for seed in range(block * 50, block * 50 + 50):
        history = run_virtually(live_as_kiosk(seed, tmp_path / f"{seed}.db"))
        assert history.judge() == [], seed
