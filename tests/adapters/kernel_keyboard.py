"""A keyboard behind the kernel's event interface, as far as a reader can tell the difference.

Written from linux/drivers/input/evdev.c and not from our reader. Every opening has a buffer of 64 events of its own,
here a pipe. Events can be read once their packet is complete. An event that fills the buffer throws all that is unread
away and leaves SYN_DROPPED and itself. Asking for the keys that are down removes the keys that wait. A grab keeps
events from everybody else; it ends with the closing. Masked types of events are not stored.
"""

import errno
import fcntl
import os
import struct
import termios
import threading
from collections.abc import Callable, Iterator

from evdev import ecodes

from terminald.adapters.input_nodes import InputNode
from terminald.config_keyboard import KeyboardChoice

BUFFER = 64
EVENT = struct.Struct("llHHi")
Event = tuple[int, int, int]  # type, code, value
REPORT: Event = (ecodes.EV_SYN, ecodes.SYN_REPORT, 0)
DROPPED: Event = (ecodes.EV_SYN, ecodes.SYN_DROPPED, 0)

_NAMES = {
    **{digit: f"KEY_{digit}" for digit in "0123456789"},
    **{letter: f"KEY_{letter.upper()}" for letter in "abcdefghijklmnopqrstuvwxyz"},
    " ": "KEY_SPACE",
    "\n": "KEY_ENTER",
    "\t": "KEY_TAB",
    "-": "KEY_MINUS",
    "=": "KEY_EQUAL",
    "[": "KEY_LEFTBRACE",
    "]": "KEY_RIGHTBRACE",
    "\\": "KEY_BACKSLASH",
    ";": "KEY_SEMICOLON",
    "'": "KEY_APOSTROPHE",
    "`": "KEY_GRAVE",
    ",": "KEY_COMMA",
    ".": "KEY_DOT",
    "/": "KEY_SLASH",
}
_UNSHIFTED = {
    **dict(zip('~!@#$%^&*()_+{}|:"<>?', "`1234567890-=[]\\;',./", strict=True)),
    **{letter.upper(): letter for letter in "abcdefghijklmnopqrstuvwxyz"},
}
SHIFT = ecodes.KEY_LEFTSHIFT


def code_of(name: str) -> int:
    """Return the number of a key by the kernel's name for it."""
    return int(ecodes.ecodes[name])


def packed(*events: Event) -> bytes:
    """Return events as ``read(2)`` gives them."""
    return b"".join(EVENT.pack(1_790_000_000, 5, *event) for event in events)


def strokes(text: str) -> Iterator[tuple[int, int]]:
    """Yield the keys that a scanner moves for a text: the key's code, and 1 for down or 0 for up."""
    for character in text:
        plain = _UNSHIFTED.get(character, character)
        code = code_of(_NAMES[plain])
        if plain != character:
            yield SHIFT, 1
        yield code, 1
        yield code, 0
        if plain != character:
            yield SHIFT, 0


def packet(code: int, value: int) -> list[Event]:
    """Return what the kernel tells of one movement of a key."""
    scan = [] if value == 2 else [(ecodes.EV_MSC, ecodes.MSC_SCAN, 0x70000 + code)]
    return [*scan, (ecodes.EV_KEY, code, value), REPORT]


def typed(text: str) -> bytes:
    """Return everything that is read when a scanner types a text."""
    return b"".join(packed(*packet(code, value)) for code, value in strokes(text))


class _Client:
    """One opening of the node: a pipe whose reading end is also taken back from here."""

    def __init__(self) -> None:
        self.fd, self._writing = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._reading = os.dup(self.fd)
        self._inode = os.fstat(self.fd).st_ino
        self._packet: list[Event] = []  # what can not be read before it is complete
        self.masked: set[int] = set()

    def is_open(self) -> bool:
        """Tell whether the reader still has its descriptor."""
        try:
            return os.fstat(self.fd).st_ino == self._inode
        except OSError:
            return False

    def unread(self) -> int:
        size = fcntl.ioctl(self._reading, termios.FIONREAD, bytes(4))
        return int(struct.unpack("i", size)[0]) // EVENT.size

    def push(self, event: Event) -> None:
        if event[0] in self.masked or (event == REPORT and not self._packet):
            return
        self._packet.append(event)
        if self.unread() + len(self._packet) >= BUFFER:
            self._take_back()
            self._packet = [DROPPED, event]
        if event == REPORT:
            os.write(self._writing, packed(*self._packet))
            self._packet = []

    def flush_keys(self) -> None:
        kept: list[Event] = []
        in_packet = 1
        for event in self._take_back():
            if event[0] == ecodes.EV_KEY or (event == REPORT and not in_packet):
                continue
            kept.append(event)
            in_packet = 0 if event == REPORT else in_packet + 1
        os.write(self._writing, packed(*kept))

    def hang_up(self) -> None:
        os.close(self._writing)
        os.close(self._reading)

    def _take_back(self) -> list[Event]:
        try:
            data = os.read(self._reading, BUFFER * EVENT.size)
        except BlockingIOError:
            return []
        return [(kind, code, value) for _, _, kind, code, value in EVENT.iter_unpack(data)]


class KernelKeyboard:
    """A keyboard that can be typed on, opened, grabbed, unplugged and plugged in again as another node.

    ``asked`` records every request to an open node, with what waited to be read at that moment.
    """

    def __init__(self, path: str = "/dev/input/event3", *, has_masks: bool = True, is_caps: bool = False) -> None:
        self.path = path
        self.asked: list[tuple[str, int]] = []
        self.is_caps = is_caps
        self.held: set[int] = set()
        self.is_plugged = True
        self.open_fault: OSError | None = None
        self.before_asking: Callable[[str], None] = lambda _: None
        self._has_masks = has_masks
        self._clients: list[_Client] = []
        self._grabber: _Client | None = None
        self._lock = threading.Lock()

    def open(self, choice: KeyboardChoice | None = None) -> InputNode:
        """Open the node, as an opener does."""
        del choice
        if self.open_fault is not None:
            raise self.open_fault
        if not self.is_plugged:
            raise FileNotFoundError(errno.ENOENT, "No such file or directory", self.path)
        client = _Client()
        self._clients.append(client)
        self.asked.append(("open", 0))
        return InputNode(fd=client.fd, path=self.path, ioctl=lambda _, *rest: self._ioctl(client, *rest))

    def type(self, text: str) -> None:
        """Type as a scanner does."""
        for code, value in strokes(text):
            self.move(code, value)

    def move(self, code: int, value: int) -> None:
        """Press (1), release (0) or repeat (2) a key."""
        with self._lock:
            (self.held.add if value else self.held.discard)(code)
            for client in [one for one in self._clients if not one.is_open()]:
                self._release(client)
            for client in [self._grabber] if self._grabber else self._clients:
                for event in packet(code, value):
                    client.push(event)

    def unplug(self) -> None:
        """Go away: readers find the end."""
        self.is_plugged = False
        for client in [*self._clients]:
            self._release(client)

    def replug(self, path: str) -> None:
        """Come back as another node."""
        self.path, self.is_plugged = path, True
        self.held.clear()

    def close(self) -> None:
        """Let go of everything that a test has left open."""
        self.unplug()

    def _ioctl(self, client: _Client, request: int, argument: int | bytearray) -> None:
        names = {0x90: "grab", 0x93: "mask", 0x18: "keys", 0x19: "leds"}
        assert request >> 8 & 0xFF == ord("E")
        assert request >> 16 & 0x3FFF == (len(argument) if isinstance(argument, bytearray) else 4)
        name = names[request & 0xFF]
        self.before_asking(name)
        with self._lock:
            self._answer(client, name, argument)

    def _answer(self, client: _Client, name: str, argument: int | bytearray) -> None:
        if client not in self._clients:
            raise OSError(errno.ENODEV, "No such device")
        self.asked.append((name, client.unread()))
        if name == "grab":
            assert argument == 1
            self._grab(client)
            return
        assert isinstance(argument, bytearray)
        if name == "mask":
            if not self._has_masks:
                raise OSError(errno.EINVAL, "Invalid argument")
            kind, size, _ = struct.unpack("=IIQ", argument)
            assert size == 0
            client.masked.add(kind)
        elif name == "keys":
            client.flush_keys()
            for code in self.held:
                argument[code // 8] |= 1 << code % 8
        elif self.is_caps:
            argument[0] |= 1 << ecodes.LED_CAPSL

    def _release(self, client: _Client) -> None:
        self._clients.remove(client)
        client.hang_up()
        if client is self._grabber:
            self._grabber = None

    def _grab(self, client: _Client) -> None:
        if self._grabber is not None and self._grabber.is_open():
            raise OSError(errno.EBUSY, "Device or resource busy")
        self._grabber = client
