"""Checks of the machine: the state directory, its disk and how that is mounted, and the journal."""

import os
import re
import shutil
import stat
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from terminald.adapters import journal_schema
from terminald.adapters.accounts import user_name
from terminald.adapters.journal_faults import EVIDENCE
from terminald.adapters.journal_look import JournalLook
from terminald.adapters.state_directory import sync_directory
from terminald.cli.doctor_findings import Finding, fail, note, ok, warn
from terminald.config import Config
from terminald.core.ids import WallTime
from terminald.errors import JournalError
from terminald.wire.api_problems import READINESS_ADVICE

#: A page of the journal.
TRIAL_BYTES = 4096
#: A card that takes longer for one page makes customers wait, and is often a dying one.
SLOW_SYNC_S = 1.0
_MEGABYTE = 1_000_000

MOUNTS: Final = Path("/proc/mounts")
_MOUNT_FIELDS = 4
_OVERLAY_ADVICE: Final = "switch the read-only root off, or mount a partition for state.directory"
#: File systems that lie in memory, or may; and what to do about it.
_FORGETFUL: Final = {
    "tmpfs": "set state.directory to a disk",
    "ramfs": "set state.directory to a disk",
    "overlay": _OVERLAY_ADVICE,
    "overlayfs": _OVERLAY_ADVICE,
    "aufs": _OVERLAY_ADVICE,
}
#: Without a journal of their own, or behind a network.
_UNFIT: Final = frozenset({"vfat", "msdos", "exfat", "ntfs", "ntfs3", "fuseblk", "ext2", "nfs", "nfs4", "cifs", "9p"})
#: What makes a sync a promise that nobody keeps.
_UNSAFE: Final = frozenset({"nobarrier", "barrier=0", "data=writeback", "nointegrity", "fsync_mode=nobarrier"})
#: What keeps reading from writing.
_SPARING: Final = frozenset({"noatime", "relatime", "lazytime"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Mount:
    """A line of the table of mounts."""

    device: str
    point: Path
    kind: str
    options: tuple[str, ...]


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
    yield from check_mount(directory)


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


def check_mount(directory: Path, mounts: Path = MOUNTS) -> Iterator[Finding]:
    """Whether what is synced on this file system is still there after a power cut."""
    check, mount = "state", mount_of(directory, mounts)
    if mount is None:
        yield note(check, f"how {directory} is mounted is not to be seen in {mounts}")
        return
    where = f"{mount.point} ({mount.kind}, {mount.device})"
    if "ro" in mount.options:
        yield fail(
            check, f"{where} is mounted read-only", "look for errors of the disk: dmesg; then: fsck, or a new card"
        )
    elif mount.kind in _FORGETFUL:
        what = f"{where} is not on a disk: a power cut, or a restart, takes every sale and the terminal's key"
        yield warn(check, what, _FORGETFUL[mount.kind])
    elif mount.kind in _UNFIT:
        yield warn(
            check, f"{where} keeps no promise over a power cut", "put state.directory on ext4, f2fs, xfs or btrfs"
        )
    elif unsafe := _UNSAFE.intersection(mount.options):
        what = f"{where} is mounted {', '.join(sorted(unsafe))}: a power cut may take what was synced"
        yield warn(check, what, "take that out of /etc/fstab and of the kernel's command line")
    elif not _SPARING.intersection(mount.options):
        yield note(check, f"{where} notes each time of reading", "noatime in /etc/fstab spares the card")
    else:
        yield ok(check, f"{where} is mounted {', '.join(mount.options)}")


def mount_of(directory: Path, mounts: Path) -> Mount | None:
    r"""Find the mount that a directory is on; of several at one place, the last.

    A line: ``/dev/root /mnt\040a ext4 rw,noatime 0 0``, with blanks as octal numbers.
    """
    path, found = directory.resolve(), None
    try:
        table = mounts.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    for line in table.splitlines():
        fields = line.split(" ")
        if len(fields) < _MOUNT_FIELDS:
            continue
        device, point, kind, options = (_unescape(field) for field in fields[:4])
        is_deeper = found is None or len(Path(point).parts) >= len(found.point.parts)
        if path.is_relative_to(point) and is_deeper:
            found = Mount(device=device, point=Path(point), kind=kind, options=tuple(options.split(",")))
    return found


def _unescape(field: str) -> str:
    return re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), field)


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
            if look.hold.is_restored:
                when = f" of {_local(look.copied_at)}" if look.copied_at else ""
                what = f"restored from the copy{when}, and nobody has said that the days since are compared: no sale"
                yield fail(check, f"{what} is begun", READINESS_ADVICE["journal_restored"])
        case JournalLook():
            yield fail(check, f"fails its integrity check: {look.verdict}", EVIDENCE)


def _local(wall: WallTime) -> str:
    return datetime.fromtimestamp(wall / 1000, UTC).astimezone().strftime("%F %H:%M")
