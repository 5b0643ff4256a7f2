"""Live one history again, and tell all of it: ``python -m tests.simulation.replay SEED [--world NAME]``.

Where it violates something, every trouble that the violation does not need is kept from it first, so that what is told
is short. What remains is told line by line on the history's own clock: what went wrong, every message, every step.
"""

import argparse
import asyncio
import logging
import sys
import tempfile
from pathlib import Path

from tests.simulation.worlds import MONEY_WORLDS, Lived

#: What says much, and nothing about the money.
_QUIET = ("asyncio", "httpx", "httpcore")


class _OnTheHistorysClock(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        fields = record.__dict__.get("fields", {})
        told = " ".join(f"{name}={value}" for name, value in fields.items() if value not in (None, ""))
        sys.stdout.write(f"{_seconds():10.3f}  {record.getMessage()} {told}\n")


def _seconds() -> float:
    try:
        return asyncio.get_running_loop().time()
    except RuntimeError:
        return 0.0


def live(world: str, seed: int, without: frozenset[int] = frozenset()) -> Lived:
    """Live it in a directory of its own."""
    with tempfile.TemporaryDirectory() as directory:
        return MONEY_WORLDS[world](seed, Path(directory) / "journal.db", without)


def shrink(world: str, seed: int) -> frozenset[int]:
    """Return which troubles a violation does not need; the last ones are tried first, as they change the least."""
    without: frozenset[int] = frozenset()
    number = len(live(world, seed).troubles)
    while number:
        number -= 1
        less = without | {number}
        if live(world, seed, less).violations:
            without = less
    return without


def tell(world: str, seed: int) -> int:
    """Tell one history; return the exit code."""
    logging.disable()
    without = shrink(world, seed) if live(world, seed).violations else frozenset[int]()
    logging.disable(logging.NOTSET)
    logging.basicConfig(level=logging.INFO, handlers=[_OnTheHistorysClock()])
    for name in _QUIET:
        logging.getLogger(name).setLevel(logging.CRITICAL)
    lived = live(world, seed, without)
    sys.stdout.write(f"\nseed {seed} of {world}, {len(without)} of {len(lived.troubles)} troubles kept from it\n")
    sys.stdout.writelines(f"violation: {what}\n" for what in lived.violations)
    return 1 if lived.violations else 0


def main() -> int:
    parser = argparse.ArgumentParser(prog="replay", description=__doc__.partition("\n")[0])
    parser.add_argument("seed", type=int)
    parser.add_argument("--world", choices=sorted(MONEY_WORLDS), default="money", help="of sales (%(default)s)")
    arguments = parser.parse_args()
    return tell(arguments.world, arguments.seed)


if __name__ == "__main__":
    sys.exit(main())
