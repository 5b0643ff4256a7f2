"""The file is private, checked before it is used, and durable; whatever fails, it says so and works again after."""

import os
import resource
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from terminald.adapters import journal_file, journal_schema
from terminald.adapters.journal_faults import translated
from terminald.adapters.journal_file import DAMAGED
from terminald.adapters.journal_sqlite import SqliteJournal
from terminald.adapters.ports import Batch, Entry, SaleFilter
from terminald.core.events import PayConfirmed
from terminald.core.ids import SaleId
from terminald.core.stimuli import Record
from terminald.errors import JournalCorrupt, JournalDamaged, JournalError, JournalTooNew, JournalUnavailable
from tests.adapters.journal_samples import Shop
from tests.core.machine_builders import NOON

PAGE = 4096


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "state" / "journal.db"


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


@contextmanager
def umask(mask: int) -> Iterator[None]:
    before = os.umask(mask)
    try:
        yield
    finally:
        os.umask(before)


@contextmanager
def file_size_limit(limit: int) -> Iterator[None]:
    """Let no file of this process grow beyond the limit: writing fails with EFBIG (Python ignores SIGXFSZ)."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def fill(file: Path, sales: int = 50) -> None:
    with closing(SqliteJournal(file)) as journal:
        shop = Shop(journal.commit)
        for _ in range(sales):
            shop.cancel(shop.open_sale())


def garbled(content: bytes) -> bytes:
    """Spoil the beginning of every page but the first."""
    pages = [content[start : start + PAGE] for start in range(0, len(content), PAGE)]
    return pages[0] + b"".join(b"\xa5" * 64 + page[64:] for page in pages[1:])


def test_files_are_private_whatever_the_umask(file: Path) -> None:
    with umask(0), closing(SqliteJournal(file)) as journal:
        Shop(journal.commit).open_sale()
        assert mode(file.parent) == 0o700
        assert {one.name: mode(one) for one in file.parent.iterdir()} == {
            "journal.db": 0o600,
            "journal.db-wal": 0o600,
            "journal.db-shm": 0o600,
        }


def test_files_that_others_could_read_are_closed_to_them(file: Path) -> None:
    fill(file)
    file.chmod(0o644)
    file.parent.chmod(0o755)
    SqliteJournal(file).close()
    assert (mode(file), mode(file.parent)) == (0o600, 0o700)


def test_the_connection_is_as_durable_as_money_needs(file: Path) -> None:
    with closing(journal_file.open_file(file)) as connection:
        for name, value in (("journal_mode", "wal"), ("synchronous", 2), ("foreign_keys", 1), ("secure_delete", 1)):
            assert connection.execute(f"PRAGMA {name}").fetchone() == (value,)


def test_a_setting_that_does_not_hold_is_refused(file: Path) -> None:
    """A database in memory has no write-ahead log, as a filesystem without shared memory has none."""
    with closing(sqlite3.connect(":memory:")) as connection, pytest.raises(JournalUnavailable, match="journal_mode"):
        journal_file.configure(connection, file)


def test_opening_again_changes_nothing(file: Path) -> None:
    fill(file)
    before = file.read_bytes()
    SqliteJournal(file).close()
    assert file.read_bytes() == before


@pytest.mark.parametrize("content", [b"not a database, but long enough to look like a header of one" * 100, b"x" * 20])
def test_a_file_that_is_no_database_is_left_alone(content: bytes, file: Path) -> None:
    file.parent.mkdir(mode=0o700)
    file.write_bytes(content)
    with pytest.raises(JournalCorrupt, match="evidence"):
        SqliteJournal(file)
    assert file.read_bytes() == content


def test_a_damaged_file_is_left_alone(file: Path) -> None:
    fill(file)
    content = garbled(file.read_bytes())
    file.write_bytes(content)
    with pytest.raises(JournalCorrupt, match="evidence"):
        SqliteJournal(file)
    assert file.read_bytes() == content


def test_words_of_sqlite_about_damage_that_are_no_text_are_damage(file: Path) -> None:
    """Its integrity check quotes names out of the schema, as they are."""
    fill(file)
    damaged = file.read_bytes().replace(b"indexattempts_sn", b"index\xefttempts_sn")
    file.write_bytes(damaged)
    with pytest.raises(JournalCorrupt, match="terminald restore"):
        SqliteJournal(file)
    assert file.read_bytes() == damaged


def test_a_damaged_file_keeps_its_write_ahead_log(file: Path, tmp_path: Path) -> None:
    """Evidence is complete: nothing is moved from the log into the file, and the log is not removed."""
    fill(file)
    copy = tmp_path / "copy" / "journal.db"
    copy.parent.mkdir(mode=0o700)
    with closing(SqliteJournal(file)) as journal:
        journal.fix_device_id("x" * 32)
        damaged, log = garbled(file.read_bytes()), file.with_name("journal.db-wal").read_bytes()
    copy.write_bytes(damaged)
    copy.with_name("journal.db-wal").write_bytes(log)
    with pytest.raises(JournalCorrupt):
        SqliteJournal(copy)
    assert copy.read_bytes() == damaged
    assert copy.with_name("journal.db-wal").read_bytes() == log != b""


def test_a_newer_schema_is_left_alone(file: Path) -> None:
    fill(file)
    with closing(sqlite3.connect(file)) as other:
        other.execute(f"PRAGMA user_version={journal_schema.VERSION + 1}")
    before = file.read_bytes()
    with pytest.raises(JournalTooNew, match=f"schema {journal_schema.VERSION + 1}"):
        SqliteJournal(file)
    assert file.read_bytes() == before


def test_a_directory_in_the_place_of_the_file_is_said(file: Path) -> None:
    file.mkdir(parents=True)
    with pytest.raises(JournalUnavailable, match=r"journal\.db"):
        SqliteJournal(file)


def test_a_closed_journal_says_so(file: Path) -> None:
    journal = SqliteJournal(file)
    journal.close()
    journal.close()
    with pytest.raises(JournalUnavailable, match="closed"):
        journal.commit(Batch(now=NOON))
    with pytest.raises(JournalUnavailable, match="closed"):
        journal.last_seq()


def big_batch(shop: Shop) -> Batch:
    record = Record(kind="sale", subject="x", sale_id=SaleId("x"), cause="", before="", after="")
    return Batch(now=shop.now, entries=tuple(Entry(record=record, topic="sale", body=b"x" * 50_000) for _ in range(20)))


def test_a_commit_that_finds_no_room_changes_nothing_and_can_be_repeated(file: Path) -> None:
    with closing(SqliteJournal(file)) as journal:
        shop = Shop(journal.commit)
        sale_id = shop.open_sale()
        batch = big_batch(shop)
        with file_size_limit(200_000):
            for _ in range(2):
                with pytest.raises(JournalUnavailable, match="replace a failing card"):
                    journal.commit(batch)
            assert journal.last_seq() == shop.seq
            assert journal.find_sale(sale_id) is not None
        assert journal.commit(batch) == shop.seq + 20
        shop.cancel(sale_id)
    with closing(SqliteJournal(file)) as journal:
        assert journal.last_seq() == shop.seq
        (view,) = journal.list_sales(SaleFilter())
        assert view.sale.state.is_final


def test_a_batch_that_failed_halfway_leaves_the_journal_usable(file: Path) -> None:
    with closing(SqliteJournal(file)) as journal:
        shop = Shop(journal.commit)
        sale_id = shop.open_sale()
        shop.answer(shop.scan(sale_id), PayConfirmed())
        before = journal.find_sale(sale_id)
        (job,) = shop.committed.jobs.values()
        changed = replace(shop.committed.sales[sale_id], reason="changed")
        with pytest.raises(JournalError, match="FOREIGN KEY"):
            journal.commit(Batch(now=shop.now, sales=(changed,), jobs=(replace(job, sale_id=SaleId("other")),)))
        assert journal.find_sale(sale_id) == before
        shop.wake()
        assert journal.last_seq() == shop.seq


# --- what SQLite's errors mean ---------------------------------------------------------------------------------------


@pytest.fixture
def raw(file: Path) -> Iterator[sqlite3.Connection]:
    SqliteJournal(file).close()
    with closing(sqlite3.connect(file, timeout=0, isolation_level=None)) as connection:
        yield connection


INSERT = "INSERT INTO settings VALUES ('x', hex(zeroblob(1000000)))"


def test_a_full_disk_is_said(raw: sqlite3.Connection, file: Path) -> None:
    raw.execute("PRAGMA max_page_count=1").fetchall()
    with (
        pytest.raises(JournalUnavailable, match="commit failed: database or disk is full: free some disk space"),
        translated(file, "commit"),
    ):
        raw.execute(INSERT)


def test_a_held_file_is_said(raw: sqlite3.Connection, file: Path) -> None:
    with closing(sqlite3.connect(file, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(JournalUnavailable, match="locked: close the other program"), translated(file, "commit"):
            raw.execute(INSERT)


def test_a_read_only_file_is_said(raw: sqlite3.Connection, file: Path) -> None:
    raw.execute("PRAGMA query_only=ON")
    with pytest.raises(JournalUnavailable, match="mounted writable"), translated(file, "commit"):
        raw.execute(INSERT)


def test_the_system_s_errors_are_said(file: Path) -> None:
    with (
        pytest.raises(JournalUnavailable, match="opening failed: Permission denied: check the owner"),
        translated(file, "opening"),
    ):
        raise PermissionError(13, "Permission denied")


def test_text_that_can_not_be_read_is_not_quoted(raw: sqlite3.Connection, file: Path) -> None:
    """I7: it may be a key; neither the message nor its cause shows it."""
    raw.execute("INSERT INTO settings VALUES ('x', CAST(x'736563726574ff' AS TEXT))")
    with pytest.raises(JournalCorrupt) as caught, translated(file, "reading"):
        raw.execute("SELECT value FROM settings").fetchall()
    assert "secret" not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


def test_damage_of_which_sqlite_can_not_speak_in_words_is_noted_too(file: Path) -> None:
    """It quotes names out of the file: Python finds no text there. The next start may find nothing at all."""
    with closing(SqliteJournal(file)) as journal:
        with closing(sqlite3.connect(file, isolation_level=None)) as other:
            other.execute("PRAGMA writable_schema=ON").fetchall()
            other.execute("UPDATE sqlite_master SET name = CAST(x'ef' AS TEXT), sql = 'CREATE' WHERE name = 'events'")
            other.execute("PRAGMA schema_version=4711").fetchall()
        with pytest.raises(JournalDamaged, match="not UTF-8"):
            journal.last_seq()
    assert "not UTF-8" in file.with_name(DAMAGED).read_text()
