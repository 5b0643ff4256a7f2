"""An update and a technician's work, as the command line does them."""

import contextlib
import json
import os
import pty
import signal
import subprocess
import sys
from contextlib import closing
from datetime import datetime, timedelta, timezone
from pathlib import Path

import httpx
import pytest

from terminald.adapters.journal_copy import make_copy
from terminald.adapters.journal_sqlite import SqliteJournal
from terminald.core.readiness import Hold
from tests.core.machine_builders import NOON
from tests.system.rig import PATIENCE_S, Bench, bench

#: The customer confirms when the test says so.
WAITS_FOR_CUSTOMER = "130000000000000212"
NOWHERE = '"http://127.0.0.1:9"'

pytestmark = pytest.mark.system


def test_a_drain_waits_for_the_payment_and_lasts_over_a_restart(terminal: Bench) -> None:
    terminal.configure(poll_window='"20s"')
    terminal.start()
    terminal.wait_ready()
    terminal.open_sale("order-1")
    terminal.scanner.scan(WAITS_FOR_CUSTOMER)
    sale = terminal.wait_state("order-1", "processing")
    command = [sys.executable, "-m", "terminald", "--config", str(terminal.config), "drain"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as draining:
        terminal.wait(lambda: terminal.status().get("draining") is True, "draining")
        assert terminal.open_sale("order-2").json()["reasons"] == ["draining"]
        late = terminal.terminald("drain", "--timeout", "300ms")
        assert (late.returncode, sale.id in late.stderr) == (3, True), late.stderr
        assert draining.poll() is None
        terminal.pay(sale)
        said, complaint = draining.communicate(timeout=PATIENCE_S)
        assert (draining.returncode, said, complaint) == (
            0, 'No more sales are begun, until "terminald resume", and nothing is under way.\n', ""
        )  # fmt: skip
    assert terminal.stop(signal.SIGKILL) == -signal.SIGKILL
    terminal.start()
    terminal.wait(lambda: terminal.status().get("reasons") == ["draining"], "drained, and ready but for that")
    assert terminal.terminald("health").returncode == 0
    resumed = terminal.terminald("resume", "--json")
    assert (resumed.returncode, json.loads(resumed.stdout)["draining"]) == (0, False)
    terminal.wait_ready()
    assert terminal.sale("order-1").state == "completed"
    assert terminal.books().kept == 350


def test_a_drain_until_the_restart_ends_with_it(terminal: Bench) -> None:
    terminal.start()
    terminal.wait_ready()
    assert terminal.terminald("drain", "--until-restart").returncode == 0
    assert terminal.status()["reasons"] == ["draining"]
    assert terminal.stop() == 0
    terminal.start()
    terminal.wait_ready()


def test_health_waits_for_the_start_and_knows_no_gateway(tmp_path: Path) -> None:
    with bench(tmp_path, is_activated=False) as made:
        text = made.config.read_text().replace(f'"{made.url}"', NOWHERE)
        made.config.write_text(text.replace(f'"{made.directory}/scanner"', '"/dev/nothing-here"'))
        absent = made.terminald("health")
        assert (absent.returncode, "not running" in absent.stderr) == (3, True)
        made.start()
        well = made.terminald("health", "--wait", "40s")
        assert (well.returncode, well.stdout.endswith("serves\n")) == (0, True), well.stderr
        assert made.status()["ready"] is False


def test_how_long_is_a_duration(terminal: Bench) -> None:
    assert terminal.terminald("health", "--wait", "soon").returncode == 2


# --- a damaged journal -----------------------------------------------------------------------------------------------


def spoil(file: Path) -> None:
    """Spoil every page but the first and those that hold the terminal's key."""
    pages = [file.read_bytes()[start : start + 4096] for start in range(0, file.stat().st_size, 4096)]
    file.write_bytes(
        b"".join(
            page if number < 2 or b"bench-1" in page else b"\xa5" * 64 + page[64:] for number, page in enumerate(pages)
        )
    )


def test_a_damaged_journal_is_restored_from_its_copy_and_sells_when_a_person_says_so(terminal: Bench) -> None:
    file = terminal.directory / "state" / "journal.db"
    terminal.start()
    terminal.wait_ready()
    terminal.open_sale("order-1")
    terminal.scanner.scan("130000000000000099")
    terminal.wait_state("order-1", "completed")
    assert terminal.stop() == 0
    whole = terminal.terminald("restore", "--yes")
    assert (whole.returncode, "nothing to restore" in whole.stderr) == (1, True)
    assert make_copy(file, NOON, spare=0, is_wanted=lambda: True)
    spoil(file)
    terminal.start()
    terminal.wait(lambda: terminal.status().get("reasons") == ["journal_failed"], "stopped, and saying so")
    refused = terminal.open_sale("order-2")
    assert (refused.status_code, refused.json()["code"]) == (503, "journal_failed")
    assert "terminald restore" in refused.json()["advice"]
    assert terminal.terminald("health").returncode == 3
    damaged = file.read_bytes()
    missing = terminal.terminald("restore", stdin="no\n")
    assert (missing.returncode, "nothing was changed" in missing.stderr) == (1, True)
    assert file.read_bytes() == damaged
    done = terminal.terminald("restore", stdin="restore\n")
    assert done.returncode == 0, done.stderr
    assert "terminald resume" in done.stdout
    (evidence,) = file.parent.glob("evidence-*")
    assert (evidence / "journal.db").read_bytes() == damaged
    assert terminal.daemon is not None
    assert terminal.daemon.wait(PATIENCE_S) == 0, "it ends, and the service manager starts it again"
    terminal.start()
    terminal.wait(lambda: "journal_restored" in str(terminal.status().get("reasons")), "held back")
    assert terminal.sale("order-1").state == "completed"
    check_that_a_person_confirms(terminal)
    terminal.wait(lambda: "journal_restored" not in str(terminal.status().get("reasons")), "resumed")
    assert terminal.status()["restored"] is None
    assert terminal.terminald("drain").returncode == 0
    assert terminal.terminald("resume").returncode == 0, "a drain is over, and nobody is asked"
    assert terminal.books().kept == 350


def check_that_a_person_confirms(terminal: Bench) -> None:
    """Neither a script nor a call lifts the hold in passing; the person reads of when the copy is."""
    shown = terminal.terminald("status").stdout
    assert "restored    from the copy of " in shown
    in_passing = terminal.terminald("resume", stdin="resume\n")
    assert (in_passing.returncode, "nothing was changed" in in_passing.stderr) == (2, True), in_passing.stderr
    assert "--yes" in in_passing.stderr
    called = terminal.api.post("/v1/resume", json={})
    assert (called.status_code, called.json()["code"]) == (409, "restored_unconfirmed")
    code, said = at_a_terminal(terminal, "resume", typed="yes\n")
    assert (code, "not confirmed; nothing was changed" in said) == (1, True), said
    assert "journal_restored" in str(terminal.status()["reasons"])
    code, said = at_a_terminal(terminal, "resume", typed="resume\n")
    assert code == 0, said
    copied = datetime.fromtimestamp(NOON.wall / 1000, timezone(timedelta(hours=8)))
    assert f"The journal was restored from the copy of {copied:%F %H:%M} UTC+08:00." in said
    assert "terminald report --day DAY --verify" in said


def at_a_terminal(terminal: Bench, *arguments: str, typed: str) -> tuple[int, str]:
    """Run a command as a person does, who types when asked; return its exit code and what was on the screen."""
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "terminald", "--config", str(terminal.config), *arguments]
    with subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs) as running:
        os.close(theirs)
        said = b""
        while chunk := _screen(ours):
            said += chunk
            if said.endswith(b'": '):
                os.write(ours, typed.encode())
        os.close(ours)
        return running.wait(PATIENCE_S), said.decode()


def _screen(ours: int) -> bytes:
    try:
        return os.read(ours, 4096)
    except OSError:  # the other side is closed
        return b""


def test_who_has_compared_resumes_with_an_option_and_without_a_terminal(terminal: Bench) -> None:
    with closing(SqliteJournal(terminal.directory / "state" / "journal.db")) as journal:
        journal.put_hold(Hold.RESTORED)
    terminal.start()
    terminal.wait(
        lambda: terminal.status().get("restored") == {"copied_at": None}, "held back, and nobody knows of when"
    )
    assert "was restored from the copy, payments" in terminal.terminald("resume").stderr
    done = terminal.terminald("resume", "--yes")
    assert (done.returncode, "The journal was restored from the copy.\n" in done.stderr) == (0, True), done.stderr
    terminal.wait_ready()


def test_damage_that_is_found_in_use_stops_sales_for_good(terminal: Bench) -> None:
    """A page that no look at the start needs: the next commit falls over it."""
    file = terminal.directory / "state" / "journal.db"
    terminal.start()
    terminal.wait_ready()
    terminal.open_sale("order-1")
    terminal.scanner.scan("130000000000000099")
    terminal.wait_state("order-1", "completed")
    assert terminal.stop() == 0
    terminal.start()
    terminal.wait_ready()
    with file.open("r+b") as raw:
        for number in range(2, file.stat().st_size // 4096):
            raw.seek(number * 4096)
            raw.write(b"\xa5" * 64)
    with contextlib.suppress(httpx.TransportError):
        terminal.open_sale("order-2")
    assert terminal.daemon is not None
    terminal.wait(lambda: file.with_name("journal-damaged").exists(), "noted")
    assert terminal.daemon.wait(PATIENCE_S) != 0
    terminal.start()
    terminal.wait(lambda: terminal.status().get("reasons") == ["journal_failed"], "stopped, and saying so")
    assert terminal.stop() == 0
