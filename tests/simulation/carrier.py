"""The network between terminald and the simulated gateway, on whatever clock the event loop has."""

import asyncio

import httpx

from terminald.simulator.gateway import GatewayWorld, Request
from terminald.simulator.gateway_faults import Delivery


class Carrier(httpx.AsyncBaseTransport):
    """Carries requests as the gateway's plans say. Requests that are under way arrive even if the client dies."""

    def __init__(self, world: GatewayWorld) -> None:
        self.world = world
        self.is_cut = False
        self._under_way: set[asyncio.Task[None]] = set()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if self.is_cut:
            raise httpx.ConnectError("the link is down", request=request)
        asked = Request(
            path=request.url.path,
            body=await request.aread(),
            authorization=request.headers["Authorization"],
            content_type=request.headers["Content-Type"],
        )
        plan = self.world.plan(asked)
        await asyncio.sleep(0.02)
        response = None
        if plan.arrives and plan.arrival_delay_s:
            task = asyncio.create_task(self._arrive(asked, plan.arrival_delay_s))
            self._under_way.add(task)
            task.add_done_callback(self._under_way.discard)
            await asyncio.sleep(3600)
        if plan.arrives:
            response = self.world.receive(asked)
        await asyncio.sleep(0.02 + plan.answer_delay_s + plan.trickle_s)
        if plan.delivery is Delivery.HANG:
            await asyncio.sleep(3600)
        if plan.delivery in (Delivery.CLOSE, Delivery.RESET):
            raise httpx.RemoteProtocolError("the connection was closed", request=request)
        answer = self.world.answer(plan, response)
        return httpx.Response(answer.status, headers=dict(answer.headers), content=answer.body)

    async def _arrive(self, asked: Request, delay_s: float) -> None:
        await asyncio.sleep(delay_s)
        self.world.receive(asked)

    async def deliver_all(self) -> None:
        """Wait until nothing is under way any more."""
        if self._under_way:
            await asyncio.wait(self._under_way)
