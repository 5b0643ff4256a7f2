"""What tells boards from each other, and what does not: sandboxes, new systems, copied cards."""

from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from terminald.adapters.fingerprint import MAX_BYTES, SOURCES, derive_device_id, differing_source, read_board
from terminald.errors import JournalUnavailable

SERIAL, MACHINE = SOURCES


def board(directory: Path, *, serial: bytes | None = None, machine: bytes | None = None) -> Mapping[str, Path]:
    """Make a board with these identities; None: the file can not be read."""
    directory.mkdir(exist_ok=True)
    sources = {SERIAL: directory / "serial-number", MACHINE: directory / "machine-id"}
    for path, content in zip(sources.values(), (serial, machine), strict=True):
        path.unlink(missing_ok=True)
        if content is not None:
            path.write_bytes(content)
    return sources


def test_the_device_id_is_a_digest_of_the_strongest_identity(tmp_path: Path) -> None:
    """I7: at most 32 characters, and never the number itself."""
    both = derive_device_id(board(tmp_path, serial=b"10000000e5e1c8b7\0", machine=b"3d1219c7\n"))
    assert (len(both), both) == (32, derive_device_id(board(tmp_path, serial=b"10000000e5e1c8b7")))
    assert derive_device_id(board(tmp_path, machine=b"3d1219c7\n")) != both


@pytest.mark.parametrize("nothing", [b"", b"\0", b"0000000000000000\0", b"uninitialized\n"])
def test_what_is_the_same_on_many_boards_is_no_identity(nothing: bytes, tmp_path: Path) -> None:
    sources = board(tmp_path, serial=nothing, machine=nothing)
    assert read_board(sources) == {}
    with pytest.raises(JournalUnavailable, match=r"no identity of this board can be read .* set terminal\.device_id"):
        derive_device_id(sources)


def test_digests_are_of_each_source_and_hold_no_number(tmp_path: Path) -> None:
    """I7"""
    found = read_board(board(tmp_path, serial=b"10000000e5e1c8b7\0", machine=b"3d1219c7\n"))
    assert list(found) == [SERIAL, MACHINE]
    assert "e5e1c8b7" not in str(found)
    assert found[SERIAL] != derive_device_id(board(tmp_path, serial=b"10000000e5e1c8b7\0"))


def test_a_source_is_read_up_to_a_bound(tmp_path: Path) -> None:
    """I11"""
    long = read_board(board(tmp_path, serial=b"x" * MAX_BYTES))
    assert read_board(board(tmp_path, serial=b"x" * MAX_BYTES + b"more")) == long


def test_an_identity_that_changes_with_each_boot_is_left_out(tmp_path: Path) -> None:
    """As systemd mounts one from its volatile directory over /etc/machine-id where it can not write that file."""
    volatile = Path("/dev/shm")  # noqa: S108 - another filesystem than the test's directory
    if not volatile.is_dir() or volatile.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("no second filesystem here")
    sources = board(tmp_path, serial=b"10000000e5e1c8b7")
    transient = volatile / f"terminald-test-{tmp_path.name}"
    transient.write_text("3d1219c7\n")
    try:
        sources[MACHINE].symlink_to(transient)
        assert list(read_board(sources, volatile)) == [SERIAL]
        assert list(read_board(sources, tmp_path)) == [SERIAL, MACHINE]
    finally:
        transient.unlink()


def test_a_board_without_a_volatile_directory_is_read(tmp_path: Path) -> None:
    assert list(read_board(board(tmp_path, machine=b"3d1219c7\n"), tmp_path / "none")) == [MACHINE]


@pytest.mark.parametrize(
    ("known", "found", "difference"),
    [
        ({}, {}, None),
        ({}, {SERIAL: "a", MACHINE: "m"}, None),
        ({SERIAL: "a", MACHINE: "m"}, {}, None),
        ({SERIAL: "a", MACHINE: "m"}, {SERIAL: "a", MACHINE: "m"}, None),
        ({SERIAL: "a", MACHINE: "m"}, {MACHINE: "m"}, None),  # a sandbox hides the serial number
        ({MACHINE: "m"}, {SERIAL: "a", MACHINE: "m"}, None),  # and shows it again
        ({SERIAL: "a"}, {MACHINE: "m"}, None),
        ({SERIAL: "a", MACHINE: "m"}, {SERIAL: "a", MACHINE: "n"}, None),  # a new system on the same board
        ({SERIAL: "a", MACHINE: "m"}, {SERIAL: "b", MACHINE: "m"}, SERIAL),  # the card, or a copy of it
        ({SERIAL: "a", MACHINE: "m"}, {SERIAL: "b", MACHINE: "n"}, SERIAL),  # the state directory alone
        ({SERIAL: "a", MACHINE: "m"}, {MACHINE: "n"}, MACHINE),
        ({MACHINE: "m"}, {SERIAL: "b", MACHINE: "n"}, MACHINE),  # a board without a serial number before
    ],
)
def test_the_strongest_shared_source_decides(
    known: Mapping[str, str], found: Mapping[str, str], difference: str | None
) -> None:
    assert differing_source(known, found) == difference


DIGESTS = st.dictionaries(st.sampled_from([SERIAL, MACHINE]), st.sampled_from("ab"))


@given(DIGESTS, DIGESTS)
def test_a_board_differs_only_where_both_were_read_and_never_from_itself(
    known: Mapping[str, str], found: Mapping[str, str]
) -> None:
    difference = differing_source(known, found)
    assert difference is None or known[difference] != found[difference]
    assert differing_source(known, known) is None
    assert differing_source(found, known) == difference
    # What is known after a start on the same board fits that board, and each part of it.
    if difference is None:
        assert all(differing_source({**known, **found}, {name: found[name]}) is None for name in found)
