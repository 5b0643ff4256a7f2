"""What a check finds."""

from dataclasses import dataclass
from enum import Enum


class Verdict(Enum):
    """How bad it is."""

    OK = "ok"
    NOTE = "note"  # nothing is wrong; worth knowing
    WARN = "warn"  # sales go on, for now
    FAIL = "fail"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One line: which part, how it is, and what to do. No text may hold a secret (I7).

    Lines: what belongs below it, such as lines for the configuration.
    """

    check: str
    verdict: Verdict
    what: str
    advice: str = ""
    lines: tuple[str, ...] = ()


def ok(check: str, what: str) -> Finding:
    """Return what is as it should be."""
    return Finding(check=check, verdict=Verdict.OK, what=what)


def note(check: str, what: str, advice: str = "", *, lines: tuple[str, ...] = ()) -> Finding:
    """Return what is neither right nor wrong."""
    return Finding(check=check, verdict=Verdict.NOTE, what=what, advice=advice, lines=lines)


def warn(check: str, what: str, advice: str) -> Finding:
    """Return what a person should look at before it becomes a fault."""
    return Finding(check=check, verdict=Verdict.WARN, what=what, advice=advice)


def fail(check: str, what: str, advice: str) -> Finding:
    """Return what keeps the terminal from selling, or from selling safely."""
    return Finding(check=check, verdict=Verdict.FAIL, what=what, advice=advice)
