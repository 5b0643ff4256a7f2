"""Checks of the service: is it there, enabled and running, and may its user use the devices."""

import grp
import os
import pwd
import shutil
import stat
import subprocess
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Final

from terminald.adapters.accounts import group_name
from terminald.cli.doctor_findings import Finding, fail, note, ok, warn
from terminald.config import Config

UNIT: Final = "terminald.service"
SOCKET: Final = "terminald.socket"
_USER: Final = "terminald"
#: There while systemd is the first process (sd_booted(3)).
BOOTED: Final = Path("/run/systemd/system")
#: systemd answers in milliseconds; one that is busy with a reboot may not.
ASK_S: Final = 5.0
_PROPERTIES: Final = "LoadState,UnitFileState,ActiveState,SubState,NRestarts,MainPID,User,SupplementaryGroups"
#: States of a unit file with which it is started at boot.
_STARTED: Final = frozenset({"enabled", "enabled-runtime", "linked", "static", "alias", "generated", "indirect"})

Properties = Mapping[str, str]


def ask_systemd(unit: str = UNIT) -> Properties | None:
    """Return the properties of a unit; None where systemd does not run or does not answer."""
    program = shutil.which("systemctl")
    if program is None or not BOOTED.exists():
        return None
    try:
        done = subprocess.run(  # noqa: S603 - a program of the system, with fixed arguments
            [program, "show", unit, f"--property={_PROPERTIES}"],
            check=False, capture_output=True, text=True, timeout=ASK_S, stdin=subprocess.DEVNULL,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired):
        return None
    properties = dict(line.split("=", 1) for line in done.stdout.splitlines() if "=" in line)
    return properties or None


def check_unit(ask: Callable[[], Properties | None] = ask_systemd) -> Iterator[Finding]:
    """Whether systemd starts terminald with the machine, and whether it runs now."""
    check, unit = "unit", ask()
    if unit is None:
        yield note(check, "not under systemd, or it does not answer", "start terminald run by what starts this machine")
        return
    if unit.get("LoadState") != "loaded":
        what = f"systemd has no unit {UNIT} ({unit.get('LoadState', 'unknown')})"
        yield warn(check, what, f"copy systemd/{UNIT} to /etc/systemd/system, then: systemctl daemon-reload")
        return
    file, state = unit.get("UnitFileState", ""), unit.get("ActiveState", "")
    how = f"{UNIT}: {file or 'no unit file'}, {state} ({unit.get('SubState', '')})"
    restarts = unit.get("NRestarts", "0")
    if restarts not in ("", "0"):
        how += f", restarted {restarts} times"
    if file not in _STARTED:
        yield warn(check, f"{how}: it does not start with the machine", f"systemctl enable {_USER}")
    elif state == "failed":
        yield fail(check, how, f"journalctl -u {_USER} -n 50 tells why; then: systemctl restart {_USER}")
    elif state != "active":
        yield warn(check, how, f"systemctl start {_USER}")
    else:
        yield ok(check, how)


def check_socket(ask: Callable[[str], Properties | None] = ask_systemd) -> Iterator[Finding]:
    """Whether callers are held while the daemon is started again; nothing is said where all is well."""
    service, unit = ask(UNIT), ask(SOCKET)
    if service is None or unit is None or service.get("LoadState") != "loaded":
        return
    state = unit.get("ActiveState", "")
    if unit.get("LoadState") != "loaded":
        what = f"systemd has no unit {SOCKET}: callers are refused while the daemon is started again"
        yield warn("unit", what, f"copy systemd/{SOCKET} to /etc/systemd/system, then: systemctl daemon-reload")
    elif state != "active" and service.get("ActiveState") == "active":
        what = f"{SOCKET} is {state or 'unknown'}: nobody can call"
        yield fail("unit", what, f"systemctl restart {SOCKET} {_USER}")


def check_access(config: Config, ask: Callable[[], Properties | None] = ask_systemd) -> Iterator[Finding]:
    """For root: whether the user of the service may use the configured devices, which root always may."""
    if os.geteuid() != 0:
        return
    unit = ask() or {}
    user = _service_user(config, unit)
    if user is None:
        what = f"there is no user {_USER}, and neither a unit nor a state directory names another"
        yield note("access", what, "make one as the README tells under Install")
        return
    if user.pw_uid == 0:
        yield warn("access", "the service runs as root", f"let it run as its own user: User={_USER}")
        return
    groups = {user.pw_gid, *os.getgrouplist(user.pw_name, user.pw_gid), *_numbers(unit.get("SupplementaryGroups", ""))}
    refused = list(_refused(config, user, groups))
    yield from refused
    if not refused:
        names = ", ".join(sorted(map(group_name, groups)))
        yield ok("access", f"user {user.pw_name} (groups {names}) may use every device that is configured by its path")


def _service_user(config: Config, unit: Properties) -> pwd.struct_passwd | None:
    """Return whom the service runs as: by its unit, by whose the state directory is, or by the usual name."""
    try:
        if unit.get("User"):
            return pwd.getpwnam(unit["User"])
        if unit.get("LoadState") == "loaded":
            return pwd.getpwuid(0)
        try:
            return pwd.getpwuid(config.state.directory.stat().st_uid)
        except OSError:
            return pwd.getpwnam(_USER)
    except KeyError:
        return None


def _numbers(names: str) -> Iterator[int]:
    for name in names.split():
        try:
            yield int(name) if name.isdecimal() else grp.getgrnam(name).gr_gid
        except KeyError:
            continue


def _refused(config: Config, user: pwd.struct_passwd, groups: set[int]) -> Iterator[Finding]:
    devices = [scanner.device for scanner in config.scanners]
    devices += [config.printer.device] if config.printer.driver in ("serial", "usb") else []
    for device in devices:
        if not device.startswith("/"):
            continue
        try:
            found = os.stat(device)  # noqa: PTH116 - as configured
        except OSError:  # told by the device's own check
            continue
        if may_use(found, user.pw_uid, groups):
            continue
        group = group_name(found.st_gid)
        what = f"user {user.pw_name} may not use {device} (group {group}, mode {stat.S_IMODE(found.st_mode):04o})"
        if found.st_gid == 0:
            yield fail("access", what, "a udev rule is missing; see systemd/65-terminald.rules")
        else:
            yield fail("access", what, f"adduser {user.pw_name} {group}, then: systemctl restart {_USER}")


def may_use(found: os.stat_result, uid: int, groups: set[int]) -> bool:
    """Tell whether somebody may read and write what has this status, by its mode alone."""
    shift = 6 if found.st_uid == uid else 3 if found.st_gid in groups else 0
    both = stat.S_IROTH | stat.S_IWOTH
    return found.st_mode >> shift & both == both
