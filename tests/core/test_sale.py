from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from terminald.core import sale as sales
from terminald.core.commands import (
    AbandonAttempt,
    ArmScanners,
    DisarmScanners,
    EnqueuePrint,
    GatewayCommand,
    OpenAttempt,
    TellSale,
)
from terminald.core.events import (
    AttemptOffered,
    AttemptPaid,
    AttemptRefused,
    AttemptReversing,
    AttemptUnpaid,
    CancelRequested,
    ChargeEnded,
    CodeBesideOffer,
    CodeScanned,
    DrainRequested,
    Event,
    LastOfferEnded,
    OfferClosing,
    OfferEnded,
    OfferRanOut,
    OfferWithdrawn,
    PowerReturned,
    PresentationExpired,
    Recovered,
    ShutdownRequested,
)
from terminald.core.ids import Instant
from terminald.core.money import Fen
from terminald.core.return_events import (
    AllReturned,
    Delivered,
    DeliveredInTime,
    DeliveryLapsed,
    DeliveryOverdue,
    DeliveryUnheard,
    DeliveryWaived,
    DeliveryWindowClosed,
    LateDelivered,
    LatePartUndelivered,
    LateUndelivered,
    PartStillOwed,
    PartUndelivered,
    RefundClosed,
    RefundDone,
    RefundFailed,
    ReturnBegun,
    ReturnDropped,
    ReturnFailed,
    ReturnStillOwed,
    Undelivered,
)
from terminald.core.sale_table import TABLE, DeliveryState, Sale, SaleState
from terminald.core.schedule import HOUR
from terminald.core.tables import Attention, Wakeup
from terminald.errors import IllegalTransition
from tests.core.machine_builders import (
    AMOUNT,
    BOTH_ORDER,
    CLIENT_SN,
    CODE,
    EVENT_TYPES,
    NOON,
    ORDER,
    QR_ORDER,
    REFUND_ID,
    RULES,
    SALE_ID,
    after,
    make_event,
)
from tests.core.sale_life import OFFERS, PAID, SECOND_SN, SaleLife, scanned, unpaid

S = SaleState
FINAL = {S.COMPLETED, S.CANCELED, S.RETURNED}
REPORTING = replace(ORDER, reports_delivery=True)


RETURN_BEGUN = ReturnBegun(refund_id=REFUND_ID, amount=AMOUNT)
ALL_RETURNED = AllReturned(refund_id=REFUND_ID, amount=AMOUNT)
REVERSING = AttemptReversing(client_sn=CLIENT_SN, reason="expired")

#: How a sale comes into each state that one with codes alone has.
HISTORIES: dict[SaleState, tuple[Event, ...]] = {
    S.AWAITING_PAYMENT: (),
    S.PROCESSING: (scanned(),),
    S.PAID: (scanned(), PAID),
    S.COMPLETED: (scanned(), PAID, DeliveryWaived()),
    S.CANCELING: (scanned(), REVERSING),
    S.CANCELED: (CancelRequested(),),
    S.RETURNING: (scanned(), PAID, DeliveryWaived(), RETURN_BEGUN),
    S.RETURNED: (scanned(), PAID, DeliveryWaived(), RETURN_BEGUN, ALL_RETURNED),
}


# --- transcripts -----------------------------------------------------------------------------------------------------


def test_a_sale_begins_with_scanners_that_listen_for_the_length_of_the_window() -> None:
    life = SaleLife()
    assert life.opening == (ArmScanners(),)
    assert life.is_in(S.AWAITING_PAYMENT)
    assert sales.next_wakeup(life.sale) == Wakeup(
        at=after(NOON, RULES.payment_window).instant, event=PresentationExpired()
    )


def test_a_code_is_paid_and_the_sale_completed() -> None:
    life = SaleLife()
    assert life.tell(scanned()) == (
        DisarmScanners(),
        OpenAttempt(sale_id=SALE_ID, client_sn=CLIENT_SN, code=CODE, digest="d1"),
    )
    assert life.is_in(S.PROCESSING)
    assert sales.next_wakeup(life.sale) is None
    assert life.tell(PAID) == (EnqueuePrint(sale_id=SALE_ID), TellSale(sale_id=SALE_ID, event=DeliveryWaived()))
    assert life.is_in(S.PAID)
    assert (life.sale.paid, life.sale.closed_at) == (AMOUNT, None)
    assert life.tell(DeliveryWaived()) == ()
    assert life.is_in(S.COMPLETED)
    assert (life.sale.reason, life.sale.closed_at) == ("", life.now.wall)


def test_a_declined_code_lets_the_customer_present_another() -> None:
    life = SaleLife(scanned())
    window_ends = life.sale.window_ends
    assert life.tell(unpaid()) == (ArmScanners(),)
    assert life.is_in(S.AWAITING_PAYMENT)
    assert (life.sale.reason, life.sale.window_ends) == ("declined", window_ends)
    life.tell(scanned(SECOND_SN))
    assert life.sale.attempts == (CLIENT_SN, SECOND_SN)
    life.tell(AttemptPaid(client_sn=SECOND_SN))
    assert (life.sale.reason, life.sale.paid) == ("", AMOUNT)


@pytest.mark.parametrize(("history", "reason"), [((), "expired"), ((scanned(), unpaid()), "declined")])
def test_when_the_window_ends_the_sale_is_canceled_and_says_why(history: tuple[Event, ...], reason: str) -> None:
    life = SaleLife(*history)
    assert life.tell(PresentationExpired()) == (DisarmScanners(),)
    assert life.is_in(S.CANCELED)
    assert (life.sale.reason, life.sale.closed_at) == (reason, life.now.wall)


@pytest.mark.parametrize(
    ("event", "reason"),
    [(CancelRequested(), "host"), (ShutdownRequested(), "shutdown"), (DrainRequested(), "drained")],
    ids=["host", "shutdown", "drain"],
)
def test_a_sale_that_waits_for_a_code_is_canceled_at_once(event: Event, reason: str) -> None:
    life = SaleLife()
    assert life.tell(event) == (DisarmScanners(),)
    assert life.is_in(S.CANCELED)
    assert life.sale.reason == reason


def test_the_hosts_cancel_waits_for_the_attempt_to_be_undone() -> None:
    """I3: canceled is told only when no money is kept."""
    life = SaleLife(scanned())
    assert life.tell(CancelRequested()) == (AbandonAttempt(client_sn=CLIENT_SN),)
    assert life.is_in(S.CANCELING)
    assert (life.sale.reason, life.sale.closed_at) == ("host", None)
    assert life.tell(CancelRequested()) == ()
    assert life.tell(unpaid("")) == ()
    assert life.is_in(S.CANCELED)
    assert (life.sale.reason, life.sale.closed_at) == ("host", life.now.wall)


def test_the_attempt_with_the_customer_is_the_one_that_is_abandoned() -> None:
    life = SaleLife(scanned(), unpaid(), scanned(SECOND_SN))
    assert life.tell(CancelRequested()) == (AbandonAttempt(client_sn=SECOND_SN),)


def test_an_attempt_that_was_given_up_cancels_the_sale() -> None:
    life = SaleLife(scanned())
    assert life.tell(REVERSING) == ()
    assert life.is_in(S.CANCELING)
    life.tell(CancelRequested())
    life.tell(unpaid(""))
    assert life.is_in(S.CANCELED)
    assert life.sale.reason == "expired", "the first cause stands"


def test_a_terminal_that_is_refused_takes_no_other_code() -> None:
    life = SaleLife(scanned())
    assert life.tell(AttemptRefused(client_sn=CLIENT_SN, reason="terminal_refused")) == ()
    assert life.is_in(S.CANCELED)
    assert life.sale.reason == "terminal_refused"


def test_a_late_arrival_that_was_undone_changes_nothing_for_the_host() -> None:
    """I3."""
    life = SaleLife(scanned(), REVERSING, unpaid(""))
    closed = life.sale
    assert life.tell(unpaid(""), later=HOUR) == ()
    assert life.sale == replace(closed, updated_at=life.now.wall)
    assert life.tell(CancelRequested()) == ()
    assert (life.sale.reason, life.sale.closed_at) == (closed.reason, closed.closed_at)


@pytest.mark.parametrize("state", [S.PROCESSING, S.PAID, S.CANCELING])
@pytest.mark.parametrize("event", [Recovered(), PowerReturned()])
def test_a_sale_with_the_gateway_outlives_a_restart(state: SaleState, event: Event) -> None:
    """I5."""
    life = SaleLife(*HISTORIES[state])
    before = life.sale
    assert life.tell(event) == ()
    assert life.sale == replace(before, updated_at=life.now.wall)


def test_a_sale_that_waited_for_a_code_listens_again_after_a_restart() -> None:
    life = SaleLife()
    assert life.tell(Recovered()) == (ArmScanners(),)
    assert life.is_in(S.AWAITING_PAYMENT)


def test_after_a_power_cut_the_customer_may_be_gone() -> None:
    life = SaleLife()
    assert life.tell(PowerReturned()) == ()
    assert life.is_in(S.CANCELED)
    assert life.sale.reason == "power_lost"


def test_the_hosts_cancel_comes_too_late_for_a_paid_sale() -> None:
    life = SaleLife(*HISTORIES[S.COMPLETED])
    with pytest.raises(IllegalTransition, match="CancelRequested is not possible in state completed"):
        life.tell(CancelRequested())


# --- the table -------------------------------------------------------------------------------------------------------


def test_states_say_what_they_are() -> None:
    assert set(TABLE) == set(S) == set(HISTORIES) | {S.SWITCHING, S.EXPIRING}
    assert {state for state in S if state.is_final} == FINAL
    with_customer = {S.AWAITING_PAYMENT, S.SWITCHING, S.EXPIRING, S.PROCESSING}
    assert {state for state in S if state.is_with_customer} == with_customer
    assert {state.shown for state in S} == {state.value for state in S} - {"switching", "expiring"}
    assert all(SaleLife(*history).is_in(state) for state, history in HISTORIES.items())


def test_paid_is_entered_on_the_word_of_an_attempt_and_never_left_for_canceled() -> None:
    """I3, I4."""
    outside = {(state, event) for state, rows in TABLE.items() for event, row in rows.items() if row.to is S.PAID}
    taken = {S.PAID, S.COMPLETED, S.RETURNING, S.RETURNED}
    assert {pair for pair in outside if pair[0] not in taken} == {
        (S.AWAITING_PAYMENT, AttemptPaid),
        (S.SWITCHING, AttemptPaid),
        (S.EXPIRING, AttemptPaid),
        (S.PROCESSING, AttemptPaid),
    }
    for state in taken:
        assert {row.to for row in TABLE[state].values()} <= taken
    for state in set(S) - taken:
        assert {event for event, row in TABLE[state].items() if row.to in taken} <= {AttemptPaid}
    assert {row.to for row in TABLE[S.CANCELED].values()} == {S.CANCELED}
    assert {row.to for row in TABLE[S.CANCELING].values()} == {S.CANCELING, S.CANCELED}


def test_a_sale_with_the_gateway_is_canceled_by_its_attempt_only() -> None:
    """I3: no word of the host, of time or of a restart ends what may have moved money."""
    for state in (S.SWITCHING, S.EXPIRING, S.PROCESSING, S.CANCELING):
        causes = {event for event, row in TABLE[state].items() if row.to in (S.CANCELED, S.AWAITING_PAYMENT)}
        assert causes <= {AttemptUnpaid, AttemptRefused}


def test_returned_is_entered_when_nothing_is_left_and_left_for_nothing() -> None:
    """I9."""
    causes = {(state, event) for state, rows in TABLE.items() for event, row in rows.items() if row.to is S.RETURNED}
    assert {pair for pair in causes if pair[0] is not S.RETURNED} == {
        (state, AllReturned) for state in (S.PAID, S.COMPLETED, S.RETURNING)
    }
    assert {row.to for row in TABLE[S.RETURNED].values()} == {S.RETURNED}


def test_a_code_is_submitted_from_two_states_only() -> None:
    """I1: where no QR order is open, and where one was and is proven unpaid."""
    causes = {(state, event) for state, rows in TABLE.items() for event, row in rows.items() if row.to is S.PROCESSING}
    assert {pair for pair in causes if pair[0] is not S.PROCESSING} == {
        (S.AWAITING_PAYMENT, CodeScanned),
        (S.SWITCHING, OfferEnded),
    }


def test_every_state_can_reach_an_end() -> None:
    reaches_end = set(FINAL)
    for _ in S:
        reaches_end |= {state for state, rows in TABLE.items() if {row.to for row in rows.values()} & reaches_end}
    assert reaches_end == set(S)


#: What the same event can mean in a sale, beside itself.
MEANINGS: dict[type[Event], set[type[Event]]] = {
    CodeScanned: {CodeBesideOffer},
    PresentationExpired: {OfferWithdrawn},
    CancelRequested: {OfferWithdrawn},
    ShutdownRequested: {OfferWithdrawn},
    DrainRequested: {OfferWithdrawn},
    PowerReturned: {OfferWithdrawn, DeliveryOverdue, DeliveryLapsed},
    DeliveryWindowClosed: {DeliveryOverdue, DeliveryLapsed},
    DeliveryUnheard: {DeliveryOverdue},
    DeliveryLapsed: {DeliveryOverdue},
    AttemptUnpaid: {OfferEnded, LastOfferEnded, ChargeEnded},
    AttemptReversing: {OfferClosing},
    RefundDone: {AllReturned},
    RefundFailed: {ReturnFailed, ReturnDropped, ReturnStillOwed, PartStillOwed},
    RefundClosed: {RefundFailed, ReturnFailed, ReturnDropped},
    Delivered: {LateDelivered},
    DeliveredInTime: {LateDelivered},
    Undelivered: {LateUndelivered},
    PartUndelivered: {LatePartUndelivered},
    AttemptRefused: {OfferEnded},
}
#: Asked for of the QR order that is open: told only where there is one, as a return is called off that is under way.
OF_AN_OFFER = (AttemptOffered, CodeBesideOffer, OfferRanOut, OfferWithdrawn)


snapshots = st.builds(
    replace,
    st.just(SaleLife(scanned()).sale),
    state=st.sampled_from(S),
    order=st.sampled_from([ORDER, QR_ORDER, BOTH_ORDER, REPORTING]),
    offer=st.none() | st.sampled_from([OFFERS[0], CLIENT_SN]),
    offers=st.integers(0, 5),
    delivery=st.sampled_from(DeliveryState),
    attention=st.none() | st.just(Attention(code="delivery_overdue", since=NOON.instant)),
    whole=st.none() | st.just(REFUND_ID),
    is_return_owed=st.booleans(),
    part_owed=st.none() | st.just(Fen(100)),
    paid=st.sampled_from([Fen(0), AMOUNT]),
    returned=st.sampled_from([Fen(0), Fen(100)]),
    reason=st.sampled_from(["", "declined", "host"]),
    window_ends=st.integers(0, 10**9).map(Instant),
    closed_at=st.none() | st.just(NOON.wall),
).filter(lambda sale: sale.state not in (S.SWITCHING, S.EXPIRING) or sale.offer is not None)


@given(sale=snapshots, returns_overdue=st.booleans())
def test_every_state_takes_or_refuses_every_event(sale: Sale, *, returns_overdue: bool) -> None:
    now, rules = after(NOON, HOUR), replace(RULES, returns_overdue=returns_overdue)
    for kind in EVENT_TYPES:
        if (kind in OF_AN_OFFER and sale.offer is None) or (kind is DeliveredInTime and sale.whole is None):
            continue
        meanings = {kind} | MEANINGS.get(kind, set())
        rows = {meaning: TABLE[sale.state][meaning] for meaning in meanings if meaning in TABLE[sale.state]}
        if not rows:
            with pytest.raises(IllegalTransition) as refusal:
                sales.step(sale, make_event(kind), now=now, rules=rules, fresh=SECOND_SN)
            assert refusal.value.state == sale.state.value
            assert refusal.value.event in {meaning.__name__ for meaning in meanings}
            continue
        try:
            taken, commands = sales.step(sale, make_event(kind), now=now, rules=rules, fresh=SECOND_SN)
        except IllegalTransition:
            assert meanings > set(rows), "it is taken in one of its meanings at least"
            continue
        assert taken.state in {row.to for row in rows.values()}
        assert (taken.id, taken.order) == (sale.id, sale.order)
        assert not any(isinstance(command, GatewayCommand) for command in commands), "a sale asks no gateway"
        assert (taken.closed_at is not None) >= taken.state.is_final
        assert (sales.next_wakeup(taken) is not None) == (
            taken.state is S.AWAITING_PAYMENT or (taken.state is S.PAID and taken.delivery_ends is not None)
        )
        assert taken.updated_at == now.wall
