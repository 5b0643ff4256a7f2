import logging
import re
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Literal

import pytest
import zxingcpp
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from terminald.core.receipt import Line, QrMark, Receipt, layout, render_text
from terminald.simulator.printer_paper import print_job
from terminald.wire.escpos import MAX_QR_BYTES, Encoding, Profile, encode, encode_qr, encode_text
from terminald.wire.escpos_raster import MAX_PICTURE_BYTES
from terminald.wire.escpos_walk import pieces

GBK = Profile(columns=32, width_dots=384, encoding="gbk", cut="full")
OPCODES = re.compile(rb"\x1b@|\x1ba[\x00-\x02]|\x1bE[\x00\x01]|\x1d![\x00\x11]|\x1bd\x06|\x1dV[\x00\x01]|\x1c[&.]|\n")

hostile = st.text(alphabet=st.characters(), max_size=100) | st.text(
    alphabet="\x00\x10\x04\x01\x1b\x1c\x1d@dV¥中é€\ud800𠮷😀", max_size=40
)


def profile(encoding: Encoding) -> Profile:
    return Profile(columns=32, width_dots=384, encoding=encoding, cut="full")


def test_a_job_is_initialised_printed_fed_and_cut() -> None:
    lines = [
        Line(text="你好", align="center", bold=True, double=True),
        Line(text="abc", align="center"),
        Line(text="  ¥1"),
        Line(text="end", align="right", bold=True),
    ]
    assert encode(lines, GBK) == (
        b"\x1b@\x1c&"
        b"\x1ba\x01\x1bE\x01\x1d!\x11\xc4\xe3\xba\xc3\n"
        b"\x1bE\x00\x1d!\x00abc\n"
        b"\x1ba\x00  \xa3\xa41\n"
        b"\x1ba\x02\x1bE\x01end\n"
        b"\x1bE\x00\x1bd\x06\x1dV\x00\x1c."
    )


def test_a_large_last_line_does_not_enlarge_the_feed() -> None:
    assert encode([Line(text="a", double=True)], GBK).endswith(b"a\n\x1d!\x00\x1bd\x06\x1dV\x00\x1c.")


def test_partial_cut_and_none() -> None:
    partial = Profile(columns=32, width_dots=384, encoding="gbk", cut="partial", feed_lines=2)
    none = Profile(columns=32, width_dots=384, encoding="gbk", cut="none")
    assert encode([], partial) == b"\x1b@\x1c&\x1bd\x02\x1dV\x01\x1c."
    assert encode([], none) == b"\x1b@\x1c&\x1bd\x06\x1c."


def test_utf_8_leaves_the_chinese_mode() -> None:
    assert encode([Line(text="中")], profile("utf-8")) == b"\x1b@\x1c.\xe4\xb8\xad\n\x1bd\x06\x1dV\x00"


@pytest.mark.parametrize(
    ("text", "encoding", "data"),
    [
        ("￥9.90，《》", "gbk", b"\xa3\xa49.90\xa3\xac\xa1\xb6\xa1\xb7"),
        ("¥1", "gb18030", b"\xa3\xa41"),
        ("é", "gbk", b"\xa8\xa6"),
        ("ñ😀𠮷", "gbk", b"???"),
        ("ñ😀𠮷", "gb18030", b"??\x95\x34\xb2\x35"),
        ("ǹ", "gb18030", b"?"),
        ("ñ中", "utf-8", "ñ中".encode()),
        ("  x ", "gbk", b"  x"),
        ("\ud800", "utf-8", b""),
    ],
)
def test_text_takes_the_columns_that_were_counted(text: str, encoding: Encoding, data: bytes) -> None:
    assert encode_text(text, encoding) == data


@given(
    st.lists(st.builds(Line, text=hostile, bold=st.booleans(), double=st.booleans()), max_size=5),
    st.sampled_from(("gbk", "gb18030", "utf-8")),
)
def test_no_control_byte_but_our_commands_reaches_the_printer(lines: list[Line], encoding: Encoding) -> None:
    job = encode(lines, profile(encoding))
    assert not re.search(rb"[\x00-\x1f\x7f]", OPCODES.sub(b"", job))
    job.decode(encoding)


@given(hostile, hostile, st.sampled_from((32, 48)), st.sampled_from(("gbk", "gb18030", "utf-8")))
def test_a_printer_prints_what_was_laid_out(subject: str, footer: str, columns: int, encoding: Encoding) -> None:
    receipt = Receipt(
        kind="sale", language="zh", amount=350, payway="3", time="2024", subject=subject, footer=(footer,)
    )
    lines = layout(receipt, columns=columns)
    paper = Profile(columns=columns, width_dots=columns * 12, encoding=encoding, cut="full")
    (sheet,) = print_job(encode(lines, paper), width_dots=columns * 12, encoding=encoding)
    expected = render_text(lines, columns)
    printable = "".join(char if encode_text(char, encoding) != b"?" else "?" for char in expected)
    got = sheet.text.removesuffix("\n")
    if printable == expected:
        assert [line.rstrip() for line in got.splitlines()] == [line.rstrip() for line in expected.splitlines()]
    else:
        assert len(got.splitlines()) == len(expected.splitlines())


def test_a_qr_code_is_level_m_and_large_enough_to_read() -> None:
    job = encode_qr("https://qr.example/abc", GBK)
    assert job.startswith(b"\x1d(k\x04\x001A2\x00\x1d(k\x03\x001C\x06\x1d(k\x03\x001E1")
    assert job.endswith(b"0https://qr.example/abc\x1d(k\x03\x001Q0")
    wide = Profile(columns=48, width_dots=576, encoding="gbk", cut="full")
    assert b"\x1d(k\x03\x001C\x08" in encode_qr("x", wide)


@pytest.mark.parametrize("drawn_by", ["native", "raster"])
def test_the_longest_qr_code_fits_the_narrowest_paper_with_its_quiet_zone(
    drawn_by: Literal["native", "raster"],
) -> None:
    narrow = Profile(columns=32, width_dots=384, encoding="gbk", cut="full", qr=drawn_by)
    job = encode((Line(text=""), QrMark(content="x" * MAX_QR_BYTES), Line(text="")), narrow)
    (sheet,) = print_job(job, width_dots=384, encoding="gbk")
    picture = sheet.draw()
    left, top, right, bottom = ink_of(picture.crop((0, 0, 384, picture.height - 5)))
    assert (right - left, bottom - top) == (53 * 6, 53 * 6)
    assert min(left, 384 - right) >= 4 * 6
    assert top >= 4 * 6


def ink_of(picture: Image.Image) -> tuple[int, int, int, int]:
    box = picture.point(lambda dot: 255 - dot).getbbox()
    assert box is not None
    return box


@pytest.mark.parametrize("width_dots", [384, 576])
@pytest.mark.parametrize("drawn_by", ["native", "raster"])
@given(content=st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=128))
def test_an_independent_reader_reads_every_code_from_the_paper(
    drawn_by: Literal["native", "raster"], width_dots: int, content: str
) -> None:
    paper = Profile(columns=width_dots // 12, width_dots=width_dots, encoding="gbk", cut="full", qr=drawn_by)
    (sheet,) = print_job(encode((QrMark(content=content),), paper), width_dots=width_dots, encoding="gbk")
    (read,) = zxingcpp.read_barcodes(sheet.draw())
    assert read.text == content
    assert read.ec_level == "M"


def test_a_code_that_we_draw_is_short() -> None:
    """Drawn at half its size and doubled by the printer: a quarter of the bytes, and of the time on a slow line."""
    narrow = Profile(columns=32, width_dots=384, encoding="gbk", cut="full", qr="raster")
    assert len(encode_qr("https://qr.alipay.com/" + "x" * 57, narrow)) < 4_000


@pytest.mark.parametrize("picture_bytes", [1, 100, 184, MAX_PICTURE_BYTES])
@pytest.mark.parametrize("width_dots", [384, 576])
@pytest.mark.parametrize("encoding", ["gbk", "raster"])
@pytest.mark.parametrize("drawn_by", ["native", "raster"])
def test_no_command_is_longer_than_the_longest(
    drawn_by: Literal["native", "raster"], encoding: Literal["gbk", "raster"], width_dots: int, picture_bytes: int
) -> None:
    """A printer takes as many bytes as that, at most, for the rest of a command that was broken off."""
    paper = Profile(
        columns=32, width_dots=width_dots, encoding=encoding, cut="full", qr=drawn_by, picture_bytes=picture_bytes
    )
    data = encode((Line(text="W" * 32), QrMark(content="x" * MAX_QR_BYTES)), paper)
    longest = max(piece.end - piece.start for piece in pieces(data) if data[piece.start] < 0x20)
    assert longest <= paper.longest_command <= 8 + max(picture_bytes, width_dots // 8, MAX_QR_BYTES)
    pictures = [piece.end - piece.start for piece in pieces(data) if data.startswith(b"\x1dv", piece.start)]
    assert max(pictures, default=0) <= 8 + max(picture_bytes, width_dots // 8)


def test_a_code_that_is_drawn_in_bands_is_one_picture_on_paper() -> None:
    sheets = [
        print_job(encode((QrMark(content="x" * 100),), replace(GBK, qr="raster", picture_bytes=size)), width_dots=384,
                  encoding="gbk")
        for size in (30, MAX_PICTURE_BYTES)
    ]  # fmt: skip
    assert sheets[0][0].draw().tobytes() == sheets[1][0].draw().tobytes()


@pytest.mark.parametrize("content", ["", "x" * (MAX_QR_BYTES + 1), "中" * MAX_QR_BYTES])
def test_what_no_qr_code_of_that_size_holds_is_refused(content: str) -> None:
    with pytest.raises(ValueError, match="1 to 180"):
        encode_qr(content, GBK)


def test_the_library_leaves_no_log_handler_no_directory_and_reads_no_pickle(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] == "escpos"]:
        monkeypatch.delitem(sys.modules, name)
    root = logging.getLogger()
    monkeypatch.setattr(root, "handlers", [])
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setenv("ESCPOS_CAPABILITIES_PICKLE_DIR", str(tmp_path / "missing"))
    encode_qr("x", GBK)
    assert root.handlers == []
    assert list(tmp_path.iterdir()) == []
