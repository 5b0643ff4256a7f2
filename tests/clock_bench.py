"""A board without a battery on virtual time: the real clock, engine, custody and journal on a kernel that anybody sets.

What survives a power cut is the journal's file and the gateway.
"""

import asyncio
import random
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from pathlib import Path

from terminald.adapters.clock import Kernel, SystemClock
from terminald.adapters.journal_sqlite import SqliteJournal
from terminald.adapters.ports import CLOCK_FAULT, LinkReport, LinkState
from terminald.core import custody
from terminald.core.commands import OrderText
from terminald.core.custody_events import CustodyAnswer, KeyUnanswered
from terminald.core.events import Fault
from terminald.core.ids import Duration, Reference, WallTime
from terminald.core.ledger import SaleView
from terminald.core.money import Fen
from terminald.core.sale import SaleOrder
from terminald.engine import Engine, World
from terminald.engine_clock import ClockWatch
from terminald.engine_desk import EngineDesk
from tests.engine_bench import RULES, TERMINAL, PatientGateway, settle
from tests.simulation.inline_journal import InlineJournal

#: 2024-05-01 12:00 in China when the loop's time is zero; the key is renewed at eight in the evening.
EPOCH = 1_714_536_000_000
TIMED = replace(RULES, checkin_at=Duration(20 * 3_600_000))
BOARD = replace(TERMINAL, activated_at=WallTime(EPOCH), rotated_at=WallTime(EPOCH))
#: Where the board believes to be when it has just got power.
LONG_AGO = 1_546_300_800_000


def true_wall() -> int:
    """What time it really is."""
    return EPOCH + int(asyncio.get_running_loop().time() * 1000)


class TimelyGateway(PatientGateway):
    """Tells the time with each answer, and takes its time for it. Unreachable while the board's clock is off."""

    def __init__(self) -> None:
        super().__init__()
        self.tells_time = True
        self.is_up = True
        self.latency_s = 0.1
        #: When check-ins were sent, in seconds of the loop.
        self.checked_in: list[float] = []
        self.on_time: Callable[[WallTime], None] = lambda _: None
        #: Whether certificates are valid by the board's clock.
        self.is_clock_good: Callable[[], bool] = lambda: True

    async def _answer(self) -> Fault | None:
        await asyncio.sleep(self.latency_s)
        if not self.is_clock_good():
            return Fault(code=CLOCK_FAULT, message="certificate is not yet valid")
        if not self.is_up:
            return Fault(code="gateway_unreachable", message="no connection")
        if self.tells_time:
            self.on_time(WallTime(true_wall() // 1000 * 1000))
        return None

    async def probe(self) -> LinkReport:
        fault = await self._answer()
        return LinkReport(state=LinkState.DOWN if fault else LinkState.PROVEN, fault=fault)

    async def prove(self) -> CustodyAnswer:
        fault = await self._answer()
        return KeyUnanswered(fault=fault) if fault else await super().prove()

    async def check_in(self) -> CustodyAnswer:
        self.checked_in.append(asyncio.get_running_loop().time())
        await asyncio.sleep(self.latency_s)
        return await super().check_in()


class FakeKernel:
    """The clocks of one boot."""

    def __init__(self, wall_ms: int) -> None:
        self._booted_s = asyncio.get_running_loop().time()
        self._ahead = wall_ms - self.boottime_ms()
        self.is_synchronized = False

    def boottime_ms(self) -> int:
        return 3_000 + int((asyncio.get_running_loop().time() - self._booted_s) * 1000)

    def wall_ms(self) -> int:
        return self._ahead + self.boottime_ms()

    def step(self, by_ms: int) -> None:
        """Somebody sets the clock."""
        self._ahead += by_ms


class Powered:
    """One process of one boot."""

    def __init__(self, path: Path, gateway: TimelyGateway, kernel: FakeKernel, boot: str, required: set[str]) -> None:
        self.kernel, self.gateway = kernel, gateway
        self.store = SqliteJournal(path)
        if self.store.load_terminal() is None:
            self.store.close_activation(self.store.record_activation_intent("…", WallTime(0)), "activated", BOARD)
        opened = self.store.open_boot(boot, kernel.boottime_ms())
        self.is_new_boot = opened.is_new
        edge = Kernel(
            boottime_ms=kernel.boottime_ms, wall_ms=kernel.wall_ms, is_synchronized=lambda: kernel.is_synchronized
        )
        self.clock = SystemClock(opened.offset, jitter=lambda: 0.0, floor=self.store.time_floor(), kernel=edge)
        gateway.on_time = self.clock.note_gateway_time
        rng = random.Random(1)
        world = World(
            journal=InlineJournal(self.store),
            gateway=gateway,
            clock=self.clock,
            scanners=(),
            receipts=None,
            salt=self.store.salt(),
            new_id=lambda wall: f"{wall:013d}{rng.getrandbits(50):013X}",
            jitter=lambda: 0.0,
            has_disk_space=lambda: True,
        )
        now = self.clock.now()
        self.engine = Engine(
            world,
            rules=TIMED,
            required=frozenset(required),
            book=self.store.load_book(now.instant),
            custody=self.store.load_custody() or custody.begin(BOARD, now=now, rules=TIMED),
            last_seq=self.store.last_seq(),
        )
        self.watch = ClockWatch(self.engine, take_step=self.clock.take_step)
        self.desk = EngineDesk(self.engine, device_id="d", code_pattern=re.compile("^[0-9]{16,24}$"))

    async def open(self, reference: str) -> SaleView:
        order = SaleOrder(
            reference=Reference(reference),
            amount=Fen(350),
            methods=("scan",),
            text=OrderText(subject="Cola", operator="kiosk"),
            wants_receipt=False,
        )
        view, _ = await self.desk.open_sale(order)
        return view

    @property
    def reasons(self) -> set[str]:
        return {reason.value for reason in self.engine.reasons()}


@asynccontextmanager
async def powered(
    path: Path,
    gateway: TimelyGateway,
    boot: str,
    *,
    kernel: FakeKernel | None = None,
    required: set[str] | None = None,
) -> AsyncIterator[Powered]:
    """Run a process until this is left, as a power cut would. The kernel of a boot is given to its later processes."""
    board = Powered(path, gateway, kernel or FakeKernel(LONG_AGO), boot, {"gateway"} if required is None else required)
    running = [
        asyncio.create_task(board.engine.run(is_new_boot=board.is_new_boot)),
        asyncio.create_task(board.watch.run()),
    ]
    await settle()
    try:
        yield board
    finally:
        for task in running:
            task.cancel()
        for task in running:
            with suppress(asyncio.CancelledError):
                await task
        board.store.close()
