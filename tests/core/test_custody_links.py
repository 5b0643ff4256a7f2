"""Outages of the link: the key is renewed in the next half hour, as the one after it may be two days away (I6)."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from terminald.core.custody import KEY_LIFE, LEAST_WAIT, OUTAGE_AFTER, RENEW_AFTER, next_wakeup
from terminald.core.custody_events import (
    CheckIn,
    ClockTrusted,
    KeyAccepted,
    KeyRenewed,
    KeyUnanswered,
    LinkLost,
    PreviousKeyAccepted,
    ProofDue,
    ProveKey,
)
from terminald.core.custody_learning import REMEMBERED
from terminald.core.custody_table import CustodyState
from terminald.core.events import Event, PowerReturned
from terminald.core.ids import Secret, WallTime
from terminald.core.schedule import DAY, HOUR, MINUTE, SECOND
from tests.core.test_custody import QUIET, REACHED, Keeper
from tests.core.test_custody_timing import due_in, lose_power, renewed, trust

S = CustodyState
HALF_HOUR = 30 * MINUTE
#: The monitor of the link looks every minute while it is away; some of its messages may be lost.
SEEN_WITHIN = 5 * MINUTE


def lose_link(keeper: Keeper, by: int, *answers: Event) -> Keeper:
    """The link is away for so long, and back; then a proof is answered, as that is what its return gives reason to."""
    lost = LinkLost(since=keeper.now.instant)
    return keeper.wait(OUTAGE_AFTER).tell(lost).wait(by - OUTAGE_AFTER).tell(ProofDue(), *(answers or (QUIET,)))


def remembered(hours: int) -> Keeper:
    """A key that was renewed just now, after an outage of the link that lasted so long."""
    keeper = lose_link(renewed().wait(LEAST_WAIT), hours * HOUR)
    keeper.wake()
    return keeper.tell(QUIET, KeyRenewed(key=Secret("k3")), KeyAccepted())


# --- one outage ------------------------------------------------------------------------------------------------------


def test_after_an_outage_of_the_link_the_key_is_renewed_as_soon_as_the_gateway_answers() -> None:
    keeper = lose_link(renewed().wait(5 * HOUR), HOUR)
    assert due_in(keeper) == 0
    keeper.wake()
    assert isinstance(keeper.tell(QUIET).asked[0], CheckIn)
    keeper.tell(KeyRenewed(key=Secret("k3")), KeyAccepted())
    assert due_in(keeper) == RENEW_AFTER


def test_a_key_that_is_too_young_then_is_renewed_when_it_is_not() -> None:
    """Never twice within six hours unless a person asks."""
    keeper = lose_link(renewed().wait(HOUR), HOUR)
    assert due_in(keeper) == LEAST_WAIT - 2 * HOUR


def test_a_link_that_is_back_without_an_answer_changes_nothing_until_there_is_one() -> None:
    keeper = lose_link(renewed().wait(7 * HOUR), HOUR, KeyUnanswered())
    assert (keeper.state, due_in(keeper)) == (S.FRESH, RENEW_AFTER - 8 * HOUR)
    assert isinstance(keeper.wake(), ProofDue)
    assert due_in(keeper.tell(QUIET)) == 0


def test_an_outage_before_the_new_key_was_proven_counts() -> None:
    keeper = renewed()
    keeper.custody = replace(keeper.custody, rotation=replace(keeper.custody.rotation, state=S.UNPROVEN, proven=None))
    keeper = lose_link(keeper, 7 * HOUR)
    assert (keeper.state, due_in(keeper)) == (S.FRESH, 0)


def test_an_outage_is_over_with_the_first_answer_in_every_state_and_once() -> None:
    for state, reach in REACHED.items():
        keeper = reach()
        keeper.tell(LinkLost(since=keeper.now.instant)).wait(HOUR)
        assert (keeper.state, keeper.custody.rotation.was_out) == (state, False)
        answer = KeyRenewed(key=Secret("k9")) if state in (S.CHECKING_IN, S.RECHECKING) else KeyAccepted()
        keeper.tell(answer)
        assert keeper.custody.rotation.out_since is None
        # The new key was asked for after the outage.
        assert keeper.custody.rotation.was_out is not isinstance(answer, KeyRenewed)


def test_a_refusal_of_the_current_key_alone_is_an_answer_as_well() -> None:
    keeper = lose_link(renewed(), HOUR, PreviousKeyAccepted())
    assert keeper.custody.rotation.out_since is None


# --- outages that come again -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("hours", "renewed_at"),
    [(1, RENEW_AFTER), (3, RENEW_AFTER), (10, 13 * HOUR), (14, 9 * HOUR), (20, LEAST_WAIT), (40, LEAST_WAIT)],
)
def test_a_key_is_to_outlive_an_outage_that_is_a_day_longer_than_the_longest(hours: int, renewed_at: int) -> None:
    """Off each night, and from Saturday to Monday. An outage of less than some hours is a mishap and foretells none."""
    keeper = remembered(hours)
    assert (keeper.custody.rotation.was_out, due_in(keeper)) == (False, renewed_at)


def test_an_outage_is_remembered_for_a_week_and_a_day() -> None:
    keeper = remembered(40)
    keeper.wait(keeper.custody.rotation.outages[0].ended + REMEMBERED - 1 - keeper.now.instant)
    keeper.tell(KeyAccepted())
    assert keeper.custody.rotation.due == keeper.custody.rotation.rotated + LEAST_WAIT
    keeper.wait(1).tell(ClockTrusted())
    assert keeper.custody.rotation.due == keeper.custody.rotation.rotated + RENEW_AFTER


def test_the_longest_outage_of_the_last_days_counts_and_each_for_so_long_as_no_longer_one_follows() -> None:
    """I11: a long outage hides no shorter one for ever, and there are no more of them than days have room for."""
    keeper = remembered(40)
    for hours, lengths in ((4, [40, 4]), (20, [40, 20]), (10, [40, 20, 10]), (20, [40, 20]), (41, [41]), (3, [41])):
        lose_link(keeper.wait(DAY // 2), hours * HOUR)
        assert [one.length for one in keeper.custody.rotation.outages] == [length * HOUR for length in lengths]
    lose_link(keeper.wait(REMEMBERED - 10 * HOUR), 10 * HOUR)
    assert [one.length for one in keeper.custody.rotation.outages] == [10 * HOUR]


@pytest.mark.parametrize("is_told_at_once", [True, False])
def test_an_outage_lasts_from_its_beginning_to_an_answer_whatever_went_with_it(*, is_told_at_once: bool) -> None:
    """The link went first, then the power for ten hours, and the link came back an hour after it."""
    keeper = renewed()
    keeper.tell(LinkLost(since=keeper.now.instant)).wait(2 * HOUR)
    lose_power(keeper, 10, is_trusted=is_told_at_once).wait(HOUR)
    keeper.tell(LinkLost(since=keeper.now.instant))
    trust(keeper).tell(ProofDue(), QUIET)
    assert [one.length for one in keeper.custody.rotation.outages] == [13 * HOUR + 1]


def test_an_outage_of_the_link_after_one_of_the_power_is_not_longer_for_it() -> None:
    """How long the power was off is told hours after the gateway was heard, when the link has gone once more."""
    keeper = lose_power(renewed().wait(HOUR), 10, is_trusted=False).tell(ProofDue(), KeyAccepted())
    assert keeper.custody.rotation.out_since is None
    keeper.wait(HOUR).tell(LinkLost(since=keeper.now.instant))
    trust(keeper.wait(HOUR)).tell(ProofDue(), KeyAccepted())
    assert keeper.custody.rotation.outages == ()
    assert keeper.now.instant - keeper.custody.rotation.rotated == 13 * HOUR + 1


# --- what follows ----------------------------------------------------------------------------------------------------


class Terminal(Keeper):
    """A terminal with a good link now and then, where no message is lost."""

    def __init__(self) -> None:
        super().__init__()
        self.tell(KeyAccepted())
        self.sent: list[int] = []
        self.is_expired = False

    def live(self, by: int) -> None:
        """Live with power and link; their return was seen already."""
        end = self.now.instant + by
        while True:
            while self.asked:
                self._answer()
            due = next_wakeup(self.custody)
            if due is None or due.at > end:
                break
            self.wake()
        self.wait(end - self.now.instant)

    def be_out(self, by: int, *, is_off: bool) -> None:
        """Be without power or link; that it is over is seen in the good time after it."""
        if is_off:
            self.now = replace(self.now, wall=WallTime(self.now.wall + by))
            self.wait(1).tell(PowerReturned())
        else:
            lost = LinkLost(since=self.now.instant)
            self.wait(OUTAGE_AFTER).tell(lost).wait(by - OUTAGE_AFTER)
        self.wait(SEEN_WITHIN)
        self.now = replace(self.now, is_trusted=True)
        self.tell(ClockTrusted(), ProofDue())
        self.is_expired |= self.now.instant - self.custody.rotation.rotated >= KEY_LIFE

    def _answer(self) -> None:
        self.wait(2 * SECOND)
        if isinstance(self.asked[0], ProveKey):
            self.tell(QUIET)
        else:
            self.is_expired |= self.now.instant - self.custody.rotation.rotated >= KEY_LIFE
            self.sent.append(self.now.wall)
            self.tell(KeyRenewed(key=Secret(f"key {len(self.sent)}")))


#: How long a good time lasts, how long the outage after it, and whether that is one of the power.
TIMES = st.tuples(st.integers(HALF_HOUR, 5 * HOUR), st.integers(6 * HOUR, 47 * HOUR), st.booleans())


@given(st.lists(TIMES, min_size=2, max_size=8))
def test_half_an_hour_in_every_two_days_keeps_the_key(times: list[tuple[int, int, bool]]) -> None:
    """I6: good times of half an hour and more begin 47.5 hours apart at most, with outages of hours between them."""
    terminal, before = Terminal(), HALF_HOUR
    terminal.live(before)
    for good, out, is_off in times:
        terminal.be_out(min(out, 47 * HOUR + HALF_HOUR - before), is_off=is_off)
        terminal.live(good - SEEN_WITHIN)
        before = good
        assert not terminal.is_expired
        assert terminal.custody.rotation.rotated > terminal.now.instant - good


@given(
    st.integers(5 * HOUR, 41 * HOUR),
    st.lists(st.tuples(st.integers(10 * MINUTE, 6 * DAY), st.floats(0.5, 1), st.booleans()), max_size=8),
)
def test_an_outage_that_has_been_seen_once_costs_no_key_when_it_comes_again(
    longest: int, times: list[tuple[int, float, bool]]
) -> None:
    """I6: whenever it, or one of its kind, comes again within the week."""
    terminal = Terminal()
    terminal.live(HALF_HOUR)
    terminal.be_out(longest, is_off=False)
    for good, share, is_off in [(HALF_HOUR, 1.0, False), *times]:
        terminal.live(good)
        rotated, least = terminal.custody.rotation.rotated, OUTAGE_AFTER
        terminal.be_out(int(least + (longest - least) * share), is_off=is_off)
        assert terminal.now.instant - rotated < KEY_LIFE
        assert not terminal.is_expired
    waits = [after - before for before, after in zip(terminal.sent, terminal.sent[1:], strict=False)]
    assert all(wait >= LEAST_WAIT for wait in waits)
