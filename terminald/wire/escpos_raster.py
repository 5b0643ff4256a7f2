"""Lines of a receipt to pictures, for printers that have no Chinese characters, or others than ours.

Theory of operation: each character is drawn into its own cell of a grid, so that columns stand under each other as the
layout counted them, whatever the font. A line is sent as short pictures (``GS v 0``), one below the other: a cheap
printer takes each into its buffer before it prints it, and between two of them it can be asked how it is. What is blank
is not sent: pictures end where their ink does, and the room between lines is a picture of one byte's width. Large
letters are drawn at half their size and doubled by the printer, as it does with its own: a quarter of the bytes.

Pillow, a dependency of python-escpos, is imported at the first line: it takes 30 ms and 6 MB.
"""

import re
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from terminald.core.receipt import Line, display_width, sanitize

if TYPE_CHECKING:
    from PIL.Image import Image
    from PIL.ImageFont import FreeTypeFont, ImageFont

#: Rows of one picture: at most 1.7 kB on the widest paper, where the buffers of cheap printers begin at 4 kB.
BAND_ROWS: Final = 24
#: The dots of that, on the widest paper.
MAX_PICTURE_BYTES: Final = BAND_ROWS * 72
#: The path of a font, and the number of the face in it.
Font = tuple[Path, int]

#: The command of a picture, and of one of which each dot is doubled both ways; its size follows.
_PLAIN, DOUBLED = b"\x1dv0\x00", b"\x1dv0\x03"
#: The command with the size.
PICTURE_HEAD: Final = 8
#: DLE with what makes it a command: printers obey EOT (tell the state), ENQ (recover) and DC4 (open the drawer, forget
#: everything) on reception, in the middle of a picture too.
_ACCIDENT: Final = re.compile(rb"\x10(?=[\x04\x05\x14])")
#: DLE as dots is ``···█····``; with a dot more at its stroke's right it is no DLE.
_HARMLESS: Final = b"\x18"

_BASELINE = 0.86  # of a character's height
_INK = 112  # the darkness, of 255, from which a dot is printed: thin strokes survive
_MISSING = "\uffff"  # is no character in any font (Unicode, section 23.7), so it looks like those that are missing


def draw_text(
    line: Line, *, columns: int, width_dots: int, font: Font | None, picture_bytes: int = MAX_PICTURE_BYTES
) -> bytes:
    """Return the commands that print one line as pictures, with the room below it, from the left edge of the paper.

    A character is drawn in the columns that :func:`terminald.core.receipt.display_width` counts; one that is in
    neither the font nor Pillow's own becomes ``?``, and what is beyond the last column is left out. Never raises for a
    font: without one, or with one that can not be read, Pillow's own draws what it has, which is Latin text.
    """
    scale = 2 if line.double else 1
    cell, room, width = width_dots // columns, columns // scale, width_dots // scale
    text = _clip(_blanks(line.text) + sanitize(line.text), room)
    free = cell * (room - display_width(text))
    indent = {"left": 0, "center": free // 2, "right": free}[line.align]
    # As printers do it: 30 dots for characters of 24 dots, and 54 for those of 48.
    height = 2 * cell + max(1, cell // 2 // scale)
    picture = _draw(text, line, start=(width - cell * room) // 2 + indent, size=(width, height), cell=cell, font=font)
    return b"".join(_bands(picture, DOUBLED if line.double else _PLAIN, picture_bytes))


def _blanks(text: str) -> str:
    return " " * (len(text) - len(text.lstrip(" ")))


def _clip(text: str, columns: int) -> str:
    while display_width(text) > columns:
        text = text[:-1]
    return text


def _draw(text: str, line: Line, *, start: int, size: tuple[int, int], cell: int, font: Font | None) -> list[bytes]:
    """Draw a text; return its rows, eight dots to a byte."""
    from PIL import Image  # noqa: PLC0415 - see the module's docstring

    picture = Image.new("1", size)
    x = start
    for char in text:
        columns = display_width(char)
        if char not in " \u3000":
            glyph = _glyph(char, _Cell(columns, cell, line.bold), font)
            picture.paste(1, (x, 0), glyph)
        x += cell * columns
    data = picture.tobytes()
    stride = (size[0] + 7) // 8
    return [data[at : at + stride] for at in range(0, len(data), stride)]


def _bands(rows: list[bytes], command: bytes, picture_bytes: int) -> Iterator[bytes]:
    """Cut a picture into bands that are as wide as their ink; the blank ones above and below are one byte wide."""
    ink = [index for index, row in enumerate(rows) if any(row)]
    top, bottom = (ink[0], ink[-1] + 1) if ink else (len(rows), len(rows))
    for run in (rows[:top], rows[top:bottom], rows[bottom:]):
        count = band_rows(max((_ink_bytes(row) for row in run), default=1), picture_bytes)
        for at in range(0, len(run), count):
            band = run[at : at + count]
            width = max(map(_ink_bytes, band))
            yield _picture([row[:width].ljust(width, b"\0") for row in band], command)


def _ink_bytes(row: bytes) -> int:
    return len(row.rstrip(b"\0")) or 1


def cut_picture(rows: list[bytes], command: bytes, picture_bytes: int = MAX_PICTURE_BYTES) -> Iterator[bytes]:
    """Yield a picture's rows, which are equally long, as commands of so many bytes of dots at most, or of one row."""
    count = band_rows(len(rows[0]), picture_bytes) if rows else 1
    for at in range(0, len(rows), count):
        yield _picture(rows[at : at + count], command)


def _picture(rows: list[bytes], command: bytes) -> bytes:
    size = len(rows[0]).to_bytes(2, "little") + len(rows).to_bytes(2, "little")
    return command + size + harmless(b"".join(rows))


def band_rows(row_bytes: int, picture_bytes: int) -> int:
    """Return how many rows one picture has at most."""
    return max(1, min(BAND_ROWS, picture_bytes // row_bytes))


def harmless(dots: bytes) -> bytes:
    """Return a picture without what printers would obey; it may have a few dots more, each beside another."""
    return _ACCIDENT.sub(_HARMLESS, dots)


# --- glyphs ----------------------------------------------------------------------------------------------------------


class _Cell(NamedTuple):
    """Where a character goes: columns, dots of one column, and whether it is bold."""

    columns: int
    column_dots: int
    is_bold: bool

    @property
    def width(self) -> int:
        return self.columns * self.column_dots

    @property
    def height(self) -> int:
        return 2 * self.column_dots


@lru_cache(maxsize=2048)  # a receipt has a few hundred different characters; a glyph takes 54 to 300 bytes
def _glyph(char: str, cell: _Cell, font: Font | None) -> "Image":
    """Draw one character into its cell; one that is wider is made as narrow as the cell."""
    from PIL import Image, ImageDraw  # noqa: PLC0415 - see the module's docstring

    fonts = (font, None) if font is not None else (None,)
    faces = [_face(each, _size(each, cell)) for each in fonts]
    face = next((face for face in faces if _has(face, char)), None)
    face, char = (face, char) if face is not None else (faces[-1], "?")
    advance = max(1, round(face.getlength(char)))
    drawn = Image.new("L", (max(advance, cell.width), cell.height + cell.height // 8))
    baseline = round(cell.height * _BASELINE)
    ImageDraw.Draw(drawn).text(((drawn.width - advance) // 2, baseline), char, 255, face, "ls")
    if advance > cell.width:
        drawn = drawn.resize((cell.width, drawn.height))
    glyph = drawn.point([255 * (value >= _INK) for value in range(256)], "1")
    if cell.is_bold:
        glyph.paste(1, (1, 0), glyph.crop((0, 0, cell.width - 1, glyph.height)))
    return glyph


@lru_cache(maxsize=16)
def _size(font: Font | None, cell: _Cell) -> int:
    """Return the size at which a digit is no wider than a column; full-width characters are as high as their cell."""
    if cell.columns > 1:
        return cell.height
    return min(cell.height, int(cell.height * cell.column_dots / _face(font, cell.height).getlength("0")))


@lru_cache(maxsize=16)  # two sizes of each font
def _face(font: Font | None, size: int) -> "FreeTypeFont | ImageFont":
    """Load a font; Pillow's own where that can not be read."""
    from PIL import ImageFont  # noqa: PLC0415 - see the module's docstring

    if font is not None:
        try:
            # The simple layout: one character at a time needs no shaping, and the other is not in every Pillow.
            return ImageFont.truetype(str(font[0]), size, font[1], layout_engine=ImageFont.Layout.BASIC)
        except (OSError, ValueError):
            pass
    return ImageFont.load_default(size)


@lru_cache(maxsize=4096)
def _has(face: "FreeTypeFont | ImageFont", char: str) -> bool:
    return bytes(face.getmask(char)) != bytes(face.getmask(_MISSING))
