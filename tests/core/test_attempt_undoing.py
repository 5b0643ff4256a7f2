"""Transcripts of attempts that nobody wants any more: undone, refunded, watched for a late arrival."""

from dataclasses import replace

import pytest

from terminald.core.attempt_table import AttemptState
from terminald.core.events import (
    AbandonRequested,
    Answer,
    AnswerMismatched,
    AttemptUnpaid,
    AttentionDue,
    Event,
    Fault,
    LastLookDue,
    LookDue,
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
    PayDeclined,
    PowerReturned,
    QueryFailed,
    RefundConfirmed,
    RefundPending,
    RefundRefused,
    RequestNotSent,
    RequestRefused,
    RetryDue,
    ReversalConfirmed,
    ReversalPending,
    ReversalRefused,
)
from terminald.core.money import Fen
from terminald.core.schedule import DAY, DAY_END_MARGIN, HOUR, LAST_LOOK_WITHOUT_CLOCK, MINUTE, SECOND
from terminald.core.tables import Attention, Wakeup
from tests.core.machine_builders import (
    NOON,
    RULES,
    AttemptLife,
    after,
    query,
    refund,
    reverse,
    tell_sale,
    told,
)

S = AttemptState
FAULT = Fault(code="TRADE_FAILED", message="交易失败")


# --- undoing ---------------------------------------------------------------------------------------------------------


def reversing() -> AttemptLife:
    """An attempt that nobody wants; its cancel has the token 2."""
    return told(OutcomePending(), AbandonRequested())


@pytest.mark.parametrize(
    "answer", [ReversalPending(), OutcomeUnknown(), AnswerMismatched(), RequestNotSent(), RequestRefused()]
)
def test_a_cancel_without_a_clear_answer_is_proven_by_a_query(answer: Answer) -> None:
    life = reversing()
    assert life.tell(answer) == ()
    assert life.is_in(S.PROVING)
    assert life.wakes_with(RetryDue, in_ms=2 * SECOND)
    assert life.wake() == (query(3),)
    assert life.tell(OrderReturned()) == (tell_sale(AttemptUnpaid),)
    assert life.is_in(S.REVERSED)


@pytest.mark.parametrize("answer", [OrderPaid(), OrderPending(), OrderErrored(), AnswerMismatched()])
def test_an_order_that_is_not_undone_is_canceled_again(answer: Answer) -> None:
    life = reversing()
    life.tell(OutcomeUnknown())
    life.wake()
    assert life.tell(answer) == (reverse(4),)
    assert life.tell(ReversalConfirmed()) == (tell_sale(AttemptUnpaid),)


def test_a_query_that_failed_while_proving_is_repeated_and_a_closed_order_is_enough() -> None:
    life = reversing()
    life.tell(OutcomeUnknown())
    life.wake()
    assert life.tell(QueryFailed()) == ()
    assert life.wakes_with(RetryDue, in_ms=4 * SECOND)
    life.wake()
    assert life.tell(OrderClosed()) == (tell_sale(AttemptUnpaid),)
    assert life.is_in(S.REVERSED)


def test_an_order_returned_in_part_while_proving_is_refunded() -> None:
    life = reversing()
    life.tell(OutcomeUnknown())
    life.wake()
    assert life.tell(OrderPartlyReturned(facts=OrderFacts(net_amount=Fen(50)))) == (refund(4, 50),)


def test_an_order_absent_while_proving_is_watched() -> None:
    life = reversing()
    life.tell(OutcomeUnknown())
    life.wake()
    assert life.tell(OrderAbsent()) == (tell_sale(AttemptUnpaid),)
    assert life.is_in(S.WATCHING)


def test_a_refused_cancel_is_followed_by_a_refund_with_one_number() -> None:
    """I9: a repeat carries the same number, whatever became of the one before."""
    life = reversing()
    assert life.tell(ReversalRefused(fault=FAULT)) == ()
    assert life.is_in(S.SETTLING)
    assert life.wakes_with(RetryDue, in_ms=2 * SECOND)
    assert life.wake() == (query(3),)
    assert life.tell(OrderPaid()) == (refund(4),)
    assert life.tell(OutcomeUnknown()) == ()
    assert life.wakes_with(RetryDue, in_ms=4 * SECOND)
    assert life.wake() == (query(5),)
    assert life.tell(OrderPaid()) == (refund(6),)
    assert life.tell(RefundConfirmed()) == (tell_sale(AttemptUnpaid),)
    assert life.is_in(S.REVERSED)


@pytest.mark.parametrize(
    "answer",
    [RefundPending(), AnswerMismatched(), RequestNotSent(), RequestRefused(), OrderAbsent()],
)
def test_a_refund_without_a_clear_answer_is_settled_by_a_query(answer: Answer) -> None:
    life = told(OutcomePending(), AbandonRequested(), ReversalRefused())
    life.wake()
    life.tell(OrderPaid())
    assert life.tell(answer) == ()
    assert life.is_in(S.SETTLING)
    assert life.wake() == (query(5),)
    assert life.tell(OrderReturned()) == (tell_sale(AttemptUnpaid),)


def test_an_order_that_can_be_neither_canceled_nor_refunded_is_canceled_again() -> None:
    """An error of the gateway's own hides whether it was paid: neither way is the only one for ever (I5)."""
    life = told(OutcomePending(), AbandonRequested(), ReversalRefused())
    life.wake()
    assert life.tell(OrderErrored()) == (refund(4),)
    assert life.tell(RefundRefused()) == ()
    assert life.is_in(S.PROVING)
    assert life.wake() == (query(5),)
    assert life.tell(OrderErrored()) == (reverse(6),)
    assert life.tell(ReversalConfirmed()) == (tell_sale(AttemptUnpaid),)
    assert life.is_in(S.REVERSED)


def settling() -> AttemptLife:
    life = told(OutcomePending(), AbandonRequested(), ReversalRefused())
    assert life.wake() == (query(3),)
    return life


def test_a_refund_that_ended_in_error_is_repeated_with_the_same_number_after_ever_longer_waits() -> None:
    """I9. REFUND_ERROR is not final: the money is still at the merchant's."""
    life = settling()
    for wait, token in ((4, 4), (8, 6), (16, 8)):
        assert life.tell(OrderErrored()) == (refund(token),)
        assert life.tell(RefundPending()) == ()
        assert life.wakes_with(RetryDue, in_ms=wait * SECOND)
        assert life.wake() == (query(token + 1),)
    assert life.tell(OrderReturned()) == (tell_sale(AttemptUnpaid),)


def test_a_cancel_that_came_too_early_is_repeated_after_ever_longer_waits() -> None:
    """The gateway refused to cancel an order that was not decided yet."""
    life = settling()
    for wait, token in ((4, 4), (8, 6), (16, 8)):
        assert life.tell(OrderPending()) == (reverse(token),)
        assert life.tell(ReversalRefused()) == ()
        assert life.wakes_with(RetryDue, in_ms=wait * SECOND)
        assert life.wake() == (query(token + 1),)


@pytest.mark.parametrize("state", [S.DECLINED, S.REVERSED])
@pytest.mark.parametrize("answer", [OrderPaid(), OrderPending(), OrderErrored()])
def test_an_order_that_was_closed_unpaid_and_is_not_is_undone(state: AttemptState, answer: Answer) -> None:
    """I3: whoever asked."""
    life = (
        told(PayDeclined()) if state is S.DECLINED else told(OutcomePending(), AbandonRequested(), ReversalConfirmed())
    )
    assert life.is_in(state)
    token = life.attempt.token + 1
    assert life.tell(answer) == (reverse(token),)
    assert life.attempt.ended_at is None
    assert life.tell(ReversalConfirmed()) == (tell_sale(AttemptUnpaid),)


@pytest.mark.parametrize("answer", [AnswerMismatched(), QueryFailed()])
def test_settling_waits_for_a_clear_answer(answer: Answer) -> None:
    life = settling()
    assert life.tell(answer) == ()
    assert life.wakes_with(RetryDue, in_ms=4 * SECOND)
    assert life.wake() == (query(4),)
    assert life.tell(OrderPartlyReturned(facts=OrderFacts(net_amount=Fen(200)))) == (refund(5, 200),)


@pytest.mark.parametrize(("answer", "state"), [(OrderClosed(), S.REVERSED), (OrderAbsent(), S.WATCHING)])
def test_a_refused_cancel_may_have_had_nothing_to_undo(answer: Answer, state: AttemptState) -> None:
    life = told(OutcomePending(), AbandonRequested(), ReversalRefused())
    assert life.tell(answer) == (tell_sale(AttemptUnpaid),)
    assert life.is_in(state)


def test_waits_double_up_to_five_minutes_across_the_states_of_undoing() -> None:
    life, waits = reversing(), list[int]()
    for _ in range(10):
        life.tell(OutcomeUnknown())
        wakeup = life.wakeup
        if wakeup and isinstance(wakeup.event, AttentionDue):
            life.wake()
        asked = life.now.instant
        life.wake()
        waits.append(life.now.instant - asked)
        assert life.tell(OrderPending()) == (reverse(life.attempt.token),)
    assert waits[:7] == [wait * SECOND for wait in (2, 4, 8, 16, 32, 64, 128)]
    assert waits[8:] == [300 * SECOND, 300 * SECOND]


def test_a_wait_is_spread_by_the_jitter_of_its_step() -> None:
    life = reversing()
    life.now = replace(life.now, jitter=0.5)
    life.tell(OutcomeUnknown())
    assert life.wakes_with(RetryDue, in_ms=2_500)


def test_after_five_minutes_of_undoing_a_person_is_called_and_it_goes_on() -> None:
    life = reversing()
    assert life.wakes_with(AttentionDue, in_ms=5 * MINUTE)
    assert life.wake() == ()
    assert life.attempt.attention == Attention(code="reversal_open", since=life.now.instant)
    assert life.wakeup is None
    life.tell(OutcomeUnknown())
    assert life.wake() == (query(3),)
    life.tell(OrderReturned())
    assert life.attempt.attention is None


@pytest.mark.parametrize(
    "history",
    [
        (OutcomeUnknown(),),
        (ReversalRefused(),),
        (ReversalRefused(), OrderPaid()),
    ],
    ids=["proving", "settling", "refunding"],
)
def test_a_person_is_called_in_every_state_of_undoing(history: tuple[Event, ...]) -> None:
    life = reversing()
    for event in history:
        life.tell(event)
    state = life.attempt.state
    assert life.tell(AttentionDue(), later=5 * MINUTE) == ()
    assert (life.attempt.state, life.attempt.attention is None) == (state, False)


@pytest.mark.parametrize(
    ("history", "code"),
    [
        ((OutcomeUnknown(), OrderErrored()), "order_errored"),
        ((OutcomeUnknown(), AnswerMismatched()), "answer_mismatch"),
        ((OutcomePending(), AbandonRequested(), ReversalRefused(), OrderPaid(), RefundRefused()), "refund_refused"),
    ],
    ids=["errored", "mismatch", "refund refused"],
)
def test_a_person_is_called_at_once_for_what_should_not_happen(history: tuple[Event, ...], code: str) -> None:
    """I4: an answer about another order or amount is no payment, and somebody must look."""
    life = told(*history)
    assert life.attempt.attention == Attention(code=code, since=life.now.instant)
    life.tell(AnswerMismatched() if life.attempt.state is S.POLLING else RetryDue(), later=SECOND)
    assert life.attempt.attention == Attention(code=code, since=NOON.instant), "the first cause stands"


# --- late arrivals ---------------------------------------------------------------------------------------------------


def watching(*, is_trusted: bool = True) -> AttemptLife:
    """An order that was undone without ever having been seen at the gateway."""
    life = AttemptLife(replace(NOON, is_trusted=is_trusted))
    life.tell(OutcomeUnknown())
    life.tell(AbandonRequested())
    assert life.tell(OrderAbsent()) == (tell_sale(AttemptUnpaid),)
    return life


@pytest.mark.parametrize(
    ("is_trusted", "last"),
    [(True, DAY // 2 - DAY_END_MARGIN), (False, LAST_LOOK_WITHOUT_CLOCK)],
    ids=["before the day ends", "without a clock"],
)
def test_an_unseen_order_is_looked_up_again_until_the_last_look(last: int, *, is_trusted: bool) -> None:
    """I3."""
    life = watching(is_trusted=is_trusted)
    for wait in (30 * SECOND, 5 * MINUTE, HOUR):
        assert life.wakeup == Wakeup(at=after(NOON, wait).instant, event=LookDue())
        assert life.wake() == (query(life.attempt.token),)
        assert life.tell(OrderAbsent()) == ()
        assert life.is_in(S.WATCHING)
    assert life.wakeup == Wakeup(at=after(NOON, last).instant, event=LastLookDue())
    assert life.wake() == (query(life.attempt.token),)
    assert life.is_in(S.LAST_LOOK)
    assert life.tell(OrderAbsent()) == ()
    assert life.is_in(S.REVERSED)
    assert life.wakeup is None


def test_near_midnight_the_configured_looks_remain() -> None:
    life = AttemptLife(after(NOON, DAY // 2 - MINUTE))
    begun = life.now
    life.tell(OutcomeUnknown())
    life.tell(AbandonRequested())
    life.tell(OrderAbsent())
    assert life.attempt.looks == tuple(after(begun, wait).instant for wait in RULES.late_lookups)


@pytest.mark.parametrize("answer", [OrderPaid(), OrderPending(), OrderErrored(), AnswerMismatched()])
@pytest.mark.parametrize("look", [LookDue(), LastLookDue()])
def test_an_order_that_arrived_late_is_undone_and_the_sale_is_told(answer: Answer, look: Event) -> None:
    """I3: without being asked."""
    life = watching()
    assert life.tell(look, later=HOUR) == (query(4),)
    assert life.tell(answer) == (reverse(5),)
    assert life.wakes_with(AttentionDue, in_ms=5 * MINUTE) or life.attempt.attention
    assert life.tell(ReversalConfirmed()) == (tell_sale(AttemptUnpaid),)
    assert life.is_in(S.REVERSED)


@pytest.mark.parametrize("look", [LookDue(), LastLookDue()])
def test_an_order_that_arrived_late_and_was_returned_in_part_is_refunded(look: Event) -> None:
    life = watching()
    life.tell(look, later=HOUR)
    assert life.tell(OrderPartlyReturned(facts=OrderFacts(net_amount=Fen(10)))) == (refund(5, 10),)


@pytest.mark.parametrize("answer", [OrderClosed(), OrderReturned()])
@pytest.mark.parametrize("look", [LookDue(), LastLookDue()])
def test_an_order_that_arrived_late_without_keeping_money_is_closed(answer: Answer, look: Event) -> None:
    life = watching()
    life.tell(look, later=HOUR)
    assert life.tell(answer) == ()
    assert life.is_in(S.REVERSED)


def test_a_look_without_an_answer_is_repeated_until_it_has_one() -> None:
    life = watching()
    life.wake()
    for wait in (2, 4):
        assert life.tell(QueryFailed()) == ()
        assert life.wakes_with(LookDue, in_ms=wait * SECOND)
        life.wake()
    life.tell(OrderAbsent())
    assert life.wakeup == Wakeup(at=after(NOON, 5 * MINUTE).instant, event=LookDue())
    assert life.attempt.tries == 0


def test_the_last_look_without_an_answer_is_repeated_for_as_long_as_it_takes() -> None:
    life = watching()
    life.tell(LastLookDue(), later=HOUR)
    for wait in (2, 4, 8):
        assert life.tell(QueryFailed()) == ()
        assert life.is_in(S.LAST_LOOK)
        assert life.wakes_with(RetryDue, in_ms=wait * SECOND)
        assert life.wake() == (query(life.attempt.token),)
    life.tell(OrderAbsent())
    assert life.is_in(S.REVERSED)


def test_a_terminal_that_was_off_during_its_looks_looks_once_more() -> None:
    """I5: looks that were missed are not made up for one by one."""
    life = watching()
    life.now = after(life.now, 2 * DAY)
    assert life.tell(PowerReturned()) == (query(4),)
    life.tell(OrderAbsent())
    assert life.wakeup is not None
    assert isinstance(life.wakeup.event, LastLookDue)
    assert life.wake() == (query(5),)


def test_an_order_that_is_absent_again_is_watched_anew() -> None:
    life = watching()
    life.wake()
    life.tell(OrderPending())
    assert life.tell(OrderAbsent()) == (tell_sale(AttemptUnpaid),)
    assert life.attempt.looks[0] == after(life.now, 30 * SECOND).instant
    assert life.attempt.undoing_since is None
