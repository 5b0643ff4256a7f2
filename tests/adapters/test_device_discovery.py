"""Devices that are plugged in and not configured, found in trees as the kernel and udev make them."""

from dataclasses import dataclass
from pathlib import Path

import pytest

from terminald.adapters.device_discovery import FoundDevice, Places, find_devices, unmentioned

#: Keys 1…0 and Enter (bits 2…11 and 28); a word of the kernel is 64 or 32 bits wide, these are in the lowest.
TYPING = "10000ffc"
BUTTONS = "100000 0 0 0"


@dataclass
class Machine:
    """What is plugged in."""

    root: Path

    @property
    def places(self) -> Places:
        return Places(
            nodes=self.root / "dev",
            inputs=self.root / "class/input",
            printers=self.root / "class/usbmisc",
            usb=self.root / "bus/usb",
        )

    def write(self, path: str, text: str = "") -> Path:
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        return file

    def link(self, path: str, to: str) -> None:
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.symlink_to(self.root / to)

    def keyboard(self, number: int, name: str, *, usb_id: str = "1234:5678", port: str = "", keys: str = TYPING) -> str:
        about = f"class/input/event{number}/device"
        vendor, product = usb_id.split(":")
        self.write(f"{about}/name", f"{name}\n")
        self.write(f"{about}/phys", f"{port}\n")
        self.write(f"{about}/id/vendor", f"{vendor}\n")
        self.write(f"{about}/id/product", f"{product}\n")
        self.write(f"{about}/capabilities/key", f"{keys}\n")
        return str(self.write(f"dev/input/event{number}"))

    def printer(self, number: int, usb_id: str, product: str, *, has_node: bool = True) -> None:
        vendor, number_of_product = usb_id.split(":")
        device = f"devices/1-{number}"
        self.write(f"{device}/idVendor", f"{vendor}\n")
        self.write(f"{device}/idProduct", f"{number_of_product}\n")
        self.write(f"{device}/product", f"{product}\n")
        self.write(f"{device}/1-{number}:1.0/bInterfaceClass", "07\n")
        self.link(f"bus/usb/1-{number}:1.0", f"{device}/1-{number}:1.0")
        if has_node:
            self.write(f"dev/usb/lp{number}")
            self.link(f"class/usbmisc/lp{number}/device", f"{device}/1-{number}:1.0")

    def found(self) -> tuple[FoundDevice, ...]:
        return find_devices(self.places)


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def test_nothing_is_found_on_a_machine_without_anything(machine: Machine) -> None:
    assert machine.found() == ()


def test_serial_lines_are_named_by_what_stays(machine: Machine) -> None:
    machine.write("dev/ttyACM0")
    machine.write("dev/ttyACM1")
    machine.write("dev/ttyUSB0")
    machine.link("dev/serial/by-id/usb-Newland_NLS-if00", "dev/ttyACM0")
    machine.link("dev/serial/by-id/usb-POS_Printer-if00-port0", "dev/ttyUSB0")
    found = machine.found()
    assert [(one.kind, one.driver, Path(one.device).name) for one in found] == [
        ("scanner", "serial", "usb-Newland_NLS-if00"),
        ("scanner", "serial", "ttyACM1"),
        ("printer", "serial", "usb-POS_Printer-if00-port0"),
    ]


@pytest.mark.parametrize("name", ["usb-Quectel_EC25-if02-port0", "usb-u-blox_GPS-if00", "usb-Android_Modem-if01"])
def test_modems_and_receivers_are_none(machine: Machine, name: str) -> None:
    machine.write("dev/ttyACM0")
    machine.link(f"dev/serial/by-id/{name}", "dev/ttyACM0")
    assert machine.found() == ()


def test_a_name_of_a_line_that_went_away_is_none(machine: Machine) -> None:
    machine.link("dev/serial/by-id/usb-Newland-if00", "dev/ttyACM0")
    assert machine.found() == ()


def test_keyboards_that_call_themselves_scanners_are_found_by_their_id(machine: Machine) -> None:
    machine.keyboard(0, "AT Translated Set 2 keyboard", usb_id="0001:0001")
    machine.keyboard(1, "Power Button", keys=BUTTONS)
    machine.keyboard(2, "USB Barcode Scanner", usb_id="1a2c:0001", port="usb-1.2/input0")
    machine.keyboard(3, "Keyboard Device", usb_id="0c2e:0200", port="usb-1.3/input0")
    machine.keyboard(4, "Barcode Scanner System Control", usb_id="1a2c:0001", port="usb-1.2/input1", keys=BUTTONS)
    assert [(one.kind, one.driver, one.device) for one in machine.found()] == [
        ("scanner", "hid", "1a2c:0001"),
        ("scanner", "hid", "0c2e:0200"),
    ]


def test_two_keyboards_of_one_kind_are_told_apart_by_their_ports(machine: Machine) -> None:
    machine.keyboard(2, "Barcode Scanner", port="usb-1.2/input0")
    machine.keyboard(3, "Barcode Scanner", port="usb-1.3/input0")
    found = machine.found()
    assert [one.device for one in found] == ["usb-1.2/input0", "usb-1.3/input0"]
    assert [one.device for one in unmentioned(found, ["usb-1.3"])] == ["usb-1.2/input0"]


def test_printers_are_named_by_their_ids_with_and_without_a_node(machine: Machine) -> None:
    machine.printer(0, "04b8:0202", "TM-T20")
    machine.printer(1, "0416:5011", "POS58", has_node=False)
    machine.write("dev/usb/lp7")
    assert [(one.device, one.name) for one in machine.found()] == [
        ("04b8:0202", "TM-T20"),
        (str(machine.root / "dev/usb/lp7"), "printer"),
        ("0416:5011", "POS58"),
    ]


def test_what_the_configuration_means_by_any_name_is_not_told_again(machine: Machine) -> None:
    machine.write("dev/ttyACM0")
    machine.link("dev/serial/by-id/usb-Newland-if00", "dev/ttyACM0")
    machine.link("dev/terminald/scanner0", "dev/ttyACM0")
    event = machine.keyboard(2, "USB Barcode Scanner", usb_id="1a2c:0001", port="usb-1.2/input0")
    machine.link("dev/input/by-id/usb-scanner-event-kbd", "dev/input/event2")
    machine.printer(0, "04b8:0202", "TM-T20")
    found = machine.found()
    assert len(found) == 3
    root = str(machine.root)
    for serial in ("dev/ttyACM0", "dev/serial/by-id/usb-Newland-if00", "dev/terminald/scanner0"):
        for keyboard in ("1A2C:0001", "usb-1.2", "usb-1.2/input0", "USB Barcode Scanner", event):
            for printer in ("04B8:0202", f"{root}/dev/usb/lp0"):
                assert unmentioned(found, [f"{root}/{serial}", keyboard, printer]) == ()
    assert len(unmentioned(found, [f"{root}/dev/input/by-id/usb-scanner-event-kbd"])) == 2
    assert unmentioned(found, []) == found


def test_what_a_device_says_of_itself_is_bounded_and_may_be_anything(machine: Machine) -> None:
    machine.keyboard(2, "scanner \x1b[2J" + "x" * 100_000, keys="zz 10000ffc")
    [found] = machine.found()
    assert len(found.name) <= 4096
