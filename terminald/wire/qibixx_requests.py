"""Which request of the machine a line is about, when nothing in the lines says so.

A machine has one request at a time, and the adapter tells things in the order in which they happen. From these two the
rules follow:

1. ``c,STATUS,VEND`` is a new request when another status, or the end of the request before it, came in between, or when
   it asks for something else. Otherwise it is the same one once more. DISABLED is no end: "any transaction in progress
   will not be affected" (MDB/ICP 4.2, reader disable), and a machine that is enabled again is told by ENABLED.
2. An answer is written while its request is the last that was asked, and only once: an approval is never followed by a
   denial (unless the adapter has rejected it), nor a denial by an approval.
3. An approved request stays the one that results are about until there is one, or a new request: a reset, a cancel or a
   status without result leaves open what the machine did.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import Enum
from typing import Final

from terminald.core.vend_events import (
    AdapterLost,
    ApprovalRejected,
    MachineReset,
    RequestGone,
    VendCanceled,
    VendEvent,
    VendFailed,
    VendRequested,
    VendSucceeded,
)
from terminald.wire.qibixx import DENY, Asked, AskedWrongly, Heard, Sign, Status

#: Firmware may tell no status after a denial. A line that is said twice comes twice at once: what is asked again after
#: this time is asked anew.
REPEAT_MS: Final = 2_000


class _Phase(Enum):
    ASKING = "asking"
    APPROVED = "approved"
    DOUBTFUL = "doubtful"  # approved, and something else than a result was told since


@dataclass(frozen=True, slots=True, kw_only=True)
class _Request:
    number: int
    price: str
    phase: _Phase = _Phase.ASKING
    approved_ms: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What follows from a line: what to tell, in this order, and what to write."""

    events: tuple[VendEvent, ...] = ()
    command: bytes = b""


NOTHING: Final = Reply()

_INTERRUPTIONS: Final[Mapping[Heard, type[VendEvent]]] = {
    Status.ENABLED: RequestGone,
    Status.IDLE: RequestGone,
    Status.INACTIVE: MachineReset,
    Sign.RESET: MachineReset,
    Sign.CANCELED: VendCanceled,
}
#: Of these only a failure can come without an approval.
_RESULTS: Final[Mapping[Heard, type[VendEvent]]] = {
    Sign.SUCCEEDED: VendSucceeded,
    Sign.FAILED: VendFailed,
}


class Requests:
    """Number the machine's requests, and tell what happens to each. Times are milliseconds of any monotonic clock."""

    def __init__(self) -> None:
        self._count = 0
        self._current: _Request | None = None
        #: What is asked for, as far as the last lines say.
        self._asked: Asked | AskedWrongly | None = None
        self._is_answered = False
        self._is_denied = False
        self._denied_ms = 0

    @property
    def count(self) -> int:
        """Return how many requests there were; the last one has this number."""
        return self._count

    @property
    def is_asking(self) -> bool:
        """Tell whether a request waits for our answer."""
        return self._current is not None and self._current.phase is _Phase.ASKING

    @property
    def is_waiting(self) -> bool:
        """Tell whether a request waits for our answer or for its result."""
        return self._current is not None

    @property
    def approved_ms(self) -> int | None:
        """Return since when a result is waited for; None where none is, or little hope is left."""
        current = self._current
        return current.approved_ms if current is not None and current.phase is _Phase.APPROVED else None

    def hear(self, heard: Heard, now_ms: int) -> Reply:
        """Take what a line means."""
        if isinstance(heard, Asked | AskedWrongly):
            return self._ask(heard, now_ms)
        if heard in _INTERRUPTIONS:
            # After a cancel the machine is still owed an answer, unless a status says otherwise.
            self._asked = self._asked if heard is Sign.CANCELED else None
            return Reply(events=self._interrupt(_INTERRUPTIONS[heard]))
        if heard is Sign.REJECTED:
            return self._reject(now_ms)
        if heard not in _RESULTS or (self.is_asking and heard is not Sign.FAILED):
            return NOTHING
        self._asked = None
        return Reply(events=self._end(_RESULTS[heard]))

    def refusal(self, request: int, price: str) -> str:
        """Return why a request can not be approved now, for people; empty when it can."""
        if self._current is None or self._current.number != request or self._asked is None:
            return "the machine does not ask for it any more"
        if self._current.phase is not _Phase.ASKING:
            return "it was approved before"
        if self._current.price != price:
            return "the machine asks for another price"
        return ""

    def approved(self, now_ms: int) -> None:
        """Note that the approval of the current request was written."""
        if self._current is not None:
            self._current = replace(self._current, phase=_Phase.APPROVED, approved_ms=now_ms)
            self._is_answered = True

    def deny(self, request: int, now_ms: int) -> Reply:
        """Answer a request to which the machine has had no answer; it is over, if it was not."""
        if request != self._count or self._asked is None or self._is_answered:
            return NOTHING
        self._current = None
        return self._denial(now_ms)

    def lose(self) -> Reply:
        """Forget what was asked, because nothing that comes later is about it; the command is what is owed still."""
        command = DENY if self._asked is not None and not self._is_answered else b""
        self._asked = None
        current, self._current = self._current, None
        if current is None or current.phase is _Phase.DOUBTFUL:
            return Reply(command=command)
        return Reply(events=(AdapterLost(request=current.number),), command=command)

    def _ask(self, asked: Asked | AskedWrongly, now_ms: int) -> Reply:
        if asked == self._asked and self._is_repeated(now_ms):
            # The denial may have crossed it, and does no harm where it has not.
            return self._denial(now_ms) if self._is_denied else NOTHING
        gone = self._interrupt(RequestGone)
        self._asked, self._is_answered, self._is_denied = asked, False, False
        self._count += 1
        if isinstance(asked, AskedWrongly):
            self._current = None
            return Reply(events=gone, command=self._denial(now_ms).command)
        self._current = _Request(number=self._count, price=asked.price)
        event = VendRequested(request=self._count, price=asked.price, amount=asked.amount, item=asked.item)
        return Reply(events=(*gone, event))

    def _is_repeated(self, now_ms: int) -> bool:
        """Tell whether what is asked again is the same request."""
        if self._is_denied:
            return now_ms - self._denied_ms < REPEAT_MS
        return self._current is not None and self._current.phase is not _Phase.DOUBTFUL

    def _denial(self, now_ms: int) -> Reply:
        if not self._is_denied:
            self._denied_ms = now_ms
        self._is_answered = self._is_denied = True
        return Reply(command=DENY)

    def _interrupt(self, event: type[VendEvent]) -> tuple[VendEvent, ...]:
        """End a request that waits for our answer; of an approved one, tell the first doubt."""
        current = self._current
        if current is None or current.phase is _Phase.DOUBTFUL:
            return ()
        is_approved = current.phase is _Phase.APPROVED
        self._current = replace(current, phase=_Phase.DOUBTFUL) if is_approved else None
        return (event(request=current.number),)

    def _end(self, event: type[VendEvent]) -> tuple[VendEvent, ...]:
        current, self._current = self._current, None
        return () if current is None else (event(request=current.number),)

    def _reject(self, now_ms: int) -> Reply:
        """The approval was not passed on: a machine that asks still is not left without an answer."""
        events = () if self.is_asking else self._end(ApprovalRejected)
        is_owed = events and self._asked is not None
        return Reply(events=events, command=self._denial(now_ms).command if is_owed else b"")
