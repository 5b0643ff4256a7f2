"""What the engine needs of the world. Each protocol is implemented by one adapter and by the tests' fakes."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Protocol


class DeviceState(Enum):
    """How a device is doing, as ``status.devices`` shows it."""

    ABSENT = "absent"  # not there, or not to be opened
    READY = "ready"  # open and usable
    FAULTY = "faulty"  # open, and reporting a fault


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceReport:
    """A change in a device's state. Detail is for people: what is wrong and what to do; empty when ready."""

    name: str
    kind: str  # "scanner" | "printer"
    state: DeviceState
    detail: str


class Device(Protocol):
    """A device object lives once; the supervisor opens and closes what is behind it, again and again."""

    name: str
    kind: str

    async def open(self) -> None:
        """Open the device.

        Raises:
            DeviceAbsent: it is not there or may not be opened; detail says which and what to do.
        """

    async def run(self) -> None:
        """Serve the open device until it is lost or the task is cancelled.

        Raises:
            DeviceLost: it went away.
        """

    async def close(self) -> None:
        """Let go of the device; harmless when it is not open; never hangs on a dead line."""


class Scanner(Device, Protocol):
    """A source of scanned frames, listened to only while armed."""

    def arm(self) -> None:
        """Begin to deliver frames. What was received before is discarded."""

    def disarm(self) -> None:
        """Stop to deliver frames; those that arrive are counted and dropped."""


class Printer(Device, Protocol):
    """A transport for finished print jobs."""

    async def write(self, data: bytes) -> None:
        """Send one whole job; returns when the last byte was accepted by the transport.

        Raises:
            DeviceAbsent: nothing was sent.
            DeviceLost, DeviceTimeout: some bytes may have been sent; detail says how many of how many.
        """


#: Called with the bare text of each complete frame, without prefix and suffix. Must not block.
FrameSink = Callable[[str, str], None]  # (scanner name, text)
#: Called with each change of a device's state. Must not block.
DeviceSink = Callable[[DeviceReport], None]
