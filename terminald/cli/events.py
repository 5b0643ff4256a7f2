"""``terminald events``: what happens, as it happens."""

import argparse
from collections.abc import Callable, Mapping

import msgspec

from terminald.cli.client import connect, decode
from terminald.cli.event_stream import StreamEvent
from terminald.cli.outcome import DONE
from terminald.cli.words import key_words, money, receipt_words, refund_words, state_words
from terminald.logs import escape
from terminald.wire import api_shapes as shapes
from terminald.wire.api_kiosk import BasketEvent

_SLIPS = {"receipt": "receipt", "qr": "QR", "refund": "refund receipt"}


class _Line(msgspec.Struct, frozen=True):
    """One event for programs; the names are those of the stream."""

    id: int
    event: str
    data: msgspec.Raw


def events(args: argparse.Namespace) -> int:
    """Print events until interrupted."""
    with connect(args) as daemon:
        try:
            for event in daemon.follow(args.since):
                if event.topic and (not args.topic or event.topic in args.topic):
                    print(_json_line(event) if args.json else _human_line(event), flush=True)
        except KeyboardInterrupt:
            return DONE
    return DONE


def _json_line(event: StreamEvent) -> str:
    return msgspec.json.encode(_Line(event.id, event.topic, msgspec.Raw(event.data))).decode()


def _human_line(event: StreamEvent) -> str:
    return f"{event.id:>8}  {escape(event.topic):<10}{_summary(event)}"


def _summary(event: StreamEvent) -> str:
    summarise = _SUMMARIES.get(event.topic)
    return escape(event.data.decode(errors="replace")) if summarise is None else summarise(event.data)


def _sale(data: bytes) -> str:
    sale = decode(data, shapes.Sale)
    return f"{sale.id} ({escape(sale.reference)}) {money(sale.amount)}: {state_words(sale)}"


def _refund(data: bytes) -> str:
    told = decode(data, shapes.RefundEvent)
    return f"{money(told.refund.amount)} of sale {told.sale}: {refund_words(told.refund)}"


def _print(data: bytes) -> str:
    job = decode(data, shapes.PrintEvent)
    return f"{_SLIPS[job.slip]}{' (copy)' if job.copy else ''} of {job.sale}: {receipt_words(job.state)}"


def _scan(data: bytes) -> str:
    scan = decode(data, shapes.ScanEvent)
    return f"scan on {escape(scan.device)} not taken: {escape(scan.detail or scan.reason)}"


def _basket(data: bytes) -> str:
    basket = decode(data, BasketEvent)
    pieces = sum(line.quantity for line in basket.lines)
    return f"{basket.cause}: {pieces} in the basket, {money(basket.total)}"


def _device(data: bytes) -> str:
    device = decode(data, shapes.Device)
    return f"{escape(device.name)}: {escape(device.state)} {escape(device.detail)}".rstrip()


def _readiness(data: bytes) -> str:
    readiness = decode(data, shapes.ReadinessEvent)
    return "ready" if readiness.ready else f"not ready: {', '.join(map(escape, readiness.reasons))}"


def _key(data: bytes) -> str:
    return f"the terminal's key: {key_words(decode(data, shapes.KeyEvent).key)}"


def _attention(data: bytes) -> str:
    call = decode(data, shapes.AttentionEvent)
    about = "the terminal's key" if call.sale is None else f"sale {call.sale}"
    return f"{escape(about)}: {escape(call.code)}: {escape(call.advice)}"


_SUMMARIES: Mapping[str, Callable[[bytes], str]] = {
    "sale": _sale,
    "refund": _refund,
    "print": _print,
    "scan": _scan,
    "basket": _basket,
    "device": _device,
    "readiness": _readiness,
    "key": _key,
    "attention": _attention,
}
