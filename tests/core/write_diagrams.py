"""Write the diagrams of the machines into ARCHITECTURE.md: ``python -m tests.core.write_diagrams``."""

import re
from collections.abc import Mapping
from pathlib import Path

import terminald
from terminald.core import (
    attempt_table,
    custody_table,
    kiosk_table,
    refund_table,
    sale_table,
    spool,
    vend_table,
)
from terminald.core.attempt_table import AttemptState
from terminald.core.custody_table import CustodyState
from terminald.core.kiosk_table import KioskState
from terminald.core.refund_table import RefundState
from terminald.core.sale_table import SaleState
from terminald.core.spool import JobState
from terminald.core.tables import M, S, Table
from terminald.core.vend_table import VendState
from tests.core.diagram import mermaid

DOCUMENT = Path(terminald.__file__).parent / "ARCHITECTURE.md"

_BLOCK = re.compile(r"(<!-- diagram: (?P<name>\w+) -->\n).*?(<!-- end -->)", re.DOTALL)


def drawn() -> Mapping[str, str]:
    """Return the diagram of every machine, by the name that the document's markers give it."""
    return {
        "attempt": mermaid(attempt_table.TABLE, AttemptState.SUBMITTING, AttemptState.HELD, AttemptState.OFFERING),
        "sale": mermaid(sale_table.TABLE, SaleState.AWAITING_PAYMENT),
        "refund": mermaid(refund_table.TABLE, RefundState.QUEUED),
        "custody": mermaid(custody_table.TABLE, CustodyState.UNPROVEN),
        "kiosk": mermaid(kiosk_table.TABLE, KioskState.IDLE),
        "print": mermaid(spool.TABLE, JobState.QUEUED),
        "vend": mermaid(_moving(vend_table.TABLE), VendState.REQUESTED),
    }


def _moving(table: Table[S, M]) -> Table[S, M]:
    """Leave out what changes nothing: a vending machine may say anything at any time."""
    return {
        state: {event: row for event, row in rows.items() if row.to is not state or row.ask}
        for state, rows in table.items()
    }


def with_diagrams(text: str, diagrams: Mapping[str, str]) -> str:
    """Return the document with each marked block replaced by the diagram of its name.

    Raises:
        KeyError: a marker names no diagram.
    """
    return _BLOCK.sub(lambda found: f"{found[1]}```mermaid\n{diagrams[found['name']]}\n```\n{found[3]}", text)


def marked(text: str) -> list[str]:
    """Return the names of the marked blocks, in the document's order."""
    return [found["name"] for found in _BLOCK.finditer(text)]


if __name__ == "__main__":
    DOCUMENT.write_text(with_diagrams(DOCUMENT.read_text(encoding="utf-8"), drawn()), encoding="utf-8")
