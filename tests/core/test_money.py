import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from terminald.core.money import MAX_AMOUNT, format_yuan, parse_amount


@pytest.mark.parametrize(
    ("text", "fen"),
    [
        ("3", 300),
        ("3.5", 350),
        ("3.50", 350),
        ("0.01", 1),
        ("350fen", 350),
        (" 350 fen ", 350),
        ("1fen", 1),
        ("99999999.99", MAX_AMOUNT),
        ("9999999999fen", MAX_AMOUNT),
        ("007", 700),
    ],
)
def test_an_amount_is_read_as_a_person_types_it(text: str, fen: int) -> None:
    assert parse_amount(text) == fen


@pytest.mark.parametrize(
    "text", ["", "3.", ".5", "3.505", "-1", "+1", "1e3", "3,50", "¥3", "3 yuan", "12.5fen", "３", "123456789", "1\n2"]
)
def test_what_is_not_an_amount_is_refused_with_what_is(text: str) -> None:
    with pytest.raises(ValueError, match=r"is not an amount: write yuan \(3\.50\) or fen \(350fen\)"):
        parse_amount(text)


@pytest.mark.parametrize("text", ["0", "0.00", "0fen"])
def test_nothing_is_no_amount(text: str) -> None:
    with pytest.raises(ValueError, match=r"out of range: 0\.01 to 99999999\.99 yuan"):
        parse_amount(text)


@given(st.text())
def test_any_text_is_an_amount_or_refused(text: str) -> None:
    try:
        amount = parse_amount(text)
    except ValueError:
        return
    assert 0 < amount <= MAX_AMOUNT


@given(st.integers(1, MAX_AMOUNT))
def test_what_is_written_is_read_back(fen: int) -> None:
    assert parse_amount(format_yuan(fen)) == fen
    assert parse_amount(f"{fen}fen") == fen


@pytest.mark.parametrize(("fen", "text"), [(350, "3.50"), (5, "0.05"), (0, "0.00"), (-5, "-0.05"), (-350, "-3.50")])
def test_yuan_have_two_decimals(fen: int, text: str) -> None:
    assert format_yuan(fen) == text


@given(st.integers(-MAX_AMOUNT, MAX_AMOUNT))
@example(-1)
def test_the_sign_stands_before_the_amount(fen: int) -> None:
    assert format_yuan(-fen) == (format_yuan(fen).removeprefix("-") if fen <= 0 else f"-{format_yuan(fen)}")
