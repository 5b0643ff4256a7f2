"""The journal's file: made private, looked at, opened and configured."""

import sqlite3
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path
from typing import Final

from terminald.adapters import journal_schema, state_directory
from terminald.adapters.journal_faults import EVIDENCE, translated
from terminald.core.ids import WallTime
from terminald.errors import JournalCorrupt, JournalDamaged, JournalTooNew, JournalUnavailable

#: The name of the file beside a journal that SQLite has called damaged while it was in use: it is damaged even where a
#: look at the start does not find it.
DAMAGED: Final = "journal-damaged"
#: The name of the file beside a journal that is just being restored.
RESTORING: Final = "journal-restoring"
#: How long to wait for a foreign reader (a person with the sqlite3 shell) before a commit fails. The gateway's own
#: answer takes seconds; a sale may wait as long.
BUSY_TIMEOUT_S: Final = 5.0
#: What the write-ahead file may keep after a checkpoint. SQLite checkpoints after 1000 pages, 4 MiB.
WAL_LIMIT_BYTES: Final = 4 * 1024 * 1024

#: What SQLite says of a file in which it finds no fault.
_WHOLE: Final = "ok"
#: Pages of the look through a journal, in KiB: it reads each once.
_LOOK_CACHE: Final = -256
#: SQLite's own steps between two questions whether the look goes on; from 3.41 on a page is a step: a MiB.
_LOOK_STEPS: Final = 250
#: The setting, what to set, and what must be read back. Synchronous is kept by no file: it is set at every opening.
_SETTINGS: Final = (
    ("journal_mode", "WAL", "wal"),
    ("synchronous", "FULL", "2"),
    ("foreign_keys", "ON", "1"),
    ("journal_size_limit", str(WAL_LIMIT_BYTES), str(WAL_LIMIT_BYTES)),
    # A replaced key does not stay behind in the free part of a page.
    ("secure_delete", "ON", "1"),
    # KiB of pages: a commit touches a dozen, and the rest, of which SQLite would keep 2 MiB, would only stay resident.
    ("cache_size", "-256", "-256"),
)


def open_file(file: Path, *, most_bytes: int | None = None) -> sqlite3.Connection:
    """Open a journal at the newest schema. The file and its directory are made when they are missing.

    A file that is longer than most_bytes is not looked through: that takes the longer the more was ever sold.

    The connection is in autocommit mode, and may be handed from one thread to another.

    Raises:
        JournalUnavailable: it can not be opened, or not with the durability that money needs.
        JournalCorrupt: the file is damaged or is no journal; it was not changed.
        JournalTooNew: a newer terminald wrote it; it was not changed.
    """
    state_directory.prepare(file.parent)
    with translated(file, "opening"):
        expect_unmarked(file)
        _make_private(file)
        _inspect(file, looks_through=not is_longer(file, most_bytes))
        connection = sqlite3.connect(file, timeout=BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False)
        is_ready = False
        try:
            configure(connection, file)
            journal_schema.migrate(connection)
            is_ready = True
        finally:
            if not is_ready:
                connection.close()
    return connection


def expect_unmarked(file: Path) -> None:
    """See that nothing beside the file says that it is not to be used.

    Raises:
        JournalUnavailable: a restore has not come to its end.
        JournalCorrupt: it was found damaged in use.
    """
    if file.with_name(RESTORING).exists():
        raise JournalUnavailable(f"{file}: a restore was interrupted: run terminald restore again")
    if (mark := file.with_name(DAMAGED)).exists():
        raise JournalCorrupt(f"{file} was found damaged while it was in use: {mark.read_text('utf-8', 'replace')}")


def place_of(file: Path) -> tuple[int, int]:
    """Return which file is at a path: its device and its number there.

    Raises:
        JournalUnavailable: none.
    """
    with translated(file, "looking"):
        found = file.stat()
    return found.st_dev, found.st_ino


def expect_in_place(file: Path, place: tuple[int, int]) -> None:
    """See that the file is still where it was opened: what is written into one that was taken away is lost.

    Raises:
        JournalUnavailable: it was moved, deleted, or something was mounted over it.
    """
    if place_of(file) != place:
        raise JournalUnavailable(
            f"{file} is not the file any more that terminald has open: the state directory was moved, replaced or "
            "mounted over. Put it back, or restart terminald when the right one is there"
        )


def note_damage(file: Path, fault: JournalCorrupt) -> None:
    """Note that SQLite has called the file damaged, as well as that is possible on such a disk."""
    with suppress(OSError):
        file.with_name(DAMAGED).write_text(str(fault), "utf-8")
        state_directory.sync_directory(file.parent)


def damage_noted_at(file: Path) -> WallTime | None:
    """Return when SQLite called the file damaged while it was in use; None where that was not noted."""
    try:
        return WallTime(file.with_name(DAMAGED).stat().st_mtime_ns // 1_000_000)
    except OSError:
        return None


def _make_private(file: Path) -> None:
    """Make sure that the file is there and is ours alone. SQLite gives its mode to the files that it puts beside it."""
    with suppress(FileExistsError):
        file.touch(mode=state_directory.FILE_MODE, exist_ok=False)
        state_directory.sync_directory(file.parent)
    for name in (file.name, f"{file.name}-wal", f"{file.name}-shm"):
        with suppress(FileNotFoundError):
            file.with_name(name).chmod(state_directory.FILE_MODE)


def is_longer(file: Path, most_bytes: int | None) -> bool:
    """Whether the file has more bytes; never more than None."""
    return most_bytes is not None and file.stat().st_size > most_bytes


def _inspect(file: Path, *, looks_through: bool) -> None:
    """Look at the file before anything may write to it: a connection that only reads does not checkpoint on closing.

    Raises:
        JournalCorrupt, JournalTooNew: it is not to be used.
    """
    with closing(
        sqlite3.connect(f"{file.absolute().as_uri()}?mode=ro", uri=True, timeout=BUSY_TIMEOUT_S)
    ) as connection:
        version = journal_schema.version_of(connection)
        if not journal_schema.is_readable(connection, version):
            raise JournalTooNew(
                f"{file} was written by a newer terminald (schema {version}; this one knows {journal_schema.VERSION}): "
                "install that version again; nothing was changed"
            )
        verdict = verdict_of(connection) if looks_through else _WHOLE
    if verdict != _WHOLE:
        raise JournalCorrupt(f"{file} fails its integrity check: {verdict}; {EVIDENCE}")


def look_through(file: Path, is_given_up: Callable[[], bool]) -> None:
    """Look through all of a journal that is in use, on a connection of its own; takes minutes where it is long.

    Is_given_up is asked again and again, and may rest.

    Raises:
        JournalDamaged: it is damaged; a note of that is beside it.
        JournalUnavailable: it can not be read now, or it was given up.
    """
    try:
        with (
            translated(file, "checking"),
            closing(sqlite3.connect(f"{file.absolute().as_uri()}?mode=ro", uri=True)) as connection,
        ):
            connection.execute(f"PRAGMA cache_size={_LOOK_CACHE}").fetchall()
            connection.set_progress_handler(is_given_up, _LOOK_STEPS)
            verdict = verdict_of(connection)
    except JournalDamaged as exc:
        note_damage(file, exc)
        raise
    if verdict != _WHOLE:
        fault = JournalDamaged(f"{file} fails its integrity check: {verdict}; {EVIDENCE}")
        note_damage(file, fault)
        raise fault


def verdict_of(connection: sqlite3.Connection) -> str:
    """Look through all pages; return the first fault that is found."""
    (verdict,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    return str(verdict)


def configure(connection: sqlite3.Connection, file: Path) -> None:
    """Make every commit durable, and read back that it is.

    Raises:
        JournalUnavailable: a setting does not hold.
    """
    for name, value, expected in _SETTINGS:
        connection.execute(f"PRAGMA {name}={value}").fetchall()
        (found,) = connection.execute(f"PRAGMA {name}").fetchone()
        if str(found) != expected:
            raise JournalUnavailable(
                f"{file}: {name} is {found} and can not be set to {value}: "
                "use a local filesystem and an unmodified SQLite library"
            )
