"""What is believed of a printer, whatever it does in the middle of a job."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace

import pytest

from terminald.adapters.printer_markers import Confirm
from terminald.adapters.printer_questions import Timing
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
from terminald.errors import DeviceLost
from tests.adapters.scripted_printer import COVER_OPEN, NEAR_END, OK, PAPER_OUT, QUICK, Desk, ScriptedPrinter

JOB = b"\x1b@" + b"Cola 3.50\n" * 20 + b"\x1dV\x00"
CONFIRMS: tuple[Confirm, ...] = ("gs_r", "process_id")

Scene = Callable[[Desk, ScriptedPrinter], Awaitable[None]]


def play(
    scene: Scene,
    printer: ScriptedPrinter,
    *,
    asks: bool = True,
    confirm: Confirm = "gs_r",
    timing: Timing = QUICK,
    is_settled: bool = True,
) -> None:
    async def run() -> None:
        async with Desk(printer, asks=asks, confirm=confirm, timing=timing, is_settled=is_settled) as desk:
            await scene(desk, printer)

    asyncio.run(run())


@pytest.mark.parametrize("confirm", CONFIRMS)
def test_a_job_is_printed_when_the_printer_says_so(confirm: Confirm) -> None:
    async def scene(desk: Desk, printer: ScriptedPrinter) -> None:
        assert isinstance(await desk.print(JOB), JobPrinted)
        assert printer.printed == JOB
        assert desk.told == []
        assert desk.states() == ["ready"]

    play(scene, ScriptedPrinter(), confirm=confirm)


def test_a_printer_that_answers_nothing_works_and_costs_one_short_wait() -> None:
    async def scene(desk: Desk, printer: ScriptedPrinter) -> None:
        loop = asyncio.get_running_loop()
        asked = len(printer.asked)
        assert isinstance(await desk.print(JOB), JobSent)
        begun = loop.time()
        answers = await asyncio.gather(*(desk.print(JOB) for _ in range(5)))
        assert all(isinstance(answer, JobSent) for answer in answers)
        assert loop.time() - begun < 0.1 + 5 * QUICK.answer_s
        assert printer.printed == JOB * 6
        assert len(printer.asked) == asked + 6
        assert desk.states() == ["ready"]

    printer = ScriptedPrinter()
    printer.answers_status = printer.answers_markers = False
    play(scene, printer)


def test_a_printer_that_proves_late_is_believed_the_next_time() -> None:
    async def scene(desk: Desk, printer: ScriptedPrinter) -> None:
        printer.answers_markers = False
        assert isinstance(await desk.print(JOB), JobSent)
        printer.answers_markers = True
        assert isinstance(await desk.print(JOB), JobSent)
        printer.say(b"\x00")
        await asyncio.sleep(0.02)
        assert isinstance(await desk.print(JOB), JobPrinted)

    play(scene, ScriptedPrinter())


@pytest.mark.parametrize(("asks", "confirm"), [(True, "none"), (False, "none"), (False, "gs_r")])
def test_what_is_not_configured_is_not_asked(*, asks: bool, confirm: Confirm) -> None:
    async def scene(desk: Desk, printer: ScriptedPrinter) -> None:
        answer = await desk.print(JOB)
        assert type(answer) is (JobPrinted if confirm == "gs_r" else JobSent)
        assert bool(printer.asked) is asks
        assert printer.printed == JOB

    play(scene, ScriptedPrinter(), asks=asks, confirm=confirm)


def test_a_transport_without_a_way_back_is_only_written_to() -> None:
    async def scene(desk: Desk, printer: ScriptedPrinter) -> None:
        assert isinstance(await desk.print(JOB), JobSent)
        assert (printer.printed, printer.asked) == (JOB, [])

    play(scene, ScriptedPrinter(can_answer=False))


@pytest.mark.parametrize(("state", "by"), [(PAPER_OUT, Blockage.PAPER), (COVER_OPEN, Blockage.COVER)])
def test_a_fault_before_a_job_blocks_it_and_readiness_returns_by_itself(state: dict[int, int], by: Blockage) -> None:
    async def scene(desk: Desk, printer: ScriptedPrinter) -> None:
        printer.set(state)
        answer = await desk.print(JOB)
        assert isinstance(answer, JobBlocked)
        assert answer.by is by
        assert answer.evidence
        assert desk.reports[-1].blocked_by is by
        assert desk.reports[-1].detail == answer.evidence
        assert printer.printed == b""
        printer.set(OK)
        await desk.until(lambda: desk.states() == ["ready", "faulty", "ready"])
        assert isinstance(await desk.print(JOB), JobPrinted)

    play(scene, ScriptedPrinter())


@pytest.mark.parametrize(("late", "answer"), [(0, JobBlocked), (3, JobBroken), (len(JOB), JobBroken)])
def test_a_job_that_was_on_its_way_when_it_was_given_up_is_not_taken_for_unsent(
    late: int, answer: type[PrintAnswer]
) -> None:
    """Of a blocked job nothing was sent: it is sent again as if it were new."""

    async def scene(desk: Desk, printer: ScriptedPrinter) -> None:
        async def draw() -> bytes:
            printer.is_held, printer.takes_late = True, late
            printer.set(PAPER_OUT)
            printer.written = b""
            return JOB

        assert isinstance(got := await desk.dialog.print(draw, desk.told.append), answer)
        assert "paper" in got.evidence
        assert printer.written == JOB[:late]

    play(scene, ScriptedPrinter(), is_settled=False)


def test_a_fault_that_is_there_when_the_printer_is_opened_is_told() -> None:
    async def scene(desk: Desk, printer: ScriptedPrinter) -> None:
        await desk.until(lambda: desk.states() == ["ready", "faulty"])
        printer.set(OK)
        await desk.until(lambda: desk.states() == ["ready", "faulty", "ready"])

    printer = ScriptedPrinter()
    printer.state = PAPER_OUT
    play(scene, printer)


def test_nobody_is_asked_while_nothing_happens_and_nothing_is_wrong() -> None:
    async def scene(desk: Desk, printer: ScriptedPrinter) -> None:
        await desk.print(JOB)
        asked = len(printer.asked)
        await asyncio.sleep(0.3)
        assert len(printer.asked) == asked

    play(scene, ScriptedPrinter())


def test_paper_that_ends_soon_is_a_detail_and_no_fault() -> None:
    async def scene(desk: Desk, printer: ScriptedPrinter) -> None:
        printer.set(NEAR_END)
        assert isinstance(await desk.print(JOB), JobPrinted)
        assert desk.states() == ["ready", "ready"]
        assert "near its end" in desk.reports[-1].detail

    play(scene, ScriptedPrinter())


def test_a_status_that_nobody_asked_for_is_no_alarm_and_one_alone_is_none_either() -> None:
    async def scene(desk: Desk, printer: ScriptedPrinter) -> None:
        printer.say(b"\x1a\x7e\x7e")
        await asyncio.sleep(0.02)
        assert desk.states() == ["ready"]
        true_ask, flips = printer.ask, iter([PAPER_OUT, PAPER_OUT, PAPER_OUT])

        async def ask(request: bytes) -> None:
            printer.state = next(flips, OK)
            await true_ask(request)

        printer.ask = ask  # type: ignore[method-assign] # a printer that is wrong once
        assert isinstance(await desk.print(JOB), JobPrinted)
        assert desk.states() == ["ready"]

    play(scene, ScriptedPrinter())


def test_a_printer_that_contradicts_itself_is_not_believed_and_prints_all_the_same() -> None:
    async def scene(desk: Desk, printer: ScriptedPrinter) -> None:
        true_ask, turn = printer.ask, [0]

        async def ask(request: bytes) -> None:
            turn[0] += 1
            printer.state = {2: 0x04} if turn[0] // 3 % 2 else {4: 0x60}
            await true_ask(request)

        printer.ask = ask  # type: ignore[method-assign] # garbage in the form of answers
        assert isinstance(await desk.print(JOB), JobPrinted | JobSent)
        assert printer.printed == JOB
        assert desk.states() == ["ready"]

    play(scene, ScriptedPrinter())


@pytest.mark.parametrize("confirm", CONFIRMS)
def test_paper_that_ends_in_the_middle_is_waited_for_and_nothing_is_sent_twice(confirm: Confirm) -> None:
    async def scene(desk: Desk, printer: ScriptedPrinter) -> None:
        printer.is_stopped = True
        job = desk.print(JOB)
        await asyncio.sleep(0.02)
        printer.is_stopped = False
        printer.set(PAPER_OUT)
        await desk.interrupted()
        assert isinstance(desk.told[0], JobInterrupted)
        assert desk.told[0].by is Blockage.PAPER
        other = await desk.print(b"other\n")
        assert isinstance(other, JobBlocked)
        await asyncio.sleep(1.0)
        assert not job.done()
        printer.set(OK)
        assert isinstance(await job, JobPrinted)
        assert printer.printed == JOB
        assert len(desk.told) == 1
        assert desk.states() == ["ready", "faulty", "ready"]

    play(scene, ScriptedPrinter(), confirm=confirm)


def test_a_job_of_which_a_part_is_still_here_when_paper_ends_goes_on_after_the_refill() -> None:
    """The printer holds the line: its buffer is smaller than the job."""

    async def scene(desk: Desk, printer: ScriptedPrinter) -> None:
        printer.is_stopped = True
        job = desk.print(JOB)
        await desk.until(lambda: printer.stalled_s() > 0)
        printer.is_stopped = False
        printer.set(PAPER_OUT)
        await desk.interrupted()
        await asyncio.sleep(1.0)
        assert not job.done()
        printer.set(OK)
        assert isinstance(await job, JobPrinted)
        assert printer.printed == JOB

    play(scene, ScriptedPrinter(room=50))


@pytest.mark.parametrize("notices", [True, False])
def test_a_printer_that_holds_the_line_in_a_picture_is_waited_for_without_a_word(*, notices: bool) -> None:
    async def scene(desk: Desk, printer: ScriptedPrinter) -> None:
        printer.is_busy = True
        printer.stop(on=True)
        job = desk.print(JOB)
        await desk.interrupted()
        assert desk.reports[-1].blocked_by is Blockage.OFFLINE
        assert isinstance(await desk.print(b"other\n"), JobBlocked)
        printer.stop(on=False)
        assert type(await job) is (JobPrinted if notices else JobSent)
        assert desk.reports[-1].state.value == "ready"
        assert printer.printed == JOB

    play(scene, ScriptedPrinter(room=50, notices_power_off=notices))


def test_a_printer_that_holds_the_line_for_ever_ends_the_job() -> None:
    """I11."""

    async def scene(desk: Desk, printer: ScriptedPrinter) -> None:
        printer.is_busy = True
        printer.stop(on=True)
        answer = await desk.print(JOB)
        assert isinstance(answer, JobBroken)
        assert "50 of" in answer.evidence

    play(scene, ScriptedPrinter(room=50))


@pytest.mark.parametrize("confirm", CONFIRMS)
def test_a_printer_that_was_switched_off_for_new_paper_is_not_known_to_have_printed(confirm: Confirm) -> None:
    """On a serial line nobody sees it go: it is silent, and then it is back; or it printed while its cable was out."""

    async def scene(desk: Desk, printer: ScriptedPrinter) -> None:
        printer.is_stopped = True
        job = desk.print(JOB)
        await asyncio.sleep(0.02)
        printer.is_stopped = False
        printer.set(PAPER_OUT)
        await desk.interrupted()
        printer.switch_off()
        await desk.until(lambda: desk.reports[-1].blocked_by is Blockage.OFFLINE)
        printer.state = OK
        printer.switch_on()
        assert isinstance(await job, JobSent)
        assert printer.printed == b""
        assert isinstance(await desk.print(JOB), JobPrinted)

    play(scene, ScriptedPrinter(), confirm=confirm)


@pytest.mark.parametrize("confirm", CONFIRMS)
def test_a_printer_that_was_only_silent_still_has_the_job(confirm: Confirm) -> None:
    async def scene(desk: Desk, printer: ScriptedPrinter) -> None:
        printer.is_stopped = True
        job = desk.print(JOB)
        await asyncio.sleep(0.02)
        printer.is_stopped = False
        printer.set(PAPER_OUT)
        await desk.interrupted()
        printer.answers_status = False
        await desk.until(lambda: desk.reports[-1].blocked_by is Blockage.OFFLINE)
        printer.answers_status = True
        await desk.until(lambda: desk.reports[-1].blocked_by is Blockage.PAPER)
        printer.set(OK)
        assert type(await job) is (JobSent if confirm == "gs_r" else JobPrinted)
        assert printer.printed == JOB

    play(scene, ScriptedPrinter(), confirm=confirm)


@pytest.mark.parametrize("notices", [True, False])
@pytest.mark.parametrize("confirm", CONFIRMS)
def test_a_printer_that_hung_up_and_has_nothing_of_the_job_may_have_printed_it(
    confirm: Confirm, *, notices: bool
) -> None:
    """A pulled cable of a printer with its own supply looks the same as a loss of power, on USB too."""

    async def scene(desk: Desk, printer: ScriptedPrinter) -> None:
        printer.is_stopped = True
        job = desk.print(JOB)
        await asyncio.sleep(0.02)
        printer.lose()
        await desk.interrupted()
        printer.is_stopped = False
        printer.switch_on()
        assert isinstance(await job, JobSent)
        assert desk.states()[:2] == ["ready", "absent"]

    play(scene, ScriptedPrinter(notices_power_off=notices), confirm=confirm)


@pytest.mark.parametrize("confirm", CONFIRMS)
def test_a_printer_whose_cable_was_pulled_while_it_waits_for_paper_still_has_the_job(confirm: Confirm) -> None:
    async def scene(desk: Desk, printer: ScriptedPrinter) -> None:
        printer.is_stopped = True
        job = desk.print(JOB)
        await asyncio.sleep(0.02)
        printer.is_stopped = False
        printer.set(PAPER_OUT)
        await desk.interrupted()
        printer.hang_up()
        await desk.until(lambda: "absent" in desk.states())
        await desk.until(lambda: desk.states()[-1] == "faulty")
        printer.set(OK)
        assert type(await job) is (JobSent if confirm == "gs_r" else JobPrinted)
        assert printer.printed == JOB

    play(scene, ScriptedPrinter(), confirm=confirm)


@pytest.mark.parametrize("confirm", [*CONFIRMS, "none"])
def test_a_job_of_which_the_rest_was_never_sent_is_lost(confirm: Confirm) -> None:
    async def scene(desk: Desk, printer: ScriptedPrinter) -> None:
        printer.stop(on=True)
        job = desk.print(JOB)
        await desk.until(lambda: printer.stalled_s() > 0)
        printer.lose()
        await asyncio.sleep(0.1)
        assert not job.done()
        printer.stop(on=False)
        printer.switch_on()
        answer = await job
        assert isinstance(answer, JobLost)
        assert "never sent" in answer.evidence

    play(scene, ScriptedPrinter(room=50), confirm=confirm)


@pytest.mark.parametrize("confirm", [*CONFIRMS, "none"])
@pytest.mark.parametrize("is_whole", [True, False])
def test_a_job_of_which_the_last_byte_had_left_is_not_certainly_lost(confirm: Confirm, *, is_whole: bool) -> None:
    """The line goes while the driver sends the last bytes: they may have arrived, or not."""

    async def scene(desk: Desk, printer: ScriptedPrinter) -> None:
        true_write = printer.write

        async def write(data: bytes) -> None:
            await true_write(data)
            printer.write = true_write  # type: ignore[method-assign]  # as before
            printer.hang_up()
            raise DeviceLost("printer", "hung up", may_be_whole=is_whole)

        printer.write = write  # type: ignore[method-assign] # the line is lost just after the last byte
        answer = await desk.print(JOB)
        assert type(answer) is (JobSent if is_whole else JobLost)
        assert printer.printed == JOB

    play(scene, ScriptedPrinter(), confirm=confirm)


def test_a_printer_that_is_switched_off_while_it_holds_the_line_is_sent_no_rest() -> None:
    async def scene(desk: Desk, printer: ScriptedPrinter) -> None:
        printer.stop(on=True)
        job = desk.print(JOB)
        await desk.until(lambda: printer.stalled_s() > 0)
        printer.answers_status = False
        await desk.interrupted()
        await desk.until(lambda: printer.stalled_s() == 0)
        printer.stop(on=False)
        printer.answers_status = True
        assert isinstance(await job, JobLost)
        assert len(printer.printed) == 50

    play(scene, ScriptedPrinter(room=50))


def test_a_printer_that_does_not_come_back_ends_the_job() -> None:
    """I11. It took every byte: whether it comes back in time or not makes no difference to what is known."""

    async def scene(desk: Desk, printer: ScriptedPrinter) -> None:
        printer.is_stopped = True
        job = desk.print(JOB)
        await asyncio.sleep(0.02)
        printer.lose()
        assert isinstance(await job, JobSent)
        assert isinstance(await desk.print(JOB), PrinterAbsent)

    play(scene, ScriptedPrinter())


def test_without_a_proof_a_printer_without_paper_is_waited_for_at_least() -> None:
    async def scene(desk: Desk, printer: ScriptedPrinter) -> None:
        printer.is_stopped = True
        true_write = printer.write

        async def write(data: bytes) -> None:
            await true_write(data)
            printer.is_stopped = False
            printer.set(PAPER_OUT)

        printer.write = write  # type: ignore[method-assign] # the paper ends with the last byte
        job = desk.print(JOB)
        await desk.interrupted()
        assert not job.done()
        printer.set(OK)
        assert isinstance(await job, JobSent)

    play(scene, ScriptedPrinter(), confirm="none")


def test_a_slip_that_is_not_true_any_more_when_its_turn_comes_is_not_printed() -> None:
    async def scene(desk: Desk, printer: ScriptedPrinter) -> None:
        assert isinstance(await desk.print(b""), SlipOutdated)
        assert printer.printed == b""

    play(scene, ScriptedPrinter())


def test_jobs_do_not_mix() -> None:
    async def scene(desk: Desk, printer: ScriptedPrinter) -> None:
        jobs = [bytes((65 + n,)) * 50 + b"\n" for n in range(5)]
        answers = await asyncio.gather(*map(desk.print, jobs))
        assert all(isinstance(answer, JobPrinted) for answer in answers)
        assert printer.printed == b"".join(jobs)

    play(scene, ScriptedPrinter())


def test_a_paper_sensor_that_answers_without_paper_proves_nothing() -> None:
    """Some clones answer GS r although they have stopped: 0F means that there is no paper."""

    async def scene(desk: Desk, printer: ScriptedPrinter) -> None:
        printer.answers_markers = False
        job = desk.print(JOB)
        await asyncio.sleep(0.05)
        printer.say(b"\x0f")
        assert isinstance(await job, JobSent)

    play(scene, ScriptedPrinter())


def test_a_printer_that_answers_nonsense_is_not_taken_for_switched_off() -> None:
    async def scene(desk: Desk, printer: ScriptedPrinter) -> None:
        printer.answers_status = False
        true_ask = printer.ask

        async def ask(request: bytes) -> None:
            await true_ask(request)
            printer.say(b"\xff")

        printer.ask = ask  # type: ignore[method-assign] # bytes of no kind
        assert isinstance(await desk.print(JOB), JobSent)
        assert printer.printed == JOB
        assert desk.states() == ["ready"]

    play(scene, ScriptedPrinter())


def test_a_cutter_that_stays_stuck_for_a_day_ends_the_wait() -> None:
    """I11."""

    async def scene(desk: Desk, printer: ScriptedPrinter) -> None:
        printer.is_stopped = True
        job = desk.print(JOB)
        await asyncio.sleep(0.02)
        printer.is_stopped = False
        printer.set({1: 0x08, 2: 0x40, 3: 0x08})
        await desk.interrupted()
        answer = await job
        assert isinstance(answer, JobSent)
        assert "blade" in answer.evidence
        assert desk.reports[-1].blocked_by is Blockage.CUTTER
        printer.set(OK)
        await desk.until(lambda: desk.states()[-1] == "ready")
        assert isinstance(await desk.print(JOB), JobPrinted)

    play(scene, ScriptedPrinter(), timing=replace(QUICK, wait_longest_s=1.0))
