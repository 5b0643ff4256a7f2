"""The floor of the time of day survives, and costs the card little."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from terminald.adapters.journal_identity import FLOOR_INTERVAL
from terminald.adapters.journal_sqlite import SqliteJournal
from terminald.adapters.ports import Batch
from terminald.core import custody as keys
from terminald.core.ids import Secret, WallTime
from terminald.core.schedule import DAY, MINUTE, SECOND, TIME_MARGIN, Floor, Now
from terminald.core.terminal import Terminal
from tests.core.machine_builders import NOON, RULES, after

TERMINAL = Terminal(
    terminal_sn="T1",
    device_id="board-1",
    current_key=Secret("k0"),
    previous_key=None,
    activated_at=NOON.wall,
    rotated_at=NOON.wall,
)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "journal.db"


@pytest.fixture
def journal(file: Path) -> Iterator[SqliteJournal]:
    with closing(SqliteJournal(file)) as opened:
        yield opened


def mark(journal: SqliteJournal, now: Now) -> Floor | None:
    """Commit at a moment, and return what a start would find."""
    journal.commit(Batch(now=now))
    return journal.time_floor()


def at(now: Now) -> Floor:
    return Floor(instant=now.instant, wall=now.wall)


def test_a_trusted_moment_is_kept(journal: SqliteJournal, file: Path) -> None:
    assert journal.time_floor() is None
    assert mark(journal, NOON) == at(NOON)
    journal.close()
    with closing(SqliteJournal(file)) as again:
        assert again.time_floor() == at(NOON)


def test_a_moment_that_is_not_trusted_is_not(journal: SqliteJournal) -> None:
    assert mark(journal, replace(NOON, is_trusted=False)) is None


def test_it_is_written_once_an_hour_while_the_time_line_carries_it(journal: SqliteJournal) -> None:
    for ms in (0, SECOND, MINUTE, FLOOR_INTERVAL - 1):
        assert mark(journal, after(NOON, ms)) == at(NOON)
    assert mark(journal, after(NOON, FLOOR_INTERVAL)) == at(after(NOON, FLOOR_INTERVAL))


def test_a_moment_that_a_restart_would_fall_below_is_written_at_once(journal: SqliteJournal) -> None:
    """Created_at of what is in the same commit never runs backwards; nor does the first trust of a boot wait."""
    mark(journal, NOON)
    later = after(NOON, MINUTE)
    ahead = replace(later, wall=WallTime(later.wall + 1))
    assert mark(journal, ahead) == at(ahead)


def test_a_floor_that_was_found_wrong_comes_down_at_once(journal: SqliteJournal) -> None:
    mark(journal, replace(NOON, wall=WallTime(NOON.wall + 4000 * DAY)))
    assert mark(journal, after(NOON, SECOND)) == at(after(NOON, SECOND))
    behind = after(NOON, MINUTE)
    assert mark(journal, replace(behind, wall=WallTime(behind.wall - TIME_MARGIN))) == at(after(NOON, SECOND))


def test_a_new_key_brings_its_time_along(journal: SqliteJournal) -> None:
    journal.close_activation(journal.record_activation_intent("…", NOON.wall), "activated", TERMINAL)
    custody = keys.begin(TERMINAL, now=NOON, rules=RULES)
    journal.commit(Batch(now=NOON, custody=custody))
    now = after(NOON, MINUTE)
    renewed = replace(custody, terminal=replace(TERMINAL, current_key=Secret("k1"), previous_key=Secret("k0")))
    journal.commit(Batch(now=now, custody=renewed))
    assert journal.time_floor() == at(now)


def test_the_time_line_goes_on_after_it(journal: SqliteJournal) -> None:
    journal.open_boot("a", 0)
    mark(journal, NOON)
    assert 7 + journal.open_boot("b", 7).offset == NOON.instant + 1


def test_one_that_can_not_be_read_is_none(journal: SqliteJournal, file: Path) -> None:
    """Nothing about money depends on it."""
    mark(journal, NOON)
    with closing(sqlite3.connect(file)) as other, other:
        other.execute("UPDATE settings SET value = 'soon' WHERE name = 'time_floor'")
    assert journal.time_floor() is None
    assert mark(journal, NOON) == at(NOON)
