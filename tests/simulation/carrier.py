"""The network between terminald and the simulated gateway, on whatever clock the event loop has."""

import asyncio

import httpx

from terminald.simulator.gateway import GatewayWorld, Plan, Request
from terminald.simulator.gateway_faults import Delivery
from tests.simulation.door import Door


class Carrier(httpx.AsyncBaseTransport):
    """Carries requests as the gateway's plans say. Requests that are under way arrive even if the client dies."""

    def __init__(self, world: GatewayWorld, door: Door) -> None:
        self.world = world
        self.door = door
        self.is_cut = False
        self._under_way: set[asyncio.Task[None]] = set()

    @property
    def is_empty(self) -> bool:
        """Whether nothing is held up on the way."""
        return not self._under_way

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        asked = Request(
            path=request.url.path,
            body=await request.aread(),
            authorization=request.headers["Authorization"],
            content_type=request.headers["Content-Type"],
        )
        if self.is_cut:
            self.door.fail(asked)
            raise httpx.ConnectError("the link is down", request=request)
        plan = self.world.plan(asked)
        self.door.leave(asked, plan)
        try:
            return await self._carry(asked, plan, request)
        finally:
            self.door.give_up(asked)

    async def _carry(self, asked: Request, plan: Plan, request: httpx.Request) -> httpx.Response:
        response = None
        if plan.arrives and plan.arrival_delay_s:
            task = asyncio.create_task(self._arrive(asked, plan.arrival_delay_s))
            self._under_way.add(task)
            task.add_done_callback(self._under_way.discard)
            await asyncio.sleep(3600)
        try:
            await asyncio.sleep(0.02)
            if plan.arrives:
                response = self.world.receive(asked)
                self.door.arrive(asked, response)
        finally:
            self.door.end(asked)
        await asyncio.sleep(0.02 + plan.answer_delay_s + plan.trickle_s)
        if plan.delivery is Delivery.HANG:
            await asyncio.sleep(3600)
        if plan.delivery in (Delivery.CLOSE, Delivery.RESET):
            raise httpx.RemoteProtocolError("the connection was closed", request=request)
        answer = self.world.answer(plan, response)
        self.door.answer(asked, answer, is_true=answer is response)
        return httpx.Response(answer.status, headers=dict(answer.headers), content=answer.body)

    async def _arrive(self, asked: Request, delay_s: float) -> None:
        try:
            await asyncio.sleep(delay_s)
            self.door.arrive(asked, self.world.receive(asked))
        finally:
            self.door.end(asked)

    async def deliver_all(self) -> None:
        """Wait until nothing is under way any more."""
        if self._under_way:
            await asyncio.wait(self._under_way)
