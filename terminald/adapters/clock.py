"""The terminal's own time line, and the best known time of day."""

import asyncio
import secrets
import time
from collections.abc import Callable
from pathlib import Path

from terminald.core.ids import Instant, WallTime
from terminald.core.schedule import Now

#: Changes at each start of the kernel.
BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
#: Exists while systemd-timesyncd has synchronised the clock; readable where ``adjtimex`` is forbidden by the sandbox.
TIMESYNC = Path("/run/systemd/timesync/synchronized")

#: An HTTP date has whole seconds, and has been on its way.
GATEWAY_PRECISION_MS = 2_000

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


def new_ulid(wall: WallTime) -> str:
    """Make an identifier of 26 characters that was never used before: the time in ms, then 80 random bits."""
    value = (wall % (1 << _TIME_BITS)) << _RANDOM_BITS | secrets.randbits(_RANDOM_BITS)
    return "".join(_CROCKFORD[value >> shift & 31] for shift in range(125, -1, -5))


class SystemClock:
    """Implements the clock's port. Once the gateway has told the time, that is the time of day (I10)."""

    def __init__(self, offset: int, *, jitter: Callable[[], float]) -> None:
        """Offset leads from this boot's time to the time line; the journal keeps it."""
        self._offset = offset
        self._jitter = jitter
        #: What leads from this boot's time to the time of day, once the gateway has told it.
        self._wall_offset: int | None = None

    def now(self) -> Now:
        """Return this moment."""
        ticks = boottime_ms()
        if self._wall_offset is not None:
            wall, is_trusted = ticks + self._wall_offset, True
        else:
            wall, is_trusted = wall_ms(), TIMESYNC.exists()
        return Now(
            instant=Instant(ticks + self._offset),
            wall=WallTime(wall),
            is_trusted=is_trusted,
            jitter=self._jitter(),
        )

    def timer_at(self, instant: Instant) -> float:
        """Return the event loop's time of an instant."""
        wait_ms = instant - self._offset - boottime_ms()
        return asyncio.get_running_loop().time() + wait_ms / 1000

    def note_gateway_time(self, wall: WallTime) -> None:
        """Learn the time of day from an answer of the gateway. A clock that agrees with it is kept: it is finer."""
        ticks = boottime_ms()
        known = wall_ms() - ticks if self._wall_offset is None else self._wall_offset
        said = wall - ticks
        self._wall_offset = known if abs(said - known) <= GATEWAY_PRECISION_MS else said
