"""``python -m tests.mutants [--seeds N]``: every mistake of the catalogue is made in a copy, and must be found out.

Exit code 1 when one is not. Proves that the judges of the simulation can fail.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.mutants.catalogue import MUTANTS, Mutant
from tests.mutants.workshop import build

_WIDTH = 62


def _hunt(mutant: Mutant, seeds: int) -> tuple[int, str] | None:
    with tempfile.TemporaryDirectory(prefix="terminald-mutant-") as directory:
        build(mutant, Path(directory))
        command = [sys.executable, "-m", "tests.mutants.hunt", mutant.world, str(seeds)]
        done = subprocess.run(command, cwd=directory, capture_output=True, text=True, check=False)
        if done.returncode:
            return 0, f"raised {done.stderr.strip().splitlines()[-1]}"
        found: tuple[int, str] | None = json.loads(done.stdout)
        return found


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.mutants", description=__doc__.partition("\n")[0])
    parser.add_argument("--seeds", type=int, default=2000, help="histories to live through at most (%(default)s)")
    parser.add_argument("--only", default="", metavar="WORDS", help="those with these words in their names")
    arguments = parser.parse_args()
    chosen = [one for one in MUTANTS if arguments.only in one.name]
    began, survivors = time.monotonic(), 0
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        results = pool.map(lambda one: _hunt(one, arguments.seeds), chosen)
        for mutant, found in zip(chosen, results, strict=True):
            survivors += found is None
            told = f"seed {found[0]}: {found[1]}" if found else f"NOT FOUND in {arguments.seeds} histories"
            sys.stdout.write(f"{mutant.name:<{_WIDTH}} {mutant.world:<6} {told}\n")
            sys.stdout.flush()
    minutes = (time.monotonic() - began) / 60
    sys.stdout.write(f"{len(chosen)} mistakes, {len(chosen) - survivors} found out ({minutes:.0f} min)\n")
    return 1 if survivors else 0


if __name__ == "__main__":
    sys.exit(main())
