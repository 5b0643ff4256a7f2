"""One USB device by its ids, without a driver of the kernel: two bulk pipes of an interface that is claimed.

Blocks: to be called in threads, one that writes and one that reads at most. Nothing here resets a device, sets its
configuration, or takes it away from any driver of the kernel but ``usblp``, which gets it back. pyusb and libusb are
loaded at the first opening.
"""

import ctypes
import errno
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol, cast

if TYPE_CHECKING:
    from usb.backend import IBackend

#: How long one transfer may take. A printer that takes nothing now lets it pass, and what it has taken is counted.
WRITE_MS: Final = 100
READ_MS: Final = 250
#: Bytes per read, a multiple of every bulk pipe's packet: less would overflow.
READ_SIZE: Final = 512

_LIBRARY: Final = "libusb-1.0.so.0"
_PRINTER_CLASS, _VENDOR_CLASS = 7, 0xFF
_BULK, _IN = 2, 0x80
_DEVICES: Final = Path("/sys/bus/usb/devices")
_NODES: Final = Path("/dev/bus/usb")


class _Endpoint(Protocol):
    bEndpointAddress: int  # noqa: N815 - the USB specification's names, here and below
    bmAttributes: int  # noqa: N815


class _Interface(Protocol):
    bInterfaceNumber: int  # noqa: N815
    bAlternateSetting: int  # noqa: N815
    bInterfaceClass: int  # noqa: N815

    def __iter__(self) -> Iterator[_Endpoint]: ...


class _Configuration(Protocol):
    bConfigurationValue: int  # noqa: N815

    def __iter__(self) -> Iterator[_Interface]: ...


class _Bytes(Protocol):
    def tobytes(self) -> bytes: ...


class _Device(Protocol):
    """The part of pyusb's ``Device`` that is used. What fails raises OSError with the errno of Linux."""

    bus: int
    address: int
    port_numbers: tuple[int, ...] | None

    def get_active_configuration(self) -> _Configuration: ...
    def is_kernel_driver_active(self, interface: int) -> bool: ...
    def detach_kernel_driver(self, interface: int) -> None: ...
    def attach_kernel_driver(self, interface: int) -> None: ...
    def set_interface_altsetting(self, interface: int, alternate_setting: int) -> None: ...
    def clear_halt(self, ep: int) -> None: ...
    def write(self, endpoint: int, data: bytes, timeout: int) -> int: ...
    def read(self, endpoint: int, size_or_buffer: int, timeout: int) -> _Bytes: ...


class UsbPipe:
    """An open device; see :func:`open_pipe`."""

    def __init__(self, device: _Device, out: int, into: int | None, node: Path, undo: ExitStack) -> None:
        """Out and into are the addresses of the bulk pipes to and from the device."""
        self._device = device
        self._out = out
        self._into = into
        self._undo = undo
        #: The device's node; it is gone when the device is.
        self.node = node
        #: Whether there is a way back.
        self.can_read = into is not None

    def write(self, data: bytes) -> int:
        """Send bytes; return how many the device has taken within WRITE_MS, which may be none.

        Raises:
            OSError: it is gone (ENODEV), or refuses.
        """
        try:
            return self._device.write(self._out, data, WRITE_MS)
        except OSError as exc:
            if exc.errno == errno.ETIMEDOUT:
                return 0
            if exc.errno == errno.EPIPE:
                with suppress(OSError):  # or the pipe would refuse everything for ever
                    self._device.clear_halt(self._out)
            raise

    def read(self) -> bytes:
        """Return what the device says within READ_MS; empty when nothing.

        Raises:
            OSError: it is gone, or refuses.
        """
        if self._into is None:
            return b""
        try:
            return self._device.read(self._into, READ_SIZE, READ_MS).tobytes()
        except OSError as exc:
            if exc.errno == errno.ETIMEDOUT:
                return b""
            raise

    def close(self) -> None:
        """Give the device back; harmless a second time."""
        self._undo.close()


def open_pipe(
    vendor: int, product: int, *, backend: "IBackend | None" = None, devices: Path = _DEVICES, nodes: Path = _NODES
) -> UsbPipe:
    """Claim the first device with these ids that has an interface for print data.

    Raises:
        FileNotFoundError: there is none.
        OSError: it may not be used, with the errno that says why: EACCES, EBUSY, ENXIO (it is no printer), ENOSYS
            (libusb is missing).
    """
    import usb.core  # noqa: PLC0415 - costs 20 ms, and few need it

    if backend is None:
        backend = _load_backend()
    found = cast("Iterable[_Device]", usb.core.find(find_all=True, backend=backend, idVendor=vendor, idProduct=product))
    failure: OSError = FileNotFoundError(errno.ENOENT, f"no USB device {vendor:04x}:{product:04x}")
    for device in found:
        try:
            return _claim(device, devices, nodes)
        except OSError as exc:
            failure = exc
    raise failure


def _load_backend() -> "IBackend":
    import usb.backend.libusb1  # noqa: PLC0415 - see open_pipe

    try:
        ctypes.CDLL(_LIBRARY)  # pyusb logs a traceback where it is missing
    except OSError as exc:
        raise OSError(errno.ENOSYS, "libusb is missing") from exc
    backend = usb.backend.libusb1.get_backend(find_library=lambda _: _LIBRARY)
    if backend is None:
        raise OSError(errno.ENOSYS, "libusb can not be used")
    return cast("IBackend", backend)


def _claim(device: _Device, devices: Path, nodes: Path) -> UsbPipe:
    import usb.util  # noqa: PLC0415 - see open_pipe

    with ExitStack() as undo:
        undo.callback(usb.util.dispose_resources, device)
        configuration = device.get_active_configuration()
        interface, out, into = _choose(configuration)
        number = interface.bInterfaceNumber
        if device.is_kernel_driver_active(number):
            ports = ".".join(map(str, device.port_numbers or ()))
            _detach(
                device, number, devices / f"{device.bus}-{ports}:{configuration.bConfigurationValue}.{number}", undo
            )
        usb.util.claim_interface(device, number)
        undo.callback(_quietly, partial(usb.util.release_interface, device, number))
        if interface.bAlternateSetting:
            device.set_interface_altsetting(number, interface.bAlternateSetting)
        node = nodes / f"{device.bus:03d}" / f"{device.address:03d}"
        return UsbPipe(device, out, into, node, undo.pop_all())


def _choose(configuration: Iterable[_Interface]) -> tuple[_Interface, int, int | None]:
    """Find the pipes: in an interface of printers, else in one of the vendor's own; with a way back, if one has it."""
    best: tuple[tuple[bool, bool], _Interface, int, int | None] | None = None
    for interface in configuration:
        if interface.bInterfaceClass not in (_PRINTER_CLASS, _VENDOR_CLASS):
            continue
        bulk = [each.bEndpointAddress for each in interface if each.bmAttributes & 3 == _BULK]
        out = next((address for address in bulk if not address & _IN), None)
        into = next((address for address in bulk if address & _IN), None)
        rank = (interface.bInterfaceClass == _PRINTER_CLASS, into is not None)
        if out is not None and (best is None or rank > best[0]):
            best = rank, interface, out, into
    if best is None:
        raise OSError(errno.ENXIO, "it has no interface for print data")
    return best[1:]


def _detach(device: _Device, number: int, interface: Path, undo: ExitStack) -> None:
    """Take the interface away from the kernel's printer driver, and from no other, until it is given back."""
    try:
        driver = (interface / "driver").readlink().name
    except OSError:
        driver = "unknown"
    if driver != "usblp":
        raise OSError(errno.EBUSY, f"the kernel's driver {driver} has it")
    device.detach_kernel_driver(number)
    undo.callback(_quietly, partial(device.attach_kernel_driver, number))


def _quietly(undo: Callable[[], object]) -> None:
    """Undo what a device that is gone has undone by itself."""
    with suppress(OSError):
        undo()
