"""How a command ends, and how it says so."""

import sys
from collections.abc import Sequence

from terminald.errors import TerminaldError
from terminald.logs import escape

DONE = 0
FAILED = 1
WRONG_USAGE = 2
REFUSED = 3
#: EX_CONFIG of sysexits.h: the service manager must not start it again.
CONFIG_WRONG = 78


class CommandFailed(TerminaldError):
    """A command can not do what was asked. The text says what and why; advice says what to do."""

    def __init__(self, what: str, *, advice: str = "", code: int = FAILED) -> None:
        """Code is the exit code."""
        super().__init__(what)
        self.advice = advice
        self.code = code


def say_error(what: str, advice: str = "") -> None:
    """Tell the person on standard error: what happened and why, then what to do."""
    lines = [f"terminald: {escape(what)}", *([f"  → {escape(advice)}"] if advice else [])]
    print("\n".join(lines), file=sys.stderr, flush=True)


def say_faults(faults: Sequence[str]) -> None:
    """Tell every fault of the configuration on standard error, each on its own line."""
    print("\n".join(map(escape, faults)), file=sys.stderr, flush=True)


def say_warning(what: str) -> None:
    """Tell the person on standard error about something that is no failure."""
    print(f"warning: {escape(what)}", file=sys.stderr, flush=True)
