"""Reports and refunds that cross each other, and a journal that fails at the wrong moment."""

from dataclasses import replace

import pytest

from terminald.core.attempt_table import AttemptState
from terminald.core.book import is_wanted
from terminald.core.commands import RefundOrder, RevokeOrder, SubmitPayment
from terminald.core.events import (
    CodeScanned,
    Fault,
    OrderFacts,
    OrderPaid,
    OrderPartlyReturned,
    OrderPending,
    OutcomeUnknown,
    PayConfirmed,
    QrOffered,
    RefundPending,
    RefundRefused,
    RequestNotSent,
    RequestRefused,
    RetryDue,
    ReversalConfirmed,
    ReversalRefused,
)
from terminald.core.ids import ClientSn
from terminald.core.money import Fen
from terminald.core.refund_table import RefundKind, RefundState
from terminald.core.return_events import Undelivered
from terminald.core.sale_table import DeliveryState, SaleState
from terminald.core.schedule import HOUR
from terminald.core.stimuli import ToAttempt
from tests.core.machine_builders import CLIENT_SN, CODE, ORDER, SALE_ID
from tests.core.till import NO_BALANCE, SECOND_SN, Till

BOTH = replace(ORDER, methods=("scan", "qr"), qr_payway="3")


def paid(*, reports_delivery: bool = False) -> Till:
    till = Till()
    till.open(replace(ORDER, reports_delivery=reports_delivery))
    till.scan()
    till.attempt(PayConfirmed(), 1)
    return till


def sale_of(till: Till) -> SaleState:
    return till.committed.sales[SALE_ID].state


def offered() -> tuple[Till, ClientSn]:
    till = Till()
    till.open(BOTH)
    (offer,) = till.committed.attempts
    till.apply(ToAttempt(client_sn=offer, event=QrOffered(content="https://qr.example/1"), token=1))
    return till, offer


def test_nothing_delivered_beside_a_revoke_that_is_refused_is_returned_all_the_same() -> None:
    """Goods that did not come out are owed, whatever becomes of the host's own return."""
    till = paid(reports_delivery=True)
    till.ask(350, RefundKind.REVOKE)
    till.sale(Undelivered())
    assert till.committed.sales[SALE_ID].delivery is DeliveryState.UNDELIVERED
    till.refund(ReversalRefused(fault=Fault(code="UPAY_CANCEL_INVALID_ORDER_STATE", message="")), 1)
    done = till.refund(OrderPaid(), 2)
    assert [one.is_owed for one in till.committed.refunds.values()] == [False, True]
    assert [type(one) for one in done.commands] == [RevokeOrder]
    assert sale_of(till) is SaleState.RETURNING


def test_nothing_delivered_beside_a_revoke_that_is_done_is_done() -> None:
    till = paid(reports_delivery=True)
    till.ask(350, RefundKind.REVOKE)
    till.sale(Undelivered())
    till.refund(ReversalConfirmed(), 1)
    assert sale_of(till) is SaleState.RETURNED
    assert len(till.committed.refunds) == 1


def test_a_refund_that_was_in_progress_is_not_told_as_refused_at_once() -> None:
    """The gateway was at it: its refusal of the repeat proves nothing of the first one (I9)."""
    till = paid()
    till.ask(100)
    till.refund(RefundPending(), 1)
    till.refund(RetryDue())
    till.refund(OrderPaid(), 2)
    till.refund(RefundRefused(fault=Fault(code="UPAY_REFUND_INVALID_ORDER_STATE", message="")), 3)
    till.refund(OrderPaid(), 4)
    assert [one.token for one in till.committed.refunds.values()] == [4]
    assert [one.state for one in till.committed.refunds.values()] == [RefundState.PROVING]


def test_a_refund_whose_first_try_arrives_late_is_not_overtaken_as_one_that_moved_nothing() -> None:
    """I9: its repeat is refused for now, the first try goes through after that, and all of the payment is owed."""
    till = paid(reports_delivery=True)
    till.ask(100)
    till.refund(OutcomeUnknown(), 1)
    till.refund(RetryDue())
    till.refund(OrderPaid(), 2)
    till.refund(NO_BALANCE, 3)
    till.refund(OrderPaid(), 4)
    till.sale(Undelivered())
    assert till.refund_states() == [RefundState.PROVING, RefundState.QUEUED]
    till.refund(RetryDue())
    arrived = OrderPartlyReturned(facts=OrderFacts(net_amount=Fen(250), client_tsn=f"{CLIENT_SN}-r1"))
    done = till.refund(arrived, 5)
    assert till.refund_states() == [RefundState.DONE, RefundState.REFUNDING]
    (rest,) = (one for one in done.commands if isinstance(one, RefundOrder))
    assert rest.refund_amount == 250


def test_a_refund_that_never_left_is_not_proven_by_what_somebody_else_gave_back() -> None:
    till = paid()
    till.ask(100)
    till.refund(RequestNotSent(), 1)
    till.refund(RetryDue())
    done = till.refund(OrderPartlyReturned(facts=OrderFacts(net_amount=Fen(250))), 2)
    assert [type(one) for one in done.commands] == [RefundOrder]


def test_a_code_is_not_sent_when_the_way_is_cleared_too_late() -> None:
    """The journal could not be written for an hour: whoever presented the code is gone."""
    till, offer = offered()
    till.sale(CodeScanned(client_sn=SECOND_SN, code=CODE, digest="d1"))
    till.apply(ToAttempt(client_sn=offer, event=OrderPending(), token=2))
    done = till.apply(ToAttempt(client_sn=offer, event=ReversalConfirmed(), token=3), later=HOUR)
    assert not any(isinstance(one, SubmitPayment) for one in done.commands)
    assert till.committed.attempts[SECOND_SN].state is AttemptState.UNSENT
    assert sale_of(till) is SaleState.AWAITING_PAYMENT


def test_a_qr_that_the_gateway_refuses_leaves_the_scanner() -> None:
    """A payway that no QR can be made for is nothing against a code."""
    till = Till()
    till.open(BOTH)
    (offer,) = till.committed.attempts
    till.apply(ToAttempt(client_sn=offer, event=RequestRefused(), token=1))
    assert sale_of(till) is SaleState.AWAITING_PAYMENT
    (submit,) = (one for one in till.scan().commands if isinstance(one, SubmitPayment))
    assert is_wanted(till.book, submit)


@pytest.mark.parametrize("methods", [("qr",)])
def test_a_qr_that_the_gateway_refuses_ends_a_sale_that_takes_nothing_else(methods: tuple[str, ...]) -> None:
    till = Till()
    till.open(replace(BOTH, methods=methods))
    (offer,) = till.committed.attempts
    till.apply(ToAttempt(client_sn=offer, event=RequestRefused(), token=1))
    assert (sale_of(till), till.committed.sales[SALE_ID].reason) == (SaleState.CANCELED, "terminal_refused")
