"""How far the last action was begun survives a power cut, and takes the place of what was there."""

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from terminald.adapters.journal_sqlite import SqliteJournal
from terminald.adapters.journal_thread import JournalThread
from terminald.adapters.ports_actions import ActionJournal
from terminald.core.ids import SaleId
from terminald.core.kiosk_action import ActionMark
from terminald.errors import JournalCorrupt, JournalUnavailable
from tests.core.machine_builders import SALE_ID
from tests.simulation.inline_journal import InlineJournal

FIRST = ActionMark(sale_id=SALE_ID, begun=1, steps=3)
SECOND = ActionMark(sale_id=SaleId("01J00000000000000000000002"), begun=2, steps=3)


def as_ports(thread: JournalThread, inline: InlineJournal) -> tuple[ActionJournal, ActionJournal]:
    """For the type checker: both are what the kiosk wants."""
    return thread, inline


def test_the_last_mark_is_there_after_a_restart(tmp_path: Path) -> None:
    file = tmp_path / "journal.db"
    store = SqliteJournal(file)
    assert store.load_mark() is None

    async def main() -> None:
        thread = JournalThread(store)
        for journal, mark in zip(as_ports(thread, InlineJournal(store)), (FIRST, SECOND), strict=True):
            await journal.put_mark(mark)
            assert store.load_mark() == mark
        await thread.aclose()
        with pytest.raises(JournalUnavailable):
            await thread.put_mark(FIRST)

    asyncio.run(main())
    again = SqliteJournal(file)
    assert again.load_mark() == SECOND
    again.close()


def test_a_mark_that_can_not_be_read_is_not_taken_for_none(tmp_path: Path) -> None:
    """Nobody knows whether the action of a sale was begun: it must not be begun again."""
    file = tmp_path / "journal.db"
    store = SqliteJournal(file)
    store.put_mark(FIRST)
    with closing(sqlite3.connect(file)) as other:
        other.execute("UPDATE settings SET value = 'x' WHERE name = 'kiosk_action'")
        other.commit()
    with pytest.raises(JournalCorrupt):
        store.load_mark()
    store.close()
