"""Rows for the upload of the event log, and how far they are packed."""

import asyncio
from contextlib import closing
from pathlib import Path

from terminald.adapters.journal_sqlite import SqliteJournal
from terminald.adapters.journal_thread import MAX_PAGE, JournalThread
from terminald.adapters.ports import Batch, Entry, LoggedRecord
from terminald.core.ids import SaleId
from terminald.core.stimuli import Record
from tests.core.machine_builders import NOON

RECORD = Record(kind="device", subject="front", sale_id=SaleId(""), cause="DeviceChanged", before="", after="ready")


def batch(rows: int) -> Batch:
    """Return rows of which the public ones have a body."""
    told = Entry(record=RECORD, topic="device", body=b"MARKED")
    untold = Entry(record=RECORD, topic="", body=b"")
    return Batch(now=NOON, entries=(told, untold) * (rows // 2))


def test_every_row_is_found_told_to_hosts_or_not_and_without_what_they_were_told(tmp_path: Path) -> None:
    with closing(SqliteJournal(tmp_path / "journal.db")) as journal:
        assert journal.records_after(0, 9) == ()
        journal.commit(batch(6))
        rows = journal.records_after(2, 3)
        assert rows == tuple(LoggedRecord(seq=seq, wall=NOON.wall, record=RECORD) for seq in (3, 4, 5))
        assert "MARKED" not in repr(journal.records_after(0, 9))
        assert journal.records_after(0, -1) == journal.records_after(6, 9) == ()


def test_the_position_is_kept_across_restarts(tmp_path: Path) -> None:
    file = tmp_path / "journal.db"
    with closing(SqliteJournal(file)) as journal:
        assert journal.packed_seq() == 0
        journal.note_packed(7)
        journal.note_packed(12)
    with closing(SqliteJournal(file)) as journal:
        assert journal.packed_seq() == 12


def test_a_page_is_bounded(tmp_path: Path) -> None:
    """I11: a commit waits for one page at most."""

    async def main() -> None:
        thread = JournalThread(SqliteJournal(tmp_path / "journal.db"))
        await thread.commit(batch(MAX_PAGE + 2))
        assert len(await thread.records_after(0, 10 * MAX_PAGE)) == MAX_PAGE
        await thread.note_packed(3)
        assert await thread.packed_seq() == 3
        await thread.aclose()

    asyncio.run(main())
