"""A printer behind a character device: the kernel's USB printer class (/dev/usb/lpN), or one like it."""

import asyncio
import os
import stat
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

from terminald.adapters.fd_reader import FdReader
from terminald.adapters.fd_writer import GRACE_S, FdWriter, job_deadline_s
from terminald.errors import DeviceAbsent, DeviceLost

#: Full-speed USB moves far more; a printer takes bytes in this rhythm while paper is not what it waits for.
BYTES_PER_SECOND: Final = 20_000
#: How often an idle device is looked for. A job finds the loss at once.
WATCH_S: Final = 1.0

_CLASS_PRINTERS = Path("/sys/class/usbmisc")
_NODES = Path("/dev/usb")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Node:
    """An open character device, and what must stay in its place."""

    path: Path
    fd: int
    number: int  # st_rdev
    writer: FdWriter
    reader: FdReader | None  # None: it can not be read


class NodePrinter:
    """Sends jobs to a character device that is opened once and watched.

    It is read only for a while after it was spoken to. A USB printer with nothing to say may answer a read with an
    empty packet, which looks like the end of the device and is none; its unplugging is seen by the node that goes away,
    and by a write that fails.
    """

    kind: str = "printer"
    notices_power_off: bool = True

    def __init__(
        self,
        *,
        locate: Callable[[], Path],
        name: str = "printer",
        grace_s: float = GRACE_S,
        watch_s: float = WATCH_S,
    ) -> None:
        """Locate is asked at each opening, because a printer may come back as another node; it may raise OSError."""
        self.name = name
        self._locate = locate
        self._grace_s = grace_s
        self._watch_s = watch_s
        self._node: _Node | None = None
        self._sink: Callable[[bytes], None] = _ignore

    def listen(self, sink: Callable[[bytes], None]) -> None:
        """From now on give what the printer sends to the sink."""
        self._sink = sink

    @property
    def can_answer(self) -> bool:
        """Whether the open device may be read."""
        return self._node is not None and self._node.reader is not None

    async def open(self) -> None:
        """Open the device.

        Raises:
            DeviceAbsent: it is not there, may not be opened, or is not a printer's node.
        """
        try:
            path = self._locate()
            fd, is_readable = _open(path)
        except OSError as exc:
            raise DeviceAbsent(self.name, f"{exc.strerror}: {exc.filename or 'no node'}: {_advice(exc)}") from exc
        status = os.fstat(fd)
        if not stat.S_ISCHR(status.st_mode) or os.isatty(fd):
            os.close(fd)
            raise DeviceAbsent(self.name, f"{path} is not a printer's device: choose driver serial or file for it")
        writer = FdWriter(self.name, fd)
        reader = FdReader(fd, self._sink) if is_readable and FdReader.can_read(fd) else None
        self._node = _Node(path=path, fd=fd, number=status.st_rdev, writer=writer, reader=reader)

    async def run(self) -> None:
        """Watch the open device.

        Raises:
            DeviceLost: its node is gone, or is another device's.
        """
        while self._node is not None and _is_in_place(self._node):  # noqa: ASYNC110 - a node goes without an event
            await asyncio.sleep(self._watch_s)
        if self._node is not None:
            self._node.writer.lose("unplugged")
        raise DeviceLost(self.name, "unplugged: check the cable and the power")

    async def close(self) -> None:
        """Let go of the device. What the driver was given is the printer's."""
        node, self._node = self._node, None
        if node is not None:
            node.writer.lose("closed")
            if node.reader is not None:
                node.reader.close()
            os.close(node.fd)

    async def write(self, data: bytes) -> None:
        """Send one whole job; returns when the driver has taken the last byte.

        Raises:
            DeviceAbsent: nothing was sent.
            DeviceLost, DeviceTimeout: detail says how many of how many bytes.
        """
        if self._node is None:
            raise DeviceAbsent(self.name, f"not open; 0 of {len(data)} bytes sent")
        deadline_s = job_deadline_s(data, bytes_per_second=BYTES_PER_SECOND, grace_s=self._grace_s)
        if self._node.reader is not None:
            self._node.reader.listen()
        await self._node.writer.write(data, deadline_s=deadline_s)

    async def ask(self, request: bytes) -> None:
        """Send a few bytes that the printer obeys at once.

        Raises:
            DeviceAbsent: it is not open, or may not be read.
            DeviceLost: it went away.
            DeviceTimeout: it takes nothing now, or a job is under way and in the middle of a command.
        """
        if self._node is None or self._node.reader is None:
            raise DeviceAbsent(self.name, "it can not answer")
        self._node.reader.listen()
        await self._node.writer.ask(request)

    def stalled_s(self) -> float:
        """Return for how long the job under way has made no progress; 0 without one."""
        return self._node.writer.stalled_s() if self._node else 0.0

    def prolong(self, by_s: float) -> None:
        """Give the job under way at least so much more time."""
        if self._node:
            self._node.writer.prolong(by_s)


def _ignore(_: bytes) -> None:
    pass


def _open(path: Path) -> tuple[int, bool]:
    """Open a node to write, and to read where that is allowed."""
    flags = os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY
    try:
        return os.open(path, os.O_RDWR | flags), True
    except PermissionError:
        return os.open(path, os.O_WRONLY | flags), False


def at_path(path: Path) -> Callable[[], Path]:
    """Locate a device that stays at its path."""
    return lambda: path


def by_usb_id(
    vendor: str, product: str, *, printers: Path = _CLASS_PRINTERS, nodes: Path = _NODES
) -> Callable[[], Path]:
    """Locate the first printer with these ids (four hex digits each) that the kernel's printer class has taken."""
    return partial(_find, vendor.lower(), product.lower(), printers, nodes)


def _find(vendor: str, product: str, printers: Path, nodes: Path) -> Path:
    for entry in sorted(printers.glob("lp*")):
        device = (entry / "device").resolve().parent  # the interface's own directory lies in its device's
        if _read(device / "idVendor") == vendor and _read(device / "idProduct") == product:
            return nodes / entry.name
    raise FileNotFoundError(2, "No such USB printer", f"{vendor}:{product}")


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii").strip()
    except OSError:  # unplugged while we looked
        return ""


def _is_in_place(node: _Node) -> bool:
    try:
        return node.path.stat().st_rdev == node.number
    except OSError:
        return False


def _advice(exc: OSError) -> str:
    if isinstance(exc, PermissionError):
        return "the service user must be in the group of the device, usually lp"
    return "check the cable, the power, that the module usblp is loaded, and [printer] device"
