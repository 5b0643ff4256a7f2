"""What the explanation of a sale needs of the journal, and what the API asks of the engine for it."""

from dataclasses import dataclass
from typing import Protocol

from terminald.core.ids import Instant, SaleId
from terminald.core.story import Dossier
from terminald.core.story_told import LoggedRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordPage:
    """The records of one sale in one piece of the event log."""

    records: tuple[LoggedRecord, ...]
    #: Where the next piece begins: the last sequence number of this one; None at the end of the log.
    next_seq: int | None
    #: The moment of this piece's last row, whosever it is; 0 of an empty one.
    last_at: Instant


class StoryJournal(Protocol):
    """The part of the journal that remembers what happened. Every method raises JournalUnavailable."""

    async def seq_before(self, instant: Instant) -> int:
        """Return the sequence number of the last row of the event log before a moment; 0 where there is none."""

    async def records_of(self, seq: int, sale_id: SaleId, limit: int) -> RecordPage:
        """Read so many rows of the event log with greater sequence numbers, and return those of one sale."""


class StoryDesk(Protocol):
    """The part of the desk that explains."""

    async def dossier(self, name: str) -> Dossier:
        """Return all that is known about one sale, with the journal's records of it; ApiError not_found."""
