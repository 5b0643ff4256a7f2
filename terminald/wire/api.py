"""What callers of the local API send, decoded to core values. Whatever is sent, nothing but ApiError comes of it."""

import datetime as dt
import re
import unicodedata
from dataclasses import dataclass
from typing import Final, TypeVar

import msgspec

from terminald.core.commands import Goods, OrderText
from terminald.core.ids import PaymentCode, Reference, WallTime
from terminald.core.money import Fen
from terminald.core.sale_table import SaleOrder
from terminald.errors import ApiError
from terminald.wire import api_shapes as shapes
from terminald.wire import api_status

#: The biggest sensible body is a basket of fifty lines, under 16 KiB; this is memory that any caller can make us hold.
MAX_BODY: Final = 65_536
#: The part of an unknown field's name that is repeated to the caller.
_MAX_FIELD: Final = 64

_METHODS: Final = ("scan", "qr")
#: Alipay, WeChat Pay, Baidu, JD, UnionPay (Web API documents, precreate).
_QR_PAYWAYS: Final = ("1", "2", "3", "4", "5", "17")
#: Joiners inside words of some scripts and inside emoji: invisible, and harmless to wallets and printers.
_JOINERS: Final = frozenset("\u200c\u200d")
#: In a query string an unescaped ``+`` arrives as a blank.
_RFC3339: Final = re.compile(r"(\d{4}-\d\d-\d\d)[Tt](\d\d:\d\d:\d\d(?:\.\d{1,9})?)([Zz]|[+\- ]\d\d:\d\d)", re.ASCII)
_EPOCH: Final = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)

#: How msgspec words its refusals.
_UNKNOWN: Final = re.compile(r"Object contains unknown field `(.*)`", re.DOTALL)
_MISSING: Final = re.compile(r"Object missing required field `(.*)`", re.DOTALL)
_PLACE: Final = re.compile(r"(.*) - at `\$\.?(.*)`", re.DOTALL)

R = TypeVar("R", bound=shapes.Request)


@dataclass(frozen=True, slots=True, kw_only=True)
class SaleDefaults:
    """What holds where a caller says nothing. Max_amount is in fen."""

    methods: tuple[str, ...]
    operator: str
    max_amount: int
    receipt: bool
    qr_payway: str
    delivery: str  # "none" | "confirm"
    refund_slips: bool


# --- bodies ----------------------------------------------------------------------------------------------------------


def decode_sale_request(body: bytes, defaults: SaleDefaults) -> SaleOrder:
    """Read the body of ``POST /v1/sales``. Orders that mean the same are equal.

    Raises:
        ApiError: invalid_json, or invalid_request naming the field.
    """
    wanted = _decode(body, shapes.SaleRequest)
    if wanted.amount > defaults.max_amount:
        raise _wrong("amount", f"expected at most {defaults.max_amount} fen (sale.max_amount)")
    if not is_name(wanted.reference):
        raise _wrong("reference", "expected printable characters, without blanks at either end")
    for field, text in (
        ("subject", wanted.subject),
        ("description", wanted.description),
        ("operator", wanted.operator),
        ("reflect", wanted.reflect),
    ):
        _check_text(field, text or "")
    if not wanted.subject.strip():
        raise _wrong("subject", "expected more than blanks")
    methods = _methods(defaults.methods if wanted.methods is None else wanted.methods)
    qr_payway = _qr_payway(wanted.payway, defaults) if "qr" in methods else ""
    return SaleOrder(
        reference=Reference(wanted.reference),
        amount=Fen(wanted.amount),
        methods=methods,
        text=OrderText(
            subject=wanted.subject,
            operator=wanted.operator or defaults.operator,
            # Beside a QR it says whose app the QR is for; the gateway knows the wallet of a scanned code.
            payway="" if qr_payway else wanted.payway or "",
            description=wanted.description or "",
            reflect=wanted.reflect or "",
            goods=tuple(_goods(place, line) for place, line in enumerate(wanted.goods or ())),
        ),
        wants_receipt=defaults.receipt if wanted.receipt is None else wanted.receipt,
        qr_payway=qr_payway,
        prints_refunds=defaults.refund_slips,
        reports_delivery=(wanted.delivery or defaults.delivery) == "confirm",
    )


def decode_undelivered_request(body: bytes) -> Fen | None:
    """Read the body of ``POST /v1/sales/{id}/undelivered``: what is to go back, or None for all of it.

    Raises:
        ApiError: invalid_json or invalid_request.
    """
    amount = _decode(body, shapes.UndeliveredRequest).amount if body else None
    return None if amount is None else Fen(amount)


def decode_refund_request(body: bytes) -> tuple[str, Fen | None]:
    """Read the body of ``POST /v1/sales/{id}/refunds``: the reference, and the amount or None for all that is left.

    Raises:
        ApiError: invalid_json or invalid_request.
    """
    wanted = _decode(body, shapes.RefundRequest)
    if not is_name(wanted.reference):
        raise _wrong("reference", "expected printable characters, without blanks at either end")
    return wanted.reference, None if wanted.amount is None else Fen(wanted.amount)


def decode_closing_request(body: bytes) -> tuple[str, str | None]:
    """Read the body of ``POST /v1/sales/{id}/attention``: why a person closes it, and the code of what was looked at.

    Raises:
        ApiError: invalid_json or invalid_request.
    """
    wanted = _decode(body, shapes.ClosingRequest)
    _check_text("reason", wanted.reason)
    if not wanted.reason.strip():
        raise _wrong("reason", "expected more than blanks")
    _check_text("code", wanted.code or "")
    return wanted.reason, wanted.code


def decode_code_request(body: bytes) -> PaymentCode:
    """Read the body of ``POST /v1/sales/{id}/payment-code``. Whether it is a payment code is judged elsewhere.

    Raises:
        ApiError: invalid_json or invalid_request; the code is not in it.
    """
    return PaymentCode(_decode(body, shapes.CodeRequest).code)


def decode_drain_request(body: bytes) -> bool:
    """Read whether a drain ends with the next start.

    Raises:
        ApiError: invalid_json or invalid_request.
    """
    return bool(body) and _decode(body, api_status.DrainRequest).until == "restart"


def decode_resume_request(body: bytes) -> bool:
    """Read whether a person has compared a restored journal with the gateway's.

    Raises:
        ApiError: invalid_json or invalid_request.
    """
    return bool(body) and _decode(body, api_status.ResumeRequest).code is not None


def decode_empty_request(body: bytes) -> None:
    """Check the body of a call that takes none: nothing, or an empty object.

    Raises:
        ApiError: invalid_json or invalid_request.
    """
    if body:
        _decode(body, shapes.EmptyRequest)


def _decode(body: bytes, shape: type[R]) -> R:
    try:
        return msgspec.json.decode(body, type=shape)
    except msgspec.ValidationError as exc:
        raise _refusal(str(exc)) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        # The exception may quote what was sent, and that may be a payment code (I7).
        raise ApiError("invalid_json", "The body is not valid JSON in UTF-8.") from None


def _refusal(message: str) -> ApiError:
    """Turn a validation message into a problem that names the field and repeats no value (I7)."""
    place = ""
    if found := _PLACE.fullmatch(message):
        message, place = found[1], found[2]
    if unknown := _UNKNOWN.fullmatch(message):
        return _wrong(_join(place, unknown[1]), "there is no such field")
    if missing := _MISSING.fullmatch(message):
        return _wrong(_join(place, missing[1]), "is missing")
    if message.startswith("Invalid enum value"):
        message = "expected one of the values in GET /v1/openapi.json"
    if not place:
        return ApiError("invalid_request", f"The body: {_lower(message)}")
    return _wrong(place, _lower(message))


def _join(place: str, name: str) -> str:
    shown = name if len(name) <= _MAX_FIELD else name[:_MAX_FIELD] + "…"
    return f"{place}.{shown}" if place else shown


def _lower(message: str) -> str:
    return message[:1].lower() + message[1:]


def _wrong(field: str, what: str) -> ApiError:
    return ApiError("invalid_request", f"{field}: {what}", field=field)


# --- values ----------------------------------------------------------------------------------------------------------


def is_name(text: str) -> bool:
    """Whether a text can name a sale: printable, and without blanks at either end, where nobody sees them."""
    return text.isprintable() and text == text.strip()


def _check_text(field: str, text: str) -> None:
    """Refuse what would act on a printer or a wallet instead of being read: control and direction characters."""
    for char in text:
        if not (char.isprintable() or unicodedata.category(char) == "Zs" or char in _JOINERS):
            raise _wrong(field, f"contains the control character U+{ord(char):04X}")


def _methods(wanted: tuple[str, ...]) -> tuple[str, ...]:
    """Return the methods in a fixed order, so that equal requests are equal."""
    if len(set(wanted)) != len(wanted):
        raise _wrong("methods", "expected each method once")
    return tuple(method for method in _METHODS if method in wanted)


def _qr_payway(wanted: str | None, defaults: SaleDefaults) -> str:
    """Return with whose app the QR is scanned. "QQ 6 does not support it" (Web API documents, precreate)."""
    payway = wanted or defaults.qr_payway
    if payway not in _QR_PAYWAYS:
        raise _wrong("payway", f"no QR can be made for {payway}; expected one of {', '.join(_QR_PAYWAYS)}")
    return payway


def _goods(place: int, line: shapes.GoodsRequest) -> Goods:
    _check_text(f"goods[{place}].name", line.name)
    _check_text(f"goods[{place}].id", line.id)
    return Goods(id=line.id, name=line.name, quantity=line.quantity, price=Fen(line.price), promotion=line.promotion)


def parse_time(field: str, text: str) -> WallTime:
    """Read an RFC 3339 time with offset.

    Raises:
        ApiError: invalid_request, naming the field.
    """
    found = _RFC3339.fullmatch(text)
    try:
        if not found:
            raise ValueError(text)  # noqa: TRY301 - joins the times that only look right, such as the 30th of February
        day, time, offset = found.groups()
        offset = "+00:00" if offset in "Zz" else offset.replace(" ", "+")
        moment = dt.datetime.fromisoformat(f"{day}T{time}{offset}")
    except ValueError:
        raise _wrong(field, "expected an RFC 3339 time with offset, such as 2025-01-31T08:00:00+08:00") from None
    return WallTime((moment - _EPOCH) // dt.timedelta(milliseconds=1))


def parse_number(field: str, text: str, *, least: int, most: int) -> int:
    """Read a whole number in digits.

    Raises:
        ApiError: invalid_request, naming the field.
    """
    # Nineteen digits hold every 64-bit number; without a limit, reading a long one takes quadratic time.
    if not re.fullmatch("[0-9]{1,19}", text) or not least <= int(text) <= most:
        raise _wrong(field, f"expected a whole number, {least} to {most}")
    return int(text)


def parse_flag(field: str, text: str) -> bool:
    """Read ``true`` or ``false``.

    Raises:
        ApiError: invalid_request, naming the field.
    """
    if text not in ("true", "false"):
        raise _wrong(field, "expected true or false")
    return text == "true"
