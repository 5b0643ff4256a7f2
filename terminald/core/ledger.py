"""The machines together: one event in, every snapshot that changes and every command out, for one commit.

A machine never calls another. What it asks of one is delivered here as an event, within the same advance, so that a
payment and the sale that it pays can not be on disk one without the other.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import assert_never

from terminald.core import attempt as attempts
from terminald.core import sale as sales
from terminald.core import spool
from terminald.core.attempt_table import Attempt, AttemptState
from terminald.core.commands import (
    AbandonAttempt,
    Command,
    EnqueuePrint,
    GatewayCommand,
    OpenAttempt,
    SubmitPayment,
    TellSale,
)
from terminald.core.events import AbandonRequested, AttemptEvent, Event
from terminald.core.ids import ClientSn, Instant, JobId, SaleId
from terminald.core.sale import Sale, SaleOrder
from terminald.core.schedule import CODE_LIFE, Now, Rules
from terminald.core.spool import PrintJob
from terminald.core.tables import Wakeup

#: In a record that concerns no sale.
NO_SALE = SaleId("")


@dataclass(frozen=True, slots=True, kw_only=True)
class Book:
    """Every snapshot that is open or recent, and all that belongs to the same sale."""

    sales: Mapping[SaleId, Sale] = field(default_factory=dict)
    attempts: Mapping[ClientSn, Attempt] = field(default_factory=dict)
    jobs: Mapping[JobId, PrintJob] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class SaleView:
    """One sale with all that belongs to it, oldest first."""

    sale: Sale
    attempts: tuple[Attempt, ...]
    jobs: tuple[PrintJob, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenSale:
    """A new sale is asked for."""

    sale_id: SaleId
    order: SaleOrder


@dataclass(frozen=True, slots=True, kw_only=True)
class ToSale:
    """An event for a sale."""

    sale_id: SaleId
    event: Event


@dataclass(frozen=True, slots=True, kw_only=True)
class ToAttempt:
    """An event for an attempt. A completion carries the token of the command that it completes."""

    client_sn: ClientSn
    event: Event
    token: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ToJob:
    """An event for a print job. A completion carries the token of the command that it completes."""

    job_id: JobId
    event: Event
    token: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PrintCopy:
    """A person or the host wants the receipt of a sale once more."""

    sale_id: SaleId


Stimulus = OpenSale | ToSale | ToAttempt | ToJob | PrintCopy


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One transition, for the event log and the log line."""

    kind: str  # "sale" | "attempt" | "print"
    subject: str
    sale_id: SaleId
    cause: str
    before: str
    after: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Advance:
    """What is to be committed, and then performed. Without records: the stimulus was stale and changed nothing."""

    sales: tuple[Sale, ...] = ()
    attempts: tuple[Attempt, ...] = ()
    jobs: tuple[PrintJob, ...] = ()
    records: tuple[Record, ...] = ()
    commands: tuple[Command, ...] = ()


def advance(book: Book, stimulus: Stimulus, *, now: Now, rules: Rules) -> Advance:
    """Carry one stimulus through every machine that it concerns.

    Raises:
        IllegalTransition: the machine has no such row; nothing was changed.
        KeyError: nothing by that name is in the book.
    """
    draft = _Draft(book, now, rules)
    draft.take(stimulus)
    return draft.result()


def merge(book: Book, done: Advance) -> Book:
    """Return the book with the snapshots of an advance in it."""
    return Book(
        sales={**book.sales, **{sale.id: sale for sale in done.sales}},
        attempts={**book.attempts, **{attempt.client_sn: attempt for attempt in done.attempts}},
        jobs={**book.jobs, **{job.id: job for job in done.jobs}},
    )


def prune(book: Book, instant: Instant) -> Book:
    """Return the book without the sales of which nothing is open and whose codes are no longer alive."""
    kept = {sale.id for sale in book.sales.values() if not sale.state.is_final}
    kept |= {one.sale_id for one in book.attempts.values() if not one.state.is_final or is_code_alive(one, instant)}
    kept |= {job.sale_id for job in book.jobs.values() if not job.state.is_final}
    return Book(
        sales={key: sale for key, sale in book.sales.items() if key in kept},
        attempts={key: one for key, one in book.attempts.items() if one.sale_id in kept},
        jobs={key: job for key, job in book.jobs.items() if job.sale_id in kept},
    )


def is_code_alive(attempt: Attempt, instant: Instant) -> bool:
    """Whether the attempt's code could still be presented again by mistake."""
    return instant - attempt.started < CODE_LIFE


def is_code_used(book: Book, digest: str, instant: Instant) -> bool:
    """Whether this code has been submitted already: one code, one attempt.

    A code whose request never left the device may be presented again.
    """
    return any(
        attempt.code_digest == digest
        and attempt.state is not AttemptState.UNSENT
        and (not attempt.state.is_final or is_code_alive(attempt, instant))
        for attempt in book.attempts.values()
    )


def view(book: Book, sale_id: SaleId) -> SaleView | None:
    """Return one sale of the book with all that belongs to it; None when the book does not hold it."""
    sale = book.sales.get(sale_id)
    if sale is None:
        return None
    return SaleView(
        sale=sale,
        attempts=tuple(book.attempts[client_sn] for client_sn in sale.attempts),
        jobs=tuple(job for job in book.jobs.values() if job.sale_id == sale_id),
    )


def sale_with_customer(book: Book) -> Sale | None:
    """Return the sale that a customer stands before; there is at most one."""
    return next((sale for sale in book.sales.values() if sale.state.is_with_customer), None)


def is_wanted(book: Book, command: GatewayCommand) -> bool:
    """Whether a request that has not left yet may still leave: a submit only while nobody has given it up."""
    attempt = book.attempts.get(command.client_sn)
    is_given_up = attempt is None or attempt.state is not AttemptState.SUBMITTING or attempt.token != command.token
    return not (isinstance(command, SubmitPayment) and is_given_up)


def next_wakeup(book: Book) -> tuple[Wakeup, Stimulus] | None:
    """Return the earliest wake-up of all machines, with the stimulus to apply then."""
    return min(_wakeups(book), key=lambda pair: pair[0].at, default=None)


def _wakeups(book: Book) -> Iterator[tuple[Wakeup, Stimulus]]:
    for sale in book.sales.values():
        if wakeup := sales.next_wakeup(sale):
            yield wakeup, ToSale(sale_id=sale.id, event=wakeup.event)
    for attempt in book.attempts.values():
        if wakeup := attempts.next_wakeup(attempt):
            yield wakeup, ToAttempt(client_sn=attempt.client_sn, event=wakeup.event)
    for job in book.jobs.values():
        if wakeup := spool.next_wakeup(job):
            yield wakeup, ToJob(job_id=job.id, event=wakeup.event)


def recovery(book: Book, event: Event) -> tuple[Stimulus, ...]:
    """Return what to apply after a start: every open machine is told, attempts first, so that money is looked for."""
    return (
        *(ToAttempt(client_sn=one.client_sn, event=event) for one in book.attempts.values() if not one.state.is_final),
        *(ToSale(sale_id=sale.id, event=event) for sale in book.sales.values() if not sale.state.is_final),
        *(ToJob(job_id=job.id, event=event) for job in book.jobs.values() if not job.state.is_final),
    )


def _is_stale(told: ToAttempt | ToJob, subject: Attempt | PrintJob | None) -> bool:
    """Whether a completion comes too late: something else was asked since, or it is closed by other means."""
    return told.token is not None and (subject is None or subject.state.is_final or told.token != subject.token)


class _Draft:
    """Collects one advance. Lives for one call."""

    def __init__(self, book: Book, now: Now, rules: Rules) -> None:
        self._book, self._now, self._rules = book, now, rules
        self._sales: dict[SaleId, Sale] = {}
        self._attempts: dict[ClientSn, Attempt] = {}
        self._jobs: dict[JobId, PrintJob] = {}
        self._records: list[Record] = []
        self._commands: list[Command] = []
        self._pending: list[Command] = []

    def take(self, stimulus: Stimulus) -> None:
        match stimulus:
            case OpenSale():
                sale, commands = sales.begin(stimulus.sale_id, stimulus.order, now=self._now, rules=self._rules)
                self._sales[sale.id] = sale
                self._note("sale", sale.id, sale.id, "SaleOpened", "", sale.state)
                self._pending.extend(commands)
            case ToSale():
                self._tell_sale(stimulus.sale_id, stimulus.event)
            case ToAttempt():
                if not _is_stale(stimulus, self._book.attempts.get(stimulus.client_sn)):
                    self._tell_attempt(stimulus.client_sn, stimulus.event)
            case ToJob():
                if not _is_stale(stimulus, self._book.jobs.get(stimulus.job_id)):
                    self._tell_job(stimulus.job_id, stimulus.event)
            case PrintCopy():
                self._enqueue(EnqueuePrint(sale_id=stimulus.sale_id, is_copy=True))
            case _:
                assert_never(stimulus)
        self._cascade()

    def result(self) -> Advance:
        """A sale whose attempt or job changed is given as well, as it shows them."""
        owners = {one.sale_id for one in self._attempts.values()} | {job.sale_id for job in self._jobs.values()}
        for sale_id in owners - self._sales.keys():
            self._sales[sale_id] = self._book.sales[sale_id]
        return Advance(
            sales=tuple(self._sales.values()),
            attempts=tuple(self._attempts.values()),
            jobs=tuple(self._jobs.values()),
            records=tuple(self._records),
            commands=tuple(self._commands),
        )

    def _cascade(self) -> None:
        """Deliver until nothing is asked of a machine any more. The tables do not loop: a test searches them."""
        while self._pending:
            pending, self._pending = self._pending, []
            for command in pending:
                self._route(command)

    def _route(self, command: Command) -> None:
        match command:
            case TellSale():
                if self._concerns(command):
                    self._tell_sale(command.sale_id, command.event)
            case AbandonAttempt():
                self._tell_attempt(command.client_sn, AbandonRequested())
            case OpenAttempt():
                self._open_attempt(command)
            case EnqueuePrint():
                if self._sale(command.sale_id).order.wants_receipt:
                    self._enqueue(command)
            case _:
                self._commands.append(command)

    def _concerns(self, command: TellSale) -> bool:
        """Whether the sale is moved by this: an attempt before the last one is its past, and only shown."""
        event = command.event
        return not isinstance(event, AttemptEvent) or event.client_sn == self._sale(command.sale_id).attempts[-1]

    def _sale(self, sale_id: SaleId) -> Sale:
        return self._sales.get(sale_id) or self._book.sales[sale_id]

    def _tell_sale(self, sale_id: SaleId, event: Event) -> None:
        before = self._sale(sale_id)
        after, commands = sales.step(before, event, now=self._now)
        self._sales[sale_id] = after
        self._note("sale", sale_id, sale_id, type(event).__name__, before.state.value, after.state)
        self._pending.extend(commands)

    def _tell_attempt(self, client_sn: ClientSn, event: Event) -> None:
        before = self._attempts.get(client_sn) or self._book.attempts[client_sn]
        after, commands = attempts.step(before, event, now=self._now, rules=self._rules)
        self._attempts[client_sn] = after
        self._note("attempt", client_sn, after.sale_id, type(event).__name__, before.state.value, after.state)
        self._pending.extend(commands)

    def _tell_job(self, job_id: JobId, event: Event) -> None:
        before = self._book.jobs[job_id]
        after, commands = spool.step(before, event, now=self._now)
        self._jobs[job_id] = after
        self._note("print", job_id, after.sale_id, type(event).__name__, before.state.value, after.state)
        self._pending.extend(commands)

    def _open_attempt(self, opening: OpenAttempt) -> None:
        order = self._sale(opening.sale_id).order
        attempt, submit = attempts.begin(
            opening, amount=order.amount, text=order.text, now=self._now, rules=self._rules
        )
        self._attempts[attempt.client_sn] = attempt
        self._note("attempt", attempt.client_sn, attempt.sale_id, "AttemptOpened", "", attempt.state)
        self._pending.append(submit)

    def _enqueue(self, command: EnqueuePrint) -> None:
        count = sum(job.sale_id == command.sale_id for job in self._book.jobs.values())
        job = spool.begin(
            JobId(f"{command.sale_id}-{count + 1}"),
            command.sale_id,
            is_copy=command.is_copy,
            now=self._now,
            rules=self._rules,
        )
        self._jobs[job.id] = job
        self._note("print", job.id, job.sale_id, "JobEnqueued", "", job.state)

    def _note(self, kind: str, subject: str, sale_id: SaleId, cause: str, before: str, after: Enum) -> None:
        self._records.append(
            Record(kind=kind, subject=subject, sale_id=sale_id, cause=cause, before=before, after=after.value)
        )
