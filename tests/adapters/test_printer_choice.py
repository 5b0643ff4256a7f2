from dataclasses import replace
from pathlib import Path

import pytest

from terminald.adapters.printer_file import FilePrinter
from terminald.adapters.printer_network import NetworkPrinter
from terminald.adapters.printer_questions import TIMING
from terminald.adapters.printer_serial import SerialPrinter
from terminald.adapters.printer_usb import NodePrinter
from terminald.adapters.printer_usb_choice import UsbPrinter
from terminald.adapters.printer_witness import piece_bytes
from terminald.adapters.printers import make_printer, make_profile
from terminald.config import PrinterConfig
from terminald.core.receipt import Line, QrMark
from terminald.wire.escpos import Profile, encode
from terminald.wire.escpos_walk import pieces


@pytest.mark.parametrize(
    ("settings", "kind"),
    [
        (PrinterConfig(driver="none"), type(None)),
        (PrinterConfig(driver="serial", device="/dev/ttyUSB0", flow="xonxoff"), SerialPrinter),
        (PrinterConfig(driver="usb", device="/dev/usb/lp0"), NodePrinter),
        (PrinterConfig(driver="usb", device="04b8:0202"), UsbPrinter),
        (PrinterConfig(driver="network", device="printer.local:9100"), NetworkPrinter),
        (PrinterConfig(driver="file", device="/var/lib/receipts.bin"), FilePrinter),
        (PrinterConfig(driver="file", device="/dev/usb/lp0"), NodePrinter),
    ],
)
def test_each_driver_has_its_transport(settings: PrinterConfig, kind: type[object]) -> None:
    printer = make_printer(settings)
    assert type(printer) is kind
    if printer is not None:
        assert (printer.name, printer.kind) == ("printer", "printer")


@pytest.mark.parametrize(
    ("settings", "watched"),
    [
        (PrinterConfig(driver="serial", device="/dev/ttyUSB0"), (Path("/dev/ttyUSB0"),)),
        (PrinterConfig(driver="usb", device="/dev/usb/lp0"), (Path("/dev/usb/lp0"),)),
        (PrinterConfig(driver="usb", device="04b8:0202"), (Path("/dev/usb"), Path("/dev/bus/usb"))),
        (PrinterConfig(driver="network", device="printer.local:9100"), ()),
        (PrinterConfig(driver="file", device="/var/lib/receipts.bin"), ()),
    ],
)
def test_each_transport_names_the_paths_at_which_it_may_come(settings: PrinterConfig, watched: tuple[Path]) -> None:
    printer = make_printer(settings)
    assert printer is not None
    assert printer.watched == watched


def test_opening_a_device_by_driver_file_creates_no_file_there() -> None:
    assert not isinstance(make_printer(PrinterConfig(driver="file", device=str(Path("/dev/lp9")))), FilePrinter)


def test_the_profile_is_the_configured_one() -> None:
    assert make_profile(PrinterConfig(columns=48, width_dots=576, encoding="utf-8", cut="partial")) == Profile(
        columns=48, width_dots=576, encoding="utf-8", cut="partial"
    )


@pytest.mark.parametrize("baudrate", [4800, 9600, 19_200, 115_200])
@pytest.mark.parametrize("width_dots", [384, 576])
def test_on_a_slow_line_the_printer_can_be_asked_between_two_pictures(baudrate: int, width_dots: int) -> None:
    """A receipt of pictures, with a code, is in pieces none of which takes longer on the line than a blink."""
    settings = PrinterConfig(
        driver="serial", device="/dev/ttyS0", baudrate=baudrate, encoding="raster", qr="raster", width_dots=width_dots
    )
    profile = make_profile(settings)
    data = encode((Line(text="W" * 32), QrMark(content="x" * 100), Line(text="合计", double=True)), profile)
    longest = max(piece.end - piece.start for piece in pieces(data))
    assert longest <= piece_bytes(baudrate / 10)
    assert longest * 10 / baudrate < TIMING.blink_s / 2
    assert make_profile(replace(settings, driver="usb")).longest_command > 1000


def test_a_font_is_looked_for_only_where_text_is_drawn(tmp_path: Path) -> None:
    font = tmp_path / "font.ttf"
    assert make_profile(PrinterConfig(encoding="raster", font=font)).font is None
    font.touch()
    assert make_profile(PrinterConfig(encoding="raster", font=font)).font == (font, 0)
    assert make_profile(PrinterConfig(encoding="gbk", font=font)).font is None
