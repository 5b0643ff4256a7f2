"""Which old sales may be deleted: those of which nothing can happen any more, by two clocks that both say so."""

from dataclasses import dataclass

from terminald.core.book import SaleView
from terminald.core.ids import Duration, Instant, WallTime
from terminald.core.sale_table import Sale
from terminald.core.schedule import CLOCK_UNSET_BEFORE, DAY, Now

#: Money can go back for about three months (Web API documents, refund), and a customer may ask some weeks after that.
#: No sale is deleted before it is so old, by the configuration and by the terminal's own time line: a clock that lies
#: in the future deletes nothing that can still be returned.
LEAST_DAYS = 120


@dataclass(frozen=True, slots=True, kw_only=True)
class Horizon:
    """Whatever ended before it may be deleted. Both must be so."""

    wall: WallTime
    #: Whatever says that it was later than this was recorded while the clock was ahead.
    now: WallTime
    #: On the terminal's own time line, which stands still without power.
    instant: Instant
    #: The same for what happened while nobody knew the time of day, or while the clock was ahead.
    instant_without_clock: Instant


def horizon(now: Now, keep_days: int) -> Horizon | None:
    """Return the horizon of a moment; None while the time of day is not known."""
    if not now.is_trusted:
        return None
    keep, least = Duration(keep_days * DAY), Duration(LEAST_DAYS * DAY)
    return Horizon(
        wall=WallTime(now.wall - keep),
        now=now.wall,
        instant=Instant(now.instant - least),
        instant_without_clock=Instant(now.instant - keep),
    )


def is_past(view: SaleView, before: Horizon) -> bool:
    """Whether nothing of a sale is open, waits for a person, or happened since the horizon."""
    sale, vend = view.sale, view.vend
    parts = (sale, *view.attempts, *view.refunds, *view.jobs, *(() if vend is None else (vend,)))
    if view.attention is not None or not all(one.state.is_final for one in parts):
        return False
    last = max(
        sale.created_at,
        sale.updated_at,
        *(one.ended_at or one.started_at for one in view.attempts),
        *(one.ended_at or one.opened_at for one in view.refunds),
        *(job.created_at for job in view.jobs),
        sale.closed_at or sale.created_at,
    )
    began = max(
        sale.window_ends, *(one.started for one in view.attempts), *(one.opened for one in view.refunds), Instant(0)
    )
    if last > before.now:
        return began < before.instant_without_clock
    return last < before.wall and began < own_horizon(sale.created_at, before)


def is_aged(sale: Sale, before: Horizon) -> bool:
    """Whether a sale is so old by the terminal's own time alone that no time of day is asked for."""
    return sale.window_ends < before.instant_without_clock


def own_horizon(wall: WallTime, before: Horizon) -> Instant:
    """Return where the horizon is on the terminal's own time line for what happened at a time of day."""
    return before.instant_without_clock if wall < CLOCK_UNSET_BEFORE else before.instant
