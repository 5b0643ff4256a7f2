"""The real daemon on the state directory of another board: it does not start, says why, and a person decides."""

from contextlib import closing
from pathlib import Path

import pytest

from terminald.adapters.fingerprint import read_board
from terminald.adapters.journal_sqlite import SqliteJournal
from tests.system.rig import ACTIVATION_CODE, Bench

pytestmark = pytest.mark.system


@pytest.fixture
def moved(terminal: Bench) -> Bench:
    """An activated terminal whose state directory comes from a board with other identities."""
    if not read_board():
        pytest.skip("this machine has neither serial number nor machine-id")
    with closing(SqliteJournal(terminal.directory / "state" / "journal.db")) as journal:
        assert journal.board() == read_board()
        journal.put_board(dict.fromkeys(read_board(), "0" * 32))
    return terminal


def identity(shop: Bench) -> tuple[str, str]:
    with closing(SqliteJournal(shop.directory / "state" / "journal.db")) as journal:
        stored = journal.load_terminal()
        assert stored is not None
        assert stored.device_id == journal.device_id()
        return stored.terminal_sn, stored.device_id


def sell(shop: Bench) -> None:
    shop.start()
    shop.wait_ready()
    assert shop.open_sale("after").status_code == 201
    shop.scanner.scan("130000000000001001")
    shop.wait_state("after", "completed")
    assert shop.stop() == 0


def test_the_daemon_does_not_start_and_says_why(moved: Bench) -> None:
    """I6. Exit code 78: systemd does not start it again."""
    sn, _ = identity(moved)
    for command in ("run", "activate"):
        done = moved.terminald(command)
        assert done.returncode == 78
        assert f"this board is not the one of terminal {sn}" in done.stderr
        assert "Two boards with one terminal renew one key" in done.stderr
        assert "out of service for good: terminald adopt" in done.stderr
        assert "terminald activate --replace" in done.stderr
    asked = moved.terminald("status")
    assert asked.returncode == 3
    assert "journalctl -u terminald" in asked.stderr


@pytest.mark.parametrize("typed", ["yes\n", ""])
def test_taking_over_needs_the_end_of_the_number(typed: str, moved: Bench) -> None:
    done = moved.terminald("adopt", stdin=typed)
    assert done.returncode == (1 if typed else 2)
    assert f"Terminal {identity(moved)[0]} was used on a board with another " in done.stderr
    assert "must be out of service for good" in done.stderr
    assert "nothing was sent" in done.stderr
    assert moved.terminald("run").returncode == 78


@pytest.mark.parametrize("is_typed", [True, False])
def test_the_board_that_takes_over_sells_under_the_same_identity(*, is_typed: bool, moved: Bench) -> None:
    before = sn, device_id = identity(moved)
    done = moved.terminald("adopt", stdin=f"{sn[-4:]}\n") if is_typed else moved.terminald("adopt", "--yes")
    assert done.returncode == 0
    assert f"this board is terminal {sn} from now on (device id {device_id}, as before)" in done.stdout
    assert identity(moved) == before
    sell(moved)
    assert "Nothing to take over" in moved.terminald("adopt").stdout


def test_a_copy_becomes_a_terminal_of_its_own(moved: Bench) -> None:
    """The configured device id of the first board may be another one here: the gateway wants each once."""
    sn, _ = identity(moved)
    moved.config.write_text(moved.config.read_text().replace('"bench-1"', '"bench-2"'))
    done = moved.terminald("activate", ACTIVATION_CODE, "--replace", stdin=f"{sn[-4:]}\n")
    assert done.returncode == 0, done.stderr
    assert f"warning: terminal {sn} is of another board" in done.stderr
    assert f"Terminal {sn} is given up on this board" in done.stderr
    now, device_id = identity(moved)
    assert (now != sn, device_id) == (True, "bench-2")
    sell(moved)


def test_an_older_releases_journal_is_adopted_silently(terminal: Bench) -> None:
    file = terminal.directory / "state" / "journal.db"
    with closing(SqliteJournal(file)) as journal:
        journal.put_board({})
    sell(terminal)
    with closing(SqliteJournal(file)) as journal:
        assert journal.board() == read_board()


def test_nothing_is_taken_over_before_the_activation(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    try:
        done = bench.terminald("adopt")
    finally:
        bench.close()
    assert (done.returncode, done.stdout) == (
        0,
        "Nothing to take over: this terminal is not activated yet (terminald activate).\n",
    )
