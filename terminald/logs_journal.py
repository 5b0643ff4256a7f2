"""journald's native protocol: one entry, one datagram, and nobody waits for it.

systemd-python's ``sendv`` waits while the socket of a journald that hangs is full, with the interpreter's lock held:
every thread would stand still, in the middle of a payment. It also keeps to itself that journald is away. Here an
entry that can not be handed over at once is given up, and whoever sends it is told.

The format is systemd's own (JOURNAL_NATIVE_PROTOCOL): ``NAME=value``, or where the value has line breaks the name, its
length as 64 bits, and the value; so no value makes a field.
"""

import contextlib
import socket
from collections.abc import Iterable
from typing import Final

#: Where journald listens. In a journal's namespace (LogNamespace=) the same path leads to that namespace's journald.
SOCKET: Final = "/run/systemd/journal/socket"
#: What may wait in the kernel until journald reads it; the kernel grants less, by net.core.wmem_max.
_BUFFER: Final = 8 * 1024 * 1024
_LENGTH_BYTES: Final = 8


class JournalSocket:
    """The sending end. One instance for each output; it finds a journald that was started again by itself."""

    def __init__(self, address: str = SOCKET) -> None:
        """Address is a path of the file system."""
        self._address = address
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.setblocking(False)  # noqa: FBT003 - has no keywords
        with contextlib.suppress(OSError):
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _BUFFER)

    def send(self, fields: Iterable[tuple[str, str]]) -> bool:
        """Send one entry, and return whether journald got it. Never waits, and raises nothing."""
        try:
            self._socket.sendto(encode(fields), self._address)
        except OSError:  # away, full, too long, or closed: the entry is lost
            return False
        return True

    def close(self) -> None:
        """Close the sending end; what is sent later is lost. Harmless when repeated."""
        self._socket.close()


def encode(fields: Iterable[tuple[str, str]]) -> bytes:
    """Return the datagram of one entry. Names are upper case, digits and underscores."""
    return b"".join(_encode_field(name.encode(), value.encode(errors="replace")) for name, value in fields)


def _encode_field(name: bytes, value: bytes) -> bytes:
    if b"\n" in value:
        return name + b"\n" + len(value).to_bytes(_LENGTH_BYTES, "little") + value + b"\n"
    return name + b"=" + value + b"\n"
