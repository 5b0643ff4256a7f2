"""Transcripts of QR orders, and of codes that are held beside one. The pre-create has the token 1."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from terminald.core import attempt as attempts
from terminald.core.attempt_table import AttemptState
from terminald.core.commands import Command, OfferOrder, QueryOrder, SubmitHeld, TellSale
from terminald.core.events import (
    AbandonRequested,
    Answer,
    AnswerMismatched,
    AttemptOffered,
    AttemptPaid,
    AttemptRefused,
    AttemptReversing,
    AttemptUnpaid,
    Event,
    HoldEnded,
    LookDue,
    OfferExpired,
    OrderAbsent,
    OrderClosed,
    OrderErrored,
    OrderFacts,
    OrderPaid,
    OrderPartlyReturned,
    OrderPending,
    OrderReturned,
    OutcomePending,
    OutcomeUnknown,
    PayConfirmed,
    PayDeclined,
    PollDue,
    PowerReturned,
    QrOffered,
    QueryFailed,
    Recovered,
    RequestNotSent,
    RequestRefused,
    ReversalConfirmed,
    ReversalPending,
    WayCleared,
    YieldRequested,
)
from terminald.core.money import Fen
from terminald.core.schedule import ASKING_PATIENCE, HOLD_LONGEST, HOUR, SECOND
from terminald.core.tables import Wakeup
from terminald.errors import IllegalTransition
from tests.core.machine_builders import (
    AMOUNT,
    CLIENT_SN,
    NOON,
    OFFERING,
    OPENING,
    QR,
    RULES,
    TEXT,
    AttemptLife,
    query,
    refund,
    reverse,
    tell_sale,
)

S = AttemptState
SHOWN = QrOffered(content=QR, facts=OrderFacts(sn="7894"))
RESTARTS = pytest.mark.parametrize("restart", [Recovered(), PowerReturned()])


def offer(*history: Event) -> AttemptLife:
    """A QR order that was told these events at once."""
    life = AttemptLife(opening=OFFERING)
    for event in history:
        life.tell(event)
    return life


def held(*history: Event) -> AttemptLife:
    """A held code, and what its attempt was told at once."""
    life = AttemptLife(opening=replace(OPENING, is_held=True))
    for event in history:
        life.tell(event)
    return life


# --- the offer -------------------------------------------------------------------------------------------------------


def test_a_qr_order_begins_with_its_one_pre_create() -> None:
    """I2."""
    life = offer()
    assert life.in_flight == OfferOrder(client_sn=CLIENT_SN, token=1, amount=AMOUNT, payway="3", text=TEXT)
    assert life.is_in(S.OFFERING)
    assert (life.attempt.kind, life.attempt.code_masked, life.attempt.code_digest) == ("qr", "", "")
    assert life.wakeup is None


def test_the_qr_is_shown_as_soon_as_it_is_known() -> None:
    life = offer()
    assert life.tell(SHOWN) == (tell_sale(AttemptOffered),)
    assert life.is_in(S.OFFERED)
    assert (life.attempt.qr_content, life.attempt.facts.sn) == (QR, "7894")


def test_it_is_polled_every_2_s_for_30_s_then_every_5_s_and_a_last_time_at_the_end_of_its_window() -> None:
    """ "Poll every 2 s for the first 30 s, then every 5 s" (documents, precreate)."""
    life = offer()
    life.tell(SHOWN, later=1 * SECOND)
    asked = list[int]()
    while life.wakeup and isinstance(life.wakeup.event, PollDue):
        assert life.wake() == (query(life.attempt.token),)
        asked.append((life.now.instant - NOON.instant) // SECOND)
        assert life.tell(OrderPending()) == ()
    assert asked == [*range(3, 32, 2), *range(36, 240, 5)]
    assert life.wakes_with(OfferExpired, in_ms=240 * SECOND - (life.now.instant - NOON.instant))
    assert life.wake() == (query(life.attempt.token),)
    assert life.now.instant == NOON.instant + RULES.qr_window
    assert life.tell(OrderPending()) == (reverse(life.attempt.token), tell_sale(AttemptReversing, "expired"))
    assert life.tell(ReversalConfirmed()) == (tell_sale(AttemptUnpaid),)


def test_the_customer_pays() -> None:
    life = offer(SHOWN)
    life.wake()
    assert life.tell(OrderPaid(facts=OrderFacts(trade_no="42"))) == (tell_sale(AttemptPaid),)
    assert life.is_in(S.PAID)
    assert life.wakeup is None


@pytest.mark.parametrize(
    ("answer", "state"), [(OrderClosed(), S.DECLINED), (OrderReturned(), S.REVERSED)], ids=["closed", "returned"]
)
def test_an_order_that_the_gateway_closed_is_unpaid(answer: Answer, state: AttemptState) -> None:
    """PAY_CANCELED: its life at the gateway may be shorter than ours."""
    life = offer(SHOWN, PollDue())
    assert life.tell(answer) == (tell_sale(AttemptUnpaid, "declined"),)
    assert life.is_in(state)


@pytest.mark.parametrize("answer", [OrderPending(), OrderErrored(), OrderAbsent(), AnswerMismatched(), QueryFailed()])
def test_an_answer_that_proves_nothing_leaves_the_qr_where_it_is(answer: Answer) -> None:
    life = offer(SHOWN, PollDue())
    assert life.tell(answer) == ()
    assert life.is_in(S.OFFERED)
    assert life.wakes_with(PollDue, in_ms=2 * SECOND)


def test_at_the_end_of_the_window_the_sale_knows_when_nobody_could_ask() -> None:
    life = offer(SHOWN, OfferExpired())
    unanswered = life.tell(QueryFailed(), later=ASKING_PATIENCE)
    assert unanswered == (reverse(3), tell_sale(AttemptReversing, "gateway_unreachable"))


def test_at_the_end_of_the_window_it_is_asked_again_where_there_was_no_answer() -> None:
    """A single lost message is no reason to give a payment back."""
    life = offer(SHOWN, OfferExpired())
    assert life.tell(QueryFailed(), later=ASKING_PATIENCE - 1) == ()
    assert life.wakes_with(PollDue, in_ms=RULES.poll_interval)
    assert life.wake() == (query(3),)
    assert life.wakeup is None, "the answer decides"
    assert life.tell(OrderPaid()) == (tell_sale(AttemptPaid),)


def test_a_payment_in_the_very_moment_of_the_reversal_goes_back() -> None:
    """I3: whatever the cancel found, it is asked until it is undone."""
    life = offer(SHOWN, OfferExpired(), OrderPending())
    assert life.tell(ReversalPending()) == ()
    assert life.is_in(S.PROVING)
    assert life.wake() == (query(4),)
    assert life.tell(OrderPaid()) == (reverse(5),)
    assert life.tell(ReversalConfirmed()) == (tell_sale(AttemptUnpaid),)
    assert life.is_in(S.REVERSED)


def test_an_order_that_somebody_returned_in_part_is_returned_in_full() -> None:
    life = offer(SHOWN, PollDue())
    partly = OrderPartlyReturned(facts=OrderFacts(net_amount=Fen(100)))
    assert life.tell(partly) == (refund(3, 100), tell_sale(AttemptReversing, "expired"))


# --- a pre-create that came to nothing -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "state", "report"),
    [
        (PayDeclined(), S.DECLINED, tell_sale(AttemptUnpaid, "declined")),
        (RequestRefused(), S.DECLINED, tell_sale(AttemptRefused, "terminal_refused")),
        (RequestNotSent(), S.UNSENT, tell_sale(AttemptUnpaid, "gateway_unreachable")),
    ],
)
def test_a_final_answer_to_the_pre_create_ends_it(answer: Answer, state: AttemptState, report: TellSale) -> None:
    life = offer()
    assert life.tell(answer) == (report,)
    assert life.is_in(state)
    assert life.wakeup is None


@pytest.mark.parametrize("answer", [OutcomeUnknown(), AnswerMismatched()])
def test_a_lost_answer_to_the_pre_create_is_reversed_and_its_qr_never_shown(answer: Answer) -> None:
    life = offer()
    assert life.tell(answer) == (reverse(2),)
    assert life.tell(ReversalConfirmed()) == (tell_sale(AttemptUnpaid),)
    assert life.attempt.qr_content == ""
    assert not any(isinstance(command, QueryOrder) for _, command in life.requests)


def test_a_pre_create_that_never_arrived_is_looked_up_again() -> None:
    """I3: a delayed request may still make an order."""
    life = offer(OutcomeUnknown())
    assert life.tell(OrderAbsent()) == (tell_sale(AttemptUnpaid),)
    assert life.is_in(S.WATCHING)
    assert life.wakes_with(LookDue, in_ms=RULES.late_lookups[0])
    assert life.wake() == (query(3),)
    assert life.tell(OrderPending()) == (reverse(4),)


@pytest.mark.parametrize(
    "answer", [SHOWN, PayConfirmed(), OutcomePending(), OutcomeUnknown(), AnswerMismatched()], ids=type
)
def test_a_qr_that_nobody_was_shown_is_reversed(answer: Answer) -> None:
    life = offer(AbandonRequested())
    assert life.is_in(S.ABANDONING)
    assert life.tell(answer) == (reverse(2),)


# --- restarts --------------------------------------------------------------------------------------------------------


@RESTARTS
@pytest.mark.parametrize(
    ("history", "state", "asked"),
    [
        ((), S.REVERSING, reverse),
        ((SHOWN,), S.OFFERED, query),
        ((SHOWN, YieldRequested()), S.POLLING, query),
        ((YieldRequested(),), S.REVERSING, reverse),
        ((SHOWN, AbandonRequested()), S.REVERSING, reverse),
    ],
    ids=["offering", "offered", "yielding", "abandoning", "reversing"],
)
def test_after_a_restart_it_is_found_out_how_things_stand(
    history: tuple[Event, ...], state: AttemptState, asked: Callable[[int], Command], restart: Event
) -> None:
    """I2, I5: an unknown QR is undone, a known one asked about; no second pre-create."""
    life = offer(*history)
    token = life.attempt.token
    assert life.tell(restart, later=7 * SECOND) == (asked(token + 1),)
    assert life.is_in(state)


@RESTARTS
def test_a_qr_whose_window_ended_meanwhile_is_asked_about_before_it_is_undone(restart: Event) -> None:
    life = offer(SHOWN)
    ends = life.attempt.window_ends
    assert life.tell(restart, later=HOUR) == (query(2),)
    assert life.attempt.window_ends == ends, "what is on paper says the same"
    assert life.wake() == (query(3),)
    assert life.tell(OrderPaid()) == (tell_sale(AttemptPaid),)


# --- a code beside it ------------------------------------------------------------------------------------------------


def test_beside_a_code_the_qr_order_is_asked_about_and_then_undone() -> None:
    """I1: the code waits for the proof."""
    life = offer(SHOWN)
    assert life.tell(YieldRequested()) == (query(2),)
    assert life.is_in(S.POLLING)
    assert life.wakeup is None, "the answer decides; it is not polled on"
    assert life.tell(OrderPending()) == (reverse(3), tell_sale(AttemptReversing, "expired"))
    assert life.tell(ReversalConfirmed()) == (tell_sale(AttemptUnpaid),)


def test_beside_a_code_a_qr_that_was_paid_pays_the_sale() -> None:
    """No money is sent back and taken again."""
    life = offer(SHOWN, YieldRequested())
    assert life.tell(OrderPaid()) == (tell_sale(AttemptPaid),)
    assert life.is_in(S.PAID)


@pytest.mark.parametrize(
    ("answer", "state"), [(OrderClosed(), S.DECLINED), (OrderReturned(), S.REVERSED)], ids=["closed", "returned"]
)
def test_beside_a_code_a_qr_that_is_over_needs_no_cancel(answer: Answer, state: AttemptState) -> None:
    life = offer(SHOWN, YieldRequested())
    assert life.tell(answer) == (tell_sale(AttemptUnpaid, "declined"),)
    assert life.is_in(state)


@pytest.mark.parametrize("answer", [OrderPending(), OrderErrored(), OrderAbsent(), AnswerMismatched(), QueryFailed()])
def test_beside_a_code_whatever_does_not_prove_a_payment_is_undone(answer: Answer) -> None:
    life = offer(SHOWN, YieldRequested())
    assert life.tell(answer)[0] == reverse(3)
    assert (life.attempt.attention is not None) == isinstance(answer, OrderErrored | AnswerMismatched)


def test_another_code_does_not_ask_again() -> None:
    life = offer(SHOWN, YieldRequested())
    assert life.tell(YieldRequested()) == ()
    assert life.is_in(S.POLLING)
    assert life.tell(AbandonRequested()) == (reverse(3),), "now nobody wants it"


@pytest.mark.parametrize(
    ("history", "state"),
    [
        ((), S.ABANDONING),
        ((AbandonRequested(),), S.ABANDONING),
        ((SHOWN, AbandonRequested()), S.REVERSING),
        ((SHOWN, AbandonRequested(), ReversalPending()), S.PROVING),
    ],
)
def test_a_qr_that_is_not_with_the_customer_is_undone_without_asking(
    history: tuple[Event, ...], state: AttemptState
) -> None:
    life = offer(*history)
    assert life.tell(YieldRequested()) == ()
    assert life.is_in(state)


# --- a held code -----------------------------------------------------------------------------------------------------


def test_a_held_code_is_not_sent() -> None:
    """I1, I7: nor is it in the snapshot."""
    life = held()
    assert life.in_flight is None
    assert life.is_in(S.HELD)
    assert (life.attempt.code_masked, life.attempt.code_digest) == ("1308…1147", "d1")
    assert life.wakes_with(HoldEnded, in_ms=HOLD_LONGEST)


def test_a_held_code_is_submitted_once_when_the_way_is_clear() -> None:
    """I2."""
    life = held()
    assert life.tell(WayCleared(), later=4 * SECOND) == (SubmitHeld(client_sn=CLIENT_SN, token=2, amount=AMOUNT),)
    assert life.is_in(S.SUBMITTING)
    assert life.wakeup is None
    with pytest.raises(IllegalTransition, match="WayCleared is not possible in state submitting"):
        life.tell(WayCleared())
    life.tell(OutcomePending())
    assert life.attempt.window_ends == NOON.instant + 4 * SECOND + RULES.poll_window, "its window begins with it"
    life.wake()
    assert life.tell(OrderPaid()) == (tell_sale(AttemptPaid),)


def test_a_code_that_was_held_too_long_is_dropped() -> None:
    life = held()
    assert life.wake() == (tell_sale(AttemptUnpaid),)
    assert life.is_in(S.UNSENT)
    assert life.attempt.ended_at == NOON.wall + HOLD_LONGEST


def test_a_held_code_that_nobody_wants_is_dropped_without_a_word() -> None:
    life = held()
    assert life.tell(AbandonRequested()) == ()
    assert life.is_in(S.UNSENT)


@RESTARTS
def test_a_held_code_is_gone_after_a_restart(restart: Event) -> None:
    """I2: never submitted after one."""
    life = held()
    assert life.tell(restart) == (tell_sale(AttemptUnpaid),)
    assert life.is_in(S.UNSENT)
    with pytest.raises(IllegalTransition):
        life.tell(WayCleared())


@RESTARTS
def test_a_held_code_that_was_submitted_is_asked_about_after_a_restart(restart: Event) -> None:
    """I2."""
    life = held(WayCleared())
    assert life.tell(restart) == (query(3),)
    assert life.is_in(S.POLLING)


def test_of_equal_moments_the_window_comes_first() -> None:
    life = offer(SHOWN)
    due = replace(life.attempt, retry=life.attempt.window_ends)
    assert attempts.next_wakeup(due) == Wakeup(at=due.window_ends, event=OfferExpired())
