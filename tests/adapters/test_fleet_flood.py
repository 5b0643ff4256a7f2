"""A broker that belongs to somebody else by now: whatever it sends, the terminal neither fills up nor stands still."""

import asyncio
import contextlib
import itertools
import struct
from collections.abc import Iterable, Iterator

import pytest

from terminald.adapters.fleet_broker import BrokerSettings, make_broker
from terminald.adapters.fleet_mqtt import MOST_PACKET, MOST_SAID, WINDOW
from terminald.errors import FleetError
from terminald.wire.fleet import FleetMessage

WILL = FleetMessage(topic="t", payload=b"{}", is_retained=True)
CONNACK = bytes((0x20, 3, 0, 0, 0))
#: The longest packet that MQTT has.
LONGEST = 2**28 - 1
PATIENCE_S = 20.0


def length(size: int) -> bytes:
    """Return MQTT's variable byte integer."""
    digits = bytearray()
    while True:
        size, digit = divmod(size, 128)
        digits.append(digit | (0x80 if size else 0))
        if not size:
            return bytes(digits)


def publish(payload: bytes, qos: int = 0, mid: int = 1) -> bytes:
    body = struct.pack(">H", 1) + b"x" + (struct.pack(">H", mid) if qos else b"") + b"\0" + payload
    return bytes((0x30 | qos << 1,)) + length(len(body)) + body


def one_that_never_ends() -> Iterator[bytes]:
    yield bytes((0x30,)) + length(LONGEST) + b"\0\1x\0"
    yield from itertools.repeat(b"z" * 65536)


def many_that_are_kept() -> Iterator[bytes]:
    """Few bytes a second would fill the memory as well: these are not too many bytes."""
    return (publish(b"", qos=2, mid=mid) for mid in range(1, 1000))


class Hostile:
    """Accepts everybody, and says its own things."""

    def __init__(self, says: Iterable[bytes], *, greeting: bytes = CONNACK, answer: bytes = b"") -> None:
        """Answer is what it says when it was sent what the will says."""
        self._says, self._greeting, self._answer = says, greeting, answer
        self.sent = 0

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # That it is left is what is wanted of it.
        with contextlib.closing(writer), contextlib.suppress(ConnectionError):
            await reader.read(4096)
            writer.write(self._greeting)
            for piece in self._says:
                writer.write(piece)
                await writer.drain()
                self.sent += len(piece)
            if self._answer:
                await reader.readuntil(WILL.payload)
                writer.write(self._answer)
            await reader.read()


def fate(hostile: Hostile) -> FleetError:
    """Return why the terminal has left."""

    async def live() -> FleetError:
        server = await asyncio.start_server(hostile, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        settings = BrokerSettings(host="127.0.0.1", port=port, has_tls=False, client_id="t1")

        async def stay() -> None:
            async with make_broker(settings).session(WILL) as session:
                await session.wait_lost()

        async with asyncio.timeout(PATIENCE_S):
            with pytest.raises(FleetError) as caught:
                await stay()
        server.close()
        return caught.value

    return asyncio.run(live())


@pytest.mark.parametrize(
    "says",
    [one_that_never_ends(), many_that_are_kept(), itertools.repeat(publish(b"z" * 100) * 50)],
    ids=["one that never ends", "many that are kept", "many"],
)
def test_a_broker_that_says_far_too_much_is_left_soon(says: Iterable[bytes]) -> None:
    """I11: the library alone keeps up to 256 MiB of one message, and 65,535 messages."""
    hostile = Hostile(says)
    assert fate(hostile).code == "unfit"
    # What the kernel has taken of it, on both sides, and no more.
    assert hostile.sent < 16 * 1024 * 1024


def test_so_is_one_that_begins_with_it() -> None:
    assert fate(Hostile(one_that_never_ends(), greeting=b"")).code == "unfit"


def test_a_few_messages_that_nobody_asked_for_are_nothing() -> None:
    """Some brokers subscribe for their clients: what comes by that is dropped."""
    few = [publish(b"z" * (MOST_PACKET // 2)), *(publish(b"z", qos=2, mid=mid) for mid in range(1, WINDOW))]
    acknowledged = bytes((0x40, 2, 0, 1))

    async def live() -> None:
        server = await asyncio.start_server(Hostile(few, answer=acknowledged), "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        settings = BrokerSettings(host="127.0.0.1", port=port, has_tls=False, client_id="t1")
        async with asyncio.timeout(PATIENCE_S), make_broker(settings).session(WILL) as session:
            await session.deliver([WILL])
        server.close()

    asyncio.run(live())
    assert sum(map(len, few)) < MOST_SAID * 4
