"""The board's clocks, and what the daemon makes of them: boot time, the system's clock, and the gateway's word."""

import random

from terminald.adapters.clock import GATEWAY_PRECISION_MS
from terminald.core.ids import Instant, WallTime
from terminald.core.schedule import Now
from tests.simulation.agenda import DAY, HOUR, Agenda
from tests.simulation.key_road import EPOCH

#: The system's clock of a board that never knew the time starts there.
IMAGE_BUILT = EPOCH - 400 * DAY
#: No clock is ahead of this.
LATEST = EPOCH + 5_000 * DAY


class Board:
    """What stays when the daemon dies, and what does not when the power goes."""

    def __init__(self, agenda: Agenda, rng: random.Random, *, has_rtc: bool) -> None:
        self._agenda = agenda
        self._rng = rng
        self._has_rtc = has_rtc
        self._booted = 0
        #: By how much the system's clock is wrong.
        self._error = 0
        self._saved_wall = IMAGE_BUILT
        self.boot = 0
        self.is_on = False
        self.is_synced = False

    def power_on(self) -> None:
        """Boot. A board without a clock goes on where it was switched off, or an hour before."""
        self.is_on, self.is_synced = True, False
        self.boot += 1
        self._booted = self._agenda.now
        if self._has_rtc:
            self._error += self._rng.randint(-3000, 3000)
        else:
            self._error = self._saved_wall - self._rng.choice((0, HOUR)) - EPOCH - self._agenda.now

    def power_off(self) -> None:
        self.is_on = False
        self._saved_wall = self.wall()

    def moment_of(self, ticks: float) -> float:
        """The history's time at which the board counts so many."""
        return self._booted + ticks

    def ticks(self) -> int:
        """``CLOCK_BOOTTIME``."""
        return self._agenda.now - self._booted

    def wall(self) -> int:
        """The system's clock."""
        return EPOCH + self._agenda.now + self._error

    def step(self, by: int) -> None:
        """Somebody or something sets the system's clock; nothing says that it is wrong now."""
        self._error += by
        # The kernel takes no time before 1970, and years after this one are no better than it.
        self._error = min(max(self._error, -EPOCH - self._agenda.now), LATEST - EPOCH)

    def sync(self) -> None:
        """A time server is heard."""
        self._error, self.is_synced = 0, True


class BoardClock:
    """Implements the clock's port as ``SystemClock`` does, on a board."""

    def __init__(self, board: Board, offset: int, rng: random.Random) -> None:
        self._board = board
        self._offset = offset
        self._rng = rng
        #: What leads from boot time to the time of day, as the gateway told it.
        self._told: int | None = None

    def now(self) -> Now:
        board, ticks = self._board, self._board.ticks()
        wall = board.wall() if self._told is None else ticks + self._told
        return Now(
            instant=Instant(ticks + self._offset),
            wall=WallTime(wall),
            is_trusted=self._told is not None or board.is_synced,
            jitter=self._rng.random(),
        )

    def timer_at(self, instant: Instant) -> float:
        """The board's ticks of an instant."""
        return instant - self._offset

    def note_gateway_time(self, wall: int) -> None:
        ticks, board = self._board.ticks(), self._board
        known = board.wall() - ticks if self._told is None else self._told
        said = wall - ticks
        self._told = known if abs(said - known) <= GATEWAY_PRECISION_MS else said
