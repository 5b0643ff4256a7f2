"""The configured printer: its transport, and what it understands."""

import re
from functools import partial
from pathlib import Path

from terminald.adapters.device_watch import DeviceWatch
from terminald.adapters.ports_devices import DeviceSink, Printer
from terminald.adapters.printer_dialog import PrinterDialog
from terminald.adapters.printer_file import FilePrinter
from terminald.adapters.printer_libusb import LibusbPrinter
from terminald.adapters.printer_network import NetworkPrinter
from terminald.adapters.printer_serial import BITS_PER_BYTE, SerialPrinter
from terminald.adapters.printer_usb import NodePrinter, at_path, by_usb_id
from terminald.adapters.printer_usb_choice import UsbPrinter
from terminald.adapters.printer_witness import piece_bytes
from terminald.adapters.usb_pipe import open_pipe
from terminald.config import PrinterConfig
from terminald.config_fonts import find_font
from terminald.wire.escpos import Profile
from terminald.wire.escpos_raster import MAX_PICTURE_BYTES, PICTURE_HEAD

_USB_ID = re.compile(r"([0-9A-Fa-f]{4}):([0-9A-Fa-f]{4})")
_DEVICES = Path("/dev")


def make_printer(settings: PrinterConfig, watch: DeviceWatch | None = None) -> Printer | None:
    """Build the configured printer, not yet open; None without one. The watch tells it of unplugging.

    Driver ``file`` with a path below /dev means that device and never creates a file there.
    """
    device = settings.device
    match settings.driver:
        case "none":
            return None
        case "serial":
            return SerialPrinter(device=device, baudrate=settings.baudrate, flow=settings.flow)
        case "usb":
            found = _USB_ID.fullmatch(device)
            if found:
                return _make_usb(found[1], found[2], watch)
            return NodePrinter(locate=at_path(Path(device)), watch=watch)
        case "network":
            address = settings.address
            return NetworkPrinter(host=address.host, port=address.port)
        case "file":
            path = Path(device)
            is_device = path.is_relative_to(_DEVICES)
            return NodePrinter(locate=at_path(path), watch=watch) if is_device else FilePrinter(path=path)


def _make_usb(vendor: str, product: str, watch: DeviceWatch | None) -> Printer:
    locate = by_usb_id(vendor, product)
    raw = LibusbPrinter(connect=partial(open_pipe, int(vendor, 16), int(product, 16)), watch=watch)
    return UsbPrinter(locate=locate, node=NodePrinter(locate=locate, watch=watch), raw=raw)


def make_dialog(settings: PrinterConfig, report: DeviceSink, watch: DeviceWatch | None = None) -> PrinterDialog | None:
    """Build the configured printer with what is asked of it, not yet open; None without one."""
    printer = make_printer(settings, watch)
    if printer is None:
        return None
    # A file is read by a program, which has no use for what only ends a command that was broken off.
    flush = 0 if isinstance(printer, FilePrinter) else make_profile(settings).longest_command
    return PrinterDialog(printer, asks=settings.status != "none", confirm=settings.confirm, report=report, flush=flush)


def make_profile(settings: PrinterConfig) -> Profile:
    """Say what the configured printer understands. Where text is drawn, looks for the font.

    On a serial line no picture is longer than a piece: between two of these the printer is asked whether it is there.
    """
    picture_bytes = MAX_PICTURE_BYTES
    if settings.driver == "serial":
        picture_bytes = min(picture_bytes, piece_bytes(settings.baudrate / BITS_PER_BYTE) - PICTURE_HEAD)
    return Profile(
        columns=settings.columns,
        width_dots=settings.width_dots,
        encoding=settings.encoding,
        cut=settings.cut,
        qr=settings.qr,
        font=find_font(settings.font) if settings.encoding == "raster" else None,
        picture_bytes=picture_bytes,
    )
