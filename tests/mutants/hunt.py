"""Live through histories of one sort until one is found wrong: ``python -m tests.mutants.hunt WORLD SEEDS``.

Tells the seed and what was wrong, as JSON; null when nothing was. What raises is wrong, and so is what has no end.
"""

import json
import logging
import signal
import sys
import tempfile
from pathlib import Path

from tests.simulation.worlds import WORLDS

#: Of processor time: no history takes as long on any machine.
LONGEST_S = 60.0


class NoEnd(BaseException):
    """A history goes on and on; not to be caught by what is mutated."""


def _stop(*_: object) -> None:
    raise NoEnd


def hunt(world: str, seeds: int) -> tuple[int, str] | None:
    """Return the first seed of a history that is wrong, with what was."""
    for seed in range(seeds):
        with tempfile.TemporaryDirectory() as directory:
            signal.setitimer(signal.ITIMER_PROF, LONGEST_S)
            try:
                found = WORLDS[world](seed, Path(directory) / "journal.db", frozenset()).violations
            except NoEnd:
                found = ["it has no end"]
            except Exception as exc:  # noqa: BLE001 - whatever a mutant comes to
                found = [f"raised {_first(exc)!r}"]
            finally:
                signal.setitimer(signal.ITIMER_PROF, 0)
        if found:
            return seed, found[0]
    return None


def _first(exc: BaseException) -> BaseException:
    while isinstance(exc, BaseExceptionGroup):
        exc = exc.exceptions[0]
    return exc


if __name__ == "__main__":
    logging.disable()
    signal.signal(signal.SIGPROF, _stop)
    json.dump(hunt(sys.argv[1], int(sys.argv[2])), sys.stdout, ensure_ascii=False)
