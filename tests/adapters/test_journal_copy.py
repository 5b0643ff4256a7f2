"""The copy is whole or not there, never older for having failed, without keys, and no commit waits for it."""

import os
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from terminald.adapters.journal_copy import copied_at, copy_of, make_copy, residence_in_copy, syncing
from terminald.adapters.journal_sqlite import SqliteJournal
from terminald.adapters.ports import SaleFilter
from terminald.errors import JournalCorrupt, JournalUnavailable
from tests.adapters.journal_dump import fill
from tests.adapters.journal_samples import Shop
from tests.adapters.test_journal_file import file_size_limit, garbled
from tests.core.machine_builders import NOON

KEYS = (b"key-1", b"key-2")


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[SqliteJournal]:
    with closing(SqliteJournal(tmp_path / "journal.db")) as made:
        made.salt()
        fill(made)
        yield made


@pytest.fixture
def file(journal: SqliteJournal, tmp_path: Path) -> Path:
    assert journal.last_seq()
    return tmp_path / "journal.db"


def take(file: Path) -> bool:
    return make_copy(file, NOON, spare=0, is_wanted=lambda: True) is not None


def test_a_copy_has_every_sale_and_no_key_and_is_private(journal: SqliteJournal, file: Path) -> None:
    assert copied_at(file) is None
    assert take(file)
    copy = copy_of(file)
    content = copy.read_bytes()
    assert all(key not in content for key in KEYS)
    assert copy.stat().st_mode & 0o777 == 0o600
    assert sorted(one.name for one in file.parent.iterdir() if "copy" in one.name) == [copy.name]
    made = copied_at(file)
    assert made is not None
    assert (made.instant, made.wall, made.seq) == (NOON.instant, NOON.wall, journal.last_seq())
    with closing(SqliteJournal(copy)) as read:
        assert read.list_sales(SaleFilter()) == journal.list_sales(SaleFilter())
        assert read.load_terminal() is None
        assert (read.device_id(), read.salt()) == (journal.device_id(), journal.salt())


def test_what_is_only_in_the_write_ahead_file_is_copied_too(journal: SqliteJournal, file: Path) -> None:
    shop = Shop(journal.commit, count=500)
    sale_id = shop.open_sale()
    assert file.with_name("journal.db-wal").stat().st_size > 0
    assert take(file)
    with closing(SqliteJournal(copy_of(file))) as read:
        assert read.find_sale(sale_id) is not None


def test_a_copy_that_is_not_wanted_any_more_leaves_the_one_before(journal: SqliteJournal, file: Path) -> None:
    assert take(file)
    before = copy_of(file).read_bytes()
    shop = Shop(journal.commit, count=500)
    for _ in range(100):
        shop.cancel(shop.open_sale())
    assert make_copy(file, NOON, spare=0, is_wanted=lambda: False) is None
    assert copy_of(file).read_bytes() == before
    assert not copy_of(file).with_name("journal-copy.db.tmp").exists()


def test_a_copy_is_given_up_wherever_it_is_and_none_is_half_made(file: Path) -> None:
    """In the writing and in the check that follows it."""
    assert take(file)
    first = copy_of(file).read_bytes()
    unfinished = copy_of(file).with_name("journal-copy.db.tmp")
    looks = sizes = 0
    while True:
        left = looks = looks + 1
        size = 0

        def is_wanted() -> bool:
            nonlocal left, size
            left -= 1
            size = unfinished.stat().st_size
            return left > 0

        if make_copy(file, NOON, spare=0, is_wanted=is_wanted) is not None:
            break
        assert copy_of(file).read_bytes() == first
        assert not unfinished.exists()
        sizes += size == len(first)
    assert looks > 10
    assert sizes > 5, "it was given up after all of it was written, too"


def test_a_check_is_interrupted_where_sqlite_itself_does_not_ask(file: Path) -> None:
    others = threading.active_count()
    looked = threading.Event()

    def is_wanted() -> bool:
        if threading.current_thread() is not threading.main_thread():
            looked.set()
            return False
        # SQLite asks in the middle of a statement: the other thread's word comes to that one.
        return threading.active_count() <= others or looked.wait(60)

    assert make_copy(file, NOON, spare=0, is_wanted=is_wanted) is None
    assert looked.is_set()
    assert not copy_of(file).exists()
    assert threading.active_count() == others


def test_a_sync_that_fails_is_told_and_no_giving_up(tmp_path: Path) -> None:
    growing = tmp_path / "growing"
    growing.write_bytes(bytes(10))
    with syncing(growing, every=4) as sync:
        assert sync()
    with pytest.raises(OSError, match="descriptor"), syncing(growing, every=4) as sync:  # noqa: PT012 - what fails is said at its end
        os.close(descriptor_of(growing))
        assert not sync()
        os.open(tmp_path, os.O_RDONLY)


def descriptor_of(path: Path) -> int:
    (found,) = [int(one.name) for one in Path("/proc/self/fd").iterdir() if one.exists() and one.samefile(path)]
    return found


def test_commits_go_on_beside_it(journal: SqliteJournal, file: Path) -> None:
    """A commit in the middle of the copy neither waits for it nor breaks it."""
    threads = threading.active_count()
    shop = Shop(journal.commit, count=500)
    committed: list[int] = []

    def sell() -> bool:
        if len(committed) < 5:
            committed.append(shop.seq)
            shop.cancel(shop.open_sale())
        return True

    assert make_copy(file, NOON, spare=0, is_wanted=sell) is not None
    assert len(committed) >= 1
    with closing(SqliteJournal(copy_of(file))) as read:
        assert len(read.list_sales(SaleFilter())) < len(journal.list_sales(SaleFilter()))
    assert threading.active_count() <= threads


@pytest.mark.parametrize("limit", [1, 20_000, 80_000])
def test_a_disk_without_room_leaves_the_one_before(journal: SqliteJournal, file: Path, limit: int) -> None:
    assert take(file)
    before = copy_of(file).read_bytes()
    assert journal.last_seq()
    with file_size_limit(limit), pytest.raises(JournalUnavailable):
        take(file)
    assert copy_of(file).read_bytes() == before
    assert not copy_of(file).with_name("journal-copy.db.tmp").exists()


def test_the_room_that_sales_need_is_left(file: Path) -> None:
    with pytest.raises(JournalUnavailable, match="no room for a copy"):
        make_copy(file, NOON, spare=10**15, is_wanted=lambda: True)
    assert not copy_of(file).exists()


def test_a_damaged_journal_is_not_copied_over_a_good_copy(journal: SqliteJournal, file: Path) -> None:
    assert take(file)
    before = copy_of(file).read_bytes()
    journal.close()
    file.write_bytes(garbled(file.read_bytes()))
    with pytest.raises(JournalCorrupt):
        take(file)
    assert copy_of(file).read_bytes() == before


def test_a_copy_of_which_sqlite_quotes_what_is_no_text_is_none(file: Path) -> None:
    """A damaged copy keeps no start from serving, with a whole journal or with a damaged one."""
    assert take(file)
    whole = copy_of(file).read_bytes()
    assert whole.count(b"settingssettings") == whole.count(b"CREATE TABLE settings") == 1
    damaged = whole.replace(b"settingssettings", b"s\xff\xfetingss\xff\xfetings")
    copy_of(file).write_bytes(damaged.replace(b"CREATE TABLE settings", b"CREATE TABXE s\xff\xfetings"))
    with pytest.raises(UnicodeDecodeError), closing(sqlite3.connect(copy_of(file))) as raw:
        raw.execute("SELECT 1 FROM settings")
    assert copied_at(file) is None
    assert residence_in_copy(file) is None


def test_what_is_no_copy_is_none(file: Path) -> None:
    copy_of(file).write_bytes(b"no database" * 1000)
    assert copied_at(file) is None
    assert take(file)
    with closing(sqlite3.connect(copy_of(file), isolation_level=None)) as raw:
        raw.execute("DELETE FROM settings WHERE name = 'copied'")
    assert copied_at(file) is None
