"""The real daemon on a loopback port: who comes in, what a reload changes, and what systemd holds."""

import contextlib
import signal
import socket
from collections.abc import Iterator

import httpx
import pytest

from tests.system.manager import Manager
from tests.system.rig import PATIENCE_S, Bench, bench

pytestmark = pytest.mark.system

PAGE = "http://localhost:8080"
CODE = "130812345678912300"


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        number: int = sock.getsockname()[1]
    return number


class Tcp:
    """A terminal with a port, and a host that calls there."""

    def __init__(self, terminal: Bench, port: int) -> None:
        self.port = port
        self._terminal = terminal
        self._file = terminal.directory / "token"
        keys = f'listen = "127.0.0.1:{port}"\ntoken_file = "{self._file}"\nallowed_origins = ["{PAGE}"]\n'
        terminal.config.write_text(terminal.config.read_text().replace("[sale]", f"{keys}[sale]"))

    def make_token(self) -> str:
        done = self._terminal.terminald("token")
        assert done.returncode == 0, done.stderr
        return self._file.read_text().strip()

    def call(self, method: str, path: str, token: str, **more: object) -> httpx.Response:
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        url = f"http://127.0.0.1:{self.port}{path}"
        return httpx.request(method, url, headers=headers, timeout=PATIENCE_S, **more)  # type: ignore[arg-type]  # a body


@pytest.fixture
def tcp(terminal: Bench) -> Tcp:
    return Tcp(terminal, free_port())


@pytest.fixture
def manager(terminal: Bench) -> Iterator[Manager]:
    with contextlib.closing(Manager(terminal)) as made:
        yield made


def test_a_program_with_the_token_sells_and_no_more(terminal: Bench, tcp: Tcp) -> None:
    token = tcp.make_token()
    terminal.start()
    terminal.wait_ready()
    order = {"reference": "theirs", "amount": 350, "subject": "Cola"}
    assert tcp.call("POST", "/v1/sales", "x" * 43, json=order).status_code == 401
    assert tcp.call("POST", "/v1/sales", token, json=order).status_code == 201
    assert tcp.call("POST", "/v1/sales/theirs/payment-code", token, json={"code": CODE}).status_code == 200
    assert terminal.wait_state("theirs", "completed").paid == 350
    of_sale = ("refunds", "revoke", "attention")
    for path in (*(f"/v1/sales/theirs/{one}" for one in of_sale), "/v1/checkin", "/v1/drain", "/v1/resume"):
        assert tcp.call("POST", path, token, json={}).json()["code"] == "forbidden"
    doctor = terminal.terminald("doctor")
    assert f"ok    tcp       127.0.0.1:{tcp.port} answers, and asks for the token" in doctor.stdout
    assert "over TCP" in terminal.terminald("check").stdout
    assert terminal.stop() == 0
    said = "".join(path.read_text(errors="replace") for path in terminal.directory.glob("*.log"))
    assert token not in said


def test_a_damaged_journal_is_told_over_the_port_too(terminal: Bench, tcp: Tcp) -> None:
    """A page that is told "unauthorized" fetches its token anew, for ever."""
    token = tcp.make_token()
    (terminal.directory / "state" / "journal-damaged").write_text("found in use")
    terminal.start()
    terminal.wait(lambda: terminal.status().get("reasons") == ["journal_failed"], "stopped, and saying so")
    assert tcp.call("GET", "/v1/status", token).json()["reasons"] == ["journal_failed"]
    order = {"reference": "theirs", "amount": 350, "subject": "Cola"}
    assert tcp.call("POST", "/v1/sales", token, json=order).json()["code"] == "journal_failed"
    assert tcp.call("GET", "/v1/status", "x" * 43).status_code == 401


def test_a_reload_takes_another_token_and_other_pages(terminal: Bench, tcp: Tcp, manager: Manager) -> None:
    old = tcp.make_token()
    manager.start()
    manager.hear("READY")

    def reload() -> str:
        assert terminal.daemon is not None
        terminal.daemon.send_signal(signal.SIGHUP)
        manager.hear("RELOADING")
        manager.hear("READY")
        return manager.hear("STATUS")

    new = tcp.make_token()
    assert tcp.call("GET", "/v1/status", old).status_code == 200
    reload()
    assert tcp.call("GET", "/v1/status", old).status_code == 401
    assert tcp.call("GET", "/v1/status", new).status_code == 200
    terminal.config.write_text(terminal.config.read_text().replace(PAGE, "https://till.example"))
    reload()
    asked = {"Origin": "https://till.example", "Access-Control-Request-Method": "GET"}
    assert httpx.options(f"http://127.0.0.1:{tcp.port}/v1/status", headers=asked).status_code == 204
    # What is no token changes nothing.
    (terminal.directory / "token").write_text("short")
    assert "the configuration is wrong (1 by terminald check), the one before is kept" in reload()
    assert tcp.call("GET", "/v1/status", new).status_code == 200
    done = terminal.terminald("check")
    assert done.returncode == 78
    assert "api.token_file" in done.stderr
    assert terminal.stop() == 0


@pytest.mark.parametrize("problem", ["missing", "open"])
def test_without_a_secret_token_it_does_not_start(problem: str, terminal: Bench, tcp: Tcp) -> None:
    if problem == "open":
        tcp.make_token()
        (terminal.directory / "token").chmod(0o644)
    terminal.start()
    assert terminal.daemon is not None
    assert terminal.daemon.wait(PATIENCE_S) == 78
    assert "api.token_file" in terminal.log.read_text()
    assert not (terminal.directory / "state" / "journal.db-wal").exists()


def test_a_port_that_another_program_has_is_no_fault_of_the_configuration(terminal: Bench) -> None:
    """systemd starts it again, until the other one lets go."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        tcp = Tcp(terminal, other.getsockname()[1])
        tcp.make_token()
        terminal.start()
        assert terminal.daemon is not None
        assert terminal.daemon.wait(PATIENCE_S) == 1
    assert "is taken by another process" in terminal.log.read_text()


def test_what_systemd_holds_is_served_and_refuses_nobody_over_a_restart(terminal: Bench, manager: Manager) -> None:
    manager.listen(terminal.directory / "api.sock")
    held = socket.create_server(("127.0.0.1", 0))
    manager.ports.append(held)
    tcp = Tcp(terminal, held.getsockname()[1])
    token = tcp.make_token()
    manager.start()
    terminal.wait_ready()
    assert tcp.call("GET", "/v1/status", token).json()["ready"] is True
    terminal.stop(signal.SIGKILL)
    with socket.create_connection(("127.0.0.1", tcp.port), PATIENCE_S) as caller:
        head = f"GET /v1/status HTTP/1.1\r\nHost: 127.0.0.1:{tcp.port}\r\nAuthorization: Bearer {token}\r\n"
        caller.sendall(f"{head}Connection: close\r\n\r\n".encode())
        manager.start()
        assert caller.recv(64).startswith(b"HTTP/1.1 200")
    assert terminal.stop() == 0
    socket.create_connection(("127.0.0.1", tcp.port), PATIENCE_S).close()


def test_a_port_that_is_passed_and_not_configured_is_refused(tmp_path_factory: pytest.TempPathFactory) -> None:
    with bench(tmp_path_factory.mktemp("b")) as terminal, contextlib.closing(Manager(terminal)) as manager:
        manager.listen(terminal.directory / "api.sock")
        manager.ports.append(socket.create_server(("127.0.0.1", 0)))
        manager.start()
        assert terminal.daemon is not None
        assert terminal.daemon.wait(PATIENCE_S) == 78
        assert "the configuration asks for nothing" in terminal.log.read_text()
