"""The lines of a Qibixx MDB adapter as a cashless device: bytes → lines → what they mean, and commands → bytes.

Whatever the bytes, nothing here raises: what can not be understood is :class:`Other`, and a price that can not be
charged is :class:`AskedWrongly`. Lines come at any time and in any company; none of them is "the answer" to a command,
and which request they are about is decided in ``qibixx_talk``.

A line may follow noise without an end between them (a lost byte, a supply that comes up), so what stands before the
last byte that is no printable ASCII is not looked at. What follows it must be a whole line of its own.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from enum import Enum
from typing import Final

from terminald.core.money import MAX_AMOUNT, Fen

#: Characters of one line. The longest that is documented shows 36 bytes of the bus in hexadecimal.
LINE_LIMIT: Final = 256
#: What an adapter passes on of a text for the machine's display.
DISPLAY_LIMIT: Final = 32
#: Characters of an unknown line that are worth a place in the log.
SHOWN_LIMIT: Final = 60

_ENDS: Final = re.compile(rb"[\r\n]")
_NOISE: Final = re.compile(rb"[^ -~]")
_FEN_PER_UNIT: Final = 100
#: More digits than the largest amount has, and far fewer than would cost time.
_PRICE: Final = re.compile(r"[0-9]{1,16}(?:\.[0-9]{1,16})?")
_NEGATIVE: Final = re.compile(r"-[0-9.]+")
_ITEM: Final = re.compile(r"[0-9A-Za-z_-]{1,16}")
#: "Item FFFF = undefined" (MDB/ICP 4.2, section 7).
_NO_ITEM: Final = "65535"


class Lines:
    """Cut bytes into lines that end with CR, LF or both. How the bytes are divided into calls makes no difference."""

    def __init__(self) -> None:
        self.dropped = 0  # lines longer than LINE_LIMIT
        self._line = bytearray()
        self._is_dropping = False

    def feed(self, data: bytes) -> list[str]:
        """Take bytes; return the lines that they complete, without their ends and without empty ones."""
        lines = []
        *ended, rest = _ENDS.split(data)
        for part in ended:
            self._take(part)
            if line := bytes(self._line).strip():
                lines.append(line.decode("ascii"))
            self.reset()
        self._take(rest)
        return lines

    def reset(self) -> None:
        """Begin anew; the counter goes on."""
        self._line.clear()
        self._is_dropping = False

    def _take(self, part: bytes) -> None:
        *noisy, plain = _NOISE.split(part)
        for before in noisy:
            self._add(before)
            self.reset()
        self._add(plain)

    def _add(self, plain: bytes) -> None:
        if self._is_dropping:
            return
        self._line += plain[: LINE_LIMIT + 1 - len(self._line)]
        if len(self._line) > LINE_LIMIT:
            self.dropped += 1
            self._line.clear()
            self._is_dropping = True


# --- what a line means -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """How the machine counts: in steps of scale_factor × 10^-decimal_places units of the currency."""

    decimal_places: int  # 0 … 3
    scale_factor: int  # 1 … 100

    @property
    def step(self) -> Decimal:
        """Return the smallest price, in units of the currency."""
        return Decimal(self.scale_factor).scaleb(-self.decimal_places)


class Heard:
    """Base of what a line can mean."""


class Status(Heard, Enum):
    """How the adapter, or the machine by way of it, sees our reader. ``Asked`` is a status too."""

    INACTIVE = "INACTIVE"  # never contacted, or reset by the machine
    DISABLED = "DISABLED"  # set up; the machine does not want payments now. No cancel
    ENABLED = "ENABLED"  # the machine may begin
    IDLE = "IDLE"  # in a session, nothing is selected


class Sign(Heard, Enum):
    """Lines that mean one thing, without anything in them."""

    SWITCHED_OFF = "switched off"
    SWITCHED_ON = "switched on"
    IS_OFF = "is off"  # so what was commanded is not possible
    IS_ON = "is on"
    SETTING_TAKEN = "setting taken"
    SETTING_REFUSED = "setting refused"
    SESSION_REFUSED = "session refused"
    CANCELED = "canceled"  # by the machine, before our answer
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    RESET = "reset"  # of the reader by the machine
    REJECTED = "rejected"  # our answer, because nothing is asked for, or it is not understood
    REVALUE = "revalue"  # the machine wants to pay money to us
    NOT_UNDERSTOOD = "not understood"  # a command


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked(Heard):
    """The machine asks for money."""

    price: str
    amount: Fen
    item: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AskedWrongly(Heard):
    """The machine asks for an amount that can not be charged; fault says what is wrong with it, for people."""

    text: str
    fault: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Other(Heard):
    """Nothing that concerns us: the bus watched by the adapter, echoes, what is not documented, what is garbled."""

    text: str


_STATUS: Final[Mapping[str, Heard]] = {
    **{each.value: each for each in Status},
    "ONLINE": Status.ENABLED,  # older firmware
    "REVALUE": Sign.REVALUE,
}
_SIGNS: Final[Mapping[str, Sign]] = {
    "c,0": Sign.SWITCHED_OFF,
    "c,1": Sign.SWITCHED_ON,
    "c,SET,OK": Sign.SETTING_TAKEN,
    "c,VEND,SUCCESS": Sign.SUCCEEDED,
}
#: Errors of the adapter's own are quoted, those of the machine are not; both are taken either way.
_ERRORS: Final[Mapping[str, Sign]] = {
    "cashless is on": Sign.IS_ON,
    "cashless is off": Sign.IS_OFF,
    "VEND 1": Sign.CANCELED,
    "VEND 3": Sign.FAILED,
    "VEND 5": Sign.RESET,
    "VEND -2": Sign.REJECTED,
    "VEND -3": Sign.REJECTED,
}
#: The first word of errors of which the number makes no difference.
_REFUSALS: Final[Mapping[str, Sign]] = {
    "SETCONF": Sign.SETTING_REFUSED,
    "SET": Sign.SETTING_REFUSED,
    "START": Sign.SESSION_REFUSED,
}


def understand(line: str, scale: Scale) -> Heard:
    """Return what a line means."""
    fields = [field.strip() for field in line.split(",")]
    match fields:
        case ["c", "STATUS", "VEND", *asked]:
            return _asked(asked, scale)
        case ["c", "STATUS", word, *_] if word in _STATUS:
            return _STATUS[word]
        case ["c", "ERR", *words]:
            return _error(" ".join(words)) or Other(text=_shown(line))
        case ["c", "SET", result, *_] if result != "OK":
            return Sign.SETTING_REFUSED
        case ["c", "UNKNOWN", *_]:
            return Sign.NOT_UNDERSTOOD
    return _SIGNS.get(",".join(fields)) or Other(text=_shown(line))


def read_price(text: str, scale: Scale) -> Fen | str:
    """Return the amount of a price, which is written in units of the currency; or what is wrong with it, in words."""
    if _NEGATIVE.fullmatch(text):
        return "is negative"
    if not _PRICE.fullmatch(text):
        return "is not a price"
    price = Decimal(text)
    fen = price * _FEN_PER_UNIT
    if fen > MAX_AMOUNT:
        return "is more than can be paid"
    if fen != int(fen):
        return "has parts of a fen"
    if price % scale.step:
        return f"is not in steps of {scale.step:f}, which decimal_places and scale_factor say"
    return Fen(int(fen))


def write_amount(fen: int) -> str:
    """Write an amount as the adapter reads it: 350 → ``3.50``."""
    return f"{fen // _FEN_PER_UNIT}.{fen % _FEN_PER_UNIT:02}"


def _asked(fields: list[str], scale: Scale) -> Asked | AskedWrongly:
    price, item, *_ = [*fields, "", ""]
    amount = read_price(price, scale)
    if isinstance(amount, str):
        return AskedWrongly(text=_shown(",".join(fields)), fault=amount)
    is_named = _ITEM.fullmatch(item) is not None and item != _NO_ITEM
    return Asked(price=price, amount=amount, item=item if is_named else "")


def _error(words: str) -> Sign | None:
    said = " ".join(words.replace('"', " ").split())
    return _ERRORS.get(said) or _REFUSALS.get(said.partition(" ")[0])


def _shown(text: str) -> str:
    return text if len(text) <= SHOWN_LIMIT else f"{text[:SHOWN_LIMIT]}…"


# --- commands --------------------------------------------------------------------------------------------------------

SWITCH_OFF: Final = b"C,0\n"
SWITCH_ON: Final = b"C,1\n"
#: ``C,VEND,0`` is used for it in the field, and may mean an approval of nothing.
DENY: Final = b"C,VEND,-1\n"
REFUSE_REVALUE: Final = b"C,REVALUE,0\n"


def set_value(key: str, value: str) -> bytes:
    """Return the command that configures one value."""
    return f"C,SETCONF,{key}={value}\n".encode("ascii")


def start_session(credit: Fen) -> bytes:
    """Return the command that lets the machine show a credit and select; nothing is charged for it."""
    return f"C,START,{write_amount(credit)}\n".encode("ascii")


def approve(price: str) -> bytes:
    """Return the command that makes the machine dispense; price is the text with which it asked."""
    return f"C,VEND,{price}\n".encode("ascii")


def display(text: str) -> bytes:
    """Return the command that shows a text, of which other characters than printable ASCII are left out.

    Spaces within it stay, as they lead to the second line. Commas separate the arguments of a command, and an adapter
    may repeat what it is told: a text with commas could be mistaken for something else.
    """
    plain = "".join(char for char in text if " " <= char <= "~" and char != ",")
    return f"C,DISPLAY,{plain.strip()[:DISPLAY_LIMIT].rstrip()}\n".encode("ascii")
