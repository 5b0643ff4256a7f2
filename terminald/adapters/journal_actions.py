"""How far the last action of a kiosk was begun, as a row.

It is a setting, and no file of its own: the journal's one writer syncs it in the order of the commits, on the same
disk, so that there is no sale whose money is on disk and whose mark is older than another sale's.
"""

import sqlite3
from typing import Final

from terminald.adapters.journal_identity import get_setting, put_setting
from terminald.adapters.journal_rows import Snapshots
from terminald.core.kiosk_action import ActionMark

#: The setting's name.
_NAME: Final = "kiosk_action"
_MARKS: Final = Snapshots(ActionMark)


def put_mark(connection: sqlite3.Connection, mark: ActionMark) -> None:
    """Store the mark in place of the last one, within a transaction of the caller."""
    put_setting(connection, _NAME, _MARKS.encode(mark))


def load_mark(connection: sqlite3.Connection) -> ActionMark | None:
    """Return the last action's mark; None before the first.

    Raises:
        JournalCorrupt: there is one that can not be read, and nobody knows of which sale.
    """
    text = get_setting(connection, _NAME)
    return _MARKS.decode(text) if text else None
