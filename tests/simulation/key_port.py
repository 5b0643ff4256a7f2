"""The gateway as the keeper sees it: what ``HttpGateway`` makes of exchanges, on the history's road."""

import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from terminald.adapters.clock import SystemClock
from terminald.adapters.gateway_http import Credentials
from terminald.adapters.ports import LinkReport
from terminald.core.commands import GatewayCommand
from terminald.core.custody_events import (
    CheckinNotSent,
    CheckinRefused,
    CheckinUnanswered,
    CustodyAnswer,
    KeyAccepted,
    KeyRefused,
    KeyRenewed,
    KeyUnanswered,
    PreviousKeyAccepted,
)
from terminald.core.custody_table import CustodyState
from terminald.core.events import Answer
from terminald.core.ids import Secret, WallTime
from terminald.core.schedule import Rules
from terminald.engine_custody import CustodyKeeper
from tests.simulation.agenda import SECOND, Agenda, Reply, Tasks
from tests.simulation.key_board import Board
from tests.simulation.key_judge import Judge
from tests.simulation.key_road import EPOCH, Asked, Outcome, Road, Told

#: Of all requests for the key's sake so many are under way when the process dies.
CRASHING_REQUESTS = 0.012
#: How closely requests that wait for others are timed.
STEP = 100


class Crash(Exception):
    """The process is gone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """What there is besides the process."""

    agenda: Agenda
    rng: random.Random
    road: Road
    board: Board
    judge: Judge
    rules: Rules
    file: Path
    faults: Counter[str]
    #: The process dies; with the power, or alone.
    die: Callable[[bool], None]
    #: The disk fills up, for a while; False where none ever does.
    fill_disk: Callable[[], bool]


class Process(Protocol):
    """What the port needs of the daemon that it belongs to."""

    keeper: CustodyKeeper
    is_sale_open: bool
    crashes: bool

    def watch(self) -> None: ...
    def later(self, wait: float, work: Callable[[], None]) -> None: ...


class KeyPort:
    """Implements the gateway's port for the keeper, and signs for the others."""

    def __init__(self, process: Process, world: World, clock: SystemClock, tasks: Tasks) -> None:
        self._process = process
        self._world = world
        self._clock = clock
        self._tasks = tasks

    async def perform(self, command: GatewayCommand) -> Answer:
        raise NotImplementedError("the keeper has no use for it")

    async def probe(self) -> LinkReport:
        raise NotImplementedError("the keeper has no use for it")

    async def prove(self) -> CustodyAnswer:
        held = self._credentials()
        self._may_die_soon()
        told = await self._send("query", held.terminal_sn, held.current)
        accepted: CustodyAnswer = KeyAccepted()
        if told.outcome is Outcome.REFUSED and held.previous is not None:
            told, accepted = await self._send("query", held.terminal_sn, held.previous), PreviousKeyAccepted()
        match told.outcome:
            case Outcome.ACCEPTED:
                if isinstance(accepted, KeyAccepted):
                    self._world.judge.proof_accepted()
                return accepted
            case Outcome.REFUSED:
                return KeyRefused()
            case _:
                return KeyUnanswered()

    async def check_in(self) -> CustodyAnswer:
        held = self._credentials()
        self._may_die_soon()
        self._world.judge.sends_checkin(held.current.reveal(), is_sale_open=self._process.is_sale_open)
        asked = Asked("checkin", held.terminal_sn, held.current.reveal())
        told = await self._world.road.exchange(self._tasks, asked)
        match told.outcome:
            case Outcome.ACCEPTED:
                return KeyRenewed(key=Secret(told.key))
            case Outcome.REFUSED:
                return CheckinRefused()
            case Outcome.NOT_SENT:
                self._world.judge.checkin_not_sent()
                return CheckinNotSent()
            case Outcome.UNANSWERED:
                return CheckinUnanswered()

    async def send_with_either(self, path: str) -> Told:
        """Send one request; where its signature is refused, the same once with the other key.

        It waits for a check-in that can make the key invalid, as with ``CustodyKeeper.perform``.
        """
        while self._is_unsure():
            await self._pause()
        held = self._credentials()
        told = await self._send(path, held.terminal_sn, held.current)
        if told.outcome is Outcome.REFUSED and held.previous is not None:
            self._world.judge.counts["requests signed once more with the other key"] += 1
            told = await self._send(path, held.terminal_sn, held.previous)
        return told

    def _is_unsure(self) -> bool:
        custody = self._process.keeper.custody
        return custody is not None and custody.state is CustodyState.RECHECKING

    def _pause(self) -> Reply[None]:
        reply = Reply[None](self._tasks)
        self._world.agenda.after(STEP, lambda: reply.give(None))
        return reply

    def _credentials(self) -> Credentials:
        credentials = self._process.keeper.credentials()
        assert credentials is not None
        self._world.judge.signs(credentials.current.reveal())
        return credentials

    async def _send(self, path: str, terminal_sn: str, key: Secret) -> Told:
        world = self._world
        told = await world.road.exchange(self._tasks, Asked(path, terminal_sn, key.reveal()))
        if told.outcome in (Outcome.ACCEPTED, Outcome.REFUSED):
            was_trusted = self._clock.now().is_trusted
            self._clock.note_gateway_time(WallTime((EPOCH + world.agenda.now) // 1000 * 1000))
            if not was_trusted:
                self._process.watch()
        return told

    def _may_die_soon(self) -> None:
        world = self._world
        if self._process.crashes and world.rng.random() < CRASHING_REQUESTS:
            takes_power = world.rng.random() < 0.5

            def die() -> None:
                world.faults["death while an answer is awaited"] += 1
                world.judge.note("dies while an answer is awaited")
                world.die(takes_power)

            self._process.later(world.rng.uniform(0, 4 * SECOND), die)
