"""What is fuzzed: a decoder of bytes from outside, and what must hold whatever the bytes are."""

import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeVar

T = TypeVar("T")

#: Takes an input to its decoder, and compares what comes of it with the contract. Whatever it raises is a finding.
Check = Callable[[bytes], None]

#: Where a journal is synced at no cost.
_MEMORY: Final = Path("/dev/shm")  # noqa: S108 - a directory of our own within it
#: Places at which an input is cut in two, spread evenly over longer ones.
MOST_CUTS: Final = 48


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """One decoder. Opened once for many inputs, as some need a directory or a server."""

    name: str
    opened: Callable[[], AbstractContextManager[Check]]
    #: Inputs as the real world sends them: fuzzing begins with them.
    samples: tuple[bytes, ...]
    #: What such inputs are made of: put in, whole, where random bytes would take years to find it.
    words: tuple[bytes, ...] = ()
    #: Bytes of an input. Bounds beyond it have tests of their own.
    longest: int = 2048
    #: How often `make test` tries it.
    examples: int = 150


def always(check: Check) -> Callable[[], AbstractContextManager[Check]]:
    """Open a target that needs nothing."""

    @contextmanager
    def opened() -> Iterator[Check]:
        yield check

    return opened


def cuts(data: bytes) -> Iterator[list[bytes]]:
    """Yield the ways in which a stream may arrive: byte by byte, and in two pieces, cut at every place."""
    yield [data[at : at + 1] for at in range(len(data))]
    for at in range(1, len(data), 1 + len(data) // MOST_CUTS):
        yield [data[:at], data[at:]]


def same_however_cut(data: bytes, told: Callable[[list[bytes]], T]) -> T:
    """Return what a stream means; it must not depend on the pieces in which it arrives."""
    whole = told([data])
    for pieces in cuts(data):
        assert told(pieces) == whole, (
            f"in {len(pieces)} pieces, the first of {len(pieces[0])} bytes, it means something else"
        )
    return whole


@contextmanager
def scratch() -> Iterator[Path]:
    """Make a directory; not where pytest keeps its own, as the path of a Unix socket is short."""
    directory = Path(tempfile.mkdtemp(prefix="fuzz-", dir=_MEMORY if _MEMORY.is_dir() else None))
    try:
        yield directory
    finally:
        shutil.rmtree(directory)
