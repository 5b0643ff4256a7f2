"""What is judged to grow in a daemon that sells, and what is not. The series are half an hour, a look a second."""

import random
from collections.abc import Callable

import pytest

from tests.bench.verdict import Sample, growth

LOOKS = 30 * 60
SEEDS = range(20)

Series = Callable[[int], float]


def run(
    *, descriptors: Series = lambda _: 19, threads: Series = lambda _: 6, resident_mb: Series = lambda _: 41.0,
    log_mb: Series = lambda _: 4.1, looks: int = LOOKS,
) -> list[str]:  # fmt: skip
    """Return the verdict on a daemon that looked like this, by the second."""
    samples = [
        Sample(
            sales=second,
            resident_mb=resident_mb(second),
            descriptors=int(descriptors(second)),
            threads=int(threads(second)),
            log_mb=log_mb(second),
            journal_mb=second / 100,
        )
        for second in range(1, looks + 1)
    ]
    return growth(samples)


def between(least: int, most: int, *, seed: int, stays_s: int = 1, high_part: float = 0.5) -> Series:
    """Return what is at one of two values by chance, for a while each time."""
    chance = random.Random(seed)
    values = [most if chance.random() < high_part else least for _ in range(LOOKS // stays_s + 2)]
    return lambda second: values[second // stays_s]


def up_and_down(phase: int) -> Series:
    """Return what is at one of two values for a minute each."""
    return lambda second: 19 + 2 * ((second + phase) // 60 % 2)


def plus(one: Series, other: Series) -> Series:
    """Return the sum of two."""
    return lambda second: one(second) + other(second)


def noisy(seed: int, series: Series, *, by_mb: float = 0.3) -> Series:
    """Return the series with what pages that come and go do to it."""
    chance = random.Random(seed)
    return lambda second: series(second) + chance.uniform(-by_mb, by_mb)


# --- what is counted -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("high_part", [0.02, 0.1, 0.5, 0.9, 0.98])
@pytest.mark.parametrize("stays_s", [1, 5, 20])
def test_what_goes_up_and_down_does_not_grow(stays_s: int, high_part: float) -> None:
    for seed in SEEDS:
        flat = between(19, 21, seed=seed, stays_s=stays_s, high_part=high_part)
        assert run(descriptors=flat, threads=flat) == [], seed


def test_what_goes_up_and_down_by_the_minute_does_not_grow() -> None:
    for phase in range(120):
        assert run(descriptors=up_and_down(phase)) == [], phase


@pytest.mark.parametrize("every_min", [5, 10])
def test_one_that_leaks_each_few_minutes_is_found_where_the_number_goes_up_and_down(every_min: int) -> None:
    for seed in SEEDS:
        leaking = plus(between(19, 21, seed=seed, stays_s=5), lambda second: second // (60 * every_min))
        descriptors, threads = run(descriptors=leaking, threads=leaking)
        assert descriptors.startswith("descriptors grew from "), descriptors
        assert threads.startswith("threads grew from "), threads
        assert run(descriptors=plus(up_and_down(seed), lambda second: second // (60 * every_min))) != []


@pytest.mark.parametrize("at_min", [10, 15, 20, 25])
def test_a_single_one_that_stays_is_found(at_min: int) -> None:
    (found,) = run(descriptors=lambda second: 19 + (second >= 60 * at_min))
    assert found.startswith("descriptors grew from 19 (19."), found
    assert found.endswith(" in the mean) to 20 (20.0)"), found


def test_one_that_is_missing_for_a_moment_hides_no_leak_and_is_none() -> None:
    def reconnects(second: int) -> float:
        return 19 - (second % 300 < 5)

    assert run(descriptors=reconnects) == []
    assert run(descriptors=lambda second: 19 - (second < 500)) == [], "before it was warm, and for a moment since"
    assert run(descriptors=lambda second: reconnects(second) + (second > 1200)) != []
    assert run(descriptors=lambda second: 19 - (1700 < second < 1705) + (second > 1200)) != []


# --- memory ----------------------------------------------------------------------------------------------------------


def test_memory_that_is_full_does_not_grow() -> None:
    """Caches fill, each more slowly than before; pages come and go."""
    for seed in SEEDS:
        assert run(resident_mb=noisy(seed, lambda second: 43 - 3 * 0.5 ** (second / 240))) == [], seed


def test_a_slow_drift_of_memory_is_found() -> None:
    for seed in SEEDS:
        (found,) = run(resident_mb=noisy(seed, lambda second: 41.1 + 0.1 * second / 60))
        assert found.startswith("resident memory grew from 42."), found
        assert "MB, and drifts by 0.3" in found or "MB, and drifts by 0.4" in found, found


@pytest.mark.parametrize("at_min", [10, 15, 20, 25])
def test_a_step_of_memory_is_found_from_what_is_allowed_on_and_told_as_it_is(at_min: int) -> None:
    assert run(resident_mb=lambda second: 41 + 1.9 * (second >= 60 * at_min)) == []
    step = run(resident_mb=lambda second: 41 + 2.1 * (second >= 60 * at_min))
    assert step == ["resident memory grew from 41.0 to 43.1 MB"]


# --- the rest --------------------------------------------------------------------------------------------------------


def test_a_log_that_was_large_once_is_found() -> None:
    assert run(log_mb=lambda second: 8.5 if second == 700 else 4.1) == ["the write-ahead log was 8.5 MB large"]


@pytest.mark.parametrize("looks", [0, 1, 30, 118])
def test_nothing_is_said_of_a_daemon_that_was_hardly_looked_at(looks: int) -> None:
    assert run(looks=looks) == [f"{looks} looks are too few for a verdict"]
    assert run(looks=120) == []
