"""What a kiosk without a host application needs of whatever is done for a paid sale."""

from collections.abc import Awaitable, Callable
from typing import Protocol

from terminald.core.kiosk_action import ActionMark, ActionOutcome
from terminald.core.money import Fen

#: Called with the number of a step, from 1, and of all of them, before the step is taken. When it returns, that the
#: step was begun is on disk. Raises JournalUnavailable: then the step is not taken.
BeginStep = Callable[[int, int], Awaitable[None]]


class Action(Protocol):
    """What the customer has paid for, as far as this machine can do it."""

    async def perform(self, sale: bytes, amount: Fen, begin: BeginStep) -> ActionOutcome:
        """Do it once, within a bounded time. Sale is the paid sale as JSON.

        Never raises for anything that the world does. Cancelled, it ends what it has started.
        """


class ActionJournal(Protocol):
    """The durable memory of the last action."""

    async def put_mark(self, mark: ActionMark) -> None:
        """Store it in place of the last one, with a full sync; JournalUnavailable when that is not possible now."""
