"""Virtual time for long histories: what is to happen, in order, and coroutines that wait for it.

Far less than an event loop, and so fast that a year takes a second: nothing is polled, and a coroutine runs until it
waits for a :class:`Reply`.
"""

import heapq
from collections.abc import Callable, Coroutine, Generator
from typing import Generic, TypeVar

T = TypeVar("T")
Work = Callable[[], None]

SECOND = 1_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR


class Agenda:
    """What is still to happen. Times are milliseconds since the history began."""

    def __init__(self) -> None:
        self.now = 0
        self._heap: list[tuple[int, int, Work]] = []
        self._number = 0

    def at(self, when: float, work: Work) -> None:
        """Have work done then; work of one moment in the order in which it was asked for."""
        self._number += 1
        heapq.heappush(self._heap, (max(int(when), self.now), self._number, work))

    def after(self, wait: float, work: Work) -> None:
        self.at(self.now + wait, work)

    def run(self, until: int) -> None:
        while self._heap and self._heap[0][0] <= until:
            self.now, _, work = heapq.heappop(self._heap)
            work()
        self.now = until


class Reply(Generic[T]):
    """What a coroutine waits for."""

    def __init__(self, tasks: "Tasks") -> None:
        self._tasks = tasks
        self._value: T

    def __await__(self) -> Generator[None, None, T]:
        self._tasks.awaited = self
        yield
        return self._value

    def give(self, value: T) -> None:
        """Let the coroutine go on with it. Nothing happens when it was given before, or the process is gone."""
        if self._tasks.is_waiting(self):
            self._value = value
            self._tasks.go_on(self)


class Tasks:
    """The coroutines of one process, which end with it."""

    def __init__(self) -> None:
        #: What the coroutine that ran last waits for.
        self.awaited: object = None
        self._waiting: dict[object, Coroutine[None, None, None]] = {}

    def is_waiting(self, reply: object) -> bool:
        return reply in self._waiting

    def start(self, coroutine: Coroutine[None, None, None]) -> None:
        """Run until it waits for something."""
        try:
            coroutine.send(None)
        except StopIteration:
            return
        self._waiting[self.awaited] = coroutine

    def go_on(self, reply: object) -> None:
        self.start(self._waiting.pop(reply))

    def kill(self) -> None:
        """End them where they are."""
        for coroutine in self._waiting.values():
            coroutine.close()
        self._waiting.clear()


def run_at_once(coroutine: Coroutine[None, None, None]) -> None:
    """Run to the end what waits for nothing."""
    try:
        coroutine.send(None)
    except StopIteration:
        return
    raise AssertionError("it waits for something")
