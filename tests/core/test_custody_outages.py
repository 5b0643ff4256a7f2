"""Outages that come one after another: six hours pass between two check-ins, in truth and not by the time line (I6)."""

from dataclasses import replace

import pytest

from terminald.core.custody import LEAST_WAIT
from terminald.core.custody_events import CheckIn, CheckinUnanswered, KeyUnanswered, ProofDue, ProveKey, RenewalDue
from terminald.core.custody_table import CustodyState
from terminald.core.events import Recovered
from terminald.core.ids import WallTime
from terminald.core.schedule import HOUR, MINUTE
from tests.core.test_custody import QUIET, Keeper, doubtful
from tests.core.test_custody_timing import lose_power, renewed, trust

S = CustodyState


def lost_answer(keeper: Keeper) -> Keeper:
    """The next renewal comes, and its check-in has no answer."""
    assert isinstance(keeper.wake(), RenewalDue)
    return keeper.tell(QUIET, CheckinUnanswered())


def next_proof_in(keeper: Keeper) -> int:
    """How long until the key is proven by itself."""
    assert keeper.custody.rotation.retry is not None
    return keeper.custody.rotation.retry - keeper.now.instant


def test_a_proof_that_waits_for_the_next_check_in_waits_no_longer_than_that() -> None:
    keeper = trust(lose_power(lost_answer(renewed()), 5, is_trusted=False))
    assert next_proof_in(keeper) == HOUR - 1
    keeper.wake()
    assert isinstance(keeper.tell(QUIET).asked[0], CheckIn)


@pytest.mark.parametrize("is_told", [True, False])
def test_an_outage_before_the_check_in_does_not_count_as_time_after_it(*, is_told: bool) -> None:
    """The start that was to tell of the first outage may have died before it wrote anything."""
    keeper = renewed().wait(HOUR)
    if is_told:
        trust(lose_power(keeper, 10, is_trusted=False))
    else:
        keeper.now = replace(keeper.now, wall=WallTime(keeper.now.wall + 10 * HOUR))
        keeper.tell(Recovered())
    lost_answer(keeper)
    trust(lose_power(keeper, 1, is_trusted=True))
    asked = keeper.custody.rotation.asked
    assert asked is not None
    assert keeper.now.instant - asked <= HOUR + MINUTE
    assert next_proof_in(keeper) >= LEAST_WAIT - HOUR - MINUTE


def test_a_renewal_of_unknown_time_does_not_hold_up_the_check_in_after_a_lost_answer() -> None:
    """How old the key is nobody can tell; when the last check-in was sent is known."""
    keeper = renewed(is_trusted=False).wait(8 * HOUR)
    trust(keeper)
    keeper.custody = replace(keeper.custody, rotation=replace(keeper.custody.rotation, is_rotated_at_trusted=False))
    keeper.now = replace(keeper.now, wall=WallTime(keeper.now.wall + HOUR))
    lost_answer(keeper)
    trust(lose_power(lose_power(keeper, 3, is_trusted=False), 3, is_trusted=False))
    assert keeper.state is S.DOUBTFUL
    assert next_proof_in(keeper) <= 0


def test_an_outage_ends_the_long_waits_between_two_proofs() -> None:
    keeper = doubtful().wait(LEAST_WAIT)
    for _ in range(8):
        keeper.wake()
        keeper.tell(KeyUnanswered())
    assert next_proof_in(keeper) >= 30 * MINUTE
    lose_power(keeper, 1, is_trusted=True)
    assert next_proof_in(keeper) == 0
    keeper.wake()
    assert isinstance(keeper.asked[0], ProveKey)


def test_a_proof_that_something_gives_reason_to_is_repeated_soon() -> None:
    """The link is back after hours, and the first message on it is lost."""
    keeper = doubtful().wait(LEAST_WAIT)
    for _ in range(8):
        keeper.wake()
        keeper.tell(KeyUnanswered())
    keeper.wait(MINUTE).tell(ProofDue(), KeyUnanswered())
    assert next_proof_in(keeper) <= 3 * MINUTE
