"""The printer's dialog on real lines: pseudo terminals with the simulated printer, and sockets."""

import asyncio
import contextlib
import os
import pty
import tty
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from terminald.adapters.ports_devices import DeviceReport, DeviceState, Printer
from terminald.adapters.printer_dialog import PrinterDialog
from terminald.adapters.printer_markers import Confirm
from terminald.adapters.printer_network import NetworkPrinter
from terminald.adapters.printer_questions import Timing
from terminald.adapters.printer_serial import Flow, SerialPrinter
from terminald.adapters.supervisor import Backoff, supervise
from terminald.core.events import Blockage, JobBlocked, JobInterrupted, JobPrinted, JobSent, PrintAnswer
from terminald.core.receipt import Line
from terminald.simulator.printer import SimulatedPrinter
from terminald.wire.escpos import Profile, encode
from tests.adapters.scripted_printer import QUICK
from tests.measured_loop import MeasuredLoop

PROFILE = Profile(columns=32, width_dots=384, encoding="gbk", cut="full")
SHORT = encode([Line(text="Cola"), Line(text="合计 ￥3.50")], PROFILE)
#: Longer than what a printer takes that holds the line when a quarter of its buffer is full. Real ones hold it much
#: later; a pseudo terminal has 4 kB on their way.
LINES = [f"line {number:04} of a long receipt" for number in range(1500)]
LONG = encode([Line(text=text) for text in LINES], PROFILE)
LARGE_BUFFER = 32_768
#: An answer that does come is waited for longer than a busy machine takes to see it.
STEADY = replace(QUICK, answer_s=1.0)


def _is_blocked_by(report: DeviceReport, by: Blockage | None) -> bool:
    return report.state is not DeviceState.ABSENT and report.blocked_by is by


class Station:
    """A supervised printer, and what it reports and tells."""

    def __init__(self, printer: Printer, confirm: Confirm, timing: Timing, flush: int, *, asks: bool) -> None:
        self.printer = printer
        self.reports: list[DeviceReport] = []
        self.told: list[PrintAnswer] = []
        self.dialog = PrinterDialog(
            printer, asks=asks, confirm=confirm, report=self.reports.append, timing=timing, flush=flush
        )

    def print(self, data: bytes) -> "asyncio.Task[PrintAnswer]":
        async def draw() -> bytes:
            return data

        return asyncio.create_task(self.dialog.print(draw, self.told.append))

    async def wait_reported(self, blocked_by: Blockage | None) -> None:
        async with asyncio.timeout(10):
            while not any(_is_blocked_by(report, blocked_by) for report in self.reports[-1:]):  # noqa: ASYNC110 - a plain list
                await asyncio.sleep(0.01)

    async def wait_absent(self) -> None:
        async with asyncio.timeout(10):
            while self.reports[-1].state is not DeviceState.ABSENT:  # noqa: ASYNC110 - a plain list
                await asyncio.sleep(0.01)

    async def wait_told(self) -> PrintAnswer:
        async with asyncio.timeout(10):
            while not self.told:  # noqa: ASYNC110 - a plain list
                await asyncio.sleep(0.01)
        return self.told[0]


@asynccontextmanager
async def station(
    printer: Printer, confirm: Confirm = "gs_r", *, asks: bool = True, timing: Timing = STEADY, flush: int = 0
) -> AsyncIterator[Station]:
    made = Station(printer, confirm, timing, flush, asks=asks)
    backoff = Backoff(first_s=0.02, longest_s=0.02, longest_absent_s=0.02)
    serving = asyncio.create_task(supervise(made.dialog, made.reports.append, jitter=lambda: 0.5, backoff=backoff))
    try:
        await made.wait_reported(None)
        yield made
    finally:
        serving.cancel()
        await asyncio.wait({serving})


def serial_on(simulated: SimulatedPrinter, flow: Flow) -> SerialPrinter:
    return SerialPrinter(device=simulated.device, baudrate=921_600, flow=flow, grace_s=2.0)


@pytest.mark.parametrize("flow", ["none", "xonxoff", "rtscts"])
@pytest.mark.parametrize("confirm", ["gs_r", "process_id"])
def test_a_receipt_on_a_serial_line_is_proven(flow: Flow, confirm: Confirm) -> None:
    async def scene() -> None:
        async with (
            SimulatedPrinter(flow="xonxoff" if flow == "xonxoff" else "rtscts") as simulated,
            station(serial_on(simulated, flow), confirm) as made,
        ):
            assert isinstance(await made.print(SHORT), JobPrinted)
            assert isinstance(await made.print(SHORT), JobPrinted)
            assert "合计" in (await simulated.wait_receipt(2)).text
            assert simulated.unknown == 0

    asyncio.run(scene())


@pytest.mark.parametrize("flow", ["none", "xonxoff"])
def test_a_printer_without_paper_blocks_and_goes_on_by_itself(flow: Flow) -> None:
    async def scene() -> None:
        async with (
            SimulatedPrinter(flow="xonxoff" if flow == "xonxoff" else "rtscts") as simulated,
            station(serial_on(simulated, flow)) as made,
        ):
            simulated.set_paper(is_out=True)
            await asyncio.sleep(0.02)
            answer = await made.print(SHORT)
            assert isinstance(answer, JobBlocked)
            assert answer.by is Blockage.PAPER
            simulated.set_cover(is_open=True)
            simulated.set_paper(is_out=False)
            await made.wait_reported(Blockage.COVER)
            simulated.set_cover(is_open=False)
            await made.wait_reported(None)
            assert isinstance(await made.print(SHORT), JobPrinted)
            assert len(simulated.receipts) == 1

    asyncio.run(scene())


@pytest.mark.parametrize(("flow", "count"), [("xonxoff", 1500), ("rtscts", 400)])
def test_paper_that_ends_in_mid_job_is_refilled_and_the_receipt_is_whole_and_only_one(flow: Flow, count: int) -> None:
    """Once the job is longer than what the printer takes: a part of it is still here when the printer stops."""

    async def scene() -> None:
        async with (
            SimulatedPrinter(
                flow="xonxoff" if flow == "xonxoff" else "rtscts", bytes_per_second=200_000, buffer_bytes=LARGE_BUFFER
            ) as simulated,
            station(serial_on(simulated, flow)) as made,
        ):
            job = made.print(encode([Line(text=text) for text in LINES[:count]], PROFILE))
            await simulated.wait_received(5000)
            simulated.set_paper(is_out=True)
            told = await made.wait_told()
            assert isinstance(told, JobInterrupted)
            assert told.by is Blockage.PAPER
            assert isinstance(await made.print(SHORT), JobBlocked)
            await asyncio.sleep(0.5)
            simulated.set_paper(is_out=False)
            assert isinstance(await job, JobPrinted)
            paper = "".join(sheet.text for sheet in simulated.receipts)
            assert [line.strip() for line in paper.splitlines() if line.strip()] == LINES[:count]
            assert simulated.overrun == 0
            await made.wait_reported(None)

    asyncio.run(scene())


def test_a_printer_that_is_off_line_by_its_button_blocks() -> None:
    async def scene() -> None:
        async with SimulatedPrinter() as simulated, station(serial_on(simulated, "none")) as made:
            simulated.set_online(is_online=False)
            answer = await made.print(SHORT)
            assert isinstance(answer, JobBlocked)
            assert answer.by is Blockage.OFFLINE
            simulated.set_online(is_online=True)
            await made.wait_reported(None)

    asyncio.run(scene())


class NetworkPart:
    """A printer's network socket: answers what a healthy printer answers, on the connection that asked."""

    def __init__(self, *, hangs_up: bool = False) -> None:
        self.data = b""
        self.connections = 0
        self._hangs_up = hangs_up

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        received = b""
        while data := await reader.read(4096):
            for number in range(1, 5):
                writer.write(b"\x12" * data.count(b"\x10\x04" + bytes((number,))))
                data = data.replace(b"\x10\x04" + bytes((number,)), b"")
            self.data += data
            received += data
            if self._hangs_up and b"\x1dr\x01" in received:
                break
            writer.write(b"\x00" * data.count(b"\x1dr\x01"))
        writer.close()


@pytest.mark.parametrize("hangs_up", [False, True])
def test_a_receipt_over_the_network_is_proven_on_its_own_connection(*, hangs_up: bool) -> None:
    async def scene() -> None:
        part = NetworkPart(hangs_up=hangs_up)
        server = await asyncio.start_server(part.serve, "127.0.0.1", 0)
        host, port = server.sockets[0].getsockname()
        async with server, station(NetworkPrinter(host=host, port=port, keep_s=0.05)) as made:
            answer = await made.print(SHORT)
            assert type(answer) is (JobSent if hangs_up else JobPrinted)
            assert part.data.replace(b"\x1dr\x01", b"") == SHORT
            assert part.data.endswith(SHORT + b"\x1dr\x01")
            connections = part.connections
            await asyncio.sleep(0.2)
            assert isinstance(await made.print(SHORT), JobSent if hangs_up else JobPrinted)
            assert part.connections > connections

    asyncio.run(scene())


def test_nothing_that_a_printer_does_delays_the_loop(capfd: pytest.CaptureFixture[str]) -> None:
    """I8: a printer that holds the line, or does not stop to talk, costs the others at most 50 ms."""

    async def scene() -> None:
        far, near = pty.openpty()
        tty.setraw(near)
        os.set_blocking(far, False)
        line = SerialPrinter(device=os.ttyname(near), baudrate=921_600, flow="xonxoff", grace_s=0.5)
        async with station(line) as made:
            job = made.print(LONG)
            for _ in range(100):
                with contextlib.suppress(BlockingIOError):
                    # Every byte there is: XOFF among them, and more XON than one would like.
                    os.write(far, bytes(range(256)) * 4)
                await asyncio.sleep(0.01)
            job.cancel()
            await asyncio.wait({job}, timeout=0)
        os.close(far)
        os.close(near)

    with asyncio.Runner(loop_factory=MeasuredLoop) as runner:
        runner.run(scene())
        loop = runner.get_loop()
        assert isinstance(loop, MeasuredLoop)
        longest_s = loop.measured.longest_s
    assert longest_s < 0.05
    assert capfd.readouterr().err == ""
