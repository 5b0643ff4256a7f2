"""The road to the gateway, and the gateway's keys. Single messages get lost, late, repeated, or garbled."""

import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum

from terminald.simulator.gateway_terminals import Terminals
from tests.simulation.agenda import MINUTE, SECOND, Agenda, Reply, Tasks

DEVICE = "d1"
#: Of all messages, requests and answers alike, so many are lost.
LOSS = 0.05
#: How long the terminal waits for an answer.
PATIENCE = 15 * SECOND
#: No request is held up for longer than this: below ``SETTLE``, as a network that keeps one for hours is none.
LONGEST_DELAY = 9 * MINUTE
#: When the history begins: a day of 2026, in milliseconds since 1970.
EPOCH = 1_767_225_600_000


class Outcome(Enum):
    """What the terminal knows of an exchange."""

    NOT_SENT = "not sent"
    UNANSWERED = "unanswered"
    REFUSED = "ILLEGAL_SIGN"
    ACCEPTED = "accepted"


@dataclass(frozen=True, slots=True)
class Told:
    """The end of an exchange; of a check-in with the new key."""

    outcome: Outcome
    key: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Asked:
    """One signed request."""

    path: str  # "query" | "pay" | "checkin"
    terminal_sn: str
    key: str = field(repr=False)


class Fate(Enum):
    """What becomes of an exchange; the value names it in the summary."""

    LOST_REQUEST = "lost request"
    LOST_ANSWER = "lost answer"
    NOT_SENT = "not sent"
    DELAYED = "delayed request"
    REPEATED = "repeated request"
    GARBLED = "garbled answer"
    GOOD = "good"


_FATES: tuple[tuple[Fate, float], ...] = (
    (Fate.LOST_REQUEST, LOSS),
    (Fate.LOST_ANSWER, (1 - LOSS) * LOSS),
    (Fate.NOT_SENT, 0.01),
    (Fate.DELAYED, 0.01),
    (Fate.GARBLED, 0.005),
    (Fate.REPEATED, 0.002),
)

_Then = Callable[[Told], None] | None


def _nothing() -> None:
    """Nobody wants to know."""


class Road:
    """Carries requests. What is on it goes on when the terminal dies."""

    def __init__(self, agenda: Agenda, rng: random.Random, terminals: Terminals, faults: Counter[str]) -> None:
        self.agenda = agenda
        self.terminals = terminals
        self.is_linked = True
        self.is_lossy = False
        self.on_disturbed: Callable[[], None] = _nothing
        self.on_rotated: Callable[[str, bool], None] = lambda _key, _is_repeated: None
        self._rng = rng
        self._faults = faults

    def exchange(self, tasks: Tasks, asked: Asked) -> Reply[Told]:
        """Send one request, once."""
        rng, reply = self._rng, Reply[Told](tasks)
        fate = self._draw()
        if not self.is_linked or fate is Fate.NOT_SENT:
            self.agenda.after(rng.choice((30, 5 * SECOND)), lambda: reply.give(Told(Outcome.NOT_SENT)))
            return reply
        if fate not in (Fate.GOOD, Fate.REPEATED):
            self._give_up(reply, self.agenda.now)
        if fate is Fate.LOST_REQUEST:
            return reply
        sent, told = self.agenda.now, (None if fate in (Fate.LOST_ANSWER, Fate.GARBLED, Fate.DELAYED) else reply)
        wait = rng.uniform(PATIENCE, LONGEST_DELAY) if fate is Fate.DELAYED else rng.uniform(20, 1500)
        self.agenda.after(wait, lambda: self._arrive(asked, sent, told))
        if fate is Fate.REPEATED:
            self.agenda.after(wait + rng.uniform(1, 5000), lambda: self._arrive(asked, sent, None, is_repeated=True))
        return reply

    def _draw(self) -> Fate:
        if not self.is_lossy:
            return Fate.GOOD
        at = self._rng.random()
        for fate, share in _FATES:
            at -= share
            if at < 0:
                self._faults[fate.value] += 1
                self.on_disturbed()
                return fate
        return Fate.GOOD

    def _give_up(self, reply: Reply[Told], sent: int) -> None:
        """The line breaks, or nothing ever comes."""
        until = self.agenda.now + self._rng.uniform(20, 3000) if self._rng.random() < 0.3 else sent + PATIENCE
        self.agenda.at(until, lambda: reply.give(Told(Outcome.UNANSWERED)))

    def _arrive(self, asked: Asked, sent: int, reply: Reply[Told] | None, *, is_repeated: bool = False) -> None:
        if not self.is_linked:
            self._cut(reply, sent)
            return
        told = self._receive(asked, is_repeated=is_repeated)
        if reply is not None:
            self.agenda.after(self._rng.uniform(20, 1500), lambda: self._answer(told, sent, reply))

    def _answer(self, told: Told, sent: int, reply: Reply[Told]) -> None:
        if self.is_linked:
            reply.give(told)
        else:
            self._cut(reply, sent)

    def _cut(self, reply: Reply[Told] | None, sent: int) -> None:
        self._faults["link cut while a message is on its way"] += 1
        if reply is not None:
            self._give_up(reply, sent)

    def _receive(self, asked: Asked, *, is_repeated: bool) -> Told:
        now_s = self.agenda.now / 1000
        if not self.terminals.accepts(asked.terminal_sn, asked.key, now_s=now_s):
            return Told(Outcome.REFUSED)
        if asked.path != "checkin":
            return Told(Outcome.ACCEPTED)
        key = self.terminals.check_in(self.terminals.by_sn[asked.terminal_sn], DEVICE, now_s=now_s)
        self.on_rotated(key, is_repeated)
        return Told(Outcome.ACCEPTED, key)
