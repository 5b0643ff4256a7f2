"""Which process has a device. Everything here blocks: for a thread."""

import itertools
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from terminald.logs import escape

#: More processes or open files than a terminal runs; a look that finds nothing reads so many names.
_PROCESSES: Final = 4096
_FILES: Final = 1024
#: The kernel's table of locks has some hundred lines of 60 bytes.
_LOCKS: Final = 262_144
#: The kernel cuts names at 15 bytes, and kernel threads' at 64.
_NAME: Final = 64

_PROC: Final = Path("/proc")


@dataclass(frozen=True, slots=True, kw_only=True)
class Holder:
    """A process; its name may be empty when it has ended or may not be looked at."""

    pid: int
    name: str


def holder_of(device: str, *, proc: Path = _PROC) -> Holder | None:
    """Find the process that has locked this device or has it open, as far as this user may see.

    Locks are everybody's to see; open files are those of the own user's processes, and for root all.
    """
    found = _lockers(device, proc) or list(_openers(device, proc))
    if not found:
        return None
    pid = next((each for each in found if each != os.getpid()), found[0])
    return Holder(pid=pid, name=_name(proc / str(pid)))


def _lockers(device: str, proc: Path) -> list[int]:
    """Return who holds a lock. A line: ``1: FLOCK  ADVISORY  WRITE 712 00:05:390 0 EOF``, device in hex, then inode."""
    try:
        status = os.stat(device)  # noqa: PTH116 - may be no path at all
        with (proc / "locks").open("rb") as file:
            table = file.read(_LOCKS).decode("ascii", "replace")
    except OSError:
        return []
    file_id = f"{os.major(status.st_dev):02x}:{os.minor(status.st_dev):02x}:{status.st_ino}"
    # A line with an arrow is of one that waits for the lock. An owner that is not to be seen has the number 0 or -1.
    owners = re.findall(rf"^\d+: +[A-Z]+ +\S+ +\S+ +(\d+) {file_id} ", table, re.MULTILINE)
    return [pid for pid in map(int, owners) if pid]


def _openers(device: str, proc: Path) -> Iterator[int]:
    real = os.path.realpath(device)
    for pid in itertools.islice(_numbers(proc), _PROCESSES):
        try:
            with os.scandir(proc / pid / "fd") as files:
                is_open = any(_target(file.path) == real for file in itertools.islice(files, _FILES))
        except OSError:  # of another user, or ended
            continue
        if is_open:
            yield int(pid)


def _numbers(proc: Path) -> Iterator[str]:
    try:
        with os.scandir(proc) as entries:
            yield from (entry.name for entry in entries if entry.name.isdecimal())
    except OSError:
        return


def _target(link: str) -> str:
    try:
        return os.readlink(link)  # noqa: PTH115 - thousands of them
    except OSError:  # closed meanwhile
        return ""


def _name(process: Path) -> str:
    try:
        with (process / "comm").open("rb") as file:
            return escape(file.read(_NAME).decode("utf-8", "replace").strip())
    except OSError:
        return ""
