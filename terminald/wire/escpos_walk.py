"""A print job seen as commands: where it may be interrupted, and how much paper it takes.

Only the commands that this package writes are known; whatever else is taken for text.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

#: Commands of a fixed length: their first two bytes, and the whole length.
_FIXED: Final = {
    **dict.fromkeys((b"\x1b@", b"\x1c&", b"\x1c."), 2),
    **dict.fromkeys((b"\x1ba", b"\x1bE", b"\x1d!", b"\x1bd", b"\x1dV", b"\x1dr"), 3),
}
#: Text up to its end or to the next command. No byte of a Chinese character looks like the beginning of one.
_TEXT: Final = re.compile(rb"[^\x1b-\x1d\n]*\n|[^\x1b-\x1d\n]+")
_FEED, _PICTURE, _EXTENDED = b"\x1bd", b"\x1dv", b"\x1d("
_DOTS_PER_MM = 8
_LINE_MM = 30 / _DOTS_PER_MM
#: The greatest QR code that is printed: 61 modules of 8 dots.
_QR_MM = 61.0


@dataclass(frozen=True, slots=True)
class Piece:
    """A command, or a line of text with its end: from where to where, and its paper."""

    start: int
    end: int
    paper_mm: float


def pieces(data: bytes) -> Iterator[Piece]:
    """Yield the commands and lines of a job, one after the other. An unfinished one ends with the job."""
    at = 0
    while at < len(data):
        size, paper_mm = _measure(data, at)
        end = min(at + size, len(data))
        yield Piece(at, end, paper_mm)
        at = end


def paper_mm(data: bytes) -> float:
    """Return how much paper a job takes; lines of large letters are counted as plain ones."""
    return sum(piece.paper_mm for piece in pieces(data))


def stops(data: bytes) -> tuple[int, ...]:
    """Return the places between two commands or lines, where other bytes may be sent without harm; ascending."""
    return tuple(piece.end for piece in pieces(data))


def _measure(data: bytes, at: int) -> tuple[int, float]:
    name = data[at : at + 2]
    if name in _FIXED:
        return _FIXED[name], data[at + 2] * _LINE_MM if name == _FEED and at + 2 < len(data) else 0.0
    if name == _PICTURE:
        return _measure_picture(data[at : at + 8])
    if name == _EXTENDED:
        return _measure_extended(data[at : at + 7])
    found = _TEXT.match(data, at)
    text = found[0] if found else data[at : at + 1]
    return len(text), _LINE_MM if text.endswith(b"\n") else 0.0


def _measure_picture(head: bytes) -> tuple[int, float]:
    """GS v 0 m xL xH yL yH: rows of so many bytes; bit 1 of m doubles each row."""
    mode, width, rows = head[3:4], head[4:6], head[6:8]
    size = 8 + int.from_bytes(width, "little") * int.from_bytes(rows, "little")
    height = int.from_bytes(rows, "little") * (2 if mode and mode[0] & 2 else 1)
    return size, height / _DOTS_PER_MM


def _measure_extended(head: bytes) -> tuple[int, float]:
    """GS ( x pL pH …; GS ( k … 31 51 prints a QR code."""
    size = 5 + int.from_bytes(head[3:5], "little")
    return size, _QR_MM if head[2:3] == b"k" and head[5:7] == b"1Q" else 0.0
