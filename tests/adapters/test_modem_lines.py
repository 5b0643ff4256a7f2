"""A look at a modem line is a transfer to the adapter and back, and may take its time; the event loop goes on (I8)."""

import asyncio
import contextlib
import os
import pty
import socket
import termios
import threading
import time

import pytest

from terminald.adapters.fd_writer import CHUNK, FdWriter
from terminald.adapters.modem_lines import ModemLines, tells
from terminald.errors import DeviceAbsent, DeviceLost
from tests.measured_loop import MeasuredLoop

LIMIT_S = 0.05
SLOW_S = 0.2


def slow_look() -> bool:
    time.sleep(SLOW_S)
    return True


def test_a_slow_look_before_each_chunk_does_not_delay_the_loop() -> None:
    """I8."""
    loop = MeasuredLoop()
    ours, printers = socket.socketpair()

    async def scene() -> None:
        ours.settimeout(0)
        lines = ModemLines(slow_look)
        begun = loop.time()
        await FdWriter("printer", ours.fileno(), may_send=lines).write(b"x" * CHUNK * 3, deadline_s=30)
        assert loop.time() - begun >= 3 * SLOW_S
        await asyncio.to_thread(lines.end)

    with ours, printers:
        try:
            loop.run_until_complete(scene())
        finally:
            loop.close()
        assert len(printers.recv(1000)) == CHUNK * 3
    assert loop.measured.longest_s < LIMIT_S


def test_a_look_that_hangs_ends_a_job_at_its_deadline_and_is_not_begun_twice() -> None:
    """I11."""
    looks, go_on = 0, threading.Event()

    def hang() -> bool:
        nonlocal looks
        looks += 1
        return go_on.wait(20)

    async def scene() -> None:
        ours, printers = socket.socketpair()
        with ours, printers:
            ours.settimeout(0)
            lines = ModemLines(hang)
            writer = FdWriter("printer", ours.fileno(), may_send=lines)
            for _ in range(2):
                with pytest.raises(DeviceAbsent, match="0 of 1 bytes sent"):
                    await writer.write(b"x", deadline_s=0.05)
            assert looks == 1
            go_on.set()
            await writer.write(b"x", deadline_s=20)
            assert printers.recv(10) == b"x"
            await asyncio.to_thread(lines.end)

    asyncio.run(scene())


def test_nothing_is_written_after_a_loss_that_comes_while_a_line_is_looked_at() -> None:
    """The number of the descriptor may be another's by then."""

    async def scene() -> None:
        ours, printers = socket.socketpair()
        with ours, printers:
            ours.settimeout(0)
            printers.settimeout(0)

            async def lose() -> bool:
                writer.lose("it burns")
                return True

            writer = FdWriter("printer", ours.fileno(), may_send=lose)
            with pytest.raises(DeviceAbsent, match="it burns; 0 of 1 bytes sent"):
                await writer.write(b"x", deadline_s=20)
            with pytest.raises(BlockingIOError):
                printers.recv(10)

    asyncio.run(scene())


def test_a_port_that_is_gone_is_a_lost_device() -> None:
    def fail() -> bool:
        raise OSError(5, "Input/output error")

    async def scene() -> None:
        lines = ModemLines(fail)
        with pytest.raises((DeviceAbsent, DeviceLost), match="Input/output error"):
            await FdWriter("printer", 0, may_send=lines).write(b"x", deadline_s=20)
        lines.end()

    asyncio.run(scene())


def test_a_pseudo_terminal_tells_nothing() -> None:
    far, near = pty.openpty()
    with contextlib.ExitStack() as closing:
        closing.callback(os.close, far)
        closing.callback(os.close, near)
        with pytest.raises(OSError, match="ioctl"):
            tells(near, termios.TIOCM_CTS)
