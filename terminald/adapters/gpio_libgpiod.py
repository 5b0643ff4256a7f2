"""Lines of libgpiod 2, as :mod:`terminald.adapters.gpio_lines` wants them. Imported only where ``gpiod`` is there."""

import errno
from collections.abc import Iterable
from typing import Final

import gpiod
from gpiod.line import Bias, Direction, Edge, Value

from terminald.adapters.gpio_lines import CONSUMER, LineChoice, debounce

_BIASES: Final = {"pull_up": Bias.PULL_UP, "pull_down": Bias.PULL_DOWN, "none": Bias.DISABLED}


def find_chip(name: str, paths: Iterable[str]) -> str | None:
    """Return the path of the chip with this label or name. Numbers differ from kernel to kernel, labels do not."""
    for path in paths:
        try:
            with gpiod.Chip(path) as chip:
                info = chip.get_info()
        except OSError as exc:
            raise OSError(exc.errno, exc.strerror, path) from exc
        if name in (info.label, info.name):
            return path
    return None


def open_output(path: str, line: str, *, is_active_low: bool) -> "GpiodOutput":
    """Take a line, and drive it inactive."""
    settings = gpiod.LineSettings(direction=Direction.OUTPUT, output_value=Value.INACTIVE, active_low=is_active_low)
    return GpiodOutput(_request(path, line, settings), line)


def open_input(path: str, choice: LineChoice) -> "GpiodInput":
    """Take a line, and have its edges told."""
    settings = gpiod.LineSettings(
        direction=Direction.INPUT,
        active_low=choice.is_inhibit_active_low,
        bias=_BIASES[choice.inhibit_bias],
        edge_detection=Edge.BOTH,
        debounce_period=debounce(choice),
    )
    return GpiodInput(_request(path, choice.inhibit, settings), choice.inhibit)


def _request(path: str, line: str, settings: gpiod.LineSettings) -> gpiod.LineRequest:
    return gpiod.request_lines(path, consumer=CONSUMER, config={line: settings})


class GpiodOutput:
    """A line that we drive. Used by one thread at a time."""

    def __init__(self, request: gpiod.LineRequest, line: str) -> None:
        """The request is ours from now on."""
        self._request = request
        self._line = line

    def set_active(self, *, is_active: bool) -> None:
        """Drive it."""
        if not self._request:
            raise OSError(errno.EBADF, "the line was let go of")
        self._request.set_value(self._line, Value.ACTIVE if is_active else Value.INACTIVE)

    def release(self) -> None:
        """Let go of it."""
        self._request.release()


class GpiodInput:
    """A line that we watch."""

    def __init__(self, request: gpiod.LineRequest, line: str) -> None:
        """The request is ours from now on."""
        self._request = request
        self._line = line

    def is_active(self) -> bool:
        """Read it."""
        return self._request.get_value(self._line) is Value.ACTIVE

    def fileno(self) -> int:
        """Return what becomes readable with each edge."""
        return self._request.fd

    def forget_edges(self) -> None:
        """Take the edges that are waiting."""
        self._request.read_edge_events()

    def release(self) -> None:
        """Let go of it."""
        self._request.release()
