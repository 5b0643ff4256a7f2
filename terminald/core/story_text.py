"""How a sale is told in sentences: two languages side by side, times of the gateway's day, amounts in yuan.

Whatever comes from outside (the gateway's messages, what a person typed) is made harmless before it stands in a
sentence: one line of printable text, no longer than a person reads, and with no run of digits as long as a payment code
(I7).
"""

import datetime as dt
import re
from dataclasses import dataclass
from typing import Final

from terminald.core.attempt_table import Attempt
from terminald.core.events import Fault
from terminald.core.ids import Duration, Instant, WallTime
from terminald.core.money import Fen, format_yuan
from terminald.core.receipt import Language, provider_name, sanitize
from terminald.core.schedule import Now, day_of

#: The longest text from outside that is quoted in a sentence.
MAX_QUOTED: Final = 160

#: Shorter runs of digits are no payment code ("16 to 24 digits", Web API documents, dynamic_id).
_CODE: Final = re.compile(r"[0-9]{16,}")
_EPOCH: Final = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
#: 9999-12-30: a day before the last one that can be named, for the offset from UTC.
_LAST_TIME: Final = 253_402_128_000_000


@dataclass(frozen=True, slots=True)
class Text:
    """One sentence in both languages. ``{names}`` in it are filled in by :meth:`Tongue.say`."""

    en: str
    zh: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Present:
    """How one order or refund stands: what is known, what is not, and what the customer's phone shows.

    Awaited says what terminald does while the gateway's answer is awaited, or right after it; person, what somebody has
    to do.
    """

    known: Text | None = None
    unknown: Text | None = None
    phone: Text
    awaited: Text | None = None
    person: Text | None = None


_YUAN: Final = Text("{yuan} yuan", "{yuan} 元")
_SAID: Final = Text(" (reason: {words})", "（原因：{words}）")
_WITH: Final = Text(" with {provider}", "，通过{provider}")
_TRANSACTION: Final = Text(", transaction {sn}", "，交易单号 {sn}")
_ORDERS: Final = {
    "scan": Text("Payment code {code}", "付款码 {code}"),
    "qr": Text("QR code{number}", "收款码{number}"),
}
_NUMBER: Final = Text(" no. {number}", "（第 {number} 个）")


@dataclass(frozen=True, slots=True, kw_only=True)
class Tongue:
    """Who tells it: in which language, at which moment, and by the clock of which offset from UTC."""

    language: Language
    now: Now
    offset: Duration

    def say(self, text: Text, **values: str) -> str:
        """Return the sentence with its values filled in; more may be given than it names."""
        return (text.zh if self.language == "zh" else text.en).format(**values)

    def amount(self, fen: Fen) -> str:
        """Write an amount."""
        return self.say(_YUAN, yuan=format_yuan(fen))

    def wall(self, instant: Instant) -> WallTime:
        """Place a moment of the terminal's own time line on the calendar."""
        return WallTime(self.now.wall - (self.now.instant - instant))

    def time(self, wall: WallTime) -> str:
        """Write a time of the gateway's clock; with its day where that is not today."""
        clamped = max(0, min(wall, _LAST_TIME))
        moment = _EPOCH + dt.timedelta(milliseconds=clamped + self.offset)
        is_today = day_of(wall, self.offset) == day_of(self.now.wall, self.offset)
        return moment.strftime("%H:%M:%S" if is_today else "%Y-%m-%d %H:%M:%S")

    def moment(self, instant: Instant) -> str:
        """Write when a moment of the terminal's own time line is."""
        return self.time(self.wall(instant))

    def said(self, fault: Fault | None) -> str:
        """Quote what went wrong, in brackets; nothing where nothing did."""
        words = quoted(f"{fault.code} {fault.message}") if fault else ""
        return self.say(_SAID, words=words) if words else ""

    def wallet(self, attempt: Attempt) -> str:
        """Say with which wallet an order was paid; nothing where that is not known."""
        payway = attempt.facts.payway
        return self.say(_WITH, provider=provider_name(payway, self.language)) if payway else ""

    def transaction(self, attempt: Attempt) -> str:
        """Say the gateway's number of an order; nothing where that is not known."""
        return self.say(_TRANSACTION, sn=sanitize(attempt.facts.sn)) if attempt.facts.sn else ""

    def order(self, attempt: Attempt, number: int = 0) -> str:
        """Name an order at the gateway as a person knows it; the number tells QR codes of one sale apart."""
        counted = self.say(_NUMBER, number=str(number)) if number else ""
        return self.say(_ORDERS[attempt.kind], code=attempt.code_masked, number=counted)


def quoted(text: str) -> str:
    """Return a text from outside as it may stand in a sentence."""
    shown = _CODE.sub(lambda found: f"{found[0][:4]}…{found[0][-4:]}", sanitize(text))
    return shown if len(shown) <= MAX_QUOTED else f"{shown[: MAX_QUOTED - 1]}…"
