"""Steps of an attempt: what an event teaches, what goes with entering a state, and when to ask next."""

from dataclasses import replace

from terminald.core.attempt_table import GATEWAY_ASKS, TABLE, Attempt, AttemptState
from terminald.core.commands import Command, OpenAttempt, OrderText, SubmitPayment
from terminald.core.events import (
    Answer,
    AnswerMismatched,
    AttentionDue,
    Event,
    LastLookDue,
    LookDue,
    OrderErrored,
    OrderFacts,
    OutcomeUnknown,
    PollDue,
    PollWindowClosed,
    PowerReturned,
    QueryFailed,
    Recovered,
    RefundRefused,
    RequestNotSent,
    RetryDue,
)
from terminald.core.money import Fen
from terminald.core.schedule import (
    RECOVERY_GRACE,
    REVERSAL_ATTENTION_AFTER,
    Now,
    Rules,
    late_looks,
    later,
    retry_delay,
)
from terminald.core.tables import Attention, Wakeup, find_row

#: Money is on its way back, or must be found first.
_UNDOING = frozenset({AttemptState.REVERSING, AttemptState.PROVING, AttemptState.SETTLING, AttemptState.REFUNDING})
_UNANSWERED = (QueryFailed, RequestNotSent, OutcomeUnknown)
_ATTENTION: dict[type[Event], str] = {
    AnswerMismatched: "answer_mismatch",
    OrderErrored: "order_errored",
    RefundRefused: "refund_refused",
    AttentionDue: "reversal_open",
}


def begin(
    opening: OpenAttempt, *, amount: Fen, text: OrderText, now: Now, rules: Rules
) -> tuple[Attempt, SubmitPayment]:
    """Create an attempt together with its one submit, to be performed after the attempt is on disk (I2)."""
    attempt = Attempt(
        client_sn=opening.client_sn,
        sale_id=opening.sale_id,
        kind="scan",
        amount=amount,
        operator=text.operator,
        code_masked=opening.code.masked,
        code_digest=opening.digest,
        state=AttemptState.SUBMITTING,
        token=1,
        facts=OrderFacts(),
        fault=None,
        started=now.instant,
        started_at=now.wall,
        ended_at=None,
        window_ends=later(now.instant, rules.poll_window),
        retry=None,
        tries=0,
        is_unanswered=False,
        undoing_since=None,
        looks=(),
        attention=None,
    )
    submit = SubmitPayment(client_sn=opening.client_sn, token=1, amount=amount, code=opening.code, text=text)
    return attempt, submit


def step(attempt: Attempt, event: Event, *, now: Now, rules: Rules) -> tuple[Attempt, tuple[Command, ...]]:
    """Take one step.

    Raises:
        IllegalTransition: the table has no such row; nothing was changed.
    """
    row = find_row(TABLE, attempt.state, event)
    asks_gateway = not GATEWAY_ASKS.isdisjoint(row.ask)
    after = _learn(attempt, event, now)
    after = replace(after, state=row.to, token=after.token + asks_gateway)
    after = _enter(attempt.state, after, now, rules)
    after = _arrange(after, event, now, rules, is_waiting=asks_gateway)
    return after, tuple(ask(after) for ask in row.ask)


def _learn(attempt: Attempt, event: Event, now: Now) -> Attempt:
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
            ),
            fault=event.fault or attempt.fault,
            is_unanswered=isinstance(event, _UNANSWERED),
        )
    if isinstance(event, Recovered | PowerReturned):
        attempt = replace(attempt, is_unanswered=True)
    code = _ATTENTION.get(type(event))
    if code and not attempt.attention:
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
    if isinstance(event, Recovered | PowerReturned):
        grace = later(now.instant, min(RECOVERY_GRACE, rules.poll_window))
        after = replace(after, window_ends=max(after.window_ends, grace))
    if is_waiting or state.is_final or state in (AttemptState.SUBMITTING, AttemptState.ABANDONING):
        return replace(after, retry=None)
    if not isinstance(event, Answer):
        return after
    if state is AttemptState.POLLING:
        return replace(after, retry=later(now.instant, rules.poll_interval))
    if state is AttemptState.WATCHING and not after.is_unanswered:
        return replace(after, retry=None, tries=0)
    delay = retry_delay(after.tries, now.jitter)
    return replace(after, retry=later(now.instant, delay), tries=after.tries + 1)


def next_wakeup(attempt: Attempt) -> Wakeup | None:
    """Return the one next moment at which this attempt wants an event; None when it waits for a completion or is final.

    Deterministic: of equal moments the one that stands first here.
    """
    state, times = attempt.state, list[Wakeup]()
    if state is AttemptState.POLLING:
        times.append(Wakeup(at=attempt.window_ends, event=PollWindowClosed()))
    if attempt.retry is not None:
        times.append(Wakeup(at=attempt.retry, event=_retry_event(state)))
    if state is AttemptState.WATCHING and attempt.looks:
        look: Event = LookDue() if len(attempt.looks) > 1 else LastLookDue()
        times.append(Wakeup(at=attempt.looks[0], event=look))
    if attempt.undoing_since is not None and not attempt.attention:
        times.append(Wakeup(at=later(attempt.undoing_since, REVERSAL_ATTENTION_AFTER), event=AttentionDue()))
    return min(times, key=lambda wakeup: wakeup.at, default=None)


def _retry_event(state: AttemptState) -> Event:
    if state is AttemptState.POLLING:
        return PollDue()
    return LookDue() if state is AttemptState.WATCHING else RetryDue()
