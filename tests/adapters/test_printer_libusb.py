import asyncio
import errno
import threading
from array import array
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import cast

import pytest
from usb.backend import IBackend

from terminald.adapters.printer_libusb import LibusbPrinter
from terminald.adapters.usb_pipe import UsbPipe, open_pipe
from terminald.errors import DeviceAbsent, DeviceLost, DeviceTimeout
from tests.adapters.usb_world import BULK, FakeBus, FakeInterface, FakeUsb, bus

LINE = b"abcdefghi\n"


@pytest.fixture
def nodes(tmp_path: Path) -> Path:
    (tmp_path / "001").mkdir()
    (tmp_path / "001" / "010").touch()
    return tmp_path


def printer_on(usb: FakeUsb, nodes: Path, *, grace_s: float = 0.3) -> LibusbPrinter:
    def connect() -> UsbPipe:
        return open_pipe(0x0416, 0x5011, backend=bus(usb), nodes=nodes)

    return LibusbPrinter(connect=connect, grace_s=grace_s)


def play(usb: FakeUsb, nodes: Path, scene: Callable[[LibusbPrinter], Awaitable[None]], *, grace_s: float = 0.3) -> None:
    async def whole() -> None:
        printer = printer_on(usb, nodes, grace_s=grace_s)
        await printer.open()
        try:
            await scene(printer)
        finally:
            await printer.close()
            await printer.close()

    asyncio.run(whole())


def test_a_job_leaves_whole_and_in_small_pieces(nodes: Path) -> None:
    usb = FakeUsb()
    job = LINE * 100

    async def scene(printer: LibusbPrinter) -> None:
        assert printer.can_answer
        assert printer.watched == (Path("/dev/bus/usb"),)
        await asyncio.gather(printer.write(job), printer.write(b"second"))
        assert printer.stalled_s() == 0

    play(usb, nodes, scene)
    assert bytes(usb.taken) == job + b"second"
    assert max(usb.transfers) <= 128
    assert usb.history == ["open", "claim 0", "release 0", "close"]


def test_a_printer_that_takes_nothing_more_is_given_up_with_the_exact_count_and_nothing_twice(nodes: Path) -> None:
    usb = FakeUsb(room=205)

    async def scene(printer: LibusbPrinter) -> None:
        with pytest.raises(DeviceTimeout, match=r"it accepts nothing more after .* 205 of 1000 bytes sent"):
            await printer.write(b"x" * 1000)

    play(usb, nodes, scene, grace_s=0.2)
    assert bytes(usb.taken) == b"x" * 205


def test_one_that_takes_nothing_at_all_got_nothing(nodes: Path) -> None:
    async def scene(printer: LibusbPrinter) -> None:
        with pytest.raises(DeviceAbsent, match="0 of 10 bytes sent"):
            await printer.write(LINE)

    play(FakeUsb(room=0), nodes, scene, grace_s=0.05)


def test_a_printer_that_goes_on_gets_the_rest_and_only_that(nodes: Path) -> None:
    usb = FakeUsb(room=205)

    async def scene(printer: LibusbPrinter) -> None:
        writing = asyncio.create_task(printer.write(LINE * 100))
        await asyncio.to_thread(usb.waits.wait)
        await asyncio.sleep(0.05)
        assert printer.stalled_s() > 0.02
        printer.prolong(5)
        usb.room = 1 << 20
        await writing

    play(usb, nodes, scene)
    assert bytes(usb.taken) == LINE * 100


def test_time_is_given_only_to_a_job_that_has_begun(nodes: Path) -> None:
    async def scene(printer: LibusbPrinter) -> None:
        printer.prolong(60)
        writing = asyncio.create_task(printer.write(LINE))
        await asyncio.sleep(0.01)
        printer.prolong(60)
        with pytest.raises(DeviceAbsent):
            await writing

    play(FakeUsb(room=0), nodes, scene, grace_s=0.05)


def test_what_left_during_the_last_transfer_counts(nodes: Path) -> None:
    """The limit passes in the middle of a transfer: its bytes have left all the same."""
    usb = FakeUsb(room=5)

    async def scene(printer: LibusbPrinter) -> None:
        writing = asyncio.create_task(printer.write(LINE))
        await asyncio.to_thread(usb.waits.wait)
        writing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await writing
        await printer.write(b"next")

    usb.room = 5
    play(usb, nodes, lambda printer: _grow(usb, scene(printer)))
    assert bytes(usb.taken) == LINE[:5] + b"next"


@pytest.mark.parametrize(("room", "fault", "has_begun"), [(0, 0, False), (1 << 20, 0, True), (0, errno.EIO, True)])
def test_whether_a_job_that_was_given_up_has_begun_is_known(
    nodes: Path, room: int, fault: int, *, has_begun: bool
) -> None:
    """The transfer under way may be taken, or fail with nobody knowing what it brought."""
    usb, entered, go = FakeUsb(), threading.Event(), threading.Event()

    class Slow(FakeBus):
        def bulk_write(self, dev_handle: FakeUsb, ep: int, intf: int, data: "array[int]", timeout_ms: int) -> int:
            entered.set()
            assert go.wait(20)
            usb.room, usb.fault = room, fault
            return super().bulk_write(dev_handle, ep, intf, data, timeout_ms)

    def connect() -> UsbPipe:
        return open_pipe(0x0416, 0x5011, backend=cast("IBackend", Slow(usb)), nodes=nodes)

    async def scene() -> None:
        printer = LibusbPrinter(connect=connect)
        await printer.open()
        writing = asyncio.create_task(printer.write(LINE))
        await asyncio.to_thread(entered.wait)
        writing.cancel()
        await asyncio.sleep(0)
        go.set()
        with pytest.raises(asyncio.CancelledError):
            await writing
        assert printer.has_begun is has_begun
        await printer.close()

    asyncio.run(scene())


async def _grow(usb: FakeUsb, scene: Awaitable[None]) -> None:
    async def later() -> None:
        await asyncio.to_thread(usb.waits.wait)
        await asyncio.sleep(0.05)
        usb.room = 1 << 20

    growing = asyncio.create_task(later())
    await scene
    await growing


@pytest.mark.parametrize("fault", [errno.ENODEV, errno.EIO, errno.EPIPE])
def test_a_printer_that_is_unplugged_is_lost_with_its_job(nodes: Path, fault: int) -> None:
    usb = FakeUsb(room=20)

    async def scene(printer: LibusbPrinter) -> None:
        watching = asyncio.create_task(printer.run())
        writing = asyncio.create_task(printer.write(LINE * 3))
        await asyncio.to_thread(usb.waits.wait)
        usb.fault = fault
        with pytest.raises(DeviceLost, match=r"No such device .*; 20 of 30 bytes sent"):
            await writing
        with pytest.raises(DeviceLost, match="No such device"):
            await watching
        with pytest.raises(DeviceLost, match="No such device"):
            await printer.ask(b"\x10\x04\x01")
        with pytest.raises(DeviceAbsent, match="0 of 1 bytes"):
            await printer.write(b"x")

    play(usb, nodes, scene, grace_s=5)


@pytest.mark.parametrize(("size", "is_whole"), [(100, True), (300, False)])
def test_what_a_failed_transfer_was_to_bring_may_have_arrived(nodes: Path, size: int, *, is_whole: bool) -> None:
    """A job that ends with it is not taken for unsent, nor for certainly lost."""

    async def scene(printer: LibusbPrinter) -> None:
        with pytest.raises(DeviceLost, match=f"0 of {size} bytes sent") as caught:
            await printer.write(b"x" * size)
        assert caught.value.may_be_whole is is_whole
        with pytest.raises(DeviceAbsent, match="0 of 1 bytes"):
            await printer.write(b"x")

    usb = FakeUsb()

    async def unplugged(printer: LibusbPrinter) -> None:
        usb.fault = errno.EIO
        await scene(printer)

    play(usb, nodes, unplugged)


def test_an_idle_printer_that_is_unplugged_is_noticed_by_its_node(nodes: Path) -> None:
    async def scene(printer: LibusbPrinter) -> None:
        watching = asyncio.create_task(printer.run())
        await asyncio.sleep(0)
        (nodes / "001" / "010").unlink()
        with pytest.raises(DeviceLost, match="unplugged"):
            await watching

    play(FakeUsb(), nodes, scene)


def test_its_answers_arrive_and_while_nothing_is_asked_nothing_is_read(nodes: Path) -> None:
    usb = FakeUsb()
    heard = bytearray()
    arrived = asyncio.Event()

    def hear(data: bytes) -> None:
        heard.extend(data)
        if len(heard) == 3:
            arrived.set()

    async def whole() -> None:
        printer = printer_on(usb, nodes)
        printer.listen(hear)
        await printer.open()
        await asyncio.sleep(0.05)
        assert usb.reads == 0
        usb.says += b"\x12"
        await printer.ask(b"\x10\x04\x01")
        await printer.write(LINE)
        usb.says += b"\x16\x12"
        await arrived.wait()
        await printer.close()

    asyncio.run(whole())
    assert bytes(heard) == b"\x12\x16\x12"
    assert bytes(usb.taken) == b"\x10\x04\x01" + LINE


def test_a_held_job_is_interrupted_by_a_question_between_two_commands_only(nodes: Path) -> None:
    usb = FakeUsb(room=20)

    async def scene(printer: LibusbPrinter) -> None:
        writing = asyncio.create_task(printer.write(b"a" * 19 + b"\n" + LINE * 30))
        await asyncio.to_thread(usb.waits.wait)
        with pytest.raises(DeviceTimeout, match="accepts nothing"):
            await printer.ask(b"\x10\x04\x02")
        usb.room = 23
        while len(usb.taken) < 23:  # noqa: ASYNC110 - the other side is a thread
            await asyncio.sleep(0.005)
        await asyncio.sleep(0.05)
        with pytest.raises(DeviceTimeout, match="a job is under way"):
            await printer.ask(b"\x10\x04\x02")
        usb.room = 1 << 20
        await writing
        await printer.ask(b"\x10\x04\x02")

    play(usb, nodes, scene, grace_s=5)
    assert bytes(usb.taken) == b"a" * 19 + b"\n" + LINE * 30 + b"\x10\x04\x02"


def test_a_question_that_left_in_part_is_finished_before_the_job_goes_on(nodes: Path) -> None:
    """A printer takes the next byte for its end: it is not to be the job's."""
    usb = FakeUsb(room=2)

    async def scene(printer: LibusbPrinter) -> None:
        for number in (b"\x01", b"\x02"):
            with pytest.raises(DeviceTimeout, match="accepts nothing"):
                await printer.ask(b"\x10\x04" + number)
        usb.room = 1 << 20
        await printer.write(LINE)
        await printer.ask(b"\x10\x04\x02")

    play(usb, nodes, scene)
    assert bytes(usb.taken) == b"\x10\x04\x01" + LINE + b"\x10\x04\x02"


def test_a_printer_without_a_way_back_can_not_be_asked(nodes: Path) -> None:
    async def scene(printer: LibusbPrinter) -> None:
        assert not printer.can_answer
        with pytest.raises(DeviceAbsent, match="can not answer"):
            await printer.ask(b"\x10\x04\x01")
        await printer.write(LINE)

    usb = FakeUsb(interfaces=(FakeInterface(pipes=((0x01, BULK),)),))
    play(usb, nodes, scene)
    assert usb.reads == 0


@pytest.mark.parametrize(
    ("usb", "words"),
    [
        (FakeUsb(product=1), "no USB device 0416:5011: check the cable"),
        (FakeUsb(open_fault=errno.EACCES), "in the group lp, and a udev rule"),
        (FakeUsb(claim_fault=errno.EBUSY), "another program or driver has it"),
        (FakeUsb(interfaces=()), r"is it the printer's id\?"),
        (FakeUsb(open_fault=errno.ENOSYS), "apt install libusb-1.0-0"),
    ],
)
def test_what_can_not_be_opened_says_what_to_do(nodes: Path, usb: FakeUsb, words: str) -> None:
    async def scene() -> None:
        printer = printer_on(usb, nodes)
        with pytest.raises(DeviceAbsent, match=words):
            await printer.open()
        assert not printer.can_answer
        with pytest.raises(DeviceAbsent, match="not open; 0 of 1 "):
            await printer.write(b"x")
        with pytest.raises(DeviceAbsent):
            await printer.ask(b"x")
        with pytest.raises(DeviceLost):
            await printer.run()

    asyncio.run(scene())


def test_an_opening_that_is_cancelled_leaves_nothing_open(nodes: Path) -> None:
    usb = FakeUsb()

    async def scene() -> None:
        opening = asyncio.create_task(printer_on(usb, nodes).open())
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        opening.cancel()
        with pytest.raises(asyncio.CancelledError):
            await opening
        async with asyncio.timeout(20):
            while usb.history[-1:] != ["close"]:  # noqa: ASYNC110 - a thread tells nobody
                await asyncio.sleep(0.001)

    asyncio.run(scene())
    assert usb.history.count("open") == usb.history.count("close") == 1


def test_a_bus_that_does_not_answer_is_given_up_and_closed_late(nodes: Path) -> None:
    """I11. While it does not answer, it is asked once only."""
    usb = FakeUsb()
    go = threading.Event()
    asked: list[None] = []

    def connect() -> UsbPipe:
        asked.append(None)
        assert go.wait(20)
        return open_pipe(0x0416, 0x5011, backend=bus(usb), nodes=nodes)

    async def scene() -> None:
        printer = LibusbPrinter(connect=connect, open_limit_s=0.01)
        for _ in range(3):
            with pytest.raises(DeviceAbsent, match="the USB device can not be opened: its driver does not answer"):
                await printer.open()
        assert len(asked) == 1
        go.set()
        async with asyncio.timeout(20):
            while usb.history[-1:] != ["close"]:  # noqa: ASYNC110 - a thread tells nobody
                await asyncio.sleep(0.001)

    asyncio.run(scene())


def test_a_transfer_that_never_ends_does_not_hold_up_the_closing(nodes: Path) -> None:
    """I11. The device is given back when the transfer has ended after all."""
    usb = FakeUsb()
    go, reading = threading.Event(), threading.Event()

    class Stuck(FakeBus):
        def bulk_read(self, dev_handle: FakeUsb, ep: int, intf: int, buff: "array[int]", timeout_ms: int) -> int:
            reading.set()
            assert go.wait(20)
            return super().bulk_read(dev_handle, ep, intf, buff, timeout_ms)

    def connect() -> UsbPipe:
        return open_pipe(0x0416, 0x5011, backend=cast("IBackend", Stuck(usb)), nodes=nodes)

    async def scene() -> None:
        printer = LibusbPrinter(connect=connect, close_limit_s=0.01)
        await printer.open()
        await printer.write(LINE)
        await asyncio.to_thread(reading.wait)
        await printer.close()
        assert usb.history[-1] != "close"
        go.set()
        async with asyncio.timeout(20):
            while usb.history[-1:] != ["close"]:  # noqa: ASYNC110 - a thread tells nobody
                await asyncio.sleep(0.001)

    asyncio.run(scene())
