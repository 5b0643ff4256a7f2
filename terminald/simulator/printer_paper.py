"""Paper: what an interpreter put on it, as a picture and as text."""

from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import qrcode  # type: ignore[import-untyped]  # comes with python-escpos, without types
from PIL import Image, ImageDraw, ImageFont
from qrcode.exceptions import DataOverflowError  # type: ignore[import-untyped]  # same

from terminald.simulator.printer_escpos import (
    CELL,
    GLYPH_HEIGHT,
    Cut,
    Encoding,
    Feed,
    Glyph,
    Interpreter,
    Item,
    QrCode,
    Raster,
    Request,
    TextLine,
)

#: Fonts with Chinese glyphs where distributions put them, and which face of the file has half-width Latin letters.
FONTS = (
    ("/usr/share/fonts/truetype/wqy/wqy-microhei.ttc", 1),
    ("/usr/share/fonts/wqy-microhei/wqy-microhei.ttc", 1),
    ("/usr/share/fonts/truetype/wqy/wqy-zenhei.ttc", 1),
    ("/usr/share/fonts/opentype/noto/NotoSansCJK-Regular.ttc", 7),
    ("/usr/share/fonts/noto-cjk/NotoSansCJK-Regular.ttc", 7),
    ("/usr/share/fonts/google-noto-cjk/NotoSansCJK-Regular.ttc", 7),
)
#: Five metres; a job that never cuts is torn off there.
MAX_DOTS = 40_000

_WHITE, _BLACK, _GREY = 255, 0, 140
_MARGIN = 24  # blank dots above the first line
_TEAR = 20  # from the last feed to the edge
_BASELINE = 0.86  # of a character's height
_LATIN = 0.92  # size of half-width letters to Chinese ones, so that W and M stay inside their cells
_LEVELS = {
    "L": qrcode.ERROR_CORRECT_L,
    "M": qrcode.ERROR_CORRECT_M,
    "Q": qrcode.ERROR_CORRECT_Q,
    "H": qrcode.ERROR_CORRECT_H,
}


Mark = TextLine | Feed | Raster | QrCode


@dataclass(frozen=True, slots=True, kw_only=True)
class Sheet:
    """One receipt as it was cut off."""

    width_dots: int
    marks: tuple[Mark, ...]

    @property
    def text(self) -> str:
        """The paper as text: the columns are those of half-width characters, nothing is enlarged."""
        lines: list[str] = []
        for mark in self.marks:
            match mark:
                case TextLine():
                    cells = sum(glyph.cells for glyph in mark.glyphs)
                    indent = max(0, self.width_dots // CELL - cells) * mark.align // 2
                    lines.append(" " * indent + "".join(glyph.char for glyph in mark.glyphs))
                case QrCode():
                    lines.append(f"[QR {mark.content}]")
                case Raster():
                    lines.append(f"[image {mark.width_bytes * 8}x{len(mark.data) // max(1, mark.width_bytes)}]")
        return "".join(line.rstrip() + "\n" for line in lines)

    def draw(self) -> Image.Image:
        """Draw the paper, one dot a pixel, down to a dashed line where it was cut."""
        length = _MARGIN + sum(map(height, self.marks)) + _TEAR
        image = Image.new("L", (self.width_dots, min(length, MAX_DOTS)), _WHITE)
        y = _MARGIN
        for mark in self.marks:
            match mark:
                case TextLine():
                    self._draw_text(image, mark, y)
                case QrCode():
                    self._paste(image, _qr_picture(mark), mark.align, y)
                case Raster():
                    self._paste(image, _raster_picture(mark), mark.align, y)
            y += height(mark)
        _draw_tear(image)
        return image

    def _draw_text(self, image: Image.Image, line: TextLine, y: int) -> None:
        x = self._offset(sum(glyph.width_dots for glyph in line.glyphs), line.align)
        tallest = max((glyph.high for glyph in line.glyphs), default=1)
        for glyph in line.glyphs:
            if not glyph.char.isspace():
                image.paste(_BLACK, (x, y + GLYPH_HEIGHT * (tallest - glyph.high)), _glyph_mask(glyph))
            x += glyph.width_dots

    def _paste(self, image: Image.Image, picture: Image.Image, align: int, y: int) -> None:
        image.paste(picture, (self._offset(picture.width, align), y))

    def _offset(self, width: int, align: int) -> int:
        return max(0, self.width_dots - width) * align // 2


class Paper:
    """The paper in a printer, from the last cut on."""

    def __init__(self, *, width_dots: int) -> None:
        self._width_dots = width_dots
        self._marks: list[Mark] = []
        self._dots = 0

    def add(self, item: Item) -> Sheet | None:
        """Print one thing; return the receipt when it is cut off."""
        if isinstance(item, Request):
            return None
        if not isinstance(item, Cut):
            self._put(item)
            self._dots += max(1, height(item))
            if self._dots < MAX_DOTS:
                return None
        return self.tear_off()

    def _put(self, mark: Mark) -> None:
        last = self._marks[-1] if self._marks else None
        if isinstance(mark, Raster) and mark.is_continued and isinstance(last, Raster):
            self._marks[-1] = replace(last, data=last.data + mark.data)
        else:
            self._marks.append(mark)

    def tear_off(self) -> Sheet | None:
        """Take what has been printed; None when the paper is blank."""
        marks, self._marks, self._dots = tuple(self._marks), [], 0
        if all(isinstance(mark, Feed) for mark in marks):
            return None
        return Sheet(width_dots=self._width_dots, marks=marks)


def print_job(data: bytes, *, width_dots: int, encoding: Encoding) -> list[Sheet]:
    """Print a finished job on paper of its own and return its receipts, the last one torn off by hand."""
    interpreter = Interpreter(width_dots=width_dots, encoding=encoding)
    paper = Paper(width_dots=width_dots)
    sheets = [paper.add(item) for item in interpreter.feed(data)]
    return [sheet for sheet in (*sheets, paper.tear_off()) if sheet is not None]


def font_note() -> str:
    """Say what is missing when no font with Chinese glyphs was found; empty when one was."""
    if _font_file() is not None:
        return ""
    return "no font with Chinese glyphs was found, receipts lack them (Debian: apt install fonts-wqy-microhei)"


def height(mark: Mark) -> int:
    """Return how much paper this takes, in dots."""
    match mark:
        case TextLine():
            return mark.feed
        case Feed():
            return mark.dots
        case Raster():
            return len(mark.data) // max(1, mark.width_bytes) * mark.repeat_y
        case QrCode():
            return _qr_picture(mark).height


def _font_file() -> tuple[str, int] | None:
    return next(((path, index) for path, index in FONTS if Path(path).exists()), None)


@lru_cache(maxsize=8)  # one for each height of letters
def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    found = _font_file()
    if found is None:
        return ImageFont.load_default(size)
    return ImageFont.truetype(found[0], size, index=found[1])


@lru_cache(maxsize=2048)  # a receipt has a few hundred different characters
def _glyph_mask(glyph: Glyph) -> Image.Image:
    """Draw one character into its cells, in its own size; then stretch it when its width and height differ."""
    size = GLYPH_HEIGHT * glyph.high
    cell = CELL * glyph.cells * glyph.high
    mask = Image.new("L", (cell, size + size // 8), 0)
    draw = ImageDraw.Draw(mask)
    font = _font(size if glyph.cells > 1 else round(size * _LATIN))
    stroke = 1 if glyph.bold and glyph.high > 1 else 0
    left = (cell - font.getlength(glyph.char)) / 2
    for shift in (0, 1) if glyph.bold else (0,):
        draw.text((left + shift, round(size * _BASELINE)), glyph.char, 255, font, "ls", stroke_width=stroke)
    return mask if glyph.wide == glyph.high else mask.resize((glyph.width_dots, mask.height))


def _raster_picture(item: Raster) -> Image.Image:
    rows = len(item.data) // max(1, item.width_bytes)
    if not rows:
        return Image.new("L", (1, 1), _WHITE)
    inked = bytes(byte ^ 0xFF for byte in item.data)
    picture = Image.frombytes("1", (item.width_bytes * 8, rows), inked).convert("L")
    return picture.resize((picture.width * item.repeat_x, picture.height * item.repeat_y), Image.Resampling.NEAREST)


@lru_cache(maxsize=4)  # asked for its height, then for itself
def _qr_picture(item: QrCode) -> Image.Image:
    code = qrcode.QRCode(error_correction=_LEVELS[item.level], border=0)
    code.add_data(item.content)
    try:
        matrix = code.get_matrix()
    except (DataOverflowError, ValueError):
        return Image.new("L", (CELL, GLYPH_HEIGHT), _GREY)
    picture = Image.new("L", (len(matrix), len(matrix)))
    picture.putdata([_BLACK if dark else _WHITE for row in matrix for dark in row])
    side = len(matrix) * max(1, item.module)
    return picture.resize((side, side), Image.Resampling.NEAREST)


def _draw_tear(image: Image.Image) -> None:
    """Draw the edge where the paper was cut: a dashed line."""
    draw = ImageDraw.Draw(image)
    y = image.height - 3
    for x in range(0, image.width, 16):
        draw.line((x, y, x + 9, y), fill=_GREY, width=2)
