"""While nothing can be recorded, money in flight goes back; afterwards its sale is canceled, and nothing else."""

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable
from contextlib import closing, suppress
from pathlib import Path

import pytest

from terminald.adapters.journal_sqlite import COMMITS_TIMED, SqliteJournal
from terminald.core.commands import QueryOrder, ReverseOrder, SubmitPayment
from terminald.core.events import (
    Answer,
    OrderPending,
    OutcomePending,
    OutcomeUnknown,
    PayConfirmed,
    ReversalConfirmed,
)
from terminald.engine_disk import LEAST_COMMITS, LOOK_S, PROVE_AFTER_S, DiskCare
from terminald.engine_undo import UNDO_AFTER_S, UNDO_AGAIN_S
from terminald.errors import ApiError, JournalUnavailable
from tests.adapters.journal_samples import Shop
from tests.engine_bench import CODE, OTHER_CODE, Bench, engine_bench, settle
from tests.log_lines import lines
from tests.simulation.virtual_time import run_virtually

Scene = Callable[[Bench], Awaitable[None]]


def play(directory: Path, scene: Scene) -> None:
    async def act() -> None:
        async with engine_bench(directory / "journal.db") as bench:
            await scene(bench)

    run_virtually(act())


async def submitted(bench: Bench) -> None:
    await bench.open()
    await bench.desk.present_code("order", CODE)
    await settle()


def undone(bench: Bench) -> int:
    return sum(isinstance(one, ReverseOrder) for one in bench.gateway.asked)


def test_a_payment_that_can_not_be_recorded_goes_back_and_is_never_told_paid(tmp_path: Path) -> None:
    async def scene(bench: Bench) -> None:
        await submitted(bench)
        bench.journal.is_full = True
        await bench.gateway.answer(SubmitPayment, PayConfirmed())
        await asyncio.sleep(UNDO_AFTER_S - 5)
        assert (undone(bench), await bench.state()) == (0, "processing")
        await asyncio.sleep(10)
        assert undone(bench) == 1
        await bench.gateway.answer(ReverseOrder, ReversalConfirmed())
        await asyncio.sleep(3 * UNDO_AGAIN_S)
        assert undone(bench) == 1
        with pytest.raises(JournalUnavailable, match="being undone"):
            await bench.state()  # how it was is not so any more, and what it is now is not recorded
        bench.journal.is_full = False
        await asyncio.sleep(2)
        # The order is undone once more, on record this time.
        await bench.gateway.answer(ReverseOrder, ReversalConfirmed())
        view = await bench.desk.get_sale("order")
        assert (view.sale.state.value, view.sale.reason) == ("canceled", "journal_failed")
        assert view.sale.paid == 0
        await asyncio.sleep(6)
        await bench.open("next")

    play(tmp_path, scene)


@pytest.mark.parametrize("answer", [OutcomePending(), OutcomeUnknown()])
def test_one_that_is_being_asked_about_goes_back_too(tmp_path: Path, answer: Answer) -> None:
    async def scene(bench: Bench) -> None:
        await submitted(bench)
        await bench.gateway.answer(SubmitPayment, answer)
        bench.journal.is_full = True
        await asyncio.sleep(UNDO_AFTER_S + 10)
        if QueryOrder in bench.gateway.open():
            assert undone(bench) == 0, "one request about an order at a time"
            await bench.gateway.answer(QueryOrder, OrderPending())
            await asyncio.sleep(UNDO_AFTER_S + UNDO_AGAIN_S)
        assert undone(bench) == 1
        await bench.gateway.answer(ReverseOrder, OutcomeUnknown())
        await asyncio.sleep(UNDO_AGAIN_S + 1)
        assert undone(bench) == 2, "until it is proven"

    play(tmp_path, scene)


def test_a_payment_that_is_just_being_recorded_is_not_undone(tmp_path: Path) -> None:
    """A card hangs before it fails or works: told paid and undone is what must never be."""

    async def scene(bench: Bench) -> None:
        await submitted(bench)
        bench.journal.is_full = True
        await bench.gateway.answer(SubmitPayment, PayConfirmed())
        await asyncio.sleep(UNDO_AFTER_S - 5)
        bench.journal.released.clear()
        bench.journal.is_full = False
        await asyncio.sleep(UNDO_AGAIN_S + 10)
        assert undone(bench) == 0
        bench.journal.released.set()
        await asyncio.sleep(3 * UNDO_AGAIN_S)
        assert (await bench.state(), undone(bench)) == ("completed", 0)

    play(tmp_path, scene)


def test_a_write_that_hangs_and_fails_puts_the_undoing_off_and_no_more(tmp_path: Path) -> None:
    async def scene(bench: Bench) -> None:
        await submitted(bench)
        bench.journal.is_full = True
        await bench.gateway.answer(SubmitPayment, PayConfirmed())
        await asyncio.sleep(UNDO_AFTER_S - 5)
        bench.journal.released.clear()
        await asyncio.sleep(UNDO_AGAIN_S + 10)
        assert undone(bench) == 0
        bench.journal.released.set()
        await settle()
        assert undone(bench) == 1

    play(tmp_path, scene)


def test_a_short_failure_undoes_nothing(tmp_path: Path) -> None:
    async def scene(bench: Bench) -> None:
        await submitted(bench)
        bench.journal.is_full = True
        await bench.gateway.answer(SubmitPayment, PayConfirmed())
        await asyncio.sleep(UNDO_AFTER_S - 2)
        bench.journal.is_full = False
        await asyncio.sleep(60)
        assert (await bench.state(), undone(bench)) == ("completed", 0)

    play(tmp_path, scene)


def test_what_is_paid_on_record_is_not_touched_and_nothing_new_is_begun(tmp_path: Path) -> None:
    async def scene(bench: Bench) -> None:
        await submitted(bench)
        await bench.gateway.answer(SubmitPayment, PayConfirmed())
        assert await bench.state() == "completed"
        bench.journal.is_full = True
        with pytest.raises(JournalUnavailable):
            await bench.open("next")
        await asyncio.sleep(3 * UNDO_AFTER_S)
        assert undone(bench) == 0
        with pytest.raises((ApiError, JournalUnavailable)):
            await bench.open("next")
        bench.journal.is_full = False
        await asyncio.sleep(6)
        assert bench.engine.reasons() == ()
        await bench.open("next")
        await bench.desk.present_code("next", OTHER_CODE)
        assert await bench.state("next") == "processing"

    play(tmp_path, scene)


def test_a_failure_of_the_disk_is_told_once_and_its_end_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A full disk stays full for days, and a log on it makes it no better."""

    async def scene(bench: Bench) -> None:
        await settle()
        caplog.clear()
        bench.journal.is_full = True
        with pytest.raises(JournalUnavailable):
            await bench.open()
        await asyncio.sleep(3600)
        assert [one.split(":")[0] for one in lines(caplog.records)] == ["the journal can not be written"]
        bench.journal.is_full = False
        await asyncio.sleep(60)
        assert lines(caplog.records)[1:] == ["readiness from_state=journal_failed to_state=ready"]

    caplog.set_level(logging.INFO, "terminald")
    play(tmp_path, scene)


def test_who_asks_while_the_journal_is_tried_again_is_told_that_it_fails(tmp_path: Path) -> None:
    async def scene(bench: Bench) -> None:
        bench.journal.is_full = True
        with pytest.raises(JournalUnavailable):
            await bench.open()
        bench.journal.released.clear()
        await asyncio.sleep(6)
        assert bench.desk.status().reasons == ("journal_failed",), "a vending machine would let its customers select"
        bench.journal.released.set()

    play(tmp_path, scene)


def test_a_caller_does_not_wait_for_the_disk_behind_an_answer_that_does(tmp_path: Path) -> None:
    async def scene(bench: Bench) -> None:
        await submitted(bench)
        bench.journal.released.clear()
        await bench.gateway.answer(SubmitPayment, PayConfirmed())
        # The journal is thought to work: the calls wait for their turn.
        calls = [asyncio.create_task(bench.desk.cancel("order")) for _ in range(2)]
        await settle()
        calls[1].cancel()
        bench.journal.is_full = True
        bench.journal.released.set()
        await settle()
        assert isinstance(calls[0].exception(), JournalUnavailable)
        bench.journal.is_full = False
        await asyncio.sleep(5)
        assert await bench.state() == "completed"

    play(tmp_path, scene)


# --- a disk that dies slowly -----------------------------------------------------------------------------------------


def disk_care(bench: Bench, times: list[float]) -> DiskCare:
    return DiskCare(bench.engine, Path("/"), lambda: times, lambda: None)


async def attentions(bench: Bench) -> list[dict[str, object]]:
    return [json.loads(one.body) for one in await bench.desk.events_after(0, 1000) if one.topic == "attention"]


def test_a_slow_disk_calls_a_person_once_and_the_call_ends_when_it_is_fast_again(tmp_path: Path) -> None:
    async def scene(bench: Bench) -> None:
        times = [5.0] * 500
        care = disk_care(bench, times)
        bench.desk.look_at_disk = care.status
        await care.look()
        assert (bench.desk.status().attention, care.p99_ms()) == (0, 5)
        times[:6] = [1_500.0] * 6
        for _ in range(3):
            await care.look()
            await settle()
        status = bench.desk.status()
        assert status.disk is not None
        assert (status.attention, status.disk.commit_p99_ms, status.reasons) == (1, 1_500, ())
        (told,) = await attentions(bench)
        assert (told["code"], told["sale"]) == ("disk_slow", None)
        times[:6] = [700.0] * 6
        await care.look()
        assert bench.desk.status().attention == 1, "between the two it stays as it was"
        times[:6] = [20.0] * 6
        await care.look()
        assert bench.desk.status().attention == 0

    play(tmp_path, scene)


def test_of_a_few_commits_nothing_is_said(tmp_path: Path) -> None:
    async def scene(bench: Bench) -> None:
        care = disk_care(bench, [9_000.0] * (LEAST_COMMITS - 1))
        await care.look()
        assert (care.p99_ms(), care.status().slow_since) == (None, None)

    play(tmp_path, scene)


def test_an_idle_disk_is_tried_and_a_dead_one_known_before_the_next_customer(tmp_path: Path) -> None:
    async def scene(bench: Bench) -> None:
        running = asyncio.create_task(disk_care(bench, []).run())
        await asyncio.sleep(60)
        bench.journal.is_full = True
        await asyncio.sleep(PROVE_AFTER_S / 2)
        assert bench.engine.reasons() == ()
        await asyncio.sleep(PROVE_AFTER_S / 2 + 2 * LOOK_S)
        assert [one.value for one in bench.engine.reasons()] == ["journal_failed"]
        bench.journal.is_full = False
        await asyncio.sleep(6)
        assert bench.engine.reasons() == ()
        before = bench.journal.proofs
        await asyncio.sleep(86_400)
        assert 90 <= bench.journal.proofs - before <= 96
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running

    play(tmp_path, scene)


def test_commits_are_timed(tmp_path: Path) -> None:
    with closing(SqliteJournal(tmp_path / "journal.db")) as journal:
        shop = Shop(journal.commit)
        for _ in range(COMMITS_TIMED):
            shop.cancel(shop.open_sale())
        assert len(journal.commit_ms) == COMMITS_TIMED
        assert all(0 < one < 60_000 for one in journal.commit_ms)
