"""One terminald for a state directory, and nobody else in it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from terminald.adapters.state_directory import LOCK_NAME, lock, prepare
from terminald.errors import JournalUnavailable

ROOT = Path(__file__).parent.parent.parent
HOLD = """
import sys
from pathlib import Path
from terminald.adapters.state_directory import lock
held = lock(Path(sys.argv[1]))
print("held", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "var" / "terminald"


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


def test_the_directory_is_made_for_us_alone(directory: Path) -> None:
    prepare(directory)
    assert mode(directory) == 0o700
    prepare(directory)


@pytest.mark.parametrize("wide", [0o755, 0o777, 0o750, 0o701])
def test_a_directory_of_ours_is_closed_to_others(directory: Path, wide: int) -> None:
    directory.mkdir(parents=True)
    directory.chmod(wide)
    prepare(directory)
    assert mode(directory) == 0o700


@pytest.mark.parametrize("name", [LOCK_NAME, "journal.db", "journal-copy.db"])
def test_one_that_was_a_state_directory_is_closed_again(directory: Path, name: str) -> None:
    directory.mkdir(parents=True)
    directory.chmod(0o755)
    (directory / name).touch()
    (directory / "receipts.bin").touch()
    prepare(directory)
    assert mode(directory) == 0o700


@pytest.mark.parametrize("name", ["dpkg", "journal"])
def test_a_directory_that_is_for_other_things_is_neither_closed_to_others_nor_used(directory: Path, name: str) -> None:
    """Run by root, a slip in the configuration would shut everybody out of /var/lib, or of /var/log."""
    (directory / name).mkdir(parents=True)
    directory.chmod(0o1777)
    with pytest.raises(
        JournalUnavailable, match=r"holds other things: set state\.directory to one for terminald alone"
    ):
        lock(directory)
    assert directory.stat().st_mode & 0o7777 == 0o1777
    assert [path.name for path in directory.iterdir()] == [name]


def test_a_directory_of_another_user_is_refused(directory: Path) -> None:
    if os.geteuid() == 0:
        directory.mkdir(parents=True)
        os.chown(directory, 65534, 65534)
    else:
        directory = Path("/")
    with pytest.raises(JournalUnavailable, match=r"belongs to user .* run it as the owner"):
        prepare(directory)


def test_what_is_no_directory_is_refused(directory: Path) -> None:
    directory.parent.mkdir()
    directory.touch()
    with pytest.raises(JournalUnavailable, match=r"is not a directory: set state\.directory"):
        prepare(directory)
    with pytest.raises(JournalUnavailable, match="can not be used"):
        prepare(directory / "below")


def test_a_second_holder_is_told_who_the_first_one_is(directory: Path) -> None:
    with lock(directory):
        assert mode(directory / LOCK_NAME) == 0o600
        with pytest.raises(JournalUnavailable, match=f"held by process {os.getpid()}: stop that terminald"):
            lock(directory)
    held = lock(directory)
    held.release()
    held.release()
    lock(directory).release()


def test_a_holder_that_has_not_said_who_it_is_is_told_so(directory: Path) -> None:
    with lock(directory):
        (directory / LOCK_NAME).write_bytes(b"\xff\x00")
        with pytest.raises(JournalUnavailable, match=r"held by process \?"):
            lock(directory)


def test_a_lock_file_that_leads_elsewhere_is_refused(directory: Path, tmp_path: Path) -> None:
    prepare(directory)
    (directory / LOCK_NAME).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(JournalUnavailable, match="can not be opened"):
        lock(directory)
    assert not (tmp_path / "elsewhere").exists()


def test_the_lock_ends_with_its_holder_however_it_ends(directory: Path) -> None:
    command = [sys.executable, "-c", HOLD, str(directory)]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == b"held\n"
        with pytest.raises(JournalUnavailable, match=f"held by process {child.pid}:"):
            lock(directory)
        child.kill()
        child.wait()
    with lock(directory):
        assert (directory / LOCK_NAME).read_text() == f"{os.getpid()}\n"
