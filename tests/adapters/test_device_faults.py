"""What people are told about a device that could not be opened: what, which, who, and what to do."""

import asyncio
import errno
import fcntl
import os
import subprocess
import sys
import tempfile
import termios
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from serial import Serial, SerialException

from terminald.adapters.device_faults import Access, access_words, held_words, opening_error, opening_fault
from terminald.adapters.device_holder import Holder, holder_of
from terminald.errors import DeviceAbsent, DeviceError, DeviceHeld, DeviceMissing

DEVICE = "/dev/ttyACM0"
ACCESS = Access(group="dialout", is_root_group=False, mode=0o660, user="terminald", is_in_group=False, is_member=False)
NOBODY = 65534


def error_for(device: Path | str, exc: Exception) -> DeviceError:
    return asyncio.run(opening_error("front", str(device), exc, group="dialout"))


def failure(attempt: Callable[[], object]) -> Exception:
    try:
        attempt()
    except (OSError, ValueError, termios.error) as exc:
        return exc
    raise AssertionError("it worked")


# --- each cause ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("exc", "said"),
    [
        (OSError(errno.ENODEV, "x"), "/dev/x is not there; check the cable"),
        (OSError(errno.EACCES, "x"), "no permission to open /dev/x; add the service user to the group dialout"),
        (OSError(errno.EBUSY, "x"), "held by another process"),
        (OSError(errno.EAGAIN, "x"), "held by another process"),
        (OSError(errno.EIO, "x"), "Input/output error"),
        (OSError(errno.ENOTTY, "x"), "not a serial line"),
        (termios.error(errno.EINVAL, "x"), "not a serial line"),
        (termios.error(errno.EIO, "x"), "Input/output error"),
        (termios.error(), "not a serial line"),
        (SerialException("x"), "not a serial line"),
        (ValueError("x"), "speed"),
    ],
)
def test_each_cause_comes_with_what_to_do(exc: Exception, said: str) -> None:
    assert said in opening_fault("/dev/x", exc, group="dialout")


def test_a_file_that_is_no_keyboard_is_told_as_such() -> None:
    assert "no input device" in opening_fault("/dev/x", OSError(errno.ENOTTY, "x"), group="input")


def test_what_is_waited_for_is_told_by_the_kind_of_the_error(tmp_path: Path) -> None:
    there, missing = tmp_path / "there", tmp_path / "missing"
    there.touch()
    gone, held = OSError(errno.ENXIO, "x"), OSError(errno.EBUSY, "x")
    assert type(error_for(missing, gone)) is DeviceMissing
    assert type(error_for(there, gone)) is DeviceAbsent
    assert type(error_for(there, held)) is DeviceHeld
    assert type(error_for(there, ValueError())) is DeviceAbsent
    assert error_for(missing, gone).device == "front"


def test_a_link_without_its_device_and_a_node_without_a_driver_are_told_apart(tmp_path: Path) -> None:
    link = tmp_path / "by-id"
    link.symlink_to(tmp_path / "ttyACM0")
    assert f"is a link to {tmp_path / 'ttyACM0'}, which is not there" in error_for(link, OSError(2, "x")).detail
    (tmp_path / "ttyACM0").touch()
    assert "nothing answers behind it" in error_for(link, OSError(errno.ENXIO, "x")).detail


def test_what_pyserial_says_of_a_file_is_understood(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    exc = failure(lambda: Serial(str(tmp_path / "file")))
    assert "is not a serial line" in error_for(tmp_path / "file", exc).detail


# --- permission ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("access", "said"),
    [
        (ACCESS, "add user terminald to that group (adduser terminald dialout), restart terminald"),
        (replace(ACCESS, is_member=True), "was added to that group after terminald was started; restart"),
        (replace(ACCESS, is_member=True, is_in_group=True), "access list (getfacl /dev/ttyACM0) or AppArmor"),
        (replace(ACCESS, mode=0o600), 'a udev rule is missing that gives it GROUP="dialout", MODE="0660"'),
        (replace(ACCESS, mode=0o640, is_in_group=True), "a udev rule is missing"),
        (replace(ACCESS, group="root", is_root_group=True), "a udev rule is missing"),
    ],
)
def test_permission_names_group_mode_and_what_is_missing(access: Access, said: str) -> None:
    words = access_words(DEVICE, access, usual="dialout", is_policy=False)
    assert said in words
    assert f"no permission to open {DEVICE} (group {access.group}, mode {access.mode:04o})" in words


def test_what_the_unit_forbids_is_not_a_matter_of_groups() -> None:
    assert "DeviceAllow=" in access_words(DEVICE, ACCESS, usual="dialout", is_policy=True)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_somebody_without_rights_is_told_so() -> None:
    """With the real calls, in a process of another user, who may not enter pytest's own directories."""
    with tempfile.TemporaryDirectory() as name:
        home = Path(name)
        home.chmod(0o755)
        device = home / "ttyACM0"
        device.touch()
        device.chmod(0o660)
        os.chown(device, 0, 1)
        assert "mode 0660): add user nobody to that group (adduser nobody " in told_as_nobody(device)
        os.chown(device, 0, 0)
        assert 'a udev rule is missing that gives it GROUP="dialout"' in told_as_nobody(device)
        home.chmod(0o700)
        assert "user nobody may not enter one of its directories" in told_as_nobody(device)


def told_as_nobody(device: Path) -> str:
    source = f"""
import os, sys
from terminald.adapters.device_faults import opening_fault
os.setgroups([]); os.setgid({NOBODY}); os.setuid({NOBODY})
try:
    open({str(device)!r}, "rb")
except OSError as exc:
    print(opening_fault({str(device)!r}, exc, group="dialout"))
"""
    return subprocess.check_output([sys.executable, "-c", source], text=True)


# --- holders ---------------------------------------------------------------------------------------------------------


HOLD = """
import fcntl, os, sys
fd = os.open(sys.argv[1], os.O_RDWR | os.O_NOCTTY)
if sys.argv[2] == "lock":
    fcntl.flock(fd, fcntl.LOCK_EX)
open("/proc/self/comm", "w").write(sys.argv[3])
print("held", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def line() -> Iterator[str]:
    """A line that nobody else in this process is asked about: its path, while its other end is open."""
    far, near = os.openpty()
    path = os.ttyname(near)
    os.close(near)
    yield path
    os.close(far)


@pytest.mark.parametrize("how", ["lock", "open"])
@pytest.mark.parametrize(
    ("name", "advice"),
    [("ModemManager", "ID_MM_DEVICE_IGNORE"), ("agetty", "serial-getty@"), ("minicom", "stop that program")],
)
def test_a_holder_is_found_and_named_with_its_remedy(line: str, how: str, name: str, advice: str) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, line, how, name], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        said = opening_fault(line, OSError(errno.EBUSY, "x"), group="dialout")
        assert f"{line} is held by another process ({name}, process {process.pid}): " in said
        assert advice in said
        process.communicate()
    assert holder_of(line) is None


def test_two_devices_with_one_path_are_our_own_fault(line: str) -> None:
    with Serial(line, exclusive=True):
        exc = failure(lambda: Serial(line, exclusive=True))
        assert "held by terminald itself: two devices are configured with it" in error_for(line, exc).detail


def test_a_login_prompt_is_told_with_the_name_of_its_unit(tmp_path: Path) -> None:
    (tmp_path / "scanner").symlink_to("/dev/ttyAMA0")
    said = held_words(str(tmp_path / "scanner"), Holder(pid=1 << 30, name="agetty"))
    assert "serial-getty@ttyAMA0.service" in said
    assert "console=ttyAMA0" in said


def test_a_holder_that_is_not_to_be_seen_is_looked_for_by_root() -> None:
    assert f"as root: fuser -v {DEVICE}" in held_words(DEVICE, None)
    assert f"another process (number {1 << 30})" in held_words(DEVICE, Holder(pid=1 << 30, name=""))


def test_the_table_of_locks_is_read_with_care(tmp_path: Path) -> None:
    """The one who waits does not hold; strange lines and processes in other namespaces are nobody."""
    device = tmp_path / "device"
    device.touch()
    status = device.stat()
    file_id = f"{os.major(status.st_dev):02x}:{os.minor(status.st_dev):02x}:{status.st_ino}"
    locks = tmp_path / "locks"
    lines = [
        "1: FLOCK  ADVISORY  WRITE 10 00:05:1 0 EOF",
        f"2: FLOCK  ADVISORY  WRITE 0 {file_id} 0 EOF",
        f"2: OFDLCK ADVISORY  WRITE -1 {file_id} 0 EOF",
        f"2: -> FLOCK  ADVISORY  WRITE 11 {file_id} 0 EOF",
        f"9: FLOCK  ADVISORY  WRITE x {file_id} 0 EOF",
        "garbage",
    ]
    locks.write_text("\n".join(lines))
    assert holder_of(str(device), proc=tmp_path) is None
    locks.write_text("\n".join([*lines, f"3: FLOCK  ADVISORY  WRITE 12 {file_id} 0 EOF"]))
    assert holder_of(str(device), proc=tmp_path) == Holder(pid=12, name="")
    (tmp_path / "12").mkdir()
    (tmp_path / "12" / "comm").write_bytes(b"\x1b[2Jx\n")
    assert holder_of(str(device), proc=tmp_path) == Holder(pid=12, name="\\x1b[2Jx")


def test_a_login_on_a_line_is_found_by_its_terminal(line: str, tmp_path: Path) -> None:
    """The number as the kernel writes it: the pseudo terminals' major is 136."""
    minor = int(Path(line).name)
    for pid, terminal in ((10, 0), (11, 136 << 8 | minor + 1), (12, 136 << 8 | minor)):
        (tmp_path / str(pid)).mkdir()
        (tmp_path / str(pid) / "comm").write_text("agetty\n")
        (tmp_path / str(pid) / "stat").write_text(f"{pid} (a) b) S 1 {pid} {pid} {terminal} {pid} 4194304 0")
    (tmp_path / "13").mkdir()
    assert holder_of(line, proc=tmp_path) == Holder(pid=12, name="agetty")


def test_the_terminal_of_a_real_session_is_told_as_we_read_it() -> None:
    """So that the place of the field and the way it is written are the kernel's."""
    source = """
import fcntl, os, termios
from terminald.adapters.device_holder import _residents
from pathlib import Path
far, near = os.openpty()
os.setsid()
fcntl.ioctl(near, termios.TIOCSCTTY, 0)
print(list(_residents(os.ttyname(near), Path("/proc"))) == [os.getpid()])
"""
    assert subprocess.check_output([sys.executable, "-c", source], text=True) == "True\n"


def test_a_running_suspect_is_named_where_nobody_is_to_be_seen(line: str, tmp_path: Path) -> None:
    """ModemManager runs as root and holds lines without a lock: the service's user does not see it there."""
    for pid, name in ((20, "bash"), (21, "ModemManager")):
        (tmp_path / str(pid)).mkdir()
        (tmp_path / str(pid) / "comm").write_text(f"{name}\n")
    assert holder_of(line, proc=tmp_path) is None
    holder = holder_of(line, suspects={"ModemManager"}, proc=tmp_path)
    assert holder == Holder(pid=21, name="ModemManager", is_certain=False)
    assert "(most likely ModemManager, process 21): remove it" in held_words(line, holder)


def test_a_lock_of_ours_beside_one_of_others_is_not_what_is_told(tmp_path: Path) -> None:
    device = tmp_path / "device"
    with device.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_SH)
        found = holder_of(str(device))
        assert found is not None
        assert found.pid == os.getpid()
