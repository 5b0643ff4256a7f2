"""Which lock-outs the rules make unavoidable: the judge's words, one by one (I6)."""

import itertools
from collections.abc import Sequence
from functools import partial

import pytest

from tests.simulation.agenda import DAY, HOUR, MINUTE, Agenda
from tests.simulation.key_reason import HALF_HOUR, KEY_LIFE, Connection, Reason, Renewals, Span, find_reason

#: The key that is held was made at this moment, for an identity that is a month old.
BORN = 40 * DAY
DIED = BORN + KEY_LIFE
SHORT = HALF_HOUR - 1


def connection(*outages: Span, full: Sequence[Span] = ()) -> Connection:
    """Power and link from the beginning on, but for these outages, and a full disk; counted from the key's birth on."""
    agenda = Agenda()
    connected = Connection(agenda)
    for at in sorted({-BORN, *itertools.chain(*outages, *full)}):
        agenda.run(BORN + at)
        is_out, is_disk_full = (any(start <= at < end for start, end in spans) for spans in (outages, full))
        connected.look_around(is_connected=not is_out, is_disk_full=is_disk_full)
    agenda.run(max(agenda.now, DIED) + 10 * DAY)
    return connected


def reason(
    *outages: Span,
    full: Sequence[Span] = (),
    unanswered: int = 0,
    meant: int = 0,
    asked_for: int = -DAY,
    unseen: int = 0,
) -> Reason:
    """Why it is locked out; moments are counted from the key's birth on."""
    renewals = Renewals(since=10 * DAY, made=["old", "held", *["unseen", "repeated"][:unseen]], repeated={"repeated"})
    renewals.unanswered, renewals.meant, renewals.asked_for = unanswered, BORN + meant, BORN + asked_for
    return find_reason(renewals, ("held", "old"), DIED, connection(*outages, full=full))


def test_a_key_that_dies_on_a_good_link_is_a_fault() -> None:
    assert reason() is Reason.AVOIDABLE


@pytest.mark.parametrize(("minutes", "found"), [(30, Reason.AVOIDABLE), (29, Reason.OUT_OF_REACH)])
def test_one_half_hour_after_an_outage_is_enough(minutes: int, found: Reason) -> None:
    """The key was made in one good half hour and could have been renewed in the next, 40 hours later."""
    assert reason((HALF_HOUR, 40 * HOUR), (40 * HOUR + minutes * MINUTE, 90 * HOUR)) is found


def test_a_half_hour_within_six_hours_after_the_renewal_does_not_count() -> None:
    assert reason((HALF_HOUR, 5 * HOUR), (6 * HOUR + SHORT, 90 * HOUR)) is Reason.OUT_OF_REACH
    assert reason((HALF_HOUR, 5 * HOUR), (6 * HOUR + HALF_HOUR, 90 * HOUR)) is Reason.AVOIDABLE


def test_a_first_outage_that_begins_before_the_key_is_due_is_foretold_by_nothing() -> None:
    assert reason((24 * HOUR + SHORT, 90 * HOUR)) is Reason.UNFORETOLD
    assert reason((24 * HOUR + HALF_HOUR, 90 * HOUR)) is Reason.AVOIDABLE


@pytest.mark.parametrize(
    ("length", "ended_ago", "found"),
    [
        (10 * HOUR, 6 * DAY, Reason.AVOIDABLE),
        (10 * HOUR, 8 * DAY, Reason.UNFORETOLD),
        (4 * HOUR, 6 * DAY, Reason.UNFORETOLD),
    ],
)
def test_an_outage_in_the_week_before_foretells_one_that_is_a_day_longer(
    length: int, ended_ago: int, found: Reason
) -> None:
    before = (-ended_ago - length, -ended_ago)
    assert reason(before, (14 * HOUR + HALF_HOUR, 90 * HOUR)) is found
    assert reason(before, (14 * HOUR + SHORT, 90 * HOUR)) is Reason.UNFORETOLD


def test_an_outage_of_an_identity_before_is_not_known() -> None:
    assert reason((-31 * DAY, -6 * DAY), (20 * HOUR, 90 * HOUR)) is Reason.UNFORETOLD


def test_after_one_lost_answer_every_half_hour_six_hours_after_it_counts() -> None:
    lost = partial(reason, unanswered=1, meant=10 * HOUR)
    assert lost((16 * HOUR + SHORT, 90 * HOUR)) is Reason.ONE_LOST
    assert lost((16 * HOUR + HALF_HOUR, 90 * HOUR)) is Reason.AVOIDABLE


def test_while_the_disk_is_full_no_intent_is_on_record_and_so_no_checkin_is_sent() -> None:
    """The disk is full for the whole of the only half hour in which the key could have been renewed, or nearly so."""
    last = (30 * HOUR, 40 * HOUR)
    outages = ((HALF_HOUR, last[0]), (last[1], 90 * HOUR))
    assert reason(*outages) is Reason.AVOIDABLE
    assert reason(*outages, full=[last]) is Reason.FULL_DISK
    assert reason(*outages, full=[(0, 90 * HOUR)]) is Reason.FULL_DISK
    assert reason(*outages, full=[(last[0], last[1] - SHORT)]) is Reason.FULL_DISK
    assert reason(*outages, full=[(last[0] + SHORT, last[1])]) is Reason.FULL_DISK


def test_half_an_hour_with_room_on_the_disk_is_enough_even_in_pieces() -> None:
    last = (30 * HOUR, 40 * HOUR)
    outages = ((HALF_HOUR, last[0]), (last[1], 90 * HOUR))
    assert reason(*outages, full=[(last[0], last[1] - HALF_HOUR)]) is Reason.AVOIDABLE
    pieces = [(last[0] + 15 * MINUTE, 39 * HOUR), (39 * HOUR + 15 * MINUTE, last[1])]
    assert reason(*outages, full=pieces) is Reason.AVOIDABLE
    assert reason(*outages, full=[(0, 29 * HOUR), (41 * HOUR, 90 * HOUR)]) is Reason.AVOIDABLE


def test_a_full_disk_before_the_key_could_be_renewed_excuses_nothing() -> None:
    assert reason((26 * HOUR, 90 * HOUR), full=[(0, 25 * HOUR)]) is Reason.AVOIDABLE
    assert reason((26 * HOUR, 90 * HOUR), full=[(0, 26 * HOUR)]) is Reason.FULL_DISK
    # Where there was no half hour at all the disk changes nothing, nor is a full one an outage that foretells others.
    assert reason((HALF_HOUR, 90 * HOUR), full=[(0, 90 * HOUR)]) is Reason.OUT_OF_REACH
    assert reason((20 * HOUR, 90 * HOUR), full=[(0, 90 * HOUR)]) is Reason.UNFORETOLD
    assert reason((20 * HOUR, 90 * HOUR), full=[(2 * HOUR, 15 * HOUR)]) is Reason.UNFORETOLD


def test_after_one_lost_answer_a_full_disk_excuses_as_much() -> None:
    lost = partial(reason, unanswered=1, meant=10 * HOUR)
    assert lost((20 * HOUR, 90 * HOUR), full=[(15 * HOUR, 20 * HOUR)]) is Reason.FULL_DISK
    assert lost((20 * HOUR, 90 * HOUR), full=[(17 * HOUR, 20 * HOUR)]) is Reason.AVOIDABLE


def test_after_two_lost_answers_a_person_has_to_ask_and_to_ask_in_time() -> None:
    lost = partial(reason, unanswered=2, meant=10 * HOUR)
    assert lost() is Reason.STOPPED
    assert lost(asked_for=40 * HOUR) is Reason.AVOIDABLE
    assert lost(asked_for=48 * HOUR - HALF_HOUR + 1) is Reason.STOPPED


def test_two_keys_that_never_reached_the_disk_cost_the_ones_that_did() -> None:
    assert reason(unseen=1) is Reason.AVOIDABLE
    assert reason(unseen=2) is Reason.REPEATED


def test_in_reach_is_who_has_a_half_hour_in_every_48_hours() -> None:
    assert connection((HOUR, 48 * HOUR)).is_in_reach(BORN, DIED)
    assert not connection((HOUR, 48 * HOUR + 1)).is_in_reach(BORN, DIED)
    assert not connection((HOUR, 40 * HOUR), (40 * HOUR + SHORT, 60 * HOUR)).is_in_reach(BORN, DIED)
    assert not connection((47 * HOUR, 90 * HOUR), (90 * HOUR + SHORT, 99 * HOUR)).is_in_reach(BORN, DIED)
    # What comes after the identity's end is another matter.
    assert connection((49 * HOUR, 200 * HOUR)).is_in_reach(BORN, DIED)
