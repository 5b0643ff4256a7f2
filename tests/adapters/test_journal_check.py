"""A long journal is not looked through at its opening, but beside what it is used for."""

import asyncio
import threading
from contextlib import closing
from pathlib import Path

import pytest

from terminald.adapters.journal_check import REST_S, check_beside, resting
from terminald.adapters.journal_file import DAMAGED, look_through
from terminald.adapters.journal_sqlite import SqliteJournal
from terminald.errors import JournalCorrupt, JournalDamaged, JournalUnavailable
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


def test_a_stop_gives_the_look_up_and_does_not_wait_for_it(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async def run() -> None:
        look = asyncio.create_task(check_beside(file, PAGE))
        await asyncio.sleep(0)
        look.cancel()
        with pytest.raises(asyncio.CancelledError):
            await look

    file = filled(tmp_path, is_damaged=False)
    asyncio.run(run())
    for thread in threading.enumerate():
        if thread.name == "journal-check":
            thread.join()
    assert not caplog.text
    assert not file.with_name(DAMAGED).exists()


class Rests(threading.Event):
    """Counts how often somebody rests."""

    count = 0

    def wait(self, timeout: float | None = None) -> bool:
        assert timeout is not None
        assert timeout <= REST_S
        self.count += 1
        return False


def test_the_look_rests_again_and_again(tmp_path: Path) -> None:
    file, given_up = filled(tmp_path, is_damaged=False), Rests()
    look_through(file, resting(given_up, slice_s=0))
    assert given_up.count > 10


def test_a_look_that_is_given_up_ends_in_the_middle(tmp_path: Path) -> None:
    file, given_up = filled(tmp_path, is_damaged=False), Rests()
    given_up.set()
    with pytest.raises(JournalUnavailable, match="interrupted"):
        look_through(file, resting(given_up))


def test_commits_go_on_while_a_look_rests_in_the_middle(tmp_path: Path) -> None:
    file = filled(tmp_path, is_damaged=False)
    with closing(SqliteJournal(file, most_bytes=PAGE)) as journal:
        proofs: list[int] = []

        def commit() -> bool:
            if len(proofs) < 3:
                journal.prove()
                proofs.append(journal.last_seq())
            return False

        look_through(file, commit)
    assert len(proofs) == 3
