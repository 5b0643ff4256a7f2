"""``terminald cancel``, ``query``, ``sales``, ``show`` and ``attention``: sales by any of their names."""

import argparse
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone

from terminald.cli.client import connect, decode
from terminald.cli.outcome import DONE, WRONG_USAGE, CommandFailed
from terminald.cli.words import (
    delivery_words,
    fields,
    local_time,
    money,
    outcome_words,
    provider,
    reason_words,
    receipt_words,
    refund_words,
    since,
    state_words,
    table,
    vend_words,
)
from terminald.core.money import format_yuan
from terminald.core.refund_table import RefundKind, RefundState
from terminald.logs import escape
from terminald.wire import api_shapes as shapes

_ANSWERS = {
    "paid": "paid",
    "pending": "not decided yet",
    "errored": "in error at the gateway; not to be taken as paid",
    "closed": "closed, not paid",
    "returned": "paid, and given back",
    "partly_returned": "paid, and given back in part",
    "absent": "not known to the gateway",
    "mismatched": "an answer about another order, terminal or amount: a person must look",
    "unanswered": "no usable answer",
}
_KINDS = {
    RefundKind.REFUND: "an amount",
    RefundKind.REVOKE: "the whole payment, revoked without a fee",
    RefundKind.RETURN: "all that is left",
}
_ATTEMPTS = {"scan": "a scanned code", "qr": "a QR"}
#: Calls for a refund that is held up: whoever closes one has paid the customer.
_HELD_UP = frozenset({"merchant_balance", "not_refundable", "refund_refused"})
_GIVES_UP = "Closing it gives the refund up. Once the customer has the money by other means"
_GIVES_REVOKE_UP = "Closing it gives the revoke up, and the sale can be refunded then. To do so"


def _before_closing(sale: shapes.Sale, code: str) -> str:
    """Return when to close the call that is shown: closing one for what is held up gives that up."""
    is_blocked = any(one.state is RefundState.BLOCKED for one in sale.refunds)
    if code == "order_errored" and is_blocked:
        return _GIVES_REVOKE_UP
    return _GIVES_UP if code in _HELD_UP or (code == "order_lost" and is_blocked) else "Once it is settled"


def cancel(args: argparse.Namespace) -> int:
    """Cancel a sale."""
    with connect(args) as daemon:
        body = daemon.post(f"{daemon.sale_path(args.sale)}/cancel")
    sale = decode(body, shapes.Sale)
    print(body.decode() if args.json else f"Sale {sale.id}: {state_words(sale)}.")
    return DONE


def query(args: argparse.Namespace) -> int:
    """Ask the gateway about a sale."""
    with connect(args) as daemon:
        body = daemon.post(f"{daemon.sale_path(args.sale)}/query")
    if args.json:
        print(body.decode())
        return DONE
    queried = decode(body, shapes.QueriedSale)
    for order in queried.orders:
        print(f"order {order.client_sn}: {_ANSWERS.get(order.answer, escape(order.answer))}")
    if not queried.orders:
        print("no attempt of this sale has reached the gateway")
    print(f"Sale {queried.sale.id}: {state_words(queried.sale)}.")
    return DONE


def show(args: argparse.Namespace) -> int:
    """Show one sale."""
    with connect(args) as daemon:
        body = daemon.get(daemon.sale_path(args.sale))
    print(body.decode() if args.json else "\n".join(_describe(decode(body, shapes.Sale))))
    return DONE


def attention(args: argparse.Namespace) -> int:
    """Show what a person should look at in a sale; or note, with a reason, that it is settled."""
    with connect(args) as daemon:
        path = daemon.sale_path(args.sale)
        if args.reason is None:
            body = daemon.get(path)
        else:
            body = daemon.post(f"{path}/attention", shapes.ClosingRequest(reason=args.reason, code=args.code))
    sale = decode(body, shapes.Sale)
    if args.json:
        print(body.decode())
    elif sale.attention is not None:
        if args.reason is not None:
            print("Noted. Something else about this sale waits for a person still:")
        print("\n".join(_alarm(sale, sale.attention)))
        once = _before_closing(sale, sale.attention.code)
        print(f'{once}: terminald attention {sale.id} --code {escape(sale.attention.code)} --reason "what was done"')
    elif args.reason is None:
        print(f"Nothing about sale {sale.id} waits for a person: {state_words(sale)}.")
    else:
        print(f"Noted. Sale {sale.id}: {state_words(sale)}.")
    return DONE


def sales(args: argparse.Namespace) -> int:
    """List sales."""
    with connect(args) as daemon:
        wanted = {"limit": str(args.limit)}
        if args.state:
            wanted["state"] = args.state
        if args.attention:
            wanted["attention"] = "true"
        if args.day:
            wanted |= _day(args.day, daemon.settings.timezone)
        body = daemon.get("/v1/sales", wanted)
    if args.json:
        print(body.decode())
        return DONE
    page = decode(body, shapes.SaleList)
    if not page.sales:
        print("no sales")
        return DONE
    if args.attention:
        print("\n\n".join("\n".join(_alarm(sale, sale.attention)) for sale in page.sales if sale.attention))
    else:
        print(table([("created", "state", "yuan", "reference", "id", ""), *map(_row, page.sales)], right=(2,)))
    if page.next_cursor is not None:
        print(f"(the newest {len(page.sales)}; --limit, --day or --state show others)")
    return DONE


def _day(text: str, zone: timezone) -> dict[str, str]:
    """Return the limits of a business day of the gateway."""
    try:
        start = datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=zone)
        return {"since": start.isoformat(), "until": (start + timedelta(days=1)).isoformat()}
    except (ValueError, OverflowError):
        raise CommandFailed(f"--day {text}: expected a day such as 2026-01-31", code=WRONG_USAGE) from None


def _row(sale: shapes.Sale) -> tuple[str, ...]:
    if sale.attention is not None:
        note = f"! {escape(sale.attention.code)}"
    else:
        note = reason_words(sale.reason) if sale.reason else ""
    amount, name = format_yuan(sale.amount), escape(sale.reference)
    return local_time(sale.created_at), sale.state.value, amount, name, sale.id, note


def _alarm(sale: shapes.Sale, raised: shapes.Attention) -> Iterator[str]:
    """Say what a person should look at, since when, and what to do."""
    yield f"sale {sale.id} ({escape(sale.reference)}): {state_words(sale)}"
    yield f"  {escape(raised.code)} since {local_time(raised.since)} ({since(raised.since)})"
    yield f"  {escape(raised.advice)}"


def _describe(sale: shapes.Sale) -> Iterator[str]:
    yield f"sale {sale.id}: {state_words(sale)}"
    raised = sale.attention
    yield fields(
        (
            ("reference", escape(sale.reference)),
            ("amount", money(sale.amount)),
            ("subject", escape(sale.subject)),
            ("created", local_time(sale.created_at)),
            ("closed", local_time(sale.closed_at)),
            ("QR", _qr(sale.qr) if sale.qr else ""),
            ("delivery", delivery_words(sale.delivery)),
            ("vend", vend_words(sale.vend) if sale.vend else ""),
            ("returned", money(sale.returned) if sale.returned else ""),
            ("receipt", receipt_words(sale.receipt)),
            ("attention", f"{escape(raised.code)}: {escape(raised.advice)}" if raised else ""),
        ),
        indent="  ",
    )
    yield from _describe_attempts(sale)
    for number, refund in enumerate(sale.refunds, start=1):
        yield f"  refund {number}: {money(refund.amount)}, {refund_words(refund)}"
        yield fields(
            (
                ("id", refund.id),
                ("reference", escape(refund.reference or "")),
                ("kind", _KINDS[refund.kind]),
                ("started", local_time(refund.started_at)),
                ("ended", local_time(refund.ended_at)),
            ),
            indent="    ",
        )


def _qr(qr: shapes.Qr) -> str:
    return f"{escape(qr.content)} for {provider(qr.payway)}, until {local_time(qr.expires_at, with_date=False)}"


def _describe_attempts(sale: shapes.Sale) -> Iterator[str]:
    for number, attempt in enumerate(sale.attempts, start=1):
        yield f"  attempt {number}: {outcome_words(attempt)}"
        yield fields(
            (
                ("kind", _ATTEMPTS.get(attempt.kind, escape(attempt.kind))),
                ("client_sn", attempt.client_sn),
                ("sn", escape(attempt.sn or "")),
                ("trade_no", escape(attempt.trade_no or "")),
                ("provider", provider(attempt.payway)),
                ("code", escape(attempt.code or "")),
                ("started", local_time(attempt.started_at)),
                ("ended", local_time(attempt.ended_at)),
            ),
            indent="    ",
        )
