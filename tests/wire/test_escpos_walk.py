import pytest
from hypothesis import given
from hypothesis import strategies as st

from terminald.core.receipt import Line, QrMark
from terminald.wire.escpos import Profile, encode
from terminald.wire.escpos_walk import paper_mm, pieces, stops

TEXTS = st.text(st.sampled_from("aZ 9合计￥，。"), max_size=12)
LINES = st.builds(
    Line, text=TEXTS, align=st.sampled_from(("left", "center", "right")), bold=st.booleans(), double=st.booleans()
)
PROFILE = Profile(columns=32, width_dots=384, encoding="gbk", cut="full")


@given(st.binary())
def test_the_pieces_of_anything_are_all_of_it(data: bytes) -> None:
    end = 0
    for piece in pieces(data):
        assert piece.start == end < piece.end
        assert piece.paper_mm >= 0
        end = piece.end
    assert end == len(data)


@given(st.lists(LINES, max_size=8))
def test_a_receipt_can_be_interrupted_between_its_lines_and_takes_as_much_paper(lines: list[Line]) -> None:
    data = encode(lines, PROFILE)
    ends = [place + 1 for place in range(len(data)) if data[place : place + 1] == b"\n"]
    assert set(ends) <= set(stops(data))
    assert paper_mm(data) == (len(lines) + PROFILE.feed_lines) * 3.75


@pytest.mark.parametrize(
    ("data", "ends", "mm"),
    [
        (b"", (), 0.0),
        (b"\x1b@\x1ba\x01ab\n\x1dV\x00", (2, 5, 8, 11), 3.75),
        (b"\x1bd\x0a\x1dr\x01", (3, 6), 37.5),
        (b"\x1bd", (2,), 0.0),
        (b"\x1dv0\x00\x02\x00\x08\x00" + b"\n" * 16 + b"x", (24, 25), 1.0),
        (b"\x1dv0\x03\x02\x00\x08\x00" + b"\x1b" * 16, (24,), 2.0),
        (b"\x1dv0", (3,), 0.0),
        (b"\x1d(k\x03\x001Q0", (8,), 61.0),
        (b"\x1d(k\x03\x001E1\n", (8, 9), 3.75),
        (b"\x1d(H\x06\x0000abcd", (11,), 0.0),
        (b"\x1bZa", (1, 3), 0.0),
    ],
)
def test_each_command_is_one_piece(data: bytes, ends: tuple[int, ...], mm: float) -> None:
    assert stops(data) == ends
    assert paper_mm(data) == mm


def test_a_picture_is_not_searched_for_lines() -> None:
    data = encode(
        [QrMark(content="https://example.com/1")],
        Profile(columns=32, width_dots=384, encoding="gbk", cut="none", qr="raster"),
    )
    pictures = [piece.end - piece.start for piece in pieces(data) if data.startswith(b"\x1dv0", piece.start)]
    assert sum(pictures) > len(data) * 0.9
    assert len(pictures) == 5
    assert 20 < paper_mm(data) < 70
