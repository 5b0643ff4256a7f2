from pathlib import Path

import pytest
from PIL import ImageFont

from terminald.config_fonts import KNOWN_FONTS, FontFace, find_font, has_chinese

FOUND = find_font(None)


def test_the_first_known_font_that_is_there_is_taken(tmp_path: Path) -> None:
    known = [FontFace(path=tmp_path / name, face=face) for name, face in (("a.ttc", 1), ("b.ttc", 7), ("c.ttc", 0))]
    assert find_font(None, known) is None
    known[2].path.touch()
    known[1].path.touch()
    assert find_font(None, known) == known[1]


def test_the_configured_font_is_taken_alone(tmp_path: Path) -> None:
    known = [FontFace(path=tmp_path / "known" / "a.ttc", face=3)]
    moved = tmp_path / "a.ttc"
    assert find_font(moved, known) is None
    moved.touch()
    assert find_font(moved, known) == FontFace(path=moved, face=3)
    other = tmp_path / "b.ttf"
    other.touch()
    assert find_font(other, known) == FontFace(path=other, face=0)
    assert find_font(tmp_path, known) is None
    assert find_font(other / "below", known) is None
    assert find_font(Path("/" + "x" * 5000), known) is None


def test_a_font_without_chinese_is_told(tmp_path: Path) -> None:
    own = ImageFont.load_default(24)
    assert isinstance(own, ImageFont.FreeTypeFont)
    latin, broken = tmp_path / "latin.ttf", tmp_path / "broken.ttf"
    latin.write_bytes(own.font_bytes)
    broken.write_bytes(b"x")
    assert not has_chinese(FontFace(path=latin))
    assert not has_chinese(FontFace(path=broken))
    assert not has_chinese(FontFace(path=tmp_path / "missing.ttf"))


@pytest.mark.skipif(FOUND is None, reason=f"none of {len(KNOWN_FONTS)} known Chinese fonts is here")
def test_a_known_font_has_chinese() -> None:
    assert FOUND is not None
    assert has_chinese(FOUND)
