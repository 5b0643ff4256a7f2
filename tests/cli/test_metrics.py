"""``terminald metrics`` against a stand-in for the daemon."""

from pathlib import Path

import pytest

from terminald.__main__ import main
from tests.cli.fake_daemon import answer, fake_daemon

BODY = b"# HELP x About.\n# TYPE x gauge\nx 1\n"
Capture = pytest.CaptureFixture[str]


def metrics(directory: Path, *arguments: str) -> int:
    return main(["metrics", *arguments, "--config", str(directory / "terminald.toml")])


def test_the_text_is_printed_as_it_is(tmp_path: Path, capsys: Capture) -> None:
    with fake_daemon(tmp_path, answer(200, BODY, b"text/plain")) as daemon:
        assert metrics(tmp_path) == 0
    assert capsys.readouterr().out.encode() == BODY
    assert daemon.requests[0].startswith(b"GET /metrics ")


def test_a_file_is_replaced_as_a_whole_and_others_may_read_it(tmp_path: Path, capsys: Capture) -> None:
    out = tmp_path / "terminald.prom"
    out.write_text("old")
    before = out.open()
    with fake_daemon(tmp_path, answer(200, BODY, b"text/plain")):
        assert metrics(tmp_path, "--out", str(out)) == 0
    with before:
        assert before.read() == "old"
    assert out.read_bytes() == BODY
    assert out.stat().st_mode & 0o777 == 0o644
    assert [file.name for file in tmp_path.iterdir() if file.name.startswith(".terminald-")] == []
    assert capsys.readouterr().out == ""


def test_without_an_answer_the_file_says_that_it_is_down(tmp_path: Path, capsys: Capture) -> None:
    """What was true once must not stay there as if it still were."""
    out = tmp_path / "terminald.prom"
    out.write_bytes(BODY)
    with fake_daemon(tmp_path):
        assert metrics(tmp_path, "--out", str(out)) == 1
    assert out.read_text().splitlines()[2:] == ["terminald_up 0"]
    assert "gave no whole answer" in capsys.readouterr().err


def test_a_place_that_can_not_be_written_is_named(tmp_path: Path, capsys: Capture) -> None:
    with fake_daemon(tmp_path, answer(200, BODY, b"text/plain")):
        assert metrics(tmp_path, "--out", str(tmp_path / "none" / "terminald.prom")) == 1
    assert "terminald.prom can not be written: No such file" in capsys.readouterr().err
    directory = tmp_path / "directory.prom"
    directory.mkdir()
    other = tmp_path / "other"
    other.mkdir()
    with fake_daemon(other, answer(200, BODY, b"text/plain")):
        assert metrics(other, "--out", str(directory)) == 1
    assert not [file for file in tmp_path.iterdir() if file.name.startswith(".terminald-")]
