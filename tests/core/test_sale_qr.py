"""Transcripts of sales that are paid by scanning a QR, alone or beside codes."""

from dataclasses import replace

import pytest

from terminald.core.commands import (
    AbandonAttempt,
    ArmScanners,
    ClearWay,
    DisarmScanners,
    EnqueuePrint,
    OpenAttempt,
    OpenOffer,
    TellSale,
)
from terminald.core.events import (
    AttemptOffered,
    AttemptPaid,
    AttemptRefused,
    AttemptReversing,
    AttemptUnpaid,
    CancelRequested,
    DrainRequested,
    Event,
    OfferDue,
    PowerReturned,
    PresentationExpired,
    Recovered,
    ShutdownRequested,
)
from terminald.core.ids import ClientSn, Duration, Instant
from terminald.core.return_events import DeliveryWaived
from terminald.core.sale import concerns
from terminald.core.sale_table import SaleOrder, SaleState, YieldAttempt
from terminald.core.schedule import MOST_OFFERS, OFFER_SHORTEST, SECOND
from tests.core.machine_builders import (
    AMOUNT,
    BOTH_ORDER,
    CLIENT_SN,
    CODE,
    NOON,
    QR_ORDER,
    RULES,
    SALE_ID,
    after,
)
from tests.core.sale_life import OFFERS, PAID, SECOND_SN, SaleLife, scanned, unpaid

S = SaleState
BOTH = pytest.mark.parametrize("order", [QR_ORDER, BOTH_ORDER], ids=["qr", "both"])
QR_PAID = AttemptPaid(client_sn=OFFERS[0])
SHOWN = AttemptOffered(client_sn=OFFERS[0])


def ended(number: int = 0, reason: str = "declined") -> AttemptUnpaid:
    """The word of a QR order that is proven unpaid."""
    return unpaid(reason, OFFERS[number])


def opening(life: SaleLife, number: int = 0, *, in_ms: int = RULES.qr_window) -> OpenOffer:
    """What opens this QR order now, to end so much later."""
    return OpenOffer(sale_id=SALE_ID, client_sn=OFFERS[number], ends=Instant(life.now.instant + in_ms))


def qr(*history: Event) -> SaleLife:
    return SaleLife(*history, order=QR_ORDER)


def both(*history: Event) -> SaleLife:
    return SaleLife(*history, order=BOTH_ORDER)


# --- QR only ---------------------------------------------------------------------------------------------------------


def test_a_qr_is_made_and_no_scanner_listens() -> None:
    life = qr()
    assert life.opening == (opening(life),)
    assert (life.sale.attempts, life.sale.offer, life.sale.offers) == ((OFFERS[0],), OFFERS[0], 1)
    assert life.wakes_with(PresentationExpired, in_ms=RULES.qr_window)


def test_its_slip_is_printed_and_it_is_paid() -> None:
    life = qr()
    assert life.tell(SHOWN) == (EnqueuePrint(sale_id=SALE_ID, slip="qr", about=OFFERS[0]),)
    assert life.tell(QR_PAID) == (EnqueuePrint(sale_id=SALE_ID), TellSale(sale_id=SALE_ID, event=DeliveryWaived()))
    assert life.is_in(S.PAID)
    assert (life.sale.paid, life.sale.offer, life.sale.reason) == (AMOUNT, None, "")


def test_after_one_that_ended_unpaid_another_is_offered_under_a_new_name() -> None:
    """A lost pre-create as well: its QR is unknown."""
    life = qr()
    assert life.tell(ended(reason="")) == ()
    assert life.is_in(S.AWAITING_PAYMENT)
    assert life.sale.offer is None
    assert life.wakes_with(OfferDue, in_ms=1 * SECOND)
    assert life.wake() == (opening(life, 1, in_ms=RULES.qr_window - 2 * SECOND),)
    offered = life.sale
    assert (offered.attempts, offered.offers) == (OFFERS[:2], 2)
    assert (offered.offer, offered.offer_at) == (OFFERS[1], None)


def test_so_many_are_offered_and_then_the_sale_is_canceled() -> None:
    life = qr()
    for number in range(MOST_OFFERS - 1):
        life.tell(ended(number))
        life.wake()
    assert life.tell(ended(MOST_OFFERS - 1)) == ()
    assert life.is_in(S.CANCELED)
    assert (life.sale.reason, life.sale.closed_at) == ("declined", life.now.wall)


def test_lost_pre_creates_in_a_row_say_why() -> None:
    life = qr()
    for number in range(MOST_OFFERS):
        life.tell(ended(number, ""))
        if life.is_in(S.AWAITING_PAYMENT):
            life.wake()
    assert life.is_in(S.CANCELED)
    assert life.sale.reason == "gateway_unreachable"


@BOTH
def test_while_the_gateway_is_away_it_is_offered_until_the_window_ends(order: SaleOrder) -> None:
    """Nothing left the device: that counts against nobody."""
    life = SaleLife(order=order)
    waits = list[int]()
    while life.is_in(S.AWAITING_PAYMENT):
        if life.sale.offer:
            life.tell(ended(life.sale.offers - 1, "gateway_unreachable"), later=0)
            assert life.sale.reason == "gateway_unreachable"
        before = life.now.instant
        life.wake()
        waits.append((life.now.instant - before) // SECOND)
    assert waits[:6] == [1, 2, 4, 8, 16, 30]
    assert life.is_in(S.CANCELED)
    assert life.now.instant == NOON.instant + RULES.qr_window
    assert life.sale.reason == "gateway_unreachable"


def test_no_qr_is_offered_that_nobody_could_pay_in_time() -> None:
    life = qr()
    left = RULES.qr_window - OFFER_SHORTEST - 1 * SECOND
    life.tell(ended(), later=left + 1)
    assert life.sale.offer_at is None
    assert life.wake() == ()
    assert (life.sale.state, life.sale.reason) == (S.CANCELED, "expired")


def test_an_offer_that_is_overslept_is_not_made() -> None:
    life = qr(ended())
    assert life.tell(OfferDue(), later=RULES.qr_window) == ()
    assert (life.sale.offer_at, life.sale.offers) == (None, 1)
    assert life.wake() == ()
    assert life.is_in(S.CANCELED)


def test_a_terminal_that_is_refused_offers_no_other_qr() -> None:
    life = qr()
    assert life.tell(AttemptRefused(client_sn=OFFERS[0], reason="terminal_refused")) == ()
    assert (life.sale.state, life.sale.reason) == (S.CANCELED, "terminal_refused")


def test_when_its_qr_is_given_up_the_sale_waits_until_it_is_undone() -> None:
    """I3."""
    life = qr(SHOWN)
    assert life.tell(AttemptReversing(client_sn=OFFERS[0], reason="expired")) == ()
    assert life.is_in(S.CANCELING)
    assert life.sale.waits_for == (OFFERS[0],)
    assert life.tell(ended(reason="")) == ()
    assert (life.sale.state, life.sale.reason) == (S.CANCELED, "expired")


@BOTH
@pytest.mark.parametrize(
    ("event", "reason"),
    [
        (CancelRequested(), "host"),
        (ShutdownRequested(), "shutdown"),
        (DrainRequested(), "drained"),
        (PresentationExpired(), "expired"),
        (PowerReturned(), "power_lost"),
    ],
    ids=["host", "shutdown", "drain", "window", "power"],
)
def test_whoever_ends_the_wait_the_qr_is_undone_first(order: SaleOrder, event: Event, reason: str) -> None:
    """I3: canceled is told only when no money is kept."""
    life = SaleLife(SHOWN, order=order)
    disarm = (DisarmScanners(),) if order.takes_codes else ()
    assert life.tell(event) == (*disarm, AbandonAttempt(client_sn=OFFERS[0]))
    assert life.is_in(S.CANCELING)
    undoing = life.sale
    assert life.tell(ended(reason="")) == ()
    assert (life.sale.state, life.sale.reason) == (S.CANCELED, reason)
    assert (undoing.closed_at, life.sale.closed_at) == (None, life.now.wall)


@BOTH
@pytest.mark.parametrize("event", [CancelRequested(), PresentationExpired(), PowerReturned()])
def test_between_two_offers_there_is_nothing_to_undo(order: SaleOrder, event: Event) -> None:
    life = SaleLife(ended(), order=order)
    disarm = () if isinstance(event, PowerReturned) or not order.takes_codes else (DisarmScanners(),)
    assert life.tell(event) == disarm
    assert life.is_in(S.CANCELED)


@BOTH
def test_after_a_restart_the_wait_goes_on(order: SaleOrder) -> None:
    life = SaleLife(SHOWN, order=order)
    before = life.sale
    assert life.tell(Recovered()) == ((ArmScanners(),) if order.takes_codes else ())
    assert life.sale == replace(before, updated_at=life.now.wall)
    life.tell(ended())
    due = life.wakeup
    life.tell(Recovered())
    assert life.wakeup == due, "and so does the wait for another QR"


# --- both at once ----------------------------------------------------------------------------------------------------


def test_a_qr_is_made_and_the_scanners_listen() -> None:
    life = both()
    assert life.opening == (ArmScanners(), opening(life))
    assert life.wakes_with(PresentationExpired, in_ms=max(RULES.qr_window, RULES.payment_window))


def test_a_scanned_code_waits_until_the_qr_is_proven_unpaid() -> None:
    """I1."""
    life = both(SHOWN)
    assert life.tell(scanned()) == (
        DisarmScanners(),
        YieldAttempt(client_sn=OFFERS[0]),
        OpenAttempt(sale_id=SALE_ID, client_sn=CLIENT_SN, code=CODE, digest="d1", is_held=True),
    )
    assert life.is_in(S.SWITCHING)
    assert life.sale.state.shown == "processing"
    assert life.wakeup is None, "its orders have clocks of their own"
    assert life.tell(ended(reason="")) == (ClearWay(client_sn=CLIENT_SN),)
    assert life.is_in(S.PROCESSING)
    assert life.sale.offer is None
    life.tell(PAID)
    assert (life.sale.paid, life.sale.attempts) == (AMOUNT, (OFFERS[0], CLIENT_SN))


def test_a_qr_that_turns_out_to_be_paid_pays_the_sale_and_the_code_is_dropped() -> None:
    """I1."""
    life = both(SHOWN, scanned())
    assert life.tell(QR_PAID) == (
        AbandonAttempt(client_sn=CLIENT_SN),
        EnqueuePrint(sale_id=SALE_ID),
        TellSale(sale_id=SALE_ID, event=DeliveryWaived()),
    )
    assert life.is_in(S.PAID)


def test_a_code_that_was_held_too_long_may_be_presented_anew_while_the_qr_is_undone() -> None:
    life = both(SHOWN, scanned())
    assert life.tell(unpaid("")) == (ArmScanners(),)
    assert life.is_in(S.AWAITING_PAYMENT)
    assert life.sale.offer == OFFERS[0]
    assert life.sale.offer_at is None, "no other QR while one is not proven unpaid"
    assert life.tell(scanned(SECOND_SN))[1] == YieldAttempt(client_sn=OFFERS[0])
    assert life.tell(ended(reason="")) == (ClearWay(client_sn=SECOND_SN),)


def test_while_the_qr_is_undone_it_may_turn_out_to_be_paid() -> None:
    life = both(SHOWN, scanned(), unpaid(""))
    assert life.tell(QR_PAID)[0] == DisarmScanners()
    assert life.is_in(S.PAID)


def test_the_hosts_cancel_drops_the_code_and_undoes_the_qr() -> None:
    """I3: a QR that is only asked about must not be found paid any more."""
    life = both(SHOWN, scanned())
    assert life.tell(CancelRequested()) == (AbandonAttempt(client_sn=CLIENT_SN), AbandonAttempt(client_sn=OFFERS[0]))
    assert life.is_in(S.CANCELING)
    assert life.sale.waits_for == (OFFERS[0],)
    assert life.tell(ended(reason="")) == ()
    assert (life.sale.state, life.sale.reason) == (S.CANCELED, "host")


@pytest.mark.parametrize("restart", [Recovered(), PowerReturned()])
def test_a_restart_leaves_the_switching_to_its_orders(restart: Event) -> None:
    life = both(SHOWN, scanned())
    assert life.tell(restart) == ()
    assert life.is_in(S.SWITCHING)


def test_a_qr_of_which_somebody_gave_back_a_part_is_undone_before_the_code_is_sent() -> None:
    life = both(SHOWN, scanned())
    assert life.tell(AttemptReversing(client_sn=OFFERS[0], reason="expired")) == ()
    assert life.is_in(S.SWITCHING)
    assert life.tell(ended(reason="")) == (ClearWay(client_sn=CLIENT_SN),)


def test_after_a_declined_code_a_qr_is_offered_again() -> None:
    life = both(SHOWN, scanned(), ended(reason=""))
    assert life.tell(unpaid("declined")) == (ArmScanners(),)
    assert life.sale.reason == "declined"
    assert life.wakes_with(OfferDue, in_ms=1 * SECOND)
    life.wake()
    assert (life.sale.offer, life.sale.attempts) == (OFFERS[1], (OFFERS[0], CLIENT_SN, OFFERS[1]))
    assert life.tell(scanned(SECOND_SN))[1] == YieldAttempt(client_sn=OFFERS[1])


def test_between_two_offers_a_code_is_submitted_at_once() -> None:
    """I1: the only QR order is proven unpaid."""
    life = both(ended())
    (disarm, attempt) = life.tell(scanned())
    assert disarm == DisarmScanners()
    assert isinstance(attempt, OpenAttempt)
    assert not attempt.is_held
    assert life.sale.offer_at is None


def test_when_no_qr_is_offered_any_more_codes_are_taken_still() -> None:
    life = both()
    for number in range(MOST_OFFERS):
        life.tell(ended(number))
        if life.sale.offer_at:
            life.wake()
    assert life.is_in(S.AWAITING_PAYMENT)
    assert (life.sale.offer, life.sale.offer_at, life.sale.reason) == (None, None, "")
    assert isinstance(life.wakeup.event if life.wakeup else None, PresentationExpired)


def test_when_the_qrs_own_time_is_over_codes_are_taken_still() -> None:
    patient = replace(RULES, payment_window=Duration(300 * SECOND))
    life = SaleLife(SHOWN, order=BOTH_ORDER, rules=patient)
    given_up = AttemptReversing(client_sn=OFFERS[0], reason="expired")
    assert life.tell(given_up, later=239 * SECOND) == ()
    assert (life.sale.state, life.sale.offer, life.sale.reason) == (S.AWAITING_PAYMENT, OFFERS[0], "")
    assert life.tell(ended(reason="")) == ()
    assert life.wakes_with(OfferDue, in_ms=1 * SECOND)
    assert life.wake() == (opening(life, 1, in_ms=58 * SECOND),), "to the end of the sale's window"
    life.tell(AttemptReversing(client_sn=OFFERS[1], reason="expired"), later=58 * SECOND)
    assert life.is_in(S.CANCELING)


def test_a_canceled_sale_waits_for_each_of_its_orders() -> None:
    """I3."""
    life = both(SHOWN, CancelRequested())
    life.sale = replace(life.sale, waits_for=(OFFERS[0], CLIENT_SN))
    assert life.tell(unpaid("")) == ()
    assert (life.sale.state, life.sale.waits_for) == (S.CANCELING, (OFFERS[0],))
    life.tell(ended(reason=""))
    assert life.is_in(S.CANCELED)


@pytest.mark.parametrize("event", [AttemptUnpaid, AttemptPaid, AttemptReversing, AttemptOffered])
def test_an_order_that_the_sale_has_done_with_does_not_move_it(event: type[AttemptUnpaid]) -> None:
    life = both(ended(), scanned())
    assert not concerns(life.sale, event(client_sn=OFFERS[0]))
    assert concerns(life.sale, event(client_sn=CLIENT_SN))
    assert not concerns(life.sale, event(client_sn=ClientSn("t-9")))


def test_the_window_of_a_sale_is_that_of_the_ways_to_pay_it() -> None:
    quick = replace(RULES, qr_window=Duration(30 * SECOND))
    assert SaleLife(order=QR_ORDER, rules=quick).sale.window_ends == after(NOON, 30 * SECOND).instant
    assert SaleLife(order=BOTH_ORDER, rules=quick).sale.window_ends == after(NOON, 90 * SECOND).instant
