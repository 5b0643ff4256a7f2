"""What a business day of the gateway has brought: what was sold, what went back, and what is not certain.

A payment counts on the day on which the gateway finished it, a return on the day on which it was done, whatever the day
of its sale: once it is proven, each of them stands in the report of one day and no other. An order that was undone
instead of paying its sale counts as neither: no money was kept.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from terminald.core.attempt_table import Attempt, AttemptState
from terminald.core.book import SaleView
from terminald.core.ids import Duration, Reference, SaleId, WallTime
from terminald.core.money import NO_MONEY, Fen
from terminald.core.refund_table import Refund, RefundState
from terminald.core.sale_table import SaleState
from terminald.core.schedule import DAY, day_end, day_of, finished_at

#: A sale is opened so long before its payment at most: the payment's own limit, and as much for the customer's window.
OPENED_BEFORE = DAY


@dataclass(frozen=True, slots=True, kw_only=True)
class BusinessDay:
    """One day of the gateway: its number since 1970, and the gateway's offset from UTC."""

    number: int
    offset: Duration

    def has(self, wall: WallTime) -> bool:
        """Whether a time is within the day."""
        return day_of(wall, self.offset) == self.number

    @property
    def start(self) -> WallTime:
        """The first millisecond."""
        return WallTime(self.number * DAY - self.offset)

    @property
    def end(self) -> WallTime:
        """The first millisecond of the next day."""
        return day_end(self.start, self.offset)


@dataclass(frozen=True, slots=True, kw_only=True)
class SaleOfDay:
    """What one sale has brought on the day. Returns counts how often money went back."""

    sale_id: SaleId
    reference: Reference
    payway: str
    is_paid: bool
    paid: Fen
    returns: int
    returned: Fen
    in_doubt: Fen


@dataclass(frozen=True, slots=True, kw_only=True)
class Sums:
    """Payments and returns, counted and added up. Amounts in fen."""

    count: int = 0
    sold: Fen = NO_MONEY
    returns: int = 0
    returned: Fen = NO_MONEY

    @property
    def net(self) -> Fen:
        """What is left of the day; less than nothing where more went back than came in."""
        return Fen(self.sold - self.returned)


@dataclass(frozen=True, slots=True, kw_only=True)
class DayReport:
    """One day. Providers are by the gateway's payway, ascending; it is empty where the gateway did not name one."""

    day: BusinessDay
    providers: tuple[tuple[str, Sums], ...]
    total: Sums
    #: Everything that had an order or moved money on the day, oldest first.
    sales: tuple[SaleOfDay, ...]

    @property
    def doubtful(self) -> tuple[SaleOfDay, ...]:
        """Sales of which something that began on the day is not proven to its end."""
        return tuple(one for one in self.sales if one.in_doubt)

    @property
    def in_doubt(self) -> Fen:
        """How much of their money may still move, or have moved, at most."""
        return Fen(sum(one.in_doubt for one in self.sales))


def report_of(day: BusinessDay, found: Iterable[SaleOfDay]) -> DayReport:
    """Add up what the sales have brought; each sale is given once."""
    sales = tuple(sorted(found, key=lambda one: one.sale_id))
    payways = sorted({one.payway for one in sales if one.is_paid or one.returns}, key=lambda name: (len(name), name))
    providers = tuple((payway, _sums(one for one in sales if one.payway == payway)) for payway in payways)
    return DayReport(day=day, providers=providers, total=_sums(sales), sales=sales)


def _sums(sales: Iterable[SaleOfDay]) -> Sums:
    of = tuple(sales)
    return Sums(
        count=sum(one.is_paid for one in of),
        sold=Fen(sum(one.paid for one in of)),
        returns=sum(one.returns for one in of),
        returned=Fen(sum(one.returned for one in of)),
    )


def sale_of_day(view: SaleView, day: BusinessDay) -> SaleOfDay | None:
    """Return what a sale has brought on a day; None where it had no order and moved no money on it."""
    paid_by, sale = view.paid_by, view.sale
    is_paid = paid_by is not None and day.has(paid_at(paid_by))
    returned = [amount for done, amount in _returns(view) if day.has(done)]
    in_doubt = _in_doubt(view, day, is_paid=is_paid)
    has_order = any(day.has(one.started_at) for one in view.attempts if _is_sent(one))
    if not (is_paid or returned or in_doubt or has_order):
        return None
    return SaleOfDay(
        sale_id=sale.id,
        reference=sale.order.reference,
        payway="" if paid_by is None else paid_by.facts.payway,
        is_paid=is_paid,
        paid=sale.paid if is_paid else NO_MONEY,
        returns=len(returned),
        returned=Fen(sum(returned)),
        in_doubt=in_doubt,
    )


def paid_at(attempt: Attempt) -> WallTime:
    """Return when an order was paid: by the gateway where that can be true, else when it began, by our clock.

    A garbled time loses no payment.
    """
    said = finished_at(attempt.facts.finish_time, attempt.started_at)
    return attempt.started_at if said is None else said


def _returns(view: SaleView) -> Iterator[tuple[WallTime, Fen]]:
    """Yield when money went back and how much; together what the sale says has gone back.

    The last one takes what somebody else gave back meanwhile, which it has found out.
    """
    done = [one for one in view.refunds if one.state is RefundState.DONE]
    done.sort(key=_ended_at)
    left = view.sale.returned
    for place, refund in enumerate(done, start=1):
        amount = left if place == len(done) else min(refund.amount, left)
        left = Fen(left - amount)
        if amount:
            yield _ended_at(refund), amount


def _ended_at(refund: Refund) -> WallTime:
    return refund.opened_at if refund.ended_at is None else refund.ended_at


def _in_doubt(view: SaleView, day: BusinessDay, *, is_paid: bool) -> Fen:
    """Return how much money has an unproven fate: orders, returns, and payments whose goods are not reported."""
    orders = sum(
        one.amount for one in view.attempts if not one.state.is_final and _is_sent(one) and day.has(one.started_at)
    )
    refunds = sum(one.amount for one in view.refunds if not one.state.is_final and day.has(one.opened_at))
    goods = view.returnable if is_paid and view.sale.state is SaleState.PAID else 0
    return Fen(orders + refunds + goods)


def _is_sent(attempt: Attempt) -> bool:
    """Whether the gateway may know of the order."""
    return attempt.state not in (AttemptState.HELD, AttemptState.UNSENT)
