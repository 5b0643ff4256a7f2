"""A printer's mechanism: the head that takes its time, the roll that ends, the blade that jams."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Final

from terminald.simulator.printer_escpos import Cut, Item, Request
from terminald.simulator.printer_paper import Paper, Sheet, height
from terminald.simulator.printer_status import Condition

DOTS_PER_MM: Final = 8
#: The near-end sensor sees the roll become thin: a receipt or two are left.
NEAR_END_MM: Final = 200
#: How far a printer reads ahead of its head: a few lines.
AHEAD_DOTS: Final = 160


class Bell:
    """Rings at every change; who waits looks for what it waits for."""

    def __init__(self) -> None:
        self._event = asyncio.Event()

    def ring(self) -> None:
        """Tell everybody that something has changed."""
        self._event.set()

    async def until(self, is_so: Callable[[], bool]) -> None:
        """Return when it is so."""
        while not is_so():
            self._event.clear()
            await self._event.wait()


class Head:
    """Puts things on paper, one after the other, in the time that it takes.

    Args:
        condition: where it reports what stops it, and looks whether it is stopped.
        paper: what it prints on.
        mm_per_second: its speed; 0 takes no time.
        keep: called with each receipt that was cut off.
        report: called after every change.
        bell: rung after every change, of whatever.
    """

    def __init__(
        self,
        *,
        condition: Condition,
        paper: Paper,
        mm_per_second: float,
        keep: Callable[[Sheet], Awaitable[None]],
        report: Callable[[], None],
        bell: Bell,
    ) -> None:
        self._condition = condition
        self._paper = paper
        self._mm_per_second = mm_per_second
        self._keep = keep
        self._report = report
        self._bell = bell
        self._queue: deque[Item] = deque()
        self._left: float | None = None
        self._is_blade_jammed = False

    @property
    def is_idle(self) -> bool:
        """Whether everything that it was given is on paper."""
        return not self._queue

    def load(self, mm: float | None) -> None:
        """Put in a roll with so much paper left; None is more than anybody prints, 0 takes the paper out."""
        self._left = None if mm is None else mm * DOTS_PER_MM
        self._condition.is_paper_out = mm == 0
        self._condition.is_paper_low = mm is not None and mm <= NEAR_END_MM

    def set_blade(self, *, is_jammed: bool) -> None:
        """Jam the blade: the next cut stops the printer. Freeing it, which takes an open cover, ends the error."""
        self._is_blade_jammed = is_jammed
        if not is_jammed:
            self._condition.is_cutter_stuck = False

    def clear(self) -> None:
        """Forget what has not been printed yet."""
        self._queue.clear()

    async def put(self, item: Item) -> None:
        """Take a thing to print, when there is room for it. A cut is waited for: nothing is read ahead of it."""
        await self._bell.until(lambda: sum(map(_dots, self._queue)) < AHEAD_DOTS)
        self._queue.append(item)
        self._bell.ring()
        if isinstance(item, Cut):
            await self.idle()

    async def idle(self) -> None:
        """Return when everything is on paper."""
        await self._bell.until(lambda: self.is_idle)

    async def tear_off(self) -> None:
        """Take what is on paper and was not cut off, as by hand."""
        if (sheet := self._paper.tear_off()) is not None:
            await self._keep(sheet)

    async def run(self) -> None:
        """Print what there is to print, for ever."""
        while True:
            await self._bell.until(lambda: bool(self._queue) and not self._condition.is_off_line)
            item = self._queue[0]
            if not self._may_print(item):
                self._report()
                continue
            dots = _dots(item)
            if self._mm_per_second and dots:
                await asyncio.sleep(dots / DOTS_PER_MM / self._mm_per_second)
            self._use_up(dots)
            if (sheet := self._paper.add(item)) is not None:
                await self._keep(sheet)
            self._queue.popleft()
            self._report()

    def _may_print(self, item: Item) -> bool:
        """Find out what stops this thing; the sensor sits before the head, so a line is printed whole or not at all."""
        if isinstance(item, Cut):
            self._condition.is_cutter_stuck = self._is_blade_jammed
            return not self._is_blade_jammed
        self._condition.is_paper_out = self._left is not None and self._left < _dots(item)
        return not self._condition.is_paper_out

    def _use_up(self, dots: int) -> None:
        if self._left is not None:
            self._left -= dots
            self._condition.is_paper_low |= self._left <= NEAR_END_MM * DOTS_PER_MM


def _dots(item: Item) -> int:
    return 0 if isinstance(item, Cut | Request) else height(item)
