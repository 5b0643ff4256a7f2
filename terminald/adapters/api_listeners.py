"""Where callers come in: the Unix socket, and a loopback port where the configuration asks for one.

systemd may hold either; what it does not pass is bound here. A port that systemd holds can not be taken by another
program while terminald is started again, which would be given the token by the pages that call.
"""

import contextlib
import errno
import ipaddress
import logging
import socket
from collections.abc import Iterator
from typing import Final

from terminald.adapters.api_socket import BACKLOG, bound
from terminald.adapters.systemd import passed_descriptors
from terminald.config import ApiConfig
from terminald.config_rules import Address
from terminald.errors import ConfigError, TerminaldError
from terminald.logs import log_event
from terminald.logs_ids import LogId

_log = logging.getLogger(__name__)

_PASSED: Final = "what systemd passes"
#: What localhost is, without asking anybody who could say something else (RFC 6761, 6.3).
_LOCALHOST: Final = ("127.0.0.1", "::1")
#: This machine has no such address.
_NO_ADDRESS: Final = frozenset({errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT})


@contextlib.contextmanager
def listening(settings: ApiConfig) -> Iterator[tuple[socket.socket, ...]]:
    """Take the sockets that systemd passes, and bind the others: callers queue from now on. The Unix socket is first.

    One that was passed is left where it is at the end: callers go on queueing there, for the next start.

    Raises:
        ConfigError: something else was passed than what the configuration says, or it can not be had.
        TerminaldError: another process listens there, or the system refuses for now.
    """
    with contextlib.ExitStack() as stack:
        passed = [stack.enter_context(contextlib.closing(_open(number))) for number in passed_descriptors()]
        unix = [sock for sock in passed if sock.family == socket.AF_UNIX]
        ports = [sock for sock in passed if sock.family != socket.AF_UNIX]
        if len(unix) > 1:
            what = f"api.socket: {_PASSED} are {len(unix)} Unix sockets"
            raise ConfigError([f"{what}; allowed: one ListenStream= with a path in terminald.socket"])
        for sock in unix:
            _compare(sock, settings)
        for sock in ports:
            _check_port(sock, settings.listen)
        first = unix[0] if unix else stack.enter_context(bound(settings))
        taken = {sock.getsockname()[0] for sock in ports}
        for host in addresses(settings.listen):
            if settings.listen is not None and host not in taken:
                ports += [stack.enter_context(contextlib.closing(one)) for one in _bind(host, settings.listen)]
        for sock in ports:
            host, port = sock.getsockname()[:2]
            log_event(_log, LogId.TCP_LISTENING, detail=f"port {port} of {host}")
        yield (first, *ports)


def addresses(listen: Address | None) -> tuple[str, ...]:
    """Return the IP addresses that are meant; none where nothing is to be opened."""
    if listen is None:
        return ()
    return _LOCALHOST if listen.host == "localhost" else (str(ipaddress.ip_address(listen.host)),)


def _open(number: int) -> socket.socket:
    """Return a socket that was passed, when it is of the right kind."""
    allowed = "allowed: ListenStream= in terminald.socket"
    try:
        sock = socket.socket(fileno=number)
    except OSError as exc:
        raise ConfigError([f"api.socket: {_PASSED} is no socket ({exc.strerror}); {allowed}"]) from exc
    is_ours = sock.family in (socket.AF_UNIX, socket.AF_INET, socket.AF_INET6) and sock.type == socket.SOCK_STREAM
    if not is_ours or not sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
        sock.close()
        raise ConfigError([f"api.socket: {_PASSED} is no listening Unix stream socket, and no port; {allowed}"])
    sock.settimeout(0)
    return sock


def _compare(sock: socket.socket, settings: ApiConfig) -> None:
    place = sock.getsockname()
    if place != str(settings.socket):
        log_event(_log, LogId.SOCKET_ELSEWHERE, path=str(place), detail=f"api.socket: {settings.socket}")


def _check_port(sock: socket.socket, listen: Address | None) -> None:
    """Refuse a port that the configuration does not ask for: it would be open without the rules that go with it."""
    host, port = sock.getsockname()[:2]
    wanted = "nothing" if listen is None else str(listen)
    if listen is None or port != listen.port or host not in addresses(listen):
        what = f"{_PASSED} is the port {port} of {host}, and the configuration asks for {wanted}"
        raise ConfigError([f"api.listen: {what}; write the same in both"])


def _bind(host: str, listen: Address) -> list[socket.socket]:
    """Return the bound socket; nothing for the IPv6 half of localhost on a machine without IPv6."""
    try:
        return [_bound(host, listen.port)]
    except OSError as exc:
        if exc.errno in _NO_ADDRESS and listen.host == "localhost" and host != _LOCALHOST[0]:
            log_event(_log, LogId.ADDRESS_MISSING, detail=f"{host}: localhost is {_LOCALHOST[0]} alone")
            return []
        raise _refusal(host, listen.port, exc) from exc


def _bound(host: str, port: int) -> socket.socket:
    sock = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    try:
        # A restart does not wait until the connections of the process before are forgotten.
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if sock.family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.bind((host, port))
        sock.listen(BACKLOG)
    except OSError:
        sock.close()
        raise
    return sock


def _refusal(host: str, port: int, exc: OSError) -> TerminaldError:
    where = f"api.listen: port {port} of {host}"
    if exc.errno == errno.EADDRINUSE:
        return TerminaldError(f"{where} is taken by another process; stop that one, or name another port")
    if exc.errno == errno.EACCES:
        advice = "allowed: a port from 1024 on, or one that systemd holds"
        return ConfigError([f"{where} is for root only; {advice}"])
    if exc.errno in _NO_ADDRESS:
        return ConfigError([f"{where} is not there on this machine; allowed: 127.0.0.1, or localhost"])
    return TerminaldError(f"{where} can not be opened: {exc.strerror}")
