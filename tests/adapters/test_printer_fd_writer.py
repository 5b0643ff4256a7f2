import asyncio
import contextlib
import errno
import itertools
import os
import socket
from collections.abc import Callable, Coroutine, Iterator

import pytest

from terminald.adapters.fd_writer import CHUNK, GRACE_S, FdWriter, job_deadline_s, kernel_backlog
from terminald.errors import DeviceAbsent, DeviceLost, DeviceTimeout
from terminald.wire.escpos_walk import stops

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


async def never() -> bool:
    return False


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
        async def stop_after_three() -> bool:
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
        writer = FdWriter("printer", line[0].fileno(), may_send=never)
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


def test_what_was_seen_to_leave_is_not_sent_again_where_a_driver_counts_too_much(
    line: tuple[socket.socket, socket.socket],
) -> None:
    """Cdc_acm, of printers that are a modem on USB, counts each buffer in use as a full one."""
    ours, printers = line
    left: list[bytes] = []

    def backlog() -> int:
        if len(left) < 2 and (data := received(printers)):
            left.append(data)
        return 1280 if kernel_backlog(ours.fileno()) else 0

    async def scene() -> None:
        with pytest.raises(DeviceTimeout, match=f"; {2 * CHUNK} of {4 * CHUNK} bytes sent"):
            await FdWriter("printer", ours.fileno(), backlog=backlog).write(b"x" * 4 * CHUNK, deadline_s=0.5)

    run(scene)


def test_a_driver_that_counts_too_much_does_not_make_a_begun_job_unsent(
    line: tuple[socket.socket, socket.socket],
) -> None:
    """Not one chunk was seen to leave; the first may have, in part."""

    async def scene() -> None:
        ours = line[0].fileno()
        writer = FdWriter("printer", ours, backlog=lambda: 1280 if kernel_backlog(ours) else 0)
        with pytest.raises(DeviceTimeout, match=f"; {CHUNK} of {2 * CHUNK} bytes sent"):
            await writer.write(b"x" * 2 * CHUNK, deadline_s=SOON)

    run(scene)


def test_a_question_in_the_kernel_is_no_counting_too_much(line: tuple[socket.socket, socket.socket]) -> None:
    async def scene() -> None:
        backlog = itertools.chain([3], itertools.repeat(3 + CHUNK))
        writer = FdWriter("printer", line[0].fileno(), backlog=lambda: next(backlog))
        await writer.ask(b"\x10\x04\x01")
        with pytest.raises(DeviceAbsent, match="; 0 of "):
            await writer.write(b"x" * 2 * CHUNK, deadline_s=SOON)

    run(scene)


def test_what_the_kernel_may_have_passed_on_counts_as_sent(line: tuple[socket.socket, socket.socket]) -> None:
    """A job that is taken for unsent is sent again as if it were new."""

    async def scene() -> None:
        unheard = FdWriter("printer", line[0].fileno(), backlog=lambda: 10, takes_back=False, window=1000)
        with pytest.raises(DeviceTimeout, match="10 of 10 bytes sent"):
            await unheard.write(b"x" * 10, deadline_s=SOON)

    run(scene)


@pytest.mark.parametrize(("size", "is_whole"), [(CHUNK, True), (CHUNK + 1, False)])
def test_a_device_that_goes_after_the_last_byte_may_have_it_all(
    line: tuple[socket.socket, socket.socket], size: int, *, is_whole: bool
) -> None:
    async def scene() -> None:
        backlog = itertools.chain([0], itertools.repeat(CHUNK))
        writer = FdWriter("printer", line[0].fileno(), backlog=lambda: next(backlog))
        job = asyncio.create_task(writer.write(b"x" * size, deadline_s=LONG))
        await turn()
        writer.lose("it burns")
        with pytest.raises(DeviceLost, match=f"it burns; {CHUNK} of {size} bytes sent") as caught:
            await job
        assert caught.value.may_be_whole is is_whole

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


TEXT_JOB = b"\x1b@" + b"Cola 3.50\n" * 40 + b"\x1dV\x00"


def test_chunks_end_between_two_commands() -> None:
    """So that a printer that holds the line can be asked why, without harm to the job."""
    ends: list[int] = []

    async def scene() -> None:
        ours, printers = socket.socketpair(type=socket.SOCK_SEQPACKET)
        ours.settimeout(0)
        printers.settimeout(0)
        with ours, printers:
            await FdWriter("printer", ours.fileno()).write(TEXT_JOB, deadline_s=LONG)
            while sum(ends) < len(TEXT_JOB):
                ends.append(len(printers.recv(CHUNK + 1)))

    run(scene)
    assert max(ends) <= CHUNK
    assert set(itertools.accumulate(ends)) <= set(stops(TEXT_JOB))


def test_a_held_job_can_be_interrupted_by_a_question_and_goes_on(line: tuple[socket.socket, socket.socket]) -> None:
    async def scene() -> None:
        holds = iter([True, True, True])

        async def hold_after_two() -> bool:
            if next(holds, None) is None:
                writer.hold()
            return True

        writer = FdWriter("printer", line[0].fileno(), may_send=hold_after_two)
        job = asyncio.create_task(writer.write(TEXT_JOB, deadline_s=LONG))
        await turn()
        before = received(line[1])
        assert 0 < len(before) < len(TEXT_JOB)
        await writer.ask(b"\x10\x04\x01")
        assert received(line[1]) == b"\x10\x04\x01"
        holds = iter([True] * 100)
        writer.release()
        await job
        assert before + received(line[1]) == TEXT_JOB

    run(scene)


def test_a_job_in_the_middle_of_a_picture_is_not_interrupted(line: tuple[socket.socket, socket.socket]) -> None:
    picture = b"\x1dv0\x00\x10\x00\x80\x00" + bytes(16 * 128)

    async def scene() -> None:
        chunks = itertools.count()

        async def hold_after_two() -> bool:
            if next(chunks) == 2:
                writer.hold()
            return True

        writer = FdWriter("printer", line[0].fileno(), may_send=hold_after_two)
        job = asyncio.create_task(writer.write(picture, deadline_s=LONG))
        await turn()
        with pytest.raises(DeviceTimeout, match="under way"):
            await writer.ask(b"\x10\x04\x01")
        writer.release()
        await job
        assert received(line[1]) == picture

    run(scene)


def test_a_question_is_sent_on_a_line_that_is_held_and_idle(line: tuple[socket.socket, socket.socket]) -> None:
    async def scene() -> None:
        writer = FdWriter("printer", line[0].fileno())
        writer.hold()
        await writer.ask(b"\x10\x04\x01")
        assert received(line[1]) == b"\x10\x04\x01"
        writer.lose("it burns")
        with pytest.raises(DeviceLost, match="it burns"):
            await writer.ask(b"\x10\x04\x01")

    run(scene)


def test_a_question_that_can_not_leave_ends_in_time_and_without_spinning(
    line: tuple[socket.socket, socket.socket],
) -> None:
    async def scene() -> None:
        with contextlib.suppress(BlockingIOError):
            while line[0].send(bytes(65536)):
                pass
        writer = FdWriter("printer", line[0].fileno())
        with pytest.raises(DeviceTimeout, match="accepts nothing"):
            await writer.ask(b"\x10\x04\x01")
        line[1].close()
        with pytest.raises(DeviceLost):
            await writer.ask(b"\x10\x04\x01")

    run(scene)


@pytest.mark.parametrize("asks_again", [False, True])
def test_a_question_that_left_in_part_is_finished_before_anything_else(
    line: tuple[socket.socket, socket.socket], monkeypatch: pytest.MonkeyPatch, *, asks_again: bool
) -> None:
    """A printer takes the next byte for its end: it is not to be the job's."""
    write, room = os.write, 2

    def narrow(fd: int, data: bytes) -> int:
        nonlocal room
        if not room:
            raise BlockingIOError
        taken = write(fd, data[:room])
        room -= taken
        return taken

    monkeypatch.setattr(os, "write", narrow)

    async def scene() -> None:
        nonlocal room
        writer = FdWriter("printer", line[0].fileno())
        with pytest.raises(DeviceTimeout, match="accepts nothing"):
            await writer.ask(b"\x10\x04\x01")
        with pytest.raises(DeviceTimeout, match="accepts nothing"):
            await writer.ask(b"\x10\x04\x02")
        room = 1000
        if asks_again:
            await writer.ask(b"\x10\x04\x04")
        await writer.write(b"Cola", deadline_s=LONG)
        again = b"\x10\x04\x04" if asks_again else b""
        assert received(line[1]) == b"\x10\x04\x01" + again + b"Cola"

    run(scene)


def test_a_stalled_job_is_given_more_time_once_it_has_begun(line: tuple[socket.socket, socket.socket]) -> None:
    async def scene() -> None:
        writer = FdWriter("printer", line[0].fileno())
        assert writer.stalled_s() == 0
        job = asyncio.create_task(writer.write(b"x" * 10_000_000, deadline_s=0.3))
        await asyncio.sleep(0.1)
        assert 0 < writer.stalled_s() < 0.3
        writer.prolong(1.0)
        await asyncio.sleep(0.4)
        assert not job.done()
        assert writer.stalled_s() > 0.3
        with pytest.raises(DeviceTimeout):
            await job
        assert writer.stalled_s() == 0

    run(scene)


def test_a_job_that_has_not_begun_is_given_no_more_time(line: tuple[socket.socket, socket.socket]) -> None:
    async def scene() -> None:
        writer = FdWriter("printer", line[0].fileno())
        writer.hold()
        job = asyncio.create_task(writer.write(b"x", deadline_s=SOON))
        await turn()
        assert writer.stalled_s() == 0
        writer.prolong(LONG)
        with pytest.raises(DeviceAbsent, match="0 of 1 bytes sent"):
            await job

    run(scene)


def test_a_long_hold_costs_next_to_nothing(line: tuple[socket.socket, socket.socket]) -> None:
    """I8: whoever has to fetch paper takes minutes."""
    looks = 0

    async def scene() -> None:
        async def is_busy() -> bool:
            nonlocal looks
            looks += 1
            return False

        writer = FdWriter("printer", line[0].fileno(), may_send=is_busy)
        with pytest.raises(DeviceAbsent):
            await writer.write(b"x", deadline_s=2.5)

    run(scene)
    assert looks < 300
