"""Live through many histories on all cores: ``python -m tests.simulation.soak SEEDS``. Exit code 1 on a violation."""

import logging
import os
import sys
import tempfile
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from tests.simulation.history import live_through
from tests.simulation.virtual_time import run_virtually


def judge(seed: int) -> tuple[int, list[str]]:
    """Live one history, and return every difference between the books and what the host was told."""
    logging.disable()
    with tempfile.TemporaryDirectory() as directory:
        return seed, run_virtually(live_through(seed, Path(directory) / "journal.db")).faults_found()


def main() -> int:
    seeds, violations = int(sys.argv[1]), 0
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        for done, (seed, found) in enumerate(pool.map(judge, range(seeds), chunksize=8), start=1):
            for what in found:
                violations += 1
                sys.stdout.write(f"\rseed {seed}: {what}\n")
            if sys.stderr.isatty():
                sys.stderr.write(f"\r{done}/{seeds}")
    sys.stdout.write(f"{seeds} histories, {violations} violations\n")
    return 1 if violations else 0


if __name__ == "__main__":
    sys.exit(main())
