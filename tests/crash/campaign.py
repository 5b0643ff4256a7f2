"""Many points at a time: what is to be done, shared among threads with a stage each, and the sums of it."""

import queue
import threading
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import islice
from typing import Final, TypeVar

from tests.crash.boundary import Kind
from tests.crash.points import SALES_AT_ONCE, TRIES, Actor, Point, Result, deaths, faults
from tests.crash.sales import Kind as SaleKind
from tests.crash.stage import Theatre

#: How often a sale is lived to see what calls it takes.
COUNTED: Final = 3

Work = TypeVar("Work")


@dataclass(slots=True)
class Task:
    """Points of one sale that are tried together: one death, or some faults."""

    sale: SaleKind
    points: list[Point]
    tries_left: int = TRIES


@dataclass(slots=True)
class Tally:
    """What came of all points."""

    #: How often each sale ended how, by what it was and what happened.
    ends: defaultdict[tuple[str, str], Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    #: Points of each sale, by kind.
    points: Counter[tuple[str, Kind]] = field(default_factory=Counter)
    #: Points at which the host was told that the journal can not be written.
    refused: int = 0
    violations: list[str] = field(default_factory=list)

    def add(self, sale: SaleKind, result: Result) -> None:
        """Add what came of one point."""
        self.points[sale.name, result.point.kind] += 1
        self.ends[sale.name, result.point.way.value][result.end or "nothing"] += 1
        self.refused += result.was_refused
        self.violations += [f"{sale.name}, {result.point}: {one}" for one in result.violations]

    def miss(self, sale: SaleKind, points: Iterable[Point]) -> None:
        """Note that points were never reached: the harness does not do what it says."""
        self.violations += [f"{sale.name}, {point}: never reached" for point in points]


def plan(
    counts: dict[SaleKind, dict[Kind, int]], *, parts: Collection[str], kinds: Collection[Kind], every: int = 1
) -> list[Task]:
    """Return all that is to be done at calls of these kinds; of every so many points one."""
    tasks = []
    for sale, counted in counts.items():
        count = {kind: number if kind in kinds else 0 for kind, number in counted.items()}
        if "deaths" in parts:
            tasks += [Task(sale, [point]) for point in islice(deaths(count), 0, None, every)]
        if "faults" in parts:
            chunk = SALES_AT_ONCE if sale.before is None else 1
            tasks += [Task(sale, points) for points in _chunks(islice(faults(count), 0, None, every), chunk)]
    return tasks


def _chunks(points: Iterator[Point], size: int) -> Iterator[list[Point]]:
    while chunk := list(islice(points, size)):
        yield chunk


def count(theatre: Theatre, sales: Iterable[SaleKind], *, jobs: int) -> dict[SaleKind, dict[Kind, int]]:
    """Return how many calls each sale takes at least: several events may go to the host with one call, or not."""
    counts = dict[SaleKind, dict[Kind, int]]()
    lock = threading.Lock()

    def act(actor: Actor, sale: SaleKind) -> None:
        found = actor.count(sale)
        with lock:
            known = counts.get(sale, found)
            counts[sale] = {kind: min(found[kind], known[kind]) for kind in Kind}

    _share(theatre, [sale for sale in sales for _ in range(COUNTED)], act, jobs=jobs)
    return counts


def run(
    theatre: Theatre,
    tasks: Sequence[Task],
    *,
    jobs: int,
    note: Callable[[Tally, int], None] = lambda *_: None,
    is_lying: bool = False,
) -> Tally:
    """Do all of it, so many at a time; note is called with the number of points that are left."""
    tally, lock = Tally(), threading.Lock()
    left = sum(len(task.points) for task in tasks)

    def act(actor: Actor, task: Task) -> Task | None:
        nonlocal left
        actor.is_lying = is_lying
        results = actor.do(task.sale, task.points)
        reached = {result.point for result in results}
        missing = [point for point in task.points if point not in reached]
        again = Task(task.sale, missing, task.tries_left - 1) if missing and task.tries_left > 1 else None
        with lock:
            left -= len(results)
            for result in results:
                tally.add(task.sale, result)
            if missing and again is None:
                left -= len(missing)
                tally.miss(task.sale, missing)
            note(tally, left)
        return again

    _share(theatre, tasks, act, jobs=jobs)
    return tally


def _share(theatre: Theatre, work: Iterable[Work], act: Callable[[Actor, Work], Work | None], *, jobs: int) -> None:
    """Have so many actors take one after the other; what one of them returns is to be done again."""
    waiting, has_failed = queue.SimpleQueue[Work](), threading.Event()
    for one in work:
        waiting.put(one)
    jobs = min(jobs, waiting.qsize())

    def perform() -> None:
        is_done = False
        try:
            with theatre.stage() as stage, suppress(queue.Empty):
                actor = Actor(theatre, stage)
                while not has_failed.is_set():
                    again = act(actor, waiting.get_nowait())
                    if again is not None:
                        waiting.put(again)
            is_done = True
        finally:
            if not is_done:
                has_failed.set()

    with ThreadPoolExecutor(max(jobs, 1), thread_name_prefix="actor") as actors:
        for performing in [actors.submit(perform) for _ in range(jobs)]:
            performing.result()
