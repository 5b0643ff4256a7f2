from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from terminald.core import sale as sales
from terminald.core.commands import (
    AbandonAttempt,
    ArmScanners,
    Command,
    DisarmScanners,
    EnqueuePrint,
    GatewayCommand,
    OpenAttempt,
    TellSale,
)
from terminald.core.events import (
    AttemptPaid,
    AttemptRefused,
    AttemptReversing,
    AttemptUnpaid,
    CancelRequested,
    CodeScanned,
    Event,
    PowerReturned,
    PresentationExpired,
    Recovered,
    ShutdownRequested,
)
from terminald.core.ids import ClientSn, Instant
from terminald.core.money import Fen
from terminald.core.return_events import DeliveryWaived
from terminald.core.sale_table import TABLE, Sale, SaleState
from terminald.core.schedule import HOUR, SECOND, Now
from terminald.core.tables import Wakeup
from terminald.errors import IllegalTransition
from tests.core.machine_builders import (
    AMOUNT,
    CLIENT_SN,
    CODE,
    EVENT_TYPES,
    NOON,
    ORDER,
    RULES,
    SALE_ID,
    after,
    make_event,
)

S = SaleState
SECOND_SN = ClientSn("t-0002")
FINAL = {S.COMPLETED, S.CANCELED}


class SaleLife:
    """A sale and its clock."""

    def __init__(self, *history: Event) -> None:
        self.now: Now = NOON
        self.sale: Sale
        self.sale, self.opening = sales.begin(SALE_ID, ORDER, now=NOON, rules=RULES)
        for event in history:
            self.tell(event)

    def tell(self, event: Event, *, later: int = SECOND) -> tuple[Command, ...]:
        self.now = after(self.now, later)
        self.sale, commands = sales.step(self.sale, event, now=self.now)
        return commands

    def is_in(self, state: SaleState) -> bool:
        return self.sale.state is state


def scanned(client_sn: ClientSn = CLIENT_SN) -> CodeScanned:
    return CodeScanned(client_sn=client_sn, code=CODE, digest="d1")


def unpaid(reason: str = "declined") -> AttemptUnpaid:
    return AttemptUnpaid(client_sn=CLIENT_SN, reason=reason)


REVERSING = AttemptReversing(client_sn=CLIENT_SN, reason="expired")
PAID = AttemptPaid(client_sn=CLIENT_SN)

#: How a sale comes into each state.
HISTORIES: dict[SaleState, tuple[Event, ...]] = {
    S.AWAITING_PAYMENT: (),
    S.PROCESSING: (scanned(),),
    S.PAID: (scanned(), PAID),
    S.COMPLETED: (scanned(), PAID, DeliveryWaived()),
    S.CANCELING: (scanned(), REVERSING),
    S.CANCELED: (CancelRequested(),),
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
    ("event", "reason"), [(CancelRequested(), "host"), (ShutdownRequested(), "shutdown")], ids=["host", "shutdown"]
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
    assert set(TABLE) == set(S) == set(HISTORIES)
    assert {state for state in S if state.is_final} == FINAL
    assert {state for state in S if state.is_with_customer} == {S.AWAITING_PAYMENT, S.PROCESSING}
    assert all(SaleLife(*history).is_in(state) for state, history in HISTORIES.items())


def test_paid_is_entered_on_the_word_of_an_attempt_and_never_left_for_canceled() -> None:
    """I3, I4."""
    outside = {(state, event) for state, rows in TABLE.items() for event, row in rows.items() if row.to is S.PAID}
    assert {pair for pair in outside if pair[0] is not S.PAID} == {(S.PROCESSING, AttemptPaid)}
    for state in (S.PAID, S.COMPLETED):
        assert {row.to for row in TABLE[state].values()} <= {S.PAID, S.COMPLETED}
    assert {row.to for row in TABLE[S.CANCELED].values()} == {S.CANCELED}
    assert {row.to for row in TABLE[S.CANCELING].values()} == {S.CANCELING, S.CANCELED}


def test_a_sale_with_the_gateway_is_canceled_by_its_attempt_only() -> None:
    """I3: no word of the host, of time or of a restart ends what may have moved money."""
    for state in (S.PROCESSING, S.CANCELING):
        causes = {event for event, row in TABLE[state].items() if row.to in (S.CANCELED, S.AWAITING_PAYMENT)}
        assert causes <= {AttemptUnpaid, AttemptRefused}


def test_every_state_can_reach_an_end() -> None:
    reaches_end = set(FINAL)
    for _ in S:
        reaches_end |= {state for state, rows in TABLE.items() if {row.to for row in rows.values()} & reaches_end}
    assert reaches_end == set(S)


@given(
    state=st.sampled_from(S),
    paid=st.sampled_from([Fen(0), AMOUNT]),
    reason=st.sampled_from(["", "declined", "host"]),
    window_ends=st.integers(0, 10**9).map(Instant),
    closed=st.booleans(),
)
def test_every_state_takes_or_refuses_every_event(
    state: SaleState, paid: Fen, reason: str, window_ends: Instant, *, closed: bool
) -> None:
    sale = replace(
        SaleLife(scanned()).sale,
        state=state,
        paid=paid,
        reason=reason,
        window_ends=window_ends,
        closed_at=NOON.wall if closed else None,
    )
    now = after(NOON, HOUR)
    for kind in EVENT_TYPES:
        row = TABLE[state].get(kind)
        if row is None:
            with pytest.raises(IllegalTransition) as refusal:
                sales.step(sale, make_event(kind), now=now)
            assert (refusal.value.state, refusal.value.event) == (state.value, kind.__name__)
            continue
        taken, commands = sales.step(sale, make_event(kind), now=now)
        assert taken.state is row.to
        assert (taken.id, taken.order) == (sale.id, sale.order)
        assert not any(isinstance(command, GatewayCommand) for command in commands), "a sale asks no gateway"
        assert (taken.closed_at is not None) >= taken.state.is_final
        assert (sales.next_wakeup(taken) is not None) == (taken.state is S.AWAITING_PAYMENT)
        assert taken.updated_at == now.wall
