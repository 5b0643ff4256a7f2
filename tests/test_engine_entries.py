"""What the host is told of an alarm that takes the place of another."""

from terminald.core.events import AttentionDue, OrderPaid, OutcomeUnknown, RetryDue
from terminald.core.money import Fen
from terminald.core.refund_table import RefundState
from terminald.core.return_events import PartUndelivered
from terminald.core.schedule import HOUR, REVERSAL_ATTENTION_AFTER
from terminald.engine_entries import entries_of
from tests.core.till import NO_BALANCE, sold


def test_an_alarm_in_the_place_of_another_is_told() -> None:
    """The operator who was told that it takes long has to learn that the balance is to be topped up."""
    till = sold(delivery=True)
    till.sale(PartUndelivered(amount=Fen(100)))
    till.refund(OutcomeUnknown(), 1)
    till.refund(AttentionDue(), later=REVERSAL_ATTENTION_AFTER)
    till.refund(RetryDue(), later=HOUR)
    till.refund(OrderPaid(), 2)
    till.refund(NO_BALANCE, 3)
    before = till.book
    done = till.refund(OrderPaid(), 4)
    assert till.refund_states() == [RefundState.BLOCKED]
    raised = [one for one in entries_of(before, till.book, done, till.now) if one.topic == "attention"]
    assert [one.record.after for one in raised] == ["merchant_balance"]
