"""Write what the present release says to SQLite, to be kept when the schema changes: the next one must bear it.

``python -m tests.adapters.journal_statements > tests/data/statements-v5.sql``
"""

import re
import sqlite3
import sys
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory

from terminald.adapters.journal_sqlite import SqliteJournal
from terminald.adapters.ports import SaleFilter
from terminald.core.ids import Instant, SaleId
from terminald.core.report import BusinessDay
from terminald.core.schedule import HOUR
from tests.adapters.journal_dump import TERMINAL, fill

#: Statements that SQLite makes by itself, and those that would end the life of the file.
_NOT_OURS = re.compile(r"--|PRAGMA wal_checkpoint|PRAGMA busy_timeout")


class _Tracing(SqliteJournal):
    """A journal that lets its connection be overheard."""

    def overhear(self, said: list[str]) -> None:
        self._connection.set_trace_callback(said.append)

    def leave(self) -> None:
        self._connection.set_trace_callback(None)


def statements(file: Path) -> list[str]:
    """Do everything once that a terminal does with its journal, and return what was said, values included."""
    said: list[str] = []
    with closing(_Tracing(file)) as journal:
        journal.overhear(said)
        fill(journal)
        _read(journal)
        journal.leave()
    return [one for one in said if not _NOT_OURS.match(one)]


def _read(journal: SqliteJournal) -> None:
    for wanted in (SaleFilter(), SaleFilter(reference="order-1"), SaleFilter(needs_attention=True, state="paid")):
        journal.list_sales(wanted)
    journal.find_sale("7894259244067344")
    journal.load_book(Instant(10**12))
    journal.events_after(0, 100)
    journal.records_after(0, 100)
    journal.records_of(journal.seq_before(Instant(10**9)), SaleId("01J-vend"), 100)
    day = BusinessDay(number=TERMINAL.activated_at // (24 * HOUR), offset=HOUR)
    journal.sales_created(day, None)
    journal.sales_refunded(day, 0)
    journal.load_custody()
    journal.activations()
    journal.time_floor()
    journal.load_hold()
    journal.load_mark()
    journal.note_packed(journal.packed_seq() + 1)
    journal.put_board({"mac": "x"}, device_id="board-1")
    journal.board()


def main() -> None:
    with TemporaryDirectory() as directory:
        lines = statements(Path(directory) / "journal.db")
    sys.stdout.write("".join(f"{' '.join(one.split())};\n" for one in lines))


def whole(text: str) -> list[str]:
    """Return the statements of such a file. A semicolon within a value ends none."""
    found: list[str] = []
    begun = ""
    for line in text.splitlines():
        begun += line
        if sqlite3.complete_statement(begun):
            found.append(begun)
            begun = ""
    return found


if __name__ == "__main__":
    main()
