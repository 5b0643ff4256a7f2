"""How long reports of the goods can be given at least: not taken for missing is one that could not be recorded."""

from collections.abc import Callable

from terminald.core.ids import Instant
from terminald.core.schedule import MINUTE, Rules, later

#: Whoever was refused tries again every few seconds while somebody stands there, and comes back to it within this.
REPORT_AGAIN = MINUTE


class ReportTime:
    """Knows whether reports can be taken, and since when. Begins with a start: before it none could be."""

    def __init__(self, instant: Callable[[], Instant], rules: Callable[[], Rules]) -> None:
        """Rules are those of the moment in which reports can be taken again."""
        self._instant = instant
        self._rules = rules
        self._can_be_taken = False
        self._until = Instant(0)

    @property
    def until(self) -> Instant | None:
        """Until when none is missing; None as long as none can be taken."""
        return self._until if self._can_be_taken else None

    def stop(self) -> None:
        """Take note that none can be taken; harmless when repeated."""
        self._can_be_taken = False

    def begin(self) -> None:
        """Take note that they can be taken from now on. Who has a short window has no longer one now."""
        self._can_be_taken = True
        self._until = later(self._instant(), min(REPORT_AGAIN, self._rules().delivery_window))

    def go_on(self) -> None:
        """Take note that they can be taken; harmless when repeated."""
        if not self._can_be_taken:
            self.begin()
