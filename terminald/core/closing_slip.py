"""The closing slip of a day as lines of columns: what a merchant compares with the gateway's statement."""

from collections.abc import Iterator
from dataclasses import dataclass

from terminald.core.money import format_yuan
from terminald.core.receipt import MIN_COLUMNS, Language, Line, display_width, provider_name, sanitize, wrap
from terminald.core.report import DayReport, Sums

#: Sales in doubt that are named, about 10 cm of paper; the others are counted in one line.
MAX_NAMED = 20

_GAP = 2  # blank columns between a label and its value

_WORDS: dict[Language, dict[str, str]] = {
    "zh": {
        "title": "日结单",
        "so_far": "*** 当日未结束 ***",
        "nothing": "本日无交易",
        "unnamed": "未知渠道",
        "total": "合计",
        "sold": "收款 {} 笔",
        "returned": "退款 {} 笔",
        "net": "净收款",
        "in_doubt": "待确认 {} 笔",
        "more": "…另有 {} 笔",
        "day": "营业日",
        "printed": "打印时间",
        "terminal": "终端",
    },
    "en": {
        "title": "Closing report",
        "so_far": "*** DAY NOT OVER ***",
        "nothing": "Nothing sold or returned",
        "unnamed": "Unknown provider",
        "total": "Total",
        "sold": "Sold {}",
        "returned": "Returned {}",
        "net": "Net",
        "in_doubt": "In doubt {}",
        "more": "... and {} more",
        "day": "Day",
        "printed": "Printed",
        "terminal": "Terminal",
    },
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ClosingSlip:
    """What a slip says beside the report. Times are ready to print; an empty name of the terminal has no line."""

    language: Language
    header: tuple[str, ...]
    day: str
    printed: str
    terminal_name: str
    is_over: bool


def layout_closing(report: DayReport, slip: ClosingSlip, *, columns: int) -> tuple[Line, ...]:
    """Lay the slip out for paper of ``columns``. No line is wider.

    Raises:
        ValueError: fewer than MIN_COLUMNS columns.
    """
    if columns < MIN_COLUMNS:
        raise ValueError(f"{columns} columns are too few: at least {MIN_COLUMNS}")
    return tuple(_lines(report, slip, columns))


def _lines(report: DayReport, slip: ClosingSlip, columns: int) -> Iterator[Line]:
    words, rule = _WORDS[slip.language], Line(text="-" * columns)
    yield from _centered(slip.header, columns, is_bold=True)
    yield from _title(words["title"], columns)
    if not slip.is_over:
        yield from _centered((words["so_far"],), columns, is_bold=True)
    yield rule
    yield from _row(words["day"], slip.day, columns)
    yield rule
    for payway, sums in report.providers:
        name = provider_name(payway, slip.language) if payway else words["unnamed"]
        yield from _sums(name, sums, words, columns)
        yield rule
    if not report.providers:
        yield from _centered((words["nothing"],), columns)
        yield rule
    yield from _sums(words["total"], report.total, words, columns, is_bold=True)
    yield rule
    if report.doubtful:
        yield from _doubt(report, words, columns)
        yield rule
    if slip.terminal_name:
        yield from _row(words["terminal"], slip.terminal_name, columns)
    yield from _row(words["printed"], slip.printed, columns)


def _sums(name: str, sums: Sums, words: dict[str, str], columns: int, *, is_bold: bool = False) -> Iterator[Line]:
    yield from (Line(text=part, bold=True) for part in wrap(name, columns))
    yield from _row(words["sold"].format(sums.count), _yuan(sums.sold), columns)
    yield from _row(words["returned"].format(sums.returns), _yuan(sums.returned), columns)
    yield from _row(words["net"], _yuan(sums.net), columns, is_bold=is_bold)


def _doubt(report: DayReport, words: dict[str, str], columns: int) -> Iterator[Line]:
    doubtful = report.doubtful
    yield from _row(words["in_doubt"].format(len(doubtful)), _yuan(report.in_doubt), columns, is_bold=True)
    for sale in doubtful[:MAX_NAMED]:
        yield from _row(sanitize(sale.sale_id), "", columns)
    if len(doubtful) > MAX_NAMED:
        yield from _row(words["more"].format(len(doubtful) - MAX_NAMED), "", columns)


def _yuan(fen: int) -> str:
    return f"￥{format_yuan(fen)}"


def _title(text: str, columns: int) -> Iterator[Line]:
    if display_width(text) * 2 <= columns:
        yield Line(text=text, align="center", bold=True, double=True)
    else:
        yield from _centered((text,), columns, is_bold=True)


def _centered(texts: tuple[str, ...], columns: int, *, is_bold: bool = False) -> Iterator[Line]:
    for text in texts:
        yield from (Line(text=part, align="center", bold=is_bold) for part in wrap(sanitize(text), columns))


def _row(label: str, value: str, columns: int, *, is_bold: bool = False) -> Iterator[Line]:
    """Write a label at the left and its value at the right; a value with no room goes below its label."""
    value = sanitize(value)
    room = columns - display_width(label) - display_width(value)
    if value and room >= _GAP:
        yield Line(text=label + " " * room + value, bold=is_bold)
        return
    yield from (Line(text=part, bold=is_bold) for part in wrap(label, columns))
    yield from (Line(text=part, align="right", bold=is_bold) for part in wrap(value, columns))
