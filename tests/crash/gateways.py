"""Simulated gateways on real sockets, all on one loop in a thread of its own: each daemon has one with empty books."""

import asyncio
import copy
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from typing import Final, Self, TypeVar

from terminald.simulator.gateway import Fault, GatewayWorld, serve
from terminald.simulator.gateway_books import Books, Order
from terminald.simulator.gateway_terminals import Terminal

VENDOR_KEY: Final = "vendor-key-0f9a3c"
ACTIVATION_CODE: Final = "4821736605"
#: How much faster than in life customers and late answers are.
SPEED: Final = 10.0
#: Nothing here takes so long.
_PATIENCE_S: Final = 30.0

T = TypeVar("T")


class Gateway:
    """One gateway, seen from other threads than its own."""

    def __init__(self, loop: asyncio.AbstractEventLoop, world: GatewayWorld, port: int) -> None:
        """World is touched on the loop only."""
        self._loop = loop
        self._world = world
        self.url = f"http://127.0.0.1:{port}"

    def orders(self) -> list[Order]:
        """Return the orders as of now."""
        return list(self.books().orders.values())

    def books(self) -> Books:
        """Return the books as of now."""

        def look(world: GatewayWorld) -> Books:
            world.view()
            return copy.deepcopy(world.books)

        return self._ask(look)

    def terminals(self) -> dict[str, Terminal]:
        """Return who was activated here."""
        return self._ask(lambda world: dict(world.terminals.by_sn))

    def pay(self, client_sn: str) -> bool:
        """Let the customer of an order pay; False when it does not wait for one."""
        return self._ask(lambda world: world.customer("pay", client_sn=client_sn))

    def arm(self, *faults: Fault) -> None:
        """Let these happen."""
        self._ask(lambda world: world.faults.add(*faults))

    def _ask(self, what: Callable[[GatewayWorld], T]) -> T:
        async def answer() -> T:
            return what(self._world)

        return asyncio.run_coroutine_threadsafe(answer(), self._loop).result(_PATIENCE_S)


class Gateways:
    """The loop on which gateways live."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="gateways")

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(_PATIENCE_S)
        self._loop.close()

    @contextmanager
    def open(self, terminals: dict[str, Terminal] | None = None) -> Iterator[Gateway]:
        """Serve a gateway that knows these terminals, and no order."""
        began = time.monotonic()
        world = GatewayWorld(
            clock=lambda: time.monotonic() - began,
            epoch_s=time.time(),
            seed=1,
            speed=SPEED,
            vendor_sn="V100",
            vendor_key=VENDOR_KEY,
            app_id="A100",
            activation_codes={ACTIVATION_CODE: 1},
        )
        world.terminals.by_sn.update(terminals or {})
        bound, over = Future[int](), threading.Event()

        async def live() -> None:
            try:
                await serve(world, "127.0.0.1", 0, ready=bound.set_result)
            finally:
                over.set()

        serving = asyncio.run_coroutine_threadsafe(live(), self._loop)
        try:
            yield Gateway(self._loop, world, bound.result(_PATIENCE_S))
        finally:
            serving.cancel()
            over.wait(_PATIENCE_S)
