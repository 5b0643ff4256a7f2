"""The manual pages and the completion say what ``--help`` and the annotated configuration say."""

import argparse
import re
import shutil
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from terminald.cli.arguments import build_parser
from terminald.cli.manual import command_page, completion, config_page

MAN, BASH = (shutil.which(name) or "" for name in ("man", "bash"))
ANNOTATED = Path(__file__).parent.parent.parent / "config" / "terminald.toml"


def plain(page: str) -> str:
    """Return the words of a page on one line, without what the formatter alone reads."""
    text = re.sub(r"^\.[A-Z]+ ?", "", page, flags=re.MULTILINE).replace("\\(dq", '"').replace("\\&", "")
    return " ".join(text.replace("\\-", "-").replace("\\e", "\\").split())


def commands() -> dict[str, argparse.ArgumentParser]:
    (found,) = [each for each in build_parser()._actions if isinstance(each, argparse._SubParsersAction)]
    return dict(found.choices)


def helps(parser: argparse.ArgumentParser) -> Iterator[str]:
    """Yield the words about each argument, as ``--help`` prints them."""
    for action in parser._actions:
        if action.help and action.help != argparse.SUPPRESS and "--help" not in action.option_strings:
            yield parser._get_formatter()._expand_help(action)


@pytest.mark.parametrize("name", commands())
def test_the_page_says_of_a_command_what_its_help_says(name: str) -> None:
    page, command = plain(command_page()), commands()[name]
    assert command.description
    assert f" {name} " in page
    assert command.description in page
    own = [said for said in helps(command) if said != "the configuration"]
    assert [said for said in own if said not in page] == []
    for option in (option for action in command._actions for option in action.option_strings if len(option) > 2):
        assert option in page or option == "--help"


def test_the_page_has_the_options_and_exit_codes_of_the_program() -> None:
    page, parser = plain(command_page()), build_parser()
    assert parser.epilog
    assert " ".join(parser.epilog.split()).removeprefix("exit codes: ") in page
    assert [said for said in helps(parser) if said not in page] == []


def test_the_page_of_the_configuration_has_every_line_of_the_annotated_file() -> None:
    page = plain(config_page(ANNOTATED))
    lines = [line.removeprefix("#").strip() for line in ANNOTATED.read_text().splitlines()]
    assert [line for line in lines if " ".join(line.split()) not in page] == []
    assert tomllib.loads(ANNOTATED.read_text()).keys() <= set(re.findall(r"\[+([a-z]+)\]+", page))


@pytest.mark.skipif(not MAN, reason="needs man")
@pytest.mark.parametrize("page", [command_page(), config_page(ANNOTATED)], ids=["1", "5"])
def test_the_formatter_has_nothing_to_say_about_a_page(page: str, tmp_path: Path) -> None:
    file = tmp_path / "page"
    file.write_text(page)
    shown = subprocess.run(
        [MAN, "--warnings=w", "--local-file", file],
        env={"MANWIDTH": "100", "LC_ALL": "C.UTF-8", "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert shown.stderr == ""
    assert "terminald" in shown.stdout


@pytest.mark.skipif(not BASH, reason="needs bash")
@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("terminald chec", ["check", "checkin"]),
        ("terminald --vers", ["--version"]),
        ("terminald sell 350fen --del", ["--delivery"]),
        ("terminald sell 350fen --delivery ", ["none", "confirm"]),
        ("terminald --config run sales --state re", ["returning", "returned"]),
        ("terminald simulate s", ["scanner"]),
        ("terminald status --config terminald.to", ["terminald.toml"]),
        ("terminald receipt order-1 --png terminald.to", ["terminald.toml"]),
    ],
)
def test_what_is_typed_is_completed(line: str, offered: list[str], tmp_path: Path) -> None:
    (tmp_path / "terminald.toml").touch()
    words = line.split(" ")
    typed = " ".join(f"'{word}'" for word in words)
    script = f"{completion()}\nCOMP_WORDS=({typed}); COMP_CWORD={len(words) - 1}; _terminald\n"
    script += "printf '%s\\n' \"${COMPREPLY[@]}\""
    done = subprocess.run([BASH, "-c", script], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout.split() == offered
    assert done.stderr == ""
