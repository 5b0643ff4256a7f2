"""``terminald demo`` as a newcomer runs it, and as one interrupts it."""

import os
import re
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from PIL import Image

pytestmark = pytest.mark.system

#: The demo has to be done in 20 s on two slow cores; a busy machine has longer.
PATIENCE_S = 90


def demo(directory: Path, *arguments: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-m", "terminald", "demo", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "TMPDIR": str(directory)},
    )


@pytest.fixture
def short_path() -> "tempfile.TemporaryDirectory[str]":
    """A Unix socket's path has at most 107 bytes."""
    return tempfile.TemporaryDirectory(prefix="td-")


def processes_in(directory: Path) -> list[str]:
    """Return the command lines of processes that name the directory."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = path.read_bytes()
        except OSError:
            continue
        if os.fsencode(directory) in line:
            found.append(line.replace(b"\0", b" ").decode())
    return found


def test_the_demo_ends_with_books_that_agree(short_path: "tempfile.TemporaryDirectory[str]") -> None:
    with short_path as directory:
        root = Path(directory)
        with demo(root, "--out", str(root / "out")) as process:
            said, _ = process.communicate(timeout=PATIENCE_S)
        assert process.returncode == 0, said
        assert "The books agree: 7 sales, 7 charges, 71.20 yuan on both sides" in said
        assert [int(number) for number in re.findall(r"^(\d+)\. ", said, re.MULTILINE)] == list(range(1, 14))
        assert "Declined: INSUFFICIENT_FUND" in said
        assert len(re.findall(r"^ +\S+ pay \S+ \d+ fen", said, re.MULTILINE)) == 2, "one for each story of the gateway"
        assert re.search(r"cancel \S+ → CANCEL_SUCCESS CANCELED +\(the QR\)\n.* pay .*\(the code\)", said), "I1"
        assert "the same again: it is the same refund, done." in said, "I9"
        assert "Paid 6.00 yuan, and all of it has gone back." in said
        assert "What the customer should see" in said
        pictures = re.findall(r"^   (?:Receipt|QR|Slip) printed: (.+)$", said, re.MULTILINE)
        assert pictures == [str(root / "out" / f"receipt-{number:04}.png") for number in range(1, 12)]
        for picture in pictures:
            with Image.open(picture) as image:
                assert image.width == 384
        assert re.search(r"\d{16}", re.sub(r"transaction \d+|terminal \d+", "", said)) is None, "I7: a whole code"
        assert [path.name for path in root.iterdir()] == ["out"]
        assert processes_in(root) == []


def test_an_interrupted_demo_leaves_nothing_running(short_path: "tempfile.TemporaryDirectory[str]") -> None:
    with short_path as directory:
        root = Path(directory)
        with demo(root, "--keep", str(root / "kept")) as process:
            assert process.stdout is not None
            for line in process.stdout:
                if "The customer shows code" in line:
                    break
            assert len(processes_in(root / "kept")) >= 2
            process.send_signal(signal.SIGINT)
            said, _ = process.communicate(timeout=PATIENCE_S)
        assert process.returncode == 1
        assert said.endswith("terminald: ended by a signal; every process of the demo was stopped\n")
        assert processes_in(root) == []
        assert (root / "kept" / "terminald.log").is_file()


def test_a_directory_that_can_not_be_made_is_named(tmp_path: Path) -> None:
    with demo(tmp_path, "--keep", str(tmp_path)) as process:
        said, _ = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 1
    assert f"{tmp_path} can not be made" in said


def test_the_demo_of_a_vending_machine_ends_with_books_that_agree(
    short_path: "tempfile.TemporaryDirectory[str]",
) -> None:
    with short_path as directory:
        root = Path(directory)
        with demo(root, "--vending", "--out", str(root / "out")) as process:
            said, _ = process.communicate(timeout=PATIENCE_S)
        assert process.returncode == 0, said
        assert "The books agree: 4 sales, 3 charges, 6.30 yuan on both sides" in said
        assert [int(number) for number in re.findall(r"^(\d+)\. ", said, re.MULTILINE)] == list(range(1, 10))
        for line in (
            "Machine: snacks, item 5: the machine says that it has dispensed.",
            "Machine: snacks, item 14: the money has gone back.",
            "Machine: snacks, item 7: denied; nothing was dispensed.",
            "Machine: snacks, item 3: approved; what came of it is not known.",
        ):
            assert line in said
        assert "WRONG" not in said
        assert processes_in(root) == []
