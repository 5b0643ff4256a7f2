"""The terminal's own time line, and the best known time of day.

Deadlines use the time line, which no clock moves (I10). The time of day is for people, for names that sort by time, and
for the day of business; it is *trusted* when it comes from one of two witnesses:

- The gateway, by the date of its answers. They come over TLS, and its books decide when a day ends and a key dies.
- The kernel's clock, while systemd-timesyncd has synchronised it. Other time servers leave no mark that can be read in
  the sandbox (``adjtimex`` is refused there); with them the gateway's first answer is the witness.

Where they differ, the gateway wins.

The latest trusted time is kept in the journal, as a *floor*: a board without a battery wakes up in the past, and shows
no time below it, with the time since then added that is known. The floor may itself come from a liar, who would
otherwise make every later truth look like one. So a witness that says less than the floor is judged by what it is:

- The gateway is believed, and the floor comes down to it. It is here now and known by its certificate; the floor is a
  memory.
- The kernel's clock is not: time servers are usually not authenticated, and a clock that was set back makes old
  certificates valid again. The time stays untrusted until the gateway has spoken.
"""

import asyncio
import datetime as dt
import logging
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from terminald.core.ids import Duration, Instant, WallTime
from terminald.core.schedule import HOUR, TIME_MARGIN, Floor, Now
from terminald.logs import log_event
from terminald.logs_ids import LogId

log = logging.getLogger(__name__)

#: Changes at each start of the kernel.
BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
#: Exists while systemd-timesyncd has synchronised the clock; readable where ``adjtimex`` is forbidden by the sandbox.
TIMESYNC = Path("/run/systemd/timesync/synchronized")

#: An HTTP date has whole seconds, and has been on its way.
GATEWAY_PRECISION = Duration(2_000)
#: Steps of the kernel's clock up to this are how a good one is kept right: leap seconds, and what time servers correct
#: at once instead of slowly (above 0.4 s).
SMALL_STEP = Duration(2_000)
#: Certificates are valid for months: a clock that is less wrong than this is not why one is refused.
CERTIFICATE_MARGIN = HOUR

_CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_RANDOM_BITS = 80
_TIME_BITS = 48


def boot_id() -> str:
    """Return what names this start of the kernel; a random name where the kernel does not tell."""
    try:
        return BOOT_ID.read_text(encoding="ascii").strip()
    except OSError:
        return secrets.token_hex(16)


def boottime_ms() -> int:
    """Return milliseconds since the kernel started, suspended time included. Not moved by clock steps."""
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1_000_000


def wall_ms() -> int:
    """Return the system clock in milliseconds since 1970 UTC: what people see, and possibly wrong."""
    return time.time_ns() // 1_000_000


def is_synchronized() -> bool:
    """Whether a time server has set the system clock since the kernel started."""
    return TIMESYNC.exists()


def new_ulid(wall: WallTime) -> str:
    """Make an identifier of 26 characters that was never used before: the time in ms, then 80 random bits."""
    value = (wall % (1 << _TIME_BITS)) << _RANDOM_BITS | secrets.randbits(_RANDOM_BITS)
    return "".join(_CROCKFORD[value >> shift & 31] for shift in range(125, -1, -5))


@dataclass(frozen=True, slots=True, kw_only=True)
class Kernel:
    """The kernel's clocks, and what it knows of them. Tests have their own."""

    boottime_ms: Callable[[], int] = boottime_ms
    wall_ms: Callable[[], int] = wall_ms
    is_synchronized: Callable[[], bool] = is_synchronized


class SystemClock:
    """Implements the clock's port; see the module."""

    def __init__(
        self, offset: int, *, jitter: Callable[[], float], floor: Floor | None = None, kernel: Kernel | None = None
    ) -> None:
        """Offset leads from this boot's time to the time line; the journal keeps it, and the floor."""
        self._offset = offset
        self._jitter = jitter
        self._kernel = kernel or Kernel()
        self._floor = floor or Floor(instant=Instant(0), wall=WallTime(0))
        #: What leads from this boot's time to the time of day, once the gateway has told it.
        self._wall_offset: int | None = None
        self._seen = self._system_offset()

    def now(self) -> Now:
        """Return this moment. Trusted times of day never run backwards, but where the gateway corrects them."""
        ticks = self._kernel.boottime_ms()
        instant = Instant(ticks + self._offset)
        least, system = self._floor.at(instant), self._kernel.wall_ms()
        if self._wall_offset is not None:
            said, is_trusted = ticks + self._wall_offset, True
        else:
            said, is_trusted = system, self._kernel.is_synchronized() and system >= least - TIME_MARGIN
        if is_trusted:
            # Within the margin the time stands still until it is later than what was shown.
            wall = WallTime(max(said, self._floor.wall))
            self._floor = Floor(instant=instant, wall=wall)
        else:
            wall = WallTime(max(said, least))
            self._floor = Floor(instant=instant, wall=least)
        return Now(instant=instant, wall=wall, is_trusted=is_trusted, jitter=self._jitter())

    def timer_at(self, instant: Instant) -> float:
        """Return the event loop's time of an instant."""
        wait_ms = instant - self._offset - self._kernel.boottime_ms()
        return asyncio.get_running_loop().time() + wait_ms / 1000

    def note_gateway_time(self, wall: WallTime) -> None:
        """Learn the time of day from an answer of the gateway. A clock that agrees with it is kept: it is finer."""
        ticks = self._kernel.boottime_ms()
        known = self._system_offset() if self._wall_offset is None else self._wall_offset
        said = wall - ticks
        self._wall_offset = known if abs(said - known) <= GATEWAY_PRECISION else said
        instant, told = Instant(ticks + self._offset), WallTime(ticks + self._wall_offset)
        ahead = self._floor.at(instant) - told
        if ahead > TIME_MARGIN:
            shown = dt.timedelta(seconds=ahead // 1000)
            log_event(log, LogId.CLOCK_AHEAD, detail=str(shown))
            self._floor = Floor(instant=instant, wall=told)

    def is_system_right(self) -> bool:
        """Whether the system's own clock, by which certificates are judged, is known to be right."""
        now = self.now()
        return now.is_trusted and abs(self._kernel.wall_ms() - now.wall) <= CERTIFICATE_MARGIN

    def take_step(self) -> int:
        """Return by how many ms the system's clock was set since this was last asked; 0 while it only runs."""
        before, self._seen = self._seen, self._system_offset()
        step = self._seen - before
        return step if abs(step) > SMALL_STEP else 0

    def _system_offset(self) -> int:
        return self._kernel.wall_ms() - self._kernel.boottime_ms()
