"""What ``terminald explain`` prints and writes; the daemon is a stand-in that says what a test wants."""

import json
import os
import stat
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from terminald.__main__ import main
from terminald.adapters.evidence import evidence_json
from terminald.cli.explain import lines_of
from terminald.core.receipt import display_width
from terminald.wire.api_story import Explanation, Origin, explanation_json, explanation_shape
from tests.cli.fake_daemon import FakeDaemon, answer, fake_daemon, problem
from tests.cli.write_stories import PLACE, stories
from tests.core.story_samples import STORIES, lost_answer, paid

Capture = pytest.CaptureFixture[str]
PAID = paid().dossier()
ENGLISH, CHINESE = answer(200, explanation_json(PAID, "en")), answer(200, explanation_json(PAID, "zh"))
ORIGIN = Origin(terminal_sn="T1", device_id="D1", version="1.2.3")
EVIDENCE = answer(200, evidence_json(PAID, ORIGIN, "en"))


@pytest.fixture(autouse=True)
def locale(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every test says for itself in which language its person reads."""
    for name in ("LC_ALL", "LC_MESSAGES", "LANG"):
        monkeypatch.delenv(name, raising=False)


def run(directory: Path, *arguments: str) -> int:
    return main(["explain", *arguments, "--config", str(directory / "terminald.toml")])


def paths_of(fake: FakeDaemon) -> list[str]:
    return [request.decode().split(" ")[1] for request in fake.requests]


# --- the sentences ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("file", "text"), list(stories()), ids=lambda value: getattr(value, "name", ""))
def test_a_typical_story_reads_as_it_is_kept(file: Path, text: str) -> None:
    assert file.read_text(encoding="utf-8") == text, "read it, then run: python -m tests.cli.write_stories"


def test_every_kept_story_is_a_typical_one() -> None:
    assert {file for file, _ in stories()} == set(PLACE.iterdir())


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize("columns", [40, 60, 100])
@pytest.mark.parametrize("name", STORIES)
def test_on_a_screen_lines_are_no_wider_than_it(name: str, columns: int, language: str) -> None:
    told = explanation_shape(STORIES[name]().dossier(), "zh" if language == "zh" else "en")
    lines = list(lines_of(told, columns))
    assert max(map(display_width, lines)) <= columns
    joined = "".join("".join(lines).split())
    assert all("".join(text.split()) in joined for text in told.certain)


def test_a_narrow_screen_breaks_lines_itself() -> None:
    told = explanation_shape(PAID, "en")
    assert list(lines_of(told, 20)) == list(lines_of(told, None))


def test_notes_are_told(tmp_path: Path, capsys: Capture) -> None:
    dossier = replace(lost_answer().dossier(), is_whole=False)
    with fake_daemon(tmp_path, answer(200, explanation_json(dossier, "en"))):
        assert run(tmp_path, "order-1") == 0
    assert "\nPlease note\n  - The story has gaps" in capsys.readouterr().out


def test_times_of_today_are_told_without_the_day() -> None:
    today = list(lines_of(explanation_shape(lost_answer().dossier(), "en"), None))
    assert any(line.startswith("  - 2024-05-01 12:00:46  ") for line in today)


def test_what_goes_over_midnight_has_both_days() -> None:
    told = explanation_shape(lost_answer().dossier(), "en")
    last = msgspec.structs.replace(told.story[-1], until="2024-05-02T04:00:43.000+00:00")
    lines = list(lines_of(msgspec.structs.replace(told, story=(last,)), None))
    assert lines[-2:] == [
        "  2024-05-01",
        f"  12:00:39  {last.text} (2 times, until 2024-05-02 12:00:43)",
    ]


# --- the language ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("environment", "arguments", "language"),
    [
        ({}, (), "en"),
        ({"LANG": "de_DE.UTF-8"}, (), "en"),
        ({"LANG": "zh_CN.UTF-8"}, (), "zh"),
        ({"LANG": "zh_CN.UTF-8", "LC_ALL": "C.UTF-8"}, (), "en"),
        ({"LANG": "C", "LC_MESSAGES": "zh_TW"}, (), "zh"),
        ({"LANG": "zh_CN.UTF-8"}, ("--language", "en"), "en"),
        ({}, ("--language", "zh"), "zh"),
    ],
)
def test_the_language_is_the_persons(
    environment: dict[str, str],
    arguments: tuple[str, ...],
    language: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: Capture,
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    with fake_daemon(tmp_path, CHINESE if language == "zh" else ENGLISH) as fake:
        assert run(tmp_path, "order-1", *arguments) == 0
    assert paths_of(fake) == [f"/v1/sales/order-1/explanation?language={language}"]
    assert capsys.readouterr().out.startswith("已确定\n" if language == "zh" else "What is certain\n")


def test_json_is_what_the_daemon_said(tmp_path: Path, capsys: Capture) -> None:
    with fake_daemon(tmp_path, ENGLISH):
        assert run(tmp_path, "order-1", "--json") == 0
    assert json.loads(capsys.readouterr().out) == json.loads(explanation_json(PAID, "en"))


# --- the evidence ----------------------------------------------------------------------------------------------------


def test_evidence_is_written_for_this_user_alone(tmp_path: Path, capsys: Capture) -> None:
    file = tmp_path / "evidence.json"
    before = os.umask(0)
    try:
        with fake_daemon(tmp_path, ENGLISH, EVIDENCE) as fake:
            assert run(tmp_path, "order-1", "--evidence", str(file)) == 0
    finally:
        os.umask(before)
    assert paths_of(fake)[1] == "/v1/sales/order-1/evidence?language=en"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert json.loads(file.read_bytes()) == json.loads(evidence_json(PAID, ORIGIN, "en"))
    assert file.read_bytes().startswith(b'{\n  "terminal"')
    out = capsys.readouterr().out
    assert out.startswith("What is certain")
    assert out.endswith(f"Evidence for the gateway's customer service: {file}\n")


def test_with_json_only_json_is_on_standard_output(tmp_path: Path, capsys: Capture) -> None:
    file = tmp_path / "evidence.json"
    with fake_daemon(tmp_path, ENGLISH, EVIDENCE):
        assert run(tmp_path, "order-1", "--json", "--evidence", str(file)) == 0
    said = capsys.readouterr()
    assert json.loads(said.out)["sale"] == PAID.view.sale.id
    assert str(file) in said.err


def test_evidence_is_not_written_over_a_file_unless_that_is_wanted(tmp_path: Path, capsys: Capture) -> None:
    file = tmp_path / "evidence.json"
    file.write_text("older, and longer than nothing")
    file.chmod(0o644)
    with fake_daemon(tmp_path, ENGLISH, EVIDENCE):
        assert run(tmp_path, "order-1", "--evidence", str(file)) == 1
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err == f"terminald: {file} is there already\n  → name another file, or add --force\n"
    assert file.read_text().startswith("older")
    with fake_daemon(tmp_path, ENGLISH, EVIDENCE):
        assert run(tmp_path, "order-1", "--evidence", str(file), "--force") == 0
    assert json.loads(file.read_bytes())["complete"] is True
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_a_link_is_not_followed(tmp_path: Path, capsys: Capture) -> None:
    target = tmp_path / "target"
    target.write_text("mine")
    (tmp_path / "link").symlink_to(target)
    with fake_daemon(tmp_path, ENGLISH, EVIDENCE):
        assert run(tmp_path, "order-1", "--evidence", str(tmp_path / "link"), "--force") == 1
    assert "can not be written" in capsys.readouterr().err
    assert target.read_text() == "mine"


def test_evidence_that_can_not_be_written_is_said(tmp_path: Path, capsys: Capture) -> None:
    with fake_daemon(tmp_path, ENGLISH, EVIDENCE):
        assert run(tmp_path, "order-1", "--evidence", str(tmp_path / "none" / "e.json")) == 1
    assert "can not be written: No such file or directory" in capsys.readouterr().err


# --- refusals --------------------------------------------------------------------------------------------------------


def test_a_sale_that_is_not_there_is_said(tmp_path: Path, capsys: Capture) -> None:
    with fake_daemon(tmp_path, problem(404, "not_found")):
        assert run(tmp_path, "order-1") == 1
    assert capsys.readouterr().err.startswith("terminald: the detail\n")


@pytest.mark.parametrize("offset", ["", "noon", "+8"])
def test_an_answer_of_another_version_is_said(offset: str, tmp_path: Path, capsys: Capture) -> None:
    told = msgspec.structs.replace(explanation_shape(PAID, "en"), timezone=offset)
    with fake_daemon(tmp_path, answer(200, msgspec.json.encode(told))):
        assert run(tmp_path, "order-1") == 1
    assert "is not understood" in capsys.readouterr().err


def test_a_time_that_is_none_is_shown_as_it_is() -> None:
    told = explanation_shape(PAID, "en")
    odd = msgspec.structs.replace(told.story[0], at="\x1b[31msoon")
    lines = list(lines_of(msgspec.structs.replace(told, story=(odd,)), None))
    assert isinstance(told, Explanation)
    assert all(line.isprintable() for line in lines)
