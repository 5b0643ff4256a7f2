"""Only what is over in every part, by the time of day and by the terminal's own time, may be deleted."""

from collections.abc import Iterable
from dataclasses import replace

import pytest

from terminald.core import vend as vends
from terminald.core.attempt_table import AttemptState
from terminald.core.book import SaleView
from terminald.core.ids import Duration, Instant, WallTime
from terminald.core.refund_table import RefundState
from terminald.core.retention import LEAST_DAYS, Horizon, horizon, is_aged, is_past
from terminald.core.sale_table import SaleState
from terminald.core.schedule import CLOCK_UNSET_BEFORE, DAY, Now
from terminald.core.spool import JobState
from terminald.core.tables import Attention
from terminald.core.vend_table import VendState
from tests.core.story_samples import paid
from tests.core.vend_world import asked
from tests.wire.api_samples import refund

KEEP = 400


def long_after(days: int, *, is_trusted: bool = True, wall_days: int | None = None) -> Now:
    """So many days after the sale of :func:`view`."""
    now = paid().dossier().now
    by, wall = Duration(days * DAY), Duration((days if wall_days is None else wall_days) * DAY)
    return replace(now, instant=Instant(now.instant + by), wall=WallTime(now.wall + wall), is_trusted=is_trusted)


def view() -> SaleView:
    """A sale that is paid, delivered and printed, with a part of it given back."""
    found = paid().dossier().view
    return replace(found, sale=replace(found.sale, state=SaleState.COMPLETED))


def at(now: Now) -> Horizon:
    found = horizon(now, KEEP)
    assert found is not None
    return found


def test_without_a_time_of_day_nothing_is_old() -> None:
    assert horizon(long_after(10_000, is_trusted=False), KEEP) is None


def test_a_sale_is_past_after_its_days_and_not_before() -> None:
    assert is_past(view(), at(long_after(KEEP + 1)))
    assert not is_past(view(), at(long_after(KEEP - 1)))


def test_a_clock_in_the_future_deletes_nothing_that_can_still_be_returned() -> None:
    assert not is_past(view(), at(long_after(LEAST_DAYS - 1, wall_days=10_000)))
    assert is_past(view(), at(long_after(LEAST_DAYS + 1, wall_days=KEEP + 1)))


def test_what_was_sold_without_a_time_of_day_is_old_by_the_terminal_s_own_time() -> None:
    sold = view()
    unset_at = WallTime(CLOCK_UNSET_BEFORE - 1)
    early = replace(sold.sale, created_at=WallTime(0), updated_at=WallTime(0), closed_at=unset_at)
    unset = SaleView(sale=early, attempts=())
    assert not is_past(unset, at(long_after(KEEP - 1)))
    assert is_past(unset, at(long_after(KEEP + 1)))


def test_what_was_sold_under_a_clock_that_was_ahead_is_old_by_the_terminal_s_own_time() -> None:
    sold = view()
    ahead = WallTime(sold.sale.updated_at + 10_000 * DAY)
    for told in (
        replace(sold, sale=replace(sold.sale, created_at=ahead, updated_at=ahead, closed_at=ahead)),
        replace(sold, sale=replace(sold.sale, updated_at=ahead)),
    ):
        assert not is_past(told, at(long_after(KEEP - 1)))
        assert is_past(told, at(long_after(KEEP + 1)))


def test_a_clock_that_was_ahead_is_believed_once_that_time_has_come() -> None:
    sold = view()
    ahead = WallTime(sold.sale.updated_at + 100 * DAY)
    told = replace(sold, sale=replace(sold.sale, created_at=ahead, updated_at=ahead, closed_at=ahead))
    assert not is_past(told, at(long_after(KEEP + 99)))
    assert is_past(told, at(long_after(KEEP + 101)))


def test_a_sale_is_aged_by_its_beginning_whatever_was_done_with_it_later() -> None:
    sold = view()
    assert is_aged(sold.sale, at(long_after(KEEP + 1)))
    assert not is_aged(sold.sale, at(long_after(KEEP - 1)))


CALL = Attention(code="order_errored", since=Instant(0))


def with_open_parts() -> Iterable[tuple[str, SaleView]]:
    sold = view()
    yield "sale", replace(sold, sale=replace(sold.sale, state=SaleState.PAID))
    yield "call of the sale", replace(sold, sale=replace(sold.sale, attention=CALL))
    for state in AttemptState:
        if not state.is_final:
            yield f"attempt {state.value}", with_attempt(sold, state=state)
    yield "call of an attempt", with_attempt(sold, attention=CALL)
    for refund_state in RefundState:
        if not refund_state.is_final:
            yield f"refund {refund_state.value}", replace(sold, refunds=(refund(state=refund_state),))
    yield "call of a refund", replace(sold, refunds=(replace(refund(), attention=CALL),))


def with_attempt(sold: SaleView, **changes: object) -> SaleView:
    changed = replace(sold.attempts[0], **changes)  # type: ignore[arg-type]  # a test's choice
    return replace(sold, attempts=(changed, *sold.attempts[1:]))


@pytest.mark.parametrize(("name", "sold"), list(with_open_parts()))
def test_whatever_is_open_or_waits_for_a_person_stays(name: str, sold: SaleView) -> None:
    assert not is_past(sold, at(long_after(10 * KEEP))), name


def test_an_open_slip_and_an_open_vend_stay() -> None:
    sold = view()
    waiting = tuple(replace(job, state=JobState.QUEUED) for job in sold.jobs)
    assert waiting
    assert not is_past(replace(sold, jobs=waiting), at(long_after(10 * KEEP)))
    vend = vends.begin(asked(), sold.sale.id, now=long_after(0))
    assert not is_past(replace(sold, vend=vend), at(long_after(10 * KEEP)))
    assert is_past(replace(sold, vend=replace(vend, state=VendState.DONE)), at(long_after(10 * KEEP)))


def test_what_was_touched_later_is_kept_from_then_on() -> None:
    sold = view()
    later = long_after(300)
    touched = replace(sold, sale=replace(sold.sale, updated_at=later.wall))
    assert not is_past(touched, at(long_after(KEEP + 1)))
    assert is_past(touched, at(long_after(KEEP + 301)))
