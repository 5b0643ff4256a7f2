"""``terminald events``: what happens, as it happens."""

import argparse

import msgspec

from terminald.cli.client import connect, decode
from terminald.cli.event_stream import StreamEvent
from terminald.cli.outcome import DONE
from terminald.cli.words import key_words, money, receipt_words, state_words
from terminald.logs import escape
from terminald.wire import api_shapes as shapes


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
    match event.topic:
        case "sale":
            sale = decode(event.data, shapes.Sale)
            return f"{sale.id} ({escape(sale.reference)}) {money(sale.amount)}: {state_words(sale)}"
        case "print":
            job = decode(event.data, shapes.PrintEvent)
            return f"receipt{' (copy)' if job.copy else ''} of {job.sale}: {receipt_words(job.state)}"
        case "scan":
            scan = decode(event.data, shapes.ScanEvent)
            return f"scan on {escape(scan.device)} not taken: {escape(scan.detail or scan.reason)}"
        case "device":
            device = decode(event.data, shapes.Device)
            return f"{escape(device.name)}: {escape(device.state)} {escape(device.detail)}".rstrip()
        case "readiness":
            readiness = decode(event.data, shapes.ReadinessEvent)
            return "ready" if readiness.ready else f"not ready: {', '.join(map(escape, readiness.reasons))}"
        case _:
            return _summary_for_technician(event)


def _summary_for_technician(event: StreamEvent) -> str:
    match event.topic:
        case "key":
            return f"the terminal's key: {key_words(decode(event.data, shapes.KeyEvent).key)}"
        case "attention":
            call = decode(event.data, shapes.AttentionEvent)
            about = "the terminal's key" if call.sale is None else f"{call.sale}, client_sn {call.client_sn}"
            return f"{escape(about)}: {escape(call.code)}: {escape(call.advice)}"
        case _:
            return escape(event.data.decode(errors="replace"))
