"""USB devices below pyusb: what libusb would find on the bus, and what the devices do with transfers."""

import errno
import threading
from array import array
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import cast

from usb.backend import IBackend
from usb.core import USBError, USBTimeoutError

BULK, INTERRUPT = 2, 3
PRINTER, VENDOR, KEYBOARD = 7, 0xFF, 3


@dataclass(frozen=True, kw_only=True)
class FakeInterface:
    """One interface, or one alternate setting of it. Pipes are addresses with their kinds."""

    number: int = 0
    alternate: int = 0
    kind: int = PRINTER
    pipes: tuple[tuple[int, int], ...] = ((0x03, BULK), (0x81, BULK))


@dataclass(kw_only=True)
class FakeUsb:
    """A device on bus 1. It takes what there is room for, and then nothing until the limit of a transfer passes."""

    vendor: int = 0x0416
    product: int = 0x5011
    interfaces: tuple[FakeInterface, ...] = (FakeInterface(),)
    #: How many bytes it takes before it takes no more.
    room: int = 1 << 20
    #: What goes wrong with whatever is done next, for good.
    fault: int = 0
    open_fault: int = 0
    claim_fault: int = 0
    is_configured: bool = True
    #: Whether a driver of the kernel has the interface.
    has_driver: bool = False
    #: How much of a transfer is taken before its limit passes, when there is less room than that.
    taken: bytearray = field(default_factory=bytearray)
    transfers: list[int] = field(default_factory=list)
    history: list[str] = field(default_factory=list)
    reads: int = 0
    says: bytearray = field(default_factory=bytearray)
    #: Set in the middle of each transfer that waits; such a transfer waits until ``go_on`` is set, or a short while.
    waits: threading.Event = field(default_factory=threading.Event)
    go_on: threading.Event = field(default_factory=threading.Event)

    def power_off(self) -> None:
        self.fault = errno.ENODEV


def timeout() -> USBTimeoutError:
    return USBTimeoutError("Operation timed out", errno=errno.ETIMEDOUT)


class FakeBus(IBackend):  # type: ignore[misc] # pyusb has no types
    """Implements what pyusb wants of a backend, and refuses what a printer must not be done to."""

    def __init__(self, *devices: FakeUsb) -> None:
        super().__init__()
        self.devices = devices

    def enumerate_devices(self) -> list[FakeUsb]:
        return list(self.devices)

    def get_device_descriptor(self, dev: FakeUsb) -> SimpleNamespace:
        ids = {"idVendor": dev.vendor, "idProduct": dev.product}
        names = (
            *("bLength", "bDescriptorType", "bcdUSB", "bDeviceClass", "bDeviceSubClass", "bDeviceProtocol"),
            *("bMaxPacketSize0", "bcdDevice", "iManufacturer", "iProduct", "iSerialNumber"),
        )
        address = 10 + self.devices.index(dev)
        return SimpleNamespace(
            **dict.fromkeys(names, 0), **ids, bNumConfigurations=1, bus=1, address=address, port_number=2,
            port_numbers=(4, 2), speed=2,
        )  # fmt: skip

    def get_configuration_descriptor(self, dev: FakeUsb, config: int) -> SimpleNamespace:
        assert config == 0
        count = len({each.number for each in dev.interfaces})
        names = ["bLength", "bDescriptorType", "wTotalLength", "iConfiguration", "bmAttributes", "bMaxPower"]
        return SimpleNamespace(
            **dict.fromkeys(names, 0), bNumInterfaces=count, bConfigurationValue=1, extra_descriptors=[]
        )

    def _setting(self, dev: FakeUsb, intf: int, alt: int) -> FakeInterface:
        number = sorted({each.number for each in dev.interfaces})[intf]
        return [each for each in dev.interfaces if each.number == number][alt]

    def get_interface_descriptor(self, dev: FakeUsb, intf: int, alt: int, config: int) -> SimpleNamespace:
        assert config == 0
        found = self._setting(dev, intf, alt)
        names = ["bLength", "bDescriptorType", "bInterfaceSubClass", "bInterfaceProtocol", "iInterface"]
        return SimpleNamespace(
            **dict.fromkeys(names, 0), bInterfaceNumber=found.number, bAlternateSetting=found.alternate,
            bNumEndpoints=len(found.pipes), bInterfaceClass=found.kind, extra_descriptors=[],
        )  # fmt: skip

    def get_endpoint_descriptor(self, dev: FakeUsb, ep: int, intf: int, alt: int, config: int) -> SimpleNamespace:
        assert config == 0
        address, kind = self._setting(dev, intf, alt).pipes[ep]
        names = ["bLength", "bDescriptorType", "bInterval", "bRefresh", "bSynchAddress"]
        return SimpleNamespace(
            **dict.fromkeys(names, 0), bEndpointAddress=address, bmAttributes=kind, wMaxPacketSize=64,
            extra_descriptors=[],
        )  # fmt: skip

    def open_device(self, dev: FakeUsb) -> FakeUsb:
        if dev.open_fault:
            raise USBError("Access denied (insufficient permissions)", errno=dev.open_fault)
        dev.history.append("open")
        return dev

    def close_device(self, dev_handle: FakeUsb) -> None:
        dev_handle.history.append("close")

    def get_configuration(self, dev_handle: FakeUsb) -> int:
        return 1 if dev_handle.is_configured else 0

    def is_kernel_driver_active(self, dev_handle: FakeUsb, intf: int) -> bool:
        assert intf in {each.number for each in dev_handle.interfaces}
        return dev_handle.has_driver

    def detach_kernel_driver(self, dev_handle: FakeUsb, intf: int) -> None:
        dev_handle.history.append(f"detach {intf}")

    def attach_kernel_driver(self, dev_handle: FakeUsb, intf: int) -> None:
        self._fail(dev_handle)
        dev_handle.history.append(f"attach {intf}")

    def claim_interface(self, dev_handle: FakeUsb, intf: int) -> None:
        if dev_handle.claim_fault:
            raise USBError("Resource busy", errno=dev_handle.claim_fault)
        dev_handle.history.append(f"claim {intf}")

    def release_interface(self, dev_handle: FakeUsb, intf: int) -> None:
        self._fail(dev_handle)
        dev_handle.history.append(f"release {intf}")

    def set_interface_altsetting(self, dev_handle: FakeUsb, intf: int, altsetting: int) -> None:
        dev_handle.history.append(f"setting {intf} {altsetting}")

    def clear_halt(self, dev_handle: FakeUsb, ep: int) -> None:
        dev_handle.history.append(f"clear {ep}")

    def bulk_write(self, dev_handle: FakeUsb, ep: int, intf: int, data: "array[int]", timeout_ms: int) -> int:
        assert f"claim {intf}" in dev_handle.history
        assert not ep & 0x80
        self._fail(dev_handle)
        room = dev_handle.room - len(dev_handle.taken)
        part = data.tobytes()[: max(0, room)]
        dev_handle.taken += part
        if len(part) < len(data):
            dev_handle.waits.set()
            dev_handle.go_on.wait(min(timeout_ms / 1000, 0.02))
        if not part:
            raise timeout()
        dev_handle.transfers.append(len(part))
        return len(part)

    def bulk_read(self, dev_handle: FakeUsb, ep: int, intf: int, buff: "array[int]", timeout_ms: int) -> int:
        assert f"claim {intf}" in dev_handle.history
        assert ep & 0x80
        self._fail(dev_handle)
        dev_handle.reads += 1
        if not dev_handle.says:
            threading.Event().wait(min(timeout_ms / 1000, 0.01))
            raise timeout()
        part = bytes(dev_handle.says[: len(buff)])
        del dev_handle.says[: len(part)]
        memoryview(buff).cast("B")[: len(part)] = part
        return len(part)

    def _fail(self, dev: FakeUsb) -> None:
        if dev.fault:
            raise USBError("No such device (it may have been disconnected)", errno=dev.fault)

    def reset_device(self, dev_handle: FakeUsb) -> None:
        raise AssertionError(f"{dev_handle.vendor:04x} was reset")

    def set_configuration(self, dev_handle: FakeUsb, config_value: int) -> None:
        raise AssertionError(f"{dev_handle.vendor:04x} was configured: {config_value}")


def bus(*devices: FakeUsb) -> IBackend:
    return cast("IBackend", FakeBus(*devices))
