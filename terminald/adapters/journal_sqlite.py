"""The durable memory: one SQLite file, one connection, one writer.

:class:`SqliteJournal` is the journal itself, for whoever may wait: start-up, and the command line while the daemon is
not running. :class:`~terminald.adapters.journal_thread.JournalThread` gives it to the event loop. A commit returns
after the disk has it: write-ahead log, full sync, one sync for each commit.
"""

import secrets
import sqlite3
import time
from collections import deque
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final, TypeVar

from terminald.adapters import (
    journal_actions,
    journal_care,
    journal_identity,
    journal_records,
    journal_report,
    journal_retention,
    journal_rows,
)
from terminald.adapters.journal_copy import copied_in
from terminald.adapters.journal_faults import transaction, translated
from terminald.adapters.journal_file import BUSY_TIMEOUT_S, expect_in_place, note_damage, open_file, place_of
from terminald.adapters.journal_identity import Boot
from terminald.adapters.ports import Batch, LoggedEvent, LoggedRecord, SaleFilter
from terminald.adapters.ports_care import Forgotten, PrunePlace, PruneStep
from terminald.adapters.ports_report import CreatedAfter, CreatedPage, RefundPage
from terminald.adapters.ports_story import RecordPage
from terminald.core.book import Book, SaleView
from terminald.core.custody_table import Custody
from terminald.core.ids import Instant, SaleId, WallTime
from terminald.core.kiosk_action import ActionMark
from terminald.core.readiness import Hold
from terminald.core.report import BusinessDay
from terminald.core.retention import Horizon
from terminald.core.schedule import Floor
from terminald.core.terminal import ActivationIntent, Terminal
from terminald.errors import JournalCorrupt, JournalDamaged

#: Keyed BLAKE2b takes up to 64 bytes of key; 32 are out of anybody's reach.
SALT_BYTES: Final = 32

T = TypeVar("T")

#: Commits whose time is remembered: those of the last busy hour.
COMMITS_TIMED: Final = 500

#: The setting's name.
_PACKED: Final = "log_packed_seq"


class SqliteJournal:
    """The journal in a file of the state directory. Used by one thread at a time; every method blocks.

    Methods raise JournalUnavailable when the file can not be read or written now, and JournalCorrupt when what it holds
    can not be understood. After either the journal is as before the call, and the call may be repeated.
    """

    def __init__(self, file: Path, *, most_bytes: int | None = None) -> None:
        """Open the journal, and make it when it is missing. The caller holds the directory's lock.

        A file longer than most_bytes is not looked through; the caller does that beside the sales.

        Raises:
            JournalUnavailable, JournalCorrupt, JournalTooNew: it is not to be used; a file that was there is unchanged.
        """
        self._file = file
        self._connection = open_file(file, most_bytes=most_bytes)
        # Whoever was killed between a commit and what follows it still owes this.
        self._owes_truncation = True
        self._place = place_of(file)
        #: What the last commits took, in milliseconds.
        self.commit_ms: deque[float] = deque(maxlen=COMMITS_TIMED)
        self._forget_old_pages()

    def close(self) -> None:
        """Let go of the file; harmless when repeated. Nothing is lost without it."""
        with translated(self._file, "closing"):
            self._connection.close()

    # --- what the engine writes and reads ---

    def commit(self, batch: Batch) -> int:
        """Make a batch durable, all of it or nothing; return the sequence number of the last event in the log.

        A trusted moment may become the floor of the time of day. A batch with nothing in it is for that alone.

        Raises:
            JournalError: the batch contradicts what is on disk: a second sale of one reference, or a ``client_sn`` or
                an id that belongs to another. Our bug; repeating it will not help.
        """
        begun = time.perf_counter()
        with self._writing("commit") as connection:
            journal_rows.write(connection, batch)
            custody = batch.custody
            is_renewed = custody is not None and journal_identity.put_custody(connection, custody)
            journal_identity.keep_floor(connection, batch.now, is_renewed=is_renewed)
            seq = journal_rows.last_seq(connection)
        self.commit_ms.append((time.perf_counter() - begun) * 1000)
        self._owes_truncation |= is_renewed
        self._forget_old_pages()
        return seq

    def find_sale(self, name: str) -> SaleView | None:
        """Find one sale by its id, an attempt's ``client_sn``, the host's reference or the gateway's ``sn``.

        Where a host gave a reference that is a name of another sale, terminald's own names win.
        """
        with self._reading() as connection:
            return journal_rows.find_sale(connection, name)

    def list_sales(self, wanted: SaleFilter) -> tuple[SaleView, ...]:
        """List sales, newest first. Since is included, until is not."""
        with self._reading() as connection:
            return journal_rows.list_sales(connection, wanted)

    def sales_created(self, day: BusinessDay, after: CreatedAfter | None) -> CreatedPage:
        """Return a page of the sales that can have orders or payments of the day."""
        with self._reading() as connection:
            return journal_report.sales_created(connection, day, after)

    def sales_refunded(self, day: BusinessDay, after: int) -> RefundPage:
        """Return which sales have refunds that were done, or begun and not ended, on the day."""
        with self._reading() as connection:
            return journal_report.sales_refunded(connection, day, after)

    def events_after(self, seq: int, limit: int) -> tuple[LoggedEvent, ...]:
        """Return public events with a greater sequence number, oldest first."""
        with self._reading() as connection:
            return journal_rows.events_after(connection, seq, limit)

    def seq_before(self, instant: Instant) -> int:
        """Return the sequence number of the last row of the event log before a moment; 0 where there is none."""
        with self._reading() as connection:
            return journal_records.seq_before(connection, instant)

    def records_of(self, seq: int, sale_id: SaleId, limit: int) -> RecordPage:
        """Read so many rows of the event log with greater sequence numbers, and return those of one sale."""
        with self._reading() as connection:
            return journal_records.records_of(connection, seq, sale_id, limit)

    def load_book(self, now: Instant) -> Book:
        """Return every sale with something open (I5) and all that belongs to it, and the codes that may still live."""
        with self._reading() as connection:
            return journal_rows.load_book(connection, now)

    def last_seq(self) -> int:
        """Return the sequence number of the last event that was ever logged; 0 before the first."""
        with self._reading() as connection:
            return journal_rows.last_seq(connection)

    # --- the upload of the event log ---

    def records_after(self, seq: int, limit: int) -> tuple[LoggedRecord, ...]:
        """Return every event with a greater sequence number, oldest first, without what hosts see of it."""
        with self._reading() as connection:
            return journal_rows.records_after(connection, seq, limit)

    def packed_seq(self) -> int:
        """Return the sequence number of the last event that was packed for an upload; 0 before the first."""
        with self._reading() as connection:
            text = journal_identity.get_setting(connection, _PACKED)
        return int(text) if text.isascii() and text.isdecimal() else 0

    def note_packed(self, seq: int) -> None:
        """Store what :meth:`packed_seq` returns."""
        with self._writing("noting what was packed") as connection:
            journal_identity.put_setting(connection, _PACKED, str(seq))

    # --- looking after the terminal ---

    def load_hold(self) -> Hold:
        """Return why no sales are begun."""
        with self._reading() as connection:
            return journal_care.load_hold(connection)

    def restored_from(self) -> WallTime | None:
        """Return of when the copy is from which the journal was restored last; None where it was not."""
        with self._reading() as connection:
            copied = copied_in(connection)
        return None if copied is None else copied.wall

    def series(self) -> int:
        """Return how often the journal was restored."""
        with self._reading() as connection:
            return journal_care.series(connection)

    def put_hold(self, hold: Hold) -> None:
        """Store why no sales are begun."""
        with self._writing("holding sales back") as connection:
            journal_care.put_hold(connection, hold)

    def prove(self) -> None:
        """Write something of no meaning."""
        with self._writing("proving the disk") as connection:
            journal_care.prove(connection)

    def is_spent(self, reference: str) -> bool:
        """Whether a sale that was deleted had this reference."""
        with self._reading() as connection:
            return journal_retention.is_spent(connection, reference)

    def forgotten(self) -> Forgotten:
        """Return from where on everything is there."""
        with self._reading() as connection:
            return journal_retention.forgotten(connection)

    def prune(self, before: Horizon, kept: Collection[SaleId], place: PrunePlace) -> PruneStep:
        """Delete a few old sales and their events. Those that can not be read stay, and are named."""
        with (
            journal_retention.without_foreign_keys(self._connection),
            self._writing("deleting old sales") as connection,
        ):
            return journal_retention.prune(connection, before, kept, place)

    # --- the action of a kiosk ---

    def put_mark(self, mark: ActionMark) -> None:
        """Store how far an action was begun, in place of the last one."""
        with self._writing("noting an action") as connection:
            journal_actions.put_mark(connection, mark)

    def load_mark(self) -> ActionMark | None:
        """Return how far the last action was begun; None before the first."""
        with self._reading() as connection:
            return journal_actions.load_mark(connection)

    # --- identity ---

    def load_terminal(self) -> Terminal | None:
        """Return who this terminal is to the gateway; None before the first activation."""
        with self._reading() as connection:
            return journal_identity.load_terminal(connection)

    def load_custody(self) -> Custody | None:
        """Return the custody of the key; None before the first start after an activation."""
        with self._reading() as connection:
            return journal_identity.load_custody(connection)

    def device_id(self) -> str:
        """Return the device id that was fixed; empty before."""
        with self._reading() as connection:
            return journal_identity.get_setting(connection, "device_id")

    def fix_device_id(self, value: str) -> str:
        """Store the device id for ever, unless one is stored already; return the stored one."""
        with self._writing("fixing the device id") as connection:
            return journal_identity.fix_setting(connection, "device_id", value)

    def board(self) -> dict[str, str]:
        """Return the digest of each known source of the board's identity; empty before the first start."""
        with self._reading() as connection:
            return journal_identity.load_board(connection)

    def put_board(self, digests: Mapping[str, str], *, device_id: str | None = None) -> None:
        """Store the board's digests in place of those that are stored, and where one is given its device id."""
        with self._writing("noting the board") as connection:
            journal_identity.settle(connection, device_id, digests)

    def salt(self) -> bytes:
        """Return the key of the digests of payment codes: made once, 32 random bytes."""
        with self._writing("making the salt") as connection:
            text = journal_identity.fix_setting(connection, "salt", secrets.token_hex(SALT_BYTES))
        try:
            salt = bytes.fromhex(text)
        except ValueError:
            salt = b""
        if len(salt) != SALT_BYTES:
            raise JournalCorrupt(f"{self._file} holds a salt that can not be read")
        return salt

    def record_activation_intent(self, code_masked: str, wall: WallTime) -> int:
        """Note, before it is sent, that an activation code is about to be used; return the intent's id."""
        with self._writing("noting an activation") as connection:
            return journal_identity.add_activation(connection, code_masked, wall)

    def close_activation(
        self, number: int, outcome: str, terminal: Terminal | None, board: Mapping[str, str] | None = None
    ) -> None:
        """Write the outcome of an activation together with the identity that it gave, if it gave one.

        The keys that it replaces leave the file with it. With the digests of a board it lives there from now on, under
        its device id.

        Raises:
            JournalError: there is no such activation.
        """
        with self._writing("closing an activation") as connection:
            journal_identity.close_activation(connection, number, outcome, terminal)
            if terminal is not None and board is not None:
                journal_identity.settle(connection, terminal.device_id, board)
        self._owes_truncation |= terminal is not None
        self._forget_old_pages()

    def activations(self) -> tuple[ActivationIntent, ...]:
        """Return the activations that were tried, oldest first; the last MAX_ACTIVATIONS."""
        with self._reading() as connection:
            return journal_identity.load_activations(connection)

    # --- time ---

    def open_boot(self, boot_id: str, boottime_ms: int) -> Boot:
        """Return how ``CLOCK_BOOTTIME`` becomes this boot's instants.

        Instants never run backwards: every start within a boot has the same offset, and a new boot begins after the
        last moment on record.
        """
        with self._writing("opening a boot") as connection:
            return journal_identity.open_boot(connection, boot_id, boottime_ms)

    def time_floor(self) -> Floor | None:
        """Return the latest trusted time of day on record; None where there is none."""
        with self._reading() as connection:
            return journal_identity.load_floor(connection)

    # --- how ---

    def read(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Do the reading of another module of the journal."""
        with self._reading() as connection:
            return work(connection)

    def write(self, doing: str, work: Callable[[sqlite3.Connection], None]) -> None:
        """Do the writing of another module of the journal, all of it or nothing."""
        with self._writing(doing) as connection:
            work(connection)

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        with self._watching(), translated(self._file, "reading"):
            yield self._connection

    @contextmanager
    def _writing(self, doing: str) -> Iterator[sqlite3.Connection]:
        with self._watching(), translated(self._file, doing):
            expect_in_place(self._file, self._place)
            with transaction(self._connection):
                yield self._connection

    @contextmanager
    def _watching(self) -> Iterator[None]:
        """Note what SQLite itself calls damaged: the next start may not find it. One bad value is no bad file."""
        try:
            yield
        except JournalDamaged as exc:
            note_damage(self._file, exc)
            raise

    def _forget_old_pages(self) -> None:
        """Empty the write-ahead file, where replaced keys stay. Where a foreign reader is in the way it stays owed.

        Nobody waits for that reader: the next commit tries again.
        """
        if not self._owes_truncation:
            return
        with suppress(sqlite3.Error):
            self._connection.execute("PRAGMA busy_timeout=0").fetchall()
            try:
                ((is_busy, *_),) = self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
                self._owes_truncation = bool(is_busy)
            finally:
                self._connection.execute(f"PRAGMA busy_timeout={int(BUSY_TIMEOUT_S * 1000)}").fetchall()
