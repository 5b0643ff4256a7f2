"""What holds for the attempt's table as a whole: every state and every event."""

from collections.abc import Iterator
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from terminald.core import attempt as attempts
from terminald.core import events
from terminald.core.attempt_table import FINAL, GATEWAY_ASKS, TABLE, UNPAID, Attempt, AttemptState
from terminald.core.commands import (
    GatewayCommand,
    OfferOrder,
    QueryOrder,
    SubmitHeld,
    SubmitPayment,
)
from terminald.core.events import Answer, Event, Fault, OrderFacts
from terminald.core.ids import Instant, WallTime
from terminald.core.money import Fen
from terminald.core.schedule import Now
from terminald.core.tables import Attention
from terminald.errors import IllegalTransition
from tests.core.machine_builders import (
    AMOUNT,
    CLIENT_SN,
    COMPLETIONS,
    EVENT_TYPES,
    OPENING,
    QR,
    RULES,
    SALE_ID,
    AttemptLife,
    make_event,
)

S = AttemptState

instants = st.integers(0, 10_000_000_000).map(Instant)
walls = st.integers(1_600_000_000_000, 1_900_000_000_000).map(WallTime)
moments = st.builds(Now, instant=instants, wall=walls, is_trusted=st.booleans(), jitter=st.floats(0, 0.999))
facts = st.builds(OrderFacts, sn=st.sampled_from(["", "7894"]), net_amount=st.none() | st.integers(1, AMOUNT).map(Fen))
faults = st.none() | st.builds(Fault, code=st.just("TRADE_FAILED"), message=st.just("交易失败"))
attentions = st.none() | st.builds(Attention, code=st.just("order_errored"), since=instants)
snapshots = st.builds(
    Attempt,
    client_sn=st.just(CLIENT_SN),
    sale_id=st.just(SALE_ID),
    kind=st.sampled_from(["scan", "qr"]),
    amount=st.just(AMOUNT),
    operator=st.just("kiosk"),
    code_masked=st.just("1308…1147"),
    code_digest=st.just("d1"),
    state=st.sampled_from(AttemptState),
    token=st.integers(1, 1000),
    facts=facts,
    fault=faults,
    started=instants,
    started_at=walls,
    ended_at=st.none() | walls,
    window_ends=instants,
    retry=st.none() | instants,
    tries=st.integers(0, 100),
    is_unanswered=st.booleans(),
    undoing_since=st.none() | instants,
    looks=st.lists(instants, max_size=4).map(lambda looks: tuple(sorted(looks))),
    attention=attentions,
    qr_content=st.sampled_from(["", QR]),
    is_yielding=st.booleans(),
)


HELD_ATTEMPT = AttemptLife(opening=replace(OPENING, is_held=True)).attempt


def rows() -> Iterator[tuple[AttemptState, type[Event], AttemptState, bool]]:
    """Every row: from, event, to, and whether it asks the gateway."""
    for state, table in TABLE.items():
        for event, row in table.items():
            yield state, event, row.to, not GATEWAY_ASKS.isdisjoint(row.ask)


# --- the table -------------------------------------------------------------------------------------------------------


def test_every_state_has_its_rows_and_nothing_leads_out_of_paid() -> None:
    assert set(TABLE) == set(AttemptState)
    assert {state for state, table in TABLE.items() if not table} == {S.PAID, S.UNSENT}
    assert {state for state in AttemptState if state.is_final} == FINAL
    assert {state for state in AttemptState if state.is_unpaid} == UNPAID


def test_the_next_attempt_may_begin_only_where_no_payment_is_known_or_under_way() -> None:
    """I1."""
    assert {S.DECLINED, S.REVERSED, S.UNSENT, S.WATCHING, S.LAST_LOOK} == UNPAID


def test_every_state_can_reach_an_end_by_answers_and_time_alone() -> None:
    """I5: nothing depends on a host that still asks, nor on a restart."""
    outside = (events.AbandonRequested, events.Recovered, events.PowerReturned)
    reaches_end = set(FINAL)
    for _ in AttemptState:
        reaches_end |= {state for state, event, to, _ in rows() if to in reaches_end and event not in outside}
    assert reaches_end == set(AttemptState)


def test_every_state_can_be_entered() -> None:
    entered = {S.SUBMITTING, S.OFFERING, S.HELD}
    for _ in AttemptState:
        entered |= {to for state, _, to, _ in rows() if state in entered}
    assert entered == set(AttemptState)


def test_paid_is_entered_on_the_word_of_the_gateway_alone() -> None:
    """I4."""
    assert {(state, event) for state, event, to, _ in rows() if to is S.PAID} == {
        (S.SUBMITTING, events.PayConfirmed),
        (S.OFFERED, events.OrderPaid),
        (S.POLLING, events.OrderPaid),
        # A QR that yielded to a code, and was not undone.
        (S.PROVING, events.PaymentStands),
        (S.SETTLING, events.PaymentStands),
    }


def test_nothing_is_paid_that_was_cancelled_before() -> None:
    """I4: a cancel that is still on its way may take the money back later.

    The one way out is for a QR beside which no cancel may be: test_yielding.
    """
    undoing = {S.REVERSING, S.PROVING, S.SETTLING, S.REFUNDING}
    reached = set(undoing)
    for _ in AttemptState:
        reached |= {to for state, event, to, _ in rows() if state in reached and event is not events.PaymentStands}
    assert S.PAID not in reached


def test_a_code_is_submitted_from_one_state_by_one_event_and_nothing_leads_there() -> None:
    """I2: the one row that submits can be taken once."""
    submits = {
        (state, event)
        for state, table in TABLE.items()
        for event, row in table.items()
        if isinstance(row.ask[0](HELD_ATTEMPT) if row.ask else None, SubmitHeld)
    }
    assert submits == {(S.HELD, events.WayCleared)}
    assert S.HELD not in {to for _, _, to, _ in rows()}
    assert {S.SUBMITTING, S.OFFERING}.isdisjoint(to for state, _, to, _ in rows() if state is not S.HELD)


def test_unpaid_ends_are_entered_on_proof_alone() -> None:
    """I3: never on silence, on an answer nobody understands, or on time."""
    proofs = {
        S.DECLINED: {events.PayDeclined, events.RequestRefused, events.OrderClosed},
        # A held code was never sent.
        S.UNSENT: {
            events.RequestNotSent,
            events.HoldEnded,
            events.AbandonRequested,
            events.Recovered,
            events.PowerReturned,
        },
        S.REVERSED: {
            events.ReversalConfirmed,
            events.RefundConfirmed,
            events.OrderClosed,
            events.OrderReturned,
            events.OrderAbsent,
        },
    }
    found: dict[AttemptState, set[type[Event]]] = {state: set() for state in proofs}
    for _, event, to, _ in rows():
        if to in found:
            found[to].add(event)
    assert found == proofs


def test_absence_closes_an_order_at_the_last_look_only() -> None:
    """I3: an order that is unknown now may still arrive."""
    assert {state for state, event, to, _ in rows() if event is events.OrderAbsent and to.is_final} == {S.LAST_LOOK}


@pytest.mark.parametrize("event", [events.RequestNotSent, events.RequestRefused])
def test_a_request_that_did_not_run_closes_an_order_only_when_it_was_the_submit(event: type[Event]) -> None:
    """I3: that a cancel was not sent says nothing about the payment."""
    assert {state for state, cause, to, _ in rows() if cause is event and to.is_final} == {
        S.SUBMITTING,
        S.OFFERING,
        S.ABANDONING,
    }


def test_only_a_held_code_is_unsent_without_an_answer() -> None:
    causes = {(state, event) for state, event, to, _ in rows() if to is S.UNSENT and event is not events.RequestNotSent}
    assert {state for state, _ in causes} == {S.HELD}


@pytest.mark.parametrize("event", [events.Recovered, events.PowerReturned])
def test_a_restart_asks_of_every_open_state_at_once(event: type[Event]) -> None:
    """I5: whatever was under way is found out, or repeated where a repeat changes nothing."""
    for state, table in TABLE.items():
        if state is S.HELD:
            assert table[event].to is S.UNSENT, "I2: its code is gone with the process"
        elif not state.is_final:
            assert not GATEWAY_ASKS.isdisjoint(table[event].ask), state


def test_every_open_state_may_be_abandoned() -> None:
    assert all(events.AbandonRequested in table for state, table in TABLE.items() if not state.is_final)


def test_no_cycle_of_answers_asks_the_gateway_without_a_wait() -> None:
    """I11: an answer that asks again at once leads through three requests at the most, then to a clock.

    Rows of final states are left out: nothing asks about a closed order by itself.
    """
    asking: dict[AttemptState, set[AttemptState]] = {state: set() for state in AttemptState}
    for start, event, to, asks in rows():
        if asks and issubclass(event, Answer) and not start.is_final:
            asking[start].add(to)

    def longest(state: AttemptState, seen: tuple[AttemptState, ...]) -> int:
        assert state not in seen, f"a loop without a wait: {[one.value for one in (*seen, state)]}"
        return max((1 + longest(to, (*seen, state)) for to in asking[state]), default=0)

    assert max(longest(state, ()) for state in AttemptState) == 2


# --- every state, every event ----------------------------------------------------------------------------------------


@settings(deadline=None)
@given(snapshot=snapshots, now=moments)
def test_every_state_takes_or_refuses_every_event(snapshot: Attempt, now: Now) -> None:
    for kind in EVENT_TYPES:
        judged = judged_kind(snapshot, kind, now)
        row = TABLE[snapshot.state].get(judged)
        copy = Attempt(**{name: getattr(snapshot, name) for name in Attempt.__slots__})
        if row is None:
            with pytest.raises(IllegalTransition) as refusal:
                attempts.step(snapshot, make_event(kind), now=now, rules=RULES)
            assert (refusal.value.state, refusal.value.event) == (snapshot.state.value, judged.__name__)
        else:
            taken, commands = attempts.step(snapshot, make_event(kind), now=now, rules=RULES)
            asked = [command for command in commands if isinstance(command, GatewayCommand)]
            assert taken.state is row.to
            assert taken.token == snapshot.token + len(asked)
            assert all(command.token == taken.token and command.amount == AMOUNT for command in asked)
            assert not any(isinstance(command, SubmitPayment | OfferOrder) for command in commands), "I2"
            if any(isinstance(command, SubmitHeld) for command in commands):
                assert (snapshot.state, taken.state) == (S.HELD, S.SUBMITTING), "I2"
            assert (taken.client_sn, taken.sale_id, taken.amount) == (CLIENT_SN, SALE_ID, AMOUNT)
            if taken.state.is_final:
                assert attempts.next_wakeup(taken) is None
                assert taken.ended_at == now.wall
        assert snapshot == copy, "a step changes nothing in place"


def judged_kind(snapshot: Attempt, kind: type[Event], now: Now) -> type[Event]:
    """A presented code is another matter to a QR order that is with the customer than to any other.

    And what the gateway does not know is another matter when it has known it before.
    """
    if kind is events.WayCleared and now.instant >= snapshot.window_ends:
        return events.HoldEnded
    is_confirmed = bool(snapshot.facts.sn or snapshot.qr_content)
    if kind is events.OrderAbsent and is_confirmed and snapshot.state in (S.REVERSING, S.PROVING, S.SETTLING):
        return events.OrderVanished
    is_yielding = snapshot.state is S.POLLING and snapshot.kind == "qr"
    if kind is events.YieldRequested and snapshot.state is not S.OFFERED and not is_yielding:
        return events.AbandonRequested
    inconclusive = set(COMPLETIONS[QueryOrder]) - {
        events.OrderPaid,
        events.OrderClosed,
        events.OrderReturned,
        events.OrderPartlyReturned,
    }
    if kind is events.QueryFailed and now.instant < snapshot.window_ends:
        return kind
    return events.PaymentNotSeen if is_yielding and kind in inconclusive else kind
