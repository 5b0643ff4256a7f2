"""The lines of a GPIO chip, through libgpiod (the package ``gpiod``, which is imported when it is needed).

What the pulses need of a line is a protocol, so that a test can stand where the hardware is.
"""

import errno
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Final, Literal, Protocol

from terminald.errors import DeviceAbsent, DeviceHeld, DeviceMissing

#: How we appear in ``gpioinfo``.
CONSUMER: Final = "terminald"
_CHIPS: Final = "gpiochip*"
_NO_LINE: Final = "{path} has no line {line}; gpioinfo lists them"
_NO_CHIP: Final = "{path} is no GPIO chip; gpiodetect lists them"
_UNFIT: Final = "line {line} of {path} can not do what is configured (bias, debounce); the kernel's log may say more"
_REFUSALS: Final = {
    errno.ENOENT: _NO_LINE,
    errno.EBUSY: "line {line} of {path} is used by another program; gpioinfo names it",
    errno.ENOTTY: _NO_CHIP,
    errno.ENODEV: _NO_CHIP,
    errno.EINVAL: _UNFIT,
    errno.ENXIO: _UNFIT,
    errno.EOPNOTSUPP: _UNFIT,
}


class OutputLine(Protocol):
    """A line that we drive."""

    def set_active(self, *, is_active: bool) -> None:
        """Drive it; OSError where that is not possible. May block for a moment."""

    def release(self) -> None:
        """Let go of it; harmless when repeated."""


class InputLine(Protocol):
    """A line that we watch."""

    def is_active(self) -> bool:
        """Read it; OSError where that is not possible."""

    def fileno(self) -> int:
        """Return what becomes readable with each edge."""

    def forget_edges(self) -> None:
        """Take the edges that are waiting; only when it is readable. OSError where that is not possible."""

    def release(self) -> None:
        """Let go of it; harmless when repeated."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lines:
    """What was opened: the output is inactive, the input is there where one is configured."""

    output: OutputLine
    inhibit: InputLine | None = None

    def release(self) -> None:
        """Let go of both."""
        self.output.release()
        if self.inhibit is not None:
            self.inhibit.release()


@dataclass(frozen=True, slots=True, kw_only=True)
class LineChoice:
    """Which lines are meant, in the words of the configuration; inhibit may be empty."""

    chip: str
    line: str
    is_active_low: bool = False
    inhibit: str = ""
    is_inhibit_active_low: bool = True
    inhibit_bias: Literal["pull_up", "pull_down", "none"] = "pull_up"
    debounce_ms: int = 20


def open_lines(name: str, choice: LineChoice) -> Lines:
    """Open the lines, the output inactive; blocks.

    Raises:
        DeviceAbsent: with its kinds; the detail says what to do.
        OSError: as the kernel said it.
    """
    try:
        import gpiod  # noqa: F401, PLC0415 - an optional package, for those terminals that have such lines
    except ImportError as exc:
        detail = f"the package gpiod is missing; run: {sys.executable} -m pip install 'gpiod>=2.1'"
        raise DeviceAbsent(name, detail) from exc
    from terminald.adapters.gpio_libgpiod import find_chip, open_input, open_output  # noqa: PLC0415 - it needs gpiod

    path = choice.chip if choice.chip.startswith("/") else find_chip(choice.chip, chip_paths())
    if path is None:
        there = ", ".join(chip_paths()) or "none"
        raise DeviceMissing(name, f"no GPIO chip has the label or name {choice.chip}; gpiodetect lists them: {there}")
    with _named(name, path, choice.line):
        output = open_output(path, choice.line, is_active_low=choice.is_active_low)
    if not choice.inhibit:
        return Lines(output=output)
    with ExitStack() as undo:
        undo.callback(output.release)
        with _named(name, path, choice.inhibit):
            inhibit = open_input(path, choice)
        undo.pop_all()
    return Lines(output=output, inhibit=inhibit)


def chip_paths() -> list[str]:
    """Return the GPIO chips of this machine."""
    return sorted(str(path) for path in Path("/dev").glob(_CHIPS))


def debounce(choice: LineChoice) -> timedelta:
    """Return for how long an input has to stay."""
    return timedelta(milliseconds=choice.debounce_ms)


@contextmanager
def _named(name: str, path: str, line: str) -> Iterator[None]:
    """Say which line a refusal is about, and what to do."""
    try:
        yield
    except ValueError as exc:
        raise DeviceAbsent(name, _NO_LINE.format(path=path, line=line)) from exc
    except OSError as exc:
        words = _REFUSALS.get(exc.errno or 0)
        if words is None or not Path(path).exists():
            raise OSError(exc.errno, exc.strerror, path) from exc
        kind = DeviceHeld if exc.errno == errno.EBUSY else DeviceAbsent
        raise kind(name, words.format(path=path, line=line)) from exc
