"""What every answer of the gateway has in common: three layers, read without believing anything.

The documents' layers, judged in this order by :mod:`terminald.wire.upay_replies`:

1. ``result_code``: ``"200"`` communicated, ``"400"`` client error, ``"500"`` server error; if not 200, ``error_code``
   and ``error_message``, and no ``biz_response``.
2. ``biz_response.result_code``: the outcome of this action, with its own ``error_code`` and ``error_message``.
3. ``biz_response.data``: the order; ``order_status`` is authoritative for the money.

The documents' own examples have field names with a trailing blank; both spellings are read, the exact one wins. An
object that names a field twice is refused: which of the two a reader takes is a matter of taste, and this is money.
That is why the standard library reads here and not msgspec, which shows neither.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from terminald.core.events import Fault

#: Real answers have about 2 KiB; the goods of a large basket, echoed, are well within. More is not this gateway (I11).
MAX_BODY = 256 * 1024
#: The longest documented field of an order has 256 characters; those that are kept have at most 64 (I11).
MAX_FACT = 128
#: Enough for what the gateway says to a customer; the rest would fill journal and receipt (I11).
MAX_MESSAGE = 256
#: As many digits as an amount may have (documents, total_amount).
_MAX_DIGITS = 10

#: Layer 1.
COMMUNICATED = "200"
CLIENT_ERROR = "400"
#: The signature was made with a key that the gateway does not accept; the request was not looked at any further.
ILLEGAL_SIGN = "ILLEGAL_SIGN"
#: Of either layer: the gateway does not serve this terminal, whatever it asks.
TERMINAL_ERRORS = frozenset(
    {"INVALID_TERMINAL", "TERMINAL_NOT_EXISTS", "UPAY_TERMINAL_NOT_EXISTS", "UPAY_TERMINAL_STATUS_ABNORMAL"}
)

Fields = Mapping[str, str]

_HTTP_OK = range(200, 300)
#: Payment codes have 16 digits or more; an error message may quote the code that it complains about.
_LIKE_A_CODE = re.compile(r"[0-9]{16,}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """One layer's verdict. Texts are as they came: neither cleaned nor bounded."""

    result_code: str
    error_code: str
    error_message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Envelope:
    """An answer that has the shape of the documents. A layer that is missing is empty."""

    outer: Layer
    #: Whether there is anything where the second layer belongs, understood or not.
    has_biz: bool
    biz: Layer
    #: The texts directly under ``biz_response``: activation and check-in answer there.
    flat: Fields
    #: The texts of ``biz_response.data``.
    data: Fields


def read_envelope(status: int, body: bytes) -> Envelope | None:
    """Read an answer; None when it is not the gateway speaking, or can not be told: an ambiguous outcome.

    Total: every status and every sequence of bytes has a result.
    """
    if status not in _HTTP_OK or len(body) > MAX_BODY:
        return None
    try:
        document: object = json.loads(body.decode(), object_pairs_hook=_object, parse_constant=_refuse)
    except (ValueError, RecursionError):
        return None
    if not isinstance(document, dict):
        return None
    outer = _layer(_texts(document))
    if not outer.result_code:
        return None
    biz = document.get("biz_response")
    flat = _texts(biz) if isinstance(biz, dict) else {}
    data = biz.get("data") if isinstance(biz, dict) else None
    return Envelope(
        outer=outer,
        has_biz=bool(biz),
        biz=_layer(flat),
        flat=flat,
        data=_texts(data) if isinstance(data, dict) else {},
    )


def is_key_refused(status: int, body: bytes) -> bool:
    """Tell whether the gateway refused the signature, and therefore provably did nothing."""
    envelope = read_envelope(status, body)
    return envelope is not None and is_refusal(envelope) and envelope.outer.error_code == ILLEGAL_SIGN


def is_terminal_refused(status: int, body: bytes) -> bool:
    """Tell whether the gateway does not serve this terminal, on either layer."""
    envelope = read_envelope(status, body)
    if envelope is None:
        return False
    said = envelope.outer if envelope.outer.result_code != COMMUNICATED else envelope.biz
    return said.error_code in TERMINAL_ERRORS


def is_refusal(envelope: Envelope) -> bool:
    """Tell whether the first layer refused the request, and nothing below it contradicts."""
    return envelope.outer.result_code == CLIENT_ERROR and not envelope.has_biz


def parse_fen(text: str) -> int | None:
    """Read an amount as the gateway writes it: one to ten ASCII digits, and nothing else."""
    return int(text) if 0 < len(text) <= _MAX_DIGITS and text.isascii() and text.isdecimal() else None


def clean(text: str, longest: int) -> str:
    """Return the text without what can not be printed, and not longer than that."""
    return "".join(char for char in text[: 2 * longest] if char.isprintable())[:longest].strip()


def fault(code: str, message: str) -> Fault:
    """Return the gateway's words, fit to be stored and shown: what looks like a payment code is masked (I7)."""
    return Fault(code=_mask(clean(code, MAX_FACT)), message=_mask(clean(message, MAX_MESSAGE)))


def unreadable(status: int) -> Fault:
    """Return our words for an answer that :func:`read_envelope` could not read."""
    if status not in _HTTP_OK:
        return Fault(code=f"http_{status}", message="the answer is not a success of HTTP")
    return Fault(code="unreadable_answer", message="the answer is not the gateway's envelope")


def _mask(text: str) -> str:
    return _LIKE_A_CODE.sub(lambda found: f"{found[0][:4]}…{found[0][-4:]}", text)


def _layer(texts: Fields) -> Layer:
    return Layer(
        result_code=texts.get("result_code", ""),
        error_code=texts.get("error_code", ""),
        error_message=texts.get("error_message", ""),
    )


def _texts(document: Mapping[str, object]) -> Fields:
    """Return the fields that are text, or whole numbers where text is promised; null and all others are missing."""
    return {
        name: str(value)
        for name, value in document.items()
        if isinstance(value, str | int) and not isinstance(value, bool)
    }


def _object(pairs: Sequence[tuple[str, object]]) -> dict[str, object]:
    """Build an object whose names have no trailing blanks.

    Raises:
        ValueError: a name occurs twice, or in two misspellings.
    """
    exact = dict(pairs)
    if len(exact) != len(pairs):
        raise ValueError("a name occurs twice")
    built: dict[str, object] = {}
    for name, value in pairs:
        bare = name.rstrip()
        if bare != name and bare in exact:
            continue
        if bare in built:
            raise ValueError("a name occurs twice")
        built[bare] = value
    return built


def _refuse(constant: str) -> object:
    """Refuse NaN and infinities: they are not JSON.

    Raises:
        ValueError: always.
    """
    raise ValueError(f"{constant} is not JSON")
