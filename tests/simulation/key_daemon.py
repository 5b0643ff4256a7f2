"""terminald from one start to its end, as far as the key is concerned.

Keeper, core and journal are the real ones. Of the engine there is what the keeper sees of it: an inbox that is taken
one at a time, a timer, customers, and what the link monitor learns, at the moments at which it would.
"""

from collections import deque
from collections.abc import Callable, Coroutine

from terminald.adapters.clock import SystemClock
from terminald.adapters.journal_sqlite import SqliteJournal
from terminald.adapters.ports import Batch, LinkState
from terminald.core import custody as custodies
from terminald.core.custody_events import CheckinRequested
from terminald.core.events import Event, PowerReturned, Recovered
from terminald.engine_custody import FIRST_SALE_WAIT_S, CustodyKeeper, Hands
from terminald.engine_link import IDLE_S, RETRY_FIRST_S, RETRY_LONGEST_S
from terminald.errors import JournalUnavailable
from tests.simulation.agenda import HOUR, MINUTE, SECOND, Tasks, run_at_once
from tests.simulation.key_port import STEP, Crash, KeyPort, World
from tests.simulation.key_road import Outcome

#: Of all commits so many are the last one of the process: half of them are not made.
CRASHING_COMMITS = 0.006
#: At so many the disk fills up, where it ever does: so it also is full for the answer to what it had room for.
FILLING_COMMITS = 0.004
#: The engine looks whether the time of day is known.
WATCH = 5 * SECOND
#: A trusted time is put on record once an hour.
MARK = HOUR


class Daemon:
    """One process."""

    keeper_type = CustodyKeeper
    port_type = KeyPort

    def __init__(self, world: World, *, crashes: bool, is_disk_full: bool) -> None:
        self.is_alive = True
        self.is_disk_full = is_disk_full
        self.is_sale_open = False
        self.link = LinkState.DOWN
        self.crashes = crashes
        self._world = world
        self._tasks = Tasks()
        self._inbox: deque[tuple[Event, int | None]] = deque()
        self._fresh: list[Coroutine[None, None, None]] = []
        self._is_stepping = self._is_probing = self._is_watching = False
        self._is_writable = True
        self._asked = self._probes_failed = 0
        self._alarm: float | None = None
        self._first_sale_until: float | None = None
        self._journal = SqliteJournal(world.file)
        custody, terminal = self._journal.load_custody(), self._journal.load_terminal()
        assert terminal is not None
        boot = self._journal.open_boot(f"boot-{world.board.boot}", world.board.ticks())
        self._offset = boot.offset
        self._clock = SystemClock(
            boot.offset, jitter=world.rng.random, floor=self._journal.time_floor(), kernel=world.board.kernel
        )
        self._port = self.port_type(self, world, self._clock, self._tasks)
        hands = Hands(
            commit=self._commit,
            spawn=self._fresh.append,
            take=self.take,
            is_quiet=self.is_quiet,
            on_change=lambda: None,
        )
        self.keeper = self.keeper_type(
            custody or custodies.begin(terminal, now=self._clock.now(), rules=world.rules),
            gateway=self._port,
            clock=self._clock,
            rules=world.rules,
            hands=hands,
        )
        self._is_new_boot = boot.is_new

    def start(self) -> None:
        """Recover, prove the link, look at the clock."""
        self.take(PowerReturned() if self._is_new_boot else Recovered(), None)
        if self.is_alive:
            self.probe()
            self.watch()
            self._mark()

    def kill(self) -> None:
        """End here; what is on the road goes on, and what was committed stays."""
        self.is_alive = False
        self._tasks.kill()
        for coroutine in self._fresh:
            coroutine.close()
        self._journal.close()

    def later(self, wait: float, work: Callable[[], None]) -> None:
        self._world.agenda.after(wait, lambda: work() if self.is_alive else None)

    # --- the engine --------------------------------------------------------------------------------------------------

    def take(self, event: Event, token: int | None) -> None:
        """Put an event into the inbox, and work it off."""
        self._inbox.append((event, token))
        if not self._is_stepping and self.is_alive:
            self._is_stepping = True
            try:
                self._work()
            except Crash:
                self._world.die(self._world.rng.random() < 0.5)
            finally:
                self._is_stepping = False
            if self.is_alive:
                self._set_alarm()

    def _work(self) -> None:
        while self._inbox and self.is_alive:
            event, token = self._inbox[0]
            try:
                run_at_once(self.keeper.apply(event, token))
            except JournalUnavailable:
                self._is_writable = False
                if not isinstance(event, CheckinRequested):
                    return
                # A person is told that nothing was done; all else is tried until it can be written.
            else:
                self._is_writable = True
            self._inbox.popleft()
            while self._fresh:
                self._tasks.start(self._fresh.pop(0))

    async def _commit(self, batch: Batch) -> None:
        world = self._world
        chance = world.rng.random() if self.crashes and not self.is_disk_full else 1.0
        if self.is_disk_full or (CRASHING_COMMITS <= chance < CRASHING_COMMITS + FILLING_COMMITS and world.fill_disk()):
            world.faults["commit on a full disk"] += 1
            raise JournalUnavailable("the disk is full")
        if chance < CRASHING_COMMITS / 2:
            world.faults["death before a commit"] += 1
            world.judge.note(f"dies before the commit of {batch.entries[0].record.cause}")
            raise Crash
        self._write(batch)
        if chance < CRASHING_COMMITS:
            world.faults["death after a commit"] += 1
            world.judge.note("dies after the commit")
            raise Crash

    def _write(self, batch: Batch) -> None:
        self._journal.commit(batch)
        self._world.judge.committed(batch)

    def free_disk(self) -> None:
        """The disk has room again."""
        self.is_disk_full, self._is_writable = False, True
        waiting = list(self._inbox)
        self._inbox.clear()
        for event, token in waiting:
            self.take(event, token)

    def is_quiet(self) -> bool:
        """Whether nobody is being served."""
        return not (self._asked or self.is_sale_open) and self._is_writable

    def _set_alarm(self) -> None:
        self._watch_waiting_key()
        wakeup = self.keeper.next_wakeup()
        when = None if wakeup is None else self._world.board.moment_of(wakeup.at - self._offset)
        if when != self._alarm:
            self._alarm = when
            if when is not None:
                self._world.agenda.at(when + 1, lambda: self._ring(when))

    def _ring(self, when: float) -> None:
        if not self.is_alive or self._alarm != when:
            return
        self._alarm = None
        wakeup = self.keeper.next_wakeup()
        if wakeup is not None and wakeup.at <= self._clock.now().instant:
            self.take(wakeup.event, None)
        else:
            self._set_alarm()

    def watch(self) -> None:
        """The clock may have changed: it is looked at soon."""
        self.later(self._world.rng.uniform(0, WATCH), self._look_at_clock)

    def _look_at_clock(self) -> None:
        self.keeper.note_time()
        if self._clock.take_step():
            self.probe()

    def _mark(self) -> None:
        """Put a trusted time on record, as the watch over the clock does."""
        now = self._clock.now()
        if now.is_trusted and not self.is_disk_full:
            self._journal.commit(Batch(now=now))
        self.later(MARK, self._mark)

    # --- the link ----------------------------------------------------------------------------------------------------

    def probe(self) -> None:
        """Ask whether the gateway is there, and accepts a key."""
        if not self._is_probing:
            self._is_probing = True
            self._tasks.start(self._probe())

    def _probe_within(self, seconds: float) -> None:
        """The monitor asks by itself."""
        self.later(self._world.rng.uniform(0, seconds * 1.25 * SECOND), self.probe)

    def link_changed(self) -> None:
        """The link has gone or come back: the monitor finds out, each time after its own waiting time."""
        self._probe_within(RETRY_LONGEST_S if self._world.road.is_linked else IDLE_S)

    def link_checked(self) -> None:
        """The monitor looks after an idle link."""
        self._probe_within(IDLE_S)

    async def _probe(self) -> None:
        told = await self._port.send_with_either("query")
        self._is_probing = False
        states = {Outcome.ACCEPTED: LinkState.PROVEN, Outcome.REFUSED: LinkState.KEY_REFUSED}
        self._note_link(states.get(told.outcome, LinkState.DOWN), is_probe=True)
        if self.link is LinkState.PROVEN or self.keeper.is_locked_out or not self._world.road.is_linked:
            self._probes_failed = 0
        else:
            self._probes_failed += 1
            wait = min(RETRY_LONGEST_S, RETRY_FIRST_S * 2 ** min(self._probes_failed - 1, 8))
            self.later(wait * self._world.rng.uniform(1, 1.25) * SECOND, self.probe)

    def _watch_waiting_key(self) -> None:
        """The monitor goes on proving an idle link. That matters here while a proof of the key is waited for."""
        custody = self.keeper.custody
        if self.link is not LinkState.PROVEN or self._is_watching or custody is None or custody.rotation.retry is None:
            return
        self._is_watching = True
        self.later(IDLE_S * self._world.rng.uniform(1, 1.25) * SECOND, self._look_again)

    def _look_again(self) -> None:
        self._is_watching = False
        if self.link is LinkState.PROVEN:
            self.probe()

    def _note_link(self, state: LinkState, *, is_probe: bool = False) -> None:
        is_told = state is LinkState.KEY_REFUSED or (is_probe and state is LinkState.PROVEN)
        if state is not self.link or is_told:
            self.link = state
            self.keeper.note_link(is_proven=state is LinkState.PROVEN, is_key_refused=state is LinkState.KEY_REFUSED)
            self._set_alarm()

    # --- customers and people ----------------------------------------------------------------------------------------

    def open_sale(self) -> None:
        """A customer comes; the host is refused where the terminal is not ready."""
        counts = self._world.judge.counts
        if self.is_sale_open or self._asked:
            return
        if self.link is not LinkState.PROVEN or not self._is_writable:
            counts["sales refused: no link, or no disk"] += 1
            return
        if self.keeper.is_locked_out or self.keeper.is_expired:
            counts["sales refused: the key"] += 1
            return
        if self._key_goes_first():
            self.later(STEP, self.open_sale)
            return
        counts["sales"] += 1
        self.is_sale_open = True
        self.probe()
        self._look_around()
        rng = self._world.rng
        if rng.random() < 0.9:
            self.later(rng.uniform(1 * SECOND, 40 * SECOND), lambda: self._tasks.start(self._pay()))
        else:
            self.later(rng.uniform(1 * SECOND, 90 * SECOND), self._close_sale)

    def _key_goes_first(self) -> bool:
        """Before the first sale of a process the key has a turn, as ``CustodyKeeper.go_first`` gives it."""
        now, custody = self._world.agenda.now, self.keeper.custody
        if self._first_sale_until is None:
            self._first_sale_until = now + FIRST_SALE_WAIT_S * SECOND
        if now >= self._first_sale_until or custody is None:
            return False
        return self.keeper.is_busy or custodies.wants_turn(custody, self._clock.now())

    async def _pay(self) -> None:
        self._asked += 1
        told = await self._port.send_with_either("pay")
        self._asked -= 1
        rng, wait = self._world.rng, 500.0
        match told.outcome:
            case Outcome.ACCEPTED:
                self._world.judge.counts["payments"] += 1
                self._note_link(LinkState.PROVEN)
            case Outcome.REFUSED:
                self._world.judge.payment_refused()
                self.probe()
            case Outcome.NOT_SENT:
                self._note_link(LinkState.DOWN)
                self.probe()
            case Outcome.UNANSWERED:
                self.probe()
                wait = rng.uniform(5 * SECOND, MINUTE)
        self.later(wait, self._close_sale)

    def _close_sale(self) -> None:
        self.is_sale_open = False
        self._look_around()
        self._set_alarm()

    def _look_around(self) -> None:
        self._world.judge.reach.look_around(
            is_in_reach=self._world.road.is_linked and not self.is_disk_full, is_served=self.is_sale_open
        )

    def ask(self) -> bool:
        """Somebody asks for a check-in; False when that is refused."""
        if self.is_sale_open or not self._is_writable:
            return False
        self._world.judge.is_person_asking = True
        self.take(CheckinRequested(), None)
        self._world.judge.is_person_asking = False
        return True
