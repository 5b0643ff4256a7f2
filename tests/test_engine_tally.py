"""What the engine counts: sales, orders, returns, scans, vends and actions, from what was committed."""

import asyncio
from collections.abc import Iterable
from pathlib import Path

from terminald.adapters.api_metrics import metrics_text
from terminald.core.commands import RefundOrder, SubmitPayment
from terminald.core.events import PayConfirmed, PayDeclined, RefundConfirmed
from terminald.core.kiosk_action import ActionDone, ActionFailed
from terminald.core.money import Fen
from terminald.core.stimuli import NO_SALE, Record
from terminald.core.vend_events import VendCanceled, VendSucceeded
from terminald.engine_figures import engine_figures
from terminald.engine_tally import SALE_REASONS, SCAN_REASONS
from terminald.wire.metrics import Family
from tests import test_engine_kiosk as kiosks
from tests import test_engine_vending as vending
from tests.engine_bench import CODE, OTHER_CODE, Bench, engine_bench, settle
from tests.simulation.virtual_time import run_virtually
from tests.test_documents import codes
from tests.test_engine_desk import play
from tests.test_engine_kiosk import Kiosk
from tests.test_engine_vending import VendBench


def counted(families: Iterable[Family]) -> dict[str, float]:
    """Return the counters that are not 0, by name and label: ``sales completed``."""
    return {
        " ".join(
            (family.name.removeprefix("terminald_").removesuffix("_total"), *(value for _, value in one.labels))
        ): one.value
        for family in families
        for one in family.samples
        if one.value and (family.kind == "counter" or one.suffix == "_count")
    }


# --- sales -----------------------------------------------------------------------------------------------------------


def test_a_sale_that_is_paid_and_given_back_came_to_two_ends(tmp_path: Path) -> None:
    async def scene(bench: Bench) -> None:
        await bench.open()
        await bench.desk.present_code("order", CODE)
        await settle()
        assert counted(bench.engine.tally.figures()) == {"sales_opened": 1}
        await bench.gateway.answer(SubmitPayment, PayConfirmed())
        paid = {"sales_opened": 1, "sales completed": 1, "attempts paid": 1}
        assert counted(bench.engine.tally.figures()) == paid
        await bench.desk.refund("order", "all", Fen(350))
        await settle()
        await bench.gateway.answer(RefundOrder, RefundConfirmed())
        assert counted(bench.engine.tally.figures()) == {**paid, "refunds done": 1, "sales returned": 1}

    play(tmp_path, scene)


def test_a_sale_that_is_not_paid_has_its_reason(tmp_path: Path) -> None:
    async def scene(bench: Bench) -> None:
        await bench.open()
        await bench.desk.cancel("order")
        await settle()
        await bench.open("other")
        await bench.desk.present_code("other", CODE)
        await settle()
        await bench.gateway.answer(SubmitPayment, PayDeclined())
        await asyncio.sleep(120)
        assert counted(bench.engine.tally.figures()) == {
            "sales_opened": 2,
            "sales canceled": 2,
            "sales_canceled host": 1,
            "sales_canceled declined": 1,
            "attempts declined": 1,
        }

    play(tmp_path, scene)


def test_what_is_not_committed_is_not_counted(tmp_path: Path) -> None:
    async def scene(bench: Bench) -> None:
        await bench.open()
        await bench.desk.present_code("order", CODE)
        await settle()
        bench.journal.is_full = True
        await bench.gateway.answer(SubmitPayment, PayConfirmed())
        await asyncio.sleep(5)
        assert counted(bench.engine.tally.figures()) == {"sales_opened": 1}
        bench.journal.is_full = False
        await asyncio.sleep(5)
        assert counted(bench.engine.tally.figures()) == {"sales_opened": 1, "sales completed": 1, "attempts paid": 1}

    play(tmp_path, scene)


def test_a_restart_counts_from_nothing(tmp_path: Path) -> None:
    async def live(reference: str, later_s: float) -> dict[str, float]:
        async with engine_bench(tmp_path / "journal.db") as bench:
            await asyncio.sleep(later_s)
            await bench.open(reference)
            await bench.desk.cancel(reference)
            await settle()
            return counted(bench.engine.tally.figures())

    for later_s in (0, 10):
        assert run_virtually(live(f"order-{later_s}", later_s)) == {
            "sales_opened": 1,
            "sales canceled": 1,
            "sales_canceled host": 1,
        }


def test_scans_that_are_not_taken_are_counted_by_a_known_reason(tmp_path: Path) -> None:
    async def scene(bench: Bench) -> None:
        await bench.open()
        for text in ("6901234567892", "6901234567892", "https://example.com/x"):
            bench.desk.take_frame("front", text)
        await settle()
        record = Record(kind="scan", subject="front", sale_id=NO_SALE, cause="CodeRejected", before="", after="new")
        await bench.engine.publish(record, "", b"")
        found = counted(bench.engine.tally.figures())
        assert {name: count for name, count in found.items() if name.startswith("scans")} == {
            "scans_rejected product_barcode": 2,
            "scans_rejected web_address": 1,
            "scans_rejected other": 1,
        }

    play(tmp_path, scene)


def test_the_lists_of_reasons_are_those_of_the_documents() -> None:
    """The documents' own tables are compared with the machines."""
    assert set(SALE_REASONS) == set(codes("reasons"))
    assert set(SCAN_REASONS) == set(codes("scan reasons"))


def test_a_clock_that_was_set_is_counted(tmp_path: Path) -> None:
    async def scene(bench: Bench) -> None:
        record = Record(kind="clock", subject="system", sale_id=NO_SALE, cause="ClockSet", before="", after="+5000 ms")
        await bench.engine.publish(record, "", b"")
        assert counted(bench.engine.tally.figures()) == {"clock_steps": 1}

    play(tmp_path, scene)


# --- what is open ----------------------------------------------------------------------------------------------------


def gauges(bench: Bench) -> dict[str, float]:
    engine = bench.engine
    found = engine_figures(engine.book, engine.tally, engine.world.clock.now())
    return {family.name: family.samples[0].value for family in found if family.kind == "gauge" and family.samples}


def test_an_order_in_doubt_grows_older_until_it_is_proven(tmp_path: Path) -> None:
    async def scene(bench: Bench) -> None:
        await bench.open()
        await bench.desk.present_code("order", CODE)
        await settle()
        await asyncio.sleep(1)
        assert gauges(bench)["terminald_unresolved_oldest_seconds"] == 0
        await bench.gateway.answer(SubmitPayment, PayConfirmed())
        await bench.desk.refund("order", "part", Fen(100))
        await settle()
        await asyncio.sleep(1000)
        assert 1000 <= gauges(bench)["terminald_unresolved_oldest_seconds"] < 1001
        await bench.gateway.answer(RefundOrder, RefundConfirmed())
        assert gauges(bench)["terminald_unresolved_oldest_seconds"] == 0

    play(tmp_path, scene)


def test_a_scrape_waits_for_no_journal(tmp_path: Path) -> None:
    """A payment is committed through the same thread, and a card may take seconds."""

    async def scene(bench: Bench) -> None:
        await bench.open()
        bench.journal.released.clear()
        hangs = asyncio.create_task(bench.desk.present_code("order", CODE))
        await settle()
        engine = bench.engine
        text = metrics_text(
            bench.desk.status(), engine_figures(engine.book, engine.tally, engine.world.clock.now()), "1"
        )
        assert b"\nterminald_sales_opened_total 1\n" in text
        assert not hangs.done()
        bench.journal.released.set()
        await hangs

    play(tmp_path, scene)


# --- vending machines ------------------------------------------------------------------------------------------------


def vends(bench: VendBench) -> dict[str, float]:
    found = counted(bench.engine.tally.figures())
    return {name: count for name, count in found.items() if name.startswith("vend")}


def approval_s(bench: VendBench) -> float:
    (family,) = (one for one in bench.engine.tally.figures() if one.name.startswith("terminald_vend_approval"))
    return next(one.value for one in family.samples if one.suffix == "_sum")


def test_a_vend_is_counted_by_its_end_and_timed_to_its_approval(tmp_path: Path) -> None:
    async def scene(bench: VendBench) -> None:
        request = await bench.ask()
        await asyncio.sleep(7)
        await bench.pay()
        assert vends(bench) == {"vend_approval_duration_seconds": 1}
        assert 7 <= approval_s(bench) < 8
        await bench.tell(VendSucceeded(request=request))
        assert vends(bench)["vends done"] == 1

    vending.play(tmp_path, scene)


def test_a_request_that_is_given_up_is_not_timed(tmp_path: Path) -> None:
    async def scene(bench: VendBench) -> None:
        request = await bench.ask()
        await bench.tell(VendCanceled(request=request))
        assert vends(bench) == {"vends denied": 1}

    vending.play(tmp_path, scene)


def test_a_vend_whose_result_nobody_knows_is_counted_as_that(tmp_path: Path) -> None:
    async def scene(bench: VendBench) -> None:
        await bench.ask()
        await bench.pay()
        await asyncio.sleep(200)
        assert vends(bench)["vends unknown"] == 1

    vending.play(tmp_path, scene)


def test_a_request_that_is_denied_at_once_is_refused(tmp_path: Path) -> None:
    async def scene(bench: VendBench) -> None:
        await bench.ask(0)
        await bench.ask(1_000_000)
        assert vends(bench) == {"vends refused": 2}

    vending.play(tmp_path, scene)


# --- kiosks ----------------------------------------------------------------------------------------------------------


def test_an_action_is_counted_by_how_it_went(tmp_path: Path) -> None:
    async def scene(kiosk: Kiosk) -> None:
        for code, end in ((CODE, ActionDone()), (OTHER_CODE, ActionFailed(evidence="stuck"))):
            assert kiosk.action
            await kiosk.show(code)
            await kiosk.answer(kiosks.PAID)
            kiosk.action.end.set_result(end)
            await asyncio.sleep(30)
            kiosk.action.end = asyncio.get_running_loop().create_future()
        found = counted(kiosk.bench.engine.tally.figures())
        assert {name: count for name, count in found.items() if name.startswith("actions")} == {
            "actions done": 1,
            "actions failed": 1,
        }

    kiosks.play(tmp_path, kiosks.FIXED, scene, has_action=True)


def test_an_action_that_a_crash_has_cut_off_is_counted_as_unknown(tmp_path: Path) -> None:
    async def scene(bench: Bench) -> None:
        record = Record(kind="action", subject="s", sale_id=NO_SALE, cause="ActionUnknown", before="", after="1 of 3")
        await bench.engine.publish(record, "", b"")
        assert counted(bench.engine.tally.figures()) == {"actions unknown": 1}

    play(tmp_path, scene)
