"""Many histories, each from one seed: what the host was told agrees with the gateway's books (I1–I5)."""

from pathlib import Path

import pytest

from tests.simulation.scan_history import live_through
from tests.simulation.virtual_time import run_virtually

SEEDS = 200
BATCH = 20


@pytest.mark.simulation
@pytest.mark.parametrize("first", range(0, SEEDS, BATCH))
def test_books_and_host_agree_whatever_is_lost_and_whenever_it_crashes(first: int, tmp_path: Path) -> None:
    for seed in range(first, first + BATCH):
        history = run_virtually(live_through(seed, tmp_path / f"{seed}.db"))
        assert history.faults_found() == [], f"seed {seed}"
