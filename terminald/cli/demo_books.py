"""The end of the demo: the gateway's books beside terminald's sales. Computes only."""

from dataclasses import dataclass

from terminald.core.money import format_yuan
from terminald.simulator.gateway import BooksView
from terminald.wire import api_shapes as shapes


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One sale as both sides have it; amounts in fen."""

    sale: shapes.Sale
    orders: int
    charges: int
    held: int

    @property
    def is_right(self) -> bool:
        """Whether both sides hold the same money, and the customer paid at most once."""
        return self.held == self.sale.paid - self.sale.returned and self.charges <= 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """All sales, and what is in the gateway's books that terminald does not know."""

    entries: tuple[Entry, ...]
    strange_orders: tuple[str, ...]
    duplicate_submits: int

    @property
    def is_right(self) -> bool:
        """Whether the books agree."""
        return not self.strange_orders and not self.duplicate_submits and all(one.is_right for one in self.entries)

    @property
    def sold(self) -> int:
        """The money of all sales, in fen, as terminald has it."""
        return sum(one.sale.paid - one.sale.returned for one in self.entries)


def compare(sales: tuple[shapes.Sale, ...], books: BooksView) -> Comparison:
    """Put each sale beside the orders that it made at the gateway."""
    orders = {order.client_sn: order for order in books.orders}
    entries = []
    known: set[str] = set()
    for sale in sorted(sales, key=lambda one: one.reference):
        own = [orders[one.client_sn] for one in sale.attempts if one.client_sn in orders]
        known.update(order.client_sn for order in own)
        entries.append(
            Entry(
                sale=sale,
                orders=len(own),
                charges=sum(order.paid > 0 for order in own),
                held=sum(order.net for order in own),
            )
        )
    return Comparison(
        entries=tuple(entries),
        strange_orders=tuple(sorted(orders.keys() - known)),
        duplicate_submits=books.duplicate_submits,
    )


def rows(compared: Comparison) -> list[tuple[str, ...]]:
    """Return a table for people, the heading first."""
    heading = ("sale", "terminald says", "yuan", "gateway: orders", "charges", "yuan", "")
    return [
        heading,
        *(
            (
                one.sale.reference,
                one.sale.state.value,
                format_yuan(one.sale.paid - one.sale.returned),
                str(one.orders),
                str(one.charges),
                format_yuan(one.held),
                "agree" if one.is_right else "DIFFER",
            )
            for one in compared.entries
        ),
    ]


def verdict(compared: Comparison) -> str:
    """Say in one line whether the books agree."""
    if compared.is_right:
        paid = sum(one.charges for one in compared.entries)
        return (
            f"The books agree: {len(compared.entries)} sales, {paid} charges, {format_yuan(compared.sold)} yuan on "
            "both sides; nobody was charged twice, and nothing was lost."
        )
    faults = [f"sale {one.sale.reference} differs" for one in compared.entries if not one.is_right]
    faults += [f"the gateway has order {name}, which terminald does not know" for name in compared.strange_orders]
    if compared.duplicate_submits:
        faults.append(f"{compared.duplicate_submits} payments were submitted twice")
    return f"THE BOOKS DO NOT AGREE: {'; '.join(faults)}."
