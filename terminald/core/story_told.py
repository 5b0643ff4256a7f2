"""The journal's records of a sale as the story that a person reads: one line for each thing that happened."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Final

from terminald.core.book import SaleView
from terminald.core.ids import ClientSn, Instant, WallTime
from terminald.core.receipt import sanitize
from terminald.core.refund_table import Refund
from terminald.core.spool import PrintJob
from terminald.core.stimuli import Record
from terminald.core.story_past import ALARMS, SCANS, past_words
from terminald.core.story_refunds import REFUND_NAMES
from terminald.core.story_text import Text, Tongue, quoted

#: The longest story that is told: its beginning and its end are, what is between them is counted.
MAX_LINES: Final = 200
#: What repeats itself is told once: so many lines together (a question, its answer, what is done then, and one more).
_LONGEST_REFRAIN: Final = 4

_OWED: Final = Text(", as it is owed to the customer", "，应退还顾客")
_ASKED_AS: Final = Text(" under the reference {reference}", "，编号 {reference}")
_LEFT_OUT: Final = Text("… {count} more lines are left out …", "……此处省略 {count} 行……")
_METHODS: Final[Mapping[tuple[str, ...], Text]] = {
    ("scan",): Text("payment code", "付款码"),
    ("qr",): Text("QR code", "收款码"),
}
_BOTH: Final = Text("payment code or QR code", "付款码或收款码")
_SLIPS: Final[Mapping[str, Text]] = {
    "receipt": Text("The receipt", "小票"),
    "qr": Text("The slip with the QR code", "收款码单据"),
    "refund": Text("The slip of the refund", "退款凭证"),
}
_COPY: Final = Text("The copy of the receipt", "小票（补打）")
_SOME_ORDER: Final = Text("Order {name}", "订单 {name}")
_SOME_REFUND: Final = Text("Refund {name}", "退款 {name}")


@dataclass(frozen=True, slots=True, kw_only=True)
class LoggedRecord:
    """A record with its place in the log and its time: on the terminal's own time line, and on the calendar."""

    seq: int
    at: Instant
    wall: WallTime
    record: Record


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """One line of the story. What happened several times is told once: the last time was at ``until``."""

    at: WallTime
    text: str
    until: WallTime | None = None
    times: int = 1


class Names:
    """What the orders, refunds and slips of one sale are called."""

    def __init__(self, view: SaleView, tongue: Tongue) -> None:
        """View is the sale as it is known now."""
        self._view = view
        self._tongue = tongue
        codes = [one.client_sn for one in view.attempts if one.kind == "qr"]
        self._numbers = {name: number for number, name in enumerate(codes, start=1)} if len(codes) > 1 else {}

    def order(self, name: str) -> str:
        """Name an order at the gateway."""
        found = next((one for one in self._view.attempts if one.client_sn == name), None)
        if found is None:
            return self._tongue.say(_SOME_ORDER, name=quoted(name))
        return self._tongue.order(found, self._numbers.get(ClientSn(name), 0))

    def refund(self, name: str) -> str:
        """Name a refund."""
        found = self.find_refund(name)
        if found is None:
            return self._tongue.say(_SOME_REFUND, name=quoted(name))
        amount = self._tongue.amount(found.amount)
        return self._tongue.say(REFUND_NAMES[found.kind], number=found.request_no, amount=amount)

    def find_refund(self, name: str) -> Refund | None:
        """Return the refund of this name."""
        return next((one for one in self._view.refunds if one.id == name), None)

    def slip(self, job: PrintJob) -> str:
        """Name what is printed."""
        return self._tongue.say(_COPY if job.is_copy else _SLIPS[job.slip])

    def slip_of(self, name: str) -> str:
        """Name what a print job prints."""
        found = next((job for job in self._view.jobs if job.id == name), None)
        return self._tongue.say(_SLIPS["receipt"]) if found is None else self.slip(found)


def tell(view: SaleView, records: Iterable[LoggedRecord], tongue: Tongue) -> tuple[Told, ...]:
    """Tell what happened, the oldest first."""
    names = Names(view, tongue)
    lines: list[Told] = []
    for logged in records:
        words = past_words(logged.record)
        if words is not None:
            text = tongue.say(words, **_values(logged.record, view, names, tongue))
            lines.append(Told(at=logged.wall, text=text))
            _fold(lines)
    return _shortened(lines, tongue)


def _values(record: Record, view: SaleView, names: Names, tongue: Tongue) -> dict[str, str]:
    """Return all that any sentence about this record may name."""
    sale = view.sale
    fill: dict[str, Callable[[], dict[str, str]]] = {
        "sale": lambda: {
            "amount": tongue.amount(sale.order.amount),
            "subject": quoted(sale.order.text.subject),
            "reference": sanitize(sale.order.reference),
            "methods": tongue.say(_METHODS.get(sale.order.methods, _BOTH)),
        },
        "attempt": lambda: {"order": names.order(record.subject), "name": record.subject},
        "refund": lambda: {"refund": names.refund(record.subject), "why": _why(record.subject, names, tongue)},
        "print": lambda: {"slip": names.slip_of(record.subject)},
        "vend": lambda: {"machine": quoted(view.vend.machine) if view.vend else ""},
        "attention": lambda: {
            "alarm": _alarm(record.before or record.after, tongue),
            "reason": quoted(record.after),
        },
        "action": lambda: {"evidence": quoted(record.after)},
        "scan": lambda: {"scan": tongue.say(SCANS[record.after]) if record.after in SCANS else quoted(record.after)},
    }
    named = fill[record.kind]() if record.kind in fill else {}
    return {**named, "cause": quoted(record.cause), "before": quoted(record.before), "after": quoted(record.after)}


def _why(name: str, names: Names, tongue: Tongue) -> str:
    found = names.find_refund(name)
    if found is None:
        return ""
    if found.is_owed:
        return tongue.say(_OWED)
    return tongue.say(_ASKED_AS, reference=sanitize(found.reference)) if found.reference else ""


def _alarm(code: str, tongue: Tongue) -> str:
    return tongue.say(ALARMS[code]) if code in ALARMS else quoted(code)


def _fold(lines: list[Told]) -> None:
    """Where the last lines repeat those before them, count them there instead."""
    for length in range(1, _LONGEST_REFRAIN + 1):
        first, again = lines[-2 * length : -length], lines[-length:]
        if [one.text for one in first] == [one.text for one in again]:
            lines[-2 * length :] = [
                replace(one, times=one.times + other.times, until=other.until or other.at)
                for one, other in zip(first, again, strict=True)
            ]
            return


def _shortened(lines: list[Told], tongue: Tongue) -> tuple[Told, ...]:
    if len(lines) <= MAX_LINES:
        return tuple(lines)
    half = MAX_LINES // 2
    left_out = lines[half:-half]
    gap = Told(at=left_out[0].at, text=tongue.say(_LEFT_OUT, count=str(len(left_out))), until=left_out[-1].at)
    return (*lines[:half], gap, *lines[-half:])
