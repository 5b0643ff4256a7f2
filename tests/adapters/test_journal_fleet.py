"""How far a fleet's broker was told, as the journal keeps it."""

import asyncio
import sqlite3
from collections.abc import Callable, Coroutine
from functools import partial
from pathlib import Path

import pytest

from terminald.adapters.journal_fleet import ThreadFleetJournal
from terminald.adapters.journal_identity import put_setting
from terminald.adapters.journal_sqlite import SqliteJournal
from terminald.adapters.journal_thread import MAX_PAGE, JournalThread
from terminald.adapters.ports import Batch, Entry
from terminald.adapters.ports_fleet import FleetMark
from terminald.core.ids import Instant, SaleId, WallTime
from terminald.core.schedule import Now
from terminald.core.stimuli import Record
from terminald.errors import JournalUnavailable

NOW = Now(instant=Instant(1), wall=WallTime(1_000), is_trusted=True)
RECORD = Record(kind="sale", subject="s", sale_id=SaleId("s"), cause="Test", before="", after="")


async def log(thread: JournalThread, count: int, *, topic: str = "sale") -> int:
    body = b"{}" if topic else b""
    return await thread.commit(Batch(now=NOW, entries=(Entry(record=RECORD, topic=topic, body=body),) * count))


def on_thread(path: Path, live: Callable[[JournalThread, ThreadFleetJournal], Coroutine[object, object, None]]) -> None:
    async def run() -> None:
        thread = JournalThread(SqliteJournal(path))
        try:
            await live(thread, ThreadFleetJournal(thread))
        finally:
            await thread.aclose()

    asyncio.run(run())


def forbid_writing(connection: sqlite3.Connection) -> None:
    connection.execute("PRAGMA query_only=ON")


def test_the_log_is_told_from_the_moment_on_at_which_it_was_switched_on_and_then_from_the_mark(tmp_path: Path) -> None:
    async def live(thread: JournalThread, journal: ThreadFleetJournal) -> None:
        newest = await log(thread, 10)
        first = await journal.open_mark(newest)
        assert first.seq == newest
        await log(thread, 5)
        assert await journal.open_mark(newest) == first
        later = FleetMark(log=first.log, seq=newest + 3)
        await journal.put_mark(later)
        assert await journal.open_mark(newest) == later

    on_thread(tmp_path / "journal.db", live)


@pytest.mark.parametrize("text", ["{", '{"log": "l", "seq": -1}', '{"log": "l", "seq": 999}', ""])
def test_a_mark_that_can_not_be_right_begins_a_log_of_another_name(text: str, tmp_path: Path) -> None:
    async def live(thread: JournalThread, journal: ThreadFleetJournal) -> None:
        newest = await log(thread, 10)
        first = await journal.open_mark(newest)
        await thread.write("a wrong mark", partial(put_setting, name="fleet", value=text))
        again = await journal.open_mark(newest)
        assert again.seq == newest
        assert again.log not in (first.log, "l")
        assert await journal.open_mark(newest) == again

    on_thread(tmp_path / "journal.db", live)


def test_a_disk_that_can_not_be_written_is_no_reason_to_tell_nothing(tmp_path: Path) -> None:
    async def live(thread: JournalThread, journal: ThreadFleetJournal) -> None:
        newest = await log(thread, 1)
        await thread.read(forbid_writing)
        mark = await journal.open_mark(newest)
        assert mark.seq == newest
        with pytest.raises(JournalUnavailable):
            await journal.put_mark(mark)

    on_thread(tmp_path / "journal.db", live)


def test_a_page_has_every_row_and_is_bounded(tmp_path: Path) -> None:
    async def live(thread: JournalThread, journal: ThreadFleetJournal) -> None:
        await log(thread, 2)
        await log(thread, 1, topic="")
        await log(thread, MAX_PAGE)
        page = await journal.page(1, 3)
        assert [(row.seq, row.wall, row.topic, row.body) for row in page] == [
            (2, 1_000, "sale", b"{}"),
            (3, 1_000, "", b""),
            (4, 1_000, "sale", b"{}"),
        ]
        assert len(await journal.page(0, MAX_PAGE * 2)) == MAX_PAGE
        assert await journal.page(MAX_PAGE + 3, 10) == ()

    on_thread(tmp_path / "journal.db", live)
