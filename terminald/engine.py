"""The loop: event → step → commit → perform.

Everything that changes a snapshot goes through one inbox and is taken one at a time. What a step asks for is performed
only after its commit (write-ahead), each request as a task of its own whose completion comes back through the inbox.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import TypeVar

from terminald.adapters.api_views import device_event
from terminald.adapters.ports import Batch, Entry
from terminald.adapters.ports_devices import DeviceReport, DeviceState
from terminald.core import book as books
from terminald.core import ledger, stimuli
from terminald.core.book import Book
from terminald.core.commands import GatewayCommand
from terminald.core.custody_table import Custody
from terminald.core.events import Answer, Event, PowerReturned, Recovered
from terminald.core.ids import ClientSn
from terminald.core.readiness import Hold, Reason, reasons
from terminald.core.schedule import Rules
from terminald.core.stimuli import Advance, Record, Stimulus
from terminald.engine_commands import Performer, World
from terminald.engine_custody import CustodyKeeper, Hands
from terminald.engine_entries import batch_of, readiness_record
from terminald.engine_link import LinkMonitor
from terminald.engine_log import TransitionLog
from terminald.engine_pulse import Pulse
from terminald.engine_readiness import Standing, changed, condition_of, rules_under
from terminald.engine_reports import ReportTime
from terminald.engine_stop import is_in_flight
from terminald.engine_tally import Tally
from terminald.engine_undo import Undoing
from terminald.engine_waiting import Waiting
from terminald.errors import ApiError, JournalError, JournalUnavailable, TerminaldError
from terminald.logs import log_event
from terminald.logs_ids import LogId
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
        hold: Hold = Hold.NONE,
    ) -> None:
        """Required is the configured ``readiness.require``; the rest is what the journal holds."""
        self.world = world
        self.rules = rules
        self.book = book
        self.last_seq = last_seq
        self.is_draining = False
        self._is_stopping = False
        self.hold = hold
        self.is_journal_writable = True
        self.devices: dict[str, DeviceReport] = {}
        self.tally = Tally()
        #: Called when something may have changed of what :meth:`reasons` says. Must not block.
        self.lookers: list[Callable[[], None]] = []
        #: Called with each step, once it is on disk and its commands are under way. Must not block.
        self.followers: list[Callable[[Advance], None]] = []
        #: Set when everything that was open at the start has been taken up again.
        self.recovered = asyncio.Event()
        self._transitions = TransitionLog()
        self._pulse = Pulse(lambda: world.journal.events_after(self.last_seq, 1))
        self.required = required
        self._reports = ReportTime(lambda: world.clock.now().instant, lambda: self.rules)
        self._inbox: asyncio.Queue[Work] = asyncio.Queue()
        self._waiting = Waiting()
        self._tasks = asyncio.TaskGroup()
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
        self._performer = Performer(
            world,
            ask=self._ask_gateway,
            link=self.link,
            spawn=self._tasks.create_task,
            complete=self._complete,
            view=lambda sale_id: books.view(self.book, sale_id),
        )
        self.undoing = Undoing(self.keeper.perform, lambda: self.book, self._performer, self._tasks.create_task)

    # --- life --------------------------------------------------------------------------------------------------------

    async def run(self, *, is_new_boot: bool) -> None:
        """Recover what was open, then serve until cancelled. A bug in a step ends it, and with it the process."""
        event: Event = PowerReturned() if is_new_boot else Recovered()
        async with self._tasks:
            # First: after a power cut only the first start that puts something on record is told of it.
            await self._surely(lambda: self.keeper.apply(event))
            for stimulus in stimuli.recovery(self.book, event):
                await self._take_surely(lambda: stimuli.unless_over(self.book, stimulus))  # noqa: B023 - awaited here
            self._reports.begin()
            self.recovered.set()
            self._set_alarm()
            self._tasks.create_task(self.link.run())
            self._tasks.create_task(self._watch())
            while True:
                work = await self._inbox.get()
                await self._surely(lambda: self.undoing.settle(self.apply))
                await work()
                if self._is_stopping or self.hold is not Hold.NONE:
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
                while self.is_in_flight():
                    await self._news.wait()
        except TimeoutError:
            log_event(log, LogId.STOP_UNFINISHED)

    def is_in_flight(self) -> bool:
        """Whether something is under way that a stop waits for."""
        return is_in_flight(self.book) or self.keeper.is_asking

    def take_hold(self, hold: Hold) -> None:
        """Begin no sales, or sales again, as a person wants it. Only within the loop."""
        self.hold = hold
        self._look_at_readiness()

    async def beat(self) -> None:
        """Return after a round trip through this loop and the journal's thread; never, when one of them hangs."""
        await self._pulse.wait(self._inbox.put_nowait)

    async def _close_waiting_sale(self) -> None:
        """Cancel the sale that waits for a code: the first one, or one whose attempt was declined meanwhile."""
        await self._take_surely(lambda: stimuli.closing(self.book, is_stopping=self._is_stopping))

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
        self._waiting.add(done)

        async def answer() -> None:
            if not self._waiting.begin(done):
                return
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
            log_event(log, LogId.INPUT_DROPPED)

    def tell_surely(self, work: Work) -> None:
        """Have work done in the loop that must not be dropped, and of which whoever tells it bounds the number."""
        self._inbox.put_nowait(work)

    # --- event → step → commit → perform -----------------------------------------------------------------------------

    async def apply(self, stimulus: Stimulus) -> Advance:
        """Take one step of the machines. Only within the loop.

        Raises:
            IllegalTransition: nothing was changed.
            JournalUnavailable: nothing was changed, and nothing will be performed.
        """
        now = self.world.clock.now()
        fresh = ClientSn(self.world.new_id(now.wall))
        done = ledger.advance(self.book, stimulus, now=now, rules=rules_under(self.hold, self.rules), fresh=fresh)
        if not done.records:
            return done
        book = stimuli.merge(self.book, done)
        batch = batch_of(self.book, book, done, now)
        await self._commit(batch)
        self.book = books.prune(book, now.instant)
        self._transitions.take(batch.entries, now.instant)
        for command in done.commands:
            self._performer.perform(command)
        for follow in self.followers:
            follow(done)
        return done

    async def publish(self, record: Record, topic: str, body: bytes) -> None:
        """Put into the event log what is no machine's step. Only within the loop; lost when the journal fails."""
        entry = Entry(record=record, topic=topic, body=body)
        level = None if self.is_journal_writable else logging.DEBUG
        try:
            await self._commit(Batch(now=self.world.clock.now(), entries=(entry,)))
        except JournalUnavailable:
            log_event(log, LogId.EVENT_NOT_RECORDED, level=level, kind=record.kind, event=record.cause)

    async def apply_surely(self, stimulus: Stimulus) -> None:
        """Take a step that can not be refused: a completion, a wake-up, a recovery. Waits for the journal to work."""
        await self._take_surely(lambda: stimulus)

    async def _take_surely(self, choose: Callable[[], Stimulus | None]) -> None:
        """The same, of what is chosen at each try: what the failure has undone may have made it needless."""

        async def step() -> None:
            await self.undoing.settle(self.apply)
            if (stimulus := choose()) is not None:
                await self.apply(stimulus)

        await self._surely(step)

    async def _surely(self, step: Callable[[], Awaitable[object]]) -> None:
        while True:
            try:
                await step()
            except JournalUnavailable:
                self._pulse.note()
                self._waiting.refuse()
                await asyncio.sleep(COMMIT_RETRY_S)
            else:
                return

    async def _commit(self, batch: Batch) -> None:
        self.last_seq = await self.written(self.world.journal.commit(batch))
        self.tally.take(batch)
        # After what the step begins: a request does not wait until every listener has had its turn.
        asyncio.get_running_loop().call_soon(self._announce)

    async def written(self, write: Awaitable[T]) -> T:
        """Return what a write into the journal does, and learn from it whether the journal can be written."""
        try:
            done = await self.undoing.undisturbed(write)
        except JournalError:
            if self.is_journal_writable:
                log_event(log, LogId.JOURNAL_FAILED, exc_info=True)
            self.is_journal_writable = False
            self._reports.stop()
            self.undoing.begin()
            raise
        self.is_journal_writable = True
        self._reports.go_on()
        self.undoing.end()
        self._pulse.note()
        return done

    def _announce(self) -> None:
        self._news.set()
        self._news = asyncio.Event()

    async def wait_for_event(self, seq: int) -> None:
        """Return when the log has an event with a greater sequence number."""
        while self.last_seq <= seq:
            await self._news.wait()

    async def _ask_gateway(self, command: GatewayCommand) -> Answer:
        return await self.keeper.perform(command, is_wanted=lambda: books.is_wanted(self.book, command))

    def _complete(self, completion: Stimulus) -> None:
        self.tell_surely(lambda: self.apply_surely(completion))

    # --- time --------------------------------------------------------------------------------------------------------

    def _set_alarm(self) -> None:
        if self._alarm:
            self._alarm.cancel()
        due = stimuli.next_wakeup(self.book, reports_until=self._reports.until)
        of_key = self.keeper.next_wakeup()
        times = [wakeup.at for wakeup in (due and due[0], of_key) if wakeup]
        if times:
            when = self.world.clock.timer_at(min(times))
            self._alarm = asyncio.get_running_loop().call_at(when, self._inbox.put_nowait, self._wake)

    async def _wake(self) -> None:
        of_key = self.keeper.next_wakeup()
        if self._due():
            await self._take_surely(self._due)
        elif of_key and of_key.at <= self.world.clock.now().instant:
            await self._surely(lambda: self.keeper.apply(of_key.event))

    def _due(self) -> Stimulus | None:
        return stimuli.due(self.book, self.world.clock.now().instant, reports_until=self._reports.until)

    # --- the key -----------------------------------------------------------------------------------------------------

    def _take_key_event(self, event: Event, token: int | None) -> None:
        self._inbox.put_nowait(lambda: self._surely(lambda: self.keeper.apply(event, token)))

    def is_quiet(self) -> bool:
        """Whether nobody is being served: the moment to look after the key."""
        is_busy = self._performer.asked or self.is_draining or not self.is_journal_writable
        return not is_busy and books.sale_with_customer(self.book) is None

    def _note_link(self) -> None:
        self.keeper.note_link(is_proven=self.link.is_proven, is_key_refused=self.link.is_key_refused)
        self._set_alarm()
        self._look_at_readiness()

    # --- devices and readiness ---------------------------------------------------------------------------------------

    def note_device(self, report: DeviceReport) -> None:
        """Take a change of a device's state."""
        before = self.devices.get(report.name)
        since = self.world.clock.now().wall
        if before is not None and before.state is report.state and before.since is not None:
            since = before.since
        self.devices[report.name] = report = replace(report, since=since)
        record = changed("device", report.name, before.state.value if before else "", report.state.value)
        self.tell(lambda: self.publish(record, "device", device_event(report)))
        if report.kind == "printer" and report.state is DeviceState.READY:
            self.tell(self._send_waiting)
        self._look_at_readiness()

    async def _send_waiting(self) -> None:
        """Send the slips that wait for the printer, which is ready now."""
        for stimulus in stimuli.printer_ready(self.book):
            await self.apply_surely(stimulus)

    def reasons(self) -> tuple[Reason, ...]:
        """Return every reason against taking money now."""
        standing = Standing(is_journal_writable=self.is_journal_writable, is_draining=self.is_draining, hold=self.hold)
        condition = condition_of(self.world, self.keeper, self.link, self.devices.values(), standing)
        return reasons(condition, self.required)

    def _look_at_readiness(self) -> None:
        """Publish a change. While the journal fails this is also what finds out that it works again."""
        self._tell_lookers()
        if not self.is_journal_writable or self.reasons() != self._told_reasons:
            self.tell(self._tell_readiness)

    async def _tell_readiness(self) -> None:
        now = tuple(one for one in self.reasons() if one is not Reason.JOURNAL_FAILED)
        if now == self._told_reasons and self.is_journal_writable:
            return
        record = readiness_record(self._told_reasons if self.is_journal_writable else (Reason.JOURNAL_FAILED,), now)
        # Before the commit: a change while it is under way is compared with what is being told.
        self._told_reasons = now
        await self.publish(record, "readiness", readiness_event(tuple(one.value for one in now)))
        if self.is_journal_writable:
            log_event(log, LogId.READINESS_CHANGED, from_state=record.before, to_state=record.after)
        self._tell_lookers()

    def _tell_lookers(self) -> None:
        for look in self.lookers:
            look()
