"""The key over days of virtual time: keys age, messages are lost, the process dies (I6)."""

import itertools
from pathlib import Path

import pytest

from terminald.adapters.clock import GATEWAY_PRECISION
from terminald.core.custody import BROUGHT_FORWARD, LEAST_WAIT
from terminald.core.custody_table import CustodyState
from terminald.core.schedule import DAY, MINUTE
from tests.simulation.history import RULES
from tests.simulation.key_days import SAYS_SO, live_days
from tests.simulation.virtual_time import run_virtually

#: The link monitor looks within 75 s whether the link is back; a customer may take some minutes.
LATE = 5 * MINUTE


def due_after(renewed: int, cuts: list[tuple[int, int]]) -> int:
    """Tell when a key is renewed: each day at the configured time, sooner after an outage, never within six hours.

    Where the link is away then, it is renewed when the link is back.
    """
    assert RULES.checkin_at is not None
    first = renewed + LEAST_WAIT
    due = first + (RULES.checkin_at - RULES.day_offset - first) % DAY
    if due > renewed + DAY:
        due = renewed + BROUGHT_FORWARD
    for _, end in cuts:
        # The link's times are the gateway's, and the renewal's the terminal's, which may be behind by as much.
        if end > renewed + GATEWAY_PRECISION:
            due = min(due, max(first, end))
    return next((end for start, end in cuts if start <= due < end), due)


@pytest.mark.simulation
def test_a_terminal_with_a_good_link_serves_for_days(tmp_path: Path) -> None:
    """The key is renewed when the rules say so and at no other time; every sale is paid or canceled as ever."""
    history = run_virtually(live_days(1, tmp_path / "journal.db", days=5, loss=0.0))
    assert (history.found, history.faults_found()) == ([], [])
    assert history.state() is CustodyState.FRESH
    assert history.accepted()
    born = history.terminal.rotated_at
    checkins = history.checkins()
    assert len(checkins) == history.gateway.terminals.by_sn[history.terminal.terminal_sn].checkins
    assert len(history.cuts) > 0
    # The first start is that of a boot of which nothing is on record: as after an outage.
    cuts = [(born, born + MINUTE), *history.cuts]
    for before, after in itertools.pairwise([born, *checkins]):
        due = due_after(before, cuts)
        assert due - GATEWAY_PRECISION <= after <= due + LATE
    assert due_after([born, *checkins][-1], history.cuts) + LATE > history.now()


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
