"""``simulate gateway`` as a program: its first line, its files, and its end."""

import argparse
import json
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from terminald.simulator.gateway import OUTCOMES, add_arguments, main
from terminald.simulator.gateway_faults import KINDS

PROGRAM = """
import argparse, sys
from terminald.simulator.gateway import add_arguments, main
parser = argparse.ArgumentParser()
add_arguments(parser)
sys.exit(main(parser.parse_args()))
"""


def parse(*arguments: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="terminald simulate gateway")
    add_arguments(parser)
    return parser.parse_args(arguments)


@contextmanager
def program(*arguments: str) -> Iterator[tuple["subprocess.Popen[str]", str]]:
    command = [sys.executable, "-c", PROGRAM, *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            match = re.fullmatch(
                r"gateway simulator listening on (http://127\.0\.0\.1:\d+)\n", process.stdout.readline()
            )
            assert match is not None
            yield process, match[1]
        finally:
            process.kill()


@pytest.mark.system
@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT])
def test_it_says_where_it_listens_and_stops_cleanly(signum: signal.Signals, tmp_path: Path) -> None:
    """I7: the vendor key of a file is not shown."""
    key_file = tmp_path / "vendor_key"
    key_file.write_text("key-of-the-file\n")
    script = tmp_path / "script.json"
    short = {"kind": "declined", "path": "refund", "error_code": "ACCOUNT_BALANCE_NOT_ENOUGH", "count": None}
    script.write_text(json.dumps([{"kind": "http_status", "status": 503, "path": "query"}, short]))
    files = ("--vendor-key-file", str(key_file), "--script", str(script))
    arguments = ("--port", "0", "--code", "DEMO=2", "--qr-life", "90", *files)
    with program(*arguments) as (process, url):
        with httpx.Client(base_url=url, trust_env=False) as client:
            assert client.post("/upay/v2/query", content=b"{}").status_code == 503
            assert client.get("/_sim/books").json()["totals"]["orders"] == 0
            assert client.post("/_sim/disarm", json={}).json() == {"disarmed": 1}
        process.send_signal(signum)
        assert process.stdout is not None
        rest = process.stdout.read()
        assert process.wait(timeout=20) == 0
    assert "DEMO (2 uses)" in rest
    assert "query → ILLEGAL_SIGN [http_status]" in rest
    assert "key-of-the-file" not in rest


@pytest.mark.system
def test_a_taken_port_ends_with_1(capsys: pytest.CaptureFixture[str]) -> None:
    with program("--port", "0") as (_, url):
        assert main(parse("--port", url.rpartition(":")[2])) == 1
    assert "--port 0" in capsys.readouterr().err


@pytest.mark.parametrize(
    "content",
    [None, "not json", '{"kind": "empty"}', '[{"kind": "unknown"}]'],
    ids=["absent", "text", "object", "kind"],
)
def test_a_script_that_can_not_be_used_is_named(
    content: str | None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    script = tmp_path / "faults.json"
    if content is not None:
        script.write_text(content)
    assert main(parse("--port", "0", "--script", str(script))) == 1
    assert "faults.json" in capsys.readouterr().err


def test_an_empty_key_file_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    key_file = tmp_path / "vendor_key"
    key_file.write_text("\n")
    assert main(parse("--vendor-key-file", str(key_file))) == 1
    assert "vendor_key is empty" in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments",
    [
        ("--port", "65536"),
        ("--port", "x"),
        ("--speed", "0"),
        ("--speed", "-1"),
        ("--speed", "nan"),
        ("--qr-life", "0"),
        ("--qr-life", "forever"),
        ("--code", "DEMO"),
        ("--code", "=1"),
        ("--code", "DEMO=many"),
    ],
)
def test_wrong_usage_ends_with_2(arguments: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exit_info:
        parse(*arguments)
    assert exit_info.value.code == 2
    assert arguments[0] in capsys.readouterr().err


def test_the_help_prints_the_table_of_outcomes(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exit_info:
        parse("--help")
    assert exit_info.value.code == 0
    text = capsys.readouterr().out
    assert all(f"  {digits}  " in text for digits in OUTCOMES)
    assert all(f"  {kind} " in text for kind in KINDS)
