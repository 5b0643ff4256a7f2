"""The loopback port: bound strictly where the configuration says, or taken from systemd."""

import os
import socket
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from terminald.adapters.api_listeners import addresses, listening
from terminald.config_rules import Address, NotAllowed, loopback_address
from terminald.errors import ConfigError, TerminaldError
from tests.adapters.api_desk import settings

ROOT = Path(__file__).parent.parent.parent


def free_port() -> int:
    """Return a port that nobody listens on; another process may take it, which the tests' addresses make unlikely."""
    with socket.create_server(("127.0.0.1", 0)) as sock:
        number: int = sock.getsockname()[1]
    return number


def has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6) as sock:
            sock.bind(("::1", 0))
    except OSError:
        return False
    return True


def at(host: str, port: int) -> Address:
    return Address(host=host, port=port)


def can_connect(host: str, port: int) -> bool:
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as caller:
        caller.settimeout(10)
        return caller.connect_ex((host, port)) == 0


def test_no_port_is_opened_unless_it_is_asked_for(tmp_path: Path) -> None:
    with listening(settings(tmp_path)) as sockets:
        assert [sock.family for sock in sockets] == [socket.AF_UNIX]


def test_the_port_is_open_on_its_address_alone_and_closed_at_the_end(tmp_path: Path) -> None:
    port = free_port()
    with listening(settings(tmp_path, listen=at("127.0.0.1", port))) as (unix, tcp):
        assert unix.family == socket.AF_UNIX
        assert tcp.getsockname() == ("127.0.0.1", port)
        assert not tcp.getblocking()
        assert can_connect("127.0.0.1", port)
        assert not can_connect("127.0.0.2", port)
    assert not can_connect("127.0.0.1", port)


@pytest.mark.skipif(not has_ipv6(), reason="this machine has no IPv6")
def test_localhost_is_both_addresses_and_asks_nobody(tmp_path: Path) -> None:
    """A page that calls localhost tries both: neither is left to another program."""
    port = free_port()
    with listening(settings(tmp_path, listen=at("localhost", port))) as (_, four, six):
        assert four.getsockname() == ("127.0.0.1", port)
        assert six.getsockname()[:2] == ("::1", port)
        assert six.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY) == 1
    with listening(settings(tmp_path, listen=at("0:0::1", port))) as (_, six):
        assert six.getsockname()[:2] == ("::1", port)


def test_names_are_not_resolved() -> None:
    assert addresses(None) == ()
    assert addresses(at("localhost", 1)) == ("127.0.0.1", "::1")
    assert addresses(at("0:0:0:0:0:0:0:1", 1)) == ("::1",)
    for text in ("0.0.0.0:1", "[::]:1", "192.168.1.5:1", "kiosk.lan:1", "localhost.localdomain:1", "[::ffff:7f00:1]:1"):
        with pytest.raises(NotAllowed):
            loopback_address(text)


def test_a_restart_gets_the_port_although_connections_are_not_forgotten_yet(tmp_path: Path) -> None:
    config = settings(tmp_path, listen=at("127.0.0.1", free_port()))
    for _ in range(2):
        with listening(config) as (_, tcp):
            tcp.settimeout(10)
            with socket.create_connection(tcp.getsockname(), 10) as caller, closing(tcp.accept()[0]) as served:
                # Who closes first has the connection in TIME_WAIT.
                served.close()
                assert caller.recv(1) == b""


def test_a_port_that_another_program_has_is_told_and_nothing_stays_open(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        config = settings(tmp_path, listen=at(*other.getsockname()))
        with pytest.raises(TerminaldError, match="taken by another process") as caught, listening(config):
            pass
        assert not isinstance(caught.value, ConfigError), "it may let go of it: systemd tries again"
    assert not config.socket.exists()


def test_an_address_that_is_not_there_is_a_fault_of_the_configuration(tmp_path: Path) -> None:
    # As a rule of the configuration lets no other address through, this one comes from a test.
    config = settings(tmp_path, listen=at("192.0.2.1", 8765))
    with pytest.raises(ConfigError, match=r"api\.listen: port 8765 of 192\.0\.2\.1 is not there"), listening(config):
        pass


# --- from systemd ----------------------------------------------------------------------------------------------------

#: Becomes a process to which these descriptors are passed, says what it listens on, and whether it may serve it.
_TAKE = """\
import os, sys
from pathlib import Path
numbers = [int(number) for number in sys.argv[3].split()]
# High numbers first, so that no descriptor is overwritten before it has its place.
held = [os.dup2(number, 100 + place) for place, number in enumerate(numbers)]
for place, number in enumerate(held):
    os.dup2(number, 3 + place)
os.environ |= {"LISTEN_FDS": str(len(held)), "LISTEN_PID": str(os.getpid())}
from terminald.adapters.api_listeners import listening
from terminald.config import ApiConfig
from terminald.config_rules import loopback_address
from terminald.errors import TerminaldError
from dataclasses import replace
listen = loopback_address(sys.argv[2]) if sys.argv[2] else None
try:
    with listening(replace(ApiConfig(), socket=Path(sys.argv[1]), listen=listen)) as sockets:
        for sock in sockets:
            name = sock.getsockname()
            print(name if isinstance(name, str) else f"{name[0]} {name[1]}")
except TerminaldError as exc:
    print(type(exc).__name__, exc)
"""


def taken(tmp_path: Path, listen: str, *passed: socket.socket) -> list[str]:
    numbers = [sock.fileno() for sock in passed]
    command = [sys.executable, "-c", _TAKE, str(tmp_path / "api.sock"), listen, " ".join(map(str, numbers))]
    done = subprocess.run(
        command, pass_fds=numbers, capture_output=True, text=True, check=True, timeout=60, cwd=ROOT, env={**os.environ}
    )
    return done.stdout.splitlines()


@pytest.fixture
def unix(tmp_path: Path) -> socket.socket:
    sock = socket.socket(socket.AF_UNIX)
    sock.bind(str(tmp_path / "api.sock"))
    sock.listen()
    return sock


def test_systemd_may_hold_both_and_what_it_holds_stays_open(tmp_path: Path, unix: socket.socket) -> None:
    with unix, socket.create_server(("127.0.0.1", 0)) as tcp:
        port = tcp.getsockname()[1]
        # In the order in which they are taken, whatever the order in the unit.
        assert taken(tmp_path, f"127.0.0.1:{port}", tcp, unix) == [str(tmp_path / "api.sock"), f"127.0.0.1 {port}"]
        assert can_connect("127.0.0.1", port)
        assert (tmp_path / "api.sock").is_socket()


def test_what_systemd_does_not_hold_is_bound(tmp_path: Path, unix: socket.socket) -> None:
    port = free_port()
    with unix:
        assert taken(tmp_path, f"127.0.0.1:{port}", unix) == [str(tmp_path / "api.sock"), f"127.0.0.1 {port}"]
    (tmp_path / "api.sock").unlink()
    with socket.create_server(("127.0.0.1", 0)) as tcp:
        port = tcp.getsockname()[1]
        assert taken(tmp_path, f"127.0.0.1:{port}", tcp) == [str(tmp_path / "api.sock"), f"127.0.0.1 {port}"]
        both = taken(tmp_path, f"localhost:{port}", tcp)
        assert both[:2] == [str(tmp_path / "api.sock"), f"127.0.0.1 {port}"]
        assert both[2:] == ([f"::1 {port}"] if has_ipv6() else [])


@pytest.mark.parametrize("listen", ["", "127.0.0.1:1", "[::1]:PORT"])
def test_a_port_that_the_configuration_does_not_ask_for_is_not_served(
    listen: str, tmp_path: Path, unix: socket.socket
) -> None:
    """It would be open without a token."""
    with unix, socket.create_server(("127.0.0.1", 0)) as tcp:
        port = tcp.getsockname()[1]
        (said,) = taken(tmp_path, listen.replace("PORT", str(port)), unix, tcp)
    assert said.startswith(f"ConfigError api.listen: what systemd passes is the port {port} of 127.0.0.1")


def test_a_port_that_is_open_to_the_network_is_not_served(tmp_path: Path, unix: socket.socket) -> None:
    with unix, socket.create_server(("0.0.0.0", 0)) as tcp:
        port = tcp.getsockname()[1]
        (said,) = taken(tmp_path, f"127.0.0.1:{port}", unix, tcp)
    assert said.startswith(f"ConfigError api.listen: what systemd passes is the port {port} of 0.0.0.0")


def test_only_one_unix_socket_and_only_listening_streams_are_taken(tmp_path: Path, unix: socket.socket) -> None:
    with unix, socket.socket(socket.AF_UNIX) as second:
        second.bind(str(tmp_path / "b.sock"))
        second.listen()
        assert taken(tmp_path, "", unix, second)[0].startswith("ConfigError api.socket: what systemd passes are 2 Unix")
    for family, kind in ((socket.AF_INET, socket.SOCK_DGRAM), (socket.AF_INET, socket.SOCK_STREAM)):
        with socket.socket(family, kind) as odd:
            assert "is no listening Unix stream socket, and no port" in taken(tmp_path, "", odd)[0]
    with (tmp_path / "file").open("w") as file:
        numbers = [file.fileno()]
        command = [sys.executable, "-c", _TAKE, str(tmp_path / "c.sock"), "", str(numbers[0])]
        done = subprocess.run(
            command, pass_fds=numbers, capture_output=True, text=True, check=True, timeout=60, cwd=ROOT
        )
    assert "is no socket" in done.stdout
