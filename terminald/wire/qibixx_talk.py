"""The conversation with a Qibixx adapter: lines and moments go in, and what to write, to tell and to log comes out.

The adapter forgets its settings when it loses power, and on a line without a plug nobody tells that it did. So it is
set up (``qibixx_setup``) at each opening, each time the terminal begins or ceases to sell, when it says that it is off,
when its machine has not spoken to it for a while, and when it does not answer the question whether it is on. Between
that, its lines are about the machine's requests (``qibixx_requests``).
"""

from collections import deque
from dataclasses import dataclass
from typing import Final

from terminald.core.money import Fen
from terminald.wire import qibixx
from terminald.wire.qibixx import Asked, AskedWrongly, Heard, Scale, Sign, Status, understand
from terminald.wire.qibixx_requests import Reply, Requests
from terminald.wire.qibixx_setup import ANSWER_MS, Act, Note, Round, Setting, Step

#: "Whenever INACTIVE persists > 30 s" (field facts); doubled each time, as a machine that is set up slowly is disturbed
#: by it, and one that is switched off for the night does not need it.
INACTIVE_MS: Final = 30_000
INACTIVE_LONGEST_MS: Final = 240_000
#: After such a silence the adapter is asked whether it is on still.
QUIET_MS: Final = 60_000
#: Firmware that leaves this question without an answer so many times is not asked any more.
QUESTIONS: Final = 2
#: A machine that ends each session at once is not offered one more often than this.
SESSION_AGAIN_MS: Final = 2_000
#: Firmware may tell no status after a request that has ended: after such a silence a session is offered all the same,
#: and refused where one goes on.
SESSION_BLINDLY_MS: Final = 10_000
#: Nobody selects more often than this, and nothing makes an adapter be set up more often: it is out of order.
MOST_OFTEN: Final = 10
MOST_OFTEN_MS: Final = 10_000
SILENT: Final = "the machine does not talk to the adapter: check the MDB cable, and whether it is switched on"


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """How the adapter is to appear to its machine."""

    scale: Scale
    settings: tuple[Setting, ...]
    #: What a session is opened with; None: the machine asks without one ("always idle").
    credit: Fen | None
    #: How long an approved request keeps the adapter on when it is to be off.
    result_window_ms: int


class Talk:
    """One adapter through all its openings. Times are milliseconds of any one monotonic clock.

    After each call :attr:`fault` says why the adapter is of no use, if it is not, and :meth:`deadline` when
    :meth:`due` is to be called.
    """

    def __init__(self, terms: Terms) -> None:
        self.fault = ""
        self._terms = terms
        self._requests = Requests()
        self._is_wanted = False
        self._is_closed = True  # nobody is there to talk to
        self._round: Round | None = None
        self._is_on = False  # between two rounds
        self._left_out: set[int] = set()
        self._status: Heard = Status.INACTIVE
        self._heard_ms = 0
        self._inactive_at_ms = 0
        self._inactive_ms = INACTIVE_MS
        self._asked_at_ms: int | None = None  # whether it is on
        self._unanswered = 0
        self._is_told_to_be_on = False
        self._session_at_ms = 0
        self._new_requests = deque[int](maxlen=MOST_OFTEN)
        self._rounds = deque[int](maxlen=MOST_OFTEN)

    @property
    def is_set_up(self) -> bool:
        """Tell whether the adapter is configured, and on if it is to be."""
        return not self._is_closed and self._round is None and self._is_on >= self._is_wanted

    @property
    def is_ready(self) -> bool:
        """Tell whether the machine can ask for money."""
        return self._is_on and self._status in (Status.ENABLED, Status.IDLE)

    @property
    def ailment(self) -> str:
        """Return what is wrong behind an adapter that works, for people; empty when nothing is known to be."""
        return SILENT if self._inactive_ms > INACTIVE_MS else ""

    # --- from outside ------------------------------------------------------------------------------------------------

    def open(self, now_ms: int) -> list[Act]:
        """Begin with an adapter that was just opened."""
        self.fault = ""
        self._is_closed = False
        self._left_out = set()
        self._unanswered = 0
        self._inactive_ms = INACTIVE_MS
        self._new_requests.clear()
        self._rounds.clear()
        return self._set_up(now_ms)

    def close(self, now_ms: int) -> list[Act]:
        """End, and take the reader from the bus, so that nobody selects in vain; an approval is left to run."""
        if self._is_closed:
            return []
        is_left = bool(self.fault) or self._is_result_due(now_ms)
        self._is_closed, self._is_on, self._round = True, False, None
        lost = self._requests.lose()
        return [*lost.events] if is_left else [*_acts(lost), qibixx.SWITCH_OFF]

    def lose(self) -> list[Act]:
        """End with an adapter that went away."""
        self._is_closed, self._is_on, self._round = True, False, None
        return [*self._requests.lose().events]

    def hear(self, line: str, now_ms: int) -> list[Act]:
        """Take one line."""
        if self._is_closed:
            return []
        heard = understand(line, self._terms.scale)
        self._heard_ms = now_ms
        self._asked_at_ms = None
        acts: list[Act] = []
        if self._round is not None:
            acts += self._round.hear(heard, now_ms)
            acts += self._end_round(heard, now_ms)
        elif self._is_on:
            acts += self._hear_machine(heard, now_ms)
        return [*acts, *self._go_on(now_ms)]

    def deadline(self) -> int | None:
        """Return when :meth:`due` is to be called, or None: only lines and calls matter now."""
        if self._round is not None:
            return self._round.deadline_ms
        return min((at_ms for at_ms in self._deadlines() if at_ms is not None), default=None)

    def due(self, now_ms: int) -> list[Act]:
        """Do what is due now, if anything is."""
        acts = self._go_on(now_ms)
        if self._round is not None and now_ms >= self._round.deadline_ms:
            acts = [*self._round.due(now_ms), *self._end_round(None, now_ms)]
        elif self._round is None and self._is_on:
            acts = self._due_on(now_ms)
        return [*acts, *self._go_on(now_ms)]

    def set_open(self, *, is_open: bool, now_ms: int) -> list[Act]:
        """Be on from now on, or off as soon as no request is open."""
        self._is_wanted = is_open
        if self._round is not None:
            self._round.is_wanted = is_open
        return self._go_on(now_ms)

    def refusal(self, request: int, price: str) -> str:
        """Return why a request can not be approved now, for people; empty when it can."""
        return self._requests.refusal(request, price)

    def approved(self, now_ms: int) -> None:
        """Note that the approval of the request was written; only after :meth:`refusal` had nothing to say."""
        self._requests.approved(now_ms)

    def deny(self, request: int, now_ms: int) -> list[Act]:
        """Deny a request that was not answered yet, if the machine asks for it still."""
        return [*_acts(self._requests.deny(request, now_ms)), *self._go_on(now_ms)]

    def display(self, text: str) -> bytes:
        """Return what shows a text, or nothing while the machine would not."""
        is_heeding = self._is_on and self._status not in (Status.INACTIVE, Status.DISABLED)
        return qibixx.display(text) if is_heeding else b""

    # --- setting up --------------------------------------------------------------------------------------------------

    def _set_up(self, now_ms: int) -> list[Act]:
        lost = self._requests.lose().events
        self._is_on = False
        self._asked_at_ms = None
        self._round = Round(self._terms.settings, left_out=self._left_out, is_wanted=self._is_wanted)
        return [*lost, *self._round.begin(now_ms)]

    def _end_round(self, heard: Heard | None, now_ms: int) -> list[Act]:
        """Take over from a round that is over; heard is what has ended it."""
        ended = self._round
        if ended is None or ended.step not in (Step.OFF, Step.ON, Step.FAILED):
            return []
        self._round = None
        self.fault = ended.fault
        self._is_on = ended.step is Step.ON
        if not self._is_on or heard is None:
            return []
        self._status = Status.INACTIVE
        self._inactive_at_ms = now_ms
        self._is_told_to_be_on = heard in (Sign.SWITCHED_ON, Sign.IS_ON)
        return [] if self._is_told_to_be_on else self._hear_machine(heard, now_ms)

    def _go_on(self, now_ms: int) -> list[Act]:
        """Begin a round where the adapter is to be on and is not, or the other way round."""
        if self._is_closed or self.fault or self._round is not None or self._is_on == self._is_wanted:
            return []
        is_held = self._is_on and (self._requests.is_asking or self._is_result_due(now_ms))
        return [] if is_held else self._set_up(now_ms)

    # --- while it is on ----------------------------------------------------------------------------------------------

    def _hear_machine(self, heard: Heard, now_ms: int) -> list[Act]:
        match heard:
            case Sign.IS_OFF | Sign.SWITCHED_OFF:
                return self._set_up_again("is off, and should not be", now_ms)
            case Sign.SWITCHED_ON if self._is_told_to_be_on:
                return self._set_up_again("was started anew", now_ms)
            case Sign.SWITCHED_ON:
                self._is_told_to_be_on = True
            case Sign.IS_ON:
                self._unanswered = 0
            case Sign.SESSION_REFUSED:
                self._session_at_ms = now_ms + SESSION_AGAIN_MS
            case Sign.REVALUE if self._status is not Sign.REVALUE:
                self._status = heard
                return [qibixx.REFUSE_REVALUE]
            case Status() | Asked() | AskedWrongly():
                self._change(heard, now_ms)
        return self._hear_request(heard, now_ms)

    def _change(self, status: Heard, now_ms: int) -> None:
        if status is not Status.INACTIVE:
            self._inactive_ms = INACTIVE_MS
        elif self._status is not Status.INACTIVE:
            self._inactive_at_ms = now_ms
        self._status = status

    def _hear_request(self, heard: Heard, now_ms: int) -> list[Act]:
        count = self._requests.count
        acts = _acts(self._requests.hear(heard, now_ms))
        if self._requests.count == count:
            return acts
        if _is_too_often(self._new_requests, now_ms):
            self.fault = "the adapter tells more requests than a person can make: check its wiring and its machine"
        if isinstance(heard, AskedWrongly):
            what = f"the machine asks for {heard.text!r}, which {heard.fault}: denied"
            return [Note(level="warning", text=what), *acts]
        return acts

    def _set_up_again(self, why: str, now_ms: int) -> list[Act]:
        if _is_too_often(self._rounds, now_ms):
            self.fault = "the adapter has to be set up again and again: check its power supply"
            return []
        return [Note(level="warning", text=f"the adapter {why}: it is set up again"), *self._set_up(now_ms)]

    def _deadlines(self) -> tuple[int | None, ...]:
        if not self._is_on:
            return ()
        if self._status is Status.INACTIVE:
            return (self._inactive_at_ms + self._inactive_ms, self._held_until())
        return (self._session_due(), self._question_due(), self._held_until())

    def _result_until(self) -> int | None:
        """Return until when a result is waited for, where one is."""
        since_ms = self._requests.approved_ms
        return None if since_ms is None else since_ms + self._terms.result_window_ms

    def _is_result_due(self, now_ms: int) -> bool:
        until_ms = self._result_until()
        return until_ms is not None and now_ms < until_ms

    def _held_until(self) -> int | None:
        """Return when the adapter is switched off, whether there was a result or not."""
        return None if self._is_wanted else self._result_until()

    def _session_due(self) -> int | None:
        if self._terms.credit is None or not self._is_wanted:
            return None
        if self._status is Status.ENABLED:
            return self._session_at_ms
        is_over = isinstance(self._status, Asked | AskedWrongly) and not self._requests.is_waiting
        return max(self._session_at_ms, self._heard_ms + SESSION_BLINDLY_MS) if is_over else None

    def _question_due(self) -> int | None:
        if self._asked_at_ms is not None:
            return self._asked_at_ms + ANSWER_MS
        if self._requests.is_asking or self._unanswered == QUESTIONS:
            return None
        return max(self._heard_ms + QUIET_MS, self._result_until() or 0)

    def _due_on(self, now_ms: int) -> list[Act]:
        if self._status is Status.INACTIVE:
            return self._wake_machine(now_ms)
        acts: list[Act] = []
        session_ms = self._session_due()
        if session_ms is not None and self._terms.credit is not None and now_ms >= session_ms:
            self._session_at_ms = now_ms + SESSION_AGAIN_MS
            acts.append(qibixx.start_session(self._terms.credit))
        question_ms = self._question_due()
        if question_ms is None or now_ms < question_ms:
            return acts
        if self._asked_at_ms is None:
            self._asked_at_ms = now_ms
            # One that is on says so and does nothing; one that was off is set up when it says that it is on now.
            return [*acts, qibixx.SWITCH_ON]
        self._unanswered += 1
        return [*acts, *self._set_up_again("does not answer", now_ms)]

    def _wake_machine(self, now_ms: int) -> list[Act]:
        if now_ms < self._inactive_at_ms + self._inactive_ms:
            return []
        is_first = self._inactive_ms == INACTIVE_MS
        self._inactive_ms = min(self._inactive_ms * 2, INACTIVE_LONGEST_MS)
        notes: list[Act] = [Note(level="warning", text=SILENT)] if is_first else []
        return [*notes, *self._set_up(now_ms)]


def _acts(reply: Reply) -> list[Act]:
    return [*reply.events, reply.command] if reply.command else [*reply.events]


def _is_too_often(times: deque[int], now_ms: int) -> bool:
    times.append(now_ms)
    return len(times) == MOST_OFTEN and now_ms - times[0] < MOST_OFTEN_MS
