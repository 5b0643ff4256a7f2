"""What an event teaches about the keys, beside the state that it leads to."""

from dataclasses import replace
from typing import Final

from terminald.core.custody_events import (
    CheckinNotSent,
    CheckinRefused,
    CheckinUnanswered,
    ClockTrusted,
    CustodyAnswer,
    KeyAccepted,
    KeyRenewed,
    LastKeyAccepted,
    LinkLost,
    PreviousKeyAccepted,
    PreviousKeyHolds,
    ProofDue,
    RenewalClear,
)
from terminald.core.custody_table import Custody, CustodyState, Outage, Rotation
from terminald.core.events import Event, Fault, PowerReturned, Recovered
from terminald.core.ids import Duration, Instant, WallTime
from terminald.core.schedule import DAY, HOUR, TIME_MARGIN, Now, later
from terminald.core.terminal import Terminal

#: After so many check-ins in a row without an answer no further one is sent unless a person asks.
MOST_UNANSWERED: Final = 2
#: Where nobody noted how old the previous key is, it is taken to be so much older than the current one.
RENEWED_DAILY: Final = DAY
#: States in which a check-in is under way.
ASKING: Final = frozenset({CustodyState.CHECKING_IN, CustodyState.RECHECKING})
#: States in which no key counts as accepted.
LOST: Final = frozenset({CustodyState.EXPIRED, CustodyState.LOCKED_OUT})
#: What only a gateway that is there says.
_HEARD: Final = (KeyAccepted, RenewalClear, LastKeyAccepted, PreviousKeyAccepted, PreviousKeyHolds, KeyRenewed)
#: An outage of this length is no mishap: somebody switches the terminal off at night, or its network has its hours.
FORETELLS_FROM: Final = Duration(4 * HOUR)
#: Outages that are not mishaps come daily or weekly: one is remembered for a week and a day.
REMEMBERED: Final = Duration(8 * DAY)
#: What stands in place of a key that somebody quotes.
_HIDDEN: Final = "[key]"


def learn(custody: Custody, event: Event, now: Now) -> tuple[Terminal, Rotation]:
    """Keep what the event says beside its type."""
    terminal, rotation = custody.terminal, custody.rotation
    if isinstance(event, CustodyAnswer):
        rotation = replace(rotation, fault=_redacted(event.fault, terminal), tries=rotation.tries + 1)
    if _is_turn(rotation, event, now):
        rotation = replace(rotation, tries=0)
    if isinstance(event, PowerReturned | LinkLost) and rotation.out_since is None:
        rotation = replace(rotation, out_since=event.since if isinstance(event, LinkLost) else now.instant)
    if isinstance(event, PowerReturned):
        rotation = replace(rotation, power_back=now.instant, was_out=True)
    if now.is_trusted and not isinstance(event, KeyRenewed):
        rotation = _with_lost_time(rotation, terminal, now)
    if isinstance(event, _HEARD) and rotation.out_since is not None:
        rotation = _back(rotation, rotation.out_since, now)
    match event:
        case KeyRenewed():
            return _renewed(terminal, rotation, event, now)
        case PreviousKeyHolds():
            return _swapped(terminal, rotation, now)
        case PreviousKeyAccepted() if custody.state in LOST:
            return _swapped(terminal, rotation, now)
        case _:
            return terminal, _noted(custody.state, rotation, event, now)


def _back(rotation: Rotation, out_since: Instant, now: Now) -> Rotation:
    """End the outage that began then. One that may foretell others is remembered, and no shorter one before it."""
    rotation, length = replace(rotation, out_since=None, was_out=True), Duration(now.instant - out_since)
    if length < FORETELLS_FROM:
        return rotation
    longer = (one for one in rotation.outages if one.length > length and now.instant - one.ended < REMEMBERED)
    return replace(rotation, outages=(*longer, Outage(ended=now.instant, length=length)))


def longest_outage(rotation: Rotation, now: Now) -> Duration:
    """Return how long the longest outage of the last days was; nothing where there was none that foretells others."""
    lengths = (one.length for one in rotation.outages if now.instant - one.ended < REMEMBERED)
    return max(lengths, default=Duration(0))


def _is_turn(rotation: Rotation, event: Event, now: Now) -> bool:
    """Whether something gives reason to ask before the time, such as a link that is back: the waits begin anew."""
    if isinstance(event, ProofDue):
        return rotation.retry is not None and rotation.retry > now.instant
    return isinstance(event, PowerReturned | ClockTrusted)


def _noted(state: CustodyState, rotation: Rotation, event: Event, now: Now) -> Rotation:
    """Count what was answered and what was not."""
    match event:
        case KeyAccepted() | RenewalClear() | LastKeyAccepted():
            return replace(rotation, proven=now.instant, tries=0, refused_since=None, refusals=0)
        case PreviousKeyAccepted():
            since = now.instant if rotation.refused_since is None else rotation.refused_since
            return replace(rotation, refused_since=since, refusals=rotation.refusals + 1)
        case CheckinUnanswered() | Recovered() | PowerReturned() if state in ASKING:
            return replace(rotation, unanswered=min(rotation.unanswered + 1, MOST_UNANSWERED), unsent=0)
        case CheckinRefused():
            return replace(rotation, unsent=0)
        case CheckinNotSent():
            asked, asked_at = rotation.asked_before, rotation.asked_before_at
            return replace(rotation, asked=asked, asked_at=asked_at, unsent=rotation.unsent + 1)
        case _:
            return rotation


def _renewed(terminal: Terminal, rotation: Rotation, event: KeyRenewed, now: Now) -> tuple[Terminal, Rotation]:
    """Take the new key, and keep the one that signed."""
    terminal = replace(terminal, current_key=event.key, previous_key=terminal.current_key, rotated_at=now.wall)
    return terminal, replace(
        rotation,
        version=max(rotation.version, rotation.previous_version or 0) + 1,
        previous_version=rotation.version,
        rotated=now.instant if rotation.asked is None else rotation.asked,
        previous_rotated=rotation.rotated,
        is_rotated_at_trusted=now.is_trusted,
        unanswered=0,
        unsent=0,
        refused_since=None,
        refusals=0,
        proven=None,
        power_back=None,
        was_out=False,
    )


def _swapped(terminal: Terminal, rotation: Rotation, now: Now) -> tuple[Terminal, Rotation]:
    """Let the two keys change places, each with its age. From then on a check-in is as risky as after a lost answer."""
    if terminal.previous_key is None:
        return terminal, rotation
    rotated = rotation.previous_rotated
    if rotated is None:
        rotated = later(rotation.rotated, -RENEWED_DAILY)
    terminal = replace(
        terminal,
        current_key=terminal.previous_key,
        previous_key=terminal.current_key,
        rotated_at=WallTime(max(0, terminal.rotated_at - (rotation.rotated - rotated))),
    )
    return terminal, replace(
        rotation,
        version=rotation.previous_version or 0,
        previous_version=rotation.version,
        rotated=rotated,
        previous_rotated=rotation.rotated,
        proven=now.instant,
        unanswered=max(1, rotation.unanswered),
        refused_since=None,
        refusals=0,
    )


def _redacted(fault: Fault | None, terminal: Terminal) -> Fault | None:
    """Return a fault that quotes no key of ours, whatever the gateway wrote (I7)."""
    if fault is None:
        return None
    code, message = fault.code, fault.message
    for key in (terminal.current_key, terminal.previous_key):
        if key is not None:
            code, message = (text.replace(key.reveal(), _HIDDEN) for text in (code, message))
    return Fault(code=code, message=message)


def _with_lost_time(rotation: Rotation, terminal: Terminal, now: Now) -> Rotation:
    """Move what was before an outage back by its length, as two trusted times of day tell it.

    Without an outage there is nothing to tell, whatever became of the clock: within one boot time is counted (I10).
    A time that was not trusted and agrees with a trusted one was right. Where the two contradict each other the length
    stays unknown, and where the first is not to be trusted. The last check-in has times of its own, as there may have
    been outages between the renewal and it.
    """
    lost = (now.wall - terminal.rotated_at) - (now.instant - rotation.rotated)
    if abs(lost) <= TIME_MARGIN:
        rotation = replace(rotation, is_rotated_at_trusted=True)
    power_back, asked, asked_at = rotation.power_back, rotation.asked, rotation.asked_at
    if power_back is None:
        return rotation
    if asked is not None and asked < power_back and asked_at is not None:
        since_asked = max(0, (now.wall - asked_at) - (now.instant - asked))
        not_before = None if rotation.not_before is None else later(rotation.not_before, -since_asked)
        rotation = replace(rotation, asked=later(asked, -since_asked), not_before=not_before)
    if lost < -TIME_MARGIN or not rotation.is_rotated_at_trusted:
        return rotation
    lost, previous, out_since = max(0, lost), rotation.previous_rotated, rotation.out_since
    if out_since is not None and out_since <= power_back:
        rotation = replace(rotation, out_since=later(out_since, -lost))
    return replace(
        rotation,
        rotated=later(rotation.rotated, -lost),
        previous_rotated=None if previous is None else later(previous, -lost),
        power_back=None,
    )
