import asyncio
import contextlib
import fcntl
import os
import pty
import struct
import termios
import time
import tty
from collections.abc import Iterator
from pathlib import Path

import pytest

from terminald.adapters.printer_serial import Flow, SerialPrinter
from terminald.errors import DeviceAbsent, DeviceLost, DeviceTimeout
from terminald.simulator.printer import SimulatedPrinter

BAUD = 921_600


class Line:
    """A pseudo terminal: the far end is a printer's plug."""

    def __init__(self) -> None:
        self.far, self.near = pty.openpty()
        tty.setraw(self.near)
        os.set_blocking(self.far, False)
        self.path = os.ttyname(self.near)

    def let_go(self) -> None:
        """Keep the line open by its user alone, so that a hang-up reaches it."""
        if self.near >= 0:
            os.close(self.near)
            self.near = -1

    def hang_up(self) -> None:
        self.let_go()
        if self.far >= 0:
            os.close(self.far)
            self.far = -1

    def pending(self) -> bytes:
        data = b""
        try:
            while part := os.read(self.far, 65536):
                data += part
        except BlockingIOError:
            pass
        return data

    async def read(self, count: int) -> bytes:
        loop = asyncio.get_running_loop()
        data = b""
        while len(data) < count:
            readable = asyncio.Event()
            loop.add_reader(self.far, readable.set)
            await readable.wait()
            loop.remove_reader(self.far)
            data += self.pending()
        return data


@pytest.fixture
def line() -> Iterator[Line]:
    line = Line()
    yield line
    line.hang_up()


def printer_on(path: str, flow: Flow = "none", grace_s: float = 20.0) -> SerialPrinter:
    return SerialPrinter(device=path, baudrate=BAUD, flow=flow, grace_s=grace_s)


@pytest.mark.parametrize("flow", ["none", "xonxoff", "rtscts"])
def test_every_byte_arrives_as_it_is(line: Line, flow: Flow) -> None:
    data = bytes(range(256)) * 20

    async def scene() -> None:
        printer = printer_on(line.path, flow)
        await printer.open()
        job = asyncio.create_task(printer.write(data))
        assert await line.read(len(data)) == data
        await job
        await printer.close()

    asyncio.run(scene())


#: Together with what a pseudo terminal has on its way, less than the job below.
LARGE_BUFFER = 32_768


def test_xon_and_xoff_of_a_slow_printer_are_obeyed() -> None:
    """Without flow control the same job overruns the buffer, so the test proves something."""
    data = b"x" * (LARGE_BUFFER * 2)

    async def overrun(flow: Flow) -> int:
        speed = 200_000 if flow == "xonxoff" else 20_000  # what is lost must not depend on this machine's load
        async with SimulatedPrinter(flow="xonxoff", bytes_per_second=speed, buffer_bytes=LARGE_BUFFER) as simulated:
            printer = printer_on(simulated.device, flow)
            await printer.open()
            await printer.write(data)
            await simulated.wait_received(len(data))
            await printer.close()
            return simulated.overrun

    assert asyncio.run(overrun("xonxoff")) == 0
    assert asyncio.run(overrun("none")) > 0


def test_a_printer_that_holds_the_line_ends_the_job_with_the_exact_count(line: Line) -> None:
    async def scene() -> None:
        printer = printer_on(line.path, "xonxoff", grace_s=0.2)
        await printer.open()
        job = asyncio.create_task(printer.write(b"x" * 100_000))
        received = len(await line.read(300))
        os.write(line.far, b"\x13")
        while not (await asyncio.wait({job}, timeout=0))[0]:
            received += len(line.pending())
        received += len(line.pending())
        with pytest.raises(DeviceTimeout) as caught:
            await job
        assert "the printer holds the line (XOFF) after 1.5 s" in caught.value.detail
        assert f"; {received} of 100000 bytes sent" in caught.value.detail
        os.write(line.far, b"\x11")
        again = asyncio.create_task(printer.write(b"again"))
        assert await line.read(5) == b"again"
        await again
        await printer.close()

    asyncio.run(scene())


def test_a_hang_up_in_the_middle_is_noticed_by_the_job_and_by_the_watch(line: Line) -> None:
    """I8: a lost printer ends its job and nothing else."""

    async def scene() -> None:
        printer = printer_on(line.path)
        await printer.open()
        line.let_go()
        watch = asyncio.create_task(printer.run())
        job = asyncio.create_task(printer.write(b"x" * 1_000_000))
        await line.read(300)
        line.hang_up()
        with pytest.raises(DeviceLost, match=r"\d+ of 1000000 bytes sent"):
            await job
        with pytest.raises(DeviceLost, match="check the cable"):
            await watch
        with pytest.raises(DeviceAbsent, match="0 of 1 bytes sent"):
            await printer.write(b"x")
        await printer.close()

    asyncio.run(scene())


def test_a_printer_may_be_opened_again_after_it_was_lost() -> None:
    async def scene() -> None:
        first, second = Line(), Line()
        path = Path(first.path)
        printer = printer_on(str(path))
        await printer.open()
        first.hang_up()
        with pytest.raises(DeviceLost):
            await printer.run()
        await printer.close()
        third = printer_on(second.path)
        await third.open()
        await third.write(b"x")
        await third.close()
        second.hang_up()

    asyncio.run(scene())


def test_a_second_user_is_refused(line: Line) -> None:
    async def scene() -> None:
        first, second = printer_on(line.path), printer_on(line.path)
        await first.open()
        with pytest.raises(DeviceAbsent, match="held by terminald itself"):
            await second.open()
        await first.close()
        await second.open()
        await second.close()

    asyncio.run(scene())


def test_what_is_not_there_or_not_a_serial_line_is_absent(line: Line, tmp_path: Path) -> None:
    async def scene() -> None:
        with pytest.raises(DeviceAbsent, match="is not there; check the cable"):
            await printer_on(str(tmp_path / "none")).open()
        (tmp_path / "file").touch()
        with pytest.raises(DeviceAbsent, match="is not a serial line"):
            await printer_on(str(tmp_path / "file")).open()
        with pytest.raises(DeviceAbsent, match="is not a serial line"):
            await printer_on(line.path, "dsrdtr").open()
        with pytest.raises(DeviceAbsent, match="0 of 2 bytes sent"):
            await printer_on(line.path).write(b"xx")

    asyncio.run(scene())


def test_closing_ends_the_job_under_way_and_is_harmless_twice(line: Line) -> None:
    async def scene() -> None:
        printer = printer_on(line.path)
        await printer.open()
        job = asyncio.create_task(printer.write(b"x" * 1_000_000))
        await line.read(300)
        await printer.close()
        with pytest.raises(DeviceLost, match="was closed"):
            await job
        await printer.close()

    asyncio.run(scene())


def test_an_opening_that_takes_too_long_is_given_up_and_leaves_the_line_free(line: Line) -> None:
    """I11. Here each opening that is not done at once takes too long."""

    async def open_and_close_until_it_fails() -> None:
        printer = SerialPrinter(device=line.path, baudrate=BAUD, flow="none", open_limit_s=0)
        while True:
            await printer.open()
            await printer.close()

    async def scene() -> None:
        with pytest.raises(DeviceAbsent, match="can not be opened: its driver does not answer; plug it in again"):
            await open_and_close_until_it_fails()
        other = printer_on(line.path)
        async with asyncio.timeout(20):
            while True:
                with contextlib.suppress(DeviceAbsent):
                    await other.open()
                    break
                await asyncio.sleep(0.01)
        await other.write(b"x")
        await other.close()

    asyncio.run(scene())


def test_an_opening_that_is_given_up_leaves_the_line_free(line: Line) -> None:
    async def scene() -> None:
        opening = asyncio.create_task(printer_on(line.path).open())
        await asyncio.sleep(0)
        opening.cancel()
        with pytest.raises(asyncio.CancelledError):
            await opening
        printer = printer_on(line.path)
        for _ in range(100):
            try:
                await printer.open()
                break
            except DeviceAbsent:
                await asyncio.sleep(0.01)
        await printer.write(b"x")
        await printer.close()

    asyncio.run(scene())


def test_what_the_printer_says_is_not_taken_for_flow_control(line: Line) -> None:
    async def scene() -> None:
        printer = printer_on(line.path)
        await printer.open()
        os.write(line.far, b"\x13\x12\x00")
        await printer.write(b"x")
        os.write(line.far, b"\x13")
        await printer.write(b"y")
        assert await line.read(2) == b"xy"
        await printer.close()

    asyncio.run(scene())


def test_what_the_printer_says_arrives_without_the_flow_control_that_is_obeyed(line: Line) -> None:
    async def scene(flow: Flow, heard_of_it: bytes) -> None:
        heard, news = bytearray(), asyncio.Event()

        def hear(data: bytes) -> None:
            heard.extend(data)
            news.set()

        printer = printer_on(line.path, flow)
        printer.listen(hear)
        await printer.open()
        assert printer.can_answer
        os.write(line.far, b"\x13\x12\x11\x00")
        async with asyncio.timeout(10):
            while len(heard) < len(heard_of_it):
                await news.wait()
                news.clear()
        assert bytes(heard) == heard_of_it
        await printer.close()

    asyncio.run(scene("none", b"\x13\x12\x11\x00"))
    asyncio.run(scene("xonxoff", b"\x12\x00"))


def test_a_printer_that_holds_the_line_can_be_asked_why(line: Line) -> None:
    async def scene() -> None:
        printer = printer_on(line.path, "xonxoff", grace_s=0.5)
        with pytest.raises(DeviceAbsent):
            await printer.ask(b"\x10\x04\x01")
        assert printer.stalled_s() == 0
        printer.prolong(1.0)
        await printer.open()
        job = asyncio.create_task(printer.write(b"Cola 3.50\n" * 10_000))
        await line.read(300)
        os.write(line.far, b"\x13")
        async with asyncio.timeout(10):
            while printer.stalled_s() < 0.05:  # noqa: ASYNC110 - a plain number
                await asyncio.sleep(0.01)
        line.pending()
        await printer.ask(b"\x10\x04\x01")
        assert await line.read(3) == b"\x10\x04\x01"
        printer.prolong(20.0)
        os.write(line.far, b"\x11")
        while not (await asyncio.wait({job}, timeout=0))[0]:
            line.pending()
        await job
        await printer.close()

    asyncio.run(scene())


def test_a_printer_that_talks_much_costs_few_turns(line: Line) -> None:
    """I8. One with another speed, or a clone that sends back what it gets."""
    heard: list[bytes] = []

    async def scene() -> None:
        printer = printer_on(line.path)
        printer.listen(heard.append)
        await printer.open()
        os.write(line.far, b"z" * 4000)
        deadline = time.monotonic() + 20
        while _readable(line.near) < 3000:  # the kernel passes it on in its own time; nobody reads meanwhile
            assert time.monotonic() < deadline
        while sum(map(len, heard)) < 4000:  # noqa: ASYNC110 - of a sink that tells nobody
            await asyncio.sleep(0.001)
        await printer.close()

    asyncio.run(scene())
    assert max(map(len, heard)) > 2000


def _readable(fd: int) -> int:
    return int(struct.unpack("i", fcntl.ioctl(fd, termios.FIONREAD, bytes(4)))[0])
