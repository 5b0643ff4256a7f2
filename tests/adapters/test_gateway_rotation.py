"""A payment beside a renewal of the key: one key for all of it, and no refusal, on real sockets."""

import asyncio
import json
from collections.abc import Awaitable, Callable

import pytest

from terminald.adapters.gateway_activation import activate
from terminald.adapters.gateway_http import Credentials, GatewaySettings, HttpGateway
from terminald.core.commands import SubmitPayment
from terminald.core.custody_events import CheckinUnanswered, KeyRenewed, PreviousKeyAccepted
from terminald.core.events import PayConfirmed
from terminald.core.ids import ClientSn, PaymentCode, Secret
from terminald.simulator.gateway import Fault, GatewayWorld, serve
from terminald.wire import upay
from tests.adapters.gateway_orders import BOTH_KEYS, KEY, PAID, PAY, SN, authorization
from tests.adapters.raw_gateway import Act, raw_gateway, says
from tests.adapters.test_gateway_keys import NEW_KEY, renewed


class Held:
    """Holds the terminal's credentials as the custody does, and replaces them all at once."""

    def __init__(self, credentials: Credentials, url: str) -> None:
        self.now = credentials
        settings = GatewaySettings(url=url, connect_timeout_s=5, read_timeout_s=5)
        self.gateway = HttpGateway(settings, credentials=lambda: self.now, on_time=lambda _: None)

    async def renew(self) -> None:
        answer = await self.gateway.check_in()
        assert isinstance(answer, KeyRenewed)
        self.now = Credentials(
            terminal_sn=self.now.terminal_sn,
            device_id=self.now.device_id,
            current=answer.key,
            previous=self.now.current,
            version=self.now.version + 1,
            previous_version=self.now.version,
        )


def answers_when(event: asyncio.Event, act: Act) -> Act:
    async def wait(writer: asyncio.StreamWriter) -> bool:
        await event.wait()
        return await act(writer)

    return wait


def test_each_payment_is_of_one_key_from_its_first_byte_to_its_last() -> None:
    """A slow payment begins before a check-in and ends after it; the next one begins right after it."""

    async def run() -> None:
        is_renewed = asyncio.Event()
        acts = [answers_when(is_renewed, says(PAID)), says(renewed()), says(PAID)]
        async with raw_gateway(*acts) as server:
            held = Held(BOTH_KEYS, server.url)
            slow = asyncio.create_task(held.gateway.perform(PAY))
            while not server.seen:  # noqa: ASYNC110 - until the request has arrived
                await asyncio.sleep(0)
            await held.renew()
            assert not slow.done()
            assert isinstance(await held.gateway.perform(PAY), PayConfirmed)
            is_renewed.set()
            assert isinstance(await slow, PayConfirmed)
            await held.gateway.aclose()
            keys = [
                next(key for key in (KEY, NEW_KEY) if one.headers["authorization"] == authorization(SN, one.body, key))
                for one in server.seen
            ]
            assert keys == [KEY, KEY, NEW_KEY]
            assert {json.loads(one.body)["terminal_sn"] for one in server.seen} == {SN}

    asyncio.run(run())


# --- with the rules of a gateway -------------------------------------------------------------------------------------


def with_terminal(use: Callable[[Held, GatewayWorld], Awaitable[None]]) -> None:
    """Activate a terminal at a fresh gateway that keeps two keys, and use it."""

    async def run() -> None:
        loop = asyncio.get_running_loop()
        begun_s = loop.time()
        world = GatewayWorld(
            clock=lambda: loop.time() - begun_s,
            vendor_sn="v1",
            vendor_key="vk",
            app_id="app",
            activation_codes={"11112222": 1},
        )
        port: asyncio.Future[int] = loop.create_future()
        server = asyncio.create_task(serve(world, "127.0.0.1", 0, ready=port.set_result))
        url = f"http://127.0.0.1:{await port}"
        settings = GatewaySettings(url=url, connect_timeout_s=5, read_timeout_s=5)
        body = upay.encode_activate(app_id="app", code=Secret("11112222"), device_id="d1", name="lobby")
        activated = await activate(settings, body, vendor_sn="v1", vendor_key=Secret("vk"))
        assert isinstance(activated, upay.Activated)
        first = Credentials(
            terminal_sn=activated.terminal_sn,
            device_id="d1",
            current=activated.terminal_key,
            previous=None,
            version=1,
            previous_version=None,
        )
        held = Held(first, url)
        try:
            await use(held, world)
        finally:
            await held.gateway.aclose()
            server.cancel()
            await asyncio.gather(server, return_exceptions=True)

    asyncio.run(run())


def pay(name: str) -> SubmitPayment:
    code = PaymentCode(f"1308{sum(name.encode()):012}00")
    return SubmitPayment(client_sn=ClientSn(name), token=1, amount=PAY.amount, code=code, text=PAY.text)


@pytest.mark.parametrize("renewals_before", [0, 1, 3])
@pytest.mark.parametrize("kind", ["delay_request", "slow"])
def test_no_payment_is_refused_for_a_check_in_beside_it(kind: str, renewals_before: int) -> None:
    """One arrives before the check-in, one after it with the old key, and one right after it with the new one."""

    async def use(held: Held, world: GatewayWorld) -> None:
        for _ in range(renewals_before):
            await held.renew()
        fault = Fault(kind=kind, path="pay", client_sn="late", seconds=0.3)  # type: ignore[arg-type]  # one of the literals
        world.faults.add(fault)
        late = asyncio.create_task(held.gateway.perform(pay("late")))
        while len(world.faults):  # noqa: ASYNC110 - until the request has been read
            await asyncio.sleep(0)
        await held.renew()
        assert isinstance(await held.gateway.perform(pay("next")), PayConfirmed)
        assert isinstance(await late, PayConfirmed)
        assert [order.submits for order in world.books.orders.values()] == [1, 1]

    with_terminal(use)


def test_a_payment_between_the_gateways_renewal_and_ours_is_accepted() -> None:
    """The gateway has the new key already; the answer with it is on its way, or lost."""

    async def use(held: Held, world: GatewayWorld) -> None:
        await held.renew()
        world.faults.add(Fault(kind="close_answer", path="checkin"))
        assert isinstance(await held.gateway.check_in(), CheckinUnanswered)
        assert isinstance(await held.gateway.perform(pay("a")), PayConfirmed)

    with_terminal(use)


def test_a_new_key_that_is_not_accepted_costs_no_payment() -> None:
    """I2: the gateway refuses the signature, and so did nothing; the other valid key signs the same bytes."""

    async def use(held: Held, world: GatewayWorld) -> None:
        await held.renew()
        world.faults.add(Fault(kind="illegal_sign", path="pay"), Fault(kind="illegal_sign", path="query"))
        assert isinstance(await held.gateway.perform(pay("a")), PayConfirmed)
        assert isinstance(await held.gateway.prove(), PreviousKeyAccepted)

    with_terminal(use)
