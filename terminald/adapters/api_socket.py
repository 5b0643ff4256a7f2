"""The Unix socket of the local API: who may reach the daemon is said by its directory, owner, group and mode."""

import contextlib
import errno
import grp
import os
import socket
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from terminald.config import ApiConfig
from terminald.errors import ConfigError, TerminaldError

#: Callers that may wait to be accepted, while the loop is busy for a moment.
BACKLOG: Final = 32

#: What a person must put right in the machine or the configuration; starting again changes nothing.
_LASTING: Final = frozenset(
    {errno.EACCES, errno.EPERM, errno.EEXIST, errno.ENOTDIR, errno.EROFS, errno.ENAMETOOLONG, errno.ELOOP}
)


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
