"""What a receipt printer says, from bytes: its state, its proofs, its flow control.

Every kind of reply has its own fixed bits (Epson, Citizen, Sewoo and Bixolon manuals, which agree), so that they can be
told apart in one stream:

===================  =====================================================================
``b & 0x93 == 0x12``  the answer to DLE EOT n, one byte
``b & 0x93 == 0x10``  the first byte of an automatic status; three follow, with bit 4 clear
``b & 0x90 == 0x00``  the answer to GS r, one byte
``37 22 … 00``        a process id (GS ( H, function 48), four characters between
``11``, ``13``        XON, XOFF; they may stand between the bytes of the others
===================  =====================================================================

Bytes come unasked as well: pictures that contain DLE EOT by accident are answered. So a reply means nothing by itself;
who asked, and when, decides.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Final

from terminald.core.events import Blockage

#: DLE EOT n: asked and answered at once, whatever the printer is doing.
DLE_EOT: Final = b"\x10\x04"
#: The questions: the printer, the cause of its being off-line, its error, the paper sensor.
PRINTER, CAUSE, ERROR, PAPER = 1, 2, 3, 4
#: GS r 1: the paper sensor, answered when everything before it has been printed.
GS_R: Final = b"\x1dr\x01"

_XON, _XOFF = 0x11, 0x13
_ID_HEAD, _ID_MARK, _ID_END = 0x37, 0x22, 0x00
_ID_SIZE = 7
_AUTOMATIC_SIZE = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class RealTimeStatus:
    """An answer to DLE EOT; which question it answers is not in it."""

    bits: int


@dataclass(frozen=True, slots=True, kw_only=True)
class AutomaticStatus:
    """What some printers send by themselves at each change. Four bytes."""

    data: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class QueuedStatus:
    """An answer to GS r."""

    bits: int

    @property
    def has_paper(self) -> bool:
        """Whether the sensor sees paper. Some printers answer without any, and have printed nothing."""
        return not self.bits & 0x0C


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessId:
    """What was sent with this id has been printed."""

    tag: bytes


Reply = RealTimeStatus | AutomaticStatus | QueuedStatus | ProcessId


class ReplyReader:
    """Tells replies apart. The result does not depend on how the bytes are divided; noise is dropped."""

    def __init__(self) -> None:
        """Begin between two replies."""
        self._pending = b""

    def reset(self) -> None:
        """Forget a reply that has begun."""
        self._pending = b""

    def feed(self, data: bytes) -> tuple[Reply, ...]:
        """Take the next bytes; return what is complete. Never raises; keeps six bytes at most."""
        replies: list[Reply] = []
        for byte in data:
            if byte not in (_XON, _XOFF):
                self._take(byte, replies)
        return tuple(replies)

    def _take(self, byte: int, replies: list[Reply]) -> None:
        pending = self._pending
        if pending and not _may_follow(pending, byte):
            # What had begun was noise; this byte may begin something.
            pending = b""
        pending += bytes((byte,))
        reply = _complete(pending)
        if reply is not None:
            replies.append(reply)
        self._pending = pending if reply is None and _may_begin(pending[0]) else b""


def _may_begin(byte: int) -> bool:
    return byte == _ID_HEAD or byte & 0x93 == 0x10  # noqa: PLR2004 - see the module's table


def _may_follow(pending: bytes, byte: int) -> bool:
    if pending[0] != _ID_HEAD:
        return not byte & 0x10
    match len(pending):
        case 1:
            return byte == _ID_MARK
        case 6:
            return byte == _ID_END
    return byte >= 0x20  # noqa: PLR2004 - an id is of printable characters


def _complete(pending: bytes) -> Reply | None:
    first = pending[0]
    if first == _ID_HEAD:
        return ProcessId(tag=pending[2:6]) if len(pending) == _ID_SIZE else None
    if first & 0x93 == 0x10:  # noqa: PLR2004 - see the module's table
        return AutomaticStatus(data=pending) if len(pending) == _AUTOMATIC_SIZE else None
    if first & 0x93 == 0x12:  # noqa: PLR2004 - see the module's table
        return RealTimeStatus(bits=first)
    return None if first & 0x90 else QueuedStatus(bits=first)


# --- what the answers mean -------------------------------------------------------------------------------------------


class PaperState(Enum):
    """What the paper sensor sees."""

    OK = "ok"
    NEAR_END = "near_end"
    OUT = "out"


@dataclass(frozen=True, slots=True, kw_only=True)
class PrinterState:
    """How a printer is, by its own word."""

    paper: PaperState = PaperState.OK
    is_cover_open: bool = False
    is_cutter_stuck: bool = False
    #: An error that is neither cutter, cover nor paper: a hot head, a wrong voltage, or one that stays until it is
    #: switched off.
    is_in_error: bool = False
    is_offline: bool = False

    @property
    def blocked_by(self) -> Blockage | None:
        """What a person has to see to first; an open cover looks like missing paper as well."""
        if self.is_cover_open:
            return Blockage.COVER
        if self.paper is PaperState.OUT:
            return Blockage.PAPER
        if self.is_cutter_stuck:
            return Blockage.CUTTER
        return Blockage.OFFLINE if self.is_in_error or self.is_offline else None

    @property
    def words(self) -> str:
        """Say what is wrong and what to do; empty when nothing is."""
        match self.blocked_by:
            case Blockage.COVER:
                return "the cover is open: close it"
            case Blockage.PAPER:
                return "the paper is out: put in a new roll"
            case Blockage.CUTTER:
                return "the cutter is stuck: open the cover, free the blade, switch the printer off and on"
            case Blockage.OFFLINE if self.is_in_error:
                return "the printer reports an error: let it cool down, or switch it off and on"
            case Blockage.OFFLINE:
                return "the printer is off-line: press its on-line or feed button"
        return "the paper is near its end" if self.paper is PaperState.NEAR_END else ""


def read_state(answers: Mapping[int, int]) -> PrinterState:
    """Return what the answers to DLE EOT mean together; a question without an answer says nothing is wrong.

    PRINTER: bit 3 off-line. CAUSE: bit 2 cover open, 3 paper fed by the button, 5 stopped by paper end, 6 error. ERROR:
    bit 3 cutter, 5 unrecoverable, 6 recovers by itself. PAPER: bits 2 and 3 near end, 5 and 6 end.
    """
    printer, cause = answers.get(PRINTER, 0), answers.get(CAUSE, 0)
    error, sensor = answers.get(ERROR, 0), answers.get(PAPER, 0)
    near_end = PaperState.NEAR_END if sensor & 0x0C else PaperState.OK
    return PrinterState(
        paper=PaperState.OUT if sensor & 0x60 or cause & 0x20 else near_end,
        is_cover_open=bool(cause & 0x04),
        is_cutter_stuck=bool(error & 0x08),
        is_in_error=bool(error & 0x60 or (cause & 0x40 and not error & 0x08)),
        is_offline=bool(printer & 0x08 or cause & 0x08),
    )


def process_id(tag: bytes) -> bytes:
    """Return the request for a process id (GS ( H, function 48): four printable characters.

    Raises:
        ValueError: it is not that.
    """
    if len(tag) != 4 or not all(0x20 <= byte <= 0x7E for byte in tag):  # noqa: PLR2004 - Epson's reference
        raise ValueError(f"a process id is four printable characters, not {tag!r}")
    return b"\x1d(H\x06\x0000" + tag
