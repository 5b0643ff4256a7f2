"""The self-test ticket as lines of columns: which terminal this is, and whether its printer is set up right."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from terminald.core.receipt import MIN_COLUMNS, Language, Line, Mark, QrMark, display_width, sanitize, wrap

#: Chinese characters, signs of double width, and the yen sign, by which a wrong character set shows; 31 columns.
SAMPLE: Final = "中文测试：微信支付宝，￥12.50元"

_GAP = 2  # blank columns between a label and its value
_TENS = 10
_QR_LIMIT = 96  # about what the gateway's own codes have

_WORDS: dict[Language, dict[str, str]] = {
    "zh": {
        "title": "打印机自检",
        "name": "终端",
        "terminal_sn": "终端号",
        "none": "未激活",
        "device_id": "设备号",
        "version": "版本",
        "machine": "系统",
        "host": "主机名",
        "addresses": "地址",
        "gateway": "网关",
        "printer": "打印机",
        "time": "时间",
        "sample": "下行应为中文",
        "ruler": "下行应为一整行: {} 列",
        "no_receipt": "本单不是付款凭证",
    },
    "en": {
        "title": "Printer self-test",
        "name": "Terminal",
        "terminal_sn": "Terminal no.",
        "none": "not activated",
        "device_id": "Device id",
        "version": "Version",
        "machine": "System",
        "host": "Host name",
        "addresses": "Addresses",
        "gateway": "Gateway",
        "printer": "Printer",
        "time": "Time",
        "sample": "Chinese below:",
        "ruler": "One whole line below: {} columns",
        "no_receipt": "This is no proof of payment",
    },
}


@dataclass(frozen=True, slots=True, kw_only=True)
class SelfTest:
    """What the ticket says. Texts may come from anywhere; time is ready to print; empty: not activated, unknown."""

    language: Language
    terminal_name: str
    terminal_sn: str
    device_id: str
    version: str
    machine: str
    host: str
    addresses: tuple[str, ...]
    gateway: tuple[str, ...]  # its address, then how it is
    printer: str
    time: str

    @property
    def qr_content(self) -> str:
        """Return the content of the code: no payment code, whoever scans it."""
        text = " ".join(("terminald self-test", sanitize(self.version), sanitize(self.terminal_sn) or "-"))
        return text.encode("ascii", "replace").decode()[:_QR_LIMIT]


def layout_self_test(slip: SelfTest, *, columns: int) -> tuple[Mark, ...]:
    """Lay the ticket out for paper of ``columns``. No line is wider, and the ruler is exactly as wide.

    Raises:
        ValueError: fewer than MIN_COLUMNS columns.
    """
    if columns < MIN_COLUMNS:
        raise ValueError(f"{columns} columns are too few: at least {MIN_COLUMNS}")
    return tuple(_marks(slip, columns))


def _marks(slip: SelfTest, columns: int) -> Iterator[Mark]:
    words, rule = _WORDS[slip.language], Line(text="-" * columns)
    yield from _title(words["title"], columns)
    yield rule
    yield from _row(words["name"], slip.terminal_name, columns)
    yield from _row(words["terminal_sn"], slip.terminal_sn or words["none"], columns)
    yield from _row(words["device_id"], slip.device_id, columns)
    yield from _row(words["version"], slip.version, columns)
    yield from _row(words["machine"], slip.machine, columns)
    yield rule
    yield from _row(words["host"], slip.host, columns)
    yield from _rows(words["addresses"], slip.addresses, columns)
    yield from _rows(words["gateway"], slip.gateway, columns)
    yield from _row(words["printer"], slip.printer, columns)
    yield from _row(words["time"], slip.time, columns)
    yield rule
    yield from _plain(words["sample"], columns)
    yield from _plain(SAMPLE, columns)
    yield from _plain(words["ruler"].format(columns), columns)
    yield Line(text=ruler(columns))
    yield Line(text="")
    yield QrMark(content=slip.qr_content)
    yield Line(text="")
    yield from (Line(text=part, align="center") for part in wrap(words["no_receipt"], columns))


def ruler(columns: int) -> str:
    """Return a line of exactly so many columns, each tenth numbered, the last one ``|``."""
    marked = "".join(str(column // _TENS % _TENS) if column % _TENS == 0 else "-" for column in range(1, columns))
    return f"{marked}|"


def _title(text: str, columns: int) -> Iterator[Line]:
    if display_width(text) * 2 <= columns:
        yield Line(text=text, align="center", bold=True, double=True)
    else:
        yield from (Line(text=part, align="center", bold=True) for part in wrap(text, columns))


def _rows(label: str, values: tuple[str, ...], columns: int) -> Iterator[Line]:
    first, *others = values or ("",)
    yield from _row(label, first, columns)
    for value in others:
        yield from _row("", value, columns)


def _row(label: str, value: str, columns: int) -> Iterator[Line]:
    """Write a label at the left and its value at the right; a value with no room goes below its label."""
    value = sanitize(value)
    room = columns - display_width(label) - display_width(value)
    if value and room >= _GAP:
        yield Line(text=label + " " * room + value)
        return
    yield from _plain(label, columns)
    yield from (Line(text=part, align="right") for part in wrap(value, columns))


def _plain(text: str, columns: int) -> Iterator[Line]:
    yield from (Line(text=part) for part in wrap(text, columns))
