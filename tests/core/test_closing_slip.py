"""The closing slip: every sum in its place, in both languages, on the narrowest paper too."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from terminald.core.closing_slip import MAX_NAMED, ClosingSlip, layout_closing
from terminald.core.ids import Reference, SaleId
from terminald.core.money import Fen
from terminald.core.receipt import MIN_COLUMNS, Language, display_width, render_text
from terminald.core.report import SaleOfDay, report_of
from tests.wire.report_samples import DAY, day_report

SLIP = ClosingSlip(
    language="en",
    header=("Lobby Kiosk",),
    day="2025-01-31 (+08:00)",
    printed="2025-02-01 00:10:00",
    terminal_name="lobby-1",
    is_over=True,
)


def text(slip: ClosingSlip = SLIP, columns: int = 32) -> str:
    return render_text(layout_closing(day_report(), slip, columns=columns), columns)


def in_doubt(number: int) -> SaleOfDay:
    return SaleOfDay(
        sale_id=SaleId(f"01J{number:023}"),
        reference=Reference(f"r{number}"),
        payway="",
        is_paid=False,
        paid=Fen(0),
        returns=0,
        returned=Fen(0),
        in_doubt=Fen(350),
    )


def test_an_english_slip() -> None:
    assert (
        text()
        == """\
          Lobby Kiosk
         Closing report
--------------------------------
Day          2025-01-31 (+08:00)
--------------------------------
Alipay
Sold 1                    ￥3.50
Returned 0                ￥0.00
Net                       ￥3.50
--------------------------------
WeChat Pay
Sold 2                    ￥7.00
Returned 1                ￥1.00
Net                       ￥6.00
--------------------------------
Total
Sold 3                   ￥10.50
Returned 1                ￥1.00
Net                       ￥9.50
--------------------------------
In doubt 1                ￥0.50
01JDSALE3
--------------------------------
Terminal                 lobby-1
Printed      2025-02-01 00:10:00
"""
    )


def test_a_chinese_slip_of_a_day_that_is_not_over() -> None:
    said = text(replace(SLIP, language="zh", is_over=False, terminal_name=""))
    for part in (
        "日结单",
        "当日未结束",
        "营业日",
        "支付宝",
        "微信支付",
        "收款 3 笔",
        "退款 1 笔",
        "净收款",
        "待确认 1 笔",
    ):
        assert part in said
    assert "终端" not in said


@pytest.mark.parametrize("language", ["zh", "en"])
def test_a_day_without_sales_says_so(language: Language) -> None:
    said = render_text(layout_closing(report_of(DAY, []), replace(SLIP, language=language), columns=32), 32)
    assert ("本日无交易" if language == "zh" else "Nothing sold or returned") in said
    assert said.count("￥0.00") == 3


def test_a_provider_that_the_gateway_did_not_name_has_its_sums() -> None:
    sold = replace(in_doubt(1), is_paid=True, paid=Fen(350), in_doubt=Fen(0))
    said = render_text(layout_closing(report_of(DAY, [sold]), SLIP, columns=32), 32)
    assert "Unknown provider\nSold 1                    ￥3.50\n" in said


def test_a_slip_has_an_end_however_much_is_in_doubt() -> None:
    """I11."""
    report = report_of(DAY, map(in_doubt, range(1_000)))
    marks = layout_closing(report, SLIP, columns=32)
    said = render_text(marks, 32)
    assert "In doubt 1000          ￥3500.00\n" in said
    assert f"... and {1_000 - MAX_NAMED} more\n" in said
    assert len(marks) < 60


@given(
    columns=st.integers(MIN_COLUMNS, 48),
    language=st.sampled_from(["zh", "en"]),
    header=st.lists(st.text(max_size=60), max_size=3).map(tuple),
    name=st.text(max_size=80),
)
def test_no_line_is_wider_than_the_paper(columns: int, language: Language, header: tuple[str, ...], name: str) -> None:
    slip = replace(SLIP, language=language, header=header, terminal_name=name, is_over=False)
    for line in layout_closing(day_report(), slip, columns=columns):
        assert display_width(line.text) * (2 if line.double else 1) <= columns


def test_paper_that_is_too_narrow_is_refused() -> None:
    with pytest.raises(ValueError, match="too few"):
        layout_closing(day_report(), SLIP, columns=MIN_COLUMNS - 1)
