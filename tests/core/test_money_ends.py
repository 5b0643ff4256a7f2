"""How money ends that others have overtaken, that is owed in parts, or whose goods a person answers for."""

import pytest

from terminald.core import book as books
from terminald.core.book import SaleView
from terminald.core.commands import Command, RefundOrder, RevokeOrder
from terminald.core.events import (
    Event,
    Fault,
    OrderFacts,
    OrderPaid,
    OrderPartlyReturned,
    OutcomeUnknown,
    RefundConfirmed,
    RefundRefused,
    RequestNotSent,
    RetryDue,
    ReversalConfirmed,
    ReversalRefused,
)
from terminald.core.ids import RefundId
from terminald.core.money import Fen
from terminald.core.refund_answers import ALREADY_RETURNED, DAY_OVER, LESS_LEFT
from terminald.core.refund_table import Refund, RefundKind, RefundState
from terminald.core.report import BusinessDay, SaleOfDay, sale_of_day
from terminald.core.return_events import (
    Delivered,
    DeliveryWindowClosed,
    PartUndelivered,
    Undelivered,
)
from terminald.core.sale_table import DeliveryState, SaleState
from terminald.core.schedule import HOUR, LATE_REQUEST, MINUTE, day_of
from terminald.core.tables import Attention
from terminald.errors import IllegalTransition
from tests.core.machine_builders import NOON, RULES, SALE_ID
from tests.core.till import NO_BALANCE, Till, sold

TOO_MUCH = RefundRefused(fault=Fault(code="REFUNDABLE_AMOUNT_NOT_ENOUGH", message=""))
NOT_REVOKED = ReversalRefused(fault=Fault(code="UPAY_CANCEL_INVALID_ORDER_STATE", message=""))


# --- what another one has overtaken ----------------------------------------------------------------------------------


def held_up(amount: int = 100) -> Till:
    """A host's refund that the merchant's balance holds up."""
    till = sold(delivery=True)
    till.ask(amount)
    till.refund(NO_BALANCE, 1)
    till.refund(OrderPaid(), 2)
    assert till.refund_states() == [RefundState.BLOCKED]
    return till


def view_of(till: Till) -> SaleView:
    found = books.view(till.committed, SALE_ID)
    assert found is not None
    return found


def today(till: Till) -> SaleOfDay:
    day = BusinessDay(number=day_of(NOON.wall, RULES.day_offset), offset=RULES.day_offset)
    shown = sale_of_day(view_of(till), day)
    assert shown is not None
    return shown


def why(refund: Refund) -> str:
    return refund.fault.code if refund.fault else ""


def test_a_refund_that_a_whole_return_overtakes_is_told_as_not_carried_out() -> None:
    """Whoever asked for it is not told that it went back by itself; it is told at once, not when its hour comes."""
    till = held_up()
    till.sale(Undelivered())
    done = till.refund(ReversalConfirmed(), 1, number=2)
    assert till.refund_states() == [RefundState.REFUSED, RefundState.DONE]
    overtaken, returned = done.refunds[-1], till.committed.refunds[RefundId(f"{SALE_ID}-r2")]
    assert (overtaken.amount, why(overtaken)) == (100, ALREADY_RETURNED)
    assert (returned.amount, till.sale_state()) == (350, SaleState.RETURNED)
    assert overtaken.attention is None
    assert till.committed.sales[SALE_ID].returned == 350


def test_a_refund_that_waits_for_its_turn_behind_a_whole_return_is_not_carried_out_either() -> None:
    till = held_up()
    till.sale(Undelivered())
    till.refund(RetryDue())
    assert till.refund_states() == [RefundState.QUEUED, RefundState.REVOKING]
    done = till.refund(ReversalConfirmed(), 1, number=2)
    assert done.commands == ()
    assert till.refund_states() == [RefundState.REFUSED, RefundState.DONE]


def test_what_was_overtaken_is_in_no_sum_of_the_day() -> None:
    till = held_up()
    till.sale(Undelivered())
    till.refund(ReversalConfirmed(), 1, number=2)
    shown = today(till)
    assert (shown.returns, shown.returned, shown.in_doubt) == (1, 350, 0)


def test_a_return_of_the_rest_that_finds_nothing_left_has_nothing_to_refuse() -> None:
    """All that is left of nothing is nothing: it is owed, and done."""
    till = sold(delivery=True)
    till.ask(100)
    till.ask(250)
    till.sale(Undelivered())
    till.refund(RefundConfirmed(), 1)
    till.refund(RefundConfirmed(), 1, number=2)
    assert till.refund_states() == [RefundState.DONE] * 3
    assert [one.amount for one in till.committed.refunds.values()] == [100, 250, 0]


# --- an amount that is owed beside what the host gives back ----------------------------------------------------------


def test_an_owed_part_that_is_more_than_what_is_left_takes_what_is_left() -> None:
    """It would be held up for ever: the customer gets everything back, and no more can be asked for."""
    till = sold(delivery=True)
    till.ask(300)
    till.sale(PartUndelivered(amount=Fen(200)))
    done = till.refund(RefundConfirmed(), 1)
    assert [type(one) for one in done.commands] == [RefundOrder]
    assert [one.refund_amount for one in done.commands if isinstance(one, RefundOrder)] == [50]
    till.refund(RefundConfirmed(), 1, number=2)
    assert till.refund_states() == [RefundState.DONE, RefundState.DONE]
    assert (till.sale_state(), till.committed.sales[SALE_ID].returned) == (SaleState.RETURNED, 350)


def test_an_owed_part_for_which_nothing_is_left_is_done() -> None:
    till = held_up(300)
    till.sale(PartUndelivered(amount=Fen(200)))
    till.refund(NO_BALANCE, 1, number=2)
    till.refund(OrderPaid(), 2, number=2)
    till.ask(50)
    till.refund(RefundConfirmed(), 1, number=3)
    till.refund(RetryDue())
    till.refund(RefundConfirmed(), 3)
    assert till.refund_states() == [RefundState.DONE] * 3
    assert [one.amount for one in till.committed.refunds.values()] == [300, 0, 50]
    assert till.sale_state() is SaleState.RETURNED


def test_a_hosts_refund_of_more_than_an_owed_part_has_left_is_refused_before_it_is_sent() -> None:
    till = held_up(300)
    till.sale(PartUndelivered(amount=Fen(200)))
    done = till.refund(RefundConfirmed(), 1, number=2)
    assert done.commands == ()
    assert till.refund_states() == [RefundState.REFUSED, RefundState.DONE]
    (overtaken, _) = till.committed.refunds.values()
    assert why(overtaken) == LESS_LEFT
    assert (till.sale_state(), till.committed.sales[SALE_ID].returned) == (SaleState.COMPLETED, 200)


@pytest.mark.parametrize("net", [50, 199])
def test_an_owed_part_of_which_somebody_else_has_given_back_some_takes_what_is_left(net: int) -> None:
    """The gateway refuses more than there is; what was refused was not carried out, so that its number serves again."""
    till = sold(delivery=True)
    till.sale(PartUndelivered(amount=Fen(200)))
    till.refund(TOO_MUCH, 1)
    done = till.refund(OrderPartlyReturned(facts=OrderFacts(net_amount=Fen(net))), 2)
    (again,) = done.commands
    assert isinstance(again, RefundOrder)
    assert (again.request_no, again.refund_amount) == ("r1", net)


def test_an_owed_part_that_may_have_been_carried_out_keeps_its_amount() -> None:
    """I9: the first try may still arrive, under the same number and for all of it."""
    till = sold(delivery=True)
    till.sale(PartUndelivered(amount=Fen(200)))
    till.refund(OutcomeUnknown(), 1)
    till.refund(RetryDue())
    till.refund(OrderPaid(), 2)
    till.refund(TOO_MUCH, 3)
    rest = OrderPartlyReturned(facts=OrderFacts(net_amount=Fen(50)))
    assert till.refund(rest, 4).commands == ()
    assert till.refund_states() == [RefundState.PROVING]
    till.refund(RetryDue(), later=LATE_REQUEST)
    (again,) = till.refund(rest, 5).commands
    assert isinstance(again, RefundOrder)
    assert again.refund_amount == 50


@pytest.mark.parametrize("amount", [50, 100])
def test_a_part_reported_beside_a_revoke_that_is_refused_is_owed_and_no_more(amount: int) -> None:
    till = sold(delivery=True)
    till.ask(350, RefundKind.REVOKE)
    till.sale(PartUndelivered(amount=Fen(amount)))
    till.refund(NOT_REVOKED, 1)
    (refund,) = till.refund(OrderPaid(), 2).commands
    assert isinstance(refund, RefundOrder)
    assert refund.refund_amount == amount
    assert till.sale_state() is SaleState.COMPLETED


def test_what_a_person_has_settled_is_not_paid_back_a_second_time() -> None:
    """The host's whole refund was held up, and nothing came out; the customer has cash now."""
    till = held_up(350)
    till.sale(Undelivered())
    done = till.close()
    assert done.commands == ()
    assert till.refund_states() == [RefundState.CLOSED]
    assert till.sale_state() is SaleState.COMPLETED


def test_a_refund_that_is_not_sent_because_its_day_is_over_says_so() -> None:
    """A revoke is of the gateway's business day; this one was asked for on it, and could not be sent in time."""
    till = sold()
    till.ask(350, RefundKind.REVOKE)
    till.refund(RequestNotSent(), 1)
    till.refund(RetryDue(), later=13 * HOUR)
    done = till.refund(OrderPaid(), 2)
    assert done.commands == ()
    (revoke,) = done.refunds
    assert (revoke.state, why(revoke)) == (RefundState.REFUSED, DAY_OVER)


# --- the goods, and a person -----------------------------------------------------------------------------------------


def overdue() -> Till:
    till = sold(delivery=True)
    till.sale(DeliveryWindowClosed())
    assert view_of(till).attention is not None
    return till


def test_closing_an_overdue_delivery_completes_the_sale_and_keeps_the_reason() -> None:
    """The person says that the goods are out, or answers for them: nothing is in doubt any more."""
    till = overdue()
    done = till.close()
    assert [(one.kind, one.cause, one.before, one.after) for one in done.records] == [
        ("attention", "AttentionClosed", "delivery_overdue", "seen to"),
        ("sale", "DeliveryClosed", "paid", "completed"),
    ]
    (sale,) = done.sales
    assert (sale.state, sale.delivery, sale.attention) == (SaleState.COMPLETED, DeliveryState.CLOSED, None)
    assert sale.closed_at == till.now.wall
    assert today(till).in_doubt == 0


@pytest.mark.parametrize(
    ("report", "state", "asked"),
    [
        (Delivered(), SaleState.COMPLETED, None),
        (Undelivered(), SaleState.RETURNING, RevokeOrder),
        (PartUndelivered(amount=Fen(100)), SaleState.COMPLETED, RefundOrder),
    ],
)
def test_a_report_after_a_person_has_closed_the_call_is_honoured(
    report: Event, state: SaleState, asked: type[Command] | None
) -> None:
    till = overdue()
    till.close()
    done = till.sale(report, later=MINUTE)
    assert till.sale_state() is state
    assert [type(one) for one in done.commands] == ([asked] if asked else [])
    with pytest.raises(IllegalTransition):
        till.sale(DeliveryWindowClosed())


def test_closing_the_call_while_a_return_is_under_way_completes_the_sale_when_that_is_refused() -> None:
    till = overdue()
    till.ask(350, RefundKind.REVOKE)
    till.close()
    assert till.committed.sales[SALE_ID].delivery is DeliveryState.CLOSED
    till.refund(NOT_REVOKED, 1)
    till.refund(OrderPaid(), 2)
    assert till.sale_state() is SaleState.COMPLETED


@pytest.mark.parametrize("is_closed", [False, True])
def test_nothing_delivered_beside_the_return_of_an_overdue_sale_is_owed(*, is_closed: bool) -> None:
    till = overdue()
    till.ask(350, RefundKind.REVOKE)
    if is_closed:
        till.close()
    till.sale(Undelivered())
    till.refund(NOT_REVOKED, 1)
    till.refund(OrderPaid(), 2)
    assert till.sale_state() is SaleState.RETURNING
    assert [one.is_owed for one in till.committed.refunds.values()] == [False, True]


def test_when_all_has_gone_back_nobody_is_called_for_the_goods_any_more() -> None:
    till = overdue()
    till.ask(350)
    till.refund(RefundConfirmed(), 1)
    assert till.sale_state() is SaleState.RETURNED
    assert till.committed.sales[SALE_ID].attention is None


def test_delivered_after_nothing_delivered_takes_back_what_would_be_owed() -> None:
    till = sold(delivery=True)
    till.ask(350, RefundKind.REVOKE)
    till.sale(Undelivered())
    till.sale(Delivered())
    till.refund(NOT_REVOKED, 1)
    till.refund(OrderPaid(), 2)
    assert (till.sale_state(), len(till.committed.refunds)) == (SaleState.COMPLETED, 1)


@pytest.mark.parametrize("kind", [RefundKind.REVOKE, RefundKind.REFUND])
def test_goods_that_came_out_beside_a_return_that_is_refused_call_nobody(kind: RefundKind) -> None:
    """Nothing was returned: the alarm would say what is not true."""
    till = sold(delivery=True)
    till.ask(350, kind)
    till.sale(Delivered())
    assert view_of(till).attention == Attention(code="delivered_and_returned", since=till.now.instant)
    is_revoke = kind is RefundKind.REVOKE
    till.refund(ReversalRefused() if is_revoke else RefundRefused(fault=Fault(code="OTHER", message="")), 1)
    till.refund(OrderPaid(), 2)
    assert till.sale_state() is SaleState.COMPLETED
    assert view_of(till).attention is None
