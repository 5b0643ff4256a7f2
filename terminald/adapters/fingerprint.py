"""The device's own identity: derived once from the board, then stored for ever."""

import hashlib
from pathlib import Path

from terminald.errors import JournalUnavailable

#: The board's serial number first (it survives a new SD card), else the installation's identity.
SOURCES = (
    Path("/sys/firmware/devicetree/base/serial-number"),
    Path("/etc/machine-id"),
)


def derive_device_id(sources: tuple[Path, ...] = SOURCES) -> str:
    """Return 32 hex digits that name this board; never the serial number itself ("device_id ≤ 32", Web API documents).

    Raises:
        JournalUnavailable: no source can be read; set ``terminal.device_id`` in the configuration.
    """
    for source in sources:
        try:
            raw = source.read_bytes().strip(b"\0 \t\r\n")
        except OSError:
            continue
        if raw.strip(b"0"):
            return hashlib.blake2b(raw, digest_size=16, person=b"terminald-device").hexdigest()
    tried = ", ".join(str(source) for source in sources)
    raise JournalUnavailable(f"no identity of this board can be read ({tried}): set terminal.device_id")
