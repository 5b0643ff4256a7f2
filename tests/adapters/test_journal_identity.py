"""Who the terminal is survives everything; its time line never runs backwards."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from terminald.adapters.journal_identity import MAX_ACTIVATIONS
from terminald.adapters.journal_sqlite import SqliteJournal
from terminald.adapters.ports import Batch, Entry
from terminald.core.ids import Instant, SaleId, Secret, WallTime
from terminald.core.schedule import Now
from terminald.core.stimuli import Record
from terminald.core.terminal import ActivationIntent, Terminal
from terminald.errors import JournalCorrupt, JournalError

WALL = WallTime(1_714_536_000_000)


def terminal(current: str, previous: str | None = None) -> Terminal:
    return Terminal(
        terminal_sn="T1",
        device_id="board-1",
        current_key=Secret(current),
        previous_key=None if previous is None else Secret(previous),
        activated_at=WALL,
        rotated_at=WALL,
    )


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "journal.db"


@pytest.fixture
def journal(file: Path) -> Iterator[SqliteJournal]:
    with closing(SqliteJournal(file)) as opened:
        yield opened


def test_an_activation_is_noted_before_it_is_sent_and_closed_with_its_outcome(file: Path) -> None:
    with closing(SqliteJournal(file)) as journal:
        assert (journal.load_terminal(), journal.activations()) == (None, ())
        number = journal.record_activation_intent("1234…7890", WALL)
    with closing(SqliteJournal(file)) as journal:
        intent = ActivationIntent(id=number, code_masked="1234…7890", at=WALL, outcome="")
        assert journal.activations() == (intent,)
        journal.close_activation(number, "activated", terminal("key-1"))
    with closing(SqliteJournal(file)) as journal:
        assert [one.outcome for one in journal.activations()] == ["activated"]
        assert journal.load_terminal() == terminal("key-1")


def test_a_refused_activation_leaves_the_identity_alone(journal: SqliteJournal) -> None:
    first = journal.record_activation_intent("…", WALL)
    journal.close_activation(first, "activated", terminal("key-2", "key-1"))
    second = journal.record_activation_intent("…", WALL)
    journal.close_activation(second, "refused: E", None)
    assert journal.load_terminal() == terminal("key-2", "key-1")
    assert [(one.id, one.outcome) for one in journal.activations()] == [(first, "activated"), (second, "refused: E")]


def test_an_activation_that_was_never_noted_gives_no_identity(journal: SqliteJournal) -> None:
    with pytest.raises(JournalError, match="no activation 7"):
        journal.close_activation(7, "activated", terminal("key-1"))
    assert journal.load_terminal() is None


def test_the_last_activations_are_shown(journal: SqliteJournal) -> None:
    numbers = [journal.record_activation_intent("…", WALL) for _ in range(MAX_ACTIVATIONS + 3)]
    assert [one.id for one in journal.activations()] == numbers[3:]


def test_a_replaced_key_leaves_the_files(journal: SqliteJournal, file: Path) -> None:
    """I7."""
    for key in ("forgotten-0123456789abcdef", "present-0123456789abcdef"):
        journal.close_activation(journal.record_activation_intent("…", WALL), "activated", terminal(key))
    written = b"".join(one.read_bytes() for one in file.parent.iterdir())
    assert b"forgotten-0123" not in written
    assert b"present-0123" in written


def test_the_device_id_is_fixed_once(file: Path) -> None:
    with closing(SqliteJournal(file)) as journal:
        assert journal.device_id() == ""
        assert journal.fix_device_id("board-1") == "board-1"
    with closing(SqliteJournal(file)) as journal:
        assert journal.fix_device_id("board-2") == "board-1"
        assert journal.device_id() == "board-1"


def test_the_salt_is_made_once_for_each_terminal(file: Path, tmp_path: Path) -> None:
    with closing(SqliteJournal(file)) as journal:
        salt = journal.salt()
        assert (len(salt), journal.salt()) == (32, salt)
    with closing(SqliteJournal(file)) as journal:
        assert journal.salt() == salt
    with closing(SqliteJournal(tmp_path / "other.db")) as journal:
        assert journal.salt() != salt


# --- the time line ---------------------------------------------------------------------------------------------------


def log(journal: SqliteJournal, instant: int) -> None:
    record = Record(kind="sale", subject="x", sale_id=SaleId("x"), cause="", before="", after="")
    entries = (Entry(record=record, topic="", body=b""),)
    journal.commit(Batch(now=Now(instant=Instant(instant), wall=WALL), entries=entries))


def test_every_start_within_a_boot_has_the_same_offset(file: Path) -> None:
    with closing(SqliteJournal(file)) as journal:
        boot = journal.open_boot("a", 5_000)
        assert boot.is_new
        log(journal, 9_000 + boot.offset)
    with closing(SqliteJournal(file)) as journal:
        again = journal.open_boot("a", 9_500)
        assert (again.offset, again.is_new) == (boot.offset, False)


def test_a_start_that_died_before_it_wrote_anything_is_none(journal: SqliteJournal) -> None:
    """Otherwise nobody would ever be told that the power was off."""
    boot = journal.open_boot("a", 5_000)
    again = journal.open_boot("a", 6_000)
    assert (again.offset, again.is_new) == (boot.offset, True)
    log(journal, 6_500 + boot.offset)
    assert not journal.open_boot("a", 7_000).is_new
    assert journal.open_boot("b", 0).is_new
    assert journal.open_boot("b", 1_000).is_new


def test_a_new_boot_goes_on_after_the_last_moment(journal: SqliteJournal) -> None:
    log(journal, 50_000 + journal.open_boot("a", 0).offset)
    last = 50_000 + journal.open_boot("a", 60_000).offset
    boot = journal.open_boot("b", 20_000)
    assert boot.is_new
    assert 20_000 + boot.offset == last + 1


def test_a_boot_without_events_counts_too(journal: SqliteJournal) -> None:
    first = 1_000_000 + journal.open_boot("a", 1_000_000).offset
    assert 7 + journal.open_boot("b", 7).offset == first + 1


@settings(max_examples=30, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from("aab"),  # the same boot, mostly; an id may even come back
            st.integers(0, 10**9),  # CLOCK_BOOTTIME at the start, whatever it says
            st.lists(st.integers(0, 10**6), max_size=4),  # time from event to event
        ),
        max_size=8,
    )
)
def test_instants_never_run_backwards(starts: list[tuple[str, int, list[int]]]) -> None:
    """I10: across restarts, reboots, and a kernel that counts from somewhere else."""
    with TemporaryDirectory() as directory:
        last, before, offset, has_event = 0, "", 0, True
        for boot_id, boottime, waits in starts:
            with closing(SqliteJournal(Path(directory) / "journal.db")) as journal:
                boot = journal.open_boot(boot_id, boottime)
                is_other = boot_id != before
                assert boot.is_new == (is_other or not has_event)
                assert boottime + boot.offset >= last + is_other
                is_anew = is_other or boot.offset != offset
                last, before, offset = max(last, boottime + boot.offset if is_anew else 0), boot_id, boot.offset
                has_event = (has_event and not is_anew) or bool(waits)
                instant = boottime + boot.offset
                for wait in waits:
                    instant += wait
                    log(journal, instant)
                    last = instant


# --- damage ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", ["", "not hexadecimal", "00ff"])
def test_a_salt_that_can_not_be_read_is_corruption(journal: SqliteJournal, file: Path, value: str) -> None:
    """Another salt would forget which codes were used."""
    journal.salt()
    with closing(sqlite3.connect(file)) as other, other:
        other.execute("UPDATE settings SET value = ?", (value,))
    with pytest.raises(JournalCorrupt, match="salt"):
        journal.salt()


def test_a_terminal_without_a_key_is_corruption(journal: SqliteJournal, file: Path) -> None:
    journal.close_activation(journal.record_activation_intent("…", WALL), "activated", terminal("key-1"))
    with closing(sqlite3.connect(file)) as other, other:
        other.execute("UPDATE terminal SET current_key = ''")
    with pytest.raises(JournalCorrupt, match="without number or key"):
        journal.load_terminal()
