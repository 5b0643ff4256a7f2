import itertools
from dataclasses import replace

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from terminald.core.ids import Duration, Instant, WallTime
from terminald.core.schedule import (
    DAY,
    DAY_END_MARGIN,
    HOUR,
    LAST_LOOK_WITHOUT_CLOCK,
    MINUTE,
    RETRY_FIRST,
    RETRY_LONGEST,
    SECOND,
    Floor,
    Now,
    day_end,
    late_looks,
    later,
    retry_delay,
)
from tests.core.machine_builders import NOON, RULES, after

CONFIGURED = (30 * SECOND, 5 * MINUTE, HOUR)
#: 2024-05-01 at 24:00 in China.
MIDNIGHT = WallTime(NOON.wall + 12 * HOUR)

walls = st.integers(0, 4_000_000_000_000).map(WallTime)
offsets = st.integers(-12, 14).map(lambda hours: Duration(hours * HOUR))


def waits_of(now: Now, *configured: int) -> list[int]:
    rules = replace(RULES, late_lookups=tuple(Duration(wait) for wait in configured))
    return [look - now.instant for look in late_looks(now, rules)]


def test_later_is_later() -> None:
    assert later(Instant(5), 7) == 12


def test_a_floor_goes_on_with_the_time_line_and_not_back_with_it() -> None:
    floor = Floor(instant=Instant(1_000), wall=WallTime(50_000))
    assert [floor.at(Instant(instant)) for instant in (0, 1_000, 1_001)] == [50_000, 50_000, 50_001]


# --- back-off --------------------------------------------------------------------------------------------------------


def test_waits_double_and_stop_growing() -> None:
    assert [retry_delay(tries, 0.0) for tries in range(10)] == [
        seconds * SECOND for seconds in (2, 4, 8, 16, 32, 64, 128, 256, 300, 300)
    ]


@given(st.integers(0, 10**9), st.floats(0, 1, exclude_max=True))
@example(10**9, 0.0)
def test_a_wait_is_bounded_and_spread_by_half_of_it(tries: int, jitter: float) -> None:
    """I11: also after years of trying."""
    plain, spread = retry_delay(tries, 0.0), retry_delay(tries, jitter)
    assert RETRY_FIRST <= plain <= RETRY_LONGEST
    assert plain <= spread <= plain * 1.5
    assert retry_delay(tries + 1, jitter) >= spread


# --- the business day ------------------------------------------------------------------------------------------------


def test_the_day_ends_at_the_gateways_midnight() -> None:
    offset = Duration(8 * HOUR)
    assert day_end(NOON.wall, offset) == MIDNIGHT
    assert day_end(WallTime(MIDNIGHT - 1), offset) == MIDNIGHT
    assert day_end(MIDNIGHT, offset) == MIDNIGHT + DAY


@given(walls, offsets)
def test_every_moment_lies_in_the_day_that_it_ends(wall: WallTime, offset: Duration) -> None:
    end = day_end(wall, offset)
    assert wall < end <= wall + DAY
    assert (end + offset) % DAY == 0


# --- late looks ------------------------------------------------------------------------------------------------------


def test_the_last_look_is_before_the_business_day_ends() -> None:
    """I3: while a cancel is still possible without a refund."""
    assert waits_of(NOON, *CONFIGURED) == [*CONFIGURED, 12 * HOUR - DAY_END_MARGIN]


def test_the_end_of_the_day_comes_between_the_configured_looks() -> None:
    evening = after(NOON, 12 * HOUR - DAY_END_MARGIN - MINUTE)
    assert waits_of(evening, *CONFIGURED) == [30 * SECOND, MINUTE, 5 * MINUTE, HOUR]


@pytest.mark.parametrize("before_midnight", [1, MINUTE, DAY_END_MARGIN])
def test_when_the_day_is_about_to_end_the_configured_looks_remain(before_midnight: int) -> None:
    assert waits_of(after(NOON, 12 * HOUR - before_midnight), *CONFIGURED) == [*CONFIGURED]


def test_a_wall_time_that_is_not_trusted_decides_nothing() -> None:
    """I10."""
    asked = [replace(after(NOON, hour * HOUR), is_trusted=False) for hour in range(24)]
    assert all(waits_of(now, *CONFIGURED) == [*CONFIGURED, LAST_LOOK_WITHOUT_CLOCK] for now in asked)


def test_without_configured_looks_there_is_still_one() -> None:
    assert waits_of(NOON) == [12 * HOUR - DAY_END_MARGIN]
    assert waits_of(after(NOON, 12 * HOUR - 1)) == [LAST_LOOK_WITHOUT_CLOCK]


def test_looks_that_coincide_are_one() -> None:
    assert waits_of(NOON, 12 * HOUR - DAY_END_MARGIN) == [12 * HOUR - DAY_END_MARGIN]


@given(
    st.builds(Now, instant=st.integers(0, 10**12).map(Instant), wall=walls, is_trusted=st.booleans()),
    st.lists(st.integers(10, DAY), max_size=8),
)
def test_looks_ascend_and_there_is_always_one_to_come(now: Now, configured: list[int]) -> None:
    """I5."""
    waits = waits_of(now, *configured)
    assert waits
    assert waits[0] > 0
    assert all(one < following for one, following in itertools.pairwise(waits))
    assert set(configured) <= set(waits)
