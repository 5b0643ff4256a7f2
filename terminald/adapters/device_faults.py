"""Why a device could not be opened, in words for people: what is wrong, with which path, whose fault, what to do."""

import asyncio
import errno
import grp
import os
import pwd
import stat
import termios
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from terminald.adapters.accounts import group_name, user_name
from terminald.adapters.device_holder import Holder, holder_of
from terminald.errors import DeviceAbsent, DeviceHeld, DeviceMissing

_ABSENT: Final = frozenset({errno.ENOENT, errno.ENODEV, errno.ENXIO, errno.ENOTDIR})
_FORBIDDEN: Final = frozenset({errno.EACCES, errno.EPERM})
_HELD: Final = frozenset({errno.EBUSY, errno.EAGAIN})
_UNFIT: Final = frozenset({errno.ENOTTY, errno.EINVAL})

_UNFIT_WORDS: Final = {"input": "is no input device; take a path below /dev/input whose name has event in it"}

_READ_WRITE: Final = stat.S_IRGRP | stat.S_IWGRP

_GETTY: Final = "disable --now serial-getty@{node}.service, and take console={node} out of the kernel's command line"
#: What to do about programs that are known to take devices which are not theirs, by the name that the kernel shows.
_REMEDIES: Final = {
    "ModemManager": 'remove it, or keep it away with the udev rule ENV{{ID_MM_DEVICE_IGNORE}}="1"',
    "agetty": f"it offers a login on this line: systemctl {_GETTY}",
    "getty": f"it offers a login on this line: systemctl {_GETTY}",
    "login": f"somebody may log in on this line: systemctl {_GETTY}",
    "brltty": "it takes USB serial adapters for braille displays: remove the package brltty",
    "gpsd": 'keep gpsd away: USBAUTO="false" in /etc/default/gpsd',
    "usb": "it is a print queue of CUPS: remove the queue, or choose another printer",
    "cupsd": "remove the print queue from CUPS, or choose another printer",
}
#: Those that try lines on their own and hold them without a lock; the others are named when they are seen only.
_SUSPECTS: Final = frozenset({"ModemManager", "brltty", "gpsd"})
_OTHERWISE: Final = "stop that program, or choose another device"


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """Who may use a device's file, and who we are."""

    group: str
    is_root_group: bool
    mode: int
    user: str
    is_in_group: bool  # this process is
    is_member: bool  # the user is, by the system's tables


async def opening_error(name: str, device: str, exc: Exception, *, group: str) -> DeviceAbsent:
    """Return the error to raise for a device that could not be opened; see :func:`opening_fault`. Does not block."""
    detail = await asyncio.to_thread(opening_fault, device, exc, group=group)
    number = _number(exc)
    if number in _HELD:
        return DeviceHeld(name, detail)
    if number in _ABSENT and not await asyncio.to_thread(os.path.exists, device):
        return DeviceMissing(name, detail)
    return DeviceAbsent(name, detail)


def opening_fault(device: str, exc: Exception, *, group: str) -> str:
    """Say for people why a device file could not be opened, and what to do. Looks around, so it may block.

    Group is the one that such devices usually belong to (``dialout``, ``lp``, ``input``).
    """
    number = _number(exc)
    if number in _ABSENT:
        return _absence(device)
    if number in _FORBIDDEN:
        return _refusal(device, number, group)
    if number in _HELD:
        return held_words(device, holder_of(device, suspects=_SUSPECTS))
    if isinstance(exc, ValueError):
        return f"{device} can not be set to the configured speed"
    if number is None or number in _UNFIT:
        return f"{device} {_UNFIT_WORDS.get(group, 'is not a serial line, or refuses its settings')}"
    return f"{device} can not be opened: {os.strerror(number)}; plug it in again"


def held_words(device: str, holder: Holder | None) -> str:
    """Say who holds a device, and what to do about it."""
    if holder is None:
        return f"{device} is held by another process; to see by which, as root: fuser -v {device}"
    if holder.pid == os.getpid():
        return f"{device} is held by terminald itself: two devices are configured with it, or it is still being closed"
    remedy = _REMEDIES.get(holder.name, _OTHERWISE).format(node=Path(os.path.realpath(device)).name)
    who = f"{holder.name}, process {holder.pid}" if holder.name else f"number {holder.pid}"
    doubt = "" if holder.is_certain else "most likely "
    return f"{device} is held by another process ({doubt}{who}): {remedy}"


def access_words(device: str, access: Access, *, usual: str, is_policy: bool) -> str:
    """Say what is missing before a device's file may be opened; usual is the group that such devices have."""
    what = f"no permission to open {device} (group {access.group}, mode {access.mode:04o})"
    if is_policy:
        return f"{what}: the service's unit refuses it; look for DeviceAllow=, DevicePolicy= and PrivateDevices="
    if access.is_root_group or access.mode & _READ_WRITE != _READ_WRITE:
        return f'{what}: a udev rule is missing that gives it GROUP="{usual}", MODE="0660"'
    if access.is_in_group:
        return f"{what}: terminald is in that group, so an access list (getfacl {device}) or AppArmor refuses it"
    if access.is_member:
        return f"{what}: user {access.user} was added to that group after terminald was started; restart terminald"
    return f"{what}: add user {access.user} to that group (adduser {access.user} {access.group}), restart terminald"


def _number(exc: Exception) -> int | None:
    """Return the system's number of an error; pyserial hides that of a setting which the driver refused."""
    if isinstance(exc, OSError) and exc.errno is not None:
        return exc.errno
    inner = exc if isinstance(exc, termios.error) else exc.__context__
    if isinstance(inner, termios.error) and inner.args and isinstance(inner.args[0], int):
        return inner.args[0]
    return None


def _absence(device: str) -> str:
    node = os.path.realpath(device)
    if os.path.exists(node):  # noqa: PTH110 - not always a path
        return f"{device} is there, but nothing answers behind it; plug it in again"
    if os.path.islink(device):  # noqa: PTH114 - as above
        return f"{device} is a link to {node}, which is not there; plug it in again"
    return f"{device} is not there; check the cable, the power and the configured path"


def _refusal(device: str, number: int | None, usual: str) -> str:
    try:
        status = os.stat(device)  # noqa: PTH116 - not always a path
    except PermissionError:
        return f"no permission to reach {device}: user {user_name(os.geteuid())} may not enter one of its directories"
    except OSError:  # gone meanwhile
        return f"no permission to open {device}; add the service user to the group {usual}"
    user = user_name(os.geteuid())
    access = Access(
        group=group_name(status.st_gid),
        is_root_group=status.st_gid == 0,
        mode=stat.S_IMODE(status.st_mode),
        user=user,
        is_in_group=status.st_gid in {os.getegid(), *os.getgroups()},
        is_member=_is_member(user, status.st_gid),
    )
    return access_words(device, access, usual=usual, is_policy=number == errno.EPERM)


def _is_member(user: str, group: int) -> bool:
    try:
        return user in grp.getgrgid(group).gr_mem or pwd.getpwnam(user).pw_gid == group
    except KeyError:
        return False
