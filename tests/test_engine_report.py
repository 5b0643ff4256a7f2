"""The report of a day from what the engine has committed, and what a query says of an order's money."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path

import pytest

from terminald.adapters.ports_receipts import PrintSink
from terminald.core.book import SaleView
from terminald.core.commands import QueryOrder, RefundOrder, SubmitPayment
from terminald.core.events import (
    Answer,
    AnswerMismatched,
    JobSent,
    OrderAbsent,
    OrderClosed,
    OrderErrored,
    OrderFacts,
    OrderPaid,
    OrderPartlyReturned,
    OrderPending,
    OrderReturned,
    PayConfirmed,
    PrintAnswer,
    QueryFailed,
    RefundConfirmed,
)
from terminald.core.ids import Duration, Instant, WallTime
from terminald.core.money import Fen
from terminald.core.report import DayReport
from terminald.core.schedule import DAY, HOUR, Now, day_of
from terminald.core.spool import PrintJob
from terminald.engine_report import DayReports, look_of
from terminald.errors import ApiError
from tests.engine_bench import CODE, OTHER_CODE, Bench, engine_bench, settle
from tests.simulation.virtual_time import run_virtually
from tests.wire.api_samples import attempt

Scene = Callable[[Bench], Awaitable[None]]
OFFSET = Duration(8 * HOUR)


def play(path: Path, scene: Scene) -> None:
    async def run() -> None:
        async with engine_bench(path / "journal.db") as bench:
            await scene(bench)

    run_virtually(run())


async def sell(bench: Bench, reference: str, code: str) -> None:
    await bench.open(reference)
    await bench.desk.present_code(reference, code)
    await settle()
    finish = str(bench.engine.world.clock.now().wall)
    await bench.gateway.answer(SubmitPayment, PayConfirmed(facts=OrderFacts(sn="7", payway="3", finish_time=finish)))


def test_today_has_what_was_sold_and_returned_and_what_is_in_doubt(tmp_path: Path) -> None:
    async def scene(bench: Bench) -> None:
        await sell(bench, "one", CODE)
        await bench.desk.refund("one", "back", Fen(100))
        await settle()
        in_flight = await bench.desk.report(None)
        assert (in_flight.total.sold, in_flight.total.returned, in_flight.in_doubt) == (350, 0, 100)
        await bench.gateway.answer(RefundOrder, RefundConfirmed())
        await bench.open("two")
        await bench.desk.present_code("two", OTHER_CODE)
        await settle()
        today = await bench.desk.report(None)
        assert today.day.number == day_of(bench.engine.world.clock.now().wall, OFFSET)
        assert (today.total.count, today.total.sold, today.total.returns, today.total.returned) == (1, 350, 1, 100)
        assert [(one.reference, one.in_doubt) for one in today.doubtful] == [("two", 350)]
        other = await bench.desk.report(today.day.number + 1)
        assert (other.sales, other.total.count) == ((), 0)

    play(tmp_path, scene)


def test_a_refund_of_an_old_sale_is_in_the_report_of_its_own_day_once(tmp_path: Path) -> None:
    async def scene(bench: Bench) -> None:
        await sell(bench, "old", CODE)
        sold_on = day_of(bench.engine.world.clock.now().wall, OFFSET)
        later = _Later(bench, 40 * DAY)
        reports = DayReports(replace(bench.engine.world, clock=later), OFFSET)
        bench.engine.world = replace(bench.engine.world, clock=later)
        for reference in ("first", "second"):
            await bench.desk.refund("old", reference, Fen(100))
            await settle()
            await bench.gateway.answer(RefundOrder, RefundConfirmed())
        today = await reports.report(None)
        assert (today.total.count, today.total.returns, today.total.returned, today.total.net) == (0, 2, 200, -200)
        before = await reports.report(sold_on)
        assert (before.total.count, before.total.sold, before.total.returned) == (1, 350, 0)

    play(tmp_path, scene)


class _Later:
    """The bench's clock, so much later on the calendar."""

    def __init__(self, bench: Bench, by: int) -> None:
        self._clock = bench.engine.world.clock
        self._by = by

    def now(self) -> Now:
        now = self._clock.now()
        return replace(now, wall=WallTime(now.wall + self._by))

    def timer_at(self, instant: Instant) -> float:
        return self._clock.timer_at(instant)


def test_today_is_not_known_by_a_clock_that_was_not_set(tmp_path: Path) -> None:
    """I10."""

    class Unset(_Later):
        def now(self) -> Now:
            return replace(super().now(), is_trusted=False)

    async def scene(bench: Bench) -> None:
        reports = DayReports(replace(bench.engine.world, clock=Unset(bench, 0)), OFFSET)
        with pytest.raises(ApiError, match="name the day"):
            await reports.report(None)
        assert (await reports.report(0)).sales == ()

    play(tmp_path, scene)


class Slips:
    """A printer that keeps the reports that it is to print."""

    def __init__(self) -> None:
        self.printed: list[DayReport] = []

    async def send(self, job: PrintJob, look: Callable[[], SaleView | None], tell: PrintSink) -> PrintAnswer:
        raise AssertionError((job, look, tell))

    async def send_closing(self, report: DayReport, now: Now) -> PrintAnswer:
        self.printed.append(report)
        return JobSent(evidence=f"at {now.wall}")


def test_the_slip_of_a_day_is_printed_where_there_is_a_printer(tmp_path: Path) -> None:
    async def scene(bench: Bench) -> None:
        await sell(bench, "one", CODE)
        with pytest.raises(ApiError) as refused:
            await bench.desk.print_report(None)
        assert refused.value.code == "printer_off"
        slips = Slips()
        reports = DayReports(replace(bench.engine.world, receipts=slips), OFFSET)
        assert isinstance(await reports.print_report(None), JobSent)
        assert [one.total.sold for one in slips.printed] == [350]

    play(tmp_path, scene)


def test_a_query_tells_what_the_merchant_has_of_an_order(tmp_path: Path) -> None:
    async def scene(bench: Bench) -> None:
        await sell(bench, "one", CODE)

        async def ask() -> None:
            _, (look,) = await bench.desk.query("one")
            assert (look.answer, look.net) == ("OrderPartlyReturned", 250)

        task = asyncio.create_task(ask())
        await settle()
        await bench.gateway.answer(QueryOrder, OrderPartlyReturned(facts=OrderFacts(net_amount=Fen(250))))
        await task

    play(tmp_path, scene)


@pytest.mark.parametrize(
    ("answer", "net"),
    [
        (OrderPaid(), 350),
        (OrderPartlyReturned(facts=OrderFacts(net_amount=Fen(50))), 50),
        (OrderReturned(), 0),
        (OrderClosed(), 0),
        (OrderAbsent(), 0),
        (OrderPending(), None),
        (OrderErrored(), None),
        (AnswerMismatched(), None),
        (QueryFailed(), None),
    ],
)
def test_what_an_answer_says_of_the_money(answer: Answer, net: int | None) -> None:
    look = look_of(attempt(), answer)
    assert (look.client_sn, look.answer, look.net) == ("A1", type(answer).__name__, net)
