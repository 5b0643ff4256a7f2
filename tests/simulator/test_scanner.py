"""The simulated scanner behaves on its pseudo terminal as a real one on its cable."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from terminald.simulator.scanner import HELP, SimulatedScanner, converse
from tests.simulator.scanner_host import Host

CODE = "130812345678901147"
PROGRAM = (
    "import argparse, sys; from terminald.simulator import scanner;"
    "parser = argparse.ArgumentParser(); scanner.add_arguments(parser);"
    "sys.exit(scanner.main(parser.parse_args()))"
)


@pytest.fixture
def link(tmp_path: Path) -> Path:
    return tmp_path / "scanner0"


@pytest.fixture
def scanner(link: Path) -> Iterator[SimulatedScanner]:
    with SimulatedScanner(link=link) as scanner:
        yield scanner


def test_a_scan_arrives_as_sent_with_prefix_and_suffix(scanner: SimulatedScanner) -> None:
    with Host(scanner.path) as host:
        assert scanner.scan(CODE, prefix="]Q1", suffix="\r\n")
        assert host.read(23) == b"]Q1" + CODE.encode() + b"\r\n"
        assert scanner.scan(CODE, chunk=1, gap_s=0.0001)
        assert host.read(19) == CODE.encode() + b"\r"
        assert scanner.scan(CODE, times=2, suffix="")
        assert host.read(36) == CODE.encode() * 2
        assert scanner.scan("", suffix="")
        assert not host.has_more()


def test_noise_is_the_same_for_the_same_seed(scanner: SimulatedScanner) -> None:
    with SimulatedScanner(seed=0) as other, Host(scanner.path) as host, Host(other.path) as other_host:
        assert other.path == other.device
        assert scanner.noise(100)
        assert other.noise(100)
        assert host.read(100) == other_host.read(100)


def test_the_host_sees_a_hang_up_and_finds_another_device_under_the_link(scanner: SimulatedScanner, link: Path) -> None:
    with Host(scanner.path) as host:
        scanner.unplug()
        scanner.unplug()
        assert host.read(1) == b""
        assert not link.is_symlink()
        assert scanner.device == ""
        assert not scanner.scan(CODE)
        scanner.replug()
        scanner.replug()
        assert str(link.readlink()) == scanner.device
        with Host(scanner.path) as again:
            assert scanner.scan(CODE)
            assert again.read(19) == CODE.encode() + b"\r"


def test_a_stale_link_is_replaced_and_a_file_is_not(link: Path) -> None:
    link.symlink_to("/dev/pts/does-not-exist")
    with SimulatedScanner(link=link) as scanner:
        assert str(link.readlink()) == scanner.device
        link.unlink()
        link.symlink_to("/dev/null")
    assert str(link.readlink()) == "/dev/null"
    link.unlink()
    link.write_text("kept")
    with pytest.raises(FileExistsError):
        SimulatedScanner(link=link)
    assert link.read_text() == "kept"


def test_a_person_types_codes_and_commands(
    scanner: SimulatedScanner, link: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with Host(scanner.path) as host:
        converse(scanner, [f"{CODE}\n", "\n", ":burst 123\n"], suffix="\n", prefix="]C0")
        assert host.read(29) == b"]C0" + CODE.encode() + b"\n]C0123\n"
        converse(scanner, [":twice 12\n", ":half 123456\n"], suffix="\t")
        assert host.read(9) == b"12\t12\t123"
        converse(scanner, [":noise 5\n"])
        assert len(host.read(5)) == 5
        assert capsys.readouterr().out == ""
        converse(scanner, [":noise many\n", ":leave 1\n", ":help\n"])
        assert capsys.readouterr().out == f"{HELP}\n" * 3
        converse(scanner, [":unplug\n", f"{CODE}\n", ":replug\n"])
        assert capsys.readouterr().out == f"lost: the host does not read, or the scanner is unplugged\n{link}\n"


@pytest.mark.parametrize("is_ended_by_signal", [True, False])
def test_the_program_prints_its_path_and_removes_its_link(link: Path, *, is_ended_by_signal: bool) -> None:
    command = [sys.executable, "-c", PROGRAM, "--link", str(link), "--suffix", "crlf"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stdout.readline().decode() == f"{link}\n"
        with Host(str(link)) as host:
            process.stdin.write(f"{CODE}\n".encode())
            process.stdin.flush()
            assert host.read(20) == CODE.encode() + b"\r\n"
        if is_ended_by_signal:
            process.send_signal(signal.SIGTERM)
        else:
            process.stdin.close()
        assert process.wait(timeout=20) == 0
    assert not link.is_symlink()


def test_the_program_says_why_it_can_not_start(link: Path) -> None:
    link.write_text("kept")
    result = subprocess.run(
        [sys.executable, "-c", PROGRAM, "--link", str(link)], check=False, capture_output=True, text=True, timeout=20
    )
    assert result.returncode == 1
    assert result.stderr == f"{link} is not a symbolic link\n"
