"""The key's custody within the engine: its events, its requests to the gateway, and what the host is told."""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, replace

from terminald.adapters.api_views import key_attention_event, key_event
from terminald.adapters.gateway_http import Credentials
from terminald.adapters.ports import HELD_BACK, Batch, Clock, Entry, KeyAttention, KeyGateway, KeyStatus, LinkReport
from terminald.core import custody as keys
from terminald.core import stimuli
from terminald.core.commands import Command, GatewayCommand, OfferOrder, SubmitPayment
from terminald.core.custody_events import (
    CheckIn,
    CheckinNotSent,
    CheckinRefused,
    CheckinUnanswered,
    ClockTrusted,
    CustodyAnswer,
    KeyAccepted,
    KeyRenewed,
    LinkLost,
    PreviousKeyAccepted,
    ProofDue,
    ProveKey,
    RenewalDue,
)
from terminald.core.custody_table import TABLE, Custody, CustodyState
from terminald.core.events import Answer, Event, Fault, RequestNotSent
from terminald.core.ids import Instant, WallTime
from terminald.core.schedule import Now, Rules, later
from terminald.core.stimuli import Record
from terminald.core.tables import Wakeup
from terminald.engine_log import TransitionLog
from terminald.logs import log_event
from terminald.logs_ids import LogId

log = logging.getLogger(__name__)

#: How long the first sale after a start waits for a renewal that is due, and any sale where the key has become old:
#: long enough for a proof, a check-in and a proof on any link that can sell, and short enough for a customer not to
#: notice. After it the sale goes first.
FIRST_SALE_WAIT_S = 5.0
#: How long a sale waits for a check-in that may make our key invalid: as long as a request takes by default. No payment
#: should begin beside one.
RECHECK_WAIT_S = 30.0
#: How long a request waits for it that was under way before, or came all the same: less than a customer's patience.
REQUEST_WAIT_S = 15.0

_SHOWN = {
    CustodyState.UNPROVEN: "fresh",
    CustodyState.FRESH: "fresh",
    CustodyState.DUE: "stale",
    CustodyState.CHECKING_IN: "stale",
    CustodyState.DOUBTFUL: "doubtful",
    CustodyState.RECHECKING: "doubtful",
    CustodyState.STOPPED: "doubtful",
    CustodyState.EXPIRED: "expired",
    CustodyState.LOCKED_OUT: "locked_out",
}
_HELD_BACK = Fault(code=HELD_BACK, message="the terminal's key is being renewed; nothing was sent")
_GIVEN_UP = Fault(code=HELD_BACK, message="it was given up before it was sent")
#: What only a gateway that is there says.
_HEARD = KeyAccepted | PreviousKeyAccepted | KeyRenewed
#: What comes of a check-in, in public words.
_OUTCOMES: dict[type[CustodyAnswer], str] = {
    KeyRenewed: "renewed",
    CheckinRefused: "refused",
    CheckinNotSent: "not_sent",
    CheckinUnanswered: "unanswered",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Hands:
    """What the keeper needs of the engine that it belongs to."""

    #: Makes a batch durable, or raises JournalUnavailable.
    commit: Callable[[Batch], Awaitable[None]]
    #: Has a request carried out as a task of its own.
    spawn: Callable[[Coroutine[None, None, None]], object]
    #: Has an event taken by :meth:`CustodyKeeper.apply` within the loop, however long the journal takes.
    take: Callable[[Event, int | None], None]
    #: Whether nobody is being served: no customer, and nothing under way at the gateway.
    is_quiet: Callable[[], bool]
    #: Is told after each step.
    on_change: Callable[[], None]


class CustodyKeeper:
    """Holds the key. What others sign with is what was committed last."""

    def __init__(
        self, custody: Custody | None, *, gateway: KeyGateway, clock: Clock, rules: Rules, hands: Hands
    ) -> None:
        """Custody is None for a terminal that is not activated: then nothing is ever done."""
        self._transitions = TransitionLog()
        self.custody = custody
        self._gateway = gateway
        self._clock = clock
        self.rules = rules
        self._hands = hands
        self._knows_time = False
        #: Since when the link has not been proven, nor the gateway heard; None while it is proven.
        self._down_since: Instant | None = clock.now().instant
        self._first_sale_until: float | None = None
        self._stepped = asyncio.Event()
        self._under_way = 0
        #: How often which outcome a check-in has had, by public words.
        self.checkins = dict.fromkeys(_OUTCOMES.values(), 0)
        self._settled = asyncio.Event()
        self._settled.set()

    # --- requests of others ------------------------------------------------------------------------------------------

    async def perform(self, command: GatewayCommand, is_wanted: Callable[[], bool] = lambda: True) -> Answer:
        """Have the gateway carry out a request, signed with a key that no check-in under way can make invalid.

        Only a check-in after a lost answer can. Sales are held back while one is under way (:meth:`go_first`), so that
        a request that waits for it is a rare one; it waits REQUEST_WAIT_S. After that a submit is not sent, and
        anything else is, as it can be repeated. Nor is a submit sent that is not wanted any more when its turn comes.
        """
        await self._wait_while(self._is_rechecking, REQUEST_WAIT_S)
        if not is_wanted():
            return RequestNotSent(fault=_GIVEN_UP)
        if isinstance(command, SubmitPayment | OfferOrder) and self._is_rechecking():
            return RequestNotSent(fault=_HELD_BACK)
        return await self._gateway.perform(command)

    async def probe(self) -> LinkReport:
        """Prove the link, in the same way."""
        await self._wait_while(self._is_rechecking, REQUEST_WAIT_S)
        return await self._gateway.probe()

    def _is_rechecking(self) -> bool:
        return self.custody is not None and self.custody.state is CustodyState.RECHECKING

    async def _wait_while(self, holds: Callable[[], bool], seconds: float) -> None:
        """Return when a condition that the steps of the key decide does not hold, and after so many seconds anyhow."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while holds():
                    await self._stepped.wait()

    # --- event → step → commit → perform -----------------------------------------------------------------------------

    async def apply(self, event: Event, token: int | None = None) -> None:
        """Take one step. Only within the engine's loop; an event that the state has no use for changes nothing.

        Raises:
            JournalUnavailable: nothing was changed, and nothing will be performed.
        """
        if isinstance(event, LinkLost) and self._is_over(event):
            return  # it came back while this was waiting
        await self._step(event, token)
        if isinstance(event, LinkLost) and self._is_over(event):
            self._hands.take(ProofDue(), None)
        if isinstance(event, _HEARD) and self._down_since is not None:
            # The monitor has still to look: whatever outage there was is over, and if the link is away it is a new one.
            self._down_since = self._clock.now().instant
        if isinstance(event, CustodyAnswer):
            self._under_way -= 1
            if not self.is_busy:
                self._settled.set()
        self._stepped.set()
        self._stepped = asyncio.Event()

    def _is_over(self, lost: LinkLost) -> bool:
        return self._down_since is None or self._down_since > lost.since

    async def _step(self, event: Event, token: int | None) -> None:
        before = self.custody
        if before is None or type(event) not in TABLE[before.state] or keys.is_stale(before, token):
            return
        if isinstance(event, KeyAccepted):
            event = replace(event, is_quiet=self._hands.is_quiet())
        now = self._clock.now()
        after, commands = keys.step(before, event, now=now, rules=self.rules)
        record = Record(
            kind="key",
            subject=f"key {after.rotation.version}",
            sale_id=stimuli.NO_SALE,
            cause=type(event).__name__,
            before=before.state.value,
            after=after.state.value,
        )
        await self._hands.commit(Batch(now=now, custody=after, entries=_entries(record, before, after, now)))
        self.custody = after
        _tell_log(self._transitions, now.instant, record, event, before, after)
        for command in commands:
            self._under_way += 1
            self._settled.clear()
            self._hands.spawn(self._ask(command))
        self._hands.on_change()

    async def _ask(self, command: Command) -> None:
        match command:
            case CheckIn():
                answer = await self._gateway.check_in()
                self.checkins[_OUTCOMES[type(answer)]] += 1
                self._hands.take(answer, command.token)
            case ProveKey():
                self._hands.take(await self._gateway.prove(), command.token)
            case _:
                raise TypeError(f"nobody performs {type(command).__name__}")

    # --- when --------------------------------------------------------------------------------------------------------

    def next_wakeup(self) -> Wakeup | None:
        """Return the next moment at which the key wants an event; None while somebody is being served."""
        if self.custody is None or not self._hands.is_quiet():
            return None
        of_key, down_since = keys.next_wakeup(self.custody), self._down_since
        if down_since is None or self.custody.rotation.out_since is not None:
            return of_key
        lost = Wakeup(at=later(down_since, keys.OUTAGE_AFTER), event=LinkLost(since=down_since))
        return lost if of_key is None or lost.at < of_key.at else of_key

    def note_time(self) -> None:
        """Tell the machine, once, that the time of day is known."""
        if not self._knows_time and self._clock.now().is_trusted:
            self._knows_time = True
            self._hands.take(ClockTrusted(), None)

    def note_link(self, *, is_proven: bool, is_key_refused: bool) -> None:
        """Prove the key where what the link was told gives reason to, and note since when it has been away.

        A renewal that waits is tried after each further probe that was accepted as well, where nobody is served: proofs
        may be lost one by one, and half an hour with a link may be all there is.
        """
        self.note_time()
        is_time = self._down_since is not None or self._hands.is_quiet()
        if is_proven:
            self._down_since = None
        elif self._down_since is None:
            self._down_since = self._clock.now().instant
        if self.custody is None:
            return
        state, now = self.custody.state, self._clock.now()
        is_lost = state in (CustodyState.LOCKED_OUT, CustodyState.EXPIRED)
        waits = self.custody.rotation.retry is not None and keys.may_ask(self.custody, now)
        is_back = self.custody.rotation.out_since is not None
        is_wanted = is_proven and is_time and (is_lost or waits or is_back)
        if is_wanted or (is_key_refused and state is not CustodyState.LOCKED_OUT):
            self._hands.take(ProofDue(), None)
        if is_proven and not self._knows_time and self.custody.rotation.power_back is not None:
            # The gateway answers, and says no time: how old the key is nobody will know.
            self._hands.take(RenewalDue(), None)

    async def go_first(self) -> None:
        """Return when nothing about the key wants to be settled before a sale is begun.

        Before the first sale of this process, and all in all no longer than FIRST_SALE_WAIT_S: so a renewal that is due
        after a long time without power comes before that sale, and not into it. The same before each sale once the key
        is so old that it was not renewed for want of a quiet moment. A check-in that may make our key invalid is waited
        for in any case, RECHECK_WAIT_S at most.
        """
        loop = asyncio.get_running_loop()
        now = loop.time()
        if self._first_sale_until is None:
            self._first_sale_until = now + FIRST_SALE_WAIT_S
        is_urgent = self.custody is not None and keys.is_urgent(self.custody, self._clock.now())
        until = now + FIRST_SALE_WAIT_S if is_urgent else self._first_sale_until
        await self._wait_while(self._wants_turn, until - now)
        await self._wait_while(self._is_rechecking, now + RECHECK_WAIT_S - loop.time())

    def _wants_turn(self) -> bool:
        if self.custody is None or not self._hands.is_quiet():
            return False
        return self.is_busy or keys.wants_turn(self.custody, self._clock.now())

    # --- questions ---------------------------------------------------------------------------------------------------

    @property
    def is_locked_out(self) -> bool:
        """Whether the gateway has refused every key that we hold."""
        return self.custody is not None and self.custody.state is CustodyState.LOCKED_OUT

    @property
    def is_expired(self) -> bool:
        """Whether the key is older than the gateway allows."""
        return self.custody is not None and self.custody.state is CustodyState.EXPIRED

    @property
    def is_asking(self) -> bool:
        """Whether a check-in is under way: a stop now would make its outcome unknown."""
        return self.custody is not None and keys.is_asking(self.custody)

    @property
    def is_busy(self) -> bool:
        """Whether an answer about the key is awaited."""
        return self._under_way > 0

    async def settle(self) -> None:
        """Return when no answer about the key is awaited."""
        await self._settled.wait()

    def credentials(self) -> Credentials | None:
        """Return who the terminal is, with the keys that are on disk: one consistent set for each request."""
        if self.custody is None:
            return None
        terminal, rotation = self.custody.terminal, self.custody.rotation
        return Credentials(
            terminal_sn=terminal.terminal_sn,
            device_id=terminal.device_id,
            current=terminal.current_key,
            previous=terminal.previous_key,
            version=rotation.version,
            previous_version=rotation.previous_version,
        )

    def status(self) -> KeyStatus | None:
        """Return what may be shown of the key."""
        return None if self.custody is None else status_of(self.custody, self._clock.now())


def _entries(record: Record, before: Custody, after: Custody, now: Now) -> tuple[Entry, ...]:
    """Return the rows of the event log for one step: its record, and a call for a person where one is raised."""
    shown, old, new = status_of(after, now), before.rotation.attention, after.rotation.attention
    is_news = after.state is not before.state or new != old
    entry = Entry(record=record, topic="key" if is_news else "", body=key_event(shown) if is_news else b"")
    if shown.attention is None or (old is not None and old.code == shown.attention.code):
        return (entry,)
    raised = replace(record, kind="attention", before="", after=shown.attention.code)
    return (entry, Entry(record=raised, topic="attention", body=key_attention_event(shown.attention)))


def _tell_log(told: TransitionLog, at: Instant, record: Record, event: Event, before: Custody, after: Custody) -> None:
    """Log a step, and what an answer said that was not good. No key is quoted: custody keeps it out (I7)."""
    fault = after.rotation.fault if isinstance(event, CustodyAnswer) else None
    told.tell(record, at, key_version=after.rotation.version, fault=fault)
    old, new = before.rotation.attention, after.rotation.attention
    if new is not None and (old is None or old.code != new.code):
        detail = f"{fault.code}: {fault.message}" if fault else ""
        log_event(log, LogId.KEY_ATTENTION, code=new.code, detail=detail)


def status_of(custody: Custody, now: Now) -> KeyStatus:
    """Return what may be shown of the key: its age and state, never itself."""
    attention = None
    if (raised := custody.rotation.attention) is not None:
        since = WallTime(now.wall - (now.instant - raised.since))
        attention = KeyAttention(code=raised.code, since=since)
    return KeyStatus(
        state=_SHOWN[custody.state],
        age_s=max(0, now.instant - custody.rotation.rotated) // 1000,
        rotated_at=custody.terminal.rotated_at,
        next_checkin=keys.next_checkin(custody, now),
        attention=attention,
    )
