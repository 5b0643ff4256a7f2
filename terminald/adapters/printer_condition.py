"""How the printer is, as far as it says so: what keeps it from printing, and whether it was away."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from terminald.adapters.ports_devices import DeviceReport, DeviceSink, DeviceState, Printer
from terminald.adapters.printer_questions import Look, Proof, Questions, Silence, Timing
from terminald.core.events import Blockage
from terminald.errors import DeviceAbsent
from terminald.wire.printer_status import PrinterState


@dataclass(frozen=True, slots=True, kw_only=True)
class Trouble:
    """What keeps the printer from printing, and in words what to do."""

    by: Blockage
    words: str


#: Found by a job: the printer holds it up, and can not be asked why.
HELD = Trouble(
    by=Blockage.OFFLINE, words="the printer takes nothing more: check its paper, its cover, its power and the cable"
)
_GONE = Trouble(by=Blockage.OFFLINE, words="the printer does not answer any more: is it switched on?")


class PrinterCondition:
    """What is known about an open printer. Reports each change; waiters are woken by each."""

    def __init__(self, printer: Printer, *, asks: bool, report: DeviceSink, timing: Timing) -> None:
        """Asks: whether the printer is asked for its state at all."""
        self.questions = Questions(printer, timing, late=self._hear_late)
        self.timing = timing
        #: What keeps it from printing now.
        self.trouble: Trouble | None = None
        #: Whether it is open, and how often it has been opened.
        self.is_open = False
        self.openings = 0
        #: How often it has been silent although it answers, since the start: it may have been off.
        self.silences = 0
        #: Whether it answers questions at all, in this opening.
        self.answers = False
        #: Whether it has answered in the middle of a job.
        self.answers_busy = False
        #: Whether a proof is worth waiting for: until one has failed to come.
        self.proves = True
        #: Proofs of earlier jobs that may still come.
        self.owed = 0
        #: Whether these are all: nothing is in the printer from before this opening, or from before a silence.
        self.is_settled = False
        #: Whether all that was written in this opening was written whole: no command waits for its rest.
        self.is_whole = False
        self._printer = printer
        #: Whether it is asked for its state.
        self.asks = asks
        self._report = report
        self._detail = ""
        self._reported: tuple[Trouble | None, str] = (None, "")
        self._news = asyncio.Event()

    async def opened(self) -> None:
        """Get to know the printer, which was just opened."""
        self.is_open, self.answers, self.proves, self.owed, self.is_settled = True, False, True, 0, False
        self.is_whole = self.answers_busy = False
        self.openings += 1
        self.trouble, self._detail, self._reported = None, "", (None, "")
        await self._meet()
        self.announce()

    async def _meet(self) -> None:
        if self.asks and self._printer.can_answer:
            look = await self.questions.meet()
            self.answers = isinstance(look, PrinterState)
            self._learn(look)

    async def meet_again(self) -> None:
        """Get to know a printer that has answered nothing so far: it may have been off when it was opened.

        One question tells; a printer that never answers costs the time of one answer.
        """
        is_unmet = self.is_open and self.asks and self._printer.can_answer and not self.answers
        if is_unmet and await self.questions.is_heard():
            await self._meet()
            self.proves = True
            self.tell()

    def closed(self) -> None:
        """The printer is not open any more."""
        self.is_open = self.answers = False
        self.announce()

    @property
    def is_ready(self) -> bool:
        """Whether nothing is known that keeps it from printing."""
        return self.is_open and self.trouble is None

    @property
    def complaint(self) -> str:
        """What is wrong, in words; empty when nothing is known to be."""
        return self._detail if self.trouble is None else self.trouble.words

    async def look(self, *, may_be_busy: bool = False) -> Look:
        """Ask how the printer is, and report what changed; NOT_NOW where it is not asked.

        Some printers do not answer while they print: may_be_busy says that silence means nothing now.
        """
        if not self.answers:
            return Silence.NOT_NOW
        opening = self.openings
        look = await self.questions.look()
        is_current = self.is_open and self.openings == opening
        if is_current and not (may_be_busy and look is Silence.SILENT):
            self._learn(look)
            self.tell()
        return look

    def _learn(self, look: Look) -> None:
        before = self.trouble
        if isinstance(look, PrinterState):
            self._detail = look.words
            self.trouble = None if look.blocked_by is None else Trouble(by=look.blocked_by, words=look.words)
        elif look is Silence.SILENT and self.answers:
            self.trouble = _GONE
            self.owed, self.is_settled = 0, False
            self.silences += before != _GONE
        if self.trouble != before:
            self.announce()

    def tell(self) -> None:
        """Report how it is, where that was not reported yet."""
        now = (self.trouble, self._detail)
        if now == self._reported:
            return
        self._reported = now
        trouble = self.trouble
        self._report(
            DeviceReport(
                name=self._printer.name,
                kind="printer",
                state=DeviceState.READY if trouble is None else DeviceState.FAULTY,
                detail=self.complaint,
                blocked_by=None if trouble is None else trouble.by,
            )
        )

    def hold(self) -> None:
        """A job does not get on, and nothing else is known to be wrong."""
        if self.trouble is None:
            self.trouble = HELD
            self.announce()
            self.tell()

    def release(self) -> None:
        """It does, or is given up."""
        if self.trouble is HELD:
            self.trouble = None
            self.announce()
            self.tell()

    def _hear_late(self, _: Proof) -> None:
        """Learn from a proof that nobody waits for any more: the printer proves after all."""
        self.proves = True
        self.owed = max(0, self.owed - 1)

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Note whether what is written meanwhile is written whole."""
        was_whole, self.is_whole = self.is_whole, False
        try:
            yield
        except DeviceAbsent:
            self.is_whole = was_whole
            raise
        self.is_whole = was_whole

    def announce(self) -> None:
        """Wake whoever waits for news."""
        self._news.set()
        self._news = asyncio.Event()

    async def wait_news(self, timeout_s: float | None = None) -> None:
        """Return at the next change, or after so long."""
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                await self._news.wait()

    async def watch(self) -> None:
        """Ask again and again while a fault stands, so that readiness returns by itself; rest while none does."""
        while True:
            if self.trouble is None:
                await self.wait_news()
                continue
            await asyncio.sleep(self.timing.poll_s)
            await self._recheck()

    async def _recheck(self) -> None:
        """Find out whether the fault still stands, with as few bytes as possible."""
        trouble = self.trouble
        if trouble is None or not self.answers:
            return
        is_still = await self.questions.is_still(None if trouble is _GONE else trouble.by)
        if not is_still or trouble is HELD:
            await self.look()
