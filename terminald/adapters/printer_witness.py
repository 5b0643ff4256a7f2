"""Whether a printer had its power all the while that a job was on its way to it.

Theory of operation: a serial line does not show that the printer was switched off and on. What was in the printer is
gone then, the rest of the job arrives, and the marker behind it is answered as if nothing had been. So on such a line a
job is sent in pieces, and between two of them the printer is asked a question that it answers at once, whatever it is
doing; the same while it holds the line for a moment. Nobody switches a printer off and on, and no printer starts, in
the time from one question to the next: a printer that was off has missed one. Where it stops for long, for paper, its
buffer has no room for so many questions; it is sent one marker there, which it answers when it goes on, and loses with
everything else when it is switched off. What can not be shown in these ways is a doubt.
"""

import asyncio
from collections.abc import Iterator
from contextlib import suppress
from typing import Final

from terminald.adapters.fd_writer import job_deadline_s
from terminald.adapters.ports_devices import Printer
from terminald.adapters.printer_condition import HELD, PrinterCondition
from terminald.adapters.printer_markers import Markers
from terminald.adapters.printer_questions import Silence
from terminald.errors import DeviceError
from terminald.wire.escpos_walk import stops
from terminald.wire.printer_status import PrinterState

#: The time of one piece on the line. The supply of a printer, its start and its cutter's way home take longer.
PIECE_S: Final = 0.2
_MISSED: Final = "the printer did not answer in the middle of the job, and may have been off"


def piece_bytes(bytes_per_second: float) -> int:
    """Return how many bytes a piece has at most."""
    return max(1, int(bytes_per_second * PIECE_S))


class Witness:
    """Watches one job. Without a line that hides a loss of power, there is nothing to watch."""

    def __init__(self, printer: Printer, condition: PrinterCondition, markers: Markers | None) -> None:
        """Markers: those of the job; None where nothing proves it anyway."""
        self._printer = printer
        self._condition = condition
        self._markers = markers
        self._rate = None if markers is None else printer.line_rate
        self._loop = asyncio.get_running_loop()
        self._seen_at = self._loop.time()
        self._is_pledged = False
        self._doubt = ""
        self._answers = 0
        #: So long a slow head prints what was sent.
        self._printing_s = 0.0

    @property
    def doubt(self) -> str:
        """Why nobody knows that the printer was there all the while; empty where that is known."""
        if self._markers is not None and not self._markers.is_pledge_answered:
            return self._doubt or "the printer has nothing of what it had when it stopped in the middle"
        return self._doubt

    @property
    def is_watching(self) -> bool:
        """Whether questions are worth asking."""
        return self._rate is not None and self._condition.answers and not self._doubt

    def begin(self) -> None:
        """Begin to watch: nothing of the job has left yet."""
        self._seen_at = self._loop.time()

    def pieces(self, data: bytes) -> Iterator[bytes]:
        """Cut a job between two commands."""
        if self._rate is None:
            yield data
            return
        if not self._condition.answers:
            self._check(self._seen_at + len(data) / self._rate)
            yield data
            return
        size, start, end = piece_bytes(self._rate), 0, 0
        for stop in stops(data):
            if stop - start > size and end > start:
                yield data[start:end]
                start = end
            end = stop
        yield data[start:]

    async def see(self, piece: bytes, since: float) -> bool:
        """Ask whether the printer is there after a piece, as soon as that has arrived; whether it may be.

        Since: when it was begun. What an adapter has taken is on its way for the time of its bytes.
        """
        if not self.is_watching or self._rate is None or self._markers is None:
            return True
        self._printing_s += job_deadline_s(piece, bytes_per_second=self._rate, grace_s=0)
        await asyncio.sleep(since + len(piece) / self._rate - self._loop.time())
        if self._is_pledged:
            await self._see_pledge(self._markers)
        return self._is_pledged or await self._ask() or await self._wait_awake()

    async def see_held(self) -> None:
        """Ask whether the printer is there, which does not take the next byte, or have it pledge that it is."""
        condition = self._condition
        if not self.is_watching or self._markers is None:
            return
        if self._is_pledged:
            await self._see_pledge(self._markers)
        elif condition.trouble not in (None, HELD):
            await self._pledge(self._markers)
        elif condition.trouble is None:
            await self._ask()

    async def end(self) -> None:
        """The job and its marker have left."""
        if self._is_pledged and self._markers is not None:
            await self._see_pledge(self._markers)
        elif self._rate is not None:
            self._check(self._loop.time())
        self._condition.answers_busy |= bool(self._answers and not self._doubt)

    def _check(self, now: float) -> None:
        if now - self._seen_at > self._condition.timing.blink_s and not self._doubt:
            self._doubt = "it could not be asked in the middle of the job whether it had its power all the time"

    async def _ask(self) -> bool:
        """Ask one question; False when there is no answer, and nothing else is heard."""
        asked_at = self._loop.time()
        there = await self._condition.questions.is_there()
        self._check(self._loop.time())
        if there is True:
            self._answers += 1
            self._seen_at = asked_at
        elif there is False:
            self._doubt = _MISSED
        return there is not False

    async def _wait_awake(self) -> bool:
        """Find out whether a printer that did not answer is off; one that never does while it prints is waited for."""
        condition, timing = self._condition, self._condition.timing
        if self._answers or condition.answers_busy:
            return await condition.look() is not Silence.SILENT
        limit = self._loop.time() + timing.grace_s + self._printing_s
        while await condition.look(may_be_busy=self._loop.time() < limit) is Silence.SILENT:
            if self._loop.time() >= limit:
                return False
        return True

    # --- a long stop -------------------------------------------------------------------------------------------------

    async def _pledge(self, markers: Markers) -> None:
        request = markers.pledge()
        self._condition.questions.heed()
        self._is_pledged = True
        self._check(self._loop.time())
        with suppress(DeviceError):
            await self._printer.ask(request)
            return
        self._doubt = self._doubt or "it could not be marked where the printer stopped"

    async def _see_pledge(self, markers: Markers) -> None:
        """Go on asking when the pledge was answered, and by the printer: any noise can be an answer to GS r."""
        if not markers.is_pledge_answered:
            return
        questions = self._condition.questions
        missed = questions.missed
        # One that was under way before, and had to be waited for, counts as well: the printer may be back by now.
        if await questions.is_there() is False or questions.missed > missed:
            self._doubt = _MISSED
        look = await self._condition.look()
        if isinstance(look, PrinterState) and look.blocked_by is None:
            self._is_pledged = False
            self._seen_at = self._loop.time()
        elif isinstance(look, PrinterState):
            markers.disbelieve_pledge()
