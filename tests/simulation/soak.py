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


def judge(seed: int) -> tuple[int, list[tuple[str, str]], Counter[str]]:
    """Live one history of each sort; return every violation with its sort, and what happened."""
    logging.disable()
    found, seen = list[tuple[str, str]](), Counter[str]()
    with tempfile.TemporaryDirectory() as directory:
        for name, live in MONEY_WORLDS.items():
            lived = live(seed, Path(directory) / f"{name}.db", frozenset())
            found += [(name, what) for what in lived.violations]
            seen += lived.happenings
    return seed, found, seen


def main() -> int:
    first, seeds = (0, int(sys.argv[1])) if len(sys.argv) == 2 else (int(sys.argv[1]), int(sys.argv[2]))
    violations, seen = 0, Counter[str]()
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        for done, (seed, found, happenings) in enumerate(pool.map(judge, range(first, first + seeds), chunksize=8), 1):
            seen += happenings
            for world, what in found:
                violations += 1
                sys.stdout.write(
                    f"\rseed {seed} of {world}: {what}\n  replay it: make replay SEED={seed} WORLD={world}\n"
                )
                sys.stdout.flush()
            if sys.stderr.isatty():
                sys.stderr.write(f"\r{done}/{seeds}")
    lost = missing(seen) if seeds >= ENOUGH else []
    sys.stdout.write(f"{table(seen)}\n{seeds} histories of each sort from seed {first}, {violations} violations\n")
    sys.stdout.writelines(f"never happened: {what}\n" for what in lost)
    return 1 if violations or lost else 0


if __name__ == "__main__":
    sys.exit(main())
