"""The adapter with the machine behind it, without a line and on any clock.

:class:`VmcWorld` is what tests drive on a virtual clock; ``vmc_device`` puts it on a pseudo terminal.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Final, Protocol

from terminald.simulator.vmc_adapter import Adapter
from terminald.simulator.vmc_books import Books, Misdeed, Vend, Violation
from terminald.simulator.vmc_firmware import Firmware
from terminald.simulator.vmc_line import Clock, Ear, Manner, Mouth, Timer
from terminald.simulator.vmc_machine import UNDEFINED_ITEM, Machine, MachineModel, Outcome, Phase

#: F,RESET: the adapter goes away after the first and comes back after the second; its line hangs up in between.
REBOOT_AFTER_S: Final = 0.1
REBOOT_S: Final = 1.0
#: The status of an adapter that is not there.
UNPLUGGED: Final = "UNPLUGGED"


class Line(Protocol):
    """Where the host is."""

    def write(self, data: bytes) -> None:
        """Send to the host; never waits."""
        ...

    def plug_in(self) -> None:
        """Be there, as a new device."""
        ...

    def pull_out(self) -> None:
        """Hang up."""
        ...


class VmcWorld:
    """A vending machine behind an adapter; everything that can happen to them is a method.

    Args:
        note: told each line of the conversation (``>`` from the host, ``<`` to it) and what the machine does.
        seed: decides what noise looks like.

    Attributes:
        books: what to judge by. machine: to be looked at; its commands are methods here.
        adapter: None while it has no power or is unplugged; another one after each power-up.
        is_deaf: what the host sends is lost.
    """

    def __init__(
        self,
        *,
        clock: Clock,
        line: Line,
        model: MachineModel | None = None,
        firmware: Firmware | None = None,
        manner: Manner | None = None,
        seed: int = 0,
        note: Callable[[str], None] = lambda _: None,
    ) -> None:
        self.books = Books()
        self.machine = Machine(clock=clock, books=self.books, model=model or MachineModel(), note=note)
        self.adapter: Adapter | None = None
        self.is_deaf = False
        self._clock = clock
        self._line = line
        self._firmware = firmware or Firmware()
        self._note = note
        self._mouth = Mouth(clock=clock, write=line.write, manner=manner or Manner(), seed=seed, note=note)
        self._ear = Ear(
            clock=clock,
            obey=self._obey,
            unended=lambda text: self._accuse(Misdeed.NOT_ENDED, text),
            too_long=lambda text: self._accuse(Misdeed.TOO_LONG, text),
        )
        self._is_plugged_in = False
        self._rebooting: Timer | None = None

    # --- the customer ------------------------------------------------------------------------------------------------

    def select(self, price: str, item: int = UNDEFINED_ITEM) -> Vend | None:
        """Select goods: ``c,STATUS,VEND,<price>,<item>`` with the price just as given.

        Returns the vend in the books, or None when the machine did not ask; ``machine.why_not(price)`` says why.
        """
        return self.machine.select(price, item)

    def cancel(self) -> bool:
        """Pull the coin return lever: VEND CANCEL, or the end of a session. False: there was nothing to cancel."""
        return self.machine.cancel()

    def cash(self) -> bool:
        """Pay an open request in cash: VEND CANCEL, and the goods come out. False: there was no open request."""
        return self.machine.cash()

    # --- the machine -------------------------------------------------------------------------------------------------

    def dispense(self, outcome: Outcome | str, after_s: float = 0) -> None:
        """Decide how dispensing ends, from now on and of what is being dispensed, so many seconds after it begins.

        ``ok``, ``fail`` (VEND FAILURE), ``jam`` (no result until another outcome is chosen, or a reset), ``silent``
        (it comes out and the machine hangs without a result), ``empty`` (VEND SUCCESS, but nothing fell).
        """
        self.machine.set_dispensing(Outcome(outcome), after_s)

    def reset(self, *, comes_out: bool = False) -> None:
        """Reset the machine, which resets the reader. Comes_out: what is being dispensed falls all the same."""
        self.machine.reset(comes_out=comes_out)

    def disable(self) -> None:
        """Have the machine disable the reader; an open vend goes on."""
        self.machine.set_enabled(is_enabled=False)

    def enable(self) -> None:
        """Have the machine enable the reader again."""
        self.machine.set_enabled(is_enabled=True)

    def power_cut(self, *, comes_out: bool = False) -> None:
        """Take the machine's power, and the adapter's if it has it from there."""
        self.machine.power_cut(comes_out=comes_out)
        self._see_to_power()

    def power_on(self) -> None:
        """Give the machine its power back. An adapter that has it from there is a new device without configuration."""
        self.machine.power_on()
        self._see_to_power()

    def set_always_idle(self, *, is_supported: bool) -> None:
        """Decide whether the machine knows always idle; it asks for it at its next reset or the reader's."""
        self.machine.model = replace(self.machine.model, supports_always_idle=is_supported)

    def set_patience(self, seconds: float | None) -> None:
        """Decide how long the machine waits for an answer to its next requests; None: as long as the reader says."""
        self.machine.model = replace(self.machine.model, max_wait_s=seconds)

    # --- the adapter -------------------------------------------------------------------------------------------------

    @property
    def status(self) -> str:
        """Return the reader's state, or UNPLUGGED: see :class:`~terminald.simulator.vmc_firmware.Reader`."""
        return UNPLUGGED if self.adapter is None else self.adapter.state.value

    @property
    def manner(self) -> Manner:
        """How lines reach the host; may be replaced at any time."""
        return self._mouth.manner

    @manner.setter
    def manner(self, manner: Manner) -> None:
        self._mouth.manner = manner

    @property
    def is_mute(self) -> bool:
        """Whether the adapter says nothing; it goes on otherwise."""
        return self._mouth.is_mute

    @is_mute.setter
    def is_mute(self, is_mute: bool) -> None:
        self._mouth.is_mute = is_mute

    def refuse(self, count: int = 1, answer: str = "VEND -3") -> None:
        """Answer the next approvals so, without the machine hearing of them."""
        if self.adapter is not None:
            self.adapter.refusals = [answer] * count

    def repeat_request(self) -> None:
        """Send the line of the open request once more."""
        if self.adapter is not None:
            self.adapter.repeat_request()

    def say(self, line: str) -> None:
        """Send any line, as if the adapter had something to say."""
        if self.adapter is not None:
            self._mouth.say(line)

    def send(self, data: bytes) -> None:
        """Send bytes as they are."""
        if self.adapter is not None:
            self._mouth.send(data)

    def noise(self, count: int) -> None:
        """Send so many random bytes; they spoil the line that follows."""
        if self.adapter is not None:
            self._mouth.noise(count)

    def unplug(self) -> None:
        """Pull the adapter's plug: the host sees a hang-up. Harmless when unplugged."""
        if self._rebooting is not None:
            self._rebooting.cancel()
            self._rebooting = None
        self._is_plugged_in = False
        self._see_to_power()

    def replug(self) -> None:
        """Plug in: a new device, the slave off and nothing configured. Harmless when plugged in."""
        self._is_plugged_in = True
        self._see_to_power()

    def hear(self, data: bytes) -> None:
        """Take what the host has sent."""
        if self.adapter is None or self.is_deaf:
            return
        if self._mouth.manner.is_echoing:
            self._mouth.send(data)
        self._ear.hear(data)

    # --- its inside --------------------------------------------------------------------------------------------------

    def _obey(self, line: str) -> None:
        self._note(f"> {line}")
        if self.adapter is not None:
            self.adapter.obey(line)

    def _accuse(self, misdeed: Misdeed, text: str) -> None:
        self._note(f"> {text} ({misdeed})")
        self.books.violations.append(Violation(misdeed=misdeed, line=text, at_s=self._clock.time()))

    def _see_to_power(self) -> None:
        is_powered = self.machine.phase is not Phase.OFF or not self.machine.model.powers_adapter
        if self._is_plugged_in and is_powered and self.adapter is None:
            self._line.plug_in()
            self._note("adapter: plugged in")
            self.adapter = Adapter(
                clock=self._clock,
                mouth=self._mouth,
                books=self.books,
                firmware=self._firmware,
                bus=self.machine,
                reboot=self._reboot,
            )
            self.machine.attach(self.adapter)
        elif self.adapter is not None and not (self._is_plugged_in and is_powered):
            self.adapter.die()
            self.adapter = None
            self._mouth.silence()
            self._ear.forget()
            self._line.pull_out()
            self._note("adapter: gone")
            self.machine.detach()

    def _reboot(self) -> None:
        def go() -> None:
            self.unplug()
            self._rebooting = self._clock.call_later(REBOOT_S, self.replug)

        self._rebooting = self._clock.call_later(REBOOT_AFTER_S, go)
