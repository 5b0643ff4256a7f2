"""A printer behind a character device: the kernel's USB printer class (/dev/usb/lpN), or one like it."""

import asyncio
import contextlib
import errno
import os
import stat
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

from terminald.adapters.device_faults import opening_error
from terminald.adapters.device_opening import OPEN_LIMIT_S, Opener
from terminald.adapters.device_watch import DeviceWatch, Lookout
from terminald.adapters.fd_hangup import heeding_hangup
from terminald.adapters.fd_reader import FdReader
from terminald.adapters.fd_writer import GRACE_S, FdWriter, job_deadline_s
from terminald.errors import DeviceAbsent, DeviceLost, DeviceMissing

#: Full-speed USB moves far more; a printer takes bytes in this rhythm while paper is not what it waits for.
BYTES_PER_SECOND: Final = 20_000
#: How often an idle device is looked for where the watch does not see it. A job finds the loss at once.
LOOK_S: Final = 2.0

#: Debian's group of printers.
_GROUP: Final = "lp"

_CLASS_PRINTERS = Path("/sys/class/usbmisc")
_NODES = Path("/dev/usb")


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a device is to be found. Find may raise OSError; watched is the node, or the directory it appears in."""

    find: Callable[[], Path]
    watched: Path

    def __call__(self) -> Path:
        """Return the device's node as it is now."""
        return self.find()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Node:
    """An open character device, and what must stay in its place."""

    path: Path
    fd: int
    number: int  # st_rdev
    writer: FdWriter
    reader: FdReader | None  # None: it can not be read


@dataclass(frozen=True, slots=True, kw_only=True)
class _Opened:
    """What was opened."""

    path: Path
    fd: int
    is_readable: bool
    number: int | None  # st_rdev; None: it is no printer's node


class NodePrinter:
    """Sends jobs to a character device that is opened once and watched.

    It is read only for a while after it was spoken to. A USB printer with nothing to say may answer a read with an
    empty packet, which looks like the end of the device and is none; its unplugging is seen by the node that goes away,
    by the kernel's hang-up (since 2021), and by a write that fails.
    """

    kind: str = "printer"
    notices_power_off: bool = True
    line_rate: float | None = None

    def __init__(
        self,
        *,
        locate: Place,
        watch: DeviceWatch | None = None,
        name: str = "printer",
        grace_s: float = GRACE_S,
        open_limit_s: float = OPEN_LIMIT_S,
    ) -> None:
        """Locate is asked at each opening, because a printer may come back as another node; it may raise OSError.

        It is asked in a thread, and it may block.
        """
        self.name = name
        self._locate = locate
        self._watch = watch
        self._grace_s = grace_s
        self._node: _Node | None = None
        self._opener = Opener[_Opened](name, close=lambda opened: os.close(opened.fd), open_limit_s=open_limit_s)
        self._sink: Callable[[bytes], None] = _ignore
        self.has_begun = False

    def listen(self, sink: Callable[[bytes], None]) -> None:
        """From now on give what the printer sends to the sink."""
        self._sink = sink

    @property
    def can_answer(self) -> bool:
        """Whether the open device may be read."""
        return self._node is not None and self._node.reader is not None

    @property
    def watched(self) -> tuple[Path, ...]:
        """Return the node, or the directory in which it may appear under any name."""
        return (self._locate.watched,)

    async def open(self) -> None:
        """Open the device, in a thread: its driver may have to wake it up.

        Raises:
            DeviceAbsent: it is not there, may not be opened, does not answer, or is not a printer's node.
        """
        try:
            opened = await self._opener.open(str(self._locate.watched), lambda: _open(self._locate()))
        except OSError as exc:
            raise await self._refused(exc) from exc
        path, fd = opened.path, opened.fd
        if opened.number is None:
            await self._opener.close(str(path), partial(os.close, fd))
            raise DeviceAbsent(self.name, f"{path} is not a printer's device: choose driver serial or file for it")
        writer = FdWriter(self.name, fd)
        reader = FdReader(fd, self._sink) if opened.is_readable and FdReader.can_read(fd) else None
        self._node = _Node(path=path, fd=fd, number=opened.number, writer=writer, reader=reader)

    async def run(self) -> None:
        """Watch the open device.

        Raises:
            DeviceLost: it hung up, or its node is gone or another device's.
        """
        if self._node is not None:
            await _until_gone(self._node, Lookout(self._watch))
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
            await self._opener.close(str(node.path), partial(os.close, node.fd))

    async def write(self, data: bytes) -> None:
        """Send one whole job; returns when the driver has taken the last byte.

        Raises:
            DeviceAbsent: nothing was sent.
            DeviceLost, DeviceTimeout: detail says how many of how many bytes.
        """
        node, self.has_begun = self._node, False
        if node is None:
            raise DeviceAbsent(self.name, f"not open; 0 of {len(data)} bytes sent")
        deadline_s = job_deadline_s(data, bytes_per_second=BYTES_PER_SECOND, grace_s=self._grace_s)
        if node.reader is not None:
            node.reader.listen()
        try:
            await node.writer.write(data, deadline_s=deadline_s)
        finally:
            self.has_begun = node.writer.has_begun

    async def _refused(self, exc: OSError) -> DeviceAbsent:
        error = await opening_error(self.name, str(exc.filename or self._locate.watched), exc, group=_GROUP)
        if isinstance(error, DeviceMissing):
            return DeviceMissing(self.name, f"{error.detail}, and that the module usblp is loaded")
        return error

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

    def go_on(self) -> bool:
        """Return that no XOFF is obeyed here."""
        return False

    def prolong(self, by_s: float) -> None:
        """Give the job under way at least so much more time."""
        if self._node:
            self._node.writer.prolong(by_s)


def _ignore(_: bytes) -> None:
    pass


def _open(path: Path) -> _Opened:
    """Open a node to write, and to read where that is allowed."""
    flags = os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY
    is_readable = True
    try:
        fd = os.open(path, os.O_RDWR | flags)
    except PermissionError:
        fd = os.open(path, os.O_WRONLY | flags)
        is_readable = False
    status = os.fstat(fd)
    is_fit = stat.S_ISCHR(status.st_mode) and not os.isatty(fd)
    return _Opened(path=path, fd=fd, is_readable=is_readable, number=status.st_rdev if is_fit else None)


def at_path(path: Path) -> Place:
    """Locate a device that stays at its path."""
    return Place(find=lambda: path, watched=path)


def by_usb_id(vendor: str, product: str, *, printers: Path = _CLASS_PRINTERS, nodes: Path = _NODES) -> Place:
    """Locate the first printer with these ids (four hex digits each) that the kernel's printer class has taken."""
    return Place(find=partial(_find, vendor.lower(), product.lower(), printers, nodes), watched=nodes)


def _find(vendor: str, product: str, printers: Path, nodes: Path) -> Path:
    for entry in sorted(printers.glob("lp*")):
        device = (entry / "device").resolve().parent  # the interface's own directory lies in its device's
        if _read(device / "idVendor") == vendor and _read(device / "idProduct") == product:
            return nodes / entry.name
    raise FileNotFoundError(errno.ENOENT, "not there", f"USB printer {vendor}:{product}")


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


async def _until_gone(node: _Node, lookout: Lookout) -> None:
    """Return when the device hung up, or its node is not in its place any more."""
    has_hung_up = False

    def hang_up() -> None:
        nonlocal has_hung_up
        has_hung_up = True
        lookout.note()

    with heeding_hangup(node.fd, hang_up), contextlib.closing(lookout):
        while True:
            lookout.arm((node.path,))
            if has_hung_up or not _is_in_place(node):
                return
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LOOK_S if lookout.is_blind else None):
                    await lookout.changed()
