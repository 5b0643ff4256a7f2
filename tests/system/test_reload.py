"""The real daemon reads its configuration again, and tells the service manager so."""

import contextlib
import re
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from terminald.simulator.scanner import SimulatedScanner
from tests.system.manager import Manager
from tests.system.rig import Bench

READY = "a device is ready log_id=device_ready"

pytestmark = pytest.mark.system


@pytest.fixture
def manager(terminal: Bench) -> Iterator[Manager]:
    with contextlib.closing(Manager(terminal)) as made:
        made.start()
        made.hear("READY")
        terminal.wait_ready()
        yield made
        assert terminal.stop() == 0


def reload(terminal: Bench, manager: Manager) -> str:
    """Have the configuration read again; return the status with which that ended."""
    assert terminal.daemon is not None
    terminal.daemon.send_signal(signal.SIGHUP)
    manager.hear("RELOADING")
    assert int(manager.hear("MONOTONIC_USEC")) > 0
    manager.hear("READY")
    return manager.hear("STATUS")


def change(terminal: Bench, before: str, after: str) -> None:
    text = terminal.config.read_text()
    assert before in text
    terminal.config.write_text(text.replace(before, after))


def test_limits_hold_from_now_on(terminal: Bench, manager: Manager) -> None:
    assert terminal.open_sale("before", 900).status_code == 201
    terminal.api.post("/v1/sales/before/cancel")
    change(terminal, "[sale]", "[sale]\nmax_amount = 500")
    assert reload(terminal, manager) == "ready to take payments"
    assert terminal.open_sale("after", 900).status_code == 422
    assert terminal.open_sale("small", 500).status_code == 201


def test_a_wrong_configuration_changes_nothing_and_is_told_until_it_is_right(terminal: Bench, manager: Manager) -> None:
    change(terminal, "[sale]", '[sale]\nmax_amount = 500\npoll_intervall = "3s"')
    assert "the configuration is wrong (1 by terminald check), the one before is kept" in reload(terminal, manager)
    assert "poll_interval" in terminal.log.read_text()
    assert terminal.open_sale("as-before", 900).status_code == 201
    terminal.api.post("/v1/sales/as-before/cancel")
    change(terminal, '\npoll_intervall = "3s"', "")
    assert "configuration" not in reload(terminal, manager)
    assert terminal.open_sale("now", 900).status_code == 422


def test_what_lasts_until_a_restart_is_named(terminal: Bench, manager: Manager) -> None:
    change(terminal, 'read_timeout = "2s"', 'read_timeout = "3s"')
    change(terminal, "[sale]", "[sale]\nmax_amount = 500")
    assert "a restart is needed for gateway.read_timeout" in reload(terminal, manager)
    assert terminal.open_sale("limited", 900).status_code == 422


def test_a_sale_that_waits_is_paid_at_the_scanner_that_replaces_the_other(
    terminal: Bench, manager: Manager, tmp_path: Path
) -> None:
    terminal.open_sale("waiting")
    with SimulatedScanner(link=tmp_path / "other") as other:
        change(terminal, f'"{tmp_path}/scanner"', f'"{tmp_path}/other"')
        reload(terminal, manager)
        terminal.wait(lambda: terminal.log.read_text().count(f"{READY} device=front") > 1, "the other scanner")
        other.scan("130812345678912300")
        assert terminal.wait_state("waiting", "completed").paid == 350


def test_devices_that_did_not_change_stay_open_and_receipts_go_to_the_new_printer(
    terminal: Bench, manager: Manager, tmp_path: Path
) -> None:
    change(terminal, f'"{tmp_path}/receipts.bin"', f'"{tmp_path}/other.bin"')
    change(terminal, "[readiness]", '[receipt]\nheader = ["Another Kiosk"]\n[readiness]')
    reload(terminal, manager)
    terminal.open_sale("printed")
    terminal.scanner.scan("130812345678912300")
    terminal.wait_state("printed", "completed")
    terminal.wait(lambda: terminal.sale("printed").receipt in ("printed", "unverified"), "the receipt")
    assert b"Another Kiosk" in (tmp_path / "other.bin").read_bytes()
    log = terminal.log.read_text()
    assert log.count(f"{READY} device=front") == 1
    assert log.count(f"{READY} device=printer") == 2


def test_a_device_that_is_taken_out_is_shown_no_more(terminal: Bench, manager: Manager) -> None:
    text = terminal.config.read_text()
    terminal.config.write_text(
        re.sub(r"(?ms)^\[\[scanner\]\].*?(?=^\[)", "", text).replace(
            "[readiness]", '[readiness]\nrequire = ["gateway"]'
        )
    )
    assert reload(terminal, manager) == "ready to take payments"
    assert [one["name"] for one in terminal.api.get("/v1/status").json()["devices"]] == ["printer"]


def test_a_reload_in_the_middle_of_a_start_ends_nothing(terminal: Bench) -> None:
    with contextlib.closing(Manager(terminal)) as made:
        made.start()
        made.hear("EXTEND_TIMEOUT_USEC")
        assert terminal.daemon is not None
        terminal.daemon.send_signal(signal.SIGHUP)
        made.hear("READY")
        assert terminal.stop() == 0
