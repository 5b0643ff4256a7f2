"""The loop: write-ahead, a journal that fails, stopping, and questions from the side."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from terminald.adapters.ports_devices import DeviceReport, DeviceState
from terminald.core.commands import QueryOrder, ReverseOrder, SubmitPayment
from terminald.core.events import (
    Answer,
    OrderAbsent,
    OrderPaid,
    OrderPending,
    OutcomePending,
    OutcomeUnknown,
    PayConfirmed,
    PayDeclined,
    ReversalConfirmed,
)
from terminald.core.schedule import CODE_LIFE
from terminald.errors import ApiError, IllegalTransition, JournalUnavailable
from tests.engine_bench import CODE, OTHER_CODE, Bench, engine_bench, settle
from tests.simulation.virtual_time import run_virtually

Scene = Callable[[Bench], Awaitable[None]]


def play(path: Path, scene: Scene) -> None:
    async def run() -> None:
        async with engine_bench(path / "journal.db") as bench:
            await scene(bench)

    run_virtually(run())


async def _submitted(bench: Bench) -> None:
    await bench.open()
    await bench.desk.present_code("order", CODE)
    await settle()


# --- write-ahead -----------------------------------------------------------------------------------------------------


def test_nothing_is_performed_when_the_commit_fails_and_the_caller_is_told(tmp_path: Path) -> None:
    """I2."""

    async def scene(bench: Bench) -> None:
        await bench.open()
        bench.journal.is_full = True
        with pytest.raises(JournalUnavailable):
            await bench.desk.present_code("order", CODE)
        await settle()
        assert bench.gateway.asked == []
        assert await bench.state() == "awaiting_payment"
        assert "journal_failed" in bench.desk.status().reasons
        with pytest.raises(JournalUnavailable):
            await bench.desk.cancel("order")
        bench.journal.is_full = False
        await asyncio.sleep(6)
        assert bench.desk.status().reasons == ()
        await bench.desk.present_code("order", CODE)
        await settle()
        assert [type(command) for command in bench.gateway.asked] == [SubmitPayment]

    play(tmp_path, scene)


def test_a_request_does_not_wait_until_the_listeners_have_had_their_turn(tmp_path: Path) -> None:
    async def scene(bench: Bench) -> None:
        await bench.open()
        await settle()
        asked = list[int]()

        async def listen() -> None:
            await bench.engine.wait_for_event(bench.engine.last_seq)
            asked.append(len(bench.gateway.asked))

        listeners = [asyncio.create_task(listen()) for _ in range(50)]
        await asyncio.sleep(0)
        await bench.desk.present_code("order", CODE)
        await asyncio.gather(*listeners)
        assert asked == [1] * 50

    play(tmp_path, scene)


def test_a_completion_waits_for_the_journal_and_is_not_announced_before(tmp_path: Path) -> None:
    """I4, I5."""

    async def scene(bench: Bench) -> None:
        await _submitted(bench)
        bench.journal.is_full = True
        await bench.gateway.answer(SubmitPayment, PayConfirmed())
        await asyncio.sleep(30)
        assert await bench.state() == "processing"
        bench.journal.is_full = False
        await asyncio.sleep(2)
        assert await bench.state() == "completed"
        assert bench.desk.status().reasons == ()

    play(tmp_path, scene)


def test_a_scan_that_can_not_be_recorded_is_dropped_and_nothing_else(tmp_path: Path) -> None:
    """I2, I8."""

    async def scene(bench: Bench) -> None:
        await bench.open()
        bench.journal.is_full = True
        bench.desk.take_frame("front", CODE)
        bench.desk.take_frame("front", "6901234567892")
        await settle()
        assert bench.gateway.asked == []
        bench.journal.is_full = False
        await asyncio.sleep(6)
        bench.desk.take_frame("front", CODE)
        await settle()
        assert bench.gateway.open() == [SubmitPayment]

    play(tmp_path, scene)


def test_a_caller_that_gives_up_does_not_undo_the_work(tmp_path: Path) -> None:
    async def scene(bench: Bench) -> None:
        await bench.open()
        call = asyncio.create_task(bench.desk.present_code("order", CODE))
        await asyncio.sleep(0)
        call.cancel()
        await settle()
        assert bench.gateway.open() == [SubmitPayment]
        assert await bench.state() == "processing"

    play(tmp_path, scene)


def test_a_wake_up_comes_at_its_time_and_not_before(tmp_path: Path) -> None:
    async def scene(bench: Bench) -> None:
        await _submitted(bench)
        await bench.gateway.answer(SubmitPayment, OutcomePending())
        asked_at = asyncio.get_running_loop().time()
        with pytest.raises(ApiError):
            await bench.open("another")
        await bench.engine._wake()
        await asyncio.sleep(2.9 - (asyncio.get_running_loop().time() - asked_at))
        assert bench.gateway.open() == []
        await asyncio.sleep(0.2)
        assert bench.gateway.open() == [QueryOrder]

    play(tmp_path, scene)


def test_the_book_forgets_a_sale_at_its_end_and_its_code_when_that_is_dead(tmp_path: Path) -> None:
    """I11, and one code, one attempt."""

    async def scene(bench: Bench) -> None:
        for number in range(3):
            await bench.open(f"order-{number}")
            await bench.desk.present_code(f"order-{number}", f"13000000000000000{number}")
            await settle()
            await bench.gateway.answer(SubmitPayment, PayConfirmed())
        assert (bench.engine.book.sales, bench.engine.book.attempts) == ({}, {})
        assert len(bench.engine.book.used) == 3
        await bench.open("next")
        with pytest.raises(ApiError) as refused:
            await bench.desk.present_code("next", "130000000000000000")
        assert refused.value.code == "code_reused"
        await bench.desk.cancel("next")
        await asyncio.sleep(CODE_LIFE / 1000)
        await bench.open("last")
        assert bench.engine.book.used == {}
        await bench.desk.present_code("last", "130000000000000000")

    play(tmp_path, scene)


def test_a_code_of_a_sale_that_is_over_is_refused_for_its_life_after_a_restart_as_well(tmp_path: Path) -> None:
    """One code, one attempt: what the book has forgotten is in the journal."""

    async def before(bench: Bench) -> None:
        await _submitted(bench)
        await bench.gateway.answer(SubmitPayment, PayConfirmed())
        assert bench.engine.book.sales == {}

    async def after(bench: Bench) -> None:
        assert (bench.engine.book.sales, len(bench.engine.book.used)) == ({}, 1)
        await asyncio.sleep(1)
        await bench.open("next")
        with pytest.raises(ApiError) as refused:
            await bench.desk.present_code("next", CODE)
        assert refused.value.code == "code_reused"
        await bench.desk.cancel("next")
        await asyncio.sleep(CODE_LIFE / 1000)
        await bench.open("last")
        await bench.desk.present_code("last", CODE)
        assert await bench.attempt_state("last") == "submitting"

    play(tmp_path, before)
    play(tmp_path, after)


def test_a_change_during_the_commit_of_another_is_told_as_well(tmp_path: Path) -> None:
    async def scene(bench: Bench) -> None:
        await settle()
        bench.journal.released.clear()
        bench.engine.is_draining = True
        bench.engine._look_at_readiness()
        await settle()
        bench.engine.is_draining = False
        bench.engine._look_at_readiness()
        bench.journal.released.set()
        await asyncio.sleep(0.1)
        told = [event.body for event in await bench.desk.events_after(0, 100) if event.topic == "readiness"]
        assert b"draining" in told[-2]
        assert b'"ready":true' in told[-1]

    play(tmp_path, scene)


# --- one reference, one code -----------------------------------------------------------------------------------------


def test_a_reference_names_one_content(tmp_path: Path) -> None:
    async def scene(bench: Bench) -> None:
        await bench.open()
        await bench.open()
        with pytest.raises(ApiError) as refused:
            await bench.open(amount=351)
        assert refused.value.code == "reference_conflict"

    play(tmp_path, scene)


def test_one_code_is_submitted_once(tmp_path: Path) -> None:
    """I1."""

    async def scene(bench: Bench) -> None:
        await _submitted(bench)
        await bench.gateway.answer(SubmitPayment, PayDeclined())
        with pytest.raises(ApiError) as refused:
            await bench.desk.present_code("order", CODE)
        assert refused.value.code == "code_reused"
        bench.desk.take_frame("front", CODE)
        bench.desk.take_frame("front", OTHER_CODE)
        bench.desk.take_frame("front", "130000000000000003")
        await settle()
        assert len(bench.gateway.asked) == 2

    play(tmp_path, scene)


def test_what_is_paid_can_not_be_canceled(tmp_path: Path) -> None:
    async def scene(bench: Bench) -> None:
        await _submitted(bench)
        await bench.gateway.answer(SubmitPayment, PayConfirmed())
        with pytest.raises(IllegalTransition):
            await bench.desk.cancel("order")
        assert await bench.state() == "completed"

    play(tmp_path, scene)


# --- questions from the side -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("answer", [OrderAbsent(), OrderPaid(), OrderPending()])
def test_a_question_from_the_side_decides_nothing_while_a_request_is_under_way(tmp_path: Path, answer: Answer) -> None:
    """A cancel is under way: what the order was before it says nothing about after it."""

    async def scene(bench: Bench) -> None:
        await _submitted(bench)
        await bench.gateway.answer(SubmitPayment, OutcomePending())
        await bench.desk.cancel("order")
        await settle()
        assert bench.gateway.open() == [ReverseOrder]
        question = asyncio.create_task(bench.desk.query("order"))
        await settle()
        await bench.gateway.answer(QueryOrder, answer)
        await question
        assert await bench.attempt_state() == "reversing"
        await bench.gateway.answer(ReverseOrder, ReversalConfirmed())
        assert await bench.state() == "canceled"

    play(tmp_path, scene)


def test_a_question_from_the_side_that_was_overtaken_decides_nothing(tmp_path: Path) -> None:
    async def scene(bench: Bench) -> None:
        await _submitted(bench)
        await bench.gateway.answer(SubmitPayment, OutcomePending())
        question = asyncio.create_task(bench.desk.query("order"))
        await asyncio.sleep(4)
        assert bench.gateway.open() == [QueryOrder, QueryOrder]
        await bench.gateway.answer(QueryOrder, OrderAbsent())
        await question
        assert await bench.attempt_state() == "polling"
        await bench.gateway.answer(QueryOrder, OrderPaid())
        assert await bench.state() == "completed"

    play(tmp_path, scene)


def test_a_question_from_the_side_may_settle_what_is_polled(tmp_path: Path) -> None:
    async def scene(bench: Bench) -> None:
        await _submitted(bench)
        await bench.gateway.answer(SubmitPayment, OutcomePending())
        question = asyncio.create_task(bench.desk.query("order"))
        await settle()
        await bench.gateway.answer(QueryOrder, OrderPaid())
        view, looks = await question
        assert view.sale.state.value == "completed"
        assert [look.answer for look in looks] == ["OrderPaid"]

    play(tmp_path, scene)


def test_an_answer_from_before_a_cancel_says_nothing_after_it(tmp_path: Path) -> None:
    """I3: the order arrives at the gateway between the question and the cancel's lost answer."""

    async def scene(bench: Bench) -> None:
        await _submitted(bench)
        await bench.gateway.answer(SubmitPayment, OutcomePending())
        await bench.desk.cancel("order")
        await settle()
        question = asyncio.create_task(bench.desk.query("order"))
        await settle()
        await bench.gateway.answer(ReverseOrder, OutcomeUnknown())
        assert await bench.attempt_state() == "proving"
        await bench.gateway.answer(QueryOrder, OrderAbsent())
        await question
        assert await bench.attempt_state() == "proving"

    play(tmp_path, scene)


def test_money_that_a_question_finds_on_a_closed_order_goes_back(tmp_path: Path) -> None:
    """I3: long after the sale was told canceled, and out of memory."""

    async def scene(bench: Bench) -> None:
        await _submitted(bench)
        await bench.gateway.answer(SubmitPayment, OutcomePending())
        await bench.desk.cancel("order")
        await settle()
        await bench.gateway.answer(ReverseOrder, ReversalConfirmed())
        await asyncio.sleep(CODE_LIFE / 1000)
        await bench.open("next")
        assert len(bench.engine.book.sales) == 1
        question = asyncio.create_task(bench.desk.query("order"))
        await settle()
        await bench.gateway.answer(QueryOrder, OrderPaid())
        await question
        assert await bench.attempt_state() == "reversing"
        await bench.gateway.answer(ReverseOrder, ReversalConfirmed())
        assert (await bench.state(), await bench.attempt_state()) == ("canceled", "reversed")

    play(tmp_path, scene)


def test_an_earlier_attempt_that_is_undone_does_not_move_the_sale(tmp_path: Path) -> None:
    """I1: the first code was declined, the second is with the gateway when the first turns out to be open."""

    async def scene(bench: Bench) -> None:
        await _submitted(bench)
        await bench.gateway.answer(SubmitPayment, PayDeclined())
        await bench.desk.present_code("order", OTHER_CODE)
        await settle()
        question = asyncio.create_task(bench.desk.query("order"))
        await settle()
        await bench.gateway.answer(QueryOrder, OrderPending())
        await bench.gateway.answer(QueryOrder, OrderPending())
        await question
        await bench.gateway.answer(ReverseOrder, ReversalConfirmed())
        assert await bench.state() == "processing"
        await bench.gateway.answer(SubmitPayment, PayConfirmed())
        assert await bench.state() == "completed"
        view = await bench.desk.get_sale("order")
        assert [one.state.value for one in view.attempts] == ["reversed", "paid"]

    play(tmp_path, scene)


# --- stopping --------------------------------------------------------------------------------------------------------


def test_stopping_closes_a_sale_that_waits_for_a_code(tmp_path: Path) -> None:
    async def scene(bench: Bench) -> None:
        await bench.open()
        await bench.engine.drain(5)
        assert await bench.state() == "canceled"
        with pytest.raises(ApiError) as refused:
            await bench.open("another")
        assert refused.value.code == "not_ready"

    play(tmp_path, scene)


@pytest.mark.parametrize(("answer", "state"), [(PayConfirmed(), "completed"), (PayDeclined(), "canceled")])
def test_stopping_follows_the_payment_and_takes_no_other_code(tmp_path: Path, answer: Answer, state: str) -> None:
    async def scene(bench: Bench) -> None:
        await _submitted(bench)
        drained = asyncio.create_task(bench.engine.drain(30))
        await asyncio.sleep(5)
        assert not drained.done()
        await bench.gateway.answer(SubmitPayment, answer)
        await drained
        assert await bench.state() == state

    play(tmp_path, scene)


def test_stopping_does_not_wait_for_ever(tmp_path: Path) -> None:
    """I11: what is open goes on at the next start."""

    async def scene(bench: Bench) -> None:
        await _submitted(bench)
        await bench.gateway.answer(SubmitPayment, OutcomeUnknown())
        begun = asyncio.get_running_loop().time()
        await bench.engine.drain(30)
        assert asyncio.get_running_loop().time() - begun == pytest.approx(30, abs=0.1)
        assert await bench.state() == "processing"

    play(tmp_path, scene)


# --- devices ---------------------------------------------------------------------------------------------------------


def test_a_device_is_shown_with_its_last_error_and_since_when_it_is_in_its_state(tmp_path: Path) -> None:
    async def scene(bench: Bench) -> None:
        shown: list[tuple[str, str, int | None]] = []
        for state, detail in (
            (DeviceState.ABSENT, "went away"),
            (DeviceState.ABSENT, "not there"),
            (DeviceState.READY, ""),
            (DeviceState.ABSENT, "held"),
        ):
            bench.engine.note_device(DeviceReport(name="front", kind="scanner", state=state, detail=detail))
            (device,) = bench.desk.status().devices
            shown.append((device.state.value, device.detail, device.since))
            await asyncio.sleep(1)
        first = shown[0][2]
        assert first is not None
        assert shown == [
            ("absent", "went away", first),
            ("absent", "not there", first),
            ("ready", "", first + 2_000),
            ("absent", "held", first + 3_000),
        ]
        logged = await bench.desk.events_after(0, 100)
        assert [event.topic for event in logged].count("device") == 4

    play(tmp_path, scene)
