"""The Unix socket of the local API: who may reach the daemon is said by its directory, owner, group and mode."""

import contextlib
import errno
import grp
import logging
import os
import socket
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from terminald.adapters.systemd import passed_descriptors
from terminald.config import ApiConfig
from terminald.errors import ConfigError, TerminaldError
from terminald.logs import log_event
from terminald.logs_ids import LogId

_log = logging.getLogger(__name__)

#: Callers that may wait to be accepted, while the loop is busy for a moment.
BACKLOG: Final = 32

#: What a person must put right in the machine or the configuration; starting again changes nothing.
_LASTING: Final = frozenset(
    {errno.EACCES, errno.EPERM, errno.EEXIST, errno.ENOTDIR, errno.EROFS, errno.ENAMETOOLONG, errno.ELOOP}
)


@contextlib.contextmanager
def listening(settings: ApiConfig) -> Iterator[socket.socket]:
    """Take the socket that systemd passes, else bind one: callers queue from now on.

    One that was passed is left where it is at the end: callers go on queueing there, for the next start.

    Raises:
        ConfigError: what was passed is not one listening Unix socket; and as :func:`bound`.
        TerminaldError: as :func:`bound`.
    """
    passed = passed_descriptors()
    if not passed:
        with bound(settings) as sock:
            yield sock
        return
    with contextlib.closing(_adopt(passed, settings.socket)) as sock:
        yield sock


def _adopt(passed: range, configured: Path) -> socket.socket:
    """Return the one socket that was passed, when it is of the right kind."""
    where = "api.socket: what systemd passes"
    if len(passed) != 1:
        raise ConfigError([f"{where} are {len(passed)} descriptors; allowed: one ListenStream= in terminald.socket"])
    try:
        sock = socket.socket(fileno=passed[0])
    except OSError as exc:
        raise ConfigError([f"{where} is no socket ({exc.strerror}); allowed: ListenStream= with a path"]) from exc
    is_listening = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
    if sock.family != socket.AF_UNIX or sock.type != socket.SOCK_STREAM or not is_listening:
        sock.close()
        raise ConfigError([f"{where} is no listening Unix stream socket; allowed: ListenStream= with a path"])
    sock.settimeout(0)
    place = sock.getsockname()
    if place != str(configured):
        log_event(_log, LogId.SOCKET_ELSEWHERE, path=str(place), detail=f"api.socket: {configured}")
    return sock


@contextlib.contextmanager
def bound(settings: ApiConfig) -> Iterator[socket.socket]:
    """Bind the socket and listen: callers queue from now on. At the end it is closed and removed, if it is still ours.

    A directory that is missing is created (0755). What an earlier process left behind is removed only when nobody
    answers on it.

    Raises:
        ConfigError: the path, the mode or the group can not be had; the detail says why.
        TerminaldError: another process answers on the socket, or the system refuses for now.
    """
    path = settings.socket
    try:
        path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        _clear(path)
        sock, identity = _bind(path, settings.socket_mode, _group_id(settings.socket_group))
    except OSError as exc:
        raise _refusal(path, exc) from exc
    try:
        yield sock
    finally:
        sock.close()
        _remove(path, identity)


def _clear(path: Path) -> None:
    """Remove a socket that nobody answers on."""
    try:
        found = path.lstat()
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(found.st_mode):
        raise ConfigError([f"api.socket: {path} is in the way and is not a socket; remove it, or name another path"])
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK) as probe:
        reason = probe.connect_ex(str(path))
    if reason == errno.ECONNREFUSED:
        path.unlink()
    elif reason in (0, errno.EAGAIN):
        raise TerminaldError(f"{path}: another process answers there; stop the other terminald, or name another socket")
    elif reason != errno.ENOENT:
        raise OSError(reason, os.strerror(reason))


def _bind(path: Path, mode: int, group_id: int) -> tuple[socket.socket, tuple[int, int]]:
    """Return the socket, and what tells it from another one at the same path."""
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    try:
        sock.bind(str(path))
    except OSError:
        sock.close()
        raise
    found = path.lstat()
    identity = (found.st_dev, found.st_ino)
    try:
        # Nobody can connect before listen(): there is no moment with a wider mode than the configured one.
        if group_id != -1:
            os.chown(path, -1, group_id)
        path.chmod(mode)
        sock.listen(BACKLOG)
    except OSError:
        sock.close()
        _remove(path, identity)
        raise
    return sock, identity


def _remove(path: Path, identity: tuple[int, int]) -> None:
    with contextlib.suppress(OSError):
        found = path.lstat()
        if (found.st_dev, found.st_ino) == identity:
            path.unlink()


def _group_id(name: str) -> int:
    """Return a group's number; -1, which leaves the group as it is, for none."""
    if not name:
        return -1
    try:
        return grp.getgrnam(name).gr_gid
    except KeyError as exc:
        raise ConfigError([f"api.socket_group: there is no group {name}; create it, or leave the key empty"]) from exc


def _refusal(path: Path, exc: OSError) -> TerminaldError:
    # "path too long" comes without a number.
    if exc.errno is None or exc.errno in _LASTING:
        advice = "let the service user write its directory and belong to socket_group, or name another path"
        return ConfigError([f"api.socket: {path} can not be opened: {exc.strerror or exc}; {advice}"])
    return TerminaldError(f"{path} can not be opened: {exc.strerror}; check the disk and its mount")
