"""What belongs to a business day, read in pages: a commit waits for one page at most, and for no index of its own."""

import sqlite3
from dataclasses import dataclass
from typing import Final

from terminald.adapters import journal_rows
from terminald.adapters.ports_report import CreatedAfter, CreatedPage, RefundPage
from terminald.core.ids import SaleId
from terminald.core.report import OPENED_BEFORE, BusinessDay
from terminald.core.schedule import CLOCK_UNSET_BEFORE, FINISH_EARLIEST

#: Sales on one page, each with its orders and returns: some 30 ms on a small board.
SALES_PER_PAGE: Final = 50
#: Refunds on one page. All of them are read, since one that was held up is done long after it was begun; there are few.
REFUNDS_PER_PAGE: Final = 200

_CREATED: Final = """
    SELECT rowid, created_at, snapshot FROM sales
    WHERE (created_at, rowid) > (?, ?) AND created_at < ?
    ORDER BY created_at, rowid LIMIT ?
"""
_REFUNDS: Final = "SELECT number, snapshot FROM refunds WHERE number > ? ORDER BY number LIMIT ?"


@dataclass(frozen=True, slots=True)
class _Range:
    """Times of creation: since is included, until is not."""

    since: int
    until: int


def sales_created(connection: sqlite3.Connection, day: BusinessDay, after: CreatedAfter | None) -> CreatedPage:
    """Return a page of the sales that can have orders or payments of the day, oldest first, and where the next begins.

    Those that were opened before the clock of the board was set can belong to any day, and come first.
    """
    ranges = (_Range(0, CLOCK_UNSET_BEFORE), _Range(day.start - OPENED_BEFORE, day.end + FINISH_EARLIEST))
    part = 0 if after is None else after.part
    begin = (ranges[part].since, 0) if after is None or after.row is None else (after.created_at, after.row)
    rows: list[tuple[int, int, str]] = connection.execute(
        _CREATED, (*begin, ranges[part].until, SALES_PER_PAGE)
    ).fetchall()
    views = tuple(journal_rows.view_of(connection, journal_rows.SALES.decode(text)) for _, _, text in rows)
    following: CreatedAfter | None = None
    if len(rows) == SALES_PER_PAGE:
        row, created_at, _ = rows[-1]
        following = CreatedAfter(part=part, created_at=created_at, row=row)
    elif part + 1 < len(ranges):
        following = CreatedAfter(part=part + 1)
    return CreatedPage(views=views, following=following)


def sales_refunded(connection: sqlite3.Connection, day: BusinessDay, after: int) -> RefundPage:
    """Return which sales have refunds that were done on the day, or begun on it and not done yet.

    After is the number of the last refund of the page before; 0: from the first one.
    """
    rows: list[tuple[int, str]] = connection.execute(_REFUNDS, (after, REFUNDS_PER_PAGE)).fetchall()
    refunds = (journal_rows.REFUNDS.decode(text) for _, text in rows)
    found: list[SaleId] = [
        one.sale_id for one in refunds if day.has(one.opened_at if one.ended_at is None else one.ended_at)
    ]
    following = rows[-1][0] if len(rows) == REFUNDS_PER_PAGE else None
    return RefundPage(sales=tuple(found), following=following)
