"""The report of a day, from the journal; and what an answer of the gateway says of an order's money."""

from collections.abc import AsyncIterator

from terminald.adapters.ports import OrderLook
from terminald.core.attempt_table import Attempt
from terminald.core.book import SaleView
from terminald.core.events import (
    Answer,
    OrderAbsent,
    OrderClosed,
    OrderPaid,
    OrderPartlyReturned,
    OrderReturned,
    PrintAnswer,
)
from terminald.core.ids import Duration, SaleId
from terminald.core.money import NO_MONEY, Fen
from terminald.core.report import BusinessDay, DayReport, SaleOfDay, report_of, sale_of_day
from terminald.core.schedule import day_of
from terminald.engine_commands import World
from terminald.errors import ApiError


class DayReports:
    """Reads the journal beside the loop: what is committed meanwhile may be in a report, or not yet."""

    def __init__(self, world: World, day_offset: Duration) -> None:
        """Day_offset is that of the gateway's business day from UTC."""
        self._world = world
        self._offset = day_offset

    async def report(self, number: int | None) -> DayReport:
        """Return the report of a day; None: of today.

        Raises:
            ApiError: invalid_request where nobody knows which day it is, or its sales were deleted since.
        """
        day = self._day(number)
        missing = (await self._world.journal.forgotten()).before
        if missing and day.start < missing:
            raise ApiError("invalid_request", "day: sales of it were deleted since (state.keep_days)", field="day")
        found: dict[SaleId, SaleOfDay] = {}
        async for view in self._views(day):
            if view.sale.id not in found and (brought := sale_of_day(view, day)) is not None:
                found[view.sale.id] = brought
        return report_of(day, found.values())

    async def _views(self, day: BusinessDay) -> AsyncIterator[SaleView]:
        """Yield every sale that the day can concern; some of them twice."""
        journal = self._world.journal
        page = await journal.sales_created(day, None)
        while True:
            for view in page.views:
                yield view
            if page.following is None:
                break
            page = await journal.sales_created(day, page.following)
        last: int | None = 0
        while last is not None:
            refunds = await journal.sales_refunded(day, last)
            for sale_id in refunds.sales:
                if (older := await journal.find_sale(sale_id)) is not None:
                    yield older
            last = refunds.following

    async def print_report(self, number: int | None) -> PrintAnswer:
        """Print the slip of a day now, and return what is known about the paper.

        Raises:
            ApiError: printer_off; or as above.
        """
        if self._world.receipts is None:
            raise ApiError("printer_off", "no printer is configured")
        report = await self.report(number)
        return await self._world.receipts.send_closing(report, self._world.clock.now())

    def _day(self, number: int | None) -> BusinessDay:
        now = self._world.clock.now()
        if number is None and not now.is_trusted:
            raise ApiError("invalid_request", "day: the terminal's clock is not set yet; name the day", field="day")
        return BusinessDay(number=day_of(now.wall, self._offset) if number is None else number, offset=self._offset)


def look_of(attempt: Attempt, answer: Answer) -> OrderLook:
    """Return what an answer to a query says of an order."""
    return OrderLook(client_sn=attempt.client_sn, answer=type(answer).__name__, net=_net(attempt.amount, answer))


def _net(amount: Fen, answer: Answer) -> Fen | None:
    match answer:
        case OrderPaid():
            return amount
        case OrderPartlyReturned():
            return answer.facts.net_amount
        case OrderReturned() | OrderClosed() | OrderAbsent():
            return NO_MONEY
    return None
