"""A printer on virtual time, with all its moods; and what is on its paper against what is on record."""

import asyncio
import random
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from terminald.adapters.ports_receipts import PrintSink
from terminald.adapters.receipt_sender import PLAIN, slip_of
from terminald.core.book import SaleView
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
    SlipOutdated,
)
from terminald.core.ids import JobId
from terminald.core.receipt import Receipt, layout, render_text
from terminald.core.refund_table import RefundState
from terminald.core.report import DayReport
from terminald.core.schedule import Now
from terminald.core.spool import JobState, PrintJob

COLUMNS = 32
#: What a printer does with a slip; most are printed.
MOODS = ("printed",) * 6 + ("silent", "stops", "stops", "lost", "breaks")
#: What it is before one begins.
STATES = ("ready",) * 6 + ("off", "out of paper")


@dataclass(slots=True)
class Slip:
    """What has come out, whole or in part."""

    job_id: JobId
    is_copy: bool
    text: str
    is_whole: bool = False


class Paper:
    """The printer itself, which outlives every process. It draws its moods from a stream of its own."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self.slips: list[Slip] = []
        self.found: list[str] = []
        self.seen: Counter[str] = Counter()

    async def print(self, slip: Slip, tell: PrintSink) -> PrintAnswer:
        """Print one slip, in whatever mood it is."""
        mood = self.rng.choice(MOODS)
        self.slips.append(slip)
        try:
            await asyncio.sleep(self.rng.choice((0.2, 2.0, 10.0)))
            if mood == "stops":
                tell(JobInterrupted(evidence="it is out of paper", by=Blockage.PAPER))
                await asyncio.sleep(self.rng.choice((1.0, 30.0, 600.0)))
                mood = self.rng.choice(("printed", "silent", "lost"))
        except asyncio.CancelledError:
            # The process is gone; the printer goes on with what it has, which may be all.
            slip.is_whole = self.rng.random() < 0.5
            raise
        self.seen[f"paper: {mood}"] += 1
        slip.is_whole = mood in ("printed", "silent")
        match mood:
            case "printed":
                return JobPrinted(evidence="it said so")
            case "silent":
                return JobSent(evidence="it says nothing")
            case "lost":
                return JobLost(evidence="it was switched off and on")
            case _:
                return JobBroken(evidence="it is gone")


class PaperSender:
    """Implements the port of the sender of receipts, one slip after the other; one for each process."""

    def __init__(self, paper: Paper) -> None:
        self._paper = paper
        self._is_busy = asyncio.Lock()

    async def send(self, job: PrintJob, look: Callable[[], SaleView | None], tell: PrintSink) -> PrintAnswer:
        paper = self._paper
        async with self._is_busy:
            state = paper.rng.choice(STATES)
            await asyncio.sleep(0.05)
            if state == "off":
                return PrinterAbsent(evidence="it is off")
            if state == "out of paper":
                return JobBlocked(evidence="it is out of paper", by=Blockage.PAPER)
            view = look()
            found = None if view is None else slip_of(view, job, PLAIN)
            if view is None or found is None:
                paper.seen["paper: outdated"] += 1
                return SlipOutdated(evidence="it is not true any more")
            paper.found += _judge_slip(view, job, found)
            text = render_text(layout(found, columns=COLUMNS), COLUMNS)
            return await paper.print(Slip(job.id, job.is_copy, text), tell)

    async def send_closing(self, report: DayReport, now: Now) -> PrintAnswer:
        raise NotImplementedError("nobody prints the slip of a day here")


def _judge_slip(view: SaleView, job: PrintJob, slip: Receipt) -> list[str]:
    """What a slip says is true at the moment at which it is printed."""
    sale, what = view.sale, f"{view.sale.order.reference}: slip {job.slip}"
    if job.slip == "refund":
        refund = next(one for one in view.refunds if one.id == job.about)
        return [] if refund.state is RefundState.DONE else [f"{what} of a refund that is {refund.state.value}"]
    if job.slip == "qr":
        return [f"{what} of a paid sale"] if sale.paid else []
    return [] if slip.amount == sale.paid > 0 else [f"{what} says {slip.amount}, and {sale.paid} is paid"]


def judge_paper(paper: Paper, views: Iterable[SaleView]) -> list[str]:
    """What is on paper, against what is on record, once everything has come to rest."""
    found = list(paper.found)
    for view in views:
        for job in view.jobs:
            slips = [one for one in paper.slips if one.job_id == job.id]
            found += [f"{view.sale.order.reference}: {job.slip} {job.id}: {what}" for what in _judge_job(job, slips)]
        is_due = view.sale.order.wants_receipt and view.sale.paid > 0
        if is_due and not any(job.slip == "receipt" for job in view.jobs):
            found.append(f"{view.sale.order.reference}: nobody ever wanted to print the receipt")
    return found


def _judge_job(job: PrintJob, slips: list[Slip]) -> list[str]:
    whole = sum(one.is_whole for one in slips)
    found = []
    if not job.state.is_final:
        found.append(f"I5: it is {job.state.value} for ever")
    if whole > 1:
        found.append(f"it came out {whole} times")
    if job.state is JobState.PRINTED and whole != 1:
        found.append(f"it is said to be printed, and {whole} came out")
    if job.state is JobState.EXPIRED and slips:
        found.append("it is said to have been given up, and something came out")
    if job.state is JobState.FAILED and whole:
        found.append("it is said to have failed, and it came out")
    if any(not one.is_copy for one in slips[1:]):
        found.append("it was sent again, and is not marked as a copy")
    return found
