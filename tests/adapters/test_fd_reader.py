import asyncio
import os
import socket
from collections.abc import Iterator

import pytest

from terminald.adapters.fd_reader import READ_SIZE, FdReader


@pytest.fixture
def line() -> Iterator[tuple[socket.socket, socket.socket]]:
    """A line with two ends: ours, and the printer's."""
    ours, printers = socket.socketpair()
    ours.settimeout(0)
    printers.settimeout(0)
    with ours, printers:
        yield ours, printers


class Heard:
    def __init__(self) -> None:
        self.data = b""
        self.parts: list[int] = []
        self._news = asyncio.Event()

    def take(self, data: bytes) -> None:
        self.data += data
        self.parts.append(len(data))
        self._news.set()

    async def wait(self, count: int) -> None:
        async with asyncio.timeout(10):
            while len(self.data) < count:
                self._news.clear()
                await self._news.wait()


def test_a_device_is_heard_only_for_a_while_after_it_was_spoken_to(line: tuple[socket.socket, socket.socket]) -> None:
    async def scene() -> None:
        heard = Heard()
        reader = FdReader(line[0].fileno(), heard.take)
        line[1].send(b"early")
        await asyncio.sleep(0.02)
        assert heard.data == b""
        reader.listen(0.05)
        await heard.wait(5)
        await asyncio.sleep(0.1)
        line[1].send(b"late")
        await asyncio.sleep(0.05)
        assert heard.data == b"early"
        reader.listen(5.0)
        await heard.wait(9)
        reader.close()
        reader.listen(5.0)
        line[1].send(b"never")
        await asyncio.sleep(0.02)
        assert heard.data == b"earlylate"

    asyncio.run(scene())


def test_listening_is_prolonged(line: tuple[socket.socket, socket.socket]) -> None:
    async def scene() -> None:
        heard = Heard()
        reader = FdReader(line[0].fileno(), heard.take)
        reader.listen(0.03)
        reader.listen(5.0)
        await asyncio.sleep(0.06)
        line[1].send(b"there")
        await heard.wait(5)
        reader.close()

    asyncio.run(scene())


def test_a_flood_is_taken_in_small_pieces_with_pauses(line: tuple[socket.socket, socket.socket]) -> None:
    """I8, I11: what else the loop has to do gets its turn."""

    async def scene() -> None:
        heard = Heard()
        reader = FdReader(line[0].fileno(), heard.take)
        line[1].send(bytes(20 * READ_SIZE))
        loop = asyncio.get_running_loop()
        begun = loop.time()
        reader.listen(5.0)
        await heard.wait(20 * READ_SIZE)
        assert max(heard.parts) == READ_SIZE
        assert loop.time() - begun > 0.05
        reader.close()

    asyncio.run(scene())


def test_the_end_is_told_once_and_ends_the_listening(line: tuple[socket.socket, socket.socket]) -> None:
    async def scene() -> None:
        ended: list[bool] = []
        reader = FdReader(line[0].fileno(), print, on_end=lambda: ended.append(True))
        reader.listen(5.0)
        line[1].close()
        await asyncio.sleep(0.02)
        assert (ended, reader.is_ended) == ([True], True)

    asyncio.run(scene())


def test_an_empty_read_may_be_nothing_at_all(line: tuple[socket.socket, socket.socket]) -> None:
    """As of a USB printer with nothing to say: the reader does not spin."""

    async def scene() -> None:
        reader = FdReader(line[0].fileno(), print)
        line[1].shutdown(socket.SHUT_WR)
        reader.listen(0.2)
        turns, before = 0, os.times().user
        async with asyncio.timeout(5):
            while reader._until > asyncio.get_running_loop().time():
                turns += 1
                await asyncio.sleep(0.01)
        assert not reader.is_ended
        assert os.times().user - before < 0.15
        reader.close()

    asyncio.run(scene())


def test_what_is_always_readable_is_not_read() -> None:
    async def scene() -> None:
        fd = os.open(os.devnull, os.O_RDWR)
        try:
            assert not FdReader.can_read(fd)
        finally:
            os.close(fd)

    asyncio.run(scene())
