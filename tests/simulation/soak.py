"""Live through many histories on all cores: ``python -m tests.simulation.soak SEEDS``. Exit code 1 on a violation.

A happening that is expected and never happened is a failure as well, of the simulation.
"""

import logging
import os
import sys
import tempfile
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from tests.simulation.happenings import missing, table
from tests.simulation.worlds import MONEY_WORLDS

#: With fewer histories something rare may well not happen.
ENOUGH = 1000
#: How long the bar is that shows the progress.
_BAR = 40


def judge(seed: int) -> tuple[int, list[tuple[str, str]], dict[str, Counter[str]]]:
    """Live one history of each sort; return every violation with its sort, and what happened by sort."""
    logging.disable()
    found, seen = list[tuple[str, str]](), dict[str, Counter[str]]()
    with tempfile.TemporaryDirectory() as directory:
        for name, live in MONEY_WORLDS.items():
            lived = live(seed, Path(directory) / f"{name}.db", frozenset())
            found += [(name, what) for what in lived.violations]
            seen[name] = lived.happenings
    return seed, found, seen


def main() -> int:
    first, seeds = (0, int(sys.argv[1])) if len(sys.argv) == 2 else (int(sys.argv[1]), int(sys.argv[2]))
    violations, seen = 0, {name: Counter[str]() for name in MONEY_WORLDS}
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        for done, (seed, found, happenings) in enumerate(pool.map(judge, range(first, first + seeds), chunksize=8), 1):
            for world, counts in happenings.items():
                seen[world] += counts
            for world, what in found:
                violations += 1
                sys.stdout.write(
                    f"\rseed {seed} of {world}: {what}\n  replay it: make replay SEED={seed} WORLD={world}\n"
                )
                sys.stdout.flush()
            if sys.stderr.isatty():
                sys.stderr.write(f"\r{'█' * (done * _BAR // seeds):·<{_BAR}} {done}/{seeds}")
    lost = [f"{world}: {what}" for world in seen for what in missing(world, seen[world])] if seeds >= ENOUGH else []
    sys.stdout.writelines(f"{world}\n{table(counts)}\n\n" for world, counts in seen.items())
    sys.stdout.write(f"{seeds} histories of each sort from seed {first}, {violations} violations\n")
    sys.stdout.writelines(f"never happened in {what}\n" for what in lost)
    return 1 if violations or lost else 0


if __name__ == "__main__":
    sys.exit(main())
