import asyncio
import socket
import struct
import threading
from collections.abc import Iterator

import pytest

from terminald.adapters.printer_network import NetworkPrinter
from terminald.errors import DeviceAbsent, DeviceLost, DeviceTimeout


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    """A printer's network part; nobody has accepted yet."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(0)
        yield listener


def printer_at(listener: socket.socket, grace_s: float = 20.0) -> NetworkPrinter:
    host, port = listener.getsockname()
    return NetworkPrinter(host=host, port=port, grace_s=grace_s, keep_s=0)


async def accept(listener: socket.socket) -> socket.socket:
    connection, _ = await asyncio.get_running_loop().sock_accept(listener)
    return connection


async def read_all(connection: socket.socket) -> bytes:
    loop = asyncio.get_running_loop()
    data = b""
    with connection:
        while part := await loop.sock_recv(connection, 65536):
            data += part
    return data


def test_each_job_has_a_connection_of_its_own(listener: socket.socket) -> None:
    async def scene() -> None:
        printer = printer_at(listener)
        await printer.open()
        assert await read_all(await accept(listener)) == b""
        for data in (b"one" * 1000, b"two" * 50_000):
            job = asyncio.create_task(printer.write(data))
            assert await read_all(await accept(listener)) == data
            await job
        await printer.close()

    asyncio.run(scene())


def test_nobody_there_is_absent_and_the_device_is_lost() -> None:
    async def scene() -> None:
        with socket.create_server(("127.0.0.1", 0)) as gone:
            printer = printer_at(gone)
            await printer.open()
        watch = asyncio.create_task(printer.run())
        with pytest.raises(DeviceAbsent, match="refused: check the printer's power"):
            await printer.write(b"x")
        with pytest.raises(DeviceLost, match="refused"):
            await watch
        with pytest.raises(DeviceAbsent):
            await printer.open()

    asyncio.run(scene())


def test_a_name_that_is_asked_for_again_and_again_leaves_the_shared_threads_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """I11. A resolver that does not answer keeps its thread for half a minute."""
    go = threading.Event()

    def hang(*_: object, **__: object) -> list[object]:
        assert go.wait(60)
        return []

    monkeypatch.setattr(socket, "getaddrinfo", hang)

    async def scene() -> None:
        printer = NetworkPrinter(host="printer.example", port=9100)
        for _ in range(40):  # more than asyncio has threads
            opening = asyncio.ensure_future(printer.open())
            for _ in range(5):
                await asyncio.sleep(0)
            opening.cancel()
            await asyncio.wait({opening})
        try:
            async with asyncio.timeout(10):
                await asyncio.to_thread(int)
        finally:
            go.set()

    asyncio.run(scene())


def test_a_name_without_address_is_absent() -> None:
    async def scene() -> None:
        with pytest.raises(DeviceAbsent, match="check the printer's power, network"):
            await NetworkPrinter(host="a..b", port=9100).open()

    asyncio.run(scene())


def test_a_printer_that_takes_no_more_ends_the_job_at_the_deadline(listener: socket.socket) -> None:
    size = 20_000_000

    async def scene() -> None:
        printer = NetworkPrinter(host="127.0.0.1", port=listener.getsockname()[1], grace_s=0.5 - size / 20_000 * 1.2)
        job = asyncio.create_task(printer.write(b"x" * size))
        connection = await accept(listener)
        with connection:
            with pytest.raises(DeviceTimeout) as caught:
                await job
            sent = int(caught.value.detail.split("; ")[1].split(" ")[0])
            assert 0 < sent < size
            with pytest.raises(DeviceLost, match="of 20000000"):
                await printer.run()

    asyncio.run(scene())


def test_a_printer_that_resets_the_connection_is_lost(listener: socket.socket) -> None:
    async def scene() -> None:
        printer = printer_at(listener)
        job = asyncio.create_task(printer.write(b"x" * 20_000_000))
        connection = await accept(listener)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.close()
        with pytest.raises((DeviceLost, DeviceAbsent), match="of 20000000 bytes sent"):
            await job

    asyncio.run(scene())


def test_what_was_not_acknowledged_may_have_arrived() -> None:
    """A receipt of which the last word was lost is not taken for unsent, and printed twice without a mark."""

    async def scene() -> None:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            listener.settimeout(0)
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
            job = asyncio.create_task(printer_at(listener, grace_s=0.3 - 3.6).write(b"x" * 60_000))
            with await accept(listener), pytest.raises(DeviceTimeout, match="60000 of 60000 bytes sent"):
                await job

    asyncio.run(scene())
