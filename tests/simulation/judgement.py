"""The judgement at the end: the gateway's books against the journal, and what the host was told and promised."""

import json
from dataclasses import dataclass, field
from pathlib import Path

from terminald.adapters.journal_sqlite import SqliteJournal
from terminald.adapters.ports import SaleFilter
from terminald.core.attempt_table import AttemptState
from terminald.core.book import SaleView
from terminald.core.ids import ClientSn
from terminald.core.refund_answers import ALREADY_RETURNED
from terminald.core.refund_table import Refund, RefundKind, RefundState
from terminald.core.sale_table import DeliveryState, SaleState
from terminald.simulator.gateway_books import Books, Order
from terminald.simulator.gateway_outcomes import OrderStatus, Status

_S = SaleState


@dataclass(slots=True)
class Promises:
    """What the host was promised: the API has answered with success."""

    #: The ids that a sale's refund reference was ever answered with.
    refunds: dict[tuple[str, str], set[str]] = field(default_factory=dict)
    #: Sales whose goods were reported not to have come out: the amount, or None for all of it.
    undelivered: dict[str, int | None] = field(default_factory=dict)
    #: Sales whose overdue money goes back by itself.
    returns_overdue: bool = False


def differences(path: Path, books: Books, promises: Promises) -> list[str]:
    """Return every difference in words."""
    store = SqliteJournal(path)
    views = store.list_sales(SaleFilter(limit=200))
    told: dict[str, list[dict[str, object]]] = {}
    for event in store.events_after(0, 1_000_000):
        if event.topic == "sale":
            sale = json.loads(event.body)
            told.setdefault(sale["id"], []).append(sale)
    store.close()
    found = []
    if books.duplicate_submits:
        found.append(f"I2: submitted again: {books.duplicate_submits}")
    for view in views:
        judge = _Judge(view, books, told[view.sale.id], promises)
        found += [f"{view.sale.order.reference}: {what}" for what in judge.all()]
    known = {one.client_sn for view in views for one in view.attempts}
    found += [f"I2: {one} is not in the journal" for one in books.orders if ClientSn(one) not in known]
    kept = {(str(view.sale.order.reference), one.id) for view in views for one in view.refunds}
    for (sale, reference), ids in promises.refunds.items():
        if len(ids) != 1:
            found.append(f"I9: {sale}: reference {reference} is {sorted(ids)}")
        found += [
            f"I9: {sale}: {one} was promised, and is not in the journal" for one in ids if (sale, one) not in kept
        ]
    return found


class _Judge:
    """Judges one sale."""

    def __init__(self, view: SaleView, books: Books, told: list[dict[str, object]], promises: Promises) -> None:
        self.view = view
        self.sale = view.sale
        self.reference = str(view.sale.order.reference)
        self.orders = [order for one in view.attempts if (order := books.find(client_sn=one.client_sn)) is not None]
        self.told = told
        self.promises = promises
        self.is_by_hand = any(one.state is RefundState.CLOSED for one in view.refunds)

    def all(self) -> list[str]:
        money = (self._open, self._payment, self._returned, self._refunds)
        return [what for judge in (*money, self._goods, self._owed, self._alarms, self._told) for what in judge()]

    def _open(self) -> list[str]:
        """I5: what is still open has reached a person."""
        sale, found = self.sale, []
        is_with_person = sale.delivery is DeliveryState.OVERDUE and sale.attention is not None
        if not sale.state.is_final and not (sale.state is SaleState.PAID and is_with_person):
            found.append(f"I5: the sale is still {sale.state.value}, delivery {sale.delivery.value}")
        found += [f"I5: {one.client_sn} is {one.state.value}" for one in self.view.attempts if not one.state.is_final]
        found += [f"I5: {one.id} is {one.state.value}" for one in self.view.refunds if not one.state.is_final]
        if sale.delivery is DeliveryState.PENDING and sale.state is not SaleState.RETURNED:
            found.append(f"I5: delivery is pending for ever in {sale.state.value}")
        return found

    def _payment(self) -> list[str]:
        """Money taken is what was told paid, by one order; nothing is kept of the others (I1, I3, I4)."""
        found = []
        states = [one["state"] for one in self.told]
        paying = [one.client_sn for one in self.view.attempts if one.state is AttemptState.PAID]
        if len(paying) != (1 if self.sale.paid else 0):
            found.append(f"I1: paid {self.sale.paid}, and {len(paying)} orders are")
        for order in self.orders:
            if order.client_sn not in paying and order.net_fen:
                found.append(f"I3: {order.net_fen} of {order.client_sn} are kept, and the host was told {states[-1]}")
            if order.client_sn in paying and order.paid_fen != self.sale.paid:
                found.append(f"I4: told paid {self.sale.paid}, taken {order.paid_fen}")
        if sum(order.net_fen > 0 for order in self.orders) > 1:
            found.append("I1: two payments are kept")
        if "canceled" in states and self.sale.paid:
            found.append(f"I4: told both: {states}")
        return found

    def _paying_order(self) -> Order | None:
        paid_by = self.view.paid_by
        return next((order for order in self.orders if paid_by and order.client_sn == paid_by.client_sn), None)

    def _returned(self) -> list[str]:
        """Money returned is what was told returned."""
        order, sale = self._paying_order(), self.sale
        if order is None:
            return [f"I4: told returned {sale.returned} of nothing"] if sale.returned else []
        found = []
        if order.refunded_fen != sale.returned and not self.is_by_hand:
            found.append(f"money: returned {order.refunded_fen}, told {sale.returned}")
        if order.refunded_fen < sale.returned:
            found.append(f"money: told returned {sale.returned}, and only {order.refunded_fen} are")
        if sale.state is SaleState.RETURNED and order.net_fen:
            found.append(f"money: told returned, and {order.net_fen} are kept")
        if sale.state is SaleState.COMPLETED and not order.net_fen and not self.is_by_hand:
            found.append("money: nothing is left, and the sale is completed")
        return found

    def _refunds(self) -> list[str]:
        """Each refund is carried out as often as it was told: once, or not at all (I9)."""
        order, found = self._paying_order(), list[str]()
        numbers = [one.request_no for one in self.view.refunds]
        references = [one.reference for one in self.view.refunds if one.reference]
        if len(set(numbers)) != len(numbers) or len(set(references)) != len(references):
            found.append(f"I9: {numbers} for {references}")
        if order is None:
            return found
        done = [one for one in order.transactions if one.kind == "refund" and one.status is Status.SUCCESS]
        is_undone = order.status is OrderStatus.CANCELED
        for one in self.view.refunds:
            carried_out = [each.amount_fen for each in done if each.client_tsn == _name_of(order, one)]
            found += self._refund(one, carried_out, is_undone=is_undone)
        moved = sum(one.amount for one in self.view.refunds if one.state is RefundState.DONE)
        if moved != self.sale.returned:
            found.append(f"I9: told returned {self.sale.returned}, and done are {moved}")
        names = {_name_of(order, one) for one in self.view.refunds}
        found += [f"I9: {each.client_tsn} is in no journal" for each in done if each.client_tsn not in names]
        return found

    def _refund(self, refund: Refund, carried_out: list[int], *, is_undone: bool) -> list[str]:
        # A revoke has no number; a return of what is left may find nothing.
        expected = [refund.amount] if refund.amount else []
        is_revoked = is_undone and refund.kind is not RefundKind.REFUND and not carried_out
        if refund.state is RefundState.DONE and not is_revoked and carried_out != expected:
            return [f"I9: {refund.id} of {refund.amount} is done, and was carried out as {carried_out}"]
        if refund.state is RefundState.REFUSED and carried_out:
            return [f"I9: {refund.id} is refused, and was carried out as {carried_out}"]
        why = refund.fault.code if refund.fault else ""
        if why == ALREADY_RETURNED and refund.state is not RefundState.DONE and self.sale.returned != self.sale.paid:
            return [f"I9: {refund.id} was told that all has gone back, and {self.sale.returned} have"]
        return []

    def _goods(self) -> list[str]:
        """Goods that did not come out are paid back, unless a person has settled it."""
        sale = self.sale
        if self.is_by_hand:
            return []
        if self.promises.returns_overdue and sale.delivery is DeliveryState.OVERDUE and sale.returned != sale.paid:
            return [f"goods: overdue, and {sale.returned} of {sale.paid} have gone back"]
        if self.reference not in self.promises.undelivered:
            return []
        amount = self.promises.undelivered[self.reference]
        if amount is None and sale.returned != sale.paid:
            return [f"goods: undelivered, and {sale.returned} of {sale.paid} have gone back"]
        if amount is not None and sale.returned < amount:
            return [f"goods: undelivered for {amount}, and {sale.returned} have gone back"]
        return []

    def _owed(self) -> list[str]:
        """No more goes back for goods than they are worth; where nobody reports them, all of it may."""
        amount = self.promises.undelivered.get(self.reference)
        owed = sum(one.amount for one in self.view.refunds if one.is_owed)
        if amount is not None and owed > amount and not self.promises.returns_overdue:
            return [f"goods: undelivered for {amount}, and {owed} have gone back for that"]
        return []

    def _alarms(self) -> list[str]:
        """What a person is called for is so."""
        sale = self.sale
        code = sale.attention.code if sale.attention else ""
        if code == "delivered_and_returned" and not (sale.delivery is DeliveryState.DELIVERED and sale.returned):
            return [f"alarm: {code}, and the goods are {sale.delivery.value}, {sale.returned} have gone back"]
        if code == "delivery_overdue" and (sale.delivery is not DeliveryState.OVERDUE or sale.state is not _S.PAID):
            return [f"alarm: {code} of a sale that is {sale.state.value}, delivery {sale.delivery.value}"]
        return []

    def _told(self) -> list[str]:
        """The last thing that the host was told is how it stands."""
        last = self.told[-1]
        now = {"state": self.sale.state.shown, "paid": self.sale.paid, "returned": self.sale.returned}
        said = {name: last[name] for name in now}
        return [] if said == now else [f"told {said}, and it is {now}"]


def _name_of(order: Order, refund: Refund) -> str:
    return f"{order.client_sn}-{refund.request_no}"
