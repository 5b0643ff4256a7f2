"""The kernel's notices of what changes in directories: inotify(7), of which the standard library has nothing."""

import ctypes
import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

#: Bytes taken at once, and with that the work of one turn of the loop: about 250 notices, one millisecond on a PC, and
#: far below 50 on a slow board.
READ_LIMIT: Final = 8_192

_HEAD: Final = struct.Struct("iIII")  # number of the watch, kind, cookie, length of the name
#: A name has up to 255 bytes and an end. A read that leaves less room than this may have left something.
_LONGEST: Final = _HEAD.size + 256

_IN_ATTRIB: Final = 0x0000_0004
_IN_MOVED_FROM: Final = 0x0000_0040
_IN_MOVED_TO: Final = 0x0000_0080
_IN_CREATE: Final = 0x0000_0100
_IN_DELETE: Final = 0x0000_0200
_IN_DELETE_SELF: Final = 0x0000_0400
_IN_MOVE_SELF: Final = 0x0000_0800
_IN_UNMOUNT: Final = 0x0000_2000
_IN_Q_OVERFLOW: Final = 0x0000_4000
_IN_IGNORED: Final = 0x0000_8000
_IN_ONLYDIR: Final = 0x0100_0000
_IN_EXCL_UNLINK: Final = 0x0400_0000

#: What makes another opening of a device worth while. Attributes: udev sets group and mode after the node is made.
_WANTED: Final = (
    _IN_ATTRIB | _IN_MOVED_FROM | _IN_MOVED_TO | _IN_CREATE | _IN_DELETE | _IN_DELETE_SELF | _IN_MOVE_SELF
) | (_IN_ONLYDIR | _IN_EXCL_UNLINK)
_OF_ITSELF: Final = _IN_DELETE_SELF | _IN_MOVE_SELF | _IN_UNMOUNT | _IN_IGNORED


@dataclass(frozen=True, slots=True)
class Notice:
    """One change. An empty name concerns the directory itself."""

    watch: int
    name: bytes
    is_overflow: bool  # notices were lost: anything may have changed
    is_watch_over: bool  # the kernel has dropped the watch


class Inotify:
    """One queue of notices. Its calls do not block."""

    def __init__(self) -> None:
        """Open the queue.

        Raises:
            OSError: EMFILE when this user has too many of them, or this process too many descriptors.
        """
        libc = ctypes.CDLL(None, use_errno=True)
        libc.inotify_add_watch.argtypes = (ctypes.c_int, ctypes.c_char_p, ctypes.c_uint32)
        self._libc = libc
        self.fd = _checked(libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC))

    def add(self, directory: str) -> int:
        """Watch a directory; return the number of its watch, the same one as long as it is watched.

        Raises:
            OSError: ENOSPC when this user has too many watches; ENOENT, ENOTDIR, EACCES.
        """
        return _checked(self._libc.inotify_add_watch(self.fd, os.fsencode(directory), _WANTED))

    def remove(self, watch: int) -> None:
        """Watch no more; harmless when the kernel has dropped the watch. Notices that wait still come."""
        self._libc.inotify_rm_watch(self.fd, watch)

    def read(self) -> tuple[list[Notice], bool]:
        """Return what has come, up to a limit, and whether that was all."""
        try:
            data = os.read(self.fd, READ_LIMIT)
        except BlockingIOError:
            return [], True
        return list(_notices(data)), len(data) + _LONGEST <= READ_LIMIT

    def close(self) -> None:
        """Close the queue."""
        os.close(self.fd)


def _notices(data: bytes) -> Iterator[Notice]:
    place = 0
    while place < len(data):
        watch, kind, _, length = _HEAD.unpack_from(data, place)
        place += _HEAD.size
        name = b"" if kind & _OF_ITSELF else data[place : place + length].rstrip(b"\0")
        place += length
        yield Notice(watch, name, bool(kind & _IN_Q_OVERFLOW), bool(kind & _IN_IGNORED))


def _checked(answer: int) -> int:
    if answer < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return answer
