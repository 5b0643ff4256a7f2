"""The command line itself: help, usage, exit codes, and what it costs to start."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import terminald
from terminald.__main__ import main
from terminald.cli.arguments import dispatch, parse

COMMANDS = [
    *("run", "check", "activate", "adopt", "status", "sell", "cancel", "query", "sales", "show", "receipt", "events"),
    *("checkin", "doctor", "metrics", "demo", "simulate"),
]
Capture = pytest.CaptureFixture[str]


def test_help_names_every_command(capsys: Capture) -> None:
    assert main(["--help"]) == 0
    said = capsys.readouterr().out
    assert all(f"\n  {command} " in said for command in COMMANDS)
    assert "78 the configuration is wrong" in said


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help(command: str, capsys: Capture) -> None:
    assert main([command, "--help"]) == 0
    assert f"usage: terminald {command}" in capsys.readouterr().out


def test_version(capsys: Capture) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"terminald {terminald.__version__}\n"


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["nonsense"],
        ["status", "extra"],
        ["sell"],
        ["sell", "-3"],
        ["sell", "0"],
        ["sell", "3.505"],
        ["sell", "1", "--code", "130812345678901147"],
        ["sell", "1", "--method", "cash"],
        ["sales", "--limit", "0"],
        ["sales", "--limit", "201"],
        ["sales", "--state", "unknown"],
        ["events", "--since", "-1"],
        ["events", "--topic", "weather"],
        ["simulate"],
        ["simulate", "weather"],
        ["simulate", "gateway", "--port", "x"],
    ],
    ids=" ".join,
)
def test_wrong_usage_ends_with_2(arguments: list[str], capsys: Capture) -> None:
    assert main(arguments) == 2
    said = capsys.readouterr()
    assert "usage: terminald" in said.out + said.err


@pytest.mark.parametrize(("text", "fen"), [("3.50", 350), ("3", 300), ("350fen", 350)])
def test_amounts_are_yuan_or_fen(text: str, fen: int) -> None:
    args = parse(["sell", text])
    assert not isinstance(args, int)
    assert args.amount == fen


@pytest.mark.parametrize(
    ("arguments", "environment", "expected"),
    [
        (["status"], None, "/etc/terminald/terminald.toml"),
        (["status"], "", "/etc/terminald/terminald.toml"),
        (["status"], "/env.toml", "/env.toml"),
        (["--config", "/a.toml", "status"], "/env.toml", "/a.toml"),
        (["status", "--config", "/b.toml"], "/env.toml", "/b.toml"),
        (["--config", "/a.toml", "status", "--config", "/b.toml"], None, "/b.toml"),
        (["--config=/a.toml", "simulate", "scanner", "--prefix", "x"], None, "/a.toml"),
    ],
)
def test_the_configuration_is_named_before_or_after_the_command(
    arguments: list[str], environment: str | None, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TERMINALD_CONFIG", raising=False)
    if environment is not None:
        monkeypatch.setenv("TERMINALD_CONFIG", environment)
    args = parse(arguments)
    assert not isinstance(args, int)
    assert args.config == Path(expected)


def test_simulators_get_their_own_arguments(capsys: Capture) -> None:
    assert main(["simulate", "gateway", "--help"]) == 0
    assert "last two digits of the payment code" in capsys.readouterr().out
    args = parse(["simulate", "scanner", "--link", "/x", "--config", "/y"])
    assert not isinstance(args, int)
    assert args.rest == ["--link", "/x", "--config", "/y"]


def test_every_command_has_code(tmp_path: Path, capsys: Capture) -> None:
    missing = str(tmp_path / "none.toml")
    rest = {"sell": ["1"], "cancel": ["x"], "query": ["x"], "show": ["x"], "receipt": ["x"]}
    for command in COMMANDS:
        if command not in ("demo", "simulate"):
            args = parse([command, *rest.get(command, []), "--config", missing])
            assert not isinstance(args, int)
            assert main([command, *rest.get(command, []), "--config", missing]) == 78
            said = capsys.readouterr()
            assert "none.toml:1: file: does not exist" in (said.out if command == "doctor" else said.err)
    args = parse(["simulate", "printer", "--help"])
    assert not isinstance(args, int)
    assert dispatch(args) == 0


def program(*arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run([sys.executable, *arguments], capture_output=True, text=True, check=False, timeout=60)


@pytest.mark.system
def test_the_module_is_the_program() -> None:
    done = program("-m", "terminald", "--version")
    assert (done.returncode, done.stdout) == (0, f"terminald {terminald.__version__}\n")
    assert program("-m", "terminald", "nonsense").returncode == 2


@pytest.mark.system
def test_reading_arguments_imports_nothing_heavy() -> None:
    heavy = ("httpx", "PIL", "starlette", "uvicorn", "sqlite3", "asyncio", "serial", "msgspec", "escpos")
    code = (
        "import sys; from terminald.__main__ import main; main(['sell', '--help']); "
        f"print([name for name in {heavy!r} if name in sys.modules])"
    )
    assert program("-c", code).stdout.endswith("[]\n")


@pytest.mark.system
def test_nobody_listening_ends_with_3(tmp_path: Path) -> None:
    config = tmp_path / "terminald.toml"
    config.write_text(f'[api]\nsocket = "{tmp_path}/api.sock"\n')
    for command in (["status"], ["sell", "1"], ["events"], ["sales"], ["metrics"]):
        done = program("-m", "terminald", *command, "--config", str(config))
        assert done.returncode == 3
        assert done.stderr.startswith(f"terminald: terminald is not running at {tmp_path}/api.sock\n")
        assert "systemctl start terminald" in done.stderr


@pytest.mark.system
def test_output_that_nobody_reads_is_no_traceback(tmp_path: Path) -> None:
    config = tmp_path / "terminald.toml"
    config.write_text("")
    reader, writer = os.pipe()
    os.close(reader)
    try:
        done = subprocess.run(
            [sys.executable, "-m", "terminald", "check", "--config", str(config)],
            stdout=writer,
            stderr=subprocess.PIPE,
            check=False,
            timeout=60,
        )
    finally:
        os.close(writer)
    assert b"Traceback" not in done.stderr
    assert b"Exception ignored" not in done.stderr
