"""The event log is uploaded once after each proven check-in, and only while nobody is being served."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest

from terminald.adapters.ports import Calm
from terminald.core.commands import SubmitPayment
from terminald.core.custody_events import CustodyAnswer, KeyAccepted, KeyUnanswered, PreviousKeyAccepted, ProofDue
from terminald.core.custody_table import CustodyState
from terminald.core.events import PayConfirmed
from terminald.engine_calm import EngineCalm
from terminald.engine_log_upload import LogUploads
from tests.engine_bench import CODE, Bench, engine_bench, settle
from tests.simulation.virtual_time import run_virtually

DAY_S = 86_400.0


class Courier:
    """Notes when it was sent, and what it found out on the way."""

    def __init__(self, *, waits_for_busy: bool = False) -> None:
        self.began: list[float] = []
        self.quiet: list[float] = []
        self.busy: list[float] = []
        self._waits_for_busy = waits_for_busy

    async def carry_out(self, calm: Calm) -> None:
        loop = asyncio.get_running_loop()
        self.began.append(loop.time())
        await calm.wait_quiet()
        self.quiet.append(loop.time())
        if self._waits_for_busy:
            await calm.wait_busy()
            self.busy.append(loop.time())


@asynccontextmanager
async def following(bench: Bench, courier: Courier) -> AsyncIterator[None]:
    uploads = asyncio.create_task(LogUploads(bench.engine, courier).run())
    await settle()
    try:
        yield
    finally:
        uploads.cancel()
        with suppress(asyncio.CancelledError):
            await uploads


def test_each_proven_check_in_is_followed_by_one_run(tmp_path: Path) -> None:
    """Neither the start nor the proof of the first key is one."""

    async def live() -> None:
        courier = Courier()
        async with engine_bench(tmp_path / "journal.db") as bench, following(bench, courier):
            assert courier.began == []
            await asyncio.sleep(DAY_S - 10)
            assert courier.began == []
            await asyncio.sleep(2 * DAY_S + 20)
            assert bench.gateway.asked_for_key.count("check in") == 3
            assert [int(at // DAY_S) for at in courier.began] == [1, 2, 3]

    run_virtually(live())


def test_the_run_waits_for_the_proof_of_the_new_key(tmp_path: Path) -> None:
    async def live() -> None:
        courier = Courier()
        async with engine_bench(tmp_path / "journal.db") as bench, following(bench, courier):
            bench.gateway.proofs = [KeyAccepted(), KeyUnanswered(), KeyUnanswered()]
            await bench.desk.check_in()
            assert courier.began == []
            await asyncio.sleep(600)
            assert len(courier.began) == 1

    run_virtually(live())


@pytest.mark.parametrize(("proof", "runs"), [(KeyAccepted(), 0), (KeyUnanswered(), 1)])
def test_a_check_in_of_before_the_start_counts_when_its_key_is_still_to_be_proven(
    tmp_path: Path, proof: CustodyAnswer, runs: int
) -> None:
    async def live() -> None:
        courier = Courier()
        async with engine_bench(tmp_path / "journal.db") as bench:
            bench.gateway.proofs = [KeyAccepted(), proof]
            await bench.desk.check_in()
            async with following(bench, courier):
                await asyncio.sleep(600)
                assert len(courier.began) == runs

    run_virtually(live())


def test_a_key_after_one_that_was_given_up_is_a_new_one(tmp_path: Path) -> None:
    """The number of a key that the gateway took back is not given again."""

    async def live() -> None:
        courier = Courier()
        async with engine_bench(tmp_path / "journal.db") as bench, following(bench, courier):
            await bench.desk.check_in()
            await settle()
            assert len(courier.began) == 1
            bench.gateway.proofs = [PreviousKeyAccepted()]
            await bench.engine.request(lambda: bench.engine.keeper.apply(ProofDue()))
            await asyncio.sleep(3600)
            await bench.desk.check_in()
            await settle()
            custody = bench.engine.keeper.custody
            assert custody is not None
            assert (custody.state, custody.rotation.version) == (CustodyState.FRESH, 3)
            assert len(courier.began) == 2

    run_virtually(live())


def test_a_run_waits_until_the_customer_is_served_and_notices_the_next_one(tmp_path: Path) -> None:
    async def live() -> None:
        loop = asyncio.get_running_loop()
        courier = Courier(waits_for_busy=True)
        async with engine_bench(tmp_path / "journal.db") as bench:
            await bench.open()
            run = asyncio.create_task(courier.carry_out(EngineCalm(bench.engine)))
            await asyncio.sleep(40)
            await bench.desk.present_code("order", CODE)
            await asyncio.sleep(40)
            assert courier.quiet == []
            await bench.gateway.answer(SubmitPayment, PayConfirmed())
            await settle()
            assert len(courier.quiet) == 1
            await asyncio.sleep(40)
            assert courier.busy == []
            now = loop.time()
            await bench.open("next")
            await run
            assert courier.busy == [now]

    run_virtually(live())


def test_without_an_identity_there_is_nothing_to_follow(tmp_path: Path) -> None:
    async def live() -> None:
        async with engine_bench(tmp_path / "journal.db") as bench:
            bench.engine.keeper.custody = None
            await LogUploads(bench.engine, Courier()).run()

    run_virtually(live())
