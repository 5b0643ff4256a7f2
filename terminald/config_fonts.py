"""Where the font is that receipts are drawn with, for printers that get their text as pictures."""

from collections.abc import Iterable
from pathlib import Path
from typing import Final, NamedTuple

#: What to install where no font with Chinese characters is found: the smallest of them, in Debian's name.
PACKAGE: Final = "fonts-wqy-microhei"

_MISSING = "\uffff"  # is no character in any font, so it looks like those that are missing


class FontFace(NamedTuple):
    """A face in a font file; face is its number in a collection of several."""

    path: Path
    face: int = 0


#: Fonts with Chinese characters where distributions put them, the smallest and crispest first. The face is the
#: simplified Chinese one with half-width Latin letters, where there is one.
KNOWN_FONTS: Final = tuple(
    FontFace(path=Path(path), face=face)
    for path, face in (
        ("/usr/share/fonts/truetype/wqy/wqy-microhei.ttc", 1),
        ("/usr/share/fonts/wqy-microhei/wqy-microhei.ttc", 1),
        ("/usr/share/fonts/truetype/wqy/wqy-zenhei.ttc", 1),
        ("/usr/share/fonts/wqy-zenhei/wqy-zenhei.ttc", 1),
        ("/usr/share/fonts/opentype/noto/NotoSansCJK-Regular.ttc", 7),
        ("/usr/share/fonts/noto-cjk/NotoSansCJK-Regular.ttc", 7),
        ("/usr/share/fonts/google-noto-cjk/NotoSansCJK-Regular.ttc", 7),
        ("/usr/share/fonts/truetype/droid/DroidSansFallbackFull.ttf", 0),
        ("/usr/share/fonts-droid-fallback/truetype/DroidSansFallback.ttf", 0),
    )
)


def find_font(configured: Path | None, known: Iterable[FontFace] = KNOWN_FONTS) -> FontFace | None:
    """Return the configured font, or without one the first of the known ones that is there; None when it is not."""
    known = tuple(known)
    if configured is None:
        return next((font for font in known if _is_file(font.path)), None)
    face = next((font.face for font in known if font.path.name == configured.name), 0)
    return FontFace(path=configured, face=face) if _is_file(configured) else None


def has_chinese(font: FontFace) -> bool:
    """Tell whether a font can be read and has Chinese characters; a look into it takes some 50 ms."""
    from PIL import ImageFont  # noqa: PLC0415 - only who draws pays for it

    try:
        face = ImageFont.truetype(str(font.path), 24, font.face)
    except (OSError, ValueError):
        return False
    missing = bytes(face.getmask(_MISSING))
    return all(bytes(face.getmask(char)) != missing for char in "中付￥")


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:
        return False
