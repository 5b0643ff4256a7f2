"""The switch of a scanning engine that reads only when the host says so.

Theory of operation: a command is a few bytes, which a serial line takes at once. Where it does not (flow control, a
dead adapter), the loop never waits for it: the line is asked again as soon as it can take something, for a short while,
and only for the newest wish. A command of which a part has left is finished first, so that the engine sees no halves.
A command that was given up is tried again later, as the newest wish then is, until the line takes one: an engine that
was to be off must not stay on.
"""

import asyncio
import contextlib
import logging
import os
import termios
from typing import Final

from terminald.logs import log_event
from terminald.logs_ids import LogId

_log = logging.getLogger(__name__)

#: A line that takes nothing for this long has a fault which no patience mends. A command of 32 bytes takes 0.3 s at
#: 1200 baud.
WRITE_LIMIT_S: Final = 1.0
#: How long a line that took nothing is left alone before the newest wish is tried again.
RETRY_S: Final = 2.0
#: Engines switch themselves off when they have read something. On again after this pause: a stream of noise that looks
#: like readings must not become a stream of commands.
REPEAT_S: Final = 0.3


class Trigger:
    """Sends the commands of one engine; an empty command is not sent.

    Attributes:
        untaken: commands that the line did not take.
    """

    def __init__(
        self, name: str, *, on: bytes, off: bytes, limit_s: float = WRITE_LIMIT_S, retry_s: float = RETRY_S
    ) -> None:
        """Name is the scanner's, for the log."""
        self.untaken = 0
        self._name = name
        self._on = on
        self._off = off
        self._limit_s = limit_s
        self._retry_s = retry_s
        self._fd = -1
        self._rest = b""
        self._wish = b""  # what is still to be sent
        self._wanted = b""  # the newest wish, sent or not
        self._limit: asyncio.TimerHandle | None = None
        self._repeating: asyncio.TimerHandle | None = None
        self._retrying: asyncio.TimerHandle | None = None
        self._has_complained = False

    def attach(self, fd: int) -> None:
        """Use this line from now on, and switch the engine off: a process that was killed may have left it on."""
        self._fd = fd
        self._rest = self._wish = b""
        self.switch(is_on=False)

    def switch(self, *, is_on: bool) -> None:
        """Wish the engine on or off; harmless without a line."""
        self._stop_timers()
        self._wish = self._wanted = self._on if is_on else self._off
        if self._fd >= 0 and self._limit is None:
            self._send()

    def repeat(self) -> None:
        """Wish it on again shortly, unless there is another wish before: it has read something, and is wanted still."""
        if self._on and self._repeating is None:
            self._repeating = asyncio.get_running_loop().call_later(REPEAT_S, lambda: self.switch(is_on=True))

    def detach(self) -> bool:
        """Switch the engine off if the line takes it now, and let go of the line. Returns whether bytes may be left."""
        fd, self._fd = self._fd, -1
        if fd < 0:
            return False
        self._stop_waiting(fd)
        self._stop_timers()
        last = self._rest + self._off
        if last:
            with contextlib.suppress(OSError):
                os.write(fd, last)
        return bool(last)

    def _send(self) -> None:
        """Finish what is begun, then send the newest wish. A lost line is its reader's to report."""
        try:
            while command := self._rest or self._wish:
                left = command[os.write(self._fd, command) :]
                if not self._rest:
                    self._wish = b""
                self._rest = left
        except BlockingIOError:
            self._wait()
            return
        except OSError:
            self._rest = self._wish = b""
        else:
            self._has_complained = False
        self._stop_waiting(self._fd)

    def _wait(self) -> None:
        if self._limit is None:
            loop = asyncio.get_running_loop()
            loop.add_writer(self._fd, self._send)
            self._limit = loop.call_later(self._limit_s, self._give_up)

    def _stop_waiting(self, fd: int) -> None:
        if self._limit is not None:
            self._limit.cancel()
            self._limit = None
            asyncio.get_running_loop().remove_writer(fd)

    def _stop_timers(self) -> None:
        for timer in (self._repeating, self._retrying):
            if timer is not None:
                timer.cancel()
        self._repeating = self._retrying = None

    def _retry(self) -> None:
        self._retrying = None
        self._wish = self._wanted
        self._send()

    def _give_up(self) -> None:
        """Take back what of the command is in the driver: it must not come out in the middle of another sale.

        The newest wish is tried again later; it is then still what the engine is to be.
        """
        self._stop_waiting(self._fd)
        self._rest = self._wish = b""
        if self._wanted:
            self._retrying = asyncio.get_running_loop().call_later(self._retry_s, self._retry)
        with contextlib.suppress(OSError, termios.error):
            termios.tcflush(self._fd, termios.TCOFLUSH)
        self.untaken += 1
        if not self._has_complained:
            self._has_complained = True
            log_event(_log, LogId.TRIGGER_UNTAKEN, device=self._name)
