"""Delivery, refunds and returns through all machines: one stimulus, one commit; one request for an order at a time."""

from dataclasses import replace

import pytest

from terminald.core import book as books
from terminald.core import stimuli
from terminald.core.book import with_view
from terminald.core.commands import GatewayCommand, QueryOrder, RefundOrder, RevokeOrder
from terminald.core.events import (
    AttentionDue,
    CancelRequested,
    Event,
    Fault,
    OrderFacts,
    OrderPaid,
    OrderPartlyReturned,
    OutcomePending,
    OutcomeUnknown,
    PayConfirmed,
    PowerReturned,
    Recovered,
    RefundConfirmed,
    RefundPending,
    RefundRefused,
    RetryDue,
    ReversalConfirmed,
    ReversalPending,
    ReversalRefused,
)
from terminald.core.ids import Instant, RefundId
from terminald.core.ledger import paid_order
from terminald.core.money import Fen
from terminald.core.refund_table import RefundKind, RefundState
from terminald.core.return_events import ClosedByHand, Delivered, PartUndelivered, Undelivered
from terminald.core.sale_table import DeliveryState, SaleState
from terminald.core.schedule import BLOCKED_RETRY, DAY, HOUR, REVERSAL_ATTENTION_AFTER
from terminald.core.stimuli import Advance, Record, ToRefund
from terminald.errors import IllegalTransition
from tests.core.machine_builders import AMOUNT, CLIENT_SN, NOON, ORDER, REFUND_ID, SALE_ID
from tests.core.till import Till, changes, selling

R = RefundState
NO_BALANCE = RefundRefused(fault=Fault(code="ACCOUNT_BALANCE_NOT_ENOUGH", message=""))
FORBIDDEN = RefundRefused(fault=Fault(code="UPAY_TCP_ORDER_NOT_REFUNDABLE", message=""))
RESTARTS = pytest.mark.parametrize("restart", [Recovered(), PowerReturned()])


def sold(*, delivery: bool = False, facts: OrderFacts | None = None) -> Till:
    """A paid sale without slips; with delivery, its report is awaited."""
    till = Till()
    till.open(replace(ORDER, wants_receipt=False, reports_delivery=delivery))
    till.scan()
    till.attempt(PayConfirmed(facts=facts or OrderFacts(finish_time=str(NOON.wall))), 1)
    return till


def revoke(token: int, number: int = 1) -> RevokeOrder:
    return RevokeOrder(client_sn=CLIENT_SN, token=token, amount=AMOUNT, refund_id=RefundId(f"{SALE_ID}-r{number}"))


def refund(token: int, amount: int, number: int = 1) -> RefundOrder:
    return RefundOrder(
        client_sn=CLIENT_SN,
        token=token,
        amount=AMOUNT,
        refund_id=RefundId(f"{SALE_ID}-r{number}"),
        request_no=f"r{number}",
        refund_amount=Fen(amount),
        operator="kiosk",
    )


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
    assert till.book.sales[SALE_ID].returned == 170


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
    assert (till.sale_state(), till.book.sales[SALE_ID].returned) == (SaleState.RETURNED, AMOUNT)


def test_a_part_that_was_refused_is_not_returned_by_the_one_after_it() -> None:
    """I9: what is told as returned is what went back."""
    till = sold()
    till.ask(100)
    till.ask(250)
    till.refund(FORBIDDEN, 1)
    assert till.refund(OrderPaid(), 2).commands == (refund(1, 250, 2),)
    till.refund(RefundConfirmed(), 1, number=2)
    assert till.refund_states() == [R.REFUSED, R.DONE]
    assert (till.sale_state(), till.book.sales[SALE_ID].returned) == (SaleState.COMPLETED, 250)


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


def test_a_refund_for_which_nothing_is_left_is_not_sent() -> None:
    """Over-refunding is refused before it is sent: the return took all."""
    till = sold()
    till.ask(100)
    till.refund(NO_BALANCE, 1)
    till.refund(OrderPaid(), 2)
    assert till.ask(250, RefundKind.RETURN).commands == (revoke(1, 2),)
    till.refund(ReversalConfirmed(), 1, number=2)
    assert till.sale_state() is SaleState.RETURNED
    done = till.refund(RetryDue(), later=BLOCKED_RETRY)
    assert done.commands == ()
    assert [(sale.state, sale.returned) for sale in done.sales] == [(SaleState.RETURNED, AMOUNT)]
    assert [(one.id, one.state) for one in done.refunds] == [(REFUND_ID, R.DONE)]


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
    seen = books.view(till.book, SALE_ID)
    assert seen is not None
    with pytest.raises(LookupError):
        paid_order(seen)


@pytest.mark.parametrize(
    ("said", "paid_at"), [("1714536000000", 1714536000000), ("", None), ("soon", None), ("²", None)]
)
def test_the_gateways_time_of_the_payment_decides_about_its_day(said: str, paid_at: int | None) -> None:
    """I10."""
    seen = books.view(sold(facts=OrderFacts(finish_time=said)).book, SALE_ID)
    assert seen is not None
    assert paid_order(seen).paid_at == paid_at


def test_what_is_on_its_way_back_can_not_be_asked_for_again() -> None:
    till = sold()
    returnable = list[int]()
    for amount in (100, 50):
        till.ask(amount)
        seen = books.view(till.book, SALE_ID)
        assert seen is not None
        returnable.append(seen.returnable)
    assert returnable == [250, 200]
    till.ask(200, RefundKind.RETURN)
    seen = books.view(till.book, SALE_ID)
    assert seen is not None
    assert seen.returnable == 0


# --- the goods -------------------------------------------------------------------------------------------------------


def test_what_did_not_come_out_comes_back_without_anyone_asking() -> None:
    till = sold(delivery=True)
    done = till.sale(Undelivered())
    assert changes(done) == [
        ("sale", "Undelivered", "paid", "returning"),
        ("refund", "RefundOpened", "", "requested"),
        ("sale", "ReturnBegun", "returning", "returning"),
        ("refund", "RevokeTurn", "requested", "revoking"),
    ]
    assert done.commands == (revoke(1),)
    assert till.refund(ReversalConfirmed(), 1).sales[0].state is SaleState.RETURNED


@pytest.mark.parametrize("is_trusted", [True, False])
def test_after_midnight_it_is_refunded_or_the_gateway_is_asked(*, is_trusted: bool) -> None:
    """I10."""
    till = sold(delivery=True)
    till.now = replace(till.now, is_trusted=is_trusted)
    done = till.sale(Undelivered(), later=DAY)
    assert done.commands == ((refund(1, AMOUNT),) if is_trusted else (revoke(1),))
    if not is_trusted:
        assert till.refund(ReversalRefused(), 1).commands == (refund(2, AMOUNT),)


def test_a_part_that_did_not_come_out_comes_back_and_is_owed() -> None:
    till = sold(delivery=True)
    assert till.sale(PartUndelivered(amount=Fen(100))).commands == (refund(1, 100),)
    assert till.book.refunds[REFUND_ID].is_owed
    assert till.sale_state() is SaleState.COMPLETED
    till.refund(FORBIDDEN, 1)
    till.refund(OrderPaid(), 2)
    assert till.refund_states() == [R.BLOCKED]


def test_a_return_waits_for_the_refund_before_it_and_takes_the_rest() -> None:
    till = sold(delivery=True)
    till.ask(100)
    assert till.sale(Undelivered()).commands == ()
    done = till.refund(RefundConfirmed(), 1)
    assert done.commands == (refund(1, 250, 2),), "not revoked: a refund was made"
    assert till.refund(RefundConfirmed(), 1, number=2).sales[0].state is SaleState.RETURNED


def test_a_return_finds_all_of_it_gone_back_already() -> None:
    till = sold(delivery=True)
    till.ask(100)
    till.ask(250)
    till.sale(Undelivered())
    till.refund(RefundConfirmed(), 1)
    till.refund(RefundConfirmed(), 1, number=2)
    assert till.refund_states() == [R.DONE, R.DONE, R.DONE]
    assert (till.sale_state(), till.book.sales[SALE_ID].returned) == (SaleState.RETURNED, AMOUNT)


def test_a_power_cut_between_paid_and_delivered_is_overdue() -> None:
    till = sold(delivery=True)
    for stimulus in stimuli.recovery(till.book, PowerReturned()):
        till.apply(stimulus)
    sale = till.book.sales[SALE_ID]
    assert (sale.state, sale.delivery) == (SaleState.PAID, DeliveryState.OVERDUE)
    seen = books.view(till.book, SALE_ID)
    assert seen is not None
    assert seen.attention is not None
    assert seen.attention.code == "delivery_overdue"
    assert [sale.state for sale in till.sale(Delivered(), later=HOUR).sales] == [SaleState.COMPLETED]


# --- a person --------------------------------------------------------------------------------------------------------


def test_closing_what_waits_for_a_person_is_recorded_with_its_reason() -> None:
    till = sold(delivery=True)
    till.sale(Undelivered())
    till.refund(ReversalRefused(), 1)
    till.refund(FORBIDDEN, 2)
    till.refund(OrderPaid(), 3)
    done = till.close()
    assert done.records == (
        Record(
            kind="attention",
            subject=f"refund {REFUND_ID}",
            sale_id=SALE_ID,
            cause="AttentionClosed",
            before="not_refundable",
            after="seen to",
        ),
        Record(
            kind="refund", subject=REFUND_ID, sale_id=SALE_ID, cause="ClosedByHand", before="blocked", after="closed"
        ),
        Record(
            kind="sale", subject=SALE_ID, sale_id=SALE_ID, cause="RefundFailed", before="returning", after="completed"
        ),
    )


def test_closing_one_refund_gives_its_turn_to_the_next_and_leaves_that_alone() -> None:
    till = sold()
    till.ask(100)
    till.ask(50)
    till.refund(RefundPending(), 1)
    for number in (1, 2):
        till.refund(AttentionDue(), number=number, later=REVERSAL_ATTENTION_AFTER)
    done = till.close()
    assert done.commands == (refund(1, 50, 2),)
    assert till.refund_states() == [R.CLOSED, R.REFUNDING]
    with pytest.raises(IllegalTransition):
        till.refund(ClosedByHand(), number=2)


def test_closing_an_overdue_delivery_leaves_the_report_awaited() -> None:
    till = sold(delivery=True)
    till.wake()
    assert till.book.sales[SALE_ID].attention is not None
    done = till.close()
    assert [(record.subject, record.before) for record in done.records] == [(f"sale {SALE_ID}", "delivery_overdue")]
    assert till.book.sales[SALE_ID].attention is None
    till.sale(Undelivered())
    assert till.sale_state() is SaleState.RETURNING


def test_closing_what_an_attempt_waits_with_lets_it_go_on() -> None:
    till = selling((OutcomeUnknown(), 1))
    till.sale(CancelRequested())
    till.attempt(ReversalPending(), 3)
    till.attempt(AttentionDue(), later=REVERSAL_ATTENTION_AFTER)
    done = till.close()
    assert [(record.kind, record.before) for record in done.records] == [("attention", "reversal_open")]
    (attempt,) = done.attempts
    assert (attempt.attention, attempt.attention_closed) == (None, "reversal_open")
    assert attempt.retry is not None


# --- slips -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("is_wanted", [True, False])
def test_the_proof_of_a_refund_is_printed_when_slips_are_wanted(*, is_wanted: bool) -> None:
    till = Till()
    till.open(replace(ORDER, wants_receipt=True, prints_refunds=is_wanted))
    till.scan()
    till.attempt(PayConfirmed(), 1)
    till.ask(100)
    done = till.refund(RefundConfirmed(), 1)
    assert [(job.slip, job.about) for job in done.jobs] == [("refund", REFUND_ID)] * is_wanted


# --- the book --------------------------------------------------------------------------------------------------------


def test_an_old_sale_is_put_back_into_the_book_and_what_it_holds_wins() -> None:
    till = sold()
    till.ask(100)
    seen = books.view(till.book, SALE_ID)
    assert seen is not None
    old = till.book
    till.refund(RefundConfirmed(), 1)
    assert with_view(till.book, seen) == till.book
    assert with_view(books.Book(), seen) == replace(old, held={})


def test_a_sale_is_kept_while_a_refund_of_it_is_open_or_a_person_is_called() -> None:
    """I5."""
    till = sold()
    till.ask(100)
    later = Instant(NOON.instant + DAY)
    assert books.prune(till.book, later).sales
    till.refund(RefundConfirmed(), 1)
    assert not books.prune(till.book, later).sales


def test_every_command_about_money_that_goes_back_names_its_refund() -> None:
    till = sold()
    told = [*till.ask(100).commands, *till.refund(OutcomeUnknown(), 1).commands, *till.refund(RetryDue()).commands]
    assert [command.refund_id for command in told if isinstance(command, GatewayCommand)] == [REFUND_ID, REFUND_ID]
