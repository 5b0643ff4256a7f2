"""Checks of the machine: the state directory and its disk, the journal, and the paths of the devices."""

import grp
import os
import pwd
import shutil
import stat
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from terminald.adapters import journal_schema
from terminald.adapters.device_faults import opening_fault
from terminald.adapters.input_nodes import NoSuchKeyboard, open_keyboard
from terminald.adapters.journal_faults import EVIDENCE
from terminald.adapters.journal_look import JournalLook
from terminald.adapters.state_directory import sync_directory
from terminald.cli.doctor_findings import Finding, fail, ok, warn
from terminald.config import Config, PrinterConfig, ScannerConfig
from terminald.errors import JournalError
from terminald.wire.api_problems import READINESS_ADVICE

#: A page of the journal.
TRIAL_BYTES = 4096
#: A card that takes longer for one page makes customers wait, and is often a dying one.
SLOW_SYNC_S = 1.0
_MEGABYTE = 1_000_000


def check_state(config: Config) -> Iterator[Finding]:
    """Whose the state directory is, whether its disk has space, and whether a file in it can be made durable."""
    directory, check = config.state.directory, "state"
    try:
        found = directory.stat()
    except FileNotFoundError:
        yield warn(check, f"{directory} does not exist yet", "terminald activate and terminald run make it")
        return
    except OSError as exc:
        yield fail(check, f"{directory} can not be looked at: {exc.strerror}", "check its path, mount and mode")
        return
    if not stat.S_ISDIR(found.st_mode):
        yield fail(check, f"{directory} is not a directory", "set state.directory to one")
        return
    if found.st_uid != os.geteuid():
        owner = user_name(found.st_uid)
        what = f"{directory} belongs to user {owner}, and this is user {user_name(os.geteuid())}"
        advice = f"run it as the service does: runuser -u {owner} -- terminald doctor"
        yield warn(check, what, advice) if os.geteuid() == 0 else fail(check, what, advice)
        if os.geteuid() != 0:
            return
    if found.st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        yield warn(check, f"{directory} is open to other users", f"chmod 0700 {directory}")
    yield from _check_disk(directory, config.readiness.min_free_disk_mb)


def _check_disk(directory: Path, least_mb: int) -> Iterator[Finding]:
    check = "state"
    try:
        free_mb = shutil.disk_usage(directory).free // _MEGABYTE
        took_s = try_to_write(directory)
    except OSError as exc:
        what = f"no file in {directory} can be written and synced: {exc.strerror}"
        yield fail(check, what, "is the disk full, mounted read-only, or failing? the kernel's log says more")
        return
    if free_mb < least_mb:
        yield fail(
            check, f"{free_mb} MB are free in {directory}, {least_mb} MB are wanted", READINESS_ADVICE["disk_full"]
        )
    said = f"{directory}: {free_mb} MB free, a page written and synced in {took_s * 1000:.0f} ms"
    if took_s > SLOW_SYNC_S:
        yield warn(check, said, "a good card takes some ms: replace it before it fails")
    else:
        yield ok(check, said)


def try_to_write(directory: Path) -> float:
    """Make a file durable as the journal does, remove it, and return how many seconds it took.

    Raises:
        OSError: it was not possible.
    """
    began = time.monotonic()
    descriptor, name = tempfile.mkstemp(prefix=".doctor-", dir=directory)
    try:
        try:
            os.write(descriptor, bytes(TRIAL_BYTES))
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        sync_directory(directory)
        return time.monotonic() - began
    finally:
        Path(name).unlink()


def check_journal(look: JournalLook | JournalError | None) -> Iterator[Finding]:
    """Whether the journal can be read, is whole, and is of a version that this terminald knows."""
    check = "journal"
    match look:
        case None:
            yield warn(check, "there is none yet", "terminald activate makes it")
        case JournalError():
            yield fail(check, str(look), "")
        case JournalLook(is_too_new=True):
            what = f"written by a newer terminald (schema {look.version}; this one knows {journal_schema.VERSION})"
            yield fail(check, what, "install that version again")
        case JournalLook(verdict="ok"):
            later = "" if look.version == journal_schema.VERSION else ", brought to the newest at the next start"
            yield ok(check, f"whole, schema {look.version}{later}")
        case JournalLook():
            yield fail(check, f"fails its integrity check: {look.verdict}", EVIDENCE)


# --- devices ---------------------------------------------------------------------------------------------------------


def check_scanners(config: Config) -> Iterator[Finding]:
    """Whether each scanner's path is there, and may be used."""
    for scanner in config.scanners:
        if scanner.driver == "hid":
            yield _keyboard(scanner)
        else:
            yield _device("scanner", scanner.name, Path(scanner.device))


def check_printer(config: Config) -> Iterator[Finding]:
    """Whether the printer's path is there, and may be used; a printer on the network has none."""
    printer = config.printer
    if printer.driver in ("serial", "usb"):
        yield _device("printer", printer.driver, Path(printer.device))
    elif printer.driver == "file":
        yield _file(printer)


def _device(check: str, name: str, path: Path) -> Finding:
    try:
        found = path.stat()
    except FileNotFoundError:
        return fail(check, f"{name}: {path} is not there", "plug it in, and look for its path: ls -l /dev/serial/by-id")
    except OSError as exc:
        return fail(check, f"{name}: {path} can not be looked at: {exc.strerror}", "check the path")
    if not stat.S_ISCHR(found.st_mode):
        return fail(check, f"{name}: {path} is no device", "set the path of the device")
    if os.access(path, os.R_OK | os.W_OK):
        as_root = "; whether the service may use it is not judged, because this is root" if os.geteuid() == 0 else ""
        return ok(check, f"{name}: {path} is there{as_root}")
    user, group = user_name(os.geteuid()), group_name(found.st_gid)
    what = f"{name}: user {user} may not use {path} (group {group}, mode {stat.S_IMODE(found.st_mode):04o})"
    if found.st_gid == 0:
        return fail(check, what, "let a udev rule give the device a group that the service user is in, such as dialout")
    return fail(check, what, f"add the user to the group, and restart terminald: adduser {user} {group}")


def _keyboard(scanner: ScannerConfig) -> Finding:
    """Open the keyboard without a grab, for a moment: the daemon may be using it."""
    try:
        node = open_keyboard(scanner.keyboard)
    except NoSuchKeyboard as exc:
        what, _, advice = str(exc).partition("; ")
        return fail("scanner", f"{scanner.name}: {what}", advice)
    except OSError as exc:
        what, _, advice = opening_fault(exc.filename or scanner.device, exc, group="input").partition("; ")
        return fail("scanner", f"{scanner.name}: {what}", advice or "check the path")
    node.close()
    as_root = "; whether the service may use it is not judged, because this is root" if os.geteuid() == 0 else ""
    return ok("scanner", f"{scanner.name}: {node.path} is there, and types codes{as_root}")


def _file(printer: PrinterConfig) -> Finding:
    path = Path(printer.device)
    if os.access(path if path.exists() else path.parent, os.W_OK):
        return ok("printer", f"file: {path} can be written")
    return fail("printer", f"file: {path} can not be written", "check the path and its permissions")


def user_name(number: int) -> str:
    """Return a user's name; the number where there is none."""
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return str(number)


def group_name(number: int) -> str:
    """Return a group's name; the number where there is none."""
    try:
        return grp.getgrgid(number).gr_name
    except KeyError:
        return str(number)
