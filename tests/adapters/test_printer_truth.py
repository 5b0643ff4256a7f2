"""When in doubt: neither printed, nor lost, so that nothing is claimed that is not on paper, or printed twice."""

import asyncio
from dataclasses import replace

import pytest

from terminald.adapters.printer_condition import HELD
from terminald.adapters.printer_markers import Confirm
from terminald.core import spool
from terminald.core.commands import SendJob
from terminald.core.events import (
    Blockage,
    JobBlocked,
    JobInterrupted,
    JobLost,
    JobPrinted,
    JobSent,
    PrinterAbsent,
    PrinterReady,
    SendDue,
)
from terminald.core.ids import JobId
from terminald.core.spool import JobState
from terminald.wire.printer_status import GS_R
from tests.adapters.scripted_printer import OK, PAPER_OUT, QUICK, Desk, ScriptedPrinter
from tests.adapters.test_printer_dialog import JOB, play
from tests.core.machine_builders import NOON, RULES, SALE_ID

NUL = b"\x00"
JOB_ID = JobId(f"{SALE_ID}-1")


#: A printer that went away, its answers and its proof are waited for longer than a busy machine takes to see them.
PATIENT = replace(QUICK, return_longest_s=20.0, answer_s=0.5, grace_s=5.0)


async def until_taken(desk: Desk, printer: ScriptedPrinter) -> None:
    """Wait until a printer that is stopped has the whole job, and what follows it: the marker."""
    await desk.until(lambda: JOB in printer.written and not printer.written.endswith(JOB))


async def until_paper_ends(desk: Desk, printer: ScriptedPrinter) -> None:
    """Let the paper end while a job is in the printer."""
    await until_taken(desk, printer)
    printer.is_stopped = False
    printer.set(PAPER_OUT)
    await desk.interrupted()


def test_the_break_of_a_printer_that_is_switched_off_for_new_paper_is_no_proof() -> None:
    async def scene(desk: Desk, printer: ScriptedPrinter) -> None:
        printer.is_stopped = True
        job = desk.print(JOB)
        await until_paper_ends(desk, printer)
        printer.switch_off()
        printer.say(NUL)
        await desk.until(lambda: desk.reports[-1].blocked_by is Blockage.OFFLINE)
        assert not job.done()
        job.cancel()
        await asyncio.wait({job})

    play(scene, ScriptedPrinter())


def test_an_answer_while_the_printer_has_no_paper_is_none() -> None:
    async def scene(desk: Desk, printer: ScriptedPrinter) -> None:
        printer.is_stopped = True
        printer.answers_markers = False
        job = desk.print(JOB)
        await until_paper_ends(desk, printer)
        printer.say(NUL)
        await asyncio.sleep(0.5)
        assert not job.done()
        assert isinstance(desk.told[0], JobInterrupted)
        printer.set(OK)
        assert isinstance(await job, JobSent)

    play(scene, ScriptedPrinter())


def test_what_comes_in_the_place_of_an_answer_is_no_proof() -> None:
    async def scene(desk: Desk, printer: ScriptedPrinter) -> None:
        printer.is_stopped = True
        job = desk.print(JOB)
        await asyncio.sleep(0.01)
        printer.answers_status = False
        true_ask, turns = printer.ask, iter([NUL, NUL])

        async def ask(request: bytes) -> None:
            await true_ask(request)
            printer.say(next(turns, b"\x12"))

        printer.ask = ask  # type: ignore[method-assign] # garbage twice, and then true answers
        await asyncio.sleep(0.4)
        assert not job.done()
        printer.answers_status = True
        printer.stop(on=False)
        assert isinstance(await job, JobPrinted)

    play(scene, ScriptedPrinter())


def test_a_proof_that_comes_together_with_an_answer_is_one() -> None:
    async def scene(desk: Desk, printer: ScriptedPrinter) -> None:
        true_ask = printer.ask
        printer.answers_markers = False

        async def ask(request: bytes) -> None:
            if printer.printed:
                printer.say(NUL)
            await true_ask(request)

        printer.ask = ask  # type: ignore[method-assign] # the proof is sent just before the answer
        assert isinstance(await desk.print(JOB), JobPrinted)

    play(scene, ScriptedPrinter())


@pytest.mark.parametrize("confirm", ["gs_r", "process_id"])
def test_a_receipt_that_was_printed_while_the_cable_was_out_is_not_lost(confirm: Confirm) -> None:
    async def scene(desk: Desk, printer: ScriptedPrinter) -> None:
        printer.is_stopped = True
        job = desk.print(JOB)
        await until_taken(desk, printer)
        printer.hang_up()
        printer.stop(on=False)
        assert printer.printed == JOB
        assert isinstance(await job, JobSent)

    play(scene, ScriptedPrinter(), confirm=confirm, timing=PATIENT)


@pytest.mark.parametrize("confirm", ["gs_r", "process_id"])
def test_noise_when_a_printer_comes_back_is_no_proof(confirm: Confirm) -> None:
    async def scene(desk: Desk, printer: ScriptedPrinter) -> None:
        printer.is_stopped = True
        job = desk.print(JOB)
        await until_paper_ends(desk, printer)
        printer.switch_off()
        await desk.until(lambda: desk.reports[-1].blocked_by is Blockage.OFFLINE)
        printer.state = OK
        printer.switch_on()
        printer.say(NUL)
        assert isinstance(await job, JobSent)
        assert printer.printed == b""

    play(scene, ScriptedPrinter(), confirm=confirm, timing=PATIENT)


async def job_in_printer(printer: ScriptedPrinter) -> None:
    """Leave a job in a printer that stops, as a daemon does that is stopped then."""
    async with Desk(printer) as desk:
        printer.is_stopped = True
        job = desk.print(JOB)
        await asyncio.sleep(0.1)
        job.cancel()
        await asyncio.wait({job})


@pytest.mark.parametrize("confirm", ["gs_r", "process_id"])
def test_the_answer_to_a_marker_of_an_earlier_process_is_not_the_next_jobs(confirm: Confirm) -> None:
    async def run() -> None:
        printer = ScriptedPrinter()
        await job_in_printer(printer)
        async with Desk(printer, confirm=confirm, is_settled=False) as desk:
            job = desk.print(b"other\n")
            await desk.until(lambda: b"other" in printer.written)
            printer.say(NUL)
            if confirm == "gs_r":
                assert isinstance(await job, JobSent)
                assert printer.printed == b""
            printer.stop(on=False)
            answer = await job
            assert type(answer) is (JobSent if confirm == "gs_r" else JobPrinted)
            assert printer.printed == JOB + b"other\n"
            assert isinstance(await desk.print(JOB), JobPrinted)

    asyncio.run(run())


def test_an_answer_that_comes_just_with_the_first_markers_settles_nothing() -> None:
    async def scene(desk: Desk, printer: ScriptedPrinter) -> None:
        job = desk.print(JOB)
        await desk.until(lambda: GS_R in printer.written)
        printer.say(NUL)
        assert isinstance(await job, JobSent)
        assert isinstance(await desk.print(JOB), JobPrinted)

    play(scene, ScriptedPrinter(), is_settled=False)


def test_the_first_job_of_a_printer_that_has_nothing_to_do_is_believed() -> None:
    async def scene(desk: Desk, printer: ScriptedPrinter) -> None:
        assert isinstance(await desk.print(JOB), JobPrinted)
        assert printer.written.count(GS_R) == 3
        assert isinstance(await desk.print(JOB), JobPrinted)
        assert printer.written.count(GS_R) == 4

    play(scene, ScriptedPrinter(), is_settled=False)


def test_after_a_job_that_was_not_proven_none_is_until_nothing_is_owed() -> None:
    """A stray byte in between, such as the break of a line, is not taken for what was owed."""

    async def scene(desk: Desk, printer: ScriptedPrinter) -> None:
        printer.answers_markers = False
        assert isinstance(await desk.print(JOB), JobSent)
        printer.say(NUL)
        await asyncio.sleep(0.02)
        before = printer.written.count(GS_R)
        assert isinstance(await desk.print(JOB), JobSent)
        assert printer.written.count(GS_R) == before + 2
        printer.answers_markers = True
        printer.say(NUL)
        await asyncio.sleep(0.02)
        assert isinstance(await desk.print(JOB), JobPrinted)
        assert printer.written.count(GS_R) == before + 5

    play(scene, ScriptedPrinter())


def test_a_printer_that_was_off_when_it_was_opened_is_asked_once_it_is_on() -> None:
    async def scene(desk: Desk, printer: ScriptedPrinter) -> None:
        assert isinstance(await desk.print(JOB), JobSent)
        printer.switch_on()
        assert isinstance(await desk.print(JOB), JobPrinted)
        printer.set(PAPER_OUT)
        answer = await desk.print(JOB)
        assert isinstance(answer, JobBlocked)
        assert answer.by is Blockage.PAPER
        assert printer.printed == JOB
        assert desk.reports[-1].blocked_by is Blockage.PAPER

    printer = ScriptedPrinter()
    true_open = printer.open

    async def open_() -> None:
        printer.is_on = True
        await true_open()
        printer.is_on = False

    printer.open = open_  # type: ignore[method-assign] # a line is there without its printer
    play(scene, printer)


def test_paper_that_ends_with_the_last_byte_holds_the_marker_and_breaks_nothing() -> None:
    async def scene(desk: Desk, printer: ScriptedPrinter) -> None:
        printer.is_stopped = True
        job = desk.print(JOB)
        await desk.until(lambda: printer.written.endswith(JOB))
        printer.is_stopped = False
        printer.set(PAPER_OUT)
        await desk.interrupted()
        assert isinstance(desk.told[0], JobInterrupted)
        assert desk.told[0].by is Blockage.PAPER
        assert isinstance(await desk.print(b"other\n"), JobBlocked)
        await asyncio.sleep(0.8)
        assert not job.done()
        printer.set(OK)
        assert isinstance(await job, JobPrinted)
        assert printer.printed == JOB

    play(scene, ScriptedPrinter(room=len(JOB)))


def test_a_printer_that_holds_the_marker_for_ever_leaves_the_job_unverified() -> None:
    """I11."""

    async def scene(desk: Desk, printer: ScriptedPrinter) -> None:
        printer.is_stopped = True
        assert isinstance(await desk.print(JOB), JobSent)
        assert desk.told[0].evidence.startswith(HELD.words)
        assert desk.reports[-1].state.value == "ready"

    play(scene, ScriptedPrinter(room=len(JOB)))


def test_no_job_waits_behind_one_that_waits_for_the_printer_to_come_back() -> None:
    async def scene(desk: Desk, printer: ScriptedPrinter) -> None:
        printer.is_stopped = True
        job = desk.print(JOB)
        await asyncio.sleep(0.02)
        printer.lose()
        await desk.interrupted()
        assert isinstance(await desk.print(b"other\n"), PrinterAbsent)
        assert not job.done()
        assert isinstance(await job, JobSent)

    play(scene, ScriptedPrinter())


@pytest.mark.parametrize("is_lost_before", [False, True])
def test_a_job_behind_one_that_waits_for_the_printer_is_queued_again_and_printed_when_it_is_back(
    *, is_lost_before: bool
) -> None:
    """I5: a copy that was due stays due as well."""

    async def scene(desk: Desk, printer: ScriptedPrinter) -> None:
        waiting = spool.begin(JOB_ID, SALE_ID, is_copy=False, slip="receipt", about="", now=NOON, rules=RULES)
        for event in (SendDue(), JobLost(), SendDue()) if is_lost_before else (SendDue(),):
            waiting, _ = spool.step(waiting, event, now=NOON)
        printer.is_stopped = True
        first = desk.print(JOB)
        await desk.until(lambda: JOB + b"\x1d(H" in printer.written)
        printer.lose()
        await desk.interrupted()
        answer = await desk.print(b"other\n")
        assert isinstance(answer, PrinterAbsent)
        waiting, commands = spool.step(waiting, answer, now=NOON)
        assert waiting.state is (JobState.LOST if is_lost_before else JobState.QUEUED)
        assert commands == ()
        wakeup = spool.next_wakeup(waiting)
        assert wakeup is not None
        assert isinstance(wakeup.event, SendDue)
        assert b"other" not in printer.written

        printer.is_stopped = False
        printer.switch_on()
        await desk.until(lambda: desk.states()[-1] == "ready")
        waiting, commands = spool.step(waiting, PrinterReady(), now=NOON)
        assert [type(command) for command in commands] == [SendJob]
        assert isinstance(await desk.print(b"other\n"), JobPrinted)
        assert first.done()
        assert printer.printed == b"other\n"

    play(scene, ScriptedPrinter(), confirm="process_id", timing=replace(QUICK, return_longest_s=20.0))


def test_a_stray_xoff_does_not_end_printing() -> None:
    async def scene(desk: Desk, printer: ScriptedPrinter) -> None:
        printer.is_held = True
        assert isinstance(await desk.print(JOB), JobSent)
        assert printer.printed == JOB
        assert isinstance(await desk.print(JOB), JobPrinted)

    play(scene, ScriptedPrinter())


def test_a_printer_that_holds_the_line_before_the_first_byte_is_asked_why() -> None:
    async def scene(desk: Desk, printer: ScriptedPrinter) -> None:
        printer.is_held = True
        job = desk.print(JOB)
        await asyncio.sleep(0.03)
        printer.set(PAPER_OUT)
        answer = await job
        assert isinstance(answer, JobBlocked)
        assert answer.by is Blockage.PAPER
        assert printer.printed == b""

    play(scene, ScriptedPrinter())


def test_a_printer_that_is_held_and_answers_nothing_is_absent_as_before() -> None:
    async def scene(desk: Desk, printer: ScriptedPrinter) -> None:
        printer.is_held = True
        assert isinstance(await desk.print(JOB), PrinterAbsent)
        assert printer.is_held

    printer = ScriptedPrinter()
    printer.answers_status = False
    play(scene, printer)
