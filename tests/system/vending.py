"""A vending machine on the bench: the simulated one in a thread, and the daemon's configuration for it."""

import asyncio
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Self, TypeVar

from terminald.simulator.vmc import Books, MachineModel, SimulatedVmc, obey
from tests.system.rig import PATIENCE_S, Bench

T = TypeVar("T")

VENDING = """
[[vending]]
name = "snacks"
device = "{directory}/vmc"
answer_limit = "{answer_limit}"
result_window = "{result_window}"
on_unknown = "{on_unknown}"
"""
PRICE, FEN, ITEM = "3.50", 350, "5"


class VendingMachine:
    """A machine whose customer is the test; it lives in a thread of its own."""

    def __init__(self, link: Path) -> None:
        self._link = link
        self._loop = asyncio.new_event_loop()
        self._vmc: SimulatedVmc | None = None
        self._stop = asyncio.Event()
        self._started = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._started.wait(PATIENCE_S)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(PATIENCE_S)

    def do(self, line: str) -> str | None:
        """Do what a person types; see ``terminald simulate vmc``."""
        return self._ask(lambda vmc: obey(vmc, line))

    def status(self) -> str:
        """Return the reader's state."""
        return self._ask(lambda vmc: vmc.status)

    def books(self) -> Books:
        """Return what was asked for, approved and dispensed. To be read only."""
        return self._ask(lambda vmc: vmc.books)

    def display(self) -> str:
        """Return what the customer reads on the machine."""
        return self._ask(lambda vmc: vmc.machine.display)

    def _ask(self, what: Callable[[SimulatedVmc], T]) -> T:
        async def answer() -> T:
            assert self._vmc is not None
            return what(self._vmc)

        return asyncio.run_coroutine_threadsafe(answer(), self._loop).result(PATIENCE_S)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_until_complete(self._serve())
        finally:
            self._loop.close()

    async def _serve(self) -> None:
        model = MachineModel(step_s=0.02, dispensing_s=0.3)
        async with SimulatedVmc(link=self._link, model=model) as vmc:
            self._vmc = vmc
            self._started.set()
            await self._stop.wait()


def configure(bench: Bench, *, answer_limit: str = "60s", result_window: str = "30s", on_unknown: str = "keep") -> None:
    """Give the terminal a vending machine, once."""
    text = VENDING.format(
        directory=bench.directory, answer_limit=answer_limit, result_window=result_window, on_unknown=on_unknown
    )
    bench.config.write_text(bench.config.read_text() + text)
