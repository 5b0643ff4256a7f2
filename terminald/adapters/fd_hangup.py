"""Hear of a hang-up without reading, and without being woken by what could be read or written."""

import asyncio
import contextlib
import select
from collections.abc import Callable, Iterator


@contextlib.contextmanager
def heeding_hangup(fd: int, call: Callable[[], None]) -> Iterator[None]:
    """Call once when the kernel reports an error or a hang-up of a descriptor; never for one that can not be polled.

    The event loop asks for readability as well, and a device that always has something to read would keep it busy. A
    poll of our own that asks for nothing is told of errors and hang-ups alone, and becomes readable with them.
    """
    loop = asyncio.get_running_loop()
    with select.epoll() as poll:
        try:
            poll.register(fd, 0)
        except PermissionError:  # a driver without poll, such as /dev/null
            yield
            return

        def hear() -> None:
            loop.remove_reader(poll.fileno())
            call()

        loop.add_reader(poll.fileno(), hear)
        try:
            yield
        finally:
            loop.remove_reader(poll.fileno())
