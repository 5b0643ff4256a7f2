"""Who this terminal is, what was tried to make it so, and the anchor of its time line, as rows.

The keys stand here in clear: whoever takes the card has them. No other table holds a secret (I7).
"""

import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from terminald.adapters.journal_rows import Snapshots
from terminald.core.custody_table import Custody, Rotation
from terminald.core.ids import Secret, WallTime
from terminald.core.schedule import HOUR, TIME_MARGIN, Floor, Now
from terminald.core.terminal import ActivationIntent, Terminal
from terminald.errors import JournalCorrupt, JournalError

#: A terminal is activated once, and again after a repair: more attempts than these are not worth showing.
MAX_ACTIVATIONS: Final = 100
#: The last events are looked at for the last moment: commits may be queued in another order than their moments.
_RECENT_EVENTS: Final = 1_000
#: The floor of the time of day is written again after this: a power cut costs so much of it, and a card bears 24 more
#: small writes a day. Between them it goes on by itself, with the time line.
FLOOR_INTERVAL: Final = HOUR
#: The setting that holds it.
_FLOOR: Final = "time_floor"

#: How the settings begin that hold the digests of the board's identity.
_BOARD: Final = "board "

ROTATIONS: Final = Snapshots(Rotation)
FLOORS: Final = Snapshots(Floor)


@dataclass(frozen=True, slots=True, kw_only=True)
class Boot:
    """How one boot's time becomes the terminal's own: ``CLOCK_BOOTTIME + offset`` is the instant, in milliseconds."""

    offset: int
    #: Whether this is the first start of the boot, or those before it died before they put an event on record: whoever
    #: stood before the terminal may be gone.
    is_new: bool


_PUT_TERMINAL: Final = """
    INSERT INTO terminal (row, terminal_sn, device_id, current_key, previous_key, activated_at, rotated_at)
    VALUES (1, ?, ?, ?, ?, ?, ?)
    ON CONFLICT (row) DO UPDATE SET terminal_sn = excluded.terminal_sn, device_id = excluded.device_id,
    current_key = excluded.current_key, previous_key = excluded.previous_key,
    activated_at = excluded.activated_at, rotated_at = excluded.rotated_at
"""


# --- settings --------------------------------------------------------------------------------------------------------


def get_setting(connection: sqlite3.Connection, name: str) -> str:
    """Return a setting; empty when it was never fixed."""
    row: tuple[str] | None = connection.execute("SELECT value FROM settings WHERE name = ?", (name,)).fetchone()
    return row[0] if row else ""


def fix_setting(connection: sqlite3.Connection, name: str, value: str) -> str:
    """Store a setting for ever, unless it is stored already; return what is stored."""
    connection.execute("INSERT INTO settings VALUES (?, ?) ON CONFLICT (name) DO NOTHING", (name, value))
    return get_setting(connection, name)


def put_setting(connection: sqlite3.Connection, name: str, value: str) -> None:
    """Store a setting, whatever is stored already."""
    connection.execute(
        "INSERT INTO settings VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value", (name, value)
    )


# --- the board -------------------------------------------------------------------------------------------------------


def load_board(connection: sqlite3.Connection) -> dict[str, str]:
    """Return the digest of each known source of the board's identity."""
    rows = connection.execute(
        "SELECT substr(name, ?), value FROM settings WHERE substr(name, 1, ?) = ?",
        (len(_BOARD) + 1, len(_BOARD), _BOARD),
    ).fetchall()
    return dict(rows)


def settle(connection: sqlite3.Connection, device_id: str | None, digests: Mapping[str, str]) -> None:
    """Store the board's digests in place of all that are stored, and a device id; None: the stored one stays.

    Within a transaction of the caller.
    """
    if device_id is not None:
        put_setting(connection, "device_id", device_id)
    connection.execute("DELETE FROM settings WHERE substr(name, 1, ?) = ?", (len(_BOARD), _BOARD))
    for name, digest in digests.items():
        put_setting(connection, f"{_BOARD}{name}", digest)


# --- identity --------------------------------------------------------------------------------------------------------


def load_terminal(connection: sqlite3.Connection) -> Terminal | None:
    """Return the identity; None before the first activation."""
    row: tuple[str, str, str, str | None, WallTime, WallTime] | None = connection.execute(
        "SELECT terminal_sn, device_id, current_key, previous_key, activated_at, rotated_at FROM terminal"
    ).fetchone()
    if row is None:
        return None
    terminal_sn, device_id, current_key, previous_key, activated_at, rotated_at = row
    if not terminal_sn or not current_key:
        raise JournalCorrupt("the journal holds a terminal without number or key")
    return Terminal(
        terminal_sn=terminal_sn,
        device_id=device_id,
        current_key=Secret(current_key),
        previous_key=None if previous_key is None else Secret(previous_key),
        activated_at=activated_at,
        rotated_at=rotated_at,
    )


def add_activation(connection: sqlite3.Connection, code_masked: str, wall: WallTime) -> int:
    """Note that an activation is about to be sent; return its id."""
    statement = "INSERT INTO activations (code_masked, at, outcome) VALUES (?, ?, '') RETURNING id"
    [(number,)] = connection.execute(statement, (code_masked, wall)).fetchall()
    return int(number)


def close_activation(connection: sqlite3.Connection, number: int, outcome: str, terminal: Terminal | None) -> None:
    """Write the outcome of an activation and the identity that it gave, within a transaction of the caller.

    Raises:
        JournalError: there is no such activation.
    """
    done = connection.execute("UPDATE activations SET outcome = ? WHERE id = ?", (outcome, number))
    if done.rowcount != 1:
        raise JournalError(f"there is no activation {number}; nothing was changed")
    if terminal is not None:
        put_terminal(connection, terminal)
        connection.execute("DELETE FROM custody")


def put_terminal(connection: sqlite3.Connection, terminal: Terminal) -> None:
    """Store an identity with its keys in place of the one that is stored, within a transaction of the caller."""
    previous = terminal.previous_key
    connection.execute(
        _PUT_TERMINAL,
        (
            terminal.terminal_sn,
            terminal.device_id,
            terminal.current_key.reveal(),
            None if previous is None else previous.reveal(),
            terminal.activated_at,
            terminal.rotated_at,
        ),
    )


def load_activations(connection: sqlite3.Connection) -> tuple[ActivationIntent, ...]:
    """Return the last activations, oldest first."""
    rows = connection.execute(
        "SELECT id, code_masked, at, outcome FROM activations ORDER BY id DESC LIMIT ?", (MAX_ACTIVATIONS,)
    ).fetchall()
    return tuple(
        ActivationIntent(id=number, code_masked=code_masked, at=at, outcome=outcome)
        for number, code_masked, at, outcome in reversed(rows)
    )


# --- custody of the key ----------------------------------------------------------------------------------------------


def put_custody(connection: sqlite3.Connection, custody: Custody) -> bool:
    """Write a snapshot with its keys, within a transaction of the caller; return whether a key left the file.

    Raises:
        JournalError: it is of another terminal than the one that was activated.
    """
    stored = load_terminal(connection)
    if stored is None or stored.terminal_sn != custody.terminal.terminal_sn:
        raise JournalError("the key of another terminal was to be written; nothing was changed")
    if stored != custody.terminal:
        put_terminal(connection, custody.terminal)
    connection.execute(
        "INSERT INTO custody VALUES (1, ?, ?)"
        " ON CONFLICT (row) DO UPDATE SET terminal_sn = excluded.terminal_sn, snapshot = excluded.snapshot",
        (custody.terminal.terminal_sn, ROTATIONS.encode(custody.rotation)),
    )
    return (stored.current_key, stored.previous_key) != (custody.terminal.current_key, custody.terminal.previous_key)


def load_custody(connection: sqlite3.Connection) -> Custody | None:
    """Return the key's custody; None before the first start after an activation."""
    terminal = load_terminal(connection)
    row: tuple[str, str] | None = connection.execute("SELECT terminal_sn, snapshot FROM custody").fetchone()
    if terminal is None or row is None or row[0] != terminal.terminal_sn:
        return None
    return Custody(terminal=terminal, rotation=ROTATIONS.decode(row[1]))


# --- the time line ---------------------------------------------------------------------------------------------------


def open_boot(connection: sqlite3.Connection, boot_id: str, boottime_ms: int) -> Boot:
    """Return the anchor of this boot: the same one for every start within it.

    A new boot goes on one millisecond after the last moment on record. How long the power was off nobody knows: a
    deadline is late by so much, and never early.
    """
    row: tuple[str, int, int] | None = connection.execute(
        "SELECT boot_id, offset_ms, opened_at FROM boots ORDER BY number DESC LIMIT 1"
    ).fetchone()
    event = _last_event(connection)
    last = _last_moment(connection, event)
    is_same = row is not None and row[0] == boot_id
    is_new = row is None or not is_same or event < row[2]
    if row and is_same and boottime_ms + row[1] >= last:
        return Boot(offset=row[1], is_new=is_new)
    offset = last + 1 - boottime_ms
    connection.execute(
        "INSERT INTO boots (boot_id, offset_ms, opened_at) VALUES (?, ?, ?)", (boot_id, offset, boottime_ms + offset)
    )
    return Boot(offset=offset, is_new=is_new)


def load_floor(connection: sqlite3.Connection) -> Floor | None:
    """Return the latest trusted time of day that was written; None before the first.

    One that can not be read counts as none: nothing about money depends on it.
    """
    try:
        return FLOORS.decode(get_setting(connection, _FLOOR))
    except JournalCorrupt:
        return None


def keep_floor(connection: sqlite3.Connection, now: Now, *, is_renewed: bool) -> None:
    """Write a trusted moment as the floor, within a transaction of the caller, where the one on disk does not do.

    It does not when it is old, when a start after a power cut would show less than this moment does, or much more (the
    clock has decided that the floor was wrong), and with a new key, whose age is told from it.
    """
    if not now.is_trusted:
        return
    known = load_floor(connection)
    if known is not None and not is_renewed and now.instant - known.instant < FLOOR_INTERVAL:
        shown = known.at(now.instant)
        if now.wall <= shown <= now.wall + TIME_MARGIN:
            return
    put_setting(connection, _FLOOR, FLOORS.encode(Floor(instant=now.instant, wall=now.wall)))


def _last_moment(connection: sqlite3.Connection, event: int) -> int:
    (opened,) = connection.execute(
        "SELECT ifnull((SELECT opened_at FROM boots ORDER BY number DESC LIMIT 1), 0)"
    ).fetchone()
    floor = load_floor(connection)
    return max(event, int(opened), floor.instant if floor else 0)


def _last_event(connection: sqlite3.Connection) -> int:
    (last,) = connection.execute(
        "SELECT ifnull(max(at), 0) FROM (SELECT at FROM events ORDER BY seq DESC LIMIT ?)", (_RECENT_EVENTS,)
    ).fetchone()
    return int(last)
