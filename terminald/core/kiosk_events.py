"""What happens at a kiosk without a host application, and what its machine asks for. Values only."""

from dataclasses import dataclass
from typing import Literal

from terminald.core.commands import Command
from terminald.core.events import Event
from terminald.core.ids import PaymentCode, SaleId
from terminald.core.money import Fen


@dataclass(frozen=True, slots=True, kw_only=True)
class Product:
    """What can be bought by scanning its barcode."""

    barcode: str
    name: str
    price: Fen


@dataclass(frozen=True, slots=True, kw_only=True)
class BasketLine:
    """So many pieces of one product."""

    product: Product
    quantity: int = 1

    @property
    def total(self) -> Fen:
        """What they cost together."""
        return Fen(self.product.price * self.quantity)


# --- what is told to the machine -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class ProductScanned(Event):
    """The barcode of a known product was read."""

    product: Product


class ClearScanned(Event):
    """The barcode that empties the basket was read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CodeShown(Event):
    """A payment code was read, whoever holds it and however often."""

    code: PaymentCode


class BasketExpired(Event):
    """Nothing was put into the basket for too long: whoever filled it has left."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SaleBegun(Event):
    """A sale is open, and has the code."""

    sale_id: SaleId


class SaleNotBegun(Event):
    """No sale is open: nothing has moved. Why was told when it was found out."""


class SaleWaits(Event):
    """The sale's last code was not taken; it waits for another one."""


class SaleAsks(Event):
    """A code is with the gateway."""


class SalePaid(Event):
    """The money is taken, which is on disk, and the goods are still to be reported."""


class SaleEnded(Event):
    """The sale is over, as far as whoever stands here is concerned: nothing more is to be paid or served."""


class Served(Event):
    """The action has ended, well or not, and that is on its way to the sale."""


# --- what the machine makes of it ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class LineAdded(ProductScanned):
    """The product has found room in the basket."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BasketFull(ProductScanned):
    """There is no room for it: too many lines or pieces, or more money than a sale may be."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CodeTaken(CodeShown):
    """The code may pay."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CodeStillThere(CodeShown):
    """It was read too soon after another code or a sale: it may be the phone that has just paid."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CodeWithoutBasket(CodeShown):
    """There is nothing to pay for."""


class BasketKept(SaleNotBegun):
    """The same, and the basket is as it was."""


# --- what is asked for -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class BeginSale(Command):
    """Open a sale for the basket (empty: of the fixed price), and present the code to it.

    Completed by SaleBegun or SaleNotBegun.
    """

    code: PaymentCode
    lines: tuple[BasketLine, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PresentCode(Command):
    """Present another code to the open sale."""

    code: PaymentCode


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelOpenSale(Command):
    """The customer does not want to pay any more."""

    sale_id: SaleId


@dataclass(frozen=True, slots=True, kw_only=True)
class Serve(Command):
    """Do what the customer has paid for. Completed by Served. Asked for once for a sale."""

    sale_id: SaleId


@dataclass(frozen=True, slots=True, kw_only=True)
class TellScan(Command):
    """Tell why what was just read is not taken: one of :data:`terminald.core.kiosk.REASONS`."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TellBasket(Command):
    """Tell what is in the basket now, and why."""

    lines: tuple[BasketLine, ...]
    cause: Literal["added", "cleared", "expired", "ended"]
