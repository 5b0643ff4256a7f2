import pytest

from terminald.adapters.scanner_hid import HidScanner
from terminald.adapters.scanner_serial import SerialScanner
from terminald.adapters.scanners import make_scanner
from terminald.config import ScannerConfig


@pytest.mark.parametrize(
    ("settings", "kind"),
    [
        (ScannerConfig(name="front", device="/dev/ttyACM0"), SerialScanner),
        (ScannerConfig(name="front", driver="hid", device="05f9:2206", suffix="tab"), HidScanner),
        (ScannerConfig(name="front", driver="hid", device="/dev/input/event3"), HidScanner),
    ],
)
def test_each_driver_has_its_scanner(settings: ScannerConfig, kind: type[object]) -> None:
    scanner = make_scanner(settings, lambda *_: None)
    assert type(scanner) is kind
    assert (scanner.name, scanner.kind) == ("front", "scanner")
