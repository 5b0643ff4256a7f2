"""A transport with a printer behind it that does what a test says: it keeps a buffer, and loses it with its power."""

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from types import TracebackType
from typing import Self

from terminald.adapters.ports_devices import DeviceReport
from terminald.adapters.printer_dialog import PrinterDialog
from terminald.adapters.printer_markers import Confirm
from terminald.adapters.printer_questions import Timing
from terminald.adapters.supervisor import Backoff, supervise
from terminald.core.events import PrintAnswer
from terminald.errors import DeviceAbsent, DeviceLost, DeviceTimeout
from terminald.wire.escpos_walk import pieces

#: Everything fast, and nothing so fast that a busy machine is taken for a silent printer.
QUICK = Timing(
    answer_s=0.15,
    quiet_s=0.002,
    poll_s=0.05,
    look_s=0.03,
    stall_s=0.05,
    blind_s=0.1,
    hold_longest_s=0.6,
    return_longest_s=0.6,
    wait_longest_s=20.0,
    grace_s=0.3,
    doubt_s=0.1,
    second_s=0.1,
    blink_s=3.0,
)
OK: dict[int, int] = {}
PAPER_OUT, COVER_OPEN = {1: 0x08, 2: 0x20, 4: 0x60}, {1: 0x08, 2: 0x04}
NEAR_END = {4: 0x0C}


class ScriptedPrinter:
    """Takes what it is written at once, or up to ``room`` bytes while it is stopped; prints when it is not."""

    name = kind = "printer"
    watched: tuple[Path, ...] = ()
    line_rate: float | None = None

    def __init__(self, *, room: int = 1 << 20, can_answer: bool = True, notices_power_off: bool = False) -> None:
        self.can_answer = can_answer
        self.notices_power_off = notices_power_off
        #: The bits of each DLE EOT that are set beside the fixed ones.
        self.state: dict[int, int] = {}
        self.is_on = True
        self.answers_status = True
        self.answers_markers = True
        #: Whether the line is in the middle of a command, so that it can not be asked while a job is held.
        self.is_busy = False
        #: How many bytes of a job that is given up it takes all the same: they were on their way.
        self.takes_late = 0
        self.has_begun = False
        #: Whether it said XOFF.
        self.is_held = False
        self.printed = b""
        self.written = b""
        self.asked: list[int] = []
        self.is_stopped = False
        self._room = room
        self._buffer = b""
        self._sink: Callable[[bytes], None] = print
        self._changed = asyncio.Event()
        self._lost = asyncio.Event()
        self._is_open = False
        self._stalled_since: float | None = None
        self._ends = 0.0

    # --- the transport -----------------------------------------------------------------------------------------------

    def listen(self, sink: Callable[[bytes], None]) -> None:
        self._sink = sink

    async def open(self) -> None:
        if not self.is_on:
            raise DeviceAbsent(self.name, "it is not there")
        self._lost.clear()
        self._is_open = True

    async def run(self) -> None:
        await self._lost.wait()
        raise DeviceLost(self.name, "unplugged")

    async def close(self) -> None:
        self._is_open = False

    async def write(self, data: bytes) -> None:
        loop = asyncio.get_running_loop()
        total, self._ends = len(data), loop.time() + 0.3
        late, self.takes_late = self.takes_late, 0
        try:
            while data:
                if not self._is_open or self._lost.is_set():
                    raise (DeviceAbsent if len(data) == total else DeviceLost)(self.name, "hung up in the middle")
                room = 0 if self.is_held else len(data) if not self.is_on else max(0, self._room - len(self._buffer))
                self._take(data[:room])
                data = data[room:]
                if len(data) < total and data and self._stalled_since is None:
                    self._stalled_since = loop.time()
                if data and loop.time() > self._ends:
                    raise (DeviceAbsent if len(data) == total else DeviceTimeout)(
                        self.name, f"it took {total - len(data)} of {total} bytes"
                    )
                await asyncio.sleep(0.005 if data else 0)
        except asyncio.CancelledError:
            self._take(data[:late])
            data = data[late:]
            raise
        finally:
            self._stalled_since, self.has_begun = None, len(data) < total

    async def ask(self, request: bytes) -> None:
        if not self._is_open:
            raise DeviceLost(self.name, "hung up")
        if self.is_busy and self._stalled_since is not None:
            raise DeviceTimeout(self.name, "a job is under way")
        number = request[2]
        self.asked.append(number)
        if self.is_on and self.answers_status:
            self.say(bytes((0x12 | self.state.get(number, 0),)))

    def stalled_s(self) -> float:
        return 0.0 if self._stalled_since is None else asyncio.get_running_loop().time() - self._stalled_since

    def go_on(self) -> bool:
        was_held, self.is_held = self.is_held, False
        return was_held

    def prolong(self, by_s: float) -> None:
        self._ends = asyncio.get_running_loop().time() + by_s

    # --- the printer -------------------------------------------------------------------------------------------------

    def say(self, data: bytes) -> None:
        """Send to the host, later, as a line does."""
        asyncio.get_running_loop().call_soon(self._sink, data)

    def set(self, state: dict[int, int]) -> None:
        """Take out paper, open the cover, or see to it."""
        self.state = state
        self._print()

    def stop(self, *, on: bool) -> None:
        """Stop to print without any word, or go on."""
        self.is_stopped = on
        self._print()

    def hang_up(self) -> None:
        """Pull the cable; what was received is printed."""
        self._lost.set()

    def switch_off(self) -> None:
        """Take its power, and with it what it has not printed."""
        self.is_on = False
        self._buffer = b""

    def switch_on(self) -> None:
        self.is_on = True
        self._print()

    def lose(self) -> None:
        """Take its power, so that the host sees it."""
        self.switch_off()
        self.hang_up()

    def _take(self, data: bytes) -> None:
        self.written += data
        if self.is_on:
            self._buffer += data
            self._print()

    def _print(self) -> None:
        if self.is_stopped or self.state.get(1, 0) & 0x08:
            return
        data, self._buffer = self._buffer, b""
        for piece in pieces(data):
            part = data[piece.start : piece.end]
            if part.startswith((b"\x1dr", b"\x1d(H")):
                self._mark(part)
            else:
                self.printed += part
        self._changed.set()

    def _mark(self, request: bytes) -> None:
        if self.answers_markers and not self._lost.is_set():
            self.say(b"\x37\x22" + request[7:11] + b"\x00" if request[1:2] == b"(" else b"\x00")


class Desk(AbstractAsyncContextManager["Desk"]):
    """The printer's dialog as the daemon runs it: supervised, and with what it reports kept."""

    def __init__(
        self,
        printer: ScriptedPrinter,
        *,
        asks: bool = True,
        confirm: Confirm = "gs_r",
        timing: Timing = QUICK,
        is_settled: bool = True,
    ) -> None:
        """Is_settled: the printer has proven already that nothing is in it."""
        self.printer = printer
        self._is_settled = is_settled
        self.reports: list[DeviceReport] = []
        self.told: list[PrintAnswer] = []
        self._changed = asyncio.Event()
        self.dialog = PrinterDialog(printer, asks=asks, confirm=confirm, report=self._report, timing=timing)

    async def __aenter__(self) -> Self:
        backoff = Backoff(first_s=0.02, longest_s=0.02, longest_absent_s=0.02)
        self._serving = asyncio.create_task(supervise(self.dialog, self._report, jitter=lambda: 0.5, backoff=backoff))
        await self.until(lambda: bool(self.reports))
        if self._is_settled:
            await self.print(b"")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._serving.cancel()
        await asyncio.wait({self._serving})

    def _report(self, report: DeviceReport) -> None:
        self.reports.append(report)
        self._changed.set()

    def _tell(self, answer: PrintAnswer) -> None:
        self.told.append(answer)
        self._changed.set()

    def print(self, data: bytes) -> "asyncio.Task[PrintAnswer]":
        """Begin to print a job."""

        async def draw() -> bytes | None:
            return data or None

        return asyncio.create_task(self.dialog.print(draw, self._tell))

    async def until(self, is_so: Callable[[], bool]) -> None:
        """Wait until it is so, ten seconds at most."""
        async with asyncio.timeout(10):
            while not is_so():  # noqa: ASYNC110 - of a printer that tells nobody
                await asyncio.sleep(0.005)

    async def interrupted(self, times: int = 1) -> None:
        """Wait until a job is told to be interrupted."""
        await self.until(lambda: len(self.told) >= times)

    def states(self) -> list[str]:
        return [report.state.value for report in self.reports]
