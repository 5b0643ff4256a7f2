"""What callers have asked for, and is not begun: refused, rather than left to wait for a disk that fails."""

import asyncio
from collections.abc import Callable
from functools import partial
from typing import TypeVar

from terminald.errors import JournalUnavailable

T = TypeVar("T")


class Waiting:
    """The requests that wait for their turn."""

    def __init__(self) -> None:
        self._refusals: dict[int, Callable[[], bool]] = {}

    def add(self, done: asyncio.Future[T]) -> None:
        """Take note of a request by the future of its answer."""
        self._refusals[id(done)] = partial(_refuse, done)

    def begin(self, done: asyncio.Future[T]) -> bool:
        """Take note that its turn has come; return whether it is still to be done."""
        return self._refusals.pop(id(done), None) is not None

    def refuse(self) -> None:
        """Refuse those whose callers are there. What a caller does not wait for any more is done all the same."""
        self._refusals = {key: refuse for key, refuse in self._refusals.items() if not refuse()}


def _refuse(done: asyncio.Future[T]) -> bool:
    if done.done():
        return False
    done.set_exception(JournalUnavailable("the journal can not be written now; nothing was done"))
    return True
