"""The loop: event → step → commit → perform.

Everything that changes a snapshot goes through one inbox and is taken one at a time. What a step asks for is performed
only after its commit (write-ahead), each request as a task of its own whose completion comes back through the inbox.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from terminald.adapters.api_views import device_event
from terminald.adapters.ports import (
    Batch,
    Clock,
    DeviceReport,
    DeviceState,
    Entry,
    Journal,
    KeyGateway,
    ReceiptSender,
    Scanner,
)
from terminald.core import ledger
from terminald.core.commands import ArmScanners, Command, DisarmScanners, GatewayCommand, SendJob
from terminald.core.custody_table import Custody
from terminald.core.events import Event, PowerReturned, PrintAnswer, PrinterAbsent, Recovered, ShutdownRequested
from terminald.core.ids import WallTime
from terminald.core.ledger import Advance, Book, Record, Stimulus, ToAttempt, ToJob, ToSale
from terminald.core.readiness import Condition, Reason, reasons
from terminald.core.sale import SaleState
from terminald.core.schedule import Rules
from terminald.engine_custody import CustodyKeeper, Hands
from terminald.engine_entries import entries_of, reason_words
from terminald.engine_link import LinkMonitor
from terminald.errors import ApiError, JournalError, JournalUnavailable, TerminaldError
from terminald.wire.api_views import readiness_event

log = logging.getLogger(__name__)

T = TypeVar("T")
Work = Callable[[], Awaitable[None]]

#: Callers and inputs that may wait at once. A kiosk has one customer, so more is a runaway client.
MAX_WAITING = 256
#: How long to wait before a commit that failed is tried again: long enough for a card to recover, short enough for a
#: customer to be told.
COMMIT_RETRY_S = 1.0
#: How often the free disk space and the clock are looked at.
WATCH_INTERVAL_S = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """Everything outside that the engine uses."""

    journal: Journal
    gateway: KeyGateway
    clock: Clock
    scanners: Sequence[Scanner]
    receipts: ReceiptSender | None
    #: Salt of the digests by which a payment code is recognised again.
    salt: bytes
    #: Gives a new identifier that was never used before: 26 letters and digits, sortable by time.
    new_id: Callable[[WallTime], str]
    #: 0 ≤ jitter < 1.
    jitter: Callable[[], float]
    #: Whether the disk has the configured free space.
    has_disk_space: Callable[[], bool]


class Engine:
    """Owns the book. One instance for the life of the process; :meth:`run` is its only task."""

    def __init__(
        self,
        world: World,
        *,
        rules: Rules,
        required: frozenset[str],
        book: Book,
        custody: Custody | None,
        last_seq: int,
    ) -> None:
        """Book, custody and last_seq are what the journal holds; required is the configured ``readiness.require``."""
        self.world = world
        self.rules = rules
        self.book = book
        self.last_seq = last_seq
        self.is_draining = False
        self._is_stopping = False
        self.is_journal_writable = True
        self.devices: dict[str, DeviceReport] = {}
        #: Set when everything that was open at the start has been taken up again.
        self.recovered = asyncio.Event()
        self._required = required
        self._inbox: asyncio.Queue[Work] = asyncio.Queue()
        self._tasks = asyncio.TaskGroup()
        self._asked = 0  # requests about orders that have no answer yet
        self._alarm: asyncio.TimerHandle | None = None
        self._news = asyncio.Event()
        self._told_reasons: tuple[Reason, ...] | None = None
        hands = Hands(
            commit=self._commit,
            spawn=self._tasks.create_task,
            take=self._take_key_event,
            is_quiet=self.is_quiet,
            on_change=self._look_at_readiness,
        )
        self.keeper = CustodyKeeper(custody, gateway=world.gateway, clock=world.clock, rules=rules, hands=hands)
        self.link = LinkMonitor(self.keeper, world.clock, jitter=world.jitter, on_change=self._note_link)

    # --- life --------------------------------------------------------------------------------------------------------

    async def run(self, *, is_new_boot: bool) -> None:
        """Recover what was open, then serve until cancelled. A bug in a step ends it, and with it the process."""
        event: Event = PowerReturned() if is_new_boot else Recovered()
        async with self._tasks:
            # First: after a power cut only the first start that puts something on record is told of it.
            await self._surely(lambda: self.keeper.apply(event))
            for stimulus in ledger.recovery(self.book, event):
                await self._apply_surely(stimulus)
            self.recovered.set()
            self._set_alarm()
            self._tasks.create_task(self.link.run())
            self._tasks.create_task(self._watch())
            while True:
                work = await self._inbox.get()
                await work()
                if self._is_stopping:
                    await self._close_waiting_sale()
                self._set_alarm()

    async def drain(self, grace_s: float) -> None:
        """Refuse new sales, close the one that waits for a code, and follow the one that is with the gateway.

        Returns when no customer is being served and no receipt is waiting, at the latest after the grace. What is open
        then is in the journal, and goes on at the next start.
        """
        self.is_draining = True
        self._look_at_readiness()
        self._is_stopping = True
        self._inbox.put_nowait(self._close_waiting_sale)
        try:
            async with asyncio.timeout(grace_s):
                while ledger.sale_with_customer(self.book) or self._is_printing() or self.keeper.is_asking:
                    await self._news.wait()
        except TimeoutError:
            log.warning("stopping with a payment or a receipt still open; it goes on at the next start")

    async def _close_waiting_sale(self) -> None:
        """Cancel the sale that waits for a code: the first one, or one whose attempt was declined meanwhile."""
        sale = ledger.sale_with_customer(self.book)
        if sale and sale.state is SaleState.AWAITING_PAYMENT:
            await self._apply_surely(ToSale(sale_id=sale.id, event=ShutdownRequested()))

    def _is_printing(self) -> bool:
        """Whether a receipt is on its way; one that waits for an absent printer is not waited for."""
        return any(not job.state.is_final and not job.evidence for job in self.book.jobs.values())

    async def _watch(self) -> None:
        while True:
            self.keeper.note_time()
            self._look_at_readiness()
            await asyncio.sleep(WATCH_INTERVAL_S)

    # --- the inbox ---------------------------------------------------------------------------------------------------

    async def request(self, work: Callable[[], Awaitable[T]]) -> T:
        """Have work done in the loop for a caller; return its result, or raise its TerminaldError.

        A caller that is cancelled leaves the work in place: it is done all the same.
        """
        if not self.is_journal_writable:
            raise JournalUnavailable("the journal can not be written now; nothing was done")
        if self._inbox.qsize() >= MAX_WAITING:
            raise ApiError("overloaded", "too many requests are waiting")
        done: asyncio.Future[T] = asyncio.get_running_loop().create_future()

        async def answer() -> None:
            try:
                result = await work()
            except TerminaldError as error:
                if not done.cancelled():
                    done.set_exception(error)
            else:
                if not done.cancelled():
                    done.set_result(result)

        self._inbox.put_nowait(answer)
        return await done

    def tell(self, work: Work) -> None:
        """Have work done in the loop for nobody. Dropped when the loop is so far behind that nobody waits for it."""
        if self._inbox.qsize() < MAX_WAITING:
            self._inbox.put_nowait(work)
        else:
            log.warning("an input was dropped: too many are waiting")

    # --- event → step → commit → perform -----------------------------------------------------------------------------

    async def apply(self, stimulus: Stimulus) -> Advance:
        """Take one step of the machines. Only within the loop.

        Raises:
            IllegalTransition: nothing was changed.
            JournalUnavailable: nothing was changed, and nothing will be performed.
        """
        now = self.world.clock.now()
        done = ledger.advance(self.book, stimulus, now=now, rules=self.rules)
        if not done.records:
            return done
        book = ledger.merge(self.book, done)
        await self._commit(
            Batch(
                now=now,
                sales=done.sales,
                attempts=done.attempts,
                jobs=done.jobs,
                entries=entries_of(self.book, book, done, now),
            )
        )
        self.book = ledger.prune(book, now.instant)
        for record in done.records:
            log.info("%s %s: %s → %s on %s", record.kind, record.subject, record.before, record.after, record.cause)
        for command in done.commands:
            self._perform(command)
        return done

    async def publish(self, record: Record, topic: str, body: bytes) -> None:
        """Put into the event log what is no machine's step. Only within the loop; lost when the journal fails."""
        entry = Entry(record=record, topic=topic, body=body)
        try:
            await self._commit(Batch(now=self.world.clock.now(), entries=(entry,)))
        except JournalUnavailable:
            log.warning("an event was not recorded: %s %s", topic, record.subject)

    async def _apply_surely(self, stimulus: Stimulus) -> None:
        """Take a step that can not be refused: a completion, a wake-up, a recovery. Waits for the journal to work."""
        await self._surely(lambda: self.apply(stimulus))

    async def _surely(self, step: Callable[[], Awaitable[object]]) -> None:
        while True:
            try:
                await step()
            except JournalUnavailable:
                await asyncio.sleep(COMMIT_RETRY_S)
            else:
                return

    async def _commit(self, batch: Batch) -> None:
        try:
            self.last_seq = await self.world.journal.commit(batch)
        except JournalError:
            if self.is_journal_writable:
                log.critical("the journal can not be written: no payment is taken until it can", exc_info=True)
            self.is_journal_writable = False
            raise
        self.is_journal_writable = True
        self._announce()

    def _announce(self) -> None:
        self._news.set()
        self._news = asyncio.Event()

    async def wait_for_event(self, seq: int) -> None:
        """Return when the log has an event with a greater sequence number."""
        while self.last_seq <= seq:
            await self._news.wait()

    def _perform(self, command: Command) -> None:
        match command:
            case GatewayCommand():
                self._tasks.create_task(self._ask_gateway(command))
            case SendJob():
                self._tasks.create_task(self._send_job(command))
            case ArmScanners():
                for scanner in self.world.scanners:
                    scanner.arm()
                self.link.prove()
            case DisarmScanners():
                for scanner in self.world.scanners:
                    scanner.disarm()
            case _:
                raise TypeError(f"nobody performs {type(command).__name__}")

    async def _ask_gateway(self, command: GatewayCommand) -> None:
        self._asked += 1
        try:
            answer = await self.keeper.perform(command)
        finally:
            self._asked -= 1
        self.link.note(answer)
        completion = ToAttempt(client_sn=command.client_sn, event=answer, token=command.token)
        self._inbox.put_nowait(lambda: self._apply_surely(completion))

    async def _send_job(self, command: SendJob) -> None:
        job = self.book.jobs[command.job_id]
        view = ledger.view(self.book, job.sale_id)
        if view is None:
            raise LookupError(f"{command.job_id} has no sale")
        answer: PrintAnswer = PrinterAbsent(evidence="no printer is configured")
        if self.world.receipts is not None:
            answer = await self.world.receipts.send(view, job)
        completion = ToJob(job_id=command.job_id, event=answer, token=command.token)
        self._inbox.put_nowait(lambda: self._apply_surely(completion))

    # --- time --------------------------------------------------------------------------------------------------------

    def _set_alarm(self) -> None:
        if self._alarm:
            self._alarm.cancel()
        due, of_key = ledger.next_wakeup(self.book), self.keeper.next_wakeup()
        times = [wakeup.at for wakeup in (due and due[0], of_key) if wakeup]
        if times:
            when = self.world.clock.timer_at(min(times))
            self._alarm = asyncio.get_running_loop().call_at(when, self._inbox.put_nowait, self._wake)

    async def _wake(self) -> None:
        due, of_key, instant = ledger.next_wakeup(self.book), self.keeper.next_wakeup(), self.world.clock.now().instant
        if due and due[0].at <= instant:
            await self._apply_surely(due[1])
        elif of_key and of_key.at <= instant:
            event = of_key.event
            await self._surely(lambda: self.keeper.apply(event))

    # --- the key -----------------------------------------------------------------------------------------------------

    def _take_key_event(self, event: Event, token: int | None) -> None:
        self._inbox.put_nowait(lambda: self._surely(lambda: self.keeper.apply(event, token)))

    def is_quiet(self) -> bool:
        """Whether nobody is being served: the moment to look after the key."""
        is_busy = self._asked or self.is_draining or not self.is_journal_writable
        return not is_busy and ledger.sale_with_customer(self.book) is None

    def _note_link(self) -> None:
        self.keeper.note_link(is_proven=self.link.is_proven, is_key_refused=self.link.is_key_refused)
        self._look_at_readiness()

    # --- devices and readiness ---------------------------------------------------------------------------------------

    def note_device(self, report: DeviceReport) -> None:
        """Take a change of a device's state."""
        before = self.devices.get(report.name)
        self.devices[report.name] = report
        record = Record(
            kind="device",
            subject=report.name,
            sale_id=ledger.NO_SALE,
            cause="DeviceChanged",
            before=before.state.value if before else "",
            after=report.state.value,
        )
        self.tell(lambda: self.publish(record, "device", device_event(report)))
        self._look_at_readiness()

    def reasons(self) -> tuple[Reason, ...]:
        """Return every reason against taking money now."""
        ready = {report.kind for report in self.devices.values() if report.state is DeviceState.READY}
        condition = Condition(
            is_activated=self.keeper.custody is not None,
            is_key_accepted=not (self.link.is_key_refused or self.keeper.is_locked_out),
            is_key_alive=not self.keeper.is_expired,
            is_terminal_accepted=not self.link.is_terminal_refused,
            is_clock_trusted=self.world.clock.now().is_trusted,
            is_clock_in_the_way=self.link.is_clock_in_the_way,
            is_gateway_reachable=self.link.is_reachable,
            has_scanner="scanner" in ready,
            has_printer="printer" in ready,
            is_journal_writable=self.is_journal_writable,
            has_disk_space=self.world.has_disk_space(),
            is_draining=self.is_draining,
        )
        return reasons(condition, self._required)

    def _look_at_readiness(self) -> None:
        """Publish a change. While the journal fails this is also what finds out that it works again."""
        if not self.is_journal_writable or self.reasons() != self._told_reasons:
            self.tell(self._tell_readiness)

    async def _tell_readiness(self) -> None:
        was_writable = self.is_journal_writable
        self.is_journal_writable = True  # the commit below is the proof, and takes it back
        now = self.reasons()
        if now == self._told_reasons and was_writable:
            return
        before = "" if self._told_reasons is None else reason_words(self._told_reasons)
        record = Record(
            kind="readiness",
            subject="terminal",
            sale_id=ledger.NO_SALE,
            cause="ReadinessChanged",
            before=before,
            after=reason_words(now),
        )
        # Before the commit: a change while it is under way is compared with what is being told.
        self._told_reasons = now
        await self.publish(record, "readiness", readiness_event(tuple(one.value for one in now)))
