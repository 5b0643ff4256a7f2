"""A report of the goods is not missing before the host could have given it: the window waits for the journal (I5)."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path

import pytest

from terminald.core.commands import OrderText, RevokeOrder, SubmitPayment
from terminald.core.events import PayConfirmed
from terminald.core.ids import Duration, Reference
from terminald.core.money import Fen
from terminald.core.readiness import Hold
from terminald.core.sale_table import DeliveryState, SaleOrder, SaleState
from terminald.core.schedule import DAY, REPORT_LATEST, SECOND
from terminald.engine_reports import REPORT_AGAIN
from terminald.errors import JournalUnavailable
from tests.engine_bench import CODE, GATEWAY, RULES, Bench, engine_bench, living, settle
from tests.simulation.virtual_time import run_virtually

WINDOW_S = RULES.delivery_window / 1000
AGAIN_S = REPORT_AGAIN / 1000
#: From the end of a failure until the journal is known to work again: as often as readiness is looked at.
FOUND_S = 6.0
OUTAGE_S = 3600.0


def play(path: Path, *scenes: Callable[[Bench], Awaitable[None]]) -> None:
    """Play scenes, each in a life of the process, with a long time between them."""

    async def run() -> None:
        for scene in scenes:
            async with engine_bench(path / "journal.db") as bench:
                bench.engine.rules = replace(RULES, returns_overdue=True)
                await scene(bench)
            await asyncio.sleep(OUTAGE_S)

    run_virtually(run())


async def sell(bench: Bench) -> None:
    order = SaleOrder(
        reference=Reference("order"),
        amount=Fen(350),
        methods=("scan",),
        text=OrderText(subject="Cola", operator="kiosk"),
        wants_receipt=False,
        reports_delivery=True,
    )
    await bench.desk.open_sale(order)
    await bench.desk.present_code("order", CODE)
    await settle()
    await bench.gateway.answer(SubmitPayment, PayConfirmed())
    assert await bench.state() == "paid"


async def fail(bench: Bench, seconds: float) -> None:
    """Have the journal fail, and every report refused, until it is known to work again."""
    bench.journal.is_full = True
    ends = asyncio.get_running_loop().time() + seconds
    while asyncio.get_running_loop().time() < ends:
        with pytest.raises(JournalUnavailable):
            await bench.desk.deliver("order")
        await asyncio.sleep(10)
    bench.journal.is_full = False
    await bench.engine.wait_for_event(bench.engine.last_seq)


async def delivery(bench: Bench) -> DeliveryState:
    return (await bench.desk.get_sale("order")).sale.delivery


@pytest.mark.parametrize("lead_s", [0.0, WINDOW_S - 1], ids=["at once", "shortly before the end"])
def test_a_window_that_ends_while_nothing_can_be_recorded_leaves_time_for_a_report(
    tmp_path: Path, lead_s: float
) -> None:
    async def scene(bench: Bench) -> None:
        await sell(bench)
        await asyncio.sleep(lead_s)
        await fail(bench, OUTAGE_S)
        await asyncio.sleep(AGAIN_S - 5)
        assert await delivery(bench) is DeliveryState.PENDING
        await bench.desk.deliver("order")
        assert await bench.state() == "completed"
        await asyncio.sleep(OUTAGE_S)
        assert RevokeOrder not in map(type, bench.gateway.asked)

    play(tmp_path, scene)


def test_whoever_does_not_report_then_is_overdue(tmp_path: Path) -> None:
    async def scene(bench: Bench) -> None:
        await sell(bench)
        await fail(bench, OUTAGE_S)
        await asyncio.sleep(AGAIN_S + 1)
        assert (await bench.state(), await delivery(bench)) == ("returning", DeliveryState.OVERDUE)

    play(tmp_path, scene)


def test_a_failure_that_only_the_end_of_the_window_finds_counts_too(tmp_path: Path) -> None:
    async def scene(bench: Bench) -> None:
        await sell(bench)
        bench.journal.is_full = True
        await asyncio.sleep(WINDOW_S + 60)
        assert not bench.engine.is_journal_writable
        bench.journal.is_full = False
        await asyncio.sleep(FOUND_S)
        assert await delivery(bench) is DeliveryState.PENDING
        await asyncio.sleep(AGAIN_S)
        assert await delivery(bench) is DeliveryState.OVERDUE

    play(tmp_path, scene)


def test_a_failure_long_before_the_end_moves_nothing(tmp_path: Path) -> None:
    async def scene(bench: Bench) -> None:
        await sell(bench)
        await fail(bench, 10)
        await asyncio.sleep(WINDOW_S - 10 - FOUND_S)
        assert await delivery(bench) is DeliveryState.PENDING
        await asyncio.sleep(FOUND_S + 1)
        assert await delivery(bench) is DeliveryState.OVERDUE

    play(tmp_path, scene)


def test_a_window_that_ends_while_no_process_runs_leaves_time_as_well(tmp_path: Path) -> None:
    async def nothing(_: Bench) -> None:
        """Another life, so short that nobody could report in it."""

    async def report(bench: Bench) -> None:
        await asyncio.sleep(AGAIN_S - 5)
        assert await delivery(bench) is DeliveryState.PENDING
        await bench.desk.deliver("order")
        assert await bench.state() == "completed"

    play(tmp_path, sell, nothing, report)


def test_the_time_that_a_start_takes_leaves_none_for_a_report(tmp_path: Path) -> None:
    """A card that is dying: what is recorded first does not mean that anybody is served."""

    async def run() -> None:
        async with engine_bench(tmp_path / "journal.db") as bench:
            await sell(bench)
        await asyncio.sleep(OUTAGE_S)
        slow = Bench(tmp_path / "journal.db", None, GATEWAY)
        slow.journal.takes_s = AGAIN_S
        async with living(slow) as bench:
            bench.engine.rules = replace(RULES, returns_overdue=True)
            await bench.engine.recovered.wait()
            bench.journal.takes_s = 0.0
            await asyncio.sleep(AGAIN_S - 5)
            assert await delivery(bench) is DeliveryState.PENDING
            await bench.desk.deliver("order")
            assert await bench.state() == "completed"

    run_virtually(run())


def test_lives_that_are_all_too_short_for_a_report_call_a_person_in_the_end(tmp_path: Path) -> None:
    """I5, I11: each of them leaves its minute anew, and none lasts so long."""
    told: list[tuple[float, DeliveryState]] = []

    async def sold(bench: Bench) -> None:
        await sell(bench)
        told.append((now_s() + WINDOW_S, DeliveryState.PENDING))

    async def short(bench: Bench) -> None:
        await asyncio.sleep(50)
        told.append((now_s(), await kept(bench)))

    play(tmp_path, sold, *[short] * 100)
    assert_given_up(told)


def test_a_write_that_is_refused_again_and_again_does_not_put_a_window_off_for_ever(tmp_path: Path) -> None:
    told: list[tuple[float, DeliveryState]] = []

    async def scene(bench: Bench) -> None:
        await sell(bench)
        told.append((now_s() + WINDOW_S, DeliveryState.PENDING))
        for _ in range(2 * DAY // (50 * SECOND)):
            bench.journal.is_full = True
            with pytest.raises(JournalUnavailable):
                await bench.desk.drain(until_restart=True)
            bench.journal.is_full = False
            await asyncio.sleep(50)
            told.append((now_s(), await kept(bench)))

    play(tmp_path, scene)
    assert_given_up(told)


def now_s() -> float:
    return asyncio.get_running_loop().time()


async def kept(bench: Bench) -> DeliveryState:
    """Return what is known of the goods; no money goes back meanwhile, and a person is called for what is overdue."""
    view = await bench.desk.get_sale("order")
    assert view.sale.state is SaleState.PAID
    assert RevokeOrder not in map(type, bench.gateway.asked)
    assert (view.attention is not None) == (view.sale.delivery is DeliveryState.OVERDUE)
    return view.sale.delivery


def assert_given_up(told: list[tuple[float, DeliveryState]]) -> None:
    """It was awaited for so long after its end, which comes first here, and at the next look no longer."""
    (ends, _), *rest = told
    last = ends + REPORT_LATEST / 1000
    assert {what for at, what in rest if at < last} == {DeliveryState.PENDING}
    assert {what for at, what in rest if at > last + 10} == {DeliveryState.OVERDUE}


def test_what_is_given_up_so_is_honoured_when_it_comes(tmp_path: Path) -> None:
    """A disk that is full over a weekend: nothing goes back for goods that came out, and the host is heard after it."""

    async def scene(bench: Bench) -> None:
        await sell(bench)
        await fail(bench, 2 * DAY / 1000)
        await settle()
        assert await kept(bench) is DeliveryState.OVERDUE
        await bench.desk.deliver("order")
        assert await bench.state() == "completed"
        assert (await bench.desk.get_sale("order")).attention is None

    play(tmp_path, scene)


def test_a_short_window_does_not_become_a_long_one(tmp_path: Path) -> None:
    async def scene(bench: Bench) -> None:
        bench.engine.rules = replace(bench.engine.rules, delivery_window=Duration(10 * SECOND))
        await sell(bench)
        await fail(bench, OUTAGE_S)
        await asyncio.sleep(9)
        assert await delivery(bench) is DeliveryState.PENDING
        await asyncio.sleep(2)
        assert await delivery(bench) is DeliveryState.OVERDUE

    play(tmp_path, scene)


# --- a restored journal ----------------------------------------------------------------------------------------------


def test_nothing_goes_back_by_an_old_copy_before_somebody_has_compared_it(tmp_path: Path) -> None:
    """The rows that say that the goods came out may be those that are lost."""

    async def old(bench: Bench) -> None:
        bench.engine.take_hold(Hold.RESTORED)
        await asyncio.sleep(AGAIN_S + 1)
        assert await kept(bench) is DeliveryState.OVERDUE
        await bench.desk.deliver("order")
        assert await bench.state() == "completed"

    play(tmp_path, sell, old)


def test_after_that_it_goes_back_as_ever(tmp_path: Path) -> None:
    async def old(bench: Bench) -> None:
        bench.engine.take_hold(Hold.RESTORED)
        await asyncio.sleep(AGAIN_S - 1)
        await bench.desk.resume(is_compared=True)
        await asyncio.sleep(2)
        assert (await bench.state(), await delivery(bench)) == ("returning", DeliveryState.OVERDUE)

    play(tmp_path, sell, old)
