import re
from pathlib import Path
from typing import Literal

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from PIL import Image, ImageFont

from terminald.config_fonts import KNOWN_FONTS, find_font
from terminald.core.receipt import Goods, Line, Mark, QrMark, Receipt, display_width, layout
from terminald.simulator.printer_escpos import Interpreter, Item, Raster, RealTime
from terminald.simulator.printer_paper import print_job
from terminald.wire.escpos import Encoding, Profile, encode
from terminald.wire.escpos_raster import BAND_ROWS, draw_text, harmless
from terminald.wire.escpos_walk import pieces

PAPERS = [(32, 384), (42, 512), (48, 576), (48, 384), (32, 576)]
CHINESE = find_font(None)
needs_chinese = pytest.mark.skipif(
    CHINESE is None, reason=f"none of {[str(font.path) for font in KNOWN_FONTS]} is here"
)

hostile = st.text(alphabet=st.characters(), max_size=60) | st.text(
    "\x00\x10\x04\x01\x1b\x1d@V¥中é \ud800𠮷😀", max_size=40
)
lines = st.builds(
    Line,
    text=hostile,
    align=st.sampled_from(("left", "center", "right")),
    bold=st.booleans(),
    double=st.booleans(),
)
contents = st.text(st.characters(min_codepoint=1, max_codepoint=0x7F), min_size=1, max_size=100)


def profile(columns: int = 32, width_dots: int = 384, font: tuple[Path, int] | None = None) -> Profile:
    return Profile(columns=columns, width_dots=width_dots, encoding="raster", cut="full", font=font)


def print_raster(data: bytes, width_dots: int = 384) -> list[Item]:
    """Have a printer that understands the commands, and obeys what it must at once, take a job."""
    interpreter = Interpreter(width_dots=width_dots, encoding="gbk")
    items = interpreter.feed(data)
    assert interpreter.unknown == 0
    assert RealTime().feed(data) == []
    return items


def paper_of(line: Line, columns: int = 32, width_dots: int = 384, font: tuple[Path, int] | None = None) -> Image.Image:
    """Return one line on paper, its ink as 255."""
    data = draw_text(line, columns=columns, width_dots=width_dots, font=font)
    bands = [item for item in print_raster(data, width_dots) if isinstance(item, Raster)]
    paper = Image.new("L", (width_dots, sum(len(item.data) // item.width_bytes * item.repeat_y for item in bands)))
    y = 0
    for item in bands:
        size = (item.width_bytes * 8, len(item.data) // item.width_bytes)
        picture = Image.frombytes("1", size, item.data).convert("L")
        picture = picture.resize((size[0] * item.repeat_x, size[1] * item.repeat_y), Image.Resampling.NEAREST)
        paper.paste(picture, (0, y))
        y += picture.height
    return paper


def inked(paper: Image.Image, left: int, right: int) -> bool:
    return paper.crop((left, 0, right, paper.height)).getbbox() is not None


@given(st.lists(lines, max_size=4), st.sampled_from(PAPERS))
def test_a_printer_takes_any_lines_as_pictures_that_fit_its_paper_and_its_buffer(
    texts: list[Line], paper: tuple[int, int]
) -> None:
    columns, width_dots = paper
    items = print_raster(encode(texts, profile(columns, width_dots)), width_dots)
    bands = [item for item in items if isinstance(item, Raster)]
    assert len(items) == len(bands) + 2  # the feed and the cut
    for item in bands:
        assert item.width_bytes * item.repeat_x * 8 <= width_dots
        assert 0 < len(item.data) // item.width_bytes <= BAND_ROWS


@given(st.lists(lines | st.builds(QrMark, content=contents), max_size=4), st.sampled_from(["native", "raster"]))
def test_no_job_holds_what_a_printer_obeys_on_reception(
    marks: list[Mark], drawn_by: Literal["native", "raster"]
) -> None:
    """DLE EOT is answered in the middle of a picture too; DLE ENQ and DLE DC4 throw away what was not printed."""
    assume(all(mark.content.isprintable() for mark in marks if isinstance(mark, QrMark)))
    for encoding in ("gbk", "gb18030", "utf-8", "raster"):
        paper = Profile(columns=32, width_dots=384, encoding=encoding, cut="full", qr=drawn_by, feed_lines=4)
        assert not re.search(rb"\x10[\x04\x05\x14]", encode(marks, paper))


@given(st.binary() | st.lists(st.sampled_from([0x10, 0x04, 0x05, 0x14, 0x01]), max_size=60).map(bytes))
def test_a_picture_is_made_harmless_by_dots_beside_others(dots: bytes) -> None:
    safe = harmless(dots)
    assert not re.search(rb"\x10[\x04\x05\x14]", safe)
    before, after = int.from_bytes(b"\0" + dots), int.from_bytes(b"\0" + safe)
    assert before & ~after == 0
    added = after ^ before
    assert added & ~(before >> 1) == 0


@given(st.text("ab中￥g |_1.", max_size=32), st.sampled_from(PAPERS), st.sampled_from([1, 2]))
def test_each_character_stays_in_the_columns_that_were_counted(text: str, paper: tuple[int, int], scale: int) -> None:
    columns, width_dots = paper
    assume(display_width(text.rstrip()) * scale <= columns)
    assume(text == text.rstrip())
    picture = paper_of(Line(text=text, bold=True, double=scale == 2), columns, width_dots)
    cell = width_dots // columns * scale
    left = (width_dots - cell * (columns // scale)) // 2
    for char in text:
        right = left + cell * display_width(char)
        assert inked(picture, left, right) is (char != " ")
        left = right
    assert not inked(picture, left, width_dots)


@pytest.mark.parametrize("columns_and_width", PAPERS)
def test_lines_are_as_high_as_a_printers_own(columns_and_width: tuple[int, int]) -> None:
    columns, width_dots = columns_and_width
    cell = width_dots // columns
    for text in ("", "中g"):
        assert paper_of(Line(text=text), columns, width_dots).height == cell * 5 // 2
    assert paper_of(Line(text="中", double=True), columns, width_dots).height in (cell * 9 // 2, cell * 9 // 2 - 1)


def test_lines_are_aligned_in_the_columns() -> None:
    boxes = [paper_of(Line(text="||", align=align)).getbbox() for align in ("left", "center", "right")]
    lefts = [box[0] for box in boxes if box is not None]
    assert lefts[1] - lefts[0] == 180
    assert lefts[2] - lefts[1] == 180
    assert paper_of(Line(text="x" * 40)).getbbox() == paper_of(Line(text="x" * 32)).getbbox()


def test_bold_has_more_ink_and_large_letters_are_the_plain_ones_doubled() -> None:
    plain, bold = paper_of(Line(text="Wg1")), paper_of(Line(text="Wg1", bold=True))
    assert sum(bold.histogram()[1:]) > sum(plain.histogram()[1:])
    large = paper_of(Line(text="Wg1", double=True))
    box = (0, 0, 100, 27)
    assert large.crop((0, 0, 200, 54)).resize((100, 27), Image.Resampling.NEAREST) == plain.crop(box)


def test_leading_blanks_are_kept_and_controls_are_not_drawn() -> None:
    assert not inked(paper_of(Line(text="  a")), 0, 24)
    assert paper_of(Line(text="a\x1b\x10\x04\x01b")) == paper_of(Line(text="ab"))


def test_what_is_blank_is_not_sent() -> None:
    assert draw_text(Line(text=""), columns=32, width_dots=384, font=None) == (
        b"\x1dv0\x00\x01\x00\x18\x00" + bytes(24) + b"\x1dv0\x00\x01\x00\x06\x00" + bytes(6)
    )
    assert len(draw_text(Line(text="-" * 32), columns=32, width_dots=384, font=None)) < 200
    assert len(draw_text(Line(text="1" * 32, double=True), columns=32, width_dots=384, font=None)) < 600


def test_what_no_font_has_is_a_question_mark() -> None:
    assert paper_of(Line(text="ǹ")) == paper_of(Line(text="?"))
    assert paper_of(Line(text="😀")) == paper_of(Line(text="😁"))


def test_a_font_that_can_not_be_read_costs_no_receipt(tmp_path: Path) -> None:
    broken = tmp_path / "broken.ttf"
    broken.write_bytes(b"not a font")
    expected = paper_of(Line(text="Wg1"))
    for path in (broken, tmp_path / "missing.ttf"):
        assert paper_of(Line(text="Wg1"), font=(path, 0)) == expected


def test_a_font_of_the_machine_is_used(tmp_path: Path) -> None:
    own = ImageFont.load_default(24)
    assert isinstance(own, ImageFont.FreeTypeFont)
    path = tmp_path / "own.ttf"
    path.write_bytes(own.font_bytes)
    assert paper_of(Line(text="Wg1"), font=(path, 0)) == paper_of(Line(text="Wg1"))


@needs_chinese
def test_chinese_is_drawn_with_a_chinese_font() -> None:
    question = paper_of(Line(text="？"), font=CHINESE)
    for char in "中付款￥，《":
        paper = paper_of(Line(text=char), font=CHINESE)
        assert paper not in (question, paper_of(Line(text=char)))
        assert inked(paper, 0, 24)
        assert not inked(paper, 24, 384)


@needs_chinese
@pytest.mark.parametrize("columns_and_width", PAPERS[:3])
def test_a_whole_receipt_is_twenty_to_thirty_kilobytes(columns_and_width: tuple[int, int]) -> None:
    columns, width_dots = columns_and_width
    receipt = Receipt(
        kind="sale",
        language="zh",
        header=("大堂自助售货机",),
        amount=12_350,
        payway="3",
        time="2026-05-06 12:30:45",
        goods=(Goods(name="可口可乐 330ml 罐装", quantity=2, price=350),),
        sn="7894259244067349",
        trade_no="4200001234202605061234567890",
        client_sn="01JD0000000000000000000000",
        reference="order-8841",
    )
    data = encode(layout(receipt, columns=columns), profile(columns, width_dots, CHINESE))
    assert len(data) < 30_000
    assert max(piece.end - piece.start for piece in pieces(data)) <= 8 + BAND_ROWS * width_dots // 8
    (sheet,) = print_job(data, width_dots=width_dots, encoding="gbk")
    assert sheet.draw().width == width_dots


@pytest.mark.parametrize("encoding", ["gbk", "raster"])
@pytest.mark.parametrize("content", ["a\x10\x04\x01b", "a\n", "\ud800"])
def test_a_code_of_control_characters_is_refused(encoding: Encoding | Literal["raster"], content: str) -> None:
    paper = Profile(columns=32, width_dots=384, encoding=encoding, cut="full")
    with pytest.raises(ValueError, match="printable"):
        encode((QrMark(content=content),), paper)


def test_a_code_between_drawn_lines_is_centred_and_they_are_not() -> None:
    data = encode((Line(text="a"), QrMark(content="x"), Line(text="a")), profile())
    assert data.count(b"\x1ba\x01\x1d(k") == 1
    assert data.count(b"1Q0\n\x1ba\x00\x1dv0") == 1
    assert not re.search(rb"\x1c[&.]", data)
