"""A receipt as lines of columns: what is printed, in which order and how it is broken, but not one byte of it.

Every text is made harmless by :func:`sanitize` before it is measured, so that no subject, name or answer of the gateway
can reach a printer as a control byte, and so that what was measured is what is printed.
"""

import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby
from typing import Literal

from terminald.core.money import format_yuan

#: The receipt of a paid sale, the proof of a refund, and the QR that a customer is to pay.
Kind = Literal["sale", "refund", "qr"]
Language = Literal["zh", "en"]
Align = Literal["left", "center", "right"]

#: The narrowest paper that is laid out: half of the narrowest printer that is sold (58 mm, 32 columns).
MIN_COLUMNS = 16
#: Longest text of one field; the longest that the API takes is shorter, so only a hostile answer is ever clipped.
MAX_FIELD = 256
#: Lines of goods on one receipt, about 20 cm of paper; the rest is counted in one line.
MAX_GOODS = 50

_INDENT = "  "
_GAP = 2  # blank columns between a label and its value


@dataclass(frozen=True, slots=True, kw_only=True)
class Goods:
    """One kind of thing sold. Price is of one piece, in fen."""

    name: str
    quantity: int
    price: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """What a receipt says. Texts may come from anywhere; an empty one is left out. Amount in fen."""

    kind: Kind
    language: Language
    amount: int
    payway: str  # the gateway's code, e.g. "3"
    time: str  # ready to print
    header: tuple[str, ...] = ()
    footer: tuple[str, ...] = ()
    terminal_name: str = ""
    subject: str = ""
    goods: tuple[Goods, ...] = ()
    sn: str = ""  # the gateway's order number: customer service asks for it
    trade_no: str = ""  # the payment provider's
    client_sn: str = ""
    code_masked: str = ""
    operator: str = ""
    reference: str = ""
    copy: bool = False
    refund_no: str = ""  # of a refund
    qr_content: str = ""  # of a QR
    pay_before: str = ""  # of a QR, ready to print


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One printed line. A double line is twice as wide and twice as high, and takes two columns for one."""

    text: str
    align: Align = "left"
    bold: bool = False
    double: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class QrMark:
    """A QR code, centred, with its quiet zone."""

    content: str


Mark = Line | QrMark

_WORDS: dict[Language, dict[str, str]] = {
    "zh": {
        "sale": "支付凭证",
        "refund": "退款凭证",
        "qr": "扫码支付",
        "copy": "*** 补打 ***",
        "sale_outcome": "{} 支付成功",
        "refund_outcome": "已原路退回 {}",
        "qr_outcome": "请用{}扫一扫付款",
        "pay_before": "请在 {} 前付款",
        "no_proof": "本单不是付款凭证",
        "refund_no": "退款单号",
        "subject": "商品",
        "more_goods": "…另有 {} 项",
        "time": "交易时间",
        "sn": "交易单号",
        "trade_no": "支付单号",
        "client_sn": "商户单号",
        "code": "付款码",
        "reference": "订单号",
        "terminal": "终端",
        "operator": "操作员",
        "other": "其他支付 ({})",
    },
    "en": {
        "sale": "Payment receipt",
        "refund": "Refund receipt",
        "qr": "Scan to pay",
        "copy": "*** COPY ***",
        "sale_outcome": "Paid with {}",
        "refund_outcome": "Returned to {}",
        "qr_outcome": "Scan with {}",
        "pay_before": "Pay before {}",
        "no_proof": "This is no proof of payment",
        "refund_no": "Refund no.",
        "subject": "Item",
        "more_goods": "... and {} more",
        "time": "Time",
        "sn": "Transaction",
        "trade_no": "Provider no.",
        "client_sn": "Merchant no.",
        "code": "Payment code",
        "reference": "Order",
        "terminal": "Terminal",
        "operator": "Operator",
        "other": "Other ({})",
    },
}

#: Web API documents, annex payway: code → (Chinese, English).
_PROVIDERS: dict[str, tuple[str, str]] = {
    "1": ("支付宝", "Alipay"),
    "2": ("支付宝", "Alipay"),
    "3": ("微信支付", "WeChat Pay"),
    "4": ("百度钱包", "Baidu Wallet"),
    "5": ("京东支付", "JD Pay"),
    "6": ("QQ钱包", "QQ Wallet"),
    "7": ("NFC支付", "NFC"),
    "8": ("拉卡拉", "Lakala"),
    "15": ("拉卡拉微信", "Lakala WeChat Pay"),
    "16": ("招商银行", "CMB"),
    "17": ("银联云闪付", "UnionPay"),
    "18": ("翼支付", "BestPay"),
}

_BLANKS = frozenset("\t\n\v\f\r\x85\u2028\u2029")
#: Control, format (bidirectional and zero-width), surrogate, private and unassigned characters have no place on paper.
_STRIPPED = frozenset({"Cc", "Cf", "Cs", "Co", "Cn"})


def provider_name(payway: str, language: Language) -> str:
    """Name the payment provider of a payway code; one that the documents do not list is shown as its code."""
    names = _PROVIDERS.get(payway)
    if names is None:
        return _WORDS[language]["other"].format(sanitize(payway))
    return names[0] if language == "zh" else names[1]


def sanitize(text: str) -> str:
    """Return the printable content of a text in normal form C, as one line without blanks at its ends.

    Line breaks and kinds of spaces become a space; controls, bidirectional marks and what has no glyph are removed.
    The half-width yen sign becomes the full-width one, which is the one that Chinese character sets have.
    """
    return unicodedata.normalize("NFC", "".join(map(_printable, text))).strip(" ")


def _printable(char: str) -> str:
    if " " <= char <= "~":
        return char
    if char == "¥":
        return "￥"
    category = unicodedata.category(char)
    if char in _BLANKS or (category == "Zs" and char != "\u3000"):
        return " "
    return "" if category in _STRIPPED else char


def display_width(text: str) -> int:
    """Count the columns of a text: wide, full-width and ambiguous characters take two, as in Chinese fonts."""
    return sum(2 if unicodedata.east_asian_width(char) in "WFA" else 1 for char in text)


def wrap(text: str, columns: int) -> tuple[str, ...]:
    """Break a text into lines of at most ``columns`` (≥ 2): at spaces and beside wide characters, else anywhere."""
    lines: list[str] = []
    line = ""
    for unit in _units(text, columns):
        if display_width(line) + display_width(unit) > columns:
            lines.append(line.rstrip(" "))
            line = ""
        if line or unit != " ":
            line += unit
    lines.append(line.rstrip(" "))
    return tuple(line for line in lines if line)


def _units(text: str, columns: int) -> Iterator[str]:
    """Yield what must stay together: one wide character, one space, or a run of narrow ones no longer than a line."""
    for is_word, run in groupby(text, key=lambda char: char != " " and display_width(char) == 1):
        joined = "".join(run)
        size = columns if is_word else 1
        yield from (joined[start : start + size] for start in range(0, len(joined), size))


def layout(receipt: Receipt, *, columns: int) -> tuple[Mark, ...]:
    """Lay a slip out for paper of ``columns``. No line is wider; a copy says so twice.

    Raises:
        ValueError: fewer than MIN_COLUMNS columns.
    """
    if columns < MIN_COLUMNS:
        raise ValueError(f"{columns} columns are too few: at least {MIN_COLUMNS}")
    words = _WORDS[receipt.language]
    copy = (Line(text=words["copy"], align="center", bold=True),) if receipt.copy else ()
    rule = Line(text="-" * columns)
    return (
        *_heading(receipt.header, columns),
        Line(text=words[receipt.kind], align="center"),
        *copy,
        rule,
        *_amount(receipt, columns),
        *_qr(receipt, columns),
        rule,
        *_goods(receipt, columns),
        *_details(receipt, columns),
        rule,
        *copy,
        *_centered(receipt.footer, columns),
    )


def render_text(marks: Iterable[Mark], columns: int) -> str:
    """Write a slip as plain text for a screen or a message, each line ending in a line feed; nothing is enlarged.

    A QR code is written as its content.
    """
    lines = (Line(text=sanitize(mark.content)) if isinstance(mark, QrMark) else mark for mark in marks)
    return "".join(_aligned(line, columns) + "\n" for line in lines)


def _aligned(line: Line, columns: int) -> str:
    room = columns - display_width(line.text)
    indent = {"left": 0, "center": room // 2, "right": room}[line.align]
    return " " * indent + line.text


def _field(text: str) -> str:
    text = sanitize(text)
    return text if len(text) <= MAX_FIELD else text[: MAX_FIELD - 1] + "…"


def _heading(header: tuple[str, ...], columns: int) -> tuple[Line, ...]:
    """Put the first line in large letters where it fits, the others below it."""
    if not header:
        return ()
    return (*_large(_field(header[0]), columns), *_centered(header[1:], columns))


def _large(text: str, columns: int) -> tuple[Line, ...]:
    if text and display_width(text) * 2 <= columns:
        return (Line(text=text, align="center", bold=True, double=True),)
    return tuple(Line(text=part, align="center", bold=True) for part in wrap(text, columns))


def _centered(texts: tuple[str, ...], columns: int) -> tuple[Line, ...]:
    return tuple(Line(text=part, align="center") for text in texts for part in wrap(_field(text), columns))


def _amount(receipt: Receipt, columns: int) -> tuple[Line, ...]:
    """Set the amount apart: it is what a customer looks for."""
    words = _WORDS[receipt.language]
    outcome = words[f"{receipt.kind}_outcome"].format(provider_name(_field(receipt.payway), receipt.language))
    amount = _large(f"￥{format_yuan(receipt.amount)}", columns)
    return (Line(text=""), *amount, *_centered((outcome,), columns), Line(text=""))


def _qr(receipt: Receipt, columns: int) -> tuple[Mark, ...]:
    """Show the code, until when it can be paid, and that holding it proves nothing."""
    if receipt.kind != "qr":
        return ()
    words = _WORDS[receipt.language]
    below = (words["pay_before"].format(receipt.pay_before), words["no_proof"])
    return (QrMark(content=receipt.qr_content), Line(text=""), *_centered(below, columns))


def _goods(receipt: Receipt, columns: int) -> tuple[Line, ...]:
    """List the goods with what each costs together; without goods, the subject stands for them."""
    words = _WORDS[receipt.language]
    if not receipt.goods:
        return _row(words["subject"], receipt.subject, columns)
    lines: list[Line] = []
    for item in receipt.goods[:MAX_GOODS]:
        total = format_yuan(item.quantity * item.price)
        lines += _item(_field(item.name), total if item.quantity == 1 else f"x{item.quantity}  {total}", columns)
    if len(receipt.goods) > MAX_GOODS:
        lines.append(Line(text=words["more_goods"].format(len(receipt.goods) - MAX_GOODS)))
    return (*lines, Line(text="-" * columns))


def _item(name: str, cost: str, columns: int) -> tuple[Line, ...]:
    """Write a name with its cost at the right end of its last line, or below it."""
    if len(cost) > columns:
        return tuple(Line(text=part) for part in (*wrap(name, columns), *wrap(cost, columns)))
    *above, last = wrap(name, columns) or ("",)
    room = columns - display_width(last) - len(cost)
    if room >= _GAP:
        return (*(Line(text=part) for part in above), Line(text=last + " " * room + cost))
    return (*(Line(text=part) for part in (*above, last)), Line(text=cost, align="right"))


def _details(receipt: Receipt, columns: int) -> tuple[Line, ...]:
    words = _WORDS[receipt.language]
    rows = (
        (words["time"], receipt.time),
        (words["sn"], receipt.sn),
        (words["trade_no"], receipt.trade_no),
        (words["client_sn"], receipt.client_sn),
        (words["refund_no"], receipt.refund_no),
        (words["reference"], receipt.reference),
        (words["code"], receipt.code_masked),
        (words["terminal"], receipt.terminal_name),
        (words["operator"], receipt.operator),
    )
    return tuple(line for label, value in rows for line in _row(label, value, columns))


def _row(label: str, value: str, columns: int) -> tuple[Line, ...]:
    """Write a label at the left and its value at the right; a value with no room goes below its label."""
    value = _field(value)
    if not value:
        return ()
    room = columns - display_width(label) - display_width(value)
    if room >= _GAP:
        return (Line(text=label + " " * room + value),)
    if display_width(value) <= columns:
        return (Line(text=label), Line(text=value, align="right"))
    return (
        Line(text=label),
        *(Line(text=_INDENT + part) for part in wrap(value, columns - len(_INDENT))),
    )
