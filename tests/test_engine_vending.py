"""Vending machines as hosts of the engine: requests become sales, drivers are told, a shut machine is off the bus."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest

from terminald.core import book as books
from terminald.core.commands import RefundOrder, RevokeOrder, SubmitPayment
from terminald.core.events import Event, PayConfirmed, PayDeclined, ReversalConfirmed
from terminald.core.ids import Duration
from terminald.core.money import Fen
from terminald.core.vend_events import (
    ApprovalNotSent,
    ApprovalSent,
    RequestGone,
    VendFailed,
    VendRequested,
    VendSucceeded,
)
from terminald.engine_vending import DECLINED, NEWS, PROMPTS, VendingHost, VendTerms
from terminald.errors import IllegalTransition
from terminald.wire import qibixx
from terminald.wire.api import SaleDefaults
from tests.engine_bench import CODE, GATEWAY, Bench, settle
from tests.log_lines import lines
from tests.simulation.virtual_time import run_virtually

DEFAULTS = SaleDefaults(
    methods=("scan",),
    operator="kiosk",
    max_amount=10_000,
    receipt=False,
    qr_payway="3",
    delivery="none",
    refund_slips=False,
)
TERMS = VendTerms(
    answer_limit=Duration(120_000),
    result_window=Duration(180_000),
    returns_unknown=False,
    payment_window=Duration(90_000),
    sale=DEFAULTS,
)


class FakeVmc:
    """A machine that asks for what the test says, and obeys."""

    name, kind, watched = "snacks", "vmc", ()

    def __init__(self) -> None:
        self.asks: int | None = None
        self.is_open: list[bool] = []
        self.approved: list[tuple[int, str]] = []
        self.denied: list[int] = []
        self.shown: list[str] = []

    def set_open(self, *, is_open: bool) -> None:
        self.is_open.append(is_open)

    async def approve(self, request: int, price: str) -> ApprovalSent | ApprovalNotSent:
        if request != self.asks:
            return ApprovalNotSent(request=request, reason="the machine does not ask for it any more")
        self.approved.append((request, price))
        return ApprovalSent(request=request)

    async def deny(self, request: int) -> None:
        self.denied.append(request)

    def display(self, text: str) -> None:
        self.shown.append(text)

    async def open(self) -> None:
        raise NotImplementedError

    async def run(self) -> None:
        raise NotImplementedError

    async def close(self) -> None:
        raise NotImplementedError


class VendBench(Bench):
    """An engine with one machine."""

    def __init__(self, path: Path, terms: VendTerms = TERMS, required: frozenset[str] = GATEWAY) -> None:
        self.vmc = FakeVmc()
        super().__init__(path, None, required, {"snacks": self.vmc})
        self.host = VendingHost(self.engine, {"snacks": terms})
        self._count = 0

    async def ask(self, amount: int = 350) -> int:
        """Have the machine ask for money."""
        self._count += 1
        self.vmc.asks = self._count
        self.host.take("snacks", VendRequested(request=self._count, price="3.50", amount=Fen(amount), item="5"))
        await settle()
        return self._count

    async def tell(self, event: Event) -> None:
        self.host.take("snacks", event)
        await settle()

    async def pay(self) -> None:
        sale = books.sale_with_customer(self.engine.book)
        assert sale is not None
        await self.desk.present_code(sale.id, f"13000000000000{self._count:04}")
        await settle()
        await self.gateway.answer(SubmitPayment, PayConfirmed())
        await settle()

    def states(self) -> list[tuple[str, str]]:
        return [
            (one.state.value, self.engine.book.sales[key].state.value) for key, one in self.engine.book.vends.items()
        ]


Scene = Callable[[VendBench], Awaitable[None]]


def play(path: Path, scene: Scene, *, terms: VendTerms = TERMS, required: frozenset[str] = GATEWAY) -> None:
    async def run() -> None:
        bench = VendBench(path / "journal.db", terms, required)
        running = asyncio.create_task(bench.engine.run(is_new_boot=False))
        await settle()
        try:
            await scene(bench)
        finally:
            running.cancel()
            with suppress(asyncio.CancelledError):
                await running
            bench.journal.close()

    run_virtually(run())


async def refusals(bench: VendBench) -> list[str]:
    return [one.record.after for one in bench.journal.store.records_after(0, 500) if one.record.cause == "VendRefused"]


def test_a_request_is_served_from_its_sale_to_its_goods(tmp_path: Path) -> None:
    async def scene(bench: VendBench) -> None:
        await bench.ask()
        (sale,) = bench.engine.book.sales.values()
        assert sale.order.reference == f"vend-{sale.id}"
        assert (sale.order.amount, sale.order.text.subject, sale.order.window) == (350, "snacks 5", 60_000)
        assert bench.vmc.shown == ["Show your       payment code"]
        await bench.pay()
        assert bench.vmc.approved == [(1, "3.50")]
        await bench.tell(VendSucceeded(request=1))
        assert bench.states() == [("done", "completed")]

    play(tmp_path, scene)


def test_the_display_follows_the_latest_request(tmp_path: Path) -> None:
    async def scene(bench: VendBench) -> None:
        shown = bench.vmc.shown
        await bench.ask()
        (sale,) = bench.engine.book.sales.values()
        await bench.desk.present_code(sale.id, "130000000000009999")
        await settle()
        assert shown[1:] == ["Please wait or  confirm on phone"]
        await bench.gateway.answer(SubmitPayment, PayDeclined())
        assert shown[2:] == ["Not accepted.   Try another code"]
        await bench.pay()
        assert shown[3:] == ["Please wait or  confirm on phone"], "nothing beside the approval"
        assert bench.vmc.approved == [(1, "3.50")]
        await bench.tell(VendFailed(request=1))
        assert shown[4:] == ["Not dispensed.  Money goes back."]
        await bench.gateway.answer(RevokeOrder, ReversalConfirmed())
        assert len(shown) == 5

    play(tmp_path, scene)


def test_a_customer_who_pays_nothing_is_told_so_once_and_not_the_next_one(tmp_path: Path) -> None:
    async def scene(bench: VendBench) -> None:
        shown = bench.vmc.shown
        await bench.ask()
        (first,) = bench.engine.book.sales.values()
        await bench.desk.present_code(first.id, CODE)
        await bench.tell(RequestGone(request=1))
        assert shown[2:] == ["Not paid.       Please try again"]
        await bench.ask()
        assert (bench.states(), shown[3:]) == (
            [("canceling", "canceling"), ("requested", "awaiting_payment")],
            ["Show your       payment code"],
        )
        await bench.gateway.answer(SubmitPayment, PayDeclined())
        assert bench.states()[0] == ("denied", "canceled")
        assert len(shown) == 4
        await bench.pay()
        await bench.tell(VendSucceeded(request=2))
        assert shown[4:] == ["Please wait or  confirm on phone", "Thank you"]

    play(tmp_path, scene)


def test_every_text_fits_a_display_of_two_lines() -> None:
    for text in (*PROMPTS.values(), *NEWS.values(), DECLINED):
        assert qibixx.display(text) == f"C,DISPLAY,{text}\n".encode()
        assert [line for line in (text[:16], text[16:]) if line != line.lstrip()] == [], "no word is cut in two"


def test_a_customer_has_no_longer_than_configured(tmp_path: Path) -> None:
    async def scene(bench: VendBench) -> None:
        await bench.ask()
        (sale,) = bench.engine.book.sales.values()
        assert sale.order.window == 20_000
        assert (sale.order.methods, sale.order.qr_payway) == (("qr",), "3")
        assert bench.vmc.shown == ["Scan the        QR code"]

    sale = replace(DEFAULTS, methods=("qr",))
    play(tmp_path, scene, terms=replace(TERMS, payment_window=Duration(20_000), sale=sale))


@pytest.mark.parametrize(("amount", "reason"), [(0, "free"), (10_001, "too_much")])
def test_what_can_not_be_a_sale_is_denied_at_once(tmp_path: Path, amount: int, reason: str) -> None:
    async def scene(bench: VendBench) -> None:
        await bench.ask(amount)
        assert (bench.vmc.denied, bench.engine.book.sales) == ([1], {})
        assert await refusals(bench) == [reason]

    play(tmp_path, scene)


def test_one_customer_at_a_time(tmp_path: Path) -> None:
    async def scene(bench: VendBench) -> None:
        await bench.open("at-the-kiosk")
        await bench.ask()
        assert bench.vmc.denied == [1]
        assert await refusals(bench) == ["busy"]
        assert await bench.state("at-the-kiosk") == "awaiting_payment"

    play(tmp_path, scene)


def test_what_can_not_be_put_on_disk_is_denied(tmp_path: Path) -> None:
    """I2."""

    async def scene(bench: VendBench) -> None:
        bench.journal.is_full = True
        await bench.ask()
        assert (bench.vmc.denied, bench.engine.book.sales) == ([1], {})
        bench.journal.is_full = False
        await asyncio.sleep(6)
        await bench.ask()
        assert bench.states() == [("requested", "awaiting_payment")]

    play(tmp_path, scene)


def test_a_machine_is_off_the_bus_while_no_sale_could_be_opened(tmp_path: Path) -> None:
    async def scene(bench: VendBench) -> None:
        assert bench.vmc.is_open == [False, True]
        bench.journal.is_full = True
        await bench.ask()
        await asyncio.sleep(6)
        assert bench.vmc.is_open == [False, True, False]
        bench.journal.is_full = False
        await asyncio.sleep(6)
        assert bench.vmc.is_open == [False, True, False, True]
        await bench.engine.drain(0.1)
        assert bench.vmc.is_open == [False, True, False, True, False]

    play(tmp_path, scene)


def test_without_a_scanner_a_machine_sells_by_qr_alone(tmp_path: Path) -> None:
    async def shut(bench: VendBench) -> None:
        assert bench.vmc.is_open == [False]
        await bench.ask()
        assert await refusals(bench) == ["scanner_absent"]

    async def at_work(bench: VendBench) -> None:
        assert bench.vmc.is_open == [False, True]

    required = frozenset({"gateway", "scanner"})
    (tmp_path / "qr").mkdir()
    play(tmp_path, shut, required=required)
    by_qr = replace(TERMS, sale=replace(DEFAULTS, methods=("qr",)))
    play(tmp_path / "qr", at_work, terms=by_qr, required=required)


def test_a_machine_that_fails_again_and_again_sells_for_cash(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "terminald")

    async def scene(bench: VendBench) -> None:
        for number in range(1, 4):
            await bench.ask()
            await bench.pay()
            await bench.tell(VendFailed(request=number))
        await asyncio.sleep(6)
        assert bench.vmc.is_open == [False, True, False]
        await bench.ask()
        assert await refusals(bench) == ["returns_open"]
        assert "vending device=snacks to_state=cash_only reason=returns_open" in lines(caplog.records)
        await bench.gateway.answer(RevokeOrder, ReversalConfirmed())
        await asyncio.sleep(6)
        assert bench.vmc.is_open == [False, True, False, True]

    play(tmp_path, scene)


def test_what_comes_after_the_customer_went_another_way_is_paid_back(tmp_path: Path) -> None:
    """I3: what the machine has said is looked at before it is told to dispense."""

    async def scene(bench: VendBench) -> None:
        await bench.ask()
        (sale,) = bench.engine.book.sales.values()
        await bench.desk.present_code(sale.id, CODE)
        await settle()
        bench.host.take("snacks", RequestGone(request=1))
        await bench.gateway.answer(SubmitPayment, PayConfirmed())
        assert bench.vmc.approved == []
        assert bench.vmc.denied == [1]
        assert bench.states() == [("canceling", "canceling")]

    play(tmp_path, scene)


def test_an_approval_that_does_not_leave_is_paid_back(tmp_path: Path) -> None:
    async def scene(bench: VendBench) -> None:
        await bench.ask()
        bench.vmc.asks = None
        await bench.pay()
        assert bench.states() == [("returning", "returning")]
        assert bench.gateway.open() == [RevokeOrder]
        assert RefundOrder not in bench.gateway.open()

    play(tmp_path, scene)


def test_what_nobody_knows_of_is_left_out(tmp_path: Path) -> None:
    async def scene(bench: VendBench) -> None:
        await bench.tell(VendSucceeded(request=7))
        await bench.tell(PayConfirmed())
        assert bench.engine.book.vends == {}

    play(tmp_path, scene)


def test_people_report_the_goods_only_where_the_machine_is_silent(tmp_path: Path) -> None:
    async def scene(bench: VendBench) -> None:
        await bench.ask()
        await bench.pay()
        (sale,) = bench.engine.book.sales.values()
        with pytest.raises(IllegalTransition):
            await bench.desk.undeliver(sale.id, None)
        await asyncio.sleep(181)
        assert bench.states() == [("unknown", "paid")]
        await bench.desk.deliver(sale.id)
        assert bench.states() == [("unknown", "completed")]

    play(tmp_path, scene)


def test_a_stop_does_not_wait_for_a_customer_who_has_shown_nothing(tmp_path: Path) -> None:
    async def scene(bench: VendBench) -> None:
        await bench.ask()
        began = asyncio.get_running_loop().time()
        await bench.engine.drain(30)
        assert asyncio.get_running_loop().time() == began
        await settle()
        assert bench.states() == [("denied", "canceled")]
        assert bench.vmc.denied == [1]

    play(tmp_path, scene)


def test_a_stop_waits_for_a_code_that_is_with_the_gateway(tmp_path: Path) -> None:
    """The customer may have paid already: money that is taken is answered with goods, or goes back."""

    async def scene(bench: VendBench) -> None:
        await bench.ask()
        (sale,) = bench.engine.book.sales.values()
        await bench.desk.present_code(sale.id, CODE)
        stopping = asyncio.create_task(bench.engine.drain(30))
        await asyncio.sleep(5)
        assert not stopping.done()
        await bench.gateway.answer(SubmitPayment, PayDeclined())
        await asyncio.sleep(1)
        assert stopping.done()
        assert (bench.states(), bench.vmc.denied) == ([("denied", "canceled")], [1])

    play(tmp_path, scene)


def test_a_stop_waits_for_what_comes_out(tmp_path: Path) -> None:
    async def scene(bench: VendBench) -> None:
        await bench.ask()
        await bench.pay()
        stopping = asyncio.create_task(bench.engine.drain(30))
        await asyncio.sleep(5)
        assert not stopping.done()
        await bench.tell(VendSucceeded(request=1))
        await asyncio.sleep(1)
        assert stopping.done()

    play(tmp_path, scene)
