"""The markers of one job: questions in the stream of its bytes that the printer answers when it comes to them."""

import random
from collections.abc import Callable
from itertools import count
from typing import Final, Literal

from terminald.adapters.printer_questions import Proof
from terminald.wire.printer_status import GS_R, ProcessId, process_id

Confirm = Literal["gs_r", "process_id", "none"]

_numbers: Final = count(random.SystemRandom().randrange(10_000))


def fresh_tag() -> bytes:
    """Return an id that this process has not used for a long time."""
    return b"%04d" % (next(_numbers) % 10_000)


class Markers:
    """Which markers were sent, and which of them were answered: printers answer GS r in turn, and all alike."""

    def __init__(self, confirm: Confirm, *, owed: int, announce: Callable[[], None]) -> None:
        """Owed: answers that earlier jobs may still get. Announce is called at each answer."""
        self._confirm = confirm
        self._announce = announce
        self._tags = (fresh_tag(), fresh_tag())
        self._pledge_tag = b""
        #: Answers to GS r that come before that to the first marker.
        self.owed = owed
        self.heard_tags: set[bytes] = set()
        self.heard = 0
        self._pledged = 0

    @property
    def has_heard(self) -> bool:
        """Whether any answer came."""
        return self.heard > 0 or bool(self.heard_tags)

    def hear(self, proof: Proof) -> None:
        """Take an answer; one that says that there is no paper is none: nothing was printed."""
        if isinstance(proof, ProcessId):
            self.heard_tags.add(proof.tag)
        elif proof.has_paper:
            self.heard += 1
        self._announce()

    def request(self, number: int) -> bytes:
        """Return what is sent as the first marker (0) behind a job, and as the second."""
        return GS_R if self._confirm == "gs_r" else process_id(self._tags[number])

    def is_answered(self, number: int) -> bool:
        """Whether that marker was answered."""
        if self._confirm == "process_id":
            return self._tags[number] in self.heard_tags
        return self.heard > self.owed + number

    def disbelieve(self) -> None:
        """Forget the answer to the first marker: it was noise."""
        self.heard = min(self.heard, self.owed)

    def forget(self) -> None:
        """Begin anew, with the second marker: what was sent before may be gone, and what was heard does not count."""
        self.owed = self.heard = 0
        self.heard_tags = set()

    # --- in the middle of the job ------------------------------------------------------------------------------------

    def pledge(self) -> bytes:
        """Return what is sent as a marker in the middle of the job, where the printer stops."""
        self._pledged += 1
        if self._confirm == "gs_r":
            self.owed += 1
            return GS_R
        self._pledge_tag = fresh_tag()
        return process_id(self._pledge_tag)

    @property
    def is_pledge_answered(self) -> bool:
        """Whether every marker in the middle was answered."""
        if not self._pledged:
            return True
        return self.heard >= self.owed if self._confirm == "gs_r" else self._pledge_tag in self.heard_tags

    def disbelieve_pledge(self) -> None:
        """Forget the answer to the last marker in the middle: it was noise."""
        self.heard = min(self.heard, self.owed - 1)
