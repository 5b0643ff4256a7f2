"""Print jobs and their honest states. A receipt never changes the fate of money (I8).

A job that was cut off in the middle is not sent twice blindly: some of it may be on paper, and a printer that ran out
of paper keeps the rest and prints it after the refill. Only what is certain to be lost is printed again, once, marked
as a copy.
"""

from dataclasses import dataclass, replace
from enum import Enum

from terminald.core.commands import Command, SendJob
from terminald.core.events import (
    Blockage,
    Event,
    JobBlocked,
    JobBroken,
    JobInterrupted,
    JobLost,
    JobPrinted,
    JobSent,
    LifetimeEnded,
    PowerReturned,
    PrintAnswer,
    PrinterAbsent,
    PrinterReady,
    Recovered,
    SendDue,
    SlipOutdated,
)
from terminald.core.ids import Instant, JobId, SaleId, WallTime
from terminald.core.schedule import BLOCKED_PRINTER_RETRY, Now, Rules, later, retry_delay
from terminald.core.tables import Row, Table, Wakeup, find_row


class JobState(Enum):
    """Where a job is. What ``sale.receipt`` shows of it is :func:`shown`."""

    QUEUED = "queued"  # nothing is on paper
    BLOCKED = "blocked"  # nothing is on paper; the printer can not print now
    PRINTING = "printing"  # some of it may be on paper
    LOST = "lost"  # some of it may be on paper, the rest is lost: to be printed again, as a copy
    REPRINTING = "reprinting"  # the copy is being sent
    PRINTED = "printed"  # the printer said so
    UNVERIFIED = "unverified"  # the printer took it; nobody said that it was printed
    EXPIRED = "expired"  # nothing is on paper, and nobody waits for it any more
    FAILED = "failed"  # part of it may be on paper

    @property
    def is_final(self) -> bool:
        """Whether nothing more will happen by itself."""
        return self not in (JobState.QUEUED, JobState.BLOCKED, JobState.PRINTING, JobState.LOST, JobState.REPRINTING)


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
    #: What keeps the printer from printing it, or from printing the rest of it.
    blocked_by: Blockage | None = None


def _send(job: PrintJob) -> Command:
    return SendJob(sale_id=job.sale_id, job_id=job.id, token=job.token)


_S = JobState

TABLE: Table[JobState, PrintJob] = {
    _S.QUEUED: {
        SendDue: Row(_S.PRINTING, (_send,)),
        PrinterReady: Row(_S.PRINTING, (_send,)),
        LifetimeEnded: Row(_S.EXPIRED),
        Recovered: Row(_S.QUEUED),
        PowerReturned: Row(_S.QUEUED),
    },
    _S.BLOCKED: {
        SendDue: Row(_S.PRINTING, (_send,)),
        PrinterReady: Row(_S.PRINTING, (_send,)),
        LifetimeEnded: Row(_S.EXPIRED),
        Recovered: Row(_S.BLOCKED),
        PowerReturned: Row(_S.BLOCKED),
    },
    _S.PRINTING: {
        JobPrinted: Row(_S.PRINTED),
        JobSent: Row(_S.UNVERIFIED),
        JobInterrupted: Row(_S.PRINTING),
        JobBlocked: Row(_S.BLOCKED),
        PrinterAbsent: Row(_S.QUEUED),
        JobLost: Row(_S.LOST),
        JobBroken: Row(_S.FAILED),
        SlipOutdated: Row(_S.EXPIRED),
        Recovered: Row(_S.UNVERIFIED),
        PowerReturned: Row(_S.UNVERIFIED),
    },
    _S.LOST: {
        SendDue: Row(_S.REPRINTING, (_send,)),
        PrinterReady: Row(_S.REPRINTING, (_send,)),
        LifetimeEnded: Row(_S.FAILED),
        Recovered: Row(_S.LOST),
        PowerReturned: Row(_S.LOST),
    },
    _S.REPRINTING: {
        JobPrinted: Row(_S.PRINTED),
        JobSent: Row(_S.UNVERIFIED),
        JobInterrupted: Row(_S.REPRINTING),
        JobBlocked: Row(_S.LOST),
        PrinterAbsent: Row(_S.LOST),
        JobLost: Row(_S.FAILED),
        JobBroken: Row(_S.FAILED),
        SlipOutdated: Row(_S.FAILED),
        Recovered: Row(_S.UNVERIFIED),
        PowerReturned: Row(_S.UNVERIFIED),
    },
    _S.PRINTED: {},
    _S.UNVERIFIED: {},
    _S.EXPIRED: {},
    _S.FAILED: {},
}

#: What a host is told of a state that is not one of its own.
_SHOWN = {_S.LOST: _S.QUEUED, _S.REPRINTING: _S.PRINTING}


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
        blocked_by = event.by if isinstance(event, JobBlocked | JobInterrupted) else None
        after = replace(after, evidence=event.evidence, blocked_by=blocked_by)
    elif isinstance(event, Recovered | PowerReturned) and row.to.is_final:
        evidence = "terminald was stopped while it printed; part of it may be on paper"
        after = replace(after, evidence=evidence, blocked_by=None)
    elif row.ask or row.to.is_final:
        after = replace(after, blocked_by=None)
    match event:
        case PrinterAbsent():
            after = replace(after, retry=later(now.instant, retry_delay(job.tries, now.jitter)), tries=job.tries + 1)
        case JobBlocked():
            after = replace(after, retry=later(now.instant, BLOCKED_PRINTER_RETRY))
        case JobLost():
            after = replace(after, retry=now.instant, is_copy=True)
    return after, tuple(ask(after) for ask in row.ask)


def next_wakeup(job: PrintJob) -> Wakeup | None:
    """Return when the job is to be sent or given up; None while it is being sent, and when it is final."""
    if not is_waiting(job):
        return None
    if job.retry is not None and job.retry < job.expires:
        return Wakeup(at=job.retry, event=SendDue())
    return Wakeup(at=job.expires, event=LifetimeEnded())


def is_waiting(job: PrintJob) -> bool:
    """Whether the job would be sent now if the printer were ready."""
    return PrinterReady in TABLE[job.state]


def shown(job: PrintJob) -> JobState:
    """Return the state that a host is told: ``blocked`` as well where the printer stopped in the middle."""
    if job.blocked_by is not None:
        return JobState.BLOCKED
    return _SHOWN.get(job.state, job.state)
