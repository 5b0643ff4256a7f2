import pytest
from hypothesis import given
from hypothesis import strategies as st

from terminald.core import spool
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
from terminald.core.ids import Instant, JobId
from terminald.core.schedule import HOUR, MINUTE, SECOND, Now
from terminald.core.spool import TABLE, JobState, PrintJob
from terminald.core.tables import Wakeup
from terminald.errors import IllegalTransition
from tests.core.machine_builders import EVENT_TYPES, NOON, RULES, SALE_ID, after, make_event, until

JOB_ID = JobId(f"{SALE_ID}-1")
FINAL = {state for state in JobState if state.is_final}
SENDING = (JobState.PRINTING, JobState.REPRINTING)


class JobLife:
    """A print job and its clock."""

    def __init__(self) -> None:
        self.now: Now = NOON
        self.job: PrintJob = spool.begin(
            JOB_ID, SALE_ID, is_copy=False, slip="receipt", about="", now=NOON, rules=RULES
        )

    def tell(self, event: Event, *, later: int = 0) -> tuple[Command, ...]:
        self.now = after(self.now, later)
        self.job, commands = spool.step(self.job, event, now=self.now)
        return commands

    def wake(self) -> tuple[Command, ...]:
        wakeup = spool.next_wakeup(self.job)
        assert wakeup is not None
        self.now = until(self.now, wakeup.at)
        return self.tell(wakeup.event)

    def is_in(self, state: JobState) -> bool:
        return self.job.state is state


def test_a_receipt_is_due_at_once_and_sent_once() -> None:
    life = JobLife()
    assert spool.next_wakeup(life.job) == Wakeup(at=NOON.instant, event=SendDue())
    assert life.wake() == (SendJob(sale_id=SALE_ID, job_id=JOB_ID, token=1),)
    assert life.is_in(JobState.PRINTING)
    assert spool.next_wakeup(life.job) is None
    assert life.tell(JobSent(evidence="192 bytes"), later=SECOND) == ()
    assert life.is_in(JobState.UNVERIFIED)
    assert life.job.evidence == "192 bytes"
    assert spool.next_wakeup(life.job) is None


def test_a_job_for_an_absent_printer_is_tried_again_until_nobody_waits_for_it() -> None:
    """I5, I11."""
    life, sent = JobLife(), list[int]()
    while not life.job.state.is_final:
        if commands := life.wake():
            assert commands == (SendJob(sale_id=SALE_ID, job_id=JOB_ID, token=len(sent) + 1),)
            sent.append((life.now.instant - NOON.instant) // SECOND)
            life.tell(PrinterAbsent(evidence="no such device"))
    assert sent == [0, 2, 6, 14, 30, 62]
    assert life.is_in(JobState.EXPIRED)
    assert life.now.instant == NOON.instant + RULES.job_lifetime
    assert life.job.evidence == "no such device"


def test_a_job_that_broke_off_is_not_sent_again() -> None:
    life = JobLife()
    life.wake()
    assert life.tell(JobBroken(evidence="17 of 192 bytes")) == ()
    assert life.is_in(JobState.FAILED)
    assert life.job.evidence == "17 of 192 bytes"


def test_a_receipt_is_printed_when_the_printer_said_so() -> None:
    life = JobLife()
    life.wake()
    assert life.tell(JobPrinted(evidence="it answered after the cut")) == ()
    assert life.is_in(JobState.PRINTED)
    assert spool.shown(life.job) is JobState.PRINTED


def test_a_job_for_a_blocked_printer_goes_on_by_itself_when_the_fault_is_gone() -> None:
    life = JobLife()
    life.wake()
    assert life.tell(JobBlocked(evidence="no paper", by=Blockage.PAPER)) == ()
    assert life.is_in(JobState.BLOCKED)
    assert (life.job.blocked_by, life.job.evidence) == (Blockage.PAPER, "no paper")
    assert life.tell(PrinterReady(), later=SECOND) == (SendJob(sale_id=SALE_ID, job_id=JOB_ID, token=2),)
    assert life.is_in(JobState.PRINTING)
    assert spool.shown(life.job) is JobState.PRINTING
    life.tell(JobPrinted())
    assert not life.job.is_copy


def test_a_job_for_a_blocked_printer_is_looked_at_again_and_given_up_in_time() -> None:
    """I5, I11: the word that the printer is ready may be missed."""
    life, sent = JobLife(), list[int]()
    while not life.job.state.is_final:
        if life.wake():
            sent.append((life.now.instant - NOON.instant) // SECOND)
            life.tell(JobBlocked(by=Blockage.COVER))
    assert sent == [0, 30, 60, 90]
    assert life.is_in(JobState.EXPIRED)
    assert life.job.blocked_by is None
    assert life.now.instant == NOON.instant + RULES.job_lifetime


def test_a_job_that_is_interrupted_waits_for_the_proof_and_is_not_sent_again() -> None:
    life = JobLife()
    life.wake()
    assert life.tell(JobInterrupted(evidence="no paper", by=Blockage.PAPER)) == ()
    assert life.is_in(JobState.PRINTING)
    assert spool.shown(life.job) is JobState.BLOCKED
    assert spool.next_wakeup(life.job) is None
    assert not spool.is_waiting(life.job)
    assert life.tell(JobPrinted(), later=HOUR) == ()
    assert life.is_in(JobState.PRINTED)
    assert life.job.blocked_by is None
    assert not life.job.is_copy


def test_a_job_that_is_lost_is_printed_once_more_as_a_copy() -> None:
    life = JobLife()
    life.wake()
    life.tell(JobLost(evidence="it was switched off"), later=SECOND)
    assert life.is_in(JobState.LOST)
    assert spool.shown(life.job) is JobState.QUEUED
    assert life.job.is_copy
    assert life.wake() == (SendJob(sale_id=SALE_ID, job_id=JOB_ID, token=2),)
    assert life.now.instant == NOON.instant + SECOND
    assert life.is_in(JobState.REPRINTING)
    assert spool.shown(life.job) is JobState.PRINTING
    life.tell(JobLost(evidence="again"))
    assert life.is_in(JobState.FAILED)


@pytest.mark.parametrize("answer", [JobBlocked(by=Blockage.PAPER), PrinterAbsent()])
def test_a_lost_job_that_is_not_printed_again_in_time_is_not_called_unprinted(answer: PrintAnswer) -> None:
    life = JobLife()
    life.wake()
    life.tell(JobLost())
    while not life.job.state.is_final:
        if life.wake():
            life.tell(answer)
            assert life.is_in(JobState.LOST)
    assert life.is_in(JobState.FAILED)
    assert life.now.instant == NOON.instant + RULES.job_lifetime


def test_a_printer_that_is_back_is_sent_what_waits_for_it_at_once() -> None:
    life = JobLife()
    life.wake()
    life.tell(PrinterAbsent())
    assert spool.is_waiting(life.job)
    assert life.tell(PrinterReady()) == (SendJob(sale_id=SALE_ID, job_id=JOB_ID, token=2),)


def test_a_slip_that_is_not_true_any_more_is_not_printed() -> None:
    life = JobLife()
    life.wake()
    assert life.tell(SlipOutdated(evidence="not to be paid any more")) == ()
    assert life.is_in(JobState.EXPIRED)
    assert life.job.evidence == "not to be paid any more"


def test_a_slip_keeps_what_it_is_about() -> None:
    job = spool.begin(JOB_ID, SALE_ID, is_copy=True, slip="qr", about="t-1", now=NOON, rules=RULES)
    assert (job.slip, job.about, job.is_copy) == ("qr", "t-1", True)


@pytest.mark.parametrize("restart", [Recovered(), PowerReturned()])
def test_a_job_that_was_being_sent_when_the_process_ended_is_not_sent_again(restart: Event) -> None:
    life = JobLife()
    life.wake()
    assert life.tell(restart) == ()
    assert life.is_in(JobState.UNVERIFIED)
    assert "part of it may be on paper" in life.job.evidence


@pytest.mark.parametrize("restart", [Recovered(), PowerReturned()])
def test_a_job_that_waited_when_the_process_ended_waits_on(restart: Event) -> None:
    life = JobLife()
    before = life.job
    assert life.tell(restart, later=MINUTE) == ()
    assert life.job == before
    assert life.wake() == (SendJob(sale_id=SALE_ID, job_id=JOB_ID, token=1),)


@pytest.mark.parametrize("restart", [Recovered(), PowerReturned()])
def test_a_job_whose_customer_is_long_gone_is_sent_only_if_it_was_due_before(restart: Event) -> None:
    """A retry that lies behind the end of its life is not made."""
    life = JobLife()
    for _ in range(6):
        life.wake()
        life.tell(PrinterAbsent())
    life.tell(restart, later=HOUR)
    assert life.wake() == ()
    assert life.is_in(JobState.EXPIRED)


def test_every_state_can_reach_an_end() -> None:
    reaches_end = set(FINAL)
    for _ in JobState:
        reaches_end |= {state for state, rows in TABLE.items() if {row.to for row in rows.values()} & reaches_end}
    assert reaches_end == set(JobState) == set(TABLE)
    assert {state for state, rows in TABLE.items() if not rows} == FINAL


@given(
    st.builds(
        PrintJob,
        id=st.just(JOB_ID),
        sale_id=st.just(SALE_ID),
        is_copy=st.booleans(),
        state=st.sampled_from(JobState),
        token=st.integers(0, 99),
        evidence=st.text(max_size=9),
        tries=st.integers(0, 99),
        retry=st.none() | st.integers(0, 10**9).map(Instant),
        expires=st.integers(0, 10**9).map(Instant),
        created_at=st.just(NOON.wall),
        blocked_by=st.none() | st.sampled_from(Blockage),
    )
)
def test_every_state_takes_or_refuses_every_event_and_what_is_open_has_a_wakeup(job: PrintJob) -> None:
    """I5: a job is waited for, or has a wake-up, or is final."""
    for kind in EVENT_TYPES:
        event = make_event(kind)
        row = TABLE[job.state].get(kind)
        if row is None:
            with pytest.raises(IllegalTransition):
                spool.step(job, event, now=NOON)
            continue
        taken, commands = spool.step(job, event, now=NOON)
        assert taken.state is row.to
        assert commands == (
            (SendJob(sale_id=SALE_ID, job_id=JOB_ID, token=taken.token),)
            if taken.state in SENDING and job.state not in SENDING
            else ()
        )
        assert taken.token == job.token + len(commands)
        is_open = taken.state not in SENDING and not taken.state.is_final
        assert (spool.next_wakeup(taken) is not None) == spool.is_waiting(taken) == is_open
        assert taken.blocked_by is None or not taken.state.is_final
        assert spool.shown(taken) not in (JobState.LOST, JobState.REPRINTING)
        assert taken.is_copy or not job.is_copy
        wakeup = spool.next_wakeup(taken)
        assert wakeup is None or type(wakeup.event) in (SendDue, LifetimeEnded)
