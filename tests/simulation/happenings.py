"""What happened in a history, by the gateway's door and the journal's records; and what must have, over many."""

import sqlite3
from collections import Counter
from collections.abc import Mapping
from contextlib import closing

from tests.simulation.history import History
from tests.simulation.kinds import FAULT_KINDS

#: Messages that were lost, answers that were lost, and requests that were late: of each call.
_BY_CODE = ("pay", "query", "cancel")
_LOST = (("lose_request", "close_request"), ("lose_answer", "close_answer", "reset"), ("delay_request",))
_MONEY = (
    # what the gateway did
    "CANCEL_ERROR@cancel", "CANCEL_ERROR@revoke", "CANCEL_IN_PROGRESS@cancel", "CANCEL_IN_PROGRESS@revoke",
    "REFUND_ERROR@refund", "REFUND_IN_PROGRESS@refund", "ACCOUNT_BALANCE_NOT_ENOUGH@refund",
    "ACCOUNT_BALANCE_NOT_ENOUGH@revoke", "UPAY_TCP_ORDER_NOT_REFUNDABLE@refund",
    "UPAY_TCP_ORDER_NOT_REFUNDABLE@revoke", "UPAY_CANCEL_ORDER_NOOP@cancel", "UPAY_REFUND_ORDER_NOOP@refund",
    "UPAY_CANCEL_INVALID_ORDER_STATE@cancel", "arrived after it was proven absent", "paid in the moment of a cancel",
    "midnight passed before money went back", "money could not go back for long",
    # customers, and what befell the terminal
    "a QR was paid", "a QR was paid while it was being undone", "a customer came too late for a QR",
    "a QR was paid in its last seconds", "a QR was paid while its cancel was held up", "a customer refused a QR",
    "a customer walked away",
    "befallen by: cancel", "befallen by: cut", "befallen by: disk", "befallen by: kill", "befallen by: query",
    "befallen by: stop", "befallen by: clock", "the process died",
    # QR orders, and codes beside them
    "attempt: offered → paid on OrderPaid", "attempt: offered → declined on OrderClosed",
    "attempt: offered → reversing on AbandonRequested", "attempt: offered → polling on YieldRequested",
    "attempt: offered → polling on OfferExpired", "attempt: polling → polling on QueryFailed",
    "the gateway forgot an order", "attempt: reversing → proving on OrderAbsent",
    "attempt: proving → reversing on OrderAbsent", "attempt: offering → reversing on OutcomeUnknown",
    "attempt: offering → reversing on Recovered", "attempt: offering → abandoning on AbandonRequested",
    "attempt: abandoning → reversing on QrOffered",
    "attempt: settling → paid on PaymentStands",
    "attempt: held → submitting on WayCleared", "attempt: held → unsent on AbandonRequested",
    "attempt: held → unsent on HoldEnded", "attempt: held → unsent on Recovered",
    "sale: awaiting_payment → awaiting_payment on OfferDue", "sale: awaiting_payment → canceling on CancelRequested",
    "sale: awaiting_payment → expiring on OfferRanOut", "sale: expiring → paid on AttemptPaid",
    "sale: expiring → canceling on AttemptReversing", "sale: expiring → canceled on AttemptUnpaid",
    "sale: expiring → expiring on Recovered", "a code beside an earlier order: earlier_order_open",
    "sale: awaiting_payment → canceling on PresentationExpired", "sale: awaiting_payment → canceling on PowerReturned",
    "sale: awaiting_payment → canceling on ShutdownRequested", "sale: switching → paid on AttemptPaid",
    "sale: switching → processing on AttemptUnpaid", "sale: switching → awaiting_payment on AttemptUnpaid",
    # goods
    "delivered: done", "undelivered: done", "undelivered in part: done", "the host never reported", "a late report",
    "a late report after a person", "sale: paid → completed on DeliveryClosed",
    "sale: completed → returning on Undelivered", "sale: completed → completed on PartUndelivered",
    "sale: completed → completed on Delivered",
    "sale: paid → returning on DeliveryWindowClosed", "sale: paid → paid on DeliveryWindowClosed",
    "sale: paid → returning on PowerReturned", "sale: paid → paid on PowerReturned", "sale: paid → paid on Recovered",
    "sale: returning → returning on Delivered",
    # slips
    "paper: printed", "paper: silent", "paper: lost", "paper: breaks", "paper: outdated",
    "print: printing → printed on JobPrinted", "print: printing → unverified on Recovered",
    "print: printing → printing on JobInterrupted", "print: printing → blocked on JobBlocked",
    "print: printing → queued on PrinterAbsent", "print: printing → expired on SlipOutdated",
    "print: blocked → expired on LifetimeEnded", "print: lost → reprinting on SendDue",
    "print: lost → failed on LifetimeEnded", "print: reprinting → printed on JobPrinted",
    "print: reprinting → unverified on Recovered",
    # money that goes back
    "refund: done", "refund: nothing_left", "refund: refund_too_much", "refund of an unpaid sale: not_paid",
    "a refund was repeated after a restart", "a refund's reference was repeated", "revoke: done",
    "revoke: revoke_impossible", "closing by hand: done", "killed after a payment",
    "refund: revoking → done on ReversalConfirmed", "refund: revoking → refunding on ReversalRefused",
    "refund: revoking → checking on OutcomeUnknown", "refund: revoking → checking on Recovered",
    "refund: checking → done on OrderClosed", "refund: checking → revoking on OrderPaid",
    "refund: checking → refused on OrderPaid", "refund: refunding → done on RefundConfirmed",
    "refund: refunding → proving on OutcomeUnknown", "refund: refunding → proving on Recovered",
    "refund: proving → refunding on OrderPaid", "refund: proving → done on OrderPartlyReturned",
    "refund: proving → done on OrderReturned", "refund: proving → blocked on OrderPaid",
    "refund: proving → refused on OrderPaid", "refund: blocked → requested on RetryDue",
    "refund: blocked → refused on ReturnCalledOff",
    "refund: blocked → closed on ClosedByHand", "refund: blocked → refused on TurnMissed",
    "sale: returning → completed on RefundClosed",
    "sale: completed → completed on RefundDone",
    "sale: paid → paid on RefundDone", "sale: returning → returned on AllReturned",
    "sale: returning → returned on RefundDone", "sale: returning → paid on RefundFailed",
)  # fmt: skip


#: Of a code alone, whoever sells.
_CODES = (
    "CANCEL_ERROR@cancel", "CANCEL_IN_PROGRESS@cancel", "UPAY_CANCEL_ORDER_NOOP@cancel",
    "paid in the moment of a cancel", "the process died",
    "attempt: submitting → paid on PayConfirmed", "attempt: submitting → declined on PayDeclined",
    "attempt: submitting → declined on RequestRefused", "attempt: submitting → polling on AnswerMismatched",
    "attempt: submitting → polling on OutcomeUnknown", "attempt: submitting → polling on Recovered",
    "attempt: submitting → abandoning on AbandonRequested", "attempt: polling → paid on OrderPaid",
    "attempt: polling → polling on PowerReturned", "attempt: polling → reversing on AbandonRequested",
    "attempt: polling → reversing on PollWindowClosed", "attempt: reversing → settling on ReversalRefused",
    "attempt: reversing → watching on OrderAbsent", "attempt: refunding → reversed on RefundConfirmed",
    "attempt: proving → reversing on OrderPending", "attempt: last_look → reversed on OrderAbsent",
    "sale: awaiting_payment → canceled on CancelRequested", "sale: awaiting_payment → canceled on PresentationExpired",
    "sale: awaiting_payment → canceled on PowerReturned", "sale: awaiting_payment → awaiting_payment on Recovered",
    "sale: processing → awaiting_payment on AttemptUnpaid", "sale: processing → canceled on AttemptRefused",
    "sale: processing → canceling on CancelRequested", "sale: processing → processing on PowerReturned",
)  # fmt: skip
_VENDS = (
    "vend: requested → canceling on AdapterLost", "vend: requested → canceling on MachineReset",
    "vend: requested → canceling on RequestGone", "vend: requested → canceling on VendCanceled",
    "vend: requested → canceling on Recovered", "vend: requested → denied on SaleCanceled",
    "vend: paying → requested on SaleWaiting", "vend: paying → canceling on AdapterLost",
    "vend: paying → canceling on MachineReset", "vend: paying → canceling on RequestGone",
    "vend: paying → canceling on VendCanceled", "vend: paying → canceling on PowerReturned",
    "vend: paying → canceling on Recovered", "vend: paid → approving on ApprovalDue",
    "vend: paid → returning on Recovered", "vend: approving → approved on ApprovalSent",
    "vend: approving → unknown on Recovered", "vend: approved → done on VendSucceeded",
    "vend: approved → returning on VendFailed", "vend: approved → returning on ApprovalRejected",
    "vend: approved → unknown on AdapterLost", "vend: approved → unknown on MachineReset",
    "vend: approved → unknown on ResultOverdue", "vend: approved → unknown on Recovered",
    "vend: unknown → returned on SaleReturned", "sale: paid → returning on DeliveryLapsed",
    "sale: paid → paid on DeliveryOverdue",
)  # fmt: skip
_KIOSKS = (
    "close_answer@pay", "garbage@pay", "wrong_client_sn@pay", "the process died",
    "action: ActionBegun", "action: ActionDone", "action: ActionFailed", "action: ActionUnknown",
    "basket: added", "basket: cleared", "basket: ended", "basket: expired",
    "scan: basket_empty", "scan: not_ready", "scan: sale_open", "scan: still_there", "scan: unknown_product",
    "attempt: submitting → unsent on RequestNotSent", "attempt: submitting → polling on Recovered",
    "attempt: polling → reversing on PollWindowClosed", "sale: awaiting_payment → canceled on ShutdownRequested",
    "sale: paid → completed on Delivered", "sale: paid → completed on PartUndelivered",
    "sale: paid → returning on Undelivered", "sale: paid → returning on PowerReturned",
    "sale: paid → paid on DeliveryWindowClosed", "sale: paid → returning on DeliveryWindowClosed",
    "refund: revoking → checking on Recovered", "refund: refunding → done on RefundConfirmed",
    "refund: checking → done on OrderClosed", "refund: checking → revoking on OrderPaid",
)  # fmt: skip
EXPECTED: Mapping[str, tuple[str, ...]] = {
    "scan": _CODES,
    "money": _MONEY,
    "vend": (*_CODES, *_VENDS),
    "kiosk": _KIOSKS,
}
#: The calls of which messages are lost, by the sort of history.
_CALLS = {"scan": _BY_CODE, "money": (*_BY_CODE, "precreate", "refund", "revoke"), "vend": _BY_CODE}


def happened(history: History) -> Counter[str]:
    """Count the steps of all machines, and what the door has seen."""
    counts = Counter(history.door.seen)
    with closing(sqlite3.connect(history.path)) as journal:
        steps = journal.execute(
            "SELECT kind || ': ' || CASE kind WHEN 'action' THEN cause WHEN 'basket' THEN state_before WHEN 'scan' THEN"
            " state_after ELSE state_before || ' → ' || state_after || ' on ' || cause END, count(*) FROM events"
            " WHERE kind IN ('sale', 'attempt', 'refund', 'print', 'vend', 'action', 'basket', 'scan') GROUP BY 1"
        )
        for step, count in steps:
            counts[step] += count
    return counts


def missing(world: str, seen: Counter[str]) -> list[str]:
    """Return what is expected of a sort of histories and never happened in it."""
    found = [what for what in EXPECTED[world] if not seen[what]]
    calls = _CALLS.get(world, ())
    kinds = (*FAULT_KINDS, "no_qr_code") if "precreate" in calls else FAULT_KINDS if calls else ()
    struck = {what.partition("@")[0] for what in seen if "@" in what}
    found += [kind for kind in kinds if kind not in struck]
    for call in calls:
        found += [f"{lost[0]}@{call}" for lost in _LOST if not any(seen[f"{kind}@{call}"] for kind in lost)]
    return found


def table(seen: Counter[str]) -> str:
    """Write how often each thing happened."""
    return "\n".join(f"{count:8}  {what}" for what, count in sorted(seen.items()))
