"""The real ``terminald activate`` dies at the worst moments; the next says what may have happened, and goes on (I6).

The moments are real: the gateway's answer is kept back on the wire, and the journal is kept from being written by the
write lock of another connection.
"""

import re
import signal
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from tests.cli.simulated_gateway import VENDOR_KEY, RunningGateway, running_gateway
from tests.cli.terminal_files import journal_file, outcomes, terminal_of, tries_of, write_config
from tests.system.doorkeeper import doorkeeper

pytestmark = pytest.mark.system

CODE, OTHER_CODE = "48217366", "59328477"
PATIENCE_S = 45.0

Process = subprocess.Popen[str]


@pytest.fixture
def gateway() -> Iterator[RunningGateway]:
    with running_gateway(**{CODE: 2, OTHER_CODE: 1}) as running:
        yield running


def command(config: Path, *arguments: str) -> list[str]:
    return [sys.executable, "-m", "terminald", "--config", str(config), "activate", *arguments]


@contextmanager
def activating(config: Path, *arguments: str) -> Iterator[Process]:
    """Start it in a process of its own, and leave none behind."""
    with subprocess.Popen(
        command(config, *arguments), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def activate(config: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(config, *arguments),
        check=False, capture_output=True, text=True, timeout=PATIENCE_S, stdin=subprocess.DEVNULL,
    )  # fmt: skip


def kill(process: Process) -> None:
    assert process.poll() is None
    process.kill()
    assert process.wait(PATIENCE_S) == -signal.SIGKILL


@contextmanager
def write_locked(config: Path) -> Iterator[None]:
    """Keep the journal from being written, as a disk does that has stopped to answer."""
    with closing(sqlite3.connect(journal_file(config), isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield


def kill_between_answer_and_commit(config: Path, gateway: RunningGateway, *arguments: str) -> None:
    """Kill it when it has read the whole answer, and can not have stored it."""
    terminals = len(gateway.world.view().terminals)
    with doorkeeper(gateway.url) as door, activating(write_config(config.parent, door.url), *arguments) as process:
        assert door.has_answer.wait(PATIENCE_S)
        with write_locked(config):
            door.may_pass.set()
            assert door.is_closed.wait(PATIENCE_S)
            kill(process)
    assert len(gateway.world.view().terminals) == terminals + 1
    write_config(config.parent, gateway.url)


def assert_doubt_is_told(said: str) -> None:
    assert re.search(
        r"warning: an activation with code …66 at 20\S+ \S+ was cut off before its answer was stored: a use of that "
        r"code may be gone, and the merchant's console may show a terminal 'lobby-7' that nobody uses\n",
        said,
    ), said


def assert_it_is_whole(config: Path, gateway: RunningGateway) -> None:
    """The terminal on disk is one that the gateway knows, with a key that it accepts."""
    stored = terminal_of(config)
    assert stored is not None
    now_s = gateway.world.now_s()
    assert gateway.world.terminals.accepts(stored.terminal_sn, stored.current_key.reveal(), now_s=now_s)


def test_killed_between_the_gateways_answer_and_the_commit(tmp_path: Path, gateway: RunningGateway) -> None:
    config = write_config(tmp_path, gateway.url)
    kill_between_answer_and_commit(config, gateway, CODE)
    assert (outcomes(config), terminal_of(config)) == ([""], None)
    done = activate(config, CODE)
    assert (done.returncode, len(gateway.world.view().terminals)) == (0, 2)
    assert_doubt_is_told(done.stderr)
    assert_it_is_whole(config, gateway)
    # The doubt ends with the success; I7: neither code nor key was told or stored.
    assert "warning" not in activate(config, CODE).stderr
    stored = b"".join(path.read_bytes() for path in (tmp_path / "state").iterdir())
    assert not [secret for secret in (CODE, VENDOR_KEY) if secret in done.stderr or secret.encode() in stored]


def test_killed_while_the_answer_was_on_its_way(tmp_path: Path, gateway: RunningGateway) -> None:
    with doorkeeper(gateway.url) as door, activating(write_config(tmp_path, door.url), CODE) as process:
        assert door.has_answer.wait(PATIENCE_S)
        kill(process)
    config = write_config(tmp_path, gateway.url)
    assert (outcomes(config), terminal_of(config)) == ([""], None)
    done = activate(config, CODE)
    assert done.returncode == 0
    assert_doubt_is_told(done.stderr)
    assert_it_is_whole(config, gateway)


def test_killed_between_the_intent_and_the_request(tmp_path: Path, gateway: RunningGateway) -> None:
    """The TLS handshake has begun and is not answered: the request can not have left."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        config = write_config(tmp_path, f"https://127.0.0.1:{listener.getsockname()[1]}")
        with activating(config, CODE) as process:
            listener.settimeout(PATIENCE_S)
            client, _ = listener.accept()
            with client:
                assert client.recv(65_536)[:1] == b"\x16"  # a handshake, and nothing after it
                kill(process)
                assert client.recv(65_536) == b""
    assert (outcomes(config), terminal_of(config)) == ([""], None)
    assert tries_of(config)[0].code_masked == "…66"
    done = activate(write_config(tmp_path, gateway.url), CODE)
    assert (done.returncode, len(gateway.world.view().terminals)) == (0, 1)
    assert_doubt_is_told(done.stderr)
    assert_it_is_whole(config, gateway)


def test_when_the_last_use_of_the_code_is_gone_another_code_goes_on(tmp_path: Path, gateway: RunningGateway) -> None:
    config = write_config(tmp_path, gateway.url)
    kill_between_answer_and_commit(config, gateway, CODE)
    kill_between_answer_and_commit(config, gateway, CODE)
    refused = activate(config, CODE)
    assert refused.returncode == 1
    assert_doubt_is_told(refused.stderr)
    assert "the gateway refused the activation: INVALID_PARAMS" in refused.stderr
    assert "used up" in refused.stderr
    assert outcomes(config) == ["", "", "refused"]
    done = activate(config, OTHER_CODE)
    assert done.returncode == 0
    assert_it_is_whole(config, gateway)


def test_killed_while_it_replaces_an_identity_the_old_one_stays_and_the_doubt_is_told(
    tmp_path: Path, gateway: RunningGateway
) -> None:
    config = write_config(tmp_path, gateway.url)
    assert activate(config, OTHER_CODE).returncode == 0
    before = terminal_of(config)
    kill_between_answer_and_commit(config, gateway, CODE, "--replace", "--yes")
    assert terminal_of(config) == before
    assert_it_is_whole(config, gateway)
    again = activate(config, CODE)
    assert again.returncode == 1
    assert_doubt_is_told(again.stderr)
    assert f"this is terminal {before.terminal_sn} already" in again.stderr if before else False
    done = activate(config, CODE, "--replace", "--yes")
    assert done.returncode == 0
    assert terminal_of(config) != before
    assert_it_is_whole(config, gateway)


def test_a_disk_that_can_not_be_written_after_the_answer_is_told_with_the_number(
    tmp_path: Path, gateway: RunningGateway
) -> None:
    with doorkeeper(gateway.url) as door:
        config = write_config(tmp_path, door.url)
        with activating(config, CODE) as process:
            assert door.has_answer.wait(PATIENCE_S)
            with write_locked(config):
                door.may_pass.set()
                _, said = process.communicate(timeout=PATIENCE_S)
    [made] = gateway.world.view().terminals
    assert process.returncode == 1
    assert f"the gateway made terminal {made.terminal_sn}, and its key could not be stored" in said
    assert "a use of the code is gone. Repair the disk, then activate again" in said
    done = activate(write_config(tmp_path, gateway.url), CODE)
    assert done.returncode == 0
    assert_doubt_is_told(done.stderr)
    assert_it_is_whole(config, gateway)


def test_interrupted_while_it_waits_it_says_what_may_have_happened(tmp_path: Path, gateway: RunningGateway) -> None:
    """Ctrl-C, and what systemd sends to the unit when it is stopped."""
    with doorkeeper(gateway.url) as door:
        config = write_config(tmp_path, door.url)
        with activating(config, CODE) as process:
            assert door.has_answer.wait(PATIENCE_S)
            process.send_signal(signal.SIGINT)
            _, said = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 1
    assert "the answer was lost, and a use of the code may be gone: interrupted" in said
    assert "look in the merchant's console for a new terminal 'lobby-7'" in said
    assert (outcomes(config), terminal_of(config)) == (["unknown"], None)
    done = activate(write_config(tmp_path, gateway.url), CODE)
    assert done.returncode == 0
    assert "had no clear answer: a use of that code may be gone" in done.stderr
    assert_it_is_whole(config, gateway)


def test_two_activations_at_once_are_one(tmp_path: Path, gateway: RunningGateway) -> None:
    with doorkeeper(gateway.url) as door:
        config = write_config(tmp_path, door.url)
        with activating(config, CODE) as process:
            assert door.has_answer.wait(PATIENCE_S)
            second = activate(config, CODE)
            door.may_pass.set()
            process.communicate(timeout=PATIENCE_S)
    assert (process.returncode, second.returncode) == (0, 1)
    assert "stop that terminald first" in second.stderr
    assert len(gateway.world.view().terminals) == 1
    assert_it_is_whole(config, gateway)
