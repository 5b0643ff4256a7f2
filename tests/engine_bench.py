"""An engine on virtual time with a real journal, and a gateway that answers when the test says so."""

import asyncio
import random
import re
from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from terminald.adapters.journal_sqlite import SqliteJournal
from terminald.adapters.ports import Batch, LinkReport, LinkState
from terminald.adapters.ports_care import PrunePlace, PruneStep
from terminald.adapters.ports_receipts import ReceiptSender
from terminald.adapters.ports_vending import Vmc
from terminald.core import custody
from terminald.core.commands import GatewayCommand, OrderText
from terminald.core.custody_events import CustodyAnswer, KeyAccepted, KeyRenewed
from terminald.core.events import Answer
from terminald.core.ids import Duration, Instant, Reference, SaleId, Secret, WallTime
from terminald.core.money import Fen
from terminald.core.readiness import Hold
from terminald.core.retention import Horizon
from terminald.core.sale_table import SaleOrder
from terminald.core.schedule import DAY, Now, Rules
from terminald.core.terminal import Terminal
from terminald.engine import Engine
from terminald.engine_commands import World
from terminald.engine_desk import EngineDesk
from terminald.errors import JournalUnavailable
from tests.simulation.inline_journal import InlineJournal

RULES = Rules(
    payment_window=Duration(90_000),
    poll_interval=Duration(3_000),
    poll_window=Duration(50_000),
    late_lookups=(Duration(30_000),),
    qr_window=Duration(240_000),
    delivery_window=Duration(180_000),
    returns_overdue=False,
    job_lifetime=Duration(120_000),
    day_offset=Duration(8 * 3_600_000),
)
TERMINAL = Terminal(
    terminal_sn="t",
    device_id="d",
    current_key=Secret("k"),
    previous_key=None,
    activated_at=WallTime(0),
    rotated_at=WallTime(0),
)
GATEWAY = frozenset({"gateway"})
CODE, OTHER_CODE = "130000000000000001", "130000000000000002"


class FlakyJournal(InlineJournal):
    """A journal that can not be written while the disk is full."""

    is_full = False
    #: How long a write takes.
    takes_s = 0.0
    proofs = 0

    def __init__(self, store: SqliteJournal) -> None:
        super().__init__(store)
        self.released = asyncio.Event()
        self.released.set()
        #: A write that is on disk already is told of while this is set.
        self.told = asyncio.Event()
        self.told.set()

    async def commit(self, batch: Batch) -> int:
        await self._written()
        seq = await super().commit(batch)
        await self.told.wait()
        return seq

    async def put_hold(self, hold: Hold) -> None:
        await self._written()
        await super().put_hold(hold)

    async def prove(self) -> None:
        await self._written()
        self.proofs += 1
        await super().prove()

    async def prune(self, before: Horizon, kept: Collection[SaleId], place: PrunePlace) -> PruneStep:
        await self._written()
        return await super().prune(before, kept, place)

    async def _written(self) -> None:
        await self.released.wait()
        if self.takes_s:
            await asyncio.sleep(self.takes_s)
        if self.is_full:
            raise JournalUnavailable("the disk is full")


class PatientGateway:
    """Every request waits until the test answers it."""

    def __init__(self) -> None:
        self.asked: list[GatewayCommand] = []
        self.asked_for_key: list[str] = []
        #: What the next proofs say; KeyAccepted when none is left.
        self.proofs: list[CustodyAnswer] = []
        self.probes = 0
        #: What check-ins are answered with; a new key when there is nothing left. They are answered while it is set.
        self.checkin_answers: list[CustodyAnswer] = []
        self.answers_checkins = asyncio.Event()
        self.answers_checkins.set()
        self._waiting: list[tuple[GatewayCommand, asyncio.Future[Answer]]] = []

    async def perform(self, command: GatewayCommand) -> Answer:
        self.asked.append(command)
        answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._waiting.append((command, answer))
        return await answer

    async def probe(self) -> LinkReport:
        self.probes += 1
        return LinkReport(state=LinkState.PROVEN)

    async def prove(self) -> CustodyAnswer:
        self.asked_for_key.append("prove")
        return self.proofs.pop(0) if self.proofs else KeyAccepted()

    async def check_in(self) -> CustodyAnswer:
        self.asked_for_key.append("check in")
        renewed = KeyRenewed(key=Secret(f"key-{len(self.asked_for_key)}"))
        await self.answers_checkins.wait()
        return self.checkin_answers.pop(0) if self.checkin_answers else renewed

    async def answer(self, kind: type[GatewayCommand], answer: Answer) -> None:
        """Answer the oldest open request of a kind, and let the engine take it."""
        found = next(pair for pair in self._waiting if isinstance(pair[0], kind))
        self._waiting.remove(found)
        found[1].set_result(answer)
        await settle()

    def open(self) -> list[type[GatewayCommand]]:
        return [type(command) for command, _ in self._waiting]


class LoopClock:
    """The loop's time since a moment of its own, and so many days more."""

    days = 0

    def __init__(self, began_s: float) -> None:
        self._began_s = began_s

    def now(self) -> Now:
        # What a timer at a whole millisecond finds is that millisecond, and not a hair less.
        ms = int((asyncio.get_running_loop().time() - self._began_s) * 1000 + 1e-3) + self.days * DAY
        return Now(instant=Instant(ms), wall=WallTime(ms), is_trusted=True)

    def timer_at(self, instant: Instant) -> float:
        return (instant + 1 - self.days * DAY) / 1000 + self._began_s


async def settle() -> None:
    """Let everything that can happen now happen."""
    await asyncio.sleep(0.001)


class Bench:
    def __init__(
        self,
        path: Path,
        receipts: ReceiptSender | None = None,
        required: frozenset[str] = GATEWAY,
        vmcs: Mapping[str, Vmc] | None = None,
        *,
        began_s: float = 0.0,
    ) -> None:
        """Its time begins at a moment of the loop's: on real time that is the machine's, which may be up for days."""
        store = SqliteJournal(path)
        store.close_activation(store.record_activation_intent("…", WallTime(0)), "activated", TERMINAL)
        self.journal = FlakyJournal(store)
        self.gateway = PatientGateway()
        self.clock = LoopClock(began_s)
        rng = random.Random(1)
        world = World(
            journal=self.journal,
            gateway=self.gateway,
            clock=self.clock,
            scanners=(),
            receipts=receipts,
            salt=self.journal.store.salt(),
            new_id=lambda wall: f"{wall:013d}{rng.getrandbits(50):013X}",
            jitter=lambda: 0.0,
            has_disk_space=lambda: True,
            vmcs=vmcs or {},
        )
        self.engine = Engine(
            world,
            rules=RULES,
            required=required,
            book=self.journal.store.load_book(Instant(0)),
            custody=custody.begin(TERMINAL, now=Now(instant=Instant(0), wall=WallTime(0)), rules=RULES),
            last_seq=self.journal.store.last_seq(),
        )
        self.desk = EngineDesk(self.engine, device_id="d", code_pattern=re.compile("^[0-9]{16,24}$"))

    async def open(
        self,
        reference: str = "order",
        amount: int = 350,
        *,
        methods: tuple[str, ...] = ("scan",),
        wants_receipt: bool = False,
    ) -> None:
        order = SaleOrder(
            reference=Reference(reference),
            amount=Fen(amount),
            methods=methods,
            text=OrderText(subject="Cola", operator="kiosk"),
            wants_receipt=wants_receipt,
            qr_payway="3" if "qr" in methods else "",
        )
        await self.desk.open_sale(order)

    async def state(self, reference: str = "order") -> str:
        return (await self.desk.get_sale(reference)).sale.state.value

    async def attempt_state(self, reference: str = "order") -> str:
        return (await self.desk.get_sale(reference)).attempts[-1].state.value


@asynccontextmanager
async def engine_bench(
    path: Path, receipts: ReceiptSender | None = None, required: frozenset[str] = GATEWAY, *, began_s: float = 0.0
) -> AsyncIterator[Bench]:
    async with living(Bench(path, receipts, required, began_s=began_s)) as bench:
        yield bench


@asynccontextmanager
async def living(bench: Bench) -> AsyncIterator[Bench]:
    """Have the engine of a bench run."""
    running = asyncio.create_task(bench.engine.run(is_new_boot=False))
    await settle()
    try:
        yield bench
    finally:
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running
        bench.journal.close()
