"""A kiosk without a host on a virtual clock: its customers, what is done for them, crashes, and the gateway's books.

What was done outlives the process, as a gate that was opened stays open. In the end it is compared with the money.
"""

import asyncio
import json
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

from terminald.adapters.journal_sqlite import SqliteJournal
from terminald.adapters.ports import SaleFilter
from terminald.adapters.ports_actions import BeginStep
from terminald.core.book import SaleView
from terminald.core.ids import Duration
from terminald.core.kiosk_action import ActionDone, ActionFailed, ActionOutcome
from terminald.core.kiosk_events import Product
from terminald.core.kiosk_table import KioskRules
from terminald.core.money import Fen
from terminald.core.sale_table import DeliveryState, SaleState
from terminald.core.schedule import Rules
from terminald.engine import Engine
from terminald.engine_kiosk import KioskHost, KioskTerms
from terminald.engine_kiosk_service import KioskService, Means
from terminald.errors import JournalUnavailable
from tests.simulation.crashing_journal import CrashingJournal
from tests.simulation.history import PATTERN, RULES, History

AMOUNT = 500
COLA = Product(barcode="6901234567892", name="Cola", price=Fen(350))
CRISPS = Product(barcode="6901234567908", name="Crisps", price=Fen(600))
FIXED = KioskTerms(
    rules=KioskRules(
        price=Fen(AMOUNT),
        pause=Duration(3_000),
        basket_window=Duration(60_000),
        max_lines=10,
        max_total=Fen(100_000),
    ),
    subject="Laundry",
    products={},
    clear="",
    code_pattern=PATTERN,
    operator="kiosk",
    wants_receipt=False,
    prints_refunds=False,
)


@dataclass
class World:
    """What is done for paid sales. Implements the action's port, and is not part of the process."""

    steps: int = 1
    #: Whether each step is worth the same part of the money.
    has_parts: bool = False
    #: The step that fails; 0: none does.
    fails_at: int = 0
    takes_s: float = 0.2
    #: (sale, number of the step), in the order in which they were taken.
    taken: list[tuple[str, int]] = field(default_factory=list)
    #: Sales of which a step was to be put on record, at least.
    asked: set[str] = field(default_factory=set)
    #: Sales whose action has ended, with what came of it.
    ended: dict[str, ActionOutcome] = field(default_factory=dict)
    #: What must not be.
    found: list[str] = field(default_factory=list)
    #: Where it is looked whether the payment is on disk.
    journal: SqliteJournal | None = None

    async def perform(self, sale: bytes, amount: Fen, begin: BeginStep) -> ActionOutcome:
        told = json.loads(sale)
        outcome = await self._perform(told["id"], begin)
        self.ended[told["id"]] = outcome
        if (told["state"], told["paid"]) != ("paid", amount):
            self.found.append(f"served on {told['state']}, paid {told['paid']}")
        return outcome

    async def _perform(self, sale_id: str, begin: BeginStep) -> ActionOutcome:
        self.asked.add(sale_id)
        for number in range(1, self.steps + 1):
            try:
                await begin(number, self.steps)
            except JournalUnavailable:
                return self._failed(number, "not on record")
            self._judge(sale_id, number)
            if number == self.fails_at:
                return self._failed(number, "jammed")
            self.taken.append((sale_id, number))
            await asyncio.sleep(self.takes_s)
        return ActionDone()

    def _failed(self, number: int, why: str) -> ActionFailed:
        return ActionFailed(evidence=why, certain=number - 1, has_parts=self.has_parts, steps=self.steps)

    def _judge(self, sale_id: str, number: int) -> None:
        """Write-ahead: payment and mark are on disk when a step is taken, and no step is taken twice."""
        if (sale_id, number) in self.taken:
            self.found.append(f"step {number} of {sale_id} was taken twice")
        if self.journal is None:
            return
        on_disk, mark = self.journal.find_sale(sale_id), self.journal.load_mark()
        if on_disk is None or on_disk.sale.paid != on_disk.sale.order.amount:
            self.found.append(f"{sale_id} is served, and its payment is not on disk")
        if mark is None or (mark.sale_id, mark.begun) != (sale_id, number):
            self.found.append(f"step {number} of {sale_id} is taken, and {mark} is on disk")


class KioskHistory(History):
    """The daemon of the day with a kiosk in it."""

    def __init__(
        self,
        seed: int,
        path: Path,
        *,
        world: World | None,
        terms: KioskTerms = FIXED,
        rules: Rules = RULES,
        without: frozenset[int] = frozenset(),
    ) -> None:
        """Without a world nothing is done for a paid sale."""
        super().__init__(seed, path, rules=rules, without=without)
        self.world = world
        self.terms = terms
        self.kiosk: KioskHost | None = None

    async def run_all(self, engine: Engine, journal: CrashingJournal, *, is_new_boot: bool) -> None:
        desk = self.desk
        assert desk is not None
        # Orders are told apart by their references elsewhere; a kiosk's subject is what it sells.
        journal.tell = lambda _, __: None
        means = None if self.world is None else Means(action=self.world, journal=journal)
        if self.world is not None:
            self.world.journal = journal.store
        service = KioskService(engine, desk, means, journal.store.load_mark())
        self.kiosk = KioskHost(engine, desk, self.terms, service=service, scanners=())
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(engine.run(is_new_boot=is_new_boot))
                tasks.create_task(self.kiosk.run())
        finally:
            self.kiosk = None

    def show(self, text: str) -> None:
        """Something is held before the reader."""
        if self.kiosk is not None:
            self.kiosk.take_frame("front", text)

    def judge(self) -> list[str]:
        """Compare what was taken, what was done, and what was told."""
        store = SqliteJournal(self.path)
        views = store.list_sales(SaleFilter(limit=500))
        store.close()
        found = list(self.world.found if self.world else ())
        if self.gateway.books.duplicate_submits:
            found.append(f"I2: submitted again: {self.gateway.books.duplicate_submits}")
        for view in views:
            found.extend(self._judge_sale(view))
        known = {one.client_sn for view in views for one in view.attempts}
        found.extend(f"I2: {name} is in no sale" for name in self.gateway.books.orders if name not in known)
        return found

    def _judge_sale(self, view: SaleView) -> list[str]:
        sale = view.sale
        orders = [one for one in self.gateway.books.orders.values() if one.client_sn in sale.attempts]
        net = sum(one.net_fen for one in orders)
        is_with_person = sale.state is SaleState.PAID and sale.delivery is DeliveryState.OVERDUE
        if not sale.state.is_final and not (is_with_person and sale.attention is not None):
            return [f"I5: {sale.id} has no end: {sale.state.value}, {sale.delivery.value}"]
        if net != sale.paid - sale.returned:
            return [f"I3, I4: {sale.id} is {sale.state.value}, {net} kept, {sale.paid} paid, {sale.returned} returned"]
        return [] if self.world is None else self._judge_served(view, net)

    def _judge_served(self, view: SaleView, net: int) -> list[str]:
        """The money is kept for what was done, and for nothing else, unless a person is called or told to return."""
        sale = view.sale
        assert self.world is not None
        taken = [number for name, number in self.world.taken if name == sale.id]
        outcome = self.world.ended.get(sale.id)
        is_called = sale.attention is not None and sale.delivery is DeliveryState.OVERDUE
        if not taken and net:
            return [] if is_called and sale.id in self.world.asked else [f"{net} for nothing"]
        if isinstance(outcome, ActionDone) and sale.delivery is DeliveryState.DELIVERED and net != sale.paid:
            return [f"{sale.id} was served and reported, and {net} of {sale.paid} is kept"]
        if len(taken) == self.world.steps and net not in (sale.paid, 0):
            return [f"{sale.id} was served, and {net} is kept"]
        if isinstance(outcome, ActionFailed) and sale.delivery is DeliveryState.UNDELIVERED:
            due = sale.paid * outcome.certain // outcome.steps if outcome.has_parts else 0
            return [] if net == due else [f"{sale.id}: {outcome}, and {net} is kept"]
        return []


async def live(history: KioskHistory, customers: "asyncio.Task[None]") -> None:
    """Run the daemon for as long as customers come, and until everything has come to rest."""
    daemon = asyncio.create_task(history.serve())
    await customers
    await history.settle(600.0)
    await history.rest()
    daemon.cancel()
    with suppress(asyncio.CancelledError):
        await daemon


def reasons_told(path: Path) -> list[str]:
    """Return why scans were not taken, in order."""
    store = SqliteJournal(path)
    events = store.events_after(0, 100_000)
    store.close()
    return [json.loads(one.body)["reason"] for one in events if one.topic == "scan"]


def _drawn(path: Path, seed: int, without: frozenset[int]) -> KioskHistory:
    """A kiosk of some kind, and how often it dies."""
    history = KioskHistory(seed, path, world=None, without=without)
    rng = history.rng
    history.world = World(
        steps=rng.choice((1, 1, 3)),
        has_parts=rng.random() < 0.5,
        fails_at=rng.choice((0, 0, 1, 2)),
        takes_s=rng.choice((0.05, 2.0, 20.0)),
    )
    if rng.random() < 0.3:
        products = {one.barcode: one for one in (COLA, CRISPS)}
        history.terms = replace(FIXED, products=products, rules=replace(FIXED.rules, price=None), clear="CLEAR")
    history.rules = replace(RULES, returns_overdue=rng.random() < 0.5)
    history.crashes_left = rng.randint(0, 4)
    return history


async def _customer(history: KioskHistory, number: int) -> None:
    """Somebody who fills a basket where there is one, and shows a phone once or for a while."""
    rng = history.rng
    if history.terms.products:
        for _ in range(rng.randint(0, 3)):
            history.show(rng.choice((COLA.barcode, CRISPS.barcode, "CLEAR", "6900000000000")))
            await asyncio.sleep(rng.choice((0.0, 1.0)))
    ending = rng.choice(("99", "99", "99", "20", "10", "40", "46", "51"))
    for _ in range(rng.choice((1, 1, 3))):
        history.show(f"13{rng.randrange(10):010d}{number:02d}{rng.choice(('00', '00', '01'))}{ending}")
        await asyncio.sleep(rng.choice((0.0, 1.0, 5.0)))


async def _trouble(history: KioskHistory) -> None:
    rng = history.rng
    match rng.choice(("", "", "", "kill", "disk", "link", "stop", "clock")):
        case "kill":
            history.kill()
        case "disk":
            await history.fill_disk(rng.choice((0.5, 5.0, 200.0)))
        case "link":
            await history.cut_link(rng.choice((5.0, 70.0)))
        case "stop":
            await history.shut_down()
        case "clock":
            history.set_clock()


async def live_as_kiosk(seed: int, path: Path, *, without: frozenset[int] = frozenset()) -> KioskHistory:
    """Live one history: customers of all kinds, power cuts, full disks, a machine that jams."""
    history = _drawn(path, seed, without)
    rng = history.rng

    async def come() -> None:
        for number in range(rng.randint(1, 6)):
            await asyncio.sleep(rng.choice((0.5, 4.0, 30.0, 200.0)))
            await _customer(history, number)
            await _trouble(history)
        await asyncio.sleep(120)

    await live(history, asyncio.create_task(come()))
    return history
