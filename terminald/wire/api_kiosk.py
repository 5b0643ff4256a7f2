"""What a kiosk without a host shows: its basket as an event, and a paid sale for the command that serves it."""

from typing import Literal

import msgspec
from msgspec import Struct

from terminald.core import kiosk as kiosks
from terminald.core.book import SaleView
from terminald.core.commands import Goods
from terminald.core.kiosk_events import TellBasket
from terminald.core.schedule import Now
from terminald.wire.api_shapes import Amount, Sale
from terminald.wire.api_views import sale_shape


class BasketGoods(Struct, frozen=True, kw_only=True):
    """One line of a basket; the id is the barcode, the price is of one piece."""

    id: str
    name: str
    quantity: int
    price: Amount


class BasketEvent(Struct, frozen=True, kw_only=True):
    """What the customer has chosen has changed, at a kiosk without a host; cause says why."""

    cause: Literal["added", "cleared", "expired", "ended"]
    lines: tuple[BasketGoods, ...]
    total: Amount


class SoldSale(Sale, frozen=True, kw_only=True):
    """A paid sale, as the API shows it, and with it what was sold."""

    goods: tuple[BasketGoods, ...]


def basket_event(told: TellBasket) -> bytes:
    """Write the body of a ``basket`` event."""
    lines = goods_shapes(kiosks.goods(told.lines))
    return msgspec.json.encode(BasketEvent(cause=told.cause, lines=lines, total=kiosks.total(told.lines)))


def sold_json(view: SaleView, now: Now) -> bytes:
    """Write a :class:`SoldSale`."""
    sale = msgspec.structs.asdict(sale_shape(view, now))
    return msgspec.json.encode({**sale, "goods": goods_shapes(view.sale.order.text.goods)})


def goods_shapes(goods: tuple[Goods, ...]) -> tuple[BasketGoods, ...]:
    """Return the goods of a sale as they are shown."""
    return tuple(BasketGoods(id=one.id, name=one.name, quantity=one.quantity, price=one.price) for one in goods)
