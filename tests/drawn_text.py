"""Whether a line of text stands on a picture of paper: it is drawn by itself, and looked for dot by dot."""

from PIL import Image

from terminald.core.receipt import Line
from terminald.simulator.printer_paper import print_job
from terminald.wire.escpos import Profile, encode


def is_drawn(picture: Image.Image, line: Line) -> bool:
    """Tell whether a printer that prints this line has printed the same somewhere on the paper."""
    width = picture.width
    profile = Profile(columns=32 if width == 384 else 48, width_dots=width, encoding="gbk", cut="none")
    (sheet,) = print_job(encode((line,), profile), width_dots=width, encoding="gbk")
    alone = sheet.draw()
    torn = alone.crop((0, 0, width, alone.height - 10))  # without the edge of the paper
    box = torn.point(lambda value: 255 - value).getbbox()
    assert box is not None, "a line without ink is everywhere"
    _, top, _, bottom = box
    wanted = torn.crop((0, top, width, bottom)).tobytes()
    paper, length = picture.convert("L").tobytes(), len(wanted)
    return any(paper[start : start + length] == wanted for start in range(0, len(paper) - length + 1, width))
