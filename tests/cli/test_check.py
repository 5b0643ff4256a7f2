"""``terminald check``: every fault at once, each on its own line."""

import json
from pathlib import Path

import pytest

from terminald.__main__ import main

CONFIG = Path(__file__).parent.parent.parent / "config"
Capture = pytest.CaptureFixture[str]


def check(path: Path, *arguments: str) -> int:
    return main(["check", "--config", str(path), *arguments])


@pytest.fixture
def wrong(tmp_path: Path) -> Path:
    path = tmp_path / "terminald.toml"
    path.write_text('[terminal]\nnme = "x"\n[sale]\nmax_amount = -1\n[printer]\ndriver = "serial"\n')
    return path


def test_every_fault_has_its_line(wrong: Path, capsys: Capture) -> None:
    assert check(wrong) == 78
    said = capsys.readouterr()
    assert said.out == ""
    assert [line.removeprefix(f"{wrong}:").split(" ")[:2] for line in said.err.splitlines()] == [
        ["2:", "terminal.nme:"],
        ["4:", "sale.max_amount:"],
        ["5:", "printer.device:"],
    ]


def test_faults_as_json(wrong: Path, capsys: Capture) -> None:
    assert check(wrong, "--json") == 78
    verdict = json.loads(capsys.readouterr().out)
    assert (verdict["ok"], len(verdict["faults"]), verdict["warnings"]) == (False, 3, [])


def test_what_is_right_is_summed_up(tmp_path: Path, capsys: Capture) -> None:
    path = tmp_path / "terminald.toml"
    path.write_bytes((CONFIG / "terminald.toml").read_bytes())
    path.chmod(0o644)
    assert check(path) == 0
    said = capsys.readouterr()
    assert said.err == ""
    assert said.out.startswith(f"ok: {path}\n")
    assert "front on /dev/ttyACM0" in said.out


COLA = '[[kiosk.product]]\nbarcode = "6901234567892"\nname = "Cola"\nprice = 350\n'


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('mode = "fixed"\nsubject = "Laundry"', "5.00 yuan by each code (Laundry)\n"),
        (f'mode = "catalogue"\n{COLA}', "1 product to scan\n"),
        (f'mode = "catalogue"\n{COLA}{COLA.replace("7892", "7908")}', "2 products to scan\n"),
        (
            'mode = "fixed"\naction = "command"\n[kiosk.command]\nargv = ["/bin/true", "x"]',
            "5.00 yuan by each code (Ticket); then /bin/true is run\n",
        ),
        (
            'mode = "fixed"\naction = "gpio"\n[kiosk.gpio]\nchip = "pinctrl-rp1"\nline = "GPIO17"',
            "5.00 yuan by each code (Ticket); then pulses on pinctrl-rp1 GPIO17\n",
        ),
    ],
)
def test_a_kiosk_is_summed_up(tmp_path: Path, capsys: Capture, text: str, said: str) -> None:
    path = tmp_path / "terminald.toml"
    path.write_text(f"[kiosk]\n{text}\n")
    assert check(path) == 0
    (line,) = (line for line in capsys.readouterr().out.splitlines(keepends=True) if line.startswith("  kiosk"))
    assert line.removeprefix("  kiosk").lstrip(" :") == said


def test_a_terminal_with_a_host_is_no_kiosk(tmp_path: Path, capsys: Capture) -> None:
    path = tmp_path / "terminald.toml"
    path.write_text("")
    assert check(path) == 0
    assert "kiosk " not in capsys.readouterr().out


def test_doubts_are_warnings(capsys: Capture) -> None:
    assert check(CONFIG / "demo.toml") == 0
    said = capsys.readouterr()
    assert said.out.startswith("ok: ")
    assert all(line.startswith("warning: ") for line in said.err.splitlines())
    assert "gateway.url: is not encrypted" in said.err


def test_doubts_as_json(capsys: Capture) -> None:
    assert check(CONFIG / "demo.toml", "--json") == 0
    verdict = json.loads(capsys.readouterr().out)
    assert verdict["ok"] is True
    assert any("gateway.url" in doubt for doubt in verdict["warnings"])
