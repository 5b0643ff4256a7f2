"""Old sales are deleted while nobody is served; a deleted one is neither charged again, nor reported as nothing."""

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path

import pytest

from terminald.core.commands import SubmitPayment
from terminald.core.events import PayConfirmed
from terminald.core.retention import LEAST_DAYS
from terminald.engine_retention import FIRST_AFTER_S, PASS_EVERY_S, Retention
from terminald.errors import ApiError
from terminald.logs_ids import LogId
from tests.engine_bench import CODE, OTHER_CODE, Bench, engine_bench, settle
from tests.simulation.virtual_time import run_virtually

Scene = Callable[[Bench], Awaitable[None]]


def play(directory: Path, scene: Scene) -> None:
    async def act() -> None:
        async with engine_bench(directory / "journal.db") as bench:
            running = asyncio.create_task(Retention(bench.engine, LEAST_DAYS).run())
            await scene(bench)
            running.cancel()
            with suppress(asyncio.CancelledError):
                await running

    run_virtually(act())


async def sell(bench: Bench, reference: str) -> None:
    await bench.open(reference)
    await bench.desk.present_code(reference, CODE)
    await settle()
    await bench.gateway.answer(SubmitPayment, PayConfirmed())
    assert await bench.state(reference) == "completed"
    await asyncio.sleep(200)


async def is_there(bench: Bench, reference: str) -> bool:
    with suppress(ApiError):
        await bench.desk.get_sale(reference)
        return True
    return False


def test_an_old_request_is_refused_and_nobody_charged_again(tmp_path: Path) -> None:
    async def scene(bench: Bench) -> None:
        await sell(bench, "old")
        bench.clock.days = LEAST_DAYS - 1
        await asyncio.sleep(FIRST_AFTER_S + 10)
        assert await is_there(bench, "old")
        bench.clock.days = LEAST_DAYS + 1
        await asyncio.sleep(PASS_EVERY_S + 10)
        assert not await is_there(bench, "old")
        with pytest.raises(ApiError) as caught:
            await bench.open("old")
        assert caught.value.code == "reference_spent"
        assert sum(isinstance(one, SubmitPayment) for one in bench.gateway.asked) == 1

    play(tmp_path, scene)


def test_nothing_is_deleted_while_a_customer_is_served(tmp_path: Path) -> None:
    async def scene(bench: Bench) -> None:
        await sell(bench, "old")
        await bench.open("now")
        await bench.desk.present_code("now", OTHER_CODE)
        await settle()
        bench.clock.days = LEAST_DAYS + 1
        await asyncio.sleep(FIRST_AFTER_S + 100)
        assert await is_there(bench, "old")
        await bench.gateway.answer(SubmitPayment, PayConfirmed())
        await asyncio.sleep(100)
        assert not await is_there(bench, "old")

    play(tmp_path, scene)


def test_a_full_disk_puts_it_off(tmp_path: Path) -> None:
    async def scene(bench: Bench) -> None:
        await sell(bench, "old")
        bench.journal.is_full = True
        bench.clock.days = LEAST_DAYS + 1
        await asyncio.sleep(FIRST_AFTER_S + 10)
        bench.journal.is_full = False
        assert await is_there(bench, "old")
        await asyncio.sleep(PASS_EVERY_S + 10)
        assert not await is_there(bench, "old")

    play(tmp_path, scene)


def test_a_sale_that_can_not_be_read_is_told_once_and_in_nobody_s_way(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def scene(bench: Bench) -> None:
        await sell(bench, "evidence")
        await sell(bench, "old")
        bench.journal.store.write("spoiling", spoil)
        for days in (1, 2):
            bench.clock.days = LEAST_DAYS + days
            await asyncio.sleep(PASS_EVERY_S + 10)
        with pytest.raises(ApiError, match="reference"):
            await bench.open("old")
        assert not await is_there(bench, "old")
        told = [one for one in caplog.records if getattr(one, "log_id", None) is LogId.SALE_NOT_READ]
        assert len(told) == 1
        fields = told[0].__dict__["fields"]
        assert fields["sale"]
        assert "can not be read" in fields["detail"]

    def spoil(connection: sqlite3.Connection) -> None:
        connection.execute("UPDATE sales SET snapshot = '{' WHERE reference = 'evidence'")

    play(tmp_path, scene)


def test_a_day_whose_sales_are_gone_has_no_report(tmp_path: Path) -> None:
    async def scene(bench: Bench) -> None:
        await sell(bench, "old")
        assert (await bench.desk.report(0)).total.sold == 350
        bench.clock.days = LEAST_DAYS + 2
        await asyncio.sleep(FIRST_AFTER_S + 10)
        with pytest.raises(ApiError, match="deleted since") as caught:
            await bench.desk.report(0)
        assert (caught.value.code, caught.value.field) == ("invalid_request", "day")
        assert (await bench.desk.report(LEAST_DAYS)).total.sold == 0

    play(tmp_path, scene)
