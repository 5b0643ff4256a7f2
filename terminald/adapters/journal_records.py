"""The records of one sale in the event log: found without an index, one bounded piece of the log at a time.

Every index on the log is one more page that a commit writes. Numbers rise with the terminal's own time line, so a
moment is found by halving; from there the log is read in pieces.
"""

import sqlite3
from typing import Final

from terminald.adapters.ports_story import RecordPage
from terminald.core.ids import Instant, SaleId
from terminald.core.stimuli import Record
from terminald.core.story_told import LoggedRecord

#: Asked for one by one: together they would be looked for in every row.
_ENDS: Final = "SELECT coalesce((SELECT min(seq) FROM events), 1), coalesce((SELECT max(seq) FROM events), 0)"
#: Numbers may be missing: the row at a place is the next one that there is.
_AT: Final = "SELECT at FROM events WHERE seq >= ? ORDER BY seq LIMIT 1"
_PIECE: Final = "SELECT max(seq), max(at) FROM (SELECT seq, at FROM events WHERE seq > ? ORDER BY seq LIMIT ?)"
_RECORDS: Final = """
    SELECT seq, at, wall, kind, subject, sale_id, cause, state_before, state_after FROM events
    WHERE seq > ? AND seq <= ? AND sale_id = ? ORDER BY seq
"""


def seq_before(connection: sqlite3.Connection, instant: Instant) -> int:
    """Return the sequence number of the last row before a moment, or one where a row was; 0 where there is none."""
    low, high = connection.execute(_ENDS).fetchone()
    while low <= high:
        middle = (low + high) // 2
        (at,) = connection.execute(_AT, (middle,)).fetchone()
        if at < instant:
            low = middle + 1
        else:
            high = middle - 1
    return int(high)


def records_of(connection: sqlite3.Connection, seq: int, sale_id: SaleId, limit: int) -> RecordPage:
    """Read so many rows with greater sequence numbers, and return those of one sale, oldest first."""
    last, last_at = connection.execute(_PIECE, (seq, max(1, limit))).fetchone()
    if last is None:
        return RecordPage(records=(), next_seq=None, last_at=Instant(0))
    rows = connection.execute(_RECORDS, (seq, last, sale_id))
    records = tuple(
        LoggedRecord(
            seq=number,
            at=at,
            wall=wall,
            record=Record(kind=kind, subject=subject, sale_id=owner, cause=cause, before=before, after=after),
        )
        for number, at, wall, kind, subject, owner, cause, before, after in rows
    )
    return RecordPage(records=records, next_seq=last, last_at=last_at)
