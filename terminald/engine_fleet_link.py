"""The connection to a fleet's broker: kept, made again, and left in words; and the status that is told over it."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Final, NoReturn, Protocol

from terminald.adapters.api_views import status_json
from terminald.adapters.ports import Status
from terminald.adapters.ports_fleet import FleetBroker, FleetSession
from terminald.core.ids import WallTime
from terminald.errors import FleetError, FleetRefused
from terminald.logs import log_event
from terminald.logs_ids import LogId
from terminald.wire.fleet import FleetMessage, FleetVoice

_log = logging.getLogger(__name__)

#: The retained status is not sent more often than this, and at least so often.
STATUS_LEAST_S: Final = 5.0
STATUS_MOST_S: Final = 3600.0
#: What changes without an event is noticed so much later.
LOOK_AGAIN_S: Final = 30.0
#: The longest wait between two tries to connect, before chance makes it shorter.
LONGEST_WAIT_S: Final = 600.0
#: A connection that lived for so long was a good one.
GOOD_CONNECTION_S: Final = 60.0
#: How long the end of the daemon waits for the broker.
GOODBYE_S: Final = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetTerms:
    """How the broker is to be treated."""

    #: Connecting is put off by chance within this, so that thousands of terminals do not come in one moment.
    jitter_s: float
    #: Events a second, while there are many.
    max_rate: int


class News(Protocol):
    """What tells that the status may be another one."""

    @property
    def last_seq(self) -> int:
        """Return the sequence number of the newest event."""

    async def wait_for_event(self, seq: int) -> None:
        """Return when there is an event with a greater sequence number, at once if there is one."""


class Silence:
    """Implements :class:`News` where nothing is logged: the status is looked at now and then."""

    last_seq = 0

    async def wait_for_event(self, seq: int) -> None:  # noqa: ARG002 - there is none
        """Wait for ever."""
        await asyncio.Event().wait()


class FleetLink:
    """Keeps a connection to the broker. One instance for the life of the process."""

    def __init__(
        self,
        broker: FleetBroker,
        voice: FleetVoice,
        terms: FleetTerms,
        *,
        wall: Callable[[], WallTime],
        jitter: Callable[[], float],
    ) -> None:
        """Wall returns the time of day, jitter chance from 0 to 1."""
        self._broker = broker
        self._voice = voice
        self._terms = terms
        self._wall = wall
        self._jitter = jitter
        #: Status and events do not wait for their acknowledgements at the same time: so it is known which of them a
        #: connection ended over.
        self.turn = asyncio.Lock()
        #: The last failure that was logged; empty while the broker is told.
        self._told = "start"

    async def keep(
        self,
        greeting: Sequence[FleetMessage],
        talk: Callable[[FleetSession], Awaitable[None]],
        *,
        note: Callable[[BaseException | None], None] = lambda _: None,
    ) -> NoReturn:
        """Connect, greet and talk, and connect again, until cancelled; then take leave of the broker, within seconds.

        Note is told why each connection has ended.
        """
        tries = 0
        while True:
            wait_s = min(LONGEST_WAIT_S, self._terms.jitter_s * 2**tries)
            await asyncio.sleep(self._jitter() * max(wait_s, self._terms.jitter_s))
            began = time_now()
            failure = await self._try(greeting, talk)
            note(failure)
            if isinstance(failure, FleetError):
                self.tell(failure)
            elif failure is not None:
                log_event(_log, LogId.BROKER_FAULT, exc_info=failure)
            # The exponent stays small enough for a float, whatever the jitter.
            tries = 0 if time_now() - began >= GOOD_CONNECTION_S else min(tries + 1, 20)

    async def _try(
        self, greeting: Sequence[FleetMessage], talk: Callable[[FleetSession], Awaitable[None]]
    ) -> BaseException | None:
        """Return why a connection has ended: a fault of the library, whatever it is, is no reason not to sell."""
        connection = asyncio.create_task(self._connection(greeting, talk))
        try:
            await asyncio.wait({connection})
        finally:
            connection.cancel()
            await asyncio.wait({connection})
        return None if connection.cancelled() else connection.exception()

    async def _connection(
        self, greeting: Sequence[FleetMessage], talk: Callable[[FleetSession], Awaitable[None]]
    ) -> None:
        async with self._broker.session(self._voice.offline(self._wall(), "lost")) as session:
            try:
                await first(session.wait_lost(), self._talk(session, greeting, talk))
            except asyncio.CancelledError:
                # The end of the daemon, and of this task. Leaving in words takes the will away: so a message says it.
                with suppress(FleetError, TimeoutError):
                    async with asyncio.timeout(GOODBYE_S):
                        await session.deliver([self._voice.offline(self._wall(), "stopped")])

    async def _talk(
        self, session: FleetSession, greeting: Sequence[FleetMessage], talk: Callable[[FleetSession], Awaitable[None]]
    ) -> None:
        await session.deliver([*greeting, self._voice.online(self._wall())])
        if self._told:
            log_event(_log, LogId.BROKER_TOLD, reason=self._told)
        self._told = ""
        await talk(session)

    def tell(self, exc: FleetError) -> None:
        """Log the first failure of its kind as a warning, and those that follow it in detail only."""
        level = logging.DEBUG if exc.code == self._told else logging.WARNING
        self._told = exc.code
        log_event(_log, LogId.BROKER_AWAY, level=level, reason=exc.code, detail=exc.detail)

    # --- status ------------------------------------------------------------------------------------------------------

    async def keep_status(self, session: FleetSession, look: Callable[[], Status], news: News) -> NoReturn:
        """Tell the status when it changes, and now and then; look returns the present one."""
        told: Status | None = None
        told_at = 0.0
        while True:
            seq, status = news.last_seq, look()
            if told is None or _lasting(status) != _lasting(told) or time_now() - told_at >= STATUS_MOST_S:
                told, told_at = status, time_now()
                await self._tell_status(session, status)
            await asyncio.sleep(STATUS_LEAST_S)
            await within(LOOK_AGAIN_S, news.wait_for_event(seq))

    async def _tell_status(self, session: FleetSession, status: Status) -> None:
        message = self._voice.status(status_json(status, self._voice.about.version))
        if len(message.payload) > session.max_payload:
            self.tell(FleetError("refused", "the status is too large for the broker"))
            return
        try:
            async with self.turn:
                await session.deliver([message])
        except FleetRefused as exc:
            self.tell(exc)


def _lasting(status: Status) -> Status:
    """Return the status without what is another one every second."""
    key = None if status.key is None else replace(status.key, age_s=0)
    return replace(status, uptime_s=0, last_answer_at=None, key=key)


def time_now() -> float:
    """Return the event loop's time."""
    return asyncio.get_running_loop().time()


async def within(seconds: float, work: Awaitable[object]) -> None:
    """Wait for something, and not for long."""
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await work


async def first(*works: Coroutine[object, object, None]) -> None:
    """Do all of this until the first of it ends or fails; then end the rest."""
    tasks = [asyncio.create_task(work) for work in works]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
