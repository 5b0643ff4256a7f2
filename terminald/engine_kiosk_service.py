"""What a kiosk does for a paid sale, and what becomes of one whose action a crash has cut off.

An action is begun once for a sale, after the payment and the mark are on disk. A sale that was open before a start is
never served: where its action provably was not begun, its money goes back; where it may have been, it is as overdue as
any report that does not come, and ``sale.on_overdue`` decides.
"""

import asyncio
import logging
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import Final

from terminald.adapters.ports_actions import Action, ActionJournal
from terminald.core.events import CancelRequested
from terminald.core.ids import Reference, SaleId
from terminald.core.kiosk_action import ActionDone, ActionFailed, ActionMark, ActionOutcome, owed, was_begun
from terminald.core.money import Fen
from terminald.core.return_events import DeliveryWindowClosed
from terminald.core.sale_table import DeliveryState, Sale, SaleState
from terminald.core.stimuli import Record, ToSale
from terminald.engine import COMMIT_RETRY_S, Engine
from terminald.engine_desk import EngineDesk
from terminald.errors import ApiError, IllegalTransition, JournalUnavailable
from terminald.logs import log_event
from terminald.logs_ids import LogId
from terminald.wire.api_kiosk import sold_json

log = logging.getLogger(__name__)

#: The kiosk's own references: an id of ours follows, which no other sale ever had, and no host would think of.
_PREFIX: Final = "kiosk-"
_REFERENCE: Final = re.compile(f"{_PREFIX}[0-9A-Z]{{26}}")
_OVERLOADED: Final = "overloaded"
_NOT_BEGUN: Final = "terminald was started anew before it was begun"
_OLD: Final = "an old copy of the journal does not say whether it was begun"


@dataclass(frozen=True, slots=True, kw_only=True)
class Means:
    """What an action is done with."""

    action: Action
    journal: ActionJournal


def is_own(sale: Sale) -> bool:
    """Whether the kiosk has opened it."""
    return _REFERENCE.fullmatch(sale.order.reference) is not None


def reference_of(new_id: str) -> Reference:
    """Return the reference of a new sale."""
    return Reference(_PREFIX + new_id)


class KioskService:
    """Serves paid sales, one after the other."""

    def __init__(self, engine: Engine, desk: EngineDesk, means: Means | None, mark: ActionMark | None) -> None:
        """Mark is what the journal holds of the last action before this start."""
        self._engine = engine
        self._desk = desk
        self._means = means
        self._mark = mark
        self._started = engine.world.clock.now().instant
        #: Open sales from before the start, and others that nobody stands before.
        self._leftovers: set[SaleId] = set()

    @property
    def has_action(self) -> bool:
        """Whether sales are served at all."""
        return self._means is not None

    # --- a paid sale -------------------------------------------------------------------------------------------------

    async def serve(self, sale_id: SaleId) -> None:
        """Do what was paid for, and report how it went."""
        if self._means is None:
            raise LookupError("no action is configured")
        view = await self._desk.get_sale(sale_id)
        body = sold_json(view, self._engine.world.clock.now())
        self._note(sale_id, "ActionBegun", "")
        outcome = await self._means.action.perform(
            body, view.sale.paid, partial(self._begin_step, self._means.journal, sale_id)
        )
        await self._report(sale_id, view.sale.paid, outcome)

    async def _begin_step(self, journal: ActionJournal, sale_id: SaleId, number: int, steps: int) -> None:
        await journal.put_mark(ActionMark(sale_id=sale_id, begun=number, steps=steps))
        log_event(log, LogId.ACTION_STEP, sale=sale_id, detail=f"{number} of {steps}")

    async def _report(self, sale_id: SaleId, paid: Fen, outcome: ActionOutcome) -> None:
        match outcome:
            case ActionDone():
                self._note(sale_id, "ActionDone", "")
                await _surely(sale_id, lambda: self._desk.deliver(sale_id))
            case ActionFailed():
                log_event(log, LogId.ACTION_FAILED, sale=sale_id, detail=outcome.evidence)
                self._note(sale_id, "ActionFailed", outcome.evidence)
                amount = owed(paid, outcome)
                await _surely(sale_id, lambda: self._desk.undeliver(sale_id, amount))

    def _note(self, sale_id: SaleId, cause: str, evidence: str) -> None:
        record = Record(kind="action", subject=sale_id, sale_id=sale_id, cause=cause, before="", after=evidence)
        self._engine.tell(lambda: self._engine.publish(record, "", b""))

    # --- sales from before the start ---------------------------------------------------------------------------------

    def take_up(self) -> None:
        """Find what is open from before the start."""
        own = (sale for sale in self._engine.book.sales.values() if is_own(sale) and not sale.state.is_final)
        self._leftovers = {sale.id for sale in own}

    def give_up(self, sale_id: SaleId) -> None:
        """Have a sale canceled that was opened for a code which it did not get."""
        self._leftovers.add(sale_id)

    async def look_after_leftovers(self) -> None:
        """Bring those of which more is known now nearer to their end."""
        for sale_id in tuple(self._leftovers):
            sale = (await self._desk.get_sale(sale_id)).sale
            if sale.state is SaleState.AWAITING_PAYMENT:
                # Its code was in memory, or was declined: whoever stands there begins anew.
                event = CancelRequested()
                await _surely(sale_id, lambda: self._apply(ToSale(sale_id=sale_id, event=event)))  # noqa: B023 - awaited here
            elif not sale.state.is_with_customer:
                self._leftovers.discard(sale_id)
                await self._settle(sale)

    async def _settle(self, sale: Sale) -> None:
        """Decide about a paid sale that nobody will serve any more, unless that was done before."""
        if sale.state is not SaleState.PAID:
            return
        mark = self._mark
        if not self._is_undecided(sale):
            if sale.delivery is DeliveryState.OVERDUE and await self._was_passed_over(sale, mark):
                await self._report(sale.id, sale.paid, ActionFailed(evidence=_NOT_BEGUN))
            return
        if mark is not None and was_begun(mark, sale.id):
            evidence = f"{mark.begun} of {mark.steps} steps at most"
        elif self._engine.hold.is_restored:
            # Its mark may be lost, or the mark is of a sale after it.
            evidence = _OLD
        else:
            await self._report(sale.id, sale.paid, ActionFailed(evidence=_NOT_BEGUN))
            return
        log_event(log, LogId.ACTION_UNKNOWN, sale=sale.id, detail=evidence)
        self._note(sale.id, "ActionUnknown", evidence)
        if sale.delivery is DeliveryState.PENDING:
            await _surely(sale.id, lambda: self._apply(ToSale(sale_id=sale.id, event=DeliveryWindowClosed())))

    def _is_undecided(self, sale: Sale) -> bool:
        """Whether its mark still tells of it: the next sale's has taken the place of one that was decided."""
        if sale.delivery is DeliveryState.OVERDUE and sale.attention is not None:
            return sale.attention.since >= self._started  # by this very start, after a power cut
        return sale.delivery is DeliveryState.PENDING

    async def _was_passed_over(self, sale: Sale, mark: ActionMark | None) -> bool:
        """Whether an overdue sale provably was not begun, and an earlier start ended before it had said so.

        Actions are begun one after the other: the mark would be its own, or that of a payment after its own. A journal
        that was ever restored from a copy may have lost a mark.
        """
        if self._engine.rules.refund_series or sale.attention is None:
            return False
        if mark is None:
            return True
        try:
            marked = (await self._desk.get_sale(mark.sale_id)).paid_by
        except ApiError:
            return False
        mine = (await self._desk.get_sale(sale.id)).paid_by
        return marked is not None and mine is not None and marked.started < mine.started

    async def _apply(self, stimulus: ToSale) -> None:
        async def apply() -> None:
            # It may be over, and out of the book, by the time at which the journal can be written.
            if stimulus.sale_id in self._engine.book.sales:
                await self._engine.apply(stimulus)

        await self._engine.request(apply)


async def _surely(sale_id: SaleId, step: Callable[[], Awaitable[object]]) -> None:
    """Have a step taken, as soon as the journal can be written; one that comes too late is told to the log."""
    while True:
        try:
            await step()
        except JournalUnavailable:
            await asyncio.sleep(COMMIT_RETRY_S)
        except (ApiError, IllegalTransition) as exc:
            if not isinstance(exc, ApiError) or exc.code != _OVERLOADED:
                log_event(log, LogId.SALE_OVERTAKEN, sale=sale_id, detail=str(exc))
                return
            await asyncio.sleep(COMMIT_RETRY_S)
        else:
            return
