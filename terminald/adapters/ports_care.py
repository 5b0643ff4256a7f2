"""What looking after the terminal needs of the journal, and what callers ask for: hold sales back, prove the disk."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Protocol

from terminald.core.ids import SaleId, WallTime
from terminald.core.readiness import Hold
from terminald.core.retention import Horizon
from terminald.wire.api_status import StopCode


@dataclass(frozen=True, slots=True, kw_only=True)
class Forgotten:
    """What the journal does not have any more, or not all of: events up to a number, sales of before a time of day."""

    seq: int
    before: WallTime


@dataclass(frozen=True, slots=True, kw_only=True)
class DiskStatus:
    """The disk under the journal. What is not known is None."""

    free_mb: int | None
    #: What 99 of the last 100 commits took at most.
    commit_p99_ms: int | None
    #: Of when the copy of the journal is.
    copied_at: WallTime | None
    #: Since when a person should look, as it is slow.
    slow_since: WallTime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Standstill:
    """Why terminald serves without its journal: it sells nothing, and knows nothing of what only the journal says."""

    #: ``journal_damaged``: until a person restores it; ``journal_too_new``: until its own terminald is installed again;
    #: ``journal_failed``: until it can be opened and written.
    code: StopCode
    #: When the damage was noted, or else when this start found it.
    since: WallTime
    #: What was found; for a person.
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RestoredFrom:
    """The journal was restored from a copy of then (None: not known), and nobody has compared the days since."""

    copied_at: WallTime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PrunePlace:
    """How far the deletion of old sales has come.

    After this one by the time of day; then after this row by the terminal's own time; then after this event.
    """

    created_at: int = -1
    row: int = 0
    aged_row: int | None = None
    seq: int | None = None
    #: Pieces of the event log in which nothing was old, so far.
    vain: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class UnreadSale:
    """An old sale that stays, as it can not be read. Sale: its id, or else its row."""

    sale: str
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PruneStep:
    """What one step has come to."""

    #: Where to go on; None at the end.
    then: PrunePlace | None
    unread: tuple[UnreadSale, ...] = ()


class CareJournal(Protocol):
    """The part of the journal that is not about sales. Every method raises JournalUnavailable."""

    async def put_hold(self, hold: Hold) -> None:
        """Store why no sales are begun, with a full sync. Not undone by cancelling."""

    async def prove(self) -> None:
        """Write something of no meaning, with a full sync: the disk takes writes. Not undone by cancelling."""

    async def is_spent(self, reference: str) -> bool:
        """Whether a sale that was deleted had this reference."""

    async def forgotten(self) -> Forgotten:
        """Return from where on everything is there."""

    async def prune(self, before: Horizon, kept: Collection[SaleId], place: PrunePlace) -> PruneStep:
        """Delete a few old sales and their events, none of the kept ones. Not undone by cancelling."""


class CareDesk(Protocol):
    """What the engine does for whoever looks after the terminal."""

    async def drain(self, *, until_restart: bool) -> None:
        """Begin no more sales, and close the one that waits for its code; repeatable.

        For as long as this process lives, or over restarts until :meth:`resume`.
        """

    async def resume(self, *, is_compared: bool = False) -> None:
        """Begin sales again; repeatable. ApiError restored_unconfirmed: the journal was restored, and is not compared.

        Is_compared: a person says that the days since the copy were compared with the gateway's.
        """

    async def forgotten(self) -> Forgotten:
        """Return from where on the journal has everything."""

    async def prove_health(self) -> None:
        """Return after a round trip through loop and journal, with a write at most once a minute; ApiError unhealthy.

        Nothing about it depends on the gateway or on a device.
        """
