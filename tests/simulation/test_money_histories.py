"""Many histories of every kind of sale, each from one seed: books, host and promises agree (I1–I5, I9)."""

from pathlib import Path

import pytest

from tests.simulation.money_history import live_with_money
from tests.simulation.virtual_time import run_virtually

SEEDS = 200
BATCH = 20


@pytest.mark.simulation
@pytest.mark.parametrize("first", range(0, SEEDS, BATCH))
def test_money_taken_and_returned_is_what_was_told(first: int, tmp_path: Path) -> None:
    for seed in range(first, first + BATCH):
        history = run_virtually(live_with_money(seed, tmp_path / f"{seed}.db"))
        assert history.faults_found() == [], f"seed {seed}"
