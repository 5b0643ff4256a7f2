"""A barcode scanner that types like a keyboard, read from its event node.

It belongs to this process alone for as long as it is open, armed or not: what a customer scans is text that a stranger
chooses, and would otherwise be typed into whatever listens to keyboards, such as a login prompt. While nothing is typed
nothing wakes up.
"""

import asyncio
import contextlib
import errno
import logging
import os
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

from terminald.adapters.device_faults import opening_error
from terminald.adapters.device_opening import OPEN_LIMIT_S, Opener
from terminald.adapters.input_nodes import DIRECTORY, InputNode, NoSuchKeyboard, open_keyboard
from terminald.adapters.ports_devices import FrameSink
from terminald.adapters.scan_delivery import Delivery, ScannerCounters, wait_for_input
from terminald.config_keyboard import KeyboardChoice
from terminald.errors import DeviceLost, DeviceMissing
from terminald.logs import log_event
from terminald.logs_ids import LogId
from terminald.wire.barcode import Suffix
from terminald.wire.keyboard import EVENT_SIZE, KeyFramer

_log = logging.getLogger(__name__)

#: Events taken per turn of the loop: more than the kernel keeps for a keyboard, and less than a millisecond of framing.
READ_EVENTS: Final = 256
#: Reads when arming, so that a device which never falls silent can not hold the loop.
DRAIN_READS: Final = 2
#: Longer than any scanner waits between two keys: a code that began before the opening shows itself.
SETTLE_S: Final = 0.15

FindKeyboard = Callable[[KeyboardChoice], InputNode]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Taken:
    """A node that is ours, as it was found."""

    node: InputNode
    held: frozenset[int]
    is_caps: bool


class HidScanner:
    """Deliver a keyboard scanner's frames while armed; implements :class:`terminald.adapters.ports.Scanner`.

    A frame is delivered as scanned, with its AIM prefix if there is one: ``classify`` and ``bare`` read it.
    """

    kind = "scanner"

    def __init__(
        self,
        *,
        name: str,
        choice: KeyboardChoice,
        suffix: Suffix,
        on_frame: FrameSink,
        opener: FindKeyboard = open_keyboard,
        settle: Callable[[], Awaitable[None]] = lambda: asyncio.sleep(SETTLE_S),
        open_limit_s: float = OPEN_LIMIT_S,
    ) -> None:
        """Opener finds and opens the node, in a thread; settle returns when a code in progress would have shown."""
        self.name = name
        #: Where a change may bring the scanner back.
        self.watched = (Path(choice.text) if choice.by == "path" else DIRECTORY,)
        self._choice = choice
        self._take = partial(_take, opener, choice)
        self._opener = Opener[_Taken](name, close=lambda taken: taken.node.close(), open_limit_s=open_limit_s)
        self._settle = settle
        self._framer = KeyFramer(suffix)
        self._node: InputNode | None = None
        self._wake = asyncio.Event()
        self._deliver = Delivery(name, on_frame)

    @property
    def is_armed(self) -> bool:
        """Whether frames are delivered."""
        return self._deliver.is_armed

    @property
    def counters(self) -> ScannerCounters:
        """Return the counters as they are now."""
        return ScannerCounters(
            delivered=self._deliver.delivered,
            unarmed=self._deliver.unarmed,
            garbled=self._framer.garbled,
            truncated=self._framer.truncated,
            dropped=self._framer.dropped,
        )

    async def open(self) -> None:
        """Find, open and grab the keyboard, and discard what was typed before; see ``ports.Device.open``."""
        try:
            taken = await self._opener.open(self._choice.text, self._take)
        except NoSuchKeyboard as exc:
            raise DeviceMissing(self.name, str(exc)) from exc
        except OSError as exc:
            raise await opening_error(self.name, exc.filename or self._choice.text, exc, group="input") from exc
        self._node = taken.node
        log_event(_log, LogId.SCANNER_FOUND, device=self.name, path=str(taken.node.path))
        self._framer.begin(held=taken.held, is_caps=taken.is_caps)
        self._wake.clear()
        await self._settle()
        self._drain(taken.node)

    async def run(self) -> None:
        """Read the keyboard; see ``ports.Device.run``. Exceptions of the sink go to the caller."""
        node = self._node
        if node is None:
            raise DeviceLost(self.name, f"{self._choice.text} is not open")
        loop = asyncio.get_running_loop()
        loop.add_reader(node.fd, self._wake.set)
        try:
            while True:
                await wait_for_input(self._wake, self._framer.deadline())
                self._wake.clear()
                self._receive(node)
        finally:
            # A device that went away stays readable for ever.
            loop.remove_reader(node.fd)

    async def close(self) -> None:
        """Let go of the keyboard and of its grab; see ``ports.Device.close``."""
        node, self._node = self._node, None
        if node is None:
            return
        await self._opener.close(node.path, node.close)

    def arm(self) -> None:
        """Begin to deliver frames. A frame of which a part was typed before is discarded with its remainder."""
        if self._node is not None:
            self._drain(self._node)
        self._deliver.arm()

    def disarm(self) -> None:
        """Stop to deliver frames; those that are typed are counted and dropped. The grab stays."""
        self._deliver.disarm()

    def _receive(self, node: InputNode) -> None:
        """Read once, and deliver what is complete.

        Raises:
            DeviceLost: the keyboard went away.
        """
        # Taken before reading: an empty queue then proves silence up to here, however long this process is held up.
        asked_ms = _now_ms()
        try:
            self._mend(node)
            frames = self._read(node)
        except BlockingIOError:
            frames = self._framer.idle(asked_ms)
        except OSError as exc:
            raise DeviceLost(self.name, f"{node.path} went away; check the cable") from exc
        self._deliver(frames)

    def _read(self, node: InputNode) -> list[str]:
        """Read once; return the frames.

        Raises:
            BlockingIOError: nothing has arrived.
            OSError: the keyboard went away.
        """
        data = os.read(node.fd, READ_EVENTS * EVENT_SIZE)
        if not data:
            raise OSError(errno.ENODEV, os.strerror(errno.ENODEV))
        # Taken after reading: what was read had arrived by now, so that the silence after it is not overrated.
        frames = self._framer.feed(data, _now_ms())
        self._mend(node)
        return frames

    def _mend(self, node: InputNode) -> None:
        """Find out which keys are held when the kernel has dropped some of what was typed."""
        if self._framer.is_torn:
            held = node.held_keys()
            self._framer.resume(held, _now_ms())

    def _drain(self, node: InputNode) -> None:
        """Discard what has arrived, after it was framed: a half-typed code's second half could be taken for a code.

        Errors are left to :meth:`run`, which meets them as well.
        """
        with contextlib.suppress(OSError):
            self._mend(node)
            for _ in range(DRAIN_READS):
                self._deliver.unarmed += len(self._read(node))
            self._framer.interrupt(_now_ms())
            self._mend(node)
        self._framer.discard()
        self._wake.set()


def _take(opener: FindKeyboard, choice: KeyboardChoice) -> _Taken:
    """Open the keyboard, and make it ours before anything else is done with it."""
    node = opener(choice)
    with ExitStack() as undo:
        undo.callback(node.close)
        try:
            node.grab()
            node.narrow()
            held, is_caps = node.held_keys(), node.is_caps_on()
        except OSError as exc:
            exc.filename = node.path
            raise
        undo.pop_all()
    return _Taken(node=node, held=held, is_caps=is_caps)


def _now_ms() -> int:
    return int(asyncio.get_running_loop().time() * 1000)
