"""An order that the gateway has confirmed, and says later that it does not know: that proves nothing (I1, I3).

"UPAY_ORDER_NOT_EXISTS: nothing to undo so far" (documents, cancel) is about an order that has not arrived yet. One that
was confirmed has arrived.
"""

import pytest

from terminald.core.attempt_table import AttemptState
from terminald.core.commands import OpenAttempt, OpenOffer
from terminald.core.events import (
    AbandonRequested,
    Answer,
    AttemptUnpaid,
    Event,
    OrderAbsent,
    OrderClosed,
    OrderFacts,
    OrderPaid,
    OrderPending,
    OutcomePending,
    OutcomeUnknown,
    QrOffered,
    RefundPending,
    RetryDue,
    ReversalConfirmed,
    ReversalRefused,
)
from terminald.core.ids import ClientSn
from terminald.core.sale_table import SaleState
from terminald.core.schedule import SECOND
from terminald.core.stimuli import OpenSale, ToAttempt
from tests.core.machine_builders import (
    BOTH_ORDER,
    OFFERING,
    OPENING,
    QR,
    SALE_ID,
    AttemptLife,
    query,
    refund,
    reverse,
    tell_sale,
)
from tests.core.till import Till

S = AttemptState
NUMBERED = OrderFacts(sn="7894")
#: Ways in which the gateway has said that it has the order, and what is asked then to undo it.
CONFIRMED: dict[str, tuple[Event, ...]] = {
    "qr": (QrOffered(content=QR), AbandonRequested()),
    "qr with its number": (QrOffered(content=QR, facts=NUMBERED), AbandonRequested()),
    "qr that nobody was shown": (AbandonRequested(), QrOffered(content=QR)),
    "code": (OutcomePending(facts=NUMBERED), AbandonRequested()),
}
BOTH_KINDS = pytest.mark.parametrize("name", CONFIRMED)


def undone(name: str) -> AttemptLife:
    """An order that was confirmed, and whose cancel is under way."""
    life = AttemptLife(opening=OPENING if name == "code" else OFFERING)
    for event in CONFIRMED[name]:
        life.tell(event)
    assert life.is_in(S.REVERSING)
    return life


@BOTH_KINDS
def test_a_cancel_that_does_not_find_it_is_followed_by_questions_and_cancels(name: str) -> None:
    life = undone(name)
    token = life.attempt.token
    assert life.tell(OrderAbsent()) == ()
    assert life.is_in(S.PROVING)
    assert life.wakes_with(RetryDue, in_ms=2 * SECOND)
    assert life.wake() == (query(token + 1),)
    assert life.tell(OrderAbsent()) == (reverse(token + 2),)
    assert life.tell(OrderAbsent()) == ()
    assert life.wakes_with(RetryDue, in_ms=4 * SECOND), "I11: with a growing wait"
    assert life.wake() == (query(token + 3),)
    assert life.tell(OrderPaid()) == (reverse(token + 4),)
    assert life.tell(ReversalConfirmed()) == (tell_sale(AttemptUnpaid),)
    assert life.is_in(S.REVERSED)


@BOTH_KINDS
def test_only_a_proof_closes_it(name: str) -> None:
    life = undone(name)
    life.tell(OrderAbsent())
    life.wake()
    assert life.tell(OrderClosed()) == (tell_sale(AttemptUnpaid),)
    assert life.is_in(S.REVERSED)


@BOTH_KINDS
def test_a_person_is_called(name: str) -> None:
    life = undone(name)
    life.tell(OrderAbsent())
    assert life.attempt.attention is not None
    assert life.attempt.attention.code == "order_lost"
    life.wake()
    life.tell(OrderClosed())
    assert life.attempt.attention is None


@pytest.mark.parametrize("unclear", [ReversalRefused(), RefundPending()], ids=type)
def test_where_its_money_is_being_refunded_it_is_asked_about_until_it_is_found(unclear: Answer) -> None:
    life = undone("qr")
    life.tell(ReversalRefused())
    life.wake()
    if isinstance(unclear, RefundPending):
        assert life.tell(OrderPaid()) == (refund(4),)
        life.tell(unclear)
        life.wake()
    assert life.tell(OrderAbsent()) == ()
    assert life.is_in(S.SETTLING)
    life.wake()
    assert [type(one) for one in life.tell(OrderPaid())] == [type(refund(1))]


@pytest.mark.parametrize("opening", [OPENING, OFFERING], ids=["code", "qr"])
def test_an_order_of_which_nobody_has_heard_is_unpaid_and_watched(opening: OpenAttempt | OpenOffer) -> None:
    """It may not have arrived yet."""
    life = AttemptLife(opening=opening)
    life.tell(OutcomeUnknown())
    life.tell(AbandonRequested())
    assert life.tell(OrderAbsent()) == (tell_sale(AttemptUnpaid),)
    assert life.is_in(S.WATCHING)


def test_one_that_turns_up_late_is_confirmed_then() -> None:
    life = AttemptLife(opening=OFFERING)
    life.tell(OutcomeUnknown())
    life.tell(OrderAbsent())
    life.wake()
    life.tell(OrderPending(facts=NUMBERED))
    assert life.tell(OrderAbsent()) == ()
    assert life.is_in(S.PROVING)


def test_a_code_beside_it_is_not_sent() -> None:
    """I1: the customer may have paid the QR."""
    till = Till()
    till.apply(OpenSale(sale_id=SALE_ID, order=BOTH_ORDER))
    offer = ClientSn("qr-1")
    till.apply(ToAttempt(client_sn=offer, event=QrOffered(content=QR), token=1))
    till.scan()
    till.apply(ToAttempt(client_sn=offer, event=OrderAbsent(), token=2))
    assert till.apply(ToAttempt(client_sn=offer, event=OrderAbsent(), token=3)).commands == ()
    assert (till.sale_state(), till.book.attempts[offer].state) == (SaleState.SWITCHING, S.PROVING)
