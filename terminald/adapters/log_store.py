"""Logs that wait for their upload, as files of the state directory. Every function blocks.

A file is there whole or not at all: it is written under another name, synced, and renamed. Its name tells which rows of
the event log are in it; its bytes are never changed, so that a repeated upload is the same upload.
"""

import contextlib
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from terminald.adapters.log_pack import MAX_PACKED, PackedLog
from terminald.adapters.state_directory import FILE_MODE, prepare, sync_directory

#: Of the state directory.
DIRECTORY: Final = "log-upload"
#: Logs that may wait: those of a week in which none could be sent.
MAX_FILES: Final = 7
#: What they may take of the disk together, in bytes: the disk is the journal's.
MAX_TOTAL: Final = 2 * 1024 * 1024

_NAME: Final = re.compile(r"([0-9]{12,19})-([0-9]{12,19})\.jsonl\.gz")
_UNFINISHED: Final = ".tmp"


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitingLog:
    """A file that waits: the rows in it, and its size in bytes."""

    path: Path
    first: int
    last: int
    size: int


class LogStore:
    """The directory of the waiting logs. Used by one thread at a time, of the process that holds the state's lock."""

    def __init__(self, state: Path) -> None:
        """State is the state directory; nothing is made before there is a log."""
        self._directory = state / DIRECTORY

    def waiting(self) -> tuple[WaitingLog, ...]:
        """Return what waits, the oldest first. What a crash left unfinished is removed, and what can not be a log.

        Raises:
            OSError: the directory can not be read, or a leftover not be removed.
        """
        found: list[WaitingLog] = []
        with contextlib.suppress(FileNotFoundError):
            for path in sorted(self._directory.iterdir()):
                match, size = _NAME.fullmatch(path.name), path.lstat().st_size
                if match and 0 < size <= MAX_PACKED:
                    found.append(WaitingLog(path=path, first=int(match[1]), last=int(match[2]), size=size))
                elif match or path.name.endswith(_UNFINISHED):
                    path.unlink()
        return tuple(sorted(found, key=lambda one: one.first))

    def store(self, log: PackedLog) -> WaitingLog:
        """Make a log durable, all of it or nothing.

        Raises:
            OSError, JournalUnavailable: it is not stored, or not surely; the directory can not be written.
        """
        prepare(self._directory)
        path = self._directory / f"{log.first:012}-{log.last:012}.jsonl.gz"
        unfinished = path.with_name(path.name + _UNFINISHED)
        with contextlib.ExitStack() as undo:
            undo.callback(unfinished.unlink, missing_ok=True)
            _write(unfinished, log.data)
            unfinished.rename(path)
            undo.pop_all()
        sync_directory(self._directory)
        return WaitingLog(path=path, first=log.first, last=log.last, size=len(log.data))

    def read(self, log: WaitingLog) -> bytes:
        """Return the bytes that are to be sent.

        Raises:
            OSError: it can not be read.
        """
        descriptor = os.open(log.path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb") as file:
            return file.read(MAX_PACKED)

    def delete(self, log: WaitingLog) -> None:
        """Remove a log for good; harmless when it has gone.

        Raises:
            OSError: it may still be there, or come back after a power cut.
        """
        log.path.unlink(missing_ok=True)
        sync_directory(self._directory)

    def make_room(self) -> tuple[WaitingLog, ...]:
        """Remove the oldest logs beyond what may wait, and return them; the newest one stays.

        Raises:
            OSError: the directory can not be read or written.
        """
        dropped = surplus(self.waiting())
        for log in dropped:
            self.delete(log)
        return dropped


def surplus(waiting: Sequence[WaitingLog]) -> tuple[WaitingLog, ...]:
    """Return which of these, the oldest first, are too many or too much."""
    kept, total = 0, 0
    for log in reversed(waiting):
        total += log.size
        if kept == MAX_FILES or (kept and total > MAX_TOTAL):
            break
        kept += 1
    return tuple(waiting[: len(waiting) - kept])


def _write(path: Path, data: bytes) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    with os.fdopen(os.open(path, flags, FILE_MODE), "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
