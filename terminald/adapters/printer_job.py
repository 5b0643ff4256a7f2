"""One job on its way through a printer: sent, waited for where the printer stops, and proven where it can be.

Theory of operation: after the last cut the printer is sent a marker, a request that it answers when it comes to it,
which is when everything before it is printed. A printer that stops keeps what it has, and goes on by itself when paper
is put in; so nothing is sent twice, and the proof is waited for. Where the printer was away meanwhile (it hung up, or
was silent), it is sent a second marker when it is back: printers answer in turn, so an answer to the second one alone
means that the first is gone. Whether what was before it is on paper nobody knows then, unless a hang-up of the line is
the loss of the printer's power: a printer with a supply of its own prints on without the line. An answer that any noise
can be proves nothing of a printer that was away.
"""

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count
from typing import Final, Literal

from terminald.adapters.fd_writer import job_deadline_s
from terminald.adapters.ports_devices import Printer
from terminald.adapters.ports_receipts import PrintSink
from terminald.adapters.printer_condition import HELD, PrinterCondition, Trouble
from terminald.adapters.printer_questions import Proof, Silence
from terminald.core.events import (
    Blockage,
    JobBlocked,
    JobBroken,
    JobInterrupted,
    JobLost,
    JobPrinted,
    JobSent,
    PrintAnswer,
    PrinterAbsent,
)
from terminald.errors import DeviceAbsent, DeviceError, DeviceLost, DeviceTimeout
from terminald.wire.printer_status import GS_R, PrinterState, ProcessId, process_id

Confirm = Literal["gs_r", "process_id", "none"]

#: Printers take what is in their buffer faster than this while paper is not what they wait for.
_BYTES_PER_SECOND: Final = 20_000
#: So often a printer says that it is well until its XOFF is not believed.
_TIMES_WELL: Final = 2
_NOT_ASKED: Final = "the printer took every byte; it was not asked whether it printed them"
_PROVEN: Final = "the printer said after the cut that everything before it is printed"
_LATE: Final = "the printer was lost after the last byte"
_REST: Final = "; what it has not printed yet, it is to print then"

_numbers = count(random.SystemRandom().randrange(10_000))


def fresh_tag() -> bytes:
    """Return an id that this process has not used for a long time."""
    return b"%04d" % (next(_numbers) % 10_000)


@dataclass(slots=True)
class _Heard:
    """The proofs that arrived."""

    tags: set[bytes] = field(default_factory=set)
    statuses: int = 0


class _Away(Exception):
    """The printer hung up or fell silent while a proof was awaited."""


class _Blocked(Exception):
    """The printer has trouble, and not one byte was sent."""

    def __init__(self, trouble: Trouble) -> None:
        super().__init__(trouble.words)
        self.trouble = trouble


class JobRun:
    """Carries one job out. Lives for one job."""

    def __init__(
        self,
        printer: Printer,
        condition: PrinterCondition,
        data: bytes,
        *,
        confirm: Confirm,
        tell: PrintSink,
        may_repeat: bool,
    ) -> None:
        """Tell is called when the printer stops in the middle. May_repeat: a loss is worth waiting to be certain of."""
        self._may_repeat = may_repeat
        self._printer = printer
        self._condition = condition
        self._timing = condition.timing
        self._data = data
        self._confirm = confirm if printer.can_answer else "none"
        self._tell = tell
        self._told: PrintAnswer | None = None
        self._heard = _Heard()
        self._owed = condition.owed
        self._times_well = 0
        self._tags = (fresh_tag(), fresh_tag())
        #: Why an answer is no proof.
        self._doubt = (
            "" if confirm != "gs_r" or condition.is_settled else "an earlier receipt may still be in the printer"
        )
        self._loop = asyncio.get_running_loop()
        self._note_presence()

    async def run(self) -> PrintAnswer:
        """Send the job once, and return what is known about the paper."""
        try:
            with self._condition.questions.deaf():
                await self._push(self._data)
        except DeviceAbsent as error:
            return PrinterAbsent(evidence=error.detail)
        except _Blocked as blocked:
            return JobBlocked(evidence=blocked.trouble.words, by=blocked.trouble.by)
        except (DeviceLost, _Away) as error:
            detail = error.detail if isinstance(error, DeviceLost) else str(error)
            return await self._after_loss(detail, is_hung_up=isinstance(error, DeviceLost))
        except DeviceError as error:
            return JobBroken(evidence=error.detail)
        if self._confirm == "none":
            return await self._trust()
        with self._condition.questions.proofs(self._hear):
            return await self._prove()

    # --- sending -----------------------------------------------------------------------------------------------------

    async def _push(self, data: bytes, *, is_last: bool = True) -> None:
        """Send bytes; where the printer stops, find out why, and give it time. Is_last: nothing is tried again."""
        begun = self._loop.time()
        writing = asyncio.ensure_future(self._printer.write(data))
        try:
            while not (await asyncio.wait({writing}, timeout=self._timing.look_s))[0]:
                if self._printer.stalled_s() >= self._timing.stall_s:
                    await self._see_to_stall()
                elif not self._printer.stalled_s() and self._loop.time() - begun >= self._timing.stall_s:
                    await self._see_to_beginning(is_job=is_last)
        finally:
            if is_last:
                self._condition.release()
            if not writing.done():
                writing.cancel()
                await asyncio.wait({writing})
        writing.result()

    async def _see_to_beginning(self, *, is_job: bool) -> None:
        """Find out why the printer takes not even the first byte; its XOFF may be noise, or the XON was lost.

        Raises:
            DeviceAbsent: it is silent.
            _Blocked: it says why it can not take a job.
        """
        condition = self._condition
        look = await condition.look()
        if self._printer.stalled_s():
            return
        if self._was_away():
            raise DeviceAbsent(self._printer.name, "the printer fell silent before the first byte")
        if is_job and condition.trouble not in (None, HELD):
            raise _Blocked(condition.trouble)
        is_well = isinstance(look, PrinterState) and look.blocked_by is None
        self._times_well = self._times_well + 1 if is_well else 0
        if self._times_well >= _TIMES_WELL and self._printer.go_on():
            self._doubt = "the printer said that it takes nothing, and was sent the job all the same"

    async def _see_to_stall(self) -> None:
        condition, timing, stalled_s = self._condition, self._timing, self._printer.stalled_s()
        look = await condition.look() if condition.trouble in (None, HELD) else Silence.NOT_NOW
        if self._was_away():
            raise _Away("the printer fell silent in the middle of the job")
        if condition.trouble is not None and condition.trouble is not HELD:
            if stalled_s < timing.wait_longest_s:
                self._interrupt(condition.trouble)
                self._printer.prolong(timing.poll_s * 3)
        elif isinstance(look, Silence) and stalled_s < timing.hold_longest_s:
            # Nobody says why; that it holds the line is a word of its own.
            self._printer.prolong(timing.poll_s * 3)
            if stalled_s >= timing.blind_s:
                self._hold()

    def _interrupt(self, trouble: Trouble, then: str = _REST) -> None:
        told = JobInterrupted(evidence=trouble.words + then, by=trouble.by)
        if told != self._told:
            self._told = told
            self._tell(told)

    # --- the proof ---------------------------------------------------------------------------------------------------

    def _hear(self, proof: Proof) -> None:
        if isinstance(proof, ProcessId):
            self._heard.tags.add(proof.tag)
        elif proof.has_paper:
            self._heard.statuses += 1
        self._condition.announce()

    def _marker(self, number: int) -> bytes:
        return GS_R if self._confirm == "gs_r" else process_id(self._tags[number])

    async def _push_marker(self, number: int) -> None:
        """Send a marker, and try again while the printer holds the line before its first byte.

        Raises:
            DeviceAbsent, DeviceLost, _Away: the printer was away.
            DeviceTimeout: it took a part, or held the line for too long.
        """
        begun = self._loop.time()
        try:
            while True:
                try:
                    return await self._push(self._marker(number), is_last=False)
                except DeviceAbsent:
                    if self._was_away():
                        raise
                await self._see_to_hold(self._loop.time() - begun)
                await self._condition.wait_news(self._timing.look_s)
        finally:
            self._condition.release()

    async def _see_to_hold(self, held_s: float) -> None:
        condition, timing = self._condition, self._timing
        await condition.look()
        if self._was_away():
            raise _Away("the printer was away before it had proven the job")
        trouble = condition.trouble
        is_known = trouble is not None and trouble is not HELD
        if held_s >= (timing.wait_longest_s if is_known else timing.hold_longest_s):
            raise DeviceTimeout(self._printer.name, "it holds the line")
        if trouble is not None and is_known:
            self._interrupt(trouble)
        elif held_s >= timing.blind_s:
            self._hold()

    def _hold(self) -> None:
        if not self._printer.notices_power_off:
            self._doubt = "the printer held the line for long, and may have been off meanwhile"
        self._condition.hold()
        self._interrupt(HELD)

    def _is_answered(self, number: int) -> bool:
        """Whether a marker was answered; printers answer GS r in turn, those of earlier jobs first."""
        if self._confirm == "process_id":
            return self._tags[number] in self._heard.tags
        return self._heard.statuses > self._owed + number

    async def _prove(self) -> PrintAnswer:
        try:
            await self._push_marker(0)
        except (DeviceAbsent, DeviceLost, _Away) as error:
            is_hung_up = isinstance(error, DeviceLost) or not self._condition.is_open
            return await self._after_loss(_LATE, is_complete=True, is_marked=False, is_hung_up=is_hung_up)
        except DeviceError as error:
            return JobSent(evidence=f"the printer took every byte, and then nothing more: {error.detail}")
        if not self._condition.proves:
            self._condition.proves = bool(self._heard.tags or self._heard.statuses)
            self._condition.owed = max(0, self._owed + 1 - self._heard.statuses)
            return JobSent(evidence="the printer took every byte; it does not say whether it printed them")
        try:
            is_proven = await self._wait_for(lambda: self._is_answered(0))
        except _Away as away:
            return await self._after_loss(str(away), is_complete=True, is_hung_up=not self._condition.is_open)
        return self._proven() if is_proven else self._unproven()

    def _proven(self) -> PrintAnswer:
        self._condition.proves, self._condition.owed = True, 0
        if self._doubt:
            return JobSent(evidence=f"{self._doubt}; {_PROVEN}")
        return JobPrinted(evidence=_PROVEN)

    def _unproven(self) -> PrintAnswer:
        condition = self._condition
        if condition.trouble is not None:
            return JobSent(evidence=f"the printer took every byte, and waits since then: {condition.trouble.words}")
        # An answer that belongs to an earlier job shows that nothing is owed any more.
        condition.owed = 0 if self._heard.statuses else condition.owed + 1
        condition.proves = self._heard.statuses > 0 or bool(self._heard.tags)
        return JobSent(evidence="the printer took every byte, and did not say in time whether it printed them")

    async def _wait_for(self, is_so: Callable[[], bool]) -> bool:
        """Wait for proofs as long as the printing may take, longer while a fault stands; whether it is so.

        Raises:
            _Away: the printer hung up or was silent meanwhile.
        """
        condition, timing, begun = self._condition, self._timing, self._loop.time()
        patience_s = self._patience_s()
        limit = begun + patience_s
        while not (is_so() and await self._is_believable()):
            now = self._loop.time()
            if self._was_away():
                raise _Away("the printer was away before it had proven the job")
            if condition.trouble is not None and now < begun + timing.wait_longest_s:
                self._interrupt(condition.trouble)
                limit = now + patience_s
            elif now >= limit:
                return False
            await condition.wait_news(min(timing.look_s, max(limit - now, 0.0)))
            if not is_so() and condition.trouble is None:
                await condition.look(may_be_busy=self._loop.time() < limit)
        return True

    async def _is_believable(self) -> bool:
        """Look at the printer after an answer that any noise can be, such as the break of a line; drop a false one.

        Raises:
            _Away: the printer is silent.
        """
        condition = self._condition
        if self._confirm == "process_id" or not condition.answers:
            return True
        look = await condition.look(may_be_busy=condition.trouble is None)
        if self._was_away():
            raise _Away("the printer was away when an answer came")
        if isinstance(look, PrinterState) and look.blocked_by is None:
            return True
        if look in (Silence.NOT_NOW, Silence.UNCLEAR):
            self._doubt = "it could not be asked how the printer is then"
            return True
        self._heard.statuses = min(self._heard.statuses, self._owed)
        return False

    def _patience_s(self) -> float:
        if self._condition.asks and not self._condition.answers:
            return self._timing.doubt_s
        return job_deadline_s(self._data, bytes_per_second=_BYTES_PER_SECOND, grace_s=self._timing.grace_s)

    async def _trust(self) -> PrintAnswer:
        """Without a proof: wait at least until nothing keeps the printer from printing."""
        condition, begun = self._condition, self._loop.time()
        await condition.look(may_be_busy=True)
        while condition.trouble is not None and not self._was_away():
            if self._loop.time() >= begun + self._timing.wait_longest_s:
                break
            self._interrupt(condition.trouble)
            await condition.wait_news(self._timing.poll_s)
        return JobSent(evidence=_NOT_ASKED)

    # --- a printer that was away -------------------------------------------------------------------------------------

    def _note_presence(self) -> None:
        self._presence = (self._condition.is_open, self._condition.openings, self._condition.silences)

    def _was_away(self) -> bool:
        condition = self._condition
        return self._presence != (condition.is_open, condition.openings, condition.silences)

    async def _after_loss(
        self, detail: str, *, is_complete: bool = False, is_marked: bool = True, is_hung_up: bool = True
    ) -> PrintAnswer:
        """Wait until the printer is back, and find out whether it still has the job."""
        if not self._may_repeat:
            return JobBroken(evidence=detail)
        if self._confirm == "gs_r":
            self._doubt = "the printer was away meanwhile"
        self._interrupt(Trouble(by=Blockage.OFFLINE, words=detail), "; it is waited for")
        is_back = await self._wait_back(is_hung_up=is_hung_up)
        if is_complete and self._is_answered(0):
            return self._proven()
        if not is_back:
            return JobBroken(evidence=detail)
        if not is_complete:
            return JobLost(evidence=f"{detail}; the rest was never sent")
        return await self._probe(is_marked=is_marked, is_power_lost=is_hung_up and self._printer.notices_power_off)

    async def _wait_back(self, *, is_hung_up: bool) -> bool:
        """Wait until the printer is there and well; False when it took too long, or has proven the job by itself."""
        condition, timing = self._condition, self._timing
        gone_s, since = 0.0, self._loop.time()
        begun = since
        while not condition.is_ready or (is_hung_up and condition.openings == self._presence[1]):
            now = self._loop.time()
            by = condition.trouble.by if condition.is_open and condition.trouble else Blockage.OFFLINE
            gone_s = gone_s + now - since if by is Blockage.OFFLINE else 0.0
            since = now
            if self._is_answered(0) or gone_s > timing.return_longest_s or now - begun > timing.wait_longest_s:
                return False
            await condition.wait_news(timing.poll_s)
        self._note_presence()
        return True

    async def _probe(self, *, is_marked: bool, is_power_lost: bool) -> PrintAnswer:
        """Send a second marker: an answer to it alone proves that the first one is gone, with the printer's power."""
        self._owed, self._heard = 0, _Heard()
        try:
            await self._push_marker(1)
            # In turn: whichever answer comes first, the first marker's is not behind it for long.
            is_answered = await self._wait_for(lambda: self._heard.statuses > 0 or bool(self._heard.tags))
            if is_answered and not self._is_answered(1):
                await asyncio.sleep(self._timing.second_s)
        except (DeviceError, _Away):
            return JobBroken(evidence="the printer was lost again before it had proven the job")
        if self._is_answered(0 if self._confirm == "process_id" else 1):
            return self._proven()
        if is_answered and is_marked and is_power_lost:
            return JobLost(evidence="the printer was away, is back, and has nothing of the job any more")
        return JobSent(evidence="the printer took every byte, and was away before it could prove that it printed them")
