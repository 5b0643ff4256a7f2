"""What the kernel says of a running process."""

import select
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

_PROC = Path("/proc")
#: Nothing is read for so long: a look through a file has ended.
_QUIET_S = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Effort:
    """What a process has done since its start, all threads together."""

    cpu_ns: int
    voluntary_switches: int


def effort(pid: int) -> Effort:
    """Return what the living threads of a process have done."""
    tasks = list(_tasks(pid))
    return Effort(
        cpu_ns=sum(int((task / "schedstat").read_text().split()[0]) for task in tasks),
        voluntary_switches=sum(_fields(task / "status")["voluntary_ctxt_switches"] for task in tasks),
    )


def memory_mb(pid: int) -> tuple[float, float]:
    """Return resident memory, and the part of it that is the process's own."""
    fields = _fields(_PROC / str(pid) / "status")
    return fields["VmRSS"] / 1024, fields["RssAnon"] / 1024


def threads(pid: int) -> int:
    """Return how many threads a process has."""
    return len(list(_tasks(pid)))


def written_bytes(pid: int) -> int:
    """Return how many bytes a process caused to be written to a disk; 0 for ever on a file system in memory."""
    return _fields(_PROC / str(pid) / "io")["write_bytes"]


def wait_until_read(pid: int) -> float:
    """Wait until a process reads nothing for a while; return for how many seconds it has read."""
    begin = last = time.monotonic()
    seen = -1
    while time.monotonic() - last < _QUIET_S:
        if (now := _fields(_PROC / str(pid) / "io")["rchar"]) != seen:
            seen, last = now, time.monotonic()
        select.select([], [], [], _QUIET_S / 10)
    return last - begin


def file_system(directory: Path) -> str:
    """Name the file system that a directory is on."""
    mounts = [line.split() for line in (_PROC / "mounts").read_text().splitlines()]
    inside = [fields for fields in mounts if directory.resolve().is_relative_to(fields[1])]
    device, _, kind, *_ = max(inside, key=lambda fields: len(fields[1]))
    return f"{kind} on {device}"


def _tasks(pid: int) -> Iterator[Path]:
    return (_PROC / str(pid) / "task").iterdir()


def _fields(file: Path) -> dict[str, int]:
    """Read the lines of the form ``name: number`` with or without a unit."""
    found: dict[str, int] = {}
    for line in file.read_text().splitlines():
        name, _, value = line.partition(":")
        with suppress(ValueError, IndexError):
            found[name] = int(value.split()[0])
    return found
