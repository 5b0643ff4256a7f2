"""What the engine adds to the metrics beside its status."""

from collections.abc import Iterator

from terminald.adapters.clock import wall_ms
from terminald.core import book as books
from terminald.core.book import Book
from terminald.core.schedule import Now
from terminald.engine_tally import Tally
from terminald.wire.metrics import Family, gauge


def engine_figures(book: Book, tally: Tally, now: Now) -> Iterator[Family]:
    """Yield what was counted since the start, and what can be said of this moment. From memory: nothing is read."""
    since = books.in_doubt_since(book)
    yield gauge(
        "terminald_unresolved_oldest_seconds",
        "Age of the oldest order or return whose money is not proven to be where it belongs; 0 without one.",
        0 if since is None else (now.instant - since) / 1000,
    )
    yield gauge(
        "terminald_clock_offset_seconds",
        "By how much the board's clock is ahead of the known time of day; missing while that is not known.",
        (wall_ms() - now.wall) / 1000 if now.is_trusted else None,
    )
    yield from tally.figures()
