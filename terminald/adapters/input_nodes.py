"""The kernel's input devices: which of them is the scanner, and what is asked of an open one.

The evdev library tells what a device is. Requests to an open one are ours: some of the library's report a device that
went away as a bug in an extension module, and one that masks events is missing.
"""

import contextlib
import errno
import fcntl
import os
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from terminald.config_keyboard import KeyboardChoice
from terminald.wire.keyboard import types_codes

DIRECTORY: Final = Path("/dev/input")

# linux/input.h. A request that reads bits carries the number of bytes that it has room for.
EVIOCGRAB: Final = 0x40044590
EVIOCSMASK: Final = 0x40104593
EVIOCGKEY: Final = 0x80604518
EVIOCGLED: Final = 0x80084519
_KEY_BYTES: Final = 0x60
_LED_BYTES: Final = 8
_EV_KEY = 0x01
_LED_CAPS_LOCK = 1
#: What keyboards tell besides keys: movements, scan codes, switches, LEDs. Two thirds of a scanner's events.
_NOT_KEYS: Final = (0x02, 0x03, 0x04, 0x05, 0x11)
#: A kernel before 4.4 knows no masks.
_UNKNOWN_REQUEST: Final = frozenset({errno.ENOTTY, errno.EINVAL})

#: ``ioctl(2)``: file descriptor, request, and a number or a buffer to be read or filled.
Ioctl = Callable[[int, int, int | bytearray], None]


class NoSuchKeyboard(LookupError):
    """No device is the one that was asked for, or several are; the text says which, and what to do."""


def _ioctl(fd: int, request: int, argument: int | bytearray) -> None:
    fcntl.ioctl(fd, request, argument)


@dataclass(frozen=True, slots=True, kw_only=True)
class InputNode:
    """An open event node, not blocking. Every method raises OSError: ENODEV when the device went away."""

    fd: int
    path: str
    ioctl: Ioctl = _ioctl

    def grab(self) -> None:
        """Take every key from everybody else, until the node is closed; EBUSY when another has done so."""
        self.ioctl(self.fd, EVIOCGRAB, 1)

    def narrow(self) -> None:
        """Let the kernel keep keys alone: its buffer of 64 events then holds 15 characters instead of 10."""
        for kind in _NOT_KEYS:
            try:
                self.ioctl(self.fd, EVIOCSMASK, bytearray(struct.pack("@IIQ", kind, 0, 0)))
            except OSError as exc:
                if exc.errno not in _UNKNOWN_REQUEST:
                    raise

    def held_keys(self) -> frozenset[int]:
        """Return the keys that are down now. The kernel forgets the keys that wait to be read: this is their sum."""
        return self._bits(EVIOCGKEY, _KEY_BYTES)

    def is_caps_on(self) -> bool:
        """Tell whether the Caps Lock LED of this keyboard is lit."""
        return _LED_CAPS_LOCK in self._bits(EVIOCGLED, _LED_BYTES)

    def close(self) -> None:
        """Let go of the node. It may wait for the device."""
        with contextlib.suppress(OSError):
            os.close(self.fd)

    def _bits(self, request: int, size: int) -> frozenset[int]:
        bits = bytearray(size)
        self.ioctl(self.fd, request, bits)
        # The kernel fills machine words; where they begin with their high byte, it does so here as well.
        words = struct.unpack(f"@{size // struct.calcsize('@L')}L", bits)
        width = struct.calcsize("@L") * 8
        return frozenset(
            place * width + bit for place, word in enumerate(words) for bit in range(width) if word >> bit & 1
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """An input device as it describes itself."""

    node: InputNode
    usb_id: str  # "vendor:product", lower case
    port: str
    name: str
    types_codes: bool

    def is_meant_by(self, choice: KeyboardChoice) -> bool:
        """Tell whether this is, or belongs to, the device that was asked for."""
        match choice.by:
            case "path":
                return self.node.path == choice.text
            case "id":
                return self.usb_id == choice.text
            case "port":
                return self.port == choice.text or self.port.startswith(f"{choice.text}/")
            case "name":
                return self.name == choice.text


def open_keyboard(choice: KeyboardChoice, *, directory: Path = DIRECTORY) -> InputNode:
    """Open the event node that is meant; blocks. Of a device with several nodes it is the one that types codes.

    Raises:
        OSError: the path that was chosen can not be opened.
        NoSuchKeyboard: there is none, or it can not be told which.
    """
    if choice.by == "path":
        seen, forbidden = [_look(choice.text)], 0
    else:
        seen, forbidden = _search(choice, directory)
    chosen: Seen | None = None
    try:
        chosen = choose(choice, seen, forbidden)
    finally:
        for each in seen:
            if each is not chosen:
                each.node.close()
    return chosen.node


def choose(choice: KeyboardChoice, seen: Sequence[Seen], forbidden: int) -> Seen:
    """Choose among the devices that are meant; forbidden: how many others could not be looked at.

    Raises:
        NoSuchKeyboard: none of them types codes, or more than one does.
    """
    what = f"an input device with the {choice.by} {choice.text}" if choice.by != "path" else choice.text
    typing = [each for each in seen if each.types_codes]
    if len(typing) == 1:
        return typing[0]
    if typing:
        ports = " or ".join(f'"{port}"' for port in sorted({each.port for each in typing}))
        paths = " or ".join(sorted(each.node.path for each in typing))
        one_of = ports if len({each.port for each in typing}) == len(typing) else paths
        raise NoSuchKeyboard(f"{len(typing)} keyboards have the {choice.by} {choice.text}; set device to {one_of}")
    if seen:
        raise NoSuchKeyboard(f"{what} is there, but types no codes; set the scanner to keyboard mode")
    if forbidden:
        raise NoSuchKeyboard(
            f"no permission to look at {forbidden} input devices, among which {what} may be; "
            "add the service user to the group input, or let a udev rule give it the scanner"
        )
    raise NoSuchKeyboard(f"{what} is not there; check the cable, and compare with /proc/bus/input/devices")


def _search(choice: KeyboardChoice, directory: Path) -> tuple[list[Seen], int]:
    """Open every event node, and keep those that are meant; count those that may not be opened."""
    found: list[Seen] = []
    forbidden = 0
    for path in sorted(directory.glob("event*")):
        try:
            seen = _look(str(path))
        except OSError as exc:
            # Others went away meanwhile, or are no event nodes.
            forbidden += isinstance(exc, PermissionError)
            continue
        if seen.is_meant_by(choice):
            found.append(seen)
        else:
            seen.node.close()
    return found, forbidden


def _look(path: str) -> Seen:
    """Open a node and ask what it is.

    Raises:
        OSError: it can not be opened, or is no event node.
    """
    from evdev import InputDevice  # noqa: PLC0415 - a C library that only keyboard scanners need

    device = InputDevice(path)
    # The library's own closing looks for an event loop, and this may be any thread.
    fd, device.fd = device.fd, -1
    return Seen(
        node=InputNode(fd=fd, path=path),
        usb_id=f"{device.info.vendor:04x}:{device.info.product:04x}",
        port=device.phys,
        name=device.name,
        types_codes=types_codes(frozenset(device.capabilities(absinfo=False).get(_EV_KEY, ()))),
    )
