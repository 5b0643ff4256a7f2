"""The directory that holds everything terminald must not forget: its modes, and who may use it."""

import contextlib
import fcntl
import os
import stat
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from terminald.errors import JournalHeld, JournalUnavailable

LOCK_NAME: Final = "terminald.lock"
#: What the names of the journal's files begin with; "journal" alone is systemd's, in /var/log.
_OF_JOURNAL: Final = ("journal.", "journal-")
DIRECTORY_MODE: Final = 0o700
FILE_MODE: Final = 0o600
_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO
#: A process id has at most 7 digits (kernel.pid_max ≤ 4194304); the rest of a longer file is not ours.
_PID_BYTES: Final = 16


class Lock:
    """Proof that no other terminald uses the directory. Ends with :meth:`release`, or with the process."""

    def __init__(self, descriptor: int) -> None:
        """The descriptor holds the lock, and belongs to this object from now on."""
        self._descriptor: int | None = descriptor

    def release(self) -> None:
        """Let others have the directory; harmless when repeated."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()


def prepare(directory: Path) -> None:
    """Make the directory exist, belong to us, and be closed to everybody else.

    Idempotent. A directory of ours that others may enter is closed to them, but not one that has other things in it:
    run by root, a slip in state.directory would shut everybody out of /var/lib or /tmp.

    Raises:
        JournalUnavailable: it can not be made, is no directory, belongs to another user, or is not for terminald alone.
    """
    try:
        if not directory.exists():
            directory.mkdir(mode=DIRECTORY_MODE, parents=True, exist_ok=True)
            sync_directory(directory.parent)
        found = directory.stat()
        if not stat.S_ISDIR(found.st_mode):
            raise JournalUnavailable(f"{directory} is not a directory: set state.directory to one")
        if found.st_uid != os.geteuid():
            raise JournalUnavailable(
                f"{directory} belongs to user {found.st_uid}, and terminald runs as user {os.geteuid()}: "
                "run it as the owner, or change the owner of the directory and of everything in it"
            )
        if found.st_mode & _OTHERS:
            _expect_nothing_else(directory)
            directory.chmod(DIRECTORY_MODE)
    except OSError as exc:
        raise JournalUnavailable(
            f"{directory} can not be used: {exc.strerror}: check its path, mount and mode"
        ) from exc


def _expect_nothing_else(directory: Path) -> None:
    """See that a directory is empty, or has been a state directory.

    Raises:
        JournalUnavailable: it is neither.
    """
    names = [path.name for path in directory.iterdir()]
    if names and not any(name == LOCK_NAME or name.startswith(_OF_JOURNAL) for name in names):
        raise JournalUnavailable(
            f"{directory} is open to others and holds other things: set state.directory to one for terminald alone"
        )


def sync_directory(directory: Path) -> None:
    """Make the names in a directory durable: without it a power cut may take a new file away.

    Raises:
        OSError: it can not be opened or synced.
    """
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def lock(directory: Path) -> Lock:
    """Take the directory for this process, without waiting.

    The kernel frees the lock when its holder ends, however it ends. The file stays, with the holder's process id in it
    for people; its text decides nothing.

    Raises:
        JournalHeld: another process has it; the text names the process.
        JournalUnavailable: the directory can not be used.
    """
    prepare(directory)
    file = directory / LOCK_NAME
    try:
        descriptor = os.open(file, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, FILE_MODE)
    except OSError as exc:
        raise JournalUnavailable(f"{file} can not be opened: {exc.strerror}: check its owner and mode") from exc
    with contextlib.ExitStack() as undo:
        undo.callback(os.close, descriptor)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as exc:
            raise JournalHeld(
                f"{directory} is in use: {file} is held by process {_holder(descriptor)}: stop that terminald first"
            ) from exc
        try:
            os.fchmod(descriptor, FILE_MODE)
            os.ftruncate(descriptor, 0)
            os.write(descriptor, f"{os.getpid()}\n".encode())
        except OSError as exc:
            raise JournalUnavailable(f"{file} can not be written: {exc.strerror}: free some disk space") from exc
        undo.pop_all()
    return Lock(descriptor)


def _holder(descriptor: int) -> str:
    """Return the process id in the lock file, or a question mark where its holder has not written it yet."""
    text = os.pread(descriptor, _PID_BYTES, 0).decode("ascii", "replace").strip()
    return text if text.isdecimal() else "?"
