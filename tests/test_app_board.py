"""The state directory on its own board, on another one, and on a copy: who may go on under which device id."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from pathlib import Path

import pytest

from terminald.adapters.fingerprint import SOURCES, derive_device_id, read_board
from terminald.adapters.journal_copy import copy_of, make_copy
from terminald.adapters.journal_sqlite import SqliteJournal
from terminald.app_board import (
    adopt_board,
    is_copy_foreign,
    moved_source,
    remembered_device_id,
    residence_of_new_identity,
    settle_device_id,
)
from terminald.config import Config, load
from terminald.core.ids import Secret, WallTime
from terminald.core.terminal import Terminal
from terminald.errors import ConfigError, JournalUnavailable, WrongBoard
from tests.core.machine_builders import NOON

SERIAL, MACHINE = SOURCES
WALL = WallTime(1_714_536_000_000)

Sources = Mapping[str, Path]
MakeBoard = Callable[..., Sources]


@pytest.fixture
def board(tmp_path: Path) -> MakeBoard:
    def board(serial: str = "", machine: str = "") -> Sources:
        directory = tmp_path / f"board-{serial}-{machine}"
        directory.mkdir(exist_ok=True)
        sources = {SERIAL: directory / "serial-number", MACHINE: directory / "machine-id"}
        for path, text in zip(sources.values(), (serial, machine), strict=True):
            if text:
                path.write_text(text)
        return sources

    return board


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[SqliteJournal]:
    with closing(SqliteJournal(tmp_path / "state" / "journal.db")) as opened:
        yield opened


def activated(journal: SqliteJournal, device_id: str, on: Sources | None = None) -> Terminal:
    """Store an identity; without a board it is as an older release stored it."""
    made = Terminal(
        terminal_sn="T100012345",
        device_id=device_id,
        current_key=Secret("key-1"),
        previous_key=None,
        activated_at=WALL,
        rotated_at=WALL,
    )
    number = journal.record_activation_intent("…", WALL)
    journal.close_activation(number, "activated", made, None if on is None else read_board(on))
    return made


@pytest.fixture
def config_of(tmp_path: Path) -> Callable[[str], Config]:
    def config_of(device_id: str) -> Config:
        path = tmp_path / "terminald.toml"
        path.write_text(f'[terminal]\ndevice_id = "{device_id}"\n[state]\ndirectory = "{tmp_path}/state"\n')
        return load(path)

    return config_of


AUTO = Config()


# --- the device id ---------------------------------------------------------------------------------------------------


def test_the_device_id_is_derived_once_and_outlives_its_sources(journal: SqliteJournal, board: MakeBoard) -> None:
    first = settle_device_id(AUTO, journal, board(serial="a", machine="m"))
    assert first == derive_device_id(board(serial="a"))
    assert settle_device_id(AUTO, journal, board(machine="m")) == first
    assert settle_device_id(AUTO, journal, board()) == first


def test_without_any_source_the_first_start_says_what_to_set(journal: SqliteJournal, board: MakeBoard) -> None:
    with pytest.raises(JournalUnavailable, match=r"set terminal\.device_id"):
        settle_device_id(AUTO, journal, board())


def test_another_device_id_than_the_terminals_is_an_error_that_says_why(
    journal: SqliteJournal, board: MakeBoard, config_of: Callable[[str], Config]
) -> None:
    home = board(serial="a")
    activated(journal, settle_device_id(config_of("kiosk-1"), journal, home), home)
    assert settle_device_id(config_of("kiosk-1"), journal, home) == "kiosk-1"
    assert settle_device_id(AUTO, journal, home) == "kiosk-1"
    with pytest.raises(ConfigError) as caught:
        settle_device_id(config_of("kiosk-2"), journal, home)
    (fault,) = caught.value.faults
    assert "terminald.toml:2: terminal.device_id: is 'kiosk-2', but this terminal has been 'kiosk-1'" in fault
    assert "must stay so: the gateway renews the key only for the device id of the activation" in fault
    assert "allowed: \"auto\", which keeps the stored one, or 'kiosk-1'" in fault
    assert "emptied" not in fault


def test_before_the_activation_the_error_also_says_how_to_change_it(
    journal: SqliteJournal, board: MakeBoard, config_of: Callable[[str], Config], tmp_path: Path
) -> None:
    settle_device_id(AUTO, journal, board(serial="a"))
    with pytest.raises(ConfigError, match=f"yet also another one, after you emptied {tmp_path}/state"):
        settle_device_id(config_of("kiosk-2"), journal, board(serial="a"))


# --- the board -------------------------------------------------------------------------------------------------------


def test_a_journal_of_an_older_release_belongs_to_the_board_where_it_is_found(
    journal: SqliteJournal, board: MakeBoard
) -> None:
    journal.fix_device_id("old-id")
    activated(journal, "old-id")
    assert journal.board() == {}
    assert settle_device_id(AUTO, journal, board(serial="a", machine="m")) == "old-id"
    with pytest.raises(WrongBoard):
        settle_device_id(AUTO, journal, board(serial="b", machine="m"))


def test_a_source_that_can_be_read_later_is_added_and_none_is_lost(journal: SqliteJournal, board: MakeBoard) -> None:
    both = read_board(board(serial="a", machine="m"))
    settle_device_id(AUTO, journal, board(machine="m"))
    assert journal.board() == {MACHINE: both[MACHINE]}
    activated(journal, journal.device_id())
    settle_device_id(AUTO, journal, board(serial="a", machine="m"))
    settle_device_id(AUTO, journal, board(machine="m"))
    assert journal.board() == both


def test_a_new_system_on_the_same_board_is_no_move(journal: SqliteJournal, board: MakeBoard) -> None:
    activated(journal, settle_device_id(AUTO, journal, board(serial="a", machine="m")))
    settle_device_id(AUTO, journal, board(serial="a", machine="n"))
    assert moved_source(journal, board(machine="n")) is None
    assert moved_source(journal, board(machine="m")) == MACHINE


@pytest.mark.parametrize(
    ("serial", "machine", "difference"),
    [("b", "m", SERIAL), ("b", "n", SERIAL), ("", "n", MACHINE)],
    ids=["card in another board", "state directory in another system", "boards without a number"],
)
def test_an_identity_on_another_board_is_refused_with_the_reason_and_both_ways_out(
    serial: str, machine: str, difference: str, journal: SqliteJournal, board: MakeBoard
) -> None:
    """I6: two boards that renew one key lock each other out."""
    before = settle_device_id(AUTO, journal, board(serial="a", machine="m"))
    activated(journal, before)
    known = journal.board()
    with pytest.raises(WrongBoard) as caught:
        settle_device_id(AUTO, journal, board(serial=serial, machine=machine))
    text = f"{caught.value} {caught.value.advice}"
    assert "this board is not the one of terminal T100012345" in text
    assert f"moved or copied here from a board with another {difference}" in text
    assert "Two boards with one terminal renew one key" in text
    assert "terminald adopt" in text
    assert "terminald activate --replace" in text
    assert (journal.board(), journal.device_id()) == (known, before)


def test_a_person_lets_the_new_board_take_over_and_the_old_one_is_then_the_wrong_one(
    journal: SqliteJournal, board: MakeBoard
) -> None:
    old, new = board(serial="a", machine="m"), board(serial="b", machine="m")
    before = settle_device_id(AUTO, journal, old)
    activated(journal, before)
    adopt_board(journal, new)
    assert settle_device_id(AUTO, journal, new) == before
    with pytest.raises(WrongBoard):
        settle_device_id(AUTO, journal, old)


def test_taking_over_forgets_what_the_old_board_alone_could_show(journal: SqliteJournal, board: MakeBoard) -> None:
    settle_device_id(AUTO, journal, board(serial="a", machine="m"))
    new = board(machine="n")
    adopt_board(journal, new)
    assert journal.board() == read_board(new)


def test_a_card_that_was_copied_before_the_activation_begins_anew_on_each_board(
    journal: SqliteJournal, board: MakeBoard
) -> None:
    """A golden image on which the daemon was started once: the gateway wants each device id once."""
    image = settle_device_id(AUTO, journal, board(serial="a", machine="m"))
    copy = board(serial="b", machine="m")
    own = settle_device_id(AUTO, journal, copy)
    assert own == derive_device_id(copy) != image
    assert (journal.device_id(), journal.board()) == (own, read_board(copy))
    assert settle_device_id(AUTO, journal, copy) == own


def test_a_new_identity_on_the_own_board_keeps_its_device_id(journal: SqliteJournal, board: MakeBoard) -> None:
    home = board(serial="a")
    before = settle_device_id(AUTO, journal, home)
    activated(journal, before, home)
    assert residence_of_new_identity(AUTO, journal, home).device_id == before


def test_a_new_identity_on_another_board_has_a_device_id_of_its_own_once_it_is_stored(
    journal: SqliteJournal, board: MakeBoard
) -> None:
    home, copy = board(serial="a", machine="m"), board(serial="b", machine="m")
    before = settle_device_id(AUTO, journal, home)
    activated(journal, before, home)
    residence = residence_of_new_identity(AUTO, journal, copy)
    assert residence.device_id == derive_device_id(copy)
    # Cut off here, the copy is still the wrong board for what it holds.
    assert (journal.device_id(), moved_source(journal, copy)) == (before, SERIAL)
    activated(journal, residence.device_id, copy)
    assert settle_device_id(AUTO, journal, copy) == residence.device_id


# --- without the journal ---------------------------------------------------------------------------------------------


def test_the_copy_remembers_the_device_id_of_a_journal_that_can_not_be_read(
    journal: SqliteJournal, board: MakeBoard, config_of: Callable[[str], Config], tmp_path: Path
) -> None:
    file, here = tmp_path / "state" / "journal.db", board(serial="10000000aa")
    assert remembered_device_id(config_of("auto"), file, here) == "", "nobody knows it"
    assert remembered_device_id(config_of("till-7"), file, here) == "till-7"
    known = settle_device_id(config_of("auto"), journal, here)
    assert make_copy(file, NOON, spare=0, is_wanted=lambda: True)
    assert remembered_device_id(config_of("auto"), file, here) == known
    assert not is_copy_foreign(file, here)


def test_a_copy_of_another_board_tells_nothing_about_this_one(
    journal: SqliteJournal, board: MakeBoard, config_of: Callable[[str], Config], tmp_path: Path
) -> None:
    file, there = tmp_path / "state" / "journal.db", board(serial="10000000bb")
    settle_device_id(config_of("auto"), journal, board(serial="10000000aa"))
    assert make_copy(file, NOON, spare=0, is_wanted=lambda: True)
    assert is_copy_foreign(file, there)
    assert remembered_device_id(config_of("auto"), file, there) == ""
    copy_of(file).write_bytes(b"no copy any more")
    assert not is_copy_foreign(file, there)


def test_a_state_directory_that_can_not_be_looked_into_remembers_nothing(
    config_of: Callable[[str], Config], board: MakeBoard, tmp_path: Path
) -> None:
    """A terminal that is stopped by it serves all the same."""
    file, here = tmp_path / ("x" * 300) / "journal.db", board(serial="10000000aa")
    with pytest.raises(OSError, match="name too long"):
        file.exists()
    assert remembered_device_id(config_of("auto"), file, here) == ""
    assert not is_copy_foreign(file, here)
