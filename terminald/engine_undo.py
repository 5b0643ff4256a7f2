"""What becomes of money in flight while nothing can be recorded: it goes back, from memory.

No sale is told ``paid`` that is not on disk, so a payment of which the answer can not be recorded is worth nothing to
anybody. After a while it is undone: the order's name is on disk, and whoever finds it there may repeat a cancel. An
order that was begun to be undone can not pay any more: as soon as the journal works again its sale is canceled, before
anything else that waits for being recorded.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine
from typing import Final, TypeVar

from terminald.core.attempt_table import Attempt, AttemptState
from terminald.core.book import Book
from terminald.core.commands import GatewayCommand, ReverseOrder
from terminald.core.events import (
    UNRECORDED,
    Answer,
    CancelRequested,
    OrderClosed,
    OrderReturned,
    ReversalConfirmed,
)
from terminald.core.ids import ClientSn, SaleId
from terminald.core.sale_table import SaleState
from terminald.core.stimuli import ToSale
from terminald.engine_commands import Performer
from terminald.logs import log_event
from terminald.logs_ids import LogId

log = logging.getLogger(__name__)

T = TypeVar("T")

#: How long the journal may fail before. A card that tidies up is back by then, and a customer is not there any more: an
#: order is not asked about for so long, and no request takes so long with the usual settings.
UNDO_AFTER_S: Final = 90.0
#: Between two tries.
UNDO_AGAIN_S: Final = 10.0
_IN_FLIGHT: Final = frozenset(
    {
        AttemptState.SUBMITTING,
        AttemptState.ABANDONING,
        AttemptState.OFFERING,
        AttemptState.OFFERED,
        AttemptState.POLLING,
        AttemptState.REVERSING,
        AttemptState.PROVING,
    }
)
_UNDONE: Final = ReversalConfirmed | OrderClosed | OrderReturned


class Undoing:
    """Undoes what is in flight for as long as the journal fails. One instance for the life of the process."""

    def __init__(
        self,
        ask: Callable[[GatewayCommand], Awaitable[Answer]],
        book: Callable[[], Book],
        performer: Performer,
        spawn: Callable[[Coroutine[None, None, None]], asyncio.Task[None]],
    ) -> None:
        """Book is what is on disk. Nothing is sent about an order while the performer is asking."""
        self._ask = ask
        self._book = book
        self._performer = performer
        self._spawn = spawn
        self._task: asyncio.Task[None] | None = None
        #: Set while nothing is being written.
        self._unwritten = asyncio.Event()
        self._unwritten.set()
        #: Sales of which an order may have been undone: they are to be canceled first of all.
        self.begun: set[SaleId] = set()

    def begin(self) -> None:
        """Take note that the journal fails; harmless when repeated."""
        if self._task is None:
            self._task = self._spawn(self._run())

    def end(self) -> None:
        """Take note that it works again; harmless when repeated."""
        if self._task is not None:
            self._task.cancel()
            self._task = None

    async def undisturbed(self, write: Awaitable[T]) -> T:
        """Do a write. Nothing is begun to be undone before it has failed: what it records may be the payment.

        To be called in the moment in which what is written was decided, and not while another one is under way.
        """
        self._unwritten.clear()
        try:
            return await write
        finally:
            self._unwritten.set()

    async def settle(self, apply: Callable[[ToSale], Awaitable[object]]) -> None:
        """Cancel the sales whose orders may have been undone: none of them is to be paid.

        Raises:
            JournalUnavailable: it does not work yet.
        """
        for sale_id in tuple(self.begun):
            sale = self._book().sales.get(sale_id)
            if sale is not None and sale.state.is_with_customer:
                await apply(ToSale(sale_id=sale_id, event=CancelRequested(reason=UNRECORDED)))
            self.begun.discard(sale_id)

    async def _run(self) -> None:
        await asyncio.sleep(UNDO_AFTER_S)
        undone: set[ClientSn] = set()
        while waiting := [one for one in _in_flight(self._book()) if one.client_sn not in undone]:
            for attempt in () if self._performer.asked else waiting:
                while not self._unwritten.is_set():
                    await self._unwritten.wait()
                log_event(log, LogId.ORDER_UNDONE, sale=attempt.sale_id, client_sn=attempt.client_sn)
                self.begun.add(attempt.sale_id)
                undo = ReverseOrder(client_sn=attempt.client_sn, token=attempt.token, amount=attempt.amount)
                if isinstance(await self._ask(undo), _UNDONE):
                    undone.add(attempt.client_sn)
            await asyncio.sleep(UNDO_AGAIN_S)


def _in_flight(book: Book) -> list[Attempt]:
    """Return the orders that a customer may have paid, or pay, and whose sale is not paid yet."""
    open_ = {
        sale.id for sale in book.sales.values() if sale.state.is_with_customer or sale.state is SaleState.CANCELING
    }
    return [one for one in book.attempts.values() if one.sale_id in open_ and one.state in _IN_FLIGHT]
