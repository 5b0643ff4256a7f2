"""Goods, returns, people and slips of paid sales through all machines: one stimulus, one commit."""

from dataclasses import replace

import pytest

from terminald.core import book as books
from terminald.core import stimuli
from terminald.core.book import with_view
from terminald.core.commands import GatewayCommand
from terminald.core.events import (
    AttentionDue,
    CancelRequested,
    Fault,
    OrderPaid,
    OutcomeUnknown,
    PayConfirmed,
    PowerReturned,
    RefundConfirmed,
    RefundPending,
    RefundRefused,
    RetryDue,
    ReversalConfirmed,
    ReversalPending,
    ReversalRefused,
)
from terminald.core.ids import Instant
from terminald.core.money import Fen
from terminald.core.refund_table import RefundState
from terminald.core.return_events import ClosedByHand, Delivered, PartUndelivered, Undelivered
from terminald.core.sale_table import DeliveryState, SaleState
from terminald.core.schedule import DAY, HOUR, REVERSAL_ATTENTION_AFTER
from terminald.core.stimuli import Record
from terminald.errors import IllegalTransition
from tests.core.machine_builders import AMOUNT, NOON, ORDER, REFUND_ID, SALE_ID
from tests.core.till import FORBIDDEN, Till, changes, refund, revoke, selling, sold

R = RefundState


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
    assert till.committed.refunds[REFUND_ID].is_owed
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
    assert (till.sale_state(), till.committed.sales[SALE_ID].returned) == (SaleState.RETURNED, AMOUNT)


def test_a_power_cut_between_paid_and_delivered_is_overdue() -> None:
    till = sold(delivery=True)
    for stimulus in stimuli.recovery(till.book, PowerReturned()):
        till.apply(stimulus)
    sale = till.committed.sales[SALE_ID]
    assert (sale.state, sale.delivery) == (SaleState.PAID, DeliveryState.OVERDUE)
    seen = books.view(till.committed, SALE_ID)
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
            kind="sale", subject=SALE_ID, sale_id=SALE_ID, cause="RefundClosed", before="returning", after="completed"
        ),
    )


def test_what_may_have_moved_is_not_given_up_by_closing_its_alarm() -> None:
    """What goes on by itself goes on: its end is not known yet."""
    till = sold()
    till.ask(100)
    till.refund(RefundPending(), 1)
    till.refund(AttentionDue(), later=REVERSAL_ATTENTION_AFTER)
    assert till.close().commands == ()
    (kept,) = till.committed.refunds.values()
    assert (kept.state, kept.attention, kept.attention_closed) == (R.PROVING, None, ("refund_open",))
    assert till.close().records == ()
    with pytest.raises(IllegalTransition):
        till.refund(ClosedByHand())


def test_only_the_alarm_that_is_shown_is_closed() -> None:
    """A person who answers one alarm has said nothing about money that is held up behind it."""
    till = sold(delivery=True)
    till.ask(100, is_owed=True)
    till.refund(RefundRefused(fault=Fault(code="ACCOUNT_BALANCE_NOT_ENOUGH", message="")), 1)
    till.refund(OrderPaid(), 2)
    assert till.refund_states() == [R.BLOCKED]
    till.wake()
    while till.committed.sales[SALE_ID].attention is None:
        till.wake()
    till.close()
    assert till.committed.sales[SALE_ID].attention is None
    assert R.CLOSED not in till.refund_states()


def test_closing_what_an_attempt_waits_with_lets_it_go_on() -> None:
    till = selling((OutcomeUnknown(), 1))
    till.sale(CancelRequested())
    till.attempt(ReversalPending(), 3)
    till.attempt(AttentionDue(), later=REVERSAL_ATTENTION_AFTER)
    done = till.close()
    assert [(record.kind, record.before) for record in done.records] == [("attention", "reversal_open")]
    (attempt,) = done.attempts
    assert (attempt.attention, attempt.attention_closed) == (None, ("reversal_open",))
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
    seen = books.view(till.committed, SALE_ID)
    assert seen is not None
    old = till.book
    till.refund(RefundConfirmed(), 1)
    assert with_view(till.committed, seen) == till.committed
    assert with_view(books.Book(), seen) == replace(old, held={}, used={})


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
