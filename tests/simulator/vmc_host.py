"""Hosts of the simulated adapter: one on a real pseudo terminal, one in memory on a clock that a test moves."""

import asyncio
import heapq
import itertools
import os
from collections.abc import Callable
from typing import Self

from terminald.simulator.vmc import Firmware, MachineModel, Manner, VmcWorld

SETTINGS = ("mdb-always-idle=1", "mdb-currency-code=0x1156", "mdb-timeout=120", "mdb-restore-funds=1")
WAIT_S = 30
#: A machine that takes no time where nothing is said about time.
QUICK = MachineModel(step_s=0, dispensing_s=0)


class PtyHost:
    """What opens the device; reads lines whatever they end with."""

    def __init__(self, path: str) -> None:
        self.fd = os.open(path, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
        self.seen: list[str] = []
        self.data = b""
        self.is_hung_up = False
        self._changed = asyncio.Event()
        asyncio.get_running_loop().add_reader(self.fd, self._on_readable)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._leave()
        os.close(self.fd)

    def send(self, *lines: str) -> None:
        for line in lines:
            os.write(self.fd, f"{line}\n".encode())

    async def until(self, is_reached: Callable[[], bool]) -> None:
        async with asyncio.timeout(WAIT_S):
            while not is_reached():
                self._changed.clear()
                await self._changed.wait()

    async def expect(self, *lines: str) -> None:
        """Wait for exactly these lines, the next ones."""
        await self.until(lambda: len(self.seen) >= len(lines))
        seen, self.seen = self.seen[: len(lines)], self.seen[len(lines) :]
        assert seen == list(lines)

    async def skip_to(self, line: str) -> list[str]:
        """Wait for this line; return what came before it."""
        await self.until(lambda: line in self.seen)
        at = self.seen.index(line)
        before, self.seen = self.seen[:at], self.seen[at + 1 :]
        return before

    async def set_up(self, *settings: str) -> None:
        self.send("C,0", *(f"C,SETCONF,{each}" for each in settings or SETTINGS), "C,1")
        await self.skip_to("c,STATUS,ENABLED")

    def _on_readable(self) -> None:
        try:
            data = os.read(self.fd, 4096)
        except OSError:
            data = b""
        if not data:
            self.is_hung_up = True
            self._leave()
        self.data += data
        *whole, rest = self.data.replace(b"\r", b"\n").split(b"\n")
        self.seen += [line.decode(errors="replace") for line in whole if line]
        self.data = rest
        self._changed.set()

    def _leave(self) -> None:
        asyncio.get_running_loop().remove_reader(self.fd)


class ManualTimer:
    def __init__(self, callback: Callable[[], None]) -> None:
        self.callback: Callable[[], None] | None = callback

    def cancel(self) -> None:
        self.callback = None


class ManualClock:
    """Time that passes when the test says so."""

    def __init__(self) -> None:
        self.now = 1000.0
        self._timers: list[tuple[float, int, ManualTimer]] = []
        self._count = itertools.count()

    def time(self) -> float:
        return self.now

    def call_later(self, delay: float, callback: Callable[[], None], /) -> ManualTimer:
        timer = ManualTimer(callback)
        heapq.heappush(self._timers, (self.now + delay, next(self._count), timer))
        return timer

    def advance(self, seconds: float) -> None:
        end = self.now + seconds
        while self._timers and self._timers[0][0] <= end:
            self.now, _, timer = heapq.heappop(self._timers)
            callback, timer.callback = timer.callback, None
            if callback is not None:
                callback()
        self.now = end


class Bench:
    """A machine in memory: what it writes, and whether the line is there."""

    def __init__(
        self,
        *,
        model: MachineModel = QUICK,
        firmware: Firmware | None = None,
        manner: Manner | None = None,
    ) -> None:
        self.writes: list[bytes] = []
        self.plugged = 0
        self.is_plugged_in = False
        self.clock = ManualClock()
        self.vmc = VmcWorld(
            clock=self.clock, line=self, model=model, firmware=firmware, manner=manner or Manner(end="\n")
        )
        self.vmc.replug()

    def write(self, data: bytes) -> None:
        self.writes.append(data)

    def plug_in(self) -> None:
        self.is_plugged_in = True
        self.plugged += 1

    def pull_out(self) -> None:
        self.is_plugged_in = False

    def send(self, *lines: str, after_s: float = 0) -> list[str]:
        """Send lines, let time pass; return what has been said since the last call."""
        for line in lines:
            self.vmc.hear(f"{line}\n".encode())
        self.clock.advance(after_s)
        return self.said()

    def said(self) -> list[str]:
        self.clock.advance(0)
        text = b"".join(self.writes).decode(errors="replace")
        self.writes.clear()
        return text.splitlines()

    def set_up(self, *settings: str) -> Self:
        lines = self.send("C,0", *(f"C,SETCONF,{each}" for each in settings or SETTINGS), "C,1", after_s=1)
        assert lines[-1] in ("c,STATUS,ENABLED", "c,STATUS,ONLINE")
        return self
