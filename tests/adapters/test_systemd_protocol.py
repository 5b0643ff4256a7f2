"""What is said to the service manager, and what is taken from it."""

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from terminald.adapters.systemd import extending, notify, passed_descriptors, reloading, status, watchdog_s
from tests.log_lines import lines


@pytest.fixture
def manager(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(str(tmp_path / "notify"))
        sock.settimeout(10)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        yield sock


#: The number of this process; it differs from worker to worker, and so is not in a test's name.
OURS = "ours"


def test_without_a_manager_nothing_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    notify("READY=1")


def test_an_abstract_socket_is_reached(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(f"\0terminald-test-{os.getpid()}")
        sock.settimeout(10)
        monkeypatch.setenv("NOTIFY_SOCKET", f"@terminald-test-{os.getpid()}")
        notify("READY=1", "STATUS=x")
        assert sock.recv(99) == b"READY=1\nSTATUS=x"


def test_a_manager_that_is_gone_harms_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "gone"))
    notify("READY=1")
    (told,) = lines(caplog.records)
    assert told.startswith("the service manager could not be told detail=READY=1: ")


def test_a_status_is_one_line_so_that_nothing_else_can_be_said_with_it() -> None:
    assert status("a\nREADY=1  b") == "STATUS=a READY=1 b"


def test_a_reload_carries_the_monotonic_time_without_which_systemctl_hangs() -> None:
    name, time_line = reloading().splitlines()
    assert name == "RELOADING=1"
    assert time_line.partition("=")[0] == "MONOTONIC_USEC"
    assert int(time_line.partition("=")[2]) > 0


def test_time_is_asked_for_again_and_again_while_something_blocks(manager: socket.socket) -> None:
    with extending("checking", every_s=0.01):
        assert manager.recv(99) == b"EXTEND_TIMEOUT_USEC=60000000\nSTATUS=checking"
        for _ in range(3):
            assert manager.recv(99) == b"EXTEND_TIMEOUT_USEC=60000000"


def test_what_takes_too_long_is_not_covered_up_for_ever(manager: socket.socket) -> None:
    with extending("checking", every_s=0.01, longest_s=0.0):
        assert b"STATUS=checking" in manager.recv(99)
        manager.settimeout(0.2)
        with pytest.raises(TimeoutError):
            manager.recv(99)


@pytest.mark.parametrize(
    ("microseconds", "pid", "expected"),
    [
        ("30000000", OURS, 30.0),
        ("30000000", "", 30.0),
        ("30000000", "1", None),
        ("0", "", None),
        ("soon", "", None),
        ("", "", None),
    ],
)
def test_the_watchdog_is_ours_or_none(
    microseconds: str, pid: str, expected: float | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WATCHDOG_USEC", microseconds)
    monkeypatch.setenv("WATCHDOG_PID", pid.replace(OURS, str(os.getpid())))
    assert watchdog_s() == expected


@pytest.mark.parametrize(("pid", "count"), [("1", "1"), ("", "1"), (OURS, "x"), (OURS, "")])
def test_what_is_not_passed_to_us_is_not_taken(pid: str, count: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LISTEN_PID", pid.replace(OURS, str(os.getpid())))
    monkeypatch.setenv("LISTEN_FDS", count)
    monkeypatch.setenv("LISTEN_FDNAMES", "api")
    assert not passed_descriptors()
    assert not {"LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"} & os.environ.keys()
