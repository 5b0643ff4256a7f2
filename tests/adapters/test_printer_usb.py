import asyncio
import contextlib
import os
import pty
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from terminald.adapters.device_watch import DeviceWatch
from terminald.adapters.printer_usb import LOOK_S, NodePrinter, Place, at_path, by_usb_id
from terminald.errors import DeviceAbsent, DeviceLost

NULL = Path(os.devnull)


def plug(sysfs: Path, node: str, vendor: str, product: str) -> None:
    """Make the kernel's view of a printer: a device, its interface, and a class entry that points to the interface."""
    device = sysfs / "devices" / node
    interface = device / "1-1:1.0"
    interface.mkdir(parents=True)
    (device / "idVendor").write_text(vendor + "\n")
    (device / "idProduct").write_text(product + "\n")
    entry = sysfs / "class" / node
    entry.mkdir(parents=True)
    (entry / "device").symlink_to(interface)


def test_a_job_goes_to_the_device() -> None:
    async def scene() -> None:
        printer = NodePrinter(locate=at_path(NULL))
        await printer.open()
        await printer.write(b"x" * 1000)
        await printer.close()
        await printer.close()
        with pytest.raises(DeviceAbsent, match="not open; 0 of 1 "):
            await printer.write(b"x")

    asyncio.run(scene())


def test_a_device_that_refuses_at_once_took_nothing() -> None:
    async def scene() -> None:
        printer = NodePrinter(locate=at_path(Path("/dev/full")))
        await printer.open()
        with pytest.raises(DeviceAbsent, match="No space left on device; 0 of 5 bytes sent"):
            await printer.write(b"12345")
        await printer.close()

    asyncio.run(scene())


def test_an_unplugged_device_is_noticed_by_its_node(tmp_path: Path) -> None:
    node = tmp_path / "lp0"
    node.symlink_to(NULL)

    async def scene() -> None:
        with contextlib.closing(DeviceWatch()) as watch:
            printer = NodePrinter(locate=at_path(node), watch=watch)
            await printer.open()
            running = asyncio.create_task(printer.run())
            await asyncio.sleep(0)
            node.unlink()
            async with asyncio.timeout(LOOK_S * 10):
                with pytest.raises(DeviceLost, match="unplugged"):
                    await running
        with pytest.raises(DeviceAbsent, match="unplugged; 0 of 1 "):
            await printer.write(b"x")
        await printer.close()

    asyncio.run(scene())


def test_another_device_in_its_place_is_not_ours(tmp_path: Path) -> None:
    node = tmp_path / "lp0"
    node.symlink_to(NULL)

    async def scene() -> None:
        printer = NodePrinter(locate=at_path(node))
        await printer.open()
        node.unlink()
        node.symlink_to("/dev/zero")
        with pytest.raises(DeviceLost):
            await printer.run()
        await printer.close()

    asyncio.run(scene())


class SlowDriver:
    """A place whose device can be opened only when it is let go."""

    def __init__(self) -> None:
        self.go = threading.Event()
        self.asked = 0

    def place(self) -> Place:
        return Place(find=self._find, watched=NULL)

    def _find(self) -> Path:
        self.asked += 1
        assert self.go.wait(20)
        return NULL


def open_nulls() -> int:
    """Count this process's descriptors of the null device that a printer would have."""
    count = 0
    for entry in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(OSError):
            count += int(entry.name) > 2 and os.fstat(int(entry.name)).st_rdev == NULL.stat().st_rdev
    return count


async def until(is_so: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not is_so():  # noqa: ASYNC110 - a thread tells nobody
            await asyncio.sleep(0.001)


def test_a_driver_that_does_not_answer_holds_up_nobody_and_is_given_up() -> None:
    """I11. No second thread is given to it, and what is opened too late is closed."""
    driver = SlowDriver()

    async def scene() -> None:
        before = open_nulls()
        printer = NodePrinter(locate=driver.place(), open_limit_s=0.01)
        for _ in range(3):
            with pytest.raises(DeviceAbsent, match=f"{NULL} can not be opened: its driver does not answer"):
                await printer.open()
        assert driver.asked == 1
        with pytest.raises(DeviceAbsent, match="not open"):
            await printer.write(b"x")
        driver.go.set()
        await until(lambda: driver.asked == 1 and open_nulls() == before)

    asyncio.run(scene())


def test_an_opening_that_is_cancelled_ends_at_once_and_leaves_nothing_open() -> None:
    driver = SlowDriver()

    async def scene() -> None:
        before = open_nulls()
        printer = NodePrinter(locate=driver.place())
        opening = asyncio.create_task(printer.open())
        await until(lambda: driver.asked == 1)
        opening.cancel()
        await asyncio.wait({opening})
        assert opening.cancelled()
        driver.go.set()
        await until(lambda: open_nulls() == before)
        assert not printer.can_answer

    asyncio.run(scene())


def test_what_is_not_there_is_absent_and_nothing_is_created(tmp_path: Path) -> None:
    async def scene() -> None:
        with pytest.raises(DeviceAbsent, match="usblp"):
            await NodePrinter(locate=at_path(tmp_path / "lp0")).open()

    asyncio.run(scene())
    assert list(tmp_path.iterdir()) == []


def test_files_and_serial_lines_are_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    far, near = pty.openpty()

    async def scene() -> None:
        for path in (tmp_path / "file", Path(os.ttyname(near))):
            with pytest.raises(DeviceAbsent, match="choose driver serial or file"):
                await NodePrinter(locate=at_path(path)).open()

    asyncio.run(scene())
    os.close(far)
    os.close(near)


def test_a_printer_is_found_by_its_usb_id(tmp_path: Path) -> None:
    plug(tmp_path, "lp0", "1fc9", "2016")
    plug(tmp_path, "lp1", "04b8", "0e15")
    nodes = tmp_path / "dev"
    assert by_usb_id("04B8", "0E15", printers=tmp_path / "class", nodes=nodes)() == nodes / "lp1"
    with pytest.raises(FileNotFoundError):
        by_usb_id("04b8", "0202", printers=tmp_path / "class", nodes=nodes)()
    (tmp_path / "devices" / "lp1" / "idProduct").unlink()
    with pytest.raises(FileNotFoundError):
        by_usb_id("04b8", "0e15", printers=tmp_path / "class", nodes=nodes)()


def test_a_usb_id_that_is_not_plugged_is_absent(tmp_path: Path) -> None:
    async def scene() -> None:
        printer = NodePrinter(locate=by_usb_id("04b8", "0202", printers=tmp_path, nodes=tmp_path))
        with pytest.raises(DeviceAbsent, match="USB printer 04b8:0202 is not there; check the cable"):
            await printer.open()

    asyncio.run(scene())


def test_a_device_that_can_not_be_read_can_not_answer() -> None:
    async def scene() -> None:
        printer = NodePrinter(locate=at_path(NULL))
        assert not printer.can_answer
        assert printer.stalled_s() == 0
        printer.prolong(1.0)
        await printer.open()
        assert not printer.can_answer
        with pytest.raises(DeviceAbsent, match="can not answer"):
            await printer.ask(b"\x10\x04\x01")
        await printer.close()

    asyncio.run(scene())


def test_a_device_that_floods_is_heard_in_small_pieces_and_only_after_it_was_spoken_to() -> None:
    """I8. The kernel's random numbers are such a device, that takes what is written as well."""

    async def scene() -> None:
        heard: list[int] = []
        printer = NodePrinter(locate=at_path(Path("/dev/random")))
        printer.listen(lambda data: heard.append(len(data)))
        await printer.open()
        assert printer.can_answer
        await asyncio.sleep(0.05)
        assert heard == []
        await printer.ask(b"\x10\x04\x01")
        await asyncio.sleep(0.2)
        assert 0 < len(heard) < 60
        assert max(heard) <= 256
        await printer.close()
        count = len(heard)
        await asyncio.sleep(0.05)
        assert len(heard) == count

    asyncio.run(scene())
