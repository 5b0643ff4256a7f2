"""A vending machine in the simulated world: the real engine, a driver for each life, a machine that outlives all.

The machine has books of its own: which request was approved, and what came out. What it says while no process is there
to hear it is lost, as on the bus.
"""

import asyncio
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from terminald.adapters.journal_sqlite import SqliteJournal
from terminald.adapters.ports import SaleFilter
from terminald.adapters.ports_vending import Vmc
from terminald.core.book import SaleView
from terminald.core.ids import Duration
from terminald.core.money import Fen
from terminald.core.sale_table import SaleState
from terminald.core.vend_events import (
    AdapterLost,
    ApprovalNotSent,
    ApprovalRejected,
    ApprovalSent,
    MachineReset,
    RequestGone,
    VendCanceled,
    VendEvent,
    VendFailed,
    VendRequested,
    VendSucceeded,
)
from terminald.core.vend_table import VendState
from terminald.engine import Engine
from terminald.engine_vending import VendingHost, VendTerms
from terminald.wire.api import SaleDefaults
from tests.simulation.history import RULES, History
from tests.simulation.kinds import ENDINGS
from tests.simulation.scan_history import scatter_faults

MACHINE = "snacks"
#: So long the machine waits for an answer.
ANSWER_S = 120.0
#: How a machine ends what it was told to dispense: what comes out, and what it says of it.
OUTCOMES: dict[str, tuple[bool, tuple[type[VendEvent], ...]]] = {
    "ok": (True, (VendSucceeded,)),
    "fail": (False, (VendFailed,)),
    "refuse": (False, (ApprovalRejected,)),
    "jam": (False, ()),
    "silent": (True, ()),
    "reset": (False, (MachineReset,)),
    "reset and out": (True, (MachineReset,)),
    "rest": (True, (RequestGone,)),
    "rest, then ok": (True, (RequestGone, VendSucceeded)),
}


@dataclass(slots=True)
class Request:
    """What a customer has selected."""

    number: int
    price: str
    outcome: str
    approvals: int = 0
    is_answered: bool = False
    is_over: bool = False
    is_out: bool = False
    has_told_result: bool = False


class Driver:
    """The adapter's driver in one process; the machine keeps the one that is alive."""

    name, kind, watched = MACHINE, "vmc", ()

    def __init__(self, machine: "Machine") -> None:
        self.machine = machine
        self.host: VendingHost | None = None
        self.is_open = False
        self.count = 0
        self.current: Request | None = None

    def set_open(self, *, is_open: bool) -> None:
        self.is_open = is_open

    async def approve(self, request: int, price: str) -> ApprovalSent | ApprovalNotSent:
        current = self.current
        is_asked = current is not None and request == self.count and not current.is_over and not current.is_answered
        if current is None or not is_asked or current.price != price:
            return ApprovalNotSent(request=request, reason="the machine does not ask for it any more")
        self.machine.approve(current)
        return ApprovalSent(request=request)

    async def deny(self, request: int) -> None:
        current = self.current
        if current is not None and request == self.count and not current.is_answered:
            current.is_answered = current.is_over = True

    def display(self, text: str) -> None:
        assert len(text) <= 32

    def tell(self, event: VendEvent) -> None:
        if self.host is not None:
            self.host.take(MACHINE, event)

    async def open(self) -> None:
        raise NotImplementedError

    async def run(self) -> None:
        raise NotImplementedError

    async def close(self) -> None:
        raise NotImplementedError


class Machine:
    """Outlives every process."""

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self.driver: Driver | None = None
        self._dispensing: set[asyncio.Task[None]] = set()

    def plug(self, driver: Driver) -> None:
        """A new process is there: it has taken the reader from the bus first, which ends what was asked for."""
        self.driver = driver
        for request in self.requests:
            request.is_over = request.is_over or not request.is_answered

    def select(self, fen: int, outcome: str) -> Request | None:
        """Select; None when the machine takes cash only."""
        driver = self.driver
        if driver is None or not driver.is_open or any(not one.is_over for one in self.requests):
            return None
        request = Request(number=len(self.requests) + 1, price=f"{fen // 100}.{fen % 100:02}", outcome=outcome)
        self.requests.append(request)
        driver.count += 1
        driver.current = request
        # The gateway's orders are told apart by what is sold.
        item = str(request.number)
        driver.tell(VendRequested(request=driver.count, price=request.price, amount=Fen(fen), item=item))
        return request

    def approve(self, request: Request) -> None:
        request.approvals += 1
        request.is_answered = True
        task = asyncio.ensure_future(self._dispense(request, self.driver))
        self._dispensing.add(task)
        task.add_done_callback(self._dispensing.discard)

    async def _dispense(self, request: Request, driver: Driver | None) -> None:
        await asyncio.sleep(1.0)
        request.is_out, said = OUTCOMES[request.outcome]
        request.is_over = True
        for each in said:
            self.say(request, each, driver)

    def say(self, request: Request, said: type[VendEvent], driver: Driver | None) -> None:
        """Tell the process that knows the request, if it lives."""
        if driver is None or driver is not self.driver or driver.current is not request:
            return
        request.has_told_result = said in (VendSucceeded, VendFailed, ApprovalRejected)
        driver.tell(said(request=driver.count))

    def interrupt(self, request: Request, said: type[VendEvent]) -> None:
        """End a request that has no answer."""
        if not request.is_answered and not request.is_over:
            request.is_over = True
            self.say(request, said, self.driver)

    def unplug(self) -> None:
        """Pull the adapter's plug, and plug it in again."""
        driver = self.driver
        if driver is None or driver.current is None:
            return
        request, driver.current = driver.current, None
        request.is_over = request.is_over or not request.is_answered
        driver.tell(AdapterLost(request=driver.count))


class VendHistory(History):
    """A terminal in a vending machine."""

    def __init__(
        self, seed: int, path: Path, *, returns_unknown: bool = False, without: frozenset[int] = frozenset()
    ) -> None:
        super().__init__(seed, path, rules=RULES, without=without)
        self.machine = Machine()
        self.promises.returns_overdue = returns_unknown
        self._returns_unknown = returns_unknown
        self._driver = Driver(self.machine)

    def begin_drivers(self) -> dict[str, Vmc]:
        self._driver = Driver(self.machine)
        self.machine.plug(self._driver)
        return {MACHINE: self._driver}

    def begin_hosts(self, engine: Engine) -> None:
        terms = VendTerms(
            answer_limit=Duration(int(ANSWER_S * 1000)),
            result_window=Duration(180_000),
            returns_unknown=self._returns_unknown,
            payment_window=Duration(90_000),
            sale=SaleDefaults(
                methods=("scan",),
                operator="kiosk",
                max_amount=100_000,
                receipt=False,
                qr_payway="3",
                delivery="none",
                refund_slips=False,
            ),
        )
        self._driver.host = VendingHost(engine, {MACHINE: terms})

    async def select(self, fen: int, outcome: str) -> Request:
        """Try until the machine takes it."""
        while (request := self.machine.select(fen, outcome)) is None:  # noqa: ASYNC110 - a customer
            await asyncio.sleep(1.0)
        return request

    async def present(self, ending: str) -> None:
        """Present a code to whatever sale is open."""
        code = f"13{self.rng.randrange(10**14):014d}{ending}"
        if self.desk is not None:
            self.desk.take_frame("front", code)

    async def buy(self, outcome: str, ending: str = "00") -> Request:
        """Select, present a code, and wait until the machine has done with it."""
        request = await self.select(350, outcome)
        await asyncio.sleep(0.5)
        await self.present(ending)
        await self._wait_over(request)
        return request

    async def _wait_over(self, request: Request) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(ANSWER_S):
                while not request.is_over:  # noqa: ASYNC110 - a machine
                    await asyncio.sleep(0.5)
        self.machine.interrupt(request, VendCanceled)

    async def visit(self) -> None:
        """One customer of whom nothing is known."""
        rng = self.rng
        request = await self.select(rng.randint(1, 5000), rng.choice(list(OUTCOMES)))
        for _ in range(rng.randint(0, 2)):
            await asyncio.sleep(rng.choice((0.3, 2.0, 10.0)))
            await self.present(rng.choice(ENDINGS))
        if rng.random() < 0.3:
            await asyncio.sleep(rng.choice((0.0, 0.03, 0.1, 1.0, 30.0)))
            self.machine.interrupt(request, rng.choice((VendCanceled, MachineReset, RequestGone)))
        if rng.random() < 0.2:
            await asyncio.sleep(rng.choice((0.0, 0.03, 0.1, 1.0, 30.0)))
            self.machine.unplug()
        await self._wait_over(request)

    def faults_found(self) -> list[str]:
        """The same, and the machine's books against the vends."""
        store = SqliteJournal(self.path)
        try:
            views = store.list_sales(SaleFilter(limit=200))
            called = {
                one.record.sale_id for one in store.records_after(0, 100_000) if one.record.after == "delivery_overdue"
            }
        finally:
            store.close()
        found = [f"request {one.number} was approved {one.approvals} times" for one in self._approved_twice()]
        for view in views:
            found += [f"{view.sale.id}: {what}" for what in self._judge(view, is_called=view.sale.id in called)]
        return [*super().faults_found(), *found, *self._judge_money(views)]

    def _approved_twice(self) -> list[Request]:
        return [one for one in self.machine.requests if one.approvals > 1]

    def _judge(self, view: SaleView, *, is_called: bool) -> list[str]:
        vend, sale = view.vend, view.sale
        assert vend is not None
        kept = sale.paid - sale.returned
        found = []
        if not vend.state.is_final:
            found.append(f"the vend is {vend.state.value} for ever")
        if vend.state in (VendState.DENIED, VendState.RETURNED) and kept:
            found.append(f"{vend.state.value}, and {kept} fen are kept")
        if vend.state is VendState.DONE and sale.state is not SaleState.COMPLETED:
            found.append(f"dispensed, and the sale is {sale.state.value}")
        if vend.state is VendState.UNKNOWN and not (is_called or vend.returns_unknown):
            found.append("unknown, and nobody was called")
        return found

    def _judge_money(self, views: tuple[SaleView, ...]) -> list[str]:
        """What came out is paid, and what is kept came out, or is unknown; by sums, as requests have no names."""
        unknown = sum(one.vend is not None and one.vend.state is VendState.UNKNOWN for one in views)
        unknown += sum(
            one.vend is not None and one.vend.state is VendState.RETURNED and one.vend.returns_unknown for one in views
        )
        kept = sum(one.sale.paid > one.sale.returned for one in views)
        out = sum(one.is_out for one in self.machine.requests)
        approved = sum(one.approvals for one in self.machine.requests)
        paid = sum(one.sale.paid > 0 for one in views)
        found = []
        if approved > paid:
            found.append(f"{approved} approvals for {paid} payments")
        if abs(kept - out) > unknown:
            found.append(f"{kept} are kept, {out} came out, {unknown} are unknown")
        return found


async def end(history: VendHistory, daemon: asyncio.Task[None]) -> None:
    """Let everything come to rest, and stop."""
    await history.rest()
    daemon.cancel()
    with suppress(asyncio.CancelledError):
        await daemon


async def live_vending(seed: int, path: Path, *, without: frozenset[int] = frozenset()) -> VendHistory:
    """Live one history of a few customers to its rest."""
    history = VendHistory(seed, path, returns_unknown=seed % 4 == 0, without=without)
    history.crashes_left = history.rng.choice((0, 0, 1, 2, 4))
    daemon = asyncio.create_task(history.serve())
    for _ in range(history.rng.randint(1, 3)):
        scatter_faults(history)
        await history.visit()
    await end(history, daemon)
    return history
