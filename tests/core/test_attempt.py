"""Transcripts of attempts: what is told, what is asked for. The submit has the token 1."""

from collections.abc import Callable

import pytest

from terminald.core.attempt_table import AttemptState
from terminald.core.commands import Command, QueryOrder, SubmitPayment, TellSale
from terminald.core.events import (
    AbandonRequested,
    Answer,
    AnswerMismatched,
    AttemptPaid,
    AttemptRefused,
    AttemptReversing,
    AttemptUnpaid,
    Event,
    Fault,
    LastLookDue,
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
    PollWindowClosed,
    PowerReturned,
    QueryFailed,
    Recovered,
    RefundConfirmed,
    RequestNotSent,
    RequestRefused,
    ReversalConfirmed,
    ReversalRefused,
)
from terminald.core.ids import WallTime
from terminald.core.money import Fen
from terminald.core.schedule import ASKING_PATIENCE, HOUR, SECOND
from terminald.errors import IllegalTransition
from tests.core.machine_builders import (
    AMOUNT,
    CLIENT_SN,
    CODE,
    NOON,
    RULES,
    TEXT,
    AttemptLife,
    query,
    refund,
    reverse,
    tell_sale,
    told,
)

S = AttemptState
FAULT = Fault(code="TRADE_FAILED", message="交易失败")


# --- the submit ------------------------------------------------------------------------------------------------------


def test_an_attempt_begins_with_its_one_submit() -> None:
    """I2, I7: the submit carries the code, the snapshot does not."""
    life = AttemptLife()
    assert life.in_flight == SubmitPayment(client_sn=CLIENT_SN, token=1, amount=AMOUNT, code=CODE, text=TEXT)
    assert life.is_in(S.SUBMITTING)
    assert (life.attempt.code_masked, life.attempt.code_digest) == ("1308…1147", "d1")
    assert life.wakeup is None
    assert CODE.reveal() not in repr(life.attempt)


@pytest.mark.parametrize(
    ("answer", "state", "report"),
    [
        (PayConfirmed(), S.PAID, tell_sale(AttemptPaid)),
        (PayDeclined(fault=FAULT), S.DECLINED, tell_sale(AttemptUnpaid, "declined")),
        (RequestRefused(fault=FAULT), S.DECLINED, tell_sale(AttemptRefused, "terminal_refused")),
        (RequestNotSent(), S.UNSENT, tell_sale(AttemptUnpaid, "gateway_unreachable")),
    ],
)
def test_a_final_answer_to_the_submit_ends_the_attempt(answer: Answer, state: AttemptState, report: TellSale) -> None:
    life = AttemptLife()
    assert life.tell(answer, later=800) == (report,)
    assert life.is_in(state)
    assert life.attempt.fault == answer.fault
    assert life.attempt.ended_at == life.now.wall
    assert life.wakeup is None


def test_a_pending_payment_is_queried_after_the_interval_until_it_is_paid() -> None:
    life = AttemptLife()
    assert life.tell(OutcomePending(facts=OrderFacts(sn="7894"))) == ()
    assert life.wakes_with(PollDue, in_ms=RULES.poll_interval)
    assert life.wake() == (query(2),)
    assert life.tell(OrderPending(), later=200) == ()
    assert life.wakes_with(PollDue, in_ms=RULES.poll_interval)
    assert life.wake() == (query(3),)
    assert life.tell(OrderPaid(facts=OrderFacts(trade_no="42"))) == (tell_sale(AttemptPaid),)
    assert life.is_in(S.PAID)
    assert life.attempt.facts == OrderFacts(sn="7894", trade_no="42")


@pytest.mark.parametrize("answer", [OutcomeUnknown(), AnswerMismatched()])
def test_a_lost_or_foreign_answer_to_the_submit_is_followed_by_a_query_at_once(answer: Answer) -> None:
    life = AttemptLife()
    assert life.tell(answer) == (query(2),)
    assert life.is_in(S.POLLING)
    assert life.tell(OrderPaid()) == (tell_sale(AttemptPaid),)


@pytest.mark.parametrize(
    ("answer", "state"), [(OrderClosed(), S.DECLINED), (OrderReturned(), S.REVERSED)], ids=["closed", "returned"]
)
def test_an_order_that_ended_without_payment_is_declined(answer: Answer, state: AttemptState) -> None:
    life = told(OutcomeUnknown())
    assert life.tell(answer) == (tell_sale(AttemptUnpaid, "declined"),)
    assert life.is_in(state)


@pytest.mark.parametrize("answer", [OrderPending(), OrderErrored(), OrderAbsent(), AnswerMismatched(), QueryFailed()])
def test_an_answer_that_proves_nothing_is_followed_by_another_query(answer: Answer) -> None:
    """An absent order as well: a request delayed in the network can still arrive (Web API documents, pay)."""
    life = told(OutcomeUnknown())
    assert life.tell(answer) == ()
    assert life.is_in(S.POLLING)
    assert life.wakes_with(PollDue, in_ms=RULES.poll_interval)


@pytest.mark.parametrize(
    ("answer", "reason"), [(OrderPending(), "expired"), (QueryFailed(), "gateway_unreachable")], ids=["slow", "away"]
)
def test_after_the_window_the_order_is_reversed_and_the_sale_knows_why(answer: Answer, reason: str) -> None:
    life = told(OutcomeUnknown(), answer)
    while life.wakeup and isinstance(life.wakeup.event, PollDue):
        assert life.wake() == (query(life.attempt.token),)
        life.tell(answer)
    assert life.wakes_with(PollWindowClosed, in_ms=2 * SECOND)
    assert life.wake() == (reverse(life.attempt.token), tell_sale(AttemptReversing, reason))
    assert life.now.instant == NOON.instant + RULES.poll_window
    assert len([one for _, one in life.requests if isinstance(one, QueryOrder)]) == 17


def test_the_window_closes_on_a_query_that_is_never_answered() -> None:
    life = told(OutcomeUnknown())
    assert life.wakes_with(PollWindowClosed, in_ms=RULES.poll_window)
    assert life.wake() == (reverse(3), tell_sale(AttemptReversing, "gateway_unreachable"))


def test_an_order_that_somebody_returned_in_part_is_returned_in_full() -> None:
    life = told(OutcomeUnknown())
    partly = OrderPartlyReturned(facts=OrderFacts(net_amount=Fen(100)))
    assert life.tell(partly) == (refund(3, 100), tell_sale(AttemptReversing, "expired"))
    assert life.tell(RefundConfirmed()) == (tell_sale(AttemptUnpaid),)
    assert life.is_in(S.REVERSED)


# --- abandoned -------------------------------------------------------------------------------------------------------


def test_nothing_is_sent_about_an_order_whose_submit_is_under_way() -> None:
    life = AttemptLife()
    assert life.tell(AbandonRequested()) == ()
    assert life.tell(AbandonRequested()) == ()
    assert (life.attempt.state, life.attempt.token, life.wakeup) == (S.ABANDONING, 1, None)


@pytest.mark.parametrize("answer", [PayConfirmed(), OutcomePending(), OutcomeUnknown(), AnswerMismatched()])
def test_an_abandoned_submit_that_may_have_run_is_reversed(answer: Answer) -> None:
    """I3: even a payment that is confirmed now goes back."""
    life = told(AbandonRequested())
    assert life.tell(answer) == (reverse(2),)
    assert life.tell(ReversalConfirmed()) == (tell_sale(AttemptUnpaid),)
    assert life.is_in(S.REVERSED)


@pytest.mark.parametrize(
    ("answer", "state"),
    [(PayDeclined(), S.DECLINED), (RequestRefused(), S.DECLINED), (RequestNotSent(), S.UNSENT)],
    ids=["declined", "refused", "not sent"],
)
def test_an_abandoned_submit_that_failed_needs_no_reversal(answer: Answer, state: AttemptState) -> None:
    life = told(AbandonRequested())
    assert life.tell(answer) == (tell_sale(AttemptUnpaid),)
    assert life.is_in(state)


def test_a_polled_order_is_reversed_when_nobody_wants_it() -> None:
    life = told(OutcomePending())
    assert life.tell(AbandonRequested()) == (reverse(2),)
    assert life.attempt.undoing_since == life.now.instant


@pytest.mark.parametrize(
    "history",
    [
        (OutcomePending(), AbandonRequested()),
        (OutcomePending(), AbandonRequested(), OutcomeUnknown()),
        (OutcomePending(), AbandonRequested(), ReversalRefused()),
        (OutcomePending(), AbandonRequested(), ReversalRefused(), OrderPaid()),
        (OutcomePending(), AbandonRequested(), OrderAbsent()),
        (OutcomePending(), AbandonRequested(), OrderAbsent(), LastLookDue()),
    ],
    ids=["reversing", "proving", "settling", "refunding", "watching", "last look"],
)
def test_abandoning_what_is_being_undone_changes_nothing(history: tuple[Event, ...]) -> None:
    life = told(*history)
    before = life.attempt
    assert life.tell(AbandonRequested()) == ()
    assert life.attempt == before


# --- restarts --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("restart", [Recovered(), PowerReturned()])
@pytest.mark.parametrize(
    ("history", "state", "asked"),
    [
        ((), S.POLLING, query),
        ((AbandonRequested(),), S.REVERSING, reverse),
        ((OutcomePending(),), S.POLLING, query),
        ((OutcomePending(), AbandonRequested()), S.REVERSING, reverse),
        ((OutcomePending(), AbandonRequested(), OutcomeUnknown()), S.PROVING, query),
        ((OutcomePending(), AbandonRequested(), ReversalRefused()), S.SETTLING, query),
        ((OutcomePending(), AbandonRequested(), ReversalRefused(), OrderPaid()), S.SETTLING, query),
        ((OutcomePending(), AbandonRequested(), OrderAbsent()), S.WATCHING, query),
        ((OutcomePending(), AbandonRequested(), OrderAbsent(), LastLookDue()), S.LAST_LOOK, query),
    ],
    ids=[
        "submitting",
        "abandoning",
        "polling",
        "reversing",
        "proving",
        "settling",
        "refunding",
        "watching",
        "last look",
    ],
)
def test_after_a_restart_it_is_found_out_how_things_stand(
    history: tuple[Event, ...], state: AttemptState, asked: Callable[[int], Command], restart: Event
) -> None:
    """I2, I5: a query, or a cancel that changes nothing when it is repeated; never a submit."""
    life = told(*history)
    token = life.attempt.token
    commands: tuple[Command, ...] = life.tell(restart, later=7 * SECOND)
    assert commands == (asked(token + 1),)
    assert life.is_in(state)


def test_after_a_restart_the_window_is_open_for_a_moment_longer() -> None:
    life = told(OutcomePending())
    life.tell(Recovered(), later=HOUR)
    assert life.wakes_with(PollWindowClosed, in_ms=ASKING_PATIENCE)
    assert life.tell(OrderPaid(), later=SECOND) == (tell_sale(AttemptPaid),)


def test_a_restart_does_not_shorten_the_window() -> None:
    life = told(OutcomePending())
    life.tell(Recovered(), later=SECOND)
    assert life.attempt.window_ends == NOON.instant + RULES.poll_window


# --- what an attempt keeps -------------------------------------------------------------------------------------------


def test_facts_are_added_to_and_never_forgotten() -> None:
    life = told(OutcomePending(facts=OrderFacts(sn="7894", payway="3"), fault=FAULT))
    life.tell(PollDue())
    life.tell(OrderPaid(facts=OrderFacts(trade_no="42", finish_time="1714536000000", net_amount=Fen(350))))
    assert life.attempt.facts == OrderFacts(
        sn="7894", trade_no="42", payway="3", finish_time="1714536000000", net_amount=Fen(350)
    )
    assert life.attempt.fault == FAULT


def test_an_ended_attempt_takes_nothing_more() -> None:
    life = told(PayConfirmed())
    before = life.attempt
    with pytest.raises(IllegalTransition, match="ReversalConfirmed is not possible in state paid"):
        life.tell(ReversalConfirmed())
    assert life.attempt == before
    assert life.attempt.started_at == WallTime(NOON.wall)
