"""Clocks that are set, and power that comes and goes: what the key, the sales and the records make of it."""

import asyncio
import json
import logging
import sqlite3
from collections.abc import Awaitable, Callable
from contextlib import closing
from itertools import pairwise
from pathlib import Path

import pytest

from terminald.core.commands import QueryOrder, ReverseOrder, SubmitPayment
from terminald.core.custody import LEAST_WAIT, RENEW_AFTER
from terminald.core.events import OrderAbsent, OrderPending, OutcomePending, PayConfirmed
from terminald.engine import WATCH_INTERVAL_S
from terminald.engine_custody import FIRST_SALE_WAIT_S
from terminald.errors import ApiError
from tests.clock_bench import EPOCH, LONG_AGO, FakeKernel, Powered, TimelyGateway, powered, true_wall
from tests.engine_bench import CODE
from tests.log_lines import lines
from tests.simulation.virtual_time import run_virtually

HOUR_S, DAY_S = 3_600.0, 86_400.0
MONTHS = 92 * 86_400_000
#: When the key is renewed, in seconds after the beginning at noon.
EVENING_S = 8 * HOUR_S

Scene = Callable[[Path], Awaitable[None]]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal.db"


def now_s() -> float:
    return asyncio.get_running_loop().time()


async def until(moment_s: float) -> None:
    await asyncio.sleep(moment_s - now_s())


async def pay(board: Powered, reference: str) -> None:
    await board.desk.present_code(reference, f"13{len(board.gateway.asked):016d}")
    await asyncio.sleep(0.001)
    await board.gateway.answer(SubmitPayment, PayConfirmed())


def events_of(path: Path, cause: str) -> list[tuple[str, str]]:
    with closing(sqlite3.connect(path)) as journal:
        return journal.execute("SELECT subject, state_after FROM events WHERE cause = ?", (cause,)).fetchall()


# --- the day of a key ------------------------------------------------------------------------------------------------


def test_the_key_is_renewed_at_the_configured_time_of_the_business_day(path: Path) -> None:
    async def live() -> None:
        gateway = TimelyGateway()
        async with powered(path, gateway, "a"):
            await until(4 * DAY_S)
        assert len(gateway.checked_in) >= 4
        for sent in gateway.checked_in[2:]:
            assert abs((sent - EVENING_S) % DAY_S) < 5
        assert all(later - sooner <= DAY_S + 5 for sooner, later in pairwise(gateway.checked_in))

    run_virtually(live())


def test_nothing_is_renewed_twice_within_six_hours_whatever_restarts(path: Path) -> None:
    async def live() -> None:
        gateway = TimelyGateway()
        for boot in range(120):
            async with powered(path, gateway, f"boot {boot}"):
                await asyncio.sleep(0.7 * HOUR_S)
        assert len(gateway.checked_in) >= 3
        for sooner, later in pairwise(gateway.checked_in):
            assert LEAST_WAIT / 1000 <= later - sooner <= DAY_S + HOUR_S

    run_virtually(live())


# --- clocks that are set ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("is_synchronized", [True, False])
@pytest.mark.parametrize("step", [MONTHS, -MONTHS])
def test_a_clock_that_is_set_by_months_fires_nothing(
    step: int, *, is_synchronized: bool, path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """I10: at most one proof and one check-in; looks, polls and windows of orders are where they were."""

    async def live() -> None:
        gateway = TimelyGateway()
        gateway.tells_time = False
        kernel = FakeKernel(true_wall())
        kernel.is_synchronized = is_synchronized
        async with powered(path, gateway, "a", kernel=kernel) as board:
            await until(LEAST_WAIT / 1000 + 0.5 * HOUR_S)
            assert len(gateway.checked_in) == 1
            await board.open("polled")
            await board.desk.present_code("polled", CODE)
            await asyncio.sleep(0.001)
            submitted = now_s()
            await gateway.answer(SubmitPayment, OutcomePending())
            caplog.clear()
            before = list(gateway.asked_for_key)
            kernel.step(step)
            await asyncio.sleep(WATCH_INTERVAL_S + 1)
            assert gateway.asked_for_key == before
            queries = [kind for kind in gateway.open() if kind is QueryOrder]
            assert len(queries) == 1
            while ReverseOrder not in gateway.open():
                if QueryOrder in gateway.open():
                    await gateway.answer(QueryOrder, OrderPending())
                await asyncio.sleep(0.5)
            assert 50 <= now_s() - submitted < 52
            await gateway.answer(ReverseOrder, OrderAbsent())
            reversed_at = now_s()
            while QueryOrder not in gateway.open():  # noqa: ASYNC110 - a look of its own time
                await asyncio.sleep(0.5)
            assert 30 <= now_s() - reversed_at < 32
            await gateway.answer(QueryOrder, OrderAbsent())
            assert gateway.asked_for_key == before
            ends = now_s() + RENEW_AFTER / 1000
            while now_s() < ends:
                if QueryOrder in gateway.open():
                    await gateway.answer(QueryOrder, OrderAbsent())
                await asyncio.sleep(60)
            assert gateway.asked_for_key[len(before) :] == ["prove", "check in", "prove"]
        told = [one for one in lines(caplog.records) if "clock was set" in one]
        assert told == [f"the system's clock was set detail={'forward' if step > 0 else 'back'} by 92 days, 0:00:00"]
        assert events_of(path, "ClockSet") == [("system", f"{step:+d} ms")]

    caplog.set_level(logging.WARNING)
    run_virtually(live())


@pytest.mark.parametrize("step", [MONTHS, -MONTHS])
def test_a_clock_that_is_set_between_two_processes_of_a_boot_is_no_outage(step: int, path: Path) -> None:
    """The journal has a trusted time of before, the kernel one of after: and yet no time has passed."""

    async def live() -> None:
        gateway = TimelyGateway()
        gateway.tells_time = False
        kernel = FakeKernel(true_wall())
        kernel.is_synchronized = True
        async with powered(path, gateway, "a", kernel=kernel):
            await until(EVENING_S + 600)
        assert len(gateway.checked_in) == 1
        kernel.step(step)
        async with powered(path, gateway, "a", kernel=kernel):
            await asyncio.sleep(LEAST_WAIT / 1000 - 1200)
            assert len(gateway.checked_in) == 1
            await until(gateway.checked_in[0] + DAY_S + 60)
        assert len(gateway.checked_in) == 2

    run_virtually(live())


def test_a_clock_that_is_set_has_the_link_proven_at_once(path: Path) -> None:
    async def live() -> None:
        gateway = TimelyGateway()
        kernel = FakeKernel(LONG_AGO)
        gateway.is_clock_good = lambda: abs(kernel.wall_ms() - true_wall()) < MONTHS
        async with powered(path, gateway, "a", kernel=kernel) as board:
            await asyncio.sleep(HOUR_S)
            assert board.reasons == {"clock_unset"}
            with pytest.raises(ApiError, match="clock_unset"):
                await board.open("too early")
            kernel.step(true_wall() - kernel.wall_ms())
            await asyncio.sleep(WATCH_INTERVAL_S + 1)
            assert board.reasons == set()
            await board.open("in time")

    run_virtually(live())


def test_a_required_clock_is_known_with_the_gateways_first_answer(path: Path) -> None:
    async def live() -> None:
        gateway = TimelyGateway()
        gateway.is_up = False
        async with powered(path, gateway, "a", required={"clock"}) as board:
            await asyncio.sleep(60)
            assert board.reasons == {"clock_unset"}
            gateway.is_up = True
            await asyncio.sleep(120)
            assert board.reasons == set()
            assert board.desk.status().is_clock_synchronized
        with closing(sqlite3.connect(path)) as journal:
            told = journal.execute("SELECT body FROM events WHERE topic = 'readiness' ORDER BY seq").fetchall()
        assert [json.loads(body)["ready"] for (body,) in told] == [False, True]

    run_virtually(live())


# --- power -----------------------------------------------------------------------------------------------------------


async def sell(board: Powered, reference: str) -> tuple[str, int]:
    view = await board.open(reference)
    await pay(board, reference)
    await asyncio.sleep(1)
    return view.sale.id, view.sale.created_at


def test_without_a_battery_times_and_names_of_sales_never_run_backwards(path: Path) -> None:
    """The gateway has said the time in the first boot only."""

    async def live() -> None:
        gateway = TimelyGateway()
        made = []
        for boot in range(4):
            async with powered(path, gateway, f"boot {boot}", required=set()) as board:
                await asyncio.sleep(100 + 1900 * boot)
                made.append(await sell(board, f"order {boot}"))
                assert board.clock.now().is_trusted == (boot == 0)
            gateway.is_up = False
            await asyncio.sleep(HOUR_S)
        assert made == sorted(made)
        assert [created for _, created in made] == sorted({created for _, created in made})
        assert made[0][1] >= EPOCH

    run_virtually(live())


def test_a_night_without_a_sale_is_on_record(path: Path) -> None:
    async def live() -> None:
        gateway = TimelyGateway()
        async with powered(path, gateway, "a"):
            await until(EVENING_S - 60)
        gateway.is_up = False
        async with powered(path, gateway, "b") as board:
            shown = board.clock.now().wall
            assert 0 <= true_wall() - shown <= (HOUR_S + 600) * 1000

    run_virtually(live())


def test_a_renewal_that_is_due_after_a_long_time_without_power_comes_before_the_first_sale(path: Path) -> None:
    async def live() -> None:
        gateway = TimelyGateway()
        async with powered(path, gateway, "a"):
            await until(EVENING_S + HOUR_S)
        assert len(gateway.checked_in) == 1
        await asyncio.sleep(30 * HOUR_S)
        gateway.latency_s = 1.0
        async with powered(path, gateway, "b") as board:
            while board.reasons:  # noqa: ASYNC110 - a host that polls, and sells the moment it may
                await asyncio.sleep(0.01)
            assert len(gateway.checked_in) == 1
            ready = now_s()
            await board.open("first")
            assert len(gateway.checked_in) == 2
            assert now_s() - ready <= FIRST_SALE_WAIT_S
            assert gateway.asked_for_key[-3:] == ["prove", "check in", "prove"]
            await pay(board, "first")
            again = now_s()
            await board.open("second")
            assert now_s() == again

    run_virtually(live())


def test_a_sale_does_not_wait_long_for_the_key_and_no_check_in_comes_into_it(path: Path) -> None:
    async def live() -> None:
        gateway = TimelyGateway()
        async with powered(path, gateway, "a"):
            await until(EVENING_S + HOUR_S)
        await asyncio.sleep(30 * HOUR_S)
        async with powered(path, gateway, "b") as board:
            gateway.latency_s = 20.0
            await asyncio.sleep(0.3)
            while board.reasons:  # noqa: ASYNC110 - a host that polls, and sells the moment it may
                await asyncio.sleep(0.01)
            ready = now_s()
            await board.open("impatient")
            assert now_s() - ready == pytest.approx(FIRST_SALE_WAIT_S, abs=0.1)
            await asyncio.sleep(60)
            assert len(gateway.checked_in) == 1
            await pay(board, "impatient")
            await asyncio.sleep(120)
            assert len(gateway.checked_in) == 2

    run_virtually(live())


def test_a_key_of_unknown_age_is_renewed_as_soon_as_the_gateway_answers(path: Path) -> None:
    """A gateway that says no time: nobody will ever know how long the power was off."""

    async def live() -> None:
        gateway = TimelyGateway()
        gateway.tells_time = False
        async with powered(path, gateway, "a") as board:
            await until(LEAST_WAIT / 1000 + 60)
            await sell(board, "the last on record")
        assert len(gateway.checked_in) == 1
        async with powered(path, gateway, "b") as board:
            await asyncio.sleep(0.3)
            started = now_s()
            await board.open("first")
            assert len(gateway.checked_in) == 2
            assert now_s() - started < 1

    run_virtually(live())


def test_a_start_with_a_fresh_key_holds_nobody_up(path: Path) -> None:
    async def live() -> None:
        gateway = TimelyGateway()
        for boot in ("a", "b"):
            async with powered(path, gateway, boot) as board:
                while board.reasons:  # noqa: ASYNC110 - a host that polls, and sells the moment it may
                    await asyncio.sleep(0.01)
                ready = now_s()
                await board.open(f"order {boot}")
                assert now_s() - ready <= 0.2
                await pay(board, f"order {boot}")
                await asyncio.sleep(60)
        assert gateway.checked_in == []

    run_virtually(live())
