"""The serial line of the simulated adapter: how its text gets to the host, and how the host's text is read.

Nothing here knows what the text means. Time comes from a :class:`Clock`, which an asyncio loop is by itself.
"""

import math
import random
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Protocol

ENDS: Final = {"crlf": "\r\n", "lf": "\n", "cr": "\r"}
#: Longer than any command; what is longer is dropped up to its end.
LINE_LIMIT: Final = 256
#: A host writes a line in one go: one whose end has not come after so long was not ended.
UNENDED_S: Final = 1.0
#: As much as a person would ask for; more only fills the line.
NOISE_LIMIT: Final = 1 << 20
#: What other parts of such an adapter say at any time: acknowledgements, the sniffer, its master side, nothing.
_INTERLEAVED: Final = ("r,ACK", "x,ACK", "x,00,{ticks},12,", "x,80,{ticks},ACK", "d,STATUS,RESET", "r,ACK,", "")


class Timer(Protocol):
    """What can be called off."""

    def cancel(self) -> None:
        """Call it off; harmless when it has rung."""
        ...


class Clock(Protocol):
    """Monotonic seconds, and calls that are due later."""

    def time(self) -> float:
        """Return the time."""
        ...

    def call_later(self, delay: float, callback: Callable[[], None], /) -> Timer:
        """Have it called after so many seconds, never at once."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Manner:
    """How the adapter's lines reach the host.

    Attributes:
        end: what ends each line.
        delay_s: how late each line is.
        merge_s: lines of so long a time come in one write; 0 writes each by itself.
        chunk: each line comes in pieces of so many bytes, gap_s apart; None sends it whole.
        is_echoing: what the host sends comes back as well.
        interleave: before each line another one that means nothing, so often (0 to 1).
        repeats: how often a request's line is sent.
    """

    end: str = "\r\n"
    delay_s: float = 0
    merge_s: float = 0
    chunk: int | None = None
    gap_s: float = 0
    is_echoing: bool = False
    interleave: float = 0
    repeats: int = 1


class Mouth:
    """What the adapter says. Manner may be replaced and is_mute set at any time; order is always kept."""

    def __init__(
        self, *, clock: Clock, write: Callable[[bytes], None], manner: Manner, seed: int, note: Callable[[str], None]
    ) -> None:
        self.manner = manner
        self.is_mute = False
        self._clock = clock
        self._write = write
        self._note = note
        self._random = random.Random(seed)
        self._waiting: deque[tuple[float, bytes]] = deque()
        self._timer: Timer | None = None

    def say(self, *lines: str) -> float:
        """Send lines. Returns when the last byte leaves, which is never (infinity) while mute."""
        due = self._clock.time()
        for line in lines:
            if self.is_mute:
                self._note(f"(< {line})")
                continue
            self._note(f"< {line}")
            if self._random.random() < self.manner.interleave:
                other = self._random.choice(_INTERLEAVED).format(ticks=int(due * 1000) & 0xFFFFFF)
                self._queue(f"{other}{self.manner.end}".encode())
            due = self._queue(f"{line}{self.manner.end}".encode())
        return math.inf if self.is_mute else due

    def send(self, data: bytes) -> None:
        """Send bytes as they are, in their turn."""
        if data and not self.is_mute:
            self._queue(data)

    def noise(self, count: int) -> None:
        """Send random bytes, as a bad cable does; they spoil the line that follows."""
        self.send(self._random.randbytes(min(count, NOISE_LIMIT)))

    def silence(self) -> None:
        """Forget what was not sent yet: the power is gone."""
        self._waiting.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _queue(self, data: bytes) -> float:
        manner, now = self.manner, self._clock.time()
        due = now + manner.delay_s
        due = max(due, self._waiting[-1][0]) if self._waiting else due + manner.merge_s
        size = manner.chunk or len(data)
        for start in range(0, len(data), size):
            if start:
                due += manner.gap_s
            if due <= now and not self._waiting:
                self._write(data[start : start + size])
            else:
                self._waiting.append((due, data[start : start + size]))
        self._arm()
        return due

    def _arm(self) -> None:
        if self._waiting and self._timer is None:
            self._timer = self._clock.call_later(max(0.0, self._waiting[0][0] - self._clock.time()), self._drain)

    def _drain(self) -> None:
        self._timer = None
        ready = []
        now = self._clock.time()
        while self._waiting and self._waiting[0][0] <= now:
            ready.append(self._waiting.popleft()[1])
        for data in [b"".join(ready)] if self.manner.merge_s and ready else ready:
            self._write(data)
        self._arm()


class Ear:
    """What the adapter hears: lines that end with LF, CR, or both.

    Args:
        obey: called with each line, without its end; never with an empty one.
        unended, too_long: called with the text of a line that was not ended in time, or that is too long.
    """

    def __init__(
        self,
        *,
        clock: Clock,
        obey: Callable[[str], None],
        unended: Callable[[str], None],
        too_long: Callable[[str], None],
    ) -> None:
        self._clock = clock
        self._obey = obey
        self._unended = unended
        self._too_long = too_long
        self._rest = ""
        self._is_dropping = False
        self._timer: Timer | None = None

    def hear(self, data: bytes) -> None:
        """Take bytes in, in whatever pieces they come."""
        self._quiet()
        for character in data.decode("ascii", errors="replace"):
            if character in "\r\n":
                line, self._rest = self._rest, ""
                if line and not self._is_dropping:
                    self._obey(line)
                self._is_dropping = False
            elif not self._is_dropping:
                self._rest += character
                self._check_length()
        if self._rest:
            self._timer = self._clock.call_later(UNENDED_S, self._complain)

    def forget(self) -> None:
        """Begin anew: the power was gone."""
        self._quiet()
        self._rest = ""
        self._is_dropping = False

    def _check_length(self) -> None:
        if len(self._rest) > LINE_LIMIT:
            self._too_long(self._rest)
            self._rest = ""
            self._is_dropping = True

    def _complain(self) -> None:
        self._timer = None
        self._unended(self._rest)

    def _quiet(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
