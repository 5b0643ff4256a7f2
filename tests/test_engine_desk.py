"""What the desk refuses, and what it makes of answers that nobody waited for; what a stop waits for."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path

import pytest

from terminald.core.commands import OfferOrder, QueryOrder, RefundOrder, ReverseOrder, SubmitPayment
from terminald.core.events import (
    Event,
    OrderAbsent,
    OrderClosed,
    OrderFacts,
    OrderPaid,
    OrderPending,
    OutcomePending,
    OutcomeUnknown,
    PayConfirmed,
    PayDeclined,
    QrOffered,
    RefundConfirmed,
    RefundPending,
    ReversalConfirmed,
)
from terminald.core.ids import Reference
from terminald.core.money import Fen
from terminald.core.stimuli import ToAttempt
from terminald.errors import ApiError
from tests.engine_bench import CODE, OTHER_CODE, Bench, engine_bench, settle
from tests.simulation.virtual_time import run_virtually

Scene = Callable[[Bench], Awaitable[None]]
THIRD_CODE = "130000000000000003"


def play(path: Path, scene: Scene) -> None:
    async def run() -> None:
        async with engine_bench(path / "journal.db") as bench:
            await scene(bench)

    run_virtually(run())


async def _scans(bench: Bench) -> list[dict[str, object]]:
    return [json.loads(one.body) for one in await bench.desk.events_after(0, 1000) if one.topic == "scan"]


# --- a code beside an earlier order ----------------------------------------------------------------------------------


async def _reopened(bench: Bench) -> None:
    """The first code was declined, and a question finds its order open."""
    await bench.open()
    await bench.desk.present_code("order", CODE)
    await settle()
    await bench.gateway.answer(SubmitPayment, PayDeclined())
    question = asyncio.create_task(bench.desk.query("order"))
    await settle()
    await bench.gateway.answer(QueryOrder, OrderPending())
    await question
    assert await bench.attempt_state() == "reversing"
    assert await bench.state() == "awaiting_payment"


def test_a_code_is_refused_while_an_earlier_order_of_the_sale_is_being_undone(tmp_path: Path) -> None:
    """I1: two charges never stand beside each other."""

    async def scene(bench: Bench) -> None:
        await _reopened(bench)
        with pytest.raises(ApiError) as refused:
            await bench.desk.present_code("order", OTHER_CODE)
        assert (refused.value.code, refused.value.field) == ("earlier_order_open", "code")
        assert bench.gateway.open() == [ReverseOrder]
        await bench.gateway.answer(ReverseOrder, ReversalConfirmed())
        await bench.desk.present_code("order", OTHER_CODE)
        await settle()
        assert bench.gateway.open() == [SubmitPayment], "the code was not used up by its refusal"

    play(tmp_path, scene)


def test_a_scan_is_refused_while_an_earlier_order_of_the_sale_is_being_undone(tmp_path: Path) -> None:
    """I1."""

    async def scene(bench: Bench) -> None:
        await _reopened(bench)
        bench.desk.take_frame("front", OTHER_CODE)
        await settle()
        (told,) = await _scans(bench)
        assert (told["reason"], told["device"]) == ("earlier_order_open", "front")
        assert OTHER_CODE not in json.dumps(told)
        assert bench.gateway.open() == [ReverseOrder]
        await bench.gateway.answer(ReverseOrder, ReversalConfirmed())
        bench.desk.take_frame("front", OTHER_CODE)
        await settle()
        assert bench.gateway.open() == [SubmitPayment]

    play(tmp_path, scene)


def test_a_code_that_was_shown_for_a_sale_never_pays_the_next_one(tmp_path: Path) -> None:
    """The host gives the sale up and opens another, and both wait to be done, when the first customer's scan comes."""

    async def scene(bench: Bench) -> None:
        await bench.open()
        other = replace((await bench.desk.get_sale("order")).sale.order, reference=Reference("other"), amount=Fen(99))
        canceling = asyncio.create_task(bench.desk.cancel("order"))
        opening = asyncio.create_task(bench.desk.open_sale(other))
        await asyncio.sleep(0)
        bench.desk.take_frame("front", OTHER_CODE)
        await canceling
        await opening
        await settle()
        assert await bench.state("other") == "awaiting_payment"
        assert bench.gateway.open() == []

    play(tmp_path, scene)


def test_a_code_is_refused_while_a_qr_that_turned_up_late_is_being_undone(tmp_path: Path) -> None:
    """I1: its pre-create was held up in the network, and nobody knows what it says."""

    async def scene(bench: Bench) -> None:
        await bench.open(methods=("scan", "qr"))
        await bench.gateway.answer(OfferOrder, OutcomeUnknown())
        await bench.gateway.answer(ReverseOrder, OrderAbsent())
        await asyncio.sleep(1.5)
        await bench.gateway.answer(OfferOrder, QrOffered(content="https://qr.example/2"))
        await asyncio.sleep(29)
        first, second = (await bench.desk.get_sale("order")).attempts
        watching = QueryOrder(client_sn=first.client_sn, token=first.token, amount=Fen(350))
        assert watching in bench.gateway.asked
        await bench.engine.request(
            lambda: bench.engine.apply(ToAttempt(client_sn=first.client_sn, event=OrderPending(), token=first.token))
        )
        with pytest.raises(ApiError) as refused:
            await bench.desk.present_code("order", CODE)
        assert refused.value.code == "earlier_order_open"
        await bench.gateway.answer(ReverseOrder, ReversalConfirmed())
        await bench.desk.present_code("order", CODE)
        view = await bench.desk.get_sale("order")
        assert [one.state.value for one in view.attempts] == ["reversed", "polling", "held"]
        assert view.attempts[1].client_sn == second.client_sn

    play(tmp_path, scene)


def test_a_code_that_was_presented_before_is_told_as_such_beside_an_earlier_order(tmp_path: Path) -> None:
    """Nothing will ever make it good."""

    async def scene(bench: Bench) -> None:
        await _reopened(bench)
        with pytest.raises(ApiError) as refused:
            await bench.desk.present_code("order", CODE)
        assert refused.value.code == "code_reused"

    play(tmp_path, scene)


def test_an_event_is_told_when_the_engine_has_acted_upon_it(tmp_path: Path) -> None:
    """Who saw a sale that is on disk, and scanned at once, scanned before the scanners were told to deliver."""

    async def scene(bench: Bench) -> None:
        bench.journal.told.clear()
        opening = asyncio.create_task(bench.open())
        await settle()
        on_disk = bench.journal.store.events_after(0, 1000)
        assert on_disk[-1].topic == "sale"
        assert await bench.desk.events_after(0, 1000) == on_disk[:-1]
        bench.journal.told.set()
        await opening
        assert (await bench.desk.events_after(0, 1000))[: len(on_disk)] == on_disk

    play(tmp_path, scene)


# --- questions from the side -----------------------------------------------------------------------------------------


def test_an_answer_to_a_question_from_before_another_question_decides_nothing(tmp_path: Path) -> None:
    """The state is the same, the question is not: what was true before the cancel between them is true no more."""

    async def scene(bench: Bench) -> None:
        await bench.open()
        await bench.desk.present_code("order", CODE)
        await settle()
        await bench.gateway.answer(SubmitPayment, OutcomePending())
        await bench.desk.cancel("order")
        await settle()
        await bench.gateway.answer(ReverseOrder, OutcomeUnknown())
        assert await bench.attempt_state() == "proving"
        question = asyncio.create_task(bench.desk.query("order"))
        await settle()
        await asyncio.sleep(2)
        await _answer_last(bench, OrderPaid())
        await bench.gateway.answer(ReverseOrder, OutcomeUnknown())
        assert await bench.attempt_state() == "proving"
        await bench.gateway.answer(QueryOrder, OrderClosed())
        await question
        assert await bench.attempt_state() == "proving"
        assert await bench.state() == "canceling"

    play(tmp_path, scene)


async def _answer_last(bench: Bench, answer: Event) -> None:
    """Answer what the attempt itself has asked last."""
    view = await bench.desk.get_sale("order")
    last = view.attempts[-1]
    stimulus = ToAttempt(client_sn=last.client_sn, event=answer, token=last.token)
    await bench.engine.request(lambda: bench.engine.apply(stimulus))
    await settle()


def test_an_order_that_was_reopened_and_closed_meanwhile_is_not_opened_by_an_older_answer(tmp_path: Path) -> None:
    async def scene(bench: Bench) -> None:
        await bench.open()
        await bench.desk.present_code("order", CODE)
        await settle()
        await bench.gateway.answer(SubmitPayment, OutcomePending())
        await bench.desk.cancel("order")
        await settle()
        await bench.gateway.answer(ReverseOrder, ReversalConfirmed())
        first = asyncio.create_task(bench.desk.query("order"))
        second = asyncio.create_task(bench.desk.query("order"))
        await settle()
        await bench.gateway.answer(QueryOrder, OrderPaid())
        await bench.gateway.answer(ReverseOrder, ReversalConfirmed())
        assert await bench.attempt_state() == "reversed"
        await bench.gateway.answer(QueryOrder, OrderPaid())
        await asyncio.gather(first, second)
        assert await bench.attempt_state() == "reversed"
        assert bench.gateway.open() == []

    play(tmp_path, scene)


# --- money that goes back --------------------------------------------------------------------------------------------


async def _paid(bench: Bench) -> None:
    await bench.open()
    await bench.desk.present_code("order", CODE)
    await settle()
    await bench.gateway.answer(SubmitPayment, PayConfirmed(facts=OrderFacts(sn="7894")))
    assert await bench.state() == "completed"


def test_a_stop_waits_for_a_refund_that_is_under_way(tmp_path: Path) -> None:
    async def scene(bench: Bench) -> None:
        await _paid(bench)
        await bench.desk.refund("order", "part", Fen(100))
        await settle()
        drained = asyncio.create_task(bench.engine.drain(30))
        await asyncio.sleep(5)
        assert not drained.done()
        await bench.gateway.answer(RefundOrder, RefundConfirmed())
        await settle()
        assert drained.done()

    play(tmp_path, scene)


def test_a_stop_does_not_wait_for_a_refund_whose_outcome_is_unclear(tmp_path: Path) -> None:
    """It goes on at the next start."""

    async def scene(bench: Bench) -> None:
        await _paid(bench)
        await bench.desk.refund("order", "part", Fen(100))
        await settle()
        await bench.gateway.answer(RefundOrder, RefundPending())
        begun = asyncio.get_running_loop().time()
        await bench.engine.drain(30)
        assert asyncio.get_running_loop().time() - begun < 1

    play(tmp_path, scene)
