import asyncio
import errno
import os
import socket
from collections.abc import Callable, Coroutine, Iterator

import pytest

from terminald.adapters.fd_writer import CHUNK, GRACE_S, FdWriter, job_deadline_s
from terminald.errors import DeviceAbsent, DeviceLost, DeviceTimeout

SOON = 0.05  # a deadline that is to pass
LONG = 30.0  # one that is not


@pytest.fixture
def line() -> Iterator[tuple[socket.socket, socket.socket]]:
    """A line with two ends: ours, and the printer's."""
    ours, printers = socket.socketpair()
    ours.settimeout(0)
    printers.settimeout(0)
    with ours, printers:
        yield ours, printers


def run(scene: Callable[[], Coroutine[None, None, None]]) -> None:
    asyncio.run(scene())


async def turn() -> None:
    """Let everything happen that can happen now."""
    for _ in range(50):
        await asyncio.sleep(0)


def received(printers: socket.socket) -> bytes:
    data = b""
    try:
        while part := printers.recv(65536):
            data += part
    except BlockingIOError:
        pass
    return data


def test_the_deadline_grows_with_bytes_and_paper() -> None:
    assert job_deadline_s(b"", bytes_per_second=960) == GRACE_S
    assert job_deadline_s(b"x" * 960, bytes_per_second=960, grace_s=0) == pytest.approx(1.2)
    assert job_deadline_s(b"\n" * 40, bytes_per_second=1e9, grace_s=0) == pytest.approx(3.0, abs=0.01)


def test_a_job_arrives_whole(line: tuple[socket.socket, socket.socket]) -> None:
    data = bytes(range(256)) * 8

    async def scene() -> None:
        await FdWriter("printer", line[0].fileno()).write(data, deadline_s=LONG)
        assert received(line[1]) == data

    run(scene)


def test_nothing_leaves_while_the_printer_holds_the_line(line: tuple[socket.socket, socket.socket]) -> None:
    async def scene() -> None:
        writer = FdWriter("printer", line[0].fileno())
        writer.hold()
        job = asyncio.create_task(writer.write(b"x" * 1000, deadline_s=LONG))
        await turn()
        assert received(line[1]) == b""
        writer.release()
        await job
        assert received(line[1]) == b"x" * 1000

    run(scene)


def test_a_hold_in_the_middle_stops_at_a_chunk_and_the_count_is_exact(
    line: tuple[socket.socket, socket.socket],
) -> None:
    chunks = 0

    async def scene() -> None:
        def stop_after_three() -> bool:
            nonlocal chunks
            chunks += 1
            if chunks == 4:
                writer.hold()
            return True

        writer = FdWriter("printer", line[0].fileno(), may_send=stop_after_three)
        with pytest.raises(DeviceTimeout, match=rf"XOFF.*; {3 * CHUNK} of 1000 bytes sent"):
            await writer.write(b"x" * 1000, deadline_s=SOON)
        assert len(received(line[1])) == 3 * CHUNK

    run(scene)


def test_a_full_line_ends_at_the_deadline_with_the_exact_count(line: tuple[socket.socket, socket.socket]) -> None:
    async def scene() -> None:
        with pytest.raises(DeviceTimeout) as caught:
            await FdWriter("printer", line[0].fileno()).write(b"x" * 10_000_000, deadline_s=0.3)
        count = len(received(line[1]))
        assert 0 < count < 10_000_000
        assert f"; {count} of 10000000 bytes sent" in caught.value.detail

    run(scene)


def test_not_one_byte_sent_is_absent_and_may_be_sent_again(line: tuple[socket.socket, socket.socket]) -> None:
    async def scene() -> None:
        writer = FdWriter("printer", line[0].fileno(), may_send=lambda: False)
        with pytest.raises(DeviceAbsent, match="0 of 5 bytes sent"):
            await writer.write(b"12345", deadline_s=SOON)
        assert received(line[1]) == b""

    run(scene)


def test_what_the_kernel_kept_was_not_sent(line: tuple[socket.socket, socket.socket]) -> None:
    async def scene() -> None:
        stuck = FdWriter("printer", line[0].fileno(), backlog=lambda: 7, window=1000)
        with pytest.raises(DeviceTimeout, match="3 of 10 bytes sent"):
            await stuck.write(b"x" * 10, deadline_s=SOON)

    run(scene)


def test_the_next_chunk_waits_for_the_kernel(line: tuple[socket.socket, socket.socket]) -> None:
    async def scene() -> None:
        backlog = [CHUNK, CHUNK, 0, 0, 5, 0]
        writer = FdWriter("printer", line[0].fileno(), backlog=lambda: backlog.pop(0))
        await writer.write(b"x" * (CHUNK + 1), deadline_s=LONG)
        assert backlog == []
        assert len(received(line[1])) == CHUNK + 1

    run(scene)


@pytest.mark.parametrize("is_held", [False, True])
def test_a_lost_device_ends_the_job_under_way_and_every_later_one(
    line: tuple[socket.socket, socket.socket], *, is_held: bool
) -> None:
    async def scene() -> None:
        writer = FdWriter("printer", line[0].fileno())
        job = asyncio.create_task(writer.write(b"x" * 10_000_000, deadline_s=LONG))
        await turn()
        if is_held:
            writer.hold()
        writer.lose("it burns")
        with pytest.raises(DeviceLost) as caught:
            await job
        assert f"it burns; {len(received(line[1]))} of 10000000 bytes sent" in str(caught.value)
        with pytest.raises(DeviceAbsent, match="it burns; 0 of 1 "):
            await writer.write(b"x", deadline_s=LONG)

    run(scene)


def test_a_closed_peer_is_a_lost_device(line: tuple[socket.socket, socket.socket]) -> None:
    async def scene() -> None:
        writer = FdWriter("printer", line[0].fileno())
        job = asyncio.create_task(writer.write(b"x" * 10_000_000, deadline_s=LONG))
        await turn()
        line[1].close()
        with pytest.raises(DeviceLost, match=os.strerror(errno.EPIPE)):
            await job

    run(scene)


def test_jobs_do_not_mix(line: tuple[socket.socket, socket.socket]) -> None:
    async def scene() -> None:
        writer = FdWriter("printer", line[0].fileno())
        await asyncio.gather(*(writer.write(bytes((n,)) * 1000, deadline_s=LONG) for n in range(3)))
        assert received(line[1]) == b"".join(bytes((n,)) * 1000 for n in range(3))

    run(scene)


def test_a_cancelled_job_leaves_the_line_usable(line: tuple[socket.socket, socket.socket]) -> None:
    async def scene() -> None:
        writer = FdWriter("printer", line[0].fileno())
        writer.hold()
        job = asyncio.create_task(writer.write(b"x", deadline_s=LONG))
        await turn()
        job.cancel()
        with pytest.raises(asyncio.CancelledError):
            await job
        writer.release()
        await writer.write(b"y", deadline_s=LONG)
        assert received(line[1]) == b"y"

    run(scene)


def test_what_never_blocks_needs_no_readiness() -> None:
    async def scene() -> None:
        fd = os.open(os.devnull, os.O_WRONLY | os.O_NONBLOCK)
        try:
            await FdWriter("printer", fd).write(b"x" * 1000, deadline_s=LONG)
        finally:
            os.close(fd)

    run(scene)
