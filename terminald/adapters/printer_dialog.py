"""The printer as a device that is asked, waited for and believed; in front of a transport."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from terminald.adapters.ports_devices import DeviceSink, Printer
from terminald.adapters.ports_receipts import PrintSink
from terminald.adapters.printer_condition import PrinterCondition
from terminald.adapters.printer_job import JobRun
from terminald.adapters.printer_markers import Confirm
from terminald.adapters.printer_questions import TIMING, Timing
from terminald.adapters.printer_settling import flush, settle
from terminald.core.events import JobBlocked, JobPrinted, PrintAnswer, PrinterAbsent, SlipOutdated


class PrinterDialog:
    """Owns a transport: one job at a time, with a look before it and after it, and none while nothing happens."""

    kind: str = "printer"

    def __init__(
        self,
        printer: Printer,
        *,
        asks: bool,
        confirm: Confirm,
        report: DeviceSink,
        flush: int = 0,
        timing: Timing = TIMING,
    ) -> None:
        """Asks: whether the printer is asked for its state; confirm: what proves a job. Report must not block.

        Flush: the length of the longest command in any job, where one that was broken off is to be ended.
        """
        self.name = printer.name
        self._printer = printer
        self._confirm: Confirm = confirm
        self._flush = flush
        self._condition = PrinterCondition(printer, asks=asks, report=report, timing=timing)
        self._is_busy = False

    @property
    def watched(self) -> tuple[Path, ...]:
        """Return what the transport waits for."""
        return self._printer.watched

    @property
    def answers(self) -> bool:
        """Whether the open printer answers questions about its state."""
        return self._condition.answers

    @property
    def complaint(self) -> str:
        """Return what the open printer says is wrong, and what to do; empty when nothing is, or it is not asked."""
        return self._condition.complaint

    @property
    def is_blocked(self) -> bool:
        """Whether what is wrong keeps it from printing."""
        return self._condition.trouble is not None

    async def open(self) -> None:
        """Open the transport, and get to know the printer.

        Raises:
            DeviceAbsent: it is not there, or may not be opened.
        """
        await self._printer.open()
        await self._condition.opened()

    async def run(self) -> None:
        """Serve the open transport until it is lost; asks again while a fault stands.

        Raises:
            DeviceLost: it is.
        """
        self._condition.tell()
        tasks = {asyncio.ensure_future(self._printer.run()), asyncio.ensure_future(self._condition.watch())}
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
        for task in done:
            task.result()

    async def close(self) -> None:
        """Let go of the transport; harmless when it is not open."""
        self._condition.closed()
        await self._printer.close()

    async def print(
        self, draw: Callable[[], Awaitable[bytes | None]], tell: PrintSink, *, may_repeat: bool = True
    ) -> PrintAnswer:
        """Send one job once, and return what is known about the paper.

        Draw gives its bytes when its turn has come and the printer can print; None when it is not to be printed any
        more. Tell is called with JobInterrupted when the printer stops in the middle; it is waited for then. While it
        is, every other job is blocked. Without may_repeat nobody would print a lost job again, and the return of a
        printer that went away is not waited for.
        """
        condition = self._condition
        async with self._turn() as is_ours:
            if is_ours:
                await condition.meet_again()
                await condition.look()
            if (trouble := condition.trouble) is not None:
                return JobBlocked(evidence=trouble.words, by=trouble.by)
            if not is_ours:
                return PrinterAbsent(evidence="another job waits for the printer to come back")
            is_flushed = await flush(self._printer, condition, self._flush)
            if self._confirm == "gs_r":
                await settle(self._printer, condition, is_flushed=is_flushed)
            data = await draw()
            if data is None:
                return SlipOutdated(evidence="it is not true any more; it was not printed")
            run = JobRun(self._printer, condition, data, confirm=self._confirm, tell=tell, may_repeat=may_repeat)
            answer = await run.run()
            await condition.look(may_be_busy=not isinstance(answer, JobPrinted))
            return answer

    @asynccontextmanager
    async def _turn(self) -> AsyncIterator[bool]:
        """Wait until no other job is under way, or until it waits for the printer itself: then the turn is not ours."""
        condition = self._condition
        while self._is_busy:
            if not condition.is_ready:
                yield False
                return
            await condition.wait_news()
        self._is_busy = True
        try:
            yield True
        finally:
            self._is_busy = False
            condition.announce()
