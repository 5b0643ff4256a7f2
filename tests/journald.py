"""A socket in journald's place: what is sent to it is kept, whole, and read by the rules of the native protocol.

It knows nothing of the sender: the rules are systemd's (JOURNAL_NATIVE_PROTOCOL).
"""

import contextlib
import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

#: Puts a directory where systemd's journald has its socket, for one process alone, and becomes that.
_IN_PLACE = """\
set -e
mount -t tmpfs none /run
mkdir -p /run/systemd/journal
mount --bind "$1" /run/systemd/journal
shift
exec "$@"
"""
_LARGEST = 1 << 20
_MOST_FILES = 4


class Journald:
    """Reads when it is asked to; until then datagrams wait in the kernel, as those of a journald that is slow do."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(path))
        path.chmod(0o666)
        self._socket.setblocking(False)  # noqa: FBT003 - has no keywords
        #: Everything that came, also by way of a file that was passed.
        self.received: list[bytes] = []

    def close(self) -> None:
        self._socket.close()

    def read(self, most: int = 1_000_000) -> list[dict[str, str]]:
        """Return the entries that wait, the oldest first."""
        found: list[bytes] = []
        with contextlib.suppress(BlockingIOError):
            while len(found) < most:
                data, descriptors, flags, _ = socket.recv_fds(self._socket, _LARGEST, _MOST_FILES)
                assert not flags & socket.MSG_TRUNC
                found.append(data + b"".join(map(_whole, descriptors)))
        self.received += found
        return [dict(fields(data)) for data in found]


def _whole(descriptor: int) -> bytes:
    with open(descriptor, "rb") as file:
        return os.pread(file.fileno(), os.fstat(file.fileno()).st_size, 0)


def fields(data: bytes) -> Iterator[tuple[str, str]]:
    """Yield the fields of an entry, in their order; a name that comes twice is a fault."""
    names: set[bytes] = set()
    while data:
        head, _, rest = data.partition(b"\n")
        name, sign, value = head.partition(b"=")
        if sign:
            data = rest
        else:
            length = int.from_bytes(rest[:8], "little")
            value, data = rest[8 : 8 + length], rest[8 + length :]
            assert data[:1] == b"\n"
            data = data[1:]
        assert name not in names
        names.add(name)
        yield name.decode("ascii"), value.decode()


def in_place(directory: Path) -> list[str]:
    """Return the beginning of a command, for which the ``socket`` in the directory is journald's."""
    alone = ["unshare", "--mount", *(["--map-root-user"] if os.geteuid() else [])]
    return [*alone, "sh", "-c", _IN_PLACE, "-", str(directory)]


def is_place_to_be_had(directory: Path) -> bool:
    """Tell whether a process may have mounts of its own here."""
    if shutil.which("unshare") is None:
        return False
    return subprocess.run([*in_place(directory), "true"], check=False, capture_output=True).returncode == 0
