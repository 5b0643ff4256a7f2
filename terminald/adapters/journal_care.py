"""What is on disk for the care of the terminal, as settings: why no sales are begun, and a proof of the disk."""

import sqlite3
from contextlib import suppress
from typing import Final

from terminald.adapters.journal_identity import get_setting, put_setting
from terminald.core.readiness import Hold

#: The settings' names.
_HOLD: Final = "hold"
_PROOF: Final = "proof"
_SERIES: Final = "series"


def load_hold(connection: sqlite3.Connection) -> Hold:
    """Return why no sales are begun. A word of a later release is a reason as well."""
    word = get_setting(connection, _HOLD)
    with suppress(ValueError):
        return Hold(word)
    return Hold.ASKED


def put_hold(connection: sqlite3.Connection, hold: Hold) -> None:
    """Store why no sales are begun, within a transaction of the caller."""
    put_setting(connection, _HOLD, hold.value)


def series(connection: sqlite3.Connection) -> int:
    """Return how often the journal was restored: in which series its refunds are numbered."""
    text = get_setting(connection, _SERIES)
    return int(text) if text.isascii() and text.isdecimal() else 0


def begin_series(connection: sqlite3.Connection) -> None:
    """Begin the next series, within a transaction of the caller."""
    put_setting(connection, _SERIES, str(series(connection) + 1))


def prove(connection: sqlite3.Connection) -> None:
    """Change something of no meaning, within a transaction of the caller: a write of the same value would be none."""
    put_setting(connection, _PROOF, "" if get_setting(connection, _PROOF) else "x")
