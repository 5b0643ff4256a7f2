"""The copy takes the place of a damaged journal, with all that can still be read of what came after it.

What is damaged is kept as evidence, as it is. A restored journal holds sales back until a person has compared it with
the gateway's; it never gives a number a second time: names of orders are random, refunds are numbered in a new series,
and events go on far behind the last one that anybody can have seen.
"""

import os
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from terminald.adapters import (
    journal_care,
    journal_file,
    journal_identity,
    journal_retention,
    journal_rows,
    journal_schema,
)
from terminald.adapters.journal_copy import CopiedAt, copied_at, copy_of
from terminald.adapters.journal_faults import transaction, translated
from terminald.adapters.ports import Batch
from terminald.adapters.state_directory import DIRECTORY_MODE, sync_directory
from terminald.core.book import SaleView
from terminald.core.ids import Instant, SaleId
from terminald.core.readiness import Hold
from terminald.core.schedule import Now
from terminald.errors import JournalCorrupt, JournalError, JournalUnavailable

#: As long as this file is there the journal is not used: what is in the directory belongs to two journals.
MARK: Final = journal_file.RESTORING
#: Events are numbered again so far behind the last one that is known: more than a terminal has in years.
EVENTS_SKIPPED: Final = 10_000_000
_PARTS: Final = ("", "-wal", "-shm")
_GET_EVENT: Final = """
    SELECT seq, at, wall, topic, kind, subject, sale_id, cause, state_before, state_after, body FROM events
    WHERE seq = ?
"""
_PUT_EVENT: Final = """
    INSERT INTO events (seq, at, wall, topic, kind, subject, sale_id, cause, state_before, state_after, body)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""
#: What reading a damaged file raises. SQLite's own words about it may quote what is no text.
_UNREADABLE: Final = (sqlite3.Error, JournalError, UnicodeDecodeError)
_WORK: Final = "journal-restored.tmp"
_READ: Final = "journal-damaged.tmp"


@dataclass(frozen=True, slots=True, kw_only=True)
class Restored:
    """What came of it."""

    evidence: Path
    copied: CopiedAt
    #: Sales that were changed after the copy was made, and could be read in the damaged file.
    saved: int
    #: Those of which it is known that they were, and no more.
    lost: tuple[SaleId, ...]
    has_keys: bool
    #: Whether everything after the copy could be read, as far as can be told.
    is_whole: bool


def restore(file: Path, stamp: str) -> Restored:
    """Put the copy in the place of a damaged journal. The caller holds the directory's lock, and names the moment.

    Interrupted at any point it is to be called again.

    Raises:
        JournalUnavailable: there is no copy that can be used, or no room; nothing was changed.
    """
    copied = copied_at(file)
    if copied is None:
        raise JournalUnavailable(f"{copy_of(file)}: there is no copy that can be used; nothing was changed")
    directory = file.parent
    work = directory / _WORK
    with translated(file, "restoring"):
        _expect_room(file)
        for old in (work, directory / _READ):
            _remove(old)
        shutil.copyfile(copy_of(file), work)
        work.chmod(0o600)
        saved = _Salvage(file, work, copied).run()
        sync_directory(directory)
        (directory / MARK).touch(mode=0o600)
        sync_directory(directory)
    return Restored(
        evidence=finish(file, stamp),
        copied=copied,
        saved=saved.saved,
        lost=tuple(sorted(saved.lost)),
        has_keys=saved.has_keys,
        is_whole=saved.is_whole and not saved.lost,
    )


def is_interrupted(file: Path) -> bool:
    """Whether a restore of this journal has begun to exchange the files, and not ended."""
    return file.with_name(MARK).exists()


def finish(file: Path, stamp: str) -> Path:
    """Exchange the files; return where the damaged ones are. To be called again where it was interrupted.

    Raises:
        JournalUnavailable: the disk fails; call it again.
    """
    directory = file.parent
    work, evidence = directory / _WORK, directory / f"evidence-{stamp}"
    with translated(file, "restoring"):
        # Without it the files have been exchanged already.
        if work.exists():
            evidence.mkdir(mode=DIRECTORY_MODE, exist_ok=True)
            for part in (*_parts(file), file.with_name(journal_file.DAMAGED)):
                with suppress(FileNotFoundError):
                    part.rename(evidence / part.name)
            sync_directory(evidence)
            sync_directory(directory)
            work.replace(file)
            sync_directory(directory)
        (directory / MARK).unlink()
        sync_directory(directory)
    return evidence


def _expect_room(file: Path) -> None:
    sizes = [one.stat().st_size for one in (copy_of(file), *_parts(file)) if one.exists()]
    if shutil.disk_usage(file.parent).free < 2 * sum(sizes):
        raise JournalUnavailable(f"{file.parent}: {2 * sum(sizes) // 1_000_000 + 1} MB have to be free; free some")


def _parts(file: Path) -> Iterator[Path]:
    for part in _PARTS:
        yield file.with_name(file.name + part)


def _remove(file: Path) -> None:
    for part in _parts(file):
        part.unlink(missing_ok=True)


class _Salvage:
    """Reads what can be read of a damaged journal into a copy. Lives for one call."""

    def __init__(self, damaged: Path, work: Path, copied: CopiedAt) -> None:
        self._damaged = damaged
        self._work = work
        self._copied = copied
        self.saved = 0
        self.lost: set[SaleId] = set()
        self.has_keys = False
        self.is_whole = True
        self._last_seq = copied.seq

    def run(self) -> "_Salvage":
        with closing(sqlite3.connect(self._work, isolation_level=None)) as new:
            new.execute("PRAGMA synchronous=FULL").fetchall()
            # Keys that are put in are in no file beside it.
            new.execute("PRAGMA journal_mode=MEMORY").fetchall()
            journal_schema.migrate(new)
            read = self._work.with_name(_READ)
            try:
                self._read_into(new, read)
            except (*_UNREADABLE, OSError):
                self.is_whole = False
            finally:
                _remove(read)
            self._settle(new)
            (verdict,) = new.execute("PRAGMA quick_check(1)").fetchone()
            if verdict != "ok":
                raise JournalCorrupt(f"{self._work}: the copy is not whole either: {verdict}")
        with self._work.open("rb") as synced:
            os.fsync(synced.fileno())
        return self

    def _read_into(self, new: sqlite3.Connection, read: Path) -> None:
        """Work on a second copy of what is damaged: reading it would change the evidence."""
        for part, source in zip(_PARTS, _parts(self._damaged), strict=True):
            if part != "-shm" and source.exists():
                shutil.copyfile(source, read.with_name(read.name + part))
        with closing(sqlite3.connect(read, isolation_level=None)) as old:
            with suppress(*_UNREADABLE):
                self._take_identity(old, new)
            with suppress(*_UNREADABLE):
                self._take_board(old, new)
            with suppress(*_UNREADABLE):
                value = journal_identity.get_setting(old, "kiosk_action")
                journal_identity.put_setting(new, "kiosk_action", value)
            for sale_id in self._take_events(old, new):
                self._take_sale(old, new, sale_id)

    def _take_identity(self, old: sqlite3.Connection, new: sqlite3.Connection) -> None:
        terminal = journal_identity.load_terminal(old)
        if terminal is None:
            self.has_keys = True  # there were none
            return
        custody = journal_identity.load_custody(old)
        with transaction(new):
            journal_identity.put_terminal(new, terminal)
            if custody is not None:
                journal_identity.put_custody(new, custody)
        self.has_keys = True

    def _take_board(self, old: sqlite3.Connection, new: sqlite3.Connection) -> None:
        """Where the identity lives: it may have been taken over by another board since the copy, or be a new one."""
        device_id, board = journal_identity.get_setting(old, "device_id"), journal_identity.load_board(old)
        if board:
            with transaction(new):
                journal_identity.settle(new, device_id or None, board)

    def _take_events(self, old: sqlite3.Connection, new: sqlite3.Connection) -> set[SaleId]:
        """Take over the rows of the event log after the copy, one by one; return the sales that they are about."""
        # Where it can not be read, or says what can not be, nobody knows what there was after the copy.
        last = journal_rows.last_seq(old)
        self.is_whole = last >= self._copied.seq
        self._last_seq = max(self._last_seq, min(last, self._copied.seq + EVENTS_SKIPPED // 2))
        touched: set[SaleId] = set()
        for seq in range(self._copied.seq + 1, self._last_seq + 1):
            try:
                row = old.execute(_GET_EVENT, (seq,)).fetchone()
                if row is not None:
                    new.execute(_PUT_EVENT, row)
                    touched.add(SaleId(row[6]))
            except _UNREADABLE:
                row = None
            # Numbers are given without a gap, and only old events are deleted.
            self.is_whole &= row is not None
        return touched - {SaleId("")}

    def _take_sale(self, old: sqlite3.Connection, new: sqlite3.Connection, sale_id: SaleId) -> None:
        try:
            view = journal_rows.find_sale(old, sale_id)
            if view is None:
                raise JournalCorrupt(f"the journal has lost sale {sale_id}")
            with transaction(new):
                journal_rows.write(new, _batch(view))
                # Damage may have left rows that are read, and do not belong together.
                if journal_rows.find_sale(new, sale_id) != view:
                    raise JournalCorrupt(f"the journal has mixed sale {sale_id} with another one")
        except _UNREADABLE:
            self.lost.add(sale_id)
        else:
            self.saved += 1

    def _settle(self, new: sqlite3.Connection) -> None:
        """Hold sales back, and let no number be given a second time."""
        behind = self._last_seq + EVENTS_SKIPPED
        with transaction(new):
            journal_care.put_hold(new, Hold.RESTORED)
            journal_care.begin_series(new)
            new.execute("UPDATE sqlite_sequence SET seq = ? WHERE name = 'events'", (behind,))
            if not new.execute("SELECT 1 FROM sqlite_sequence WHERE name = 'events'").fetchone():
                new.execute("INSERT INTO sqlite_sequence VALUES ('events', ?)", (behind,))
            journal_retention.forget_events(new, behind)


def _batch(view: SaleView) -> Batch:
    """Return a sale with all that belongs to it, for :func:`journal_rows.write`. Without rows of the log: no moment."""
    return Batch(
        now=Now(instant=Instant(0), wall=view.sale.updated_at),
        sales=(view.sale,),
        attempts=view.attempts,
        refunds=view.refunds,
        jobs=view.jobs,
        vends=() if view.vend is None else (view.vend,),
    )
