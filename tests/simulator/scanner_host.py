"""What opens a scanner's device."""

import os
import select
import termios
from typing import Self

WAIT_MS = 10_000


class Host:
    """The other end of a scanner's line."""

    def __init__(self, path: str) -> None:
        self.fd = os.open(path, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self.fd)

    def set_speed(self, speed: int) -> None:
        """Set the line to a speed, such as ``termios.B9600``."""
        attributes = termios.tcgetattr(self.fd)
        attributes[4] = attributes[5] = speed
        termios.tcsetattr(self.fd, termios.TCSANOW, attributes)

    def send(self, data: bytes) -> None:
        assert os.write(self.fd, data) == len(data)

    def read(self, count: int) -> bytes:
        """Wait for that many bytes; fewer when the line hangs up or nothing comes."""
        data = b""
        poll = select.poll()
        poll.register(self.fd, select.POLLIN)
        while len(data) < count and poll.poll(WAIT_MS):
            try:
                chunk = os.read(self.fd, count - len(data))
            except OSError:
                chunk = b""
            if not chunk:
                break
            data += chunk
        return data

    def has_more(self) -> bool:
        poll = select.poll()
        poll.register(self.fd, select.POLLIN)
        return bool(poll.poll(0))
