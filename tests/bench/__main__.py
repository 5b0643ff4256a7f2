"""``python -m tests.bench``: what terminald costs, each figure beside its floor or its peer, all measured in one run.

Nothing here passes or fails: a stopwatch proves nothing on a machine that does other work too. Read the ratios, and how
far min and max lie apart.
"""

import argparse
import contextlib
import os
import platform
import sqlite3
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from tests.bench import distance, idle, latency, listeners, printing, receipts, startup
from tests.bench.growth import Growing
from tests.bench.processes import file_system
from tests.bench.table import Section, encode_json, show
from tests.system.rig import bench

_PARTS = ("sales", "past", "distance", "listeners", "start", "idle", "memory", "printing", "receipts")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__.partition("\n")[0])
    parser.add_argument("rows", nargs="*", metavar="ROWS", help=f"only these of {', '.join(_PARTS)}")
    parser.add_argument("--rounds", type=int, default=100, metavar="N", help="sales on each terminal (%(default)s)")
    parser.add_argument(
        "--old-sales", type=int, default=1_000_000, metavar="N", help="in the old journal (%(default)s)"
    )
    parser.add_argument("--starts", type=int, default=10, metavar="N", help="how often to start each (%(default)s)")
    parser.add_argument("--idle-seconds", type=float, default=10.0, metavar="S", help="a window (%(default)s)")
    parser.add_argument("--idle-windows", type=int, default=2, metavar="N", help="how many windows (%(default)s)")
    parser.add_argument("--sales", type=int, default=2000, metavar="N", help="until memory is looked at (%(default)s)")
    parser.add_argument("--rest", type=float, default=185.0, metavar="S", help="and then how long after (%(default)s)")
    # Not /tmp, which may be in memory: there a sync costs nothing.
    parser.add_argument("--directory", type=Path, default=Path("/var/tmp"), help="on the disk to measure")  # noqa: S108 - a default that anybody may change
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures here as well")
    args = parser.parse_args()
    if unknown := set(args.rows) - set(_PARTS):
        parser.error(f"not among the rows: {', '.join(sorted(unknown))}; there are {', '.join(_PARTS)}")
    return args


def _measure(args: argparse.Namespace, directory: Path) -> Iterator[Section]:
    wanted = set(args.rows or _PARTS)
    with contextlib.ExitStack() as stack:
        growing = None
        if "memory" in wanted:
            (directory / "growing").mkdir()
            terminal = stack.enter_context(bench(directory / "growing"))
            growing = Growing(terminal, sales=args.sales, rest_s=args.rest)
        # What it has sold is forgotten meanwhile.
        yield from _beside(args, directory, wanted)
        if growing is not None:
            yield growing.finish()


def _beside(args: argparse.Namespace, directory: Path, wanted: set[str]) -> Iterator[Section]:
    bytecode = directory / "bytecode"
    if {"sales", "past"} & wanted:
        old_sales = args.old_sales if "past" in wanted else 0
        yield from latency.measure(directory, bytecode, rounds=args.rounds, starts=args.starts, old_sales=old_sales)
    if "distance" in wanted:
        yield distance.measure(directory, rounds=max(1, args.rounds // 3))
    if "listeners" in wanted:
        yield listeners.measure(directory, rounds=args.rounds)
    if {"start", "idle"} & wanted:
        (directory / "still").mkdir()
        with bench(directory / "still") as terminal:
            if "start" in wanted:
                yield startup.measure(terminal, bytecode, rounds=args.starts)
            if "idle" in wanted:
                yield idle.measure(terminal, bytecode, seconds=args.idle_seconds, windows=args.idle_windows)
    if "printing" in wanted:
        yield printing.measure(directory / "printing", calls=max(20, 2 * args.rounds))
    if "receipts" in wanted:
        yield receipts.measure()


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def main() -> None:
    args = _arguments()
    begin = time.monotonic()
    _say(
        f"{platform.machine()}, {os.cpu_count()} processors, load {os.getloadavg()[0]:.1f}, "
        f"Linux {platform.release()}, Python {platform.python_version()}, SQLite {sqlite3.sqlite_version}"
    )
    _say(f"journals on {file_system(args.directory)}\n")
    sections: list[Section] = []
    with tempfile.TemporaryDirectory(dir=args.directory, prefix="terminald-bench-") as directory:
        for section in _measure(args, Path(directory)):
            show(section)
            sections.append(section)
    _say("Wanted: at most so much, or at most so many times what stands on the line. A table judges no machine.")
    _say("×: how many times what stands on the line, median and p99. %: its share of the line above.")
    _say(f"{time.monotonic() - begin:.0f} s")
    if args.json:
        args.json.write_bytes(encode_json(sections))


if __name__ == "__main__":
    main()
