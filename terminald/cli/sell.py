"""``terminald sell``: one sale from its opening to its end, told line by line."""

import argparse
import sys
import time

from terminald.adapters.clock import new_ulid, wall_ms
from terminald.cli.client import PATIENCE_S, Daemon, connect, decode
from terminald.cli.event_stream import StreamEvent
from terminald.cli.outcome import DONE, FAILED, REFUSED, CommandFailed, say_error
from terminald.cli.qr_code import draw
from terminald.cli.words import (
    error_words,
    local_time,
    money,
    outcome_words,
    provider,
    reason_words,
    receipt_words,
    state_words,
)
from terminald.core.ids import WallTime
from terminald.logs import escape
from terminald.wire import api_shapes as shapes

#: How long a receipt is followed after the sale is over; then it is the printer's affair.
RECEIPT_WAIT_S = 15.0

_PAID = frozenset({shapes.ShownState.PAID, shapes.ShownState.COMPLETED})
_PRINTING = frozenset({"queued", "printing"})
#: A QR order that ended without a payment.
_UNPAID = frozenset(
    {
        shapes.Outcome.DECLINED,
        shapes.Outcome.REVERSING,
        shapes.Outcome.REVERSED,
        shapes.Outcome.UNSENT,
        shapes.Outcome.WATCHING,
    }
)


def sell(args: argparse.Namespace) -> int:
    """Sell; 0 when the sale is paid, 1 when it ended without money."""
    request = shapes.SaleRequest(
        reference=args.reference or f"cli-{new_ulid(WallTime(wall_ms()))}",
        amount=args.amount,
        subject=args.subject,
        methods=None if args.method is None else tuple(args.method),
        payway=args.payway,
        delivery=args.delivery,
    )
    with connect(args) as daemon:
        selling = _Selling(daemon, is_quiet=args.json, reads_codes=args.code == "-")
        try:
            sale = selling.run(request)
        except KeyboardInterrupt:
            sale = _cancel(daemon, request.reference)
        if args.json:
            print(daemon.get(daemon.sale_path(sale.id)).decode())
    return DONE if sale.state in _PAID else FAILED


class _Selling:
    """One sale on its way."""

    def __init__(self, daemon: Daemon, *, is_quiet: bool, reads_codes: bool) -> None:
        self._daemon = daemon
        self._stream = sys.stderr if is_quiet else sys.stdout
        self._reads_codes = reads_codes
        #: How many codes there were when one was presented: the same sale is not given two at once.
        self._presented = -1
        self._told = ""
        #: The QR that is shown, and the orders of those that are not any more.
        self._qr = ""
        self._ended: set[str] = set()
        self._receipt = ""

    def run(self, request: shapes.SaleRequest) -> shapes.Sale:
        """Open the sale, and follow it to its end and its receipt to the printer."""
        events = self._daemon.follow(None, patience_s=PATIENCE_S)
        next(events)  # from here on, nothing is missed
        sale = decode(self._daemon.post("/v1/sales", request), shapes.Sale)
        self._say(f"Sale {sale.id} over {money(sale.amount)}, reference {escape(sale.reference)}.")
        self._tell(sale)
        give_up_at = time.monotonic() + RECEIPT_WAIT_S
        while not self._is_over(sale, give_up_at):
            self._present(sale)
            sale = self._take(next(events), sale)
            if not _is_sold(sale):
                give_up_at = time.monotonic() + RECEIPT_WAIT_S
        if self._receipt not in ("", "off"):
            self._say(f"Receipt: {receipt_words(self._receipt)}.")
        if sale.state is shapes.ShownState.PAID:
            until = f" until {local_time(sale.delivery.deadline, with_date=False)}" if sale.delivery.deadline else ""
            self._say(
                f"Now report the goods{until}: terminald delivered {sale.id}, or terminald undelivered {sale.id}."
            )
        return sale

    def _is_over(self, sale: shapes.Sale, give_up_at: float) -> bool:
        return _is_sold(sale) and (self._receipt not in _PRINTING or time.monotonic() > give_up_at)

    def _take(self, event: StreamEvent, sale: shapes.Sale) -> shapes.Sale:
        match event.topic:
            case "sale":
                news = decode(event.data, shapes.Sale)
                if news.id == sale.id:
                    self._tell(news)
                    return news
            case "print":
                job = decode(event.data, shapes.PrintEvent)
                if job.sale == sale.id and job.slip == "receipt":
                    self._receipt = job.state
            case "scan":
                scan = decode(event.data, shapes.ScanEvent)
                if scan.sale == sale.id:
                    self._say(f"Not taken: {escape(scan.detail or scan.reason)}.")
        return sale

    def _tell(self, sale: shapes.Sale) -> None:
        self._receipt = sale.receipt
        is_waiting = sale.state is shapes.ShownState.AWAITING_PAYMENT
        words = _invitation(sale) if is_waiting else f"{_capital(state_words(sale))}."
        if words and words != self._told:
            self._told = words
            self._say(words)
        if is_waiting:
            self._tell_of_ended_qr(sale)
        if sale.qr is not None and sale.qr.content != self._qr:
            self._qr = sale.qr.content
            self._show(sale.qr)

    def _tell_of_ended_qr(self, sale: shapes.Sale) -> None:
        """Say that a QR is not to be paid any more, while the sale goes on without it."""
        ended = {one.client_sn: one for one in sale.attempts if one.kind == "qr" and one.outcome in _UNPAID}
        for client_sn in ended.keys() - self._ended:
            error = ended[client_sn].error
            why = f" ({error_words(error)})" if error else ""
            self._say(f"The QR can not be paid{why}; another one may follow.")
        self._ended |= ended.keys()

    def _show(self, qr: shapes.Qr) -> None:
        if drawn := draw(qr.content, self._stream):
            self._say(drawn)
        until = local_time(qr.expires_at, with_date=False)
        self._say(f"The customer scans this QR with {provider(qr.payway)} until {until}: {escape(qr.content)}")

    def _present(self, sale: shapes.Sale) -> None:
        """Present the next line of standard input while a code is wanted; at its end the scanners go on alone."""
        codes = len(_codes(sale))
        # A QR that is being made is shown first: while a line is awaited nothing else is told.
        is_making = any(one.kind == "qr" and one.outcome is shapes.Outcome.PROCESSING for one in sale.attempts)
        is_wanted = _invitation(sale) != "" and not is_making and codes != self._presented
        is_wanted = is_wanted and sale.state is shapes.ShownState.AWAITING_PAYMENT
        while is_wanted and self._reads_codes:
            line = sys.stdin.readline()
            self._reads_codes = line != ""
            if line.strip() and self._submit(sale, line.strip()):
                self._presented, is_wanted = codes, False

    def _submit(self, sale: shapes.Sale, code: str) -> bool:
        """Present one code; False when it was not taken and another one may be."""
        try:
            self._daemon.post(f"{self._daemon.sale_path(sale.id)}/payment-code", shapes.CodeRequest(code=code))
        except CommandFailed as exc:
            say_error(str(exc), exc.advice)
            return False
        return True

    def _say(self, words: str) -> None:
        print(words, file=self._stream, flush=True)


def _is_sold(sale: shapes.Sale) -> bool:
    """Whether the customer is done with: paid, or not to be paid any more. Delivery is reported by who hands over."""
    is_reported_later = sale.state is shapes.ShownState.PAID and sale.delivery.required
    return sale.state.is_final or sale.state is shapes.ShownState.RETURNING or is_reported_later


def _codes(sale: shapes.Sale) -> list[shapes.Attempt]:
    return [one for one in sale.attempts if one.kind == "scan"]


def _invitation(sale: shapes.Sale) -> str:
    """Say what the customer can do, and what became of the last code; empty where there is nothing but the QR."""
    if codes := _codes(sale):
        last = codes[-1]
        why = reason_words("declined") if last.outcome is shapes.Outcome.DECLINED else outcome_words(last)
        why = error_words(last.error) if last.error else why
        return f"Not paid with {escape(last.code or 'this code')}: {why}. Another code may be presented."
    return "Now the customer shows a payment code to the scanner." if "scan" in sale.methods else ""


def _capital(words: str) -> str:
    return f"{words[:1].upper()}{words[1:]}"


def _cancel(daemon: Daemon, reference: str) -> shapes.Sale:
    """Cancel a sale that the person gave up, and say what that means."""
    path = daemon.sale_path(reference)
    try:
        sale = decode(daemon.post(f"{path}/cancel"), shapes.Sale)
    except CommandFailed as exc:
        if exc.code != REFUSED:
            raise
        sale = decode(daemon.get(path), shapes.Sale)
    print(f"\nInterrupted. Sale {sale.id}: {state_words(sale)}.", file=sys.stderr)
    return sale
