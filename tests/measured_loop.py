"""An event loop that knows how long each of its turns kept everything else waiting."""

import asyncio
import selectors
import threading
import time
from pathlib import Path


class MeasuredSelector(selectors.DefaultSelector):
    """Measures from the end of one wait to the beginning of the next: that is one turn of the loop.

    The time in which the thread was ready to run and the machine did something else does not count: it says nothing
    about the code. What remains is what the code computed, and what it slept.
    """

    def __init__(self) -> None:
        super().__init__()
        #: The longest turn so far, in seconds, and how many there were.
        self.longest_s = 0.0
        self.turns = 0
        self._tally = Path(f"/proc/self/task/{threading.get_native_id()}/schedstat")
        self._begun: tuple[float, float] | None = None

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """Wait as ever."""
        if self._begun is not None:
            begun_s, waited_s = self._begun
            ended_s, waited_by_then_s = self._now()
            turn_s = ended_s - begun_s - (waited_by_then_s - waited_s)
            self.longest_s = max(self.longest_s, turn_s)
            self.turns += 1
        ready: list[tuple[selectors.SelectorKey, int]] = super().select(timeout)
        self._begun = self._now()
        return ready

    def _now(self) -> tuple[float, float]:
        """Return the time, and for how long the thread had waited by then: it waited for nothing between the two."""
        waited_s = self._waited_s()
        while True:
            before_s, now_s, waited_s = waited_s, time.monotonic(), self._waited_s()
            if before_s == waited_s:
                return now_s, waited_s

    def _waited_s(self) -> float:
        """Return for how long this thread has waited for a processor: the second number, nanoseconds (proc(5))."""
        try:
            return int(self._tally.read_text().split()[1]) / 1e9
        except (OSError, IndexError):
            return 0.0


class MeasuredLoop(asyncio.SelectorEventLoop):
    """A loop with such a selector. It is to be run in the thread that made it."""

    def __init__(self) -> None:
        self.measured = MeasuredSelector()
        super().__init__(self.measured)
