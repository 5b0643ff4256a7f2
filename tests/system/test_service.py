"""The real daemon, as a service manager starts, hears, kills and stops it."""

import contextlib
import signal
import socket
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from terminald.adapters.journal_file import BUSY_TIMEOUT_S
from tests.system.manager import Manager
from tests.system.rig import Bench, bench

OLD_JOURNAL = Path(__file__).parent.parent / "data" / "journal-v1.sql"
#: Where nothing answers.
NOWHERE = '"http://127.0.0.1:9"'

pytestmark = pytest.mark.system


@pytest.fixture
def manager(terminal: Bench) -> Iterator[Manager]:
    made = Manager(terminal)
    yield made
    made.close()


@pytest.fixture
def held(terminal: Bench, manager: Manager) -> Manager:
    """A manager that holds the API's socket, like a socket unit."""
    manager.listen(terminal.directory / "api.sock")
    return manager


def test_it_is_ready_without_network_and_devices_when_the_api_answers(terminal: Bench, manager: Manager) -> None:
    text = terminal.config.read_text().replace(f'"{terminal.url}"', NOWHERE)
    terminal.config.write_text(text.replace(f'"{terminal.directory}/scanner"', '"/dev/nothing-here"'))
    manager.start()
    manager.hear("READY")
    assert terminal.api.get("/v1/status").json()["ready"] is False
    assert manager.hear("STATUS", "gateway unreachable").startswith("not ready: ")
    assert manager.heard[0][0] == "EXTEND_TIMEOUT_USEC"
    assert manager.heard[1] == ("STATUS", "starting: checking the journal, and bringing it to this version")
    assert terminal.stop() == 0


def test_the_status_says_in_words_how_it_is_and_what_it_waits_for(terminal: Bench, manager: Manager) -> None:
    manager.start()
    manager.hear("READY")
    manager.hear("STATUS", "ready to take payments")
    terminal.open_sale("words")
    manager.hear("STATUS", "a sale is with a customer")
    terminal.stop()
    manager.hear("STOPPING")
    after = manager.names()[manager.names().index("STOPPING") :]
    assert "READY" not in after
    assert "RELOADING" not in after


def test_no_ready_before_what_was_open_is_on_record_again(terminal: Bench, manager: Manager) -> None:
    """I5. While the journal can not be written the start takes longer, says so, and is not given up."""
    manager.start()
    terminal.wait_ready()
    terminal.open_sale("open")
    terminal.stop(signal.SIGKILL)
    manager.hear("READY")
    journal = terminal.directory / "state" / "journal.db"
    blocker = sqlite3.connect(journal, isolation_level=None)
    try:
        # Reading is possible, so that the daemon gets as far as its first commit.
        manager.heard.clear()
        blocker.execute("BEGIN IMMEDIATE")
        manager.start()
        assert int(manager.hear("EXTEND_TIMEOUT_USEC")) >= 30_000_000
        manager.hear("STATUS", "starting")
        assert "READY" not in manager.names()
        blocker.execute("ROLLBACK")
    finally:
        blocker.close()
    manager.hear("READY")
    assert terminal.sale("open").state == "awaiting_payment"


def test_a_journal_of_an_older_version_is_given_time_to_be_brought_to_this_one(tmp_path: Path) -> None:
    with bench(tmp_path, is_activated=False) as made, contextlib.closing(Manager(made)) as manager:
        (tmp_path / "state").mkdir(mode=0o700)
        with contextlib.closing(sqlite3.connect(tmp_path / "state" / "journal.db")) as old:
            old.executescript(OLD_JOURNAL.read_text())
            before = old.execute("PRAGMA user_version").fetchone()
        made.configure(device_id='"auto"')
        manager.start()
        manager.hear("READY")
        names = manager.names()
        assert names.index("EXTEND_TIMEOUT_USEC") < names.index("READY")
        made.stop()
        with contextlib.closing(sqlite3.connect(tmp_path / "state" / "journal.db")) as new:
            assert new.execute("PRAGMA user_version").fetchone() > before


def test_the_watchdog_is_fed_while_engine_and_journal_answer(manager: Manager) -> None:
    manager.start(watchdog_s=1.5)
    manager.hear("READY")
    for _ in range(4):
        manager.hear("WATCHDOG")
    assert manager.silence_s("WATCHDOG", 3) < 1.5


def test_a_hung_journal_is_not_covered_up_and_the_kill_says_where(terminal: Bench, manager: Manager) -> None:
    """The loop answers calls all the time: only the round trip through the journal's thread finds it."""
    manager.start(watchdog_s=1.5)
    manager.hear("READY")
    manager.hear("WATCHDOG")
    blocker = sqlite3.connect(terminal.directory / "state" / "journal.db", isolation_level=None)
    try:
        blocker.execute("BEGIN IMMEDIATE")
        # Waits for the lock in the journal's thread, as a write to a dying card would.
        caller = socket.socket(socket.AF_UNIX)
        caller.connect(str(terminal.directory / "api.sock"))
        body = b'{"reference": "hangs", "amount": 1, "subject": "x"}'
        head = f"POST /v1/sales HTTP/1.1\r\nHost: t\r\nContent-Type: application/json\r\nContent-Length: {len(body)}"
        caller.sendall(f"{head}\r\n\r\n".encode() + body)
        manager.silence_s("WATCHDOG", 0.6)
        assert manager.silence_s("WATCHDOG", 2.5) > 1.5
        assert terminal.status(), "the API answers all the same"
        assert terminal.stop(signal.SIGABRT) == -signal.SIGABRT
        caller.close()
    finally:
        blocker.close()
    log = terminal.log.read_text()
    assert "Fatal Python error: Aborted" in log
    assert "journal_sqlite.py" in log


def test_a_stop_with_a_payment_in_flight_asks_for_time(terminal: Bench, manager: Manager) -> None:
    manager.start()
    terminal.wait_ready()
    terminal.open_sale("in-flight")
    # The customer types a password; nobody confirms before the terminal asks.
    terminal.api.post("/v1/sales/in-flight/payment-code", json={"code": "130812345678912310"})
    terminal.wait_state("in-flight", "processing", "completed")
    assert terminal.daemon is not None
    terminal.daemon.send_signal(signal.SIGTERM)
    manager.hear("STOPPING")
    assert int(manager.hear("EXTEND_TIMEOUT_USEC")) > 30_000_000
    assert ("STATUS", "stopping: a payment is followed to its end") in manager.heard
    assert terminal.daemon.wait(45) == 0


def test_a_passed_socket_is_served_and_left_to_its_owner(terminal: Bench, held: Manager) -> None:
    held.start()
    held.hear("READY")
    assert terminal.api.get("/v1/status").status_code == 200
    assert terminal.stop() == 0
    waiting = socket.socket(socket.AF_UNIX)
    waiting.connect(str(terminal.directory / "api.sock"))
    waiting.close()


def test_the_next_request_after_a_kill_is_answered_and_not_refused(terminal: Bench, held: Manager) -> None:
    held.start()
    terminal.wait_ready()
    terminal.open_sale("survives")
    terminal.stop(signal.SIGKILL)
    with socket.socket(socket.AF_UNIX) as caller:
        caller.settimeout(45)
        caller.connect(str(terminal.directory / "api.sock"))
        caller.sendall(b"GET /v1/sales/survives HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n")
        held.start()
        assert caller.recv(64).startswith(b"HTTP/1.1 200")


def test_callers_are_told_why_where_the_journal_can_not_be_opened_at_the_start(terminal: Bench, held: Manager) -> None:
    """A disk that is full or read-only stays so over a restart, and nobody else could say it."""
    journal = terminal.directory / "state" / "journal.db"
    journal.rename(terminal.directory / "journal.db")
    journal.mkdir()
    held.start(watchdog_s=9)
    held.hear("READY")
    assert "can not be opened" in held.hear("STATUS")
    assert terminal.status()["reasons"] == ["journal_failed"]
    assert terminal.open_sale("order").json()["code"] == "journal_failed"
    held.hear("WATCHDOG")
    journal.rmdir()
    (terminal.directory / "journal.db").rename(journal)
    assert terminal.daemon is not None
    assert terminal.daemon.wait(45) == 0, "to be started again"
    held.start()
    terminal.wait_ready()


def test_the_watchdog_is_fed_while_a_look_at_the_journal_takes_long(terminal: Bench, held: Manager) -> None:
    """Each look waits here for another program that has the file open; on a dying card it reads so long."""
    terminal.start()
    terminal.stop()
    with contextlib.closing(
        sqlite3.connect(terminal.directory / "state" / "journal.db", isolation_level=None)
    ) as other:
        other.execute("PRAGMA locking_mode=EXCLUSIVE").fetchall()
        other.execute("BEGIN EXCLUSIVE")
        held.start(watchdog_s=9)
        held.hear("READY")
        held.hear("WATCHDOG")
        for _ in range(3):
            assert held.silence_s("WATCHDOG", 2 * BUSY_TIMEOUT_S) < BUSY_TIMEOUT_S
        other.execute("COMMIT")
    assert terminal.daemon is not None
    assert terminal.daemon.wait(45) == 0, "to be started again"


def test_it_binds_its_own_socket_where_none_is_passed_to_it(terminal: Bench, manager: Manager) -> None:
    """The socket that a parent got is not ours: LISTEN_PID tells."""
    manager.listen(terminal.directory / "other.sock")
    manager.start(pid_offset=1)
    manager.hear("READY")
    assert (terminal.directory / "api.sock").is_socket()
    assert terminal.stop() == 0
    assert not (terminal.directory / "api.sock").exists()


def test_a_passed_socket_of_another_place_is_served_and_told(terminal: Bench, manager: Manager) -> None:
    manager.listen(terminal.directory / "other.sock")
    manager.start()
    manager.hear("READY")
    assert "write the same path in both" in terminal.log.read_text()


def test_what_is_no_listening_socket_is_refused_as_a_configuration(terminal: Bench, manager: Manager) -> None:
    manager.listener = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    manager.start()
    assert terminal.daemon is not None
    assert terminal.daemon.wait(45) == 78
    assert "no listening Unix stream socket" in terminal.log.read_text()


def test_a_wrong_configuration_is_exit_78_and_never_ready(tmp_path: Path) -> None:
    with bench(tmp_path, is_activated=False) as made, contextlib.closing(Manager(made)) as manager:
        made.config.write_text("[sale]\npoll_intervall = 3\n")
        manager.start()
        assert made.daemon is not None
        assert made.daemon.wait(45) == 78
        assert "poll_interval" in made.log.read_text()
        assert manager.silence_s("READY", 0.2) >= 0.2
