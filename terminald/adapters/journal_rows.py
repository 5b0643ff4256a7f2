"""Sales, attempts, print jobs, vends and events as rows: written in batches, read back as the core's values.

What is searched for has a column; the truth is the snapshot beside it, the JSON of the core's dataclass.
"""

import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from typing import Final, Generic, TypeVar

import msgspec

from terminald.adapters.ports import Batch, LoggedEvent, LoggedRecord, SaleFilter
from terminald.core import book as books
from terminald.core.attempt_table import Attempt
from terminald.core.book import Book, SaleView
from terminald.core.ids import ClientSn, Instant, SaleId
from terminald.core.refund_table import Refund
from terminald.core.sale_table import Sale, SaleState
from terminald.core.schedule import CODE_LIFE
from terminald.core.spool import PrintJob
from terminald.core.stimuli import Record
from terminald.core.vend_table import Vend
from terminald.errors import JournalCorrupt, JournalError

T = TypeVar("T")

_Fields = dict[str, msgspec.Raw]


#: What is said of a damaged row may quote it: a word that is none of a state's may be all of the row (I11).
_SHOWN: Final = 200


class Snapshots(Generic[T]):
    """One type of snapshot, to and from JSON.

    A field that this release does not know is ignored: the next release may have written it. A field that an older
    release did not write yet takes its default from the dataclass, or else from ``added``.
    """

    def __init__(self, kind: type[T], added: bytes = b"{}") -> None:
        """Added is a JSON object: the values of fields that were added after the first release and have no default."""
        self._kind = kind
        self._decoder = msgspec.json.Decoder(kind)
        self._fields = msgspec.json.Decoder(_Fields)
        self._added = self._fields.decode(added)

    def encode(self, snapshot: T) -> str:
        """Write a snapshot as one line of JSON."""
        return msgspec.json.encode(snapshot).decode()

    def decode(self, text: str) -> T:
        """Read a snapshot.

        Raises:
            JournalCorrupt: it is not JSON, or not of this type.
        """
        try:
            if self._added:
                text = msgspec.json.encode({**self._added, **self._fields.decode(text)}).decode()
            return self._decoder.decode(text)
        except msgspec.DecodeError as exc:
            said = str(exc)
            said = said if len(said) <= _SHOWN else f"{said[:_SHOWN]}…"
            raise JournalCorrupt(f"the journal holds a {self._kind.__name__} that can not be read: {said}") from None


SALES: Final = Snapshots(Sale)
ATTEMPTS: Final = Snapshots(Attempt)
REFUNDS: Final = Snapshots(Refund)
JOBS: Final = Snapshots(PrintJob)
VENDS: Final = Snapshots(Vend)

#: The greatest integer that SQLite knows.
_NO_END: Final = 2**63 - 1
_OPEN_STATES: Final = frozenset(state.shown for state in SaleState if not state.is_final)

# --- writing ---------------------------------------------------------------------------------------------------------

#: What makes a row the same one never changes. An update that would change it finds no row.
_PUT_SALE: Final = """
    INSERT INTO sales (id, reference, state, is_open, needs_attention, created_at, snapshot)
    VALUES (?, ?, ?, ?, ?, ?, ?)
    ON CONFLICT (id) DO UPDATE SET state = excluded.state, is_open = excluded.is_open,
    needs_attention = excluded.needs_attention, snapshot = excluded.snapshot
    WHERE reference = excluded.reference AND created_at = excluded.created_at
"""
_PUT_ATTEMPT: Final = """
    INSERT INTO attempts (client_sn, sale_id, is_open, needs_attention, started, sn, snapshot)
    VALUES (?, ?, ?, ?, ?, ?, ?)
    ON CONFLICT (client_sn) DO UPDATE SET is_open = excluded.is_open, needs_attention = excluded.needs_attention,
    sn = excluded.sn, snapshot = excluded.snapshot
    WHERE sale_id = excluded.sale_id AND started = excluded.started
"""
_PUT_REFUND: Final = """
    INSERT INTO refunds (id, sale_id, is_open, needs_attention, opened, snapshot) VALUES (?, ?, ?, ?, ?, ?)
    ON CONFLICT (id) DO UPDATE SET is_open = excluded.is_open, needs_attention = excluded.needs_attention,
    snapshot = excluded.snapshot
    WHERE sale_id = excluded.sale_id AND opened = excluded.opened
"""
_PUT_JOB: Final = """
    INSERT INTO jobs (sale_id, id, is_open, snapshot) VALUES (?, ?, ?, ?)
    ON CONFLICT (sale_id, id) DO UPDATE SET is_open = excluded.is_open, snapshot = excluded.snapshot
"""
_PUT_VEND: Final = """
    INSERT INTO vends (sale_id, machine, is_open, snapshot) VALUES (?, ?, ?, ?)
    ON CONFLICT (sale_id) DO UPDATE SET is_open = excluded.is_open, snapshot = excluded.snapshot
    WHERE machine = excluded.machine
"""
_ADD_EVENT: Final = """
    INSERT INTO events (at, wall, topic, kind, subject, sale_id, cause, state_before, state_after, body)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""


def write(connection: sqlite3.Connection, batch: Batch) -> None:
    """Write a batch, within a transaction of the caller.

    Raises:
        JournalError: it would give a sale's id or a ``client_sn`` a second meaning (I2).
        sqlite3.Error: it can not be written.
    """
    for what, statement, rows in (
        ("a sale", _PUT_SALE, _sale_rows(batch)),
        ("an attempt", _PUT_ATTEMPT, _attempt_rows(batch)),
        ("a refund", _PUT_REFUND, _refund_rows(batch)),
        ("a print job", _PUT_JOB, _job_rows(batch)),
        ("a vend", _PUT_VEND, _vend_rows(batch)),
    ):
        if rows and connection.executemany(statement, rows).rowcount != len(rows):
            raise JournalError(f"{what} was to be written under the name of another; nothing was changed")
    connection.executemany(_ADD_EVENT, _event_rows(batch))


_Rows = list[tuple[int | str | bytes, ...]]


def _sale_rows(batch: Batch) -> _Rows:
    return [
        (
            one.id,
            one.order.reference,
            one.state.shown,
            not one.state.is_final,
            one.attention is not None,
            one.created_at,
            SALES.encode(one),
        )
        for one in batch.sales
    ]


def _attempt_rows(batch: Batch) -> _Rows:
    return [
        (
            one.client_sn,
            one.sale_id,
            not one.state.is_final,
            one.attention is not None,
            one.started,
            one.facts.sn,
            ATTEMPTS.encode(one),
        )
        for one in batch.attempts
    ]


def _refund_rows(batch: Batch) -> _Rows:
    return [
        (one.id, one.sale_id, not one.state.is_final, one.attention is not None, one.opened, REFUNDS.encode(one))
        for one in batch.refunds
    ]


def _job_rows(batch: Batch) -> _Rows:
    return [(one.sale_id, one.id, not one.state.is_final, JOBS.encode(one)) for one in batch.jobs]


def _vend_rows(batch: Batch) -> _Rows:
    return [(one.sale_id, one.machine, not one.state.is_final, VENDS.encode(one)) for one in batch.vends]


def _event_rows(batch: Batch) -> _Rows:
    return [
        (
            batch.now.instant,
            batch.now.wall,
            entry.topic,
            entry.record.kind,
            entry.record.subject,
            entry.record.sale_id,
            entry.record.cause,
            entry.record.before,
            entry.record.after,
            entry.body,
        )
        for entry in batch.entries
    ]


# --- events ----------------------------------------------------------------------------------------------------------


def last_seq(connection: sqlite3.Connection) -> int:
    """Return the sequence number of the last event that was ever logged; 0 before the first."""
    row: tuple[int] | None = connection.execute("SELECT seq FROM sqlite_sequence WHERE name = 'events'").fetchone()
    return row[0] if row else 0


def events_after(connection: sqlite3.Connection, seq: int, limit: int) -> tuple[LoggedEvent, ...]:
    """Return public events with a greater sequence number, oldest first."""
    statement = "SELECT seq, topic, body FROM events WHERE seq > ? AND topic <> '' ORDER BY seq LIMIT ?"
    rows = connection.execute(statement, (seq, max(0, limit)))
    return tuple(LoggedEvent(seq=number, topic=topic, body=body) for number, topic, body in rows)


def records_after(connection: sqlite3.Connection, seq: int, limit: int) -> tuple[LoggedRecord, ...]:
    """Return every event with a greater sequence number, oldest first, without what hosts see of it."""
    statement = (
        "SELECT seq, wall, kind, subject, sale_id, cause, state_before, state_after FROM events"
        " WHERE seq > ? ORDER BY seq LIMIT ?"
    )
    return tuple(
        LoggedRecord(
            seq=number,
            wall=wall,
            record=Record(kind=kind, subject=subject, sale_id=sale_id, cause=cause, before=before, after=after),
        )
        for number, wall, kind, subject, sale_id, cause, before, after in connection.execute(
            statement, (seq, max(0, limit))
        )
    )


# --- sales -----------------------------------------------------------------------------------------------------------

#: In the order of trust: names that terminald gave, then the host's, then the gateway's.
_FIND: Final = (
    "SELECT snapshot FROM sales WHERE id = ?",
    "SELECT sales.snapshot FROM attempts JOIN sales ON sales.id = sale_id WHERE client_sn = ?",
    "SELECT snapshot FROM sales WHERE reference = ?",
    "SELECT sales.snapshot FROM attempts JOIN sales ON sales.id = sale_id WHERE sn = ? AND sn <> '' LIMIT 1",
)


def find_sale(connection: sqlite3.Connection, name: str) -> SaleView | None:
    """Find one sale by its id, an attempt's ``client_sn``, the host's reference or the gateway's ``sn``."""
    for statement in _FIND:
        row: tuple[str] | None = connection.execute(statement, (name,)).fetchone()
        if row:
            return view_of(connection, SALES.decode(row[0]))
    return None


_IN_ATTENTION: Final = """id IN (
    SELECT sale_id FROM attempts WHERE needs_attention
    UNION SELECT sale_id FROM refunds WHERE needs_attention
    UNION SELECT id FROM sales WHERE needs_attention)"""


def list_sales(connection: sqlite3.Connection, wanted: SaleFilter) -> tuple[SaleView, ...]:
    """List sales, newest first. Since is included, until is not."""
    conditions = ["TRUE"]
    if wanted.reference:
        conditions.append("reference = :reference")
    if wanted.state:
        conditions.append("state = :state")
    if wanted.state in _OPEN_STATES:
        conditions.append("is_open")
    if wanted.since is not None:
        conditions.append("created_at >= :since")
    # With both ends SQLite reads the days that are asked for; with one it would read back to the first sale.
    if wanted.until is not None or wanted.since is not None:
        conditions.append("created_at < :until")
    if wanted.needs_attention:
        conditions.append(_IN_ATTENTION)
    if wanted.cursor:
        conditions.append("id < :cursor")
    where = " AND ".join(conditions)
    rows: list[tuple[str]] = connection.execute(
        f"SELECT snapshot FROM sales WHERE {where} ORDER BY id DESC LIMIT :limit",  # noqa: S608 - constants; values are bound
        {
            "reference": wanted.reference,
            "state": wanted.state,
            "since": wanted.since,
            "until": _NO_END if wanted.until is None else wanted.until,
            "cursor": wanted.cursor,
            "limit": max(0, wanted.limit),
        },
    ).fetchall()
    return tuple(view_of(connection, SALES.decode(text)) for (text,) in rows)


def load_book(connection: sqlite3.Connection, now: Instant) -> Book:
    """Return every sale with something open, with all that belongs to it, and the codes that may still live."""
    views = [view_of(connection, sale) for sale in _kept(connection)]
    return Book(
        sales={view.sale.id: view.sale for view in views},
        attempts={one.client_sn: one for view in views for one in view.attempts},
        refunds={one.id: one for view in views for one in view.refunds},
        jobs={job.id: job for view in views for job in view.jobs},
        vends={view.sale.id: view.vend for view in views if view.vend is not None},
        used=books.codes_of(_recent(connection, now), now),
    )


def _kept(connection: sqlite3.Connection) -> list[Sale]:
    kept: set[SaleId] = set()
    for statement in (
        "SELECT id FROM sales WHERE is_open",
        "SELECT id FROM sales WHERE needs_attention",
        "SELECT sale_id FROM attempts WHERE is_open",
        "SELECT sale_id FROM refunds WHERE is_open",
        "SELECT sale_id FROM jobs WHERE is_open",
        "SELECT sale_id FROM vends WHERE is_open",
    ):
        kept.update(sale_id for (sale_id,) in connection.execute(statement))
    return [_sale(connection, sale_id) for sale_id in sorted(kept)]


def _recent(connection: sqlite3.Connection, now: Instant) -> Iterator[Attempt]:
    """Yield the attempts whose codes may still live, newest first."""
    # Attempts are numbered as they begin, and instants never run backwards: the first old one ends the search.
    for started, text in connection.execute("SELECT started, snapshot FROM attempts ORDER BY number DESC"):
        if now - started >= CODE_LIFE:
            break
        yield ATTEMPTS.decode(text)


def _sale(connection: sqlite3.Connection, sale_id: SaleId) -> Sale:
    row: tuple[str] | None = connection.execute("SELECT snapshot FROM sales WHERE id = ?", (sale_id,)).fetchone()
    if row is None:
        raise JournalCorrupt(f"the journal has lost sale {sale_id}")
    return SALES.decode(row[0])


def view_of(connection: sqlite3.Connection, sale: Sale) -> SaleView:
    """Return a sale with all that belongs to it."""
    refunds = connection.execute("SELECT snapshot FROM refunds WHERE sale_id = ? ORDER BY number", (sale.id,))
    jobs = connection.execute("SELECT snapshot FROM jobs WHERE sale_id = ? ORDER BY number", (sale.id,))
    return SaleView(
        sale=sale,
        attempts=tuple(_attempt(connection, client_sn) for client_sn in sale.attempts),
        refunds=tuple(REFUNDS.decode(text) for (text,) in refunds),
        jobs=tuple(JOBS.decode(text) for (text,) in jobs),
        vend=_vend(connection, sale),
    )


def _vend(connection: sqlite3.Connection, sale: Sale) -> Vend | None:
    """Return the vend of a sale, without the number of its request: that lives as long as the process that gave it."""
    if not sale.order.is_vend:
        return None
    row: tuple[str] | None = connection.execute("SELECT snapshot FROM vends WHERE sale_id = ?", (sale.id,)).fetchone()
    if row is None:
        raise JournalCorrupt(f"the journal has lost the vend of sale {sale.id}")
    return replace(VENDS.decode(row[0]), request=None)


def _attempt(connection: sqlite3.Connection, client_sn: ClientSn) -> Attempt:
    statement = "SELECT snapshot FROM attempts WHERE client_sn = ?"
    row: tuple[str] | None = connection.execute(statement, (client_sn,)).fetchone()
    if row is None:
        raise JournalCorrupt(f"the journal has lost attempt {client_sn}")
    return ATTEMPTS.decode(row[0])
