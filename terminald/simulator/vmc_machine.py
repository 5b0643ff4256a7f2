"""The vending machine behind the adapter: selections, its patience, its motors, and what a customer does to it.

Theory of operation: the machine is in one :class:`Phase`, with at most one timer. It talks to the reader by the calls
of :class:`~terminald.simulator.vmc_reader.CashlessReader` and writes what really happened into the books, whether the
reader heard of it or not.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from decimal import Decimal
from enum import StrEnum
from typing import Final, Literal

from terminald.simulator.vmc_books import Books, End, Vend, amount_of
from terminald.simulator.vmc_firmware import Reader
from terminald.simulator.vmc_line import Clock, Timer
from terminald.simulator.vmc_reader import CashlessReader

#: MDB 4.2, 7•52: a reader that does not answer for so long is off line.
NO_RESPONSE_S: Final = 5.0
#: MDB 4.2, 7•11: an item that has no number.
UNDEFINED_ITEM: Final = 0xFFFF


class Phase(StrEnum):
    """What the machine is doing, seen from the reader."""

    OFF = "without power"
    ALONE = "no reader"
    GREETING = "setting the reader up"
    DISABLED = "reader disabled"
    READY = "ready"
    SESSION = "in a session"
    ASKING = "waiting for the payment"
    DISPENSING = "dispensing"
    HUNG = "hanging until it is reset"


class Outcome(StrEnum):
    """How dispensing ends."""

    OK = "ok"
    FAIL = "fail"
    JAM = "jam"
    SILENT = "silent"
    EMPTY = "empty"


@dataclass(frozen=True, slots=True, kw_only=True)
class MachineModel:
    """What kind of machine it is.

    Attributes:
        supports_always_idle: it asks without a session, if the reader wants that too.
        max_wait_s: how long it waits for an answer; None: as long as the reader says.
        at_max_wait: what it does then: VEND CANCEL, or RESET.
        checks_credit: it makes no request for more than the credit of the session.
        currency: the only one that it works with, such as 1156; empty takes any.
        addresses: where it looks for a reader.
        step_s: how long each step of setting the reader up takes.
        needs_restore_funds: it tells of a failure only a reader that can give money back.
        powers_adapter: the adapter goes off and on with it.
        outcome, dispensing_s: how dispensing ends, and when. A jam ends never, or when the machine is told to.
    """

    supports_always_idle: bool = True
    max_wait_s: float | None = None
    at_max_wait: Literal["cancel", "reset"] = "cancel"
    checks_credit: bool = True
    currency: str = ""
    addresses: tuple[int, ...] = (0x10, 0x60)
    step_s: float = 0.05
    needs_restore_funds: bool = False
    powers_adapter: bool = True
    outcome: Outcome = Outcome.OK
    dispensing_s: float = 2.0


class Machine:
    """A vending machine. Model may be replaced at any time.

    Attributes:
        phase: what it is doing. display: the text that the host has put on it.
        is_enabling: whether it wants the reader to be enabled.
    """

    def __init__(self, *, clock: Clock, books: Books, model: MachineModel, note: Callable[[str], None]) -> None:
        self.model = model
        self.phase = Phase.ALONE
        self.display = ""
        self.is_enabling = True
        self._clock = clock
        self._books = books
        self._note = note
        self._reader: CashlessReader | None = None
        self._vend: Vend | None = None
        self._credit = Decimal(0)
        self._timer: Timer | None = None

    # --- what a customer or a technician does ------------------------------------------------------------------------

    def why_not(self, price: str) -> str:
        """Return why a selection for that price would not ask the reader; empty when it would."""
        if self.phase is Phase.SESSION:
            amount = amount_of(price)
            dear = self.model.checks_credit and amount is not None and amount > self._credit
            return "more than the credit of the session" if dear else ""
        if self.phase is not Phase.READY or self._reader is None:
            return self.phase.value
        return "" if self._reader.is_always_idle else "no session, and not always idle"

    def select(self, price: str, item: int = UNDEFINED_ITEM) -> Vend | None:
        """Select goods: asks the reader for the price, in just this spelling. None when it can not, see why_not."""
        if self.why_not(price) or self._reader is None:
            self._books.not_asked += 1
            return None
        vend = self._vend = self._books.open(price=price, item=item, at_s=self._clock.time())
        self.phase = Phase.ASKING
        self._reader.vend_request(vend)
        wait_s = self.model.max_wait_s
        self._set_timer(self._reader.max_response_s if wait_s is None else wait_s, self._give_up)
        return vend

    def cancel(self) -> bool:
        """Pull the coin return lever: ends a request that is not answered yet, or a session. False: nothing to end."""
        if self.phase is Phase.SESSION and self._reader is not None:
            self.phase = Phase.READY
            self._reader.session_complete()
            self._settle()
            return True
        return self._cancel_vend(End.CANCELED)

    def cash(self) -> bool:
        """Insert enough coins: VEND CANCEL, and the goods come out for cash. False: no request is open."""
        vend = self._vend
        if not self._cancel_vend(End.CASH) or vend is None:
            return False
        vend.is_paid_in_cash = vend.is_dispensed = True
        self._note("machine: dispensed for cash")
        return True

    def set_enabled(self, *, is_enabled: bool) -> None:
        """Have the machine enable or disable the reader, in mid-vend too."""
        self.is_enabling = is_enabled
        if self._reader is None or self.phase in (Phase.OFF, Phase.ALONE, Phase.GREETING, Phase.HUNG):
            return
        if is_enabled and self._takes_currency(self._reader):
            self._reader.enable()
        elif not is_enabled:
            self._reader.disable()
        if self.phase in (Phase.READY, Phase.DISABLED):
            self._settle()

    def set_dispensing(self, outcome: Outcome, after_s: float) -> None:
        """Decide how dispensing ends from now on, and so soon; also of what is being dispensed."""
        self.model = replace(self.model, outcome=outcome, dispensing_s=after_s)
        if self.phase is Phase.DISPENSING:
            self._await_goods()

    def reset(self, *, comes_out: bool = False) -> None:
        """Reset machine and reader at once. Comes_out: what is being dispensed falls all the same."""
        if self.phase is Phase.OFF:
            return
        self._break_off(End.RESET, comes_out=comes_out)
        self._note("machine: reset")
        self._look_for_reader()

    def power_cut(self, *, comes_out: bool = False) -> None:
        """Lose power. Comes_out: what is being dispensed falls all the same."""
        self._break_off(End.POWER_CUT, comes_out=comes_out)
        self.phase = Phase.OFF
        self.display = ""
        self._note("machine: without power")

    def power_on(self) -> None:
        """Get power again; harmless when it has."""
        if self.phase is Phase.OFF:
            self._note("machine: power is back")
            self._look_for_reader()

    def stop(self) -> None:
        """Let no more time pass for it. The books stay as they are."""
        self._stop_timer()

    # --- the reader comes and goes -----------------------------------------------------------------------------------

    def attach(self, reader: CashlessReader) -> None:
        """Have an adapter at the bus, which is not switched on as a reader yet."""
        self._reader = reader

    def detach(self) -> None:
        """Have no adapter at the bus."""
        self._reader = None
        self.reader_off()

    def reader_on(self) -> None:
        """A reader answers that was not contacted yet: set it up, unless busy."""
        if self.phase is Phase.ASKING:
            self._end(End.NO_ANSWER)
        if self.phase not in (Phase.OFF, Phase.DISPENSING, Phase.HUNG):
            self._look_for_reader()

    def reader_off(self) -> None:
        """The reader does not answer any more: an open request is given up after a while."""
        if self.phase is Phase.ASKING:
            self._set_timer(NO_RESPONSE_S, self._give_up)
        elif self.phase not in (Phase.OFF, Phase.DISPENSING, Phase.HUNG):
            self._stop_timer()
            self.phase = Phase.ALONE

    def session_offered(self, credit: Decimal) -> None:
        """Begin a session."""
        if self.phase is Phase.READY:
            self.phase = Phase.SESSION
            self._credit = credit

    def session_withdrawn(self) -> None:
        """End the session."""
        if self.phase is Phase.SESSION:
            self.phase = Phase.READY
            self._settle()

    def approved(self) -> bool:
        """Dispense. Returns whether the machine heard it."""
        if self.phase is not Phase.ASKING:
            return False
        self.phase = Phase.DISPENSING
        self._note("machine: dispensing")
        self._await_goods()
        return True

    def denied(self) -> None:
        """Do not dispense."""
        if self.phase is Phase.ASKING:
            self._end(End.DENIED)
            self._settle()

    def displayed(self, text: str) -> None:
        """Show a text."""
        self.display = text
        self._note(f"machine: shows {text!r}")

    # --- its inside --------------------------------------------------------------------------------------------------

    def _give_up(self) -> None:
        """The answer did not come in time."""
        if self.model.at_max_wait == "reset" and self._is_heard:
            self._end(End.NO_ANSWER)
            self._look_for_reader()
        else:
            self._cancel_vend(End.NO_ANSWER)

    def _cancel_vend(self, end: End) -> bool:
        if self.phase is not Phase.ASKING:
            return False
        self._end(end)
        if self._is_heard and self._reader is not None:
            self._reader.vend_cancel()
        self._settle()
        return True

    @property
    def _is_heard(self) -> bool:
        return self._reader is not None and self._reader.is_vending

    def _await_goods(self) -> None:
        self._stop_timer()
        if self.model.outcome is not Outcome.JAM:
            self._set_timer(self.model.dispensing_s, self._finish)

    def _finish(self) -> None:
        vend, reader, outcome = self._vend, self._reader, self.model.outcome
        if vend is None:
            return
        vend.is_dispensed = outcome in (Outcome.OK, Outcome.SILENT)
        if outcome is Outcome.SILENT:
            self._end(End.SOLD)
            self.phase = Phase.HUNG
            return
        self._end(End.FAILED if outcome is Outcome.FAIL else End.SOLD)
        if reader is not None and outcome is not Outcome.FAIL:
            vend.is_result_told = reader.vend_success()
        elif reader is not None and self.model.needs_restore_funds and reader.setting("mdb-restore-funds") != "1":
            reader.session_complete()
        elif reader is not None:
            vend.is_result_told = reader.vend_failure()
        self._settle()

    def _break_off(self, end: End, *, comes_out: bool) -> None:
        self._stop_timer()
        if self._vend is not None:
            self._vend.is_dispensed = comes_out and self.phase is Phase.DISPENSING
            self._end(end)

    def _end(self, end: End) -> None:
        self._stop_timer()
        if self._vend is not None:
            self._vend.end = end
            self._vend.ended_at_s = self._clock.time()
            self._note(f"machine: {self._vend}")
        self._vend = None

    def _settle(self) -> None:
        """Go on with whatever state the reader is in now."""
        state = Reader.OFF if self._reader is None else self._reader.state
        if state is Reader.OFF:
            self.phase = Phase.ALONE
        elif state in (Reader.ENABLED, Reader.DISABLED):
            self.phase = Phase.READY if state is Reader.ENABLED else Phase.DISABLED
        else:
            self._look_for_reader()

    def _look_for_reader(self) -> None:
        """Greet the reader if there is one: RESET, SETUP, READER ENABLE, a step each."""
        self._stop_timer()
        reader = self._reader
        if reader is None or reader.state is Reader.OFF or reader.address not in self.model.addresses:
            self.phase = Phase.ALONE
            return
        self.phase = Phase.GREETING
        self._set_timer(self.model.step_s, self._greet_reset)

    def _greet_reset(self) -> None:
        if self._reader is not None:
            self._reader.reset()
            self._set_timer(self.model.step_s, self._greet_set_up)

    def _greet_set_up(self) -> None:
        if self._reader is not None:
            self._reader.set_up(always_idle=self.model.supports_always_idle)
            self._set_timer(self.model.step_s, self._greet_enable)

    def _greet_enable(self) -> None:
        if self._reader is None:
            return
        if self.is_enabling and self._takes_currency(self._reader):
            self._reader.enable()
        self._settle()

    def _takes_currency(self, reader: CashlessReader) -> bool:
        return self.model.currency in ("", reader.setting("mdb-currency-code").removeprefix("0x"))

    def _set_timer(self, seconds: float, callback: Callable[[], None]) -> None:
        self._stop_timer()
        self._timer = self._clock.call_later(seconds, self._ring(callback))

    def _ring(self, callback: Callable[[], None]) -> Callable[[], None]:
        def ring() -> None:
            self._timer = None
            callback()

        return ring

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
