"""Whether anything grows in a process that was looked at again and again. Nothing here looks at a clock."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

#: Of what is seen: caches fill, and the allocator finds its size.
WARM_PART = 0.25
#: The rest is cut into as many parts of the same length. The first and the last are compared.
PARTS = 6
#: With fewer looks in a part chance would judge.
LEAST_LOOKS = 15
#: What a daemon may be larger by in the end than after it was warm.
MOST_GROWTH_MB = 2.0
#: What most parts add to, at their rate, in the time after it was warm. It goes on, so less is allowed than of a step.
MOST_DRIFT_MB = 1.5
#: SQLite empties the write-ahead log at 1,000 pages; a reader may hold it up for a moment.
MOST_LOG_MB = 8.0
#: Halfway to one more.
MOST_MEAN = 0.5
#: What no more than so many looks of a hundred go below is the floor: a line that is being connected anew is none.
FLOOR_PERCENT = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """The daemon at one moment."""

    sales: int
    resident_mb: float
    descriptors: int
    threads: int
    log_mb: float
    journal_mb: float


def growth(samples: Sequence[Sample]) -> list[str]:
    """Return what grew, in words; nothing where nothing did.

    Samples are in their order, and about equally far from each other. Too few of them are a finding as well.
    """
    warm = samples[int(len(samples) * WARM_PART) :]
    size = len(warm) // PARTS
    if size < LEAST_LOOKS:
        return [f"{len(samples)} looks are too few for a verdict"]
    # What is over belongs to none: it comes before the first part.
    spare = len(warm) - PARTS * size
    parts = [warm[spare + at * size : spare + (at + 1) * size] for at in range(PARTS)]
    found = _count("descriptors", [[sample.descriptors for sample in part] for part in parts])
    found += _count("threads", [[sample.threads for sample in part] for part in parts])
    found += _memory([[sample.resident_mb for sample in part] for part in parts])
    if (largest := max(sample.log_mb for sample in samples)) > MOST_LOG_MB:
        found.append(f"the write-ahead log was {largest:.1f} MB large")
    return found


def _count(name: str, parts: Sequence[Sequence[int]]) -> list[str]:
    """Judge what is counted. One that leaked never goes away: it lifts the floor and the mean alike.

    What comes and goes may move the mean by chance, and what was missing for a moment the floor, but not both.
    """
    first, last = parts[0], parts[-1]
    before, after = statistics.mean(first), statistics.mean(last)
    if after - before <= MOST_MEAN or _floor(last) <= _floor(first):
        return []
    return [f"{name} grew from {_floor(first)} ({before:.1f} in the mean) to {_floor(last)} ({after:.1f})"]


def _floor(values: Sequence[int]) -> int:
    return sorted(values)[len(values) * FLOOR_PERCENT // 100]


def _memory(parts: Sequence[Sequence[float]]) -> list[str]:
    """Judge what has any size: what came on top between the ends, and what comes on top again and again."""
    levels = [statistics.median(part) for part in parts]
    grown = levels[-1] - levels[0]
    # A single step is none: most parts add nothing then.
    drift = PARTS * statistics.median(after - before for before, after in pairwise(levels))
    if grown <= MOST_GROWTH_MB and drift <= MOST_DRIFT_MB:
        return []
    said = f"resident memory grew from {levels[0]:.1f} to {levels[-1]:.1f} MB"
    return [f"{said}, and drifts by {drift / PARTS:.2f} MB in each part of the time" if drift > MOST_DRIFT_MB else said]
