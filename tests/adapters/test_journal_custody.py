"""The key and what is known about its renewal are one commit, and a key that was replaced twice is gone (I6, I7)."""

import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from terminald.adapters.journal_file import BUSY_TIMEOUT_S
from terminald.adapters.journal_sqlite import SqliteJournal
from terminald.adapters.ports import Batch
from terminald.core import custody as keys
from terminald.core.custody_events import (
    CheckinUnanswered,
    KeyAccepted,
    KeyRenewed,
    KeyUnanswered,
    LinkLost,
    RenewalDue,
)
from terminald.core.custody_table import Custody
from terminald.core.events import Event, Fault, Recovered
from terminald.core.ids import Secret
from terminald.core.schedule import HOUR, later
from terminald.core.terminal import Terminal
from terminald.errors import JournalError
from tests.core.machine_builders import NOON, RULES

TERMINAL = Terminal(
    terminal_sn="T1",
    device_id="board-1",
    current_key=Secret("MARKED-KEY-0-8d1f"),
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
        opened.close_activation(opened.record_activation_intent("…", NOON.wall), "activated", TERMINAL)
        yield opened


def tell(journal: SqliteJournal, custody: Custody, *events: Event) -> Custody:
    for event in events:
        custody, _ = keys.step(custody, event, now=NOON, rules=RULES)
        journal.commit(Batch(now=NOON, custody=custody))
    return custody


def renew(journal: SqliteJournal, custody: Custody, key: str) -> Custody:
    """One whole rotation, whatever the time."""
    custody = replace(custody, rotation=replace(custody.rotation, not_before=NOON.instant))
    return tell(journal, custody, RenewalDue(), KeyAccepted(is_quiet=True), KeyRenewed(key=Secret(key)), KeyAccepted())


def start() -> Custody:
    return keys.begin(TERMINAL, now=NOON, rules=RULES)


def test_every_snapshot_comes_back_with_its_keys(journal: SqliteJournal, file: Path) -> None:
    assert journal.load_custody() is None
    custody = tell(journal, start(), Recovered(), KeyAccepted(), RenewalDue(), KeyAccepted(is_quiet=True))
    assert journal.load_custody() == custody
    away = LinkLost(since=later(NOON.instant, -10 * HOUR))
    custody = tell(journal, custody, CheckinUnanswered(), away, KeyAccepted(), away)
    assert [one.length for one in custody.rotation.outages] == [10 * HOUR]
    assert custody.rotation.out_since == away.since
    journal.close()
    with closing(SqliteJournal(file)) as again:
        assert again.load_custody() == custody


def test_a_key_that_was_dropped_is_in_no_file(journal: SqliteJournal, file: Path) -> None:
    """I7."""
    custody = tell(journal, start(), Recovered(), KeyAccepted())
    for number in (1, 2, 3):
        custody = renew(journal, custody, f"MARKED-KEY-{number}-8d1f")
    written = {one.name: one.read_bytes() for one in file.parent.iterdir()}
    for dropped in (b"MARKED-KEY-0", b"MARKED-KEY-1"):
        assert not [name for name, data in written.items() if dropped in data]
    for kept in (b"MARKED-KEY-2", b"MARKED-KEY-3"):
        assert [name for name, data in written.items() if kept in data]


def files_with(file: Path, mark: bytes) -> list[str]:
    return [one.name for one in file.parent.iterdir() if mark in one.read_bytes()]


def test_a_key_that_was_dropped_before_a_kill_is_gone_after_the_next_start(
    journal: SqliteJournal, file: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """I7: killed between the commit and the truncation, as a foreign reader can bring it about."""
    custody = renew(journal, tell(journal, start(), Recovered(), KeyAccepted()), "MARKED-KEY-1-8d1f")
    with closing(sqlite3.connect(file)) as reader:
        reader.execute("BEGIN").execute("SELECT * FROM settings").fetchall()
        renew(journal, custody, "MARKED-KEY-2-8d1f")
        killed = tmp_path_factory.mktemp("killed")
        for one in file.parent.iterdir():
            (killed / one.name).write_bytes(one.read_bytes())
    assert files_with(killed / file.name, b"MARKED-KEY-0")
    with closing(SqliteJournal(killed / file.name)) as again:
        assert not files_with(killed / file.name, b"MARKED-KEY-0")
        assert again.load_custody() is not None


def test_a_key_that_the_gateway_gives_twice_pushes_the_one_before_out_of_the_files(
    journal: SqliteJournal, file: Path
) -> None:
    """I7."""
    custody = renew(journal, tell(journal, start(), Recovered(), KeyAccepted()), "MARKED-KEY-1-8d1f")
    renew(journal, custody, "MARKED-KEY-1-8d1f")
    assert not files_with(file, b"MARKED-KEY-0")


def test_a_foreign_reader_keeps_a_dropped_key_in_the_files_no_longer_than_it_reads(
    journal: SqliteJournal, file: Path
) -> None:
    """I7."""
    custody = renew(journal, tell(journal, start(), Recovered(), KeyAccepted()), "MARKED-KEY-1-8d1f")
    with closing(sqlite3.connect(file)) as reader:
        reader.execute("BEGIN").execute("SELECT * FROM settings").fetchall()
        began = time.monotonic()
        custody = renew(journal, custody, "MARKED-KEY-2-8d1f")
        assert time.monotonic() - began < BUSY_TIMEOUT_S  # no commit waits for it
    assert files_with(file, b"MARKED-KEY-0")
    journal.commit(Batch(now=NOON))
    assert not files_with(file, b"MARKED-KEY-0")
    assert journal.load_custody() == custody


def test_a_key_that_the_gateway_quotes_stands_in_no_snapshot(journal: SqliteJournal, file: Path) -> None:
    """I7."""
    quoting = Fault(code="ILLEGAL_SIGN", message="MARKED-KEY-0-8d1f is not known here")
    tell(journal, start(), Recovered(), KeyUnanswered(fault=quoting))
    with closing(sqlite3.connect(file)) as connection:
        [(snapshot,)] = connection.execute("SELECT snapshot FROM custody").fetchall()
    assert "MARKED" not in snapshot
    assert "is not known here" in snapshot


def test_a_snapshot_of_another_terminal_is_none_of_ours(journal: SqliteJournal, file: Path) -> None:
    tell(journal, start(), Recovered())
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("UPDATE custody SET terminal_sn = 'T0'")
        connection.commit()
    assert journal.load_custody() is None


def test_keys_stand_in_the_terminals_table_alone(journal: SqliteJournal, file: Path) -> None:
    """I7."""
    renew(journal, tell(journal, start(), Recovered(), KeyAccepted()), "MARKED-KEY-1-8d1f")
    with closing(sqlite3.connect(file)) as connection:
        lines = [line for line in connection.iterdump() if "MARKED-KEY" in line]
    assert len(lines) == 1
    assert lines[0].startswith('INSERT INTO "terminal"')


def test_a_new_activation_ends_the_custody_of_the_old_key(journal: SqliteJournal) -> None:
    tell(journal, start(), Recovered())
    other = replace(TERMINAL, terminal_sn="T2", current_key=Secret("MARKED-KEY-9-8d1f"))
    journal.close_activation(journal.record_activation_intent("…", NOON.wall), "activated", other)
    assert journal.load_custody() is None
    assert journal.load_terminal() == other
    with pytest.raises(JournalError, match="another terminal"):
        tell(journal, start(), Recovered())
    assert journal.load_terminal() == other
