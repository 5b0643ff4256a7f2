"""Goods that are reported while their money is about to go back for the silence about them."""

from dataclasses import replace

import pytest

from terminald.core import stimuli
from terminald.core.commands import RefundOrder
from terminald.core.events import OrderFacts, OrderPaid, OutcomeUnknown, PayConfirmed, RefundConfirmed, RetryDue
from terminald.core.ids import WallTime
from terminald.core.refund_answers import GOODS_OUT
from terminald.core.refund_table import RefundState
from terminald.core.return_events import Delivered, DeliveryWindowClosed, Undelivered
from terminald.core.sale_table import DeliveryState, SaleState
from terminald.core.schedule import HOUR
from tests.core.machine_builders import AMOUNT, NOON, ORDER, RULES
from tests.core.till import NO_BALANCE, Till, changes, sold

R = RefundState
#: A day later nothing is revoked: the return is a refund from the start.
PAID_YESTERDAY = PayConfirmed(facts=OrderFacts(finish_time=str(NOON.wall)))


def lapsed(asked: int = 0) -> Till:
    """A sale whose money goes back because nobody reported the goods; so much of it the host asked for before."""
    till = Till(replace(RULES, returns_overdue=True, delivery_window=HOUR))
    till.open(replace(ORDER, wants_receipt=False, reports_delivery=True))
    till.scan()
    till.attempt(PAID_YESTERDAY, 1)
    if asked:
        till.ask(asked)
    till.now = replace(till.now, wall=WallTime(till.now.wall + 24 * HOUR), is_trusted=True)
    till.sale(DeliveryWindowClosed())
    return till


def held_up() -> Till:
    """The same, and the merchant's balance does not allow it."""
    till = lapsed()
    till.refund(NO_BALANCE, 1)
    till.refund(OrderPaid(), 2)
    assert (till.refund_states(), till.sale_state()) == ([R.BLOCKED], SaleState.RETURNING)
    return till


def sees_to_its_end(till: Till) -> None:
    """The sale is complete, its money stays, nobody is called, and nothing more happens."""
    (sale,) = till.committed.sales.values()
    assert (sale.state, sale.delivery, sale.returned) == (SaleState.COMPLETED, DeliveryState.DELIVERED, 0)
    assert (sale.whole, sale.is_return_owed, sale.closed_at) == (None, False, till.now.wall)
    assert till.seen().attention is None
    assert till.seen().returnable == AMOUNT


def test_what_is_held_up_stays_when_the_goods_are_reported_after_all() -> None:
    till = held_up()
    done = till.sale(Delivered())
    assert changes(done) == [
        ("sale", "DeliveredInTime", "returning", "completed"),
        ("refund", "ReturnCalledOff", "blocked", "refused"),
        ("sale", "RefundFailed", "completed", "completed"),
    ]
    assert done.commands == ()
    (refund,) = done.refunds
    assert (refund.fault and refund.fault.code, refund.attention) == (GOODS_OUT, None)
    sees_to_its_end(till)
    assert stimuli.next_wakeup(till.book) is None, "it is not tried again"


def test_what_waits_behind_the_hosts_own_refund_stays_and_that_goes_on() -> None:
    till = lapsed(asked=100)
    assert till.refund_states() == [R.REFUNDING, R.QUEUED]
    till.sale(Delivered())
    assert till.refund_states() == [R.REFUNDING, R.REFUSED]
    assert till.sale_state() is SaleState.COMPLETED
    done = till.refund(RefundConfirmed(), 1)
    assert done.commands == ()
    (sale,) = till.committed.sales.values()
    assert (sale.state, sale.returned) == (SaleState.COMPLETED, 100)


def test_the_host_may_give_it_back_all_the_same() -> None:
    till = held_up()
    till.sale(Delivered())
    (again,) = till.ask(AMOUNT).commands
    assert isinstance(again, RefundOrder)
    till.refund(RefundConfirmed(), 1, number=2)
    assert till.sale_state() is SaleState.RETURNED


@pytest.mark.parametrize("is_retried", [False, True])
def test_what_may_have_moved_calls_a_person(*, is_retried: bool) -> None:
    """I9: nobody takes back what is under way."""
    till = held_up() if is_retried else lapsed()
    if is_retried:
        till.refund(RetryDue(), later=HOUR)
    else:
        till.refund(OutcomeUnknown(), 1)
    till.sale(Delivered())
    assert till.sale_state() is SaleState.RETURNING
    raised = till.seen().attention
    assert raised is not None
    assert raised.code == "delivered_and_returned"


def test_what_was_reported_as_not_delivered_is_owed() -> None:
    """The host has said both: a person finds out."""
    till = sold(delivery=True)
    till.sale(Undelivered())
    till.sale(Delivered())
    assert till.sale_state() is SaleState.RETURNING


def test_what_the_host_asked_for_itself_goes_on() -> None:
    till = sold(delivery=True)
    till.sale(DeliveryWindowClosed())
    till.ask(AMOUNT)
    till.refund(NO_BALANCE, 1)
    till.refund(OrderPaid(), 2)
    till.sale(Delivered())
    assert till.refund_states() == [R.BLOCKED]
    assert till.sale_state() is SaleState.RETURNING
