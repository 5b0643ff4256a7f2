"""What holds for the refund's table as a whole, and for every life that a refund can have."""

from collections.abc import Iterator
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from terminald.core import events, return_events
from terminald.core import refund as refunds
from terminald.core.commands import EnqueuePrint, GatewayCommand, QueryOrder, RefundOrder, RevokeOrder, TellSale
from terminald.core.events import Event, Fault, OrderFacts
from terminald.core.ids import Duration, Instant
from terminald.core.money import Fen
from terminald.core.refund import Asked
from terminald.core.refund_answers import UNHEARD
from terminald.core.refund_table import FINAL, GATEWAY_ASKS, TABLE, Refund, RefundState
from terminald.core.return_events import RefundFailed
from terminald.core.schedule import HOUR, LATE_REQUEST, MINUTE, SECOND
from terminald.core.tables import Attention
from terminald.errors import IllegalTransition
from tests.core.machine_builders import (
    AMOUNT,
    CLIENT_SN,
    COMPLETIONS,
    EVENT_TYPES,
    NOON,
    after,
    make_answer,
    make_event,
)
from tests.core.refund_life import (
    OWED,
    OWED_PART,
    PART_ASKED,
    REFUND_TURN,
    RETURN_ASKED,
    REVOKE_ASKED,
    REVOKE_TURN,
    K,
    RefundLife,
    S,
)

ASKED = (PART_ASKED, REVOKE_ASKED, RETURN_ASKED, OWED, OWED_PART)
instants = st.integers(0, 10_000_000_000).map(Instant)
asked_for = st.sampled_from(ASKED)
facts = st.builds(
    OrderFacts,
    net_amount=st.none() | st.integers(1, AMOUNT).map(Fen),
    client_tsn=st.sampled_from(["", CLIENT_SN, f"{CLIENT_SN}-r1", f"{CLIENT_SN}-r2"]),
)
faults = st.none() | st.builds(
    Fault,
    code=st.sampled_from(["ACCOUNT_BALANCE_NOT_ENOUGH", "UPAY_TCP_ORDER_NOT_REFUNDABLE", "OTHER"]),
    message=st.just(""),
)
snapshots = st.builds(
    replace,
    asked_for.map(lambda asked: RefundLife(asked).refund),
    state=st.sampled_from(RefundState),
    token=st.integers(0, 1000),
    fault=faults,
    refusal=st.sampled_from(["", "OTHER", "ACCOUNT_BALANCE_NOT_ENOUGH", UNHEARD]),
    opened=instants,
    retry=st.none() | instants,
    tries=st.integers(0, 100),
    unclear=st.none() | instants,
    attention=st.none() | st.just(Attention(code="order_errored", since=NOON.instant)),
    attention_closed=st.sampled_from([(), ("refund_open",)]),
)


def rows() -> Iterator[tuple[RefundState, type[Event], RefundState]]:
    for state, table in TABLE.items():
        for event, row in table.items():
            yield state, event, row.to


# --- the table -------------------------------------------------------------------------------------------------------


def test_states_say_what_they_are() -> None:
    assert set(TABLE) == set(S)
    assert {state for state in S if state.is_final} == FINAL == {S.DONE, S.REFUSED, S.CLOSED}
    assert {state for state, table in TABLE.items() if not table} == FINAL
    assert {state for state in S if state.is_asking} == {S.REVOKING, S.CHECKING, S.REFUNDING, S.PROVING}


def test_every_state_can_reach_an_end_without_a_person_or_a_restart() -> None:
    """I5."""
    outside = (return_events.ClosedByHand, events.Recovered, events.PowerReturned)
    reaches_end = set(FINAL)
    for _ in S:
        reaches_end |= {state for state, event, to in rows() if to in reaches_end and event not in outside}
    assert reaches_end == set(S)


def test_every_state_can_be_entered() -> None:
    entered = {S.QUEUED}
    for _ in S:
        entered |= {to for state, _, to in rows() if state in entered}
    assert entered == set(S)


def test_done_is_entered_on_a_proof_alone() -> None:
    assert {(state, event) for state, event, to in rows() if to is S.DONE} == {
        (S.QUEUED, return_events.NothingLeft),
        (S.BLOCKED, return_events.NothingLeft),
        (S.PROVING, return_events.RefundNeedless),
        (S.REVOKING, events.ReversalConfirmed),
        (S.CHECKING, return_events.RefundAccounted),
        (S.REFUNDING, events.RefundConfirmed),
        (S.PROVING, return_events.RefundAccounted),
    }


def test_refused_is_entered_by_the_orders_state_alone_or_without_a_request() -> None:
    """An earlier try may have been carried out."""
    causes = {(state, event) for state, event, to in rows() if to is S.REFUSED}
    asked = {(state, return_events.RefundDenied) for state in (S.CHECKING, S.PROVING)}
    unsent = (return_events.TurnMissed, return_events.ReturnCalledOff)
    unasked = {(state, event) for state in (S.QUEUED, S.BLOCKED) for event in unsent}
    assert causes == asked | unasked | {(S.PROVING, return_events.RefundOvertaken)}


def test_nothing_is_sent_before_its_turn() -> None:
    """One request about an order's money at a time."""
    turns = (return_events.RevokeTurn, return_events.RefundTurn, return_events.LookTurn, return_events.RevokeLookTurn)
    for state, event, to in rows():
        if not state.is_asking and to.is_asking:
            assert (state, event in turns) == (S.QUEUED, True)


@pytest.mark.parametrize("event", [events.Recovered, events.PowerReturned])
def test_a_restart_asks_wherever_money_may_have_moved(event: type[Event]) -> None:
    """I5, I9: a query, never a repeat."""
    life = RefundLife().refund
    for state, table in TABLE.items():
        if state.is_asking:
            (ask,) = table[event].ask
            assert isinstance(ask(life), QueryOrder)
        elif not state.is_final:
            assert table[event].to is state
            assert not table[event].ask


def test_every_end_is_told_to_the_sale() -> None:
    life = RefundLife().refund
    for table in TABLE.values():
        for row in table.values():
            tells = [ask(life) for ask in row.ask if isinstance(ask(life), TellSale)]
            assert len(tells) == row.to.is_final
            assert any(isinstance(ask(life), EnqueuePrint) for ask in row.ask) <= (row.to is S.DONE)


# --- every state, every event ----------------------------------------------------------------------------------------

_OF_AN_ORDER: set[type[Event]] = {
    return_events.RefundAccounted,
    return_events.RefundMissing,
    return_events.RefundDenied,
    return_events.RefundDoubted,
    return_events.RefundOvertaken,
    return_events.RefundNeedless,
    return_events.RefundHeldUp,
    return_events.RefundTurn,
}
#: Not believed while an earlier try may still arrive.
_REFUSALS: tuple[type[Event], ...] = (
    return_events.RefundDenied,
    return_events.RefundOvertaken,
    return_events.RefundNeedless,
    return_events.RefundMissing,
    return_events.RefundHeldUp,
    return_events.RevokeLapsed,
)
#: What the same answer can mean for a refund that asked, beside itself.
_JUDGED: dict[type[Event], set[type[Event]]] = {
    events.ReversalRefused: {return_events.RevokeRefused},
    events.OrderClosed: _OF_AN_ORDER | {return_events.RefundAccounted},
    events.OrderReturned: _OF_AN_ORDER | {return_events.RefundAccounted},
    events.OrderErrored: {
        return_events.OrderStuck,
        return_events.RefundTurn,
        return_events.RevokeLapsed,
        return_events.RefundDoubted,
    },
    events.OrderPaid: _OF_AN_ORDER,
    events.OrderPartlyReturned: _OF_AN_ORDER,
    events.OrderAbsent: {return_events.OrderGone},
    **{one: {return_events.RefundDoubted} for one in _REFUSALS},
}


def meanings_of(snapshot: Refund, kind: type[Event]) -> set[type[Event]]:
    """What an event can be judged to be in this state."""
    is_told_so = kind in _REFUSALS
    return {kind} | (_JUDGED.get(kind, set()) if snapshot.state.is_asking or is_told_so else set())


@settings(deadline=None, max_examples=300)
@given(snapshot=snapshots, says=facts, fault=faults)
def test_every_state_takes_or_refuses_every_event(snapshot: Refund, says: OrderFacts, fault: Fault | None) -> None:
    for kind in EVENT_TYPES:
        if kind in _REFUSALS and kind not in TABLE[snapshot.state]:
            continue  # what the machine makes of an answer elsewhere, and nobody tells it
        event = make_answer(kind, says, fault) if issubclass(kind, events.Answer) else make_event(kind)
        meanings = meanings_of(snapshot, kind)
        possible = {TABLE[snapshot.state][meaning].to for meaning in meanings if meaning in TABLE[snapshot.state]}
        if not possible:
            with pytest.raises(IllegalTransition) as refusal:
                refunds.step(snapshot, event, now=NOON)
            assert refusal.value.state == snapshot.state.value
            assert refusal.value.event in {meaning.__name__ for meaning in meanings}
            continue
        taken, commands = refunds.step(snapshot, event, now=NOON)
        asked = [command for command in commands if isinstance(command, GatewayCommand)]
        assert taken.state in possible
        assert taken.token == snapshot.token + len(asked)
        assert len(asked) <= 1
        assert all(
            (command.token, command.amount, command.refund_id) == (taken.token, AMOUNT, taken.id) for command in asked
        )
        assert (taken.id, taken.request_no, taken.is_owed) == (snapshot.id, snapshot.request_no, snapshot.is_owed)
        is_told_so = kind in (*_REFUSALS, return_events.TurnMissed, return_events.ReturnCalledOff)
        assert not taken.is_owed or taken.state is not S.REFUSED or is_told_so
        if taken.state.is_final:
            assert (refunds.next_wakeup(taken), taken.ended_at) == (None, NOON.wall)


def test_what_is_asked_of_the_gateway_is_known() -> None:
    life = RefundLife().refund
    for table in TABLE.values():
        for row in table.values():
            asks = {ask for ask in row.ask if isinstance(ask(life), GatewayCommand)}
            assert asks <= GATEWAY_ASKS
            assert len(asks) <= 1


# --- every life ------------------------------------------------------------------------------------------------------


def live_on(life: RefundLife, data: st.DataObject) -> None:
    """Let one thing happen that can happen now."""
    happening = data.draw(st.sampled_from(["answer", "answer", "wake", "turn", "recover", "power"]))
    match happening:
        case "answer" if life.in_flight:
            kind = data.draw(st.sampled_from(COMPLETIONS[type(life.in_flight)]))
            life.tell(make_answer(kind, data.draw(facts), data.draw(faults)), later=data.draw(st.integers(0, 20_000)))
        case "wake" if life.wakeup:
            life.now = after(life.now, data.draw(st.sampled_from([0, 0, MINUTE, HOUR])))
            life.wake()
        case "turn" if life.is_in(S.QUEUED):
            may_revoke = life.refund.kind is not K.REFUND
            life.tell(REVOKE_TURN if may_revoke and data.draw(st.booleans()) else REFUND_TURN)
        case "recover" | "power":
            life.in_flight = None
            event = events.Recovered() if happening == "recover" else events.PowerReturned()
            life.tell(event, later=data.draw(st.integers(0, 100_000_000)))


@settings(deadline=None, max_examples=300)
@given(data=st.data(), asked=asked_for)
def test_nothing_open_is_forgotten_and_one_number_is_kept(data: st.DataObject, asked: Asked) -> None:
    """I5, I9: an open refund has a clock, its request is under way and every completion has a row, or it is queued."""
    life = RefundLife(asked)
    for _ in range(60):
        state, wakeup = life.refund.state, life.wakeup
        if state.is_final:
            assert wakeup is None
            break
        assert life.refund.retry is not None or life.in_flight or state is S.QUEUED, f"{state} waits for nothing"
        assert (state is S.QUEUED) <= (life.refund.retry is None)
        if wakeup:
            assert type(wakeup.event) in TABLE[state]
        if life.in_flight:
            assert life.in_flight.token == life.refund.token
        live_on(life, data)
    sent = [command for _, command in life.requests if isinstance(command, RefundOrder)]
    assert {command.request_no for command in sent} <= {"r1"}
    assert all(0 < command.refund_amount <= asked.amount for command in sent)
    if asked.kind is K.REFUND:
        assert not any(isinstance(command, RevokeOrder) for _, command in life.requests)
    if asked.is_owed:
        assert not life.is_in(S.REFUSED)


@settings(deadline=None, max_examples=300)
@given(data=st.data(), asked=asked_for)
def test_whoever_is_told_of_a_refusal_gets_no_money_later(data: st.DataObject, asked: Asked) -> None:
    """I9: no request without a clear answer can still be on its way."""
    life, unclear = RefundLife(asked), NOON.instant - LATE_REQUEST
    for _ in range(60):
        if life.refund.state.is_final:
            break
        is_moving = isinstance(life.in_flight, RefundOrder | RevokeOrder)
        live_on(life, data)
        answered = life.in_flight is None or not isinstance(life.in_flight, RefundOrder | RevokeOrder)
        if is_moving and answered and life.refund.unclear is not None:
            unclear = max(unclear, life.refund.unclear)
    if life.is_in(S.REFUSED):
        assert life.now.instant >= unclear + LATE_REQUEST


@settings(deadline=None, max_examples=300)
@given(data=st.data(), asked=asked_for, fault=faults)
def test_an_adversary_that_answers_at_once_is_not_asked_in_a_tight_loop(
    data: st.DataObject, asked: Asked, fault: Fault | None
) -> None:
    """I11: at most five requests without a wait, and waits of 2 s or more between them, whatever is answered."""
    life = RefundLife(asked)
    for _ in range(150):
        if life.refund.state.is_final:
            break
        if life.is_in(S.QUEUED):
            life.tell(REVOKE_TURN if asked.kind is not K.REFUND else REFUND_TURN)
        elif life.in_flight:
            kinds = COMPLETIONS[type(life.in_flight)]
            kind = data.draw(st.sampled_from(kinds))
            life.tell(make_answer(kind, data.draw(facts), fault))
        else:
            life.wake()
    times = [at for at, _ in life.requests]
    for window, most in ((1, 5), (10 * SECOND, 5 * 6), (Duration(MINUTE), 5 * 31)):
        assert max((sum(at <= one < at + window for one in times) for at in times), default=0) <= most


def test_a_gateway_that_is_stuck_is_asked_ever_less_often() -> None:
    """I11: refused, and in an error of the gateway's own, for a day."""
    for asked, first in ((PART_ASKED, REFUND_TURN), (REVOKE_ASKED, REVOKE_TURN), (OWED, REVOKE_TURN)):
        life = RefundLife(asked, first)
        while life.now.instant - NOON.instant < 24 * HOUR:
            match life.in_flight:
                case RefundOrder():
                    life.tell(events.RefundRefused())
                case RevokeOrder():
                    life.tell(events.ReversalRefused())
                case QueryOrder():
                    life.tell(events.OrderErrored())
                case _:
                    life.wake()
        assert len(life.requests) <= 3 * (24 * 12 + 20)
        assert life.refund.attention is not None


def test_a_failed_refund_says_how_much_stays() -> None:
    life = RefundLife(PART_ASKED, REFUND_TURN, events.RefundRefused())
    (report,) = life.tell(events.OrderPaid())
    assert isinstance(report, TellSale)
    assert report.event == RefundFailed(refund_id=life.refund.id, amount=PART_ASKED.amount)
