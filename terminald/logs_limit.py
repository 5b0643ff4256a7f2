"""How many lines of one kind are let through. What is left out is counted, and the number is told."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

#: A sale a second, which no kiosk has, makes 200 lines of a kind in this time. What makes more repeats itself.
BURST: Final = 500
WINDOW_S: Final = 30.0
#: Kinds that are counted one by one: all of ours, and as many loggers of libraries. Others share a count.
MAX_KINDS: Final = 256
_OTHERS: Final = "others"


@dataclass(slots=True)
class _Window:
    ends_s: float
    passed: int = 0
    suppressed: int = 0


class Limit:
    """Counts the lines of each kind in windows of time, which begin with the first line. Time is an argument."""

    def __init__(self, *, burst: int = BURST, window_s: float = WINDOW_S) -> None:
        """Burst lines of a kind pass in a window."""
        self._burst = burst
        self._window_s = window_s
        self._windows: dict[str, _Window] = {}

    def admits(self, kind: str, now_s: float) -> bool:
        """Tell whether a line of this kind passes. Those that do not are counted."""
        if kind not in self._windows and len(self._windows) >= MAX_KINDS:
            kind = _OTHERS
        window = self._windows.setdefault(kind, _Window(ends_s=now_s + self._window_s))
        if window.passed < self._burst:
            window.passed += 1
            return True
        window.suppressed += 1
        return False

    def ended(self, now_s: float, *, is_last: bool = False) -> Iterator[tuple[str, int]]:
        """Forget the windows that are over, all of them at the last; yield what was suppressed in each, by kind."""
        over = [kind for kind, window in self._windows.items() if is_last or window.ends_s <= now_s]
        for kind in over:
            if suppressed := self._windows.pop(kind).suppressed:
                yield kind, suppressed
