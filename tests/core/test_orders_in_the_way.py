"""An order of a sale that turns up late, or is reopened, is in the way of every other one until it is undone (I1)."""

from dataclasses import replace

import pytest

from terminald.core import sale as sales
from terminald.core.attempt_table import AttemptState
from terminald.core.book import view
from terminald.core.commands import DisarmScanners, OfferOrder, ReverseOrder, SubmitPayment
from terminald.core.events import (
    Event,
    LookDue,
    OfferDue,
    OrderAbsent,
    OrderPaid,
    OrderPending,
    OutcomeUnknown,
    PayDeclined,
    PresentationExpired,
    QrOffered,
    ReversalConfirmed,
)
from terminald.core.ids import ClientSn
from terminald.core.sale_table import SaleOrder, SaleState
from terminald.core.schedule import OFFER_PUT_OFF
from terminald.core.siblings import in_the_way
from terminald.core.stimuli import Advance, OpenSale, ToAttempt
from terminald.core.tables import Wakeup
from tests.core.machine_builders import BOTH_ORDER, CLIENT_SN, ORDER, QR, QR_ORDER, SALE_ID
from tests.core.till import SECOND_SN, Till

FIRST = ClientSn("qr-1")
A, S = AttemptState, SaleState


class Desk(Till):
    """A till that answers whatever was asked last about an order."""

    def __init__(self, order: SaleOrder) -> None:
        super().__init__()
        self.apply(OpenSale(sale_id=SALE_ID, order=replace(order, wants_receipt=False)))

    def answer(self, client_sn: ClientSn, event: Event) -> Advance:
        return self.apply(ToAttempt(client_sn=client_sn, event=event, token=self.book.attempts[client_sn].token))

    def side(self, client_sn: ClientSn, event: Event) -> Advance:
        """Answer a question from the side about a closed order."""
        return self.apply(ToAttempt(client_sn=client_sn, event=event))

    def state_of(self, client_sn: ClientSn) -> AttemptState:
        return self.book.attempts[client_sn].state

    def obstacle(self) -> ClientSn | None:
        seen = view(self.book, SALE_ID)
        assert seen is not None
        found = in_the_way(seen)
        return found.client_sn if found else None


def watched(order: SaleOrder) -> Desk:
    """The pre-create of the first QR is lost, and its order not known to the gateway."""
    desk = Desk(order)
    desk.answer(FIRST, OutcomeUnknown())
    desk.answer(FIRST, OrderAbsent())
    assert desk.state_of(FIRST) is A.WATCHING
    return desk


def declined() -> Desk:
    desk = Desk(ORDER)
    desk.scan()
    desk.answer(CLIENT_SN, PayDeclined())
    return desk


def test_what_is_proven_unpaid_or_watched_is_in_nobodys_way() -> None:
    assert declined().obstacle() is None
    assert watched(BOTH_ORDER).obstacle() is None


def test_the_qr_that_can_be_paid_is_not_in_the_way_of_a_code() -> None:
    """The code is held beside it."""
    desk = Desk(BOTH_ORDER)
    desk.answer(FIRST, QrOffered(content=QR))
    assert desk.obstacle() is None
    desk.scan()
    assert desk.obstacle() is None


@pytest.mark.parametrize("answer", [OrderPaid(), OrderPending()], ids=type)
def test_a_declined_code_that_is_reopened_is_in_the_way_until_it_is_undone(answer: Event) -> None:
    desk = declined()
    assert [type(one) for one in desk.side(CLIENT_SN, answer).commands] == [ReverseOrder]
    assert desk.obstacle() == CLIENT_SN
    desk.answer(CLIENT_SN, ReversalConfirmed())
    assert desk.obstacle() is None


def test_a_qr_that_is_found_late_is_in_the_way_until_it_is_undone() -> None:
    desk = watched(BOTH_ORDER)
    desk.apply(ToAttempt(client_sn=FIRST, event=LookDue()))
    assert desk.obstacle() is None
    desk.answer(FIRST, OrderPending())
    assert desk.obstacle() == FIRST
    desk.answer(FIRST, ReversalConfirmed())
    assert desk.obstacle() is None


def test_no_other_qr_is_offered_while_an_earlier_one_is_being_undone() -> None:
    desk = watched(QR_ORDER)
    desk.apply(ToAttempt(client_sn=FIRST, event=LookDue()))
    desk.answer(FIRST, OrderPending())
    due = desk.book.sales[SALE_ID].offer_at
    assert due is not None
    done = desk.sale(OfferDue(), later=due - desk.now.instant)
    assert done.commands == ()
    assert [one.cause for one in done.records] == ["OfferPutOff"]
    again = desk.book.sales[SALE_ID].offer_at
    assert again == desk.now.instant + OFFER_PUT_OFF
    desk.answer(FIRST, ReversalConfirmed())
    done = desk.sale(OfferDue(), later=OFFER_PUT_OFF)
    assert [type(one) for one in done.commands] == [OfferOrder]
    assert desk.book.sales[SALE_ID].offers == 2


def test_a_qr_is_put_off_until_the_window_of_the_sale_ends() -> None:
    """I11."""
    desk = watched(QR_ORDER)
    desk.apply(ToAttempt(client_sn=FIRST, event=LookDue()))
    desk.answer(FIRST, OrderPending())
    ends = desk.book.sales[SALE_ID].window_ends
    while (wakeup := sales.next_wakeup(desk.book.sales[SALE_ID])) and isinstance(wakeup.event, OfferDue):
        desk.sale(wakeup.event, later=wakeup.at - desk.now.instant)
        assert len(desk.book.attempts) == 1
    assert wakeup == Wakeup(at=ends, event=PresentationExpired())


def test_a_held_code_is_not_sent_while_an_earlier_order_is_being_undone() -> None:
    """It is dropped: whoever presented it is asked for a fresh one, which is refused until the way is clear."""
    desk = watched(BOTH_ORDER)
    desk.wake()
    (second,) = (name for name in desk.book.attempts if name != FIRST)
    desk.answer(second, QrOffered(content=QR))
    desk.scan()
    desk.answer(second, OrderPending())
    desk.apply(ToAttempt(client_sn=FIRST, event=LookDue()))
    desk.answer(FIRST, OrderPending())
    done = desk.answer(second, ReversalConfirmed())
    assert not any(isinstance(one, SubmitPayment) for one in done.commands)
    assert (desk.state_of(CLIENT_SN), desk.sale_state()) == (A.UNSENT, S.AWAITING_PAYMENT)
    assert desk.obstacle() == FIRST
    desk.answer(FIRST, ReversalConfirmed())
    assert [type(one) for one in desk.scan(SECOND_SN).commands] == [DisarmScanners, SubmitPayment]
