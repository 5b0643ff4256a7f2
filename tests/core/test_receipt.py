from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from terminald.core.receipt import (
    MAX_FIELD,
    MAX_GOODS,
    MIN_COLUMNS,
    Goods,
    Line,
    QrMark,
    Receipt,
    display_width,
    layout,
    provider_name,
    render_text,
    sanitize,
    wrap,
)


def lines_of(receipt: Receipt, *, columns: int) -> tuple[Line, ...]:
    return tuple(mark for mark in layout(receipt, columns=columns) if isinstance(mark, Line))


SALE = Receipt(
    kind="sale",
    language="zh",
    amount=350,
    payway="3",
    time="2024-05-01 12:34:56",
    header=("自助售货", "人民路 1 号"),
    footer=("谢谢惠顾",),
    terminal_name="lobby-1",
    subject="可口可乐 330ml",
    sn="7894259244067349",
    trade_no="4200002134202405019876543210",
    client_sn="01JDABCDEFGH",
    code_masked="1308…1147",
    operator="kiosk",
    reference="order-8841",
)

ZH_32 = """\
            自助售货
          人民路 1 号
            支付凭证
--------------------------------

             ￥3.50
       微信支付 支付成功

--------------------------------
商品              可口可乐 330ml
交易时间     2024-05-01 12:34:56
交易单号        7894259244067349
支付单号
    4200002134202405019876543210
商户单号            01JDABCDEFGH
订单号                order-8841
付款码                1308…1147
终端                     lobby-1
操作员                     kiosk
--------------------------------
            谢谢惠顾
"""

EN_48_COPY = """\
                  Lobby Kiosk
                Payment receipt
                  *** COPY ***
------------------------------------------------

                    ￥13.50
                Paid with Alipay

------------------------------------------------
Cola 330ml                              x2  7.00
A very long name of a box of biscuits that needs
two lines                                   6.50
------------------------------------------------
Time                         2024-05-01 12:34:56
Transaction                     7894259244067349
------------------------------------------------
                  *** COPY ***
"""

hostile = st.text(alphabet=st.characters(), max_size=300) | st.text(
    alphabet="￥¥a 商\n\x1b\x1d@\u202e\u0301é…", max_size=80
)
columns = st.sampled_from((MIN_COLUMNS, 32, 42, 48)) | st.integers(MIN_COLUMNS, 64)
receipts = st.builds(
    Receipt,
    kind=st.just("sale"),
    language=st.sampled_from(("zh", "en")),
    amount=st.integers(0, 9_999_999_999),
    payway=st.sampled_from(("1", "3", "17", "99", "")) | hostile,
    time=hostile,
    header=st.lists(hostile, max_size=3).map(tuple),
    footer=st.lists(hostile, max_size=3).map(tuple),
    terminal_name=hostile,
    subject=hostile,
    goods=st.lists(
        st.builds(Goods, name=hostile, quantity=st.integers(0, 10**18), price=st.integers(-(10**9), 10**18)), max_size=3
    ).map(tuple),
    sn=hostile,
    trade_no=hostile,
    client_sn=hostile,
    code_masked=hostile,
    operator=hostile,
    reference=hostile,
    copy=st.booleans(),
)


def test_a_chinese_receipt_on_narrow_paper() -> None:
    assert render_text(layout(SALE, columns=32), 32) == ZH_32


def test_an_english_copy_with_goods_on_wide_paper() -> None:
    goods = (
        Goods(name="Cola 330ml", quantity=2, price=350),
        Goods(name="A very long name of a box of biscuits that needs two lines", quantity=1, price=650),
    )
    receipt = Receipt(
        kind="sale",
        language="en",
        amount=1350,
        payway="1",
        time="2024-05-01 12:34:56",
        header=("Lobby Kiosk",),
        goods=goods,
        sn="7894259244067349",
        copy=True,
    )
    assert render_text(layout(receipt, columns=48), 48) == EN_48_COPY


def test_the_heading_and_the_amount_are_large_where_they_fit() -> None:
    large = [line.text for line in lines_of(SALE, columns=32) if line.double]
    assert large == ["自助售货", "￥3.50"]
    long = replace(SALE, header=("A shop with a rather long name",), amount=9_999_999_999)
    lines = lines_of(long, columns=24)
    assert not any(line.double for line in lines)
    assert Line(text="A shop with a rather", align="center", bold=True) in lines
    assert Line(text="￥99999999.99", align="center", bold=True) in lines


def test_a_receipt_without_header_begins_with_its_title() -> None:
    assert lines_of(replace(SALE, header=()), columns=32)[0].text == "支付凭证"


def test_more_goods_than_fit_are_counted() -> None:
    goods = tuple(Goods(name=f"n{number}", quantity=1, price=1) for number in range(MAX_GOODS + 3))
    text = render_text(layout(replace(SALE, goods=goods, language="en"), columns=32), 32)
    assert f"n{MAX_GOODS - 1} " in text
    assert f"n{MAX_GOODS} " not in text
    assert "... and 3 more" in text


def test_a_cost_without_room_beside_its_name_goes_below() -> None:
    goods = (Goods(name="x" * 32, quantity=1, price=100), Goods(name="y", quantity=10**15, price=10**17))
    lines = lines_of(replace(SALE, goods=goods), columns=32)
    at = lines.index(Line(text="x" * 32))
    assert lines[at + 1] == Line(text="1.00", align="right")
    assert render_text(lines[at + 1 : at + 2], 32) == " " * 28 + "1.00\n"
    assert lines[at + 2] == Line(text="y")


def test_a_value_longer_than_a_line_is_indented_below_its_label() -> None:
    lines = lines_of(replace(SALE, subject="word " * 12), columns=32)
    at = lines.index(Line(text="商品"))
    assert [line.text for line in lines[at + 1 : at + 4]] == ["  word word word word word word"] * 2 + [
        "交易时间     2024-05-01 12:34:56"
    ]


def test_an_endless_field_is_clipped() -> None:
    text = render_text(layout(replace(SALE, subject="q" * 5000), columns=32), 32)
    assert text.count("q") == MAX_FIELD - 1


@pytest.mark.parametrize(
    ("payway", "zh", "en"),
    [
        ("1", "支付宝", "Alipay"),
        ("3", "微信支付", "WeChat Pay"),
        ("17", "银联云闪付", "UnionPay"),
        ("99", "其他支付 (99)", "Other (99)"),
    ],
)
def test_providers_have_names_in_both_languages(payway: str, zh: str, en: str) -> None:
    assert provider_name(payway, "zh") == zh
    assert provider_name(payway, "en") == en


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("\x1b@a\x1dV\x00", "@aV"),
        ("a\r\nb\tc\u2028d", "a  b c d"),
        ("\u202eabc\u2066\u200b\ufeff", "abc"),
        ("\x7f\x80\x9bx", "x"),
        ("¥5\xa0\u2003x", "￥5  x"),
        ("e\u0301 \u212b", "é Å"),
        ("\u3000全角", "\u3000全角"),
        ("\ud800\ue000", ""),
    ],
)
def test_what_could_command_a_printer_is_removed(text: str, clean: str) -> None:
    assert sanitize(text) == clean


def test_too_few_columns_are_refused() -> None:
    with pytest.raises(ValueError, match="at least 16"):
        layout(SALE, columns=MIN_COLUMNS - 1)


def test_a_qr_says_with_what_and_until_when_and_that_it_proves_nothing() -> None:
    qr = replace(SALE, kind="qr", qr_content="https://qr.example/1", pay_before="12:38:56", sn="", time="")
    marks = layout(qr, columns=32)
    assert marks.count(QrMark(content="https://qr.example/1")) == 1
    text = render_text(marks, 32)
    for part in (
        "扫码支付",
        "请用微信支付扫一扫付款",
        "请在 12:38:56 前付款",
        "本单不是付款凭证",
        "https://qr.example/1",
    ):
        assert part in text


def test_the_slip_of_a_refund_says_what_went_back_and_where() -> None:
    text = render_text(layout(replace(SALE, kind="refund", language="en", refund_no="r1"), columns=32), 32)
    for part in ("Refund receipt", "Returned to WeChat Pay", "Refund no.", "r1"):
        assert part in text


@given(receipts, columns)
def test_no_line_is_wider_than_the_paper_or_holds_a_control(receipt: Receipt, width: int) -> None:
    for line in lines_of(receipt, columns=width):
        assert display_width(line.text) * (2 if line.double else 1) <= width
        assert line.text.isprintable() or "\u3000" in line.text
        assert line.align in ("left", "center", "right")
    for text in render_text(layout(receipt, columns=width), width).split("\n"):
        assert display_width(text) <= width


@given(hostile)
def test_cleaning_twice_changes_nothing(text: str) -> None:
    assert sanitize(sanitize(text)) == sanitize(text)


@given(hostile.map(sanitize), st.integers(2, 60))
def test_wrapping_loses_nothing_but_blanks(text: str, width: int) -> None:
    lines = wrap(text, width)
    assert "".join(lines).replace(" ", "") == text.replace(" ", "")
    assert all(0 < display_width(line) <= width for line in lines)
