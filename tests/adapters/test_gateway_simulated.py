"""Our end against the simulated gateway, which was written from the documents by its own lights."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import TypeVar

from terminald.adapters.gateway_activation import activate
from terminald.adapters.gateway_http import Credentials, GatewaySettings, HttpGateway
from terminald.adapters.ports import LinkReport, LinkState
from terminald.core.commands import GatewayCommand, OrderText, QueryOrder, RefundOrder, ReverseOrder, SubmitPayment
from terminald.core.events import (
    Answer,
    AnswerMismatched,
    OrderAbsent,
    OrderClosed,
    OrderPaid,
    OrderPartlyReturned,
    OutcomePending,
    OutcomeUnknown,
    PayConfirmed,
    PayDeclined,
    RefundConfirmed,
    RefundRefused,
    ReversalConfirmed,
    ReversalPending,
    ReversalRefused,
)
from terminald.core.ids import ClientSn, PaymentCode, Secret
from terminald.core.money import Fen
from terminald.simulator.gateway import GatewayWorld, serve
from terminald.wire import upay

T = TypeVar("T")

TEXT = OrderText(subject="可乐", operator="kiosk")


def pay(name: str, outcome: str) -> SubmitPayment:
    """Return a payment whose outcome the last two digits choose."""
    code = PaymentCode(f"1308{len(name)}{sum(name.encode()):011}{outcome}")
    return SubmitPayment(client_sn=ClientSn(name), token=1, amount=Fen(350), code=code, text=TEXT)


def query(name: str) -> QueryOrder:
    return QueryOrder(client_sn=ClientSn(name), token=1, amount=Fen(350))


def reverse(name: str) -> ReverseOrder:
    return ReverseOrder(client_sn=ClientSn(name), token=1, amount=Fen(350))


def refund(name: str, number: str, fen: int) -> RefundOrder:
    return RefundOrder(
        client_sn=ClientSn(name), token=1, amount=Fen(350), request_no=number, refund_amount=Fen(fen), operator="kiosk"
    )


def with_gateway(use: Callable[[HttpGateway, GatewayWorld], Coroutine[None, None, T]]) -> T:
    """Activate a terminal at a fresh gateway, and use it."""

    async def run() -> T:
        loop = asyncio.get_running_loop()
        world = GatewayWorld(
            clock=loop.time, vendor_sn="v1", vendor_key="vk", app_id="app", activation_codes={"11112222": 1}
        )
        port: asyncio.Future[int] = loop.create_future()
        server = asyncio.create_task(serve(world, "127.0.0.1", 0, ready=port.set_result))
        settings = GatewaySettings(url=f"http://127.0.0.1:{await port}", connect_timeout_s=5, read_timeout_s=5)
        body = upay.encode_activate(app_id="app", code=Secret("11112222"), device_id="d1", name="lobby")
        activated = await activate(settings, body, vendor_sn="v1", vendor_key=Secret("vk"))
        assert isinstance(activated, upay.Activated)
        again = await activate(settings, body, vendor_sn="v1", vendor_key=Secret("vk"))
        assert isinstance(again, upay.ActivationRefused)
        credentials = Credentials(
            terminal_sn=activated.terminal_sn,
            device_id="d1",
            current=activated.terminal_key,
            previous=None,
            version=1,
            previous_version=None,
        )
        gateway = HttpGateway(settings, credentials=lambda: credentials, on_time=lambda _: None)
        try:
            return await use(gateway, world)
        finally:
            await gateway.aclose()
            server.cancel()
            await asyncio.gather(server, return_exceptions=True)

    return asyncio.run(run())


def answers_to(*commands: GatewayCommand) -> list[type[Answer]]:
    async def use(gateway: HttpGateway, _: GatewayWorld) -> list[type[Answer]]:
        return [type(await gateway.perform(command)) for command in commands]

    return with_gateway(use)


def test_a_payment_is_confirmed_found_and_refunded_in_parts() -> None:
    assert answers_to(
        pay("a", "00"), query("a"), refund("a", "r1", 100), query("a"), refund("a", "r1", 100), refund("a", "r2", 300)
    ) == [PayConfirmed, OrderPaid, RefundConfirmed, OrderPartlyReturned, RefundConfirmed, RefundRefused]


def test_a_payment_in_progress_is_reversed() -> None:
    assert answers_to(pay("a", "12"), reverse("a"), query("a"), reverse("a")) == [
        OutcomePending,
        ReversalConfirmed,
        OrderClosed,
        ReversalConfirmed,
    ]


def test_a_declined_payment_is_closed() -> None:
    assert answers_to(pay("a", "20"), query("a")) == [PayDeclined, OrderClosed]


def test_an_order_that_never_arrived_is_absent() -> None:
    assert answers_to(query("a"), reverse("a"), pay("b", "41"), query("b")) == [
        OrderAbsent,
        OrderAbsent,
        OutcomeUnknown,
        OrderAbsent,
    ]


def test_a_lost_answer_is_found_by_a_query() -> None:
    """I2: the books saw one submit."""

    async def use(gateway: HttpGateway, world: GatewayWorld) -> None:
        assert isinstance(await gateway.perform(pay("a", "40")), OutcomeUnknown)
        assert isinstance(await gateway.perform(query("a")), OrderPaid)
        assert [order.submits for order in world.books.orders.values()] == [1]

    with_gateway(use)


def test_answers_about_something_else_are_mismatches() -> None:
    """I4."""
    for outcome in ("50", "51", "54"):
        assert answers_to(pay("a", outcome), query("a")) == [AnswerMismatched, AnswerMismatched]


def test_a_repeated_order_number_is_never_a_decline() -> None:
    assert answers_to(pay("a", "12"), pay("a", "00")) == [OutcomePending, OutcomeUnknown]


def test_cancels_that_are_slow_fail_or_are_refused() -> None:
    assert answers_to(
        pay("slow", "62"), reverse("slow"), pay("failing", "63"), reverse("failing"), pay("no", "64"), reverse("no")
    ) == [OutcomePending, ReversalPending, OutcomePending, ReversalPending, OutcomePending, ReversalRefused]


def test_the_link_is_proven() -> None:
    async def use(gateway: HttpGateway, _: GatewayWorld) -> LinkReport:
        return await gateway.probe()

    assert with_gateway(use) == LinkReport(state=LinkState.PROVEN)
