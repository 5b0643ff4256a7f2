"""Old sales leave the journal, a few at a time; what must outlive them stays.

That a reference was used outlives its sale: a host that repeats a request of long ago is refused, and nobody is charged
a second time. So do the place in the event log up to which something is missing, and the day from which on reports are
whole. Nothing is searched for without an index: a commit waits for one step at most.

What can not be read stays, as evidence, and what was recorded while the clock was ahead stays until its time: neither
is in the way of what was recorded after it.
"""

import hashlib
import sqlite3
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from typing import Final

from terminald.adapters import journal_rows
from terminald.adapters.journal_identity import get_setting, put_setting
from terminald.adapters.ports_care import Forgotten, PrunePlace, PruneStep, UnreadSale
from terminald.core.book import SaleView
from terminald.core.ids import SaleId, WallTime
from terminald.core.retention import Horizon, is_aged, is_past
from terminald.core.schedule import CLOCK_UNSET_BEFORE
from terminald.errors import JournalCorrupt

#: Sales that one step looks at, and rows of the event log.
SALES_PER_STEP: Final = 10
EVENTS_PER_STEP: Final = 200
#: Pieces of the event log that one pass reads though nothing in them is old: some days of a busy terminal.
MOST_VAIN: Final = 200
#: Of the digest of a reference: nobody will ever see two with one digest.
_DIGEST_BYTES: Final = 16

#: The settings' names.
_SEQ: Final = "forgotten_seq"
_WALL: Final = "forgotten_before"

_OLD: Final = """
    SELECT created_at, rowid FROM sales
    WHERE (created_at, rowid) > (?, ?) AND created_at < ? ORDER BY created_at, rowid LIMIT ?
"""
#: Rows are in the order of the terminal's own time.
_FIRST: Final = "SELECT created_at, rowid FROM sales WHERE rowid > ? ORDER BY rowid LIMIT ?"
#: As :func:`terminald.core.retention.is_past` has it.
_IS_OLD: Final = """
    (wall < :before OR wall > :now)
    AND at < CASE WHEN wall < :unset OR wall > :now THEN :aged ELSE :least END
"""
_PIECE: Final = f"""
    SELECT max(seq), sum({_IS_OLD}) FROM (SELECT seq, wall, at FROM events WHERE seq > :seq ORDER BY seq LIMIT :limit)
"""  # noqa: S608 - constants
#: A row goes with its sale; one that is of no sale when it is old.
_OLD_EVENTS: Final = f"""
    SELECT seq FROM events WHERE seq > :seq AND seq <= :last AND {_IS_OLD}
    AND (sale_id = '' OR NOT EXISTS (SELECT 1 FROM sales WHERE id = sale_id))
"""  # noqa: S608 - constants
_EVENT_BEHIND: Final = f"SELECT {_IS_OLD} FROM events WHERE seq > :seq ORDER BY seq LIMIT 1"  # noqa: S608 - constants


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


def prune(connection: sqlite3.Connection, before: Horizon, kept: Collection[SaleId], place: PrunePlace) -> PruneStep:
    """Take one step from a place, within a transaction of the caller.

    Sales come first, by the time of day and then by the terminal's own time, and the event log last. Kept are sales
    that somebody is at work on.

    Raises:
        sqlite3.Error: the file is damaged, or can not be read or written now.
    """
    if place.seq is not None:
        return _prune_events(connection, before, place.seq, place.vain)
    if place.aged_row is not None:
        return _prune_aged(connection, before, kept, place.aged_row)
    return _prune_old(connection, before, kept, place)


def _prune_old(
    connection: sqlite3.Connection, before: Horizon, kept: Collection[SaleId], place: PrunePlace
) -> PruneStep:
    bounds = (place.created_at, place.row, before.wall, SALES_PER_STEP)
    rows: list[tuple[int, int]] = connection.execute(_OLD, bounds).fetchall()
    found = [_read(connection, row) for _, row in rows]
    _delete_past(connection, before, kept, found)
    is_last = len(rows) < SALES_PER_STEP
    then = PrunePlace(aged_row=0) if is_last else PrunePlace(created_at=rows[-1][0], row=rows[-1][1])
    return PruneStep(then=then, unread=_unread(found))


def _prune_aged(connection: sqlite3.Connection, before: Horizon, kept: Collection[SaleId], after: int) -> PruneStep:
    """Go on with those whose time of day is no sign of their age: with the oldest, until one is not old."""
    rows: list[tuple[int, int]] = connection.execute(_FIRST, (after, SALES_PER_STEP)).fetchall()
    found: list[SaleView | UnreadSale] = []
    for created_at, row in rows:
        one = _read(connection, row)
        is_recent = before.wall <= created_at <= before.now
        if is_recent if isinstance(one, UnreadSale) else not is_aged(one.sale, before):
            break
        found.append(one)
    _delete_past(connection, before, kept, found)
    then = PrunePlace(seq=0) if len(found) < SALES_PER_STEP else PrunePlace(aged_row=rows[-1][1])
    return PruneStep(then=then, unread=_unread(found))


def _read(connection: sqlite3.Connection, row: int) -> SaleView | UnreadSale:
    """Read one sale with all that belongs to it."""
    name = f"row {row}"
    try:
        (name,) = connection.execute("SELECT id FROM sales WHERE rowid = ?", (row,)).fetchone()
        (snapshot,) = connection.execute("SELECT snapshot FROM sales WHERE rowid = ?", (row,)).fetchone()
        return journal_rows.view_of(connection, journal_rows.SALES.decode(snapshot))
    except JournalCorrupt as exc:
        return UnreadSale(sale=name, why=str(exc))
    except sqlite3.Error as exc:
        # Without a code it is Python's own, which quotes the text that it could not read.
        if hasattr(exc, "sqlite_errorcode"):
            raise
        return UnreadSale(sale=name, why="the journal holds text that can not be read: it is not UTF-8")


def _unread(found: Sequence[SaleView | UnreadSale]) -> tuple[UnreadSale, ...]:
    return tuple(one for one in found if isinstance(one, UnreadSale))


def _delete_past(
    connection: sqlite3.Connection,
    before: Horizon,
    kept: Collection[SaleId],
    found: Sequence[SaleView | UnreadSale],
) -> None:
    views = [one for one in found if isinstance(one, SaleView)]
    past = [view for view in views if view.sale.id not in kept and is_past(view, before)]
    for view in past:
        _delete(connection, view)
    if past and forgotten(connection).before < before.wall:
        put_setting(connection, _WALL, str(before.wall))


def _delete(connection: sqlite3.Connection, view: SaleView) -> None:
    sale = view.sale
    for table in ("jobs", "refunds", "vends"):
        connection.execute(f"DELETE FROM {table} WHERE sale_id = ?", (sale.id,))  # noqa: S608 - constants; values are bound
    connection.executemany("DELETE FROM attempts WHERE client_sn = ?", [(client_sn,) for client_sn in sale.attempts])
    connection.execute("DELETE FROM sales WHERE id = ?", (sale.id,))
    connection.execute("INSERT OR IGNORE INTO spent VALUES (?)", (digest_of(sale.order.reference),))


def _prune_events(connection: sqlite3.Connection, before: Horizon, seq: int, vain: int) -> PruneStep:
    times = {
        "before": before.wall,
        "now": before.now,
        "unset": CLOCK_UNSET_BEFORE,
        "aged": before.instant_without_clock,
        "least": before.instant,
    }
    (last, old) = connection.execute(_PIECE, {**times, "seq": seq, "limit": EVENTS_PER_STEP}).fetchone()
    if last is None:
        return PruneStep(then=None)
    if not old:
        vain += 1
        goes_on = vain < MOST_VAIN and _has_old_behind(connection, last, times)
        return PruneStep(then=PrunePlace(seq=last, vain=vain) if goes_on else None)
    gone = connection.execute(_OLD_EVENTS, {**times, "seq": seq, "last": last}).fetchall()
    connection.executemany("DELETE FROM events WHERE seq = ?", gone)
    if gone:
        forget_events(connection, gone[-1][0])
    return PruneStep(then=PrunePlace(seq=last, vain=vain))


def _has_old_behind(connection: sqlite3.Connection, seq: int, times: dict[str, int]) -> bool:
    """Whether a piece without old rows is followed by some: it is of a clock that was ahead.

    Looked for at twice the distance each time: what is behind is found when it is as long as what is before it.
    """
    distance = 0
    while row := connection.execute(_EVENT_BEHIND, {**times, "seq": seq + distance}).fetchone():
        if row[0]:
            return True
        distance = 2 * distance or EVENTS_PER_STEP
    return False
