"""What happened in a history, by the gateway's door and the journal's records; and what must have, over many."""

import sqlite3
from collections import Counter
from contextlib import closing

from tests.simulation.history import History

EXPECTED: tuple[str, ...] = ()


def happened(history: History) -> Counter[str]:
    """Count the steps of all machines, and what the door has seen."""
    counts = Counter(history.door.seen)
    with closing(sqlite3.connect(history.path)) as journal:
        steps = journal.execute(
            "SELECT kind || ': ' || state_before || ' → ' || state_after || ' on ' || cause, count(*) FROM events"
            " WHERE kind IN ('sale', 'attempt', 'refund') GROUP BY 1"
        )
        for step, count in steps:
            counts[step] += count
    return counts


def missing(seen: Counter[str]) -> list[str]:
    """Return what is expected and never happened."""
    return [what for what in _expected() if not seen[what]]


def table(seen: Counter[str]) -> str:
    """Write how often each thing happened."""
    return "\n".join(f"{count:8}  {what}" for what, count in sorted(seen.items()))


def _expected() -> list[str]:
    return list(EXPECTED)
