"""What is counted while the process lives: from 0 at each start, as whoever reads counters expects.

The values of labels come from closed lists, and are there with 0 from the start: what is seen for the first time when
it happens for the first time has no increase. Each meter is written by one thread; another may read it at any time.
"""

from bisect import bisect_left
from collections.abc import Iterable, Sequence

from terminald.wire.metrics import Family, Labels, Sample, buckets

#: In place of a word that is not on the list: what is counted came from outside, or is newer than the list.
OTHER = "other"


class Counter:
    """Counts what happens, each kind for itself."""

    def __init__(self, name: str, about: str, label: str = "", known: Iterable[str] = ("",)) -> None:
        """Known is every value that the label can have; without a label there is one number."""
        self._name = name
        self._about = about
        self._label = label
        self._counts = dict.fromkeys(known, 0)

    def add(self, word: str = "") -> None:
        """Count one more; a word that is not known is counted as OTHER, where that is."""
        key = word if word in self._counts or OTHER not in self._counts else OTHER
        if key in self._counts:
            self._counts[key] += 1

    def family(self) -> Family:
        """Return the numbers of this moment."""
        samples = tuple(
            Sample(value=count, labels=_labels(self._label, word)) for word, count in tuple(self._counts.items())
        )
        return Family(name=self._name, help=self._about, samples=samples, kind="counter")


class Stopwatch:
    """Says how long something takes: how often up to which of some bounds."""

    def __init__(
        self, name: str, about: str, bounds: Sequence[float], label: str = "", known: Iterable[str] = ("",)
    ) -> None:
        """Bounds are seconds, ascending. Known is every value that the label can have; those that were seen are shown.

        Without a label it is shown from the start.
        """
        self._name = name
        self._about = about
        self._bounds = tuple(bounds)
        self._label = label
        self._counts = {word: [0] * (len(self._bounds) + 1) for word in known}
        self._totals = dict.fromkeys(self._counts, 0.0)

    def note(self, seconds: float, word: str = "") -> None:
        """Take one duration; the word is a known one."""
        self._totals[word] += seconds
        self._counts[word][bisect_left(self._bounds, seconds)] += 1

    def family(self) -> Family:
        """Return the numbers of this moment."""
        samples = tuple(
            sample
            for word, counts in self._counts.items()
            if not self._label or any(counts)
            for sample in buckets(self._bounds, tuple(counts), self._totals[word], _labels(self._label, word))
        )
        return Family(name=self._name, help=self._about, samples=samples, kind="histogram")


def _labels(label: str, word: str) -> Labels:
    return ((label, word),) if label else ()
