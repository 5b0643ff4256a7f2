"""The cashless reader that the adapter is on the machine's bus, and the lines it says of what happens there.

The machine calls :meth:`CashlessReader.reset` to :meth:`~CashlessReader.session_complete` (MDB 4.2, section 7), and is
reached through :class:`Bus`. Errors of the adapter are quoted, events of the machine are not: ``c,ERR,"VEND -3"`` but
``c,ERR,VEND 3``.
"""

import math
from collections.abc import Callable
from decimal import Decimal
from typing import Final, Protocol

from terminald.simulator.vmc_books import Vend
from terminald.simulator.vmc_firmware import DEFAULTS, Afterwards, Firmware, Reader
from terminald.simulator.vmc_line import Clock, Mouth, Timer

ACK: Final = "r,ACK"


class Bus(Protocol):
    """The machine, as the reader reaches it."""

    def reader_on(self) -> None:
        """Have a reader there that was not contacted yet."""
        ...

    def reader_off(self) -> None:
        """Have no reader that answers."""
        ...

    def session_offered(self, credit: Decimal) -> None:
        """Begin a session with so much credit."""
        ...

    def session_withdrawn(self) -> None:
        """End the session: the reader asks for it, or gave up."""
        ...

    def approved(self) -> bool:
        """Dispense. Returns whether the machine heard it."""
        ...

    def denied(self) -> None:
        """Do not dispense."""
        ...

    def displayed(self, text: str) -> None:
        """Show a text."""
        ...


class CashlessReader:
    """The bus side of one power-up of the adapter.

    Attributes:
        state: of the reader. conf: what was configured since power-up.
        is_always_idle: whether the machine has agreed to it since its last reset.
    """

    def __init__(self, *, clock: Clock, mouth: Mouth, firmware: Firmware, bus: Bus) -> None:
        self.state = Reader.OFF
        self.conf: dict[str, str] = {}
        self.is_always_idle = False
        self._clock = clock
        self._mouth = mouth
        self._firmware = firmware
        self._bus = bus
        self._is_enabled = False
        self._is_sniffing = False
        self._vend: Vend | None = None
        self._ended: Vend | None = None
        self._end_told_at_s = -math.inf
        self._timer: Timer | None = None

    def setting(self, key: str) -> str:
        """Return a setting, its default when it was not set since power-up."""
        return self.conf.get(key, DEFAULTS.get(key, ""))

    @property
    def address(self) -> int:
        """The reader's address on the bus; the key has two spellings in the field."""
        return int(self.conf.get("mdb-address", self.setting("mdb-addr")), 16)

    @property
    def max_response_s(self) -> int:
        """Return the answer limit that the reader tells the machine."""
        return int(self.setting("mdb-timeout") if self._firmware.tells_timeout else DEFAULTS["mdb-timeout"])

    @property
    def is_vending(self) -> bool:
        """Whether a request is open, approved or not."""
        return self.state in (Reader.VEND, Reader.APPROVED)

    def die(self) -> None:
        """Lose power."""
        self._stop_timer()
        self.state = Reader.OFF

    # --- from the machine --------------------------------------------------------------------------------------------

    def reset(self) -> None:
        """RESET (10): whatever was under way is over, and always idle is forgotten."""
        self._sniff(0)
        if self._firmware.tells_reset == "always" or (self._firmware.tells_reset == "vend" and self.is_vending):
            self._event("VEND 5")
        self.state = Reader.INACTIVE
        self._is_enabled = self.is_always_idle = False
        self._let_go(self._say("c,STATUS,INACTIVE", ACK))

    def set_up(self, *, always_idle: bool) -> None:
        """SETUP (11) and EXPANSION (17); always idle is agreed when machine and configuration want it."""
        self._sniff(1, "00")
        self.is_always_idle = always_idle and self.setting("mdb-always-idle") == "1"
        self.state = Reader.DISABLED
        self._say("c,STATUS,DISABLED", ACK, ACK)

    def enable(self) -> None:
        """READER ENABLE (14 01)."""
        self._sniff(4, "01")
        self._is_enabled = True
        if self.state is Reader.DISABLED:
            self._end("state")

    def disable(self) -> None:
        """READER DISABLE (14 00): a transaction under way goes on to its end."""
        self._sniff(4, "00")
        self._is_enabled = False
        self._say("c,STATUS,DISABLED")
        if self.state is Reader.ENABLED:
            self.state = Reader.DISABLED

    def vend_request(self, vend: Vend) -> None:
        """VEND REQUEST (13 00)."""
        self._sniff(3, f"00....{vend.item:04X}")
        self._stop_timer()
        self.state = Reader.VEND
        self._vend = vend
        for _ in range(self._mouth.manner.repeats):
            self.repeat_request()

    def repeat_request(self) -> None:
        """Say the line of the open request once more; nothing when there is none."""
        if self._vend is not None:
            self._say(f"c,STATUS,VEND,{self._vend.price},{self._vend.item}")

    def vend_cancel(self) -> None:
        """VEND CANCEL (13 01): the reader denies by itself."""
        self._sniff(3, "01")
        self._event("VEND 1")
        self._end(self._firmware.after_cancel)

    def vend_success(self) -> bool:
        """VEND SUCCESS (13 02). Returns whether the adapter still knew of the vend."""
        if not self._hears_results:
            return False
        self._sniff(3, "02")
        self._say("c,VEND,SUCCESS")
        self._end("idle+state")
        return True

    def vend_failure(self) -> bool:
        """VEND FAILURE (13 03). Returns whether the adapter still knew of the vend."""
        if not self._hears_results:
            return False
        self._sniff(3, "03")
        self._event("VEND 3")
        self._end(self._firmware.after_failure)
        return True

    def session_complete(self) -> None:
        """SESSION COMPLETE (13 04), without a result of the vend if there was one."""
        self._sniff(3, "04")
        if self.state in (Reader.IDLE, Reader.APPROVED):
            self._end("idle+state" if self.is_vending else "state")

    @property
    def _hears_results(self) -> bool:
        is_late = self.state in (Reader.ENABLED, Reader.DISABLED)
        return self.state is Reader.APPROVED or (is_late and self._firmware.passes_late_results)

    # --- its inside --------------------------------------------------------------------------------------------------

    def _end(self, afterwards: Afterwards) -> None:
        """Be enabled, or disabled if that has come in between, and say as much of it as this firmware does."""
        self.state = Reader.ENABLED if self._is_enabled else Reader.DISABLED
        word = self._firmware.enabled_word if self._is_enabled else Reader.DISABLED.value
        told_at_s = self._clock.time()
        if "idle" in afterwards:
            told_at_s = self._say("c,STATUS,IDLE")
        if "state" in afterwards:
            told_at_s = self._say(f"c,STATUS,{word}")
        self._let_go(told_at_s)

    def _let_go(self, told_at_s: float | None = None) -> None:
        """Have no vend any more, of which the host knows from then on."""
        self._stop_timer()
        if self._vend is not None:
            self._ended, self._vend = self._vend, None
            self._end_told_at_s = self._clock.time() if told_at_s is None else told_at_s

    def _vend_timeout(self) -> None:
        if self._firmware.at_vend_timeout == "end":
            self._end("idle+state")

    def _idle_timeout(self) -> None:
        if self._firmware.at_idle_timeout == "end":
            self._end("state")
            self._bus.session_withdrawn()

    def _say(self, *lines: str) -> float:
        return self._mouth.say(*lines)

    def _error(self, text: str) -> None:
        """Say an error of the adapter's own."""
        self._say(f"c,ERR,{text}" if self._firmware.quotes == "none" else f'c,ERR,"{text}"')

    def _event(self, text: str) -> None:
        """Say what the machine did, in the form of an error."""
        self._say(f'c,ERR,"{text}"' if self._firmware.quotes == "all" else f"c,ERR,{text}")

    def _sniff(self, command: int, data: str = "") -> None:
        if self._is_sniffing:
            ticks = int(self._clock.time() * 1000) & 0xFFFFFF
            self._say(f"x,00,{ticks},{self.address + command:02X},{data}", f"x,80,{ticks},ACK")

    def _set_timer(self, seconds: float, callback: Callable[[], None]) -> None:
        self._stop_timer()
        self._timer = self._clock.call_later(seconds, callback)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
