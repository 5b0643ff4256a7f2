"""The bytes of one job on their way to a printer: what it does meanwhile is found out, told, and waited for."""

import asyncio
from enum import Enum, auto
from typing import Final

from terminald.adapters.ports_devices import Printer
from terminald.adapters.ports_receipts import PrintSink
from terminald.adapters.printer_condition import HELD, PrinterCondition, Trouble
from terminald.adapters.printer_questions import Silence
from terminald.adapters.printer_witness import PIECE_S, Witness
from terminald.core.events import JobInterrupted, PrintAnswer
from terminald.errors import DeviceAbsent, DeviceLost, DeviceTimeout
from terminald.wire.printer_status import PrinterState

_REST: Final = "; what it has not printed yet, it is to print then"


class Away(Exception):
    """The printer hung up or fell silent while a job was under way."""


class Blocked(Exception):
    """The printer has trouble, and not one byte was sent."""

    def __init__(self, trouble: Trouble) -> None:
        super().__init__(trouble.words)
        self.trouble = trouble


class _Part(Enum):
    """What is sent."""

    BEGINNING = auto()  # of a job: nothing is tried again here, and trouble before the first byte ends it
    MIDDLE = auto()
    MARKER = auto()


#: So often, a second apart, a printer says that it is well until its XOFF is not believed. In the middle of a job it
#: has a buffer to empty: up to 2 kB, of which a slow head makes three seconds.
_TIMES_WELL: Final = {_Part.BEGINNING: 2, _Part.MIDDLE: 6, _Part.MARKER: 2}


class Sending:
    """Sends one job and its markers. Lives for one job."""

    def __init__(self, printer: Printer, condition: PrinterCondition, tell: PrintSink, witness: Witness) -> None:
        """Tell is called when the printer stops in the middle."""
        self._printer = printer
        self._condition = condition
        self._timing = condition.timing
        self._tell = tell
        self._told: PrintAnswer | None = None
        self._times_well = 0
        self._witness = witness
        #: Why an answer is no proof; empty when it is one.
        self.doubt = ""
        self._loop = asyncio.get_running_loop()
        self.note_presence()

    # --- whether it was there all the time ---------------------------------------------------------------------------

    def note_presence(self) -> None:
        """Begin to watch whether the printer goes away."""
        self._presence = (self._condition.is_open, self._condition.openings, self._condition.silences)

    def was_away(self) -> bool:
        """Whether it hung up or was silent since then."""
        condition = self._condition
        return self._presence != (condition.is_open, condition.openings, condition.silences)

    @property
    def is_reopened(self) -> bool:
        """Whether it was opened again since then."""
        return self._condition.openings != self._presence[1]

    # --- sending -----------------------------------------------------------------------------------------------------

    async def push_job(self, data: bytes) -> None:
        """Send a job; where the printer stops, find out why, and give it time.

        Raises:
            DeviceAbsent, Blocked: not one byte was sent.
            DeviceLost, Away: the printer was away in the middle.
            DeviceTimeout: it took a part, and then nothing for too long.
        """
        sent, total = 0, len(data)
        with self._condition.writing():
            for piece in self._witness.pieces(data):
                begun, self._times_well = self._loop.time(), 0
                try:
                    await (self._push_on(piece) if sent else self._push(piece, _Part.BEGINNING))
                except (DeviceAbsent, DeviceLost) as error:
                    if not sent and isinstance(error, DeviceAbsent):
                        raise
                    if isinstance(error, DeviceAbsent) and self._condition.is_open:
                        raise Away(error.detail) from error
                    is_last = sent + len(piece) == total
                    detail = f"{error.detail}, behind {sent} of {total}" if sent else error.detail
                    may_be_whole = is_last and isinstance(error, DeviceLost) and error.may_be_whole
                    raise DeviceLost(self._printer.name, detail, may_be_whole=may_be_whole) from error
                sent += len(piece)
                if sent < total and not await self._witness.see(piece, begun):
                    raise Away("the printer fell silent in the middle of the job")

    async def push_marker(self, data: bytes) -> None:
        """Send a marker, and try again while the printer holds the line before it.

        Raises:
            DeviceAbsent, DeviceLost, Away: the printer was away.
            DeviceTimeout: it took a part, or held the line for too long.
        """
        with self._condition.writing():
            await self._push_on(data, _Part.MARKER)
        await self._witness.end()

    async def _push(self, data: bytes, part: _Part) -> None:
        """Send bytes at once; what they are decides what is done while not the first of them can leave.

        Raises:
            DeviceAbsent, Blocked: not one byte was sent.
            DeviceTimeout: it was given up, and the transfer under way was taken all the same.
        """
        begun = looked = self._loop.time()
        writing = asyncio.ensure_future(self._printer.write(data))
        try:
            while not (await asyncio.wait({writing}, timeout=min(self._timing.look_s, PIECE_S)))[0]:
                await self._watch(part)
                now, stalled_s = self._loop.time(), self._printer.stalled_s()
                if now - looked < self._timing.look_s:
                    continue
                looked = now
                if stalled_s >= self._timing.stall_s:
                    await self._see_to_stall()
                elif not stalled_s and now - begun >= self._timing.stall_s:
                    await self._see_to_beginning(part)
        except (DeviceAbsent, Blocked) as given_up:
            await _end(writing)
            if part is _Part.MARKER or not self._printer.has_begun:
                raise
            if writing.cancelled():
                why = given_up.trouble.words if isinstance(given_up, Blocked) else given_up.detail
                detail = f"{why}; what was on its way to it then, it took"
                raise DeviceTimeout(self._printer.name, detail) from given_up
        finally:
            if part is _Part.BEGINNING:
                self._condition.release()
            await _end(writing)
        writing.result()

    async def _watch(self, part: _Part) -> None:
        stalled_s = self._printer.stalled_s()
        if part is _Part.BEGINNING and not stalled_s:
            self._witness.begin()
        elif not stalled_s or stalled_s >= PIECE_S:
            await self._witness.see_held()
            # Of a line that hung up, the write itself knows how much of it left.
            if self.was_away() and self._condition.is_open:
                raise Away("the printer fell silent in the middle of the job")

    async def _push_on(self, data: bytes, part: _Part = _Part.MIDDLE) -> None:
        """Send what follows a job's first bytes, and try again while the printer holds the line before it."""
        begun = self._loop.time()
        try:
            while True:
                try:
                    return await self._push(data, part)
                except DeviceAbsent:
                    if self.was_away():
                        raise
                await self._see_to_hold(self._loop.time() - begun)
                await self._condition.wait_news(min(self._timing.look_s, PIECE_S))
        finally:
            self._condition.release()

    async def _see_to_beginning(self, part: _Part) -> None:
        """Find out why the printer takes not even the first byte; its XOFF may be noise, or the XON was lost.

        Raises:
            DeviceAbsent: it is silent.
            Blocked: it says why it can not take a job.
        """
        condition = self._condition
        look = await condition.look()
        if self._printer.stalled_s():
            return
        if self.was_away():
            raise DeviceAbsent(self._printer.name, "the printer fell silent before the first byte")
        if part is _Part.BEGINNING and condition.trouble not in (None, HELD):
            raise Blocked(condition.trouble)
        is_well = isinstance(look, PrinterState) and look.blocked_by is None
        self._times_well = self._times_well + 1 if is_well else 0
        if self._times_well >= _TIMES_WELL[part] and self._printer.go_on():
            self.doubt = "the printer said that it takes nothing, and was sent the job all the same"

    async def _see_to_stall(self) -> None:
        condition, timing, stalled_s = self._condition, self._timing, self._printer.stalled_s()
        look = await condition.look() if condition.trouble in (None, HELD) else Silence.NOT_NOW
        if self.was_away():
            raise Away("the printer fell silent in the middle of the job")
        if condition.trouble is not None and condition.trouble is not HELD:
            if stalled_s < timing.wait_longest_s:
                self.interrupt(condition.trouble)
                self._printer.prolong(timing.poll_s * 3)
        elif isinstance(look, Silence) and stalled_s < timing.hold_longest_s:
            # Nobody says why; that it holds the line is a word of its own.
            self._printer.prolong(timing.poll_s * 3)
            if stalled_s >= timing.blind_s:
                self._hold()

    async def _see_to_hold(self, held_s: float) -> None:
        condition, timing = self._condition, self._timing
        await condition.look()
        if self.was_away():
            raise Away("the printer was away before it had proven the job")
        trouble = condition.trouble
        is_known = trouble is not None and trouble is not HELD
        if held_s >= (timing.wait_longest_s if is_known else timing.hold_longest_s):
            raise DeviceTimeout(self._printer.name, "it holds the line")
        if trouble is not None and is_known:
            self.interrupt(trouble)
        elif held_s >= timing.blind_s:
            self._hold()

    def _hold(self) -> None:
        if not self._printer.notices_power_off:
            self.doubt = "the printer held the line for long, and may have been off meanwhile"
        self._condition.hold()
        self.interrupt(HELD)

    def interrupt(self, trouble: Trouble, then: str = _REST) -> None:
        """Tell that the printer has stopped in the middle, once for each reason."""
        told = JobInterrupted(evidence=trouble.words + then, by=trouble.by)
        if told != self._told:
            self._told = told
            self._tell(told)


async def _end(writing: "asyncio.Future[None]") -> None:
    """Cancel what is being written, if it is, and wait until what was on its way has arrived or has not."""
    if not writing.done():
        writing.cancel()
        await asyncio.wait({writing})
