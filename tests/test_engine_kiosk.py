"""A kiosk as a host of the engine: what it makes of scans, of the sales of others, and of an action that takes long."""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from pathlib import Path

import pytest

from terminald.adapters.ports import SaleFilter
from terminald.adapters.ports_actions import BeginStep
from terminald.adapters.ports_devices import DeviceReport, DeviceState
from terminald.core.book import SaleView
from terminald.core.commands import QueryOrder, SubmitPayment
from terminald.core.events import OrderFacts, OrderPaid, OutcomePending, PayConfirmed, PayDeclined
from terminald.core.ids import Duration, SaleId
from terminald.core.kiosk_action import ActionDone, ActionFailed, ActionMark, ActionOutcome
from terminald.core.kiosk_events import Product
from terminald.core.kiosk_table import KioskRules
from terminald.core.money import Fen
from terminald.core.readiness import Hold, Reason
from terminald.core.sale_table import DeliveryState, SaleState
from terminald.engine_kiosk import MAX_FRAMES, KioskHost, KioskTerms
from terminald.engine_kiosk_service import KioskService, Means
from tests.engine_bench import CODE, OTHER_CODE, Bench, engine_bench, settle
from tests.log_lines import lines
from tests.simulation.virtual_time import run_virtually

COLA = Product(barcode="6901234567892", name="Cola 330ml", price=Fen(350))
#: As EAN-13; a scanner may give it without the zero.
GUM = Product(barcode="0012345678905", name="Gum", price=Fen(100))
TEA = Product(barcode="012345678912", name="Tea", price=Fen(200))
RULES = KioskRules(
    price=Fen(500), pause=Duration(3_000), basket_window=Duration(60_000), max_lines=2, max_total=Fen(2_000)
)
FIXED = KioskTerms(
    rules=RULES,
    subject="Laundry",
    products={},
    clear="",
    code_pattern=re.compile("^[0-9]{16,24}$"),
    operator="kiosk",
    wants_receipt=False,
    prints_refunds=False,
)
CATALOGUE = replace(
    FIXED,
    rules=replace(RULES, price=None),
    products={one.barcode: one for one in (COLA, GUM, TEA)},
    clear="CLEAR-BASKET",
)


class ListeningScanner:
    """Counts how often it was told to listen."""

    name, kind, watched = "front", "scanner", ()

    def __init__(self) -> None:
        self.armed = 0
        self.is_armed = False

    def arm(self) -> None:
        self.armed += 1
        self.is_armed = True

    def disarm(self) -> None:
        raise AssertionError("a kiosk listens all the time")

    async def open(self) -> None: ...

    async def run(self) -> None: ...

    async def close(self) -> None: ...


class SlowAction:
    """Waits until the test says how it ends."""

    def __init__(self) -> None:
        self.served: list[dict[str, object]] = []
        self.end: asyncio.Future[ActionOutcome] = asyncio.get_running_loop().create_future()
        self.was_cancelled = False

    async def perform(self, sale: bytes, amount: Fen, begin: BeginStep) -> ActionOutcome:
        await begin(1, 1)
        self.served.append(json.loads(sale))
        assert self.served[-1]["paid"] == amount
        try:
            return await self.end
        except asyncio.CancelledError:
            self.was_cancelled = True
            raise


class Kiosk:
    """A kiosk before which the test stands."""

    def __init__(self, bench: Bench, host: KioskHost, action: SlowAction | None, scanner: ListeningScanner) -> None:
        self.bench, self.host, self.action, self.scanner = bench, host, action, scanner

    async def show(self, *texts: str) -> None:
        for text in texts:
            self.host.take_frame("front", text)
        await settle()
        await settle()

    async def answer(self, answer: PayConfirmed | PayDeclined | OutcomePending) -> None:
        await self.bench.gateway.answer(SubmitPayment, answer)
        await settle()

    async def sales(self) -> tuple[SaleView, ...]:
        return tuple(reversed(await self.bench.desk.list_sales(SaleFilter())))

    async def sale(self) -> SaleView:
        return (await self.sales())[-1]

    async def told(self, topic: str) -> list[dict[str, object]]:
        return [json.loads(one.body) for one in await self.bench.desk.events_after(0, 1000) if one.topic == topic]

    async def refused(self) -> list[object]:
        return [one["reason"] for one in await self.told("scan")]


@asynccontextmanager
async def kiosk_at(bench: Bench, terms: KioskTerms, *, has_action: bool = False) -> AsyncIterator[Kiosk]:
    """Run a kiosk beside the engine; it has rested."""
    action, scanner = SlowAction() if has_action else None, ListeningScanner()
    means = None if action is None else Means(action=action, journal=bench.journal)
    service = KioskService(bench.engine, bench.desk, means, bench.journal.store.load_mark())
    host = KioskHost(bench.engine, bench.desk, terms, service=service, scanners=(scanner,))
    running = asyncio.create_task(host.run())
    await asyncio.sleep(3)
    try:
        yield Kiosk(bench, host, action, scanner)
    finally:
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running


Scene = Callable[[Kiosk], Awaitable[None]]


def play(path: Path, terms: KioskTerms, scene: Scene, *, has_action: bool = False) -> None:
    async def run() -> None:
        async with engine_bench(path / "journal.db") as bench, kiosk_at(bench, terms, has_action=has_action) as kiosk:
            await scene(kiosk)

    run_virtually(run())


PAID = PayConfirmed(facts=OrderFacts(sn="1", net_amount=Fen(500)))


# --- sales -----------------------------------------------------------------------------------------------------------


def test_a_code_opens_a_sale_of_the_fixed_price_and_pays_it(tmp_path: Path) -> None:
    async def scene(kiosk: Kiosk) -> None:
        assert kiosk.scanner.armed == 1
        await kiosk.show(f"]Q1{CODE}")
        await kiosk.answer(PAID)
        view = await kiosk.sale()
        order = view.sale.order
        assert (view.sale.state, order.amount, order.methods) == (SaleState.COMPLETED, 500, ("scan",))
        assert (order.text.subject, order.text.operator, order.text.goods) == ("Laundry", "kiosk", ())
        assert re.fullmatch("kiosk-[0-9A-Z]{26}", order.reference)
        assert (order.reports_delivery, order.wants_receipt) == (False, False)
        assert kiosk.scanner.armed == 1

    play(tmp_path, FIXED, scene)


def test_a_basket_is_told_paid_and_in_the_sale_with_its_goods(tmp_path: Path) -> None:
    async def scene(kiosk: Kiosk) -> None:
        await kiosk.show(COLA.barcode, "]E00012345678905", COLA.barcode)
        await kiosk.show(CODE)
        await kiosk.answer(PayConfirmed(facts=OrderFacts(sn="1", net_amount=Fen(800))))
        view = await kiosk.sale()
        assert (view.sale.state, view.sale.paid) == (SaleState.COMPLETED, 800)
        assert view.sale.order.text.subject == "Cola 330ml, Gum"
        assert [(one.name, one.quantity, one.price) for one in view.sale.order.text.goods] == [
            ("Cola 330ml", 2, 350),
            ("Gum", 1, 100),
        ]
        baskets = await kiosk.told("basket")
        assert [(one["cause"], one["total"]) for one in baskets] == [
            *(("added", 350), ("added", 450), ("added", 800)),
            ("ended", 0),
        ]

    play(tmp_path, CATALOGUE, scene)


@pytest.mark.parametrize(
    ("text", "name"),
    [("0012345678905", "Gum"), ("012345678905", "Gum"), ("012345678912", "Tea"), ("0012345678912", "Tea")],
)
def test_a_barcode_is_known_with_and_without_the_zero_that_makes_it_an_ean(
    text: str, name: str, tmp_path: Path
) -> None:
    async def scene(kiosk: Kiosk) -> None:
        await kiosk.show(text)
        (told,) = await kiosk.told("basket")
        assert f'"name": "{name}"' in json.dumps(told["lines"])

    play(tmp_path, CATALOGUE, scene)


def test_unknown_barcodes_are_announced_and_the_log_says_which(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")

    async def scene(kiosk: Kiosk) -> None:
        await kiosk.show("6900000000001", "https://qr.example/", COLA.barcode, TEA.barcode, GUM.barcode)
        assert await kiosk.refused() == ["unknown_product", "web_address", "basket_full"]
        assert [one["sale"] for one in await kiosk.told("scan")] == [None] * 3
        assert "6900000000001" not in json.dumps(await kiosk.told("scan"))

    play(tmp_path, CATALOGUE, scene)
    assert "no product has the barcode detail=6900000000001" in lines(caplog.records)


def test_a_product_is_no_payment_code_where_a_price_is_fixed(tmp_path: Path) -> None:
    async def scene(kiosk: Kiosk) -> None:
        await kiosk.show("6900000000001")
        assert await kiosk.refused() == ["product_barcode"]

    play(tmp_path, FIXED, scene)


def test_a_basket_that_nobody_adds_to_is_emptied_after_its_window(tmp_path: Path) -> None:
    async def scene(kiosk: Kiosk) -> None:
        await kiosk.show(COLA.barcode)
        await asyncio.sleep(59)
        assert len(await kiosk.told("basket")) == 1
        await asyncio.sleep(2)
        assert [one["cause"] for one in await kiosk.told("basket")] == ["added", "expired"]
        await kiosk.show(CODE)
        assert await kiosk.refused() == ["basket_empty"]
        assert await kiosk.sales() == ()

    play(tmp_path, CATALOGUE, scene)


def test_the_clear_barcode_empties_the_basket_and_gives_a_declined_sale_up(tmp_path: Path) -> None:
    async def scene(kiosk: Kiosk) -> None:
        await kiosk.show(COLA.barcode, "CLEAR-BASKET", COLA.barcode)
        await kiosk.show(CODE)
        await kiosk.show("CLEAR-BASKET")
        assert await kiosk.refused() == ["sale_open"], "a code is with the gateway"
        await kiosk.answer(PayDeclined())
        await kiosk.show("CLEAR-BASKET")
        view = await kiosk.sale()
        assert (view.sale.state, view.sale.reason) == (SaleState.CANCELED, "host")
        causes = [one["cause"] for one in await kiosk.told("basket")]
        assert causes == ["added", "cleared", "added", "ended"]

    play(tmp_path, CATALOGUE, scene)


def test_a_declined_code_is_followed_by_another_one_for_the_same_sale(tmp_path: Path) -> None:
    """I1."""

    async def scene(kiosk: Kiosk) -> None:
        await kiosk.show(CODE)
        await kiosk.answer(PayDeclined())
        await kiosk.show(CODE)
        assert await kiosk.refused() == ["code_reused"]
        await kiosk.show(OTHER_CODE)
        await kiosk.answer(PAID)
        (view,) = await kiosk.sales()
        assert [one.state.value for one in view.attempts] == ["declined", "paid"]
        assert view.sale.state is SaleState.COMPLETED

    play(tmp_path, FIXED, scene)


def test_a_code_that_has_paid_opens_no_other_sale_after_the_pause(tmp_path: Path) -> None:
    async def scene(kiosk: Kiosk) -> None:
        await kiosk.show(CODE)
        await kiosk.answer(PAID)
        await kiosk.show(OTHER_CODE)
        await asyncio.sleep(4)
        await kiosk.show(CODE)
        assert await kiosk.refused() == ["still_there", "code_reused"]
        assert len(await kiosk.sales()) == 1

    play(tmp_path, FIXED, scene)


def test_a_second_code_during_a_sale_is_told_with_the_sale_and_pays_nothing(tmp_path: Path) -> None:
    async def scene(kiosk: Kiosk) -> None:
        await kiosk.show(CODE)
        await kiosk.answer(OutcomePending())
        await kiosk.show(OTHER_CODE, OTHER_CODE)
        (told,) = await kiosk.told("scan")
        assert (told["reason"], told["sale"]) == ("sale_open", (await kiosk.sale()).sale.id)
        assert [type(one) for one in kiosk.bench.gateway.asked if isinstance(one, SubmitPayment)] == [SubmitPayment]

    play(tmp_path, FIXED, scene)


# --- others ----------------------------------------------------------------------------------------------------------


def test_a_sale_that_somebody_opened_by_hand_gets_the_code(tmp_path: Path) -> None:
    async def scene(kiosk: Kiosk) -> None:
        await kiosk.bench.open("by-hand")
        await kiosk.show(CODE)
        await kiosk.answer(PayConfirmed(facts=OrderFacts(sn="1", net_amount=Fen(350))))
        (view,) = await kiosk.sales()
        assert (view.sale.order.reference, view.sale.state) == ("by-hand", SaleState.COMPLETED)

    play(tmp_path, FIXED, scene, has_action=True)


def test_while_no_sale_can_be_opened_that_is_told_and_a_basket_is_kept(tmp_path: Path) -> None:
    async def scene(kiosk: Kiosk) -> None:
        await kiosk.show(COLA.barcode)
        kiosk.bench.engine.is_draining = True
        await kiosk.show(CODE)
        assert await kiosk.refused() == ["not_ready"]
        kiosk.bench.engine.is_draining = False
        await asyncio.sleep(3)
        await kiosk.show(CODE)
        assert (await kiosk.sale()).sale.order.amount == 350

    play(tmp_path, CATALOGUE, scene)


def test_a_code_that_came_while_the_journal_failed_leaves_no_sale_open(tmp_path: Path) -> None:
    async def scene(kiosk: Kiosk) -> None:
        kiosk.bench.journal.is_full = True
        await kiosk.show(CODE)
        kiosk.bench.journal.is_full = False
        await asyncio.sleep(10)
        assert await kiosk.sales() == ()
        await kiosk.show(CODE)
        await kiosk.answer(PAID)
        assert (await kiosk.sale()).sale.state is SaleState.COMPLETED

    play(tmp_path, FIXED, scene)


def test_a_sale_whose_code_could_not_be_put_on_record_is_canceled_when_the_journal_works_again(tmp_path: Path) -> None:
    async def scene(kiosk: Kiosk) -> None:
        journal = kiosk.bench.journal
        kiosk.host.take_frame("front", CODE)
        while not kiosk.bench.engine.book.sales:  # noqa: ASYNC110 - to come between two commits
            await asyncio.sleep(0)
        journal.is_full = True
        await asyncio.sleep(5)
        journal.is_full = False
        await asyncio.sleep(10)
        assert ((await kiosk.sale()).sale.state, (await kiosk.sale()).attempts) == (SaleState.CANCELED, ())
        await kiosk.show(CODE)
        await kiosk.answer(PAID)
        assert (await kiosk.sale()).sale.state is SaleState.COMPLETED

    play(tmp_path, FIXED, scene)


def test_scans_that_wait_are_bounded(tmp_path: Path) -> None:
    """I11."""

    async def scene(kiosk: Kiosk) -> None:
        await kiosk.show(*(f"69000000000{number:02d}" for number in range(2 * MAX_FRAMES)))
        assert len(await kiosk.refused()) == MAX_FRAMES

    play(tmp_path, CATALOGUE, scene)


def test_a_machine_that_can_not_serve_makes_the_terminal_not_ready(tmp_path: Path) -> None:
    async def run() -> None:
        async with engine_bench(tmp_path / "journal.db", required=frozenset({"output"})) as bench:
            said = [bench.engine.reasons()]
            for state in (DeviceState.READY, DeviceState.FAULTY, DeviceState.READY, DeviceState.ABSENT):
                bench.engine.note_device(DeviceReport(name="output", kind="output", state=state, detail=""))
                said.append(bench.engine.reasons())
            absent, inhibited = (Reason.OUTPUT_ABSENT,), (Reason.INHIBITED,)
            assert said == [absent, (), inhibited, (), absent]
            async with kiosk_at(bench, FIXED) as kiosk:
                await kiosk.show(CODE)
                assert (await kiosk.refused(), await kiosk.sales()) == (["not_ready"], ())

    run_virtually(run())


# --- service ---------------------------------------------------------------------------------------------------------


def test_what_is_paid_is_served_with_the_sale_and_nobody_else_is_meanwhile(tmp_path: Path) -> None:
    async def scene(kiosk: Kiosk) -> None:
        assert kiosk.action is not None
        await kiosk.show(CODE)
        assert kiosk.action.served == []
        await kiosk.answer(PAID)
        (served,) = kiosk.action.served
        view = await kiosk.sale()
        assert (served["id"], served["state"], served["subject"]) == (view.sale.id, "paid", "Laundry")
        assert (view.sale.state, view.sale.delivery) == (SaleState.PAID, DeliveryState.PENDING)
        await asyncio.sleep(20)
        await kiosk.show(OTHER_CODE)
        assert await kiosk.refused() == ["sale_open"]
        kiosk.action.end.set_result(ActionDone())
        await settle()
        view = await kiosk.sale()
        assert (view.sale.state, view.sale.delivery) == (SaleState.COMPLETED, DeliveryState.DELIVERED)

    play(tmp_path, FIXED, scene, has_action=True)


@pytest.mark.parametrize(
    ("failed", "amount"),
    [
        (ActionFailed(evidence="exit code 1"), 500),
        (ActionFailed(evidence="pulse 3 of 5", certain=2, steps=5, has_parts=True), 300),
    ],
)
def test_a_failed_action_gives_back_what_did_not_come_out(failed: ActionFailed, amount: int, tmp_path: Path) -> None:
    async def scene(kiosk: Kiosk) -> None:
        assert kiosk.action is not None
        await kiosk.show(CODE)
        await kiosk.answer(PAID)
        kiosk.action.end.set_result(failed)
        await settle()
        view = await kiosk.sale()
        assert (view.sale.delivery, [one.amount for one in view.refunds]) == (DeliveryState.UNDELIVERED, [amount])
        story = json.dumps([one.record.after for one in kiosk.bench.journal.store.records_after(0, 1000)])
        assert failed.evidence in story
        await asyncio.sleep(3)
        await kiosk.show(OTHER_CODE)
        assert len(await kiosk.sales()) == 2, "the money on its way back keeps nobody waiting"

    play(tmp_path, FIXED, scene, has_action=True)


def test_a_report_waits_for_the_journal(tmp_path: Path) -> None:
    """I5."""

    async def scene(kiosk: Kiosk) -> None:
        assert kiosk.action is not None
        await kiosk.show(CODE)
        await kiosk.answer(PAID)
        kiosk.bench.journal.is_full = True
        kiosk.action.end.set_result(ActionDone())
        await asyncio.sleep(10)
        kiosk.bench.journal.is_full = False
        await asyncio.sleep(10)
        assert (await kiosk.sale()).sale.delivery is DeliveryState.DELIVERED

    play(tmp_path, FIXED, scene, has_action=True)


def test_a_report_that_a_person_was_first_with_is_dropped(tmp_path: Path) -> None:
    async def scene(kiosk: Kiosk) -> None:
        assert kiosk.action is not None
        await kiosk.show(CODE)
        await kiosk.answer(PAID)
        await kiosk.bench.desk.deliver((await kiosk.sale()).sale.id)
        kiosk.action.end.set_result(ActionFailed(evidence="too late"))
        await settle()
        assert (await kiosk.sale()).sale.state is SaleState.COMPLETED
        await asyncio.sleep(3)
        await kiosk.show(OTHER_CODE)
        assert len(await kiosk.sales()) == 2

    play(tmp_path, FIXED, scene, has_action=True)


def test_a_stop_waits_for_the_action_and_ends_it_after_the_grace(tmp_path: Path) -> None:
    async def scene(kiosk: Kiosk) -> None:
        assert kiosk.action is not None
        await kiosk.host.finish(1)
        await kiosk.show(CODE)
        await kiosk.answer(PAID)
        now = asyncio.get_running_loop().time
        before = now()
        await kiosk.host.finish(10)
        assert now() - before == pytest.approx(10, abs=0.1)
        finishing = asyncio.create_task(kiosk.host.finish(10))
        await asyncio.sleep(1)
        kiosk.action.end.set_result(ActionDone())
        await finishing
        assert now() - before == pytest.approx(11, abs=0.1)
        assert (await kiosk.sale()).sale.state is SaleState.COMPLETED

    play(tmp_path, FIXED, scene, has_action=True)


# --- restarts --------------------------------------------------------------------------------------------------------


def test_a_sale_that_awaits_a_code_from_before_the_start_is_canceled(tmp_path: Path) -> None:
    """Its basket is gone, and whoever stands there begins anew."""

    async def run() -> None:
        async with engine_bench(tmp_path / "journal.db") as bench:
            async with kiosk_at(bench, FIXED) as kiosk:
                await kiosk.show(CODE)
                await kiosk.answer(PayDeclined())
                assert (await kiosk.sale()).sale.state is SaleState.AWAITING_PAYMENT
            async with kiosk_at(bench, FIXED) as kiosk:
                assert (await kiosk.sale()).sale.state is SaleState.CANCELED
                await kiosk.show(OTHER_CODE)
                assert len(await kiosk.sales()) == 2

    run_virtually(run())


def test_a_payment_that_is_found_after_the_start_goes_back_unserved(tmp_path: Path) -> None:
    async def run() -> None:
        async with engine_bench(tmp_path / "journal.db") as bench:
            async with kiosk_at(bench, FIXED, has_action=True) as kiosk:
                await kiosk.show(CODE)
                await kiosk.answer(OutcomePending())
            async with kiosk_at(bench, FIXED, has_action=True) as kiosk:
                await kiosk.show(OTHER_CODE)
                assert await kiosk.refused() == ["sale_open"]
                assert bench.gateway.open() == [QueryOrder]
                await bench.gateway.answer(QueryOrder, OrderPaid(facts=OrderFacts(sn="1", net_amount=Fen(500))))
                await settle()
                view = await kiosk.sale()
                assert (view.sale.state, view.sale.delivery) == (SaleState.RETURNING, DeliveryState.UNDELIVERED)
                assert kiosk.action is not None
                assert kiosk.action.served == []

    run_virtually(run())


def test_an_action_that_was_cut_off_is_not_done_again_and_a_person_is_called(tmp_path: Path) -> None:
    async def run() -> None:
        async with engine_bench(tmp_path / "journal.db") as bench:
            async with kiosk_at(bench, FIXED, has_action=True) as kiosk:
                await kiosk.show(CODE)
                await kiosk.answer(PAID)
                first = kiosk.action
            assert first is not None
            assert first.was_cancelled
            async with kiosk_at(bench, FIXED, has_action=True) as kiosk:
                view = await kiosk.sale()
                assert view.sale.delivery is DeliveryState.OVERDUE
                assert view.attention is not None
                assert view.attention.code == "delivery_overdue"
                assert kiosk.action is not None
                assert kiosk.action.served == []
                records = [one.record for one in bench.journal.store.records_after(0, 1000)]
                (unknown,) = [one for one in records if one.cause == "ActionUnknown"]
                assert unknown.after == "1 of 1 steps at most"

    run_virtually(run())


def test_an_old_copy_does_not_prove_that_an_action_was_not_begun(tmp_path: Path) -> None:
    """Its mark may be among the rows that are lost, or the mark that was saved is of a sale after it."""

    async def run() -> None:
        async with engine_bench(tmp_path / "journal.db") as bench:
            async with kiosk_at(bench, FIXED, has_action=True) as kiosk:
                await kiosk.show(CODE)
                await kiosk.answer(PAID)
            bench.journal.store.put_mark(ActionMark(sale_id=SaleId("after"), begun=1, steps=1))
            bench.engine.take_hold(Hold.RESTORED)
            bench.engine.rules = replace(bench.engine.rules, returns_overdue=True)
            async with kiosk_at(bench, FIXED, has_action=True) as kiosk:
                view = await kiosk.sale()
                assert (view.sale.state, view.sale.delivery) == (SaleState.PAID, DeliveryState.OVERDUE)
                assert view.attention is not None
                assert view.attention.code == "delivery_overdue"

    run_virtually(run())
