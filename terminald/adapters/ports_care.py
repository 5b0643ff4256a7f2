"""What looking after the terminal needs of the journal, and what callers ask for: hold sales back, prove the disk."""

from typing import Protocol

from terminald.core.readiness import Hold


class CareJournal(Protocol):
    """The part of the journal that is not about sales. Every method raises JournalUnavailable."""

    async def put_hold(self, hold: Hold) -> None:
        """Store why no sales are begun, with a full sync. Not undone by cancelling."""

    async def prove(self) -> None:
        """Write something of no meaning, with a full sync: the disk takes writes. Not undone by cancelling."""


class CareDesk(Protocol):
    """What the engine does for whoever looks after the terminal."""

    async def drain(self, *, until_restart: bool) -> None:
        """Begin no more sales, and close the one that waits for its code; repeatable.

        For as long as this process lives, or over restarts until :meth:`resume`.
        """

    async def resume(self) -> None:
        """Begin sales again; repeatable."""

    async def prove_health(self) -> None:
        """Return after a round trip through loop and journal, with a write at most once a minute; ApiError unhealthy.

        Nothing about it depends on the gateway or on a device.
        """
