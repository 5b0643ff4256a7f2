"""The report of a day in the local API: which day is asked for, and what is shown of it. Amounts are in fen."""

import datetime as dt
import re
from collections.abc import Mapping
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta, Struct

from terminald.core.events import JobBlocked, JobBroken, JobInterrupted, JobLost, JobPrinted, JobSent, PrintAnswer
from terminald.core.ids import Duration
from terminald.core.report import DayReport, SaleOfDay, Sums
from terminald.core.schedule import Now
from terminald.errors import ApiError
from terminald.wire.api import parse_flag
from terminald.wire.api_shapes import Amount, Time
from terminald.wire.api_views import rfc3339

#: Sales that one answer names. A terminal serves one customer at a time; so many are a customer every 17 seconds.
MAX_SALES: Final = 5_000

_DAY: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_EPOCH: Final = dt.date(1970, 1, 1).toordinal()
_MINUTES: Final = 60


class DaySums(Struct, frozen=True, kw_only=True):
    """Payments and what went back, on the day. Net is less than 0 where more went back than came in."""

    count: Annotated[int, Meta(description="payments")]
    sold: Amount
    returns: Annotated[int, Meta(description="how often money went back")]
    returned: Amount
    net: Amount


class ProviderSums(DaySums, frozen=True, kw_only=True):
    """The same of one provider, by the gateway's number; null where the gateway named none."""

    payway: str | None


class InDoubt(Struct, frozen=True, kw_only=True):
    """Sales of which something that began on the day is not proven to its end; amount is what may still move."""

    count: int
    amount: Amount
    sales: Annotated[tuple[str, ...], Meta(description=f"their ids, {MAX_SALES} at most")]


class SaleOnDay(Struct, frozen=True, kw_only=True):
    """What one sale has brought on the day."""

    id: str
    reference: str
    paid: Amount
    returned: Amount


class Report(Struct, frozen=True, kw_only=True):
    """One day of the gateway. Sales (when asked for) had an order or moved money on it; left_out counts those beyond.

    Over: whether the day is known to have ended; else the report is of the day so far.
    """

    day: Annotated[str, Meta(extra_json_schema={"format": "date"})]
    timezone: str
    over: bool
    made_at: Time
    providers: tuple[ProviderSums, ...]
    total: DaySums
    in_doubt: InDoubt
    sales: tuple[SaleOnDay, ...] | None
    left_out: int


class PrintedSlip(Struct, frozen=True, kw_only=True):
    """What is known about the paper.

    Blocked: the printer can not print now; what it was given already comes out when it can, what it was not does not.
    """

    state: Literal["printed", "unverified", "blocked", "failed", "absent"]
    detail: str


def decode_day(query: Mapping[str, str]) -> int | None:
    """Read the parameter ``day``: the number of the day since 1970; None when it is missing or empty.

    Raises:
        ApiError: invalid_request.
    """
    text = query.get("day", "")
    if not text:
        return None
    try:
        found = dt.date.fromisoformat(text) if _DAY.fullmatch(text) else None
    except ValueError:
        found = None
    if found is None or found.toordinal() < _EPOCH:
        raise ApiError("invalid_request", "day: expected a day such as 2026-01-31", field="day")
    return found.toordinal() - _EPOCH


def decode_wants_sales(query: Mapping[str, str]) -> bool:
    """Read the parameter ``sales``.

    Raises:
        ApiError: invalid_request.
    """
    return parse_flag("sales", query.get("sales") or "false")


def day_text(number: int) -> str:
    """Write a day by its number since 1970."""
    return dt.date.fromordinal(_EPOCH + number).isoformat()


def offset_text(offset: Duration) -> str:
    """Write an offset from UTC: ``+08:00``."""
    minutes = abs(offset) // 60_000
    return f"{'-' if offset < 0 else '+'}{minutes // _MINUTES:02}:{minutes % _MINUTES:02}"


def report_json(report: DayReport, now: Now, *, with_sales: bool) -> bytes:
    """Write the report of a day."""
    day, doubtful, listed = report.day, report.doubtful, report.sales if with_sales else ()
    return msgspec.json.encode(
        Report(
            day=day_text(day.number),
            timezone=offset_text(day.offset),
            over=is_over(report, now),
            made_at=rfc3339(now.wall),
            providers=tuple(_provider(payway, sums) for payway, sums in report.providers),
            total=_sums(report.total),
            in_doubt=InDoubt(
                count=len(doubtful),
                amount=report.in_doubt,
                sales=tuple(one.sale_id for one in doubtful[:MAX_SALES]),
            ),
            sales=tuple(map(_sale, listed[:MAX_SALES])) if with_sales else None,
            left_out=len(listed[MAX_SALES:]),
        )
    )


def is_over(report: DayReport, now: Now) -> bool:
    """Whether the day is known to have ended."""
    return now.is_trusted and now.wall >= report.day.end


def printed_json(answer: PrintAnswer) -> bytes:
    """Write what is known about the paper."""
    state: Literal["printed", "unverified", "blocked", "failed", "absent"]
    match answer:
        case JobPrinted():
            state = "printed"
        case JobSent():
            state = "unverified"
        case JobBlocked() | JobInterrupted():
            state = "blocked"
        case JobBroken() | JobLost():
            state = "failed"
        case _:
            state = "absent"
    return msgspec.json.encode(PrintedSlip(state=state, detail=answer.evidence))


def _sums(sums: Sums) -> DaySums:
    return DaySums(count=sums.count, sold=sums.sold, returns=sums.returns, returned=sums.returned, net=sums.net)


def _provider(payway: str, sums: Sums) -> ProviderSums:
    return ProviderSums(
        payway=payway or None,
        count=sums.count,
        sold=sums.sold,
        returns=sums.returns,
        returned=sums.returned,
        net=sums.net,
    )


def _sale(sale: SaleOfDay) -> SaleOnDay:
    return SaleOnDay(id=sale.sale_id, reference=sale.reference, paid=sale.paid, returned=sale.returned)
