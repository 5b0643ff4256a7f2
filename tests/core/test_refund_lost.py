"""Refunds of an order that does not tell whether they were carried out: held up, asked about, closed by a person.

The gateway does not know it any more, or its own error is its last word.
"""

from dataclasses import replace

import pytest

from terminald.core.commands import QueryOrder, RefundOrder, RevokeOrder
from terminald.core.events import (
    Event,
    OrderAbsent,
    OrderClosed,
    OrderErrored,
    OrderFacts,
    OrderPaid,
    OrderPartlyReturned,
    OrderPending,
    OrderReturned,
    OutcomeUnknown,
    PayConfirmed,
    PowerReturned,
    Recovered,
    RefundConfirmed,
    RefundRefused,
    RetryDue,
    ReversalPending,
)
from terminald.core.money import Fen
from terminald.core.refund_answers import DAY_OVER, REPLACED
from terminald.core.refund_table import RefundKind, RefundState
from terminald.core.return_events import Delivered, DeliveryWindowClosed, PartUndelivered, Undelivered
from terminald.core.sale_table import SaleState
from terminald.core.schedule import BLOCKED_RETRY, DAY, HOUR, LATE_REQUEST, SECOND, day_end
from terminald.core.stimuli import Advance
from terminald.core.story_refunds import UNSENT, refund_words
from tests.core.machine_builders import NOON, ORDER, RULES, after
from tests.core.till import NO_BALANCE, Till, refund, revoke, sold

R = RefundState


def lost(answer: Event | None = None, kind: RefundKind = RefundKind.REFUND, amount: int = 100) -> Till:
    """A refund whose request was answered so, and whose order the gateway has not known ever since."""
    till = sold()
    till.ask(amount, kind)
    till.refund(answer or OrderAbsent(), 1)
    look(till, later=LATE_REQUEST)
    return till


def look(till: Till, event: Event | None = None, *, number: int = 1, later: int = 0) -> Advance:
    """Let it ask, and the gateway answer."""
    till.refund(RetryDue(), number=number, later=later)
    (refund_id,) = (one.id for one in till.book.refunds.values() if one.request_no == f"r{number}")
    return till.refund(event or OrderAbsent(), till.book.refunds[refund_id].token, number=number)


@pytest.mark.parametrize("answer", [OrderAbsent(), OutcomeUnknown(), Recovered()])
def test_it_is_held_up_and_a_person_called_when_no_request_can_arrive_any_more(answer: Event) -> None:
    till = sold()
    till.ask(100)
    till.refund(answer)
    if isinstance(answer, Recovered):
        till.refund(OrderAbsent(), 2)
    look(till, later=LATE_REQUEST - 1)
    assert till.refund_states() == [R.PROVING]
    look(till, later=1)
    assert till.refund_states() == [R.BLOCKED]
    raised = till.seen().attention
    assert raised is not None
    assert raised.code == "order_lost"
    (held,) = till.book.refunds.values()
    assert held.retry is not None
    assert held.retry >= till.now.instant + BLOCKED_RETRY


def test_a_revoke_is_held_up_as_well() -> None:
    till = lost(kind=RefundKind.REVOKE, amount=350)
    assert till.refund_states() == [R.BLOCKED]
    done = till.refund(RetryDue(), later=HOUR)
    assert till.refund_states() == [R.CHECKING]
    assert [type(one) for one in done.commands] == [QueryOrder]
    done = till.refund(OrderPaid(), 3)
    assert done.commands == (revoke(4),)


def lapsed(*, is_late: bool = False, delivery: bool = False) -> Till:
    """A revoke whose order is in an error of the gateway's when its day is over; late: asked for a second before."""
    till = sold(delivery=delivery)
    if is_late:
        till.now = after(NOON, day_end(NOON.wall, RULES.day_offset) - NOON.wall - SECOND)
    till.ask(350, RefundKind.REVOKE)
    till.refund(ReversalPending(), 1)
    look(till, OrderErrored(), later=2 * SECOND if is_late else DAY)
    return till


def test_a_revoke_whose_day_is_over_in_an_error_is_held_up_and_a_person_called() -> None:
    """I5: it is neither repeated on another day, nor asked about for ever, before all others."""
    till = lapsed()
    assert till.refund_states() == [R.BLOCKED]
    raised = till.seen().attention
    assert raised is not None
    assert raised.code == "order_errored"
    till.close()
    assert till.refund_states() == [R.CLOSED]


def test_it_is_not_held_up_while_its_request_may_still_arrive() -> None:
    till = lapsed(is_late=True)
    assert till.refund_states() == [R.CHECKING]
    look(till, OrderErrored(), later=LATE_REQUEST)
    assert till.refund_states() == [R.BLOCKED]


def test_it_is_asked_about_every_hour_and_done_when_the_gateway_has_found_out_of_it() -> None:
    till = lapsed()
    done = look(till, OrderErrored(), later=HOUR)
    assert not done.commands, "no revoke on another day"
    assert till.refund_states() == [R.BLOCKED]
    (ended,) = look(till, OrderClosed(), later=HOUR).refunds
    assert (ended.state, ended.attention) == (R.DONE, None)


@pytest.mark.parametrize("said", ["before", "after"])
@pytest.mark.parametrize("has_moved", [False, True])
def test_what_is_owed_for_goods_goes_back_by_a_refund_in_its_place(said: str, *, has_moved: bool) -> None:
    """I5: nobody waits for a person where the gateway can be asked. I9: it can not go back twice."""
    till = lapsed(is_late=True, delivery=True)
    if said == "before":
        till.sale(Undelivered())
    done = look(till, OrderErrored(), later=LATE_REQUEST)
    if said == "after":
        assert till.refund_states() == [R.BLOCKED]
        done = till.sale(Undelivered())
    assert till.refund_states() == [R.REFUSED, R.REFUNDING]
    replaced = till.seen().refunds[0]
    assert replaced.fault is not None
    assert replaced.fault.code == REPLACED, "no word that it has moved no money, or is to be asked for again"
    assert refund_words(replaced, till.now) is UNSENT[REPLACED]
    assert done.commands == (refund(1, 350, number=2),)
    if has_moved:
        till.refund(RefundRefused(), 1, number=2)
        till.refund(OrderClosed(), 2, number=2)
    else:
        till.refund(RefundConfirmed(), 1, number=2)
    assert till.refund_states() == [R.REFUSED, R.DONE]
    assert (till.sale_state(), till.seen().sale.returned) == (SaleState.RETURNED, 350)
    assert till.seen().attention is None


def test_a_part_that_is_owed_for_goods_goes_back_in_its_place() -> None:
    till = lapsed(delivery=True)
    done = till.sale(PartUndelivered(amount=Fen(100)))
    assert done.commands == (refund(1, 100, number=2),)
    till.refund(RefundConfirmed(), 1, number=2)
    assert (till.sale_state(), till.seen().sale.returned) == (SaleState.COMPLETED, 100)


def test_an_order_that_is_lost_as_well_is_not_revoked_on_another_day() -> None:
    till = lapsed()
    look(till, OrderAbsent(), later=HOUR)
    assert till.refund_states() == [R.BLOCKED]
    till.now = replace(till.now, is_trusted=False)
    done = look(till, OrderErrored(), later=HOUR)
    assert not done.commands
    assert till.refund_states() == [R.BLOCKED]


@pytest.mark.parametrize(
    ("answer", "state"), [(OrderErrored(), R.BLOCKED), (OrderPaid(), R.REFUSED), (OrderPending(), R.CHECKING)]
)
def test_it_is_not_revoked_again_where_the_time_of_day_is_not_known_any_more(answer: Event, state: RefundState) -> None:
    """I10: that its day is over was known once. A board without a clock of its own was off meanwhile."""
    till = lapsed()
    till.now = replace(till.now, is_trusted=False)
    till.refund(PowerReturned())
    assert not look(till, answer, later=HOUR).commands
    assert till.refund_states() == [state]
    if state is R.CHECKING:
        till.refund(PowerReturned())
        assert not till.refund(OrderPaid(), till.seen().refunds[0].token).commands
        assert till.refund_states() == [R.REFUSED]
    if state is not R.BLOCKED:
        fault = till.seen().refunds[0].fault
        assert fault is not None
        assert fault.code == DAY_OVER


def test_a_refund_has_its_turn_beside_it_and_ends_it() -> None:
    till = lapsed()
    (asked,) = till.ask(350).commands
    assert isinstance(asked, RefundOrder)
    till.refund(RefundConfirmed(), asked.token, number=2)
    assert till.refund_states() == [R.REFUSED, R.DONE]


def test_the_others_have_their_turn() -> None:
    till = sold()
    till.ask(100)
    till.ask(50)
    till.refund(OrderAbsent(), 1)
    till.refund(RetryDue(), later=LATE_REQUEST)
    done = till.refund(OrderAbsent(), 2)
    assert done.commands == (refund(1, 50, number=2),)
    till.refund(RefundConfirmed(), 1, number=2)
    assert till.refund_states() == [R.BLOCKED, R.DONE]


def test_it_asks_about_the_order_every_hour_before_anything_is_repeated() -> None:
    """I9: an earlier try may have been carried out before the order was lost."""
    till = lost(OutcomeUnknown())
    done = till.refund(RetryDue(), later=HOUR)
    assert [type(one) for one in done.commands] == [QueryOrder]
    assert till.refund_states() == [R.PROVING]
    till.refund(OrderAbsent(), 3)
    assert till.refund_states() == [R.BLOCKED], "still lost: for another hour"
    ours = OrderPartlyReturned(facts=OrderFacts(net_amount=Fen(250), client_tsn="t-0001-r1"))
    assert [one.state for one in look(till, ours, later=HOUR).refunds] == [R.DONE]


def test_what_is_found_again_and_was_not_given_back_is_repeated_under_its_number() -> None:
    till = lost()
    till.refund(RetryDue(), later=HOUR)
    (again,) = till.refund(OrderPaid(), 3).commands
    assert again == refund(4, 100)
    done = till.refund(RefundConfirmed(), 4)
    assert [(one.state, one.attention) for one in done.refunds] == [(R.DONE, None)]


def test_a_return_goes_on_as_a_refund() -> None:
    till = sold(delivery=True)
    till.sale(Undelivered())
    till.refund(OutcomeUnknown(), 1)
    look(till, later=LATE_REQUEST)
    assert till.refund_states() == [R.BLOCKED]
    till.refund(RetryDue(), later=HOUR)
    (again,) = till.refund(OrderPaid(), 3).commands
    assert isinstance(again, RefundOrder)
    assert (again.refund_amount, till.sale_state()) == (350, SaleState.RETURNING)


def test_a_return_that_was_carried_out_before_is_done() -> None:
    till = lost(OutcomeUnknown(), RefundKind.RETURN, 350)
    done = look(till, OrderReturned(), later=HOUR)
    assert [one.state for one in done.refunds] == [R.DONE]
    assert [one.state for one in done.sales] == [SaleState.RETURNED]


def test_a_person_gives_it_up() -> None:
    till = lost()
    till.close()
    assert till.refund_states() == [R.CLOSED]
    assert till.seen().attention is None


def test_what_others_have_taken_so_much_of_that_it_can_not_have_run_ends_without_being_sent() -> None:
    till = sold()
    till.ask(200)
    till.ask(200, is_owed=True)
    till.refund(OrderAbsent(), 1)
    look(till, later=LATE_REQUEST)
    done = till.refund(RefundConfirmed(), 1, number=2)
    assert {one.request_no: one.state for one in done.refunds} == {"r1": R.REFUSED, "r2": R.DONE}


def test_goods_that_are_reported_meanwhile_do_not_end_it() -> None:
    """Its money may have gone back: a person finds out."""
    till = Till(replace(RULES, returns_overdue=True))
    till.open(replace(ORDER, wants_receipt=False, reports_delivery=True))
    till.scan()
    till.attempt(PayConfirmed(facts=OrderFacts(finish_time=str(NOON.wall))), 1)
    done = till.sale(DeliveryWindowClosed())
    assert [type(one) for one in done.commands] == [RevokeOrder]
    till.refund(OutcomeUnknown(), 1)
    look(till, later=LATE_REQUEST)
    assert till.refund_states() == [R.BLOCKED]
    till.sale(Delivered())
    assert (till.refund_states(), till.sale_state()) == ([R.BLOCKED], SaleState.RETURNING)


def test_what_is_refused_for_now_is_tried_again_as_before() -> None:
    till = sold()
    till.ask(100)
    till.refund(NO_BALANCE, 1)
    till.refund(OrderPaid(), 2)
    done = till.refund(RetryDue(), later=HOUR)
    assert done.commands == (refund(3, 100),)
