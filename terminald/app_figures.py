"""The metrics beside the status, put together from every part that measures."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Protocol

from terminald.adapters.machine_look import disk_figures, process_figures
from terminald.engine import Engine
from terminald.engine_figures import engine_figures
from terminald.wire.metrics import Family


class Measured(Protocol):
    """A part that measures what it does."""

    def figures(self) -> Iterator[Family]:
        """Yield what was measured since the start. Does not block."""


def all_figures(engine: Engine, parts: Sequence[Measured], state: Path) -> Iterator[Family]:
    """Yield everything that ``GET /metrics`` shows beside the status; state is the directory with the journal."""
    yield from engine_figures(engine.book, engine.tally, engine.world.clock.now())
    for part in parts:
        yield from part.figures()
    yield from disk_figures(state)
    yield from process_figures()
