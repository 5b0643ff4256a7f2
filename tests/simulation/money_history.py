"""One seeded history of every kind of sale: by QR or code or both, with goods to deliver and money to give back."""

import asyncio
import random
from collections.abc import Coroutine
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from terminald.adapters.journal_sqlite import SqliteJournal
from terminald.adapters.ports import SaleFilter
from terminald.core.book import SaleView
from terminald.core.ids import Duration
from terminald.core.refund_table import Refund, RefundState
from terminald.core.schedule import Rules
from terminald.simulator.gateway import Fault
from terminald.simulator.gateway_world import DEFAULT_EPOCH_S
from tests.simulation.customers import (
    BOTH_HABITS,
    QR_HABITS,
    befall,
    die_at_the_end,
    pay_qr_while_its_cancel_is_held_up,
    visit,
)
from tests.simulation.history import RULES, Customer, History
from tests.simulation.hosts import close_by_hand, look_after, report_beside_return, report_late
from tests.simulation.paper import Paper, judge_paper
from tests.simulation.stories import BACK, THERE, scattered, standing, story_back, story_there

HOUR_S = 3600.0
#: From ten in the morning, when a history usually begins, to midnight.
TO_MIDNIGHT_S = 14 * HOUR_S
#: How often a cancel is on its way until its QR is paid: by chance it lands on a payment in none of 2,000 histories.
_IS_HELD_UP = 0.1
#: What waits for a person has called one by then.
PATIENCE_S = 4 * HOUR_S
#: How often the process dies in the moment in which a QR ends: by chance it would in one of 2,000 histories.
_DIES_AT_THE_END = 0.15
#: A sale may have called a person for something else as well.
MOST_CLOSINGS = 6


class MoneyHistory(History):
    """A history whose customers and hosts go on after the sale."""

    def __init__(
        self, seed: int, path: Path, *, rules: Rules, epoch_s: float, qr_life_s: float, without: frozenset[int]
    ) -> None:
        super().__init__(seed, path, rules=rules, epoch_s=epoch_s, qr_life_s=qr_life_s, without=without)
        self.promises.returns_overdue = rules.returns_overdue
        draw = random.Random(f"paper {seed}")
        self.paper = Paper(draw) if draw.random() < 0.6 else None
        #: Whether its process dies where a QR ends, drawn apart from everything else.
        self.fate = random.Random(f"end {seed}")
        #: Whether a cancel is held up until its QR is paid; drawn apart as well.
        self.held_up = random.Random(f"held up {seed}")
        self._crowd: list[asyncio.Task[None]] = []
        #: Refusals that do not pass until a person has seen to it.
        self.standing: tuple[Fault, ...] = ()

    async def live(self) -> None:
        """Sell some things, one after the other; what follows a sale goes on beside the next one."""
        rng = self.rng
        for number in range(rng.randint(1, 2)):
            reference = f"order-{number}"
            self.scatter_there()
            if not await self._sell(reference):
                return
            self.accompany(self._look_after(reference))
        await asyncio.wait(self._crowd, timeout=2 * HOUR_S)
        for task in self._crowd:
            task.cancel()
        for task in self._crowd:
            with suppress(asyncio.CancelledError):
                await task

    async def _sell(self, reference: str) -> bool:
        """Open a sale and follow it; False when it has no end."""
        rng = self.rng
        methods = rng.choice((("scan",), ("qr",), ("qr",), ("scan", "qr"), ("scan", "qr"), ("scan", "qr")))
        amount, reports_delivery = rng.randint(1, 5000), rng.random() < 0.6
        try:
            async with asyncio.timeout(PATIENCE_S):
                await self.sell(
                    reference, amount, _customer(methods), methods=methods, reports_delivery=reports_delivery
                )
        except TimeoutError:
            self.door.found.append(f"I5: the customer of {reference} stands there for ever")
            return False
        return True

    async def _look_after(self, reference: str) -> None:
        self.scatter_back()
        if self.paper is not None and self.paper.rng.random() < 0.2:
            self.accompany(self._print_again(reference))
        await look_after(self, reference)

    async def _print_again(self, reference: str) -> None:
        await asyncio.sleep(self.rng.choice((0.0, 1.0, 60.0)))
        await self.call(lambda desk: desk.print_copy(reference))

    def accompany(self, what: Coroutine[None, None, None]) -> None:
        """Let somebody go on by themselves."""
        self._crowd.append(asyncio.create_task(what))

    def scatter_there(self) -> None:
        """Let something go wrong while the next sale is to be paid, or nothing."""
        if self.rng.random() < 0.5:
            self.put(*story_there(self.rng))
        if self.rng.random() < 0.5:
            self.put(*scattered(self.rng, THERE))

    def scatter_back(self) -> None:
        """The same, while money goes back."""
        if self.rng.random() < 0.6:
            self.put(*story_back(self.rng))
        if self.rng.random() < 0.4:
            self.put(*scattered(self.rng, BACK))

    def refuse_for_good(self) -> None:
        """From now on no paid money goes back, until somebody sees to it."""
        self.standing = standing(self.rng)
        self.gateway.faults.add(*self.standing)
        self.door.seen["money could not go back for long"] += 1

    async def rest(self) -> None:
        """As any history; what the gateway refuses for good has called a person before it is seen to."""
        self.is_ended = True
        self.is_disk_full = False
        self.carrier.is_cut = False
        self.gateway.faults.clear()
        if self.standing:
            self.gateway.faults.add(*self.standing)
            await self.settle(PATIENCE_S)
            await self._see_to_it()
            self.gateway.faults.clear()
        await self.settle()
        await self._close_unknown()
        if self.rng.random() < 0.5:
            for view in self.sales():
                if view.attention is not None:
                    await close_by_hand(self, view)
            await self.settle()
        if self.rng.random() < 0.8:
            for view in self.sales():
                await report_late(self, view)
            await self.settle()

    async def _close_unknown(self) -> None:
        """A person settles what the gateway itself knows nothing of, and what is not repeated on another day."""
        for _ in range(MOST_CLOSINGS):
            waiting = next((view for view in self.sales() if any(map(_is_unknown, view.refunds))), None)
            if waiting is None:
                return
            await close_by_hand(self, waiting)
            self.door.seen["a revoke whose day was over in an error was settled by hand"] += 1
            await self.settle()

    async def _see_to_it(self) -> None:
        is_by_hand = self.rng.random() < 0.4
        for view in self.sales():
            is_open = any(not one.state.is_final for one in view.refunds)
            if is_open and view.attention is None:
                self.door.found.append(f"I5: {view.sale.order.reference} waits, and no person was called")
            if view.attention is not None and is_by_hand:
                await close_by_hand(self, view)
        for view in self.sales():
            await report_beside_return(self, view)

    def faults_found(self) -> list[str]:
        """The same, and what is on paper."""
        found = super().faults_found()
        if self.paper is None:
            return found
        self.door.seen.update(self.paper.seen)
        return [*found, *judge_paper(self.paper, self.sales())]

    def sales(self) -> tuple[SaleView, ...]:
        """Return every sale as it is on disk."""
        store = SqliteJournal(self.path)
        views = store.list_sales(SaleFilter(limit=200))
        store.close()
        return views


def _customer(methods: tuple[str, ...]) -> Customer:
    async def come(history: History, reference: str) -> None:
        assert isinstance(history, MoneyHistory)
        history.accompany(befall(history, reference))
        if methods == ("scan",):
            await visit(history, reference)
            return
        if "scan" in methods and history.held_up.random() < _IS_HELD_UP:
            history.accompany(pay_qr_while_its_cancel_is_held_up(history, reference, history.held_up))
            return
        if history.fate.random() < _DIES_AT_THE_END:
            history.accompany(die_at_the_end(history, reference, history.fate))
        habits = BOTH_HABITS if "scan" in methods else QR_HABITS
        for habit in history.rng.sample(habits, history.rng.choice((1, 1, 2))):
            history.accompany(habit(history, reference))

    return come


def _is_unknown(refund: Refund) -> bool:
    called = refund.attention
    return refund.state is RefundState.BLOCKED and called is not None and called.code == "order_errored"


def _rules(draw: random.Random) -> Rules:
    return replace(
        RULES,
        qr_window=Duration(draw.choice((30_000, 100_000, 240_000))),
        payment_window=Duration(draw.choice((20_000, 90_000))),
        delivery_window=Duration(draw.choice((10_000, 180_000))),
        returns_overdue=draw.random() < 0.5,
    )


async def live_with_money(seed: int, path: Path, *, without: frozenset[int] = frozenset()) -> MoneyHistory:
    """Live one history to its rest."""
    draw = random.Random(f"rules {seed}")
    to_midnight_s = TO_MIDNIGHT_S - draw.choice((10.0, 60.0, 200.0, 400.0)) if draw.random() < 0.3 else 0.0
    history = MoneyHistory(
        seed,
        path,
        rules=_rules(draw),
        epoch_s=DEFAULT_EPOCH_S + to_midnight_s,
        qr_life_s=draw.choice((90.0, 100.0, 240.0)),
        without=without,
    )
    history.crashes_left = history.rng.choice((0, 0, 1, 2, 4))
    if history.rng.random() < 0.15:
        history.refuse_for_good()
    daemon = asyncio.create_task(history.serve())
    await history.live()
    await history.rest()
    daemon.cancel()
    with suppress(asyncio.CancelledError):
        await daemon
    return history
