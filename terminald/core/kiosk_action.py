"""What is done for a paid sale without a host application, in steps, and what an end of it means for the money.

A step is what can not be taken back: one run of a command, one pulse on a line. That a step is about to be taken is on
disk before it is; that it was taken is not. So after a crash it is known how many were taken at most, and that all but
the last of those were.
"""

from dataclasses import dataclass

from terminald.core.ids import SaleId
from terminald.core.money import Fen


@dataclass(frozen=True, slots=True, kw_only=True)
class ActionMark:
    """What is on disk of the last action: so many steps of so many were begun."""

    sale_id: SaleId
    begun: int
    steps: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ActionDone:
    """Every step was taken, and nothing says that it was in vain."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ActionFailed:
    """It did not come to its end. So many steps certainly were taken; evidence says in words what went wrong."""

    evidence: str
    certain: int = 0
    #: Whether each step is worth the same part of the amount; else they are worth nothing without each other.
    has_parts: bool = False
    steps: int = 1


ActionOutcome = ActionDone | ActionFailed


def owed(amount: Fen, failed: ActionFailed) -> Fen | None:
    """Return what goes back for a failed action: the part that did not certainly come out; None: all of it."""
    if not failed.has_parts or not failed.certain:
        return None
    return Fen(amount - amount * failed.certain // failed.steps)


def was_begun(mark: ActionMark | None, sale_id: SaleId) -> bool:
    """Whether a paid sale's action may have been taken, in part at least, before the process or the power ended.

    It is not begun again then. Where it provably was not, nothing came out.
    """
    return mark is not None and mark.sale_id == sale_id
