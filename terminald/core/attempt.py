"""Steps of an attempt: what an event teaches, what goes with entering a state, and when to ask next."""

from dataclasses import replace

from terminald.core.attempt_table import GATEWAY_ASKS, TABLE, Attempt, AttemptState
from terminald.core.commands import Command, OfferOrder, OpenAttempt, OpenOffer, OrderText, SubmitPayment
from terminald.core.events import (
    AbandonRequested,
    Answer,
    AnswerMismatched,
    AttentionDue,
    Event,
    HoldEnded,
    LastLookDue,
    LookDue,
    OfferExpired,
    OrderAbsent,
    OrderErrored,
    OrderFacts,
    OrderPending,
    OrderVanished,
    OutcomeUnknown,
    PaymentNotSeen,
    PollDue,
    PollWindowClosed,
    PowerReturned,
    QrOffered,
    QueryFailed,
    Recovered,
    RefundRefused,
    RequestNotSent,
    RequestRefused,
    RetryDue,
    ReversalRefused,
    WayCleared,
    YieldRequested,
)
from terminald.core.ids import ClientSn, Instant, SaleId
from terminald.core.money import Fen
from terminald.core.schedule import (
    ASKING_PATIENCE,
    HOLD_LONGEST,
    REVERSAL_ATTENTION_AFTER,
    Now,
    Rules,
    late_looks,
    later,
    offer_poll,
    retry_delay,
)
from terminald.core.tables import Attention, Wakeup, find_row

#: Money is on its way back, or must be found first.
_UNDOING = frozenset({AttemptState.REVERSING, AttemptState.PROVING, AttemptState.SETTLING, AttemptState.REFUNDING})
#: What proves neither that a QR order is paid nor that it is closed.
_NOT_SEEN = (OrderPending, OrderErrored, OrderAbsent, AnswerMismatched, QueryFailed)
#: Where the gateway's not knowing an order would make it unpaid.
_DOUBTED = frozenset({AttemptState.REVERSING, AttemptState.PROVING, AttemptState.SETTLING})
#: With the customer: asked about regularly, until the window closes.
_POLLED = frozenset({AttemptState.POLLING, AttemptState.OFFERED})
OPEN_TOO_LONG = "reversal_open"
#: Where a QR that yields to a code may still turn out to be paid.
_YIELDING = frozenset({AttemptState.POLLING, AttemptState.REVERSING, AttemptState.PROVING, AttemptState.SETTLING})
#: Completions of a cancel that prove that it changed nothing, and never will.
_CLEARLY_NOT_RUN = (ReversalRefused, RequestRefused, RequestNotSent)
_UNANSWERED = (QueryFailed, RequestNotSent, OutcomeUnknown)
_ATTENTION: dict[type[Event], str] = {
    AnswerMismatched: "answer_mismatch",
    OrderErrored: "order_errored",
    OrderVanished: "order_lost",
    RefundRefused: "refund_refused",
    AttentionDue: OPEN_TOO_LONG,
}


#: Nothing was sent, or the answer to what was sent is awaited.
_WAITING = frozenset({AttemptState.HELD, AttemptState.SUBMITTING, AttemptState.OFFERING, AttemptState.ABANDONING})


def begin(
    opening: OpenAttempt, *, amount: Fen, text: OrderText, now: Now, rules: Rules
) -> tuple[Attempt, SubmitPayment | None]:
    """Create an attempt together with its one submit, to be performed after the attempt is on disk (I2).

    Where its code is held there is none yet: :class:`SubmitHeld` asks for it once the way is clear.
    """
    new = _new(opening.client_sn, opening.sale_id, amount=amount, operator=text.operator, now=now)
    attempt = replace(
        new,
        kind="scan",
        code_masked=opening.code.masked,
        code_digest=opening.digest,
        state=AttemptState.HELD if opening.is_held else AttemptState.SUBMITTING,
        window_ends=later(now.instant, HOLD_LONGEST if opening.is_held else rules.poll_window),
    )
    if opening.is_held:
        return attempt, None
    submit = SubmitPayment(client_sn=opening.client_sn, token=1, amount=amount, code=opening.code, text=text)
    return attempt, submit


def begin_offer(
    opening: OpenOffer, *, amount: Fen, payway: str, text: OrderText, now: Now
) -> tuple[Attempt, OfferOrder]:
    """Create a QR order together with its one pre-create, to be performed after it is on disk (I2)."""
    new = _new(opening.client_sn, opening.sale_id, amount=amount, operator=text.operator, now=now)
    attempt = replace(new, kind="qr", state=AttemptState.OFFERING, window_ends=opening.ends)
    return attempt, OfferOrder(client_sn=opening.client_sn, token=1, amount=amount, payway=payway, text=text)


def _new(client_sn: ClientSn, sale_id: SaleId, *, amount: Fen, operator: str, now: Now) -> Attempt:
    return Attempt(
        client_sn=client_sn,
        sale_id=sale_id,
        kind="",
        amount=amount,
        operator=operator,
        code_masked="",
        code_digest="",
        state=AttemptState.HELD,
        token=1,
        facts=OrderFacts(),
        fault=None,
        started=now.instant,
        started_at=now.wall,
        ended_at=None,
        window_ends=now.instant,
        retry=None,
        tries=0,
        is_unanswered=False,
        undoing_since=None,
        looks=(),
        attention=None,
    )


def step(attempt: Attempt, event: Event, *, now: Now, rules: Rules) -> tuple[Attempt, tuple[Command, ...]]:
    """Take one step.

    Raises:
        IllegalTransition: the table has no such row; nothing was changed.
    """
    judged = _judged(attempt, event, now)
    row = find_row(TABLE, attempt.state, judged)
    asks_gateway = not GATEWAY_ASKS.isdisjoint(row.ask)
    after = _raise_alarm(_learn(attempt, event), event, judged, now)
    window_ends = _window(attempt, judged, now, rules)
    after = replace(after, state=row.to, token=after.token + asks_gateway, window_ends=window_ends)
    after = replace(after, is_yielding=_yields(attempt, event, row.to))
    after = _enter(attempt.state, after, now, rules)
    after = _arrange(after, event, now, rules, is_waiting=asks_gateway)
    return after, tuple(ask(after) for ask in row.ask)


def _judged(attempt: Attempt, event: Event, now: Now) -> Event:
    """Tell apart what the same event means for a QR order that is asked about for the last time: it is not polled on.

    One that is not with the customer yet, or is being undone already, can not have been paid for the sale. A way that
    is cleared too late (the journal could not be written) is none: whoever presented the code may be gone.
    """
    if isinstance(event, WayCleared) and now.instant >= attempt.window_ends:
        return HoldEnded()
    if isinstance(event, OrderAbsent) and attempt.state in _DOUBTED and _is_confirmed(attempt):
        return OrderVanished(facts=event.facts, fault=event.fault)
    is_ending = _is_ending(attempt)
    if isinstance(event, YieldRequested) and attempt.state is not AttemptState.OFFERED and not is_ending:
        return AbandonRequested()
    may_ask_again = isinstance(event, QueryFailed) and now.instant < attempt.window_ends
    if is_ending and isinstance(event, _NOT_SEEN) and not may_ask_again:
        return PaymentNotSeen(facts=event.facts, fault=event.fault)
    return event


def _yields(attempt: Attempt, event: Event, to: AttemptState) -> bool:
    """Whether a payment would still stand: it is undone for a presented code alone, and no cancel may be on its way.

    An unclear cancel may arrive yet and undo it, whatever a query says until then. A second one is not judged any more.
    """
    if isinstance(event, YieldRequested) and attempt.state is AttemptState.OFFERED:
        return True
    if isinstance(event, AbandonRequested | OfferExpired | Recovered | PowerReturned):
        return False
    is_unclear = (
        attempt.state is AttemptState.REVERSING
        and isinstance(event, Answer)
        and not isinstance(event, _CLEARLY_NOT_RUN)
    )
    is_second = to is AttemptState.REVERSING and attempt.state in (AttemptState.PROVING, AttemptState.SETTLING)
    return attempt.is_yielding and to in _YIELDING and not is_unclear and not is_second


def _is_ending(attempt: Attempt) -> bool:
    """Whether it is a QR that is not shown any more, and may have been paid before."""
    return attempt.state is AttemptState.POLLING and attempt.kind == "qr"


def _is_confirmed(attempt: Attempt) -> bool:
    """Whether the gateway has ever said that it has the order."""
    return bool(attempt.facts.sn or attempt.qr_content)


def _window(attempt: Attempt, event: Event, now: Now, rules: Rules) -> Instant:
    """Return until when the gateway is asked. The end of a QR that can be paid is a promise, and never moved."""
    patience = later(now.instant, min(ASKING_PATIENCE, rules.poll_window))
    match event:
        case WayCleared():
            return later(now.instant, rules.poll_window)
        case OfferExpired():
            return patience
        case YieldRequested():
            # The code that was presented does not live long: the next answer decides, also when there is none.
            return now.instant
        case Recovered() | PowerReturned() if attempt.state is not AttemptState.OFFERED:
            return max(attempt.window_ends, patience)
    return attempt.window_ends


def _learn(attempt: Attempt, event: Event) -> Attempt:
    """Keep what the event says beside its type."""
    if isinstance(event, Answer):
        known, said = attempt.facts, event.facts
        attempt = replace(
            attempt,
            facts=OrderFacts(
                sn=said.sn or known.sn,
                trade_no=said.trade_no or known.trade_no,
                payway=said.payway or known.payway,
                finish_time=said.finish_time or known.finish_time,
                net_amount=known.net_amount if said.net_amount is None else said.net_amount,
                client_tsn=said.client_tsn or known.client_tsn,
            ),
            fault=event.fault or attempt.fault,
            is_unanswered=isinstance(event, _UNANSWERED),
        )
    if isinstance(event, QrOffered):
        attempt = replace(attempt, qr_content=event.content)
    if isinstance(event, Recovered | PowerReturned):
        attempt = replace(attempt, is_unanswered=True)
    return attempt


def _raise_alarm(attempt: Attempt, event: Event, judged: Event, now: Now) -> Attempt:
    """Call a person where what was said, or what it means, needs one."""
    code = _ATTENTION.get(type(event)) or _ATTENTION.get(type(judged))
    if code and not attempt.attention and code not in attempt.attention_closed:
        attempt = replace(attempt, attention=Attention(code=code, since=now.instant))
    return attempt


def _enter(before: AttemptState, after: Attempt, now: Now, rules: Rules) -> Attempt:
    """Set what goes with entering a state."""
    state = after.state
    if state is before:
        return after
    if state in _UNDOING and after.undoing_since is None:
        return replace(after, undoing_since=now.instant, tries=0, ended_at=None)
    if state is AttemptState.WATCHING:
        return replace(after, undoing_since=None, attention=None, tries=0, looks=late_looks(now, rules))
    if state is AttemptState.LAST_LOOK:
        return replace(after, looks=(), tries=0)
    if state.is_final:
        return replace(after, undoing_since=None, attention=None, looks=(), ended_at=now.wall)
    return after


def _arrange(after: Attempt, event: Event, now: Now, rules: Rules, *, is_waiting: bool) -> Attempt:
    """Set the next time to ask: none while a completion is awaited, or where the state has a clock of its own."""
    state = after.state
    if state is AttemptState.WATCHING:
        after = replace(after, looks=tuple(look for look in after.looks if look > now.instant) or after.looks[-1:])
    if is_waiting or state.is_final or state in _WAITING:
        return replace(after, retry=None)
    if not isinstance(event, Answer):
        return after
    if state is AttemptState.POLLING:
        return replace(after, retry=later(now.instant, rules.poll_interval))
    if state is AttemptState.OFFERED:
        return replace(after, retry=later(now.instant, offer_poll(now.instant - after.started)))
    if state is AttemptState.WATCHING and not after.is_unanswered:
        return replace(after, retry=None, tries=0)
    delay = retry_delay(after.tries, now.jitter)
    return replace(after, retry=later(now.instant, delay), tries=after.tries + 1)


def next_wakeup(attempt: Attempt) -> Wakeup | None:
    """Return the one next moment at which this attempt wants an event; None when it waits for a completion or is final.

    Deterministic: of equal moments the one that stands first here.
    """
    state, times = attempt.state, list[Wakeup]()
    if state is AttemptState.OFFERED:
        times.append(Wakeup(at=attempt.window_ends, event=OfferExpired()))
    if state is AttemptState.POLLING and not _is_ending(attempt):
        times.append(Wakeup(at=attempt.window_ends, event=PollWindowClosed()))
    if state is AttemptState.HELD:
        times.append(Wakeup(at=attempt.window_ends, event=HoldEnded()))
    if attempt.retry is not None:
        times.append(Wakeup(at=attempt.retry, event=_retry_event(state)))
    if state is AttemptState.WATCHING and attempt.looks:
        look: Event = LookDue() if len(attempt.looks) > 1 else LastLookDue()
        times.append(Wakeup(at=attempt.looks[0], event=look))
    is_told = attempt.attention is not None or OPEN_TOO_LONG in attempt.attention_closed
    if attempt.undoing_since is not None and not is_told:
        times.append(Wakeup(at=later(attempt.undoing_since, REVERSAL_ATTENTION_AFTER), event=AttentionDue()))
    return min(times, key=lambda wakeup: wakeup.at, default=None)


def _retry_event(state: AttemptState) -> Event:
    if state in _POLLED:
        return PollDue()
    return LookDue() if state is AttemptState.WATCHING else RetryDue()
