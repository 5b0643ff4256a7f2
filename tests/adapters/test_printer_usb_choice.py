import asyncio
import os
from pathlib import Path

from terminald.adapters.printer_libusb import LibusbPrinter
from terminald.adapters.printer_usb import NodePrinter, Place, at_path
from terminald.adapters.printer_usb_choice import UsbPrinter
from terminald.adapters.usb_pipe import open_pipe
from tests.adapters.usb_world import FakeUsb, bus


def test_the_kernels_node_is_preferred_and_libusb_serves_where_it_is_missing(tmp_path: Path) -> None:
    usb = FakeUsb()
    node = tmp_path / "lp0"
    locate = at_path(node)
    raw = LibusbPrinter(connect=lambda: open_pipe(0x0416, 0x5011, backend=bus(usb)))

    async def scene() -> None:
        printer = UsbPrinter(locate=locate, node=NodePrinter(locate=Place(find=locate, watched=Path())), raw=raw)
        heard: list[bytes] = []
        printer.listen(heard.append)
        await printer.open()
        assert printer.can_answer
        await printer.ask(b"\x10\x04\x01")
        await printer.write(b"raw")
        assert printer.stalled_s() == 0
        printer.prolong(1)
        await printer.close()
        node.symlink_to(os.devnull)
        await printer.open()
        await printer.write(b"lp")
        await printer.close()

    asyncio.run(scene())
    assert bytes(usb.taken) == b"\x10\x04\x01raw"


def test_a_node_that_can_not_be_looked_for_is_missing() -> None:
    usb = FakeUsb()

    def locate() -> Path:
        raise FileNotFoundError(2, "No such USB printer")

    async def scene() -> None:
        raw = LibusbPrinter(connect=lambda: open_pipe(0x0416, 0x5011, backend=bus(usb)))
        printer = UsbPrinter(locate=locate, node=NodePrinter(locate=Place(find=locate, watched=Path())), raw=raw)
        await printer.open()
        await printer.close()

    asyncio.run(scene())
    assert usb.history == ["open", "claim 0", "release 0", "close"]
