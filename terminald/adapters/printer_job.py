"""One job on its way through a printer: sent, waited for where the printer stops, and proven where it can be.

Theory of operation: after the last cut the printer is sent a marker, a request that it answers when it comes to it,
which is when everything before it is printed. A printer that stops keeps what it has, and goes on by itself when paper
is put in; so nothing is sent twice, and the proof is waited for. Where the printer was away meanwhile (it hung up, or
was silent), it is sent a second marker when it is back: printers answer in turn, so an answer to the second one alone
means that the first is gone. Whether what was before it is on paper nobody knows then: a printer that had its own power
has printed it, and its word went into a line that was not there. An answer that any noise can be proves nothing of a
printer that was away. Lost for certain is only a job of which a part was never sent.
"""

import asyncio
from collections.abc import Callable
from typing import Final

from terminald.adapters.fd_writer import job_deadline_s
from terminald.adapters.ports_devices import Printer
from terminald.adapters.ports_receipts import PrintSink
from terminald.adapters.printer_condition import PrinterCondition, Trouble
from terminald.adapters.printer_markers import Confirm, Markers
from terminald.adapters.printer_questions import Silence
from terminald.adapters.printer_sending import Away, Blocked, Sending
from terminald.adapters.printer_witness import Witness
from terminald.core.events import (
    Blockage,
    JobBlocked,
    JobBroken,
    JobLost,
    JobPrinted,
    JobSent,
    PrintAnswer,
    PrinterAbsent,
)
from terminald.errors import DeviceAbsent, DeviceError, DeviceLost
from terminald.wire.printer_status import PrinterState

#: Printers take what is in their buffer faster than this while paper is not what they wait for.
_BYTES_PER_SECOND: Final = 20_000
_NOT_ASKED: Final = "the printer took every byte; it was not asked whether it printed them"
_PROVEN: Final = "the printer said after the cut that everything before it is printed"
_TAKEN: Final = "the printer took every byte"
_LATE: Final = "the printer was lost after the last byte"


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
        self._markers = Markers(self._confirm, owed=condition.owed, announce=condition.announce)
        self._witness = Witness(printer, condition, None if self._confirm == "none" else self._markers)
        self._sending = Sending(printer, condition, tell, self._witness)
        if confirm == "gs_r" and not condition.is_settled:
            self._sending.doubt = "an earlier receipt may still be in the printer"
        self._loop = asyncio.get_running_loop()

    async def run(self) -> PrintAnswer:
        """Send the job once, and return what is known about the paper."""
        failure = await self._send()
        if failure is not None:
            return failure
        if self._confirm == "none":
            return await self._trust()
        with self._condition.questions.proofs(self._markers.hear):
            return await self._prove()

    async def _send(self) -> PrintAnswer | None:
        """Send the job; return what is known where that failed."""
        try:
            with self._condition.questions.deaf(), self._condition.questions.proofs(self._markers.hear):
                await self._sending.push_job(self._data)
        except DeviceAbsent as error:
            return PrinterAbsent(evidence=error.detail)
        except Blocked as blocked:
            return JobBlocked(evidence=blocked.trouble.words, by=blocked.trouble.by)
        except DeviceLost as error:
            return await self._after_loss(error.detail, is_complete=error.may_be_whole)
        except Away as away:
            return await self._after_loss(str(away), is_hung_up=False)
        except DeviceError as error:
            return JobBroken(evidence=error.detail)
        return None

    # --- the proof ---------------------------------------------------------------------------------------------------

    async def _prove(self) -> PrintAnswer:
        try:
            await self._sending.push_marker(self._markers.request(0))
        except (DeviceAbsent, DeviceLost, Away) as error:
            is_hung_up = isinstance(error, DeviceLost) or not self._condition.is_open
            return await self._after_loss(_LATE, is_complete=True, is_hung_up=is_hung_up)
        except DeviceError as error:
            return JobSent(evidence=f"the printer took every byte, and then nothing more: {error.detail}")
        if not self._condition.proves:
            self._condition.proves = self._markers.has_heard
            self._condition.owed = max(0, self._markers.owed + 1 - self._markers.heard)
            self._condition.is_settled = False
            return JobSent(evidence="the printer took every byte; it does not say whether it printed them")
        try:
            is_proven = await self._wait_for(lambda: self._markers.is_answered(0))
        except Away as away:
            return await self._after_loss(str(away), is_complete=True, is_hung_up=not self._condition.is_open)
        return self._proven() if is_proven else self._unproven()

    def _proven(self) -> PrintAnswer:
        self._condition.proves, self._condition.owed = True, 0
        if doubt := self._sending.doubt or self._witness.doubt:
            return JobSent(evidence=f"{doubt}; {_PROVEN}")
        return JobPrinted(evidence=_PROVEN)

    def _unproven(self) -> PrintAnswer:
        condition = self._condition
        if condition.trouble is not None:
            return JobSent(evidence=f"the printer took every byte, and waits since then: {condition.trouble.words}")
        condition.is_settled = False
        # An answer that belongs to an earlier job shows that nothing is owed any more.
        condition.owed = 0 if self._markers.heard else condition.owed + 1
        condition.proves = self._markers.has_heard
        return JobSent(evidence="the printer took every byte, and did not say in time whether it printed them")

    async def _wait_for(self, is_so: Callable[[], bool]) -> bool:
        """Wait for proofs as long as the printing may take, longer while a fault stands; whether it is so.

        Raises:
            Away: the printer hung up or was silent meanwhile.
        """
        condition, timing, begun = self._condition, self._timing, self._loop.time()
        patience_s = self._patience_s()
        limit = begun + patience_s
        heard = 0
        while True:
            if self._markers.heard != heard:
                await self._check_presence()
            if is_so() and await self._is_believable():
                return True
            heard, now = self._markers.heard, self._loop.time()
            if self._sending.was_away():
                raise Away("the printer was away before it had proven the job")
            if condition.trouble is not None and now < begun + timing.wait_longest_s:
                self._sending.interrupt(condition.trouble)
                limit = now + patience_s
            elif now >= limit:
                return False
            await condition.wait_news(min(timing.look_s, max(limit - now, 0.0)))
            if not is_so() and condition.trouble is None:
                await condition.look(may_be_busy=self._loop.time() < limit)

    async def _check_presence(self) -> None:
        """Ask whether the printer is there when an answer came that any noise can be: a moment later it is again."""
        if self._condition.answers and await self._condition.questions.is_there() is False:
            self._sending.doubt = "the printer said something, and then nothing for a moment: it may have been off"

    async def _is_believable(self) -> bool:
        """Look at the printer after an answer that any noise can be, such as the break of a line; drop a false one.

        Raises:
            Away: the printer is silent.
        """
        condition = self._condition
        if self._confirm == "process_id" or not condition.answers:
            return True
        look = await condition.look(may_be_busy=condition.trouble is None)
        if self._sending.was_away():
            raise Away("the printer was away when an answer came")
        if isinstance(look, PrinterState) and look.blocked_by is None:
            return True
        if look in (Silence.NOT_NOW, Silence.UNCLEAR):
            self._sending.doubt = "it could not be asked how the printer is then"
            return True
        self._markers.disbelieve()
        return False

    def _patience_s(self) -> float:
        if self._condition.asks and not self._condition.answers:
            return self._timing.doubt_s
        return job_deadline_s(self._data, bytes_per_second=_BYTES_PER_SECOND, grace_s=self._timing.grace_s)

    async def _trust(self) -> PrintAnswer:
        """Without a proof: wait at least until nothing keeps the printer from printing."""
        condition, begun = self._condition, self._loop.time()
        await condition.look(may_be_busy=True)
        while condition.trouble is not None and not self._sending.was_away():
            if self._loop.time() >= begun + self._timing.wait_longest_s:
                break
            self._sending.interrupt(condition.trouble)
            await condition.wait_news(self._timing.poll_s)
        return JobSent(evidence=_NOT_ASKED)

    # --- a printer that was away -------------------------------------------------------------------------------------

    async def _after_loss(self, detail: str, *, is_complete: bool = False, is_hung_up: bool = True) -> PrintAnswer:
        """Wait until the printer is back, and find out whether it still has the job.

        Is_complete: it may have every byte of it. Such a job is never lost for certain: it may have been printed while
        nobody heard the printer. That it was not, and that the printer had no power, no line tells.
        """
        unproven = JobSent(evidence=f"{_TAKEN}: {detail}") if is_complete else JobBroken(evidence=detail)
        if not self._may_repeat or (is_complete and self._confirm == "none"):
            return unproven
        if self._confirm == "gs_r":
            self._sending.doubt = "the printer was away meanwhile"
        self._sending.interrupt(Trouble(by=Blockage.OFFLINE, words=detail), "; it is waited for")
        is_back = await self._wait_back(is_hung_up=is_hung_up)
        if is_complete and self._markers.is_answered(0):
            return self._proven()
        if not is_back:
            return unproven
        return await self._probe() if is_complete else JobLost(evidence=f"{detail}; the rest was never sent")

    async def _wait_back(self, *, is_hung_up: bool) -> bool:
        """Wait until the printer is there and well; False when it took too long, or has proven the job by itself."""
        condition, timing = self._condition, self._timing
        gone_s, since = 0.0, self._loop.time()
        begun = since
        while not condition.is_ready or (is_hung_up and not self._sending.is_reopened):
            now = self._loop.time()
            by = condition.trouble.by if condition.is_open and condition.trouble else Blockage.OFFLINE
            gone_s = gone_s + now - since if by is Blockage.OFFLINE else 0.0
            since = now
            if self._markers.is_answered(0) or gone_s > timing.return_longest_s or now - begun > timing.wait_longest_s:
                return False
            await condition.wait_news(timing.poll_s)
        self._sending.note_presence()
        return True

    async def _probe(self) -> PrintAnswer:
        """Send a second marker, and listen for the answer to the first: printers answer in turn."""
        self._markers.forget()
        try:
            await self._sending.push_marker(self._markers.request(1))
            # In turn: whichever answer comes first, the first marker's is not behind it for long.
            is_answered = await self._wait_for(lambda: self._markers.has_heard)
            if is_answered and not self._markers.is_answered(1):
                await asyncio.sleep(self._timing.second_s)
        except (DeviceError, Away):
            return JobSent(evidence=f"{_TAKEN}, and was lost again before it had proven the job")
        if self._markers.is_answered(0 if self._confirm == "process_id" else 1):
            return self._proven()
        return JobSent(evidence=f"{_TAKEN}, and was away before it could prove that it printed them")
