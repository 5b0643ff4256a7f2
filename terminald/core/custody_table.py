"""The terminal's key: renewed daily by a check-in, and never lost (I6).

The gateway knows two keys of a terminal: the current one, and the last one before it. Each check-in makes a new current
key. Rules that the table obeys:

- The intent is on disk before a check-in is sent: ``checking_in`` and ``rechecking`` are entered, committed, and only
  then is it sent. A crash within them counts as a lost answer.
- One lost answer is harmless: the key that signed is then the gateway's last, and still valid. Sales go on with it.
- After one lost answer the next check-in could be the one that makes our key invalid. It is sent once, a quarter of a
  day later, and only right after a query that our key signed was answered. When its answer is lost too, renewal stops
  until a person asks.
- A new key is on disk before it is used, and the previous one beside it. Nothing is renewed again before a signed query
  has proven the new key.
- A new key that is refused while the one before is accepted may be a fault of the moment: both are kept, requests are
  signed with the one and then with the other, and it is proven again. Only when the refusal lasts the two change
  places, and renewal goes on as after one lost answer (``doubtful``): the key that is used is the gateway's current or
  its last one. Where the refused key is the gateway's current one all the same, no check-in can cost both of ours in
  one go; where the used key is the last one beside a key that nobody knows, it can, and so the next check-in is sent as
  ``rechecking``. The exhaustive search shows that no key is lost before that one. After two lost answers the places
  change as well, and renewal stays stopped.
- A check-in is asked for in one place: on ``RenewalClear``, which is a proof of the link and of the key in a quiet
  moment. No timer sends one, and no start.

Proofs are queries: they may be lost, repeated, and come twice.
"""

from dataclasses import dataclass
from enum import Enum

from terminald.core.commands import Command
from terminald.core.custody_events import (
    CheckIn,
    CheckinNotSent,
    CheckinRefused,
    CheckinRequested,
    CheckinUnanswered,
    ClockTrusted,
    KeyAccepted,
    KeyLifeEnded,
    KeyRefused,
    KeyRenewed,
    KeyUnanswered,
    LastCheckinFailed,
    LastKeyAccepted,
    LinkLost,
    PreviousKeyAccepted,
    PreviousKeyHolds,
    ProofDue,
    ProveKey,
    RenewalClear,
    RenewalDue,
    RenewalOverdue,
)
from terminald.core.events import Fault, PowerReturned, Recovered
from terminald.core.ids import Duration, Instant, WallTime
from terminald.core.tables import Attention, Row, Table
from terminald.core.terminal import Terminal


class CustodyState(Enum):
    """Each with which of the gateway's two keys is ours."""

    UNPROVEN = "unproven"  # the current one, by its own word; a signed query has still to confirm it
    FRESH = "fresh"  # the current one, proven, and no renewal is due
    DUE = "due"  # the current one; a renewal waits for a proven link and a quiet moment
    CHECKING_IN = "checking_in"  # the current one, or the last: a check-in is under way
    DOUBTFUL = "doubtful"  # the current one, or the last: one answer was lost, or the key before is used again
    RECHECKING = "rechecking"  # the current one, the last, or none: a check-in is under way after a lost answer
    STOPPED = "stopped"  # the same, and nobody knows: answers were lost. No renewal until a person asks
    EXPIRED = "expired"  # most likely none: 48 hours have passed without a renewal
    LOCKED_OUT = "locked_out"  # none: it refuses them all


@dataclass(frozen=True, slots=True, kw_only=True)
class Outage:
    """A time without power or link, as long as it may foretell others."""

    ended: Instant
    length: Duration


@dataclass(frozen=True, slots=True, kw_only=True)
class Rotation:
    """All that is known about the renewal of the key, without the keys themselves."""

    state: CustodyState
    token: int
    #: The keys are numbered as they come; the log names a key by its number.
    version: int
    previous_version: int | None
    #: When the current key was asked for: it is at most as old as this says.
    rotated: Instant
    #: Whether ``terminal.rotated_at`` is of a trusted clock.
    is_rotated_at_trusted: bool
    #: When the last check-in was sent.
    asked: Instant | None
    #: Check-ins in a row without an answer, up to two: one more might have made our key invalid.
    unanswered: int
    #: When the gateway last accepted the current key.
    proven: Instant | None
    #: When a fresh key is renewed.
    due: Instant
    #: No check-in is sent before; None: not until a person asks.
    not_before: Instant | None
    #: When to prove the key; None while a completion is awaited, or where nothing needs a proof.
    retry: Instant | None
    #: Answers since the last change of state or accepted proof: what the back-off grows with.
    tries: int
    attention: Attention | None
    fault: Fault | None
    #: When the power came back, as long as nobody knows how long it was off: what was before is longer ago than told.
    power_back: Instant | None = None
    #: The trusted time of day at which the last check-in was sent.
    asked_at: WallTime | None = None
    #: The same of the check-in before it, while one is under way: it may turn out that it was not sent.
    asked_before: Instant | None = None
    asked_before_at: WallTime | None = None
    #: Check-ins in a row that could not be sent: what their back-off grows with.
    unsent: int = 0
    #: When the previous key was asked for.
    previous_rotated: Instant | None = None
    #: Since when, and how often in a row, the current key was refused while the previous one was accepted.
    refused_since: Instant | None = None
    refusals: int = 0
    #: Since when the gateway has not been heard, while an outage lasts, of the power or of the link.
    out_since: Instant | None = None
    #: Whether there was an outage since the key was asked for. The next one may be long.
    was_out: bool = False
    #: The outages of the last days, of which each is longer than those after it.
    outages: tuple[Outage, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Custody:
    """A snapshot. Complete: what happens next follows from it and the next event alone."""

    terminal: Terminal
    rotation: Rotation

    @property
    def state(self) -> CustodyState:
        """The state of the machine."""
        return self.rotation.state


# --- what rows ask for -----------------------------------------------------------------------------------------------


def _prove(custody: Custody) -> Command:
    return ProveKey(token=custody.rotation.token)


def _check_in(custody: Custody) -> Command:
    return CheckIn(token=custody.rotation.token)


# --- the table -------------------------------------------------------------------------------------------------------

_S = CustodyState

TABLE: Table[CustodyState, Custody] = {
    _S.UNPROVEN: {
        KeyAccepted: Row(_S.FRESH),
        PreviousKeyAccepted: Row(_S.UNPROVEN),
        PreviousKeyHolds: Row(_S.DOUBTFUL),
        KeyRefused: Row(_S.LOCKED_OUT),
        KeyUnanswered: Row(_S.UNPROVEN),
        RenewalOverdue: Row(_S.UNPROVEN),
        KeyLifeEnded: Row(_S.EXPIRED),
        ProofDue: Row(_S.UNPROVEN, (_prove,)),
        CheckinRequested: Row(_S.UNPROVEN, (_prove,)),
        ClockTrusted: Row(_S.UNPROVEN),
        LinkLost: Row(_S.UNPROVEN),
        Recovered: Row(_S.UNPROVEN, (_prove,)),
        PowerReturned: Row(_S.UNPROVEN, (_prove,)),
    },
    _S.FRESH: {
        RenewalDue: Row(_S.DUE, (_prove,)),
        KeyAccepted: Row(_S.FRESH),
        PreviousKeyAccepted: Row(_S.FRESH),
        PreviousKeyHolds: Row(_S.DOUBTFUL),
        KeyRefused: Row(_S.LOCKED_OUT),
        KeyUnanswered: Row(_S.FRESH),
        KeyLifeEnded: Row(_S.EXPIRED),
        ProofDue: Row(_S.FRESH, (_prove,)),
        CheckinRequested: Row(_S.DUE, (_prove,)),
        ClockTrusted: Row(_S.FRESH),
        LinkLost: Row(_S.FRESH),
        Recovered: Row(_S.FRESH),
        PowerReturned: Row(_S.FRESH),
    },
    _S.DUE: {
        RenewalClear: Row(_S.CHECKING_IN, (_check_in,)),
        KeyAccepted: Row(_S.DUE),
        PreviousKeyAccepted: Row(_S.DUE),
        PreviousKeyHolds: Row(_S.DOUBTFUL),
        KeyRefused: Row(_S.LOCKED_OUT),
        KeyUnanswered: Row(_S.DUE),
        RenewalOverdue: Row(_S.DUE),
        KeyLifeEnded: Row(_S.EXPIRED),
        ProofDue: Row(_S.DUE, (_prove,)),
        CheckinRequested: Row(_S.DUE, (_prove,)),
        ClockTrusted: Row(_S.DUE),
        LinkLost: Row(_S.DUE),
        Recovered: Row(_S.DUE),
        PowerReturned: Row(_S.DUE),
    },
    _S.CHECKING_IN: {
        KeyRenewed: Row(_S.UNPROVEN, (_prove,)),
        CheckinRefused: Row(_S.DUE),
        CheckinNotSent: Row(_S.DUE),
        CheckinUnanswered: Row(_S.DOUBTFUL),
        CheckinRequested: Row(_S.CHECKING_IN),
        ClockTrusted: Row(_S.CHECKING_IN),
        LinkLost: Row(_S.CHECKING_IN),
        Recovered: Row(_S.DOUBTFUL),
        PowerReturned: Row(_S.DOUBTFUL),
    },
    _S.DOUBTFUL: {
        RenewalClear: Row(_S.RECHECKING, (_check_in,)),
        KeyAccepted: Row(_S.DOUBTFUL),
        PreviousKeyAccepted: Row(_S.DOUBTFUL),
        PreviousKeyHolds: Row(_S.DOUBTFUL),
        KeyRefused: Row(_S.LOCKED_OUT),
        KeyUnanswered: Row(_S.DOUBTFUL),
        RenewalOverdue: Row(_S.DOUBTFUL),
        KeyLifeEnded: Row(_S.EXPIRED),
        ProofDue: Row(_S.DOUBTFUL, (_prove,)),
        CheckinRequested: Row(_S.DOUBTFUL, (_prove,)),
        ClockTrusted: Row(_S.DOUBTFUL),
        LinkLost: Row(_S.DOUBTFUL),
        Recovered: Row(_S.DOUBTFUL),
        PowerReturned: Row(_S.DOUBTFUL),
    },
    _S.RECHECKING: {
        KeyRenewed: Row(_S.UNPROVEN, (_prove,)),
        CheckinRefused: Row(_S.DOUBTFUL),
        CheckinNotSent: Row(_S.DOUBTFUL),
        LastCheckinFailed: Row(_S.STOPPED),
        CheckinUnanswered: Row(_S.STOPPED),
        CheckinRequested: Row(_S.RECHECKING),
        ClockTrusted: Row(_S.RECHECKING),
        LinkLost: Row(_S.RECHECKING),
        Recovered: Row(_S.STOPPED),
        PowerReturned: Row(_S.STOPPED),
    },
    _S.STOPPED: {
        RenewalClear: Row(_S.RECHECKING, (_check_in,)),
        KeyAccepted: Row(_S.STOPPED),
        PreviousKeyAccepted: Row(_S.STOPPED),
        PreviousKeyHolds: Row(_S.STOPPED),
        KeyRefused: Row(_S.LOCKED_OUT),
        KeyUnanswered: Row(_S.STOPPED),
        KeyLifeEnded: Row(_S.EXPIRED),
        ProofDue: Row(_S.STOPPED, (_prove,)),
        CheckinRequested: Row(_S.STOPPED, (_prove,)),
        ClockTrusted: Row(_S.STOPPED),
        LinkLost: Row(_S.STOPPED),
        Recovered: Row(_S.STOPPED),
        PowerReturned: Row(_S.STOPPED),
    },
    # What the arithmetic says is overruled by a proof; where two answers were lost renewal stays stopped.
    _S.EXPIRED: {
        RenewalClear: Row(_S.RECHECKING, (_check_in,)),
        KeyAccepted: Row(_S.DOUBTFUL),
        LastKeyAccepted: Row(_S.STOPPED),
        PreviousKeyAccepted: Row(_S.STOPPED),
        PreviousKeyHolds: Row(_S.DOUBTFUL),
        KeyRefused: Row(_S.LOCKED_OUT),
        KeyUnanswered: Row(_S.EXPIRED),
        ProofDue: Row(_S.EXPIRED, (_prove,)),
        CheckinRequested: Row(_S.EXPIRED, (_prove,)),
        ClockTrusted: Row(_S.EXPIRED),
        LinkLost: Row(_S.EXPIRED),
        Recovered: Row(_S.EXPIRED),
        PowerReturned: Row(_S.EXPIRED),
    },
    _S.LOCKED_OUT: {
        KeyAccepted: Row(_S.DOUBTFUL),
        LastKeyAccepted: Row(_S.STOPPED),
        PreviousKeyAccepted: Row(_S.STOPPED),
        PreviousKeyHolds: Row(_S.DOUBTFUL),
        KeyRefused: Row(_S.LOCKED_OUT),
        KeyUnanswered: Row(_S.LOCKED_OUT),
        ProofDue: Row(_S.LOCKED_OUT, (_prove,)),
        CheckinRequested: Row(_S.LOCKED_OUT, (_prove,)),
        ClockTrusted: Row(_S.LOCKED_OUT),
        LinkLost: Row(_S.LOCKED_OUT),
        Recovered: Row(_S.LOCKED_OUT),
        PowerReturned: Row(_S.LOCKED_OUT),
    },
}
