"""``terminald sell``: one sale from its opening to its end, told line by line."""

import argparse
import sys
import time

from terminald.adapters.clock import new_ulid, wall_ms
from terminald.cli.client import Daemon, connect, decode
from terminald.cli.event_stream import StreamEvent
from terminald.cli.outcome import DONE, FAILED, REFUSED, CommandFailed, say_error
from terminald.cli.words import error_words, money, reason_words, receipt_words, state_words
from terminald.core.ids import WallTime
from terminald.logs import escape
from terminald.wire import api_shapes as shapes

#: How long a daemon that went away in the middle of a sale is waited for: a restart by systemd, on a slow board.
PATIENCE_S = 60.0
#: How long a receipt is followed after the sale is over; then it is the printer's affair.
RECEIPT_WAIT_S = 15.0

_PAID = frozenset({shapes.ShownState.PAID, shapes.ShownState.COMPLETED})
_PRINTING = frozenset({"queued", "printing"})


def sell(args: argparse.Namespace) -> int:
    """Sell; 0 when the sale is paid, 1 when it ended without money."""
    request = shapes.SaleRequest(
        reference=args.reference or f"cli-{new_ulid(WallTime(wall_ms()))}",
        amount=args.amount,
        subject=args.subject,
        methods=None if args.method is None else tuple(args.method),
        payway=args.payway,
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
        #: How many attempts there were when a code was presented: the same sale is not given two at once.
        self._presented = -1
        self._told = ""
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
            if not sale.state.is_final:
                give_up_at = time.monotonic() + RECEIPT_WAIT_S
        if self._receipt not in ("", "off"):
            self._say(f"Receipt: {receipt_words(self._receipt)}.")
        return sale

    def _is_over(self, sale: shapes.Sale, give_up_at: float) -> bool:
        return sale.state.is_final and (self._receipt not in _PRINTING or time.monotonic() > give_up_at)

    def _take(self, event: StreamEvent, sale: shapes.Sale) -> shapes.Sale:
        match event.topic:
            case "sale":
                news = decode(event.data, shapes.Sale)
                if news.id == sale.id:
                    self._tell(news)
                    return news
            case "print":
                job = decode(event.data, shapes.PrintEvent)
                if job.sale == sale.id:
                    self._receipt = job.state
            case "scan":
                scan = decode(event.data, shapes.ScanEvent)
                if scan.sale == sale.id:
                    self._say(f"Not taken: {escape(scan.detail or scan.reason)}.")
        return sale

    def _tell(self, sale: shapes.Sale) -> None:
        self._receipt = sale.receipt
        last = sale.attempts[-1] if sale.attempts else None
        if sale.state is shapes.ShownState.AWAITING_PAYMENT and last is not None:
            why = error_words(last.error) if last.error else reason_words("declined")
            words = f"Not paid with {escape(last.code or 'this code')}: {why}. Another code may be presented."
        elif sale.state is shapes.ShownState.AWAITING_PAYMENT:
            words = "Now the customer shows a payment code to the scanner."
        else:
            words = state_words(sale)
            words = f"{words[:1].upper()}{words[1:]}."
        if words != self._told:
            self._told = words
            self._say(words)

    def _present(self, sale: shapes.Sale) -> None:
        """Present the next line of standard input while a code is wanted; at its end the scanners go on alone."""
        is_wanted = sale.state is shapes.ShownState.AWAITING_PAYMENT and len(sale.attempts) != self._presented
        while is_wanted and self._reads_codes:
            line = sys.stdin.readline()
            self._reads_codes = line != ""
            if line.strip() and self._submit(sale, line.strip()):
                self._presented, is_wanted = len(sale.attempts), False

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
