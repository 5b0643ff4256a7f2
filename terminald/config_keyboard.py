"""How the configuration names a keyboard scanner."""

import re
from dataclasses import dataclass
from typing import Final, Literal

from terminald.config_rules import NotAllowed, show

_ID: Final = re.compile(r"[0-9A-Fa-f]{4}:[0-9A-Fa-f]{4}")
#: What a person writes who means an id, or a path, and would find nothing under that name.
_ALMOST_ID: Final = re.compile(r"(?:0[xX])?[0-9A-Fa-f]{1,6}:(?:0[xX])?[0-9A-Fa-f]{1,6}")
_ALMOST_PATH: Final = re.compile(r"(?:dev/|input/|by-id/|by-path/).*|event[0-9]+")
_SERIAL: Final = re.compile(r"/dev/(?:tty|serial/).*")
_RAW: Final = re.compile(r"/dev/(?:hidraw|usb/|bus/).*")
#: How the kernel writes the place of an input device: bus and port, then the interface.
_PORT: Final = re.compile(r"usb-\S+|\S+/input[0-9]+")
_FORMS: Final = (
    'vendor:product such as "05f9:2206", a path such as /dev/input/by-id/…-event-kbd, a port such as '
    '"usb-0000:01:00.0-1.2/input0", or the exact name of the device'
)


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyboardChoice:
    """Which keyboard is meant. Text is a path, an id in lower case, a port with or without interface, or a name."""

    by: Literal["path", "id", "port", "name"]
    text: str


def parse_keyboard(value: str) -> KeyboardChoice:
    """Read what stands under ``device`` of a scanner with driver "hid".

    Raises:
        NotAllowed: it can not name a keyboard. The message says what is allowed.
    """
    if _SERIAL.fullmatch(value):
        raise NotAllowed(f'{show(value)} is a serial line; set driver = "serial", or allowed with "hid": {_FORMS}')
    if _RAW.fullmatch(value):
        raise NotAllowed(f"{show(value)} gives no keys; allowed: {_FORMS}")
    if value.startswith("/"):
        return KeyboardChoice(by="path", text=value)
    if _ID.fullmatch(value):
        return KeyboardChoice(by="id", text=value.lower())
    if _ALMOST_ID.fullmatch(value):
        raise NotAllowed(f"{show(value)} is not vendor:product; allowed: four hexadecimal digits each, as lsusb says")
    if _ALMOST_PATH.fullmatch(value):
        raise NotAllowed(f"{show(value)} is not absolute; allowed: {_FORMS}")
    return KeyboardChoice(by="port" if _PORT.fullmatch(value) else "name", text=value)
