"""A day of sales on virtual time: ``python -m tests.simulation.soak_day``. Exit code 1 when something grows.

The real core, engine, journal and codecs sell every ten seconds from one midnight to the next, and nothing goes wrong:
what the process holds in the end is what it holds for every sale that it ever made. A process of this kind has the
simulated gateway in it as well, whose books grow, as books do: they are emptied of what is long over.
"""

import argparse
import asyncio
import gc
import logging
import os
import sys
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from tests.bench.processes import memory_mb
from tests.simulation.history import History
from tests.simulation.virtual_time import run_virtually

HOUR_S = 3600.0
#: Between two sales.
EVERY_S = 10.0
#: What the process may be larger by in the end than after the first quarter.
MOST_GROWTH_MB = 2.0
#: SQLite empties the write-ahead log at 1,000 pages.
MOST_LOG_MB = 8.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """The process at one moment."""

    hour: int
    sales: int
    in_book: int
    tasks: int
    descriptors: int
    resident_mb: float
    log_mb: float


async def pay(history: History, reference: str) -> None:
    """Present a code that is paid at once, as almost all are."""
    await asyncio.sleep(1.0)
    number = int(reference.partition("-")[2])
    await history.scan(reference, f"13{number:014d}99")


def _look(history: History, hour: int, sales: int) -> Sample:
    gc.collect()
    log = history.path.with_name(f"{history.path.name}-wal")
    assert history.engine is not None
    return Sample(
        hour=hour,
        sales=sales,
        in_book=len(history.engine.book.sales),
        tasks=len(asyncio.all_tasks()),
        descriptors=len(list(Path("/proc/self/fd").iterdir())),
        resident_mb=memory_mb(os.getpid())[0],
        log_mb=log.stat().st_size / 1e6 if log.exists() else 0.0,
    )


def _show(sample: Sample) -> None:
    sys.stdout.write(
        f"{sample.hour:3} h {sample.sales:6} sales  {sample.in_book:3} in the book  {sample.tasks:2} tasks  "
        f"{sample.descriptors:2} descriptors  {sample.resident_mb:6.1f} MB resident  {sample.log_mb:4.1f} MB log\n"
    )
    sys.stdout.flush()


def _forget(history: History) -> None:
    """The gateway's books and the judge's notes are not terminald's."""
    books = history.gateway.books
    for notes in (books.orders, books._by_sn, books._spent_codes, history.gateway._planned):
        notes.clear()
    history.door.forget()


async def live(path: Path, hours: int) -> list[Sample]:
    """Sell for so long; return what was seen at each full hour."""
    history = History(0, path)
    daemon = asyncio.create_task(history.serve())
    samples, sales = list[Sample](), 0
    begun_s = asyncio.get_running_loop().time()
    for hour in range(1, hours + 1):
        while asyncio.get_running_loop().time() < begun_s + hour * HOUR_S:
            sales += 1
            await history.sell(f"order-{sales}", 350, pay)
            await asyncio.sleep(max(0.0, begun_s + sales * EVERY_S - asyncio.get_running_loop().time()))
        found = history.door.found
        assert found == [], found
        _forget(history)
        samples.append(_look(history, hour, sales))
        _show(samples[-1])
    daemon.cancel()
    with suppress(asyncio.CancelledError):
        await daemon
    return samples


def _growth(samples: list[Sample]) -> list[str]:
    warm, last = samples[max(0, len(samples) // 4 - 1)], samples[-1]
    found = [
        f"{name} grew from {getattr(warm, name)} to {getattr(last, name)}"
        for name in ("in_book", "tasks", "descriptors")
        if getattr(last, name) > getattr(warm, name) + 1
    ]
    if last.resident_mb > warm.resident_mb + MOST_GROWTH_MB:
        found.append(f"resident memory grew by {last.resident_mb - warm.resident_mb:.1f} MB")
    if max(sample.log_mb for sample in samples) > MOST_LOG_MB:
        found.append("the write-ahead log grew")
    return found


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation.soak_day", description=__doc__.partition("\n")[0])
    parser.add_argument("--hours", type=int, default=24, help="how long (%(default)s)")
    hours = parser.parse_args().hours
    logging.disable()
    with tempfile.TemporaryDirectory() as directory:
        found = _growth(run_virtually(live(Path(directory) / "journal.db", hours)))
    sys.stdout.writelines(f"{what}\n" for what in found or ["nothing grew"])
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
