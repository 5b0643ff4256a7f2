"""Metrics as text: families of samples to bytes.

Source of the form: Prometheus, "Exposition formats", text format 0.0.4. Families keep their order, and a family without
samples is left out.
"""

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Final, Literal

MEDIA_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"

_IN_HELP: Final = str.maketrans({"\\": r"\\", "\n": r"\n"})
_IN_LABEL: Final = str.maketrans({"\\": r"\\", "\n": r"\n", '"': r"\""})


Labels = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One finite number, and the labels that tell it from its like.

    The suffix is of a histogram: ``_bucket``, ``_sum`` or ``_count``.
    """

    value: float
    labels: Labels = ()
    suffix: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """What has one name and one meaning.

    A counter's name ends in ``_total``, and never goes down but at a start. A histogram's samples are those of
    :func:`buckets`.
    """

    name: str
    help: str
    samples: tuple[Sample, ...]
    kind: Literal["gauge", "counter", "histogram"] = "gauge"


def gauge(name: str, about: str, value: float | None) -> Family:
    """Return a family of one number; without one it is left out."""
    return Family(name=name, help=about, samples=() if value is None else (Sample(value=value),))


def up(*, is_up: bool) -> Family:
    """Return the family that says whether terminald answers; the other families are of a daemon that does."""
    about = "1 while terminald answers; 0 is written by the command line where it does not."
    return gauge("terminald_up", about, is_up)


def flags(name: str, about: str, label: str, known: Iterable[str], now: Collection[str]) -> Family:
    """Return a family with a sample for every known word: 1 for those that are so now, 0 for the others."""
    return Family(
        name=name,
        help=about,
        samples=tuple(Sample(value=word in now, labels=((label, word),)) for word in known),
    )


def buckets(bounds: Sequence[float], counts: Sequence[int], total: float, labels: Labels = ()) -> Iterator[Sample]:
    """Yield the samples of a histogram with these labels, or of one without.

    Counts are of each bucket for itself: up to its bound and included, and one more for what is above the last bound.
    Total is the sum of what was observed.
    """
    for bound, count in zip((*map(_number, bounds), "+Inf"), accumulate(counts), strict=True):
        yield Sample(value=count, labels=(*labels, ("le", bound)), suffix="_bucket")
    yield Sample(value=total, labels=labels, suffix="_sum")
    yield Sample(value=sum(counts), labels=labels, suffix="_count")


def encode(families: Iterable[Family]) -> bytes:
    """Write the families, each with its HELP and TYPE; ends with a line feed."""
    return "".join(_lines(family) for family in families if family.samples).encode()


def _lines(family: Family) -> str:
    head = f"# HELP {family.name} {family.help.translate(_IN_HELP)}\n# TYPE {family.name} {family.kind}\n"
    return head + "".join(f"{family.name}{one.suffix}{_labels(one)} {_number(one.value)}\n" for one in family.samples)


def _labels(sample: Sample) -> str:
    pairs = ",".join(f'{name}="{value.translate(_IN_LABEL)}"' for name, value in sample.labels)
    return f"{{{pairs}}}" if pairs else ""


def _number(value: float) -> str:
    return str(int(value)) if value == int(value) else repr(value)
