"""What the local API shows of a vending machine's request, beside the sale that pays it."""

from typing import Annotated

from msgspec import Meta, Struct

from terminald.core.vend_table import Vend as CoreVend
from terminald.core.vend_table import VendState


class Vend(Struct, frozen=True, kw_only=True):
    """What a vending machine has asked for. Item and price are in its own words; item is null where it says none."""

    machine: Annotated[str, Meta(description="its name in [[vending]]")]
    item: str | None
    price: str
    state: VendState


def vend_shape(vend: CoreVend | None) -> Vend | None:
    """Return a vend as the host sees it; None of a sale that no vending machine has asked for."""
    if vend is None:
        return None
    return Vend(machine=vend.machine, item=vend.item or None, price=vend.price, state=vend.state)
