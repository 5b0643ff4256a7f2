"""What holds for every life that an attempt can have."""

from collections import Counter
from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from terminald.core import events
from terminald.core.attempt_table import TABLE, AttemptState
from terminald.core.commands import (
    OfferOrder,
    OpenAttempt,
    OpenOffer,
    QueryOrder,
    RefundOrder,
    ReverseOrder,
    SubmitHeld,
    SubmitPayment,
)
from terminald.core.events import Event, Fault, OrderFacts
from terminald.core.ids import Duration, Instant, WallTime
from terminald.core.money import Fen
from terminald.core.schedule import HOUR, MINUTE, SECOND, Now, Rules
from tests.core.machine_builders import (
    AMOUNT,
    COMPLETIONS,
    NOON,
    OFFERING,
    OPENING,
    RULES,
    AttemptLife,
    after,
    make_answer,
)

S = AttemptState

instants = st.integers(0, 10_000_000_000).map(Instant)
walls = st.integers(1_600_000_000_000, 1_900_000_000_000).map(WallTime)
moments = st.builds(Now, instant=instants, wall=walls, is_trusted=st.booleans(), jitter=st.floats(0, 0.999))
facts = st.builds(OrderFacts, sn=st.sampled_from(["", "7894"]), net_amount=st.none() | st.integers(1, AMOUNT).map(Fen))
faults = st.none() | st.builds(Fault, code=st.just("TRADE_FAILED"), message=st.just("交易失败"))
happenings = st.sampled_from(
    ["answer", "wake", "wake late", "abandon", "yield", "clear", "recover", "power", "nothing"]
)
openings = st.sampled_from([OPENING, OFFERING, replace(OPENING, is_held=True)])


def live_on(life: AttemptLife, data: st.DataObject) -> bool:
    """Let one thing happen that can happen now; whether anything did."""
    event: Event
    match data.draw(happenings):
        case "answer" if life.in_flight:
            kind = data.draw(st.sampled_from(COMPLETIONS[type(life.in_flight)]))
            event = make_answer(kind, data.draw(facts), data.draw(faults))
            life.tell(event, later=data.draw(st.integers(0, 20_000)))
        case "wake" if life.wakeup:
            life.wake()
        case "wake late" if life.wakeup:
            life.now = after(life.now, data.draw(st.integers(0, 100_000_000)))
            life.wake()
        case "abandon":
            life.tell(events.AbandonRequested(), later=data.draw(st.integers(0, 60_000)))
        case "yield" if life.attempt.kind == "qr":
            life.tell(events.YieldRequested(), later=data.draw(st.integers(0, 60_000)))
        case "clear" if life.is_in(S.HELD):
            life.tell(events.WayCleared(), later=data.draw(st.integers(0, 20_000)))
        case "recover" | "power" as way:
            life.in_flight = None
            event = events.Recovered() if way == "recover" else events.PowerReturned()
            life.tell(event, later=data.draw(st.integers(0, 100_000_000)))
        case _:
            return False
    return True


@settings(deadline=None, max_examples=300)
@given(data=st.data(), now=moments, opening=openings)
def test_nothing_open_is_forgotten(data: st.DataObject, now: Now, opening: OpenAttempt | OpenOffer) -> None:
    """I5: an open attempt has a wake-up, or its last request is under way and every completion of it has a row."""
    life = AttemptLife(now, opening=opening)
    for _ in range(60):
        state, wakeup = life.attempt.state, life.wakeup
        if state.is_final:
            assert wakeup is None
            return
        assert wakeup or life.in_flight, f"{state} waits for nothing"
        if wakeup:
            assert type(wakeup.event) in TABLE[state]
        if life.in_flight:
            assert life.in_flight.token == life.attempt.token
            assert set(COMPLETIONS[type(life.in_flight)]) <= set(TABLE[state])
        live_on(life, data)


@settings(deadline=None, max_examples=300)
@given(data=st.data(), now=moments, opening=openings)
def test_the_sale_is_told_paid_once_or_unpaid(data: st.DataObject, now: Now, opening: OpenAttempt | OpenOffer) -> None:
    """I1, I3: once a sale was told that there is no payment, no word of a payment follows."""
    life, told = AttemptLife(now, opening=opening), list[str]()
    for _ in range(60):
        before = life.attempt
        if before.state.is_final:
            break
        sent = len(life.requests)
        if not live_on(life, data):
            continue
        asked = [command for _, command in life.requests[sent:]]
        assert len(asked) <= 1
        if life.attempt.state is S.PAID:
            told.append("paid")
        elif life.attempt.state.is_unpaid and not before.state.is_unpaid:
            told.append("unpaid")
    assert told.count("paid") <= 1
    assert "paid" not in told or told == ["paid"]


@settings(deadline=None, max_examples=200)
@given(data=st.data(), now=moments, opening=openings)
def test_a_refund_carries_one_number_for_ever(data: st.DataObject, now: Now, opening: OpenAttempt | OpenOffer) -> None:
    """I9."""
    life = AttemptLife(now, opening=opening)
    for _ in range(80):
        if life.attempt.state.is_final:
            break
        live_on(life, data)
    assert sum(isinstance(command, SubmitPayment | SubmitHeld | OfferOrder) for _, command in life.requests) <= 1, "I2"
    refunds = [command for _, command in life.requests if isinstance(command, RefundOrder)]
    assert {refund.request_no for refund in refunds} <= {"undo"}
    assert all(0 < refund.refund_amount <= AMOUNT for refund in refunds)


QUICK = Rules(
    payment_window=RULES.payment_window,
    poll_interval=Duration(2 * SECOND),
    poll_window=RULES.poll_window,
    late_lookups=(Duration(2 * SECOND), Duration(4 * SECOND)),
    qr_window=Duration(240_000),
    delivery_window=Duration(180_000),
    returns_overdue=False,
    job_lifetime=RULES.job_lifetime,
    day_offset=RULES.day_offset,
)


@settings(deadline=None, max_examples=200)
@given(data=st.data(), rules=st.sampled_from([RULES, QUICK]), now=moments, opening=st.sampled_from([OPENING, OFFERING]))
def test_an_adversary_that_answers_at_once_is_not_asked_in_a_tight_loop(
    data: st.DataObject, rules: Rules, now: Now, opening: OpenAttempt | OpenOffer
) -> None:
    """I11: at most four requests without a wait, and waits of 2 s or more between them, whatever is answered."""
    life = AttemptLife(now, rules, opening)
    for _ in range(150):
        if life.attempt.state.is_final:
            break
        if life.in_flight:
            kinds = COMPLETIONS[type(life.in_flight)]
            # An adversary that wants many requests gives no answer that ends the attempt, where it has another.
            lasting = [kind for kind in kinds if not TABLE[life.attempt.state][kind].to.is_final]
            life.tell(make_answer(data.draw(st.sampled_from(lasting or kinds))))
        else:
            life.wake()
    times = [at for at, _ in life.requests]
    for window, most in ((1, 5), (10 * SECOND, 5 * 6), (MINUTE, 5 * 31)):
        assert busiest(times, window) <= most
    submits = Counter(type(command) for _, command in life.requests)
    assert submits[SubmitPayment] + submits[OfferOrder] == 1, "I2"


@settings(deadline=None, max_examples=20)
@given(data=st.data())
def test_a_gateway_that_never_helps_is_asked_ever_less_often(data: st.DataObject) -> None:
    """I11: undoing backs off, so that a day without any usable answer costs some hundreds of requests at the most."""
    life = AttemptLife()
    life.tell(events.OutcomeUnknown())
    useless = {
        QueryOrder: (events.QueryFailed, events.OrderPending, events.OrderErrored, events.OrderPaid),
        ReverseOrder: (events.OutcomeUnknown, events.RequestNotSent, events.RequestRefused, events.ReversalPending),
        RefundOrder: (events.OutcomeUnknown, events.RequestNotSent, events.RefundPending, events.RefundRefused),
    }
    life.tell(events.AbandonRequested())
    while life.now.instant - NOON.instant < 24 * HOUR:
        if life.in_flight:
            life.tell(data.draw(st.sampled_from(useless[type(life.in_flight)]))())
        else:
            life.wake()
    assert len(life.requests) <= 2 * (24 * 12 + 20)
    assert life.attempt.attention is not None


def busiest(times: list[Instant], window: int) -> int:
    """Return how many of the ascending times lie in the fullest window of this length."""
    return max(sum(start <= at < start + window for at in times[index:]) for index, start in enumerate(times))
