"""A look into a journal changes nothing in it, whoever has it open, and says what is wrong with it."""

import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from terminald.adapters import journal_schema
from terminald.adapters.journal_look import JournalLook, look
from terminald.adapters.journal_sqlite import SqliteJournal
from terminald.adapters.ports import Batch
from terminald.core import custody as keys
from terminald.core.ids import Secret
from terminald.core.terminal import Terminal
from terminald.errors import JournalCorrupt, JournalUnavailable
from tests.core.machine_builders import NOON, RULES

DATA = Path(__file__).parent.parent / "data"
TERMINAL = Terminal(
    terminal_sn="T1",
    device_id="board-1",
    current_key=Secret("MARKED-KEY-1"),
    previous_key=Secret("MARKED-KEY-0"),
    activated_at=NOON.wall,
    rotated_at=NOON.wall,
)


def open_journal(file: Path) -> SqliteJournal:
    journal = SqliteJournal(file)
    journal.fix_device_id("board-1")
    journal.close_activation(journal.record_activation_intent("…", NOON.wall), "activated", TERMINAL)
    journal.commit(Batch(now=NOON, custody=keys.begin(TERMINAL, now=NOON, rules=RULES)))
    return journal


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A journal that its daemon closed."""
    path = tmp_path / "journal.db"
    open_journal(path).close()
    assert [one.name for one in tmp_path.iterdir()] == ["journal.db"]
    return path


def seen(file: Path) -> JournalLook:
    found = look(file)
    assert found is not None
    return found


def test_where_there_is_none_nothing_is_made(tmp_path: Path) -> None:
    assert look(tmp_path / "journal.db") is None
    assert look(tmp_path / "none" / "journal.db") is None
    assert list(tmp_path.iterdir()) == []


def test_a_journal_at_rest_is_read_and_stays_as_it_is(file: Path) -> None:
    before = file.read_bytes()
    found = seen(file)
    assert (found.version, found.verdict, found.device_id) == (journal_schema.VERSION, "ok", "board-1")
    assert found.terminal == TERMINAL
    assert found.rotation is not None
    assert (found.rotation.version, found.is_too_new) == (1, False)
    assert file.read_bytes() == before
    SqliteJournal(file).close()


def test_a_journal_in_use_is_read_with_its_newest_commit(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    with closing(open_journal(path)) as journal:
        renewed = replace(TERMINAL, current_key=Secret("MARKED-KEY-2"), previous_key=TERMINAL.current_key)
        custody = replace(keys.begin(TERMINAL, now=NOON, rules=RULES), terminal=renewed)
        journal.commit(Batch(now=NOON, custody=custody))
        log = path.with_name("journal.db-wal").read_bytes()
        assert seen(path).terminal == renewed
        assert path.with_name("journal.db-wal").read_bytes() == log
        journal.commit(Batch(now=NOON, custody=replace(custody, terminal=TERMINAL)))
        assert seen(path).terminal == TERMINAL


def crashed(directory: Path) -> Path:
    """Return a copy of a journal in use, without the file of shared memory: a power cut leaves this."""
    source = directory / "running"
    source.mkdir()
    with closing(open_journal(source / "journal.db")):
        for name in ("journal.db", "journal.db-wal"):
            shutil.copy(source / name, directory / name)
    return directory / "journal.db"


def test_what_a_power_cut_left_in_the_log_is_read(tmp_path: Path) -> None:
    file = crashed(tmp_path)
    log = file.with_name("journal.db-wal").read_bytes()
    assert seen(file).terminal == TERMINAL
    assert file.with_name("journal.db-wal").read_bytes() == log


@pytest.fixture
def is_read_only(tmp_path: Path) -> Callable[[Path], None]:
    """Do what a read-only filesystem does; the tests may be run by root, for whom no mode is read-only."""

    def forbid(file: Path) -> None:
        log = file.with_name("journal.db-wal")
        if log.exists():
            log.rename(tmp_path / "aside")
            log.mkdir()
        else:
            log.symlink_to(tmp_path / "none" / "none")

    return forbid


def test_where_nothing_can_be_made_a_whole_journal_is_still_read(
    file: Path, is_read_only: Callable[[Path], None]
) -> None:
    is_read_only(file)
    assert seen(file).terminal == TERMINAL


def test_where_nothing_can_be_made_a_journal_with_a_log_is_not_judged_without_it(
    tmp_path: Path, is_read_only: Callable[[Path], None]
) -> None:
    """Its newest commits are in the log alone."""
    file = crashed(tmp_path)
    is_read_only(file)
    with pytest.raises(JournalUnavailable, match="reading failed"):
        look(file)


def of_a_newer_version(file: Path) -> None:
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("PRAGMA user_version=99")


def test_a_journal_of_a_newer_version_is_named_and_not_read(file: Path) -> None:
    of_a_newer_version(file)
    found = seen(file)
    assert (found.is_too_new, found.version, found.terminal) == (True, 99, None)


def test_a_journal_of_an_older_version_is_read_as_far_as_it_goes(tmp_path: Path) -> None:
    file = tmp_path / "journal.db"
    with closing(sqlite3.connect(file)) as connection:
        connection.executescript((DATA / "journal-v1.sql").read_text())
    found = seen(file)
    assert (found.version, found.verdict, found.rotation) == (1, "ok", None)
    assert found.terminal is not None
    assert seen(file).version == 1


def test_an_empty_file_is_a_journal_that_was_never_opened(tmp_path: Path) -> None:
    file = tmp_path / "journal.db"
    file.touch()
    assert seen(file) == JournalLook(version=0, verdict="ok")


def test_what_is_no_journal_is_told(file: Path) -> None:
    with file.open("r+b") as out:
        out.write(b"this is no database, and never was one")
    with pytest.raises(JournalCorrupt, match="terminald restore") as caught:
        look(file)
    assert "MARKED-KEY" not in str(caught.value)


def test_a_damaged_page_is_told_and_nothing_more_is_read(file: Path) -> None:
    with file.open("r+b") as out:
        out.seek(4096 * 3)
        out.write(b"\xff" * 4096)
    found = seen(file)
    assert found.verdict != "ok"
    assert found.terminal is None


def test_a_number_that_is_no_text_any_more_is_damage(file: Path) -> None:
    damaged = file.read_bytes().replace(b"T1", b"\xff1")
    file.write_bytes(damaged)
    with pytest.raises(JournalCorrupt, match="not UTF-8") as caught:
        look(file)
    assert "MARKED-KEY" not in str(caught.value)
