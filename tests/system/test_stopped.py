"""A terminal whose journal is damaged: whoever asks, by whatever way, hears that it is stopped, why, and what to do."""

import contextlib
import json
import os
import signal
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from terminald.adapters.journal_schema import VERSION
from terminald.wire.api_problems import ATTENTION_ADVICE
from tests.system.manager import Manager
from tests.system.rig import PATIENCE_S, Bench, bench
from tests.system.test_care import spoil

pytestmark = pytest.mark.system

NOTED = 1_735_700_000


@pytest.fixture
def stopped(tmp_path: Path) -> Iterator[Bench]:
    """A terminal that was activated, and can not know it any more."""
    with bench(tmp_path) as made:
        spoil(made.directory / "state" / "journal.db")
        made.start()
        made.wait(lambda: bool(made.status().get("stopped")), "stopped")
        yield made


def test_the_status_says_stopped_and_not_that_it_was_never_activated(stopped: Bench) -> None:
    said = stopped.terminald("status")
    assert said.returncode == 3
    assert said.stdout.startswith("STOPPED: nothing is sold")
    assert "terminald restore" in said.stdout
    assert "database disk image is malformed" in said.stdout
    assert "device id bench-1" in said.stdout
    for false in ("not activated", "not reachable", "none open"):
        assert false not in said.stdout
    shown = json.loads(stopped.terminald("status", "--json").stdout)
    assert (shown["ready"], shown["reasons"], shown["stopped"]["code"]) == (
        False,
        ["journal_failed"],
        "journal_damaged",
    )
    assert shown["terminal"] == {"sn": None, "device_id": "bench-1", "activated_at": None}
    assert (shown["unresolved"], shown["print_queue"], shown["attention"]) == (None, None, 1)


def test_damage_that_was_noted_in_use_is_told_with_its_time(stopped: Bench) -> None:
    assert stopped.stop() == 0
    note = stopped.directory / "state" / "journal-damaged"
    note.write_text("a page that no look needs")
    os.utime(note, (NOTED, NOTED))
    stopped.start()
    stopped.wait(lambda: bool(stopped.status().get("stopped")), "stopped")
    shown = json.loads(stopped.terminald("status", "--json").stdout)["stopped"]
    assert shown["since"].startswith(time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(NOTED)))
    assert "a page that no look needs" in shown["detail"]


def test_everybody_else_hears_the_same(stopped: Bench) -> None:
    health = stopped.terminald("health")
    assert (health.returncode, "database disk image is malformed" in health.stderr) == (3, True)
    assert "terminald restore" in health.stderr
    doctor = stopped.terminald("doctor")
    assert doctor.returncode == 1
    assert "terminald restore" in doctor.stdout
    assert "no identity" not in doctor.stdout
    metrics = stopped.terminald("metrics").stdout
    assert 'terminald_stopped{code="journal_damaged"} 1\n' in metrics
    assert 'terminald_not_ready{reason="journal_failed"} 1\n' in metrics
    assert 'terminald_not_ready{reason="not_activated"} 0\n' in metrics
    assert "terminald_unresolved" not in metrics
    for refused in (("resume",), ("drain",), ("checkin",), ("sales",), ("sell", "3.50", "--reference", "order-1")):
        answer = stopped.terminald(*refused)
        assert (answer.returncode, "terminald restore" in answer.stderr) == (3, True), answer


def test_a_host_that_resumes_its_events_is_not_told_that_the_log_begins_anew(stopped: Bench) -> None:
    """It would forget where it was, while the log may come back with all its numbers."""
    answer = stopped.api.get("/v1/events", params={"since": "5"})
    assert (answer.status_code, answer.json()["code"]) == (503, "journal_failed")
    assert answer.json()["advice"] == ATTENTION_ADVICE["journal_damaged"]


def test_a_reload_starts_it_anew_with_the_configuration_if_that_is_right(stopped: Bench) -> None:
    """It was ignored, and looked as if it had succeeded."""
    assert stopped.daemon is not None
    right = stopped.config.read_text()
    stopped.config.write_text(right + "[printr]\n")
    stopped.daemon.send_signal(signal.SIGHUP)
    stopped.wait(lambda: "config_refused" in stopped.log.read_text(), "refused")
    assert stopped.is_alive()
    assert stopped.status()["stopped"]
    stopped.config.write_text(right.replace('name = "bench"', 'name = "corner"'))
    stopped.daemon.send_signal(signal.SIGHUP)
    assert stopped.daemon.wait(PATIENCE_S) == 0, "it ends, and the service manager starts it again"
    said = stopped.log.read_text()
    assert ("config_reloaded" in said, "journal_replaced" in said) == (True, False)


# --- a journal that can not be opened now ----------------------------------------------------------------------------


@pytest.fixture
def unopened(tmp_path: Path) -> Iterator[Bench]:
    """A terminal that binds its socket itself, and whose journal can not be opened."""
    with bench(tmp_path) as made:
        journal = made.directory / "state" / "journal.db"
        journal.rename(made.directory / "journal.db")
        journal.mkdir()
        made.start()
        made.wait(lambda: bool(made.status().get("stopped")), "stopped")
        yield made


def test_one_that_can_not_be_opened_now_is_told_without_a_service_manager_too(unopened: Bench) -> None:
    shown = unopened.status()
    assert (shown["ready"], shown["reasons"], shown["attention"]) == (False, ["journal_failed"], 0)
    assert '"code":"journal_failed"' in unopened.terminald("status", "--json").stdout.replace(" ", "")
    assert unopened.open_sale("order-1").json()["code"] == "journal_failed"
    assert unopened.stop() == 0, "told to"


def test_one_that_can_be_opened_again_fails_the_process_for_whatever_starts_it_again(unopened: Bench) -> None:
    """Some start again only what has failed; a service manager that holds the socket starts again what has ended."""
    journal = unopened.directory / "state" / "journal.db"
    journal.rmdir()
    (unopened.directory / "journal.db").rename(journal)
    assert unopened.daemon is not None
    assert unopened.daemon.wait(PATIENCE_S) == 1
    last = unopened.log.read_text().splitlines()[-1]
    assert last.startswith("terminald: the journal can be opened again: start terminald again (it was: ")
    assert "journal.db: opening failed: " in last
    unopened.start()
    unopened.wait_ready()
    assert unopened.open_sale("order-1").status_code == 201


def test_another_terminald_that_has_the_journal_ends_the_process_at_once(tmp_path: Path) -> None:
    """That one answers at the socket; nobody is to hear of two."""
    with bench(tmp_path) as made:
        made.start()
        made.wait_ready()
        second = made.terminald("run")
        assert (second.returncode, "is in use" in second.stderr) == (1, True), second
        assert made.status()["ready"] is True


# --- a journal of a newer version ------------------------------------------------------------------------------------


def set_schema(file: Path, version: int) -> None:
    with contextlib.closing(sqlite3.connect(file)) as connection:
        connection.execute(f"PRAGMA user_version={version}")


def test_a_newer_journal_is_told_behind_the_socket_and_left_as_it_is(tmp_path: Path) -> None:
    """After a rollback too far: who queues at systemd's socket is answered, and nothing is tried every second."""
    with bench(tmp_path) as made, contextlib.closing(Manager(made)) as manager:
        file = made.directory / "state" / "journal.db"
        set_schema(file, 99)
        before = file.read_bytes()
        manager.listen(made.directory / "api.sock")
        manager.start()
        manager.hear("STATUS", "a newer terminald wrote the journal")
        said = made.terminald("status")
        assert said.returncode == 3
        assert "journal_too_new" in said.stdout
        assert "Install that version again" in said.stdout.replace("\n", " ")
        assert "nothing was changed" in said.stdout
        assert made.status()["attention"] == 1
        health = made.terminald("health")
        assert (health.returncode, "Install that version again" in health.stderr) == (3, True), health
        doctor = made.terminald("doctor")
        assert (doctor.returncode, "install that version again" in doctor.stdout) == (1, True), doctor.stdout
        metrics = made.terminald("metrics").stdout
        assert 'terminald_stopped{code="journal_too_new"} 1\n' in metrics
        assert 'terminald_stopped{code="journal_failed"} 0\n' in metrics
        refused = made.open_sale("order-1")
        assert (refused.status_code, refused.json()["code"]) == (503, "journal_failed")
        assert refused.json()["advice"] == ATTENTION_ADVICE["journal_too_new"]
        assert "journal_too_new" in made.log.read_text()
        # It is looked at more than once meanwhile, and is the same each time.
        manager.hear("WATCHDOG")
        manager.hear("WATCHDOG")
        assert made.is_alive()
        assert file.read_bytes() == before

        newer = file.rename(file.with_name("journal-newer.db"))
        assert made.daemon is not None
        assert made.daemon.wait(PATIENCE_S) == 0, "it ends, and the service manager starts it again"
        assert "journal_replaced" in made.log.read_text()
        newer.rename(file)
        set_schema(file, VERSION)
        manager.start()
        made.wait_ready()
        assert made.stop() == 0
