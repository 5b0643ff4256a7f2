"""The custody's table as a whole, and its stories told as transcripts."""

from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from terminald.adapters.gateway_line import GatewaySettings
from terminald.core import custody as keys
from terminald.core.commands import Command
from terminald.core.custody import (
    KEY_LIFE,
    LEAST_WAIT,
    OVERDUE_AFTER,
    OVERDUE_GRACE,
    PROOF_HOLDS,
    PROOF_LONGEST,
    REFUSALS,
    RENEW_AFTER,
    SETTLE,
    URGENT_AFTER,
    begin,
    next_wakeup,
    step,
)
from terminald.core.custody_events import (
    CheckIn,
    CheckinNotSent,
    CheckinRefused,
    CheckinRequested,
    CheckinUnanswered,
    ClockTrusted,
    CustodyCommand,
    KeyAccepted,
    KeyLifeEnded,
    KeyRefused,
    KeyRenewed,
    KeyUnanswered,
    LastCheckinFailed,
    LastKeyAccepted,
    LinkLost,
    PreviousKeyAccepted,
    PreviousKeyHolds,
    ProofDue,
    ProveKey,
    RenewalClear,
    RenewalDue,
    RenewalOverdue,
)
from terminald.core.custody_table import TABLE, Custody, CustodyState
from terminald.core.events import Event, Fault, PowerReturned, Recovered
from terminald.core.ids import Duration, Secret, WallTime
from terminald.core.schedule import DAY, HOUR, MINUTE, Now, later
from terminald.core.tables import Wakeup
from terminald.core.terminal import Terminal
from terminald.errors import IllegalTransition
from tests.core.machine_builders import NOON, RULES, after

S = CustodyState
QUIET = KeyAccepted(is_quiet=True)
EVENTS: tuple[Event, ...] = (
    RenewalDue(), ProofDue(), KeyLifeEnded(), CheckinRequested(), ClockTrusted(), KeyAccepted(), QUIET, RenewalClear(),
    LastKeyAccepted(), PreviousKeyAccepted(), PreviousKeyHolds(), RenewalOverdue(),
    KeyRefused(), KeyUnanswered(), KeyRenewed(key=Secret("new")),
    CheckinRefused(), CheckinNotSent(), LastCheckinFailed(), CheckinUnanswered(), Recovered(), PowerReturned(),
    LinkLost(since=NOON.instant),
)  # fmt: skip
#: Local noon is at 04:00 UTC of the rules' offset; the configured time is three in the afternoon.
TIMED = replace(RULES, checkin_at=Duration(15 * HOUR))


class Keeper:
    """A custody that is told things at given times, and what it asked for."""

    def __init__(self, *, rotated_ago: int = 0, previous: str | None = None, now: Now = NOON) -> None:
        self.now = now
        self.asked: list[Command] = []
        terminal = Terminal(
            terminal_sn="T1",
            device_id="d1",
            current_key=Secret("k1"),
            previous_key=None if previous is None else Secret(previous),
            activated_at=WallTime(0),
            rotated_at=WallTime(now.wall - rotated_ago),
        )
        self.custody = begin(terminal, now=now, rules=RULES)

    def tell(self, *events: Event) -> "Keeper":
        for event in events:
            self.custody, asked = step(self.custody, event, now=self.now, rules=RULES)
            self.asked = list(asked)
        return self

    def wait(self, by: int) -> "Keeper":
        self.now = after(self.now, by)
        return self

    def wake(self) -> Event:
        """Let the time of the next wake-up come."""
        due = next_wakeup(self.custody)
        assert due is not None
        self.wait(max(0, due.at - self.now.instant)).tell(due.event)
        return due.event

    @property
    def state(self) -> CustodyState:
        return self.custody.state

    @property
    def held(self) -> tuple[str, str | None]:
        terminal = self.custody.terminal
        return terminal.current_key.reveal(), terminal.previous_key.reveal() if terminal.previous_key else None

    @property
    def attention(self) -> str:
        found = self.custody.rotation.attention
        return found.code if found else ""


def fresh() -> Keeper:
    """A terminal that was activated and proven."""
    return Keeper().tell(Recovered(), KeyAccepted())


def checking_in() -> Keeper:
    keeper = fresh()
    assert isinstance(keeper.wake(), RenewalDue)
    return keeper.tell(QUIET)


def doubtful() -> Keeper:
    return checking_in().tell(CheckinUnanswered())


def rechecking() -> Keeper:
    keeper = doubtful()
    assert isinstance(keeper.wake(), ProofDue)
    return keeper.tell(QUIET)


REACHED: dict[CustodyState, Callable[[], Keeper]] = {
    S.UNPROVEN: Keeper,
    S.FRESH: fresh,
    S.DUE: lambda: fresh().tell(RenewalDue()),
    S.CHECKING_IN: checking_in,
    S.DOUBTFUL: doubtful,
    S.RECHECKING: rechecking,
    S.STOPPED: lambda: rechecking().tell(CheckinUnanswered()),
    S.EXPIRED: lambda: fresh().tell(KeyLifeEnded()),
    S.LOCKED_OUT: lambda: fresh().tell(ProofDue(), KeyRefused()),
}


# --- the table -------------------------------------------------------------------------------------------------------


def test_every_state_has_rows_and_no_state_is_an_end() -> None:
    assert set(TABLE) == set(S)
    assert all(any(row.to is not state for row in rows.values()) for state, rows in TABLE.items())


def test_a_check_in_is_asked_for_on_one_event_alone_and_only_on_the_way_to_where_it_is_known() -> None:
    """I6: intent first. No timer, no start and no person sends one without a proof."""
    for rows in TABLE.values():
        for event, row in rows.items():
            asks = {ask.__name__ for ask in row.ask}
            assert ("_check_in" in asks) == (event is RenewalClear)
            assert (row.to in (S.CHECKING_IN, S.RECHECKING)) == (event is RenewalClear) or not asks


def test_nothing_is_asked_while_a_check_in_is_under_way() -> None:
    """The answer with the new key is never stale."""
    for state in (S.CHECKING_IN, S.RECHECKING):
        for event, row in TABLE[state].items():
            assert not row.ask or event is KeyRenewed


@pytest.mark.parametrize("state", list(S))
@pytest.mark.parametrize("event", EVENTS, ids=lambda event: type(event).__name__)
def test_every_state_and_event(state: CustodyState, event: Event) -> None:
    keeper = REACHED[state]()
    before = keeper.custody
    annotated = {
        KeyAccepted, RenewalClear, LastKeyAccepted, PreviousKeyAccepted,
        CheckinNotSent, CheckinRefused, LastCheckinFailed,
    }  # fmt: skip
    if type(event) not in TABLE[state]:
        with pytest.raises(IllegalTransition):
            keeper.tell(event)
        assert keeper.custody is before
        return
    keeper.tell(event)
    if type(event) not in annotated:
        assert keeper.state is TABLE[state][type(event)].to
    asked = [one for one in keeper.asked if isinstance(one, CustodyCommand)]
    assert keeper.custody.rotation.token == before.rotation.token + len(asked)
    assert all(one.token == keeper.custody.rotation.token for one in asked)
    wakes = next_wakeup(keeper.custody)
    assert wakes is None or type(wakes.event) in TABLE[keeper.state]
    assert wakes or keys.is_asking(keeper.custody) or asked
    assert (keeper.attention != "") == (keeper.state in (S.STOPPED, S.EXPIRED, S.LOCKED_OUT)) or keeper.attention


@given(st.lists(st.sampled_from(EVENTS), max_size=30), st.lists(st.integers(0, 2 * DAY), min_size=30, max_size=30))
def test_two_check_ins_are_never_closer_than_the_rules_allow(events: list[Event], waits: list[int]) -> None:
    """I6: whatever comes whenever, a quarter of a day lies between two that were sent; a person may shorten it."""
    keeper, sent, by_person = Keeper(), None, False
    for event, wait in zip(events, waits, strict=False):
        keeper.wait(wait)
        not_sent = isinstance(event, CheckinNotSent) and keys.is_asking(keeper.custody)
        by_person = by_person or isinstance(event, CheckinRequested)
        try:
            keeper.tell(event)
        except IllegalTransition:
            continue
        if not_sent:
            sent = None
        if any(isinstance(one, CheckIn) for one in keeper.asked) and not isinstance(event, RenewalClear):
            if sent is not None:
                assert keeper.now.instant - sent >= (SETTLE if by_person else LEAST_WAIT)
            sent, by_person = keeper.now.instant, False


# --- transcripts -----------------------------------------------------------------------------------------------------


def test_a_day_in_the_life_of_a_key() -> None:
    keeper = fresh()
    assert keeper.state is S.FRESH
    start = keeper.now.instant
    assert isinstance(keeper.wake(), RenewalDue)
    assert (keeper.state, keeper.now.instant - start) == (S.DUE, RENEW_AFTER)
    assert keeper.asked == [ProveKey(token=keeper.custody.rotation.token)]
    keeper.tell(QUIET)
    assert keeper.asked == [CheckIn(token=keeper.custody.rotation.token)]
    keeper.wait(5_000).tell(KeyRenewed(key=Secret("k2")))
    assert (keeper.state, keeper.held) == (S.UNPROVEN, ("k2", "k1"))
    assert isinstance(keeper.asked[0], ProveKey)
    assert keeper.custody.rotation.rotated == keeper.now.instant - 5_000
    keeper.tell(KeyAccepted())
    assert (keeper.state, keeper.custody.rotation.version) == (S.FRESH, 2)


def test_a_renewal_waits_for_the_link_and_for_a_quiet_moment() -> None:
    keeper = fresh().tell(RenewalDue(), KeyUnanswered())
    waits = []
    for _ in range(8):
        before = keeper.now.instant
        assert isinstance(keeper.wake(), ProofDue)
        waits.append((keeper.now.instant - before) // MINUTE)
        keeper.tell(KeyUnanswered())
    assert waits[0] < waits[1] <= waits[-1] == 30
    assert keeper.tell(ProofDue(), KeyAccepted(is_quiet=False)).state is S.DUE
    assert keeper.tell(ProofDue(), QUIET).state is S.CHECKING_IN


def test_after_a_lost_answer_the_old_key_is_kept_and_the_next_try_is_a_quarter_of_a_day_later() -> None:
    keeper = doubtful()
    lost = keeper.now.instant
    assert "k1" in keeper.held
    assert keeper.tell(ProofDue(), QUIET).state is S.DOUBTFUL
    assert isinstance(keeper.wake(), ProofDue)
    assert keeper.now.instant - lost == LEAST_WAIT
    assert keeper.tell(QUIET).state is S.RECHECKING
    keeper.tell(KeyRenewed(key=Secret("k3")), KeyAccepted())
    assert keeper.custody.rotation.unanswered == 0
    assert keeper.held == ("k3", "k1")


def test_after_two_lost_answers_only_a_person_has_it_renewed() -> None:
    keeper = rechecking().tell(CheckinUnanswered())
    assert (keeper.state, keeper.attention) == (S.STOPPED, "checkin_stopped")
    assert keys.next_checkin(keeper.custody, keeper.now) is None
    keeper.wait(LEAST_WAIT).tell(ProofDue(), QUIET)
    assert keeper.state is S.STOPPED
    keeper.tell(CheckinRequested())
    assert keeper.tell(KeyUnanswered()).custody.rotation.retry is not None
    assert keeper.tell(ProofDue(), QUIET).state is S.RECHECKING
    assert keeper.tell(CheckinNotSent()).state is S.STOPPED
    keeper.tell(CheckinRequested())
    keeper.wait(SETTLE).tell(QUIET, KeyRenewed(key=Secret("k4")), KeyAccepted())
    assert (keeper.state, keeper.attention) == (S.FRESH, "")


def test_not_even_a_person_gets_one_while_another_may_still_arrive() -> None:
    keeper = doubtful().tell(CheckinRequested(), QUIET)
    assert keeper.state is S.DOUBTFUL
    assert isinstance(keeper.wake(), ProofDue)
    assert keeper.tell(QUIET).state is S.RECHECKING


def test_what_was_not_sent_is_no_lost_answer() -> None:
    keeper = checking_in().tell(CheckinNotSent())
    assert (keeper.state, keeper.custody.rotation.unanswered) == (S.DUE, 0)
    assert isinstance(keeper.wake(), ProofDue)
    assert keeper.tell(QUIET).state is S.CHECKING_IN


def test_what_can_not_be_sent_is_tried_less_and_less_often() -> None:
    keeper, waits = checking_in(), []
    sent = keeper.now.instant
    for _ in range(8):
        keeper.tell(CheckinNotSent())
        assert keeper.custody.rotation.asked is None
        # A link that comes and goes shortens no wait.
        assert keeper.tell(ProofDue(), QUIET).state is S.DUE
        before = keeper.now.instant
        assert isinstance(keeper.wake(), ProofDue)
        waits.append((keeper.now.instant - before) / MINUTE)
        assert keeper.tell(QUIET).state is S.CHECKING_IN
    assert waits[0] <= 2
    assert waits[-1] >= PROOF_LONGEST / MINUTE
    assert keeper.custody.rotation.asked == keeper.now.instant > sent


def test_what_was_not_sent_does_not_count_against_the_one_before() -> None:
    keeper = doubtful()
    lost = keeper.now.instant
    keeper.wake()
    keeper.tell(QUIET, CheckinNotSent())
    assert keeper.custody.rotation.asked == lost
    for refused in (CheckinRefused(), CheckinUnanswered()):
        assert keeper.custody.rotation.unsent == 1
        again = Keeper()
        again.custody, again.now = keeper.custody, keeper.now
        again.wait(HOUR).tell(ProofDue(), QUIET, refused)
        assert again.custody.rotation.unsent == 0


def test_a_refusal_calls_a_person_and_is_tried_much_later() -> None:
    keeper = checking_in().tell(CheckinRefused())
    assert (keeper.state, keeper.attention) == (S.DUE, "checkin_refused")
    refused = keeper.now.instant
    assert isinstance(keeper.wake(), ProofDue)
    assert keeper.now.instant - refused == LEAST_WAIT


@pytest.mark.parametrize("event", [Recovered(), PowerReturned()])
def test_a_crash_in_a_check_in_is_a_lost_answer(event: Event) -> None:
    """I6: intent on disk."""
    assert checking_in().tell(event).state is S.DOUBTFUL
    assert rechecking().tell(event).state is S.STOPPED


def test_where_both_keys_are_refused_the_terminal_is_locked_out_and_goes_on_looking() -> None:
    keeper = fresh().tell(ProofDue(), KeyRefused())
    assert (keeper.state, keeper.attention) == (S.LOCKED_OUT, "key_locked_out")
    assert keys.next_checkin(keeper.custody, keeper.now) is None
    assert isinstance(keeper.wake(), ProofDue)
    assert keeper.tell(KeyAccepted()).state is S.DOUBTFUL
    assert keeper.attention == ""


def test_after_two_lost_answers_a_key_that_is_accepted_again_changes_nothing() -> None:
    keeper = rechecking().tell(CheckinUnanswered(), ProofDue(), KeyRefused())
    assert keeper.state is S.LOCKED_OUT
    assert keeper.tell(ProofDue(), QUIET).state is S.STOPPED


def refused_lastingly(keeper: Keeper) -> Keeper:
    """The current key is refused, and the previous one accepted, at every proof until something changes."""
    held = keeper.held
    while keeper.held == held:
        keeper.tell(PreviousKeyAccepted())
        if keeper.held == held:
            assert isinstance(keeper.wake(), ProofDue)
    return keeper


@pytest.mark.parametrize("state", [S.UNPROVEN, S.FRESH, S.DUE, S.DOUBTFUL, S.STOPPED])
def test_one_refusal_of_the_current_key_changes_nothing_but_that_it_is_proven_again(state: CustodyState) -> None:
    """I6: a gateway whose machines do not agree for a moment ends no renewal."""
    keeper = REACHED[state]().tell(ProofDue(), PreviousKeyAccepted())
    assert (keeper.state, keeper.held[0]) == (state, "k1")
    before = keeper.now.instant
    assert isinstance(keeper.wake(), ProofDue)
    assert keeper.now.instant - before <= 3 * MINUTE
    keeper.tell(KeyAccepted())
    assert keeper.custody.rotation.refused_since is None


def test_a_new_key_that_is_refused_at_its_first_proof_alone_is_kept() -> None:
    keeper = checking_in().tell(KeyRenewed(key=Secret("k2")), PreviousKeyAccepted())
    assert (keeper.state, keeper.held, keeper.attention) == (S.UNPROVEN, ("k2", "k1"), "")
    keeper.wake()
    assert keeper.tell(KeyAccepted()).state is S.FRESH


def test_a_new_key_that_is_lastingly_refused_gives_way_to_the_one_before_and_its_age() -> None:
    keeper = checking_in().wait(1000).tell(KeyRenewed(key=Secret("k2")))
    began, born, wall = keeper.now.instant, keeper.now.instant - RENEW_AFTER - 1000, keeper.custody.terminal.rotated_at
    refused_lastingly(keeper)
    assert (keeper.state, keeper.held, keeper.attention) == (S.DOUBTFUL, ("k1", "k2"), "key_unproven")
    rotation = keeper.custody.rotation
    assert (rotation.version, rotation.unanswered, rotation.rotated) == (1, 1, born)
    assert wall - keeper.custody.terminal.rotated_at == RENEW_AFTER
    assert PROOF_LONGEST <= keeper.now.instant - began <= 2 * PROOF_LONGEST
    assert isinstance(keeper.wake(), ProofDue)
    assert keeper.now.instant - began == LEAST_WAIT - 1000
    assert keeper.tell(QUIET).state is S.RECHECKING
    assert keeper.tell(CheckinNotSent()).attention == "key_unproven"
    keeper.wake()
    keeper.tell(QUIET, KeyRenewed(key=Secret("k3")), KeyAccepted())
    assert (keeper.state, keeper.held, keeper.attention) == (S.FRESH, ("k3", "k1"), "")


def test_refusals_with_an_accepted_proof_in_between_do_not_last() -> None:
    keeper = checking_in().tell(KeyRenewed(key=Secret("k2")))
    for _ in range(3 * REFUSALS):
        keeper.tell(ProofDue(), PreviousKeyAccepted(), ProofDue(), KeyAccepted()).wait(PROOF_LONGEST)
    assert keeper.held == ("k2", "k1")
    for _ in range(REFUSALS + 1):
        keeper.tell(ProofDue(), PreviousKeyAccepted()).wait(1000)
    assert keeper.held == ("k2", "k1")


def test_two_refusals_far_apart_do_not_last() -> None:
    """A terminal that was off in between, or without a link: nobody knows what was in the hours between them."""
    keeper = checking_in().tell(KeyRenewed(key=Secret("k2")), PreviousKeyAccepted())
    keeper.wait(2 * PROOF_LONGEST).tell(ProofDue(), PreviousKeyAccepted())
    assert keeper.held == ("k2", "k1")


def test_the_two_keys_can_change_places_again() -> None:
    keeper = refused_lastingly(refused_lastingly(checking_in().tell(KeyRenewed(key=Secret("k2")))).tell(ProofDue()))
    assert keeper.held == ("k2", "k1")
    assert keeper.custody.rotation.rotated - NOON.instant == RENEW_AFTER


def test_after_two_lost_answers_the_keys_change_places_and_renewal_stays_stopped() -> None:
    keeper = doubtful()
    keeper.custody = replace(keeper.custody, terminal=replace(keeper.custody.terminal, previous_key=Secret("k0")))
    keeper.wake()
    keeper.tell(QUIET, CheckinUnanswered(), ProofDue())
    assert (refused_lastingly(keeper).held, keeper.state) == (("k0", "k1"), S.STOPPED)
    # Nobody noted the age of a key that an older release left behind.
    assert keeper.custody.rotation.rotated == NOON.instant - DAY


@pytest.mark.parametrize("lost", [KeyRefused(), KeyLifeEnded()])
@pytest.mark.parametrize(("unanswered", "becomes"), [(0, S.DOUBTFUL), (1, S.DOUBTFUL), (2, S.STOPPED)])
def test_a_previous_key_that_is_accepted_ends_a_lock_out(lost: Event, unanswered: int, becomes: CustodyState) -> None:
    keeper = checking_in().tell(KeyRenewed(key=Secret("k2")), KeyAccepted(), lost)
    keeper.custody = replace(keeper.custody, rotation=replace(keeper.custody.rotation, unanswered=unanswered))
    keeper.tell(ProofDue(), PreviousKeyAccepted())
    assert (keeper.state, keeper.held, keeper.attention) == (becomes, ("k1", "k2"), "key_unproven")


def test_no_two_keys_have_the_same_number() -> None:
    """The log names a key by it."""
    keeper = refused_lastingly(checking_in().tell(KeyRenewed(key=Secret("k2"))))
    keeper.wait(SETTLE).tell(CheckinRequested(), QUIET, KeyRenewed(key=Secret("k3")))
    rotation = keeper.custody.rotation
    assert (keeper.held, rotation.version, rotation.previous_version) == (("k3", "k1"), 3, 1)


def test_a_key_expires_two_days_after_it_was_asked_for_and_a_proof_overrules_that() -> None:
    keeper = fresh().tell(RenewalDue(), KeyUnanswered())
    asked = keeper.custody.rotation.rotated
    while keeper.state is not S.EXPIRED:
        if isinstance(keeper.wake(), ProofDue):
            keeper.tell(KeyUnanswered())
    assert keeper.now.instant - asked == KEY_LIFE
    assert keeper.attention == "key_expired"
    assert isinstance(keeper.wake(), ProofDue)
    assert keeper.tell(KeyAccepted()).state is S.DOUBTFUL
    assert keys.life_end(keeper.custody.rotation) == later(keeper.now.instant, PROOF_HOLDS)


@pytest.mark.parametrize("state", [one for one in S if one not in (S.CHECKING_IN, S.RECHECKING)])
def test_a_question_that_was_not_answered_is_asked_again_within_minutes(state: CustodyState) -> None:
    """I5: the link tells changes alone, and a dead key is one."""
    keeper = REACHED[state]()
    if state is not S.UNPROVEN:
        keeper.tell(ProofDue(), KeyAccepted()) if state in (S.FRESH, S.STOPPED) else keeper.tell(ProofDue())
    asked = keeper.tell(ProofDue(), KeyUnanswered()).now.instant
    assert keeper.state is state
    assert isinstance(keeper.tell(ClockTrusted()).wake(), ProofDue)
    assert keeper.now.instant - asked <= 4 * MINUTE


def test_a_stopped_renewal_goes_on_looking_at_the_key() -> None:
    keeper = rechecking().tell(CheckinUnanswered())
    for _ in range(4):
        keeper.wake()
        asked = keeper.tell(KeyAccepted()).now.instant
        assert next_wakeup(keeper.custody) == Wakeup(at=later(asked, PROOF_LONGEST), event=ProofDue())
    keeper.wake()
    assert keeper.tell(KeyRefused()).state is S.LOCKED_OUT


def test_a_start_within_a_check_in_has_the_key_proven_at_once() -> None:
    for event in (Recovered(), PowerReturned()):
        for state, becomes in ((S.CHECKING_IN, S.DOUBTFUL), (S.RECHECKING, S.STOPPED)):
            keeper = REACHED[state]().wait(1).tell(event)
            assert (keeper.state, isinstance(keeper.wake(), ProofDue)) == (becomes, True)
            assert keeper.tell(QUIET).state is becomes


def test_a_key_that_expired_after_two_lost_answers_is_not_renewed_by_a_proof() -> None:
    keeper = rechecking().tell(CheckinUnanswered())
    since = keeper.custody.rotation.attention
    assert keeper.wait(DAY).tell(KeyLifeEnded()).attention == "key_expired"
    assert since is not None
    assert keeper.custody.rotation.attention is not None
    assert keeper.custody.rotation.attention.since == since.since
    keeper.tell(ProofDue(), QUIET)
    assert (keeper.state, keeper.asked) == (S.STOPPED, [])


def test_one_lost_answer_after_the_key_expired_stops_renewal_as_one_more_could_lock_out() -> None:
    keeper = fresh().tell(KeyLifeEnded(), ProofDue(), QUIET, CheckinUnanswered())
    assert (keeper.state, keeper.attention, keeper.custody.rotation.unanswered) == (S.STOPPED, "checkin_stopped", 1)


def overdue(keeper: Keeper, answer: Event) -> Keeper:
    """Every proof ends like that, until a person is called."""
    while not keeper.attention:
        if any(isinstance(one, ProveKey) for one in keeper.asked):
            keeper.tell(answer)
        keeper.wake()
    return keeper


@pytest.mark.parametrize("answer", [KeyUnanswered(), KeyAccepted()])
def test_a_person_is_called_for_a_key_that_is_not_renewed_long_before_it_expires(answer: Event) -> None:
    keeper = fresh()
    rotated = keeper.custody.rotation.rotated
    keeper.wake()
    overdue(keeper, answer)
    assert (keeper.state, keeper.attention) == (S.DUE, "checkin_overdue")
    assert keeper.now.instant - rotated == OVERDUE_AFTER
    due = next_wakeup(keeper.custody)
    assert due is None or not isinstance(due.event, RenewalOverdue)
    keeper.tell(ProofDue(), QUIET, CheckinUnanswered())
    assert (keeper.state, keeper.attention) == (S.DOUBTFUL, "checkin_overdue")
    keeper.wait(LEAST_WAIT).tell(ProofDue(), QUIET, KeyRenewed(key=Secret("k2")), KeyAccepted())
    assert keeper.attention == ""


def test_an_old_key_goes_before_any_sale() -> None:
    keeper = fresh()
    assert not keys.is_urgent(keeper.custody, keeper.wait(URGENT_AFTER - 1).now)
    assert keys.is_urgent(keeper.custody, keeper.wait(1).now)
    assert RENEW_AFTER < URGENT_AFTER < OVERDUE_AFTER < KEY_LIFE


def test_nobody_is_called_at_once_for_a_key_that_became_old_without_power() -> None:
    keeper = fresh().tell(RenewalDue(), KeyUnanswered()).wait(OVERDUE_AFTER).tell(PowerReturned())
    assert isinstance(keeper.wake(), ProofDue)
    back = keeper.now.instant
    overdue(keeper, KeyUnanswered())
    assert keeper.now.instant - back == OVERDUE_GRACE


def test_a_key_that_the_gateway_quotes_is_not_kept() -> None:
    """I7."""
    fault = Fault(code="k1", message="signed with k0? no, k1!")
    assert fresh().tell(ProofDue(), KeyUnanswered(fault=fault)).custody.rotation.fault != fault
    keeper = Keeper(previous="k0").tell(KeyRefused(fault=fault))
    assert keeper.custody.rotation.fault == Fault(code="[key]", message="signed with [key]? no, [key]!")


def test_no_request_lasts_as_long_as_a_check_in_needs_to_settle() -> None:
    """I6: one that was given up has arrived by then, or never will; the search relies on that."""
    longest = GatewaySettings(url="https://x", connect_timeout_s=60.0, read_timeout_s=120.0).deadline_s
    assert 2 * longest * 1000 <= SETTLE <= LEAST_WAIT


# --- when ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("hours_ago", "due_in"), [(0, 3), (5, 3), (12, 3), (20, 3), (22, -4)])
def test_the_configured_time_of_day_is_kept_where_the_time_is_known(hours_ago: int, due_in: int) -> None:
    keeper = Keeper(rotated_ago=hours_ago * HOUR)
    custody, _ = step(keeper.custody, KeyAccepted(), now=NOON, rules=TIMED)
    waited = custody.rotation.due - NOON.instant
    rotated_to_due = custody.rotation.due - custody.rotation.rotated
    assert LEAST_WAIT <= rotated_to_due <= RENEW_AFTER
    if hours_ago >= 5 and due_in > 0:
        assert waited == due_in * HOUR


def test_without_the_time_of_day_it_is_a_day_after_the_last() -> None:
    dark = replace(NOON, is_trusted=False)
    custody, _ = step(Keeper(now=dark).custody, KeyAccepted(), now=dark, rules=TIMED)
    assert custody.rotation.due - dark.instant == RENEW_AFTER


@given(st.integers(0, DAY), st.integers(0, DAY - 1))
def test_the_time_of_day_is_reached_from_anywhere_in_two_renewals(offset: int, at: int) -> None:
    rules = replace(RULES, checkin_at=Duration(at))
    now, dues = after(NOON, offset), []
    for _ in range(3):
        terminal = replace(Keeper(now=now).custody.terminal, rotated_at=now.wall)
        custody, _ = step(begin(terminal, now=now, rules=rules), KeyAccepted(), now=now, rules=rules)
        wait = custody.rotation.due - now.instant
        assert LEAST_WAIT <= wait <= RENEW_AFTER
        now = after(now, wait)
        dues.append((now.wall + rules.day_offset) % DAY)
    assert dues[-1] == at


def test_the_time_without_power_counts_once_it_is_known() -> None:
    """I10: by two trusted times of day, and never by one."""
    keeper = checking_in().tell(KeyRenewed(key=Secret("k2")), KeyAccepted())
    rotated = keeper.custody.rotation.rotated
    keeper.now = replace(after(keeper.now, HOUR), wall=WallTime(keeper.now.wall + 30 * HOUR), is_trusted=False)
    keeper.tell(PowerReturned())
    assert keeper.custody.rotation.rotated == rotated
    assert keeper.custody.rotation.due - keeper.now.instant <= 10 * MINUTE
    keeper.now = replace(keeper.now, is_trusted=True)
    keeper.tell(ClockTrusted())
    assert keeper.custody.rotation.rotated == keeper.now.instant - 30 * HOUR
    due = next_wakeup(keeper.custody)
    assert due is not None
    assert due.at <= keeper.now.instant
    assert isinstance(keeper.wake(), RenewalDue)
    assert keeper.tell(QUIET).state is S.CHECKING_IN


def test_a_clock_that_went_back_changes_nothing() -> None:
    keeper = checking_in().tell(KeyRenewed(key=Secret("k2")), KeyAccepted())
    rotated = keeper.custody.rotation.rotated
    keeper.now = replace(keeper.now, wall=WallTime(keeper.now.wall - 30 * DAY))
    assert keeper.tell(ClockTrusted()).custody.rotation.rotated == rotated


def test_lost_time_is_told_in_every_state() -> None:
    keeper = doubtful()
    custody = replace(keeper.custody, rotation=replace(keeper.custody.rotation, is_rotated_at_trusted=True))
    keeper.custody = custody
    keeper.now = replace(keeper.now, wall=WallTime(keeper.now.wall + 10 * HOUR))
    keeper.wait(1).tell(PowerReturned(), ClockTrusted())
    assert keeper.tell(ProofDue(), QUIET).state is S.RECHECKING
    stopped = rechecking().tell(CheckinUnanswered())
    stopped.custody = replace(
        stopped.custody, rotation=replace(stopped.custody.rotation, is_rotated_at_trusted=True, asked=None)
    )
    stopped.now = replace(stopped.now, wall=WallTime(stopped.now.wall + 10 * HOUR))
    assert stopped.tell(PowerReturned(), ClockTrusted()).custody.rotation.not_before is None


def test_an_old_journal_or_a_clock_that_was_set_since_makes_no_expired_key() -> None:
    keeper = Keeper(rotated_ago=1000 * DAY, previous="k0")
    assert keeper.held == ("k1", "k0")
    assert keeper.tell(Recovered(), KeyAccepted()).state is S.FRESH
    assert isinstance(keeper.wake(), RenewalDue)
    assert keeper.now.instant == NOON.instant


def test_the_next_check_in_is_told_for_people() -> None:
    keeper = fresh()
    assert keys.next_checkin(keeper.custody, keeper.now) == keeper.now.wall + DAY
    keeper = doubtful()
    assert keys.next_checkin(keeper.custody, keeper.now) == keeper.now.wall + LEAST_WAIT


def test_completions_of_earlier_questions_are_stale() -> None:
    keeper = fresh().tell(ProofDue())
    token = keeper.custody.rotation.token
    assert not keys.is_stale(keeper.custody, token)
    assert not keys.is_stale(keeper.custody, None)
    assert keys.is_stale(keeper.tell(ProofDue()).custody, token)


def test_a_snapshot_tells_no_key() -> None:
    """I7."""
    keeper = Keeper(previous="k0").tell(Recovered())
    assert isinstance(keeper.custody, Custody)
    assert "k1" not in repr(keeper.custody)
    assert "k0" not in repr(keeper.custody)
    assert "fresh-key" not in repr(KeyRenewed(key=Secret("fresh-key")))
