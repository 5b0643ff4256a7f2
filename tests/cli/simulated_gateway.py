"""The simulated gateway on a real loopback socket, for commands that speak to it from the same process."""

import asyncio
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from terminald.simulator.gateway import GatewayWorld, serve

VENDOR_SN, APP_ID, VENDOR_KEY = "V100", "A100", "vendor-key-7d1f0c2b"


@dataclass(frozen=True, kw_only=True)
class RunningGateway:
    url: str
    world: GatewayWorld


@contextmanager
def running_gateway(**codes: int) -> Iterator[RunningGateway]:
    """Serve a gateway in a thread until this is left. Codes are activation codes with their uses."""
    world = GatewayWorld(
        clock=time.monotonic,
        vendor_sn=VENDOR_SN,
        vendor_key=VENDOR_KEY,
        app_id=APP_ID,
        activation_codes=codes,
    )
    loop = asyncio.new_event_loop()
    port: list[int] = []
    listens = threading.Event()

    def ready(bound: int) -> None:
        port.append(bound)
        listens.set()

    serving = loop.create_task(serve(world, "127.0.0.1", 0, ready=ready))

    def run() -> None:
        try:
            loop.run_until_complete(asyncio.wait({serving}))
        finally:
            loop.close()

    thread = threading.Thread(target=run)
    thread.start()
    try:
        assert listens.wait(30)
        yield RunningGateway(url=f"http://127.0.0.1:{port[0]}", world=world)
    finally:
        loop.call_soon_threadsafe(serving.cancel)
        thread.join()
