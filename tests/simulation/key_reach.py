"""When a terminal can act at its ease: with power, link and disk, no message lost, and nobody to serve."""

from collections.abc import Callable

from tests.simulation.agenda import MINUTE, Agenda

#: In reach and unserved for so long, a terminal has had the time to renew its key.
LONG_ENOUGH = 30 * MINUTE


class Reach:
    """Keeps since when the terminal is in reach, and how long it was without a good half hour."""

    def __init__(
        self,
        agenda: Agenda,
        *,
        on_reach: Callable[[], None],
        on_good: Callable[[], None],
    ) -> None:
        """On_reach and on_good are called whenever such a time begins, or begins anew."""
        self.since: int | None = None
        self.good_since: int | None = None
        self._agenda = agenda
        self._on_reach = on_reach
        self._on_good = on_good
        #: When the last good half hour was over.
        self._last_good = 0
        self._longest_gap = 0

    def look_around(self, *, is_in_reach: bool, is_served: bool) -> None:
        """Power, link, disk or customers may have changed."""
        if not is_in_reach:
            self.since = None
        elif self.since is None:
            self.since = self._agenda.now
            self._on_reach()
        if is_in_reach and not is_served:
            if self.good_since is None:
                self._begin_good()
        else:
            self._end_good()

    def disturbed(self) -> None:
        """A message of ours is lost: what follows begins anew."""
        if self.since is not None:
            self.since = self._agenda.now
            self._on_reach()
        if self.good_since is not None:
            self._end_good()
            self._begin_good()

    def _begin_good(self) -> None:
        self.good_since = self._agenda.now
        self._on_good()

    def _end_good(self) -> None:
        start, now = self.good_since, self._agenda.now
        self.good_since = None
        if start is not None and now - start >= LONG_ENOUGH:
            self._longest_gap = max(self._longest_gap, start - self._last_good)
            self._last_good = now

    def longest_gap(self) -> int:
        """The longest time without a good half hour since this was asked last."""
        last, now = self._last_good, self._agenda.now
        is_good = self.good_since is not None and now - self.good_since >= LONG_ENOUGH
        open_gap = (self.good_since or now) - last if is_good else now - last
        gap, self._longest_gap = max(self._longest_gap, open_gap), 0
        return gap
