"""ESC/POS as a receipt printer understands it: bytes in, things on paper out.

Written from printer manuals (Epson, SPRT, Citizen, Sewoo). The result does not depend on how the bytes are divided into
chunks. A command that is not known is counted and skipped, as cheap printers do.
"""

import unicodedata
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

Encoding = Literal["gbk", "gb18030", "utf-8"]

CELL = 12  # dots of a half-width character of font A; a full-width one has two cells
GLYPH_HEIGHT = 24
LINE_SPACING = 30
#: Raster images beyond this are taken for garbage: the widest heads have 832 dots, and 4095 rows are half a metre.
MAX_RASTER_BYTES, MAX_RASTER_ROWS = 104, 4095
#: An image is printed while it is received, in bands of so many rows.
BAND_ROWS = 24
#: A QR code holds no more.
MAX_QR_DATA = 7089

_LEVELS = {48: "L", 49: "M", 50: "Q", 51: "H"}
_ESC, _FS, _GS, _DLE = 0x1B, 0x1C, 0x1D, 0x10
_LF, _HT = 0x0A, 0x09
_TAB_CELLS = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Glyph:
    """One character: its cells, and how often each dot is repeated."""

    char: str
    cells: int
    bold: bool
    wide: int
    high: int

    @property
    def width_dots(self) -> int:
        """How far the next character is."""
        return CELL * self.cells * self.wide


@dataclass(frozen=True, slots=True, kw_only=True)
class TextLine:
    """One line of characters; align is 0 left, 1 centre, 2 right. Feed: dots to the next line."""

    glyphs: tuple[Glyph, ...]
    align: int
    feed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Feed:
    """Blank paper."""

    dots: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Raster:
    """A bit image, or a band of one: each row is ``width_bytes`` bytes, a set bit is black; each dot is repeated.

    ``is_continued`` tells that it belongs to the image above.
    """

    data: bytes
    width_bytes: int
    repeat_x: int
    repeat_y: int
    align: int
    is_continued: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class QrCode:
    """A QR code drawn by the printer itself."""

    content: str
    module: int
    level: str
    align: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Cut:
    """The end of a receipt."""

    is_partial: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A question that is answered when it is reached in the receive buffer.

    ``paper`` is GS r 1, ``drawer`` GS r 2, ``id`` GS ( H with its four bytes, ``automatic`` GS a with its one.
    """

    about: Literal["paper", "drawer", "id", "automatic"]
    tag: bytes = b""


Item = TextLine | Feed | Raster | QrCode | Cut | Request

#: Commands that change nothing on this paper, with the number of their parameter bytes.
_IGNORED: dict[bytes, int] = {
    b"\x1b ": 1, b"\x1b$": 2, b"\x1b-": 1, b"\x1b=": 1, b"\x1bG": 1, b"\x1bM": 1, b"\x1bR": 1, b"\x1bV": 1,
    b"\x1b\\": 2, b"\x1bc": 2, b"\x1bp": 3, b"\x1bt": 1, b"\x1b{": 1, b"\x1cS": 2, b"\x1cW": 1, b"\x1c-": 1,
    b"\x1d$": 2, b"\x1dB": 1, b"\x1dH": 1, b"\x1dI": 1, b"\x1dL": 2, b"\x1dP": 2, b"\x1dW": 2,
    b"\x1db": 1, b"\x1df": 1, b"\x1dh": 1, b"\x1dw": 1, b"\x10\x05": 1, b"\x10\x04": 1, b"\x10\x14": 3,
}  # fmt: skip


class RealTime:
    """Finds what a printer obeys on reception wherever it stands, even inside an image: DLE EOT n and DLE ENQ n."""

    def __init__(self) -> None:
        self._tail = b""

    def feed(self, data: bytes) -> list[tuple[Literal["EOT", "ENQ"], int]]:
        """Return each real-time command that ends in these bytes: EOT asks for status 1 to 4, ENQ 1 and 2 recover."""
        seen = self._tail + data
        self._tail = seen[-2:]
        found: list[tuple[Literal["EOT", "ENQ"], int]] = []
        for at in range(len(seen) - 2):
            number = seen[at + 2]
            if seen.startswith(b"\x10\x04", at) and number in (1, 2, 3, 4):
                found.append(("EOT", number))
            elif seen.startswith(b"\x10\x05", at) and number in (1, 2):
                found.append(("ENQ", number))
        return found


class Interpreter:
    """The state of a printer between two commands.

    Attributes:
        unknown: commands and characters that were not understood.
    """

    def __init__(self, *, width_dots: int, encoding: Encoding) -> None:
        self.unknown = 0
        self._width_dots = width_dots
        self._encoding = encoding
        self._pending = bytearray()
        self._items: list[Item] = []
        self._qr_module, self._qr_level, self._qr_data = 3, "L", b""
        self._image = Raster(data=b"", width_bytes=0, repeat_x=1, repeat_y=1, align=0)
        self._rows_left = 0
        self._commands: dict[bytes, tuple[int, Callable[[bytes], None]]] = {
            b"\x1b@": (0, lambda _: self._initialize()),
            b"\x1b!": (1, self._print_mode),
            b"\x1b2": (0, lambda _: self._set_spacing(LINE_SPACING)),
            b"\x1b3": (1, lambda p: self._set_spacing(p[0])),
            b"\x1bE": (1, self._set_bold),
            b"\x1bJ": (1, lambda p: self._feed(p[0])),
            b"\x1ba": (1, self._set_align),
            b"\x1bd": (1, lambda p: self._feed(p[0] * self._spacing)),
            b"\x1c!": (1, self._chinese_mode),
            b"\x1c&": (0, lambda _: self._set_chinese(on=True)),
            b"\x1c.": (0, lambda _: self._set_chinese(on=False)),
            b"\x1d!": (1, self._set_size),
            b"\x1da": (1, lambda p: self._items.append(Request(about="automatic", tag=p))),
            b"\x1dr": (1, self._status),
        }
        self._initialize()

    def feed(self, data: bytes) -> list[Item]:
        """Take bytes; return what they completed."""
        self._pending += data
        while self._pending:
            used = self._band() if self._rows_left else self._take(bytes(self._pending[:8]))
            if used == 0:
                break
            del self._pending[:used]
        items, self._items = self._items, []
        return items

    def drop_unfinished(self) -> None:
        """Forget the command, the image and the line under way, but no setting (DLE ENQ 2)."""
        self._pending.clear()
        self._rows_left = 0
        self._drop_line()

    def _take(self, head: bytes) -> int:
        """Interpret what stands first; return how many bytes it was, 0 when it is not complete."""
        first = head[0]
        if first in (_ESC, _FS, _GS, _DLE):
            return self._command(head) if len(head) > 1 else 0
        if first == _LF:
            self._end_line()
        elif first == _HT:
            cells = self._used_dots // CELL
            for _ in range(_TAB_CELLS - cells % _TAB_CELLS):
                self._place(" ", 1)
        elif first >= 0x80:  # noqa: PLR2004 - the end of ASCII
            return self._character(head)
        elif first >= 0x20:  # noqa: PLR2004 - the first printable character
            self._place(chr(first), 1)
        return 1

    def _command(self, head: bytes) -> int:
        name = head[:2]
        match name:
            case b"\x1dv":
                return self._raster(head)
            case b"\x1d(":
                return self._extended(head)
            case b"\x1dV":
                return self._cut(head)
        length, perform = self._commands.get(name, (_IGNORED.get(name, -1), None))
        if length < 0:
            self.unknown += 1
            return len(name)
        if len(head) < len(name) + length:
            return 0
        if perform is not None:
            perform(head[2 : 2 + length])
        return len(name) + length

    def _initialize(self) -> None:
        """ESC @: drop the unfinished line, forget every setting. Chinese printers start in Chinese mode."""
        self._drop_line()
        self._align, self._spacing = 0, LINE_SPACING
        self._bold, self._wide, self._high = False, 1, 1
        self._is_chinese = True

    def _drop_line(self) -> None:
        self._glyphs: list[Glyph] = []
        self._used_dots = 0

    def _character(self, head: bytes) -> int:
        if self._encoding != "utf-8" and not self._is_chinese:
            return self._unknown_character()
        size = self._character_size(head)
        if len(head) < size:
            return 0
        try:
            char = head[:size].decode(self._encoding)
        except UnicodeDecodeError:
            return self._unknown_character()
        is_wide = self._encoding != "utf-8" or unicodedata.east_asian_width(char) in "WFA"
        self._place(char, 2 if is_wide else 1)
        return size

    def _unknown_character(self) -> int:
        """Print a question mark for one byte of a code page that this printer lacks, or of a broken character."""
        self.unknown += 1
        self._place("?", 1)
        return 1

    def _character_size(self, head: bytes) -> int:
        if self._encoding == "utf-8":
            return 2 if head[0] < 0xE0 else 3 if head[0] < 0xF0 else 4  # noqa: PLR2004 - RFC 3629, section 3
        is_four = self._encoding == "gb18030" and b"0" <= head[1:2] <= b"9"
        return 4 if is_four else 2

    def _place(self, char: str, cells: int) -> None:
        glyph = Glyph(char=char, cells=cells, bold=self._bold, wide=self._wide, high=self._high)
        if self._glyphs and self._used_dots + glyph.width_dots > self._width_dots:
            self._end_line()
        self._glyphs.append(glyph)
        self._used_dots += glyph.width_dots

    def _end_line(self) -> None:
        tallest = max((GLYPH_HEIGHT * glyph.high for glyph in self._glyphs), default=0)
        feed = max(self._spacing, tallest and tallest + LINE_SPACING - GLYPH_HEIGHT)
        self._items.append(TextLine(glyphs=tuple(self._glyphs), align=self._align, feed=feed))
        self._drop_line()

    def _feed(self, dots: int) -> None:
        if self._glyphs:
            self._end_line()
        self._items.append(Feed(dots=dots))

    def _cut(self, head: bytes) -> int:
        """GS V: 0, 48 full and 1, 49 partial at once; 65 and 66 feed n dots first."""
        if len(head) < 3:  # noqa: PLR2004 - GS V m
            return 0
        mode = head[2]
        size = 4 if mode in (65, 66) else 3
        if len(head) < size:
            return 0
        if size > 3:  # noqa: PLR2004 - GS V m n
            self._feed(head[3])
        if mode in (0, 1, 48, 49, 65, 66):
            self._items.append(Cut(is_partial=mode in (1, 49, 66)))
        else:
            self.unknown += 1
        return size

    def _raster(self, head: bytes) -> int:
        """GS v 0 m xL xH yL yH: m doubles the dots across (1), down (2) or both (3)."""
        if len(head) < 8:  # noqa: PLR2004 - the length of the header
            return 0
        mode = head[3] & 0x0F
        width, rows = head[4] | head[5] << 8, head[6] | head[7] << 8
        if head[2] != 0x30 or mode > 3 or width > MAX_RASTER_BYTES or rows > MAX_RASTER_ROWS:  # noqa: PLR2004 - "0", m
            self.unknown += 1
            return 2
        repeat = (1 + (mode & 1), 1 + (mode >> 1))
        self._image = Raster(data=b"", width_bytes=width, repeat_x=repeat[0], repeat_y=repeat[1], align=self._align)
        if width and rows:
            self._rows_left = rows
        else:
            self._items.append(self._image)
        return 8

    def _band(self) -> int:
        """Print the next rows of an image; return how many bytes they were, 0 when they are not complete."""
        rows = min(BAND_ROWS, self._rows_left)
        size = rows * self._image.width_bytes
        if len(self._pending) < size:
            return 0
        self._items.append(replace(self._image, data=bytes(self._pending[:size])))
        self._image = replace(self._image, is_continued=True)
        self._rows_left -= rows
        return size

    def _extended(self, head: bytes) -> int:
        """GS ( x pL pH …: QR codes (k) and the process id (H) are understood, the others skipped by their length."""
        if len(head) < 5:  # noqa: PLR2004 - the length of the header
            return 0
        size = 5 + (head[3] | head[4] << 8)
        if len(self._pending) < size:
            return 0
        name, data = head[2:3], bytes(self._pending[5:size])
        if name == b"k" and data[:1] == b"1":
            self._qr(data[1:2], data[2:])
        elif name == b"H" and data[:2] == b"00" and len(data) == 6:  # noqa: PLR2004 - fn, m, d1 … d4
            self._items.append(Request(about="id", tag=data[2:]))
        else:
            self.unknown += 1
        return size

    def _qr(self, function: bytes, data: bytes) -> None:
        """GS ( k, functions of symbol type 49: 67 module, 69 level, 80 store (after one byte), 81 print."""
        match function:
            case b"C" if data:
                self._qr_module = data[0]
            case b"E" if data:
                self._qr_level = _LEVELS.get(data[0], "L")
            case b"P":
                self._qr_data = data[1 : 1 + MAX_QR_DATA]
            case b"Q" if self._qr_data:
                content = self._qr_data.decode("utf-8", "replace")
                self._items.append(
                    QrCode(content=content, module=self._qr_module, level=self._qr_level, align=self._align)
                )
            case b"A" | b"R":
                pass
            case _:
                self.unknown += 1

    def _print_mode(self, parameters: bytes) -> None:
        mode = parameters[0]
        self._bold = bool(mode & 0x08)
        self._high, self._wide = 1 + bool(mode & 0x10), 1 + bool(mode & 0x20)

    def _chinese_mode(self, parameters: bytes) -> None:
        mode = parameters[0]
        self._wide, self._high = 1 + bool(mode & 0x04), 1 + bool(mode & 0x08)

    def _set_size(self, parameters: bytes) -> None:
        self._wide, self._high = 1 + (parameters[0] >> 4 & 7), 1 + (parameters[0] & 7)

    def _set_bold(self, parameters: bytes) -> None:
        self._bold = bool(parameters[0] & 1)

    def _set_align(self, parameters: bytes) -> None:
        """ESC a: obeyed only at the beginning of a line, in either numbering."""
        align = parameters[0] - 48 if parameters[0] >= 48 else parameters[0]  # noqa: PLR2004 - "0"
        if not self._glyphs and align in (0, 1, 2):
            self._align = align

    def _set_spacing(self, dots: int) -> None:
        self._spacing = dots

    def _set_chinese(self, *, on: bool) -> None:
        self._is_chinese = on

    def _status(self, parameters: bytes) -> None:
        """GS r: 1 or 49 paper, 2 or 50 drawer."""
        self._items.append(Request(about="paper" if parameters[0] in (1, 49) else "drawer"))
