"""A crash at every commit of the canonical sales, before it and after it: books and host agree (I1–I5)."""

import asyncio
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest

from terminald.core.ids import Duration
from tests.simulation.history import RULES, History
from tests.simulation.virtual_time import run_virtually

#: More commits than any of these sales has; reaching it is a failure.
MAX_COMMITS = 150


async def _crash_at(path: Path, code: str, number: int, *, is_after: bool) -> tuple[bool, list[str]]:
    """Live one sale whose first daemon dies at that commit; return whether it did, and every difference."""
    history = History(number, path, rules=replace(RULES, poll_interval=Duration(10_000)))
    history.crash_plan = [(number, is_after)]
    daemon = asyncio.create_task(history.serve())
    await history.sell("order", 350, lambda history, reference: _present(history, reference, code))
    is_dead = history.lives > 1
    await history.rest()
    daemon.cancel()
    with suppress(asyncio.CancelledError):
        await daemon
    return is_dead, history.faults_found()


async def _present(history: History, reference: str, code: str) -> None:
    await asyncio.sleep(0.5)
    await history.scan(reference, code)


@pytest.mark.simulation
@pytest.mark.parametrize("is_after", [False, True])
@pytest.mark.parametrize("ending", ["99", "10", "20", "40", "42", "50", "60", "62", "64"])
def test_a_crash_at_any_commit_leaves_the_money_right(ending: str, is_after: bool, tmp_path: Path) -> None:  # noqa: FBT001 - a parameter of the test
    for number in range(1, MAX_COMMITS):
        path = tmp_path / f"{number}.db"
        is_dead, faults = run_virtually(_crash_at(path, "130000000000" + "0000" + ending, number, is_after=is_after))
        assert faults == [], f"commit {number}"
        path.unlink()
        if not is_dead:
            assert number > 4
            return
    raise AssertionError("the sale has no end")
