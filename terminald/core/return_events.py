"""What can happen to a paid sale: its goods are reported, and its money goes back."""

from dataclasses import dataclass

from terminald.core.events import Answer, Event, Fault
from terminald.core.ids import RefundId, WallTime
from terminald.core.money import Fen

# --- the goods --------------------------------------------------------------------------------------------


class DeliveryWaived(Event):
    """The host does not report delivery: paid is the end."""


class Delivered(Event):
    """The host says that the goods came out."""


class Undelivered(Event):
    """The host says that nothing came out: the money goes back."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PartUndelivered(Event):
    """The host says that goods of this worth did not come out."""

    amount: Fen


class LateDelivered(Delivered):
    """The same, of a sale whose call for a report a person has closed."""


class DeliveredInTime(Delivered):
    """The same, while the money that goes back for the silence about the goods has provably not moved: it stays."""


class LateUndelivered(Undelivered):
    """The same, of a sale whose call for a report a person has closed."""


class LatePartUndelivered(PartUndelivered):
    """The same, of a sale whose call for a report a person has closed."""


class DeliveryWindowClosed(Event):
    """The host's time to report is over."""


class DeliveryUnheard(DeliveryWindowClosed):
    """The same, long ago, and perhaps no report could be taken since: only a person can say what came out."""


class DeliveryOverdue(Event):
    """The same, or the power was cut before the report: a person should look."""


class DeliveryLapsed(Event):
    """The same, and the money is to go back."""


class DeliveryClosed(Event):
    """A person who was called for the report answers for the goods."""


# --- money that goes back ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class RefundEvent(Event):
    """What a refund tells its sale."""

    refund_id: RefundId
    amount: Fen


class ReturnBegun(RefundEvent):
    """All that is left is to go back."""


class RefundBegun(RefundEvent):
    """A part is to go back."""


class RefundDone(RefundEvent):
    """The money went back: proven."""


class AllReturned(RefundEvent):
    """The same, and nothing of the payment is left."""


class RefundFailed(RefundEvent):
    """The money stays where it is: refused by the gateway, overtaken by another refund, or closed by a person."""


class RefundClosed(RefundFailed):
    """The same: a person has settled it by other means, so that nothing is owed of it any more."""


class ReturnFailed(RefundEvent):
    """The same, of the return of all that is left."""


class ReturnStillOwed(ReturnFailed):
    """The same, and nothing had come out: it is owed, whatever the host's own refund has come to."""


class PartStillOwed(ReturnFailed):
    """The same, and a part had not come out."""


class ReturnDropped(ReturnFailed):
    """The same, and the host has still to report the goods."""


# --- of a refund -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn(Event):
    """No other request about this order's money is under way. Left is what is left of the payment."""

    left: Fen


@dataclass(frozen=True, slots=True, kw_only=True)
class RevokeTurn(Turn):
    """It is revoked. Until is the end of the gateway's day on which that is possible; None where it is not known."""

    until: WallTime | None = None


class RefundTurn(Turn):
    """It is refunded."""


class LookTurn(Turn):
    """The gateway did not know its order, so that an earlier try may have moved the money: it is asked about first."""


class RevokeLookTurn(Turn):
    """The same, of a revoke."""


class NothingLeft(Turn):
    """All of it has gone back already, and all or some of that was to go back: nothing is missing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnMissed(Turn):
    """What it asks for is not possible any more, so that nothing is sent now: others are first, or its day is over."""

    fault: Fault


class RevokeRefused(Answer):
    """The gateway does not revoke this order, and nothing else was asked for."""


class RefundAccounted(Answer):
    """The order's state proves that this refund was carried out."""


class RefundMissing(Answer):
    """The order's state does not show this refund: it is repeated under its own number."""


class RefundDenied(Answer):
    """The same, and the gateway had refused it: it was not carried out, and will not be."""


class RefundOvertaken(Answer):
    """All of the payment has gone back by others, and the gateway had refused this one: it was not carried out."""


class RefundNeedless(Answer):
    """The same, of a part that is owed: nothing is missing."""


class RefundDoubted(Answer):
    """The same, while an earlier try without a clear answer may still arrive: asked again later."""


class OrderStuck(Answer):
    """The order is in an error of the gateway's own, and the gateway had refused the request: asked again later."""


class RefundHeldUp(Answer):
    """The same, of money that is owed: it is tried again later."""


class OrderGone(Answer):
    """The gateway does not know the order, and no request of this refund can still arrive: a person may settle it."""


class RevokeLapsed(Answer):
    """The gateway's own error about the order is its last word, and its day is over: nobody knows what has moved."""


class ReturnCalledOff(Event):
    """Nothing was sent, or all that was sent is proven not to have moved anything, and the goods came out after all."""


class ClosedByHand(Event):
    """A person has settled it by other means."""
