"""A long journal is not looked through at its opening, but beside what it is used for."""

import asyncio
from contextlib import closing
from pathlib import Path

import pytest

from terminald.adapters.journal_check import check_beside
from terminald.adapters.journal_file import DAMAGED
from terminald.adapters.journal_sqlite import SqliteJournal
from terminald.errors import JournalCorrupt, JournalDamaged
from tests.adapters.journal_samples import Shop

PAGE = 4096


def filled(directory: Path, *, is_damaged: bool) -> Path:
    file = directory / "state" / "journal.db"
    with closing(SqliteJournal(file)) as journal:
        shop = Shop(journal.commit)
        for _ in range(50):
            shop.cancel(shop.open_sale())
    if is_damaged:
        content = file.read_bytes()
        file.write_bytes(content[:-PAGE] + b"\xa5" * 64 + content[64 - PAGE :])
    return file


def test_damage_that_the_start_did_not_look_for_is_found_beside_the_sales(tmp_path: Path) -> None:
    file = filled(tmp_path, is_damaged=True)
    with closing(SqliteJournal(file, most_bytes=PAGE)):
        with pytest.raises(JournalDamaged, match="integrity check"):
            asyncio.run(check_beside(file, PAGE))
        assert "integrity check" in file.with_name(DAMAGED).read_text()
    with pytest.raises(JournalCorrupt, match="found damaged while it was in use"):
        SqliteJournal(file, most_bytes=PAGE)


def test_a_long_journal_that_is_whole_stays_in_use(tmp_path: Path) -> None:
    file = filled(tmp_path, is_damaged=False)
    with closing(SqliteJournal(file, most_bytes=PAGE)) as journal:
        asyncio.run(check_beside(file, PAGE))
        journal.prove()
    assert not file.with_name(DAMAGED).exists()


def test_a_short_journal_is_looked_through_before_it_is_used(tmp_path: Path) -> None:
    file = filled(tmp_path, is_damaged=True)
    with pytest.raises(JournalCorrupt, match="integrity check"):
        SqliteJournal(file, most_bytes=file.stat().st_size)
    asyncio.run(check_beside(file))
    assert not file.with_name(DAMAGED).exists()


def test_a_journal_that_can_not_be_read_now_is_left_in_peace(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    file = tmp_path / "journal.db"
    file.mkdir()
    asyncio.run(check_beside(file, 0))
    assert "can not be looked through" in caplog.text


def test_a_stop_does_not_wait_for_the_look(tmp_path: Path) -> None:
    async def run() -> None:
        look = asyncio.create_task(check_beside(file, PAGE))
        await asyncio.sleep(0)
        look.cancel()
        with pytest.raises(asyncio.CancelledError):
            await look

    file = filled(tmp_path, is_damaged=False)
    asyncio.run(run())
