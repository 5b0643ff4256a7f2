"""Print jobs and their honest states. A receipt never changes the fate of money (I8)."""

from dataclasses import dataclass, replace
from enum import Enum

from terminald.core.commands import Command, SendJob
from terminald.core.events import (
    Event,
    JobBroken,
    JobSent,
    LifetimeEnded,
    PowerReturned,
    PrintAnswer,
    PrinterAbsent,
    Recovered,
    SendDue,
    SlipOutdated,
)
from terminald.core.ids import Instant, JobId, SaleId, WallTime
from terminald.core.schedule import Now, Rules, later, retry_delay
from terminald.core.tables import Row, Table, Wakeup, find_row


class JobState(Enum):
    """As ``sale.receipt`` shows it."""

    QUEUED = "queued"  # nothing is on paper
    PRINTING = "printing"  # some of it may be on paper
    UNVERIFIED = "unverified"  # the printer took it; nobody said that it was printed
    EXPIRED = "expired"  # nothing is on paper, and nobody waits for it any more
    FAILED = "failed"  # part of it may be on paper

    @property
    def is_final(self) -> bool:
        """Whether nothing more will happen by itself."""
        return self not in (JobState.QUEUED, JobState.PRINTING)


@dataclass(frozen=True, slots=True, kw_only=True)
class PrintJob:
    """A snapshot."""

    id: JobId
    sale_id: SaleId
    is_copy: bool
    state: JobState
    token: int
    #: In words: what is known about the paper.
    evidence: str
    tries: int
    retry: Instant | None
    expires: Instant
    created_at: WallTime
    slip: str = "receipt"  # "receipt" | "qr" | "refund"
    #: The attempt's client_sn or the refund's id that the slip is about; empty for a receipt.
    about: str = ""


def _send(job: PrintJob) -> Command:
    return SendJob(sale_id=job.sale_id, job_id=job.id, token=job.token)


_S = JobState

#: A job that was cut off in the middle is not sent twice blindly: some of it may be on paper.
TABLE: Table[JobState, PrintJob] = {
    _S.QUEUED: {
        SendDue: Row(_S.PRINTING, (_send,)),
        LifetimeEnded: Row(_S.EXPIRED),
        Recovered: Row(_S.QUEUED),
        PowerReturned: Row(_S.QUEUED),
    },
    _S.PRINTING: {
        JobSent: Row(_S.UNVERIFIED),
        PrinterAbsent: Row(_S.QUEUED),
        JobBroken: Row(_S.FAILED),
        SlipOutdated: Row(_S.EXPIRED),
        Recovered: Row(_S.UNVERIFIED),
        PowerReturned: Row(_S.UNVERIFIED),
    },
    _S.UNVERIFIED: {},
    _S.EXPIRED: {},
    _S.FAILED: {},
}


def begin(job_id: JobId, sale_id: SaleId, *, is_copy: bool, slip: str, about: str, now: Now, rules: Rules) -> PrintJob:
    """Queue a slip; it is due at once."""
    return PrintJob(
        id=job_id,
        sale_id=sale_id,
        is_copy=is_copy,
        state=JobState.QUEUED,
        token=0,
        evidence="",
        tries=0,
        retry=now.instant,
        expires=later(now.instant, rules.job_lifetime),
        created_at=now.wall,
        slip=slip,
        about=about,
    )


def step(job: PrintJob, event: Event, *, now: Now) -> tuple[PrintJob, tuple[Command, ...]]:
    """Take one step.

    Raises:
        IllegalTransition: the table has no such row; nothing was changed.
    """
    row = find_row(TABLE, job.state, event)
    after = replace(job, state=row.to, token=job.token + bool(row.ask), retry=None if row.ask else job.retry)
    if isinstance(event, PrintAnswer):
        after = replace(after, evidence=event.evidence)
    elif job.state is JobState.PRINTING:
        after = replace(after, evidence="terminald was stopped while it printed; part of it may be on paper")
    if isinstance(event, PrinterAbsent):
        after = replace(after, retry=later(now.instant, retry_delay(job.tries, now.jitter)), tries=job.tries + 1)
    return after, tuple(ask(after) for ask in row.ask)


def next_wakeup(job: PrintJob) -> Wakeup | None:
    """Return when the job is to be sent or given up; None while it is being sent, and when it is final."""
    if job.state is not JobState.QUEUED:
        return None
    if job.retry is not None and job.retry < job.expires:
        return Wakeup(at=job.retry, event=SendDue())
    return Wakeup(at=job.expires, event=LifetimeEnded())
