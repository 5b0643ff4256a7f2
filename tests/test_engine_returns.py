"""What callers get who give money back or report goods: all of it through the desk, with a journal."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from terminald.adapters.ports import SaleFilter
from terminald.core.commands import GatewayCommand, OrderText, QueryOrder, RefundOrder, RevokeOrder, SubmitPayment
from terminald.core.events import (
    Answer,
    Fault,
    OrderErrored,
    OrderFacts,
    OrderPaid,
    PayConfirmed,
    RefundConfirmed,
    RefundRefused,
    ReversalConfirmed,
    ReversalPending,
    ReversalRefused,
)
from terminald.core.ids import Reference
from terminald.core.money import Fen
from terminald.core.refund_answers import ALREADY_RETURNED
from terminald.core.refund_table import RefundState
from terminald.core.sale_table import DeliveryState, SaleOrder, SaleState
from terminald.errors import ApiError, IllegalTransition
from tests.engine_bench import CODE, Bench, engine_bench, settle
from tests.simulation.virtual_time import run_virtually

NO_BALANCE = RefundRefused(fault=Fault(code="ACCOUNT_BALANCE_NOT_ENOUGH", message=""))
NOT_REVOKED = ReversalRefused(fault=Fault(code="UPAY_CANCEL_INVALID_ORDER_STATE", message=""))
HOUR_S = 3600
#: Longer than codes live: a sale that is over has left the book.
LONG_S = HOUR_S


def play(path: Path, scene: Callable[[Bench], Awaitable[None]]) -> None:
    async def run() -> None:
        async with engine_bench(path / "journal.db") as bench:
            await scene(bench)

    run_virtually(run())


async def sell(bench: Bench, *, reports_delivery: bool = False, finished: str = "") -> None:
    """Sell something for 3.50. Finished is when, as the gateway says it; empty: now."""
    order = SaleOrder(
        reference=Reference("order"),
        amount=Fen(350),
        methods=("scan",),
        text=OrderText(subject="Cola", operator="kiosk"),
        wants_receipt=False,
        reports_delivery=reports_delivery,
    )
    await bench.desk.open_sale(order)
    await bench.desk.present_code("order", CODE)
    await settle()
    finished = finished or str(bench.engine.world.clock.now().wall)
    await bench.gateway.answer(SubmitPayment, PayConfirmed(facts=OrderFacts(finish_time=finished)))


async def overdue(bench: Bench) -> None:
    await sell(bench, reports_delivery=True)
    await asyncio.sleep(200)
    assert bench.desk.status().attention == 1


async def answered(bench: Bench, *answers: tuple[type[GatewayCommand], Answer]) -> None:
    for kind, answer in answers:
        await bench.gateway.answer(kind, answer)


async def refunds(bench: Bench) -> list[tuple[str, int]]:
    return [(one.state.value, one.amount) for one in (await bench.desk.get_sale("order")).refunds]


def asked(bench: Bench) -> list[type[GatewayCommand]]:
    """Return what the gateway was asked since the payment."""
    return [type(one) for one in bench.gateway.asked[1:]]


# --- never more than there is ----------------------------------------------------------------------------------------


def test_of_two_refunds_at_once_the_one_that_is_too_much_is_refused_before_anything_of_it_is_sent(
    tmp_path: Path,
) -> None:
    async def scene(bench: Bench) -> None:
        await sell(bench)
        calls = (bench.desk.refund("order", name, Fen(200)) for name in ("a", "b"))
        first, second = await asyncio.gather(*calls, return_exceptions=True)
        assert not isinstance(first, BaseException)
        assert isinstance(second, ApiError)
        assert second.code == "refund_too_much"
        await answered(bench, (RefundOrder, RefundConfirmed()))
        assert await refunds(bench) == [("done", 200)]
        assert asked(bench) == [RefundOrder]

    play(tmp_path, scene)


def test_one_reference_asked_for_at_once_is_one_refund(tmp_path: Path) -> None:
    """I9."""

    async def scene(bench: Bench) -> None:
        await sell(bench)
        calls = (bench.desk.refund("order", "a", Fen(200)) for _ in range(3))
        assert len({one.id for one in await asyncio.gather(*calls)}) == 1
        assert asked(bench) == [RefundOrder]

    play(tmp_path, scene)


@pytest.mark.parametrize("amount", [None, 200])
def test_what_is_left_of_nothing_can_not_be_asked_for(tmp_path: Path, amount: int | None) -> None:
    async def scene(bench: Bench) -> None:
        await sell(bench)
        await bench.desk.refund("order", "all", None)
        for _ in range(2):
            with pytest.raises(ApiError) as refused:
                await bench.desk.refund("order", "more", None if amount is None else Fen(amount))
            assert refused.value.code == "nothing_left"
            if RefundOrder in bench.gateway.open():
                await answered(bench, (RefundOrder, RefundConfirmed()))

    play(tmp_path, scene)


# --- revokes ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("waits_h", "is_possible"), [(15, True), (17, False)])
def test_a_revoke_is_of_the_gateways_business_day(tmp_path: Path, waits_h: int, *, is_possible: bool) -> None:
    """Midnight of the gateway comes sixteen hours after the payment."""

    async def scene(bench: Bench) -> None:
        await sell(bench)
        await asyncio.sleep(waits_h * HOUR_S)
        if is_possible:
            await bench.desk.revoke("order")
        else:
            with pytest.raises(ApiError) as refused:
                await bench.desk.revoke("order")
            assert refused.value.code == "revoke_impossible"
        assert asked(bench) == [RevokeOrder] * is_possible

    play(tmp_path, scene)


def test_a_time_of_the_gateway_that_can_not_be_true_takes_no_revoke_away(tmp_path: Path) -> None:
    """The report counts the payment on this day as well. The gateway knows its own day, and answers by it."""

    async def scene(bench: Bench) -> None:
        await sell(bench, finished="1449646835244")
        await bench.desk.revoke("order")
        assert asked(bench) == [RevokeOrder]

    play(tmp_path, scene)


def test_where_nothing_is_left_a_revoke_is_not_offered_as_a_refund(tmp_path: Path) -> None:
    async def scene(bench: Bench) -> None:
        await sell(bench)
        await bench.desk.refund("order", "a", None)
        for _ in range(2):
            with pytest.raises(ApiError) as refused:
                await bench.desk.revoke("order")
            assert refused.value.code == "nothing_left"
            if RefundOrder in bench.gateway.open():
                await answered(bench, (RefundOrder, RefundConfirmed()))

    play(tmp_path, scene)


def test_a_revoke_is_of_a_payment_of_which_nothing_was_refunded(tmp_path: Path) -> None:
    async def scene(bench: Bench) -> None:
        await sell(bench)
        await bench.desk.refund("order", "a", Fen(1))
        with pytest.raises(ApiError) as refused:
            await bench.desk.revoke("order")
        assert refused.value.code == "revoke_impossible"
        assert asked(bench) == [RefundOrder]

    play(tmp_path, scene)


def test_a_host_is_told_why_its_refund_was_overtaken(tmp_path: Path) -> None:
    async def scene(bench: Bench) -> None:
        await sell(bench, reports_delivery=True)
        await bench.desk.refund("order", "a", Fen(100))
        await answered(bench, (RefundOrder, NO_BALANCE), (QueryOrder, OrderPaid()))
        await bench.desk.undeliver("order", None)
        await answered(bench, (RevokeOrder, ReversalConfirmed()))
        repeated = await bench.desk.refund("order", "a", Fen(100))
        assert repeated.state is RefundState.REFUSED
        assert repeated.fault is not None
        assert repeated.fault.code == ALREADY_RETURNED
        today = await bench.desk.report(None)
        assert (today.total.returns, today.total.returned, today.in_doubt) == (1, 350, 0)
        status = bench.desk.status()
        assert (status.attention, status.unresolved) == (0, 0)

    play(tmp_path, scene)


# --- the goods -------------------------------------------------------------------------------------------------------


def test_closing_the_call_for_a_report_ends_the_sale(tmp_path: Path) -> None:
    async def scene(bench: Bench) -> None:
        await overdue(bench)
        assert (await bench.desk.report(None)).in_doubt == 350
        with pytest.raises(ApiError) as other:
            await bench.desk.close_attention("order", "looked", "merchant_balance")
        assert other.value.code == "attention_changed"
        assert "delivery_overdue" in other.value.detail
        assert bench.desk.status().attention == 1, "it is not closed"
        shown = await bench.desk.close_attention("order", "the slot is empty", "delivery_overdue")
        assert (shown.sale.state, shown.sale.delivery) == (SaleState.COMPLETED, DeliveryState.CLOSED)
        assert (await bench.desk.report(None)).in_doubt == 0
        assert bench.desk.status().attention == 0
        assert await bench.desk.list_sales(SaleFilter(needs_attention=True)) == ()
        with pytest.raises(ApiError) as refused:
            await bench.desk.close_attention("order", "again")
        assert refused.value.code == "no_attention"
        records = (await bench.desk.dossier("order")).records
        assert ("AttentionClosed", "the slot is empty") in [(one.record.cause, one.record.after) for one in records]
        assert ("DeliveryClosed", "completed") in [(one.record.cause, one.record.after) for one in records]
        await asyncio.sleep(LONG_S)
        assert bench.engine.book.sales == {}

    play(tmp_path, scene)


@pytest.mark.parametrize(
    ("amount", "asks", "state"),
    [(None, RevokeOrder, "returned"), (350, RevokeOrder, "returned"), (100, RefundOrder, "completed")],
)
def test_a_host_that_reports_after_that_is_heard(
    tmp_path: Path, amount: int | None, asks: type[GatewayCommand], state: str
) -> None:
    async def scene(bench: Bench) -> None:
        await overdue(bench)
        await bench.desk.close_attention("order", "the slot is empty")
        await asyncio.sleep(LONG_S)
        for _ in range(2):
            await bench.desk.undeliver("order", None if amount is None else Fen(amount))
        await answered(bench, (asks, ReversalConfirmed() if asks is RevokeOrder else RefundConfirmed()))
        await bench.desk.undeliver("order", None if amount is None else Fen(amount))
        assert asked(bench) == [asks]
        assert await bench.state() == state
        assert (await bench.desk.get_sale("order")).sale.returned == (amount or 350)

    play(tmp_path, scene)


def test_goods_that_came_out_after_that_change_nothing(tmp_path: Path) -> None:
    async def scene(bench: Bench) -> None:
        await overdue(bench)
        await bench.desk.close_attention("order", "the slot is empty")
        await asyncio.sleep(LONG_S)
        assert (await bench.desk.deliver("order")).sale.delivery is DeliveryState.DELIVERED
        with pytest.raises(IllegalTransition):
            await bench.desk.undeliver("order", None)

    play(tmp_path, scene)


def test_a_part_that_did_not_come_out_goes_back_beside_what_the_host_gives_back(tmp_path: Path) -> None:
    """What is on its way back already says nothing about the goods: of the part no more goes back than it is worth."""

    async def scene(bench: Bench) -> None:
        await sell(bench, reports_delivery=True)
        await bench.desk.refund("order", "a", Fen(300))
        await bench.desk.undeliver("order", Fen(50))
        await answered(
            bench, (RefundOrder, RefundRefused(fault=Fault(code="OTHER", message=""))), (QueryOrder, OrderPaid())
        )
        await answered(bench, (RefundOrder, RefundConfirmed()))
        assert await refunds(bench) == [("refused", 300), ("done", 50)]
        assert asked(bench) == [RefundOrder, QueryOrder, RefundOrder]

    play(tmp_path, scene)


def test_a_part_of_which_less_is_left_can_be_reported_again(tmp_path: Path) -> None:
    async def scene(bench: Bench) -> None:
        await sell(bench, reports_delivery=True)
        await bench.desk.refund("order", "a", Fen(300))
        for _ in range(2):
            await bench.desk.undeliver("order", Fen(200))
        await answered(bench, (RefundOrder, RefundConfirmed()))
        await bench.desk.undeliver("order", Fen(200))
        await answered(bench, (RefundOrder, RefundConfirmed()))
        assert await refunds(bench) == [("done", 300), ("done", 50)]
        assert await bench.state() == "returned"

    play(tmp_path, scene)


def test_more_than_what_is_left_did_not_come_out_is_refused_to_whoever_says_so(tmp_path: Path) -> None:
    async def scene(bench: Bench) -> None:
        await sell(bench, reports_delivery=True)
        await bench.desk.refund("order", "a", Fen(300))
        await answered(bench, (RefundOrder, RefundConfirmed()))
        with pytest.raises(ApiError) as refused:
            await bench.desk.undeliver("order", Fen(51))
        assert refused.value.code == "refund_too_much"
        assert "50" in refused.value.detail
        assert await bench.state() == "paid"

    play(tmp_path, scene)


def test_a_return_that_is_refused_takes_its_alarm_back(tmp_path: Path) -> None:
    async def scene(bench: Bench) -> None:
        await sell(bench, reports_delivery=True)
        await bench.desk.revoke("order")
        await bench.desk.deliver("order")
        assert bench.desk.status().attention == 1
        await answered(bench, (RevokeOrder, NOT_REVOKED), (QueryOrder, OrderPaid()))
        assert bench.desk.status().attention == 0
        assert await bench.state() == "completed"

    play(tmp_path, scene)


@pytest.mark.parametrize(
    ("reports", "ends"),
    [
        ([100, None], [("refused", 350), ("refunding", 350)]),
        ([100, 350, 350], [("refused", 350), ("refunding", 350)]),
        ([None, 100], [("refused", 350), ("refunding", 100)]),
        ([100, 200, 200], [("refused", 350), ("refunding", 200)]),
    ],
)
def test_beside_a_revoke_the_last_report_says_what_is_owed(
    tmp_path: Path, reports: list[int | None], ends: list[tuple[str, int]]
) -> None:
    async def scene(bench: Bench) -> None:
        await sell(bench, reports_delivery=True)
        await bench.desk.revoke("order")
        for amount in reports:
            await bench.desk.undeliver("order", None if amount is None else Fen(amount))
        records = (await bench.desk.dossier("order")).records
        told = [one for one in records if one.record.cause in ("Undelivered", "PartUndelivered")]
        assert len(told) == len(dict.fromkeys(reports))
        await answered(bench, (RevokeOrder, NOT_REVOKED), (QueryOrder, OrderPaid()))
        if ends[1][1] == 350:
            await answered(bench, (RevokeOrder, NOT_REVOKED))
        assert await refunds(bench) == ends

    play(tmp_path, scene)


def test_of_a_return_that_is_owed_already_no_report_changes_anything(tmp_path: Path) -> None:
    async def scene(bench: Bench) -> None:
        await sell(bench, reports_delivery=True)
        for amount in (None, Fen(100), Fen(350)):
            await bench.desk.undeliver("order", amount)
        await answered(bench, (RevokeOrder, ReversalConfirmed()))
        assert await refunds(bench) == [("done", 350)]

    play(tmp_path, scene)


def test_a_revoke_that_its_day_has_left_behind_in_an_error_is_closed_and_then_refunded(tmp_path: Path) -> None:
    """As the call for a person advises: while it is open all of the payment is on its way back."""

    async def scene(bench: Bench) -> None:
        await sell(bench)
        await bench.desk.revoke("order")
        await bench.gateway.answer(RevokeOrder, ReversalPending())
        bench.clock.days = 1
        await asyncio.sleep(10)
        await bench.gateway.answer(QueryOrder, OrderErrored())
        assert (await refunds(bench), bench.desk.status().attention) == ([("blocked", 350)], 1)
        with pytest.raises(ApiError) as refused:
            await bench.desk.refund("order", "again", None)
        assert refused.value.code == "nothing_left"
        await bench.desk.close_attention("order", "the gateway does not know", "order_errored")
        assert bench.engine.book.sales == {}
        await bench.desk.refund("order", "again", None)
        await bench.gateway.answer(RefundOrder, RefundConfirmed())
        assert await refunds(bench) == [("closed", 350), ("done", 350)]
        assert await bench.state() == "returned"

    play(tmp_path, scene)
