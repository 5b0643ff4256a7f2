"""Plain words."""

import pytest

from terminald.cli.words import fields, local_time, reason_words, since, span, table


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-5, "0 s"),
        (0, "0 s"),
        (59.9, "59 s"),
        (60, "1 min"),
        (61, "1 min 1 s"),
        (3600, "1 h"),
        (3700, "1 h 1 min"),
        (90_000, "1 d 1 h"),
        (86_400 * 3 + 60, "3 d"),
    ],
)
def test_spans_have_two_units(seconds: float, text: str) -> None:
    assert span(seconds) == text


def test_times() -> None:
    assert local_time(None) == "-"
    assert local_time("2026-01-31T12:00:00.000+00:00").startswith("2026-01-31 ")
    assert local_time("soon\x1b") == "soon\\x1b"
    assert since(None) == "never"
    assert since("soon") == "never"
    assert since("1970-01-01T00:00:00+00:00").endswith(" ago")


def test_an_unknown_reason_is_shown_as_it_is() -> None:
    assert reason_words("new_reason") == "new_reason"
    assert reason_words(None) == "no reason is given"


def test_wide_characters_keep_the_columns() -> None:
    rows = [("name", "yuan"), ("可乐", "3.50"), ("Cola", "12.00")]
    assert table(rows, right=(1,)).splitlines() == ["name   yuan", "可乐   3.50", "Cola  12.00"]


def test_empty_values_are_left_out() -> None:
    assert fields([("a", "1"), ("b", "")], indent=" ") == " a           1"
