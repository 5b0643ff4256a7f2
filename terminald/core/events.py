"""What can happen. Past tense; replies of the gateway become distinct events where they are decoded."""

from dataclasses import dataclass
from enum import Enum

from terminald.core.ids import ClientSn, PaymentCode
from terminald.core.money import Fen


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderFacts:
    """What an answer says about an order, already checked against what was asked. Empty where it says nothing."""

    sn: str = ""
    trade_no: str = ""
    payway: str = ""
    finish_time: str = ""  # the gateway's, Unix milliseconds as text
    net_amount: Fen | None = None
    #: The order's latest transaction: after a refund the ``client_sn``, "-", and the refund's request number.
    client_tsn: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """The gateway's or our own words for what went wrong: shown, never decided upon."""

    code: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Base of everything that a machine can be told."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer(Event):
    """A completion of a command. Facts and fault are what the answer said."""

    facts: OrderFacts = OrderFacts()
    fault: Fault | None = None


# --- completions of any request --------------------------------------------------------------------------------------


class RequestNotSent(Answer):
    """Provably nothing left the device."""


class RequestRefused(Answer):
    """The gateway definitely refused the request itself (parameters, terminal, signature); the order is untouched."""


class OutcomeUnknown(Answer):
    """The request may have run: no answer, or none that can be understood."""


class AnswerMismatched(Answer):
    """The answer speaks of another terminal, order or amount than was asked (I4)."""


# --- completions of a submit -----------------------------------------------------------------------------------------


class PayConfirmed(Answer):
    """The gateway says PAID for this terminal, order and amount."""


class PayDeclined(Answer):
    """Failed for good, and already reversed by the gateway where that was needed."""


class OutcomePending(Answer):
    """The gateway has the order, and it is not final: the customer may be typing a password."""


@dataclass(frozen=True, slots=True, kw_only=True)
class QrOffered(Answer):
    """The gateway has made an order that whoever scans this content can pay."""

    content: str


# --- completions of a query ------------------------------------------------------------------------------------------


class OrderPaid(Answer):
    """PAID, for this terminal, order and amount."""


class OrderPending(Answer):
    """Known to the gateway and not final."""


class OrderErrored(Answer):
    """Not final, and the gateway reports an error of its own: not paid, and a person should know."""


class OrderClosed(Answer):
    """Final without payment."""


class OrderReturned(Answer):
    """Paid once, and all of it was given back."""


class OrderPartlyReturned(Answer):
    """Paid once, and part of it was given back; facts.net_amount is what is left."""


class OrderAbsent(Answer):
    """The gateway does not know the order, so far."""


class QueryFailed(Answer):
    """No usable answer to a query: nothing is known, nothing was changed."""


# --- completions of a reversal and of a refund -----------------------------------------------------------------------


class ReversalConfirmed(Answer):
    """The order is undone; whatever was taken has gone back."""


class ReversalPending(Answer):
    """The gateway is at it, or failed in a way that may be tried again."""


class ReversalRefused(Answer):
    """The gateway does not cancel this order (any more): what was paid must be refunded."""


class RefundConfirmed(Answer):
    """The refund with this number is done."""


class RefundPending(Answer):
    """The gateway is at it, or its state can not be told from the answer."""


class RefundRefused(Answer):
    """The gateway did not carry out this refund."""


# --- time and the outside, of an attempt -----------------------------------------------------------------------------


class PollDue(Event):
    """It is time to query again."""


class PollWindowClosed(Event):
    """The time in which the gateway should have become final is over."""


class RetryDue(Event):
    """It is time to find out how a reversal or refund stands."""


class LookDue(Event):
    """It is time to look once more for a request that arrived late."""


class LastLookDue(Event):
    """It is time for the last such look."""


class AttentionDue(Event):
    """Putting the money right has taken so long that a person should know."""


class AbandonRequested(Event):
    """The sale does not want this payment any more."""


class YieldRequested(Event):
    """A code was presented beside this QR order: it is undone, unless the customer has paid it already."""


class OfferExpired(Event):
    """The QR's time is over: it is undone, unless the customer has paid it in time."""


class PaymentNotSeen(Answer):
    """Asked before it undoes a QR order, the gateway does not say that it is paid, or that it is closed."""


class PaymentStands(Answer):
    """PAID, of a QR order that was to be undone for a presented code: it pays the sale, and no cancel may undo it."""


class OrderVanished(Answer):
    """The gateway says that it does not know an order that it had confirmed: that proves nothing."""


class WayCleared(Event):
    """The order that stood in the way is proven unpaid: the code that was held may be submitted (I1)."""


class HoldEnded(Event):
    """A code was held so long that its customer should present a fresh one."""


class Recovered(Event):
    """The process was started again; whatever was under way has an unknown outcome."""


class PowerReturned(Event):
    """The board was started again: the same, and whoever stood before the terminal may be gone."""


# --- of a sale -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class CodeScanned(Event):
    """A payment code arrived for this sale. The code itself is never stored."""

    client_sn: ClientSn
    code: PaymentCode
    digest: str


class CodeBesideOffer(CodeScanned):
    """The same, while a QR order is not proven unpaid."""


class PresentationExpired(Event):
    """The customer's time to pay is over."""


class OfferDue(Event):
    """It is time to offer a QR order, after an earlier one ended unpaid."""


class OfferPutOff(Event):
    """It is time to offer a QR order, while an earlier one of the sale is not proven unpaid: not now (I1)."""


class OfferRanOut(Event):
    """The customer's time to pay is over, and a QR may have been paid since the last look."""


class OfferWithdrawn(Event):
    """Nobody wants the sale any more (host, time, shutdown, drain, power), while a QR order is not proven unpaid."""


#: Why a sale is canceled whose order was undone because the disk failed.
UNRECORDED = "journal_failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelRequested(Event):
    """The host does not want the sale any more."""

    #: Why the sale is not paid, in the words of the local API.
    reason: str = "host"


class ShutdownRequested(Event):
    """The daemon is about to stop: nothing new is begun."""


class DrainRequested(Event):
    """A person holds sales back: nothing new is begun until sales are resumed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptEvent(Event):
    """What an attempt tells its sale."""

    client_sn: ClientSn
    reason: str = ""


class AttemptPaid(AttemptEvent):
    """The payment is proven."""


class AttemptUnpaid(AttemptEvent):
    """Proven unpaid, or never seen at the gateway and watched. Reason says why."""


class AttemptRefused(AttemptEvent):
    """The gateway refuses this terminal's requests: another code would fare no better."""


class AttemptReversing(AttemptEvent):
    """Given up after the poll window: it will not be paid, and is being undone."""


class AttemptOffered(AttemptEvent):
    """The QR can be shown."""


class OfferClosing(AttemptEvent):
    """The QR's own time is over, and it is being undone; codes are still taken."""


class OfferEnded(AttemptEvent):
    """The QR order is proven unpaid; another one may be offered."""


class LastOfferEnded(AttemptEvent):
    """The same, and no other one will be offered: there is no way left to pay."""


class ChargeEnded(AttemptEvent):
    """One of the orders that a canceled sale waits for is proven unpaid, and others are not."""


# --- of a print job --------------------------------------------------------------------------------------------------


class SendDue(Event):
    """It is time to send the job to the printer."""


class LifetimeEnded(Event):
    """Nobody is waiting for this receipt any more."""


class PrinterReady(Event):
    """The printer is there, and reports nothing (any more) that keeps it from printing."""


class Blockage(Enum):
    """What keeps a printer from printing until somebody sees to it."""

    PAPER = "paper"  # it has none left
    COVER = "cover"  # it is open
    CUTTER = "cutter"  # it is stuck
    OFFLINE = "offline"  # by its button, by an error of its own, or it does not answer any more


@dataclass(frozen=True, slots=True, kw_only=True)
class PrintAnswer(Event):
    """A completion of sending a job. Evidence says in words what is known."""

    evidence: str = ""


class JobPrinted(PrintAnswer):
    """The printer said, after the cut, that it has printed everything before."""


class JobSent(PrintAnswer):
    """The transport took every byte; nobody said that it was printed."""


class PrinterAbsent(PrintAnswer):
    """The printer could not be reached; nothing was sent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JobBlocked(PrintAnswer):
    """The printer can not print now; nothing was sent."""

    by: Blockage = Blockage.OFFLINE


@dataclass(frozen=True, slots=True, kw_only=True)
class JobInterrupted(PrintAnswer):
    """No completion yet: the printer stopped in the middle, keeps what it has, and is waited for."""

    by: Blockage = Blockage.OFFLINE


class JobLost(PrintAnswer):
    """The printer is back, and what it had not printed is certainly gone. Part of it may be on paper."""


class JobBroken(PrintAnswer):
    """Some bytes were sent, then the printer was lost or took no more."""


class SlipOutdated(PrintAnswer):
    """What it says is not true any more; nothing was sent."""
