"""The port for pages, held by systemd: the opt-in unit, as its first lines and the README tell."""

from collections.abc import Iterator

import pytest

from tests.vm.terminal import SLOW_S, Terminal
from tests.vm.world import wait_for

PORT = "terminald-tcp.socket"
UNIT = f"/etc/systemd/system/{PORT}"
CONFIG = "/etc/terminald/terminald.toml"
TOKEN_FILE = "/etc/terminald/api_token"
ACTIVE = f"systemctl is-active terminald.service terminald.socket {PORT}"
HOSTS = ("127.0.0.1", "::1")

API = f"""
[api]
listen = "localhost:8765"
token_file = "{TOKEN_FILE}"
allowed_origins = ["http://localhost:8080"]
"""
#: The image has no program for it but Debian's Python. It says the answer's number and the refusal's code.
CALL = f"""\
import http.client, json, pathlib, socket, sys
headers = {{}}
line = http.client.HTTPConnection(sys.argv[1], 8765, timeout={SLOW_S})
if sys.argv[2] == "token":
    headers["Authorization"] = "Bearer " + pathlib.Path("{TOKEN_FILE}").read_text().strip()
if sys.argv[1] == "unix":
    line.sock = socket.socket(socket.AF_UNIX)
    line.sock.connect("/run/terminald/api.sock")
try:
    line.request("GET", "/v1/status", headers=headers)
    answer = line.getresponse()
    print(answer.status, json.load(answer).get("code", "-"))
except ConnectionRefusedError:
    print("nobody listens")
"""


def call(terminal: Terminal, host: str, proof: str) -> str:
    """Ask for the status at an address of the port, or at the Unix socket; with the token as proof, or another word."""
    return terminal.machine.check(f"/usr/bin/python3 - {host} {proof}", stdin=CALL.encode(), timeout_s=2 * SLOW_S)


def stop_daemon(terminal: Terminal) -> None:
    """Stop it alone, as at the end of a process: systemd goes on holding what callers come to."""
    terminal.machine.check("systemctl stop terminald.service", timeout_s=SLOW_S)
    assert terminal.machine.run(ACTIVE).output.split() == ["inactive", "active", "active"]


def holders(terminal: Terminal) -> set[bool]:
    """Tell of each of the port's addresses whether systemd has it too."""
    lines = terminal.machine.check("ss -Hltnp 'sport = :8765'").splitlines()
    assert len(lines) == len(HOSTS), lines
    return {'"systemd",pid=1,' in line for line in lines}


@pytest.fixture(scope="module")
def port(terminal: Terminal) -> Iterator[Terminal]:
    """The terminal with the unit in use; at the end without it again."""
    check = terminal.machine.check
    before = check(f"cat {CONFIG}")
    check(f"cat >>{CONFIG}", stdin=API.encode())
    check("terminald token", timeout_s=SLOW_S)
    check("runuser -u terminald -- terminald check", timeout_s=SLOW_S)
    # As api.listen says localhost, and the machine has IPv6.
    check(f"sed 's/^#ListenStream/ListenStream/' /opt/terminald/systemd/drop-in/{PORT} >{UNIT}")
    check(f"systemctl daemon-reload && systemctl enable {PORT}")
    check("systemctl restart terminald.socket terminald", timeout_s=SLOW_S)
    yield terminal
    check(f"cat >{CONFIG}", stdin=f"{before}\n".encode())
    check(
        f"rm -f {TOKEN_FILE}; test ! -e {UNIT} || systemctl disable --now {PORT}; rm -f {UNIT}; systemctl daemon-reload"
    )
    check("systemctl restart terminald", timeout_s=SLOW_S)
    terminal.wait_ready()


def test_systemd_holds_both_addresses_for_a_daemon_that_is_ready(port: Terminal) -> None:
    port.wait_ready()
    assert port.machine.check(ACTIVE).split() == ["active"] * 3
    assert port.machine.check("systemctl is-system-running") == "running"
    assert holders(port) == {True}


def test_a_caller_with_the_token_is_answered_by_a_daemon_that_was_not_running(port: Terminal) -> None:
    for host in HOSTS:
        stop_daemon(port)
        assert call(port, host, "token") == "200 -"
        wait_for(lambda: port.machine.run(ACTIVE).code == 0, "answered, and not active")


def test_a_caller_without_the_token_is_refused(port: Terminal) -> None:
    stop_daemon(port)
    for host in HOSTS:
        assert call(port, host, "nothing") == "401 unauthorized"


def test_the_unix_socket_goes_on_working(port: Terminal) -> None:
    stop_daemon(port)
    assert call(port, "unix", "nothing") == "200 -"
    port.wait_ready()
    assert port.sell("beside-the-port", lambda: port.scan("134650000000000501")).state == "completed"
    assert holders(port) == {True}


def test_a_stop_of_the_sockets_stops_it_too_and_a_start_of_the_daemon_starts_it(port: Terminal) -> None:
    port.machine.check("systemctl stop terminald.socket terminald", timeout_s=SLOW_S)
    assert port.machine.run(ACTIVE).output.split() == ["inactive"] * 3
    assert call(port, HOSTS[0], "token") == "nobody listens"
    port.machine.check("systemctl start terminald", timeout_s=SLOW_S)
    assert port.machine.check(ACTIVE).split() == ["active"] * 3
    assert call(port, HOSTS[0], "token") == "200 -"
    assert holders(port) == {True}


def test_it_is_there_from_the_boot_on(port: Terminal) -> None:
    port.shut_down()
    port.boot()
    assert port.machine.check("systemctl is-system-running") == "running"
    assert call(port, HOSTS[0], "token") == "200 -"
    assert holders(port) == {True}
    port.wait_ready()


def test_disabled_it_leaves_the_port_to_the_daemon(port: Terminal) -> None:
    check = port.machine.check
    check(f"systemctl disable --now {PORT}")
    check("systemctl restart terminald", timeout_s=SLOW_S)
    assert port.machine.run(ACTIVE).output.split() == ["active", "active", "inactive"]
    assert call(port, HOSTS[0], "token") == "200 -"
    assert call(port, HOSTS[0], "nothing") == "401 unauthorized"
    assert holders(port) == {False}
