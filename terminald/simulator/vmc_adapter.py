"""The adapter's text commands. What it does on the machine's bus is in ``vmc_reader``.

One object is one power-up of the adapter: its configuration dies with it.
"""

from collections.abc import Callable
from decimal import Decimal
from typing import Final

from terminald.simulator.vmc_books import Approval, Books, Misdeed, Vend, Violation, amount_of
from terminald.simulator.vmc_firmware import SETTINGS, Firmware, Reader
from terminald.simulator.vmc_line import Clock, Mouth
from terminald.simulator.vmc_reader import ACK, Bus, CashlessReader

#: An approval that comes so soon after the end of its vend was told has crossed it; the host did nothing wrong.
CROSSING_S: Final = 2.0
DISPLAY_LIMIT: Final = 32


class Adapter(CashlessReader):
    """One power-up of the adapter.

    Args:
        reboot: called when the host asks for a restart.

    Attributes:
        refusals: what the next approvals are answered with instead of reaching the machine, such as ``VEND -3``.
    """

    def __init__(
        self, *, clock: Clock, mouth: Mouth, books: Books, firmware: Firmware, bus: Bus, reboot: Callable[[], None]
    ) -> None:
        super().__init__(clock=clock, mouth=mouth, firmware=firmware, bus=bus)
        self.refusals: list[str] = []
        self._books = books
        self._reboot = reboot
        self._line = ""
        self._obeying: dict[str, Callable[[list[str]], None]] = {
            "START": self._start,
            "VEND": self._answer_vend,
            "STOP": self._stop,
            "DISPLAY": self._display,
            "REVALUE": self._revalue,
            "SALE": lambda _: self._acknowledge(),
        }
        if firmware.banner:
            self._say(firmware.banner)

    def obey(self, line: str) -> None:
        """Obey one line of the host."""
        self._line = line
        match line.split(","):
            case ["V"]:
                self._say(f"v,{self._firmware.version}")
            case ["H"]:
                self._say(f"h,{self._firmware.hardware}")
            case ["X", "0" | "1" as flag]:
                self._is_sniffing = flag == "1"
                self._say("x,ACK")
            case ["F", "RESET"]:
                self._say("f,ACK")
                self._reboot()
            case ["F", "SERIAL", _] | ["F", "REVERT"]:
                self._say("f,ACK")
            case ["C", *words] if words:
                self._obey_slave(words)
            case _:
                self._unknown()

    def _obey_slave(self, words: list[str]) -> None:
        name, *arguments = words
        if words == ["0"]:
            self._switch_off()
        elif words == ["1"]:
            self._switch_on()
        elif name == "SETCONF":
            self._configure(",".join(arguments))
        elif name not in self._obeying:
            self._unknown()
        elif self.state is Reader.OFF:
            # A host that comes back sends C,STOP or a denial to be safe: no harm.
            if words not in (["STOP"], ["VEND", "-1"]):
                self.accuse(Misdeed.WHILE_OFF)
            self._error("cashless is off")
        else:
            self._obeying[name](arguments)

    def _unknown(self) -> None:
        self.accuse(Misdeed.UNKNOWN_COMMAND)
        if self._firmware.answers_unknown:
            self._say(f"c,UNKNOWN,{self._line}")

    def _switch_off(self) -> None:
        was_on, self.state = self.state is not Reader.OFF, Reader.OFF
        self._let_go()
        self._say("c,0")
        if was_on:
            self._bus.reader_off()

    def _switch_on(self) -> None:
        if self.state is not Reader.OFF:
            # No misdeed: it changes nothing, and is how a host finds out whether the adapter was started anew.
            self._error("cashless is on")
            return
        self.state = Reader.INACTIVE
        self._is_enabled = self.is_always_idle = False
        self._say("c,STATUS,INACTIVE", "c,1")
        self._bus.reader_on()

    def _configure(self, text: str) -> None:
        key, _, value = text.partition("=")
        if self.state is not Reader.OFF:
            self.accuse(Misdeed.WHILE_ON)
            self._error("cashless is on")
        elif key in SETTINGS and SETTINGS[key](value):
            self.conf[key] = value
            self._say("c,SET,OK")
        else:
            self._bad_argument("SETCONF")

    def _start(self, arguments: list[str]) -> None:
        credit = amount_of(arguments[0]) if len(arguments) == 1 else None
        if credit is None:
            self._bad_argument("START")
        elif self.state is not Reader.ENABLED:
            self.accuse(Misdeed.START_OUT_OF_STATE)
            self._error("START -3")
        else:
            self.state = Reader.IDLE
            self._say(f"c,STATUS,IDLE,{arguments[0]}")
            if seconds := int(self.setting("mdb-timeout-idle")):
                self._set_timer(seconds, self._idle_timeout)
            self._bus.session_offered(credit)

    def _answer_vend(self, arguments: list[str]) -> None:
        if arguments == ["-1"]:
            self._deny()
            return
        amount = amount_of(arguments[0]) if len(arguments) in (1, 2) else None
        if amount is None:
            self._bad_argument("VEND")
            return
        vend, text = self._vend, arguments[0]
        if vend is None or self.state is not Reader.VEND:
            self._approve_nothing(text, amount)
            return
        self._compare(vend, text, amount, arguments[1:])
        answer = self.refusals.pop(0) if self.refusals else ""
        if not (answer or self._is_enabled or self._firmware.approves_when_disabled):
            answer = "VEND -3"
        is_taken = not answer and self._bus.approved()
        vend.approvals.append(
            Approval(text=text, amount=amount, at_s=self._clock.time(), is_taken=is_taken, answer=answer)
        )
        if answer:
            self._error(answer)
            return
        self.state = Reader.APPROVED
        if is_taken:
            self._say(ACK, ACK)
        if seconds := int(self.setting("mdb-timeout-vend")):
            self._set_timer(seconds, self._vend_timeout)

    def _compare(self, vend: Vend, text: str, amount: Decimal, item: list[str]) -> None:
        if not amount and vend.amount:
            self.accuse(Misdeed.APPROVED_ZERO)
        elif amount != vend.amount:
            self.accuse(Misdeed.AMOUNT_DIFFERS)
        elif text != vend.price:
            self.accuse(Misdeed.AMOUNT_REWRITTEN)
        if item and item != [str(vend.item)]:
            self.accuse(Misdeed.ITEM_DIFFERS)

    def _approve_nothing(self, text: str, amount: Decimal) -> None:
        now = self._clock.time()
        vend = self._vend or self._ended
        has_crossed = self._vend is None and vend is not None and now <= self._end_told_at_s + CROSSING_S
        if vend is not None:
            refused = Approval(text=text, amount=amount, at_s=now, answer="VEND -3", has_crossed=has_crossed)
            vend.approvals.append(refused)
        if not has_crossed:
            self.accuse(Misdeed.APPROVED_TWICE if self.state is Reader.APPROVED else Misdeed.APPROVED_NOTHING)
        self._error("VEND -3")

    def _deny(self) -> None:
        if self.state is Reader.APPROVED:
            self.accuse(Misdeed.DENIED_TOO_LATE)
        if self.state is not Reader.VEND or self._vend is None:
            self._error("VEND -3")
            return
        self._vend.denials += 1
        self._say(ACK)
        self._end(self._firmware.after_deny)
        self._bus.denied()

    def _stop(self, _: list[str]) -> None:
        if self.state is Reader.IDLE:
            self._end("state")
            self._bus.session_withdrawn()
        elif self.state is Reader.VEND and self._firmware.stop_denies:
            self._deny()
        else:
            self._error("STOP -3")

    def _display(self, arguments: list[str]) -> None:
        text = ",".join(arguments)
        if len(text) > DISPLAY_LIMIT or not text.isascii():
            self._bad_argument("DISPLAY")
            return
        self._say(ACK)
        self._bus.displayed(text)

    def _revalue(self, arguments: list[str]) -> None:
        if arguments == ["1"]:
            self.accuse(Misdeed.REVALUE_ACCEPTED)
        self._error("REVALUE -3")

    def _acknowledge(self) -> None:
        self._say(ACK)

    def _bad_argument(self, name: str) -> None:
        self.accuse(Misdeed.BAD_ARGUMENT)
        self._error(f"{name} -2")

    def accuse(self, misdeed: Misdeed, line: str | None = None) -> None:
        """Write a misdeed of the host into the books: of this line, or of the one that is being obeyed."""
        said = self._line if line is None else line
        self._books.violations.append(Violation(misdeed=misdeed, line=said, at_s=self._clock.time()))
