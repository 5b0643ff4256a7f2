"""What a vending machine tells about its requests, and how it went to approve one.

A request is named by a number that counts up for as long as the process lives, over every opening of the adapter, so
that nothing which is meant for one request can ever reach another one.
"""

from dataclasses import dataclass

from terminald.core.events import Event
from terminald.core.money import Fen


@dataclass(frozen=True, slots=True, kw_only=True)
class VendEvent(Event):
    """Base of what concerns one request of a machine."""

    request: int


# --- what the machine tells ------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class VendRequested(VendEvent):
    """Somebody has selected, and the machine asks for money. An open request before it is over, and was told so.

    The amount may be 0, or more than a sale may cost: whether that is sold is not the adapter's business.
    """

    #: As received; echoed in the approval.
    price: str
    amount: Fen
    #: As received; empty where the machine does not say.
    item: str


class VendCanceled(VendEvent):
    """The machine does not want the payment any more: the coin return was pressed, or cash was inserted instead."""


class VendSucceeded(VendEvent):
    """The machine says that it has dispensed. Only after an approval."""


class VendFailed(VendEvent):
    """The machine says that it has not dispensed."""


class ApprovalRejected(VendEvent):
    """The adapter did not pass our approval on: nothing is dispensed for it."""


class MachineReset(VendEvent):
    """The machine was started anew while it had a request open. After an approval it may have dispensed."""


class RequestGone(VendEvent):
    """The machine is at rest, or asks for something else, while its request was open."""


class AdapterLost(VendEvent):
    """The adapter went away, or was set up anew, with a request open. After an approval it may have been passed on."""


# --- completions of an approval --------------------------------------------------------------------------------------


class ApprovalSent(VendEvent):
    """The approval has left, as far as can be told; what becomes of it the machine tells."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ApprovalNotSent(VendEvent):
    """Provably nothing left the device: the machine does not ask for this request any more, or takes nothing."""

    #: For people.
    reason: str


# --- what its sale tells a vend --------------------------------------------------------------------------------------


class SaleTold(Event):
    """Base of what its sale tells a vend, each as it enters a state."""


class SaleWaiting(SaleTold):
    """It waits for the customer (again)."""


class SalePaying(SaleTold):
    """A payment is with the gateway, or may be."""


class SalePaid(SaleTold):
    """The payment is proven (I4)."""


class SaleCanceling(SaleTold):
    """It will not be paid any more; whatever was taken is being undone."""


class SaleCanceled(SaleTold):
    """It is not paid, and no money is kept (I3)."""


class SaleReturning(SaleTold):
    """All that is left of the payment is on its way back."""


class SaleReturned(SaleTold):
    """Nothing of the payment is left."""


class SaleCompleted(SaleTold):
    """It is over, with the payment kept, or as a person has settled it."""


# --- time ------------------------------------------------------------------------------------------------------------


class AnswerDue(Event):
    """The machine is to have its answer: there is no time left to take a payment."""


class ApprovalDue(Event):
    """The payment is on disk, and whatever the machine had said until then is known."""


class ResultOverdue(Event):
    """The machine's time to tell what became of an approval is over."""


class ApprovalDoubted(Event):
    """The approval has left, and before that the machine had told something that speaks against it."""
