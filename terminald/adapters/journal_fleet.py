"""The event log for the fleet's broker: pages with every row, and the mark of how far it was taken.

The mark is a setting of the journal: the one writer syncs it, in the order of the commits.
"""

import secrets
import sqlite3
from contextlib import suppress
from typing import Final

from terminald.adapters.journal_identity import get_setting, put_setting
from terminald.adapters.journal_rows import Snapshots
from terminald.adapters.journal_thread import MAX_PAGE, JournalThread
from terminald.adapters.ports_fleet import FleetMark, LoggedRow
from terminald.errors import JournalCorrupt, JournalUnavailable

#: The setting's name.
_NAME: Final = "fleet"
_DOING: Final = "noting what the broker took"
#: Bytes of chance in the name of an event log: two terminals of a fleet never share one.
_NAME_BYTES: Final = 8
_MARKS: Final = Snapshots(FleetMark)


class ThreadFleetJournal:
    """Implements :class:`terminald.adapters.ports_fleet.FleetJournal` on the journal's thread."""

    def __init__(self, thread: JournalThread) -> None:
        """Between two pages the thread is free for commits."""
        self._thread = thread

    async def open_mark(self, begin: int) -> FleetMark:
        """Return the mark. The first time, and where it makes no sense, the log gets a name, and is told after begin.

        Nothing about money depends on the mark: a damaged one is no reason to tell nothing.

        Raises:
            JournalError: the file can not be read.
        """
        newest = await self._thread.last_seq()
        text = await self._thread.read(lambda connection: get_setting(connection, _NAME))
        try:
            mark = _MARKS.decode(text)
        except JournalCorrupt:
            mark = None
        if mark is None or not 0 <= mark.seq <= newest:
            mark = FleetMark(log=secrets.token_hex(_NAME_BYTES), seq=begin)
            # Where the disk is full nothing is logged either: the mark is written with the first events.
            with suppress(JournalUnavailable):
                await self.put_mark(mark)
        return mark

    async def page(self, seq: int, limit: int) -> tuple[LoggedRow, ...]:
        """Return rows with greater sequence numbers, oldest first; at most MAX_PAGE of them."""
        return await self._thread.read(lambda connection: read_page(connection, seq, min(limit, MAX_PAGE)))

    async def put_mark(self, mark: FleetMark) -> None:
        """Store how far the log was taken by the broker. Not undone by cancelling."""
        text = _MARKS.encode(mark)
        await self._thread.write(_DOING, lambda connection: put_setting(connection, _NAME, text))


def read_page(connection: sqlite3.Connection, seq: int, limit: int) -> tuple[LoggedRow, ...]:
    """Return so many rows with greater sequence numbers, oldest first."""
    statement = "SELECT seq, wall, topic, body FROM events WHERE seq > ? ORDER BY seq LIMIT ?"
    rows = connection.execute(statement, (seq, max(0, limit)))
    return tuple(LoggedRow(seq=number, wall=wall, topic=topic, body=body) for number, wall, topic, body in rows)
