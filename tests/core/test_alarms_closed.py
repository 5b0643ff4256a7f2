"""Alarms beside each other: a person closes the one that is shown; what waits for a person calls one."""

from dataclasses import replace

import pytest

from terminald.core import stimuli
from terminald.core.attempt_table import AttemptState
from terminald.core.events import (
    AttentionDue,
    Event,
    OrderAbsent,
    OrderFacts,
    OrderPaid,
    OutcomeUnknown,
    PayConfirmed,
    PowerReturned,
    Recovered,
    RetryDue,
    ReversalRefused,
)
from terminald.core.money import Fen
from terminald.core.refund_table import RefundState
from terminald.core.return_events import Delivered, DeliveryWindowClosed, PartUndelivered, Undelivered
from terminald.core.sale_table import DeliveryState, SaleState
from terminald.core.schedule import HOUR, LATE_REQUEST, REVERSAL_ATTENTION_AFTER
from terminald.core.tables import Attention
from tests.core.machine_builders import CLIENT_SN, NOON, ORDER, RULES, SALE_ID, after
from tests.core.till import FORBIDDEN, NO_BALANCE, Till, sold


def shown(till: Till) -> str:
    raised = till.seen().attention
    return "" if raised is None else raised.code


def codes(till: Till) -> list[str]:
    return ["" if one.attention is None else one.attention.code for one in till.committed.refunds.values()]


def lapsed() -> Till:
    """A sale whose money goes back because nobody reported the goods."""
    till = Till(replace(RULES, returns_overdue=True))
    till.open(replace(ORDER, wants_receipt=False, reports_delivery=True))
    till.scan()
    till.attempt(PayConfirmed(facts=OrderFacts(finish_time=str(NOON.wall))), 1)
    till.sale(DeliveryWindowClosed())
    return till


# --- a state that waits for a person calls one -----------------------------------------------------------------------


def test_what_is_held_up_again_calls_a_person_again_though_the_call_was_closed_meanwhile() -> None:
    """I5: it was closed while the refund was under way; now it waits for a person anew."""
    till = sold(delivery=True)
    till.sale(PartUndelivered(amount=Fen(100)))
    till.refund(NO_BALANCE, 1)
    till.refund(OrderPaid(), 2)
    till.refund(RetryDue(), later=HOUR)
    till.refund(OutcomeUnknown(), 3)
    till.close()
    assert (till.refund_states(), shown(till)) == ([RefundState.PROVING], "")
    till.refund(RetryDue())
    till.refund(OrderPaid(), 4)
    till.refund(NO_BALANCE, 5)
    till.refund(OrderPaid(), 6)
    till.refund(RetryDue(), later=LATE_REQUEST)
    till.refund(OrderPaid(), 7)
    assert (till.refund_states(), shown(till)) == ([RefundState.BLOCKED], "merchant_balance")


def test_what_is_held_up_says_so_though_it_was_told_to_take_long() -> None:
    till = sold(delivery=True)
    till.sale(PartUndelivered(amount=Fen(100)))
    till.refund(OutcomeUnknown(), 1)
    till.refund(AttentionDue(), later=REVERSAL_ATTENTION_AFTER)
    assert shown(till) == "refund_open"
    till.refund(RetryDue())
    till.refund(OrderPaid(), 2)
    till.refund(NO_BALANCE, 3)
    till.refund(OrderPaid(), 4, later=HOUR)
    while till.refund_states() != [RefundState.BLOCKED]:
        (one,) = till.committed.refunds.values()
        till.refund(RetryDue(), later=HOUR)
        till.refund(OrderPaid(), one.token + 1)
        till.refund(NO_BALANCE, one.token + 2)
        till.refund(OrderPaid(), one.token + 3)
    assert shown(till) == "merchant_balance"


def test_what_is_held_up_by_the_same_again_has_been_so_since_the_first_time() -> None:
    till = sold(delivery=True)
    till.sale(PartUndelivered(amount=Fen(100)))
    till.refund(NO_BALANCE, 1)
    till.refund(OrderPaid(), 2)
    first = till.seen().attention
    till.refund(RetryDue(), later=HOUR)
    till.refund(NO_BALANCE, 3)
    till.refund(OrderPaid(), 4)
    assert (till.refund_states(), till.seen().attention) == ([RefundState.BLOCKED], first)


# --- one is closed at a time: the one that is shown ------------------------------------------------------------------


def test_closing_the_alarm_of_the_goods_shows_that_of_the_refund() -> None:
    till = sold(delivery=True)
    till.ask(100)
    till.refund(OrderAbsent(), 1)
    till.sale(DeliveryWindowClosed())
    assert (shown(till), codes(till)) == ("delivery_overdue", ["order_lost"])
    done = till.close()
    assert [one.subject for one in done.records if one.kind == "attention"] == [f"sale {SALE_ID}"]
    assert (shown(till), codes(till)) == ("order_lost", ["order_lost"])
    till.close()
    assert shown(till) == ""
    assert [one.attention_closed for one in till.committed.refunds.values()] == [("order_lost",)]


def test_closing_one_of_two_equal_alarms_leaves_the_other_refund_as_it_is() -> None:
    """The second one waits for its turn, and is not given up with the first one's alarm."""
    till = sold()
    till.ask(100)
    till.ask(100)
    till.refund(OutcomeUnknown(), 1)
    till.now = after(till.now, HOUR)
    till.refund(AttentionDue())
    till.refund(AttentionDue(), number=2)
    assert codes(till) == ["refund_open", "refund_open"]
    assert len({one.attention for one in till.committed.refunds.values()}) == 1
    till.close()
    assert till.refund_states() == [RefundState.PROVING, RefundState.QUEUED]
    assert codes(till) == ["", "refund_open"]
    till.close()
    assert till.refund_states() == [RefundState.PROVING, RefundState.CLOSED]


def test_closing_the_alarm_of_a_refund_leaves_that_of_an_order() -> None:
    till = sold()
    till.ask(100)
    till.refund(OrderAbsent(), 1)
    alarm = Attention(code="order_errored", since=NOON.instant)
    paid_by = replace(till.committed.attempts[CLIENT_SN], attention=alarm)
    till.book = replace(till.book, attempts={CLIENT_SN: paid_by})
    assert shown(till) == "order_lost"
    till.close()
    assert (shown(till), till.attempt_state()) == ("order_errored", AttemptState.PAID)
    till.close()
    assert shown(till) == ""


def test_closing_where_nothing_is_raised_changes_nothing() -> None:
    assert sold(delivery=True).close() == stimuli.Advance()


# --- what the releases before this one may have left -----------------------------------------------------------------


@pytest.mark.parametrize("state", [SaleState.RETURNED, SaleState.COMPLETED])
def test_an_overdue_report_of_a_sale_that_is_over_can_be_closed(state: SaleState) -> None:
    till = sold(delivery=True)
    till.sale(DeliveryWindowClosed())
    sale = till.committed.sales[SALE_ID]
    returned = sale.paid if state is SaleState.RETURNED else Fen(0)
    till.book = replace(till.book, sales={SALE_ID: replace(sale, state=state, returned=returned)})
    (sale,) = till.close().sales
    assert (sale.state, sale.delivery, sale.attention) == (state, DeliveryState.CLOSED, None)


@pytest.mark.parametrize("event", [Recovered(), PowerReturned()])
def test_an_overdue_report_that_nobody_is_called_for_calls_again_at_the_start(event: Event) -> None:
    """I5: it has no clock; a person is all that it can wait for."""
    till = sold(delivery=True)
    till.sale(DeliveryWindowClosed())
    sale = till.committed.sales[SALE_ID]
    till.book = replace(till.book, sales={SALE_ID: replace(sale, attention=None)})
    till.sale(event)
    assert (till.sale_state(), shown(till)) == (SaleState.PAID, "delivery_overdue")
    till.close()
    assert SALE_ID not in till.committed.sales or till.sale_state() is SaleState.COMPLETED


def test_an_alarm_that_is_still_raised_is_not_raised_anew_at_the_start() -> None:
    till = sold(delivery=True)
    till.sale(DeliveryWindowClosed())
    raised = till.seen().attention
    till.now = after(till.now, HOUR)
    till.sale(Recovered())
    assert till.seen().attention == raised


# --- a late report is honoured ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("report", "ends"),
    [
        (Delivered(), (SaleState.COMPLETED, DeliveryState.DELIVERED)),
        (Undelivered(), (SaleState.RETURNING, DeliveryState.UNDELIVERED)),
    ],
)
def test_a_report_after_a_return_that_a_person_has_given_up_is_honoured(
    report: Event, ends: tuple[SaleState, DeliveryState]
) -> None:
    till = lapsed()
    till.refund(ReversalRefused(), 1)
    till.refund(FORBIDDEN, 2)
    till.refund(OrderPaid(), 3)
    (sale,) = till.close().sales
    assert (sale.state, sale.delivery, sale.attention) == (SaleState.COMPLETED, DeliveryState.CLOSED, None)
    (sale,) = till.sale(report).sales
    assert (sale.state, sale.delivery) == ends
