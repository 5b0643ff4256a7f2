"""A printer that is switched off and on while a job is on its way to it is never said to have printed it.

On a serial line nobody sees it go: its adapter has its power from the host. What was in the printer is lost, the rest
arrives, and the marker behind it is answered.
"""

import asyncio
import re
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from dataclasses import replace

import pytest

from terminald.adapters.printer_markers import Confirm
from terminald.adapters.printer_questions import Questions, Timing
from terminald.adapters.printer_serial import BITS_PER_BYTE, Flow, SerialPrinter
from terminald.core.events import Blockage, JobInterrupted, JobLost, JobPrinted, JobSent
from terminald.core.receipt import Line
from terminald.simulator.printer import Manner, Model, SimulatedPrinter
from terminald.wire.escpos import encode
from terminald.wire.printer_status import GS_R
from tests.adapters.scripted_printer import QUICK
from tests.adapters.test_printer_lines import PROFILE, Station, station

CONFIRMS: tuple[Confirm, ...] = ("gs_r", "process_id")
BAUD = 19_200
COUNT = 150
#: A second and a half on the line.
LONG = encode([Line(text=f"line {number:04} of it") for number in range(COUNT)], PROFILE)
FEW = encode([Line(text=f"line {number:04} of it") for number in range(20)], PROFILE)
NUL = b"\x00"
#: GS r, and the process id's function of GS ( H: what a printer answers when it comes to it.
MARKERS = (b"\x1dr", b"\x1d(H")
#: Patient, so that a busy machine is not taken for a printer that was away. What was off has missed a question, however
#: long that is waited for.
TIMING = replace(
    QUICK, return_longest_s=20.0, answer_s=1.0, quiet_s=0.02, look_s=0.2, poll_s=0.5, stall_s=0.4, grace_s=3.0
)

_is_own = ContextVar("is_own", default=False)


@pytest.fixture(autouse=True)
def own_questions(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the line know which questions a job asks in its middle."""
    is_there = Questions.is_there

    async def told(questions: Questions) -> bool | None:
        before = _is_own.set(True)
        try:
            return await is_there(questions)
        finally:
            _is_own.reset(before)

    monkeypatch.setattr(Questions, "is_there", told)


Scene = Callable[[SimulatedPrinter, Station], Awaitable[None]]


class OpenLine(SerialPrinter):
    """The transport itself; what was asked over it, beside the jobs, is known."""

    def __init__(self, device: str, flow: Flow) -> None:
        super().__init__(device=device, baudrate=BAUD, flow=flow, grace_s=2.0)
        self.asked: list[bytes] = []
        #: Of the questions whether it is there, which a job asks: begun, and asked.
        self._begun = self._own = 0
        #: Bytes that were given to the line, or will be.
        self._given = 0

    async def write(self, data: bytes) -> None:
        self._given += len(data)
        await super().write(data)

    async def ask(self, request: bytes) -> None:
        is_own = _is_own.get()
        self._begun += is_own
        self._given += len(request)
        await super().ask(request)
        self.asked.append(request)
        self._own += is_own

    async def be_off(self, simulated: SimulatedPrinter, made: Station, off_s: float, *, is_in_the_middle: bool) -> None:
        """Switch the printer off for so long, and until a question is lost: this machine may be a slow one.

        In the middle of a job that is one of the job's own, or the printer is known to be silent.
        """
        simulated.power_off()
        begun, asked = self._begun, len(self.asked)

        def is_missed() -> bool:
            if self._own > begun or made.reports[-1].blocked_by is not None:
                return True
            # One that was under way may have been answered before.
            return not is_in_the_middle and len(self.asked) > asked + 1

        await asyncio.sleep(off_s)
        async with asyncio.timeout(20):
            while not is_missed():  # noqa: ASYNC110 - plain numbers
                await asyncio.sleep(0.01)
        await simulated.wait_lost(self._given - simulated.received)
        simulated.power_on()

    async def wait_asked(self, count: int) -> None:
        """Wait until so many questions were asked."""
        async with asyncio.timeout(10):
            while len(self.asked) < count:  # noqa: ASYNC110 - a plain list
                await asyncio.sleep(0.01)

    async def wait_marked(self) -> None:
        """Wait until the printer has a marker among what it has."""
        async with asyncio.timeout(10):
            while not any(request.startswith(MARKERS) for request in self.asked):  # noqa: ASYNC110 - a plain list
                await asyncio.sleep(0.01)


#: How far a job has come when the printer is switched off, for how long, and what the line says then.
CASES = [
    (at, off_s, word) for at, off_s in [(0.1, 0.4), (0.1, 1.2), (0.6, 0.4), (0.6, 1.2), (0.6, 3.0), (0.9, 0.4)]
    for word in (b"", NUL, b"\xf0")
]  # fmt: skip


async def play(
    scene: Scene, confirm: Confirm, model: Model, flow: Flow = "none", *, asks: bool = True, timing: Timing = TIMING
) -> None:
    # What was sent before an XOFF arrived is in the buffer, and is lost with it.
    slow = replace(model, line_bytes_per_second=BAUD / BITS_PER_BYTE, on_the_way=0)
    async with SimulatedPrinter(flow="xonxoff" if flow == "xonxoff" else "none", model=slow) as simulated:
        line = OpenLine(simulated.device, flow)
        async with station(line, confirm, asks=asks, timing=timing) as made:
            # What is there of an earlier process, is asked for first.
            assert isinstance(await made.print(encode([Line(text="first")], PROFILE)), JobPrinted)
            await scene(simulated, made)


def line_of(made: Station) -> OpenLine:
    assert isinstance(made.printer, OpenLine)
    return made.printer


def lines_on(simulated: SimulatedPrinter) -> int:
    return len(re.findall(r"line \d{4} of it", "".join(sheet.text for sheet in simulated.receipts)))


@pytest.mark.parametrize("confirm", CONFIRMS)
def test_a_long_job_of_a_printer_that_stays_is_proven(confirm: Confirm) -> None:
    async def scene(simulated: SimulatedPrinter, made: Station) -> None:
        assert isinstance(await made.print(LONG), JobPrinted)
        assert lines_on(simulated) == COUNT
        assert simulated.unknown == 0

    asyncio.run(play(scene, confirm, Model()))


@pytest.mark.parametrize("confirm", CONFIRMS)
def test_a_printer_that_was_off_in_the_middle_has_not_printed(confirm: Confirm) -> None:
    """The end of the job arrives, and its marker is answered; a break of the line looks like another answer."""

    def off_at(at: float, off_s: float, word: bytes) -> Awaitable[None]:
        async def scene(simulated: SimulatedPrinter, made: Station) -> None:
            start = simulated.received
            job = made.print(LONG)
            await simulated.wait_received(start + int(at * len(LONG)))
            simulated.power_off()
            await asyncio.sleep(off_s)
            simulated.power_on()
            answer = await job
            assert isinstance(answer, JobSent | JobLost), (at, off_s, word, answer)
            assert lines_on(simulated) < COUNT

        return play(scene, confirm, Model(last_word=word))

    async def all_at_once() -> None:
        await asyncio.gather(*(off_at(*case) for case in CASES))

    asyncio.run(all_at_once())


@pytest.mark.parametrize("confirm", CONFIRMS)
def test_a_printer_that_was_off_while_it_had_the_whole_job_has_not_printed(confirm: Confirm) -> None:
    """The marker is lost with the rest, and the break of the line looks like its answer."""

    def off_for(off_s: float, word: bytes) -> Awaitable[None]:
        async def scene(simulated: SimulatedPrinter, made: Station) -> None:
            start = simulated.received
            job = made.print(FEW)
            await simulated.wait_received(start + len(FEW) + len(GS_R))
            await line_of(made).be_off(simulated, made, off_s, is_in_the_middle=False)
            simulated.send(word)
            answer = await job
            assert isinstance(answer, JobSent), (off_s, word, answer)
            assert lines_on(simulated) < 20

        return play(scene, confirm, Model(last_word=word, mm_per_second=40))

    async def all_at_once() -> None:
        await asyncio.gather(*(off_for(off_s, word) for off_s in (0.25, 0.4, 1.2) for word in (b"", NUL, b"\xf0")))

    asyncio.run(all_at_once())


def test_a_printer_that_is_off_for_long_in_the_middle_is_sent_no_rest_and_the_job_is_lost() -> None:
    """So that it is printed again, marked as a copy."""

    async def scene(simulated: SimulatedPrinter, made: Station) -> None:
        job = made.print(LONG)
        await simulated.wait_received(simulated.received + len(LONG) // 2)
        simulated.power_off()
        await made.wait_reported(Blockage.OFFLINE)
        simulated.power_on()
        answer = await job
        assert isinstance(answer, JobLost)
        assert "never sent" in answer.evidence
        assert isinstance(await made.print(LONG), JobPrinted | JobSent)
        assert lines_on(simulated) >= COUNT

    asyncio.run(play(scene, "gs_r", Model()))


@pytest.mark.parametrize("confirm", CONFIRMS)
def test_paper_that_ends_in_the_middle_is_no_doubt_and_a_power_cut_then_is_one(confirm: Confirm) -> None:
    """The printer holds the line, and has a marker among what it has."""

    def refill(*, is_cut: bool, word: bytes = b"") -> Awaitable[None]:
        async def scene(simulated: SimulatedPrinter, made: Station) -> None:
            job = made.print(LONG)
            await simulated.wait_received(simulated.received + len(LONG) // 2)
            simulated.set_paper(is_out=True)
            assert isinstance(await made.wait_told(), JobInterrupted)
            line = line_of(made)
            await line.wait_marked()
            if is_cut:
                asked = len(line.asked)
                simulated.power_off()
                await asyncio.sleep(0.8)
                # A noise is looked into; so slow is no machine but this one that nothing was asked by now.
                await line.wait_asked(asked + 1 if word else 0)
                simulated.set_paper(is_out=False)
                simulated.power_on()
                simulated.send(word)
                assert isinstance(await job, JobSent | JobLost)
                assert lines_on(simulated) < COUNT
            else:
                simulated.set_paper(is_out=False)
                assert isinstance(await job, JobPrinted)
                assert lines_on(simulated) == COUNT

        # The marker alone is what shows that the printer was off, and nothing else is to cast a doubt.
        timing = replace(TIMING, blink_s=20.0)
        return play(scene, confirm, Model(last_word=word, mm_per_second=2000), "xonxoff", timing=timing)

    async def all_at_once() -> None:
        await asyncio.gather(refill(is_cut=False), refill(is_cut=True), refill(is_cut=True, word=NUL))

    asyncio.run(all_at_once())


@pytest.mark.parametrize("confirm", CONFIRMS)
def test_a_printer_that_was_off_between_two_jobs_loses_nothing_and_the_next_one_is_proven(confirm: Confirm) -> None:
    """Its buffer was empty, and the answer to a marker proves what was before it, whatever was before that.

    Nobody asked it meanwhile, so that nobody knows that it was off.
    """

    def off_for(off_s: float, word: bytes) -> Awaitable[None]:
        async def scene(simulated: SimulatedPrinter, made: Station) -> None:
            await simulated.wait_receipt(1)
            simulated.power_off()
            await asyncio.sleep(off_s)
            simulated.power_on()
            assert isinstance(await made.print(LONG), JobPrinted)
            assert lines_on(simulated) == COUNT

        return play(scene, confirm, Model(last_word=word))

    async def all_at_once() -> None:
        await asyncio.gather(*(off_for(off_s, word) for off_s in (0.1, 1.2) for word in (b"", NUL, b"\xf0")))

    asyncio.run(all_at_once())


def test_a_printer_that_can_not_be_asked_in_the_middle_has_not_proven_a_long_job() -> None:
    async def scene(_: SimulatedPrinter, made: Station) -> None:
        answer = await made.print(LONG)
        assert isinstance(answer, JobSent)
        assert "asked in the middle" in answer.evidence

    asyncio.run(
        play(
            scene,
            "gs_r",
            Model(manner=Manner(answers=frozenset({"gs_r"}))),
            asks=False,
            timing=replace(TIMING, blink_s=0.75),
        )
    )
