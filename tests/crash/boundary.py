"""The border between a daemon and the kernel, as boundary.c watches it: what to do there, and what was seen."""

import errno
import mmap
import os
import struct
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from typing import Final

SOURCE: Final = Path(__file__).with_name("boundary.c")
#: Compiled as strictly as it is written.
_COMPILE: Final = ("cc", "-std=c11", "-O2", "-Wall", "-Wextra", "-Werror", "-fPIC", "-shared")
#: The numbers of ``struct control`` before its counts.
_FIELDS: Final = ("is_armed", "kind", "at", "how", "error", "hits", "is_lying")


class Kind(IntEnum):
    """What is called, and about what."""

    WRITE = 0  # a file of the journal
    SYNC = 1  # the same, or its directory
    TRUNCATE = 2  # the same
    GATEWAY = 3  # something is sent to the gateway
    HOST = 4  # something is sent to a host
    PRINTER = 5  # something is written to the printer


#: What can fail as a disk does.
OF_JOURNAL: Final = (Kind.WRITE, Kind.SYNC, Kind.TRUNCATE)
ERRORS: Final = (errno.ENOSPC, errno.EIO, errno.EROFS)


class How(IntEnum):
    """What happens at the call."""

    NOTHING = 0
    DIE_BEFORE = 1
    DIE_AFTER = 2
    DIE_WITHIN = 3  # half of what was to be written is
    FAIL_ONCE = 4
    FAIL_ON = 5  # and so does every later one about the journal


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """The files that a boundary tells apart; see boundary.c."""

    library: Path
    control: Path
    state: Path
    durable: Path
    api: Path
    printer: Path
    boot_id: Path

    def environment(self) -> Mapping[str, str]:
        """Return the environment of a process that is to have the boundary."""
        own = {
            "LD_PRELOAD": str(self.library),
            "BOUNDARY_CONTROL": str(self.control),
            "BOUNDARY_STATE": str(self.state),
            "BOUNDARY_DURABLE": str(self.durable),
            "BOUNDARY_API": str(self.api),
            "BOUNDARY_PRINTER": str(self.printer),
            "BOUNDARY_BOOT_ID": str(self.boot_id),
        }
        return {**os.environ, **own}


def build(directory: Path) -> Path:
    """Compile the boundary into a directory; return the library."""
    library = directory / "boundary.so"
    subprocess.run([*_COMPILE, "-o", str(library), str(SOURCE), "-ldl"], check=True)
    return library


class Control:
    """The memory that is shared with a process behind the boundary. It outlives the process."""

    def __init__(self, file: Path) -> None:
        """Make the file, with nothing to be done and nothing counted."""
        numbers = len(_FIELDS) + len(Kind)
        file.write_bytes(bytes(8 * numbers))
        with file.open("r+b") as opened:
            self._memory = mmap.mmap(opened.fileno(), 8 * numbers)

    def close(self) -> None:
        """Let go of it; what the process counts is not seen any more."""
        self._memory.close()

    def arm(self, kind: Kind = Kind.WRITE, at: int = 0, how: How = How.NOTHING, error: int = 0) -> None:
        """Begin to count, and do that at the n-th call of this kind; the first is 1."""
        self.disarm()
        for number in range(len(_FIELDS) + len(Kind)):
            if number != _FIELDS.index("is_lying"):
                self._put(number, 0)
        for name, value in (("kind", kind), ("at", at), ("how", how), ("error", error), ("is_armed", 1)):
            self._put(_FIELDS.index(name), value)

    def lie(self) -> None:
        """Let every sync say that it succeeded, and do nothing: as a card does that must not be used for money."""
        self._put(_FIELDS.index("is_lying"), 1)

    def disarm(self) -> None:
        """Let the calls pass from now on, uncounted."""
        self._put(_FIELDS.index("is_armed"), 0)

    def heal(self) -> None:
        """Let the calls pass from now on, and go on counting."""
        self._put(_FIELDS.index("how"), How.NOTHING)

    @property
    def hits(self) -> int:
        """Return how often something was done at a call since it was armed."""
        return self._get(_FIELDS.index("hits"))

    def count(self, kind: Kind) -> int:
        """Return how many calls of a kind there were since it was armed."""
        return self._get(len(_FIELDS) + kind)

    def _put(self, number: int, value: int) -> None:
        struct.pack_into("=Q", self._memory, 8 * number, value)

    def _get(self, number: int) -> int:
        (value,) = struct.unpack_from("=Q", self._memory, 8 * number)
        return int(value)
