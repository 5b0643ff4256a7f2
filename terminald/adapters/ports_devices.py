"""What the engine and the supervisor need of devices; each protocol is implemented by one adapter a kind of device."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Protocol

from terminald.core.events import Blockage
from terminald.core.ids import WallTime


class DeviceState(Enum):
    """How a device is doing, as ``status.devices`` shows it."""

    ABSENT = "absent"  # not there, or not to be opened
    READY = "ready"  # open and usable
    FAULTY = "faulty"  # open, and reporting a fault


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceReport:
    """A change in a device's state. Detail is for people: what is wrong and what to do; mostly empty when ready."""

    name: str
    kind: str  # "scanner" | "printer" | "vmc"
    state: DeviceState
    detail: str
    #: When it came into this state; the engine, which has the clock, sets it.
    since: WallTime | None = None
    #: Of a faulty printer: what keeps it from printing.
    blocked_by: Blockage | None = None


class Device(Protocol):
    """A device object lives once; the supervisor opens and closes what is behind it, again and again."""

    name: str
    kind: str

    @property
    def watched(self) -> tuple[Path, ...]:
        """The paths whose coming, going or change of attributes makes another opening worth while.

        A directory stands for what is in it, and in the directories in it. Empty: nothing tells, only time does.
        """

    async def open(self) -> None:
        """Open the device.

        Raises:
            DeviceAbsent: it may not be opened; detail says why and what to do.
            DeviceMissing: nothing is at the watched paths that could be opened.
            DeviceHeld: another process has it.
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

    @property
    def is_armed(self) -> bool:
        """Whether frames are delivered."""

    def arm(self) -> None:
        """Begin to deliver frames. What was received before is discarded."""

    def disarm(self) -> None:
        """Stop to deliver frames; those that arrive are counted and dropped."""


class Printer(Device, Protocol):
    """A transport for finished print jobs, and for what the printer says."""

    def listen(self, sink: Callable[[bytes], None]) -> None:
        """From now on give the bytes that the printer sends to the sink, as they come.

        Without XON and XOFF where the transport obeys them. Called once, before the first opening. The sink does not
        block.
        """

    #: Whether switching the printer off in the middle of a job always shows as a loss or a failed job.
    notices_power_off: bool

    @property
    def line_rate(self) -> float | None:
        """How many bytes leave in a second, of a line that may hide that the printer was off; None of another."""

    @property
    def can_answer(self) -> bool:
        """Whether anything that the printer says could arrive; known while the device is open."""

    async def ask(self, request: bytes) -> None:
        """Send a few bytes that the printer obeys at once, whatever else it is doing.

        Between jobs, or while the job under way is held by flow control between two commands; never within one.

        Raises:
            DeviceAbsent: it is not open, or can not answer.
            DeviceLost: it went away.
            DeviceTimeout: not possible now; at the latest after ASK_S.
        """

    def stalled_s(self) -> float:
        """Return for how long the job under way has made no progress; 0 without one, and before its first byte."""

    def prolong(self, by_s: float) -> None:
        """Give the job under way at least so much more time: the printer has said why it takes nothing now.

        No effect before its first byte: what was not begun is better tried again later.
        """

    def go_on(self) -> bool:
        """Forget that the printer holds the line by XOFF, and return whether it did: it is well, and XON was lost."""

    @property
    def has_begun(self) -> bool:
        """Whether any byte of the job written last may have left; known when its write has ended, cancelled or not."""

    async def write(self, data: bytes) -> None:
        """Send one whole job; returns when the last byte was accepted by the transport.

        Raises:
            DeviceAbsent: nothing was sent.
            DeviceLost, DeviceTimeout: some bytes may have been sent; detail says how many of how many.
        """


#: Called with the text of each complete frame, without suffix; ``wire.barcode`` reads the prefix. Must not block.
FrameSink = Callable[[str, str], None]  # (scanner name, text)
#: Called with each change of a device's state. Must not block.
DeviceSink = Callable[[DeviceReport], None]
