"""The gateway's books: where the money is. Knows neither requests nor signatures.

Rules that the books keep, whatever comes in:

1. ``0 <= refunded <= paid <= total``; what the merchant has is ``net = paid - refunded``.
2. A final order is left only by a refund or a cancellation of a paid order.
3. Nothing but time, a customer and a command changes an order; a query does not.

Times are wall-clock seconds since 1970 UTC. Orders advance lazily: :meth:`Books.advance` first, then anything else.
"""

import random
from collections.abc import Mapping
from dataclasses import dataclass, field

from terminald.simulator.gateway_outcomes import (
    CANCEL_FAILURES,
    FINAL,
    OFFERED,
    PAID,
    SLOW_CANCEL_S,
    AtCancel,
    AtRefund,
    Effect,
    OrderStatus,
    Outcome,
    Status,
)
from terminald.simulator.gateway_protocol import Declined

#: The gateway's business day ends at midnight UTC+8.
BUSINESS_DAY_OFFSET_S = 8 * 3600
#: Documents, refund: within about three months.
REFUND_WINDOW_S = 90 * 86_400.0
DAY_S = 86_400
#: A payment is still there to be given back. A refund or cancellation that failed may be tried again, or the other one.
_REFUNDABLE = frozenset(
    {OrderStatus.PAID, OrderStatus.PARTIAL_REFUNDED, OrderStatus.REFUND_ERROR, OrderStatus.CANCEL_ERROR}
)
_REFUND_BEGUN = frozenset({OrderStatus.REFUND_ERROR, OrderStatus.REFUND_INPROGRESS})


@dataclass(slots=True, kw_only=True)
class Transaction:
    """One movement, or attempted movement, of an order's money (the documents' 流水)."""

    client_tsn: str
    kind: str
    amount_fen: int
    operator: str
    status: Status
    started_s: float
    finished_s: float | None = None

    def finish(self, status: Status, at_s: float) -> None:
        """Close the transaction."""
        self.status = status
        self.finished_s = at_s


@dataclass(slots=True, kw_only=True)
class Order:
    """One order with its whole history. ``code`` is the payment code, empty for a QR order."""

    sn: str
    client_sn: str
    terminal_sn: str
    trade_no: str
    payway: str
    sub_payway: str
    payer_uid: str
    total_fen: int
    fields: Mapping[str, str] = field(repr=False)
    code: str = field(default="", repr=False)
    qr_code: str = ""
    created_s: float
    status: OrderStatus = OrderStatus.CREATED
    at_cancel: AtCancel = AtCancel.PLAIN
    cancel_failures_left: int = CANCEL_FAILURES
    pending: tuple[float, Effect] | None = None
    transactions: list[Transaction] = field(default_factory=list)
    refunds: set[str] = field(default_factory=set)
    paid_fen: int = 0
    refunded_fen: int = 0
    submits: int = 1

    @property
    def net_fen(self) -> int:
        """What the merchant has of this order."""
        return self.paid_fen - self.refunded_fen

    @property
    def latest(self) -> Transaction:
        """The transaction that ``data.status`` and ``data.client_tsn`` are about."""
        return self.transactions[-1]

    @property
    def is_final(self) -> bool:
        """Whether the documents call this state final."""
        return self.status in FINAL


def business_day(at_s: float) -> int:
    """Return the number of the gateway's business day."""
    return int(at_s + BUSINESS_DAY_OFFSET_S) // DAY_S


def _check_cancel(order: Order, now_s: float) -> None:
    if order.status in (OrderStatus.CANCELED, OrderStatus.PAY_CANCELED):
        raise Declined("UPAY_CANCEL_ORDER_NOOP")
    if order.refunded_fen > 0 or order.status in _REFUND_BEGUN:
        raise Declined("UPAY_CANCEL_INVALID_ORDER_STATE")
    if order.paid_fen > 0 and business_day(order.created_s) != business_day(now_s):
        raise Declined("UPAY_CANCEL_INVALID_ORDER_STATE")


@dataclass(slots=True, kw_only=True)
class Books:
    """All orders. Speed divides every duration that an order takes by itself."""

    random: random.Random
    speed: float = 1.0
    orders: dict[str, Order] = field(default_factory=dict)
    duplicate_submits: int = 0
    _by_sn: dict[str, Order] = field(default_factory=dict)
    _waiting: dict[str, Order] = field(default_factory=dict)
    _spent_codes: set[str] = field(default_factory=set, repr=False)

    def find(self, *, sn: str = "", client_sn: str = "") -> Order | None:
        """Return the order; ``sn`` wins when both are given."""
        return self._by_sn.get(sn) if sn else self.orders.get(client_sn)

    def is_spent(self, code: str) -> bool:
        """Tell whether an order was paid with this payment code."""
        return code in self._spent_codes

    def count_duplicate(self, client_sn: str) -> None:
        """Note that a ``client_sn`` was submitted again.

        Raises:
            Declined: CLIENT_SN_CONFLICT, when it is known.
        """
        order = self.orders.get(client_sn)
        if order is not None:
            order.submits += 1
            self.duplicate_submits += 1
            raise Declined("CLIENT_SN_CONFLICT")

    def open_scan(self, fields: Mapping[str, str], payway: str, outcome: Outcome, *, now_s: float) -> Order:
        """Enter an order that a payment code pays, as its outcome says."""
        order = self._enter(fields, payway, "1", now_s=now_s)
        order.code = fields["dynamic_id"]
        order.at_cancel = outcome.at_cancel
        opening = outcome.opening
        if opening is PAID:
            self._apply(order, Effect.PAY, now_s)
        elif opening.order_status in FINAL:
            self._apply(order, Effect.CLOSE, now_s)
        else:
            order.status = opening.order_status
            order.latest.status = opening.status
        if outcome.after is not None:
            self._schedule(order, now_s + outcome.after[0] / self.speed, outcome.after[1])
        return order

    def open_qr(
        self, fields: Mapping[str, str], *, life_s: float, paid_after_s: float | None = None, now_s: float
    ) -> Order:
        """Enter an order that waits for a customer, and closes unpaid after its life; both times are at speed 1."""
        order = self._enter(fields, fields["payway"], fields.get("sub_payway") or "2", now_s=now_s)
        order.qr_code = f"https://qr.simulated.invalid/{order.payway}/{self.random.getrandbits(80):020x}"
        order.status = OFFERED.order_status
        due_s, effect = life_s, Effect.CLOSE
        if paid_after_s is not None and paid_after_s < life_s:
            due_s, effect = paid_after_s, Effect.PAY
        self._schedule(order, now_s + due_s / self.speed, effect)
        return order

    def advance(self, now_s: float) -> None:
        """Let happen what was due by now, each at its own time."""
        for order in list(self._waiting.values()):
            if order.pending is not None and order.pending[0] <= now_s:
                due_s, effect = order.pending
                self._apply(order, effect, due_s)

    def customer(self, order: Order, effect: Effect, *, now_s: float) -> bool:
        """Let the customer pay or refuse; False when the order does not wait for one any more."""
        if order.status is not OrderStatus.CREATED:
            return False
        self._apply(order, effect, now_s)
        return True

    def cancel(
        self, order: Order, *, kind: str, now_s: float, scripted: AtCancel | None = None, slow_s: float = SLOW_CANCEL_S
    ) -> str:
        """Carry out a cancel or revoke, and return its result code.

        A paid order goes back only on the business day on which it was made, and only whole. An order without a
        final result may be cancelled at any time: no money was settled. What is scripted for this cancel outranks how
        the order is cancelled otherwise; slow_s is at speed 1.

        Raises:
            Declined: nothing was done.
        """
        if order.status is OrderStatus.CANCEL_INPROGRESS:
            return "CANCEL_IN_PROGRESS"
        _check_cancel(order, now_s)
        conduct = order.at_cancel if scripted is None else scripted
        if conduct in (AtCancel.REFUSED, AtCancel.PAID_MEANWHILE):
            self.customer(order, Effect.PAY, now_s=now_s)
        if conduct is AtCancel.REFUSED and order.paid_fen:
            raise Declined("UPAY_CANCEL_INVALID_ORDER_STATE")
        # Whom an earlier cancel has kept from paying has nothing to be refused for.
        is_plain = conduct is AtCancel.REFUSED or (scripted is None and order.status is OrderStatus.PAID)
        if is_plain or conduct in (AtCancel.PLAIN, AtCancel.PAID_MEANWHILE):
            return self._cancel_now(order, kind, now_s)
        if conduct is AtCancel.SLOW:
            return self._cancel_later(order, kind, now_s, now_s + slow_s / self.speed)
        if scripted is None:
            order.cancel_failures_left -= 1
            if order.cancel_failures_left == 0:
                order.at_cancel = AtCancel.PLAIN
        return self._fail_cancel(order, kind, now_s)

    def refund(
        self,
        order: Order,
        *,
        request_no: str,
        amount_fen: int,
        operator: str,
        now_s: float,
        scripted: AtRefund = AtRefund.PLAIN,
        slow_s: float = 0.0,
    ) -> str:
        """Give back a part, or the rest, and return the result code. A number is carried out once.

        Raises:
            Declined: nothing was done.
        """
        if request_no in order.refunds:
            raise Declined("UPAY_REFUND_ORDER_NOOP")
        client_tsn = f"{order.client_sn}-{request_no}"
        if order.status is OrderStatus.REFUND_INPROGRESS and order.latest.client_tsn == client_tsn:
            return "REFUND_IN_PROGRESS"
        if order.status not in _REFUNDABLE or order.net_fen == 0 or now_s - order.created_s > REFUND_WINDOW_S:
            raise Declined("UPAY_REFUND_INVALID_ORDER_STATE")
        if amount_fen > order.net_fen:
            raise Declined("REFUNDABLE_AMOUNT_NOT_ENOUGH")
        transaction = Transaction(
            client_tsn=client_tsn,
            kind="refund",
            amount_fen=amount_fen,
            operator=operator,
            status=Status.IN_PROG,
            started_s=now_s,
        )
        order.transactions.append(transaction)
        if scripted is AtRefund.FAILING:
            order.status = OrderStatus.REFUND_ERROR
            transaction.finish(Status.REFUND_ERROR, now_s)
            return "REFUND_ERROR"
        if scripted is AtRefund.SLOW:
            order.status = OrderStatus.REFUND_INPROGRESS
            self._schedule(order, now_s + slow_s / self.speed, Effect.REFUND)
            return "REFUND_IN_PROGRESS"
        self._apply(order, Effect.REFUND, now_s)
        return "REFUND_SUCCESS"

    def _enter(self, fields: Mapping[str, str], payway: str, sub_payway: str, *, now_s: float) -> Order:
        sn = f"7894{self.random.randrange(10**12):012d}"
        order = Order(
            sn=sn,
            client_sn=fields["client_sn"],
            terminal_sn=fields["terminal_sn"],
            trade_no=f"42{self.random.randrange(10**26):026d}",
            payway=payway,
            sub_payway=sub_payway,
            payer_uid=f"o{self.random.getrandbits(96):024x}",
            total_fen=int(fields["total_amount"]),
            fields=fields,
            created_s=now_s,
        )
        order.transactions.append(
            Transaction(
                client_tsn=order.client_sn,
                kind="pay",
                amount_fen=order.total_fen,
                operator=fields["operator"],
                status=Status.IN_PROG,
                started_s=now_s,
            )
        )
        self.orders[order.client_sn] = order
        self._by_sn[sn] = order
        return order

    def _schedule(self, order: Order, due_s: float, effect: Effect) -> None:
        order.pending = (due_s, effect)
        self._waiting[order.sn] = order

    def _unschedule(self, order: Order) -> None:
        order.pending = None
        self._waiting.pop(order.sn, None)

    def _apply(self, order: Order, effect: Effect, at_s: float) -> None:
        self._unschedule(order)
        if effect is Effect.PAY:
            order.paid_fen = order.total_fen
            order.status = OrderStatus.PAID
            order.latest.finish(Status.SUCCESS, at_s)
            if order.code:
                self._spent_codes.add(order.code)
        elif effect is Effect.CLOSE:
            order.status = OrderStatus.PAY_CANCELED
            order.latest.finish(Status.FAIL_CANCELED, at_s)
        elif effect is Effect.REFUND:
            order.refunds.add(order.latest.client_tsn.removeprefix(f"{order.client_sn}-"))
            order.refunded_fen += order.latest.amount_fen
            order.status = OrderStatus.REFUNDED if order.net_fen == 0 else OrderStatus.PARTIAL_REFUNDED
            order.latest.finish(Status.SUCCESS, at_s)
        else:
            order.refunded_fen = order.paid_fen
            order.status = OrderStatus.CANCELED
            order.latest.finish(Status.SUCCESS, at_s)

    def _begin_cancel(self, order: Order, kind: str, now_s: float) -> None:
        self._unschedule(order)
        if not order.is_final and order.latest.kind == "pay":
            order.latest.finish(Status.FAIL_CANCELED, now_s)
        order.transactions.append(
            Transaction(
                client_tsn=order.client_sn,
                kind=kind,
                amount_fen=order.paid_fen,
                operator=order.latest.operator,
                status=Status.IN_PROG,
                started_s=now_s,
            )
        )

    def _cancel_now(self, order: Order, kind: str, now_s: float) -> str:
        stops_payment = not order.is_final and not order.paid_fen and not order.qr_code
        self._begin_cancel(order, kind, now_s)
        self._apply(order, Effect.CANCEL, now_s)
        return "CANCEL_ABORT_SUCCESS" if stops_payment else "CANCEL_SUCCESS"

    def _cancel_later(self, order: Order, kind: str, now_s: float, due_s: float) -> str:
        self._begin_cancel(order, kind, now_s)
        order.status = OrderStatus.CANCEL_INPROGRESS
        self._schedule(order, due_s, Effect.CANCEL)
        return "CANCEL_IN_PROGRESS"

    def _fail_cancel(self, order: Order, kind: str, now_s: float) -> str:
        self._begin_cancel(order, kind, now_s)
        order.status = OrderStatus.CANCEL_ERROR
        order.latest.finish(Status.CANCEL_ERROR, now_s)
        return "CANCEL_ERROR"
