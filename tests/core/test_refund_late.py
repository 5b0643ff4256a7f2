"""A refund that was refused while an earlier try of it may still arrive late."""

import pytest

from terminald.core import refund as refunds
from terminald.core.events import (
    Event,
    Fault,
    OrderPaid,
    OrderPartlyReturned,
    OrderReturned,
    OutcomeUnknown,
    Recovered,
    RefundRefused,
    RequestRefused,
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
NO_BALANCE = Fault(code="ACCOUNT_BALANCE_NOT_ENOUGH", message="")
UNSIGNED = RequestRefused(fault=Fault(code="ILLEGAL_SIGN", message=""))


def at(ms: int) -> Now:
    return Now(instant=Instant(ms), wall=WallTime(ms))


def told(refund: Refund, *events: Event, ms: int) -> Refund:
    for event in events:
        refund, _ = refunds.step(refund, event, now=at(ms))
    return refund


def refunding(amount: int = 50, *, is_owed: bool = False) -> Refund:
    begun = refunds.begin(Asked(kind=RefundKind.REFUND, amount=Fen(amount), is_owed=is_owed), 1, PAID, now=at(0))
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


@pytest.mark.parametrize(("is_owed", "fault"), [(False, NO_BALANCE), (True, NO_BALANCE), (True, REFUSED)])
def test_a_refund_is_not_held_up_while_an_earlier_try_may_arrive(*, is_owed: bool, fault: Fault) -> None:
    """I9: held up it has moved nothing, and may be overtaken and told so."""
    refund = told(refunding(is_owed=is_owed), OutcomeUnknown(), RetryDue(), OrderPaid(), ms=1_000)
    refund = told(refund, RefundRefused(fault=fault), OrderPaid(), ms=1_000)
    assert refund.state is RefundState.PROVING
    assert refund.attention is None
    assert told(refund, RetryDue(), OrderPaid(), ms=1_000 + LATE_REQUEST).state is RefundState.BLOCKED

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


# --- a request that the gateway did not look at ----------------------------------------------------------------------


def unheard(amount: int, left: int, *, is_owed: bool = False) -> Refund:
    """Return a refund whose first try had no clear answer, and whose repeat was not looked at."""
    beside = OrderPartlyReturned(facts=Facts(client_tsn="c-portal", net_amount=Fen(left)))
    return told(
        refunding(amount, is_owed=is_owed), OutcomeUnknown(), RetryDue(), beside, UNSIGNED, RetryDue(), ms=1_000
    )


@pytest.mark.parametrize(
    ("amount", "left", "is_owed"),
    [(92, 186, False), (92, 186, True), (200, 130, True), (92, 0, False), (92, 0, True)],
    ids=["asked for", "owed", "owed, and more than what is left", "asked for, of nothing", "owed, of nothing"],
)
@pytest.mark.parametrize("ms", [1_000, 1_000 + LATE_REQUEST])
def test_a_request_that_was_not_looked_at_says_nothing_of_an_earlier_one(
    amount: int, left: int, ms: int, *, is_owed: bool
) -> None:
    """I9: the order may show the first try and what somebody else gave back: it is asked again, for as much."""
    refund = unheard(amount, left, is_owed=is_owed)
    facts = Facts(client_tsn="c-portal", net_amount=Fen(left))
    answer = OrderPartlyReturned(facts=facts) if left else OrderReturned(facts=facts)
    again = told(refund, answer, ms=ms)
    assert (again.state, again.amount) == (RefundState.REFUNDING, amount)
    assert again.fault == UNSIGNED.fault


def test_what_is_left_is_not_said_so_that_it_says_nothing_of_an_earlier_try() -> None:
    later = told(unheard(92, 186), OrderPartlyReturned(), ms=1_000 + LATE_REQUEST)
    assert later.state is RefundState.REFUNDING


@pytest.mark.parametrize("is_owed", [False, True])
def test_so_much_is_left_that_the_earlier_try_was_not_carried_out(*, is_owed: bool) -> None:
    """A person is called, and it is tried again later."""
    refund = unheard(92, 300, is_owed=is_owed)
    beside = OrderPartlyReturned(facts=Facts(client_tsn="c-portal", net_amount=Fen(300)))
    for answer in (beside, OrderPaid()):
        doubted = told(refund, answer, ms=1_000)
        assert doubted.state is RefundState.PROVING
        later = told(doubted, RetryDue(), answer, ms=1_000 + LATE_REQUEST)
        assert later.state is RefundState.BLOCKED
        assert later.attention is not None


def test_an_owed_part_that_was_not_carried_out_is_of_the_rest_once_nothing_can_arrive() -> None:
    beside = OrderPartlyReturned(facts=Facts(client_tsn="c-portal", net_amount=Fen(190)))
    refund = told(unheard(200, 190, is_owed=True), beside, ms=1_000)
    assert (refund.state, refund.amount) == (RefundState.PROVING, 200)
    later = told(refund, RetryDue(), beside, ms=1_000 + LATE_REQUEST)
    assert (later.state, later.amount) == (RefundState.REFUNDING, 190)
