"""The corpus: inputs that were worth keeping, one directory for each target. Names say why, or are the fuzzer's own."""

import hashlib
import traceback
from pathlib import Path
from typing import Final

import terminald
from tests.fuzz.target import Check, Target

CORPUS: Final = Path(__file__).parent.parent / "data" / "corpus"
_PACKAGE: Final = Path(terminald.__file__).parent
_NAMED: Final = 8
#: How often a smaller input is tried. What is found in a long one stays longer than it must be.
_TRIES: Final = 400


def files(target: Target) -> list[Path]:
    """Return the inputs of a target."""
    directory = CORPUS / target.name
    return sorted(path for path in directory.iterdir() if path.is_file()) if directory.is_dir() else []


def seeds(target: Target) -> list[bytes]:
    """Return what fuzzing begins with: the samples, and the corpus."""
    return [*target.samples, *(path.read_bytes() for path in files(target))]


def failure(check: Check, data: bytes) -> Exception | None:
    """Return what an input brings to light, if anything."""
    try:
        check(data)
    except Exception as exc:  # noqa: BLE001 - whatever it is, it is what is looked for
        return exc
    return None


def place(found: Exception) -> str:
    """Return what was raised and the line of terminald that it comes from, else the line of the contract."""
    frames = traceback.extract_tb(found.__traceback__)
    ours = [frame for frame in frames if Path(frame.filename).is_relative_to(_PACKAGE)]
    last = (ours or frames)[-1]
    return f"{type(found).__name__}-{Path(last.filename).stem}-{last.name}"


def smallest(check: Check, data: bytes) -> bytes:
    """Return a part of an input that fails in the same place; ever smaller pieces are left out."""
    found = failure(check, data)
    if found is None:
        return data
    where, size, tries = place(found), max(1, len(data) // 2), 0
    while size and tries < _TRIES:
        at = 0
        while at < len(data) and tries < _TRIES:
            tries += 1
            shorter = data[:at] + data[at + size :]
            again = failure(check, shorter)
            if again is not None and place(again) == where:
                data = shorter
            else:
                at += size
        size //= 2
    return data


def keep(target: Target, data: bytes, found: Exception) -> Path:
    """Write an input that failed where the tests find it; the name says what was raised and where."""
    path = CORPUS / target.name / f"{place(found)}-{hashlib.sha256(data).hexdigest()[:_NAMED]}"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path
