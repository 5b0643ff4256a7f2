"""How many bytes a receipt has and how long the line is busy with it, beside an image of the same paper."""

from dataclasses import dataclass, replace

from terminald.core.receipt import Goods, Receipt, layout
from terminald.simulator.printer_escpos import QrCode, TextLine
from terminald.simulator.printer_paper import height, print_job
from terminald.wire.escpos import Profile, encode
from tests.bench.table import Row, Section

#: 8N1: a start bit, eight, a stop bit.
_BITS_A_BYTE = 10
_BAUDS = (9600, 115_200)
#: ``GS v 0 m xL xH yL yH`` before the image.
_RASTER_HEAD = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class _Paper:
    name: str
    columns: int
    width_dots: int


_PAPERS = (
    _Paper(name="58 mm", columns=32, width_dots=384),
    _Paper(name="80 mm", columns=48, width_dots=576),
)


_RECEIPT = Receipt(
    kind="sale",
    language="zh",
    header=("海滨小店", "滨海路 88 号"),
    footer=("谢谢惠顾",),
    terminal_name="A-17",
    goods=(Goods(name="可乐 330ml", quantity=2, price=350), Goods(name="薯片", quantity=1, price=600)),
    amount=1300,
    payway="3",
    sn="7895253130598241",
    trade_no="4200001889202306123456789012",
    client_sn="01HZX3E8Q6T5V7M2N4P9R1S3KD",
    code_masked="1308…1147",
    operator="kiosk",
    reference="order-20240601-0042",
    time="2024-06-01 12:34:56",
)


_QR_SLIP = replace(
    _RECEIPT,
    kind="qr",
    goods=(),
    qr_content="https://qr.shouqianba.com/7895253130598241/0123456789abcdef0123456789abcdef",
    pay_before="2024-06-01 12:36:56",
)


def measure() -> Section:
    """Compute it: nothing here depends on the machine."""
    return Section(
        title="Receipt: as text with the printer's own QR, beside an image of the same paper",
        rows=tuple(
            row
            for paper in _PAPERS
            for what, slip in _SLIPS.items()
            for row in _rows(f"{what}, {paper.name}", slip, paper)
        ),
        notes=("On the wire with 8 data bits, no parity, one stop bit. The feed before the cut is in neither.",),
    )


_SLIPS = {"receipt": _RECEIPT, "QR to pay": _QR_SLIP}


def _rows(name: str, slip: Receipt, paper: _Paper) -> list[Row]:
    profile = Profile(columns=paper.columns, width_dots=paper.width_dots, encoding="gbk", cut="partial")
    data = encode(layout(slip, columns=paper.columns), profile)
    image = _image_bytes(data, paper)
    drawn = replace(profile, encoding="raster", qr="raster")
    pictures = len(encode(layout(slip, columns=paper.columns), drawn))
    image_name, pictures_name = "as one image", "as the pictures that terminald draws, blanks left out"
    rows = [
        Row(name=f"{name}: size", values=(len(data),), unit="B"),
        Row(name=image_name, values=(image,), unit="B", role="beside"),
        Row(name=pictures_name, values=(pictures,), unit="B", role="beside"),
    ]
    for baud in _BAUDS:
        rows += [
            Row(name=f"{name}: at {baud:,} baud", values=(_wire_s(len(data), baud),), unit="s"),
            Row(name=image_name, values=(_wire_s(image, baud),), unit="s", role="beside"),
            Row(name=pictures_name, values=(_wire_s(pictures, baud),), unit="s", role="beside"),
        ]
    return rows


def _image_bytes(data: bytes, paper: _Paper) -> int:
    """Return the size of a raster image of the lines that these bytes print."""
    (sheet,) = print_job(data, width_dots=paper.width_dots, encoding="gbk")
    rows = sum(height(mark) for mark in sheet.marks if isinstance(mark, TextLine | QrCode))
    return _RASTER_HEAD + (paper.width_dots + 7) // 8 * rows


def _wire_s(size: int, baud: int) -> float:
    return size * _BITS_A_BYTE / baud
