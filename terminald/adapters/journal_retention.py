"""Old sales leave the journal, a few at a time; what must outlive them stays.

That a reference was used outlives its sale: a host that repeats a request of long ago is refused, and nobody is charged
a second time. So do the place in the event log up to which something is missing, and the day from which on reports are
whole. Nothing is searched for without an index: a commit waits for one step at most.
"""

import hashlib
import sqlite3
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from terminald.adapters import journal_rows
from terminald.adapters.journal_identity import get_setting, put_setting
from terminald.adapters.ports_care import Forgotten, PrunePlace
from terminald.core.book import SaleView
from terminald.core.ids import SaleId, WallTime
from terminald.core.retention import Horizon, is_past
from terminald.core.schedule import CLOCK_UNSET_BEFORE

#: Sales that one step looks at, and rows of the event log.
SALES_PER_STEP: Final = 10
EVENTS_PER_STEP: Final = 200
#: Of the digest of a reference: nobody will ever see two with one digest.
_DIGEST_BYTES: Final = 16

#: The settings' names.
_SEQ: Final = "forgotten_seq"
_WALL: Final = "forgotten_before"

_OLD: Final = """
    SELECT rowid, created_at, snapshot FROM sales
    WHERE (created_at, rowid) > (?, ?) AND created_at < ? ORDER BY created_at, rowid LIMIT ?
"""
#: A row goes with its sale; one that is of no sale when it is old.
_OLD_EVENTS: Final = """
    SELECT seq FROM events WHERE seq > ? AND seq <= ? AND wall < ?
    AND at < CASE WHEN wall < ? THEN ? ELSE ? END
    AND (sale_id = '' OR NOT EXISTS (SELECT 1 FROM sales WHERE id = sale_id))
"""


def digest_of(reference: str) -> bytes:
    """Return what is kept of the reference of a deleted sale."""
    return hashlib.blake2b(reference.encode(), digest_size=_DIGEST_BYTES).digest()


def is_spent(connection: sqlite3.Connection, reference: str) -> bool:
    """Whether a sale that was deleted had this reference."""
    row = connection.execute("SELECT 1 FROM spent WHERE digest = ?", (digest_of(reference),)).fetchone()
    return row is not None


def forgotten(connection: sqlite3.Connection) -> Forgotten:
    """Return from where on everything is there."""
    return Forgotten(
        seq=int(get_setting(connection, _SEQ) or 0), before=WallTime(int(get_setting(connection, _WALL) or 0))
    )


def forget_events(connection: sqlite3.Connection, seq: int) -> None:
    """Note, within a transaction of the caller, that events up to a number are not all there."""
    if seq > forgotten(connection).seq:
        put_setting(connection, _SEQ, str(seq))


@contextmanager
def without_foreign_keys(connection: sqlite3.Connection) -> Iterator[None]:
    """Delete without SQLite's looking for rows that refer to what goes: attempts have no index for that.

    Outside a transaction; whoever deletes sees to it that nothing refers to a sale that is not there.
    """
    connection.execute("PRAGMA foreign_keys=OFF").fetchall()
    try:
        yield
    finally:
        connection.execute("PRAGMA foreign_keys=ON").fetchall()


@dataclass(frozen=True, slots=True)
class _Row:
    rowid: int
    created_at: int
    snapshot: str


def prune(
    connection: sqlite3.Connection, before: Horizon, kept: Collection[SaleId], place: PrunePlace
) -> PrunePlace | None:
    """Take one step from a place, within a transaction of the caller; return the next place, None after the last one.

    Sales come first, then the event log. Kept are sales that somebody is at work on.
    """
    if place.seq is None:
        return _prune_sales(connection, before, kept, place)
    return _prune_events(connection, before, place.seq)


def _prune_sales(
    connection: sqlite3.Connection, before: Horizon, kept: Collection[SaleId], place: PrunePlace
) -> PrunePlace:
    found = connection.execute(_OLD, (place.created_at, place.row, before.wall, SALES_PER_STEP))
    rows = [_Row(*row) for row in found]
    deleted = False
    for row in rows:
        view = journal_rows.view_of(connection, journal_rows.SALES.decode(row.snapshot))
        if view.sale.id not in kept and is_past(view, before):
            _delete(connection, view)
            deleted = True
    if deleted and forgotten(connection).before < before.wall:
        put_setting(connection, _WALL, str(before.wall))
    if len(rows) < SALES_PER_STEP:
        return PrunePlace(seq=0)
    return PrunePlace(created_at=rows[-1].created_at, row=rows[-1].rowid)


def _delete(connection: sqlite3.Connection, view: SaleView) -> None:
    sale = view.sale
    for table in ("jobs", "refunds", "vends"):
        connection.execute(f"DELETE FROM {table} WHERE sale_id = ?", (sale.id,))  # noqa: S608 - constants; values are bound
    connection.executemany("DELETE FROM attempts WHERE client_sn = ?", [(client_sn,) for client_sn in sale.attempts])
    connection.execute("DELETE FROM sales WHERE id = ?", (sale.id,))
    connection.execute("INSERT OR IGNORE INTO spent VALUES (?)", (digest_of(sale.order.reference),))


def _prune_events(connection: sqlite3.Connection, before: Horizon, seq: int) -> PrunePlace | None:
    (last, wall) = connection.execute(
        "SELECT max(seq), min(wall) FROM (SELECT seq, wall FROM events WHERE seq > ? ORDER BY seq LIMIT ?)",
        (seq, EVENTS_PER_STEP),
    ).fetchone()
    # The log is in the order of time: a piece in which nothing is old is followed by none that is.
    if last is None or wall >= before.wall:
        return None
    times = (before.wall, CLOCK_UNSET_BEFORE, before.instant_without_clock, before.instant)
    gone = connection.execute(_OLD_EVENTS, (seq, last, *times)).fetchall()
    connection.executemany("DELETE FROM events WHERE seq = ?", gone)
    if gone:
        forget_events(connection, gone[-1][0])
    return PrunePlace(seq=last)
