"""What the fleet's courier needs of the world: a broker, and the event log from a mark on."""

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Protocol

from terminald.core.ids import WallTime
from terminald.wire.fleet import FleetMessage


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetMark:
    """How far the event log is known to be with the broker. Log is the name of this event log."""

    log: str
    seq: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LoggedRow:
    """A row of the event log: topic and body are empty where it is not a public event."""

    seq: int
    wall: WallTime
    topic: str
    body: bytes


class FleetJournal(Protocol):
    """The event log, in pages. Methods raise JournalError when the file can not be read or written now."""

    async def page(self, seq: int, limit: int) -> tuple[LoggedRow, ...]:
        """Return so many rows with greater sequence numbers, oldest first. Rows that were deleted are not there."""

    async def put_mark(self, mark: FleetMark) -> None:
        """Store how far the log was taken by the broker. Not undone by cancelling."""


class FleetSession(Protocol):
    """One connection to the broker."""

    @property
    def max_payload(self) -> int:
        """How many bytes of payload the broker takes in one message."""

    async def deliver(self, messages: Sequence[FleetMessage]) -> None:
        """Send messages in this order, and return when the broker has acknowledged each of them.

        Raises:
            FleetRefused: it refused one or more of them; the others were taken, or are unknown.
            FleetError: the connection is of no use any more; none, some or all of them were taken.
        """

    async def wait_lost(self) -> None:
        """Wait until the connection is lost, and raise FleetError; code "protocol": over something that was said."""


class FleetBroker(Protocol):
    """Makes connections to the broker, one at a time."""

    def session(self, will: FleetMessage | None) -> AbstractAsyncContextManager[FleetSession]:
        """Connect, and leave a will that the broker publishes when the connection is lost; None: no will.

        Entering raises FleetError when there is no connection. Leaving without an exception ends it in words: then
        there is no will. Leaving with one lets it drop.
        """
