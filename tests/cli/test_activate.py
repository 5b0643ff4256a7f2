"""``terminald activate`` against the simulated gateway on a real socket."""

import io
import json
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path

import pytest

from terminald.__main__ import main
from terminald.adapters.clock import wall_ms
from terminald.adapters.state_directory import lock
from terminald.app_activation import doubtful_activations, mask_code
from terminald.core.ids import Secret, WallTime
from terminald.simulator.gateway import Fault
from tests.adapters.journal_samples import Shop
from tests.cli.simulated_gateway import VENDOR_KEY, RunningGateway, running_gateway
from tests.cli.terminal_files import journal_of, outcomes, terminal_of, tries_of, write_config

CODE = "48217366"
TLS = Path(__file__).parent.parent / "data" / "tls"


@pytest.fixture
def gateway() -> Iterator[RunningGateway]:
    with running_gateway(**{CODE: 2}) as running:
        yield running


Configure = Callable[..., Path]


@pytest.fixture
def configure(tmp_path: Path) -> Configure:
    return partial(write_config, tmp_path)


@pytest.fixture
def config(gateway: RunningGateway, configure: Configure) -> Path:
    return configure(gateway.url)


def activate(config: Path, *arguments: str) -> int:
    return main(["--config", str(config), "activate", *arguments])


def leave_intent(config: Path, outcome: str | None = None) -> None:
    """Do what an activation does that is killed between its intent and its outcome."""
    with lock(config.parent / "state"):
        journal = journal_of(config)
        number = journal.record_activation_intent("…99", WallTime(wall_ms()))
        if outcome is not None:
            journal.close_activation(number, outcome, None)
        journal.close()


Capture = pytest.CaptureFixture[str]
TLS = Path(__file__).parent.parent / "data" / "tls"


@contextmanager
def tls_server(certificate: Path) -> Iterator[int]:
    """Shake hands with one client, which does not like what it sees."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    received: list[bytes] = []

    def serve() -> None:
        with suppress(OSError):
            client, _ = listener.accept()
            with client:
                received.append(context.wrap_socket(client, server_side=True).recv(1))

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield listener.getsockname()[1]
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()
    assert b"".join(received) == b""


def test_success_names_the_terminal_and_the_next_step(config: Path, gateway: RunningGateway, capsys: Capture) -> None:
    """I7: no secret is shown."""
    assert activate(config, CODE) == 0
    said = capsys.readouterr()
    [terminal] = gateway.world.view().terminals
    assert f"this is terminal {terminal.terminal_sn} (device id device-1)" in said.out
    assert "terminald status" in said.out
    stored = terminal_of(config)
    assert stored is not None
    assert (stored.terminal_sn, stored.device_id, stored.previous_key) == (terminal.terminal_sn, "device-1", None)
    assert (terminal.name, terminal.device_id) == ("lobby-7", "device-1")
    assert gateway.world.terminals.accepts(stored.terminal_sn, stored.current_key.reveal(), now_s=gateway.world.now_s())
    for secret in (CODE, VENDOR_KEY, stored.current_key.reveal()):
        assert secret not in said.out + said.err
    assert outcomes(config) == ["activated"]


def test_code_and_vendor_key_are_stored_nowhere(config: Path) -> None:
    """I7"""
    assert activate(config, CODE) == 0
    stored = b"".join(path.read_bytes() for path in (config.parent / "state").iterdir())
    assert CODE.encode() not in stored
    assert VENDOR_KEY.encode() not in stored
    assert tries_of(config)[0].code_masked == "…66"


def test_json_is_one_document(config: Path, gateway: RunningGateway, capsys: Capture) -> None:
    assert activate(config, CODE, "--json") == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["sn"] == gateway.world.view().terminals[0].terminal_sn
    assert shown["device_id"] == "device-1"


def test_a_missing_code_is_asked_for(config: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(f"{CODE}\n"))
    assert activate(config) == 0
    said = capsys.readouterr()
    assert said.err.startswith("Activation code: ")
    assert CODE not in said.out + said.err


def test_the_code_may_come_as_a_credential(
    config: Path, tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """I7: neither typed nor in the list of processes."""
    (tmp_path / "activation_code").write_text(f"{CODE}\n")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    assert activate(config) == 0
    said = capsys.readouterr()
    assert said.err == ""
    assert CODE not in said.out


def test_no_answer_to_the_question_sends_nothing(
    config: Path, gateway: RunningGateway, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(""))
    assert activate(config) == 2
    said = capsys.readouterr().err
    assert "nothing was sent" in said
    assert "the systemd credential activation_code" in said
    assert gateway.world.view().terminals == ()


@pytest.mark.parametrize("code", ["", "x" * 65])
def test_a_code_that_can_not_be_one_is_wrong_usage(config: Path, code: str, capsys: Capture) -> None:
    assert activate(config, code) == 2
    assert "code: 1 to 64 characters; nothing was sent" in capsys.readouterr().err
    assert outcomes(config) == []


def test_a_refusal_says_the_gateways_words_and_what_to_do(config: Path, capsys: Capture) -> None:
    assert activate(config, "WRONGCODE") == 1
    said = capsys.readouterr().err
    assert "the gateway refused the activation: INVALID_PARAMS" in said
    assert "激活码不存在" in said
    assert "no use of the code is gone" in said
    assert "vendor.app_id" in said
    assert "WRONGCODE" not in said
    assert outcomes(config) == ["refused"]
    assert terminal_of(config) is None


def test_a_wrong_vendor_key_is_named(gateway: RunningGateway, configure: Configure, capsys: Capture) -> None:
    assert activate(configure(gateway.url, key="another-key"), CODE) == 1
    said = capsys.readouterr().err
    assert "ILLEGAL_SIGN" in said
    assert "no use of the code is gone" in said
    assert "vendor.key_file" in said
    assert "another-key" not in said
    config = configure(gateway.url)
    assert (outcomes(config), terminal_of(config)) == (["refused"], None)
    assert activate(config, CODE) == 0
    assert capsys.readouterr().err == ""


def test_a_code_that_is_used_up_is_refused_and_another_goes_on(
    configure: Configure, tmp_path: Path, capsys: Capture
) -> None:
    with running_gateway(**{CODE: 1, "99990000": 1}) as gateway:
        (tmp_path / "sister").mkdir()
        assert activate(write_config(tmp_path / "sister", gateway.url), CODE) == 0
        config = configure(gateway.url)
        capsys.readouterr()
        assert activate(config, CODE) == 1
        said = capsys.readouterr().err
        assert "the gateway refused the activation: INVALID_PARAMS" in said
        assert "no use of the code is gone. Check the code (mistyped, used up, expired?)" in said
        assert (outcomes(config), terminal_of(config)) == (["refused"], None)
        assert activate(config, "99990000") == 0
        assert capsys.readouterr().err == ""


@pytest.mark.parametrize("certificate", ["future.pem", "expired.pem"])
def test_a_wrong_clock_is_named_and_nothing_is_lost(
    certificate: str, gateway: RunningGateway, configure: Configure, capsys: Capture
) -> None:
    """A board without a battery starts in the past: the gateway's certificate is not valid yet, or was valid once."""
    with tls_server(TLS / certificate) as port:
        config = configure(f"https://127.0.0.1:{port}", ca_file=TLS / "ca.pem")
        assert activate(config, CODE) == 1
    said = capsys.readouterr().err
    assert "this machine's clock is wrong: nothing was sent, and no use of the code is gone" in said
    assert f"the clock of this machine says {time.strftime('%Y-')}" in said
    assert "try again with the same code" in said
    assert (outcomes(config), terminal_of(config)) == (["not sent"], None)
    assert activate(configure(gateway.url), CODE) == 0
    assert capsys.readouterr().err == ""


def test_a_certificate_of_somebody_else_is_not_the_clocks_fault(configure: Configure, capsys: Capture) -> None:
    with tls_server(TLS / "valid.pem") as port:
        assert activate(configure(f"https://127.0.0.1:{port}"), CODE) == 1
    said = capsys.readouterr().err
    assert "the gateway's certificate is not trusted" in said
    assert "check the network, the clock of this machine (it says 20" in said


def test_a_missing_vendor_key_is_a_fault_of_the_configuration(
    gateway: RunningGateway, configure: Configure, capsys: Capture
) -> None:
    """The key is read before anything is written down or sent."""
    config = configure(gateway.url)
    (config.parent / "vendor.key").unlink()
    assert activate(config, CODE) == 78
    assert "terminald.toml:11: vendor.key_file: " in capsys.readouterr().err
    assert not (config.parent / "state").exists()


@pytest.mark.parametrize("kind", ["close_answer", "garbage", "http_status"])
def test_a_lost_answer_says_that_a_use_may_be_gone(
    kind: str, config: Path, gateway: RunningGateway, capsys: Capture
) -> None:
    gateway.world.faults.add(Fault(kind=kind, path="activate"))  # type: ignore[arg-type]  # one of the literals
    assert activate(config, CODE) == 1
    said = capsys.readouterr().err
    assert "the answer was lost, and a use of the code may be gone" in said
    assert "merchant's console for a new terminal 'lobby-7'" in said
    assert "try again" in said
    assert outcomes(config) == ["unknown"]
    assert activate(config, CODE) == 0
    said = capsys.readouterr().err
    assert "warning: an activation with code …66" in said
    assert "had no clear answer" in said
    assert len(gateway.world.view().terminals) == 2


def test_what_was_not_sent_used_nothing_up(configure: Configure, capsys: Capture) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        config = configure(f"http://127.0.0.1:{unused.getsockname()[1]}")
        assert activate(config, CODE) == 1
    said = capsys.readouterr().err
    assert "nothing was sent, and no use of the code is gone" in said
    assert "gateway.url (http://127.0.0.1:" in said
    assert outcomes(config) == ["not sent"]


@contextmanager
def behind_tls(certificate: str) -> Iterator[str]:
    """A gateway whose certificate is not valid now; nobody gets past the handshake. Yields its address."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(TLS / certificate)

    def refuse(server: socket.socket) -> None:
        with suppress(OSError):
            connection, _ = server.accept()
            with connection, context.wrap_socket(connection, server_side=True):
                pass

    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(30)
        thread = threading.Thread(target=refuse, args=(server,))
        thread.start()
        try:
            yield f"https://127.0.0.1:{server.getsockname()[1]}"
        finally:
            thread.join()


@pytest.mark.parametrize("certificate", ["future.pem", "expired.pem"])
def test_a_wrong_clock_is_not_taken_for_the_network(certificate: str, configure: Configure, capsys: Capture) -> None:
    with behind_tls(certificate) as url:
        config = configure(url)
        config.write_text(config.read_text().replace("[vendor]", f'ca_file = "{TLS}/ca.pem"\n[vendor]'))
        assert activate(config, CODE) == 1
    said = capsys.readouterr().err
    assert "this machine's clock is wrong: nothing was sent, and no use of the code is gone" in said
    assert "timedatectl" in said
    assert "network" not in said
    assert tries_of(config)[0].outcome.startswith("not sent: clock ")


def test_an_activation_that_was_cut_off_is_told_before_the_next(config: Path, capsys: Capture) -> None:
    """The state that a SIGKILL between the request and the commit of its answer leaves."""
    leave_intent(config)
    assert activate(config, CODE) == 0
    said = capsys.readouterr().err
    assert "warning: an activation with code …99 at 20" in said
    assert "was cut off before its answer was stored" in said
    assert "a terminal 'lobby-7' that nobody uses" in said


def test_doubts_end_with_a_success(config: Path) -> None:
    leave_intent(config)
    leave_intent(config, "unknown: gateway_no_answer")
    leave_intent(config, "refused: INVALID_PARAMS")
    leave_intent(config, "not sent: gateway_unreachable")
    journal = journal_of(config)
    try:
        assert [one.outcome for one in doubtful_activations(journal)] == ["", "unknown: gateway_no_answer"]
    finally:
        journal.close()
    assert activate(config, CODE) == 0
    journal = journal_of(config)
    try:
        assert doubtful_activations(journal) == ()
    finally:
        journal.close()


def test_once_is_enough(config: Path, gateway: RunningGateway, capsys: Capture) -> None:
    assert activate(config, CODE) == 0
    [terminal] = gateway.world.view().terminals
    assert activate(config, CODE) == 1
    said = capsys.readouterr().err
    assert f"this is terminal {terminal.terminal_sn} already, activated 20" in said
    assert "nothing was sent" in said
    assert "--replace" in said
    assert len(gateway.world.view().terminals) == 1


@pytest.mark.parametrize("is_typed", [False, True])
def test_replacing_needs_a_confirmation(
    *, is_typed: bool, config: Path, gateway: RunningGateway, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert activate(config, CODE) == 0
    before = terminal_of(config)
    assert before is not None
    monkeypatch.setattr("sys.stdin", io.StringIO(f"{before.terminal_sn[-4:] if is_typed else 'yes'}\n"))
    assert activate(config, CODE, "--replace") == (0 if is_typed else 1)
    said = capsys.readouterr().err
    assert f"Terminal {before.terminal_sn} is given up for good" in said
    after = terminal_of(config)
    assert after is not None
    assert (after != before) is is_typed
    assert ("not confirmed; nothing was sent" in said) is not is_typed
    assert len(gateway.world.view().terminals) == 1 + is_typed


def test_yes_replaces_without_a_question(config: Path, gateway: RunningGateway) -> None:
    assert activate(config, CODE) == 0
    assert activate(config, CODE, "--replace", "--yes") == 0
    new = terminal_of(config)
    assert new is not None
    assert new.terminal_sn == gateway.world.view().terminals[-1].terminal_sn
    assert new.device_id == "device-1"


def test_an_identity_with_open_orders_is_given_up_by_a_person_only(
    config: Path, gateway: RunningGateway, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """I3: a new terminal may not be allowed to undo the orders of the old one."""
    assert activate(config, CODE) == 0
    journal = journal_of(config)
    shop = Shop(journal.commit)
    shop.scan(shop.open_sale())
    journal.close()
    monkeypatch.setattr("sys.stdin", io.StringIO("no\n"))
    assert activate(config, CODE, "--replace", "--yes") == 1
    assert "1 order(s) of terminal" in capsys.readouterr().err
    assert len(gateway.world.view().terminals) == 1


def test_another_device_id_than_the_first_is_refused(
    gateway: RunningGateway, configure: Configure, capsys: Capture
) -> None:
    """The gateway refuses a check-in with another device id than the activation's."""
    assert activate(configure(gateway.url), CODE) == 0
    assert activate(configure(gateway.url, device_id="device-2"), CODE, "--replace", "--yes") == 78
    assert "terminal.device_id" in capsys.readouterr().err
    assert len(gateway.world.view().terminals) == 1


def test_a_running_daemon_is_named(config: Path, gateway: RunningGateway, capsys: Capture) -> None:
    with lock(config.parent / "state"):
        assert activate(config, CODE) == 1
    assert "stop that terminald first" in capsys.readouterr().err
    assert gateway.world.view().terminals == ()


@pytest.mark.parametrize(("code", "shown"), [("12345678", "…78"), ("1234567", "…"), ("", "…")])
def test_a_code_is_kept_masked(code: str, shown: str) -> None:
    """I7"""
    assert mask_code(Secret(code)) == shown
