"""The key over days of virtual time: keys age, messages are lost, the process dies (I6)."""

from pathlib import Path

import pytest

from terminald.core.custody_table import CustodyState
from tests.simulation.key_days import SAYS_SO, live_days
from tests.simulation.virtual_time import run_virtually


@pytest.mark.simulation
def test_a_terminal_with_a_good_link_serves_for_days(tmp_path: Path) -> None:
    """The key is renewed daily, and every sale is paid or canceled as ever."""
    history = run_virtually(live_days(1, tmp_path / "journal.db", days=5, loss=0.0))
    assert (history.found, history.faults_found()) == ([], [])
    assert history.state() is CustodyState.FRESH
    assert history.accepted()
    assert 5 <= history.gateway.terminals.by_sn[history.terminal.terminal_sn].checkins <= 8


@pytest.mark.simulation
@pytest.mark.parametrize("seed", [2, 3])
def test_lost_messages_and_crashes_do_not_cost_the_key(seed: int, tmp_path: Path) -> None:
    history = run_virtually(live_days(seed, tmp_path / "journal.db", days=5, loss=0.05, crashes=0.1))
    assert (history.found, history.faults_found()) == ([], [])
    assert history.accepted() or history.state() in SAYS_SO


@pytest.mark.simulation
@pytest.mark.parametrize("seed", [4, 5])
def test_a_lock_out_that_can_not_be_helped_is_announced(seed: int, tmp_path: Path) -> None:
    history = run_virtually(live_days(seed, tmp_path / "journal.db", days=4, loss=0.6, crashes=0.1))
    assert (history.found, history.faults_found()) == ([], [])
    assert history.accepted() or history.state() in SAYS_SO
