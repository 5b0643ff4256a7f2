"""The key is looked after when nobody is served, and written down before it is used (I6)."""

import asyncio
from pathlib import Path

import pytest

from terminald.core.commands import SubmitPayment
from terminald.core.events import PayConfirmed
from terminald.errors import ApiError
from tests.engine_bench import CODE, engine_bench
from tests.simulation.virtual_time import run_virtually

DAY_S = 86_400.0


def test_the_key_is_proven_at_the_start_and_renewed_a_day_later(tmp_path: Path) -> None:
    async def live() -> None:
        async with engine_bench(tmp_path / "journal.db") as bench:
            assert bench.gateway.asked_for_key == ["prove"]
            await asyncio.sleep(DAY_S - 1)
            assert bench.gateway.asked_for_key == ["prove"]
            await asyncio.sleep(2)
            assert bench.gateway.asked_for_key == ["prove", "prove", "check in", "prove"]
            held = bench.engine.keeper.credentials()
            stored = bench.journal.store.load_terminal()
            assert held is not None
            assert stored is not None
            assert (held.current, held.previous) == (stored.current_key, stored.previous_key)

    run_virtually(live())


def test_a_renewal_that_is_due_waits_until_the_sale_is_over(tmp_path: Path) -> None:
    async def live() -> None:
        async with engine_bench(tmp_path / "journal.db") as bench:
            await asyncio.sleep(DAY_S - 20)
            await bench.open()
            await bench.desk.present_code("order", CODE)
            await asyncio.sleep(40)
            assert "check in" not in bench.gateway.asked_for_key
            with pytest.raises(ApiError, match="is open"):
                await bench.desk.check_in()
            await bench.gateway.answer(SubmitPayment, PayConfirmed())
            await asyncio.sleep(1)
            assert await bench.state() == "completed"
            assert bench.gateway.asked_for_key.count("check in") == 1

    run_virtually(live())


def test_a_new_key_that_can_not_be_written_down_is_not_used(tmp_path: Path) -> None:
    """I6: on disk first."""

    async def live() -> None:
        async with engine_bench(tmp_path / "journal.db") as bench:
            old = bench.engine.keeper.credentials()
            request = asyncio.create_task(bench.desk.check_in())
            while "check in" not in bench.gateway.asked_for_key:  # noqa: ASYNC110 - the very moment before the commit
                await asyncio.sleep(0)
            bench.journal.is_full = True
            await asyncio.sleep(30)
            assert bench.engine.keeper.credentials() == old
            bench.journal.is_full = False
            assert (await request).state == "fresh"
            new = bench.engine.keeper.credentials()
            assert old is not None
            assert new is not None
            assert (new.previous, new.current != old.current) == (old.current, True)

    run_virtually(live())
