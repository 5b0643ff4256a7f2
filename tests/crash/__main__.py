"""``python -m tests.crash``: dies at every call of every canonical sale, and lets the disk fail at every write.

Exit code 1 when something is wrong afterwards, or a point was not reached.
"""

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path

from tests.crash.boundary import Kind
from tests.crash.campaign import Tally, count, plan, run
from tests.crash.sales import KINDS
from tests.crash.stage import theatre

_PARTS = ("deaths", "faults")
#: A progress line is written so often where nobody looks at a terminal.
_LINE_EVERY_S = 20.0
_COLUMN = 10
#: Most of the time is spent waiting for what a daemon tries again after a second.
_JOBS = 12 * (os.cpu_count() or 1)


class _Progress:
    """Says how far it is."""

    def __init__(self, total: int) -> None:
        self._total = total
        self._began = self._said = time.monotonic()

    def note(self, tally: Tally, left: int) -> None:
        now = time.monotonic()
        is_tty = sys.stderr.isatty()
        if not is_tty and left and now < self._said + _LINE_EVERY_S:
            return
        self._said = now
        line = f"{self._total - left} of {self._total} points, {len(tally.violations)} violations, "
        line += f"{now - self._began:.0f} s"
        sys.stderr.write(f"\r{line}\033[K" if is_tty else f"{line}\n")
        sys.stderr.flush()


def _row(name: str, cells: list[str]) -> str:
    return f"{name:<22}{''.join(f'{cell:>{_COLUMN}}' for cell in cells)}\n"


def _table(tally: Tally) -> str:
    text = _row("points", [kind.name.lower() for kind in Kind] + ["all"])
    sales = [sale.name for sale in KINDS if any(name == sale.name for name, _ in tally.points)]
    for name in sales:
        cells = [tally.points[name, kind] for kind in Kind]
        text += _row(name, [str(cell or "-") for cell in [*cells, sum(cells)]])
    sums = [sum(tally.points[name, kind] for name in sales) for kind in Kind]
    text += _row("all", [str(cell) for cell in [*sums, sum(sums)]])
    text += "\nhow the sales ended\n"
    for (name, way), ends in sorted(tally.ends.items()):
        told = ", ".join(f"{end} {number}" for end, number in ends.most_common())
        text += f"{name:<22}{way:<22}{told}\n"
    return text


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.crash", description=__doc__.partition("\n")[0])
    parser.add_argument("--jobs", type=int, default=_JOBS, help="at a time (%(default)s)")
    parser.add_argument("--every", type=int, default=1, metavar="N", help="of N points take one")
    parser.add_argument("--only", default="", metavar="WORDS", help="the sales with these words in their names")
    parser.add_argument("--part", choices=_PARTS, action="append", help="deaths or faults of the disk (both)")
    parser.add_argument(
        "--kind", choices=[kind.name.lower() for kind in Kind], action="append", help="calls of this kind (all)"
    )
    parser.add_argument(
        "--lie", action="store_true", help="with a disk that syncs nothing and does not say so: must be found out"
    )
    arguments = parser.parse_args()
    sales = [sale for sale in KINDS if arguments.only in sale.name]
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="crash-") as directory, theatre(Path(directory)) as shown:
        counts = count(shown, sales, jobs=arguments.jobs)
        kinds = [kind for kind in Kind if not arguments.kind or kind.name.lower() in arguments.kind]
        tasks = plan(counts, parts=arguments.part or _PARTS, kinds=kinds, every=arguments.every)
        progress = _Progress(sum(len(task.points) for task in tasks))
        tally = run(shown, tasks, jobs=arguments.jobs, note=progress.note, is_lying=arguments.lie)
    sys.stdout.write(f"\n{_table(tally)}\n")
    for violation in tally.violations:
        sys.stdout.write(f"VIOLATION {violation}\n")
    done = sum(tally.points.values())
    sys.stdout.write(f"{done} points, {tally.refused} of them refused to the host, {len(tally.violations)} violations ")
    sys.stdout.write(f"({(time.monotonic() - began) / 60:.0f} min)\n")
    return 1 if tally.violations else 0


if __name__ == "__main__":
    sys.exit(main())
