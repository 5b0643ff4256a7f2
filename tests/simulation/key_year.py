"""A year in the life of one terminal's key, from one seed: the real keeper, core and journal, on virtual time (I6, I7).

A year takes a second or two. What happens comes from ``key_script``, what goes wrong on the way from ``key_road``, what
is right from ``key_judge``.
"""

import os
import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from terminald.adapters.journal_sqlite import SqliteJournal
from terminald.core.custody_table import CustodyState
from terminald.core.ids import Duration, Secret, WallTime
from terminald.core.schedule import Rules
from terminald.core.terminal import Terminal
from terminald.simulator.gateway_terminals import Terminals
from tests.simulation.agenda import DAY, HOUR, MINUTE, SECOND, Agenda
from tests.simulation.key_board import Board
from tests.simulation.key_daemon import Daemon
from tests.simulation.key_judge import Judge, Violation
from tests.simulation.key_port import World
from tests.simulation.key_reason import LockOut
from tests.simulation.key_road import DEVICE, EPOCH, Fate, Road
from tests.simulation.key_script import DAYS, YEAR, Span, sales_of_day, write_script

#: After the year everything goes well, and the key comes to rest within this.
REST = DAY
#: The monitor proves an idle link more than two hundred times a day; so many of these are lived through.
IDLE_PROBES = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Year:
    """What became of one seed."""

    seed: int
    profile: str
    violations: tuple[Violation, ...]
    #: What was done to the terminal, by name; and what it did.
    faults: Counter[str]
    counts: Counter[str]
    lock_outs: tuple[LockOut, ...]
    #: The least life in ms that a key had left when it was renewed; and where no outage was longer than a night.
    least_left: int
    least_left_ordinary: int


#: Everything that is done to terminals: over many seeds nothing of it is missing.
FAULTS = (
    *(fate.value for fate in Fate if fate is not Fate.GOOD),
    "link cut while a message is on its way",
    "link down for minutes", "link down for hours", "link down for days", "link down for weeks",
    "switched off for some hours", "switched off for days", "power cut",
    "death before a commit", "death after a commit", "death while an answer is awaited", "death at any time",
    "full disk", "commit on a full disk",
    "clock ahead by months", "clock set back by years", "clock set by a little",
    "a person asks", "a person asks, as renewal has stopped", "a technician activates the terminal again",
)  # fmt: skip


class History:
    """Carries out the script: one board, its daemon of the day, and the people around it."""

    def __init__(self, seed: int, file: Path, daemon_type: type[Daemon] = Daemon) -> None:
        self.seed = seed
        self.script = write_script(seed)
        self.rng = random.Random(seed + 1_000_000)
        self.agenda = Agenda()
        self.faults: Counter[str] = Counter()
        self.file = file
        self.terminals = Terminals(
            vendor_sn="V1", vendor_key="vendor", app_id="A1", uses_left={"code": 10_000}, random=random.Random(seed)
        )
        self.judge = Judge(self.agenda, self.terminals)
        self.judge.on_death = self._note_death
        self.road = Road(self.agenda, self.rng, self.terminals, self.faults)
        self.road.is_lossy = self.script.profile.is_lossy
        self.road.on_disturbed = self.judge.reach.disturbed
        self.road.on_rotated = self.judge.rotated
        self.board = Board(self.agenda, self.rng, has_rtc=self.script.profile.has_rtc)
        self.daemon: Daemon | None = None
        self._daemon_type = daemon_type
        self._is_over = False
        self._off = self._offline = self._full = 0
        self._helped: CustodyState | None = None
        at = self.rng.choice((None, *range(24)))
        self.world = World(
            agenda=self.agenda,
            rng=self.rng,
            road=self.road,
            board=self.board,
            judge=self.judge,
            rules=rules(None if at is None else at * HOUR + self.rng.randrange(HOUR)),
            file=file,
            faults=self.faults,
            die=self.die,
            fill_disk=self.fill_disk,
        )

    # --- the script --------------------------------------------------------------------------------------------------

    def live(self, days: int) -> Year:
        """Live through the first days of the year, and one after them in which everything goes well."""
        self._activate()
        self._plan()
        self._power_on()
        self.agenda.run(days * DAY)
        self._calm_down()
        self.agenda.run(self.agenda.now + REST + MINUTE)
        self._kill()
        self.judge.close(self.file, is_calm=not self.script.profile.is_lossy)
        return Year(
            seed=self.seed,
            profile=self.script.profile.name,
            violations=tuple(self.judge.violations),
            faults=self.faults,
            counts=self.judge.counts,
            lock_outs=tuple(self.judge.lock_outs),
            least_left=self.judge.least_left,
            least_left_ordinary=self.judge.least_left_ordinary,
        )

    def _plan(self) -> None:
        script = self.script
        for name, spans, begin, end in (
            ("switched off for some hours", script.nights, self._cut_power, self._return_power),
            ("switched off for days", script.off, self._cut_power, self._return_power),
            ("power cut", script.power_cuts, self._cut_power, self._return_power),
            ("link down", script.offline, self._cut_link, self._return_link),
            ("full disk", script.full_disks, self._fill_disk, self._free_disk),
        ):
            for span in spans:
                self._plan_span(name, span, begin, end)
        for at in script.crashes:
            self._at(at, partial(self._happen, "death at any time", lambda: self.die(False)))  # noqa: FBT003 - as the script says it
        for at, by in script.clock_steps:
            self._at(at, partial(self._step_clock, by))
        for at in script.people:
            self._at(at, partial(self._person_asks, "a person asks"))
        for day in range(DAYS):
            self._at(day * DAY, partial(self._plan_day, day))

    def _plan_span(self, name: str, span: Span, begin: Callable[[], None], end: Callable[[], None]) -> None:
        length = span[1] - span[0]
        if name == "link down":
            lengths = ((HOUR, "minutes"), (12 * HOUR, "hours"), (4 * DAY, "days"), (YEAR, "weeks"))
            name = f"{name} for {next(word for limit, word in lengths if length <= limit)}"
        self._at(span[0], partial(self._happen, name, begin))
        self._at(span[1], end)

    def _plan_day(self, day: int) -> None:
        for at in sales_of_day(self.rng, self.script.profile, day):
            self._at(at, self._open_sale)
        for _ in range(IDLE_PROBES):
            self._at(day * DAY + self.rng.randrange(DAY), self._probe)

    def _at(self, when: float, work: Callable[[], None]) -> None:
        """Plan a happening of the year; none is left for the time after it."""
        self.agenda.at(when, lambda: None if self._is_over else work())

    def _happen(self, name: str, work: Callable[[], None]) -> None:
        self.faults[name] += 1
        self.judge.note(name)
        work()

    # --- power and process -------------------------------------------------------------------------------------------

    def _cut_power(self) -> None:
        self._off += 1
        if self._off == 1:
            self._kill()
            self.board.power_off()
            self._look_around()

    def _return_power(self) -> None:
        self._off -= 1
        if self._off == 0:
            self._power_on()

    def _power_on(self) -> None:
        self.judge.note("the power is on")
        self.board.power_on()
        self._set_link()
        if self.script.profile.has_ntp:
            self._sync_within(20 * MINUTE)
        self._start()

    def _start(self) -> None:
        if self.daemon is None and self.board.is_on:
            crashes = self.script.profile.is_lossy and not self._is_over
            self.daemon = self._daemon_type(self.world, crashes=crashes, is_disk_full=self._full > 0)
            self._look_around()
            self.daemon.start()

    def _kill(self) -> None:
        if self.daemon is not None:
            self.daemon.kill()
            self.daemon = None
        self._look_around()

    def die(self, takes_power: bool) -> None:  # noqa: FBT001 - a hook of the process
        """The process dies where it is, alone or with the power."""
        if takes_power:
            self._cut_power()
            self._at(self.agenda.now + self.rng.choice((SECOND, MINUTE, HOUR)), self._return_power)
        else:
            self._kill()
            self._at(self.agenda.now + self.rng.choice((500, 2 * SECOND, 45 * SECOND)), self._start)

    def _look_around(self) -> None:
        daemon = self.daemon
        is_connected = self.board.is_on and self.road.is_linked
        self.judge.connection.look_around(is_connected=is_connected, is_disk_full=self._full > 0)
        self.judge.reach.look_around(
            is_in_reach=daemon is not None and self.road.is_linked and self._full == 0,
            is_served=daemon is not None and daemon.is_sale_open,
        )

    # --- link, disk, clock -------------------------------------------------------------------------------------------

    def _cut_link(self) -> None:
        self._offline += 1
        self._set_link()

    def _return_link(self) -> None:
        self._offline -= 1
        self._set_link()
        if self._offline == 0 and self.script.profile.has_ntp:
            self._sync_within(20 * MINUTE)

    def _set_link(self) -> None:
        is_linked = self._offline == 0 and self.board.is_clock_good
        if is_linked is self.road.is_linked:
            return
        self.road.is_linked = is_linked
        self.judge.note("the link is up" if is_linked else "the link is down")
        self._look_around()
        if self.daemon is not None:
            self.daemon.link_changed()

    def _fill_disk(self) -> None:
        self._full += 1
        if self.daemon is not None:
            self.daemon.is_disk_full = True
        self._look_around()

    def fill_disk(self) -> bool:
        """The disk fills up in this moment, where it ever does."""
        if not self.script.profile.full_disks:
            return False
        self._happen("full disk", self._fill_disk)
        self._at(self.agenda.now + self.rng.uniform(MINUTE, HOUR), self._free_disk)
        return True

    def _free_disk(self) -> None:
        self._full -= 1
        self._look_around()
        if self._full == 0 and self.daemon is not None:
            self.daemon.free_disk()

    def _sync_within(self, wait: int) -> None:
        self.agenda.after(self.rng.uniform(5 * SECOND, wait), self._sync)

    def _sync(self) -> None:
        if self.board.is_on and self._offline == 0:
            self.board.sync()
            self._note_clock()

    def _correct_clock(self) -> None:
        if self.board.is_on:
            self.board.correct()
            self._note_clock()

    def _note_clock(self) -> None:
        self._set_link()
        if self.daemon is not None:
            self.daemon.watch()

    def _step_clock(self, by: int) -> None:
        names = ((-DAY, "clock set back by years"), (DAY, "clock set by a little"), (YEAR * 9, "clock ahead by months"))
        self._happen(next(name for limit, name in names if by <= limit), lambda: self.board.step(by))
        self._note_clock()
        if self.script.profile.has_ntp:
            self._sync_within(DAY)
        self._at(self.agenda.now + self.rng.uniform(HOUR, 2 * DAY), self._correct_clock)

    # --- people ------------------------------------------------------------------------------------------------------

    def _open_sale(self) -> None:
        if self.daemon is not None:
            self.daemon.open_sale()
        self._call_for_help()

    def _probe(self) -> None:
        if self.daemon is not None:
            self.daemon.probe()

    def _note_death(self) -> None:
        if self.daemon is not None:
            self.daemon.link_checked()

    def _person_asks(self, name: str) -> None:
        if self.daemon is not None and self.daemon.ask():
            self.faults[name] += 1

    def _call_for_help(self) -> None:
        """Whoever sees what the terminal says comes some hours or days later, and now and then nobody sees it."""
        state = self.judge.state
        if not self.judge.is_announced or state is self._helped:
            return
        self._helped = state
        longest = DAY if state is CustodyState.STOPPED else 4 * DAY
        self._at(self.agenda.now + self.rng.uniform(HOUR, longest), self._help)

    def _help(self) -> None:
        self._helped = None
        if not (self.daemon is not None and self.road.is_linked and self._full == 0):
            self._call_for_help()
        elif self.judge.state is CustodyState.LOCKED_OUT and self.judge.is_dead:
            self.faults["a technician activates the terminal again"] += 1
            self._kill()
            self._activate()
            self._start()
        elif self.judge.state is CustodyState.STOPPED and self.rng.random() < 0.7:
            self._person_asks("a person asks, as renewal has stopped")

    def _activate(self) -> None:
        sn, key = self.terminals.activate(
            {"app_id": "A1", "code": "code", "device_id": DEVICE}, now_s=self.agenda.now / 1000
        )
        now = WallTime(EPOCH + self.agenda.now)
        journal = SqliteJournal(self.file)
        terminal = Terminal(
            terminal_sn=sn,
            device_id=DEVICE,
            current_key=Secret(key),
            previous_key=None,
            activated_at=now,
            rotated_at=now,
        )
        journal.close_activation(journal.record_activation_intent("…", now), "activated", terminal)
        journal.close()
        self.judge.activated(sn, key)

    # --- the end -----------------------------------------------------------------------------------------------------

    def _calm_down(self) -> None:
        """Everything works from now on, and somebody does what the terminal asks for."""
        self._is_over = True
        self.road.is_lossy = False
        self._off = self._offline = self._full = 0
        self._set_link()
        if not self.board.is_on:
            self._power_on()
        self._start()
        assert self.daemon is not None
        self.daemon.crashes = False
        self.daemon.free_disk()
        self._sync()
        self._look_around()
        judge = self.judge
        judge.fresh_at = self.agenda.now if judge.state is CustodyState.FRESH and not judge.is_dead else None
        self.agenda.after(HOUR, self._ask_if_stopped)

    def _ask_if_stopped(self) -> None:
        if self.judge.state is CustodyState.STOPPED and self.daemon is not None:
            self.daemon.ask()


def rules(checkin_at: int | None) -> Rules:
    """The rules of a configuration; of these only those of the check-in matter here."""
    return Rules(
        payment_window=Duration(90 * SECOND),
        poll_interval=Duration(3 * SECOND),
        poll_window=Duration(50 * SECOND),
        late_lookups=(),
        qr_window=Duration(4 * MINUTE),
        delivery_window=Duration(3 * MINUTE),
        returns_overdue=False,
        job_lifetime=Duration(2 * MINUTE),
        day_offset=Duration(8 * HOUR),
        checkin_at=None if checkin_at is None else Duration(checkin_at),
    )


def fast_directory() -> str | None:
    """Where a file is synchronised in no time; None for the usual place. Nothing here looks at the real disk."""
    return "/dev/shm" if os.access("/dev/shm", os.W_OK) else None  # noqa: S108 - only directories of their own in it


def live_year(seed: int, file: Path, daemon_type: type[Daemon] = Daemon, *, days: int = DAYS) -> Year:
    """Live through the year of a seed or its first days, with its journal in a file that is not there yet."""
    return History(seed, file, daemon_type).live(days)
