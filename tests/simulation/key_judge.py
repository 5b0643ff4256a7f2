"""Judges a year of the key from the gateway's side: who was locked out, could it be helped, and was it said (I6, I7).

The words used here:

- A terminal is *in reach* while it has power and a link, its disk works and none of its messages is lost.
- A *good half hour* is half an hour in reach in which nobody is served.
- The terminal is *dead* while the gateway accepts none of the keys that are on its disk; it is *locked out* when that
  lasts, as an answer that is on its way may still bring a new key.

Which lock-outs are unavoidable, so that all others are violations, is told in ``key_reason``.
"""

import itertools
import re
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from terminald.adapters.ports import Batch
from terminald.core.custody import LEAST_WAIT, SETTLE
from terminald.core.custody_table import Custody, CustodyState
from terminald.core.stimuli import Record
from terminald.simulator.gateway_terminals import Terminals
from tests.simulation.agenda import DAY, HOUR, MINUTE, SECOND, Agenda
from tests.simulation.key_reach import Reach
from tests.simulation.key_reason import KEY_LIFE, Connection, LockOut, Renewals, find_reason

S = CustodyState
#: In reach for so long, a terminal that is dead has said so: an idle link is proven every five to six minutes.
SAYS_WITHIN = 10 * MINUTE
#: In a good time a wrong alarm is taken back within this.
ALARM_HOLDS = HOUR
#: An answer that is on its way may bring a dead terminal back.
SETTLES = 20 * SECOND
#: Trusted clocks agree to a minute, and an outage is measured with two of them.
CLOCK_ERROR = MINUTE
#: A terminal that was never out of reach for longer than a night is ordinary: its margin counts.
NIGHT = 12 * HOUR
#: Check-ins without an answer, after which none is sent unasked.
MOST_UNANSWERED = 2
#: So many of the last happenings are shown with a violation.
STORY = 60

ASKING = frozenset({S.CHECKING_IN, S.RECHECKING})
_ASKING_WORDS = frozenset(state.value for state in ASKING)
LOST = frozenset({S.EXPIRED, S.LOCKED_OUT})
HALTED = frozenset({S.STOPPED, S.EXPIRED, S.LOCKED_OUT})
#: Together with advice; a person's check-in does not take that back.
SAYS_SO = HALTED | {S.RECHECKING}


_HEX_KEY = re.compile(rb"[0-9a-f]{32}")


def clock_text(ms: int) -> str:
    """A moment of the history, for people."""
    day, rest = divmod(ms, DAY)
    return f"day {day:3} {rest // HOUR:02}:{rest // MINUTE % 60:02}:{rest // SECOND % 60:02}"


@dataclass(frozen=True, slots=True)
class Violation:
    """What was wrong, and what had happened before."""

    text: str
    story: tuple[str, ...]


class Judge:
    """Is told everything; keeps what was wrong, and how much of what there was."""

    def __init__(self, agenda: Agenda, terminals: Terminals) -> None:
        self.violations: list[Violation] = []
        self.counts: Counter[str] = Counter()
        self.lock_outs: list[LockOut] = []
        self.checkins: list[int] = []
        #: The least life that was left of a key when it was renewed: of all terminals, and of ordinary ones.
        self.least_left = self.least_left_ordinary = KEY_LIFE
        self.fresh_at: int | None = None
        #: Whether a request for a check-in is a person's at this moment.
        self.is_person_asking = False
        #: Every key that the gateway ever made.
        self.all_made: list[str] = []
        self.on_death: Callable[[], None] = lambda: None
        self.reach = Reach(agenda, on_reach=self._watch_announcement, on_good=self._watch_alarm)
        self.connection = Connection(agenda)
        self._agenda = agenda
        self._terminals = terminals
        self._story: deque[str] = deque(maxlen=STORY)
        self._custody: Custody | None = None
        self._terminal_sn = ""
        self._held: tuple[str, ...] = ()
        self._renewals = Renewals()
        self._dies_at = 0
        self._dead_since: int | None = None
        self._alarm_since: int | None = None

    def note(self, text: str) -> None:
        """Remember what happened, for the transcript."""
        self._story.append(f"{clock_text(self._agenda.now)}  {text}")

    def find(self, rule: str, text: str) -> None:
        """Take down a violation."""
        self.note(f"VIOLATION {rule}: {text}")
        self.violations.append(Violation(f"{rule}: {clock_text(self._agenda.now)}: {text}", tuple(self._story)))

    # --- the terminal ------------------------------------------------------------------------------------------------

    @property
    def state(self) -> CustodyState:
        """The state of custody on disk."""
        return S.UNPROVEN if self._custody is None else self._custody.state

    @property
    def is_dead(self) -> bool:
        """Whether the gateway accepts none of the keys on disk."""
        return self._dead_since is not None

    @property
    def is_announced(self) -> bool:
        """Whether the terminal says that its key may be lost, with advice."""
        return self.state in SAYS_SO and self._custody is not None and self._custody.rotation.attention is not None

    def activated(self, terminal_sn: str, key: str) -> None:
        """There is a new identity on disk."""
        self._terminal_sn, self._held, self._custody = terminal_sn, (key,), None
        self._renewals, self._dead_since = Renewals(since=self._agenda.now, made=[key]), None
        self.all_made.append(key)
        self._look()

    def committed(self, batch: Batch) -> None:
        """A step of the key is on disk."""
        entry, after = batch.entries[0], batch.custody
        assert after is not None
        record, before, self._custody = entry.record, self.state, after
        if record.before != record.after or record.cause.startswith("Key"):
            self.note(f"{record.before} → {record.after} on {record.cause}")
        shown = b"".join(one.body + repr(one.record).encode() for one in batch.entries)
        if any(key.encode() in shown for key in (*self._held, *self._renewals.made[-2:])):
            self.find("I7", f"a key is shown on {record.cause}")
        if after.state in HALTED and after.rotation.attention is None:
            self.find("announced", f"{after.state.value} without a word")
        if after.state in HALTED and after.state is not before:
            self.counts[f"times {after.state.value}"] += 1
            if entry.topic != "key":
                self.find("announced", f"{after.state.value} without an event")
        if self.is_dead and self.lock_outs:
            self.lock_outs[-1].is_announced |= self.is_announced
        if after.state is S.FRESH and self.fresh_at is None:
            self.fresh_at = self._agenda.now
        self._count(after, record)
        self._watch_announcement()
        self._watch_alarm()

    def _count(self, after: Custody, record: Record) -> None:
        renewals, now, terminal = self._renewals, self._agenda.now, after.terminal
        if after.state in ASKING and record.before != record.after:
            renewals.meant_before, renewals.meant = renewals.meant, now
            renewals.unanswered += 1
        elif record.cause in ("CheckinRefused", "CheckinNotSent", "LastCheckinFailed"):
            renewals.unanswered = max(0, renewals.unanswered - 1)
            if record.cause == "CheckinNotSent":
                renewals.meant = renewals.meant_before
        elif record.cause == "CheckinRequested" and self.is_person_asking:
            self.note("a person asks for a check-in")
            renewals.asked_for = now
        elif record.cause == "KeyRenewed":
            renewals.unanswered = 0
            self.counts["renewals"] += 1
            left = self._dies_at - now
            self.least_left = min(self.least_left, left)
            if self.reach.longest_gap() <= NIGHT:
                self.least_left_ordinary = min(self.least_left_ordinary, left)
        is_open = record.cause == "CheckinNotSent" and after.state is not S.STOPPED
        if record.before in _ASKING_WORDS and after.state not in ASKING and not is_open:
            # Whatever a person asked for has been tried, and came to an end before that person's eyes.
            renewals.asked_for = -DAY
        held = tuple(one.reveal() for one in (terminal.current_key, terminal.previous_key) if one is not None)
        if held != self._held:
            self._held = held
            self._look()

    def sends_checkin(self, key: str, *, is_sale_open: bool) -> None:
        """A check-in leaves the terminal."""
        renewals, now = self._renewals, self._agenda.now
        self.note("a check-in is sent")
        self.counts["check-ins"] += 1
        self.checkins.append(now)
        self.signs(key)
        if is_sale_open:
            self.find("quiet", "a check-in while a sale is open")
        if renewals.unanswered > MOST_UNANSWERED and renewals.asked_for < renewals.since:
            self.find("stop", f"check-in {renewals.unanswered} without an answer, and nobody has asked for it")
        if not renewals.proven_since:
            self.find("proof", "two check-ins without an accepted proof between them")
        if renewals.sent is not None:
            wait, is_asked = now - renewals.sent, renewals.asked_for >= renewals.sent
            if wait < (SETTLE if is_asked else LEAST_WAIT) - CLOCK_ERROR:
                self.find("six hours", f"a check-in {wait // SECOND} s after another")
        renewals.before = renewals.sent, renewals.proven_since
        renewals.sent, renewals.proven_since = now, False

    def checkin_not_sent(self) -> None:
        """The check-in provably never left: as if it had not been tried."""
        self.note("it was not sent")
        self._renewals.sent, self._renewals.proven_since = self._renewals.before

    def proof_accepted(self) -> None:
        """The terminal is told that its current key is accepted."""
        self._renewals.proven_since = True

    def signs(self, key: str) -> None:
        """A request is signed with this as the current key."""
        if key != self._held[0]:
            self.find("I6", "a key is used that is not on disk")

    def payment_refused(self) -> None:
        """A payment was refused for its signature, with either key."""
        self.note("a payment is refused for its signature")
        self.counts["payments refused for their signature"] += 1
        if not self.is_dead:
            self.find("payment", "refused although the gateway accepts a key on disk")
        if not self.is_announced:
            self.counts["payments refused before it was announced"] += 1

    # --- the gateway -------------------------------------------------------------------------------------------------

    def rotated(self, key: str, is_repeated: bool) -> None:  # noqa: FBT001 - a hook of the road
        """The gateway has made a new key."""
        self._renewals.made.append(key)
        self.all_made.append(key)
        self.note("the gateway makes a new key" + ", for a request that was repeated" * is_repeated)
        if is_repeated:
            self._renewals.repeated.add(key)
        self._look()

    def _look(self) -> None:
        """Is a key on disk accepted, and until when?"""
        now, keys = self._agenda.now, self._terminals.by_sn[self._terminal_sn].keys
        ends = [int(key.issued_s * 1000) + KEY_LIFE for key in keys if key.value in self._held]
        if any(end >= now for end in ends):
            self._dies_at = max(ends)
            self._dead_since = None
            self._agenda.at(self._dies_at + 2, self._look)
        elif self._dead_since is None:
            self._dead_since = now
            self.note("the gateway accepts no key that is on disk")
            self._agenda.after(SETTLES, lambda: self._settle(now))
            self._watch_announcement()
            self.on_death()

    def _settle(self, since: int) -> None:
        if self._dead_since != since:
            return
        lock_out = LockOut(find_reason(self._renewals, self._held, since, self.connection), self.is_announced, since)
        self.lock_outs.append(lock_out)
        self.note(f"locked out: {lock_out.reason.value}")
        if not lock_out.is_unavoidable:
            for start, end in self.connection.half_hours(since - KEY_LIFE, since):
                self.note(f"power and link from {clock_text(start)} to {clock_text(end)}")
            self.find("I6", f"locked out: {lock_out.reason.value}")

    # --- what has to be within some time -----------------------------------------------------------------------------

    def _watch_announcement(self) -> None:
        """A dead terminal in reach says so soon."""
        since, died = self.reach.since, self._dead_since
        if since is None or died is None or self.is_announced:
            return

        def look() -> None:
            if (self.reach.since, self._dead_since) == (since, died) and not self.is_announced:
                self.find("announced", f"no key is accepted for {SAYS_WITHIN // MINUTE} min in reach, and no word")

        self._agenda.at(max(since, died) + SAYS_WITHIN, look)

    def _watch_alarm(self) -> None:
        """A terminal that says that its key is lost, and holds an accepted one, takes that back soon."""
        if self.is_dead or self.state not in LOST:
            self._alarm_since = None
            return
        good = self.reach.good_since
        if good is None:
            return
        if self._alarm_since is None:
            self._alarm_since = self._agenda.now
        alarm = self._alarm_since

        def look() -> None:
            if (self._alarm_since, self.reach.good_since) == (alarm, good) and not self.is_dead:
                self.find("alarm", f"{self.state.value} although a key is accepted")

        self._agenda.at(max(alarm, good) + ALARM_HOLDS, look)

    # --- the end -----------------------------------------------------------------------------------------------------

    def close(self, file: Path, *, is_calm: bool) -> None:
        """Judge what there is a day after everything works; calm: everything always did. The journal is closed."""
        self.note("the end")
        for one in self.lock_outs:
            one.is_in_reach = self.connection.is_in_reach(one.died - KEY_LIFE, one.died)
        self.counts[f"at the end: {self.state.value}"] += 1
        if not all(one.is_announced for one in self.lock_outs) or (self.is_dead and not self.is_announced):
            self.find("announced", "there was no accepted key, and no word of it")
        if not self.is_dead and self.fresh_at is None:
            self.find("rest", f"a day after everything works the key is {self.state.value}")
        if is_calm:
            self._judge_days()
        found = {key for each in file.parent.glob(f"{file.name}*") for key in _HEX_KEY.findall(each.read_bytes())}
        if any(key.encode() in found for key in self.all_made if key not in self._held):
            self.find("I7", "an old key is in the journal's files")

    def _judge_days(self) -> None:
        """With a good link the key is renewed once a day, or a little more often."""
        times = [0, *self.checkins, self._agenda.now]
        for before, after in itertools.pairwise(times):
            if after - before > DAY + 10 * MINUTE:
                self.find("daily", f"no check-in from {clock_text(before)} to {clock_text(after)}")
        for first, third in zip(self.checkins, self.checkins[2:], strict=False):
            if third - first < DAY - 10 * MINUTE:
                self.find("daily", f"three check-ins from {clock_text(first)} to {clock_text(third)}")
