"""What can happen to the terminal's key, and what may be asked for its sake."""

from dataclasses import dataclass

from terminald.core.commands import Command
from terminald.core.events import Event, Fault
from terminald.core.ids import Instant, Secret

# --- commands --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class CustodyCommand(Command):
    """A request about the key. The token names it: only the completion of the last command counts."""

    token: int


class ProveKey(CustodyCommand):
    """Send one harmless query, signed with the current key; where it is refused, with the previous one. Repeatable."""


class CheckIn(CustodyCommand):
    """Ask the gateway for a new key, once, signed with the current key. What it asks for is on disk already (I6)."""


# --- time, people, and the clock -------------------------------------------------------------------------------------


class RenewalDue(Event):
    """It is time to renew the key."""


class ProofDue(Event):
    """It is time to find out whether the gateway accepts our key, or something gives reason to."""


class KeyLifeEnded(Event):
    """The key is older than the gateway allows."""


class RenewalOverdue(Event):
    """The key is far older than it should be: a person should know before it is too old."""


class CheckinRequested(Event):
    """A person asks for a renewal now."""


class ClockTrusted(Event):
    """The time of day is known: how long the power was off can be told."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkLost(Event):
    """The gateway has not answered since then. That is so long ago that it is an outage, and no lost message."""

    since: Instant


# --- completions -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class CustodyAnswer(Event):
    """A completion. Fault is what the gateway or the line said."""

    fault: Fault | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyAccepted(CustodyAnswer):
    """A query that our current key signed was answered. Quiet: nobody is being served at this moment."""

    is_quiet: bool = False


class RenewalClear(CustodyAnswer):
    """The same, at a quiet moment, and a check-in is wanted now: the link is proven, and it may be sent."""


class LastKeyAccepted(CustodyAnswer):
    """The same as KeyAccepted, when two check-ins or more in a row have had no answer."""


class PreviousKeyAccepted(CustodyAnswer):
    """The gateway refuses the current key, and accepts the previous one. It may be a fault of the moment."""


class PreviousKeyHolds(CustodyAnswer):
    """The same, for so long or in such a state that the previous key takes the current one's place."""


class KeyRefused(CustodyAnswer):
    """The gateway refuses every key that we hold."""


class KeyUnanswered(CustodyAnswer):
    """No usable answer to a proof: nothing is known, nothing was changed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyRenewed(CustodyAnswer):
    """The gateway gave a new key; the one that signed is its last from now on."""

    key: Secret


class CheckinRefused(CustodyAnswer):
    """The gateway definitely refused the check-in; its keys are as before."""


class CheckinNotSent(CustodyAnswer):
    """Provably nothing left the device; the gateway's keys are as before."""


class LastCheckinFailed(CustodyAnswer):
    """Refused or not sent, when two check-ins or more before it have had no answer."""


class CheckinUnanswered(CustodyAnswer):
    """The check-in may have run: the gateway's current key may be one that we do not know. Ours is then its last."""
