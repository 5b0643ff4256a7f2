"""What serial and keyboard scanners have in common: who is given a frame, and how long a quiet line is waited for."""

import asyncio
import contextlib
from dataclasses import dataclass

from terminald.adapters.ports_devices import FrameSink


@dataclass(frozen=True, slots=True, kw_only=True)
class ScannerCounters:
    """How many frames went which way since the start."""

    delivered: int
    unarmed: int  # complete, but nobody wanted one (or the line had just been opened)
    garbled: int
    truncated: int
    dropped: int
    untaken: int = 0  # trigger commands that the line did not take


class Delivery:
    """Gives one scanner's frames to its sink while armed, and counts the others."""

    def __init__(self, name: str, on_frame: FrameSink) -> None:
        self._name = name
        self._on_frame = on_frame
        self.is_armed = False
        self.armings = 0
        self.delivered = 0
        self.unarmed = 0

    def arm(self) -> None:
        """Begin to deliver."""
        self.armings += 1
        self.is_armed = True

    def disarm(self) -> None:
        """Stop to deliver; what comes is counted."""
        self.is_armed = False

    def __call__(self, frames: list[str]) -> None:
        """Hand out frames until the sink disarms or arms anew: both concern what was received before."""
        armings = self.armings
        for frame in frames:
            if self.is_armed and self.armings == armings:
                self.delivered += 1
                self._on_frame(self._name, frame)
            else:
                self.unarmed += 1


async def wait_for_input(wake: asyncio.Event, deadline_ms: int | None) -> None:
    """Return when there may be something to read, or a frame's deadline is reached."""
    if deadline_ms is None:
        await wake.wait()
        return
    with contextlib.suppress(TimeoutError):
        # One millisecond later, so that the rounded time is not before the deadline.
        async with asyncio.timeout_at((deadline_ms + 1) / 1000):
            await wake.wait()
