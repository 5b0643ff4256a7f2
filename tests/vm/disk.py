"""What a disk has after a power cut: everything before its last flush, and of the rest what luck leaves.

``disk.raw`` is the platter. A machine that runs writes to ``run.qcow2`` above it, and QEMU's ``blklogwrites`` notes
each write and flush in ``writes.log``, in the format of the kernel's dm-log-writes. When the machine has ended, the log
is carried out on the platter, up to its last flush. To kill QEMU alone would lose nothing but the guest's page cache.
"""

import os
import random
import struct
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

SECTOR = 512
_MAGIC, _VERSION = 0x6A736677736872, 1
_FLUSH, _FUA, _DISCARD = 1, 2, 4
#: Sparse; no boot here writes so much.
_LOG_BYTES = 16 << 30


class Loss(Enum):
    """What becomes of writes that were not flushed when the power fails."""

    NONE = "all of them had reached the platter"
    ALL = "none of them had"
    SOME = "each sector by chance: out of order, and torn"


@dataclass(frozen=True, slots=True, kw_only=True)
class Cut:
    """What a power cut took."""

    writes: int
    unflushed: int
    lost_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class _Write:
    offset: int
    length: int
    at: int
    is_flush: bool
    is_durable: bool


class Disk:
    """The disk of one machine, in its directory."""

    def __init__(self, directory: Path, image: Path) -> None:
        """Begin as a copy of the image."""
        self._platter, self.running = directory / "disk.raw", directory / "run.qcow2"
        self.log = directory / "writes.log"
        subprocess.run(["/bin/cp", "--sparse=always", "--reflink=auto", image, self._platter], check=True)

    def prepare(self) -> None:
        """Make what a machine that is switched on writes to."""
        self.running.unlink(missing_ok=True)
        backing = ["-F", "raw", "-b", self._platter.name]
        subprocess.run(["/usr/bin/qemu-img", "create", "-q", "-f", "qcow2", *backing, self.running], check=True)
        with self.log.open("wb") as log:
            log.truncate(_LOG_BYTES)

    def settle(self, loss: Loss, seed: int = 0) -> Cut:
        """Bring the platter to what it has after the machine was switched off; chance is decided by the seed."""
        chance = random.Random(seed)
        writes = list(_read(self.log))
        last_flush = max((index for index, write in enumerate(writes) if write.is_flush), default=-1)
        lost = 0
        with self._platter.open("r+b") as platter, self.log.open("rb") as log:
            for index, write in enumerate(writes):
                data = os.pread(log.fileno(), write.length, write.at)
                is_kept = index < last_flush or write.is_durable or loss is Loss.NONE
                for start in range(0, len(data), SECTOR):
                    if is_kept or (loss is Loss.SOME and chance.random() < 1 / 2):
                        os.pwrite(platter.fileno(), data[start : start + SECTOR], write.offset + start)
                    else:
                        lost += SECTOR
        self.running.unlink()
        self.log.unlink()
        return Cut(writes=len(writes), unflushed=len(writes) - 1 - last_flush, lost_bytes=lost)


def _read(path: Path) -> Iterator[_Write]:
    """Yield the log to its end. Its own count is behind where QEMU was killed."""
    with path.open("rb") as log:
        magic, version, _, sector = struct.unpack("<QQQL", log.read(28))
        if (magic, version) != (_MAGIC, _VERSION):
            return  # ended before the first write
        at = sector
        while True:
            log.seek(at)
            header = log.read(32)
            if len(header) < len(bytes(32)) or header == bytes(32):
                return
            start, count, flags, _ = struct.unpack("<QQQQ", header)
            length = 0 if flags & _DISCARD else count * sector
            yield _Write(
                offset=start * sector,
                length=length,
                at=at + sector,
                is_flush=bool(flags & _FLUSH),
                is_durable=bool(flags & _FUA),
            )
            at += sector + length
