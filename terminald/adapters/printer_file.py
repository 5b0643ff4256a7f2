"""Print jobs appended to a file: for tests, for demonstrations, and for a program that follows the file."""

import asyncio
import os
import stat
from collections.abc import Callable
from pathlib import Path

from terminald.errors import DeviceAbsent, DeviceLost

_MODE = 0o640


class FilePrinter:
    """Appends each job to a regular file, which is opened anew for each, so that it may be moved away at any time."""

    kind: str = "printer"
    notices_power_off: bool = True
    line_rate: float | None = None
    can_answer: bool = False

    def __init__(self, *, path: Path, name: str = "printer") -> None:
        """Path is created when its directory exists."""
        self.name = name
        self._path = path
        self._lost = asyncio.Event()
        self._lost_detail = ""
        self.has_begun = False

    @property
    def watched(self) -> tuple[Path, ...]:
        """Return nothing: what keeps a file from being written is mostly not told by its path."""
        return ()

    def listen(self, sink: Callable[[bytes], None]) -> None:
        """Do nothing: a file says nothing."""

    async def ask(self, request: bytes) -> None:
        """Refuse.

        Raises:
            DeviceAbsent: always.
        """
        raise DeviceAbsent(self.name, f"{self._path} is a file, which can not be asked ({len(request)} bytes)")

    def stalled_s(self) -> float:
        """Return 0: a disk is waited for."""
        return 0.0

    def go_on(self) -> bool:
        """Return that no XOFF is obeyed here."""
        return False

    def prolong(self, by_s: float) -> None:
        """Do nothing: there is no deadline."""

    async def open(self) -> None:
        """Prove that the file can be written.

        Raises:
            DeviceAbsent: it can not.
        """
        await asyncio.to_thread(self._append, b"")
        self._lost.clear()

    async def run(self) -> None:
        """Wait until a job fails.

        Raises:
            DeviceLost: the file could not be written.
        """
        await self._lost.wait()
        raise DeviceLost(self.name, self._lost_detail)

    async def close(self) -> None:
        """Do nothing: the file is open only while a job is written."""

    async def write(self, data: bytes) -> None:
        """Append one whole job, in a thread: a disk may be slow.

        Raises:
            DeviceAbsent: nothing was written.
            DeviceLost: detail says how many of how many bytes were written.
        """
        self.has_begun = True  # the thread goes on where nobody waits for it any more
        try:
            await asyncio.to_thread(self._append, data)
        except (DeviceAbsent, DeviceLost) as exc:
            self._lost_detail = exc.detail
            self._lost.set()
            raise

    def _append(self, data: bytes) -> None:
        written = 0
        try:
            flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY
            fd = os.open(self._path, flags, _MODE)
            try:
                if not stat.S_ISREG(os.fstat(fd).st_mode):
                    raise DeviceAbsent(self.name, f"{self._path} is a device: choose driver serial or usb for it")
                while written < len(data):
                    written += os.write(fd, data[written:])
            finally:
                os.close(fd)
        except OSError as exc:
            error = DeviceLost if written else DeviceAbsent
            raise error(self.name, f"{self._path}: {exc.strerror}; {written} of {len(data)} bytes sent") from exc
