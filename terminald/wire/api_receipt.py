"""The receipt of a sale for those who have no printer: as text, and what of it the sale itself does not show."""

import msgspec
from msgspec import Struct

from terminald.core.commands import OrderText
from terminald.core.ids import SaleId
from terminald.wire.api_kiosk import BasketGoods, goods_shapes


class ReceiptText(Struct, frozen=True, kw_only=True):
    """The receipt of a paid sale as plain text, in lines of at most so many columns (a Chinese character takes two).

    Goods and operator are those that stand on it.
    """

    sale: str
    columns: int
    text: str
    goods: tuple[BasketGoods, ...] = ()
    operator: str = ""


def receipt_json(sale_id: SaleId, columns: int, text: str, order: OrderText) -> bytes:
    """Write the receipt of a sale as text."""
    goods = goods_shapes(order.goods)
    shown = ReceiptText(sale=sale_id, columns=columns, text=text, goods=goods, operator=order.operator)
    return msgspec.json.encode(shown)
