"""A socket in journald's place: what is sent to it is kept, whole, and read by the rules of the native protocol.

It knows nothing of the sender: the rules are systemd's (JOURNAL_NATIVE_PROTOCOL).
"""

import contextlib
import os
import shutil
import socket
import subprocess
import sys
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
#: How many datagrams wait in a socket that is made from now on; systemd sets it so when a machine starts.
_QUEUE = Path("/proc/sys/net/unix/max_dgram_qlen")
_QUEUE_OF_SYSTEMD = 512
#: Makes a socket where it is so, and passes it on by the descriptor that it is given.
_MAKE_ROOMY = f"""\
import pathlib, socket, sys
pathlib.Path("{_QUEUE}").write_text("{_QUEUE_OF_SYSTEMD}")
with socket.socket(fileno=int(sys.argv[1])) as way, socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as made:
    socket.send_fds(way, [b"-"], [made.fileno()])
"""
_LARGEST = 1 << 20
_MOST_FILES = 4


class Journald:
    """Reads when it is asked to; until then datagrams wait in the kernel, as those of a journald that is slow do."""

    def __init__(self, path: Path, receiver: socket.socket | None = None) -> None:
        """Receiver is a socket without a name; None: one in which as many datagrams may wait as this machine has it."""
        self.path = path
        self._socket = receiver or socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
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


def roomy_socket() -> socket.socket | None:
    """Return a socket in which as many datagrams may wait as under systemd; None where that is not to be had."""
    if not _QUEUE.exists() or int(_QUEUE.read_text()) >= _QUEUE_OF_SYSTEMD:
        return socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    way, far = socket.socketpair()
    with way, far:
        make = ["unshare", "--net", sys.executable, "-c", _MAKE_ROOMY, str(far.fileno())]
        if subprocess.run(make, check=False, pass_fds=[far.fileno()], capture_output=True).returncode:
            return None
        _, [descriptor], _, _ = socket.recv_fds(way, 1, 1)
    return socket.socket(fileno=descriptor)


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
