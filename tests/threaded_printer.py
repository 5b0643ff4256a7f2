"""A simulated printer for tests whose own event loop belongs to somebody else, or that have none."""

import asyncio
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Self

from terminald.simulator.printer import SimulatedPrinter


class ThreadedPrinter:
    """A simulated printer with an event loop of its own. It must be made in the thread that uses it."""

    def __init__(self, make: Callable[[], SimulatedPrinter]) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self.printer = make()

    def __enter__(self) -> Self:
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self.printer.__aenter__(), self._loop).result(10)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        asyncio.run_coroutine_threadsafe(self.printer.__aexit__(None, None, None), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    def do(self, what: Callable[[], None]) -> None:
        """Have something done to the printer, and wait until it is."""

        async def act() -> None:
            what()

        asyncio.run_coroutine_threadsafe(act(), self._loop).result(10)

    def texts(self) -> list[str]:
        return [sheet.text for sheet in list(self.printer.receipts)]
