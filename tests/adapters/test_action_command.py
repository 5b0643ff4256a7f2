"""The command of a kiosk, with real processes: exit codes, the time limit, and what is left of it."""

import asyncio
import errno
import fcntl
import json
import os
import stat
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from terminald.adapters.action_command import ENVIRONMENT, CommandAction
from terminald.core.kiosk_action import ActionDone, ActionFailed, ActionOutcome
from terminald.core.money import Fen
from terminald.errors import JournalUnavailable
from tests.log_lines import lines

SALE = b'{"id":"01","paid":500}'


@pytest.fixture
def make(tmp_path: Path) -> Callable[[str], Path]:
    def make(script: str) -> Path:
        path = tmp_path / "serve"
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(path.stat().st_mode | stat.S_IXUSR)
        return path

    return make


Make = Callable[[str], Path]


async def begin(number: int, steps: int) -> None:
    assert (number, steps) == (1, 1)


def perform(
    *argv: str | Path, timeout_s: float = 20.0, begin: Callable[[int, int], Awaitable[None]] = begin
) -> ActionOutcome:
    action = CommandAction(tuple(map(str, argv)), timeout_s=timeout_s)
    return asyncio.run(action.perform(SALE, Fen(500), begin))


def is_there(pid: int) -> bool:
    """Whether a process runs: one that was killed and is nobody's child any more does not count."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def test_a_command_that_ends_well_was_done_and_got_the_sale_its_arguments_and_nothing_else(
    make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", "/run/credentials/terminald")
    out = tmp_path / "out"
    script = make(f'cat > {out}; echo >> {out}; echo "$# $2" >> {out}; pwd >> {out}; env >> {out}; echo "on stdout"')
    assert perform(script, "a b", "$HOME; true") == ActionDone()
    sale, arguments, place, *environment = out.read_text().splitlines()
    assert json.loads(sale) == json.loads(SALE)
    assert (arguments, place) == ("2 $HOME; true", "/")
    assert {line.partition("=")[0] for line in environment} <= {*ENVIRONMENT, "PWD", "_", "SHLVL", "OLDPWD"}


def test_a_command_that_does_not_read_the_sale_is_as_good(make: Make) -> None:
    assert perform(make("exec < /dev/null; exit 0")) == ActionDone()


@pytest.mark.parametrize(("script", "code"), [("exit 1", "1"), ("exit 75", "75"), ("kill -9 $$", "-9")])
def test_every_other_end_has_failed(make: Make, script: str, code: str) -> None:
    outcome = perform(make(script))
    assert isinstance(outcome, ActionFailed)
    assert (outcome.certain, outcome.has_parts) == (0, False)
    assert outcome.evidence == f"serve ended with exit code {code}"


def test_a_command_that_can_not_be_started_has_failed(tmp_path: Path) -> None:
    plain = tmp_path / "plain"
    plain.write_text("no program")
    for path in ("/no/such/command", plain, tmp_path):
        outcome = perform(path)
        assert isinstance(outcome, ActionFailed)
        assert "can not be started" in outcome.evidence
        assert str(tmp_path) not in outcome.evidence


def test_a_command_that_takes_too_long_is_ended_with_all_that_it_has_started(make: Make, tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    script = make(f"trap '' TERM\n(trap '' TERM; sleep 60) & echo $! >> {pids}\necho $$ >> {pids}\nwait\nsleep 60")
    outcome = perform(script, timeout_s=0.3)
    assert isinstance(outcome, ActionFailed)
    assert outcome.evidence == "serve did not end within 0.3 s"
    child, leader = map(int, pids.read_text().split())
    assert not is_there(leader)
    assert not is_there(child)


def test_a_command_may_clean_up_before_it_is_killed(make: Make, tmp_path: Path) -> None:
    out = tmp_path / "out"
    script = make(f"trap 'echo cleaned > {out}; exit 0' TERM\nwhile :; do sleep 0.05; done")
    assert isinstance(perform(script, timeout_s=0.3), ActionFailed), "whatever it says then, it was too late"
    assert out.read_text() == "cleaned\n"


def test_a_group_that_is_somebody_elses_is_reported_and_its_leader_is_ended(
    make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A command that changes its user, such as sudo, can be closed to us: that is no reason for the daemon to end."""

    def refuse(_: int, __: int) -> None:
        raise PermissionError(errno.EPERM, "Operation not permitted")

    pids = tmp_path / "pids"
    monkeypatch.setattr(os, "killpg", refuse)
    outcome = perform(make(f"echo $$ > {pids}\nexec sleep 60"), timeout_s=0.3)
    assert outcome == ActionFailed(evidence="serve did not end within 0.3 s")
    pid = int(pids.read_text())
    assert not is_there(pid)
    told = f"a command can not be ended detail=SIGTERM to process group {pid}: Operation not permitted"
    assert told in lines(caplog.records)


def test_a_command_that_can_not_be_ended_at_all_is_reported(
    make: Make, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """It ends by itself in the end, so that the test leaves nothing behind."""

    def refuse(_: int, __: int) -> None:
        raise PermissionError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "killpg", refuse)
    monkeypatch.setattr(os, "kill", refuse)
    outcome = perform(make("exec sleep 2"), timeout_s=0.1)
    assert outcome == ActionFailed(evidence="serve did not end within 0.1 s")
    said = [one.partition(" detail=")[2].split(" ") for one in lines(caplog.records)]
    assert [(words[0], words[2:-4]) for words in said] == [
        ("SIGTERM", ["process", "group"]),
        ("SIGTERM", ["process"]),
        ("SIGKILL", ["process", "group"]),
        ("SIGKILL", ["process"]),
    ]


def test_a_cancelled_action_leaves_no_process_behind(make: Make, tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    script = make(f"echo $$ > {pipe}; exec sleep 60")

    async def main() -> int:
        action = CommandAction((str(script),), timeout_s=30.0)
        task = asyncio.create_task(action.perform(SALE, Fen(500), begin))
        pid = int(await asyncio.to_thread(pipe.read_text))
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return pid

    assert not is_there(asyncio.run(main()))


def test_what_can_not_be_put_on_record_is_not_begun(make: Make, tmp_path: Path) -> None:
    """Write-ahead: the mark is on disk before the command is started."""
    out = tmp_path / "out"
    script = make(f"echo run > {out}")

    async def full(_: int, __: int) -> None:
        assert not out.exists()
        raise JournalUnavailable("the disk is full")

    outcome = perform(script, begin=full)
    assert isinstance(outcome, ActionFailed)
    assert outcome.evidence == "it was not begun: the disk is full"
    assert not out.exists()


def test_no_file_of_the_daemon_is_open_in_the_command(make: Make, tmp_path: Path) -> None:
    """I7: the journal, sockets and devices are not inherited."""
    out = tmp_path / "out"
    secret = os.open(tmp_path, os.O_RDONLY)
    fcntl.fcntl(secret, fcntl.F_SETFD, 0)
    try:
        assert perform(make(f"ls -l /proc/$$/fd > {out}")) == ActionDone()
    finally:
        os.close(secret)
    opened = [line for line in out.read_text().splitlines() if "->" in line]
    assert opened
    assert not [line for line in opened if line.endswith(f"-> {tmp_path}")]
