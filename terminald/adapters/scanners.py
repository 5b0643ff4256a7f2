"""The configured scanners."""

from terminald.adapters.ports_devices import FrameSink
from terminald.adapters.scanner_hid import HidScanner
from terminald.adapters.scanner_serial import SerialScanner
from terminald.config import ScannerConfig


def make_scanner(settings: ScannerConfig, on_frame: FrameSink) -> SerialScanner | HidScanner:
    """Build a configured scanner, not yet open."""
    match settings.driver:
        case "serial":
            return SerialScanner(
                name=settings.name,
                device=settings.device,
                baudrate=settings.baudrate,
                suffix=settings.suffix,
                on_frame=on_frame,
                trigger_on=settings.trigger_on,
                trigger_off=settings.trigger_off,
            )
        case "hid":
            return HidScanner(name=settings.name, choice=settings.keyboard, suffix=settings.suffix, on_frame=on_frame)
