"""Telling a fleet's broker what is in the event log, and how the terminal is. Nothing of the engine waits for it.

The log is the queue. What the broker has acknowledged is marked by its sequence number, in memory at once and in the
journal now and then; after a restart the log is passed on from the mark that is there. So each event arrives at least
once, and one that arrives again has the same number. The memory that is used does not grow with how far the broker is
behind: one page of the log at most.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final, NoReturn

from terminald.adapters.ports import Status
from terminald.adapters.ports_fleet import FleetBroker, FleetJournal, FleetMark, FleetSession, LoggedRow
from terminald.engine import Engine
from terminald.engine_fleet_link import FleetLink, FleetTerms, first, time_now, within
from terminald.errors import FleetError, FleetRefused, JournalError
from terminald.logs import log_event
from terminald.logs_ids import LogId
from terminald.wire.fleet import FleetMessage, FleetVoice

_log = logging.getLogger(__name__)

#: Rows that are read at once. A commit waits for one page at most: some milliseconds, also on a slow card.
PAGE: Final = 50
#: Events that are sent before their acknowledgements are waited for.
CHUNK: Final = 20
#: Reading waits for so long after news: the commits of one moment are read at once, and none of them waits for it.
SETTLE_S: Final = 0.1
#: How long what can wait is put off while somebody is being served. A kiosk that is never quiet still gets through.
PATIENCE_S: Final = 5.0
#: The mark is written so often at most, or after so many events, each time with a sync of the disk: what came after it
#: is sent again after a power cut. A customer's payment goes first, for so long.
MARK_EVERY_S: Final = 60.0
MARK_EVERY: Final = 500
MARK_PATIENCE_S: Final = 300.0
#: A broker that refuses messages has to be put right by a person.
REFUSED_PAUSE_S: Final = 60.0
#: A journal that can not be read is tried again after this.
JOURNAL_PAUSE_S: Final = 5.0
#: Connections that end so often over what is sent, and always at the same place of the log, are no accident: then
#: events are sent one by one, and after as many more the one at which it happens is left out, which the broker is told.
#: Not every broker refuses a single message in a way that the connection survives.
MISUNDERSTOOD: Final = 2
#: PUBACK reason codes that are about this message alone: Packet too large, Payload format invalid (MQTT 5.0, 3.4.2.1).
_OF_ITSELF: Final = frozenset({0x95, 0x99})


@dataclass(frozen=True, slots=True, kw_only=True)
class _Parcel:
    """A message, and the sequence number up to which the log is told once the broker has it."""

    seq: int
    message: FleetMessage
    #: What is sent in its place where it is too large.
    short: FleetMessage | None = None


class FleetCourier:
    """Keeps the broker informed. One instance for the life of the process."""

    def __init__(  # noqa: PLR0913 - what it brings together
        self,
        engine: Engine,
        look: Callable[[], Status],
        *,
        broker: FleetBroker,
        journal: FleetJournal,
        voice: FleetVoice,
        mark: FleetMark,
        terms: FleetTerms,
        jitter: Callable[[], float],
    ) -> None:
        """Look returns the present state; the mark is the journal's; jitter returns chance from 0 to 1."""
        self._engine = engine
        self._look = look
        self._link = FleetLink(broker, voice, terms, wall=lambda: engine.world.clock.now().wall, jitter=jitter)
        self._journal = journal
        self._voice = voice
        self._terms = terms
        self._jitter = jitter
        self._log_name = mark.log
        #: Everything up to here was acknowledged; and up to there the journal knows it.
        self._acknowledged = self._marked = mark.seq
        self._many = asyncio.Event()
        self._not_before = 0.0
        #: Whether events wait for their acknowledgements, and how many connections in a row ended over those after the
        #: acknowledged row.
        self._sends_events = False
        self._misunderstood = 0

    async def run(self) -> NoReturn:
        """Connect, tell, and connect again, until cancelled; then take leave of the broker, within seconds."""
        marking = asyncio.create_task(self._keep_mark())
        try:
            await self._link.keep((self._voice.discovery(),), self._talk, note=self._note_end)
        finally:
            marking.cancel()
            await asyncio.gather(marking, return_exceptions=True)
            await self._put_mark()

    async def _talk(self, session: FleetSession) -> None:
        await first(self._link.keep_status(session, self._look, self._engine), self._pass_on(session))

    def _note_end(self, failure: BaseException | None) -> None:
        if isinstance(failure, FleetError):
            self._misunderstood += failure.code == "protocol" and self._sends_events
        self._sends_events = False

    # --- events ------------------------------------------------------------------------------------------------------

    async def _pass_on(self, session: FleetSession) -> NoReturn:
        while True:
            await self._engine.wait_for_event(self._acknowledged)
            await asyncio.sleep(SETTLE_S)
            newest = self._engine.last_seq
            if newest - self._acknowledged > PAGE:
                await self._wait_quiet(PATIENCE_S)
            try:
                page = await self._journal.page(self._acknowledged, PAGE)
            except JournalError as exc:
                log_event(_log, LogId.BROKER_UNREAD, detail=str(exc))
                await asyncio.sleep(JOURNAL_PAUSE_S)
                continue
            await self._pass_on_page(session, page, newest)

    async def _pass_on_page(self, session: FleetSession, page: Sequence[LoggedRow], newest: int) -> None:
        parcels = self._parcels(page, newest, session.max_payload)
        if self._misunderstood >= 2 * MISUNDERSTOOD:
            parcels[:1] = [_shortened(one) for one in parcels[:1]]
        size = 1 if self._misunderstood >= MISUNDERSTOOD else CHUNK
        for start in range(0, len(parcels), size):
            chunk = parcels[start : start + size]
            await self._keep_pace(len(chunk))
            await self._deliver(session, chunk)
            self._acknowledge(chunk[-1].seq)
        self._acknowledge(page[-1].seq if page else newest)

    def _parcels(self, page: Sequence[LoggedRow], newest: int, most: int) -> list[_Parcel]:
        """Return what is to be said of a page that begins after the acknowledged row: its public events, and gaps.

        Numbers are given without a gap, so what is missing was deleted since.
        """
        parcels = []
        last = self._acknowledged
        for row in page:
            if row.seq > last + 1:
                parcels.append(_Parcel(seq=row.seq - 1, message=self._voice.gap(last + 1, row.seq - 1)))
            last = row.seq
            if row.topic:
                parcels.append(self._parcel(row, most))
        if not page and newest > last:
            parcels.append(_Parcel(seq=newest, message=self._voice.gap(last + 1, newest)))
        return parcels

    def _parcel(self, row: LoggedRow, most: int) -> _Parcel:
        message = self._voice.event(row.seq, row.topic, row.wall, row.body)
        short = self._voice.omitted(row.seq, row.topic, row.wall)
        if len(message.payload) > most:
            return _Parcel(seq=row.seq, message=short)
        return _Parcel(seq=row.seq, message=message, short=short)

    async def _deliver(self, session: FleetSession, chunk: list[_Parcel]) -> None:
        """Send a chunk until the broker has taken all of it."""
        while True:
            try:
                async with self._link.turn:
                    self._sends_events = True
                    await session.deliver([parcel.message for parcel in chunk])
                    self._sends_events = False
            except FleetRefused as exc:
                self._sends_events = False
                refused = chunk[exc.index]
                if exc.reason in _OF_ITSELF and refused.short is not None:
                    chunk[exc.index] = _shortened(refused)
                    continue
                self._link.tell(exc)
                await asyncio.sleep(REFUSED_PAUSE_S * (0.5 + self._jitter()))
            else:
                return

    async def _keep_pace(self, count: int) -> None:
        """Wait until so many more may be sent."""
        await asyncio.sleep(max(0.0, self._not_before - time_now()))
        self._not_before = max(self._not_before, time_now()) + count / self._terms.max_rate

    async def _wait_quiet(self, patience_s: float) -> None:
        """Return when nobody is being served, or when that has taken long enough."""

        async def quiet() -> None:
            while not self._engine.is_quiet():
                await self._engine.wait_for_event(self._engine.last_seq)

        await within(patience_s, quiet())

    # --- the mark ----------------------------------------------------------------------------------------------------

    def _acknowledge(self, seq: int) -> None:
        self._acknowledged = max(self._acknowledged, seq)
        self._misunderstood = 0
        if self._acknowledged - self._marked >= MARK_EVERY:
            self._many.set()

    async def _keep_mark(self) -> NoReturn:
        while True:
            await within(MARK_EVERY_S, self._many.wait())
            self._many.clear()
            if self._acknowledged > self._marked:
                await self._wait_quiet(MARK_PATIENCE_S)
                await self._put_mark()

    async def _put_mark(self) -> None:
        """Write the mark; where that is not possible now it is written later, and more is sent again."""
        seq = self._acknowledged
        if seq == self._marked:
            return
        try:
            await self._journal.put_mark(FleetMark(log=self._log_name, seq=seq))
        except JournalError as exc:
            log_event(_log, LogId.BROKER_UNMARKED, detail=str(exc))
        else:
            self._marked = seq


def _shortened(parcel: _Parcel) -> _Parcel:
    return parcel if parcel.short is None else replace(parcel, message=parcel.short, short=None)
