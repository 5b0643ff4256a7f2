"""The journal's records of one sale, found without an index and without keeping a commit waiting.

A sale's rows lie close together: from its opening until all that belongs to it has ended, and again where something was
begun later (a refund, a copy). Each such moment is known from the snapshots; from there the log is read in pieces.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from terminald.adapters.ports import Journal
from terminald.core import attempt_table, refund_table
from terminald.core.book import SaleView
from terminald.core.ids import Instant
from terminald.core.sale_table import SaleState
from terminald.core.schedule import HOUR, SECOND
from terminald.core.spool import JobState
from terminald.core.story_told import LoggedRecord

#: Rows of the log that are read at once: a commit waits no longer than these take.
PIECE_ROWS: Final = 500
#: A customer's time to pay is at most this ("10ms" to "1h", configuration): a sale was opened no longer before its end.
LONGEST_WINDOW: Final = HOUR
#: Pieces that are read for one account: about two weeks of a busy terminal.
MOST_PIECES: Final = 100
#: Records that are kept for one account: a sale that is open for weeks has thousands, which nobody reads.
MOST_RECORDS: Final = 2_000
#: A moment of a snapshot is that of its commit's row. One that is told by the calendar may be this much beside it.
_SLACK: Final = SECOND

#: The states in which each machine rests, as the log writes them.
_AT_REST: Final = {
    "sale": {state.value for state in SaleState if state.is_final},
    "attempt": {state.value for state in attempt_table.FINAL},
    "refund": {state.value for state in refund_table.FINAL},
    "print": {state.value for state in JobState if state.is_final},
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How much is read and kept for one account."""

    pieces: int = MOST_PIECES
    records: int = MOST_RECORDS


_USUAL: Final = Limits()


async def read_records(
    journal: Journal, view: SaleView, limits: Limits = _USUAL
) -> tuple[tuple[LoggedRecord, ...], bool]:
    """Return the records of a sale, oldest first, and whether these are all of them as far as can be told.

    Raises:
        JournalUnavailable: the log can not be read now.
    """
    reading = _Reading(journal, view, limits)
    await reading.read_from(Instant(view.sale.window_ends - LONGEST_WINDOW))
    for instant in reading.later_moments():
        await reading.read_from(instant)
    return tuple(reading.records), reading.is_whole()


class _Reading:
    """Reads one sale's records. Lives for one call."""

    def __init__(self, journal: Journal, view: SaleView, limits: Limits) -> None:
        self.records: list[LoggedRecord] = []
        self._journal = journal
        self._view = view
        self._read_to = 0
        self._limits = limits
        self._pieces = 0
        self._is_cut = False
        #: The latest state of each machine that was seen.
        self._states: dict[tuple[str, str], str] = {}

    async def read_from(self, instant: Instant) -> None:
        """Read on from a moment, until everything that was seen is at rest or the log ends."""
        self._read_to = max(self._read_to, await self._journal.seq_before(instant))
        while self._may_go_on():
            page = await self._journal.records_of(self._read_to, self._view.sale.id, PIECE_ROWS)
            self._pieces += 1
            self._take(page.records)
            if page.next_seq is None:
                return
            self._read_to = page.next_seq
            if self._is_at_rest() and page.last_at > max(instant, self.records[-1].at) + 2 * _SLACK:
                return

    def later_moments(self) -> Iterator[Instant]:
        """Yield the moments after what was read so far at which something of this sale was begun or ended, in order."""
        if not self.records:
            return
        last = self.records[-1]
        behind = last.wall - last.at
        begun = [one.started for one in self._view.attempts] + [one.opened for one in self._view.refunds]
        walls = [self._view.sale.updated_at, *(job.created_at for job in self._view.jobs)]
        ended = [one.ended_at for one in self._view.attempts] + [one.ended_at for one in self._view.refunds]
        walls += [wall for wall in ended if wall is not None]
        for instant in sorted({*begun, *(Instant(wall - behind) for wall in walls)}):
            if instant > self.records[-1].at + _SLACK:
                yield Instant(instant - _SLACK)

    def is_whole(self) -> bool:
        """Whether the beginning was found, everything that belongs to the sale was seen, and nothing was cut off."""
        subjects = {
            *(("attempt", str(one.client_sn)) for one in self._view.attempts),
            *(("refund", str(one.id)) for one in self._view.refunds),
        }
        is_begun = bool(self.records) and self.records[0].record.cause == "SaleOpened"
        return is_begun and not self._is_cut and subjects <= self._states.keys()

    def _may_go_on(self) -> bool:
        is_enough = self._pieces >= self._limits.pieces or len(self.records) >= self._limits.records
        self._is_cut = self._is_cut or is_enough
        return not self._is_cut

    def _take(self, records: tuple[LoggedRecord, ...]) -> None:
        self.records += records
        self._states |= {
            (one.record.kind, one.record.subject): one.record.after for one in records if one.record.kind in _AT_REST
        }

    def _is_at_rest(self) -> bool:
        is_over = all(state in _AT_REST[kind] for (kind, _), state in self._states.items())
        return bool(self.records) and is_over
