"""A look into a journal that may be in use: reads, takes no lock, checkpoints nothing."""

import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from terminald.adapters import journal_schema
from terminald.adapters.journal_care import load_hold
from terminald.adapters.journal_copy import copied_in
from terminald.adapters.journal_faults import translated
from terminald.adapters.journal_file import BUSY_TIMEOUT_S, expect_unmarked
from terminald.adapters.journal_identity import get_setting, load_custody, load_terminal
from terminald.core.custody_table import Rotation
from terminald.core.ids import WallTime
from terminald.core.readiness import Hold
from terminald.core.terminal import Terminal

#: Since this version the journal knows how the renewal of the key stands.
_WITH_CUSTODY: Final = 2
#: What SQLite says where the files beside the journal are missing, and it may not make them.
_NO_FILES: Final = frozenset({sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY})


@dataclass(frozen=True, slots=True, kw_only=True)
class JournalLook:
    """What a journal says of itself and of the terminal."""

    version: int
    #: "ok", or the first fault that the integrity check found; then nothing else was read.
    verdict: str
    device_id: str = ""
    terminal: Terminal | None = None
    rotation: Rotation | None = None
    #: Why a person wants no sales to be begun; of when the copy is from which it was restored last, if it was.
    hold: Hold = Hold.NONE
    copied_at: WallTime | None = None
    #: Whether a newer terminald wrote it, with which this one can not go on; then nothing else was read.
    is_too_new: bool = False

    @property
    def is_readable(self) -> bool:
        """Whether the rest was read: else nobody knows who this terminal is."""
        return self.verdict == "ok" and not self.is_too_new


def look(file: Path) -> JournalLook | None:
    """Read a journal, whether or not a daemon has it open; None where there is none.

    A reader of a write-ahead log needs the two files beside the journal. While a daemon runs they are there. Where none
    does, SQLite makes them for us, and the next daemon uses and removes them. Where they can not be made (a filesystem
    that was remounted read-only) nobody writes, and a journal without a log is whole by itself.

    Raises:
        JournalError: it can not be read, or is damaged, now or by the note of a daemon.
    """
    with translated(file, "reading"):
        expect_unmarked(file)
        if not file.exists():
            return None
        try:
            return _look(file, "mode=ro")
        except sqlite3.OperationalError as exc:
            # Python's own error about text that is not UTF-8 has no code.
            code: int = getattr(exc, "sqlite_errorcode", 0)
            if code & 0xFF not in _NO_FILES or _has_log(file):
                raise
            return _look(file, "mode=ro&immutable=1")


def _has_log(file: Path) -> bool:
    log = file.with_name(f"{file.name}-wal")
    return log.exists() and log.stat().st_size > 0


def _look(file: Path, how: str) -> JournalLook:
    uri = f"{file.absolute().as_uri()}?{how}"
    with closing(sqlite3.connect(uri, uri=True, timeout=BUSY_TIMEOUT_S, isolation_level=None)) as connection:
        version = journal_schema.version_of(connection)
        (verdict,) = connection.execute("PRAGMA quick_check(1)").fetchone()
        is_too_new = not journal_schema.is_readable(connection, version)
        if is_too_new or version < 1 or verdict != "ok":
            return JournalLook(version=version, verdict=verdict, is_too_new=is_too_new)
        custody = load_custody(connection) if version >= _WITH_CUSTODY else None
        copied = copied_in(connection)
        return JournalLook(
            version=version,
            verdict=verdict,
            device_id=get_setting(connection, "device_id"),
            terminal=load_terminal(connection) if custody is None else custody.terminal,
            rotation=None if custody is None else custody.rotation,
            hold=load_hold(connection),
            copied_at=None if copied is None else copied.wall,
        )
