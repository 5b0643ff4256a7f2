"""A transport that keeps what it is given, and says nothing."""

from collections.abc import Callable
from pathlib import Path

from terminald.adapters.printer_dialog import PrinterDialog
from terminald.errors import DeviceAbsent


class Paper:
    """See the module."""

    name = kind = "printer"
    watched: tuple[Path, ...] = ()
    notices_power_off = True
    line_rate: float | None = None
    can_answer = False

    def __init__(self) -> None:
        self.data = b""
        self.has_begun = False

    def listen(self, sink: Callable[[bytes], None]) -> None:
        """There is nothing to hear."""

    async def open(self) -> None:
        """There is nothing to open."""

    async def run(self) -> None:
        """There is nothing to serve."""

    async def close(self) -> None:
        """There is nothing to close."""

    async def write(self, data: bytes) -> None:
        self.data += data

    async def ask(self, request: bytes) -> None:
        raise DeviceAbsent(self.name, f"{request!r} has no answer")

    def stalled_s(self) -> float:
        return 0.0

    def go_on(self) -> bool:
        return False

    def prolong(self, by_s: float) -> None:
        raise AssertionError(by_s)


def dialog_with(paper: Paper) -> PrinterDialog:
    """Return a printer that is not asked anything."""
    return PrinterDialog(paper, asks=False, confirm="none", report=print)
