"""May the terminal take money now, and why not."""

from dataclasses import dataclass
from enum import Enum

from terminald.core.events import Blockage


class Hold(Enum):
    """Why a person wants no sales to be begun, over restarts."""

    NONE = ""
    ASKED = "asked"  # drained, for an update or a technician
    RESTORED = "restored"  # the journal is an old copy, and nobody has compared it with the gateway's
    RESTORED_ASKED = "restored_asked"  # both: neither ends with the other

    @property
    def is_asked(self) -> bool:
        """Whether it was drained."""
        return self in (Hold.ASKED, Hold.RESTORED_ASKED)

    @property
    def is_restored(self) -> bool:
        """Whether the journal is still to be compared."""
        return self in (Hold.RESTORED, Hold.RESTORED_ASKED)

    def with_drain(self) -> "Hold":
        """Return what a drain makes of it."""
        return Hold.RESTORED_ASKED if self.is_restored else Hold.ASKED

    def once_compared(self) -> "Hold":
        """Return what is left of it when the journal is compared."""
        return Hold.ASKED if self.is_asked else Hold.NONE


class Reason(Enum):
    """Why no sale can be opened, in the words of the local API."""

    NOT_ACTIVATED = "not_activated"
    KEY_LOCKED_OUT = "key_locked_out"
    KEY_EXPIRED = "key_expired"
    TERMINAL_REFUSED = "terminal_refused"
    CLOCK_UNSET = "clock_unset"
    GATEWAY_UNREACHABLE = "gateway_unreachable"
    SCANNER_ABSENT = "scanner_absent"
    PRINTER_ABSENT = "printer_absent"
    PAPER_OUT = "paper_out"
    COVER_OPEN = "cover_open"
    PRINTER_FAULTY = "printer_faulty"
    OUTPUT_ABSENT = "output_absent"
    INHIBITED = "inhibited"
    JOURNAL_FAILED = "journal_failed"
    JOURNAL_RESTORED = "journal_restored"
    DISK_FULL = "disk_full"
    DRAINING = "draining"


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """What is known about the parts that a sale needs."""

    is_activated: bool
    is_key_accepted: bool
    is_key_alive: bool
    is_terminal_accepted: bool
    #: Whether the time of day is that of the gateway or of a synchronised clock.
    is_clock_trusted: bool
    #: Whether the gateway is not reachable because this machine's clock is wrong.
    is_clock_in_the_way: bool
    is_gateway_reachable: bool
    has_scanner: bool
    has_printer: bool
    #: What keeps the printer from printing, by its own word; None where it says nothing of the kind.
    printer_blocked_by: Blockage | None
    is_journal_writable: bool
    #: Whether the journal is an old copy that nobody has compared yet.
    is_restored: bool
    has_disk_space: bool
    is_draining: bool
    #: Of a kiosk that tells a machine: whether the line to it is there, and whether the machine says that it can serve.
    has_output: bool = False
    is_inhibited: bool = False


def reasons(condition: Condition, required: frozenset[str]) -> tuple[Reason, ...]:
    """Return every reason against taking money, the most fundamental first; empty when the terminal is ready.

    Required names the parts that the configuration insists on: ``gateway``, ``scanner``, ``printer``, ``clock``; and
    ``output``, where a kiosk has one. The journal, the key and the disk are never optional. A gateway that only a wrong
    clock keeps away is the clock's fault.
    """
    has_link = condition.is_gateway_reachable or "gateway" not in required
    # Only a printer that is there has anything to say.
    blocked_by = condition.printer_blocked_by if condition.has_printer and "printer" in required else None
    is_inhibited = condition.has_output and condition.is_inhibited and "output" in required
    has_clock = condition.is_clock_trusted or "clock" not in required
    judged = (
        (Reason.JOURNAL_FAILED, condition.is_journal_writable),
        (Reason.JOURNAL_RESTORED, not condition.is_restored),
        (Reason.DISK_FULL, condition.has_disk_space),
        (Reason.NOT_ACTIVATED, condition.is_activated),
        (Reason.KEY_LOCKED_OUT, condition.is_key_accepted),
        (Reason.KEY_EXPIRED, condition.is_key_alive),
        (Reason.TERMINAL_REFUSED, condition.is_terminal_accepted),
        (Reason.CLOCK_UNSET, has_clock and (has_link or not condition.is_clock_in_the_way)),
        (Reason.GATEWAY_UNREACHABLE, has_link or condition.is_clock_in_the_way),
        (Reason.SCANNER_ABSENT, condition.has_scanner or "scanner" not in required),
        (Reason.PRINTER_ABSENT, condition.has_printer or "printer" not in required),
        (Reason.PAPER_OUT, blocked_by is not Blockage.PAPER),
        (Reason.COVER_OPEN, blocked_by is not Blockage.COVER),
        (Reason.PRINTER_FAULTY, blocked_by not in (Blockage.CUTTER, Blockage.OFFLINE)),
        (Reason.OUTPUT_ABSENT, condition.has_output or "output" not in required),
        (Reason.INHIBITED, not is_inhibited),
        (Reason.DRAINING, not condition.is_draining),
    )
    return tuple(reason for reason, is_good in judged if not is_good)
