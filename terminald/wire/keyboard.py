"""Frames out of what a keyboard scanner types: Linux input events → keys → text → frames.

What a key means is decided here, by the US layout that scanners type in; what a frame is, by
:class:`terminald.wire.barcode.Framer`, whose rules hold for typed codes as well. Two things are a keyboard's own:

1. A key that can not be read is not left out: it spoils its frame. So does everything that is typed with Ctrl, Alt or
   Meta held, because it is no text.
2. When the kernel has dropped events (SYN_DROPPED), nothing is known any more: neither the text nor whether Shift is
   held. Everything is discarded until the caller has asked for the keys that are down (:meth:`KeyFramer.resume`), and
   from there up to the end of that frame.
"""

import struct
from collections.abc import Collection, Iterable
from typing import Final

from terminald.wire.barcode import Framer, Suffix

#: ``struct input_event``: the time as two longs, then type, code and value; 24 bytes, on 32-bit systems 16.
_EVENT: Final = struct.Struct("@llHHi")
EVENT_SIZE: Final = _EVENT.size

# linux/input-event-codes.h
_EV_SYN, _EV_KEY = 0, 1
_SYN_DROPPED = 3
_RELEASED, _PRESSED = 0, 1  # 2 is the kernel's own repetition of a key that stays down
_TAB, _ENTER, _KEYPAD_ENTER = 15, 28, 96
_CAPS_LOCK, _NUM_LOCK = 58, 69

_SHIFTS: Final = frozenset({42, 54})
#: With these held a key is a command: Ctrl, Alt and Meta, left and right.
_COMMANDING: Final = frozenset({29, 97, 56, 100, 125, 126})
_ENDS: Final = {_ENTER: ord("\r"), _KEYPAD_ENTER: ord("\r"), _TAB: ord("\t")}
#: Stands in the text for what is none; no frame survives it. ASCII's SUB.
_SPOILT: Final = 0x1A

#: The US layout in runs of neighbouring keys: the first one's code, what they type, and what they type with Shift.
_LAYOUT: Final = (
    (2, "1234567890-=", "!@#$%^&*()_+"),
    (16, "qwertyuiop[]", "QWERTYUIOP{}"),
    (30, "asdfghjkl;'`", 'ASDFGHJKL:"~'),
    (43, "\\zxcvbnm,./", "|ZXCVBNM<>?"),
    (57, " ", " "),
    # The keypad: Num Lock is ignored. Shift would turn its digits into arrows.
    (55, "*", "*"),
    (71, "789-456+1230.", "\x1a\x1a\x1a-\x1a\x1a\x1a+\x1a\x1a\x1a\x1a\x1a"),
    (98, "/", "/"),
)
_KEYS: Final = {
    first + place: (ord(plain), ord(shifted))
    for first, plains, shifteds in _LAYOUT
    for place, (plain, shifted) in enumerate(zip(plains, shifteds, strict=True))
}
_LETTERS: Final = frozenset(code for code, (plain, _) in _KEYS.items() if chr(plain).isalpha())
_TOP_DIGITS: Final = frozenset(range(2, 12))
_KEYPAD_DIGITS: Final = frozenset({71, 72, 73, 75, 76, 77, 79, 80, 81, 82})

#: A slow scanner types one character in 20 ms (two reports of a low-speed USB device), as a line of this speed would.
#: It makes the silence that ends a frame without suffix 100 ms.
KEY_BAUD: Final = 500


def types_codes(keys: Collection[int]) -> bool:
    """Tell whether a device with these keys can type a number and end it with Enter."""
    has_digits = _TOP_DIGITS.issubset(keys) or _KEYPAD_DIGITS.issubset(keys)
    return has_digits and (_ENTER in keys or _KEYPAD_ENTER in keys)


class KeyFramer:
    """Cut what a keyboard types into frames; never raises, whatever the bytes.

    All times are milliseconds of any one monotonic clock. How the bytes of one instant are divided into calls makes no
    difference. The caller calls :meth:`begin` for each device, :meth:`idle` when :meth:`deadline` is reached and
    nothing more has arrived, and :meth:`resume` as soon as :attr:`is_torn` is set.
    """

    def __init__(self, suffix: Suffix) -> None:
        """Suffix says how the scanner ends a code: "cr" is Enter, "tab" Tab, "auto" either; "none" a short silence."""
        self.is_torn = False  # events are missing, and what is held is not known
        self._interruptions = 0
        self._framer = Framer(suffix, baudrate=KEY_BAUD, is_typed=True)
        self._part = b""
        self._held: set[int] = set()  # Shift, Ctrl and their like
        self._is_caps = False
        self._has_toggled = False
        self._was_torn = False

    @property
    def garbled(self) -> int:
        """Frames with keys that are no text."""
        return self._framer.garbled

    @property
    def truncated(self) -> int:
        """Frames whose end did not come in time."""
        return self._framer.truncated

    @property
    def dropped(self) -> int:
        """Frames that were too long, and interruptions by the kernel's full buffer."""
        return self._framer.dropped + self._interruptions

    def begin(self, *, held: Iterable[int], is_caps: bool) -> None:
        """Begin anew with a device that was just opened: which keys are down, and whether Caps Lock is lit."""
        self._framer.reset()
        self._part = b""
        self._held = self._modifiers(held)
        self._is_caps = is_caps
        self._has_toggled = self._was_torn = self.is_torn = False

    def feed(self, data: bytes, now_ms: int) -> list[str]:
        """Take bytes of events that were read now; return the frames that they complete, without their suffix."""
        data = self._part + data
        whole = len(data) - len(data) % EVENT_SIZE
        self._part = data[whole:]
        if self.is_torn:
            return []
        text = bytearray()
        for _, _, kind, code, value in _EVENT.iter_unpack(data[:whole]):
            if kind == _EV_KEY:
                text += self._take(code, value)
            elif kind == _EV_SYN and code == _SYN_DROPPED:
                frames = self._framer.feed(bytes(text), now_ms)
                self.interrupt(now_ms)
                return frames
        return self._framer.feed(bytes(text), now_ms)

    def interrupt(self, now_ms: int) -> None:
        """Note that events are lost from here on, up to :meth:`resume`."""
        self._interruptions += 1
        self.is_torn = self._was_torn = True
        self._void(now_ms)

    def resume(self, held: Iterable[int], now_ms: int) -> None:
        """Go on with the keys that are down. Later events are complete; now is not before the moment of asking."""
        self._held = self._modifiers(held)
        self.is_torn = False
        self._void(now_ms)

    def idle(self, now_ms: int) -> list[str]:
        """Note that nothing arrived up to now; return the frame that the silence completes, if any."""
        return [] if self.is_torn else self._framer.idle(now_ms)

    def deadline(self) -> int | None:
        """Return when :meth:`idle` is to be called unless something is typed before, or None."""
        return self._framer.deadline()

    def discard(self) -> None:
        """Drop the open frame together with its remainder that is still to come; harmless between frames."""
        self._framer.discard()

    def _void(self, now_ms: int) -> None:
        """Drop the frame of this moment, of which nothing may have been seen, and count its silence from now."""
        self._framer.feed(bytes((_SPOILT,)), now_ms)
        self._framer.discard()

    def _take(self, code: int, value: int) -> bytes:
        if value == _RELEASED:
            self._held.discard(code)
        if value != _PRESSED:
            return b""
        if code in _ENDS:
            return bytes((_ENDS[code],))
        if code in _SHIFTS or code in _COMMANDING:
            self._held.add(code)
        if code in _SHIFTS or code == _NUM_LOCK:
            return b""
        if code == _CAPS_LOCK:
            return self._toggle()
        return bytes((self._character(code),))

    def _toggle(self) -> bytes:
        """Take a press of Caps Lock.

        Others may be among the lost events of a scanner that uses it, and nothing tells: the case of its letters stays
        in doubt. The first press after a loss brings this to light, perhaps in the middle of a frame.
        """
        is_news = self._was_torn and not self._has_toggled
        self._has_toggled = True
        self._is_caps = not self._is_caps
        return bytes((_SPOILT,)) if is_news else b""

    def _character(self, code: int) -> int:
        if code not in _KEYS or not self._held.isdisjoint(_COMMANDING):
            return _SPOILT
        plain, shifted = _KEYS[code]
        is_shifted = bool(self._held)
        if code in _LETTERS:
            if self._was_torn and self._has_toggled:
                return _SPOILT
            is_shifted ^= self._is_caps
        return shifted if is_shifted else plain

    @staticmethod
    def _modifiers(held: Iterable[int]) -> set[int]:
        return {code for code in held if code in _SHIFTS or code in _COMMANDING}
