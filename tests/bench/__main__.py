"""``python -m tests.bench``: what terminald costs, each figure beside its floor or its peer, all measured in one run.

Nothing here passes or fails: a stopwatch proves nothing on a machine that does other work too. Read the ratios, and how
far min and max lie apart.
"""

import argparse
import os
import platform
import sqlite3
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from tests.bench import idle, latency, receipts, startup
from tests.bench.processes import file_system
from tests.bench.table import Section, encode_json, show
from tests.system.rig import bench

_PARTS = ("sales", "start", "idle", "receipts")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=100, metavar="N", help="sales on each terminal (%(default)s)")
    parser.add_argument("--old-sales", type=int, default=20_000, metavar="N", help="in the old journal (%(default)s)")
    parser.add_argument("--starts", type=int, default=10, metavar="N", help="how often to start each (%(default)s)")
    parser.add_argument("--idle-seconds", type=float, default=10.0, metavar="S", help="a window (%(default)s)")
    parser.add_argument("--idle-windows", type=int, default=2, metavar="N", help="how many windows (%(default)s)")
    parser.add_argument("--only", choices=_PARTS, action="append", help="only this part; may be repeated")
    # Not /tmp, which may be in memory: there a sync costs nothing.
    parser.add_argument("--directory", type=Path, default=Path("/var/tmp"), help="on the disk to measure")  # noqa: S108 - a default that anybody may change
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures here as well")
    return parser.parse_args()


def _measure(args: argparse.Namespace, directory: Path) -> Iterator[Section]:
    wanted: tuple[str, ...] = tuple(args.only or _PARTS)
    bytecode = directory / "bytecode"
    if "sales" in wanted:
        yield from latency.measure(
            directory, bytecode, rounds=args.rounds, starts=args.starts, old_sales=args.old_sales
        )
    if {"start", "idle"} & set(wanted):
        (directory / "still").mkdir()
        with bench(directory / "still") as terminal:
            if "start" in wanted:
                yield startup.measure(terminal, bytecode, rounds=args.starts)
            if "idle" in wanted:
                yield idle.measure(terminal, bytecode, seconds=args.idle_seconds, windows=args.idle_windows)
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
    _say("×: how many times what stands on the line, median and p99. %: its share of the line above.")
    _say(f"{time.monotonic() - begin:.0f} s")
    if args.json:
        args.json.write_bytes(encode_json(sections))


if __name__ == "__main__":
    main()
