"""A day adds up: every payment and every return stands in one day, and totals are the sums of their parts."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from terminald.core.attempt_table import AttemptState
from terminald.core.book import SaleView
from terminald.core.events import OrderFacts
from terminald.core.ids import Duration, SaleId, WallTime
from terminald.core.money import Fen
from terminald.core.refund_table import Refund, RefundKind, RefundState
from terminald.core.report import (
    BusinessDay,
    SaleOfDay,
    Sums,
    paid_at,
    report_of,
    sale_of_day,
)
from terminald.core.sale_table import SaleState
from terminald.core.schedule import CLOCK_UNSET_BEFORE, DAY, FINISH_EARLIEST, FINISH_LATEST, HOUR, day_of
from tests.wire.api_samples import attempt, paid_view, refund, sale

BEIJING = Duration(8 * HOUR)
#: 2025-01-31T00:00:00+08:00
MIDNIGHT = WallTime(1_738_252_800_000)
FRIDAY = BusinessDay(number=day_of(MIDNIGHT, BEIJING), offset=BEIJING)
THURSDAY = BusinessDay(number=FRIDAY.number - 1, offset=BEIJING)
OFFSETS = st.integers(-12 * 60, 14 * 60).map(lambda minutes: Duration(minutes * 60_000))


def paid(
    at: int,
    *,
    began: int | None = None,
    amount: int = 350,
    payway: str = "3",
    sale_id: str = "01J",
    state: SaleState = SaleState.COMPLETED,
) -> SaleView:
    """A sale whose order began at one time, and was finished by the gateway at another."""
    view = paid_view(sale_id)
    order = replace(view.sale.order, amount=Fen(amount))
    facts = OrderFacts(sn="7894", payway=payway, finish_time=str(at))
    order_of = replace(
        attempt(facts=facts), amount=Fen(amount), started_at=WallTime(at - 5_000 if began is None else began)
    )
    return replace(view, sale=replace(view.sale, order=order, paid=Fen(amount), state=state), attempts=(order_of,))


def with_refunds(view: SaleView, *refunds: Refund, returned: int) -> SaleView:
    return replace(view, sale=replace(view.sale, returned=Fen(returned)), refunds=refunds)


def done(number: int, amount: int, at: int, kind: RefundKind = RefundKind.REFUND) -> Refund:
    return replace(refund(number, amount=amount, kind=kind), opened_at=WallTime(at - 1_000), ended_at=WallTime(at))


def brought(view: SaleView, day: BusinessDay) -> tuple[int, int, int]:
    """What was paid, returned and is in doubt."""
    found = sale_of_day(view, day)
    return (0, 0, 0) if found is None else (found.paid, found.returned, found.in_doubt)


# --- which day -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("at", "day"), [(MIDNIGHT - 1, THURSDAY), (MIDNIGHT, FRIDAY), (FRIDAY.end - 1, FRIDAY)])
def test_a_payment_counts_on_the_day_on_which_the_gateway_finished_it(at: int, day: BusinessDay) -> None:
    view = paid(at)
    assert brought(view, day) == (350, 0, 0)
    for other in (THURSDAY, FRIDAY, BusinessDay(number=FRIDAY.number + 1, offset=BEIJING)):
        assert other == day or brought(view, other)[0] == 0


def test_an_order_that_began_before_midnight_and_was_paid_after_it_concerns_both_days() -> None:
    view = paid(MIDNIGHT + 2_000, began=MIDNIGHT - 3_000)
    before = sale_of_day(view, THURSDAY)
    assert before is not None
    assert (before.is_paid, before.paid) == (False, 0)
    assert brought(view, FRIDAY) == (350, 0, 0)


@given(wall=st.integers(0, 4_000_000_000_000), offset=OFFSETS)
def test_a_moment_is_in_one_day_of_any_timezone(wall: int, offset: Duration) -> None:
    day = BusinessDay(number=day_of(WallTime(wall), offset), offset=offset)
    assert day.has(WallTime(wall))
    assert day.start <= wall < day.end
    assert day.end - day.start == DAY
    assert day.has(day.start)
    assert not day.has(day.end)


def test_the_same_moment_is_in_another_day_elsewhere() -> None:
    utc = BusinessDay(number=FRIDAY.number, offset=Duration(0))
    view = paid(MIDNIGHT + HOUR)
    assert brought(view, FRIDAY) == (350, 0, 0)
    assert brought(view, utc) == (0, 0, 0)


@pytest.mark.parametrize("said", ["", "soon", "１２３", "-5", "9" * 16, "0", "20250131000000"])
def test_a_time_of_the_gateway_that_can_not_be_true_loses_no_payment(said: str) -> None:
    """Our time counts instead."""
    view = paid(MIDNIGHT + HOUR)
    garbled = replace(view.attempts[0], facts=OrderFacts(payway="3", finish_time=said))
    assert paid_at(garbled) == garbled.started_at
    assert brought(replace(view, attempts=(garbled,)), FRIDAY) == (350, 0, 0)


@pytest.mark.parametrize(
    ("after", "is_believed"),
    [(-FINISH_EARLIEST - 1, False), (-FINISH_EARLIEST, True), (FINISH_LATEST, True), (FINISH_LATEST + 1, False)],
)
def test_the_gateway_is_believed_near_the_time_at_which_the_order_began(after: int, is_believed: bool) -> None:  # noqa: FBT001 - a table
    view = paid(MIDNIGHT + after, began=MIDNIGHT)
    assert paid_at(view.attempts[0]) == (MIDNIGHT + after if is_believed else MIDNIGHT)


def test_a_clock_that_was_never_set_does_not_outvote_the_gateway() -> None:
    unset = attempt(facts=OrderFacts(finish_time=str(MIDNIGHT)))
    assert paid_at(replace(unset, started_at=WallTime(CLOCK_UNSET_BEFORE - 1))) == MIDNIGHT
    nonsense = replace(unset, started_at=WallTime(7), facts=OrderFacts(finish_time=str(CLOCK_UNSET_BEFORE - 1)))
    assert paid_at(nonsense) == 7


# --- what it brought -------------------------------------------------------------------------------------------------


def test_a_return_counts_on_the_day_on_which_it_was_done() -> None:
    """Not on the day of its sale."""
    view = with_refunds(paid(MIDNIGHT - HOUR), done(1, 100, MIDNIGHT + HOUR), returned=100)
    assert brought(view, THURSDAY) == (350, 0, 0)
    assert brought(view, FRIDAY) == (0, 100, 0)


def test_what_somebody_else_gave_back_counts_with_the_return_that_found_it_out() -> None:
    rest = replace(done(2, 150, MIDNIGHT + 2 * HOUR), kind=RefundKind.RETURN)
    view = with_refunds(paid(MIDNIGHT), done(1, 100, MIDNIGHT + HOUR), rest, returned=350)
    found = sale_of_day(view, FRIDAY)
    assert found is not None
    assert (found.returns, found.returned) == (2, 350)


def test_a_return_that_moved_nothing_is_not_counted() -> None:
    nothing = done(2, 100, MIDNIGHT + 2 * HOUR)
    view = with_refunds(paid(MIDNIGHT), done(1, 350, MIDNIGHT + HOUR), nothing, returned=350)
    found = sale_of_day(view, FRIDAY)
    assert found is not None
    assert (found.returns, found.returned) == (1, 350)


def test_a_return_without_an_end_on_record_counts_when_it_was_begun() -> None:
    odd = replace(done(1, 100, MIDNIGHT + HOUR), ended_at=None)
    assert brought(with_refunds(paid(MIDNIGHT), odd, returned=100), FRIDAY) == (350, 100, 0)


@pytest.mark.parametrize("state", [RefundState.REFUSED, RefundState.CLOSED])
def test_a_return_that_was_refused_or_closed_moves_nothing(state: RefundState) -> None:
    view = with_refunds(paid(MIDNIGHT), replace(done(1, 100, MIDNIGHT + 1), state=state), returned=0)
    assert brought(view, FRIDAY) == (350, 0, 0)


@given(
    parts=st.lists(st.tuples(st.integers(1, 200), st.integers(-3, 3)), max_size=5),
    extra=st.integers(0, 50),
    at=st.integers(-3 * DAY, 3 * DAY),
    offset=OFFSETS,
)
def test_over_all_days_a_sale_brings_what_it_says(
    parts: list[tuple[int, int]], extra: int, at: int, offset: Duration
) -> None:
    returned = sum(amount for amount, _ in parts) + (extra if parts else 0)
    total = returned + 17
    refunds = [done(place, amount, MIDNIGHT + days * DAY + place) for place, (amount, days) in enumerate(parts)]
    view = with_refunds(paid(MIDNIGHT + at, amount=total), *refunds, returned=returned)
    middle = day_of(MIDNIGHT, offset)
    days = [BusinessDay(number=number, offset=offset) for number in range(middle - 6, middle + 7)]
    found = [brought(view, day) for day in days]
    assert sum(one[0] for one in found) == total
    assert sum(one[1] for one in found) == returned
    assert all(one[2] == 0 for one in found)


# --- in doubt --------------------------------------------------------------------------------------------------------

SENT = set(AttemptState) - {AttemptState.HELD, AttemptState.UNSENT}


@pytest.mark.parametrize("state", AttemptState)
def test_an_order_is_in_doubt_until_it_is_proven(state: AttemptState) -> None:
    one = replace(attempt(state=state), started_at=MIDNIGHT)
    view = SaleView(sale=sale(state=SaleState.CANCELING, attempts=("A1",)), attempts=(one,))
    found = sale_of_day(view, FRIDAY)
    assert (found is not None) == (state in SENT)
    if found is not None:
        assert found.in_doubt == (0 if state.is_final else 350)
        assert found.is_paid == (state is AttemptState.PAID)
    assert sale_of_day(view, THURSDAY) is None


@pytest.mark.parametrize("state", [state for state in RefundState if not state.is_final])
def test_a_return_is_in_doubt_until_it_is_proven(state: RefundState) -> None:
    """On the day on which it was begun."""
    open_ = replace(refund(state=state), opened_at=WallTime(MIDNIGHT + 1), ended_at=None)
    view = with_refunds(paid(MIDNIGHT - HOUR, state=SaleState.RETURNING), open_, returned=0)
    assert brought(view, THURSDAY) == (350, 0, 0)
    assert brought(view, FRIDAY) == (0, 0, 100)


def test_a_payment_whose_goods_are_not_reported_may_still_go_back() -> None:
    view = with_refunds(paid(MIDNIGHT, state=SaleState.PAID), done(1, 100, MIDNIGHT + 1), returned=100)
    assert brought(view, FRIDAY) == (350, 100, 250)


def test_a_sale_that_nobody_presented_a_code_for_is_in_no_report() -> None:
    assert sale_of_day(SaleView(sale=sale(state=SaleState.AWAITING_PAYMENT), attempts=()), FRIDAY) is None


# --- sums ------------------------------------------------------------------------------------------------------------

ENTRIES = st.builds(
    SaleOfDay,
    sale_id=st.integers(0, 10**9).map(lambda number: SaleId(f"{number:026}")),
    reference=st.just("r"),
    payway=st.sampled_from(["", "1", "2", "3", "17"]),
    is_paid=st.booleans(),
    paid=st.integers(0, 10**10).map(Fen),
    returns=st.integers(0, 3),
    returned=st.integers(0, 10**10).map(Fen),
    in_doubt=st.integers(0, 500).map(Fen),
).map(
    lambda one: replace(one, paid=one.paid if one.is_paid else Fen(0), returned=one.returned if one.returns else Fen(0))
)


@given(st.lists(ENTRIES, max_size=20, unique_by=lambda one: one.sale_id))
def test_totals_are_the_sums_of_the_providers_and_of_the_sales(entries: list[SaleOfDay]) -> None:
    report = report_of(FRIDAY, entries)
    sums = [one for _, one in report.providers]
    assert report.total.count == sum(one.count for one in sums) == sum(one.is_paid for one in entries)
    assert report.total.sold == sum(one.sold for one in sums) == sum(one.paid for one in entries)
    assert report.total.returns == sum(one.returns for one in sums)
    assert report.total.returned == sum(one.returned for one in sums) == sum(one.returned for one in entries)
    assert report.total.net == sum(one.net for one in sums) == report.total.sold - report.total.returned
    assert report.in_doubt == sum(one.in_doubt for one in report.doubtful)
    assert all(one.in_doubt for one in report.doubtful)
    payways = [payway for payway, _ in report.providers]
    assert len(payways) == len(set(payways))
    assert [one.sale_id for one in report.sales] == sorted(one.sale_id for one in entries)


def test_providers_stand_in_the_order_of_their_numbers() -> None:
    views = [paid(MIDNIGHT, payway=payway, sale_id=f"0{payway}") for payway in ("17", "3", "", "2")]
    found = [one for view in views if (one := sale_of_day(view, FRIDAY)) is not None]
    assert [payway for payway, _ in report_of(FRIDAY, found).providers] == ["", "2", "3", "17"]


def test_a_day_on_which_more_went_back_than_came_in_is_negative() -> None:
    view = with_refunds(paid(MIDNIGHT - HOUR), done(1, 350, MIDNIGHT), returned=350)
    found = sale_of_day(view, FRIDAY)
    assert found is not None
    report = report_of(FRIDAY, [found])
    assert report.total == Sums(count=0, sold=Fen(0), returns=1, returned=Fen(350))
    assert report.total.net == -350
    assert [payway for payway, _ in report.providers] == ["3"]


def test_a_day_without_sales_has_nothing() -> None:
    report = report_of(FRIDAY, [])
    assert (report.providers, report.total, report.in_doubt, report.doubtful) == ((), Sums(), 0, ())
