"""The books as others may see them: without keys and without payment codes. Also the body of ``GET /_sim/books``."""

import msgspec

from terminald.simulator.gateway_books import Books, Order
from terminald.simulator.gateway_terminals import Log, Terminals


class TransactionView(msgspec.Struct, frozen=True, kw_only=True):
    """One transaction. Times are wall-clock milliseconds."""

    client_tsn: str
    kind: str
    amount: int
    status: str
    started: int
    finished: int | None


class OrderView(msgspec.Struct, frozen=True, kw_only=True):
    """One order. Amounts are in fen; ``net`` is what the merchant has."""

    client_sn: str
    sn: str
    terminal_sn: str
    payway: str
    status: str
    total: int
    paid: int
    refunded: int
    net: int
    submits: int
    qr_code: str
    transactions: tuple[TransactionView, ...]


class TerminalView(msgspec.Struct, frozen=True, kw_only=True):
    """One terminal."""

    terminal_sn: str
    device_id: str
    name: str
    checkins: int
    logs: int


class LogView(msgspec.Struct, frozen=True, kw_only=True):
    """One uploaded log. Body is the compressed file as it came, in base64 where this is JSON."""

    terminal_sn: str
    received: int
    body: bytes
    text: str


class Totals(msgspec.Struct, frozen=True, kw_only=True):
    """Sums over all orders, in fen."""

    orders: int
    paid: int
    refunded: int
    net: int


class BooksView(msgspec.Struct, frozen=True, kw_only=True):
    """All that the gateway knows about money at one instant."""

    orders: tuple[OrderView, ...]
    totals: Totals
    terminals: tuple[TerminalView, ...]
    duplicate_submits: int


def milliseconds(at_s: float) -> int:
    """Return a time as the gateway writes it: milliseconds since 1970."""
    return round(at_s * 1000)


def _view_order(order: Order) -> OrderView:
    transactions = tuple(
        TransactionView(
            client_tsn=transaction.client_tsn,
            kind=transaction.kind,
            amount=transaction.amount_fen,
            status=transaction.status.value,
            started=milliseconds(transaction.started_s),
            finished=None if transaction.finished_s is None else milliseconds(transaction.finished_s),
        )
        for transaction in order.transactions
    )
    return OrderView(
        client_sn=order.client_sn,
        sn=order.sn,
        terminal_sn=order.terminal_sn,
        payway=order.payway,
        status=order.status.value,
        total=order.total_fen,
        paid=order.paid_fen,
        refunded=order.refunded_fen,
        net=order.net_fen,
        submits=order.submits,
        qr_code=order.qr_code,
        transactions=transactions,
    )


def view_log(log: Log) -> LogView:
    """Return one log; what is no text is shown as such."""
    return LogView(
        terminal_sn=log.terminal_sn,
        received=milliseconds(log.received_s),
        body=log.body,
        text=log.content.decode(errors="replace"),
    )


def view(books: Books, terminals: Terminals) -> BooksView:
    """Return everything at this instant. The caller has advanced the books."""
    orders = tuple(_view_order(order) for order in books.orders.values())
    return BooksView(
        orders=orders,
        totals=Totals(
            orders=len(orders),
            paid=sum(order.paid for order in orders),
            refunded=sum(order.refunded for order in orders),
            net=sum(order.net for order in orders),
        ),
        terminals=tuple(
            TerminalView(
                terminal_sn=terminal.terminal_sn,
                device_id=terminal.device_id,
                name=terminal.name,
                checkins=terminal.checkins,
                logs=terminal.logs,
            )
            for terminal in terminals.by_sn.values()
        ),
        duplicate_submits=books.duplicate_submits,
    )
