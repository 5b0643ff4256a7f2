"""A process that stores logs without end, and says so after each, until it is killed."""

import random
import sys
from pathlib import Path

from terminald.adapters.log_pack import PackedLog
from terminald.adapters.log_store import LogStore


def log_of(number: int) -> PackedLog:
    """Return a log whose number tells its bytes."""
    return PackedLog(first=number, last=number, rows=1, data=random.Random(number).randbytes(200_000))


def main(state: Path) -> None:
    store = LogStore(state)
    number = 0
    while True:
        number += 1
        store.store(log_of(number))
        print(number, flush=True)  # noqa: T201 - the parent reads it
        store.make_room()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
