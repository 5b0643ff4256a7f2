"""Fuzz decoders for longer than the tests do: ``python -m tests.fuzz [--seconds N] [TARGET…]``.

By coverage where atheris is installed (the extra ``fuzz``; it has wheels for x86-64 alone), else with hypothesis.
An input that breaks a contract is made small, and kept in ``tests/data/corpus``, where `make test` tries it ever after.
"""

import argparse
import importlib.util
import subprocess
import sys
import time

from tests.fuzz.corpus import failure, keep, seeds, smallest
from tests.fuzz.search import search
from tests.fuzz.target import Target
from tests.fuzz.targets import TARGETS

#: Examples between two looks at the clock.
_ROUND = 500


def _by_coverage(target: Target, seconds: int) -> bool:
    done = subprocess.run(
        [sys.executable, "-m", "tests.fuzz.guided", target.name, str(seconds)],
        check=False, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace",
    )  # fmt: skip
    lines = done.stdout.splitlines()
    counts = [line.split()[-1] for line in lines if line.startswith("stat::number_of_executed_units")]
    print(f"{target.name}: {counts[0] if counts else 'no'} executions, {'sound' if not done.returncode else 'BROKEN'}")
    if done.returncode:
        print("\n".join(lines[-40:]))
    return done.returncode == 0


def _by_chance(target: Target, seconds: int) -> bool:
    end, count = time.monotonic() + seconds, 0
    with target.opened() as check:
        while time.monotonic() < end:
            found = search(target, check, seeds(target), examples=_ROUND, is_random=True)
            count += _ROUND
            if found is not None:
                found = smallest(check, found)
                broken = failure(check, found)
                where = keep(target, found, broken) if broken else "nowhere: it does not break it again"
                print(f"{target.name}: BROKEN: {found!r}\n{broken!r}\nkept as {where}")
                return False
    print(f"{target.name}: {count} examples, sound")
    return True


def main() -> int:
    """Fuzz the targets that are named, or all; return 1 when a contract is broken."""
    parser = argparse.ArgumentParser(prog="make fuzz")
    parser.add_argument("--seconds", type=int, default=60, help="for each target")
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=f"of {', '.join(TARGETS)}")
    args = parser.parse_args()
    if unknown := set(args.targets) - set(TARGETS):
        parser.error(f"there is no target {', '.join(sorted(unknown))}; there are {', '.join(TARGETS)}")
    is_guided = importlib.util.find_spec("atheris") is not None
    if not is_guided:
        print("atheris is not installed: hypothesis alone, without a measure of coverage")
    run = _by_coverage if is_guided else _by_chance
    is_sound = [run(TARGETS[name], args.seconds) for name in args.targets or TARGETS]
    return 0 if all(is_sound) else 1


if __name__ == "__main__":
    sys.exit(main())
