"""Scanners and printers that are plugged in and that the configuration does not mention.

Only looks: names and numbers that the kernel and udev show to every user. Nothing is opened, so nothing is disturbed
and no permission is needed. Blocks: for a thread, or for a program that waits.
"""

import itertools
import os
import re
import struct
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from terminald.wire.keyboard import types_codes

#: More than a terminal has of a kind; a machine with more is none.
MOST: Final = 64
#: What a file of the kernel says of a device: a line of text.
_LINE: Final = 4096

_SCANNER: Final = re.compile(
    r"scan|bar ?code|qr|reader|honeywell|metrologic|symbol|zebra|datalogic|newland|opticon|cino|unitech|mindeo|"
    r"gm6[05]|gm72|netum|tera\b|eyoyo|\bhid ?pos\b|2d imager|imager|minjcode|sunlux",
    re.IGNORECASE,
)
_PRINTER: Final = re.compile(
    r"print|\bpos[-_ ]?(?:58|80)|epson|bixolon|sewoo|star[-_ ]?micronics|xprinter|gprinter", re.IGNORECASE
)
#: What offers a serial line and is neither.
_OTHER: Final = re.compile(
    r"modem|quectel|simcom|sierra|huawei|zte|fibocom|telit|u-?blox|gps|gnss|arduino|bluetooth|zigbee|z-?wave|debug",
    re.IGNORECASE,
)
#: Makers that make nothing else that is plugged into a terminal; as in systemd/65-terminald.rules.
_SCANNER_VENDORS: Final = frozenset({"05e0", "05f9", "0c2e", "1eab"})
_PRINTER_CLASS: Final = "07"

Kind = Literal["scanner", "printer"]
Driver = Literal["serial", "hid", "usb"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """Where the kernel and udev show devices."""

    nodes: Path = Path("/dev")
    inputs: Path = Path("/sys/class/input")
    printers: Path = Path("/sys/class/usbmisc")
    usb: Path = Path("/sys/bus/usb/devices")


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundDevice:
    """A device as it would be configured. Node: its real path where it has one; name: as it calls itself."""

    kind: Kind
    driver: Driver
    device: str
    node: str
    name: str
    #: Other texts under which the configuration may mean it.
    aliases: frozenset[str] = frozenset()


def find_devices(places: Places | None = None) -> tuple[FoundDevice, ...]:
    """Find what looks like a scanner or a printer."""
    where = places or Places()
    return (*_serial(where), *_keyboards(where), *_printers(where))


def unmentioned(found: Collection[FoundDevice], mentioned: Collection[str]) -> tuple[FoundDevice, ...]:
    """Leave out what one of these names means: paths (compared by where they lead), ids, ports, names."""
    # Ids and ports are no paths; what they would be as such names nothing.
    taken = {os.path.realpath(name) for name in mentioned if name.startswith("/")}
    names = {name.lower() for name in mentioned}

    def is_mentioned(one: FoundDevice) -> bool:
        return one.node in taken or not names.isdisjoint(alias.lower() for alias in (one.device, *one.aliases))

    return tuple(one for one in found if not is_mentioned(one))


# --- serial lines ----------------------------------------------------------------------------------------------------


def _serial(places: Places) -> Iterator[FoundDevice]:
    """Yield USB serial lines, by their stable names where udev gives some."""
    named: dict[str, Path] = {}
    for path in _some(places.nodes / "serial" / "by-id", "*"):
        named.setdefault(os.path.realpath(path), path)
    plain = {str(path.resolve()): path for path in _some(places.nodes, "ttyACM*")}
    for node, path in sorted({**plain, **named}.items()):
        if not os.path.exists(node) or _OTHER.search(path.name):  # noqa: PTH110 - a real path already
            continue
        kind: Kind = "printer" if _PRINTER.search(path.name) else "scanner"
        yield FoundDevice(kind=kind, driver="serial", device=str(path), node=node, name=path.name)


# --- keyboards -------------------------------------------------------------------------------------------------------


def _keyboards(places: Places) -> Iterator[FoundDevice]:
    """Yield what types digits and Enter and calls itself a scanner, or is of a maker of scanners."""
    found: list[tuple[str, str, str, str]] = []
    for entry in _some(places.inputs, "event*"):
        device = entry / "device"
        name, port = _read(device / "name"), _read(device / "phys")
        vendor, product = _read(device / "id" / "vendor"), _read(device / "id" / "product")
        if not types_codes(_bits(_read(device / "capabilities" / "key"))):
            continue
        if _SCANNER.search(name) or vendor in _SCANNER_VENDORS:
            found.append((f"{vendor}:{product}", port, name, str(places.nodes / "input" / entry.name)))
    for usb_id, port, name, node in found:
        is_only = sum(usb_id == other for other, *_ in found) == 1
        links = {str(link) for link in _links(places.nodes / "input", node)}
        yield FoundDevice(
            kind="scanner",
            driver="hid",
            device=usb_id if is_only or not port else port,
            node=os.path.realpath(node),
            name=name,
            aliases=frozenset(
                {usb_id, name, node, *links, *_ports(port)} if is_only else {node, *links, *_ports(port)}
            ),
        )


def _links(directory: Path, node: str) -> Iterator[Path]:
    for below in ("by-id", "by-path"):
        yield from (link for link in _some(directory / below, "*") if os.path.realpath(link) == os.path.realpath(node))


def _ports(port: str) -> tuple[str, ...]:
    """Return how a port may be written: with the interface or without."""
    return (port, port.rpartition("/")[0]) if "/" in port else (port,)


def _bits(text: str) -> frozenset[int]:
    """Read the kernel's bit map: words in hexadecimal, the highest first, each as wide as a long integer."""
    width = struct.calcsize("@L") * 8
    words = [int(word, 16) for word in reversed(text.split()) if re.fullmatch("[0-9a-f]{1,16}", word)]
    return frozenset(place * width + bit for place, word in enumerate(words) for bit in range(width) if word >> bit & 1)


# --- printers --------------------------------------------------------------------------------------------------------


def _printers(places: Places) -> Iterator[FoundDevice]:
    """Yield printers that the kernel's class has taken, and those of that class that it has not."""
    seen: set[str] = set()
    for node in _some(places.nodes / "usb", "lp*"):
        device = (places.printers / node.name / "device").resolve().parent
        usb_id = _usb_id(device)
        seen.add(usb_id)
        yield _usb_printer(usb_id or str(node), node=str(node.resolve()), name=_read(device / "product"), path=node)
    for entry in _some(places.usb, "*:*"):
        device = entry.resolve().parent
        usb_id = _usb_id(device)
        if _read(entry / "bInterfaceClass") == _PRINTER_CLASS and usb_id and usb_id not in seen:
            seen.add(usb_id)
            yield _usb_printer(usb_id, node="", name=_read(device / "product"), path=None)


def _usb_printer(device: str, *, node: str, name: str, path: Path | None) -> FoundDevice:
    aliases = frozenset({device} if path is None else {device, str(path)})
    return FoundDevice(kind="printer", driver="usb", device=device, node=node, name=name or "printer", aliases=aliases)


def _usb_id(device: Path) -> str:
    vendor, product = _read(device / "idVendor"), _read(device / "idProduct")
    return f"{vendor}:{product}".lower() if vendor and product else ""


def _some(directory: Path, pattern: str) -> list[Path]:
    try:
        return sorted(itertools.islice(directory.glob(pattern), MOST))
    except OSError:
        return []


def _read(path: Path) -> str:
    """Read one line of the kernel; empty where there is none, or the device went away meanwhile."""
    try:
        with path.open("rb") as file:
            return file.read(_LINE).decode("utf-8", "replace").strip()
    except OSError:
        return ""
