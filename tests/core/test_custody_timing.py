"""When the key is renewed, whatever the clock and the power do (I6, I10)."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from terminald.core import custody as keys
from terminald.core.custody import BOOT_GRACE, LEAST_WAIT, RENEW_AFTER, SETTLE, next_wakeup, step
from terminald.core.custody_events import (
    CheckIn,
    CheckinRefused,
    CheckinRequested,
    CheckinUnanswered,
    ClockTrusted,
    KeyAccepted,
    KeyRenewed,
    KeyUnanswered,
    ProofDue,
    ProveKey,
    RenewalDue,
)
from terminald.core.custody_table import CustodyState
from terminald.core.events import Event, PowerReturned, Recovered
from terminald.core.ids import Duration, Secret, WallTime
from terminald.core.schedule import DAY, HOUR, MINUTE, TIME_MARGIN, Rules
from tests.core.machine_builders import NOON, RULES
from tests.core.test_custody import QUIET, Keeper, checking_in, doubtful, fresh

S = CustodyState
TIMED = replace(RULES, checkin_at=Duration(15 * HOUR))


class Timed(Keeper):
    """The same with other rules: a configured time of day."""

    def __init__(self, rules: Rules = TIMED) -> None:
        super().__init__()
        self.rules = rules

    def tell(self, *events: Event) -> "Timed":
        for event in events:
            self.custody, asked = step(self.custody, event, now=self.now, rules=self.rules)
            self.asked = list(asked)
        return self


def renewed(*, is_trusted: bool = True) -> Keeper:
    """A key that was renewed and proven just now, by a clock that was trusted or not."""
    keeper = checking_in()
    keeper.now = replace(keeper.now, is_trusted=is_trusted)
    return keeper.tell(KeyRenewed(key=Secret("k2")), KeyAccepted())


def lose_power(keeper: Keeper, hours: int, *, is_trusted: bool) -> Keeper:
    """The power is off for some hours, of which the time line knows nothing."""
    wall = WallTime(keeper.now.wall + hours * HOUR)
    keeper.now = replace(keeper.now, wall=wall, is_trusted=is_trusted)
    return keeper.wait(1).tell(PowerReturned())


def trust(keeper: Keeper) -> Keeper:
    keeper.now = replace(keeper.now, is_trusted=True)
    return keeper.tell(ClockTrusted())


def due_in(keeper: Keeper) -> int:
    return keeper.custody.rotation.due - keeper.now.instant


# --- the age of the key ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("is_told_at_once", [True, False])
def test_an_outage_counts_in_full_and_once(*, is_told_at_once: bool) -> None:
    keeper = lose_power(renewed().wait(HOUR), 10, is_trusted=is_told_at_once)
    trust(trust(keeper).wait(HOUR).tell(Recovered()))
    assert keeper.now.instant - keeper.custody.rotation.rotated == 12 * HOUR + 1
    assert due_in(keeper) == 0


def test_a_key_that_became_a_day_old_without_power_is_due_at_once() -> None:
    keeper = trust(lose_power(renewed().wait(HOUR), 23, is_trusted=False))
    assert due_in(keeper) <= 0
    assert keys.wants_turn(keeper.custody, keeper.now)
    assert isinstance(keeper.wake(), RenewalDue)
    assert keeper.tell(QUIET).state is S.CHECKING_IN


def test_a_key_of_unknown_age_is_due_at_once_when_the_time_of_day_is_known() -> None:
    """It was renewed by a clock that nobody trusted: how long the power was off can never be told."""
    keeper = lose_power(renewed(is_trusted=False).wait(5 * HOUR), 1, is_trusted=False)
    assert due_in(keeper) == BOOT_GRACE
    assert due_in(trust(keeper)) == 0
    keeper.wait(HOUR).wake()
    keeper.tell(QUIET, KeyRenewed(key=Secret("k3")), KeyAccepted())
    assert (keeper.state, keeper.custody.rotation.power_back) == (S.FRESH, None)
    assert due_in(keeper) == DAY


def test_a_clock_that_is_found_to_have_been_right_tells_the_age_all_the_same() -> None:
    """As after an activation: its clock is not known to be right, and then agrees with the gateway's."""
    keeper = Keeper().wait(MINUTE).tell(PowerReturned(), KeyAccepted())
    assert keeper.custody.rotation.power_back is None
    assert due_in(trust(keeper)) == LEAST_WAIT - MINUTE
    trust(lose_power(keeper, 10, is_trusted=False))
    assert keeper.now.instant - keeper.custody.rotation.rotated == 10 * HOUR + MINUTE + 1


def test_two_trusted_times_that_contradict_each_other_tell_no_age() -> None:
    """One of the two clocks lied, and nobody knows which."""
    keeper = lose_power(renewed().wait(7 * HOUR), -30 * 24, is_trusted=True)
    assert due_in(trust(keeper)) == 0
    assert keeper.custody.rotation.rotated < keeper.now.instant


def test_clocks_that_differ_by_seconds_do_not_contradict_each_other() -> None:
    keeper = renewed().wait(HOUR)
    keeper.now = replace(keeper.now, wall=WallTime(keeper.now.wall - TIME_MARGIN))
    keeper.wait(1).tell(PowerReturned())
    assert trust(keeper).custody.rotation.power_back is None
    assert due_in(keeper) == LEAST_WAIT - HOUR - 1


@pytest.mark.parametrize("is_trusted", [True, False])
@pytest.mark.parametrize("rules", [RULES, TIMED])
def test_after_an_outage_the_key_is_renewed_as_soon_as_it_may_be(*, rules: Rules, is_trusted: bool) -> None:
    """I6: the power may go again within the hour, and stay away for two days."""
    keeper = Timed(rules).tell(Recovered(), KeyAccepted())
    keeper.custody = replace(
        keeper.custody, rotation=replace(keeper.custody.rotation, is_rotated_at_trusted=True, asked=None)
    )
    if is_trusted:
        lose_power(keeper.wait(HOUR), 9, is_trusted=True)
    else:
        lose_power(keeper.wait(LEAST_WAIT), 1, is_trusted=False)
    assert due_in(keeper) == 0
    assert due_in(trust(keeper)) == 0
    keeper.wake()
    assert keeper.tell(QUIET).state is S.CHECKING_IN
    keeper.tell(KeyRenewed(key=Secret("k2")), KeyAccepted(), ClockTrusted())
    assert due_in(keeper) > LEAST_WAIT


def test_a_key_that_is_too_young_after_an_outage_is_renewed_when_it_is_not() -> None:
    keeper = lose_power(renewed().wait(HOUR), 1, is_trusted=True)
    assert due_in(keeper) == LEAST_WAIT - 2 * HOUR - 1


def test_without_the_time_of_day_the_key_is_due_soon_after_a_boot_and_no_boot_postpones_it() -> None:
    keeper = lose_power(renewed().wait(7 * HOUR), 1, is_trusted=False)
    first = keeper.custody.rotation.due
    for _ in range(3):
        keeper.wait(BOOT_GRACE - MINUTE)
        lose_power(keeper, 1, is_trusted=False)
        assert keeper.custody.rotation.due == first


def test_a_key_that_was_not_proven_before_the_outage_is_not_taken_for_a_fresh_one() -> None:
    keeper = checking_in().tell(KeyRenewed(key=Secret("k2")))
    keeper.custody = replace(keeper.custody, rotation=replace(keeper.custody.rotation, is_rotated_at_trusted=False))
    lose_power(keeper.wait(7 * HOUR), 40, is_trusted=False).tell(KeyAccepted())
    assert keeper.state is S.FRESH
    assert due_in(keeper) == 0


def test_an_answer_may_tell_the_time_before_anybody_says_so() -> None:
    keeper = lose_power(renewed(), 3, is_trusted=False).tell(RenewalDue())
    keeper.now = replace(keeper.now, is_trusted=True)
    keeper.tell(KeyAccepted())
    assert keeper.now.instant - keeper.custody.rotation.rotated == 3 * HOUR + 1


def test_what_was_asked_for_after_the_outage_is_not_longer_ago_for_it() -> None:
    """I6: the next check-in after a lost answer is a quarter of a day later, by a time that somebody has counted."""
    keeper = lose_power(renewed().wait(7 * HOUR), 100, is_trusted=False).tell(RenewalDue(), QUIET)
    assert keys.is_asking(keeper.custody)
    asked = keeper.now.instant
    trust(keeper.wait(1000)).tell(CheckinUnanswered())
    assert not keys.is_asking(keeper.custody)
    assert keeper.custody.rotation.not_before == asked + LEAST_WAIT


def test_a_new_key_is_as_old_as_its_request_whatever_is_learned_with_its_answer() -> None:
    keeper = lose_power(renewed().wait(7 * HOUR), 100, is_trusted=False).tell(RenewalDue(), QUIET)
    keeper.now = replace(keeper.wait(1000).now, is_trusted=True)
    keeper.tell(KeyRenewed(key=Secret("k3")))
    assert keeper.now.instant - keeper.custody.rotation.rotated == 1000
    trust(keeper)
    assert keeper.now.instant - keeper.custody.rotation.rotated == 1000


def test_before_a_sale_comes_whatever_is_due_and_a_question_of_age() -> None:
    assert not keys.wants_turn(fresh().custody, NOON)
    dark = lose_power(renewed(is_trusted=False), 1, is_trusted=False)
    assert keys.wants_turn(dark.custody, dark.now)
    waiting = doubtful()
    assert not keys.wants_turn(waiting.custody, waiting.now)
    waiting.wait(LEAST_WAIT)
    assert keys.wants_turn(waiting.custody, waiting.now)


# --- clocks that are set ---------------------------------------------------------------------------------------------


def test_a_clock_that_is_set_within_a_boot_is_no_outage() -> None:
    """I10: the time line has counted; neither a restart nor a trusted clock that is months off moves anything."""
    keeper = renewed().wait(HOUR)
    before = keeper.custody.rotation
    for months in (3, -6, 40):
        keeper.now = replace(keeper.now, wall=WallTime(keeper.now.wall + months * 30 * DAY))
        trust(keeper.tell(Recovered()))
        assert (keeper.custody.rotation.rotated, keeper.custody.rotation.not_before) == (
            before.rotated,
            before.not_before,
        )
        assert LEAST_WAIT <= keeper.custody.rotation.due - before.rotated <= RENEW_AFTER


#: By how much the clock is set, whether it is believed, how a proof and a check-in end, and whether there is a restart.
LIFE = st.tuples(
    st.sampled_from([0, 0, HOUR]) | st.integers(-400 * DAY, 400 * DAY),
    st.booleans(),
    st.sampled_from([QUIET, QUIET, KeyUnanswered()]),
    st.sampled_from([KeyRenewed(key=Secret("k2")), CheckinUnanswered(), CheckinRefused()]),
    st.booleans(),
)


@given(st.lists(LIFE, max_size=25))
def test_no_clock_makes_two_check_ins_of_one_or_postpones_the_next(
    life: list[tuple[int, bool, Event, Event, bool]],
) -> None:
    """I6, I10: within one boot, whatever the clock is set to: six hours between two at least, and a day at most."""
    keeper, sent = Timed(), None
    for stepped, is_trusted, proof, answer, is_restart in life:
        keeper.now = replace(keeper.now, wall=WallTime(max(0, keeper.now.wall + stepped)), is_trusted=is_trusted)
        if is_restart:
            keeper.tell(Recovered())
        if is_trusted:
            keeper.tell(ClockTrusted())
        if next_wakeup(keeper.custody) is None:
            return
        keeper.wake()
        if any(isinstance(one, ProveKey) for one in keeper.asked):
            keeper.tell(proof)
        if any(isinstance(one, CheckIn) for one in keeper.asked):
            assert sent is None or keeper.now.instant - sent >= LEAST_WAIT
            sent = keeper.now.instant
            keeper.tell(answer)
            if isinstance(answer, KeyRenewed):
                keeper.tell(KeyAccepted())
        rotation = keeper.custody.rotation
        assert keeper.state is not S.FRESH or rotation.due - rotation.rotated <= RENEW_AFTER


def test_never_twice_within_six_hours_unless_a_person_asks() -> None:
    keeper = renewed().wait(HOUR).tell(RenewalDue(), QUIET)
    assert keeper.state is S.DUE
    keeper.wait(LEAST_WAIT - HOUR - MINUTE).tell(ProofDue(), QUIET)
    assert keeper.state is S.DUE
    by_person = renewed().wait(SETTLE).tell(CheckinRequested(), QUIET)
    assert by_person.state is S.CHECKING_IN


@pytest.mark.parametrize("event", [RenewalDue(), ProofDue(), CheckinRequested()])
def test_never_while_somebody_is_served(event: Event) -> None:
    keeper = fresh().wait(DAY).tell(event, KeyAccepted(is_quiet=False))
    assert not keys.is_asking(keeper.custody)
