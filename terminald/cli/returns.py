"""``terminald refund``, ``revoke``, ``delivered`` and ``undelivered``: the money and the goods of a paid sale."""

import argparse
import sys

import msgspec

from terminald.adapters.clock import new_ulid, wall_ms
from terminald.cli.client import PATIENCE_S, Daemon, connect, decode
from terminald.cli.event_stream import StreamEvent
from terminald.cli.outcome import DONE, FAILED, CommandFailed
from terminald.cli.words import delivery_words, money, refund_words, state_words
from terminald.core.ids import WallTime
from terminald.core.refund_answers import ALREADY_RETURNED
from terminald.core.refund_table import RefundKind, RefundState
from terminald.logs import escape
from terminald.wire import api_shapes as shapes

#: Where the money does not go back, at least not now.
_FAILED = frozenset({RefundState.BLOCKED, RefundState.REFUSED, RefundState.CLOSED})


def refund(args: argparse.Namespace) -> int:
    """Give money back; 0 when it has gone back."""
    reference = args.reference or f"cli-{new_ulid(WallTime(wall_ms()))}"
    request = shapes.RefundRequest(reference=reference, amount=args.amount)
    return _give_back(args, "refunds", request, again=f"terminald refund {args.sale} … --reference {reference}")


def revoke(args: argparse.Namespace) -> int:
    """Give the whole payment back without a fee; 0 when it has gone back."""
    return _give_back(args, "revoke", shapes.EmptyRequest(), again=f"terminald revoke {args.sale}")


def delivered(args: argparse.Namespace) -> int:
    """Report that the goods came out."""
    return _report(args, "delivered", shapes.EmptyRequest())


def undelivered(args: argparse.Namespace) -> int:
    """Report that the goods, or goods of some worth, did not come out."""
    return _report(args, "undelivered", shapes.UndeliveredRequest(amount=args.amount))


def _report(args: argparse.Namespace, call: str, request: shapes.Request) -> int:
    with connect(args) as daemon:
        body = daemon.post(f"{daemon.sale_path(args.sale)}/{call}", request)
    sale = decode(body, shapes.Sale)
    print(
        body.decode() if args.json else f"Noted: {delivery_words(sale.delivery)}. Sale {sale.id}: {state_words(sale)}."
    )
    return DONE


def _give_back(args: argparse.Namespace, call: str, request: shapes.Request, *, again: str) -> int:
    """Ask for it, and follow it. Again is what to type where it is not known whether it was asked for."""
    with connect(args) as daemon:
        returning = _Returning(daemon, is_quiet=args.json)
        try:
            done = returning.run(args.sale, call, request)
        except KeyboardInterrupt:
            _say_interrupted(returning.refund, again)
            return FAILED
    if args.json:
        print(msgspec.json.encode(done).decode())
    if done.state is not RefundState.DONE:
        raise CommandFailed(
            f"{money(done.amount)} did not go back: {refund_words(done)}", advice=_advice(done, args.sale)
        )
    return DONE


def _advice(failed: shapes.Refund, name: str) -> str:
    if failed.state is RefundState.BLOCKED:
        return f"terminald goes on by itself, and gives it back once at most; what to do: terminald attention {name}"
    if failed.error is not None and failed.error.code == ALREADY_RETURNED:
        return f"nothing is left to give back; terminald show {name} tells what has gone back"
    if failed.state is RefundState.REFUSED and failed.kind is RefundKind.REVOKE:
        return f"give it back as a refund: terminald refund {name}"
    return f"terminald show {name} tells what is left; what is refused once can be tried again under a new reference"


def _say_interrupted(refund: shapes.Refund | None, again: str) -> None:
    if refund is None:
        words = f"It may have been asked for already; this does it once, however often: {again}"
    else:
        words = f"{refund.id} goes on by itself: {refund_words(refund)}."
    print(f"\nInterrupted. {escape(words)}", file=sys.stderr)


class _Returning:
    """Money on its way back."""

    def __init__(self, daemon: Daemon, *, is_quiet: bool) -> None:
        self._daemon = daemon
        self._stream = sys.stderr if is_quiet else sys.stdout
        self._told = ""
        #: As far as it is known; None before it was asked for.
        self.refund: shapes.Refund | None = None

    def run(self, name: str, call: str, request: shapes.Request) -> shapes.Refund:
        """Ask for it, and follow it until it has gone back, or does not for now."""
        events = self._daemon.follow(None, patience_s=PATIENCE_S)
        next(events)  # from here on, nothing is missed
        path = self._daemon.sale_path(name)
        self.refund = refund = decode(self._daemon.post(f"{path}/{call}", request), shapes.Refund)
        named = f", reference {escape(refund.reference)}" if refund.reference else ""
        self._say(f"{refund.kind.value.capitalize()} {refund.id} of {money(refund.amount)}{named}.")
        self._tell(refund)
        while not refund.state.is_final and refund.state is not RefundState.BLOCKED:
            self.refund = refund = self._take(next(events), refund)
        return refund

    def _take(self, event: StreamEvent, refund: shapes.Refund) -> shapes.Refund:
        if event.topic == "refund":
            news = decode(event.data, shapes.RefundEvent).refund
            # The events begin before the answer that told of it: that it waits for its turn is the past then.
            if news.id == refund.id and news.state is not RefundState.QUEUED:
                self._tell(news)
                return news
        return refund

    def _tell(self, refund: shapes.Refund) -> None:
        """Say what is new. What ends it without the money is told as the command's failure."""
        words = refund_words(refund)
        if words != self._told and refund.state not in _FAILED:
            self._told = words
            self._say(f"{words[:1].upper()}{words[1:]}.")

    def _say(self, words: str) -> None:
        print(words, file=self._stream, flush=True)
