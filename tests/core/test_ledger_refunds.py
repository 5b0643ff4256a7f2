"""Refunds through all machines: one request about an order's money at a time, and each in its turn."""

import pytest

from terminald.core import book as books
from terminald.core import stimuli
from terminald.core.commands import QueryOrder
from terminald.core.events import (
    AttentionDue,
    Event,
    OrderFacts,
    OrderPaid,
    OrderPartlyReturned,
    OutcomePending,
    PowerReturned,
    Recovered,
    RefundConfirmed,
    RefundPending,
    RetryDue,
    ReversalConfirmed,
)
from terminald.core.ids import RefundId
from terminald.core.ledger import paid_order
from terminald.core.money import Fen
from terminald.core.refund_table import RefundKind, RefundState
from terminald.core.sale_table import SaleState
from terminald.core.schedule import BLOCKED_RETRY
from terminald.core.stimuli import Advance, ToRefund
from terminald.errors import IllegalTransition
from tests.core.machine_builders import AMOUNT, CLIENT_SN, REFUND_ID, SALE_ID
from tests.core.till import FORBIDDEN, NO_BALANCE, Till, changes, refund, revoke, selling, sold

R = RefundState
RESTARTS = pytest.mark.parametrize("restart", [Recovered(), PowerReturned()])


# --- one after the other ---------------------------------------------------------------------------------------------


def test_a_refund_is_recorded_and_begun_in_one_commit() -> None:
    """I9: its number is on disk before the request that carries it."""
    till = sold()
    done = till.ask(100)
    assert changes(done) == [
        ("refund", "RefundOpened", "", "requested"),
        ("sale", "RefundBegun", "completed", "completed"),
        ("refund", "RefundTurn", "requested", "refunding"),
    ]
    assert done.commands == (refund(1, 100),)
    assert [(one.id, one.reference, one.request_no, one.left) for one in done.refunds] == [
        (REFUND_ID, "host", "r1", AMOUNT)
    ]
    done = till.refund(RefundConfirmed(), 1)
    assert changes(done) == [
        ("refund", "RefundConfirmed", "refunding", "done"),
        ("sale", "RefundDone", "completed", "completed"),
    ]
    assert [sale.returned for sale in done.sales] == [100]


def test_refunds_get_their_turns_in_the_order_in_which_they_were_asked_for() -> None:
    till = sold()
    assert till.ask(100).commands == (refund(1, 100),)
    assert till.ask(50).commands == ()
    assert till.ask(20).commands == ()
    assert till.refund_states() == [R.REFUNDING, R.QUEUED, R.QUEUED]
    assert till.refund(RefundPending(), 1).commands == (), "an unclear one is not over"
    assert till.refund(RetryDue()).commands == (
        QueryOrder(client_sn=CLIENT_SN, token=2, amount=AMOUNT, refund_id=REFUND_ID),
    )
    done = till.refund(OrderPartlyReturned(facts=OrderFacts(net_amount=Fen(250))), 2)
    assert done.commands == (refund(1, 50, 2),)
    assert [one.left for one in done.refunds] == [AMOUNT, 250], "the next one knows what is left"
    assert till.refund(RefundConfirmed(), 1, number=2).commands == (refund(1, 20, 3),)
    till.refund(RefundConfirmed(), 1, number=3)
    assert till.committed.sales[SALE_ID].returned == 170


@pytest.mark.parametrize("amounts", [(350,), (100, 250), (100, 200, 50)])
def test_parts_that_are_all_of_it_return_the_sale(amounts: tuple[int, ...]) -> None:
    """I9."""
    till = sold()
    for amount in amounts:
        till.ask(amount)
    states = list[SaleState]()
    for number in range(1, len(amounts) + 1):
        states.append(till.sale_state())
        till.refund(RefundConfirmed(), 1, number=number)
    assert set(states) == {SaleState.RETURNING if len(amounts) == 1 else SaleState.COMPLETED}
    assert (till.sale_state(), till.committed.sales[SALE_ID].returned) == (SaleState.RETURNED, AMOUNT)


def test_a_part_that_was_refused_is_not_returned_by_the_one_after_it() -> None:
    """I9: what is told as returned is what went back."""
    till = sold()
    till.ask(100)
    till.ask(250)
    till.refund(FORBIDDEN, 1)
    assert till.refund(OrderPaid(), 2).commands == (refund(1, 250, 2),)
    till.refund(RefundConfirmed(), 1, number=2)
    assert till.refund_states() == [R.REFUSED, R.DONE]
    assert (till.sale_state(), till.committed.sales[SALE_ID].returned) == (SaleState.COMPLETED, 250)


def test_a_whole_refund_that_was_refused_leaves_the_sale_as_it_was() -> None:
    till = sold()
    till.ask(350)
    assert till.sale_state() is SaleState.RETURNING
    till.refund(FORBIDDEN, 1)
    done = till.refund(OrderPaid(), 2)
    assert changes(done) == [
        ("refund", "OrderPaid", "proving", "refused"),
        ("sale", "RefundFailed", "returning", "completed"),
    ]


def test_a_blocked_refund_lets_the_next_one_go_first_and_comes_back_into_the_queue() -> None:
    till = sold()
    till.ask(100)
    till.ask(50)
    till.refund(NO_BALANCE, 1)
    assert till.refund(OrderPaid(), 2).commands == (refund(1, 50, 2),)
    assert till.refund(RetryDue(), later=BLOCKED_RETRY).commands == ()
    assert till.refund_states() == [R.QUEUED, R.REFUNDING]
    due = stimuli.next_wakeup(till.book)
    assert due is not None
    assert due[1] == ToRefund(refund_id=RefundId(f"{SALE_ID}-r2"), event=AttentionDue()), "the queued one has no clock"
    assert till.refund(RefundConfirmed(), 1, number=2).commands == (refund(3, 100),)
    assert [sale.returned for sale in till.refund(RefundConfirmed(), 3).sales] == [150]


def test_a_refund_for_which_nothing_is_left_is_not_sent_and_not_told_as_done() -> None:
    """Over-refunding is refused before it is sent: the return took all."""
    till = sold()
    till.ask(100)
    till.refund(NO_BALANCE, 1)
    till.refund(OrderPaid(), 2)
    assert till.ask(250, RefundKind.RETURN).commands == (revoke(1, 2),)
    done = till.refund(ReversalConfirmed(), 1, number=2)
    assert done.commands == ()
    assert [(sale.state, sale.returned) for sale in done.sales] == [(SaleState.RETURNED, AMOUNT)]
    assert till.refund_states() == [R.REFUSED, R.DONE]


def test_of_two_refunds_that_are_asked_for_at_once_the_second_is_not_sent_where_too_little_is_left() -> None:
    """I9: by what is left when its turn comes, whatever was known when it was asked for."""
    till = sold()
    till.ask(200)
    till.ask(200)
    done = till.refund(RefundConfirmed(), 1)
    assert done.commands == ()
    assert till.refund_states() == [R.DONE, R.REFUSED]
    assert till.committed.sales[SALE_ID].returned == 200


def test_a_stale_completion_changes_nothing() -> None:
    till = sold()
    till.ask(100)
    before = till.book
    assert till.refund(RefundConfirmed(), 2) == Advance()
    assert till.refund(RefundConfirmed(), 1, number=9) == Advance()
    assert till.book == before
    till.refund(RefundConfirmed(), 1)
    assert till.refund(RefundConfirmed(), 1) == Advance()


@RESTARTS
def test_after_a_restart_one_query_goes_out_and_the_others_wait_on(restart: Event) -> None:
    """I5, I9."""
    till = sold()
    till.ask(100)
    till.ask(50)
    commands = [
        command for stimulus in stimuli.recovery(till.book, restart) for command in till.apply(stimulus).commands
    ]
    assert commands == [QueryOrder(client_sn=CLIENT_SN, token=2, amount=AMOUNT, refund_id=REFUND_ID)]
    assert till.refund_states() == [R.PROVING, R.QUEUED]


@pytest.mark.parametrize("history", [(), (OutcomePending(),)], ids=["unscanned", "with the gateway"])
def test_money_of_a_sale_that_is_not_paid_is_not_given_back(history: tuple[Event, ...]) -> None:
    till = selling(*((event, 1) for event in history)) if history else Till()
    if not history:
        till.open()
    before = till.book
    with pytest.raises(IllegalTransition):
        till.ask(100)
    assert till.book == before
    seen = books.view(till.committed, SALE_ID)
    assert seen is not None
    with pytest.raises(LookupError):
        paid_order(seen)


@pytest.mark.parametrize(
    ("said", "paid_at"),
    [
        ("1714536000000", 1714536000000),
        *[(garbled, None) for garbled in ("", "soon", "²", "1714536000", "20240501120000", "9" * 128)],
    ],
)
def test_the_gateways_time_of_the_payment_decides_about_its_day(said: str, paid_at: int | None) -> None:
    """I10. Where it can not be true the gateway's answer to a revoke does."""
    seen = books.view(sold(facts=OrderFacts(finish_time=said)).committed, SALE_ID)
    assert seen is not None
    assert paid_order(seen).paid_at == paid_at


def test_what_is_on_its_way_back_can_not_be_asked_for_again() -> None:
    till = sold()
    returnable = list[int]()
    for amount in (100, 50):
        till.ask(amount)
        seen = books.view(till.committed, SALE_ID)
        assert seen is not None
        returnable.append(seen.returnable)
    assert returnable == [250, 200]
    till.ask(200, RefundKind.RETURN)
    seen = books.view(till.committed, SALE_ID)
    assert seen is not None
    assert seen.returnable == 0
