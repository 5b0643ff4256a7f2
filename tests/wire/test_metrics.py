"""The text format, against a reader that was written from its description (Prometheus, text format 0.0.4)."""

import math
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from terminald.wire.metrics import Family, Sample, buckets, encode, flags, gauge, up

NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\.)*)"(?:,|$)')
ESCAPES = {r"\\": "\\", r"\n": "\n", r"\"": '"'}


def unescaped(text: str) -> str:
    return re.sub(r"\\.", lambda found: ESCAPES[found[0]], text)


def read_line(line: str) -> tuple[str, tuple[tuple[str, str], ...], float]:
    found = re.fullmatch(r"([^{ ]+)(?:\{(.*)\})? (\S+)", line, re.DOTALL)
    assert found, line
    name, labels, value = found.groups()
    assert NAME.fullmatch(name)
    pairs = tuple((one[1], unescaped(one[2])) for one in LABEL.finditer(labels or ""))
    assert ",".join(one[0].rstrip(",") for one in LABEL.finditer(labels or "")) == (labels or "")
    return name, pairs, float(value)


def test_a_family_has_help_type_and_its_samples() -> None:
    family = Family(
        name="x_total",
        help="How often.",
        kind="counter",
        samples=(Sample(value=3, labels=(("a", "b"), ("c", ""))), Sample(value=0.25)),
    )
    assert (
        encode([family]) == b'# HELP x_total How often.\n# TYPE x_total counter\nx_total{a="b",c=""} 3\nx_total 0.25\n'
    )


def test_what_could_break_a_line_is_escaped() -> None:
    family = Family(name="x", help="a\\b\nc", samples=(Sample(value=1, labels=(("l", 'a\\b"c\nd}'),)),))
    assert encode([family]) == b'# HELP x a\\\\b\\nc\n# TYPE x gauge\nx{l="a\\\\b\\"c\\nd}"} 1\n'


def test_a_family_without_samples_is_left_out() -> None:
    assert encode([gauge("x", "About.", None), gauge("y", "About.", 5)]) == b"# HELP y About.\n# TYPE y gauge\ny 5\n"
    assert encode([]) == b""


def test_flags_name_every_word() -> None:
    text = encode([flags("x", "About.", "word", ("a", "b"), {"b", "unheard of"})]).decode()
    assert text.splitlines()[2:] == ['x{word="a"} 0', 'x{word="b"} 1']


@pytest.mark.parametrize("is_up", [False, True])
def test_being_there_is_told_in_the_same_words_by_daemon_and_command(*, is_up: bool) -> None:
    assert encode([up(is_up=is_up)]).decode().splitlines()[2] == f"terminald_up {int(is_up)}"


@pytest.mark.parametrize(
    ("value", "written"), [(True, "1"), (0, "0"), (1_735_689_600.123, "1735689600.123"), (-2.0, "-2")]
)
def test_numbers_are_written_plainly(value: float, written: str) -> None:
    assert encode([gauge("x", "About.", value)]).decode().splitlines()[2] == f"x {written}"


@given(
    st.lists(
        st.tuples(
            st.lists(st.tuples(st.from_regex(r"\A[a-z_][a-z0-9_]{0,5}\Z"), st.text()), max_size=3).map(tuple),
            st.floats(allow_nan=False, allow_infinity=False),
        ),
        min_size=1,
    )
)
def test_a_reader_gets_back_what_was_written(samples: list[tuple[tuple[tuple[str, str], ...], float]]) -> None:
    family = Family(name="x", help="", samples=tuple(Sample(value=value, labels=pairs) for pairs, value in samples))
    lines = encode([family]).decode().split("\n")
    assert lines[-1] == ""
    read = [read_line(line) for line in lines[2:-1]]
    assert [(pairs, value) for _, pairs, value in read] == samples
    assert all(math.isfinite(value) for _, _, value in read)


# --- histograms ------------------------------------------------------------------------------------------------------


def test_a_histogram_counts_up_to_each_bound_and_ends_with_all() -> None:
    family = Family(
        name="x_seconds",
        help="How long.",
        kind="histogram",
        samples=tuple(buckets((0.005, 1, 2.5), (1, 0, 2, 4), 30.5, (("call", "pay"),))),
    )
    assert encode([family]).decode().splitlines() == [
        "# HELP x_seconds How long.",
        "# TYPE x_seconds histogram",
        'x_seconds_bucket{call="pay",le="0.005"} 1',
        'x_seconds_bucket{call="pay",le="1"} 1',
        'x_seconds_bucket{call="pay",le="2.5"} 3',
        'x_seconds_bucket{call="pay",le="+Inf"} 7',
        'x_seconds_sum{call="pay"} 30.5',
        'x_seconds_count{call="pay"} 7',
    ]


def test_a_histogram_without_labels_has_bounds_alone() -> None:
    assert [(one.suffix, one.labels, one.value) for one in buckets((1,), (0, 0), 0.0)] == [
        ("_bucket", (("le", "1"),), 0),
        ("_bucket", (("le", "+Inf"),), 0),
        ("_sum", (), 0),
        ("_count", (), 0),
    ]
