"""What a scanner does by itself: it sees what is held before its window, and hears what the host commands."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Final, Literal, Self

from terminald.simulator.scanner_device import SimulatedScanner

#: How often it looks and listens.
LOOK_S: Final = 0.005
#: Why most engines in continuous mode do not read the same code more often (GM65: "reading interval").
INTERVAL_S: Final = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Engine:
    """How a host switches an engine on and off, from the makers' manuals.

    ``answer`` is what it says to either command, ``refusal`` to what it does not understand. One that latches reads
    until it is switched off, the others until they have read something.
    """

    on: bytes
    off: bytes
    answer: bytes = b""
    refusal: bytes = b""
    latches: bool = False


ENGINES: Final = {
    "gm65": Engine(
        on=bytes.fromhex("7E000801000201ABCD"),
        off=bytes.fromhex("7E000801000200ABCD"),
        answer=bytes.fromhex("02000001003331"),
    ),
    "ssi": Engine(
        on=bytes.fromhex("04E40400FF14"),
        off=bytes.fromhex("04E50400FF13"),
        answer=bytes.fromhex("04D00000FF2C"),
        refusal=bytes.fromhex("05D1000006FF24"),
    ),
    "honeywell": Engine(on=b"\x16T\r", off=b"\x16U\r"),
    "keyence": Engine(on=b"LON\r", off=b"LOFF\r", latches=True),
}


class ScannerWindow:
    """Plays a scanner's eyes and ears in a thread of its own; a context manager.

    Without an engine it reads what is held before it at once and, in continuous mode, again and again. With one, it
    reads only while the host has switched it on.

    Attributes:
        heard: the commands of the host, in order; ``?`` is what was not understood.
        is_lit: whether it reads now.
        reads: how often it has read something.
    """

    def __init__(
        self,
        scanner: SimulatedScanner,
        *,
        engine: Engine | None = None,
        is_continuous: bool = False,
        interval_s: float = INTERVAL_S,
        suffix: str = "\r",
        prefix: str = "",
    ) -> None:
        self.heard: list[Literal["on", "off", "?"]] = []
        self.is_lit = engine is None
        self.reads = 0
        self._scanner = scanner
        self._engine = engine
        self._is_continuous = is_continuous
        self._interval_s = interval_s
        self._suffix = suffix
        self._prefix = prefix
        self._changed = threading.Condition()
        self._stop = threading.Event()
        self._pending = b""
        self._code: str | None = None
        self._stays = False
        self._read_at = 0.0
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()

    @property
    def is_triggered(self) -> bool:
        """Whether the host switches it on and off."""
        return self._engine is not None

    def show(self, code: str) -> None:
        """Hold a code before the window until it has been read once."""
        self._hold(code, stays=False)

    def leave(self, code: str) -> None:
        """Hold a code before the window until :meth:`take_away`; it is read as often as the scanner does that."""
        self._hold(code, stays=True)

    def take_away(self) -> None:
        """Hold nothing before the window any more."""
        with self._changed:
            self._code = None

    def wait(self, is_so: Callable[[], bool], limit_s: float = 20.0) -> bool:
        """Wait until it is so, after any change here; return whether it is."""
        with self._changed:
            return self._changed.wait_for(is_so, limit_s)

    def _hold(self, code: str, *, stays: bool) -> None:
        with self._changed:
            self._code, self._stays = code, stays
            self._read_at = 0.0

    def _run(self) -> None:
        while not self._stop.wait(LOOK_S):
            with self._changed:
                self._listen()
                self._look()

    def _listen(self) -> None:
        """Obey what the host has sent; what a scanner without a trigger hears means nothing to it."""
        data = self._scanner.receive()
        if self._engine is None or not data:
            return
        self._pending += data
        while self._pending:
            commands: tuple[tuple[Literal["on", "off"], bytes], ...] = (
                ("on", self._engine.on),
                ("off", self._engine.off),
            )
            found = next((name for name, command in commands if self._pending.startswith(command)), None)
            if found is not None:
                self._pending = self._pending[len(dict(commands)[found]) :]
                self.is_lit = found == "on"
                self.heard.append(found)
                self._scanner.send(self._engine.answer)
            elif any(command.startswith(self._pending) for _, command in commands):
                break
            else:
                self._pending = b""
                self.heard.append("?")
                self._scanner.send(self._engine.refusal)
        self._changed.notify_all()

    def _look(self) -> None:
        if self._code is None or not self.is_lit or not self._is_time():
            return
        if not self._scanner.scan(self._code, suffix=self._suffix, prefix=self._prefix):
            return
        self.reads += 1
        self._read_at = time.monotonic()
        if not self._stays:
            self._code = None
        if self._engine is not None and not self._engine.latches:
            self.is_lit = False
        self._changed.notify_all()

    def _is_time(self) -> bool:
        """Whether the same code may be read again: after the interval, or when the host has asked for it anew."""
        if not self._read_at:
            return True
        may_repeat = self._is_continuous or self._engine is not None
        return may_repeat and time.monotonic() - self._read_at >= self._interval_s
