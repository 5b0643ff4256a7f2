"""What waits for the key, what the key waits for, and how long (I6, I11)."""

import asyncio
import re
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path

import pytest

from terminald.adapters.gateway_line import GatewaySettings
from terminald.adapters.journal_sqlite import SqliteJournal
from terminald.adapters.ports import Batch
from terminald.core.commands import QueryOrder, ReverseOrder, SubmitPayment
from terminald.core.custody import OVERDUE_AFTER, SETTLE, URGENT_AFTER
from terminald.core.custody_events import (
    CheckinNotSent,
    CheckinUnanswered,
    CustodyAnswer,
    KeyLifeEnded,
    KeyRefused,
    KeyUnanswered,
    ProofDue,
    RenewalDue,
)
from terminald.core.custody_learning import MOST_UNANSWERED
from terminald.core.custody_table import CustodyState
from terminald.core.events import Event, OrderAbsent, OutcomePending
from terminald.core.ids import ClientSn
from terminald.core.money import Fen
from terminald.engine_custody import FIRST_SALE_WAIT_S, RECHECK_WAIT_S, REQUEST_WAIT_S
from terminald.engine_desk import MOST_PATIENCE_S, REQUEST_S, EngineDesk
from terminald.errors import ApiError
from tests.engine_bench import CODE, Bench, engine_bench, settle
from tests.simulation.virtual_time import run_virtually

DAY_S, HOUR_S = 86_400.0, 3_600.0
Scene = Callable[[Bench], Awaitable[None]]


def play(path: Path, scene: Scene) -> None:
    async def run() -> None:
        async with engine_bench(path / "journal.db") as bench:
            await scene(bench)

    run_virtually(run())


def now_s() -> float:
    return asyncio.get_running_loop().time()


def state(bench: Bench) -> CustodyState:
    assert bench.engine.keeper.custody is not None
    return bench.engine.keeper.custody.state


def checkins(bench: Bench) -> int:
    return bench.gateway.asked_for_key.count("check in")


async def tell(bench: Bench, *events: Event) -> None:
    for event in events:
        await bench.engine.request(lambda event=event: bench.engine.keeper.apply(event))  # type: ignore[misc]  # a lambda's default
        await settle()


class SlowProofs:
    """Proofs take their time, and something happens the moment before one is answered."""

    def __init__(self, bench: Bench, before_answer: Callable[[], None] = lambda: None) -> None:
        self._prove = bench.gateway.prove
        self._before_answer = before_answer
        self.may_answer = asyncio.Event()
        bench.gateway.prove = self  # type: ignore[method-assign] # the same gateway on a slow line

    async def __call__(self) -> CustodyAnswer:
        await self.may_answer.wait()
        self._before_answer()
        return await self._prove()


# --- a check-in and what is on disk ----------------------------------------------------------------------------------


def test_no_check_in_leaves_before_its_intent_is_on_disk(tmp_path: Path) -> None:
    """I6: whoever dies in between must know that there may have been one."""

    async def scene(bench: Bench) -> None:
        slow = SlowProofs(bench, before_answer=bench.journal.released.clear)
        request = asyncio.create_task(bench.desk.check_in())
        await settle()
        slow.may_answer.set()
        await asyncio.sleep(5)
        assert checkins(bench) == 0
        bench.journal.released.set()
        await asyncio.sleep(1)
        assert checkins(bench) == 1
        bench.journal.released.set()
        await asyncio.sleep(1)
        bench.journal.released.set()
        await request

    play(tmp_path, scene)


def test_a_stop_during_a_check_in_waits_for_the_new_key(tmp_path: Path) -> None:
    async def scene(bench: Bench) -> None:
        bench.gateway.answers_checkins.clear()
        request = asyncio.create_task(bench.desk.check_in())
        await asyncio.sleep(1)
        stop = asyncio.create_task(bench.engine.drain(60))
        await asyncio.sleep(10)
        assert not stop.done()
        bench.gateway.answers_checkins.set()
        await stop
        stored = bench.journal.store.load_terminal()
        assert stored is not None
        assert stored.current_key.reveal().startswith("key-")
        await request

    play(tmp_path, scene)


def test_a_start_within_a_check_in_counts_it_as_lost_and_has_the_key_proven(tmp_path: Path) -> None:
    async def scene(bench: Bench) -> None:
        bench.gateway.answers_checkins.clear()
        request = asyncio.create_task(bench.desk.check_in())
        await asyncio.sleep(1)
        assert bench.journal.store.load_custody() == bench.engine.keeper.custody
        assert state(bench) is CustodyState.CHECKING_IN
        request.cancel()

    async def again() -> None:
        bench = Bench(tmp_path / "again.db")
        bench.engine.keeper.custody = custody
        running = asyncio.create_task(bench.engine.run(is_new_boot=False))
        await asyncio.sleep(0.1)
        assert state(bench) is CustodyState.DOUBTFUL
        assert bench.gateway.asked_for_key == ["prove"]
        running.cancel()
        await asyncio.wait({running})
        bench.journal.close()

    play(tmp_path, scene)
    store = SqliteJournal(tmp_path / "journal.db")
    custody = store.load_custody()
    store.close()
    run_virtually(again())


@pytest.mark.parametrize("hindrance", ["a reversal", "a full journal", "a stop"])
def test_a_renewal_that_is_due_waits_for_what_is_under_way(hindrance: str, tmp_path: Path) -> None:
    async def scene(bench: Bench) -> None:
        if hindrance == "a reversal":
            await bench.open()
            await bench.desk.present_code("order", CODE)
            await settle()
            await bench.gateway.answer(SubmitPayment, OutcomePending())
            await bench.desk.cancel("order")
            await settle()
            assert ReverseOrder in bench.gateway.open()
        slow = SlowProofs(bench)
        await tell(bench, RenewalDue())
        assert state(bench) is CustodyState.DUE
        bench.journal.is_full = hindrance == "a full journal"
        bench.engine.is_draining = hindrance == "a stop"
        slow.may_answer.set()
        await asyncio.sleep(10)
        assert (state(bench), checkins(bench), bench.engine.is_quiet()) == (CustodyState.DUE, 0, False)

    play(tmp_path, scene)


# --- what the link says ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("events", "is_proven", "is_key_refused"),
    [
        ([], False, True),
        ([RenewalDue(), ProofDue()], True, False),
        ([KeyLifeEnded()], True, False),
    ],
    ids=["key refused in FRESH", "link back in DUE", "link back in EXPIRED"],
)
def test_the_link_gives_reason_to_prove_the_key(
    events: list[Event], tmp_path: Path, *, is_proven: bool, is_key_refused: bool
) -> None:
    async def scene(bench: Bench) -> None:
        await settle()
        bench.gateway.proofs = [KeyUnanswered(), KeyUnanswered()]
        await tell(bench, *events)
        asked = list(bench.gateway.asked_for_key)
        bench.engine.keeper.note_link(is_proven=is_proven, is_key_refused=is_key_refused)
        await settle()
        assert bench.gateway.asked_for_key[: len(asked) + 1] == [*asked, "prove"]

    play(tmp_path, scene)


def test_a_link_that_is_back_has_an_expired_key_proven_where_nobody_may_renew_it(tmp_path: Path) -> None:
    async def scene(bench: Bench) -> None:
        await settle()
        keeper = bench.engine.keeper
        assert keeper.custody is not None
        keeper.custody = replace(keeper.custody, rotation=replace(keeper.custody.rotation, unanswered=MOST_UNANSWERED))
        bench.gateway.proofs = [KeyUnanswered()]
        await tell(bench, KeyLifeEnded())
        assert state(bench) is CustodyState.EXPIRED
        keeper.note_link(is_proven=True, is_key_refused=False)
        await settle()
        assert state(bench) is CustodyState.STOPPED

    play(tmp_path, scene)


@pytest.mark.parametrize(
    ("event", "proof", "reason"),
    [(ProofDue(), KeyRefused(), "key_locked_out"), (KeyLifeEnded(), KeyUnanswered(), "key_expired")],
)
def test_a_lost_key_stops_sales_whatever_the_link_says(
    event: Event, proof: CustodyAnswer, reason: str, tmp_path: Path
) -> None:
    """I6."""

    async def scene(bench: Bench) -> None:
        bench.gateway.proofs = [proof]
        await tell(bench, event)
        assert bench.engine.link.is_proven
        assert bench.desk.status().reasons == (reason,)
        with pytest.raises(ApiError) as refused:
            await bench.open()
        assert (refused.value.code, refused.value.reasons) == ("not_ready", (reason,))

    play(tmp_path, scene)


def test_the_status_tells_the_age_of_the_key(tmp_path: Path) -> None:
    async def scene(bench: Bench) -> None:
        await bench.desk.check_in()
        await asyncio.sleep(3 * HOUR_S)
        key = bench.desk.status().key
        assert key is not None
        assert abs(key.age_s - 3 * HOUR_S) <= 2

    play(tmp_path, scene)


# --- sales and the key -----------------------------------------------------------------------------------------------


def test_on_a_busy_terminal_an_old_key_goes_before_a_sale(tmp_path: Path) -> None:
    """Every proof is answered while a customer is served: for a day and a quarter renewal waits, and then a sale."""

    async def scene(bench: Bench) -> None:
        await settle()
        prove = bench.gateway.prove

        async def slowly() -> CustodyAnswer:
            await asyncio.sleep(0.5)
            return await prove()

        bench.gateway.prove = slowly  # type: ignore[method-assign]  # in its place
        number = 0
        while now_s() < 36 * HOUR_S and checkins(bench) == 0:
            number += 1
            asked = now_s()
            await bench.open(f"order {number}")
            waited = now_s() - asked
            assert waited <= FIRST_SALE_WAIT_S + 0.1
            await asyncio.sleep(60)
            await bench.desk.cancel(f"order {number}")
        assert URGENT_AFTER / 1000 <= now_s() <= URGENT_AFTER / 1000 + 120

    play(tmp_path, scene)


def test_a_key_that_can_not_be_renewed_calls_a_person_between_two_customers(tmp_path: Path) -> None:
    async def scene(bench: Bench) -> None:
        await settle()
        bench.gateway.proofs = [KeyUnanswered()] * 1_000
        await asyncio.sleep(OVERDUE_AFTER / 1000 - 30)
        await bench.open()
        assert bench.desk.status().attention == 0
        await asyncio.sleep(35)
        await bench.desk.cancel("order")
        await bench.open("next")
        key = bench.desk.status().key
        assert key is not None
        assert key.attention is not None
        assert key.attention.code == "checkin_overdue"

    play(tmp_path, scene)


def test_check_ins_that_can_not_be_sent_are_few_and_call_a_person(tmp_path: Path) -> None:
    """I11."""

    async def scene(bench: Bench) -> None:
        bench.gateway.checkin_answers = [CheckinNotSent()] * 10_000
        await asyncio.sleep(DAY_S + 90)
        assert checkins(bench) == 2
        await asyncio.sleep(13 * HOUR_S)
        assert checkins(bench) <= 35
        key = bench.desk.status().key
        assert key is not None
        assert key.attention is not None
        assert key.attention.code == "checkin_overdue"

    play(tmp_path, scene)


async def recheck(bench: Bench) -> asyncio.Task[object]:
    """One answer is lost; ten minutes later a person has the key renewed once more, which hangs."""
    bench.gateway.checkin_answers = [CheckinUnanswered()]
    await bench.desk.check_in()
    await asyncio.sleep(SETTLE / 1000)
    bench.gateway.answers_checkins.clear()
    request: asyncio.Task[object] = asyncio.create_task(bench.desk.check_in())
    await asyncio.sleep(1)
    assert state(bench) is CustodyState.RECHECKING
    return request


def test_a_sale_is_held_until_a_check_in_that_may_cost_the_key_is_over(tmp_path: Path) -> None:
    async def scene(bench: Bench) -> None:
        request = await recheck(bench)
        sale = asyncio.create_task(bench.open())
        await asyncio.sleep(10)
        assert not sale.done()
        bench.gateway.answers_checkins.set()
        await request
        await sale
        await bench.desk.present_code("order", CODE)
        await settle()
        assert bench.gateway.open() == [SubmitPayment]

    play(tmp_path, scene)


def test_no_wait_for_such_a_check_in_is_without_end(tmp_path: Path) -> None:
    """I11: a payment is not sent then, and may be repeated; a question is asked all the same."""

    async def scene(bench: Bench) -> None:
        request = await recheck(bench)
        asked = now_s()
        await bench.open()
        assert now_s() - asked == pytest.approx(RECHECK_WAIT_S, abs=1)
        await bench.desk.present_code("order", CODE)
        await asyncio.sleep(REQUEST_WAIT_S - 1)
        assert await bench.attempt_state() == "submitting"
        await asyncio.sleep(2)
        assert await bench.attempt_state() == "unsent"
        assert bench.gateway.asked == []
        assert bench.desk.status().is_gateway_reachable
        question = QueryOrder(client_sn=ClientSn("x"), token=0, amount=Fen(1))
        asking = asyncio.create_task(bench.engine.keeper.perform(question))
        await asyncio.sleep(REQUEST_WAIT_S + 1)
        assert bench.gateway.open() == [QueryOrder]
        asking.cancel()
        bench.gateway.answers_checkins.set()
        await request

    play(tmp_path, scene)


def test_a_payment_that_was_canceled_while_it_waited_is_never_sent(tmp_path: Path) -> None:
    """I3."""

    async def scene(bench: Bench) -> None:
        request = await recheck(bench)
        await bench.open()
        await bench.desk.present_code("order", CODE)
        await asyncio.sleep(5)
        await bench.desk.cancel("order")
        bench.gateway.answers_checkins.set()
        await request
        await settle()
        assert bench.gateway.asked == []
        assert (await bench.state(), await bench.attempt_state()) == ("canceled", "unsent")

    play(tmp_path, scene)


def test_what_was_committed_is_under_way_at_once(tmp_path: Path) -> None:
    """The next input already knows that nobody may look after the key now."""

    async def scene(bench: Bench) -> None:
        quiet: list[bool] = []

        async def look() -> None:
            quiet.append(bench.engine.is_quiet())

        commit = bench.journal.commit

        async def watched(batch: Batch) -> int:
            bench.engine.tell(look)
            return await commit(batch)

        await bench.open()
        await bench.desk.present_code("order", CODE)
        await settle()
        await bench.gateway.answer(SubmitPayment, OutcomePending())
        await bench.desk.cancel("order")
        await settle()
        await bench.gateway.answer(ReverseOrder, OrderAbsent())
        assert bench.engine.is_quiet()
        bench.journal.commit = watched  # type: ignore[method-assign] # the same journal, and an input beside it
        while QueryOrder not in bench.gateway.open():  # noqa: ASYNC110 - a look that comes by itself
            await asyncio.sleep(0.25)
        assert quiet == [False]

    play(tmp_path, scene)


@pytest.mark.parametrize(("connect_s", "read_s", "patience_s"), [(5.0, 15.0, 150.0), (60.0, 120.0, MOST_PATIENCE_S)])
def test_whoever_asks_for_a_renewal_waits_for_proofs_and_check_in(
    connect_s: float, read_s: float, patience_s: float, tmp_path: Path
) -> None:
    async def scene(bench: Bench) -> None:
        settings = GatewaySettings(url="https://x", connect_timeout_s=connect_s, read_timeout_s=read_s)
        desk = EngineDesk(bench.engine, device_id="d", code_pattern=re.compile("x"), request_s=settings.deadline_s)
        bench.gateway.answers_checkins.clear()
        asked = now_s()
        await desk.check_in()
        assert now_s() - asked == pytest.approx(patience_s)

    assert GatewaySettings(url="https://x", connect_timeout_s=5.0, read_timeout_s=15.0).deadline_s == REQUEST_S
    play(tmp_path, scene)
