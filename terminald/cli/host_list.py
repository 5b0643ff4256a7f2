"""The host's own list of a day, as a CSV file: what was paid, and what was given back, by reference."""

import csv
import io
import re
from dataclasses import dataclass
from pathlib import Path

from terminald.cli.outcome import WRONG_USAGE, CommandFailed
from terminald.core.money import MAX_AMOUNT

#: A day of a terminal has some hundred kilobytes at most; more is another file.
MAX_BYTES = 16_000_000
#: What a message repeats of a cell, which in a file that is no list may be all of it.
_SHOWN = 40
_HEADERS = (["reference", "paid"], ["reference", "paid", "returned"])
_AMOUNT = re.compile(r"([0-9]{1,10})(?:\.([0-9]{1,2}))?")


@dataclass(frozen=True, slots=True, kw_only=True)
class HostLine:
    """What the host says of one sale on the day, in fen. Returned is None where the list has no such column."""

    reference: str
    paid: int
    returned: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class HostList:
    """All lines of a list, each with another reference."""

    lines: tuple[HostLine, ...]
    has_returns: bool


def read_host_list(file: Path) -> HostList:
    """Read a list: a header ``reference,paid`` or ``reference,paid,returned``, and a line for each sale.

    A list in which any amount has a decimal point is in yuan throughout; else it is in fen. An empty amount is none.

    Raises:
        CommandFailed: it can not be read; the message names the line.
    """
    rows = _rows(file)
    number, header = rows[0] if rows else (1, [])
    names = [name.strip().lower() for name in header]
    if names not in _HEADERS:
        raise _wrong(file, number, "expected the header reference,paid or reference,paid,returned")
    is_yuan = any("." in cell for _, row in rows[1:] for cell in row[1:])
    lines: dict[str, HostLine] = {}
    for place, row in rows[1:]:
        if len(row) != len(names):
            raise _wrong(file, place, f"expected {len(names)} columns, found {len(row)}")
        reference = row[0].strip()
        if not reference or reference in lines:
            raise _wrong(file, place, "expected a reference that is not empty and stands in no other line")
        amounts = [_amount(file, place, cell.strip(), is_yuan=is_yuan) for cell in row[1:]]
        returned = amounts[1] if len(amounts) > 1 else None
        lines[reference] = HostLine(reference=reference, paid=amounts[0], returned=returned)
    return HostList(lines=tuple(lines.values()), has_returns="returned" in names)


def _rows(file: Path) -> list[tuple[int, list[str]]]:
    """Return the rows that are not blank, each with the number of its line."""
    try:
        with file.open("rb") as opened:
            data = opened.read(MAX_BYTES + 1)
    except OSError as exc:
        raise CommandFailed(f"{file} can not be read: {exc.strerror or exc}", code=WRONG_USAGE) from exc
    if len(data) > MAX_BYTES:
        raise CommandFailed(f"{file} is larger than {MAX_BYTES} bytes: that is no list of one day", code=WRONG_USAGE)
    try:
        # Spreadsheets put a mark before the first letter.
        reader = csv.reader(io.StringIO(data.decode("utf-8-sig"), newline=""), strict=True)
        return [(reader.line_num, row) for row in reader if any(cell.strip() for cell in row)]
    except (UnicodeDecodeError, csv.Error) as exc:
        raise CommandFailed(f"{file} is not a CSV file in UTF-8: {exc}", code=WRONG_USAGE) from exc


def _amount(file: Path, place: int, text: str, *, is_yuan: bool) -> int:
    found = _AMOUNT.fullmatch(text or "0")
    if found is None:
        raise _wrong(file, place, f"{_shown(text)} is not an amount: write fen (350), or yuan in the whole file (3.50)")
    fen = int(found[1]) * 100 + int((found[2] or "").ljust(2, "0")) if is_yuan else int(found[1])
    if fen > MAX_AMOUNT:
        raise _wrong(file, place, f"{_shown(text)} is more than any payment")
    return fen


def _shown(text: str) -> str:
    return repr(text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…")


def _wrong(file: Path, place: int, what: str) -> CommandFailed:
    return CommandFailed(f"{file}:{place}: {what}", code=WRONG_USAGE)
