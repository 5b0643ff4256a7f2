"""Why a terminal is locked out, and whether the rules make that unavoidable (I6).

The words used here:

- A *half hour* is half an hour or more with power and a link at the same time, whatever else happens in it: messages
  are lost, customers are served, the process dies and starts again, the disk is full for some of it.
- An *outage* is half an hour or more without power or without a link.

By the rules a key is renewed when it is a day old; after an outage as soon as it is six hours old; and where outages of
some hours have been seen within the week, so early that it outlives another one that is a day longer. Between two
check-ins there are six hours, unless a person asks. After one check-in without an answer the key before goes on living,
and after two renewal stops until a person asks. So a lock-out is unavoidable

- when two check-ins made keys that never reached the disk (each was sent after a proof: that is judged as they are
  sent), or when renewal had stopped and nobody asked;
- when there was no half hour from six hours after the last check-in to the end of the key's life; told apart by whether
  that check-in was the renewal of the key, or one without an answer;
- when there were such half hours, all of them before the key was due and before the first outage since its renewal:
  nothing foretold the outage in which it died;
- when there were such half hours later on, and the disk was full in them, but for less than half an hour in each: the
  intent is on disk before a check-in is sent, so that none is sent while nothing can be written.

Every other lock-out is a violation.
"""

import itertools
from dataclasses import dataclass, field
from enum import Enum

from terminald.core.custody import LEAST_WAIT, SETTLE
from terminald.simulator.gateway_terminals import KEY_LIFE_S
from tests.simulation.agenda import DAY, HOUR, MINUTE, Agenda

KEY_LIFE = int(KEY_LIFE_S * 1000)
#: The key is renewed when it is so old.
RENEWED_AT = DAY
#: Long enough to renew a key in.
HALF_HOUR = 30 * MINUTE
#: An outage of this length is remembered for so long.
FORETELLS_FROM = 5 * HOUR
REMEMBERED = 7 * DAY

Span = tuple[int, int]


class Reason(Enum):
    """Why a terminal is locked out; the value names it in the summary."""

    TWO_LOST = "two answers lost in a row"
    REPEATED = "an answer lost to a check-in that the network repeated"
    STOPPED = "renewal had stopped after two lost answers, and nobody asked in time"
    ONE_LOST = "of age: one answer lost, and no half hour from six hours after it on"
    OUT_OF_REACH = "of age: no half hour from six hours after its renewal on"
    UNFORETOLD = "of age: in its first outage, which began before it was due"
    FULL_DISK = "of age: the disk was full whenever it could have been renewed"
    AVOIDABLE = "of age, although there was time to renew it"


@dataclass(slots=True)
class LockOut:
    """A terminal that needed a new activation code."""

    reason: Reason
    is_announced: bool
    died: int
    #: Whether the terminal had a half hour in every 48 hours around its key's life; known at the end of the year.
    is_in_reach: bool = False

    @property
    def is_unavoidable(self) -> bool:
        """Whether the rules made it so."""
        return self.reason is not Reason.AVOIDABLE


@dataclass(slots=True)
class Renewals:
    """What was asked, sent and answered for one identity."""

    #: When the identity came.
    since: int = 0
    #: When the last check-in left, and whether a proof was accepted after it.
    sent: int | None = None
    proven_since: bool = True
    #: The same before the last one was sent.
    before: tuple[int | None, bool] = (None, True)
    #: When somebody asked last.
    asked_for: int = -DAY
    #: When the intent of the last check-in was committed, and of the one before it.
    meant: int = -DAY
    meant_before: int = -DAY
    #: Check-ins in a row without an answer.
    unanswered: int = 0
    #: Every key that the gateway made, in order, and those of a request that the network repeated.
    made: list[str] = field(default_factory=list)
    repeated: set[str] = field(default_factory=set)


class _Times:
    """Keeps when something held."""

    def __init__(self, agenda: Agenda) -> None:
        self._agenda = agenda
        self._since: int | None = None
        self._spans: list[Span] = []

    def look_around(self, *, holds: bool) -> None:
        """It may have changed."""
        now = self._agenda.now
        if holds and self._since is None:
            self._since = now
        elif not holds and self._since is not None:
            self._spans.append((self._since, now))
            self._since = None

    def all(self) -> list[Span]:
        """Return them in order; the last one ends now where it still holds."""
        return [*self._spans, *([] if self._since is None else [(self._since, self._agenda.now)])]

    def within(self, start: int, end: int) -> list[Span]:
        """Return what of them lies within a time that is past."""
        clipped = [(max(start, since), min(end, until)) for since, until in self.all()]
        return [(since, until) for since, until in clipped if since < until]


class Connection:
    """Keeps when there were power and link at the same time, and when there was room on the disk besides."""

    def __init__(self, agenda: Agenda) -> None:
        self._connected, self._writable = _Times(agenda), _Times(agenda)

    def look_around(self, *, is_connected: bool, is_disk_full: bool = False) -> None:
        """Power, link or disk may have changed."""
        self._connected.look_around(holds=is_connected)
        self._writable.look_around(holds=is_connected and not is_disk_full)

    def half_hours(self, start: int, end: int) -> list[Span]:
        """Return the half hours within a time that is past."""
        return [span for span in self._connected.within(start, end) if _is_long(*span)]

    def writable_half_hours(self, start: int, end: int) -> list[Span]:
        """Return those in which there was room on the disk for half an hour, all in all."""
        return [
            span
            for span in self.half_hours(start, end)
            if sum(until - since for since, until in self._writable.within(*span)) >= HALF_HOUR
        ]

    def outages(self, start: int, end: int) -> list[Span]:
        """Return the outages that began and ended within a time."""
        gaps = [(before[1], after[0]) for before, after in itertools.pairwise(self._connected.all())]
        return [(since, until) for since, until in gaps if start <= since and until <= end and _is_long(since, until)]

    def is_in_reach(self, start: int, end: int) -> bool:
        """Whether every 48 hours around that time contain a half hour."""
        spans = [span for span in self._connected.all() if _is_long(*span)]
        gaps = [(before[1], after[0]) for before, after in itertools.pairwise([(0, 0), *spans])]
        is_over = bool(spans) and spans[-1][1] >= end
        return is_over and all(
            until - since <= KEY_LIFE - 2 * HALF_HOUR for since, until in gaps if until > start and since < end
        )


def _is_long(since: int, until: int) -> bool:
    return until - since >= HALF_HOUR


def find_reason(renewals: Renewals, held: tuple[str, ...], died: int, connection: Connection) -> Reason:
    """Tell why the gateway accepts none of the keys that are held, the last of which died then."""
    unseen = renewals.made[1 + max(renewals.made.index(key) for key in held) :]
    if len(unseen) > 1:
        return Reason.TWO_LOST if renewals.repeated.isdisjoint(unseen) else Reason.REPEATED
    born, free = died - KEY_LIFE, max(died - KEY_LIFE, renewals.meant) + LEAST_WAIT
    due = born + RENEWED_AT
    if renewals.unanswered > 1:
        due = free = max(born, renewals.asked_for, renewals.meant + SETTLE)
        if renewals.asked_for < renewals.meant or not connection.half_hours(free, died):
            return Reason.STOPPED
    elif renewals.unanswered == 1:
        due = free
    if not connection.half_hours(free, died):
        return Reason.ONE_LOST if renewals.unanswered else Reason.OUT_OF_REACH
    for _, until in connection.outages(born, died)[:1]:
        due = min(due, until)
    due = min(due, born + RENEWED_AT - _foretold(connection, renewals.since, born))
    if not connection.half_hours(max(free, due), died):
        return Reason.UNFORETOLD
    return Reason.AVOIDABLE if connection.writable_half_hours(max(free, due), died) else Reason.FULL_DISK


def _foretold(connection: Connection, since: int, born: int) -> int:
    """Return the length of the longest outage in the week before a key was made, where it is one of some hours."""
    outages = [(begin, end) for begin, end in connection.outages(since, born) if end > born - REMEMBERED]
    return max((end - begin for begin, end in outages if end - begin >= FORETELLS_FROM), default=0)
