"""``terminald doctor`` against the simulated gateway on a real socket: each part, each key, and never a secret (I7)."""

import json
import os
import socket
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from terminald.__main__ import main
from terminald.adapters.accounts import group_name, user_name
from terminald.adapters.device_discovery import find_devices
from terminald.adapters.gateway_look import GatewayLook
from terminald.adapters.journal_look import JournalLook
from terminald.adapters.journal_sqlite import SqliteJournal
from terminald.adapters.ports import Batch, LinkReport, LinkState
from terminald.adapters.state_directory import lock
from terminald.cli.doctor_findings import Finding, Verdict
from terminald.cli.doctor_gateway import check_clock, check_keys
from terminald.cli.doctor_machine import check_journal, check_state
from terminald.config import load
from terminald.core import custody as keys
from terminald.core.custody_table import Custody, CustodyState
from terminald.core.events import Fault as Said
from terminald.core.ids import Instant, Secret, WallTime
from terminald.core.readiness import Hold
from terminald.core.schedule import DAY, HOUR, Now
from terminald.core.tables import Attention
from terminald.core.terminal import Terminal
from terminald.simulator.gateway import Fault
from tests.cli.simulated_gateway import APP_ID, VENDOR_KEY, VENDOR_SN, RunningGateway, running_gateway
from tests.core.machine_builders import RULES

CODE = "48217366"
DEAD_KEY, OTHER_DEAD_KEY = "MARKED-DEAD-KEY-1", "MARKED-DEAD-KEY-2"
PROVEN, REFUSED = LinkReport(state=LinkState.PROVEN), LinkReport(state=LinkState.KEY_REFUSED)
DOWN = LinkReport(state=LinkState.DOWN, fault=Said(code="gateway_no_answer", message="x"))

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def gateway() -> Iterator[RunningGateway]:
    with running_gateway(**{CODE: 1}) as running:
        world = running.world
        world.epoch_s = time.time() - world.clock()
        yield running


def configure(directory: Path, url: str, more: str = "") -> Path:
    key_file = directory / "vendor.key"
    key_file.write_text(f"{VENDOR_KEY}\n")
    key_file.chmod(0o600)
    path = directory / "terminald.toml"
    path.write_text(
        f'[terminal]\ndevice_id = "device-1"\n[gateway]\nurl = "{url}"\nconnect_timeout = "2s"\nread_timeout = "5s"\n'
        f'[vendor]\nsn = "{VENDOR_SN}"\napp_id = "{APP_ID}"\nkey_file = "{key_file}"\n'
        f'[state]\ndirectory = "{directory}/state"\n[readiness]\nrequire = ["gateway"]\nmin_free_disk_mb = 1\n{more}'
    )
    return path


@pytest.fixture
def config(tmp_path: Path, gateway: RunningGateway) -> Path:
    return configure(tmp_path, gateway.url)


@pytest.fixture
def activated(config: Path, capsys: Capture) -> Path:
    assert main(["--config", str(config), "activate", CODE]) == 0
    capsys.readouterr()
    return config


def examined(config: Path, capsys: Capture) -> tuple[int, str]:
    """Return the exit code and what was said, after a search for the secrets in it."""
    code = main(["--config", str(config), "doctor"])
    said = capsys.readouterr()
    assert said.err == ""
    journal = config.parent / "state" / "journal.db"
    secrets = [VENDOR_KEY, DEAD_KEY, OTHER_DEAD_KEY]
    if journal.exists() and (terminal := terminal_of(config)) is not None:
        secrets += [key.reveal() for key in (terminal.current_key, terminal.previous_key) if key is not None]
    assert not any(secret in said.out for secret in secrets)
    for line in said.out.splitlines():
        assert line.startswith(" " * 16) or line.split()[0] in ("ok", "note", "warn", "fail")
    return code, said.out


def terminal_of(config: Path) -> Terminal | None:
    """Read it with a connection that changes nothing; the file may be of any age."""
    file = config.parent / "state" / "journal.db"
    with closing(sqlite3.connect(f"{file.as_uri()}?mode=ro", uri=True)) as connection:
        try:
            rows = connection.execute("SELECT terminal_sn, current_key, previous_key FROM terminal").fetchall()
        except sqlite3.DatabaseError:
            return None
    if not rows:
        return None
    [(sn, current, previous)] = rows
    return Terminal(
        terminal_sn=sn,
        device_id="device-1",
        current_key=Secret(current),
        previous_key=None if previous is None else Secret(previous),
        activated_at=WallTime(0),
        rotated_at=WallTime(0),
    )


def hold(config: Path, current: str, previous: str | None) -> None:
    """Let the journal hold these keys."""
    with closing(SqliteJournal(config.parent / "state" / "journal.db")) as journal:
        terminal = journal.load_terminal()
        assert terminal is not None
        held = replace(
            terminal, current_key=Secret(current), previous_key=None if previous is None else Secret(previous)
        )
        now = Now(instant=Instant(1), wall=terminal.rotated_at)
        journal.commit(Batch(now=now, custody=keys.begin(held, now=now, rules=RULES)))


def lines(said: str, check: str) -> list[str]:
    return [line for line in said.splitlines() if line.split()[1] == check]


# --- as a technician meets it ----------------------------------------------------------------------------------------


def test_before_the_activation_all_but_the_identity_is_tested(config: Path, capsys: Capture) -> None:
    code, said = examined(config, capsys)
    assert code == 1
    assert [line.split()[1] for line in said.splitlines() if line.startswith("fail")] == ["identity"]
    assert "terminald activate" in lines(said, "identity")[0]
    assert lines(said, "gateway")[0].startswith("ok")
    assert "unsigned" in lines(said, "gateway")[0]
    assert not (config.parent / "state").exists()


def test_an_activated_terminal_is_well_before_its_first_start(
    activated: Path, gateway: RunningGateway, capsys: Capture
) -> None:
    code, said = examined(activated, capsys)
    assert code == 0
    [terminal] = gateway.world.view().terminals
    assert f"terminal {terminal.terminal_sn}, device id device-1" in lines(said, "identity")[0]
    assert "a signed query" in lines(said, "gateway")[0]
    assert [line.split()[0] for line in lines(said, "key")] == ["ok", "ok", "ok"]
    assert "current key: accepted" in said
    assert "previous key: there is none before the first renewal" in said
    assert "agrees with the gateway's" in lines(said, "clock")[0]
    assert terminal.checkins == 0


def test_beside_a_daemon_it_takes_no_lock_and_changes_nothing(activated: Path, capsys: Capture) -> None:
    directory = activated.parent / "state"
    with lock(directory), closing(SqliteJournal(directory / "journal.db")) as journal:
        before = journal.load_terminal()
        code, said = examined(activated, capsys)
        assert code == 0
        assert journal.load_terminal() == before
        journal.fix_device_id("still writable")
    assert "whole, schema" in lines(said, "journal")[0]
    assert sorted(one.name for one in directory.iterdir()) == ["journal.db", "terminald.lock"]


def test_json_has_every_finding(activated: Path, capsys: Capture) -> None:
    assert main(["--config", str(activated), "doctor", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["ok"] is True
    assert {one["check"] for one in told["findings"]} == {
        *("config", "state", "journal", "identity", "clock", "gateway", "key", "unit"),
        *({"access"} if os.geteuid() == 0 else ()),
        *({"found"} if find_devices() else ()),
    }
    assert {one["verdict"] for one in told["findings"]} <= {"ok", "note", "warn"}
    (activated.parent / "state" / "journal.db").write_bytes(b"this is no database, and never was one")
    assert main(["--config", str(activated), "doctor", "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["ok"] is False


def test_a_wrong_configuration_is_told_and_ends_with_78(config: Path, capsys: Capture) -> None:
    config.write_text(config.read_text() + "[seal]\n[sale]\nmax_amount = 0\n")
    code, said = examined(config, capsys)
    assert code == 78
    assert len(lines(said, "config")) == len(said.splitlines()) == 2
    assert "sale.max_amount" in said


# --- both keys -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("is_current_good", "is_previous_good", "verdicts", "words"),
    [
        (True, True, ["ok", "ok"], "previous key (number 0): accepted"),
        (True, False, ["ok", "ok"], "previous key (number 0): refused (it is older than 48 hours"),
        (False, True, ["warn", "ok"], "sales go on with that"),
        (False, False, ["fail"], "terminald activate --replace"),
    ],
)
def test_each_key_is_proven_by_itself(
    *,
    is_current_good: bool,
    is_previous_good: bool,
    verdicts: list[str],
    words: str,
    activated: Path,
    gateway: RunningGateway,
    capsys: Capture,
) -> None:
    terminal = terminal_of(activated)
    assert terminal is not None
    known = gateway.world.terminals.by_sn[terminal.terminal_sn]
    newer = gateway.world.terminals.check_in(known, "device-1", now_s=gateway.world.now_s())
    current = newer if is_current_good else DEAD_KEY
    hold(activated, current, terminal.current_key.reveal() if is_previous_good else OTHER_DEAD_KEY)
    code, said = examined(activated, capsys)
    assert [line.split()[0] for line in lines(said, "key")[1:]][: len(verdicts)] == verdicts
    assert words in said
    assert code == (1 if "fail" in verdicts else 0)
    assert len(gateway.world.books.orders) == 0


def test_a_key_that_a_daemon_renewed_meanwhile_is_looked_at_again(
    activated: Path, gateway: RunningGateway, capsys: Capture
) -> None:
    """Refused keys that are not in the journal any more prove nothing."""
    terminal = terminal_of(activated)
    assert terminal is not None
    hold(activated, DEAD_KEY, None)
    gateway.world.faults.add(Fault(kind="slow", path="query", seconds=1))

    def renew_while_it_is_answered() -> None:
        while len(gateway.world.faults):
            time.sleep(0.01)
        hold(activated, terminal.current_key.reveal(), None)

    daemon = threading.Thread(target=renew_while_it_is_answered)
    daemon.start()
    try:
        code, said = examined(activated, capsys)
    finally:
        daemon.join()
    assert code == 0
    assert "accepted" in lines(said, "key")[1]


@pytest.mark.parametrize(
    ("state", "attention", "verdict", "words"),
    [
        (CustodyState.FRESH, None, Verdict.OK, "in order, issued 3 h ago"),
        (CustodyState.DUE, None, Verdict.OK, "due for renewal"),
        (CustodyState.DUE, "checkin_refused", Verdict.WARN, "(checkin_refused)"),
        (CustodyState.DOUBTFUL, None, Verdict.WARN, "answer to the last check-in was lost"),
        (CustodyState.STOPPED, "checkin_stopped", Verdict.WARN, "renewal has stopped"),
        (CustodyState.LOCKED_OUT, "key_locked_out", Verdict.WARN, "refused by the gateway"),
    ],
)
def test_the_last_check_in_is_told(state: CustodyState, attention: str | None, verdict: Verdict, words: str) -> None:
    custody = held_custody(rotated_ago=3 * HOUR)
    raised = None if attention is None else Attention(code=attention, since=Instant(0))
    rotation = replace(
        custody.rotation, state=state, attention=raised, fault=Said(code="E", message="130812345678901147")
    )
    first, *_ = found_of(replace(custody, rotation=rotation), PROVEN, None)
    assert first.verdict is verdict
    assert words in first.what
    assert "last said: E: 1308…1147" in first.what
    assert (first.advice == "") == (verdict is Verdict.OK)


def test_ages_are_by_the_gateways_clock_where_ours_is_wrong() -> None:
    custody = held_custody(rotated_ago=3 * DAY)
    assert "issued 3 d ago" in found_of(custody, PROVEN, None)[0].what
    assert found_of(custody, PROVEN, None)[0].verdict is Verdict.WARN
    assert "issued 1 d ago" in found_of(custody, PROVEN, None, ahead_ms=2 * DAY)[0].what
    assert "unknown time" in found_of(custody, PROVEN, None, ahead_ms=4 * DAY)[0].what


@pytest.mark.parametrize(
    ("current", "previous", "verdicts"),
    [
        (PROVEN, DOWN, ["ok", "warn"]),
        (REFUSED, DOWN, ["fail", "warn"]),
        (REFUSED, PROVEN, ["warn", "ok"]),
        (REFUSED, REFUSED, ["fail", "ok"]),
        (REFUSED, None, ["fail", "warn"]),
        (DOWN, None, ["warn"]),
        (LinkReport(state=LinkState.TERMINAL_REFUSED), REFUSED, ["warn"]),
    ],
)
def test_what_is_not_heard_is_not_judged(current: LinkReport, previous: LinkReport | None, verdicts: list[str]) -> None:
    found = found_of(held_custody(), current, previous)
    assert [one.verdict.value for one in found[1:]] == verdicts


def held_custody(rotated_ago: int = 0) -> Custody:
    wall = WallTime(int(time.time() * 1000))
    terminal = Terminal(
        terminal_sn="T1",
        device_id="d",
        current_key=Secret(DEAD_KEY),
        previous_key=Secret(OTHER_DEAD_KEY),
        activated_at=wall,
        rotated_at=WallTime(wall - rotated_ago),
    )
    return keys.begin(terminal, now=Now(instant=Instant(0), wall=wall), rules=RULES)


def found_of(
    custody: Custody, current: LinkReport, previous: LinkReport | None, ahead_ms: int | None = None
) -> list[Finding]:
    look = JournalLook(version=2, verdict="ok", device_id="d", terminal=custody.terminal, rotation=custody.rotation)
    heard = GatewayLook(current=current, previous=previous, took_ms=1, ahead_ms=ahead_ms)
    return list(check_keys(look, custody.terminal, heard))


# --- gateway and clock -----------------------------------------------------------------------------------------------


def test_a_gateway_that_is_not_there_is_named_and_no_key_is_blamed(
    activated: Path, capsys: Capture, tmp_path: Path
) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        code, said = examined(configure(tmp_path, f"http://127.0.0.1:{unused.getsockname()[1]}"), capsys)
    assert code == 1
    assert lines(said, "gateway")[0].startswith("fail")
    assert "gateway_unreachable: no connection" in said
    assert "neither key was judged" in said
    assert activated.exists()


@pytest.mark.parametrize("kind", ["garbage", "http_status", "close_answer"])
def test_an_answer_that_is_none_fails(kind: str, activated: Path, gateway: RunningGateway, capsys: Capture) -> None:
    gateway.world.faults.add(Fault(kind=kind, path="query"))  # type: ignore[arg-type]  # one of the literals
    code, said = examined(activated, capsys)
    assert code == 1
    assert lines(said, "gateway")[0].startswith("fail")


def test_a_terminal_that_the_gateway_does_not_know_is_told(
    activated: Path, gateway: RunningGateway, capsys: Capture
) -> None:
    gateway.world.terminals.by_sn.clear()
    code, said = examined(activated, capsys)
    assert code == 1
    assert "TERMINAL_NOT_EXISTS" in lines(said, "gateway")[0]


def test_before_the_activation_a_gateway_may_be_away_too(tmp_path: Path, capsys: Capture) -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        path = configure(tmp_path, f"http://127.0.0.1:{silent.getsockname()[1]}")
        assert "gateway_unreachable: no connection" in lines(examined(path, capsys)[1], "gateway")[0]


def test_a_clock_that_differs_from_the_gateways_is_told(
    activated: Path, gateway: RunningGateway, capsys: Capture
) -> None:
    gateway.world.epoch_s += 3600
    _, said = examined(activated, capsys)
    assert lines(said, "clock")[0].startswith("warn")
    assert "h behind the gateway's" in lines(said, "clock")[0] or "min" in lines(said, "clock")[0]
    assert "timedatectl" in said


@pytest.mark.parametrize(("ahead_ms", "words"), [(None, "not compared"), (900, "agrees"), (-7_000, "7 s behind")])
def test_clocks_are_compared_as_far_as_they_are_known(ahead_ms: int | None, words: str) -> None:
    heard = GatewayLook(current=PROVEN, previous=None, took_ms=1, ahead_ms=ahead_ms)
    [found] = check_clock(heard)
    assert words in found.what


# --- identity, journal, state ----------------------------------------------------------------------------------------


def test_another_device_id_than_the_first_fails(activated: Path, capsys: Capture) -> None:
    activated.write_text(activated.read_text().replace('"device-1"', '"device-2"'))
    code, said = examined(activated, capsys)
    assert code == 1
    assert "'device-2', but this terminal has been 'device-1'" in lines(said, "identity")[0]
    activated.write_text(activated.read_text().replace('"device-2"', '"auto"'))
    assert examined(activated, capsys)[0] == 0


def test_a_journal_of_a_newer_terminald_fails(activated: Path, capsys: Capture) -> None:
    with closing(sqlite3.connect(activated.parent / "state" / "journal.db")) as connection:
        connection.execute("PRAGMA user_version=99")
    code, said = examined(activated, capsys)
    assert code == 1
    assert "schema 99" in lines(said, "journal")[0]


def test_a_journal_that_the_daemon_does_not_use_fails_whatever_it_looks_like(activated: Path, capsys: Capture) -> None:
    (activated.parent / "state" / "journal-damaged").write_text("a page that no look needs")
    code, said = examined(activated, capsys)
    assert code == 1
    assert "found damaged while it was in use: a page that no look needs" in lines(said, "journal")[0]


def test_a_damaged_journal_fails_and_blames_nothing_else(activated: Path, capsys: Capture) -> None:
    (activated.parent / "state" / "journal.db").write_bytes(b"this is no database, and never was one")
    code, said = examined(activated, capsys)
    assert code == 1
    assert "terminald restore" in lines(said, "journal")[0]
    assert lines(said, "identity") == []
    assert lines(said, "gateway")[0].startswith("ok")


def test_pages_that_are_spoilt_are_no_terminal_without_an_identity(activated: Path, capsys: Capture) -> None:
    """SQLite opens such a file, and only its check finds the damage: who the terminal is was not read."""
    file = activated.parent / "state" / "journal.db"
    pages = file.read_bytes()
    file.write_bytes(pages[:8192] + b"\xa5" * (len(pages) - 8192))
    code, said = examined(activated, capsys)
    assert code == 1
    assert lines(said, "journal")[0].startswith("fail")
    assert lines(said, "identity") == []
    assert "unsigned, as the journal can not be read" in lines(said, "gateway")[0]


def test_a_journal_that_fails_its_check_or_will_be_brought_forward_is_told() -> None:
    [failed] = check_journal(JournalLook(version=2, verdict="row 3 missing from index"))
    assert (failed.verdict, "row 3 missing" in failed.what) == (Verdict.FAIL, True)
    [older] = check_journal(JournalLook(version=1, verdict="ok"))
    assert (older.verdict, "at the next start" in older.what) == (Verdict.OK, True)


def test_a_restored_journal_that_nobody_has_compared_is_told_with_what_to_do(activated: Path, capsys: Capture) -> None:
    """It is whole, and yet no sale is begun with it."""
    file = activated.parent / "state" / "journal.db"
    with closing(SqliteJournal(file)) as journal:
        journal.put_hold(Hold.ASKED)
    assert examined(activated, capsys)[0] == 0
    with closing(SqliteJournal(file)) as journal:
        journal.put_hold(Hold.RESTORED)
    code, said = examined(activated, capsys)
    whole, held = lines(said, "journal")
    assert (code, whole.startswith("ok"), held.startswith("fail")) == (1, True, True)
    assert "restored from the copy, and nobody has said" in held
    assert "terminald report --verify" in held
    assert "terminald resume" in held


def test_a_restored_journal_is_told_with_the_time_of_its_copy() -> None:
    _, held = check_journal(
        JournalLook(version=4, verdict="ok", hold=Hold.RESTORED, copied_at=WallTime(1_735_700_000_000))
    )
    when = datetime.fromtimestamp(1_735_700_000, UTC).astimezone()
    assert f"from the copy of {when:%Y-%m-%d %H:%M}, and" in held.what


def test_a_state_directory_is_private_and_has_space(activated: Path, capsys: Capture, tmp_path: Path) -> None:
    (tmp_path / "state").chmod(0o755)
    _, said = examined(activated, capsys)
    assert any("chmod 0700" in line and line.startswith("warn") for line in lines(said, "state"))
    activated.write_text(activated.read_text().replace("min_free_disk_mb = 1", "min_free_disk_mb = 1000000"))
    (tmp_path / "state").chmod(0o700)
    if os.statvfs(tmp_path).f_bavail * os.statvfs(tmp_path).f_frsize < 10**12:
        code, said = examined(activated, capsys)
        assert code == 1
        assert "1000000 MB are wanted" in said
    assert [one.name for one in (tmp_path / "state").iterdir() if one.name.startswith(".doctor")] == []


def test_a_state_directory_that_is_none_fails(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("")
    [found] = check_state(load(configure(tmp_path, "http://127.0.0.1:1")))
    assert (found.verdict, "is not a directory" in found.what) == (Verdict.FAIL, True)
    loop = tmp_path / "loop"
    loop.symlink_to(loop)
    path = configure(tmp_path, "http://127.0.0.1:1")
    path.write_text(path.read_text().replace(f"{tmp_path}/state", str(loop)))
    [found] = check_state(load(path))
    assert (found.verdict, "can not be looked at" in found.what) == (Verdict.FAIL, True)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give a directory away")
def test_somebody_elses_state_directory_is_told(activated: Path, capsys: Capture, tmp_path: Path) -> None:
    os.chown(tmp_path / "state", 65534, 65534)
    code, said = examined(activated, capsys)
    assert code == 0
    assert "runuser -u nobody -- terminald doctor" in lines(said, "state")[0]


# --- names -----------------------------------------------------------------------------------------------------------


def test_users_and_groups_without_a_name_have_a_number() -> None:
    assert (user_name(0), group_name(0)) == ("root", "root")
    assert (user_name(4_000_000_000), group_name(4_000_000_000)) == ("4000000000", "4000000000")
