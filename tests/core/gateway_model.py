"""A small gateway with books of its own: where the money is, whatever its answers say and whether they arrive."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from terminald.core import events
from terminald.core.commands import (
    GatewayCommand,
    OfferOrder,
    QueryOrder,
    RefundOrder,
    ReverseOrder,
    RevokeOrder,
    SubmitPayment,
)
from terminald.core.events import Answer, Fault, OrderFacts
from terminald.core.ids import ClientSn
from terminald.core.money import NO_MONEY, Fen
from terminald.core.schedule import Now, day_of
from tests.core.machine_builders import RULES

#: Picks one of that many: 0 ≤ result < number.
Pick = Callable[[int], int]
BALANCE, FORBIDDEN = "ACCOUNT_BALANCE_NOT_ENOUGH", "UPAY_TCP_ORDER_NOT_REFUNDABLE"
TOO_MUCH, WRONG_STATE = "REFUNDABLE_AMOUNT_NOT_ENOUGH", "UPAY_REFUND_INVALID_ORDER_STATE"


@dataclass(slots=True, kw_only=True)
class Order:
    """One order. Open: it can still be paid."""

    client_sn: ClientSn
    amount: Fen
    is_qr: bool
    state: str = "open"  # "open" | "paid" | "closed": never paid, or undone as a whole
    paid: Fen = NO_MONEY
    #: What each of the terminal's refunds gave back, by its number.
    refunds: dict[str, Fen] = field(default_factory=dict)
    #: What others gave back.
    elsewhere: Fen = NO_MONEY
    undone: Fen = NO_MONEY
    #: The gateway has an error of its own with it: it says neither paid nor closed.
    has_error: bool = False
    #: The gateway says that it does not know it.
    is_hidden: bool = False
    #: Why refunds of it are refused; empty when they are not.
    policy: str = ""
    finish_time: str = ""
    latest: str = ""
    day: int = 0

    @property
    def returned(self) -> Fen:
        """All that went back."""
        return Fen(sum(self.refunds.values()) + self.elsewhere + self.undone)

    @property
    def kept(self) -> Fen:
        """What the merchant has of it."""
        return Fen(self.paid - self.returned)

    def pay(self, now: Now, *, with_time: bool = True) -> None:
        """Let the customer's money arrive."""
        self.state, self.paid = "paid", self.amount
        self.finish_time = str(now.wall) if with_time else ""
        self.latest, self.day = self.client_sn, day_of(now.wall, RULES.day_offset)


class Gateway:
    """Carries requests out when they arrive, and gives a true answer to each."""

    def __init__(self) -> None:
        """Begin without orders."""
        self.orders: dict[ClientSn, Order] = {}

    def carry_out(self, command: GatewayCommand, pick: Pick, now: Now) -> Answer:
        """Do what a request asks for, and answer it."""
        match command:
            case SubmitPayment() | OfferOrder():
                return self._submit(command, pick, now)
            case QueryOrder() | ReverseOrder() | RevokeOrder() | RefundOrder():
                order = self.orders.get(command.client_sn)
                if order is None or order.is_hidden:
                    return events.OrderAbsent()
                if isinstance(command, RefundOrder):
                    return _refund(order, command)
                return _query(order) if isinstance(command, QueryOrder) else _undo(order, now)
            case _:
                raise AssertionError(command)

    def _submit(self, command: SubmitPayment | OfferOrder, pick: Pick, now: Now) -> Answer:
        assert command.client_sn not in self.orders, "I2: submitted twice"
        order = Order(client_sn=command.client_sn, amount=command.amount, is_qr=isinstance(command, OfferOrder))
        self.orders[order.client_sn] = order
        if order.is_qr:
            return events.QrOffered(content=f"https://qr.example/{order.client_sn}", facts=_number(order))
        match pick(4):
            case 0:
                order.state = "closed"
                return events.PayDeclined()
            case 1:
                return events.OutcomePending(facts=_number(order))
            case which:
                order.pay(now, with_time=which == 2)
                return events.PayConfirmed(facts=_facts(order))


def _facts(order: Order) -> OrderFacts:
    facts = _number(order)
    return replace(facts, net_amount=order.kept, client_tsn=order.latest, finish_time=order.finish_time)


def _number(order: Order) -> OrderFacts:
    return OrderFacts(sn=f"sn-{order.client_sn}")


def _query(order: Order) -> Answer:
    if order.has_error:
        return events.OrderErrored()
    if order.state == "open":
        return events.OrderPending(facts=_number(order))
    if order.state == "closed":
        return events.OrderClosed()
    if order.kept == order.amount:
        return events.OrderPaid(facts=_facts(order))
    return (events.OrderPartlyReturned if order.kept else events.OrderReturned)(facts=_facts(order))


def _undo(order: Order, now: Now) -> Answer:
    if order.state == "closed":
        return events.ReversalConfirmed()
    if order.has_error:
        return events.ReversalPending()
    if order.state == "paid" and (order.returned or order.day != day_of(now.wall, RULES.day_offset)):
        return events.ReversalRefused()
    order.undone, order.state, order.latest = order.paid, "closed", order.client_sn
    return events.ReversalConfirmed()


def _refund(order: Order, command: RefundOrder) -> Answer:
    if command.request_no in order.refunds:
        return events.RefundConfirmed()
    if order.state != "paid" or order.has_error:
        return events.RefundRefused(fault=Fault(code=WRONG_STATE, message=""))
    if order.policy:
        return events.RefundRefused(fault=Fault(code=order.policy, message=""))
    if command.refund_amount > order.kept:
        return events.RefundRefused(fault=Fault(code=TOO_MUCH, message=""))
    order.refunds[command.request_no] = command.refund_amount
    order.latest = f"{order.client_sn}-{command.request_no}"
    return events.RefundConfirmed()
