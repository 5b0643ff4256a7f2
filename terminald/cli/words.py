"""What the API says, in plain words."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta

from terminald.core.money import format_yuan
from terminald.core.receipt import display_width, provider_name
from terminald.core.refund_answers import OWN_REFUSALS
from terminald.core.refund_table import RefundState
from terminald.core.sale_table import DeliveryState
from terminald.core.vend_table import VendState
from terminald.logs import escape
from terminald.wire import api_shapes as shapes
from terminald.wire.api_vend import Vend

_REASONS = {
    "declined": "the payment was declined",
    "expired": "it was not paid in time",
    "host": "it was canceled on request",
    "machine": "the vending machine does not ask for it any more",
    "gateway_unreachable": "the payment gateway could not be reached",
    "terminal_refused": "the gateway refused this terminal",
    "shutdown": "terminald was being stopped",
    "drained": "sales were held back (terminald drain)",
    "power_lost": "the power failed",
    "journal_failed": "the disk failed, and the payment could not be recorded",
}
_RECEIPTS = {
    "off": "none",
    "queued": "waiting for the printer",
    "printing": "being printed",
    "blocked": "waiting: the printer reports a fault",
    "printed": "printed",
    "unverified": "sent to the printer, which did not say whether it printed it",
    "expired": "not printed in time, and given up",
    "failed": "not printed: the printer failed",
}
_VENDS = {
    VendState.REQUESTED: "asked for; not paid yet",
    VendState.PAYING: "asked for; the payment is with the gateway",
    VendState.PAID: "paid; about to be approved",
    VendState.APPROVING: "paid; being approved",
    VendState.APPROVED: "approved; the machine has not said yet what came of it",
    VendState.DONE: "the machine says that it has dispensed",
    VendState.CANCELING: "denied; the sale is being undone",
    VendState.DENIED: "denied; nothing was dispensed",
    VendState.RETURNING: "not dispensed; the money goes back",
    VendState.RETURNED: "the money has gone back",
    VendState.UNKNOWN: "approved; what came of it is not known",
    VendState.CLOSED: "not dispensed; settled by a person",
}
_KEYS = {
    "fresh": "accepted",
    "stale": "due for renewal",
    "expired": "older than the gateway allows",
    "doubtful": "renewal had no clear answer; still valid",
    "locked_out": "not accepted by the gateway",
}
_OUTCOMES = {
    shapes.Outcome.HELD: "presented; held back until the QR is undone",
    shapes.Outcome.OFFERED: "offered as a QR, which can be paid",
    shapes.Outcome.PROCESSING: "with the gateway",
    shapes.Outcome.PAID: "paid",
    shapes.Outcome.DECLINED: "declined",
    shapes.Outcome.REVERSING: "being undone",
    shapes.Outcome.REVERSED: "undone, no money kept",
    shapes.Outcome.UNSENT: "never sent",
    shapes.Outcome.WATCHING: "unknown to the gateway; looked up again later",
}
_REFUNDS = {
    RefundState.QUEUED: "waiting for its turn",
    RefundState.REVOKING: "being revoked",
    RefundState.CHECKING: "revoke sent; what came of it is being looked up",
    RefundState.REFUNDING: "being refunded",
    RefundState.PROVING: "refund sent; what came of it is being looked up",
    RefundState.BLOCKED: "held up: the gateway does not do it for now; tried again about every hour",
    RefundState.DONE: "gone back",
    RefundState.REFUSED: "refused by the gateway; the money stays where it is",
    RefundState.CLOSED: "closed by a person, who has settled it by other means",
}
_DELIVERIES = {
    DeliveryState.NONE: "to be reported once the sale is paid",
    DeliveryState.PENDING: "not reported yet; awaited",
    DeliveryState.OVERDUE: "not reported in time",
    DeliveryState.CLOSED: "not reported in time; a person has closed the call",
    DeliveryState.DELIVERED: "the goods came out",
    DeliveryState.UNDELIVERED: "the goods, or some of them, did not come out",
}
_KEYS = {
    "fresh": "accepted",
    "stale": "due for renewal",
    "expired": "older than the gateway allows",
    "doubtful": "renewal had no clear answer; still valid",
    "locked_out": "not accepted by the gateway",
}


def reason_words(reason: str | None) -> str:
    """Say why a sale is not paid."""
    return _REASONS.get(reason or "", escape(reason or "no reason is given"))


def receipt_words(state: str) -> str:
    """Say how a receipt is doing."""
    return _RECEIPTS.get(state, escape(state))


def key_words(key: shapes.Key) -> str:
    """Say how the terminal's key is doing, and how old it is."""
    return f"{_KEYS.get(key.state, escape(key.state))}, {span(key.age_s)} old"


def outcome_words(attempt: shapes.Attempt) -> str:
    """Say how an attempt stands, with what went wrong."""
    words = _OUTCOMES[attempt.outcome]
    return f"{words} ({error_words(attempt.error)})" if attempt.error else words


def error_words(error: shapes.Error) -> str:
    """Say what went wrong, in the gateway's words or the daemon's."""
    return escape(f"{error.code} {error.message}".strip())


def money(fen: int) -> str:
    """Write an amount."""
    return f"{format_yuan(fen)} yuan"


def provider(payway: str | None) -> str:
    """Name a provider; empty when it is not known."""
    return provider_name(payway, "en") if payway else ""


def paid_attempt(sale: shapes.Sale) -> shapes.Attempt | None:
    """Return the attempt that was paid."""
    return next((one for one in sale.attempts if one.outcome is shapes.Outcome.PAID), None)


def state_words(sale: shapes.Sale) -> str:
    """Say how a sale stands, and what it means for the money, in one line."""
    return _STATES[sale.state](sale)


def _awaiting(sale: shapes.Sale) -> str:
    ways = {"scan": "the customer's payment code", "qr": "the customer to scan the QR"}
    return f"waiting for {', or for '.join(ways.get(method, escape(method)) for method in sale.methods)}"


def _processing(sale: shapes.Sale) -> str:
    if any(attempt.outcome is shapes.Outcome.HELD for attempt in sale.attempts):
        return "a code was presented; the QR is being undone first, so that only one of them is paid"
    return "with the gateway; the customer may have to confirm on the phone"


def _paid(sale: shapes.Sale) -> str:
    attempt = paid_attempt(sale)
    name = provider(attempt.payway) if attempt else ""
    number = f", transaction {escape(attempt.sn)}" if attempt and attempt.sn else ""
    return "; ".join((f"paid {money(sale.paid)}{f' with {name}' if name else ''}{number}", *_beside_paid(sale)))


def _beside_paid(sale: shapes.Sale) -> Iterator[str]:
    """Say what else there is to know of a sale whose money is not all on its way back."""
    if sale.returned:
        yield f"{money(sale.returned)} of it has gone back"
    if on_its_way := sum(one.amount for one in sale.refunds if one.ended_at is None):
        yield f"{money(on_its_way)} of it is on its way back"
    if sale.state is shapes.ShownState.PAID and sale.delivery.required:
        yield "it is not reported yet whether the goods came out"


def _canceling(sale: shapes.Sale) -> str:
    return f"being canceled: {reason_words(sale.reason)}; if the customer was charged, it goes back by itself"


def _canceled(sale: shapes.Sale) -> str:
    return f"canceled, no money is kept: {reason_words(sale.reason)}"


def _returning(sale: shapes.Sale) -> str:
    already = f" {money(sale.returned)} has gone back," if sale.returned else ""
    return f"paid {money(sale.paid)},{already} and {'the rest' if already else 'the money'} is on its way back"


def _returned(sale: shapes.Sale) -> str:
    return f"paid {money(sale.paid)}, and all of it has gone back"


_STATES: Mapping[shapes.ShownState, Callable[[shapes.Sale], str]] = {
    shapes.ShownState.AWAITING_PAYMENT: _awaiting,
    shapes.ShownState.PROCESSING: _processing,
    shapes.ShownState.PAID: _paid,
    shapes.ShownState.COMPLETED: _paid,
    shapes.ShownState.CANCELING: _canceling,
    shapes.ShownState.CANCELED: _canceled,
    shapes.ShownState.RETURNING: _returning,
    shapes.ShownState.RETURNED: _returned,
}


def refund_words(refund: shapes.Refund) -> str:
    """Say how money that goes back is doing, with the last thing that went wrong."""
    is_unsent = refund.state is RefundState.REFUSED and refund.error and refund.error.code in OWN_REFUSALS
    words = "not carried out" if is_unsent else _REFUNDS[refund.state]
    return f"{words} ({error_words(refund.error)})" if refund.error and refund.state is not RefundState.DONE else words


def delivery_words(delivery: shapes.Delivery) -> str:
    """Say what is known about the goods; empty where nobody reports it."""
    if not delivery.required:
        return ""
    until = f" until {local_time(delivery.deadline, with_date=False)}" if delivery.deadline else ""
    return f"{_DELIVERIES[delivery.state]}{until}"


def vend_words(vend: Vend) -> str:
    """Say what a vending machine has asked for, and what came of it."""
    item = f", item {escape(vend.item)}" if vend.item else ""
    return f"{escape(vend.machine)}{item}: {_VENDS[vend.state]}"


def local_time(text: str | None, *, with_date: bool = True) -> str:
    """Write one of the API's times as the clock on this machine's wall shows it; a dash when there is none."""
    if text is None:
        return "-"
    try:
        moment = datetime.fromisoformat(text).astimezone()
    except (ValueError, OverflowError):
        return escape(text)
    return moment.strftime("%Y-%m-%d %H:%M:%S" if with_date else "%H:%M:%S")


def span(seconds: float) -> str:
    """Write a length of time with the two units that matter."""
    left = timedelta(seconds=max(0, int(seconds)))
    hours, rest = divmod(left.seconds, 3600)
    units = ((left.days, "d"), (hours, "h"), (rest // 60, "min"), (rest % 60, "s"))
    first = next((place for place, (count, _) in enumerate(units) if count), len(units) - 1)
    return " ".join(f"{count} {unit}" for count, unit in units[first : first + 2] if count or first == len(units) - 1)


def since(text: str | None) -> str:
    """Say how long ago one of the API's times was."""
    try:
        return f"{span((datetime.now(UTC) - datetime.fromisoformat(text or '')).total_seconds())} ago"
    except (ValueError, TypeError):
        return "never"


def table(rows: Sequence[Sequence[str]], *, right: Iterable[int] = ()) -> str:
    """Lay rows out in columns; those whose place is in ``right`` are flush right. The first row is the heading."""
    flush = frozenset(right)
    widths = [max(display_width(row[place]) for row in rows) for place in range(len(rows[0]))]
    lines = []
    for row in rows:
        cells = []
        for place, cell in enumerate(row):
            blank = " " * (widths[place] - display_width(cell))
            cells.append(blank + cell if place in flush else cell + blank)
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)


def fields(pairs: Iterable[tuple[str, str]], *, indent: str = "") -> str:
    """Write labels with their values, one a line; empty values are left out."""
    return "\n".join(f"{indent}{label:<12}{value}" for label, value in pairs if value)
