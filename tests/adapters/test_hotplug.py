"""Devices that are plugged in, pulled out and held, with real lines, real links and the real watch."""

import asyncio
import contextlib
import errno
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path

import pytest

from terminald.adapters.device_watch import DeviceWatch
from terminald.adapters.inotify import Inotify
from terminald.adapters.ports_devices import Device, DeviceReport, DeviceState
from terminald.adapters.printer_usb import NodePrinter, by_usb_id
from terminald.adapters.scanner_serial import SerialScanner
from terminald.adapters.supervisor import BACKOFF, Backoff, supervise
from terminald.errors import DeviceAbsent, DeviceMissing
from terminald.simulator.scanner import SimulatedScanner

WAIT_S = 20
#: What a technician is promised.
PROMISE_S = 2.0
CODE = "130812345678901147"
OTHER = "284412345678905566"
LAST = "6222222222222222222"
#: With this, nothing but the watch finds a device before a test gives up.
NEVER = Backoff(
    first_s=600,
    longest_s=600,
    longest_absent_s=600,
    longest_held_s=600,
    longest_missing_s=600,
    longest_lost_s=0.001,
    young_s=0,
)
HOLD = """
import fcntl, os, sys
fd = os.open(sys.argv[1], os.O_RDWR | os.O_NOCTTY)
fcntl.flock(fd, fcntl.LOCK_EX)
open("/proc/self/comm", "w").write("ModemManager")
print("held", flush=True)
sys.stdin.read()
"""


class Desk:
    """What the engine would be told: states and frames."""

    def __init__(self) -> None:
        self.reports: list[DeviceReport] = []
        self.frames: list[str] = []
        self._news = asyncio.Event()

    def note(self, report: DeviceReport) -> None:
        self.reports.append(report)
        self._news.set()

    def take(self, _: str, text: str) -> None:
        self.frames.append(text)
        self._news.set()

    async def scanned(self, code: str) -> None:
        await self.until(lambda: code in self.frames)

    async def until(self, fact: Callable[[], bool]) -> None:
        async with asyncio.timeout(WAIT_S):
            while not fact():
                self._news.clear()
                await self._news.wait()

    async def ready(self) -> None:
        await self.until(lambda: bool(self.reports) and self.reports[-1].state is DeviceState.READY)

    async def absent(self, said: str) -> None:
        await self.until(lambda: bool(self.reports) and said in self.reports[-1].detail)


@contextlib.asynccontextmanager
async def in_service(
    device: Device,
    desk: Desk,
    *,
    backoff: Backoff = NEVER,
    start: Callable[[], Inotify] = Inotify,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> AsyncIterator[None]:
    """Supervise a device for as long as the block lasts."""
    with contextlib.closing(DeviceWatch(start=start)) as watch:
        task = asyncio.create_task(
            supervise(device, desk.note, jitter=lambda: 0.5, watch=watch, backoff=backoff, sleep=sleep)
        )
        try:
            yield
        finally:
            task.cancel()
            await asyncio.wait([task])
            assert task.cancelled()


def scanner_at(path: Path | str, desk: Desk) -> SerialScanner:
    async def quiet() -> None:
        """Settle at once."""

    scanner = SerialScanner(
        name="front", device=str(path), baudrate=9600, suffix="cr", on_frame=desk.take, settle=quiet
    )
    scanner.arm()
    return scanner


@pytest.fixture
def link(tmp_path: Path) -> Path:
    """A stable name in a directory that does not exist yet."""
    return tmp_path / "serial" / "by-id" / "scanner"


@pytest.fixture
def simulated(link: Path) -> Iterator[SimulatedScanner]:
    link.parent.mkdir(parents=True)
    with SimulatedScanner(link=link) as scanner:
        yield scanner


def test_a_device_that_is_absent_at_the_start_is_opened_when_it_comes(link: Path) -> None:
    async def scene() -> None:
        desk, loop = Desk(), asyncio.get_running_loop()
        async with in_service(scanner_at(link, desk), desk):
            await desk.absent("is not there")
            link.parent.mkdir(parents=True)
            plugged_at = loop.time()
            with SimulatedScanner(link=link) as simulated:
                await desk.ready()
                assert loop.time() - plugged_at < PROMISE_S
                simulated.scan(CODE)
                await desk.scanned(CODE)

    asyncio.run(scene())


def test_a_device_that_is_unplugged_in_mid_frame_comes_back_under_another_name(simulated: SimulatedScanner) -> None:
    """Half a payment code is never joined with what comes after it."""

    async def scene() -> None:
        desk, loop = Desk(), asyncio.get_running_loop()
        async with contextlib.AsyncExitStack() as others:
            await others.enter_async_context(in_service(scanner_at(simulated.path, desk), desk))
            await desk.ready()
            for code in (CODE, OTHER, LAST):
                before = simulated.device
                simulated.scan(code[:9], suffix="")
                simulated.unplug()
                await desk.absent("is not there")
                for _ in range(16):  # take the name that has become free, whatever else opens and closes here
                    others.enter_context(SimulatedScanner())
                plugged_at = loop.time()
                simulated.replug()
                await desk.ready()
                assert loop.time() - plugged_at < PROMISE_S
                assert simulated.device != before
                simulated.scan(code)
                await desk.scanned(code)
            assert desk.frames == [CODE, OTHER, LAST]

    asyncio.run(scene())


def test_a_line_that_another_process_holds_is_opened_when_it_lets_go(simulated: SimulatedScanner) -> None:
    async def scene(holder: subprocess.Popen[str]) -> None:
        desk = Desk()
        backoff = Backoff(first_s=0.01, longest_held_s=0.01, longest_missing_s=600, longest_s=600)
        async with in_service(scanner_at(simulated.path, desk), desk, backoff=backoff):
            await desk.absent(f"held by another process (ModemManager, process {holder.pid})")
            await asyncio.to_thread(holder.communicate)
            await desk.ready()

    with subprocess.Popen(
        [sys.executable, "-c", HOLD, simulated.path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        asyncio.run(scene(process))
    assert BACKOFF.longest_held_s <= PROMISE_S


def test_a_device_is_looked_for_by_time_when_the_kernel_does_not_tell(link: Path) -> None:
    def refuse() -> Inotify:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    async def scene() -> None:
        desk = Desk()
        backoff = Backoff(first_s=0.01, longest_absent_s=0.01, longest_missing_s=600)
        async with in_service(scanner_at(link, desk), desk, backoff=backoff, start=refuse):
            await desk.absent("is not there")
            link.parent.mkdir(parents=True)
            with SimulatedScanner(link=link):
                await desk.ready()

    asyncio.run(scene())
    assert BACKOFF.longest_absent_s <= PROMISE_S


def plug(root: Path, node: str, product: str) -> None:
    """Do what the kernel does for a USB printer: its entry in sysfs first, then its node."""
    interface = root / "devices" / node / "1-1:1.0"
    entry = root / "class" / node
    interface.mkdir(parents=True, exist_ok=True)
    (interface.parent / "idVendor").write_text("04b8\n")
    (interface.parent / "idProduct").write_text(product + "\n")
    entry.mkdir(parents=True)
    (entry / "device").symlink_to(interface)
    (root / "usb").mkdir(exist_ok=True)
    (root / "usb" / node).symlink_to(os.devnull)


def unplug(root: Path, node: str) -> None:
    (root / "class" / node / "device").unlink()
    (root / "class" / node).rmdir()
    (root / "usb" / node).unlink()


def test_a_usb_printer_is_found_by_its_id_as_whatever_it_comes(tmp_path: Path) -> None:
    async def scene() -> None:
        desk, loop = Desk(), asyncio.get_running_loop()
        with contextlib.closing(DeviceWatch()) as watch:
            place = by_usb_id("04b8", "0202", printers=tmp_path / "class", nodes=tmp_path / "usb")
            async with in_service(NodePrinter(locate=place, watch=watch), desk):
                await desk.absent("USB printer 04b8:0202 is not there")
                plug(tmp_path, "lp0", "0e15")
                for node in ("lp1", "lp2", "lp1"):
                    plugged_at = loop.time()
                    plug(tmp_path, node, "0202")
                    await desk.ready()
                    assert loop.time() - plugged_at < PROMISE_S
                    unplug(tmp_path, node)
                    await desk.absent("is not there")
        assert [report.detail[:9] for report in desk.reports[1:4]] == ["", "unplugged", "USB print"]

    asyncio.run(scene())


# --- a device of which every look is counted -------------------------------------------------------------------------


class Node:
    """A device that may be opened when its file has a group's permissions, as udev gives them in the end."""

    kind = "scanner"
    name = "front"

    def __init__(self, path: Path) -> None:
        self.watched = (path,)
        self.looks = 0
        self._looked = asyncio.Condition()

    async def looked(self, times: int) -> None:
        """Return when so many looks were taken."""
        async with asyncio.timeout(WAIT_S), self._looked:
            await self._looked.wait_for(lambda: self.looks >= times)

    async def open(self) -> None:
        self.looks += 1
        async with self._looked:
            self._looked.notify_all()
        try:
            mode = self.watched[0].stat().st_mode
        except FileNotFoundError as exc:
            raise DeviceMissing(self.name, "is not there") from exc
        if mode & 0o060 != 0o060:
            raise DeviceAbsent(self.name, "no permission")

    async def run(self) -> None:
        await asyncio.Event().wait()

    async def close(self) -> None:
        """Nothing is open."""


class Sleeps:
    """Stand in for sleeping: note how long; only what is short ends."""

    def __init__(self) -> None:
        self.seconds: list[float] = []

    async def __call__(self, seconds: float) -> None:
        self.seconds.append(seconds)
        await (asyncio.sleep(0) if seconds < 1 else asyncio.Event().wait())


def test_nothing_wakes_a_device_that_is_waited_for_but_its_own_path(tmp_path: Path) -> None:
    """Zero wake-ups while quiet: one timer of a minute, and one look."""

    async def scene() -> None:
        desk, sleeps = Desk(), Sleeps()
        mine, other = Node(tmp_path / "ttyACM0"), Node(tmp_path / "ttyACM1")
        async with in_service(mine, desk, backoff=BACKOFF, sleep=sleeps):
            await desk.absent("is not there")
            watched = Desk()
            async with in_service(other, watched, backoff=BACKOFF, sleep=Sleeps()):
                await watched.absent("is not there")
                for number in range(1000):
                    (tmp_path / f"ttyS{number}").touch()
                other.watched[0].touch()
                other.watched[0].chmod(0o660)
                await watched.ready()
            assert mine.looks == 1
            assert sleeps.seconds == [BACKOFF.longest_missing_s * 0.75]
            mine.watched[0].touch()
            mine.watched[0].chmod(0o660)
            await desk.ready()

    asyncio.run(scene())


def test_permissions_that_come_later_are_noticed_and_not_complained_about_before(tmp_path: Path) -> None:
    """udev sets the group after the node is there."""

    async def scene() -> None:
        desk, node = Desk(), Node(tmp_path / "ttyACM0")
        backoff = Backoff(first_s=600, longest_s=600, young_s=600, settle_s=0)
        async with in_service(node, desk, backoff=backoff):
            await desk.absent("is not there")
            node.watched[0].touch(mode=0o600)
            await node.looked(2)
            node.watched[0].chmod(0o660)
            await desk.ready()
        assert [report.detail for report in desk.reports] == ["is not there", ""]

    asyncio.run(scene())


def test_permissions_that_do_not_come_are_reported(tmp_path: Path) -> None:
    async def scene() -> None:
        desk, node = Desk(), Node(tmp_path / "ttyACM0")
        backoff = Backoff(first_s=0.02, longest_s=0.02, young_s=0.05, settle_s=0)
        async with in_service(node, desk, backoff=backoff):
            await desk.absent("is not there")
            node.watched[0].touch(mode=0o600)
            await desk.absent("no permission")

    asyncio.run(scene())


def test_a_place_where_everything_changes_all_the_time_is_looked_at_with_pauses(tmp_path: Path) -> None:
    async def scene() -> None:
        desk, sleeps, node = Desk(), Sleeps(), Node(tmp_path / "ttyACM0")
        node.watched[0].touch(mode=0o600)
        async with in_service(node, desk, backoff=Backoff(first_s=600, longest_s=600, young_s=0), sleep=sleeps):
            await desk.absent("no permission")
            for times in range(2, 6):
                node.watched[0].chmod(0o600)
                await node.looked(times)
            settled = [each for each in sleeps.seconds if each <= BACKOFF.longest_settle_s]
            assert settled == [0.1, 0.2, 0.4, 0.8]
            assert BACKOFF.longest_settle_s < PROMISE_S

    asyncio.run(scene())
