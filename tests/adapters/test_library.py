"""What we send is what systemd's own library sends; and why it is not the library that does."""

import importlib.util
import select
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.journald import Journald, fields, in_place, is_place_to_be_had

PATIENCE_S = 45.0

pytestmark = pytest.mark.skipif(importlib.util.find_spec("systemd") is None, reason="systemd-python is not installed")


@pytest.fixture
def journald(tmp_path: Path) -> Iterator[Journald]:
    if not is_place_to_be_had(tmp_path):
        pytest.skip("a process may not have mounts of its own here")
    journald = Journald(tmp_path / "socket")
    yield journald
    journald.close()


@contextmanager
def child(journald: Journald, what: str) -> Iterator[subprocess.Popen[str]]:
    command = [*in_place(journald.path.parent), sys.executable, "-m", "tests.adapters.library_child", what]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as program:
        try:
            yield program
        finally:
            program.kill()


def test_an_entry_has_the_same_bytes_as_the_librarys(journald: Journald) -> None:
    with child(journald, "same") as program:
        assert program.wait(PATIENCE_S) == 0
    theirs, ours = journald.read()
    assert ours == theirs
    # The order is ours; the library adds nothing to fields that are all given.
    first, second = journald.received
    assert sorted(fields(first)) == sorted(fields(second))
    assert len(first) == len(second)


def test_the_library_stops_every_thread_while_a_journald_hangs(journald: Journald) -> None:
    """This is why it is not used. Where it fails, the library has learned better."""
    with child(journald, "waits") as program:
        assert program.stdout is not None
        assert program.stdout.readline() == "begun\n"
        heard, _, _ = select.select([program.stdout], [], [], 2 * 3.0)
        assert heard == [], "nothing was said when all was long over"
        while not select.select([program.stdout], [], [], 0.1)[0]:
            journald.read()
        assert float(program.stdout.readline()) > 3.0
        assert program.wait(PATIENCE_S) == 0
