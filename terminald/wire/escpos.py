"""Lines of a receipt to ESC/POS bytes.

Text is encoded here: python-escpos guesses a code page for each string and turns ``￥9.90`` or ``，`` into ``?``. Its
``Dummy`` builds what has many parameters and no text, the native QR code. It is imported at the first QR code and not
for receipts, because the import takes a quarter of a second, 17 MB and a writable temporary directory.
"""

import logging
import os
import shutil
import unicodedata
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Literal, Protocol

from terminald.core.receipt import Line, Mark, QrMark, display_width, sanitize
from terminald.wire.escpos_raster import (
    BAND_ROWS,
    DOUBLED,
    MAX_PICTURE_BYTES,
    PICTURE_HEAD,
    Font,
    cut_picture,
    draw_text,
)

#: The character sets that printers have.
Encoding = Literal["gbk", "gb18030", "utf-8"]
Cut = Literal["full", "partial", "none"]

#: From the print head to the cutter or the tear bar are 15 to 22 mm: six lines of 30 dots at 8 dots/mm.
FEED_LINES = 6
#: What a QR code of version 9 holds at level M; with its quiet zone it is 61 modules wide, 366 of the 384 dots of the
#: narrowest paper. The gateway's contents have 128 characters at most (Web API documents, precreate).
MAX_QR_BYTES = 180
#: Dots of one QR module on paper of 384 dots, and on wider paper: a phone reads 0.75 mm from a hand's distance.
QR_MODULE, QR_MODULE_WIDE = 6, 8

#: Modules of white around a code (ISO/IEC 18004). A code that the printer draws has it from the paper: it is centred
#: with that much room at either side, and has a blank line above and below.
QUIET_ZONE = 4

_WIDE_PAPER = 512
_LEVEL_M = 1
#: What stands before the content of a code that the printer draws: GS ( k pL pH cn fn m.
_NATIVE_HEAD = 8

_INITIALIZE = b"\x1b@"
_CHINESE_ON = b"\x1c&"
_CHINESE_OFF = b"\x1c."
_ALIGN = {"left": b"\x1ba\x00", "center": b"\x1ba\x01", "right": b"\x1ba\x02"}
_BOLD = {False: b"\x1bE\x00", True: b"\x1bE\x01"}
_SIZE = {False: b"\x1d!\x00", True: b"\x1d!\x11"}
_FEED = b"\x1bd"
_CUT = {"full": b"\x1dV\x00", "partial": b"\x1dV\x01", "none": b""}


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """What one printer understands. Feed: lines between the last text and the cutter, 0 … 255.

    Encoding ``raster``: text is sent as pictures, drawn with the font; see :mod:`terminald.wire.escpos_raster`. Each
    picture has so many bytes of dots at most, or is one row.
    """

    columns: int
    width_dots: int
    encoding: Encoding | Literal["raster"]
    cut: Cut
    qr: Literal["native", "raster"] = "native"
    feed_lines: int = FEED_LINES
    font: Font | None = None
    picture_bytes: int = MAX_PICTURE_BYTES

    @property
    def longest_command(self) -> int:
        """Return how many bytes the longest command of any job has."""
        row = (self.width_dots + 7) // 8
        picture = PICTURE_HEAD + max(row, min(BAND_ROWS * row, self.picture_bytes))
        code = 0 if self.qr == "raster" else _NATIVE_HEAD + MAX_QR_BYTES
        return max(picture if "raster" in (self.encoding, self.qr) else 0, code)


class _Builder(Protocol):
    """The part of python-escpos' ``Dummy`` that is used."""

    output: bytes

    def qr(self, content: str, *, ec: int, size: int, native: bool) -> None: ...


def encode(marks: Iterable[Mark], profile: Profile) -> bytes:
    """Encode one whole job: initialised, printed, fed and cut.

    Whatever the texts contain, the only control bytes are the commands written here, and the job contains nothing that
    a printer obeys on reception (DLE EOT, ENQ, DC4). A character that the printer's character set or the font has no
    glyph of becomes ``?``. Blocks for the import of python-escpos at the first QR code, and of Pillow at the first line
    that is drawn: call it in a thread for a job that has one.

    Raises:
        ValueError: a QR code is empty, too long or not printable; see :func:`encode_qr`.
        OSError: python-escpos found no writable temporary directory for it.
    """
    job = bytearray(_INITIALIZE)
    feed = _FEED + bytes((profile.feed_lines,)) + _CUT[profile.cut]
    if profile.encoding == "raster":
        # No word about Chinese characters: a printer that has none prints what it does not know.
        return bytes(job + b"".join(_drawn(marks, profile)) + feed)
    job += _CHINESE_OFF if profile.encoding == "utf-8" else _CHINESE_ON
    align, bold, double = "left", False, False
    for mark in marks:
        line = Line(text="", align="center") if isinstance(mark, QrMark) else mark
        if line.align != align:
            align = line.align
            job += _ALIGN[line.align]
        if line.bold is not bold:
            bold = line.bold
            job += _BOLD[bold]
        if line.double is not double:
            double = line.double
            job += _SIZE[double]
        job += (
            encode_qr(mark.content, profile) if isinstance(mark, QrMark) else encode_text(line.text, profile.encoding)
        )
        job += b"\n"
    job += _SIZE[False] * double + _BOLD[False] * bold + feed
    if profile.encoding != "utf-8":
        job += _CHINESE_OFF
    return bytes(job)


def _drawn(marks: Iterable[Mark], profile: Profile) -> Iterator[bytes]:
    for mark in marks:
        if isinstance(mark, QrMark):
            yield _ALIGN["center"] + encode_qr(mark.content, profile) + b"\n" + _ALIGN["left"]
        else:
            yield draw_text(
                mark,
                columns=profile.columns,
                width_dots=profile.width_dots,
                font=profile.font,
                picture_bytes=profile.picture_bytes,
            )


def encode_text(text: str, encoding: Encoding) -> bytes:
    """Encode the printable content of one line, without its end; leading blanks are kept."""
    blanks = len(text) - len(text.lstrip(" "))
    return b" " * blanks + b"".join(_encode_char(char, encoding) for char in sanitize(text))


def _encode_char(char: str, encoding: Encoding) -> bytes:
    """Encode one character so that it takes on paper the columns that the layout counted."""
    if char.isascii():
        return char.encode("ascii")
    try:
        data = char.encode(encoding)
    except UnicodeEncodeError:
        return b"?"
    if encoding == "utf-8":
        return data
    # Four bytes of GB18030 are trusted for ideographs only; no printer has emoji, and old ones print stray digits.
    is_known = len(data) == 2 or unicodedata.category(char) == "Lo"  # noqa: PLR2004 - a double-byte character set
    return data if is_known and display_width(char) == 2 else b"?"  # noqa: PLR2004 - two columns for two bytes


def encode_qr(content: str, profile: Profile) -> bytes:
    """Encode a QR code at level M for the current alignment, drawn by the printer or by us.

    Raises:
        ValueError: nothing to encode, more than MAX_QR_BYTES in UTF-8, or characters that are not printable: the
            printer that draws the code gets its content as it is.
        OSError: python-escpos found no writable temporary directory.
    """
    size = len(content.encode(errors="replace"))
    if not 0 < size <= MAX_QR_BYTES:
        raise ValueError(f"a QR code holds 1 to {MAX_QR_BYTES} bytes, not {size}")
    if not content.isprintable():
        raise ValueError("a QR code holds printable characters only")
    module = QR_MODULE if profile.width_dots < _WIDE_PAPER else QR_MODULE_WIDE
    if profile.qr == "raster":
        return _raster_qr(content, module, profile.picture_bytes)
    builder = _load_dummy()()
    builder.qr(content, ec=_LEVEL_M, size=module, native=True)
    return builder.output


def _raster_qr(content: str, module: int, picture_bytes: int) -> bytes:
    """Draw a QR code with its quiet zone at half its size, and have the printer double it: a quarter of the bytes."""
    import qrcode  # type: ignore[import-untyped] # noqa: PLC0415 - comes with python-escpos, untyped; costs 60 ms

    code = qrcode.QRCode(error_correction=qrcode.ERROR_CORRECT_M, border=QUIET_ZONE)
    code.add_data(content)
    dots = module // 2
    matrix: list[list[bool]] = code.get_matrix()
    width = (len(matrix) * dots + 7) // 8
    rows: list[bytes] = []
    for line in matrix:
        bits = "".join(("1" if dark else "0") * dots for dark in line).ljust(width * 8, "0")
        rows += [int(bits, 2).to_bytes(width)] * dots
    return b"".join(cut_picture(rows, DOUBLED, picture_bytes))


def _load_dummy() -> Callable[[], _Builder]:
    """Import python-escpos without what its import leaves behind.

    It installs a root log handler, leaves a temporary directory, and reads a cached pickle from a directory named by
    the environment, which fails for ever once a power cut has truncated it (python-escpos 3.1, capabilities.py).
    """
    root = logging.getLogger()
    handlers = list(root.handlers)
    os.environ.pop("ESCPOS_CAPABILITIES_PICKLE_DIR", None)
    from escpos import capabilities  # noqa: PLC0415 - costs 272 ms and 17 MB; see the module's docstring
    from escpos.printer import Dummy  # noqa: PLC0415 - same

    for handler in [handler for handler in root.handlers if handler not in handlers]:
        root.removeHandler(handler)
    shutil.rmtree(capabilities.pickle_dir, ignore_errors=True)
    dummy: Callable[[], _Builder] = Dummy
    return dummy
