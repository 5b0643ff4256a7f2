"""Draw a machine's table as a mermaid state diagram."""

from collections.abc import Mapping

from terminald.core.events import Event
from terminald.core.tables import M, Row, S

#: Event names beside one arrow before its label is broken.
_NAMES_PER_LINE = 3


def mermaid(table: Mapping[S, Mapping[type[Event], Row[S, M]]], *initial: S) -> str:
    """Return the text of a ``stateDiagram-v2``: one line for each arrow, labelled with the events that take it.

    States and events stand in the order of the table, so that the same table always gives the same text.
    """
    lines = ["stateDiagram-v2", *(f"    [*] --> {state.value}" for state in initial)]
    for state, rows in table.items():
        arrows: dict[S, list[str]] = {}
        for event, row in rows.items():
            arrows.setdefault(row.to, []).append(event.__name__)
        lines.extend(f"    {state.value} --> {to.value}: {_label(names)}" for to, names in arrows.items())
        if not rows:
            lines.append(f"    {state.value} --> [*]")
    return "\n".join(lines)


def _label(names: list[str]) -> str:
    starts = range(0, len(names), _NAMES_PER_LINE)
    return ",<br/>".join(", ".join(names[start : start + _NAMES_PER_LINE]) for start in starts)
