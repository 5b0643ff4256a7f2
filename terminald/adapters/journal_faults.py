"""Transactions that leave the connection usable, and what SQLite's errors mean to the caller."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from terminald.errors import JournalCorrupt, JournalDamaged, JournalError, JournalUnavailable

_CORRUPT: Final = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_FORMAT})
#: What to do with a damaged file.
EVIDENCE: Final = (
    "terminald does not sell with it. Run: terminald restore. It keeps the damaged files as evidence, and goes on with "
    "the weekly copy and all that can still be read"
)
_NOT_TEXT: Final = f"text that is not UTF-8; {EVIDENCE}"
_ADVICE: Final = {
    sqlite3.SQLITE_FULL: "free some disk space",
    sqlite3.SQLITE_READONLY: "check that the filesystem is mounted writable; a failing card is remounted read-only",
    sqlite3.SQLITE_IOERR: "look for disk errors in the kernel's log, or a quota; replace a failing card",
    sqlite3.SQLITE_BUSY: "close the other program that has the file open",
    sqlite3.SQLITE_LOCKED: "close the other program that has the file open",
    sqlite3.SQLITE_CANTOPEN: "check the owner and mode of the file and of its directory",
    sqlite3.SQLITE_PERM: "check the owner and mode of the file and of its directory",
    sqlite3.SQLITE_CONSTRAINT: "it contradicts what is on disk, and nothing was changed; this is a bug in terminald",
}


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """Make durable all that is done within, or nothing of it; the connection is usable either way."""
    try:
        connection.execute("BEGIN IMMEDIATE")
        yield
        connection.execute("COMMIT")
    finally:
        if connection.in_transaction:
            connection.execute("ROLLBACK")


@contextmanager
def translated(file: Path, doing: str) -> Iterator[None]:
    """Turn what SQLite and the system raise into the journal's errors.

    Raises:
        JournalDamaged: SQLite calls the file damaged.
        JournalCorrupt: it holds what is no text.
        JournalUnavailable: it can not be read or written now.
        JournalError: what was to be written contradicts what is there.
    """
    try:
        yield
    except sqlite3.Error as exc:
        # Without a code it is Python's own error, which quotes the value that it could not read: that may be a key.
        has_code = hasattr(exc, "sqlite_errorcode")
        raise _translate(exc, file, doing) from (exc if has_code else None)
    except UnicodeDecodeError:
        # What SQLite says of a damaged file quotes names out of it; nothing else within decodes bytes. Not chained, as
        # this error holds all of the text.
        raise JournalDamaged(f"{file}: {doing} failed: {_NOT_TEXT}") from None
    except OSError as exc:
        raise JournalUnavailable(
            f"{file}: {doing} failed: {exc.strerror}: check the owner and mode of the file and of its directory"
        ) from exc


def _translate(error: sqlite3.Error, file: Path, doing: str) -> JournalError:
    code: int | None = getattr(error, "sqlite_errorcode", None)
    if code is None and isinstance(error, sqlite3.ProgrammingError | sqlite3.InterfaceError):
        return JournalUnavailable(f"{file}: {doing} failed: the journal is closed, or was misused by terminald itself")
    if code is None:
        return JournalCorrupt(f"{file}: {doing} failed: {_NOT_TEXT}")
    kind = code & 0xFF
    if kind in _CORRUPT:
        return JournalDamaged(f"{file}: {doing} failed: {error}; {EVIDENCE}")
    text = f"{file}: {doing} failed: {error}: {_ADVICE.get(kind, 'restart terminald, and report it when it stays')}"
    return JournalError(text) if kind == sqlite3.SQLITE_CONSTRAINT else JournalUnavailable(text)
