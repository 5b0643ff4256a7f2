"""A refund that was refused while an earlier try of it may still arrive late."""

import pytest

from terminald.core import refund as refunds
from terminald.core.events import (
    Event,
    Fault,
    OrderPaid,
    OrderPartlyReturned,
    OutcomeUnknown,
    Recovered,
    RefundRefused,
    RetryDue,
    ReversalRefused,
)
from terminald.core.events import OrderFacts as Facts
from terminald.core.ids import ClientSn, Instant, SaleId, WallTime
from terminald.core.money import Fen
from terminald.core.refund import Asked, PaidOrder
from terminald.core.refund_table import Refund, RefundKind, RefundState
from terminald.core.return_events import RefundTurn, RevokeTurn
from terminald.core.schedule import LATE_REQUEST, Now

PAID = PaidOrder(sale_id=SaleId("s"), client_sn=ClientSn("c"), amount=Fen(350), operator="kiosk", paid_at=None)
REFUSED = Fault(code="UPAY_TCP_ORDER_NOT_REFUNDABLE", message="")


def at(ms: int) -> Now:
    return Now(instant=Instant(ms), wall=WallTime(ms))


def told(refund: Refund, *events: Event, ms: int) -> Refund:
    for event in events:
        refund, _ = refunds.step(refund, event, now=at(ms))
    return refund


def refunding() -> Refund:
    begun = refunds.begin(Asked(kind=RefundKind.REFUND, amount=Fen(50)), 1, PAID, now=at(0))
    return told(begun, RefundTurn(left=Fen(350)), ms=0)


def revoking() -> Refund:
    begun = refunds.begin(Asked(kind=RefundKind.REVOKE, amount=Fen(350)), 1, PAID, now=at(0))
    return told(begun, RevokeTurn(left=Fen(350)), ms=0)


@pytest.mark.parametrize("unclear", [OutcomeUnknown(), Recovered()])
def test_a_refusal_is_not_believed_while_an_earlier_try_may_arrive(unclear: Event) -> None:
    """I9: what was told refused is never carried out."""
    refund = told(refunding(), unclear, OrderPaid(), RefundRefused(fault=REFUSED), OrderPaid(), ms=1_000)
    assert refund.state is RefundState.PROVING
    assert refund.fault == REFUSED
    assert refund.retry is not None

    later = told(refund, RetryDue(), OrderPaid(), ms=999 + LATE_REQUEST)
    assert later.state is RefundState.PROVING
    assert told(later, RetryDue(), OrderPaid(), ms=1_000 + LATE_REQUEST).state is RefundState.REFUSED

    arrived = OrderPartlyReturned(facts=Facts(client_tsn="c-r1", net_amount=Fen(300)))
    assert told(refund, RetryDue(), arrived, ms=20_000).state is RefundState.DONE


def test_a_refusal_of_the_only_try_is_believed_at_once() -> None:
    refund = told(refunding(), RefundRefused(fault=REFUSED), OrderPaid(), ms=1_000)
    assert refund.state is RefundState.REFUSED


def test_a_refused_revoke_is_not_believed_while_an_earlier_try_may_arrive() -> None:
    refund = told(revoking(), OutcomeUnknown(), RetryDue(), OrderPaid(), ReversalRefused(fault=REFUSED), ms=1_000)
    doubted = told(refund, OrderPaid(), ms=1_000)
    assert doubted.state is RefundState.CHECKING
    assert told(doubted, RetryDue(), OrderPaid(), ms=1_000 + LATE_REQUEST).state is RefundState.REFUSED
