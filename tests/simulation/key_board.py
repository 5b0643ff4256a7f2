"""The board: its power, its boot time, and its system's clock, which may be wrong."""

import random

from terminald.adapters.clock import Kernel
from tests.simulation.agenda import DAY, HOUR, Agenda
from tests.simulation.key_road import EPOCH

#: Certificates are valid from so long before to so long after: with a clock that is farther off there is no link.
CERTIFICATE_SINCE = 60 * DAY
CERTIFICATE_UNTIL = 30 * DAY
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
        self._saved_wall = EPOCH
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

    @property
    def is_clock_good(self) -> bool:
        """Whether certificates are valid by the system's clock."""
        return -CERTIFICATE_SINCE < self._error < CERTIFICATE_UNTIL

    @property
    def kernel(self) -> Kernel:
        """What the daemon reads."""
        return Kernel(boottime_ms=self.ticks, wall_ms=self.wall, is_synchronized=lambda: self.is_synced)

    def correct(self) -> None:
        """A person sets the clock right, but for a minute or so."""
        self._error = self._rng.randint(-60_000, 60_000)

    def sync(self) -> None:
        """A time server is heard."""
        self._error, self.is_synced = 0, True
