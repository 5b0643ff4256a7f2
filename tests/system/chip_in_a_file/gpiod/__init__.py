"""As much of libgpiod's Python package as terminald uses, for a chip that is a file.

A process that finds this before the real package drives "lines" by writing into the file, and reads the input beside it
(``.input``: "1" is a high voltage); a byte in the pipe ``.edges`` is an edge. Where it differs from the real package,
the type checker says so of the code that uses it: that is checked against the real one.
"""

import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from .line import Bias, Direction, Edge, Value


@dataclass
class LineSettings:
    direction: Direction = Direction.AS_IS
    edge_detection: Edge = Edge.NONE
    bias: Bias = Bias.AS_IS
    active_low: bool = False
    debounce_period: timedelta = timedelta()
    output_value: Value = Value.INACTIVE


class LineRequest:
    def __init__(self, path: str, line: str, settings: LineSettings) -> None:
        self._path = Path(path)
        self._line = line
        self._settings = settings
        self.fd = -1
        if settings.direction is Direction.OUTPUT:
            self.set_value(line, settings.output_value)
        else:
            self.fd = os.open(f"{path}.edges", os.O_RDWR | os.O_NONBLOCK)

    def set_value(self, line: str, value: Value) -> None:
        assert line == self._line
        is_high = (value is Value.ACTIVE) != self._settings.active_low
        with self._path.open("a") as chip:
            chip.write(f"{time.monotonic()} {line} {int(is_high)}\n")

    def get_value(self, line: str) -> Value:
        assert line == self._line
        is_high = self._path.with_suffix(".input").read_text().strip() == "1"
        return Value.ACTIVE if is_high != self._settings.active_low else Value.INACTIVE

    def read_edge_events(self) -> list[bytes]:
        return [os.read(self.fd, 100)]

    def release(self) -> None:
        if self.fd >= 0:
            os.close(self.fd)


def request_lines(path: str, config: Mapping[str, LineSettings], consumer: str) -> LineRequest:
    assert consumer == "terminald"
    ((line, settings),) = config.items()
    return LineRequest(path, line, settings)
