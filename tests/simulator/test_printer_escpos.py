from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from terminald.simulator.printer_escpos import (
    BAND_ROWS,
    Cut,
    Encoding,
    Feed,
    Interpreter,
    Item,
    QrCode,
    Raster,
    RealTime,
    Request,
    TextLine,
)

QR = b"\x1d(k\x04\x001A2\x00\x1d(k\x03\x001C\x06\x1d(k\x03\x001E1\x1d(k\x08\x001P0hello\x1d(k\x03\x001Q0"
RASTER = b"\x1dv0\x00\x02\x00\x03\x00" + bytes(range(6))
PIECES = (
    b"abc", b"\n", b"\r", b"\t", b"\xc4\xe3\xba\xc3", b"\xff", b"\x81", b"\x1b@", b"\x1ba\x01", b"\x1ba1", b"\x1bE\x01",
    b"\x1b!\x38", b"\x1d!\x11", b"\x1bd\x03", b"\x1bJ\x10", b"\x1b3\x20", b"\x1b2", b"\x1c&", b"\x1c.", b"\x1c!\x0c",
    b"\x1dV\x00", b"\x1dV\x41\x10", b"\x1dV\x09", b"\x1dr\x01", b"\x1dr2", b"\x10\x04\x01", b"\x1bX", b"\x1dL\x00\x00",
    b"\x1d(H\x06\x0000ABCD", b"\x1d(A\x02\x00xy", QR, RASTER,
)  # fmt: skip


def interpret(data: bytes, encoding: Encoding = "gbk", width_dots: int = 384) -> list[Item]:
    return Interpreter(width_dots=width_dots, encoding=encoding).feed(data)


def texts(items: list[Item]) -> list[str]:
    return ["".join(glyph.char for glyph in item.glyphs) for item in items if isinstance(item, TextLine)]


@given(
    st.lists(st.sampled_from(PIECES) | st.binary(max_size=12), max_size=25).map(b"".join),
    st.lists(st.integers(1, 7), min_size=1, max_size=20),
    st.sampled_from(("gbk", "gb18030", "utf-8")),
)
def test_what_is_printed_does_not_depend_on_the_chunks(data: bytes, sizes: list[int], encoding: Encoding) -> None:
    whole = Interpreter(width_dots=384, encoding=encoding)
    expected = whole.feed(data)
    parts = Interpreter(width_dots=384, encoding=encoding)
    live, real_time = RealTime(), []
    got: list[Item] = []
    at = 0
    for turn in range(len(data)):
        size = sizes[turn % len(sizes)]
        got += parts.feed(data[at : at + size])
        real_time += live.feed(data[at : at + size])
        at += size
    assert got == expected
    assert parts.unknown == whole.unknown
    assert real_time == RealTime().feed(data)


@pytest.mark.parametrize(
    ("data", "encoding", "text"),
    [
        (b"\xc4\xe3\xba\xc3 1\n", "gbk", "你好 1"),
        (b"\x1c.\xc4\xe3\x1c&\xc4\xe3\n", "gbk", "??你"),
        (b"\x95\x34\xb2\x35\xc4\xe3\n", "gb18030", "𠮷你"),
        ("你é1\n".encode(), "utf-8", "你é1"),
        ("😀\n".encode(), "utf-8", "😀"),
        (b"\xffa\n", "gbk", "?a"),
        (b"a\tb\n", "gbk", "a       b"),
        (b"a\x00\r\x07b\n", "gbk", "ab"),
    ],
)
def test_text_in_each_character_set(data: bytes, encoding: Encoding, text: str) -> None:
    assert texts(interpret(data, encoding)) == [text]


def test_a_line_wider_than_the_paper_is_broken() -> None:
    assert texts(interpret(b"x" * 40 + b"\n")) == ["x" * 32, "x" * 8]
    assert texts(interpret(b"\x1d!\x10" + b"x" * 20 + b"\n")) == ["x" * 16, "x" * 4]
    assert texts(interpret(b"x" * 31 + b"\xc4\xe3\n")) == ["x" * 31, "你"]


def test_letters_are_formed_as_commanded() -> None:
    (line,) = interpret(b"a\x1bE\x01b\x1d!\x21c\x1b!\x10d\x1c!\x04e\x1b@f\n")[-1:]
    assert isinstance(line, TextLine)
    assert [(glyph.char, glyph.bold, glyph.wide, glyph.high) for glyph in line.glyphs] == [("f", False, 1, 1)]
    (line,) = interpret(b"a\x1bE\x01b\x1d!\x21c\x1b!\x10d\x1c!\x04e\n")
    assert isinstance(line, TextLine)
    assert [(glyph.char, glyph.bold, glyph.wide, glyph.high) for glyph in line.glyphs] == [
        ("a", False, 1, 1),
        ("b", True, 1, 1),
        ("c", True, 3, 2),
        ("d", False, 1, 2),
        ("e", False, 2, 1),
    ]
    assert line.feed == 54


def test_paper_is_fed_and_cut() -> None:
    assert interpret(b"\x1bd\x02\x1bJ\x05\x1b3\x40\x1bd\x01\x1b2\x1bd\x01") == [
        Feed(dots=60),
        Feed(dots=5),
        Feed(dots=64),
        Feed(dots=30),
    ]
    assert interpret(b"\x1dV\x00\x1dV1\x1dV\x42\x08") == [
        Cut(is_partial=False),
        Cut(is_partial=True),
        Feed(dots=8),
        Cut(is_partial=True),
    ]
    assert texts(interpret(b"unfinished\x1bd\x01")) == ["unfinished"]


def test_alignment_is_obeyed_at_the_beginning_of_a_line_only() -> None:
    items = interpret(b"\x1ba\x01a\x1ba\x02\n\x1ba\x32b\n\x1ba\x09c\n")
    assert [item.align for item in items if isinstance(item, TextLine)] == [1, 2, 2]


@pytest.mark.parametrize(("mode", "across", "down"), [(0, 1, 1), (1, 2, 1), (2, 1, 2), (3, 2, 2), (0x33, 2, 2)])
def test_raster_images_in_their_four_scales(mode: int, across: int, down: int) -> None:
    data = RASTER[:3] + bytes((mode,)) + RASTER[4:]
    assert interpret(data) == [Raster(data=bytes(range(6)), width_bytes=2, repeat_x=across, repeat_y=down, align=0)]


def test_a_raster_image_of_impossible_size_is_garbage_and_text_goes_on() -> None:
    interpreter = Interpreter(width_dots=384, encoding="gbk")
    assert texts(interpreter.feed(b"\x1dv0\x00\xff\xff\xff\xff" + b"\nok\n"))[-1] == "ok"
    assert interpreter.unknown > 0


def test_a_native_qr_code() -> None:
    assert interpret(b"\x1ba\x01" + QR) == [QrCode(content="hello", module=6, level="M", align=1)]
    assert interpret(b"\x1d(k\x03\x001Q0") == []


def test_questions_in_the_stream_are_answered_in_order() -> None:
    assert interpret(b"\x1da\x0e\x1dr\x01\x1dr2\x1d(H\x06\x0000ABCD") == [
        Request(about="automatic", tag=b"\x0e"),
        Request(about="paper"),
        Request(about="drawer"),
        Request(about="id", tag=b"ABCD"),
    ]


def test_status_requests_are_seen_even_inside_an_image() -> None:
    image = b"\x1dv0\x00\x01\x00\x04\x00\xff\x10\x04\x02"
    assert RealTime().feed(image + b"\x10\x04\x09\x10\x10\x04\x04\x10\x05\x03\x10\x05\x02") == [
        ("EOT", 2),
        ("EOT", 4),
        ("ENQ", 2),
    ]


def test_an_image_is_printed_band_by_band_while_it_arrives() -> None:
    interpreter = Interpreter(width_dots=384, encoding="gbk")
    rows = BAND_ROWS * 2 + 1
    assert interpreter.feed(b"\x1ba\x02\x1dv0\x00\x01\x00" + rows.to_bytes(2, "little")) == []
    band = Raster(data=bytes(BAND_ROWS), width_bytes=1, repeat_x=1, repeat_y=1, align=2)
    assert interpreter.feed(bytes(BAND_ROWS)) == [band]
    assert interpreter.feed(bytes(BAND_ROWS)) == [replace(band, is_continued=True)]
    assert interpreter.feed(b"\x0a") == [replace(band, data=b"\x0a", is_continued=True)]
    assert texts(interpreter.feed(b"text\n")) == ["text"]


def test_what_is_unfinished_can_be_dropped_and_settings_stay() -> None:
    interpreter = Interpreter(width_dots=384, encoding="gbk")
    interpreter.feed(b"\x1bE\x01lost\x1dv0\x00\x01\x00\x04\x00\xff")
    interpreter.drop_unfinished()
    (line,) = interpreter.feed(b"a\n")
    assert isinstance(line, TextLine)
    assert [(glyph.char, glyph.bold) for glyph in line.glyphs] == [("a", True)]


def test_unknown_commands_are_counted_and_skipped() -> None:
    interpreter = Interpreter(width_dots=384, encoding="gbk")
    items = interpreter.feed(b"a\x1bXb\x1d\x7fc\x1cZd\x1d(A\x02\x00xye\x1d(k\x03\x001Z0\x1dV\x09\n")
    assert texts(items) == ["abcde"]
    assert interpreter.unknown == 6
