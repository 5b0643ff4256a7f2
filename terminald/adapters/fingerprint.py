"""The device's own identity, derived once from the board; and whether this is still that board."""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from terminald.errors import JournalUnavailable

#: What tells boards from each other, the strongest first: the board's serial number survives a new SD card and does not
#: come along with a copied one; the installation's identity does the reverse.
SOURCES: Final[Mapping[str, Path]] = {
    "serial number": Path("/sys/firmware/devicetree/base/serial-number"),
    "machine-id": Path("/etc/machine-id"),
}
#: Serial numbers have some 16 characters, a machine-id 32; a longer file is not one of them (I11).
MAX_BYTES: Final = 256
#: Where systemd keeps a machine-id that is another one after each boot, when it can not be stored (machine-id(5)).
VOLATILE: Final = Path("/run")

#: A digest for each source that can be read; never the value itself.
Board = Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Residence:
    """Where an identity lives: the device id that the gateway knows, and the board."""

    device_id: str
    board: Board


def derive_device_id(sources: Mapping[str, Path] = SOURCES) -> str:
    """Return 32 hex digits that name this board; never the serial number itself ("device_id ≤ 32", Web API documents).

    Raises:
        JournalUnavailable: no source can be read; set ``terminal.device_id`` in the configuration.
    """
    for _, raw in _readable(sources):
        return hashlib.blake2b(raw, digest_size=16, person=b"terminald-device").hexdigest()
    tried = ", ".join(str(path) for path in sources.values())
    raise JournalUnavailable(f"no identity of this board can be read ({tried}): set terminal.device_id")


def read_board(sources: Mapping[str, Path] = SOURCES, volatile: Path = VOLATILE) -> Board:
    """Return a digest of each source that can be read now; empty where none can.

    What is another one after each boot is left out: a file that is mounted over its place from the volatile directory.
    """
    return {
        name: hashlib.blake2b(raw, digest_size=16, person=b"terminald-board").hexdigest()
        for name, raw in _readable(sources)
        if not _is_volatile(sources[name], volatile)
    }


def differing_source(known: Board, found: Board, sources: Mapping[str, Path] = SOURCES) -> str | None:
    """Return what tells that these are two boards; None where nothing does.

    The strongest source that was readable then and is readable now decides alone. A board of which only other sources
    can be read, because a sandbox hides the rest, is not taken for another one. A card that was copied has the same
    machine-id and another serial number; a board with a new system has the same serial number and another machine-id.
    """
    shared = next((name for name in sources if name in known and name in found), None)
    return shared if shared is not None and known[shared] != found[shared] else None


def _readable(sources: Mapping[str, Path]) -> Iterator[tuple[str, bytes]]:
    for name, path in sources.items():
        try:
            with path.open("rb") as file:
                raw = file.read(MAX_BYTES).strip(b"\0 \t\r\n")
        except OSError:
            continue
        # Before its first boot is over, a system may have the word "uninitialized" there (machine-id(5)).
        if raw.strip(b"0") and raw != b"uninitialized":
            yield name, raw


def _is_volatile(path: Path, volatile: Path) -> bool:
    try:
        device = path.stat().st_dev
        return device != path.parent.stat().st_dev and device == volatile.stat().st_dev
    except OSError:
        return False
