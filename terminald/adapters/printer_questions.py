"""Questions to a printer, and what counts as an answer.

Printers talk unasked: they answer what looks like a question inside a picture, and some tell each change. So only what
comes after a fresh question on a quiet line counts, and only a reading that is confirmed by a second one is an alarm.
What arrives while a job is being sent is thrown away.
"""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final

from terminald.adapters.fd_writer import GRACE_S
from terminald.adapters.ports_devices import Printer
from terminald.core.events import Blockage
from terminald.errors import DeviceError, DeviceTimeout
from terminald.wire.printer_status import (
    CAUSE,
    DLE_EOT,
    ERROR,
    PAPER,
    PRINTER,
    PrinterState,
    ProcessId,
    QueuedStatus,
    RealTimeStatus,
    ReplyReader,
    read_state,
)

#: Readings of an alarm until two in a row are equal; a printer that contradicts itself more often is not believed.
MOST_READINGS: Final = 4
_IN_ERROR: Final = 0x40  # of the answer to CAUSE

Proof = QueuedStatus | ProcessId


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """How long a printer is waited for, and how often it is asked."""

    #: For one answer: printers answer within milliseconds, at 9600 baud too ("each 300 ms", field facts of printers).
    answer_s: float = 0.3
    #: Without a byte for so long, a line is quiet: the pauses within a reply of a USB adapter are shorter.
    quiet_s: float = 0.02
    #: Between two looks while a fault stands.
    poll_s: float = 3.0
    #: Between two looks while a job or its proof is awaited.
    look_s: float = 1.0
    #: Without progress for so long, a printer is asked why it takes nothing; without an answer, the host is told.
    stall_s: float = 1.5
    blind_s: float = 5.0
    #: So long a job waits that the printer holds without a word, and one whose printer went away.
    hold_longest_s: float = 600.0
    return_longest_s: float = 600.0
    #: So long a job waits in the printer for paper: somebody comes by once a day.
    wait_longest_s: float = 86_400.0
    #: A proof's time beyond printing; and where the printer has answered nothing so far, all of it.
    grace_s: float = GRACE_S
    doubt_s: float = 2.0
    #: Between the answers of a printer that has nothing to do: after so long, there is no second one.
    second_s: float = 1.0
    #: No printer is switched off and is there again in less.
    blink_s: float = 0.75


TIMING: Final = Timing()


class Silence(Enum):
    """Why a look at the printer has no result."""

    NOT_NOW = auto()  # it can not be asked now
    SILENT = auto()  # it was asked twice, and does not answer
    UNCLEAR = auto()  # it contradicts itself, or does not stop to talk


Look = PrinterState | Silence
_READINGS: Final = (PRINTER, CAUSE, PAPER)


class Questions:
    """Asks one question at a time, and collects proofs. Lives as long as the printer's transport."""

    def __init__(self, printer: Printer, timing: Timing = TIMING, *, late: Callable[[Proof], None]) -> None:
        """Listens to the transport from now on; late takes the proofs that nobody waits for."""
        self._printer = printer
        self._timing = timing
        self._reader = ReplyReader()
        self._one_look = asyncio.Lock()
        self._answer: asyncio.Future[int] | None = None
        #: How many questions had no answer in their time.
        self.missed = 0
        #: Came while an answer was due: proofs if the answer comes too, and else what came in its place.
        self._held_back: list[Proof] = []
        self._heard_at = 0.0
        self._is_deaf = False
        #: What it is asked; until it has been met, everything.
        self._wanted: tuple[int, ...] | None = None
        self._proof_sink: Callable[[Proof], None] = late
        printer.listen(self._hear)

    @contextmanager
    def proofs(self, sink: Callable[[Proof], None]) -> Iterator[None]:
        """Give the proofs that arrive to the sink meanwhile."""
        before, self._proof_sink = self._proof_sink, sink
        try:
            yield
        finally:
            self._proof_sink = before

    @contextmanager
    def deaf(self) -> Iterator[None]:
        """Throw away what arrives meanwhile, but for answers to questions."""
        self._is_deaf = True
        try:
            yield
        finally:
            self._is_deaf = False
            self._reader.reset()

    def heed(self) -> None:
        """Throw away no more of what arrives: something was asked that is answered later."""
        self._is_deaf = False

    async def meet(self) -> Look:
        """Find out which questions a printer that was just opened answers; two equal readings, or it answers none."""
        self._wanted = None
        async with self._one_look:
            first = await self._ask_all()
            if isinstance(first, Silence):
                return first
            self._wanted = tuple(number for number in _READINGS if number in first)
        return await self.look()

    async def is_heard(self) -> bool:
        """Ask one question, and tell whether anything came."""
        async with self._one_look:
            return await self._ask(PRINTER) not in (Silence.SILENT, Silence.NOT_NOW)

    async def is_there(self) -> bool | None:
        """Ask one question in the middle of a job, and tell whether it was answered; None: it could not be asked.

        Whatever else came is no answer: the line of a printer that is switched off breaks.
        """
        async with self._one_look:
            wanted = self._wanted or _READINGS
            answer = await self._ask(PRINTER if PRINTER in wanted else wanted[0])
        return None if answer is Silence.NOT_NOW else isinstance(answer, int)

    async def look(self) -> Look:
        """Ask how the printer is. What is wrong, and silence, is believed the second time."""
        async with self._one_look:
            seen: Look | None = None
            for _ in range(MOST_READINGS):
                answers = await self._ask_all()
                reading = answers if isinstance(answers, Silence) else read_state(answers)
                is_alarm = reading is Silence.SILENT or (isinstance(reading, PrinterState) and reading.blocked_by)
                if reading == seen or not is_alarm:
                    return reading
                seen = reading
            return Silence.UNCLEAR

    async def is_still(self, by: Blockage | None) -> bool:
        """Ask one question only, whether it is still that; None: whether it is still silent.

        Some printers keep questions in their buffer. Of one that is full and waits for paper, little may be asked.
        """
        async with self._one_look:
            wanted = self._wanted or _READINGS
            sign = PRINTER if by in (None, Blockage.OFFLINE) else PAPER if by is Blockage.PAPER else CAUSE
            number = sign if sign in wanted else wanted[0]
            answer = await self._ask(number)
            if isinstance(answer, Silence):
                return answer is not Silence.SILENT or by is None
            return by is not None and _is_sign(by, read_state({number: answer}))

    async def _ask_all(self) -> dict[int, int] | Silence:
        """Return the answers to the questions that the printer knows; SILENT when there is none at all."""
        answers: dict[int, int] = {}
        for number in self._wanted or _READINGS:
            answer = await self._ask(number)
            if isinstance(answer, int):
                answers[number] = answer
            elif answer is not Silence.SILENT or self._wanted:
                return answer
        if not answers:
            return Silence.SILENT
        if answers.get(CAUSE, 0) & _IN_ERROR and isinstance(answer := await self._ask(ERROR), int):
            answers[ERROR] = answer
        return answers

    async def _ask(self, number: int) -> int | Silence:
        try:
            async with asyncio.timeout(self._timing.answer_s):
                await self._wait_quiet()
        except TimeoutError:
            return Silence.UNCLEAR
        self._reader.reset()
        self._answer = asyncio.get_running_loop().create_future()
        self._held_back.clear()
        before = self._heard_at
        try:
            await self._printer.ask(DLE_EOT + bytes((number,)))
            async with asyncio.timeout(self._timing.answer_s):
                return await self._answer
        except DeviceTimeout:
            return Silence.NOT_NOW
        except DeviceError:
            return Silence.SILENT
        except TimeoutError:
            self.missed += 1
            # Whoever talks, however strangely, is there.
            return Silence.SILENT if self._heard_at == before else Silence.UNCLEAR
        finally:
            self._answer = None

    async def _wait_quiet(self) -> None:
        loop = asyncio.get_running_loop()
        while (left_s := self._heard_at + self._timing.quiet_s - loop.time()) > 0:  # noqa: ASYNC110 - quiet is no event
            await asyncio.sleep(left_s)

    def _hear(self, data: bytes) -> None:
        self._heard_at = asyncio.get_running_loop().time()
        if self._is_deaf and self._answer is None:
            return
        for reply in self._reader.feed(data):
            if isinstance(reply, RealTimeStatus):
                if self._answer is not None and not self._answer.done():
                    self._answer.set_result(reply.bits)
                    self._release()
            elif isinstance(reply, QueuedStatus | ProcessId) and not self._is_deaf:
                self._take_proof(reply)

    def _take_proof(self, proof: Proof) -> None:
        """Pass a proof on; one that any noise can be, only when it does not stand in the place of an answer."""
        if isinstance(proof, ProcessId) or self._answer is None or self._answer.done():
            self._proof_sink(proof)
        else:
            self._held_back = [*self._held_back[-MOST_READINGS:], proof]

    def _release(self) -> None:
        held_back, self._held_back = self._held_back, []
        for proof in held_back:
            self._proof_sink(proof)


def _is_sign(by: Blockage, state: PrinterState) -> bool:
    """Whether one answer alone may come from this; a stuck cutter shows as an error of no kind there."""
    return state.blocked_by is by or (by is Blockage.CUTTER and state.is_in_error)
