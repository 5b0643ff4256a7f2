"""What ``terminald doctor`` says of the disk's mount, of the service's unit and of its user."""

import os
from collections.abc import Mapping
from pathlib import Path

import pytest

from terminald.cli import doctor_unit
from terminald.cli.doctor_findings import Finding, Verdict
from terminald.cli.doctor_machine import check_mount, mount_of
from terminald.cli.doctor_unit import SOCKET, check_access, check_socket, check_unit, may_use
from terminald.config import Config, load
from tests.cli.terminal_files import write_config

# --- mounts ----------------------------------------------------------------------------------------------------------


def mounted(tmp_path: Path, line: str) -> Finding:
    table = tmp_path / "mounts"
    table.write_text(f"/dev/root / ext4 rw,noatime 0 0\nnonsense\n{line.format(tmp_path)}\n")
    [found] = check_mount(tmp_path / "state", table)
    return found


@pytest.mark.parametrize(
    ("line", "verdict", "words"),
    [
        ("/dev/mmcblk0p3 {} ext4 rw,noatime 0 0", Verdict.OK, "ext4, /dev/mmcblk0p3) is mounted rw, noatime"),
        ("/dev/mmcblk0p3 {} ext4 rw,relatime,commit=30 0 0", Verdict.OK, "commit=30"),
        ("/dev/mmcblk0p3 {} ext4 rw 0 0", Verdict.NOTE, "notes each time of reading"),
        ("/dev/mmcblk0p3 {} ext4 ro,noatime 0 0", Verdict.FAIL, "read-only"),
        ("/dev/mmcblk0p3 {} ext4 rw,noatime,nobarrier 0 0", Verdict.WARN, "mounted nobarrier: a power cut may take"),
        ("/dev/mmcblk0p3 {} ext4 rw,noatime,data=writeback 0 0", Verdict.WARN, "data=writeback"),
        ("tmpfs {} tmpfs rw,size=1k 0 0", Verdict.WARN, "takes every sale"),
        ("overlay {} overlay rw,upperdir=/x 0 0", Verdict.WARN, "takes every sale"),
        ("/dev/sda1 {} vfat rw 0 0", Verdict.WARN, "keeps no promise"),
        ("/dev/other /elsewhere tmpfs rw 0 0", Verdict.OK, "/ (ext4, /dev/root)"),
    ],
)
def test_how_the_state_directory_is_mounted_is_judged(tmp_path: Path, line: str, verdict: Verdict, words: str) -> None:
    found = mounted(tmp_path, line)
    assert (found.check, found.verdict, words in found.what) == ("state", verdict, True)
    assert bool(found.advice) == (verdict is not Verdict.OK)


def test_of_two_mounts_at_one_place_the_later_one_counts_and_blanks_are_written_as_numbers(tmp_path: Path) -> None:
    directory = tmp_path / "a b"
    directory.mkdir()
    table = tmp_path / "mounts"
    written = str(directory).replace(" ", "\\040")
    table.write_text(f"one {written} ext4 rw 0 0\ntwo {written} xfs rw 0 0\n/dev/root / ext4 rw 0 0\n")
    mount = mount_of(directory, table)
    assert mount is not None
    assert (mount.device, mount.point) == ("two", directory)


def test_without_a_table_of_mounts_nothing_is_judged(tmp_path: Path) -> None:
    [found] = check_mount(tmp_path, tmp_path / "none")
    assert found.verdict is Verdict.NOTE


# --- the unit --------------------------------------------------------------------------------------------------------

RUNNING = {
    "LoadState": "loaded",
    "UnitFileState": "enabled",
    "ActiveState": "active",
    "SubState": "running",
    "NRestarts": "0",
}


@pytest.mark.parametrize(
    ("change", "verdict", "words"),
    [
        ({}, Verdict.OK, "enabled, active (running)"),
        ({"NRestarts": "7"}, Verdict.OK, "restarted 7 times"),
        ({"UnitFileState": "disabled"}, Verdict.WARN, "does not start with the machine"),
        ({"ActiveState": "inactive", "SubState": "dead"}, Verdict.WARN, "inactive (dead)"),
        ({"ActiveState": "failed", "SubState": "failed"}, Verdict.FAIL, "failed"),
        ({"LoadState": "not-found"}, Verdict.WARN, "no unit terminald.service (not-found)"),
        ({"LoadState": "masked"}, Verdict.WARN, "masked"),
    ],
)
def test_the_unit_is_judged(change: Mapping[str, str], verdict: Verdict, words: str) -> None:
    [found] = check_unit(lambda: {**RUNNING, **change})
    assert (found.verdict, words in found.what) == (verdict, True)
    assert bool(found.advice) == (verdict is not Verdict.OK)


@pytest.mark.parametrize(
    ("socket", "verdict", "advice"),
    [
        ({"LoadState": "not-found"}, Verdict.WARN, "copy systemd/terminald.socket"),
        ({"ActiveState": "failed"}, Verdict.FAIL, "systemctl restart terminald.socket"),
    ],
)
def test_the_socket_is_missed_beside_the_service(socket: Mapping[str, str], verdict: Verdict, advice: str) -> None:
    assert not list(check_socket(lambda _: RUNNING))
    [found] = check_socket(lambda unit: {**RUNNING, **(socket if unit == SOCKET else {})})
    assert (found.verdict, advice in found.advice) == (verdict, True)
    assert not list(check_socket(lambda _: {**RUNNING, **socket, "LoadState": "not-found"}))
    assert not list(check_socket(lambda _: None))


def test_without_systemd_that_is_said() -> None:
    [found] = check_unit(lambda: None)
    assert (found.verdict, "not under systemd" in found.what) == (Verdict.NOTE, True)
    assert (doctor_unit.ask_systemd() is None) or doctor_unit.BOOTED.exists()


# --- the service's user ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("mode", "uid", "groups", "may"),
    [
        (0o660, 1, {20}, True),
        (0o660, 1, {21}, False),
        (0o620, 1, {20}, False),
        (0o666, 1, set(), True),
        (0o600, 7, set(), True),
        (0o066, 7, {20}, False),
    ],
)
def test_the_mode_decides_who_may_use_a_device(mode: int, uid: int, groups: set[int], may: bool) -> None:  # noqa: FBT001 - a table
    status = os.stat_result((0o020000 | mode, 0, 0, 1, 7, 20, 0, 0, 0, 0))
    assert may_use(status, uid, groups) is may


def configured(tmp_path: Path, device: Path) -> Config:
    path = write_config(tmp_path, "http://127.0.0.1:1")
    path.write_text(f'{path.read_text()}[[scanner]]\nname = "front"\ndevice = "{device}"\n')
    return load(path)


@pytest.mark.skipif(os.geteuid() != 0, reason="asked of root only: others find out by opening")
def test_root_is_told_whether_the_user_of_the_service_may_use_the_devices(tmp_path: Path) -> None:
    device = tmp_path / "device"
    device.write_text("")
    os.chown(device, 0, 20)
    device.chmod(0o660)
    config = configured(tmp_path, device)

    def judged(**unit: str) -> Finding:
        [found] = check_access(config, lambda: {"LoadState": "loaded", **unit})
        return found

    refused = judged(User="nobody")
    assert (refused.verdict, "user nobody may not use" in refused.what) == (Verdict.FAIL, True)
    assert refused.advice.startswith("adduser nobody ")
    assert judged(User="nobody", SupplementaryGroups="20 no-such-group").verdict is Verdict.OK
    assert judged().verdict is Verdict.WARN  # as root
    assert judged(User="no-such-user").verdict is Verdict.NOTE
    os.chown(device, 0, 0)
    assert "udev rule" in judged(User="nobody").advice
    (tmp_path / "state").mkdir()
    os.chown(tmp_path / "state", 65534, 65534)
    [found] = check_access(config, lambda: None)
    assert found.verdict is Verdict.FAIL


@pytest.mark.skipif(os.geteuid() == 0, reason="root is told")
def test_others_are_not_told_what_opening_tells(tmp_path: Path) -> None:
    assert list(check_access(configured(tmp_path, tmp_path), lambda: None)) == []
