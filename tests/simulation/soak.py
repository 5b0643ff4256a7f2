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

from tests.simulation.happenings import happened, missing, table
from tests.simulation.money_history import live_with_money
from tests.simulation.scan_history import live_through
from tests.simulation.virtual_time import run_virtually

#: With fewer histories something rare may well not happen.
ENOUGH = 1000


def judge(seed: int) -> tuple[int, list[str], Counter[str]]:
    """Live one history of each sort; return every violation, and what happened."""
    logging.disable()
    with tempfile.TemporaryDirectory() as directory:
        plain = run_virtually(live_through(seed, Path(directory) / "plain.db"))
        rich = run_virtually(live_with_money(seed, Path(directory) / "money.db"))
        return seed, plain.faults_found() + [f"money: {what}" for what in rich.faults_found()], happened(rich)


def main() -> int:
    seeds, violations, seen = int(sys.argv[1]), 0, Counter[str]()
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        for done, (seed, found, happenings) in enumerate(pool.map(judge, range(seeds), chunksize=8), start=1):
            seen += happenings
            for what in found:
                violations += 1
                sys.stdout.write(f"\rseed {seed}: {what}\n")
            if sys.stderr.isatty():
                sys.stderr.write(f"\r{done}/{seeds}")
    lost = missing(seen) if seeds >= ENOUGH else []
    sys.stdout.write(f"{table(seen)}\n{seeds} histories of each sort, {violations} violations\n")
    sys.stdout.writelines(f"never happened: {what}\n" for what in lost)
    return 1 if violations or lost else 0


if __name__ == "__main__":
    sys.exit(main())
