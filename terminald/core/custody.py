"""Steps of the key's custody: what an event teaches, what goes with entering a state, and when to act next."""

from dataclasses import replace
from typing import Final

from terminald.core.commands import Command
from terminald.core.custody_events import (
    CheckinNotSent,
    CheckinRefused,
    CheckinRequested,
    ClockTrusted,
    CustodyAnswer,
    KeyAccepted,
    KeyLifeEnded,
    KeyUnanswered,
    LastCheckinFailed,
    LastKeyAccepted,
    PreviousKeyAccepted,
    PreviousKeyHolds,
    ProofDue,
    RenewalClear,
    RenewalDue,
    RenewalOverdue,
)
from terminald.core.custody_learning import ASKING, LOST, MOST_UNANSWERED, learn, longest_outage
from terminald.core.custody_table import TABLE, Custody, CustodyState, Rotation
from terminald.core.events import Event, PowerReturned
from terminald.core.ids import Duration, Instant, WallTime
from terminald.core.schedule import DAY, HOUR, MINUTE, Now, Rules, later
from terminald.core.tables import Attention, Wakeup, find_row
from terminald.core.terminal import Terminal

#: "A key is valid for at most 48 hours" (Web API documents, check-in).
KEY_LIFE: Final = Duration(2 * DAY)
#: "At least once a day" (same).
RENEW_AFTER: Final = DAY
#: No check-in follows another sooner, unless a person asks: one that was held up in the network is then long gone.
LEAST_WAIT: Final = Duration(6 * HOUR)
#: Not even a person gets one sooner: a check-in that arrives after its successor would make our key the gateway's last.
SETTLE: Final = Duration(10 * MINUTE)
#: Where the configured time of day lies outside of the day after a renewal, the next one is brought forward by so much
#: that the one after it can keep the time.
BROUGHT_FORWARD: Final = Duration(18 * HOUR)
#: A gateway that has not been heard for so long is away: that is an outage, and no lost message.
OUTAGE_AFTER: Final = Duration(20 * MINUTE)
#: A proof outranks the arithmetic of ages for so long.
PROOF_HOLDS: Final = HOUR
#: The first wait between two proofs; doubled each time.
PROOF_FIRST: Final = MINUTE
#: The longest: a gateway that was away is asked at once when the link comes back.
PROOF_LONGEST: Final = Duration(30 * MINUTE)
#: How soon after a boot with an unknown time of day the key is due, as nobody knows how old it is: a slow network has
#: its link by then, and the first answer tells the time of day; then the age is known, or the key is due at once.
BOOT_GRACE: Final = Duration(10 * MINUTE)

#: A current key that is refused, while the previous one is accepted, is given up after so many proofs…
REFUSALS: Final = 5
#: …and not before so long after the first: a gateway whose machines do not agree yet does by then.
REFUSAL_LASTS: Final = PROOF_LONGEST
#: A key of this age goes before any sale, for some seconds: on a busy terminal no moment may be quiet for long enough.
URGENT_AFTER: Final = Duration(30 * HOUR)
#: A person is called for a key of this age: twelve hours are left, and the trouble has lasted for as long.
OVERDUE_AFTER: Final = Duration(36 * HOUR)
#: …but not within this after the power came back, or the key became due: it may be renewed at once.
OVERDUE_GRACE: Final = HOUR

_S = CustodyState
_RENEWED: Final = frozenset({_S.UNPROVEN, _S.FRESH})
#: Calls that a lost answer does not take back.
_LASTING: Final = frozenset({"key_unproven", "checkin_overdue"})
_ATTENTION: Final = {
    _S.STOPPED: "checkin_stopped",
    _S.EXPIRED: "key_expired",
    _S.LOCKED_OUT: "key_locked_out",
}


def begin(terminal: Terminal, *, now: Now, rules: Rules) -> Custody:
    """Take an identity into custody that has none yet: after an activation, or from a journal of an older release.

    Its age is believed between nothing and a day: a clock that was set since then can neither postpone the first
    renewal nor make the key expire.
    """
    age = min(max(now.wall - terminal.rotated_at, 0), DAY)
    rotated = later(now.instant, -age)
    return Custody(
        terminal=terminal,
        rotation=Rotation(
            state=CustodyState.UNPROVEN,
            token=0,
            version=1,
            previous_version=None if terminal.previous_key is None else 0,
            rotated=rotated,
            is_rotated_at_trusted=False,
            asked=None,
            unanswered=0,
            proven=None,
            due=_next_renewal(rotated, now, rules),
            not_before=now.instant,
            retry=now.instant,
            tries=0,
            attention=None,
            fault=None,
        ),
    )


def step(custody: Custody, event: Event, *, now: Now, rules: Rules) -> tuple[Custody, tuple[Command, ...]]:
    """Take one step.

    Raises:
        IllegalTransition: the table has no such row; nothing was changed.
    """
    event = _annotated(custody, event, now)
    before = custody.state
    row = find_row(TABLE, before, event)
    terminal, rotation = learn(custody, event, now)
    if isinstance(event, CheckinRequested):
        settled = now.instant if rotation.asked is None else later(rotation.asked, SETTLE)
        rotation = replace(rotation, not_before=max(now.instant, settled))
    rotation = replace(rotation, state=row.to, token=rotation.token + bool(row.ask))
    rotation = _enter(before, rotation, event, now, rules)
    rotation = replace(rotation, retry=None if row.ask else _next_proof(before, rotation, event, now))
    after = Custody(terminal=terminal, rotation=rotation)
    return after, tuple(ask(after) for ask in row.ask)


def is_stale(custody: Custody, token: int | None) -> bool:
    """Whether a completion comes too late: something else was asked since."""
    return token is not None and token != custody.rotation.token


def is_asking(custody: Custody) -> bool:
    """Whether a check-in is under way."""
    return custody.state in ASKING


def may_ask(custody: Custody, now: Now) -> bool:
    """Whether a check-in may be sent now, as far as time tells."""
    not_before = custody.rotation.not_before
    return not_before is not None and not_before <= now.instant


def _annotated(custody: Custody, event: Event, now: Now) -> Event:
    """Tell a proof that lets a check-in be sent from one that does not, and what is heard after two lost answers."""
    is_clear = isinstance(event, KeyAccepted) and event.is_quiet and may_ask(custody, now)
    if is_clear and RenewalClear in TABLE[custody.state]:
        return RenewalClear()
    if custody.rotation.unanswered >= MOST_UNANSWERED:
        if isinstance(event, KeyAccepted) and LastKeyAccepted in TABLE[custody.state]:
            return LastKeyAccepted()
        if isinstance(event, CheckinNotSent | CheckinRefused):
            return LastCheckinFailed(fault=event.fault)
    if isinstance(event, PreviousKeyAccepted) and _gives_way(custody, now):
        return PreviousKeyHolds(fault=event.fault)
    return event


def _gives_way(custody: Custody, now: Now) -> bool:
    """Whether the current key, refused once more, gives way to the previous one, with which renewal may go on."""
    rotation = custody.rotation
    if custody.state in LOST:
        return rotation.unanswered < MOST_UNANSWERED
    since = rotation.refused_since
    return since is not None and rotation.refusals + 1 >= REFUSALS and now.instant - since >= REFUSAL_LASTS


def _enter(before: CustodyState, rotation: Rotation, event: Event, now: Now, rules: Rules) -> Rotation:
    """Set what goes with entering a state."""
    state = rotation.state
    if isinstance(event, ClockTrusted) or (state in _RENEWED and state is not before):
        rotation = replace(rotation, due=_due(rotation, event, now, rules))
    if isinstance(event, PowerReturned | KeyAccepted) and state in _RENEWED:
        rotation = replace(rotation, due=min(rotation.due, _due(rotation, event, now, rules)))
    elif isinstance(event, PowerReturned):
        rotation = replace(rotation, due=now.instant)
    if isinstance(event, RenewalOverdue | PreviousKeyHolds):
        rotation = replace(rotation, attention=_attention(rotation, event, now))
    if state is before:
        return rotation
    if state in ASKING:
        rotation = replace(
            rotation,
            asked_before=rotation.asked,
            asked_before_at=rotation.asked_at,
            asked=now.instant,
            asked_at=now.wall if now.is_trusted else None,
        )
    rotation = replace(rotation, attention=_attention(rotation, event, now), tries=0)
    return replace(rotation, not_before=_not_before(rotation, event, now))


def _attention(rotation: Rotation, event: Event, now: Now) -> Attention | None:
    """Return what a person should look at, in the state that is entered."""
    known, code = rotation.attention, _ATTENTION.get(rotation.state)
    if isinstance(event, CheckinRefused):
        return Attention(code="checkin_refused", since=now.instant)
    if isinstance(event, PreviousKeyAccepted | PreviousKeyHolds):
        return Attention(code="key_unproven", since=now.instant)
    if isinstance(event, RenewalOverdue):
        return Attention(code="checkin_overdue", since=now.instant)
    if code is not None:
        return Attention(code=code, since=known.since if known else now.instant)
    is_over = rotation.state is CustodyState.DOUBTFUL and known is not None and known.code not in _LASTING
    return None if is_over or rotation.state is CustodyState.FRESH else known


def _not_before(rotation: Rotation, event: Event, now: Now) -> Instant | None:
    """Return before when no check-in is sent, from the state that is entered."""
    state, is_stopped = rotation.state, rotation.unanswered >= MOST_UNANSWERED
    if state in ASKING or state is CustodyState.STOPPED or (state in _ATTENTION and is_stopped):
        return None
    if state is CustodyState.DUE and not isinstance(event, CheckinRefused | CheckinNotSent):
        return rotation.not_before
    if isinstance(event, CheckinNotSent):
        return later(now.instant, _back_off(rotation.unsent - 1))
    if rotation.asked is None:
        return now.instant
    return max(now.instant, later(rotation.asked, LEAST_WAIT))


def _next_proof(before: CustodyState, rotation: Rotation, event: Event, now: Now) -> Instant | None:
    """Return when the key is proven next, by itself.

    Before a check-in may be sent there is no need to, but where a proof was not answered, the current key was refused,
    or a start has found a check-in that was under way.
    """
    state, retry, not_before = rotation.state, rotation.retry, rotation.not_before
    if state in ASKING:
        return None
    is_open = isinstance(event, KeyUnanswered | PreviousKeyAccepted)
    if state is CustodyState.FRESH and not is_open:
        return None if isinstance(event, CustodyAnswer) else retry
    if isinstance(event, CustodyAnswer):
        is_idle = state is CustodyState.STOPPED and not_before is None and not is_open
        proof = later(now.instant, _spread(PROOF_LONGEST if is_idle else _back_off(rotation.tries), now))
    elif state is before and retry is not None and not isinstance(event, PowerReturned | ClockTrusted):
        return retry
    else:
        is_open = before in ASKING or (retry is not None and not_before is not None and retry < not_before)
        proof = now.instant
    if state not in (CustodyState.DUE, CustodyState.DOUBTFUL) or not_before is None or is_open:
        return proof
    return max(proof, not_before)


def _back_off(tries: int) -> Duration:
    return Duration(min(PROOF_LONGEST, PROOF_FIRST << min(tries, 8)))


def _spread(delay: Duration, now: Now) -> int:
    return int(delay * (1 + now.jitter / 2))


def _due(rotation: Rotation, event: Event, now: Now, rules: Rules) -> Instant:
    """Return when the current key is renewed: at once where its age is unknown, and no answer can be waited for.

    After an outage of power or link it is renewed as soon as it may be: the next one may come before the day is over,
    and last longer than the rest of the key's life.
    """
    at_most = max(now.instant, later(rotation.rotated, _most_age(rotation, now)))
    due = min(_next_renewal(rotation.rotated, now, rules), at_most)
    if rotation.power_back is None:
        return due
    is_answered = now.is_trusted or isinstance(event, CustodyAnswer)
    return min(due, now.instant if is_answered else later(now.instant, BOOT_GRACE))


def _most_age(rotation: Rotation, now: Now) -> Duration:
    """Return how old the key may become while there is no outage.

    It is to outlive another outage like the longest of late, and one that is a day longer: what is switched off each
    night is switched off from the eve of a day of rest to the morning after it.
    """
    if rotation.was_out:
        return LEAST_WAIT
    if not (outage := longest_outage(rotation, now)):
        return RENEW_AFTER
    return Duration(min(RENEW_AFTER, max(LEAST_WAIT, KEY_LIFE - DAY - HOUR - outage)))


def _next_renewal(rotated: Instant, now: Now, rules: Rules) -> Instant:
    """Return when a key of that age is renewed: a day later, or before that at the configured time of day."""
    if rules.checkin_at is None or not now.is_trusted:
        return later(rotated, RENEW_AFTER)
    first = later(rotated, LEAST_WAIT)
    first_wall = now.wall - (now.instant - first)
    wait = (rules.checkin_at - rules.day_offset - first_wall) % DAY
    due = later(first, wait)
    return due if due - rotated <= RENEW_AFTER else later(rotated, BROUGHT_FORWARD)


def life_end(rotation: Rotation) -> Instant:
    """Return when the current key can not be valid any more, as far as ages tell."""
    end = later(rotation.rotated, KEY_LIFE)
    return end if rotation.proven is None else max(end, later(rotation.proven, PROOF_HOLDS))


def next_wakeup(custody: Custody) -> Wakeup | None:
    """Return the one next moment at which the key wants an event; None when it waits for a completion or a person."""
    rotation, times = custody.rotation, list[Wakeup]()
    if rotation.state is CustodyState.FRESH:
        times.append(Wakeup(at=rotation.due, event=RenewalDue()))
    if KeyLifeEnded in TABLE[rotation.state]:
        times.append(Wakeup(at=life_end(rotation), event=KeyLifeEnded()))
    if rotation.retry is not None:
        times.append(Wakeup(at=rotation.retry, event=ProofDue()))
    if (overdue := _overdue_wakeup(custody)) is not None:
        times.append(overdue)
    return min(times, key=lambda wakeup: wakeup.at, default=None)


def _overdue_wakeup(custody: Custody) -> Wakeup | None:
    """Return when a person is called for a key that is not renewed, once; None while one is called already."""
    rotation = custody.rotation
    if RenewalOverdue not in TABLE[rotation.state] or rotation.attention is not None:
        return None
    at = max(later(rotation.rotated, OVERDUE_AFTER), later(rotation.due, OVERDUE_GRACE))
    return Wakeup(at=at, event=RenewalOverdue())


def is_urgent(custody: Custody, now: Now) -> bool:
    """Whether the key is so old that its renewal goes before any sale, for some seconds."""
    return now.instant - custody.rotation.rotated >= URGENT_AFTER


def wants_turn(custody: Custody, now: Now) -> bool:
    """Whether something about the key should be settled before a customer is served, as far as time tells."""
    rotation, wakeup = custody.rotation, next_wakeup(custody)
    is_age_open = rotation.state is CustodyState.FRESH and rotation.power_back is not None
    return is_age_open or (wakeup is not None and wakeup.at <= now.instant)


def next_checkin(custody: Custody, now: Now) -> WallTime | None:
    """Return about when the next check-in is sent, for people; None when none is sent by itself."""
    rotation, state = custody.rotation, custody.state
    if state is CustodyState.LOCKED_OUT or (state is not CustodyState.FRESH and rotation.not_before is None):
        return None
    at = rotation.due if state in (CustodyState.FRESH, CustodyState.UNPROVEN) else rotation.not_before
    return None if at is None else WallTime(now.wall + max(0, at - now.instant))
