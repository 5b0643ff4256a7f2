"""A QR code on the screen of a terminal, read back by an independent reader."""

import io
import re
import sys

import pytest
import zxingcpp
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from terminald.cli.qr_code import draw

CONTENT = "https://qr.example/8fa1056b87bce5c98941"


class Screen(io.TextIOWrapper):
    """A stream that says what it is told to be."""

    def __init__(self, *, is_terminal: bool = True, encoding: str = "utf-8") -> None:
        super().__init__(io.BytesIO(), encoding=encoding)
        self._is_terminal = is_terminal

    def isatty(self) -> bool:
        return self._is_terminal


def picture(drawn: str) -> Image.Image:
    rows = [re.sub(r"\x1b\[[0-9;]*m", "", line) for line in drawn.split("\n")]
    image = Image.new("L", (len(rows[0]), 2 * len(rows)), 255)
    for y, row in enumerate(rows):
        for x, char in enumerate(row):
            for half, dark in enumerate(("▀█", "▄█")):
                if char in dark:
                    image.putpixel((x, 2 * y + half), 0)
    return image.resize((image.width * 4, image.height * 4), Image.Resampling.NEAREST)


@given(content=st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=128))
def test_what_is_drawn_is_read(content: str) -> None:
    drawn = draw(content, Screen())
    (read,) = zxingcpp.read_barcodes(picture(drawn))
    assert read.text == content


def test_it_is_dark_on_light_whatever_the_colours_of_the_terminal_and_fits_80_columns() -> None:
    lines = draw("x" * 128, Screen()).split("\n")
    assert all(line.startswith("\x1b[38;5;16;48;5;231m") and line.endswith("\x1b[0m") for line in lines)
    assert len(lines[0]) - len("\x1b[38;5;16;48;5;231m\x1b[0m") <= 80


@pytest.mark.parametrize("screen", [Screen(is_terminal=False), Screen(encoding="ascii"), Screen(encoding="gbk")])
def test_it_is_drawn_only_where_it_can_be_seen(screen: Screen) -> None:
    assert draw(CONTENT, screen) == ""


def test_without_the_library_there_is_no_drawing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "qrcode", None)
    assert draw(CONTENT, Screen()) == ""
