"""One seeded history: a host, customers, a gateway with books, crashes; the real core, engine, journal and codecs.

The host is told the truth only through the journal's events, as over the API. At the end everything that was open has
come to rest, and the gateway's books are compared with what the host was told.
"""

import asyncio
import logging
import random
import re
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

from terminald.adapters.clock import SystemClock
from terminald.adapters.gateway_http import Credentials, HttpGateway
from terminald.adapters.gateway_line import GatewaySettings
from terminald.adapters.journal_sqlite import SqliteJournal
from terminald.adapters.ports_vending import Vmc
from terminald.core import book as books
from terminald.core import custody as custodies
from terminald.core.attempt_table import AttemptState
from terminald.core.book import SaleView
from terminald.core.commands import OrderText
from terminald.core.ids import ClientSn, Duration, Reference, Secret, WallTime
from terminald.core.money import Fen
from terminald.core.sale_table import DeliveryState, Sale, SaleOrder, SaleState
from terminald.core.schedule import Rules
from terminald.core.terminal import Terminal
from terminald.engine import Engine
from terminald.engine_commands import World
from terminald.engine_desk import EngineDesk
from terminald.engine_undo import UNDO_AFTER_S
from terminald.errors import ApiError, IllegalTransition, JournalUnavailable
from terminald.simulator.gateway import Fault, GatewayWorld
from terminald.simulator.gateway_world import DEFAULT_EPOCH_S, QR_LIFE_S
from terminald.wire.api_views import sale_json
from tests.simulation.board import HOUR_S, STEPS_S, Board
from tests.simulation.carrier import Carrier
from tests.simulation.crashing_journal import Crash, CrashingJournal
from tests.simulation.door import RECORDED_S, Door, sale_of
from tests.simulation.judgement import Promises, differences
from tests.simulation.paper import Paper, PaperSender

T = TypeVar("T")
_log = logging.getLogger(__name__)

RULES = Rules(
    payment_window=Duration(90_000),
    poll_interval=Duration(3_000),
    poll_window=Duration(50_000),
    late_lookups=(Duration(30_000), Duration(300_000), Duration(3_600_000)),
    qr_window=Duration(240_000),
    delivery_window=Duration(180_000),
    returns_overdue=False,
    job_lifetime=Duration(120_000),
    day_offset=Duration(8 * 3_600_000),
    checkin_at=Duration(4 * 3_600_000),
)
PATTERN = re.compile("^[0-9]{16,24}$")
#: Long enough for the last look before the gateway's day ends, whenever it began, and for refusals that pass.
REST_S = 30 * 3600.0
#: How often it is looked whether everything has come to rest.
REST_STEP_S = 300.0
#: How long a process that is told to stop takes for what it has begun.
GRACE_S = 5.0


Customer = Callable[["History", str], Coroutine[None, None, None]]


class History:
    """Everything that outlives a crash of the daemon, and the daemon of the day."""

    def __init__(
        self,
        seed: int,
        path: Path,
        *,
        rules: Rules = RULES,
        epoch_s: float = DEFAULT_EPOCH_S,
        qr_life_s: float = QR_LIFE_S,
        without: frozenset[int] = frozenset(),
    ) -> None:
        """Without: the numbers of troubles that are kept from it."""
        self.rules = rules
        self._without = without
        #: What goes wrong, in its order.
        self.troubles: list[str] = []
        self.rng = random.Random(seed)
        self.path = path
        self.gateway = GatewayWorld(
            clock=asyncio.get_running_loop().time,
            vendor_sn="V1",
            vendor_key="vendor-key",
            app_id="A1",
            activation_codes={"code": 1},
            seed=seed,
            epoch_s=epoch_s,
            qr_life_s=qr_life_s,
        )
        self.door = Door(self.gateway, self._state_of)
        self.door.knows_time = self._knows_time
        self.carrier = Carrier(self.gateway, self.door)
        #: Its printer; None: it has none.
        self.paper: Paper | None = None
        self.board = Board(random.Random(f"board {seed}"), self.gateway.epoch_s)
        terminal_sn, key = self.gateway.terminals.activate(
            {"app_id": "A1", "code": "code", "device_id": "d1"}, now_s=self.gateway.now_s()
        )
        now = WallTime(int(self.gateway.now_s() * 1000))
        self.terminal = Terminal(
            terminal_sn=terminal_sn,
            device_id="d1",
            current_key=Secret(key),
            previous_key=None,
            activated_at=now,
            rotated_at=now,
        )
        store = SqliteJournal(path)
        store.close_activation(store.record_activation_intent("…", now), "activated", self.terminal)
        store.close()
        self.clock: SystemClock | None = None
        self.desk: EngineDesk | None = None
        self.engine: Engine | None = None
        self.is_ended = False
        self.promises = Promises()
        self._run: asyncio.Task[None] | None = None
        self._is_stopping = False
        self.crashes_left = 0
        #: Which commit of each life kills it; drawn when not given.
        self.crash_plan: list[tuple[int, bool]] = []
        self.commits = 0
        self.lives = 0
        #: When the process was started, by the gateway's clock.
        self._started_s = 0.0
        self.is_disk_full = False
        #: How many of the restarts are of the board.
        self.power_cuts = 0.3

    # --- troubles ----------------------------------------------------------------------------------------------------

    def befalls(self, what: str) -> bool:
        """Whether this trouble comes, or is kept from this history."""
        number = len(self.troubles)
        self.troubles.append(what)
        if number in self._without:
            return False
        _log.info("trouble %d: %s", number, what)
        return True

    def put(self, *faults: Fault) -> None:
        """Put faults on the road, or into the gateway."""
        for one in faults:
            if self.befalls(f"{one.kind}@{one.path}, {one.count} times after {one.skip}, {one.seconds} s"):
                self.gateway.faults.add(one)

    # --- the daemon --------------------------------------------------------------------------------------------------

    async def serve(self) -> None:
        """Run the daemon; start it again after each crash, as systemd does."""
        while True:
            self.lives += 1
            self._started_s = self.gateway.now_s()
            journal = CrashingJournal(SqliteJournal(self.path))
            journal.crash_in, journal.crash_after = self._next_crash()
            journal.is_full = lambda: self.is_disk_full
            journal.note = self.door.judge_committed
            journal.tell = lambda body, fast_s: self.door.judge_told(sale_of(body), "event", fast_s)
            journal.fast_s = self._fast_s
            gateway = HttpGateway(
                GatewaySettings(url="https://gateway.test", connect_timeout_s=5.0, read_timeout_s=15.0, ca_file=None),
                credentials=self._credentials,
                on_time=self._note_time,
                transport=self.carrier,
            )
            try:
                await self._live(journal, gateway)
            except* Crash:
                self.door.seen["the process died"] += 1
            finally:
                self.desk = self.engine = None
                self.commits += journal.commits
                await gateway.aclose()
                journal.close()
            if self.rng.random() < self.power_cuts:
                self.board.cut_power()
                self.door.offers.fail_power()
            await asyncio.sleep(self.rng.choice((0.5, 2.0, 45.0)))

    def _next_crash(self) -> tuple[int | None, bool]:
        if self.crash_plan:
            return self.crash_plan.pop(0)
        if self.crashes_left <= 0 or self.is_ended:
            return None, False
        self.crashes_left -= 1
        number, is_after = self.rng.randint(1, 25), self.rng.random() < 0.5
        when = "after" if is_after else "before"
        return (number, is_after) if self.befalls(f"death {when} commit {number}") else (None, False)

    async def _live(self, journal: CrashingJournal, gateway: HttpGateway) -> None:
        store = journal.store
        boot = store.open_boot(f"boot-{self.board.number}", self.board.ticks())
        clock = SystemClock(boot.offset, jitter=self.rng.random, floor=store.time_floor(), kernel=self.board.kernel)
        self.clock = clock
        world = World(
            journal=journal,
            gateway=gateway,
            clock=clock,
            scanners=(),
            receipts=None if self.paper is None else PaperSender(self.paper),
            salt=store.salt(),
            new_id=self._new_id,
            jitter=self.rng.random,
            has_disk_space=lambda: True,
            vmcs=self.begin_drivers(),
        )
        now = clock.now()
        custody = store.load_custody() or custodies.begin(self.terminal, now=now, rules=self.rules)
        book = store.load_book(now.instant)
        self.door.restart(book)
        engine = Engine(
            world,
            rules=self.rules,
            custody=custody,
            required=frozenset({"gateway"}),
            book=book,
            last_seq=store.last_seq(),
        )
        self.engine, self.desk = engine, EngineDesk(engine, device_id="d1", code_pattern=PATTERN)
        self.begin_hosts(engine)
        self._is_stopping = False
        self._run = asyncio.ensure_future(self.run_all(engine, journal, is_new_boot=boot.is_new))
        try:
            await self._run
        except asyncio.CancelledError:
            if not self._is_stopping:
                raise

    async def run_all(self, engine: Engine, _: CrashingJournal, *, is_new_boot: bool) -> None:
        """Run what the process consists of."""
        await engine.run(is_new_boot=is_new_boot)

    def begin_drivers(self) -> dict[str, Vmc]:
        """Return the drivers of a new process."""
        return {}

    def begin_hosts(self, engine: Engine) -> None:
        """Connect what sells besides the host."""

    async def shut_down(self) -> None:
        """Stop the process as systemd does; it is started again."""
        engine, run = self.engine, self._run
        if engine is None or run is None or engine.is_draining or not self.befalls("stop"):
            return
        self.door.offers.end_all()
        await engine.drain(GRACE_S)
        self._end(run)

    def kill(self) -> None:
        """End the process at this moment, or the power of the board."""
        if self._run is not None and self.befalls("death"):
            self._end(self._run)

    def _end(self, run: asyncio.Task[None]) -> None:
        if self._run is run and not run.done():
            self._is_stopping = True
            run.cancel()

    def _state_of(self, client_sn: str) -> AttemptState | None:
        """Return what the daemon makes of an order; None when it does not run, or has forgotten it."""
        known = self.engine.book.attempts.get(ClientSn(client_sn)) if self.engine else None
        return known.state if known else None

    def has_order_in_the_way(self, reference: str) -> bool:
        """Whether a customer is asked for a code of this sale while an earlier order of it is being undone."""
        views = books.views(self.engine.book) if self.engine else ()
        mine = [one for one in views if one.sale.order.reference == reference]
        return any(one.sale.state is SaleState.AWAITING_PAYMENT and _has_doubtful_order(one) for one in mine)

    def _note_time(self, wall: WallTime) -> None:
        if self.clock is not None:
            self.clock.note_gateway_time(wall)

    def _fast_s(self) -> float:
        """By how much what the terminal takes for the time of day is ahead of the gateway's."""
        return 0.0 if self.clock is None else self.clock.now().wall / 1000 - self.gateway.now_s()

    def _knows_time(self) -> bool:
        """Whether the terminal trusts its time of day, and may, and did when it decided what leaves now."""
        if self.gateway.now_s() - self._started_s < RECORDED_S:
            return False
        return self.clock is not None and self.clock.now().is_trusted and abs(self._fast_s()) < HOUR_S

    def _shown(self, view: SaleView) -> dict[str, object]:
        """What the host is told of a sale now."""
        assert self.clock is not None
        return sale_of(sale_json(view, self.clock.now()))

    def _credentials(self) -> Credentials | None:
        return self.engine.keeper.credentials() if self.engine else None

    def _new_id(self, wall: WallTime) -> str:
        return f"{wall:013d}{self.rng.getrandbits(50):013X}"

    # --- the host and its customer -----------------------------------------------------------------------------------

    async def sell(
        self,
        reference: str,
        amount: int,
        customer: Customer,
        *,
        methods: tuple[str, ...] = ("scan",),
        reports_delivery: bool = False,
    ) -> None:
        """Open one sale, let the customer come, and follow it until the host is told an end."""
        order = SaleOrder(
            reference=Reference(reference),
            amount=Fen(amount),
            methods=methods,
            text=OrderText(subject=reference, operator="kiosk"),
            wants_receipt=self.paper is not None,
            qr_payway="3" if "qr" in methods else "",
            reports_delivery=reports_delivery,
        )
        while await self.call(lambda desk: desk.open_sale(order)) is None:  # noqa: ASYNC110 - a host that polls
            await asyncio.sleep(1.0)
        visit = asyncio.create_task(customer(self, reference))
        while not await self._has_ended(reference):  # noqa: ASYNC110 - a host that polls
            await asyncio.sleep(1.0)
        visit.cancel()
        with suppress(asyncio.CancelledError):
            await visit

    async def _has_ended(self, reference: str) -> bool:
        view = await self.look(reference)
        return view is not None and not view.sale.state.is_with_customer

    async def look(self, reference: str) -> SaleView | None:
        """Ask for the sale, and judge what is shown."""
        view = await self.call(lambda desk: desk.get_sale(reference))
        if view is not None:
            self.door.judge_told(self._shown(view), "answer", self._fast_s())
        return view

    async def qr_of(self, reference: str) -> str:
        """Return the QR that the host may show now; empty when there is none."""
        view = await self.look(reference)
        qr = self._shown(view)["qr"] if view else None
        return str(qr["content"]) if isinstance(qr, dict) else ""

    async def scan(self, reference: str, code: str) -> None:
        """The customer presents a code, to the scanner or to the host; nobody says whether it was taken."""
        if self.desk is not None and self.rng.random() < 0.5:
            # A scanner does not know whose code it reads.
            self.door.offers.yield_to_code(None)
            self.desk.take_frame("front", code)
        else:
            self.door.offers.yield_to_code(reference)
            await self.call(lambda desk: desk.present_code(reference, code))

    async def query(self, reference: str) -> None:
        """Somebody asks how the sale stands."""
        await self.call(lambda desk: desk.query(reference))

    async def fill_disk(self, seconds: float) -> None:
        """Nothing can be written for a while."""
        self.is_disk_full = self.befalls(f"full disk for {seconds} s")
        undone_s = min(seconds, UNDO_AFTER_S)
        try:
            await asyncio.sleep(undone_s)
            if self.is_disk_full and seconds > undone_s:
                # What can not be recorded for so long goes back.
                self.door.offers.end_all()
            await asyncio.sleep(seconds - undone_s)
        finally:
            self.is_disk_full = False

    def set_clock(self) -> None:
        """Somebody sets the system's clock, or a time server does."""
        by_s, is_synchronized = self.rng.choice(STEPS_S), self.rng.random() < 0.5
        if self.befalls(f"the clock is set by {by_s} s, synchronized: {is_synchronized}"):
            self.board.set_clock(by_s, is_synchronized=is_synchronized)

    async def cut_link(self, seconds: float) -> None:
        """Nothing can be sent for a while."""
        self.carrier.is_cut = self.befalls(f"no link for {seconds} s")
        try:
            await asyncio.sleep(seconds)
        finally:
            self.carrier.is_cut = False

    async def cancel(self, reference: str) -> None:
        """The host cancels; it may be too late."""
        self.door.offers.end(reference)
        await self.call(lambda desk: desk.cancel(reference))

    async def call(self, what: Callable[[EngineDesk], Awaitable[T]]) -> T | None:
        """Call the API; None when it refused, or died while it was at it."""
        return (await self.ask(what))[1]

    async def ask(self, what: Callable[[EngineDesk], Awaitable[T]]) -> tuple[str, T | None]:
        """Call the API; "" with its answer, or why there is none: the code of a refusal, or "lost"."""
        if self.desk is None:
            return "lost", None
        try:
            async with asyncio.timeout(20):
                return "", await what(self.desk)
        except ApiError as refused:
            return refused.code, None
        except IllegalTransition:
            return "illegal", None
        except (TimeoutError, JournalUnavailable):
            return "lost", None

    # --- the end -----------------------------------------------------------------------------------------------------

    async def rest(self) -> None:
        """Let faults stop, and everything that is open come to its end."""
        self.is_ended = True
        self.is_disk_full = False
        self.gateway.faults.clear()
        self.carrier.is_cut = False
        await self.settle()

    async def settle(self, at_most_s: float = REST_S) -> None:
        """Wait until nothing is open but what waits for a person, and nothing is on its way."""
        await self.carrier.deliver_all()
        loop = asyncio.get_running_loop()
        ends_s = loop.time() + at_most_s
        while loop.time() < ends_s:
            await asyncio.sleep(REST_STEP_S)
            if self.carrier.is_empty and self._is_at_rest():
                return

    def _is_at_rest(self) -> bool:
        if self.engine is None or not self.engine.recovered.is_set():
            return False
        book = self.engine.book
        open_things = [
            *(one for one in book.attempts.values() if not one.state.is_final),
            *(one for one in book.refunds.values() if not one.state.is_final),
            *(one for one in book.jobs.values() if not one.state.is_final),
            *(one for one in book.sales.values() if not one.state.is_final and not _is_with_person(one)),
        ]
        return not open_things

    def faults_found(self) -> list[str]:
        """Compare the gateway's books with what the host was told; every difference in words."""
        return [*dict.fromkeys(self.door.found), *differences(self.path, self.gateway.books, self.promises)]


def _has_doubtful_order(view: SaleView) -> bool:
    """By its own rule, so that a mistake in terminald's does not hide itself."""
    others = [one for one in view.attempts if one.client_sn != view.sale.offer]
    return any(one.state is not AttemptState.HELD and not one.state.is_unpaid for one in others)


def _is_with_person(sale: Sale) -> bool:
    is_overdue = sale.state is SaleState.PAID and sale.delivery is DeliveryState.OVERDUE
    return is_overdue and sale.attention is not None
