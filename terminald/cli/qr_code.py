"""A QR code on the screen of a terminal."""

from itertools import zip_longest
from typing import TextIO

#: Black on white whatever the colours of the terminal are: not every app reads a light code on a dark ground.
_ON, _OFF = "\x1b[38;5;16;48;5;231m", "\x1b[0m"
#: Two modules, one above the other, in one character.
_HALVES = {(False, False): " ", (True, False): "▀", (False, True): "▄", (True, True): "█"}


def draw(content: str, stream: TextIO) -> str:
    """Return the code as lines of half blocks; empty where it can not be shown: no terminal, or no library for it."""
    if not stream.isatty() or not (stream.encoding or "").lower().startswith("utf"):
        return ""
    try:
        import qrcode  # type: ignore[import-untyped]  # noqa: PLC0415 - comes with python-escpos, untyped; costs 60 ms
    except ImportError:
        return ""
    code = qrcode.QRCode()
    code.add_data(content)
    matrix: list[list[bool]] = code.get_matrix()
    rows = zip_longest(matrix[::2], matrix[1::2], fillvalue=[False] * len(matrix))
    return "\n".join(_ON + "".join(_HALVES[pair] for pair in zip(*row, strict=True)) + _OFF for row in rows)
