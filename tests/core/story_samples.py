"""Typical stories: each a sale that has come so far."""

from collections.abc import Callable, Mapping
from dataclasses import replace

from terminald.core.events import (
    CancelRequested,
    Event,
    Fault,
    JobSent,
    OrderErrored,
    OrderFacts,
    OrderPaid,
    OrderPending,
    OutcomePending,
    OutcomeUnknown,
    PayConfirmed,
    PayDeclined,
    QrOffered,
    QueryFailed,
    RefundConfirmed,
    RefundRefused,
    RequestNotSent,
    ReversalConfirmed,
    ReversalPending,
    ReversalRefused,
)
from terminald.core.money import Fen
from terminald.core.return_events import Delivered, Undelivered
from terminald.core.schedule import MINUTE, SECOND
from terminald.core.stimuli import OpenVend, ToVend
from terminald.core.vend_events import (
    AdapterLost,
    ApprovalDue,
    ApprovalSent,
    MachineReset,
    ResultOverdue,
    VendCanceled,
    VendFailed,
    VendSucceeded,
)
from tests.core.machine_builders import BOTH_ORDER, QR_ORDER, SALE_ID
from tests.core.story_life import PAID_FACTS, SaleStory, confirming
from tests.core.vend_world import asked, vend_order

_LATE = Fault(code="gateway_no_answer", message="no whole answer within 15 s")
_SENT = JobSent(evidence="sent")


def paid() -> SaleStory:
    story = SaleStory()
    story.scan(later=5 * SECOND)
    story.answer(PayConfirmed, PAID_FACTS)
    story.print(_SENT)
    story.pass_time(MINUTE)
    return story


def declined_then_paid() -> SaleStory:
    story = SaleStory()
    story.scan(later=5 * SECOND)
    story.answer(PayDeclined, fault=Fault(code="INSUFFICIENT_FUND", message="账户金额不足"))
    story.scan("284512345678905532", later=10 * SECOND)
    story.answer(OutcomePending)
    story.wake()
    story.answer(OrderPending)
    story.wake()
    story.answer(OrderPaid, replace(PAID_FACTS, payway="2"))
    story.print(_SENT)
    return story


def lost_answer() -> SaleStory:
    """It is not known whether the customer was charged."""
    story = SaleStory()
    story.scan(later=5 * SECOND)
    story.answer(OutcomeUnknown, fault=_LATE, later=15 * SECOND)
    story.answer(QueryFailed, fault=_LATE, later=15 * SECOND)
    story.wake()
    story.answer(OrderPending)
    story.wake()
    story.answer(OrderPending)
    return story


def lost_then_paid() -> SaleStory:
    story = lost_answer()
    story.wake()
    story.answer(OrderPaid, PAID_FACTS)
    story.print(_SENT)
    return story


def qr_expired() -> SaleStory:
    story = SaleStory(QR_ORDER)
    story.answer(QrOffered)
    story.print(_SENT)
    while not _is_given_up(story):
        story.wake()
        if story.asked and not _is_given_up(story):
            story.answer(OrderPending, later=200)
    story.answer(ReversalConfirmed, OrderFacts(sn="7894259244067345"))
    return story


def _is_given_up(story: SaleStory) -> bool:
    return story.dossier().view.sale.state.value == "canceling"


def both_at_once() -> SaleStory:
    """A code was presented while the QR could be paid; the QR is asked about first."""
    story = SaleStory(BOTH_ORDER)
    story.answer(QrOffered)
    story.print(_SENT)
    story.scan(later=2 * SECOND)
    return story


def host_canceled() -> SaleStory:
    story = SaleStory()
    story.scan(later=5 * SECOND)
    story.tell(CancelRequested())
    return story


def open_reversal() -> SaleStory:
    """The cancel has had no clear answer for so long that a person is called."""
    story = SaleStory()
    story.scan(later=5 * SECOND)
    story.answer(OutcomePending)
    story.tell(CancelRequested(), later=10 * SECOND)
    story.answer(ReversalPending, fault=_LATE)
    while not story.dossier().view.attention:
        story.wake()
        if story.asked:
            kind = OrderPending if "Query" in type(story.asked[0]).__name__ else RequestNotSent
            story.answer(kind, fault=Fault(code="gateway_unreachable", message="no route to host"), later=100)
    return story


def refund_refused() -> SaleStory:
    story = paid()
    story.refund(100)
    story.answer(RefundRefused, fault=Fault(code="UPAY_TCP_ORDER_NOT_REFUNDABLE", message="优惠订单不支持退款"))
    story.answer(OrderPaid, PAID_FACTS)
    return story


def refusal_in_doubt() -> SaleStory:
    """The first try had no answer, and may still arrive; its repetition was refused."""
    story = paid()
    story.refund(100)
    story.answer(OutcomeUnknown, fault=_LATE, later=15 * SECOND)
    story.wake()
    story.answer(OrderPaid, PAID_FACTS)
    story.answer(RefundRefused, fault=Fault(code="UPAY_TCP_ORDER_NOT_REFUNDABLE", message="优惠订单不支持退款"))
    story.answer(OrderPaid, PAID_FACTS)
    return story


def overtaken() -> SaleStory:
    """The host's refund waited for the merchant's balance when nothing came out and all of it went back."""
    story = awaiting_delivery()
    story.refund(100)
    story.answer(RefundRefused, fault=Fault(code="ACCOUNT_BALANCE_NOT_ENOUGH", message="商户余额不足"))
    story.answer(OrderPaid, PAID_FACTS)
    story.tell(Undelivered(), later=20 * SECOND)
    story.answer(ReversalConfirmed)
    story.print(_SENT)
    return story


def refunded() -> SaleStory:
    story = paid()
    story.refund(100)
    story.answer(RefundConfirmed, OrderFacts(net_amount=Fen(250)))
    story.print(_SENT)
    return story


def overdue_delivery() -> SaleStory:
    story = SaleStory(confirming())
    story.scan(later=5 * SECOND)
    story.answer(PayConfirmed, PAID_FACTS)
    story.print(_SENT)
    story.wake()
    story.pass_time(2 * MINUTE)
    return story


def delivery_answered_for() -> SaleStory:
    """A person looked into the machine, and closed the call."""
    story = overdue_delivery()
    story.close("looked into the machine: the slot is empty")
    story.pass_time(MINUTE)
    return story


def awaiting_delivery() -> SaleStory:
    story = SaleStory(confirming())
    story.scan(later=5 * SECOND)
    story.answer(PayConfirmed, PAID_FACTS)
    story.print(_SENT)
    return story


def undelivered() -> SaleStory:
    """Nothing came out, the merchant's balance is too small, and somebody reports the goods after all."""
    story = awaiting_delivery()
    story.tell(Undelivered(), later=20 * SECOND)
    story.answer(RequestNotSent, fault=_LATE)
    story.wake()
    story.answer(OrderErrored, fault=Fault(code="CANCEL_ERROR", message="系统繁忙"))
    story.answer(ReversalConfirmed)
    story.print(_SENT)
    story.tell(Delivered(), later=MINUTE)
    return story


def blocked_return() -> SaleStory:
    """Nothing came out, and the merchant's balance is too small to return the money."""
    story = awaiting_delivery()
    story.tell(Undelivered(), later=20 * SECOND)
    story.answer(ReversalRefused, fault=Fault(code="UPAY_CANCEL_INVALID_ORDER_STATE", message=""))
    story.answer(RefundRefused, fault=Fault(code="ACCOUNT_BALANCE_NOT_ENOUGH", message="商户余额不足"))
    story.answer(OrderPaid, PAID_FACTS)
    return story


def closed_by_hand() -> SaleStory:
    story = blocked_return()
    story.pass_time(10 * MINUTE)
    story.close("paid back in cash")
    return story


#: By name; each is kept in both languages under tests/data/stories.
def _vending(*events: Event, returns_unknown: bool = False) -> SaleStory:
    """A vending machine's request that is paid, and what became of it."""
    request = asked(returns_unknown=returns_unknown)
    story = SaleStory(opening=OpenVend(sale_id=SALE_ID, order=vend_order(), asked=request))
    story.scan(later=5 * SECOND)
    story.answer(PayConfirmed, PAID_FACTS)
    for event in (ApprovalDue(), ApprovalSent(request=1), *events):
        story.apply(ToVend(sale_id=SALE_ID, event=event))
    return story


def vend_dispensed() -> SaleStory:
    return _vending(VendSucceeded(request=1))


def vend_approved() -> SaleStory:
    return _vending()


def vend_failed() -> SaleStory:
    return _vending(VendFailed(request=1))


def vend_silent() -> SaleStory:
    return _vending(ResultOverdue())


def vend_silent_and_returned() -> SaleStory:
    story = _vending(MachineReset(request=1), returns_unknown=True)
    story.answer(ReversalConfirmed)
    story.apply(ToVend(sale_id=SALE_ID, event=VendSucceeded(request=1)))
    return story


def vend_taken_back() -> SaleStory:
    story = SaleStory(opening=OpenVend(sale_id=SALE_ID, order=vend_order(), asked=asked()))
    story.apply(ToVend(sale_id=SALE_ID, event=VendCanceled(request=1)))
    return story


def vend_settled_by_hand() -> SaleStory:
    story = _vending(AdapterLost(request=1))
    story.tell(Delivered(), later=MINUTE)
    return story


def vend_waiting() -> SaleStory:
    return SaleStory(opening=OpenVend(sale_id=SALE_ID, order=vend_order(), asked=asked()))


STORIES: Mapping[str, Callable[[], SaleStory]] = {
    one.__name__: one
    for one in (
        paid,
        declined_then_paid,
        lost_answer,
        lost_then_paid,
        qr_expired,
        both_at_once,
        host_canceled,
        open_reversal,
        refund_refused,
        refusal_in_doubt,
        refunded,
        overtaken,
        awaiting_delivery,
        overdue_delivery,
        delivery_answered_for,
        undelivered,
        blocked_return,
        closed_by_hand,
        vend_dispensed,
        vend_approved,
        vend_failed,
        vend_silent,
        vend_silent_and_returned,
        vend_taken_back,
        vend_settled_by_hand,
        vend_waiting,
    )
}
