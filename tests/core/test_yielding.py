"""A QR that yields to a presented code: until when it may turn out to be paid, and pays the sale."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from terminald.core import stimuli
from terminald.core.attempt_table import Attempt, AttemptState
from terminald.core.commands import GatewayCommand, QueryOrder, RefundOrder, ReverseOrder, SubmitPayment
from terminald.core.events import (
    AbandonRequested,
    Answer,
    AnswerMismatched,
    AttentionDue,
    CancelRequested,
    Event,
    HoldEnded,
    OfferExpired,
    OrderAbsent,
    OrderErrored,
    OrderFacts,
    OrderPaid,
    OrderPending,
    OutcomeUnknown,
    PowerReturned,
    PresentationExpired,
    QueryFailed,
    Recovered,
    RefundRefused,
    RequestNotSent,
    RequestRefused,
    RetryDue,
    ReversalConfirmed,
    ReversalPending,
    ReversalRefused,
    YieldRequested,
)
from terminald.core.ids import ClientSn
from terminald.core.sale_table import DeliveryState, SaleState
from terminald.core.schedule import HOLD_LONGEST, REVERSAL_ATTENTION_AFTER, SECOND
from tests.core.machine_builders import (
    BOTH_ORDER,
    CLIENT_SN,
    COMPLETIONS,
    OFFERING,
    RULES,
    AttemptLife,
    make_answer,
)
from tests.core.terminal_world import CLEARLY_NOT_RUN
from tests.core.test_ledger_qr import FIRST, SHOWN, Counter, shown

S = AttemptState


def settled(*answers: Event) -> Counter:
    """A code was scanned beside the QR, which was not seen paid; the cancel, and what followed, was answered so."""
    counter = shown()
    counter.scan()
    for event in (OrderPending(), *answers):
        counter.offer(event, order(counter).token)
    return counter


def order(counter: Counter) -> Attempt:
    return counter.book.attempts[FIRST]


def paid_at_last(counter: Counter) -> tuple[AttemptState, SaleState]:
    """The next question finds it paid."""
    counter.offer(RetryDue())
    counter.offer(OrderPaid(facts=OrderFacts(trade_no="42")), order(counter).token)
    return counter.offer_state(), counter.sale_state()


# --- it pays the sale ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("answer", [ReversalRefused(), RequestRefused(), RequestNotSent()])
def test_a_payment_stands_beside_a_cancel_that_clearly_did_nothing(answer: Answer) -> None:
    counter = settled(answer)
    assert paid_at_last(counter) == (S.PAID, SaleState.COMPLETED)
    assert counter.attempt_state() is S.UNSENT
    assert (order(counter).facts.trade_no, order(counter).is_yielding) == ("42", False)


@pytest.mark.parametrize("answer", [QueryFailed(), AnswerMismatched(), OrderAbsent()])
def test_a_question_without_an_answer_changes_nothing(answer: Answer) -> None:
    """Queries change no order."""
    counter = settled(ReversalRefused(), RetryDue(), answer)
    assert paid_at_last(counter) == (S.PAID, SaleState.COMPLETED)


def test_a_code_that_was_held_too_long_or_another_one_changes_nothing() -> None:
    counter = settled(ReversalRefused())
    counter.attempt(HoldEnded(), later=HOLD_LONGEST)
    assert counter.sale_state() is SaleState.AWAITING_PAYMENT
    assert counter.offer(AttentionDue(), later=REVERSAL_ATTENTION_AFTER).records, "a person is called"
    counter.scan(ClientSn("t-0009"), "d2")
    assert counter.sale_state() is SaleState.SWITCHING
    assert paid_at_last(counter) == (S.PAID, SaleState.COMPLETED)
    assert not any(one.state is S.SUBMITTING for one in counter.book.attempts.values())
    assert order(counter).attention is None


def test_it_pays_a_sale_whose_code_was_dropped() -> None:
    counter = settled(ReversalRefused())
    counter.attempt(HoldEnded(), later=HOLD_LONGEST)
    assert paid_at_last(counter) == (S.PAID, SaleState.COMPLETED)


def test_goods_are_awaited_as_of_any_paid_sale() -> None:
    counter = Counter(replace(BOTH_ORDER, reports_delivery=True))
    counter.offer(SHOWN, 1)
    counter.scan()
    for event in (OrderPending(), ReversalRefused()):
        counter.offer(event, order(counter).token)
    assert paid_at_last(counter) == (S.PAID, SaleState.PAID)
    assert next(iter(counter.book.sales.values())).delivery is DeliveryState.PENDING


# --- it goes back ----------------------------------------------------------------------------------------------------


def is_undone(counter: Counter) -> bool:
    """Whether the payment goes back: the sale has it not, and the gateway is asked to undo it."""
    state, _ = paid_at_last(counter)
    return state in (S.REVERSING, S.REFUNDING)


@pytest.mark.parametrize("answer", [OutcomeUnknown(), ReversalPending(), AnswerMismatched(), OrderAbsent()])
def test_beside_an_unclear_cancel_it_goes_back(answer: Answer) -> None:
    """I4: it may arrive, or be done, after the question."""
    counter = settled(answer)
    assert is_undone(counter)
    assert counter.sale_state() is SaleState.SWITCHING


@pytest.mark.parametrize("second", [ReversalRefused(), OutcomeUnknown()])
def test_a_second_cancel_ends_it_whatever_becomes_of_that(second: Answer) -> None:
    """The gateway has contradicted itself: an order that is not final is no order that can not be cancelled."""
    counter = settled(ReversalRefused(), RetryDue(), OrderPending(), second)
    assert is_undone(counter)


@pytest.mark.parametrize("refusal", [RefundRefused(), RequestNotSent()])
def test_a_refund_ends_it(refusal: Answer) -> None:
    counter = settled(ReversalRefused(), RetryDue(), OrderErrored(), refusal)
    assert is_undone(counter)


def test_the_hosts_cancel_ends_it() -> None:
    """I3."""
    counter = settled(ReversalRefused())
    counter.sale(CancelRequested())
    assert paid_at_last(counter) == (S.REFUNDING, SaleState.CANCELING)


def test_the_end_of_the_customers_time_ends_it() -> None:
    counter = settled(ReversalRefused())
    counter.attempt(HoldEnded(), later=HOLD_LONGEST)
    left = next(iter(counter.book.sales.values())).window_ends - counter.now.instant
    counter.sale(PresentationExpired(), later=left)
    assert paid_at_last(counter) == (S.REFUNDING, SaleState.CANCELING)


def test_a_sale_that_was_given_up_by_the_order_itself_does_not_take_it() -> None:
    """The customer's time ends while the question is under way: what the order tells then cancels the sale."""
    counter = shown()
    counter.scan()
    counter.attempt(HoldEnded(), later=HOLD_LONGEST)
    left = next(iter(counter.book.sales.values())).window_ends - counter.now.instant
    counter.offer(OrderPending(), 2, later=left)
    assert counter.sale_state() is SaleState.CANCELING
    counter.offer(ReversalRefused(), 3)
    assert paid_at_last(counter) == (S.REFUNDING, SaleState.CANCELING)


@pytest.mark.parametrize("restart", [Recovered(), PowerReturned()])
def test_a_restart_ends_it(restart: Event) -> None:
    """I2: the code is gone with it, and the customer perhaps as well."""
    counter = settled(ReversalRefused())
    counter.book = replace(counter.book, held={})
    for stimulus in stimuli.recovery(counter.book, restart):
        counter.apply(stimulus)
    counter.offer(OrderPaid(), order(counter).token)
    assert counter.offer_state() is S.REFUNDING


def test_a_qr_whose_own_time_is_over_does_not_yield() -> None:
    """Its end was shown; a payment after that is none, whether or not a code is presented meanwhile."""
    counter = shown()
    for event in (OfferExpired(), OrderPending()):
        counter.offer(event)
    assert (counter.offer_state(), counter.sale_state()) == (S.REVERSING, SaleState.AWAITING_PAYMENT)
    counter.scan()
    counter.offer(ReversalRefused(), order(counter).token)
    assert is_undone(counter)
    assert counter.sale_state() is SaleState.SWITCHING


def test_the_code_is_sent_after_that() -> None:
    """I1."""
    counter = settled(OutcomeUnknown(), RetryDue(), OrderPaid())
    done = counter.offer(ReversalConfirmed(), order(counter).token)
    assert [type(command) for command in done.commands] == [SubmitPayment]


# --- any history -----------------------------------------------------------------------------------------------------

_OUTSIDE: tuple[Event, ...] = (AbandonRequested(), YieldRequested(), OfferExpired(), Recovered(), PowerReturned())


@settings(deadline=None)
@given(data=st.data())
def test_it_yields_only_while_no_cancel_may_undo_it(data: st.DataObject) -> None:
    """I4: at any moment of any life at which a payment would be kept."""
    life = AttemptLife(opening=OFFERING, rules=RULES)
    life.tell(SHOWN)
    life.tell(YieldRequested())
    cancels: list[Answer | None] = []
    has_refund, is_ended = False, False
    for _ in range(data.draw(st.integers(1, 12))):
        before = life.in_flight
        if before is not None and data.draw(st.integers(0, 5)):
            event: Event = make_answer(data.draw(st.sampled_from(COMPLETIONS[type(before)])))
        elif before is None and life.wakeup and data.draw(st.integers(0, 5)):
            event = life.wakeup.event
        else:
            event = data.draw(st.sampled_from(_OUTSIDE))
        if life.attempt.state.is_final or (isinstance(event, OfferExpired) and life.attempt.state is not S.POLLING):
            continue
        if isinstance(before, ReverseOrder) and isinstance(event, Answer):
            cancels[-1] = event
        asked = [one for one in life.tell(event, later=SECOND) if isinstance(one, GatewayCommand)]
        cancels += [None for one in asked if isinstance(one, ReverseOrder)]
        has_refund = has_refund or any(isinstance(one, RefundOrder) for one in asked)
        is_ended = is_ended or isinstance(event, AbandonRequested | OfferExpired | Recovered | PowerReturned)
        is_clear = len(cancels) <= 1 and all(isinstance(one, CLEARLY_NOT_RUN) for one in cancels)
        if life.attempt.state in (S.PROVING, S.SETTLING):
            assert life.attempt.is_yielding == (is_clear and not has_refund and not is_ended)
            assert life.in_flight is None or isinstance(life.in_flight, QueryOrder)
        if life.attempt.is_yielding:
            assert not is_ended


def test_a_scanned_code_never_yields() -> None:
    life = AttemptLife()
    assert life.attempt.client_sn == CLIENT_SN
    life.tell(AbandonRequested())
    assert not life.attempt.is_yielding
