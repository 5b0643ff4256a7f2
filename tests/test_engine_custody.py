"""The key is looked after when nobody is served, and written down before it is used (I6)."""

import asyncio
import logging
from pathlib import Path

import pytest

from terminald.core.commands import SubmitPayment
from terminald.core.custody import SETTLE
from terminald.core.custody_events import CheckinRefused, CheckinUnanswered, CustodyAnswer
from terminald.core.events import Fault, PayConfirmed
from terminald.errors import ApiError
from tests.engine_bench import CODE, engine_bench, settle
from tests.log_lines import line
from tests.simulation.virtual_time import run_virtually

HOUR_S, DAY_S = 3_600.0, 86_400.0


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


def test_a_call_for_a_person_is_counted_told_once_and_taken_back(tmp_path: Path) -> None:
    async def live() -> None:
        async with engine_bench(tmp_path / "journal.db") as bench:
            refused = CheckinRefused(fault=Fault(code="INVALID_TERMINAL", message="x"))
            bench.gateway.checkin_answers = [refused]
            assert bench.desk.status().attention == 0
            key = await bench.desk.check_in()
            assert key.attention is not None
            assert (key.attention.code, bench.desk.status().attention) == ("checkin_refused", 1)
            await asyncio.sleep(DAY_S / 2)
            assert bench.gateway.asked_for_key.count("check in") == 2
            assert bench.desk.status().attention == 0
            events = await bench.desk.events_after(0, 1000)
            called = [event for event in events if event.topic == "attention"]
            assert len(called) == 1
            assert b'"sale":null,"client_sn":null,"code":"checkin_refused"' in called[0].body
            last = [event for event in events if event.topic == "key"][-1]
            assert b'"state":"fresh","attention":null' in last.body

    run_virtually(live())


def test_the_log_says_why_a_key_was_not_renewed_and_when_a_person_is_needed(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """I7: but it quotes no key, whatever the gateway writes."""

    async def live() -> None:
        async with engine_bench(tmp_path / "journal.db") as bench:
            custody = bench.engine.keeper.custody
            assert custody is not None
            key = custody.terminal.current_key.reveal()
            fault = Fault(code="INVALID_TERMINAL", message=f"not {key}")
            bench.gateway.checkin_answers = [CheckinRefused(fault=fault), CheckinRefused(fault=fault)]
            await bench.desk.check_in()
            await asyncio.sleep(DAY_S / 4 + HOUR_S)
            assert bench.gateway.asked_for_key.count("check in") == 2

    caplog.set_level(logging.INFO)
    run_virtually(live())
    told = [(record.levelname, line(record)) for record in caplog.records if "INVALID" in line(record)]
    step = "key from_state=checking_in to_state=due event=CheckinRefused code=INVALID_TERMINAL detail=not [key]"
    assert [(level, text.partition(" key_version=")[0]) for level, text in told] == [
        ("INFO", step),
        ("WARNING", "the key needs a person code=checkin_refused detail=INVALID_TERMINAL: not [key]"),
        ("INFO", step),
    ]


def test_a_payment_beside_a_check_in_does_not_wait(tmp_path: Path) -> None:
    """The key that signs it is the gateway's last at the worst, and valid."""

    async def live() -> None:
        async with engine_bench(tmp_path / "journal.db") as bench:
            bench.gateway.answers_checkins.clear()
            request = asyncio.create_task(bench.desk.check_in())
            await asyncio.sleep(1)
            await bench.open()
            await bench.desk.present_code("order", CODE)
            await settle()
            assert bench.gateway.open() == [SubmitPayment]
            bench.gateway.answers_checkins.set()
            assert (await request).state == "fresh"
            await bench.gateway.answer(SubmitPayment, PayConfirmed())
            assert await bench.state() == "completed"

    run_virtually(live())


@pytest.mark.parametrize("comes", [[], [CheckinUnanswered()]])
def test_beside_a_check_in_that_may_make_our_key_invalid_a_payment_waits(
    comes: list[CustodyAnswer], tmp_path: Path
) -> None:
    """After a lost answer our key may be the gateway's last: the next check-in drops it."""

    async def live() -> None:
        async with engine_bench(tmp_path / "journal.db") as bench:
            bench.gateway.checkin_answers = [CheckinUnanswered(), *comes]
            assert (await bench.desk.check_in()).state == "doubtful"
            await asyncio.sleep(SETTLE / 1000)
            bench.gateway.answers_checkins.clear()
            request = asyncio.create_task(bench.desk.check_in())
            await asyncio.sleep(1)
            assert bench.gateway.asked_for_key.count("check in") == 2
            await bench.open()
            await bench.desk.present_code("order", CODE)
            probes = bench.gateway.probes
            await asyncio.sleep(5)
            assert (bench.gateway.open(), bench.gateway.probes) == ([], probes)
            bench.gateway.answers_checkins.set()
            await request
            await settle()
            assert bench.gateway.open() == [SubmitPayment]
            await bench.gateway.answer(SubmitPayment, PayConfirmed())
            assert await bench.state() == "completed"

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


def test_after_two_lost_answers_sales_go_on_and_a_person_is_told_what_to_do(tmp_path: Path) -> None:
    """I6: renewal has stopped, and the key still works."""

    async def live() -> None:
        async with engine_bench(tmp_path / "journal.db") as bench:
            bench.gateway.checkin_answers = [CheckinUnanswered(), CheckinUnanswered()]
            await bench.desk.check_in()
            await asyncio.sleep(SETTLE / 1000)
            key = await bench.desk.check_in()
            assert key.attention is not None
            assert (key.attention.code, key.next_checkin) == ("checkin_stopped", None)
            await asyncio.sleep(DAY_S / 2)
            assert bench.gateway.asked_for_key.count("check in") == 2
            await bench.open()
            await bench.desk.present_code("order", CODE)
            await settle()
            await bench.gateway.answer(SubmitPayment, PayConfirmed())
            assert await bench.state() == "completed"

    run_virtually(live())
