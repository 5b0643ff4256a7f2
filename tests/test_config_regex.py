"""What a payment code may look like: a pattern that is judged soon, whatever is presented."""

import re
import time
import warnings

import pytest
from hypothesis import given
from hypothesis import strategies as st

from terminald.config_regex import regex
from terminald.config_rules import NotAllowed

#: Far more than any pattern needs that is allowed, on the slowest machine; far less than the first of SLOW takes.
LIMIT_S = 2.0
LONGEST = "1" * 31 + "x"

SLOW = (
    r"^([0-9]+)+$",
    r"(?:[0-9]*)+x",
    r"(1|1)*x",
    r"(1|11)+x",
    r"([0-9]{1,9}){2,9}",
    r"(?:[0-9]?[0-9]?x?){9}",
    r"[0-9]+[0-9]+[0-9]+[0-9]+[0-9]+x",
    r"1?1?1?1?1?1?1?1?1?1?1?1?1?1?1?1?1?1?11111111x",
    r"(?:(?:1|2){1,9}){1,9}",
    r"(?=([0-9]+)+x)[0-9]+",
    r"(?>(?:1|1)*)x",
    r"((?:1|1|1)?[0-9]){20}x",
)
OTHER = (
    (r"([0-9]{8})\1", "refers back"),
    (r"(?P<half>[0-9]{8})(?P=half)", "a kind that is not allowed"),
    (r"(2)?(?(1)8|9)[0-9]{16}", "a kind that is not allowed"),
    (r"(?x) [0-9] {16}", "a kind that is not allowed"),
    (r"([0-9]?){2,9}x", "repeats what may be nothing"),
    (r"(?:\b)*1", "repeats what may be nothing"),
    (r"[0-9]*", "matches an empty text"),
)
GOOD = (
    r"^[0-9]{16,24}$",
    r"[0-9]+",
    r"^(?:2[5-9]|30)[0-9]{14,22}$|^1[0-5][0-9]{16}$|^01[0-9]{17}$",
    r"(?!28)[0-9]{16,24}",
    r"(?:[0-9]{4}){4,6}",
    r"(?i:hcp)[0-9A-F]+",
    r"(?P<wallet>28|13)\d{16}(?:-\w{1,4})?",
    r"[]^)(]\x41{2,}\(+\D??1{,3}",
    r"{x}[^]a]++",
)


@pytest.mark.parametrize("pattern", SLOW)
def test_what_could_take_long_is_refused(pattern: str) -> None:
    with pytest.raises(NotAllowed, match=r"may try for minutes|repeats what may be nothing"):
        regex(pattern)


@pytest.mark.parametrize(("pattern", "what"), OTHER)
def test_what_can_not_be_judged_or_makes_no_sense_is_refused_with_the_cause(pattern: str, what: str) -> None:
    with pytest.raises(NotAllowed, match=what):
        regex(pattern)


@pytest.mark.parametrize("pattern", GOOD)
def test_what_a_shop_writes_is_taken(pattern: str) -> None:
    assert regex(pattern).pattern == pattern


PIECES = st.sampled_from(
    [
        *"1x.|()*+?^$",
        "[0-9]",
        r"\d",
        r"\b",
        "(?:",
        "(?=",
        "(?!",
        "(?>",
        "{2}",
        "{1,3}",
        "{,4}",
        "{0,40}",
        "++",
        "*?",
        "|1",
    ]
)


@given(pattern=st.lists(PIECES, min_size=1, max_size=24).map("".join))
def test_whatever_is_taken_judges_the_longest_code_soon(pattern: str) -> None:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            compiled = regex(pattern)
    except NotAllowed:
        return
    began = time.thread_time()
    for text in (LONGEST, "1" * 32, "x" * 32):
        compiled.fullmatch(text)
    assert time.thread_time() - began < LIMIT_S, pattern


def test_the_longest_pattern_is_counted() -> None:
    """Groups in groups are as many as the length of a pattern allows."""
    assert regex("(" * 50 + "1" + ")" * 50).fullmatch("1")
    assert re.fullmatch(regex("1" * 200), "1" * 200)
