"""The board under a sale's history: its boots, and its system's clock, which may be wrong."""

import asyncio
import random

from terminald.adapters.clock import Kernel

HOUR_S = 3600.0
DAY_S = 24 * HOUR_S
#: By how much somebody, or something, sets a clock.
STEPS_S = (-400 * DAY_S, -DAY_S, -HOUR_S, -10.0, 10.0, HOUR_S, DAY_S, 400 * DAY_S)


class Board:
    """What stays when the daemon dies, and what does not when the power goes."""

    def __init__(self, rng: random.Random, epoch_s: float) -> None:
        """Epoch is the true time of day when the loop's clock is 0."""
        self._rng = rng
        self._epoch_s = epoch_s
        self._has_battery = rng.random() < 0.5
        self._booted_s = 0.0
        #: By how much the system's clock is wrong.
        self._error_s = 0.0 if self._has_battery else rng.choice((0.0, -HOUR_S, -900 * DAY_S))
        self._is_synchronized = rng.random() < 0.5
        if self._is_synchronized:
            self._error_s = 0.0
        self.number = 1

    def cut_power(self) -> None:
        """The next life is one of another boot; a board without a battery goes on where it was, or an hour before."""
        self.number += 1
        self._booted_s = asyncio.get_running_loop().time()
        self._is_synchronized = False
        if not self._has_battery:
            self._error_s -= self._rng.choice((30.0, HOUR_S))

    def set_right(self) -> None:
        """The clock is right, and goes on while the power is off."""
        self._has_battery, self._error_s, self._is_synchronized = True, 0.0, True

    def set_clock(self, by_s: float, *, is_synchronized: bool) -> None:
        """Somebody sets the clock; a time server may lie as well."""
        self._error_s += by_s
        self._is_synchronized = is_synchronized

    @property
    def kernel(self) -> Kernel:
        """What the daemon reads."""
        return Kernel(boottime_ms=self.ticks, wall_ms=self._wall, is_synchronized=lambda: self._is_synchronized)

    def ticks(self) -> int:
        """``CLOCK_BOOTTIME``, in ms."""
        return int((asyncio.get_running_loop().time() - self._booted_s) * 1000)

    def _wall(self) -> int:
        return int((self._epoch_s + asyncio.get_running_loop().time() + self._error_s) * 1000)
