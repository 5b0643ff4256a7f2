"""The bench's own arithmetic, and that each of its parts runs. Nothing here looks at a stopwatch."""

import subprocess
import sys
import tempfile
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.bench.installed import hiding, only_here
from tests.bench.receipts import measure
from tests.bench.table import Role, Row, Section, encode_json, percentile, show
from tests.system.rig import PATIENCE_S

_FIGURES = st.lists(st.floats(0, 1e9), min_size=1, max_size=300).map(tuple)


@given(values=_FIGURES, share=st.floats(0.01, 1))
def test_a_percentile_is_a_value_that_so_many_values_do_not_exceed(values: tuple[float, ...], share: float) -> None:
    found = percentile(values, share)
    assert found in values
    assert sum(value <= found for value in values) >= share * len(values) - 1e-6


def test_a_figure_is_compared_with_the_subject_above_it(capsys: pytest.CaptureFixture[str]) -> None:
    rows = (
        Row(name="daemon", values=(4.0, 6.0, 50.0), unit="ms"),
        Row(name="bare", values=(3.0,), unit="ms", role="beside"),
        Row(name="commit", values=(1.5,), unit="ms", role="part"),
        Row(name="asleep", values=(0.0,), unit="ms", role="beside"),
    )
    section = Section(title="Scan", rows=rows, notes=("A note.",))
    show(section)
    title, head, daemon, bare, commit, asleep, note, _ = capsys.readouterr().out.split("\n", 7)
    assert (title, note.strip()) == ("Scan", "A note.")
    assert head.split() == ["n", "min", "median", "p99", "max", "median", "p99", "wanted"]
    assert daemon.split() == ["daemon", "3", "4", "6", "50", "50", "ms"]
    assert bare.split()[-2:] == ["×2", "×16.67"]
    assert commit.split()[-2:] == ["25%", "3%"]
    assert asleep.split()[-2:] == ["-", "-"]
    (decoded,) = msgspec.json.decode(encode_json([section]))
    assert [row["ratio_of_medians"] for row in decoded["rows"]] == [1.0, 2.0, 4.0, None]


def test_what_is_wanted_stands_beside_what_is() -> None:
    def row(*values: float, role: Role = "subject", most: float | None = None, most_p99: float | None = None) -> Row:
        return Row(name="", values=values, unit="MB", role=role, most=most, most_p99=most_p99)

    subject = row(4.0, 6.0, 50.0)
    assert (row(1.0).is_met(subject), row(1.0).wanted) == (None, "")
    assert (row(48.0, most=48.0).is_met(subject), row(48.0, most=48.0).wanted) == (True, "≤ 48 MB")
    assert row(49.0, most=48.0).is_met(subject) is False
    peer = row(3.0, 3.0, 10.0, role="beside", most=2.0, most_p99=3.0)
    assert (peer.is_met(subject), peer.wanted) == (False, "≤ ×2, p99 ≤ ×3")
    assert row(3.0, 3.0, 20.0, role="beside", most=2.0, most_p99=3.0).is_met(subject) is True
    assert row(2.0, role="beside", most=2.0).is_met(subject) is False


def test_a_receipt_as_text_is_smaller_than_its_image() -> None:
    for row, subject in measure().pairs():
        assert row is subject or subject.median < row.median


def test_what_no_terminal_has_installed_is_hidden_and_what_each_has_is_not() -> None:
    """Also what an optional part of the daemon needs is there: it costs nothing until it is configured."""
    names = only_here()
    assert {"rich", "pygments", "hypothesis"} <= set(names)
    assert {"httpx", "uvicorn", "click", "serial", "escpos", "aiomqtt", "gpiod", "terminald"}.isdisjoint(names)
    script = (
        f"{hiding()}\nimport terminald.cli.service\nprint(sum(sys.modules[name] is not None for name in {names!r}))"
    )
    done = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "0"


_TITLES = {
    "sales": ["Scan", "Disk"],
    "past": ["Scan", "Disk", "Past"],
    "distance": ["Distance"],
    "listeners": ["Listeners"],
    "start": ["Start"],
    "idle": ["Idle"],
    "memory": ["Memory"],
    "printing": ["Printing"],
    "receipts": ["Receipt"],
}


@pytest.mark.system
@pytest.mark.parametrize("part", _TITLES)
def test_every_part_of_the_bench_runs(part: str, tmp_path: Path) -> None:
    command = [
        sys.executable, "-m", "tests.bench", part, "--rounds", "1", "--old-sales", "3", "--starts", "1",
        "--idle-seconds", "0.1", "--idle-windows", "1", "--sales", "21", "--rest", "0", "--json", str(tmp_path / "out"),
    ]  # fmt: skip
    # Not tmp_path for all of it: a Unix socket's path has at most 107 bytes.
    with tempfile.TemporaryDirectory(prefix="td-") as short:
        command += ["--directory", short]
        done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=2 * PATIENCE_S)
    assert done.returncode == 0, done.stderr
    titles = [section["title"].partition(":")[0] for section in msgspec.json.decode((tmp_path / "out").read_bytes())]
    assert titles == _TITLES[part]


def test_rows_that_there_are_not_are_refused() -> None:
    command = [sys.executable, "-m", "tests.bench", "sails"]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=PATIENCE_S)
    assert (done.returncode, "not among the rows: sails" in done.stderr) == (2, True)
