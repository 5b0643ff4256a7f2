"""What a host does with a serial printer, without flow control of its own."""

import asyncio
import os
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from terminald.simulator.printer import SimulatedPrinter

CUT = b"\x1dV\x00"
#: DLE EOT 1 to 4, and what a printer without a care answers.
STATUS, FINE = b"\x10\x04\x01\x10\x04\x02\x10\x04\x03\x10\x04\x04", b"\x12\x12\x12\x12"
PAPER = b"\x1dr\x01"
#: GS ( H, and its answer.
PROCESS_ID, DONE = b"\x1d(H\x06\x0000ABCD", b"\x37\x22ABCD\x00"


class Host:
    """The other end of the line."""

    def __init__(self, device: str | Path) -> None:
        self._fd = os.open(device, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def send(self, data: bytes) -> None:
        assert os.write(self._fd, data) == len(data)

    async def answer(self, count: int) -> bytes:
        """Wait for so many bytes."""
        loop = asyncio.get_running_loop()
        data = b""
        while len(data) < count:
            readable = asyncio.Event()
            loop.add_reader(self._fd, readable.set)
            await readable.wait()
            loop.remove_reader(self._fd)
            data += os.read(self._fd, count - len(data))
        return data

    async def ask(self, question: bytes, count: int) -> bytes:
        self.send(question)
        return await self.answer(count)

    def heard(self) -> bytes:
        """Return what has come by now."""
        try:
            return os.read(self._fd, 4096)
        except BlockingIOError:
            return b""

    async def send_obediently(self, data: bytes) -> None:
        """Send it in pieces, and stop at an XOFF until there is an XON."""
        may_send = True
        while data:
            for byte in self.heard():
                may_send = byte == 0x11
            if may_send:
                with suppress(BlockingIOError):
                    data = data[os.write(self._fd, data[:128]) :]
            await asyncio.sleep(0)

    def close(self) -> None:
        os.close(self._fd)


async def send_slowly(printer: SimulatedPrinter, host: Host, data: bytes) -> None:
    """Send no faster than the printer takes it off the line, as a line's speed would."""
    start = printer.received
    for at in range(0, len(data), 100):
        host.send(data[at : at + 100])
        await printer.wait_received(start + min(at + 100, len(data)))
