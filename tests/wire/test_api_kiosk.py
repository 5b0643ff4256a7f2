"""A basket as an event, and a paid sale as the command of a kiosk gets it."""

import json
from dataclasses import replace

import msgspec

from terminald.core.commands import Goods
from terminald.core.kiosk_events import BasketLine, Product, TellBasket
from terminald.core.money import Fen
from terminald.wire.api_kiosk import BasketEvent, SoldSale, basket_event, sold_json
from terminald.wire.api_views import sale_json
from tests.wire.api_samples import NOW, paid_view

COLA = Product(barcode="6901234567892", name="Cola", price=Fen(350))
CRISPS = Product(barcode="6901234567908", name="Crisps", price=Fen(600))


def test_a_basket_is_told_with_its_lines_and_its_total() -> None:
    lines = (BasketLine(product=COLA, quantity=2), BasketLine(product=CRISPS))
    told = msgspec.json.decode(basket_event(TellBasket(lines=lines, cause="added")), type=BasketEvent)
    assert (told.cause, told.total) == ("added", 1_300)
    assert [(one.id, one.name, one.quantity, one.price) for one in told.lines] == [
        ("6901234567892", "Cola", 2, 350),
        ("6901234567908", "Crisps", 1, 600),
    ]
    empty = msgspec.json.decode(basket_event(TellBasket(lines=(), cause="expired")), type=BasketEvent)
    assert (empty.lines, empty.total) == ((), 0)


def test_a_sold_sale_is_the_sale_of_the_api_with_its_goods() -> None:
    view = paid_view()
    text = replace(view.sale.order.text, goods=(Goods(id="1", name="Cola", quantity=2, price=Fen(175)),))
    view = replace(view, sale=replace(view.sale, order=replace(view.sale.order, text=text)))
    body = sold_json(view, NOW)
    sold = json.loads(body)
    assert sold.pop("goods") == [{"id": "1", "name": "Cola", "quantity": 2, "price": 175}]
    assert sold == json.loads(sale_json(view, NOW))
    assert msgspec.json.decode(body, type=SoldSale).goods[0].name == "Cola"
