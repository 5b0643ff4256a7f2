"""Steps of a sale: what an event means in it, what goes with entering a state, and when to act next."""

from dataclasses import replace

from terminald.core.commands import ArmScanners, Command, DisarmScanners, OpenAttempt, OpenOffer, OpenReturn, TellSale
from terminald.core.events import (
    AttemptEvent,
    AttemptOffered,
    AttemptPaid,
    AttemptRefused,
    AttemptReversing,
    AttemptUnpaid,
    CancelRequested,
    ChargeEnded,
    CodeBesideOffer,
    CodeScanned,
    DrainRequested,
    Event,
    LastOfferEnded,
    OfferClosing,
    OfferDue,
    OfferEnded,
    OfferPutOff,
    OfferRanOut,
    OfferWithdrawn,
    PowerReturned,
    PresentationExpired,
    Recovered,
    ShutdownRequested,
)
from terminald.core.ids import ClientSn, SaleId
from terminald.core.money import Fen
from terminald.core.return_events import (
    AllReturned,
    Delivered,
    DeliveredInTime,
    DeliveryClosed,
    DeliveryLapsed,
    DeliveryOverdue,
    DeliveryUnheard,
    DeliveryWaived,
    DeliveryWindowClosed,
    LateDelivered,
    LatePartUndelivered,
    LateUndelivered,
    PartStillOwed,
    PartUndelivered,
    RefundClosed,
    RefundDone,
    RefundEvent,
    RefundFailed,
    ReturnBegun,
    ReturnDropped,
    ReturnFailed,
    ReturnStillOwed,
    Undelivered,
)
from terminald.core.sale_table import TABLE, DeliveryState, Sale, SaleOrder, SaleState
from terminald.core.schedule import MOST_OFFERS, OFFER_PUT_OFF, OFFER_SHORTEST, Now, Rules, later, offer_delay
from terminald.core.tables import Attention, Wakeup, find_row

#: Why a sale ends in ``canceled``, where the event alone says it.
_REASONS: dict[type[Event], str] = {
    ShutdownRequested: "shutdown",
    DrainRequested: "drained",
    PowerReturned: "power_lost",
}
#: What ends the wait for a customer.
_WITHDRAWALS = (PresentationExpired, CancelRequested, ShutdownRequested, DrainRequested, PowerReturned)
_UNPAID = frozenset(
    {
        SaleState.AWAITING_PAYMENT,
        SaleState.SWITCHING,
        SaleState.EXPIRING,
        SaleState.PROCESSING,
        SaleState.CANCELING,
        SaleState.CANCELED,
    }
)
_WITH_CODE = frozenset({SaleState.SWITCHING, SaleState.PROCESSING})
_UNREACHABLE = "gateway_unreachable"
OVERDUE, RETURNED_ALL_THE_SAME = "delivery_overdue", "delivered_and_returned"


def begin(
    sale_id: SaleId, order: SaleOrder, *, now: Now, rules: Rules, fresh: ClientSn
) -> tuple[Sale, tuple[Command, ...]]:
    """Open a sale: from now on the scanners listen, and a QR is made, as its methods say.

    Fresh names the QR order: an identifier that was never used before.
    """
    windows = ((order.takes_codes, rules.payment_window), (order.offers_qr, rules.qr_window))
    window = order.window or max(length for is_offered, length in windows if is_offered)
    sale = Sale(
        id=sale_id,
        order=order,
        state=SaleState.AWAITING_PAYMENT,
        attempts=(),
        paid=Fen(0),
        reason="",
        window_ends=later(now.instant, window),
        created_at=now.wall,
        updated_at=now.wall,
        closed_at=None,
    )
    commands: tuple[Command, ...] = (ArmScanners(),) if order.takes_codes else ()
    if order.offers_qr:
        sale, offer = _open_offer(sale, fresh, now, rules)
        commands = (*commands, offer)
    return sale, commands


def step(sale: Sale, event: Event, *, now: Now, rules: Rules, fresh: ClientSn) -> tuple[Sale, tuple[Command, ...]]:
    """Take one step. Fresh names the order that may be opened: an identifier that was never used before.

    Raises:
        IllegalTransition: the table has no such row; nothing was changed.
    """
    judged = _judged(sale, event, now, rules)
    row = find_row(TABLE, sale.state, judged)
    commands = tuple(command for ask in row.ask if _is_wanted(command := ask(sale), sale))
    after = _learn(sale, judged, now)
    after = replace(after, state=row.to, reason=_reason(sale, event, row.to), updated_at=now.wall)
    after = _enter(sale, after, judged, now, rules)
    if isinstance(judged, CodeScanned):
        after = replace(after, attempts=(*after.attempts, judged.client_sn))
        commands = (*commands, _opening(sale, judged))
    if isinstance(judged, OfferDue):
        after, offers = _offer_again(after, fresh, now, rules)
        commands = (*commands, *offers)
    if isinstance(judged, PartUndelivered) and sale.state is not SaleState.RETURNING:
        commands = (*commands, OpenReturn(sale_id=sale.id, amount=judged.amount))
    return after, commands


def _judged(sale: Sale, event: Event, now: Now, rules: Rules) -> Event:
    """Tell apart what the same event means beside an open QR order, and of a part of the money or all of it."""
    if isinstance(event, RefundEvent):
        return _returned(sale, event)
    if sale.state is SaleState.COMPLETED and sale.delivery is DeliveryState.CLOSED:
        return _late(event)
    if isinstance(event, AttemptUnpaid):
        return _unpaid(sale, event)
    if _is_unreported(sale) and isinstance(event, DeliveryWindowClosed | PowerReturned):
        is_heard = not isinstance(event, DeliveryUnheard) and not rules.is_restored
        return DeliveryLapsed() if rules.returns_overdue and is_heard else DeliveryOverdue()
    is_kept = rules.is_restored and isinstance(event, DeliveryLapsed)
    if is_kept or (_waits_unseen(sale) and isinstance(event, Recovered | PowerReturned)):
        return DeliveryOverdue()
    return event if sale.offer is None else _beside_offer(sale, event, now)


def _beside_offer(sale: Sale, event: Event, now: Now) -> Event:
    is_waiting = sale.state is SaleState.AWAITING_PAYMENT
    if isinstance(event, CodeScanned):
        return CodeBesideOffer(client_sn=event.client_sn, code=event.code, digest=event.digest)
    if isinstance(event, AttemptReversing) and is_waiting and _takes_codes_still(sale, now):
        return OfferClosing(client_sn=event.client_sn, reason=event.reason)
    if isinstance(event, AttemptRefused) and is_waiting and sale.order.takes_codes:
        # What the gateway has against a QR (its payway, for one) is nothing against a code.
        return OfferEnded(client_sn=event.client_sn, reason=event.reason)
    if isinstance(event, _WITHDRAWALS) and is_waiting:
        return OfferWithdrawn()
    return event


def _takes_codes_still(sale: Sale, now: Now) -> bool:
    return sale.order.takes_codes and now.instant < sale.window_ends


def _late(event: Event) -> Event:
    match event:
        case Delivered():
            return LateDelivered()
        case Undelivered():
            return LateUndelivered()
        case PartUndelivered():
            return LatePartUndelivered(amount=event.amount)
    return event


def _returned(sale: Sale, event: RefundEvent) -> Event:
    if isinstance(event, RefundDone) and sale.returned + event.amount >= sale.paid:
        return AllReturned(refund_id=event.refund_id, amount=event.amount)
    if isinstance(event, RefundFailed):
        kind = _failure(sale, event) if event.refund_id == sale.whole else RefundFailed
        return kind(refund_id=event.refund_id, amount=event.amount)
    return event


def _failure(sale: Sale, event: RefundFailed) -> type[RefundEvent]:
    """Tell what it means that the return of all that is left has failed."""
    if sale.is_return_owed and not isinstance(event, RefundClosed):
        return ReturnStillOwed if sale.part_owed is None else PartStillOwed
    return ReturnDropped if _is_awaited(sale) else ReturnFailed


def _is_awaited(sale: Sale) -> bool:
    """Whether somebody has still to say what became of the goods."""
    is_with_person = sale.delivery is DeliveryState.OVERDUE and sale.attention is not None
    return sale.delivery is DeliveryState.PENDING or is_with_person


def _is_beside_return(sale: Sale) -> bool:
    """Whether a report comes while a return is under way that is not of its own making, and may be refused."""
    is_reportable = _is_awaited(sale) or sale.delivery is DeliveryState.CLOSED
    return sale.state is SaleState.RETURNING and is_reportable


def _waits_unseen(sale: Sale) -> bool:
    """Whether it waits for a report of the goods, and for a person whom nobody calls."""
    return sale.state is SaleState.PAID and sale.delivery is DeliveryState.OVERDUE and sale.attention is None


def _is_unreported(sale: Sale) -> bool:
    """Whether the host has still to report the goods; a vend has times of its own."""
    is_pending = sale.state is SaleState.PAID and sale.delivery is DeliveryState.PENDING
    return is_pending and not sale.order.is_vend


def _unpaid(sale: Sale, event: AttemptUnpaid) -> Event:
    name, reason = event.client_sn, event.reason
    if sale.state is SaleState.CANCELING:
        is_last = not set(sale.waits_for) - {name}
        return event if is_last else ChargeEnded(client_sn=name, reason=reason)
    if name != sale.offer or sale.state is SaleState.EXPIRING:
        return event
    has_other_way = sale.order.takes_codes or reason == _UNREACHABLE or sale.offers < MOST_OFFERS
    is_given_up = sale.state is SaleState.AWAITING_PAYMENT and not has_other_way
    return (LastOfferEnded if is_given_up else OfferEnded)(client_sn=name, reason=reason)


def _is_wanted(command: Command, sale: Sale) -> bool:
    """Drop what this sale's methods and contract have no use for."""
    match command:
        case ArmScanners() | DisarmScanners():
            return sale.order.takes_codes
        case TellSale(event=DeliveryWaived()):
            return not sale.order.reports_delivery
    return True


def _opening(sale: Sale, event: CodeScanned) -> OpenAttempt:
    return OpenAttempt(
        sale_id=sale.id,
        client_sn=event.client_sn,
        code=event.code,
        digest=event.digest,
        is_held=isinstance(event, CodeBesideOffer),
    )


def _offer_again(sale: Sale, fresh: ClientSn, now: Now, rules: Rules) -> tuple[Sale, tuple[Command, ...]]:
    """Offer another QR order, unless the moment for it has passed while the terminal slept."""
    if later(now.instant, OFFER_SHORTEST) > sale.window_ends:
        return replace(sale, offer_at=None), ()
    after, offer = _open_offer(sale, fresh, now, rules)
    return after, (offer,)


def _open_offer(sale: Sale, fresh: ClientSn, now: Now, rules: Rules) -> tuple[Sale, OpenOffer]:
    after = replace(
        sale, attempts=(*sale.attempts, fresh), offer=fresh, offers=sale.offers + 1, offer_at=None, updated_at=now.wall
    )
    ends = min(sale.window_ends, later(now.instant, rules.qr_window))
    return after, OpenOffer(sale_id=sale.id, client_sn=fresh, ends=ends)


def _learn(sale: Sale, event: Event, now: Now) -> Sale:  # noqa: C901 - a line or two for each event
    """Keep what the event says beside its type."""
    match event:
        case AttemptPaid():
            sale = replace(sale, paid=sale.order.amount, offer=None)
        case OfferEnded() | LastOfferEnded() | AttemptUnpaid() | ChargeEnded():
            waits_for = tuple(name for name in sale.waits_for if name != event.client_sn)
            sale = replace(sale, offer=None if event.client_sn == sale.offer else sale.offer, waits_for=waits_for)
        case OfferPutOff():
            sale = replace(sale, offer_at=later(now.instant, OFFER_PUT_OFF))
        case Delivered():
            is_kept = isinstance(event, DeliveredInTime)
            was_returned = sale.state in (SaleState.RETURNING, SaleState.RETURNED) and not is_kept
            alarm = Attention(code=RETURNED_ALL_THE_SAME, since=now.instant) if was_returned else None
            sale = replace(sale, whole=None if is_kept else sale.whole)
            sale = replace(sale, delivery=DeliveryState.DELIVERED, delivery_ends=None, attention=alarm)
            sale = replace(sale, is_return_owed=False, part_owed=None)
        case Undelivered() | PartUndelivered():
            part = event.amount if isinstance(event, PartUndelivered) else None
            is_owed = sale.is_return_owed or _is_beside_return(sale)
            sale = replace(sale, is_return_owed=is_owed, part_owed=part if is_owed else None)
            sale = replace(sale, delivery=DeliveryState.UNDELIVERED, delivery_ends=None, attention=None)
        case DeliveryOverdue():
            alarm = Attention(code=OVERDUE, since=now.instant)
            sale = replace(sale, delivery=DeliveryState.OVERDUE, delivery_ends=None, attention=alarm)
        case DeliveryClosed():
            sale = replace(sale, delivery=DeliveryState.CLOSED, attention=None)
        case DeliveryLapsed():
            sale = replace(sale, delivery=DeliveryState.OVERDUE, delivery_ends=None)
        case ReturnBegun():
            sale = replace(sale, whole=event.refund_id)
        case AllReturned():
            sale = replace(_without(sale, OVERDUE), returned=sale.paid)
        case RefundDone():
            sale = replace(sale, returned=Fen(sale.returned + event.amount))
        case ReturnFailed():
            sale = _without_return(sale)
    return sale


def _without_return(sale: Sale) -> Sale:
    """Nothing was returned: what came out is paid for."""
    sale = replace(_without(sale, RETURNED_ALL_THE_SAME), whole=None, is_return_owed=False, part_owed=None)
    is_given_up = sale.delivery is DeliveryState.OVERDUE and sale.attention is None
    # Nobody is called for the report any more: it is honoured when it comes.
    return replace(sale, delivery=DeliveryState.CLOSED) if is_given_up else sale


def _without(sale: Sale, alarm: str) -> Sale:
    """Take an alarm back that is not true any more."""
    is_raised = sale.attention is not None and sale.attention.code == alarm
    return replace(sale, attention=None) if is_raised else sale


def _enter(before: Sale, after: Sale, event: Event, now: Now, rules: Rules) -> Sale:
    """Set what goes with the state that is entered."""
    state = after.state
    if state is SaleState.AWAITING_PAYMENT:
        return _plan_offer(after, event, now)
    if state is SaleState.CANCELING and before.state is not SaleState.CANCELING:
        with_gateway = before.attempts[-1:] if before.state is SaleState.PROCESSING else ()
        waits_for = (*([before.offer] if before.offer else []), *with_gateway)
        after = replace(after, waits_for=waits_for)
    if isinstance(event, AttemptPaid) and after.order.reports_delivery:
        ends = None if after.order.is_vend else later(now.instant, rules.delivery_window)
        after = replace(after, delivery=DeliveryState.PENDING, delivery_ends=ends)
    if not state.is_with_customer:
        after = replace(after, offer=None)
    is_entered = state is not before.state
    closed_at = now.wall if is_entered or before.closed_at is None else before.closed_at
    return replace(after, offer_at=None, closed_at=closed_at if state.is_final else None)


def _plan_offer(sale: Sale, event: Event, now: Now) -> Sale:
    """Plan another QR order where one is wanted, none is open, and there is time to pay it."""
    if not sale.order.offers_qr or sale.offer is not None or sale.offer_at is not None:
        return sale
    is_unreachable = isinstance(event, AttemptEvent) and event.reason == _UNREACHABLE
    if sale.offers >= MOST_OFFERS and not is_unreachable:
        return sale
    at = later(now.instant, offer_delay(sale.offers, now.jitter))
    return replace(sale, offer_at=at) if later(at, OFFER_SHORTEST) <= sale.window_ends else sale


def _reason(sale: Sale, event: Event, to: SaleState) -> str:
    """Say why the sale is not paid: the first cause stands once the sale is being canceled."""
    if to not in _UNPAID or isinstance(event, AttemptOffered):
        return ""
    if isinstance(event, AttemptEvent) and _ends_offer(sale, event):
        return _reason_of_offer(sale, event, to)
    if to is sale.state or sale.state is SaleState.CANCELING:
        return sale.reason
    if isinstance(event, PresentationExpired | OfferRanOut):
        return sale.reason or "expired"
    if isinstance(event, AttemptEvent | CancelRequested):
        return event.reason
    return _REASONS.get(type(event), sale.reason)


def _ends_offer(sale: Sale, event: AttemptEvent) -> bool:
    if sale.state is SaleState.EXPIRING:
        return True
    is_offer = isinstance(event, AttemptUnpaid) and event.client_sn == sale.offer
    return is_offer and sale.state is not SaleState.CANCELING


def _reason_of_offer(sale: Sale, event: AttemptEvent, to: SaleState) -> str:
    """A QR order that ended is no reason while there are other ways to pay, unless the gateway can not be reached."""
    if to is SaleState.CANCELED and sale.state is not SaleState.EXPIRING:
        return event.reason or _UNREACHABLE
    return _UNREACHABLE if event.reason == _UNREACHABLE else sale.reason


def concerns(sale: Sale, event: Event) -> bool:
    """Whether the sale is moved by this: an order that it has done with is its past, and only shown."""
    if not isinstance(event, AttemptEvent):
        return not isinstance(event, RefundEvent) or sale.state is not SaleState.RETURNED
    is_with_gateway = sale.state in (*_WITH_CODE, SaleState.CANCELED) and event.client_sn == sale.attempts[-1]
    return is_with_gateway or event.client_sn == sale.offer or event.client_sn in sale.waits_for


def next_wakeup(sale: Sale) -> Wakeup | None:
    """Return when the customer's or the host's time is over, or a QR is to be offered; None when nothing is awaited."""
    if sale.state is SaleState.AWAITING_PAYMENT:
        end = Wakeup(at=sale.window_ends, event=PresentationExpired())
        if sale.offer_at is not None and sale.offer_at < end.at:
            return Wakeup(at=sale.offer_at, event=OfferDue())
        return end
    if sale.state is SaleState.PAID and sale.delivery_ends is not None:
        return Wakeup(at=sale.delivery_ends, event=DeliveryWindowClosed())
    return None
