from enum import Enum

import pytest

from terminald.core.attempt_table import AttemptState
from terminald.core.custody_table import CustodyState
from terminald.core.events import LastLookDue, LookDue, PollDue, RetryDue, SendDue
from terminald.core.kiosk_table import KioskState
from terminald.core.refund_table import RefundState
from terminald.core.sale_table import SaleState
from terminald.core.spool import JobState
from terminald.core.tables import Row, Table
from terminald.core.vend_table import VendState
from tests.core.diagram import mermaid
from tests.core.write_diagrams import DOCUMENT, drawn, marked, with_diagrams

TEXT = DOCUMENT.read_text(encoding="utf-8")


def test_the_document_shows_every_machine_as_its_table_is() -> None:
    assert sorted(marked(TEXT)) == sorted(drawn())
    assert with_diagrams(TEXT, drawn()) == TEXT, "run: python -m tests.core.write_diagrams"


@pytest.mark.parametrize(
    "states", [AttemptState, SaleState, RefundState, JobState, CustodyState, KioskState, VendState]
)
def test_the_document_says_what_every_state_means(states: type[Enum]) -> None:
    for state in states:
        assert f"| `{state.value}` |" in TEXT


def test_arrows_are_grouped_and_keep_the_order_of_the_table() -> None:
    table: Table[JobState, None] = {
        JobState.QUEUED: {
            SendDue: Row(JobState.PRINTING),
            PollDue: Row(JobState.EXPIRED),
            RetryDue: Row(JobState.PRINTING),
            LookDue: Row(JobState.PRINTING),
            LastLookDue: Row(JobState.PRINTING),
        },
        JobState.EXPIRED: {},
    }
    assert mermaid(table, JobState.QUEUED).splitlines() == [
        "stateDiagram-v2",
        "    [*] --> queued",
        "    queued --> printing: SendDue, RetryDue, LookDue,<br/>LastLookDue",
        "    queued --> expired: PollDue",
        "    expired --> [*]",
    ]


def test_a_marker_without_a_diagram_is_an_error() -> None:
    with pytest.raises(KeyError, match="nothing"):
        with_diagrams("<!-- diagram: nothing -->\n<!-- end -->", drawn())
