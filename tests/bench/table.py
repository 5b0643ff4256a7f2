"""What was measured, each figure beside its floor or its peer, as a table and as JSON."""

import math
import statistics
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import msgspec

#: "subject" is terminald. "beside" is what the job costs without terminald, or done otherwise: it gets how many times
#: as much the subject above it takes. "part" is contained in the subject above it: it gets its share.
Role = Literal["subject", "beside", "part"]

_HEAD = ("", "n", "min", "median", "p99", "max", "", "median", "p99", "wanted", "")
_NAME_WIDTH = 50


def percentile(values: tuple[float, ...], share: float) -> float:
    """Return the smallest value that at least this share of the values does not exceed."""
    return sorted(values)[max(0, math.ceil(share * len(values)) - 1)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One thing that was measured one time or more."""

    name: str
    values: tuple[float, ...]
    unit: str
    role: Role = "subject"
    #: What is wanted at most: of a subject its median; of what stands beside it how many times as much, and by p99.
    most: float | None = None
    most_p99: float | None = None

    def is_met(self, subject: "Row") -> bool | None:
        """Whether it is as wanted; None where nothing is."""
        if self.most is None:
            return None
        if self.role == "subject":
            return self.median <= self.most
        is_met = subject.median <= self.most * self.median
        return is_met and (self.most_p99 is None or subject.p99 <= self.most_p99 * self.p99)

    @property
    def wanted(self) -> str:
        """Say what is wanted."""
        if self.most is None:
            return ""
        if self.role == "subject":
            return f"≤ {_figure(self.most)} {self.unit}".rstrip()
        return f"≤ ×{_figure(self.most)}" + ("" if self.most_p99 is None else f", p99 ≤ ×{_figure(self.most_p99)}")

    @property
    def median(self) -> float:
        return statistics.median(self.values)

    @property
    def p99(self) -> float:
        return percentile(self.values, 0.99)


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """Rows that belong together; each subject is followed by what it is compared with."""

    title: str
    rows: tuple[Row, ...]
    notes: tuple[str, ...] = ()

    def pairs(self) -> Iterator[tuple[Row, Row]]:
        """Yield each row with the subject that it belongs to."""
        subject = self.rows[0]
        for row in self.rows:
            subject = row if row.role == "subject" else subject
            yield row, subject


def show(section: Section) -> None:
    """Write one section for people."""
    lines = [_HEAD, *(_cells(row, subject) for row, subject in section.pairs())]
    widths = [max(len(line[column]) for line in lines) for column in range(len(_HEAD))]
    widths[0] = max(widths[0], _NAME_WIDTH)
    out = [section.title]
    for name, *cells in lines:
        fitted = [cell.rjust(width) for cell, width in zip(cells, widths[1:], strict=True)]
        fitted[5] = cells[5].ljust(widths[6])
        fitted[8] = cells[8].ljust(widths[9])
        out.append("  ".join(("  " + name.ljust(widths[0]), *fitted)).rstrip())
    out += [f"  {note}" for note in section.notes]
    sys.stdout.write("\n".join(out) + "\n\n")
    sys.stdout.flush()


def _cells(row: Row, subject: Row) -> tuple[str, ...]:
    figures = (min(row.values), row.median, row.p99, max(row.values))
    return (
        row.name if row.role == "subject" else f"  {row.name}",
        str(len(row.values)),
        *map(_figure, figures),
        row.unit,
        _compared(row, row.median, subject.median),
        _compared(row, row.p99, subject.p99),
        row.wanted,
        {None: "", True: "met", False: "NOT MET"}[row.is_met(subject)],
    )


def _compared(row: Row, value: float, subject: float) -> str:
    if row.role == "subject":
        return ""
    top, bottom = (value, subject) if row.role == "part" else (subject, value)
    if bottom == 0:
        return "-"
    return f"{top / bottom:.0%}" if row.role == "part" else f"×{_figure(top / bottom)}"


def _figure(value: float) -> str:
    if value == int(value) and abs(value) < 1e15:
        return f"{int(value):,}"
    size = abs(value)
    digits = 0 if size >= 1000 else 1 if size >= 100 else 2 if size >= 1 else 3
    return f"{value:,.{digits}f}"


class _JsonRow(msgspec.Struct):
    name: str
    role: Role
    unit: str
    n: int
    min: float
    median: float
    p99: float
    max: float
    ratio_of_medians: float | None
    ratio_of_p99: float | None
    wanted: str
    is_met: bool | None


class _JsonSection(msgspec.Struct):
    title: str
    rows: list[_JsonRow]
    notes: tuple[str, ...]


def encode_json(sections: list[Section]) -> bytes:
    """Write all sections for programs. Ratios are the subject's figure divided by the row's."""
    return msgspec.json.format(msgspec.json.encode([_json_section(section) for section in sections]), indent=2)


def _json_section(section: Section) -> _JsonSection:
    rows = [
        _JsonRow(
            name=row.name,
            role=row.role,
            unit=row.unit,
            n=len(row.values),
            min=min(row.values),
            median=row.median,
            p99=row.p99,
            max=max(row.values),
            ratio_of_medians=_ratio(subject.median, row.median),
            ratio_of_p99=_ratio(subject.p99, row.p99),
            wanted=row.wanted,
            is_met=row.is_met(subject),
        )
        for row, subject in section.pairs()
    ]
    return _JsonSection(title=section.title, rows=rows, notes=section.notes)


def _ratio(subject: float, value: float) -> float | None:
    return subject / value if value else None
