"""The journal's tables, and how a file of an older schema becomes one of the newest.

Steps go forward only, and are additive: a step may make tables and indexes, and columns that need no value of a release
that does not know them. So the release before goes on with the file after its successor was rolled back: what it does
not know it leaves alone. Each step says in the setting ``readable_from`` for which version, its own, which older one is
enough for that. It is not a matter of tables alone: a release before can not read a snapshot with a new state. Indexes
are few and mostly partial: each one that a commit touches is one more page written to the card.
"""

import re
import sqlite3
from typing import Final

from terminald.adapters.journal_faults import transaction

Step = tuple[str, ...]

_FIRST: Final[Step] = (
    """
    CREATE TABLE sales (
        id TEXT PRIMARY KEY NOT NULL,
        reference TEXT NOT NULL UNIQUE,
        state TEXT NOT NULL,
        is_open INTEGER NOT NULL,
        created_at INTEGER NOT NULL,
        snapshot TEXT NOT NULL
    ) STRICT
    """,
    "CREATE INDEX sales_open ON sales (id) WHERE is_open",
    "CREATE INDEX sales_created ON sales (created_at)",
    # The number tells the order in which attempts began, and of jobs the order in which they were queued.
    """
    CREATE TABLE attempts (
        number INTEGER PRIMARY KEY,
        client_sn TEXT NOT NULL UNIQUE,
        sale_id TEXT NOT NULL REFERENCES sales (id),
        is_open INTEGER NOT NULL,
        needs_attention INTEGER NOT NULL,
        started INTEGER NOT NULL,
        sn TEXT NOT NULL,
        snapshot TEXT NOT NULL
    ) STRICT
    """,
    "CREATE INDEX attempts_open ON attempts (sale_id) WHERE is_open",
    "CREATE INDEX attempts_attention ON attempts (sale_id) WHERE needs_attention",
    "CREATE INDEX attempts_sn ON attempts (sn) WHERE sn <> ''",
    """
    CREATE TABLE jobs (
        number INTEGER PRIMARY KEY,
        sale_id TEXT NOT NULL REFERENCES sales (id),
        id TEXT NOT NULL,
        is_open INTEGER NOT NULL,
        snapshot TEXT NOT NULL,
        UNIQUE (sale_id, id)
    ) STRICT
    """,
    "CREATE INDEX jobs_open ON jobs (sale_id) WHERE is_open",
    # A sequence number is never given twice, even when old events are deleted: hosts resume after it.
    """
    CREATE TABLE events (
        seq INTEGER PRIMARY KEY AUTOINCREMENT,
        at INTEGER NOT NULL,
        wall INTEGER NOT NULL,
        topic TEXT NOT NULL,
        kind TEXT NOT NULL,
        subject TEXT NOT NULL,
        sale_id TEXT NOT NULL,
        cause TEXT NOT NULL,
        state_before TEXT NOT NULL,
        state_after TEXT NOT NULL,
        body BLOB NOT NULL
    ) STRICT
    """,
    """
    CREATE TABLE boots (
        number INTEGER PRIMARY KEY,
        boot_id TEXT NOT NULL,
        offset_ms INTEGER NOT NULL,
        opened_at INTEGER NOT NULL
    ) STRICT
    """,
    """
    CREATE TABLE terminal (
        row INTEGER PRIMARY KEY CHECK (row = 1),
        terminal_sn TEXT NOT NULL,
        device_id TEXT NOT NULL,
        current_key TEXT NOT NULL,
        previous_key TEXT,
        activated_at INTEGER NOT NULL,
        rotated_at INTEGER NOT NULL
    ) STRICT
    """,
    """
    CREATE TABLE activations (
        id INTEGER PRIMARY KEY,
        code_masked TEXT NOT NULL,
        at INTEGER NOT NULL,
        outcome TEXT NOT NULL
    ) STRICT
    """,
    "CREATE TABLE settings (name TEXT PRIMARY KEY NOT NULL, value TEXT NOT NULL) STRICT",
)

#: What is known about the renewal of the key. The keys themselves stay in ``terminal``, and nowhere else.
_SECOND: Final[Step] = (
    """
    CREATE TABLE custody (
        row INTEGER PRIMARY KEY CHECK (row = 1),
        terminal_sn TEXT NOT NULL,
        snapshot TEXT NOT NULL
    ) STRICT
    """,
)

#: Money that goes back from paid sales, and what a person should look at beside orders.
_THIRD: Final[Step] = (
    """
    CREATE TABLE refunds (
        number INTEGER PRIMARY KEY,
        id TEXT NOT NULL UNIQUE,
        sale_id TEXT NOT NULL REFERENCES sales (id),
        is_open INTEGER NOT NULL,
        needs_attention INTEGER NOT NULL,
        opened INTEGER NOT NULL,
        snapshot TEXT NOT NULL
    ) STRICT
    """,
    "CREATE INDEX refunds_sale ON refunds (sale_id)",
    "CREATE INDEX refunds_open ON refunds (sale_id) WHERE is_open",
    "CREATE INDEX refunds_attention ON refunds (sale_id) WHERE needs_attention",
    "ALTER TABLE sales ADD COLUMN needs_attention INTEGER NOT NULL DEFAULT 0",
    "CREATE INDEX sales_attention ON sales (id) WHERE needs_attention",
)

#: What vending machines have asked for.
_FOURTH: Final[Step] = (
    """
    CREATE TABLE vends (
        sale_id TEXT PRIMARY KEY NOT NULL REFERENCES sales (id),
        machine TEXT NOT NULL,
        is_open INTEGER NOT NULL,
        snapshot TEXT NOT NULL
    ) STRICT
    """,
    "CREATE INDEX vends_open ON vends (sale_id) WHERE is_open",
)

#: The references of sales that were deleted: as digests, since a name is of no use any more, and short.
_FIFTH: Final[Step] = (
    "CREATE TABLE spent (digest BLOB PRIMARY KEY NOT NULL) STRICT, WITHOUT ROWID",
    "INSERT INTO settings VALUES ('readable_from', '5 from 4') ON CONFLICT (name) DO UPDATE SET value = excluded.value",
)

#: One step for each version: step n makes version n of version n - 1.
MIGRATIONS: Final[tuple[Step, ...]] = (_FIRST, _SECOND, _THIRD, _FOURTH, _FIFTH)
VERSION: Final = len(MIGRATIONS)

_READABLE: Final = re.compile(r"([0-9]{1,6}) from ([0-9]{1,6})", re.ASCII)


def version_of(connection: sqlite3.Connection) -> int:
    """Return the schema version of the file; 0 of an empty one."""
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    return int(version)


def is_readable(connection: sqlite3.Connection, version: int) -> bool:
    """Whether this release can go on with a file of that version: not with a newer one, unless that says so."""
    if version <= VERSION:
        return True
    row: tuple[str] | None = connection.execute("SELECT value FROM settings WHERE name = 'readable_from'").fetchone()
    # What an older step has said of its own version is no word about this one.
    said = _READABLE.fullmatch(row[0]) if row else None
    return said is not None and int(said[1]) == version and int(said[2]) <= VERSION


def migrate(connection: sqlite3.Connection, steps: tuple[Step, ...] = MIGRATIONS) -> None:
    """Bring the file to the newest version: each step wholly or not at all. Harmless when repeated.

    Raises:
        sqlite3.Error: a statement failed; the file has the version of the last step that was complete.
    """
    done = version_of(connection)
    for version, statements in enumerate(steps[done:], start=done + 1):
        with transaction(connection):
            for statement in statements:
                connection.execute(statement)
            connection.execute(f"PRAGMA user_version={version}")
