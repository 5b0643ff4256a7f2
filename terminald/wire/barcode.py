"""Frames out of a scanner's byte stream, and whether a frame is a payment code.

The one thing this module must never do is to make a shorter or longer code out of a real one: that would try to charge
somebody else. Hence its rules:

1. A frame counts only when its beginning and its end were both seen. Whatever is in doubt is dropped, whole.
2. What follows a dropped beginning belongs to it, up to the next terminator or a long silence.
3. What engines answer to commands is cut out only where it stands whole between two frames. Anywhere else the frame
   that it touches is dropped.
4. Silence counts only when :meth:`Framer.idle` has seen it. Bytes that are *fed* after a deadline prove nothing: the
   caller may have been late, and they may have arrived in time.
"""

import re
from dataclasses import dataclass
from typing import Final, Literal, get_args

from terminald.core.ids import PaymentCode

Suffix = Literal["auto", "cr", "lf", "crlf", "tab", "none"]
SUFFIXES: Final[tuple[Suffix, ...]] = get_args(Suffix)

#: Bytes of one frame. The longest payment code has 32; a web address in a QR code is still recognised in this much.
FRAME_LIMIT: Final = 512
#: A code of 32 characters takes 33 ms at 9600 baud. A frame that is open this long has lost its end; so has one that is
#: typed, and was interrupted for as long.
STALE_MS: Final = 500
#: Silence after which a broken frame's remainder will not come any more: a scanner's usual pause between two readings.
QUIET_MS: Final = 1000
#: Silence that ends a frame without suffix: above the latency timer of USB serial chips (16 ms), and
GAP_MS: Final = 50
#: at slow speeds this many characters of
GAP_CHARACTERS: Final = 5
#: start bit, eight data bits and stop bit.
CHARACTER_BITS: Final = 10

_STX, _NUL, _ETX, _TAB, _LF, _CR = 0x02, 0x00, 0x03, 0x09, 0x0A, 0x0D
_ENDS: Final[dict[Suffix, frozenset[int]]] = {
    "auto": frozenset({_CR, _LF, _TAB, _ETX, _NUL}),
    "cr": frozenset({_CR, _ETX}),
    "lf": frozenset({_LF, _ETX}),
    "crlf": frozenset({_LF, _ETX}),
    "tab": frozenset({_TAB, _ETX}),
    "none": frozenset(),
}
#: What may stand between two frames, and what is cut off a frame's end: the second half of CR LF, padding.
_BETWEEN: Final = bytes((_NUL, _ETX, _TAB, _LF, _CR))
#: What may stand before a frame besides.
_BEFORE: Final = bytes((_STX,))
#: What engines answer to commands, on the same line as the codes: GM65, whose last two bytes look like digits, and the
#: ACK and NAK of SSI, whose last byte is printable too.
_REPLIES: Final = (
    bytes.fromhex("02000001003331"),
    bytes.fromhex("04D00000FF2C"),
    bytes.fromhex("05D1000006FF24"),
)
_REPLY_HEADS: Final = frozenset(reply[0] for reply in _REPLIES)


class Framer:
    """Cut a scanner's bytes into frames; never raises, whatever the bytes.

    All times are milliseconds of any one monotonic clock. The caller calls :meth:`idle` when :meth:`deadline` is
    reached and nothing more has arrived. How the bytes of one instant are divided into calls makes no difference.
    """

    def __init__(self, suffix: Suffix, *, baudrate: int = 9600, is_typed: bool = False) -> None:
        """Suffix says how the scanner ends a code; baudrate matters only without a suffix.

        ``lf`` and ``crlf`` are the same: a frame ends at LF, and a CR before it belongs to the end. ETX ends a frame
        with any suffix, NUL with ``auto`` alone, because a disturbed line also reads as NUL. A code that is typed may
        take any time as long as it goes on: STALE_MS count from its last character, not from its first.
        """
        self.dropped = 0  # frames longer than FRAME_LIMIT
        self.garbled = 0  # frames with other bytes than printable ASCII
        self.truncated = 0  # frames whose end did not come in time
        self._ends = _ENDS[suffix]
        self._is_timed = suffix == "none"
        self._is_typed = is_typed
        self._gap_ms = max(GAP_MS, -(-GAP_CHARACTERS * CHARACTER_BITS * 1000 // baudrate))
        self._frame = bytearray()
        self._is_discarding = False
        self._opened_ms = 0
        self._last_ms = 0

    def feed(self, data: bytes, now_ms: int) -> list[str]:
        """Take bytes that were read now; return the frames that they complete, without their suffix."""
        if self._frame and now_ms >= self._open_until():
            self._truncate()
        frames = []
        for byte in data:
            frame = self._take(byte, now_ms)
            if frame:
                frames.append(frame)
        if data:
            self._last_ms = now_ms
        return frames

    def idle(self, now_ms: int) -> list[str]:
        """Note that nothing arrived up to now; return the frame that the silence completes, if any."""
        frames = []
        if self._frame and now_ms >= self._open_until():
            if self._is_timed:
                frame = self._complete()
                frames = [frame] if frame else []
            else:
                self._truncate()
        if self._is_discarding and now_ms >= self._discard_until():
            self._is_discarding = False
        return frames

    def deadline(self) -> int | None:
        """Return when :meth:`idle` is to be called unless bytes arrive before, or None: only bytes matter now."""
        if self._is_discarding:
            return self._discard_until()
        return self._open_until() if self._frame else None

    def discard(self) -> None:
        """Drop the open frame together with its remainder that is still to come.

        Harmless between frames, and in the middle of an engine's reply, whose remainder is taken out all the same.
        """
        if self._frame and not self._is_reply_begun():
            self.resynchronise()

    def resynchronise(self) -> None:
        """Note that bytes just fed were followed by some that are lost: the next frame's beginning was not seen."""
        self._is_discarding = True
        self._frame.clear()

    def reset(self) -> None:
        """Begin anew on another line. The counters go on."""
        self._is_discarding = False
        self._frame.clear()

    def _open_until(self) -> int:
        if self._is_timed:
            return self._last_ms + (QUIET_MS if self._is_reply_begun() else self._gap_ms)
        return (self._last_ms if self._is_typed else self._opened_ms) + STALE_MS

    def _is_reply_begun(self) -> bool:
        """Whether the rest of a reply is still to come, which would look like a frame, or like a code's beginning."""
        return len(self._frame) > 1 and self._may_be_reply()

    def _may_be_reply(self) -> bool:
        return self._frame[0] in _REPLY_HEADS and any(reply.startswith(self._frame) for reply in _REPLIES)

    def _discard_until(self) -> int:
        return self._last_ms + (self._gap_ms if self._is_timed else QUIET_MS)

    def _take(self, byte: int, now_ms: int) -> str | None:
        if self._is_discarding:
            self._is_discarding = byte not in self._ends or byte == _NUL
            return None
        if not self._frame:
            if byte in _BETWEEN:
                return None
            self._opened_ms = now_ms
        self._frame.append(byte)
        if self._may_be_reply():
            if self._frame in _REPLIES:
                self._frame.clear()
            return None
        # A NUL in what is no text anyway is part of some binary reply, whose remainder may look like digits.
        if byte in self._ends and (byte != _NUL or _is_text(self._frame[:-1].lstrip(_BEFORE))):
            return self._complete()
        if len(self._frame) > FRAME_LIMIT:
            self.dropped += 1
            self.resynchronise()
        return None

    def _truncate(self) -> None:
        self.truncated += 1
        self.resynchronise()

    def _complete(self) -> str | None:
        body = bytes(self._frame).lstrip(_BEFORE).rstrip(_BETWEEN)
        self._frame.clear()
        if _is_text(body):
            return body.decode("ascii") or None
        self.garbled += 1
        return None


def _is_text(body: bytes | bytearray) -> bool:
    return body.isascii() and body.decode("ascii").isprintable()


Reason = Literal["product_barcode", "web_address", "too_long", "too_short", "not_a_payment_code"]

#: The gateway's ``dynamic_id`` takes 32 bytes (Web API documents, pay).
CODE_LIMIT: Final = 32
#: What providers issue today: Alipay 16 to 24 digits, WeChat 18, UnionPay and e-CNY 19.
USUAL_LENGTHS: Final = range(16, 25)
#: EAN-8, UPC-A, EAN-13, ITF-14.
PRODUCT_LENGTHS: Final = frozenset({8, 12, 13, 14})

_AIM_PREFIX: Final = re.compile(r"\][A-Za-z][0-9A-Za-z]")
_AIM_PRODUCT: Final = "]E"
_WEB_ADDRESS: Final = re.compile(r"[a-z][a-z0-9+.-]*://|www\.|(?:https?|wxp|weixin|alipays?):", re.IGNORECASE)
_CODE_CHARACTERS: Final = re.compile(r"[0-9A-Za-z]+")
_DIGITS: Final = re.compile(r"[0-9]+")
_ADVICE: Final = "Please show the payment code of your app."
_DETAILS: Final[dict[Reason, str]] = {
    "product_barcode": f"This is the barcode of a product. {_ADVICE}",
    "web_address": f"This is a web address or a merchant's own QR code. {_ADVICE}",
    "too_long": f"This code is too long for a payment code. {_ADVICE}",
    "too_short": f"This code is too short for a payment code. {_ADVICE}",
    "not_a_payment_code": f"This is not a payment code. {_ADVICE}",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class NotPaymentCode:
    """Why a frame is not submitted. Detail is a sentence for the customer, without the frame's content."""

    reason: Reason
    detail: str


def bare(frame: str) -> str:
    """Return the frame without the AIM symbology prefix (``]Q1``, ``]E0``, …) that some scanners put before it."""
    match = _AIM_PREFIX.match(frame)
    return frame[match.end() :] if match else frame


def classify(frame: str, pattern: re.Pattern[str]) -> PaymentCode | NotPaymentCode:
    """Decide whether a frame may be submitted.

    Only form is judged: 1 to 32 ASCII letters and digits, no product barcode, no web address, and the configured
    pattern in full. Provider, prefix and freshness are the gateway's business. Leading zeros stay (e-CNY begins with
    ``01``).
    """
    code = bare(frame)
    reason = _other_purpose(frame, code)
    if reason is None and len(code) <= CODE_LIMIT and _CODE_CHARACTERS.fullmatch(code) and pattern.fullmatch(code):
        return PaymentCode(code)
    reason = reason or _misfit(code)
    return NotPaymentCode(reason=reason, detail=_DETAILS[reason])


def _other_purpose(frame: str, code: str) -> Reason | None:
    if _WEB_ADDRESS.match(code):
        return "web_address"
    if frame.startswith(_AIM_PRODUCT) or (_DIGITS.fullmatch(code) and len(code) in PRODUCT_LENGTHS):
        return "product_barcode"
    return None


def _misfit(code: str) -> Reason:
    """Name the likeliest reason for a code that does not fit the pattern, which does not say its lengths."""
    has_only_digits = _DIGITS.fullmatch(code) is not None
    if len(code) > CODE_LIMIT or (has_only_digits and len(code) >= USUAL_LENGTHS.stop):
        return "too_long"
    if not code or (has_only_digits and len(code) < USUAL_LENGTHS.start):
        return "too_short"
    return "not_a_payment_code"
