"""The vending machine's books: what was asked for, what was approved, what came out. For tests to judge by."""

import re
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from typing import Final

#: What may stand for an amount on the line; MDB prices have 16 bits and up to three decimal places.
_AMOUNT: Final = re.compile(r"[0-9]{1,6}(\.[0-9]{1,3})?")


def amount_of(text: str) -> Decimal | None:
    """Return the amount that a text says, or None where it says none."""
    return Decimal(text) if _AMOUNT.fullmatch(text) else None


class End(StrEnum):
    """How a vend ended, as the machine sees it."""

    SOLD = "sold"
    FAILED = "failed"
    DENIED = "denied"
    CANCELED = "canceled"
    CASH = "paid in cash instead"
    NO_ANSWER = "no answer"
    RESET = "machine reset"
    POWER_CUT = "machine without power"


class Misdeed(StrEnum):
    """What a host must not do."""

    UNKNOWN_COMMAND = "unknown command"
    BAD_ARGUMENT = "bad argument"
    NOT_ENDED = "line not ended"
    TOO_LONG = "line too long"
    WHILE_OFF = "command while the slave is off"
    WHILE_ON = "configured while the slave is on"
    START_OUT_OF_STATE = "session begun in the wrong state"
    REVALUE_ACCEPTED = "revalue accepted"
    APPROVED_NOTHING = "approval without a request"
    APPROVED_TWICE = "second approval"
    DENIED_TOO_LATE = "denied after the approval"
    APPROVED_ZERO = "approved for nothing, which is no denial"
    AMOUNT_DIFFERS = "approved amount is not the price"
    AMOUNT_REWRITTEN = "approved amount is not written as the price was"
    ITEM_DIFFERS = "approved item is not the one asked for"


@dataclass(frozen=True, slots=True, kw_only=True)
class Violation:
    """A misdeed of the host, and the line that was it."""

    misdeed: Misdeed
    line: str
    at_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Approval:
    """One ``C,VEND`` for a vend.

    Attributes:
        is_taken: it reached the machine, which dispenses. Not so when it was refused, or the machine had no power.
        answer: what it was refused with, such as ``VEND -3``; empty when it was not.
        has_crossed: it was refused because the vend had just ended, which the host may not have known yet.
    """

    text: str
    amount: Decimal
    at_s: float
    is_taken: bool = False
    answer: str = ""
    has_crossed: bool = False


@dataclass(slots=True, kw_only=True)
class Vend:
    """One VEND REQUEST, however often its line was repeated.

    Attributes:
        price: as it was sent to the host; amount: what that says, None where it is not a number.
        approvals: each ``C,VEND`` while it was the last vend, those that were refused as well.
        denials: each ``C,VEND,-1`` or ``C,STOP`` that was taken.
        end: None while it is under way, also when the machine has jammed.
        is_dispensed: the goods are with the customer.
        is_result_told: the adapter heard VEND SUCCESS or VEND FAILURE, and could pass it on.
    """

    number: int
    price: str
    amount: Decimal | None
    item: int
    asked_at_s: float
    approvals: list[Approval] = field(default_factory=list)
    denials: int = 0
    end: End | None = None
    ended_at_s: float | None = None
    is_dispensed: bool = False
    is_paid_in_cash: bool = False
    is_result_told: bool = False

    @property
    def taken(self) -> list[Approval]:
        """Return the approvals that reached the machine."""
        return [approval for approval in self.approvals if approval.is_taken]

    @property
    def is_approved(self) -> bool:
        """Whether the host has paid for it, as far as the machine knows."""
        return bool(self.taken)

    def __str__(self) -> str:
        approved = f"approved {', '.join(each.text for each in self.taken)}" if self.taken else "not approved"
        refused = len(self.approvals) - len(self.taken)
        said = [
            approved,
            *([f"{refused} approvals in vain"] if refused else []),
            *([f"{self.denials} denials"] if self.denials else []),
            "dispensed" if self.is_dispensed else "not dispensed",
        ]
        return f"vend {self.number}: item {self.item} for {self.price}: {', '.join(said)}: {self.end or 'under way'}"


@dataclass(slots=True, kw_only=True)
class Books:
    """Everything that the machine asked for and the host did wrong. They outlive power cuts and unplugging.

    Attributes:
        not_asked: selections for which no request was made (no reader, a vend under way, …): only cash would do.
    """

    vends: list[Vend] = field(default_factory=list)
    violations: list[Violation] = field(default_factory=list)
    not_asked: int = 0

    @property
    def last(self) -> Vend | None:
        """Return the vend of the last request."""
        return self.vends[-1] if self.vends else None

    def open(self, *, price: str, item: int, at_s: float) -> Vend:
        """Enter a new request."""
        vend = Vend(number=len(self.vends) + 1, price=price, amount=amount_of(price), item=item, asked_at_s=at_s)
        self.vends.append(vend)
        return vend

    def judge(self) -> list[str]:
        """Return what must never be: unpaid goods, two approvals, a wrong amount, a violation. Empty is good.

        Whether an approval was paid for is in the gateway's books, not in these.
        """
        found = []
        for vend in self.vends:
            if vend.is_dispensed and not (vend.is_approved or vend.is_paid_in_cash):
                found.append(f"dispensed unpaid: {vend}")
            if vend.is_approved and vend.is_paid_in_cash:
                found.append(f"paid twice: {vend}")
            if len(vend.taken) > 1:
                found.append(f"approved twice: {vend}")
            if any(approval.amount != vend.amount for approval in vend.taken):
                found.append(f"approved for another amount: {vend}")
        return [*found, *(f"{each.misdeed}: {each.line}" for each in self.violations)]
