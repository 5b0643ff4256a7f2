"""What the engine needs of a vending machine controller (VMC), besides the ports that all devices have."""

from collections.abc import Callable
from typing import Protocol

from terminald.adapters.ports_devices import Device
from terminald.core.events import Event
from terminald.core.vend_events import ApprovalNotSent, ApprovalSent


class Vmc(Device, Protocol):
    """A vending machine behind an adapter, with one request at a time. Its kind is "vmc".

    Nothing here blocks, and nothing is refused because the adapter is away: then there is nothing to be done. What the
    machine says goes to the driver's :data:`VmcSink`.
    """

    def set_open(self, *, is_open: bool) -> None:
        """Let the machine sell for us, or not: then the reader is gone from its bus as soon as no request is open.

        A new driver is closed. The machine still sells for cash. Remembered while the adapter is away.
        """

    async def approve(self, request: int, price: str) -> ApprovalSent | ApprovalNotSent:
        """Tell the machine to dispense, once at most, if it asks for this request with this price still.

        Sent means: has left, or may have; what becomes of it is told to the sink. One that does not leave at once is
        taken back, so that it never reaches another request, and the sink is told that the adapter is lost.
        """

    async def deny(self, request: int) -> None:
        """Tell the machine that nothing was paid, if it asks for this request still; harmless otherwise."""

    def display(self, text: str) -> None:
        """Show up to 32 ASCII characters on the machine's display, if it has one. Nobody tells whether it did."""


#: Called with the machine's name and each event. Must not block.
VmcSink = Callable[[str, Event], None]
