"""A kiosk without a host application: what is in the basket, which code may pay, and when the customer is served.

It is one more host of the sales. It holds no money and nothing that must survive: a basket is in memory alone, and what
was paid is a sale's business. Rules that the table obeys:

- There is one sale at a time, and one customer: what is read meanwhile is told, and goes no further.
- A phone that stays before the reader pays once (the *guard*): a code begins a sale only when no payment code was
  read, and no sale was open, for ``pause``. Every code that is read in between begins that pause anew, whosever it is,
  because a wallet shows another code each minute. The same code is refused for longer, and over a restart, by the
  sales.
- Serving begins once, when the sale is known to be paid, and no code is taken before it has ended.
"""

from dataclasses import dataclass
from enum import Enum
from typing import Final

from terminald.core.commands import Command
from terminald.core.ids import Duration, Instant, PaymentCode, SaleId
from terminald.core.kiosk_events import (
    BasketExpired,
    BasketFull,
    BasketKept,
    BasketLine,
    BeginSale,
    CancelOpenSale,
    ClearScanned,
    CodeStillThere,
    CodeTaken,
    CodeWithoutBasket,
    LineAdded,
    PresentCode,
    SaleAsks,
    SaleBegun,
    SaleEnded,
    SaleNotBegun,
    SalePaid,
    SaleWaits,
    Serve,
    Served,
    TellBasket,
    TellScan,
)
from terminald.core.money import Fen
from terminald.core.tables import Row, Table

STILL_THERE, SALE_OPEN = "still_there", "sale_open"
BASKET_EMPTY, BASKET_FULL = "basket_empty", "basket_full"
UNKNOWN_PRODUCT, NOT_READY = "unknown_product", "not_ready"
#: Why a scan is not taken, each with a sentence for the customer.
REASONS: Final = {
    STILL_THERE: "Take the phone away for a moment, then show the payment code again.",
    SALE_OPEN: "A payment is under way. Please wait.",
    BASKET_EMPTY: "Please scan a product first, then show the payment code.",
    BASKET_FULL: "No more can be bought at once. Please pay first.",
    UNKNOWN_PRODUCT: "This product is not sold here.",
    NOT_READY: "No payment is possible at the moment.",
}


class KioskState(Enum):
    """What stands before the kiosk."""

    IDLE = "idle"  # nothing chosen, none moved. "Show your payment code" or "Scan your products"
    FILLING = "filling"  # a basket, none moved. "Scan more, or show your payment code"
    OPENING = "opening"  # a sale is being opened for a code; none moved yet
    PAYING = "paying"  # unknown: a code is with the gateway. "Confirm on your phone"
    RETRYING = "retrying"  # none: the code was not taken. "Show another payment code"
    SERVING = "serving"  # taken, and what was paid for is being done. "Thank you"


@dataclass(frozen=True, slots=True, kw_only=True)
class KioskRules:
    """What the configuration says of the kiosk."""

    #: What every code pays; None where products are scanned.
    price: Fen | None
    pause: Duration
    basket_window: Duration
    max_lines: int
    max_total: Fen


@dataclass(frozen=True, slots=True, kw_only=True)
class Kiosk:
    """A snapshot."""

    state: KioskState
    #: Until when no code begins a sale.
    rests_until: Instant
    lines: tuple[BasketLine, ...] = ()
    #: When the basket is emptied.
    expires: Instant | None = None
    sale_id: SaleId | None = None
    #: What was told last of codes that are read again and again.
    told: str = ""
    #: The code that has just been read; only within a step.
    code: PaymentCode | None = None


# --- what rows ask for -----------------------------------------------------------------------------------------------


def _shown(kiosk: Kiosk) -> PaymentCode:
    if kiosk.code is None:
        raise LookupError("no code was shown")
    return kiosk.code


def _sale(kiosk: Kiosk) -> SaleId:
    if kiosk.sale_id is None:
        raise LookupError("no sale is open")
    return kiosk.sale_id


def _begin_sale(kiosk: Kiosk) -> Command:
    return BeginSale(code=_shown(kiosk), lines=kiosk.lines)


def _present(kiosk: Kiosk) -> Command:
    return PresentCode(code=_shown(kiosk))


def _cancel(kiosk: Kiosk) -> Command:
    return CancelOpenSale(sale_id=_sale(kiosk))


def _serve(kiosk: Kiosk) -> Command:
    return Serve(sale_id=_sale(kiosk))


def _tell_still_there(_: Kiosk) -> Command:
    return TellScan(reason=STILL_THERE)


def _tell_sale_open(_: Kiosk) -> Command:
    return TellScan(reason=SALE_OPEN)


def _tell_empty(_: Kiosk) -> Command:
    return TellScan(reason=BASKET_EMPTY)


def _tell_full(_: Kiosk) -> Command:
    return TellScan(reason=BASKET_FULL)


def _tell_added(kiosk: Kiosk) -> Command:
    return TellBasket(lines=kiosk.lines, cause="added")


def _tell_cleared(kiosk: Kiosk) -> Command:
    return TellBasket(lines=kiosk.lines, cause="cleared")


def _tell_expired(kiosk: Kiosk) -> Command:
    return TellBasket(lines=kiosk.lines, cause="expired")


def _tell_ended(kiosk: Kiosk) -> Command:
    return TellBasket(lines=kiosk.lines, cause="ended")


# --- the table -------------------------------------------------------------------------------------------------------

_S = KioskState

TABLE: Table[KioskState, Kiosk] = {
    _S.IDLE: {
        CodeTaken: Row(_S.OPENING, (_begin_sale,)),
        CodeStillThere: Row(_S.IDLE, (_tell_still_there,)),
        CodeWithoutBasket: Row(_S.IDLE, (_tell_empty,)),
        LineAdded: Row(_S.FILLING, (_tell_added,)),
        BasketFull: Row(_S.IDLE, (_tell_full,)),
        ClearScanned: Row(_S.IDLE),
    },
    _S.FILLING: {
        CodeTaken: Row(_S.OPENING, (_begin_sale,)),
        CodeStillThere: Row(_S.FILLING, (_tell_still_there,)),
        LineAdded: Row(_S.FILLING, (_tell_added,)),
        BasketFull: Row(_S.FILLING, (_tell_full,)),
        ClearScanned: Row(_S.IDLE, (_tell_cleared,)),
        BasketExpired: Row(_S.IDLE, (_tell_expired,)),
    },
    _S.OPENING: {
        SaleBegun: Row(_S.PAYING),
        SaleNotBegun: Row(_S.IDLE),
        BasketKept: Row(_S.FILLING),
        CodeTaken: Row(_S.OPENING, (_tell_sale_open,)),
        CodeStillThere: Row(_S.OPENING, (_tell_sale_open,)),
        LineAdded: Row(_S.OPENING, (_tell_sale_open,)),
        BasketFull: Row(_S.OPENING, (_tell_sale_open,)),
        ClearScanned: Row(_S.OPENING, (_tell_sale_open,)),
    },
    _S.PAYING: {
        SaleAsks: Row(_S.PAYING),
        SaleWaits: Row(_S.RETRYING),
        SalePaid: Row(_S.SERVING, (_serve,)),
        SaleEnded: Row(_S.IDLE, (_tell_ended,)),
        CodeTaken: Row(_S.PAYING, (_tell_sale_open,)),
        CodeStillThere: Row(_S.PAYING, (_tell_sale_open,)),
        LineAdded: Row(_S.PAYING, (_tell_sale_open,)),
        BasketFull: Row(_S.PAYING, (_tell_sale_open,)),
        ClearScanned: Row(_S.PAYING, (_tell_sale_open,)),
    },
    _S.RETRYING: {
        SaleWaits: Row(_S.RETRYING),
        SaleAsks: Row(_S.PAYING),
        SalePaid: Row(_S.SERVING, (_serve,)),
        SaleEnded: Row(_S.IDLE, (_tell_ended,)),
        CodeTaken: Row(_S.RETRYING, (_present,)),
        LineAdded: Row(_S.RETRYING, (_tell_sale_open,)),
        BasketFull: Row(_S.RETRYING, (_tell_sale_open,)),
        ClearScanned: Row(_S.RETRYING, (_cancel,)),
    },
    _S.SERVING: {
        SalePaid: Row(_S.SERVING),
        SaleEnded: Row(_S.SERVING),
        Served: Row(_S.IDLE, (_tell_ended,)),
        CodeTaken: Row(_S.SERVING, (_tell_sale_open,)),
        CodeStillThere: Row(_S.SERVING, (_tell_sale_open,)),
        LineAdded: Row(_S.SERVING, (_tell_sale_open,)),
        BasketFull: Row(_S.SERVING, (_tell_sale_open,)),
        ClearScanned: Row(_S.SERVING, (_tell_sale_open,)),
    },
}
