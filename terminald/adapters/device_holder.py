"""Which process has a device. Everything here blocks: for a thread."""

import itertools
import os
import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from terminald.logs import escape

#: More processes or open files than a terminal runs; a look that finds nothing reads so many names.
_PROCESSES: Final = 4096
_FILES: Final = 1024
#: The kernel's table of locks has some hundred lines of 60 bytes.
_LOCKS: Final = 262_144
#: More than the first fields of a process's line, and where among them the terminal is, after the name.
_STAT: Final = 512
_TERMINAL: Final = 4
#: The kernel cuts names at 15 bytes, and kernel threads' at 64.
_NAME: Final = 64

_PROC: Final = Path("/proc")


@dataclass(frozen=True, slots=True, kw_only=True)
class Holder:
    """A process; its name may be empty when it has ended or may not be looked at."""

    pid: int
    name: str
    is_certain: bool = True


def holder_of(device: str, *, suspects: Collection[str] = (), proc: Path = _PROC) -> Holder | None:
    """Find the process that has locked this device or has it open, as far as this user may see.

    Locks are everybody's to see, and so is the terminal that a login runs on; open files are those of the own user's
    processes, and for root all. Where nothing is to be seen, a running suspect is named, and not as certain.
    """
    found = _lockers(device, proc) or list(_openers(device, proc)) or list(_residents(device, proc))
    if found:
        pid = next((each for each in found if each != os.getpid()), found[0])
        return Holder(pid=pid, name=_name(proc / str(pid)))
    running = ((pid, _name(proc / pid)) for pid in itertools.islice(_numbers(proc), _PROCESSES))
    return next((Holder(pid=int(pid), name=name, is_certain=False) for pid, name in running if name in suspects), None)


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


def _residents(device: str, proc: Path) -> Iterator[int]:
    """Yield whose controlling terminal it is. A line: ``712 (agetty) S 1 712 712 1088 …``, the number of the device."""
    try:
        number = os.stat(device).st_rdev  # noqa: PTH116 - may be no path at all
    except OSError:
        return
    for pid in itertools.islice(_numbers(proc), _PROCESSES):
        try:
            with (proc / pid / "stat").open("rb") as file:
                fields = file.read(_STAT).rpartition(b")")[2].split()
        except OSError:  # ended
            continue
        if len(fields) > _TERMINAL and number and fields[_TERMINAL] == str(_encoded(number)).encode():
            yield int(pid)


def _encoded(number: int) -> int:
    """Write a device's number as the kernel does in its tables: the minor's upper bits above the major."""
    major, minor = os.major(number), os.minor(number)
    return (minor & 0xFF) | (major << 8) | ((minor & ~0xFF) << 12)


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
