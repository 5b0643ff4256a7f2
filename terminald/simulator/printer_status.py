"""What a printer says of itself: its condition, in the bits of the manuals, and how it gets said.

The bits are those on which Epson (TM-U220, TM-T88III, TM-L60II), Sewoo, Citizen, HPRT and Samsung agree.
"""

import asyncio
import random
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal

Question = Literal["dle_eot", "gs_r", "process_id", "asb"]

#: What a printer answers, by the kind of printer: a brand; a usual clone; one that knows DLE EOT alone; one without a
#: way back, as many 58 mm modules are.
ANSWERS: Final[dict[str, frozenset[Question]]] = {
    "all": frozenset({"dle_eot", "gs_r", "process_id", "asb"}),
    "clone": frozenset({"dle_eot", "gs_r"}),
    "status": frozenset({"dle_eot"}),
    "none": frozenset(),
}

_LAST_ASB_BYTE = 0x0F  # nothing of ours; its lower half is not defined


@dataclass(frozen=True, slots=True, kw_only=True)
class Manner:
    """How a printer answers.

    Attributes:
        answers: the questions that it knows; the others it takes without a word.
        delay_s: how long every answer takes.
        garbage: the part (0 to 1) of the status bytes in whose place another byte comes.
        is_asb_unasked: sends its automatic status from the beginning, as some are set to.
    """

    answers: frozenset[Question] = ANSWERS["all"]
    delay_s: float = 0
    garbage: float = 0
    is_asb_unasked: bool = False


@dataclass(slots=True, kw_only=True)
class Condition:
    """What is the matter with a printer at this moment."""

    is_paper_low: bool = False
    is_paper_out: bool = False
    is_cover_open: bool = False
    is_cutter_stuck: bool = False
    is_head_hot: bool = False
    is_broken: bool = False
    is_switched_off_line: bool = False

    @property
    def is_in_error(self) -> bool:
        """Whether it has what the manuals call an error; paper and cover are none."""
        return self.is_cutter_stuck or self.is_head_hot or self.is_broken

    @property
    def is_off_line(self) -> bool:
        """Whether it prints nothing, and reads nothing out of its receive buffer."""
        return self.is_in_error or self.is_paper_out or self.is_cover_open or self.is_switched_off_line

    def real_time(self, kind: int) -> int:
        """Return the answer to DLE EOT: 1 printer, 2 cause of off-line, 3 cause of the error, 4 paper sensor.

        Bits 1 and 4 are always set, bits 0 and 7 never.
        """
        match kind:
            case 1:
                bits = 0x08 * self.is_off_line
            case 2:
                bits = 0x04 * self.is_cover_open | 0x20 * self.is_paper_out | 0x40 * self.is_in_error
            case 3:
                bits = 0x08 * self.is_cutter_stuck | 0x20 * self.is_broken | 0x40 * self.is_head_hot
            case _:
                bits = 0x0C * self._is_near_end | 0x60 * self.is_paper_out
        return 0x12 | bits

    def sensor(self) -> int:
        """Return the answer to GS r 1; bits 4 and 7 are never set."""
        return 0x03 * self._is_near_end | 0x0C * self.is_paper_out

    def automatic(self) -> bytes:
        """Return the four bytes of the automatic status (GS a); bit 4 is set in the first alone."""
        first = 0x10 | 0x08 * self.is_off_line | 0x20 * self.is_cover_open
        second = 0x08 * self.is_cutter_stuck | 0x20 * self.is_broken | 0x40 * self.is_head_hot
        return bytes((first, second, self.sensor(), _LAST_ASB_BYTE))

    @property
    def _is_near_end(self) -> bool:
        """The sensor of the near end sees no roll either when there is none."""
        return self.is_paper_low or self.is_paper_out


class Answers:
    """Sends what a printer answers, in its manner.

    Attributes:
        manner: may be replaced at any time.
    """

    def __init__(self, *, manner: Manner, send: Callable[[bytes], None], seed: int) -> None:
        self.manner = manner
        self._send = send
        self._random = random.Random(seed)
        self._late: deque[tuple[float, bytes]] = deque()
        self.forget()

    def forget(self) -> None:
        """Be as after switching on: nothing is left to say, and nothing asked for."""
        self._late.clear()
        self.set_automatic(is_on=self.manner.is_asb_unasked)

    def set_automatic(self, *, is_on: bool) -> None:
        """Tell the automatic status at the next call of :meth:`tell`, and then each change of it, or no more.

        One switch for everything; a real GS a has one for each class of changes.
        """
        self._is_automatic = is_on
        self._told = b""

    def tell(self, condition: Condition) -> None:
        """Send the automatic status if it is on and has changed."""
        status = condition.automatic()
        if self._is_automatic and status != self._told:
            self._told = status
            self.answer("asb", status)

    def status(self, question: Question, byte: int) -> None:
        """Answer with one status byte, or with garbage."""
        is_garbage = self._random.random() < self.manner.garbage
        self.answer(question, self._random.randbytes(1) if is_garbage else bytes((byte,)))

    def answer(self, question: Question, data: bytes) -> None:
        """Answer a question that the printer knows, after its delay; answers keep their order."""
        if question not in self.manner.answers:
            return
        loop = asyncio.get_running_loop()
        due = loop.time() + self.manner.delay_s
        self._late.append((due, data))
        if self.manner.delay_s:
            loop.call_at(due, self._send_due, due)
        else:
            self._send_due(due)

    def _send_due(self, due: float) -> None:
        """Send what was due then; what was answered before a loss of power is not among it."""
        while self._late and self._late[0][0] <= due:
            self._send(self._late.popleft()[1])
