"""What the machine under the daemon has left: the disk with the journal, and what this process uses.

All of it is what the kernel knows already: nothing here waits for a disk. What can not be read is missing.
"""

import contextlib
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from terminald.wire.metrics import Family, Sample, gauge

#: The journal, and what was committed since it was tidied up last.
_FILES: Final = {"journal": "journal.db", "log": "journal.db-wal"}
_PROCESS: Final = Path("/proc/self")


def disk_figures(directory: Path) -> Iterator[Family]:
    """Yield how full the disk is that holds the state directory, and how large the journal is."""
    with contextlib.suppress(OSError):
        disk = os.statvfs(directory)
        yield gauge(
            "terminald_disk_free_bytes",
            "What the disk with the journal has left for the service's user.",
            disk.f_bavail * disk.f_frsize,
        )
        yield gauge("terminald_disk_size_bytes", "Size of the disk with the journal.", disk.f_blocks * disk.f_frsize)
    sizes = {part: _size(directory / name) for part, name in _FILES.items()}
    yield Family(
        name="terminald_journal_size_bytes",
        help="Size of the journal's files.",
        samples=tuple(Sample(value=size, labels=(("file", part),)) for part, size in sizes.items() if size is not None),
    )


def process_figures(process: Path = _PROCESS) -> Iterator[Family]:
    """Yield what this process uses of the machine."""
    yield gauge(
        "terminald_process_resident_memory_bytes",
        "Memory of the daemon that is in use.",
        _read(lambda: int((process / "statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")),
    )
    yield Family(
        name="terminald_process_cpu_seconds_total",
        help="Time of the processor that the daemon has used.",
        samples=(Sample(value=time.process_time()),),
        kind="counter",
    )
    yield gauge(
        "terminald_process_open_fds",
        "Open files, sockets and devices of the daemon.",
        _read(lambda: _count(process / "fd")),
    )
    yield gauge(
        "terminald_process_threads",
        "Threads of the daemon.",
        _read(lambda: _count(process / "task")),
    )


def _size(file: Path) -> int | None:
    return _read(lambda: file.stat().st_size)


def _count(directory: Path) -> int:
    return sum(1 for _ in directory.iterdir())


def _read(look: Callable[[], int]) -> int | None:
    try:
        return look()
    except (OSError, ValueError, IndexError):
        return None
