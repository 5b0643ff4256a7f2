"""Receipts in the loop: what a printer does reaches the receipt, the readiness, and never the sale."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from terminald.adapters.ports import SaleFilter
from terminald.adapters.ports_devices import DeviceReport, DeviceState
from terminald.adapters.ports_receipts import PrintSink
from terminald.core.book import SaleView
from terminald.core.commands import OfferOrder, RefundOrder, SubmitPayment
from terminald.core.events import (
    Blockage,
    JobBlocked,
    JobBroken,
    JobInterrupted,
    JobLost,
    JobPrinted,
    JobSent,
    PayConfirmed,
    PrintAnswer,
    PrinterAbsent,
    QrOffered,
    RefundConfirmed,
    SlipOutdated,
)
from terminald.core.money import Fen
from terminald.core.report import DayReport
from terminald.core.schedule import Now
from terminald.core.spool import PrintJob
from terminald.errors import ApiError
from tests.engine_bench import CODE, OTHER_CODE, Bench, engine_bench, settle
from tests.simulation.virtual_time import run_virtually

ALL = frozenset({"gateway", "printer"})


class Paper:
    """A printer whose every job waits until the test says what became of it."""

    def __init__(self) -> None:
        self.jobs: list[PrintJob] = []
        self._tell: PrintSink = print
        self._answer: asyncio.Future[PrintAnswer] | None = None

    async def send(self, job: PrintJob, look: Callable[[], SaleView | None], tell: PrintSink) -> PrintAnswer:
        view = look()
        assert view is not None
        assert view.sale.paid or job.slip == "qr"
        self.jobs.append(job)
        self._tell = tell
        self._answer = asyncio.get_running_loop().create_future()
        return await self._answer

    async def send_closing(self, report: DayReport, now: Now) -> PrintAnswer:
        raise AssertionError((report, now))

    async def tell(self, answer: PrintAnswer) -> None:
        self._tell(answer)
        await settle()

    async def answer(self, answer: PrintAnswer) -> None:
        assert self._answer is not None
        self._answer.set_result(answer)
        await settle()
        await asyncio.sleep(0.1)  # what follows from it is due now


Scene = Callable[[Bench, Paper], Awaitable[None]]


def play(path: Path, scene: Scene, required: frozenset[str] = frozenset({"gateway"})) -> None:
    async def run() -> None:
        paper = Paper()
        async with engine_bench(path / "journal.db", paper, required) as bench:
            await scene(bench, paper)

    run_virtually(run())


async def sell(bench: Bench) -> None:
    """Sell with a receipt; the sale is complete before anything is on paper."""
    await bench.open(wants_receipt=True)
    await bench.desk.present_code("order", CODE)
    await settle()
    await bench.gateway.answer(SubmitPayment, PayConfirmed())
    assert await bench.state() == "completed"
    await asyncio.sleep(0.1)  # the receipt is due now


async def receipts(bench: Bench) -> list[tuple[str, bool]]:
    """Return what a host was told of the receipt: each change once."""
    bodies = [json.loads(event.body) for event in await bench.desk.events_after(0, 999) if event.topic == "print"]
    told = [(body["state"], body["copy"]) for body in bodies]
    return [one for place, one in enumerate(told) if place == 0 or told[place - 1] != one]


def report(state: DeviceState, blocked_by: Blockage | None = None) -> DeviceReport:
    return DeviceReport(name="printer", kind="printer", state=state, detail="d", blocked_by=blocked_by)


def test_a_receipt_that_paper_interrupts_is_blocked_until_it_is_printed(tmp_path: Path) -> None:
    """I8: the sale is what it was."""

    async def scene(bench: Bench, paper: Paper) -> None:
        await sell(bench)
        await paper.tell(JobInterrupted(evidence="no paper", by=Blockage.PAPER))
        assert bench.desk.status().print_queue == 1
        await asyncio.sleep(3600)
        assert await bench.state() == "completed"
        await paper.answer(JobPrinted())
        assert [job.is_copy for job in paper.jobs] == [False]
        assert await receipts(bench) == [
            ("queued", False),
            ("printing", False),
            ("blocked", False),
            ("printed", False),
        ]
        assert bench.desk.status().print_queue == 0
        assert await bench.state() == "completed"

    play(tmp_path, scene)


def test_a_blocked_receipt_is_printed_as_soon_as_the_printer_is_ready(tmp_path: Path) -> None:
    async def scene(bench: Bench, paper: Paper) -> None:
        bench.engine.note_device(report(DeviceState.READY))
        await sell(bench)
        await paper.answer(JobBlocked(evidence="no paper", by=Blockage.PAPER))
        bench.engine.note_device(report(DeviceState.FAULTY, Blockage.PAPER))
        await asyncio.sleep(10)
        assert len(paper.jobs) == 1
        bench.engine.note_device(report(DeviceState.READY))
        await settle()
        assert len(paper.jobs) == 2
        await paper.answer(JobPrinted())
        assert (await receipts(bench))[-2:] == [("printing", False), ("printed", False)]

    play(tmp_path, scene)


def test_a_receipt_for_a_printer_that_is_plugged_in_again_does_not_wait_for_the_next_try(tmp_path: Path) -> None:
    async def scene(bench: Bench, paper: Paper) -> None:
        await sell(bench)
        await paper.answer(PrinterAbsent(evidence="unplugged"))
        bench.engine.note_device(report(DeviceState.READY))
        await settle()
        assert len(paper.jobs) == 2

    play(tmp_path, scene)


def test_a_receipt_that_the_printer_lost_is_printed_once_more_as_a_copy(tmp_path: Path) -> None:
    async def scene(bench: Bench, paper: Paper) -> None:
        await sell(bench)
        await paper.answer(JobLost(evidence="switched off"))
        assert [job.is_copy for job in paper.jobs] == [False, True]
        await paper.answer(JobLost(evidence="again"))
        assert [job.is_copy for job in paper.jobs] == [False, True]
        assert (await receipts(bench))[-1] == ("failed", True)
        assert await bench.state() == "completed"

    play(tmp_path, scene)


@pytest.mark.parametrize(
    ("blocked_by", "reason"),
    [(Blockage.PAPER, "paper_out"), (Blockage.COVER, "cover_open"), (Blockage.CUTTER, "printer_faulty")],
)
def test_a_required_printer_that_reports_a_fault_keeps_sales_from_being_begun_until_it_is_gone(
    tmp_path: Path, blocked_by: Blockage, reason: str
) -> None:
    async def scene(bench: Bench, _: Paper) -> None:
        assert bench.desk.status().reasons == ("printer_absent",)
        bench.engine.note_device(report(DeviceState.FAULTY, blocked_by))
        await settle()
        assert bench.desk.status().reasons == (reason,)
        with pytest.raises(ApiError, match="no sale can be opened now") as refused:
            await bench.open()
        assert refused.value.reasons == (reason,)
        bench.engine.note_device(report(DeviceState.READY))
        await settle()
        await bench.open()

    play(tmp_path, scene, ALL)


def test_the_text_of_a_receipt_is_there_without_a_printer(tmp_path: Path) -> None:
    async def scene(bench: Bench, _: Paper) -> None:
        await bench.open()
        with pytest.raises(ApiError) as refused:
            await bench.desk.receipt_text("order")
        assert refused.value.code == "nothing_to_print"
        await bench.desk.cancel("order")
        await bench.open("second")
        await bench.desk.present_code("second", CODE)
        await settle()
        await bench.gateway.answer(SubmitPayment, PayConfirmed())
        written = await bench.desk.receipt_text("second")
        assert written.columns == 32
        assert "￥3.50" in written.text
        assert "Cola" in written.text
        assert "补打" not in written.text

    play(tmp_path, scene)


# --- a receipt changes no sale (I8) ----------------------------------------------------------------------------------

ANSWERS: tuple[PrintAnswer, ...] = (
    JobPrinted(evidence="e"),
    JobSent(evidence="e"),
    PrinterAbsent(evidence="e"),
    *(kind(evidence="e", by=by) for kind in (JobBlocked, JobInterrupted) for by in Blockage),
    JobLost(evidence="e"),
    JobBroken(evidence="e"),
    SlipOutdated(evidence="e"),
)


async def after_payment(bench: Bench) -> None:
    await sell(bench)


async def while_money_goes_back(bench: Bench) -> None:
    await sell(bench)
    await bench.desk.refund("order", "a", Fen(100))
    await settle()


async def after_some_went_back(bench: Bench) -> None:
    await while_money_goes_back(bench)
    await bench.gateway.answer(RefundOrder, RefundConfirmed())


async def while_the_next_customer_pays(bench: Bench) -> None:
    await sell(bench)
    await bench.open("next")
    await bench.desk.present_code("next", OTHER_CODE)
    await settle()


async def while_a_qr_waits_to_be_paid(bench: Bench) -> None:
    await bench.open(methods=("qr",), wants_receipt=True)
    await bench.gateway.answer(OfferOrder, QrOffered(content="https://qr.example/1"))
    await asyncio.sleep(0.1)


async def money(bench: Bench) -> list[object]:
    """Return everything about every sale but its slips, and what the gateway was asked."""
    views = await bench.desk.list_sales(SaleFilter())
    return [*((one.sale, one.attempts, one.refunds, one.attention) for one in views), *bench.gateway.asked]


@pytest.mark.parametrize("answer", ANSWERS, ids=lambda answer: f"{type(answer).__name__}-{getattr(answer, 'by', '')}")
@pytest.mark.parametrize(
    "moment",
    [
        after_payment,
        while_money_goes_back,
        after_some_went_back,
        while_the_next_customer_pays,
        while_a_qr_waits_to_be_paid,
    ],
)
def test_no_answer_of_a_printer_at_any_moment_changes_a_sale(
    tmp_path: Path, moment: Callable[[Bench], Awaitable[None]], answer: PrintAnswer
) -> None:
    """I8: neither state nor money, and nothing is asked of the gateway for it."""

    async def scene(bench: Bench, paper: Paper) -> None:
        await moment(bench)
        assert paper.jobs
        before = await money(bench)
        if isinstance(answer, JobInterrupted):
            await paper.tell(answer)
            assert await money(bench) == before
            await paper.answer(JobBroken(evidence="given up"))
        else:
            await paper.answer(answer)
        assert await money(bench) == before

    play(tmp_path, scene)


def test_every_answer_that_a_printer_can_give_is_tried() -> None:
    # By name: a dataclass with slots leaves its first form behind.
    assert {type(answer).__name__ for answer in ANSWERS} == {kind.__name__ for kind in PrintAnswer.__subclasses__()}
