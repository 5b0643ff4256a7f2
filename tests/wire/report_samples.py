"""The report of a day as the tests of the API and of the slip need it."""

from dataclasses import replace

from terminald.core.book import SaleView
from terminald.core.events import OrderFacts
from terminald.core.ids import Duration, SaleId
from terminald.core.money import Fen
from terminald.core.refund_table import RefundState
from terminald.core.report import BusinessDay, DayReport, report_of, sale_of_day
from terminald.core.schedule import HOUR, day_of
from tests.wire.api_samples import MORNING, attempt, paid_view, refund

OFFSET = Duration(8 * HOUR)
#: The day of ``MORNING`` at the gateway.
DAY = BusinessDay(number=day_of(MORNING, OFFSET), offset=OFFSET)


def with_alipay(sale_id: str) -> SaleView:
    """A payment with another provider, on the same day."""
    view = paid_view(sale_id)
    facts = OrderFacts(sn="7896", payway="2")
    return replace(view, attempts=(attempt(facts=facts),))


def returned_in_part(sale_id: str) -> SaleView:
    """A part has gone back on the day, and another one is on its way."""
    view = paid_view(sale_id)
    refunds = (refund(), replace(refund(2, state=RefundState.PROVING, amount=50)))
    return replace(view, sale=replace(view.sale, returned=Fen(100)), refunds=refunds)


def day_report(day: BusinessDay = DAY) -> DayReport:
    """Two payments with one provider, a third with another; a return; a refund in doubt."""
    views = (paid_view("01JDSALE1"), with_alipay("01JDSALE2"), returned_in_part("01JDSALE3"))
    found = (sale_of_day(replace(view, sale=replace(view.sale, id=SaleId(view.sale.id))), day) for view in views)
    return report_of(day, [one for one in found if one is not None])
