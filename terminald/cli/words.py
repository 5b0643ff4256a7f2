"""What the API says, in plain words."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta

from terminald.core.money import format_yuan
from terminald.core.receipt import display_width, provider_name
from terminald.core.sale import SaleState
from terminald.logs import escape
from terminald.wire import api_shapes as shapes

_REASONS = {
    "declined": "the payment was declined",
    "expired": "it was not paid in time",
    "host": "it was canceled on request",
    "gateway_unreachable": "the payment gateway could not be reached",
    "terminal_refused": "the gateway refused this terminal",
    "shutdown": "terminald was being stopped",
    "power_lost": "the power failed",
}
_RECEIPTS = {
    "off": "none",
    "queued": "waiting for the printer",
    "printing": "being printed",
    "printed": "printed",
    "unverified": "sent to the printer, which did not say whether it printed it",
    "expired": "not printed in time, and given up",
    "failed": "not printed: the printer failed",
}
_KEYS = {
    "fresh": "accepted",
    "stale": "due for renewal",
    "expired": "older than the gateway allows",
    "doubtful": "renewal had no clear answer; still valid",
    "locked_out": "not accepted by the gateway",
}
_OUTCOMES = {
    shapes.Outcome.PROCESSING: "with the gateway",
    shapes.Outcome.PAID: "paid",
    shapes.Outcome.DECLINED: "declined",
    shapes.Outcome.REVERSING: "being undone",
    shapes.Outcome.REVERSED: "undone, no money kept",
    shapes.Outcome.UNSENT: "never sent",
    shapes.Outcome.WATCHING: "unknown to the gateway; looked up again later",
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
    attempt = paid_attempt(sale)
    match sale.state:
        case SaleState.AWAITING_PAYMENT:
            return "waiting for the customer's payment code"
        case SaleState.PROCESSING:
            return "with the gateway; the customer may have to confirm on the phone"
        case SaleState.PAID | SaleState.COMPLETED:
            name = provider(attempt.payway) if attempt else ""
            number = f", transaction {escape(attempt.sn)}" if attempt and attempt.sn else ""
            return f"paid {money(sale.paid)}{f' with {name}' if name else ''}{number}"
        case SaleState.CANCELING:
            return f"being canceled: {reason_words(sale.reason)}; if the customer was charged, it goes back by itself"
        case _:
            return f"canceled, no money is kept: {reason_words(sale.reason)}"


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
