"""How often devices had to be opened again: a cable that is about to break, before it does."""

from collections.abc import Iterator
from pathlib import Path

from terminald.adapters.ports_devices import Device
from terminald.wire.metrics import Family, Sample


class MeteredDevice:
    """A device whose openings are counted; in all else the device itself."""

    def __init__(self, device: Device, meter: "DeviceMeter") -> None:
        self._device = device
        self._meter = meter
        self.name = device.name
        self.kind = device.kind

    @property
    def watched(self) -> tuple[Path, ...]:
        """See :class:`terminald.adapters.ports_devices.Device`, as for the rest."""
        return self._device.watched

    async def open(self) -> None:
        """Open, and count it."""
        await self._device.open()
        self._meter.note_opened(self.name, self.kind)

    async def run(self) -> None:
        """Serve."""
        await self._device.run()

    async def close(self) -> None:
        """Let go."""
        await self._device.close()


class DeviceMeter:
    """Counts the openings of each device by its configured name."""

    def __init__(self) -> None:
        self._opened: dict[tuple[str, str], int] = {}

    def wrap(self, device: Device) -> Device:
        """Return the device, counted from now on; the first opening of one with this name is none again."""
        self._opened.setdefault((device.name, device.kind), 0)
        return MeteredDevice(device, self)

    def note_opened(self, name: str, kind: str) -> None:
        """Take that a device was opened."""
        self._opened[name, kind] += 1

    def figures(self) -> Iterator[Family]:
        """Yield what was counted since the start."""
        yield Family(
            name="terminald_device_reconnects_total",
            help="How often a device was opened again after it had gone away.",
            kind="counter",
            samples=tuple(
                Sample(value=max(0, times - 1), labels=(("name", name), ("kind", kind)))
                for (name, kind), times in self._opened.items()
            ),
        )
