"""Our end against the simulated gateway, which was written from the documents by its own lights."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import TypeVar

from terminald.adapters.gateway_activation import activate
from terminald.adapters.gateway_http import Credentials, GatewaySettings, HttpGateway
from terminald.adapters.ports import LinkReport, LinkState
from terminald.core.commands import (
    GatewayCommand,
    OfferOrder,
    OrderText,
    QueryOrder,
    RefundOrder,
    ReverseOrder,
    RevokeOrder,
    SubmitPayment,
)
from terminald.core.events import (
    Answer,
    AnswerMismatched,
    OrderAbsent,
    OrderClosed,
    OrderErrored,
    OrderPaid,
    OrderPartlyReturned,
    OrderPending,
    OutcomePending,
    OutcomeUnknown,
    PayConfirmed,
    PayDeclined,
    QrOffered,
    RefundConfirmed,
    RefundPending,
    RefundRefused,
    ReversalConfirmed,
    ReversalPending,
    ReversalRefused,
)
from terminald.core.ids import ClientSn, PaymentCode, Secret
from terminald.core.money import Fen
from terminald.simulator.gateway import Fault, GatewayWorld, serve
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


def offer(name: str) -> OfferOrder:
    return OfferOrder(client_sn=ClientSn(name), token=1, amount=Fen(350), payway="3", text=TEXT)


def revoke(name: str) -> RevokeOrder:
    return RevokeOrder(client_sn=ClientSn(name), token=1, amount=Fen(350))


def refund(name: str, number: str, fen: int) -> RefundOrder:
    return RefundOrder(
        client_sn=ClientSn(name), token=1, amount=Fen(350), request_no=number, refund_amount=Fen(fen), operator="kiosk"
    )


def with_gateway(use: Callable[[HttpGateway, GatewayWorld], Coroutine[None, None, T]]) -> T:
    """Activate a terminal at a fresh gateway, and use it."""

    async def run() -> T:
        loop = asyncio.get_running_loop()
        begun_s = loop.time()  # the gateway's day is to begin as it does elsewhere, whatever this machine's clock says
        world = GatewayWorld(
            clock=lambda: loop.time() - begun_s,
            vendor_sn="v1",
            vendor_key="vk",
            app_id="app",
            activation_codes={"11112222": 1},
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


def answers_to(*commands: GatewayCommand, faults: tuple[Fault, ...] = ()) -> list[type[Answer]]:
    async def use(gateway: HttpGateway, world: GatewayWorld) -> list[type[Answer]]:
        world.faults.add(*faults)
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


def test_a_qr_is_offered_paid_by_its_customer_and_revoked() -> None:
    async def use(gateway: HttpGateway, world: GatewayWorld) -> None:
        offered = await gateway.perform(offer("a"))
        assert isinstance(offered, QrOffered)
        assert (offered.facts.payway, offered.facts.net_amount) == ("3", 350)
        assert isinstance(await gateway.perform(query("a")), OrderPending)
        assert world.customer("pay", qr_code=offered.content)
        assert isinstance(await gateway.perform(query("a")), OrderPaid)
        assert isinstance(await gateway.perform(revoke("a")), ReversalConfirmed)
        assert isinstance(await gateway.perform(query("a")), OrderClosed)

    with_gateway(use)


def test_an_offer_that_is_lost_refused_or_has_no_qr_is_none() -> None:
    faults = (
        Fault(kind="close_answer", path="precreate", client_sn="lost"),
        Fault(kind="no_qr_code", path="precreate", client_sn="empty"),
        Fault(kind="declined", path="precreate", client_sn="no", error_code="SELLER_OVER_DAILY_LIMIT"),
    )
    commands = (offer("lost"), reverse("lost"), offer("empty"), reverse("empty"), offer("no"), offer("lost"))
    assert answers_to(*commands, faults=faults) == [
        OutcomeUnknown,
        ReversalConfirmed,
        OutcomeUnknown,
        ReversalConfirmed,
        PayDeclined,
        OutcomeUnknown,
    ]


def test_a_qr_that_is_paid_in_the_moment_of_its_reversal() -> None:
    """I3: taken and returned, or to be refunded."""
    faults = (
        Fault(kind="paid_meanwhile", path="cancel", client_sn="back"),
        Fault(kind="paid_first", path="cancel", client_sn="kept"),
    )
    commands = (offer("back"), reverse("back"), query("back"), offer("kept"), reverse("kept"), query("kept"))
    assert answers_to(*commands, faults=faults) == [
        QrOffered,
        ReversalConfirmed,
        OrderClosed,
        QrOffered,
        ReversalRefused,
        OrderPaid,
    ]


def test_what_stands_in_the_way_of_money_that_goes_back_is_named() -> None:
    async def use(gateway: HttpGateway, world: GatewayWorld) -> None:
        for outcome, code in (("73", "UPAY_TCP_ORDER_NOT_REFUNDABLE"), ("74", "ACCOUNT_BALANCE_NOT_ENOUGH")):
            name = f"o-{outcome}"
            assert isinstance(await gateway.perform(pay(name, outcome)), PayConfirmed)
            for command, kind in ((revoke(name), ReversalRefused), (refund(name, "r1", 100), RefundRefused)):
                said = await gateway.perform(command)
                assert type(said) is kind
                assert said.fault is not None
                assert said.fault.code == code
            assert world.faults.disarm("declined", name) == 3
            assert isinstance(await gateway.perform(refund(name, "r1", 100)), RefundConfirmed)

    with_gateway(use)


def test_refunds_and_revokes_that_end_in_an_error_are_pending() -> None:
    assert answers_to(pay("a", "70"), refund("a", "r1", 100), query("a"), refund("a", "r1", 100), query("a")) == [
        PayConfirmed,
        RefundPending,
        OrderErrored,
        RefundConfirmed,
        OrderPartlyReturned,
    ]
    assert answers_to(pay("b", "71"), revoke("b"), query("b"), revoke("b"), query("b")) == [
        PayConfirmed,
        ReversalPending,
        OrderErrored,
        ReversalConfirmed,
        OrderClosed,
    ]


def test_a_refund_is_accounted_for_by_its_name_and_what_is_left_once_it_is_done() -> None:
    """I9: not while it is under way, and not when it failed."""

    async def use(gateway: HttpGateway, world: GatewayWorld) -> None:
        await gateway.perform(pay("a", "00"))
        assert (await gateway.perform(query("a"))).facts.client_tsn == "a"
        await gateway.perform(refund("a", "r1", 100))
        world.faults.add(
            Fault(kind="refund_error"),
            Fault(kind="in_progress", path="refund", seconds=60),
            Fault(kind="close_answer", path="refund", skip=2),
        )
        for expected in (RefundPending, RefundPending):
            assert type(await gateway.perform(refund("a", "r2", 50))) is expected
            facts = (await gateway.perform(query("a"))).facts
            assert facts.client_tsn == ""
        world.advance(60)
        facts = (await gateway.perform(query("a"))).facts
        assert (facts.client_tsn, facts.net_amount) == ("a-r2", 200)
        assert isinstance(await gateway.perform(refund("a", "r3", 200)), OutcomeUnknown)
        facts = (await gateway.perform(query("a"))).facts
        assert (facts.client_tsn, facts.net_amount) == ("a-r3", 0)

    with_gateway(use)


def test_a_revoke_on_the_next_day_is_refused() -> None:
    """I10."""

    async def use(gateway: HttpGateway, world: GatewayWorld) -> None:
        await gateway.perform(pay("a", "00"))
        world.advance(15 * 3600)
        assert isinstance(await gateway.perform(revoke("a")), ReversalRefused)
        assert isinstance(await gateway.perform(refund("a", "r1", 350)), RefundConfirmed)

    with_gateway(use)


def test_the_link_is_proven() -> None:
    async def use(gateway: HttpGateway, _: GatewayWorld) -> LinkReport:
        return await gateway.probe()

    assert with_gateway(use) == LinkReport(state=LinkState.PROVEN)
