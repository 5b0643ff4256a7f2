"""The time of day: two witnesses, a floor, and a kernel whose clock anybody may set."""

from dataclasses import dataclass
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from terminald.adapters.clock import (
    CERTIFICATE_MARGIN,
    GATEWAY_PRECISION,
    SMALL_STEP,
    Kernel,
    SystemClock,
    boot_id,
    boottime_ms,
    new_ulid,
)
from terminald.core.ids import Instant, WallTime
from terminald.core.schedule import DAY, HOUR, MINUTE, SECOND, TIME_MARGIN, Floor
from tests.log_lines import lines

#: What time it really is when a test begins, and where a board without a battery believes to be.
TODAY, LONG_AGO = 1_714_536_000_000, 1_546_300_800_000


@dataclass
class Machine:
    """A kernel in the hands of a test, and the clock that reads it."""

    system: int = LONG_AGO
    ticks: int = 5_000
    is_synchronized: bool = False

    def clock(self, floor: Floor | None = None, *, offset: int = 0) -> SystemClock:
        kernel = Kernel(
            boottime_ms=lambda: self.ticks,
            wall_ms=lambda: self.system,
            is_synchronized=lambda: self.is_synchronized,
        )
        return SystemClock(offset, jitter=lambda: 0.0, floor=floor, kernel=kernel)

    def run(self, ms: int) -> None:
        self.ticks += ms
        self.system += ms


def floor(wall: int = TODAY, instant: int = 5_000) -> Floor:
    return Floor(instant=Instant(instant), wall=WallTime(wall))


# --- witnesses -------------------------------------------------------------------------------------------------------


def test_a_clock_that_nobody_vouches_for_is_shown_and_not_trusted() -> None:
    now = Machine().clock().now()
    assert (now.wall, now.is_trusted, now.instant) == (LONG_AGO, False, 5_000)


def test_a_synchronised_clock_is_trusted() -> None:
    machine = Machine(system=TODAY)
    clock = machine.clock()
    assert not clock.now().is_trusted
    machine.is_synchronized = True
    assert (clock.now().wall, clock.now().is_trusted) == (TODAY, True)


def test_the_gateways_time_wins_and_is_kept_by_the_time_line() -> None:
    machine = Machine(is_synchronized=True)
    clock = machine.clock()
    assert clock.now().wall == LONG_AGO
    clock.note_gateway_time(WallTime(TODAY))
    machine.run(HOUR)
    machine.system = 0
    assert (clock.now().wall, clock.now().is_trusted) == (TODAY + HOUR, True)


def test_a_clock_that_agrees_with_the_gateway_is_finer() -> None:
    machine = Machine(system=TODAY + 999)
    clock = machine.clock()
    clock.note_gateway_time(WallTime(TODAY + 999 - GATEWAY_PRECISION))
    assert (clock.now().wall, clock.now().is_trusted) == (TODAY + 999, True)


# --- the floor -------------------------------------------------------------------------------------------------------


def test_a_board_that_wakes_up_in_the_past_shows_no_time_below_the_floor() -> None:
    machine = Machine()
    clock = machine.clock(floor())
    assert (clock.now().wall, clock.now().is_trusted) == (TODAY, False)
    machine.run(HOUR)
    assert (clock.now().wall, clock.now().is_trusted) == (TODAY + HOUR, False)


def test_the_time_line_carries_the_floor_from_boot_to_boot() -> None:
    """The floor was written an hour before the last event: created_at goes on from there."""
    assert Machine(ticks=0).clock(floor(instant=1_000), offset=HOUR + 1_000).now().wall == TODAY + HOUR


def test_a_clock_above_the_floor_is_shown_as_it_is() -> None:
    now = Machine(system=TODAY + DAY).clock(floor()).now()
    assert (now.wall, now.is_trusted) == (TODAY + DAY, False)


def test_a_time_server_below_the_floor_is_not_believed_until_the_gateway_agrees() -> None:
    machine = Machine(system=TODAY - DAY, is_synchronized=True)
    clock = machine.clock(floor())
    assert (clock.now().wall, clock.now().is_trusted) == (TODAY, False)
    clock.note_gateway_time(WallTime(TODAY - DAY))
    assert (clock.now().wall, clock.now().is_trusted) == (TODAY - DAY, True)


def test_a_floor_of_a_liar_comes_down_to_the_gateways_time_and_that_is_told_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    clock = Machine().clock(floor(TODAY + 4000 * DAY))
    assert clock.now().wall == TODAY + 4000 * DAY
    for _ in range(2):
        clock.note_gateway_time(WallTime(TODAY))
    assert (clock.now().wall, clock.now().is_trusted) == (TODAY, True)
    assert lines(caplog.records) == [
        "the time of day on record is ahead of the gateway's, which is used from now on detail=4000 days, 0:00:00"
    ]


def test_witnesses_that_differ_by_little_make_time_stand_still_and_never_run_backwards() -> None:
    machine = Machine(system=TODAY - TIME_MARGIN, is_synchronized=True)
    clock = machine.clock(floor())
    assert (clock.now().wall, clock.now().is_trusted) == (TODAY, True)
    machine.run(TIME_MARGIN // 2)
    assert (clock.now().wall, clock.now().is_trusted) == (TODAY, True)
    machine.run(TIME_MARGIN)
    assert (clock.now().wall, clock.now().is_trusted) == (TODAY + TIME_MARGIN // 2, True)


def test_a_synchronised_clock_that_is_set_back_is_not_believed() -> None:
    machine = Machine(system=TODAY, is_synchronized=True)
    clock = machine.clock()
    assert clock.now().is_trusted
    machine.run(MINUTE)
    machine.system -= HOUR
    assert (clock.now().wall, clock.now().is_trusted) == (TODAY + MINUTE, False)


WHAT = st.one_of(
    st.tuples(st.just("run"), st.integers(0, DAY)),
    st.tuples(st.just("set"), st.integers(LONG_AGO, TODAY + 1000 * DAY)),
    st.tuples(st.just("synchronise"), st.booleans().map(int)),
    st.tuples(st.just("boot"), st.integers(0, 400 * DAY)),
)


@given(st.lists(WHAT, max_size=20))
def test_trusted_times_never_run_backwards_whatever_the_kernel_says(happenings: list[tuple[str, int]]) -> None:
    """Across boots too: and no time that is shown is below a trusted one that was shown before."""
    machine, known = Machine(), floor(0)
    clock, offset, highest = machine.clock(known), 0, 0
    for what, value in happenings:
        if what == "run":
            machine.run(value)
        elif what == "set":
            machine.system = value
        elif what == "synchronise":
            machine.is_synchronized = bool(value)
        else:
            offset += machine.ticks + 1
            machine.ticks, machine.system, machine.is_synchronized = 0, LONG_AGO + value, False
            clock = machine.clock(known, offset=offset)
        now = clock.now()
        assert now.wall >= highest
        if now.is_trusted:
            highest, known = now.wall, Floor(instant=now.instant, wall=now.wall)


# --- steps -----------------------------------------------------------------------------------------------------------


def test_a_step_is_told_once_with_its_size() -> None:
    machine = Machine()
    clock = machine.clock()
    machine.run(DAY)
    assert clock.take_step() == 0
    for by in (90 * DAY, -90 * DAY, SMALL_STEP + 1):
        machine.system += by
        machine.run(SECOND)
        assert (clock.take_step(), clock.take_step()) == (by, 0)


def test_small_steps_keep_a_clock_right() -> None:
    machine = Machine()
    clock = machine.clock()
    for by in (SMALL_STEP, -SMALL_STEP, SMALL_STEP):
        machine.system += by
        assert clock.take_step() == 0


# --- certificates ----------------------------------------------------------------------------------------------------


def test_the_systems_clock_is_right_when_it_agrees_with_a_trusted_time() -> None:
    machine = Machine()
    clock = machine.clock()
    assert not clock.is_system_right()
    clock.note_gateway_time(WallTime(TODAY))
    assert not clock.is_system_right()
    machine.system = TODAY + CERTIFICATE_MARGIN
    assert clock.is_system_right()


# --- the real kernel -------------------------------------------------------------------------------------------------


def test_the_kernel_is_read() -> None:
    assert boot_id() == boot_id()
    clock = SystemClock(0, jitter=lambda: 0.5)
    before, now, after = boottime_ms(), clock.now(), boottime_ms()
    assert before <= now.instant <= after
    assert now.jitter == 0.5
    assert abs(clock.take_step()) <= SMALL_STEP


def test_identifiers_sort_by_time() -> None:
    made = [new_ulid(WallTime(TODAY + ms)) for ms in range(5)]
    assert all(len(one) == 26 for one in made)
    assert all(one < other for one, other in pairwise(made))
