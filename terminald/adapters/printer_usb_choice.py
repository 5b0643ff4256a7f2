"""A USB printer by vendor and product: through the kernel's printer class where that has it, else through libusb."""

from collections.abc import Callable
from pathlib import Path

from terminald.adapters.ports_devices import Printer


class UsbPrinter:
    """Chooses at each opening; what is open serves until it is closed."""

    kind: str = "printer"
    notices_power_off: bool = True
    line_rate: float | None = None

    def __init__(self, *, locate: Callable[[], Path], node: Printer, raw: Printer) -> None:
        """Locate returns the node of the kernel's printer class; it raises OSError where there is none."""
        self.name = node.name
        self._locate = locate
        self._node = node
        self._raw = raw
        self._chosen = node

    @property
    def watched(self) -> tuple[Path, ...]:
        """Return where it may appear, either way."""
        return (*self._node.watched, *self._raw.watched)

    @property
    def can_answer(self) -> bool:
        """Whether anything that the printer says could arrive."""
        return self._chosen.can_answer

    @property
    def has_begun(self) -> bool:
        """Whether any byte of the last job may have left; see the port."""
        return self._chosen.has_begun

    def listen(self, sink: Callable[[bytes], None]) -> None:
        """From now on give what the printer sends to the sink."""
        self._node.listen(sink)
        self._raw.listen(sink)

    async def open(self) -> None:
        """Open the printer.

        Raises:
            DeviceAbsent: it is not there, or may not be opened.
        """
        self._chosen = self._node if self._has_node() else self._raw
        await self._chosen.open()

    def _has_node(self) -> bool:
        try:
            return self._locate().exists()
        except OSError:
            return False

    async def run(self) -> None:
        """Watch the open printer.

        Raises:
            DeviceLost: it is gone.
        """
        await self._chosen.run()

    async def close(self) -> None:
        """Let go of the printer."""
        await self._chosen.close()

    async def write(self, data: bytes) -> None:
        """Send one whole job; see the port."""
        await self._chosen.write(data)

    async def ask(self, request: bytes) -> None:
        """Send a few bytes that the printer obeys at once; see the port."""
        await self._chosen.ask(request)

    def stalled_s(self) -> float:
        """Return for how long the job under way has made no progress; 0 without one."""
        return self._chosen.stalled_s()

    def go_on(self) -> bool:
        """Forget an XOFF; whether there was one."""
        return self._chosen.go_on()

    def prolong(self, by_s: float) -> None:
        """Give the job under way at least so much more time."""
        self._chosen.prolong(by_s)
