"""What a check finds."""

from dataclasses import dataclass
from enum import Enum


class Verdict(Enum):
    """How bad it is."""

    OK = "ok"
    WARN = "warn"  # sales go on, for now
    FAIL = "fail"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One line: which part, how it is, and what to do. Neither text may hold a secret (I7)."""

    check: str
    verdict: Verdict
    what: str
    advice: str = ""


def ok(check: str, what: str) -> Finding:
    """Return what is as it should be."""
    return Finding(check=check, verdict=Verdict.OK, what=what)


def warn(check: str, what: str, advice: str) -> Finding:
    """Return what a person should look at before it becomes a fault."""
    return Finding(check=check, verdict=Verdict.WARN, what=what, advice=advice)


def fail(check: str, what: str, advice: str) -> Finding:
    """Return what keeps the terminal from selling, or from selling safely."""
    return Finding(check=check, verdict=Verdict.FAIL, what=what, advice=advice)
