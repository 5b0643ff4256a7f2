"""What an event means for a sale or an order because of another order of the same sale.

Each machine knows itself only. Where that is not enough to tell two cases apart, the ledger asks here, and tells the
machine the event that it is.
"""

from terminald.core.attempt_table import Attempt, AttemptState
from terminald.core.book import SaleView
from terminald.core.events import (
    Event,
    HoldEnded,
    OfferDue,
    OfferPutOff,
    OfferRanOut,
    OrderPaid,
    PaymentStands,
    PresentationExpired,
    WayCleared,
)
from terminald.core.sale_table import Sale, SaleState

#: A QR that the customer was shown, and that may have been paid since the last look.
_PAYABLE = frozenset({AttemptState.OFFERED, AttemptState.POLLING})

#: What wants to be paid, by whichever order.
_WANTING = frozenset({SaleState.AWAITING_PAYMENT, SaleState.SWITCHING})
#: Asked about beside a cancel that changed nothing.
_ASKED = frozenset({AttemptState.PROVING, AttemptState.SETTLING})

#: Events of a sale that mean different things.
JUDGED = (OfferDue, PresentationExpired)


def in_the_way(seen: SaleView) -> Attempt | None:
    """Return an order that no other may be begun beside: one that was found late, or reopened, and is undone (I1).

    The open QR order is none: a code that is presented beside it is held until it is proven unpaid.
    """
    others = (one for one in seen.attempts if one.client_sn != seen.sale.offer and one.state is not AttemptState.HELD)
    return next((one for one in others if not one.state.is_unpaid), None)


def judged(seen: SaleView, event: Event) -> Event:
    """Tell apart what only its orders can tell a sale."""
    if isinstance(event, OfferDue) and in_the_way(seen):
        return OfferPutOff()
    if isinstance(event, PresentationExpired) and _may_be_paid(seen):
        return OfferRanOut()
    return event


def judged_order(sale: Sale, order: Attempt, event: Event) -> Event:
    """Tell apart the payment of a QR that yields to a code while its sale wants to be paid: it is not given back."""
    is_kept = order.is_yielding and order.state in _ASKED and order.client_sn == sale.offer and sale.state in _WANTING
    return PaymentStands(facts=event.facts, fault=event.fault) if is_kept and isinstance(event, OrderPaid) else event


def clearance(seen: SaleView) -> Event:
    """Return what a held code is told once the QR order is proven unpaid: whether every other one is as well."""
    return HoldEnded() if in_the_way(seen) else WayCleared()


def _may_be_paid(seen: SaleView) -> bool:
    return any(one.client_sn == seen.sale.offer and one.state in _PAYABLE for one in seen.attempts)
