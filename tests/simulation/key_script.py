"""What happens to one terminal in a year, drawn from a seed: power, link, customers, clocks and people.

The script knows nothing of keys. What goes wrong with single messages and commits is drawn as they come.
"""

import random
from dataclasses import dataclass, field

from tests.simulation.agenda import DAY, HOUR, MINUTE, SECOND

DAYS = 365
YEAR = DAYS * DAY

#: A stretch of time: begin and end.
Span = tuple[int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """How a terminal lives. Numbers are happenings in a year, unless they say otherwise."""

    name: str
    is_lossy: bool = True
    has_rtc: bool = True
    has_ntp: bool = True
    #: Switched off every night.
    is_off_at_night: bool = False
    #: Switched on for an hour or three only, then off for up to 46 hours.
    is_seldom_on: bool = False
    #: The same of the link, with the power always on: for half an hour at the least.
    is_seldom_linked: bool = False
    offline_minutes: int = 0
    offline_hours: int = 0
    offline_days: int = 0
    offline_weeks: int = 0
    off_days: int = 0
    off_weeks: int = 0
    power_cuts: int = 0
    crashes: int = 0
    full_disks: int = 0
    clock_steps: int = 0
    people: int = 0
    sales_a_day: int = 6
    busy_days: int = 100


ORDINARY = Profile(
    name="ordinary", offline_minutes=150, offline_hours=30, power_cuts=30, crashes=30, full_disks=4, clock_steps=4,
    people=12,
)  # fmt: skip
#: A seed's last digit chooses one, but for those of every second calm terminal.
PROFILES: tuple[Profile, ...] = (
    Profile(name="calm", is_lossy=False),
    ORDINARY,
    Profile(
        name="no clock", has_rtc=False, has_ntp=False, offline_minutes=100, offline_hours=30, offline_days=4,
        power_cuts=150, crashes=50, clock_steps=100, people=12,
    ),
    Profile(
        name="off at night", is_off_at_night=True, has_rtc=False, offline_minutes=100, offline_hours=40, power_cuts=20,
        crashes=20, clock_steps=6, people=12, busy_days=150,
    ),
    Profile(
        name="off at night, offline for days", is_off_at_night=True, offline_minutes=100, offline_hours=60,
        offline_days=20, offline_weeks=2, power_cuts=20, crashes=20, people=20,
    ),
    Profile(
        name="offline for weeks", offline_minutes=100, offline_hours=40, offline_days=15, offline_weeks=5,
        power_cuts=40, crashes=20, people=12,
    ),
    Profile(
        name="off for weeks", has_rtc=False, offline_minutes=60, offline_hours=20, off_days=20, off_weeks=5,
        power_cuts=30, clock_steps=10, people=12,
    ),
    Profile(name="seldom on", is_seldom_on=True, has_rtc=False, offline_minutes=40, clock_steps=6, people=6),
    Profile(name="clock steps", clock_steps=400, offline_hours=20, power_cuts=60, crashes=150, people=12),
    Profile(
        name="everything", has_rtc=False, is_off_at_night=True, offline_minutes=300, offline_hours=100, offline_days=10,
        offline_weeks=2, off_days=10, off_weeks=2, power_cuts=150, crashes=150, full_disks=30, clock_steps=100,
        people=60, sales_a_day=12, busy_days=250,
    ),
)  # fmt: skip
SELDOM_LINKED = Profile(name="seldom linked", is_seldom_linked=True, power_cuts=6, crashes=10, people=6)


def profile_of(seed: int) -> Profile:
    """Return how the terminal of a seed lives."""
    return SELDOM_LINKED if seed % 20 == 10 else PROFILES[seed % 10]


@dataclass(frozen=True, slots=True, kw_only=True)
class Script:
    """One year. Spans of one kind may overlap."""

    profile: Profile
    nights: list[Span] = field(default_factory=list)
    off: list[Span] = field(default_factory=list)
    power_cuts: list[Span] = field(default_factory=list)
    offline: list[Span] = field(default_factory=list)
    full_disks: list[Span] = field(default_factory=list)
    crashes: list[int] = field(default_factory=list)
    #: When, and by how much the system's clock jumps.
    clock_steps: list[tuple[int, int]] = field(default_factory=list)
    #: When somebody asks for a check-in.
    people: list[int] = field(default_factory=list)


def write_script(seed: int) -> Script:
    """Draw the year of a seed."""
    rng, profile = random.Random(seed), profile_of(seed)
    script = Script(
        profile=profile,
        offline=[
            span
            for count, least, most in (
                (profile.offline_minutes, MINUTE, 40 * MINUTE),
                (profile.offline_hours, HOUR, 12 * HOUR),
                (profile.offline_days, 12 * HOUR, 3 * DAY),
                (profile.offline_weeks, 5 * DAY, 16 * DAY),
            )
            for span in _spans(rng, count, least, most)
        ],
        off=[
            *_spans(rng, profile.off_days, 10 * HOUR, 3 * DAY),
            *_spans(rng, profile.off_weeks, 3 * DAY, 16 * DAY),
        ],
        power_cuts=_spans(rng, profile.power_cuts, SECOND, HOUR),
        full_disks=_spans(rng, profile.full_disks, MINUTE, 8 * HOUR),
        crashes=[rng.randrange(YEAR) for _ in range(profile.crashes)],
        clock_steps=[(rng.randrange(YEAR), _step(rng)) for _ in range(profile.clock_steps)],
        people=_people(rng, profile.people),
        nights=_nights(rng, profile),
    )
    if profile.is_seldom_linked:
        script.offline.extend(_now_and_then(rng, 31 * MINUTE))
    assert all(start < end for start, end in (*script.off, *script.nights))
    return script


def _spans(rng: random.Random, count: int, least: int, most: int) -> list[Span]:
    starts = [rng.randrange(YEAR) for _ in range(count)]
    return [(start, start + rng.randint(least, most)) for start in starts]


def _people(rng: random.Random, count: int) -> list[int]:
    """Some ask again after some seconds or minutes."""
    times = []
    for _ in range(count):
        at = rng.randrange(YEAR)
        times.append(at)
        if rng.random() < 0.5:
            times.append(at + rng.choice((2 * SECOND, 30 * SECOND, 5 * MINUTE, 11 * MINUTE, HOUR)))
    return times


def _nights(rng: random.Random, profile: Profile) -> list[Span]:
    if profile.is_off_at_night:
        return [(day * DAY + 22 * HOUR, day * DAY + 31 * HOUR + rng.randrange(HOUR)) for day in range(DAYS)]
    return _now_and_then(rng, HOUR) if profile.is_seldom_on else []


def _now_and_then(rng: random.Random, least: int) -> list[Span]:
    """Return outages of up to 46 hours, with good times of so long or some hours between them."""
    outages, at = list[Span](), DAY
    while at < YEAR:
        end = at + rng.randint(4 * HOUR, 46 * HOUR)
        outages.append((at, end))
        at = end + rng.randint(least, 3 * HOUR)
    return outages


def _step(rng: random.Random) -> int:
    """Months ahead, years back, or a little."""
    kind = rng.random()
    if kind < 0.3:
        return rng.randint(30, 400) * DAY
    if kind < 0.6:
        return -rng.randint(365, 3000) * DAY
    return rng.choice((-1, 1)) * rng.randint(2 * SECOND, 3 * HOUR)


def sales_of_day(rng: random.Random, profile: Profile, day: int) -> list[int]:
    """When customers come: now and then, and on busy days every minute or two for some hours."""
    times = [day * DAY + rng.randrange(DAY) for _ in range(profile.sales_a_day)]
    if rng.random() < profile.busy_days / DAYS:
        at = day * DAY + rng.randrange(6 * HOUR, 22 * HOUR)
        end = at + rng.randint(HOUR, 3 * HOUR)
        while at < end:
            times.append(at)
            at += rng.randint(45 * SECOND, 4 * MINUTE)
    return times
