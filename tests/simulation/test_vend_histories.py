"""A vending machine, a gateway with books, crashes at every commit: what is kept came out, or is announced."""

import asyncio
from pathlib import Path

import pytest

from tests.simulation.vend_history import OUTCOMES, VendHistory, end, live_vending
from tests.simulation.virtual_time import run_virtually

#: More commits than any vend has; reaching it is a failure.
MAX_COMMITS = 60
SEEDS, BATCH = 60, 20
#: Of these the money goes back where nobody knows.
RETURNED = ("reset and out", "rest, then ok")


async def _live(path: Path, outcome: str, ending: str, number: int, *, is_after: bool) -> tuple[bool, list[str]]:
    """Live one request whose first daemon dies at that commit; return whether it did, and every difference."""
    history = VendHistory(number, path, returns_unknown=outcome in RETURNED)
    history.crash_plan = [(number, is_after)]
    daemon = asyncio.create_task(history.serve())
    await history.buy(outcome, ending)
    await history.settle(400.0)
    is_dead = history.lives > 1
    await end(history, daemon)
    return is_dead, history.faults_found()


@pytest.mark.simulation
@pytest.mark.parametrize("is_after", [False, True])
@pytest.mark.parametrize(
    ("outcome", "ending"),
    [
        ("ok", "00"),
        ("ok", "10"),
        ("fail", "00"),
        ("reset", "00"),
        ("reset and out", "00"),
        ("rest, then ok", "00"),
        ("ok", "12"),
    ],
)
def test_a_vend_survives_a_crash_at_any_commit(outcome: str, ending: str, tmp_path: Path, *, is_after: bool) -> None:
    """I1–I5: restarts included, a request is charged once, approved once, and kept or returned as the machine says."""
    for number in range(1, MAX_COMMITS):
        file = tmp_path / f"{number}.db"
        is_dead, found = run_virtually(_live(file, outcome, ending, number, is_after=is_after))
        assert found == [], f"commit {number}"
        if not is_dead:
            assert number > 5
            return
    raise AssertionError("the vend has no end")


@pytest.mark.simulation
@pytest.mark.parametrize("first", range(0, SEEDS, BATCH))
def test_books_agree_whatever_the_machine_does_and_whenever_it_crashes(first: int, tmp_path: Path) -> None:
    for seed in range(first, first + BATCH):
        history = run_virtually(live_vending(seed, tmp_path / f"{seed}.db"))
        assert history.faults_found() == [], f"seed {seed}"


def test_every_end_of_a_machine_is_among_them() -> None:
    assert {is_out for is_out, _ in OUTCOMES.values()} == {True, False}
