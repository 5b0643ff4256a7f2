"""When a terminal could act: with power, link and disk, and nobody to serve."""

from collections import deque
from collections.abc import Callable

from tests.simulation.agenda import MINUTE, Agenda

#: In reach and unserved for so long, a terminal has had the time to renew its key.
LONG_ENOUGH = 30 * MINUTE
#: More than there can be in the life of a key.
_KEPT = 200


class Reach:
    """Keeps since when the terminal is in reach, and its good half hours of the last days."""

    def __init__(
        self,
        agenda: Agenda,
        *,
        on_reach: Callable[[], None],
        on_good: Callable[[], None],
        on_gap: Callable[[int, int], None],
    ) -> None:
        """On_reach and on_good are called whenever such a time begins, or begins anew.

        On_gap is told after each good half hour when the one before it had ended, and when it began.
        """
        self.since: int | None = None
        self.good_since: int | None = None
        self._agenda = agenda
        self._on_reach = on_reach
        self._on_good = on_good
        self._on_gap = on_gap
        self._good: deque[tuple[int, int]] = deque(maxlen=_KEPT)
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
            last = self._good[-1][1] if self._good else 0
            self._longest_gap = max(self._longest_gap, start - last)
            self._good.append((start, now))
            self._on_gap(last, start)

    def had_good(self, start: int, end: int) -> bool:
        """Whether there was a good half hour within a span that is past."""
        spans = list(self._good)
        if self.good_since is not None:
            spans.append((self.good_since, self._agenda.now))
        return any(min(end, until) - max(start, since) >= LONG_ENOUGH for since, until in spans)

    def longest_gap(self) -> int:
        """The longest time without a good half hour since this was asked last."""
        last, now = self._good[-1][1] if self._good else 0, self._agenda.now
        is_good = self.good_since is not None and now - self.good_since >= LONG_ENOUGH
        open_gap = (self.good_since or now) - last if is_good else now - last
        gap, self._longest_gap = max(self._longest_gap, open_gap), 0
        return gap
