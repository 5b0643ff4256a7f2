import pytest
from PIL import Image

from terminald.simulator import printer_paper
from terminald.simulator.printer_escpos import Cut, Feed, Request, TextLine
from terminald.simulator.printer_paper import MAX_DOTS, Paper, font_note, print_job

TOP = 24  # blank dots above the first line


def ink(image: Image.Image, box: tuple[int, int, int, int]) -> tuple[int, int, int, int] | None:
    return image.crop(box).point(lambda dot: 255 - dot).getbbox()


@pytest.mark.parametrize("width", [384, 512, 576])
def test_a_receipt_is_as_wide_as_the_paper_and_ends_in_a_tear(width: int) -> None:
    (sheet,) = print_job(b"hello\n\x1bd\x02\x1dV\x00", width_dots=width, encoding="gbk")
    image = sheet.draw()
    assert image.size == (width, TOP + 90 + 20)
    assert ink(image, (0, TOP + 60, width, image.height)) is not None
    assert sheet.text == "hello\n"


def test_letters_stand_in_a_grid() -> None:
    (sheet,) = print_job(b"  x\n\x1ba\x02\xd6\xd0\n\x1ba\x01\x1d!\x11x\n", width_dots=384, encoding="gbk")
    image = sheet.draw()
    first = ink(image, (0, TOP, 384, TOP + 30))
    assert first is not None
    assert 24 <= first[0] < first[2] <= 36
    second = ink(image, (0, TOP + 30, 384, TOP + 60))
    assert second is not None
    assert second[0] >= 360
    third = ink(image, (0, TOP + 60, 384, TOP + 114))
    assert third is not None
    assert 180 <= third[0] < third[2] <= 204
    assert sheet.text == "  x\n" + " " * 30 + "中\n" + " " * 15 + "x\n"


def test_bold_and_stretched_letters_have_more_ink() -> None:
    def dots(job: bytes) -> int:
        (sheet,) = print_job(job + b"8\n\n\n\x1dV\x00", width_dots=384, encoding="gbk")
        return sum(sheet.draw().crop((0, TOP, 384, TOP + 54)).point(lambda dot: dot < 128).tobytes())

    plain = dots(b"")
    assert dots(b"\x1bE\x01") > plain
    assert dots(b"\x1d!\x10") > plain
    assert dots(b"\x1d!\x01") > plain
    assert dots(b"\x1d!\x11\x1bE\x01") > dots(b"\x1d!\x11")


def test_an_image_is_drawn_dot_by_dot() -> None:
    job = b"\x1ba\x01\x1dv0\x03\x01\x00\x02\x00\x80\x01\x1dV\x00"
    (sheet,) = print_job(job, width_dots=384, encoding="gbk")
    image = sheet.draw()
    assert ink(image, (0, TOP, 384, TOP + 2)) == (184, 0, 186, 2)
    assert ink(image, (0, TOP + 2, 384, TOP + 4)) == (198, 0, 200, 2)
    assert sheet.text == "[image 8x2]\n"


def test_an_empty_image_and_an_impossible_qr_code_do_no_harm() -> None:
    job = b"\x1dv0\x00\x00\x00\x00\x00\x1d(k" + (4003).to_bytes(2, "little") + b"1P0" + b"x" * 4000
    (sheet,) = print_job(job + b"\x1d(k\x03\x001Q0\n", width_dots=384, encoding="gbk")
    assert sheet.draw().width == 384


def test_a_cut_without_print_makes_no_receipt() -> None:
    assert print_job(b"\x1bd\x05\x1dV\x00\x1dr\x01", width_dots=384, encoding="gbk") == []


def test_paper_that_is_never_cut_is_torn_off() -> None:
    paper = Paper(width_dots=384)
    assert paper.add(Request(about="paper")) is None
    assert paper.add(TextLine(glyphs=(), align=0, feed=30)) is None
    assert paper.add(Feed(dots=MAX_DOTS)) is not None
    assert paper.add(Cut(is_partial=False)) is None


def test_without_a_chinese_font_the_printer_says_so_and_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    (sheet,) = print_job(b"\xd6\xd0 12\n", width_dots=384, encoding="gbk")
    monkeypatch.setattr(printer_paper, "FONTS", ())
    printer_paper._font.cache_clear()
    printer_paper._glyph_mask.cache_clear()
    try:
        assert "fonts-wqy-microhei" in font_note()
        assert ink(sheet.draw(), (0, TOP, 384, TOP + 30)) is not None
    finally:
        printer_paper._font.cache_clear()
        printer_paper._glyph_mask.cache_clear()
