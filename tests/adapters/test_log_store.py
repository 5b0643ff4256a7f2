"""A log that waits is there whole or not at all, whatever happens; and there are never too many."""

import resource
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from terminald.adapters.log_pack import MAX_PACKED, PackedLog
from terminald.adapters.log_store import DIRECTORY, MAX_FILES, MAX_TOTAL, LogStore, WaitingLog, surplus
from tests.adapters.log_child import log_of


def log(first: int, last: int, data: bytes = b"packed") -> PackedLog:
    return PackedLog(first=first, last=last, rows=last - first + 1, data=data)


def names(store: LogStore) -> list[tuple[int, int]]:
    return [(one.first, one.last) for one in store.waiting()]


@contextmanager
def no_room_for_more_than(size: int) -> Iterator[None]:
    """Let no file of this process become longer: a write beyond it fails in the middle, as on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_what_was_stored_is_found_after_a_restart_the_oldest_first(tmp_path: Path) -> None:
    store = LogStore(tmp_path)
    assert store.waiting() == ()
    store.store(log(1_000_000_000_000, 1_000_000_000_009))
    stored = store.store(log(5, 9, b"older"))
    store = LogStore(tmp_path)
    assert names(store) == [(5, 9), (1_000_000_000_000, 1_000_000_000_009)]
    assert store.waiting()[0] == stored
    assert store.read(stored) == b"older"
    store.delete(stored)
    store.delete(stored)
    assert names(store) == [(1_000_000_000_000, 1_000_000_000_009)]


def test_only_the_service_may_read_it(tmp_path: Path) -> None:
    stored = LogStore(tmp_path).store(log(1, 2))
    assert stat.S_IMODE(stored.path.stat().st_mode) == 0o600
    assert stat.S_IMODE(stored.path.parent.stat().st_mode) == 0o700


def test_a_write_that_fails_leaves_nothing(tmp_path: Path) -> None:
    store = LogStore(tmp_path)
    store.store(log(1, 2, b"a"))
    with no_room_for_more_than(100), pytest.raises(OSError, match="File too large"):
        store.store(log(3, 4, bytes(101)))
    assert [path.name for path in (tmp_path / DIRECTORY).iterdir()] == ["000000000001-000000000002.jsonl.gz"]


def test_what_a_crash_left_is_cleaned_up_and_what_is_foreign_is_left_alone(tmp_path: Path) -> None:
    store = LogStore(tmp_path)
    whole = store.store(log(1, 2))
    for name, data in (
        ("000000000003-000000000004.jsonl.gz.tmp", b"half"),
        ("000000000005-000000000006.jsonl.gz", b""),
        ("000000000007-000000000008.jsonl.gz", bytes(MAX_PACKED + 1)),
        ("README", b"a person's"),
    ):
        (tmp_path / DIRECTORY / name).write_bytes(data)
    assert store.waiting() == (whole,)
    assert sorted(path.name for path in (tmp_path / DIRECTORY).iterdir()) == [whole.path.name, "README"]


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    store = LogStore(tmp_path)
    stored = store.store(log(1, 2))
    stored.path.unlink()
    stored.path.symlink_to("/etc/hostname")
    with pytest.raises(OSError, match="symbolic links"):
        store.read(stored)


def test_the_oldest_are_dropped_when_too_many_wait(tmp_path: Path) -> None:
    """I11."""
    store = LogStore(tmp_path)
    for number in range(1, MAX_FILES + 3):
        store.store(log(number, number))
    assert [one.first for one in store.make_room()] == [1, 2]
    assert [first for first, _ in names(store)] == list(range(3, MAX_FILES + 3))
    assert store.make_room() == ()


@given(st.lists(st.integers(1, MAX_TOTAL), max_size=2 * MAX_FILES))
def test_what_stays_is_within_the_bounds_and_is_the_newest(sizes: list[int]) -> None:
    """I11."""
    waiting = [
        WaitingLog(path=Path(str(number)), first=number, last=number, size=size) for number, size in enumerate(sizes)
    ]
    dropped = surplus(waiting)
    kept = waiting[len(dropped) :]
    assert [*dropped, *kept] == waiting
    assert len(kept) <= MAX_FILES
    assert sum(one.size for one in kept) <= MAX_TOTAL
    assert bool(kept) == bool(waiting)
    if dropped:
        assert len(kept) == MAX_FILES or sum(one.size for one in kept) + dropped[-1].size > MAX_TOTAL


@pytest.mark.parametrize("lives", [1, 2, 5, 9])
def test_a_killed_process_leaves_whole_logs_only(tmp_path: Path, lives: int) -> None:
    """Each file that was announced is there, or was dropped for newer ones; none is half."""
    command = [sys.executable, "-m", "tests.adapters.log_child", str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        announced = [int(child.stdout.readline()) for _ in range(lives)][-1]
        child.kill()
    store = LogStore(tmp_path)
    waiting = store.waiting()
    assert waiting[-1].first >= announced >= 1
    assert announced < waiting[0].first or announced in [one.first for one in waiting]
    for one in waiting:
        assert store.read(one) == log_of(one.first).data
