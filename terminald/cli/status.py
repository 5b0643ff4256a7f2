"""``terminald status``: is it ready, and if not, what to do."""

import argparse
from collections.abc import Iterator

from terminald.cli.client import LOOK_LIMIT_S, connect, decode
from terminald.cli.outcome import DONE, REFUSED
from terminald.cli.words import fields, key_words, local_time, since, span
from terminald.core.custody import SETTLE
from terminald.logs import escape
from terminald.wire import api_shapes as shapes
from terminald.wire import api_status
from terminald.wire.api_problems import advice


def status(args: argparse.Namespace) -> int:
    """Show the status; 3 when no sale can be begun."""
    with connect(args) as daemon:
        body = daemon.get("/v1/status", within_s=LOOK_LIMIT_S)
    shown = decode(body, api_status.Status)
    if args.json:
        print(body.decode())
    else:
        print("\n".join(_report(shown)))
    return DONE if shown.ready else REFUSED


def checkin(args: argparse.Namespace) -> int:
    """Renew the terminal's key now; 3 when it is not renewed."""
    with connect(args) as daemon:
        before = decode(daemon.get("/v1/status"), api_status.Status).key
        body = daemon.post("/v1/checkin")
    key = decode(body, shapes.Key)
    is_renewed = before is None or key.rotated_at != before.rotated_at
    if args.json:
        print(body.decode())
    elif is_renewed:
        print("The terminal's key is renewed.")
    else:
        when = f" The next try is at {local_time(key.next_checkin)}." if key.next_checkin else ""
        is_new = key.state == "stale" and key.attention is None and key.age_s * 1000 < SETTLE
        why = "The key is new: there are ten minutes between two renewals." if is_new else "The log says why."
        print(f"The terminal's key is NOT renewed: {key_words(key)}.{when} {why}")
        if key.attention is not None:
            print(f"  {escape(key.attention.code)}: {escape(key.attention.advice)}")
    return DONE if is_renewed else REFUSED


def _disk_words(disk: api_status.Disk) -> str:
    free = "" if disk.free_mb is None else f"{disk.free_mb} MB free"
    slow = "" if disk.commit_p99_ms is None else f"commits within {disk.commit_p99_ms} ms"
    copied = f"journal copied {local_time(disk.copied_at)}" if disk.copied_at else "journal not copied yet"
    call = f"{escape(disk.attention.code)}: {escape(disk.attention.advice)}" if disk.attention else ""
    return ", ".join(filter(None, (free, slow, copied, call)))


def _report(shown: api_status.Status) -> Iterator[str]:
    if shown.stopped is not None:
        yield from _stopped_report(shown, shown.stopped)
        return
    if shown.ready:
        yield "ready to take payments"
    else:
        yield "NOT ready to take payments:"
        for reason in shown.reasons:
            yield f"  {reason}: {advice(reason)}"
    yield fields(_facts(shown))


def _stopped_report(shown: api_status.Status, stopped: api_status.Stopped) -> Iterator[str]:
    """Say that nothing is sold, since when and why, and what to do; and of the rest only what is known."""
    yield "STOPPED: nothing is sold, because the journal can not be used:"
    yield f"  {stopped.code}: {escape(stopped.advice)}"
    device_id = shown.terminal.device_id
    who = f"; device id {escape(device_id)}" if device_id else ""
    known = (
        ("since", local_time(stopped.since)),
        ("found", escape(stopped.detail)),
        ("terminal", f"who it is to the gateway, its key and its sales are not known without the journal{who}"),
        ("clock", _clock_words(shown)),
        ("version", _version_words(shown)),
    )
    yield fields(known)


def _clock_words(shown: api_status.Status) -> str:
    return "synchronized" if shown.clock.synchronized else "not synchronized"


def _version_words(shown: api_status.Status) -> str:
    return f"{escape(shown.version)}, up {span(shown.uptime_s)}"


def _restored_words(restored: api_status.Restored) -> str:
    when = f" of {local_time(restored.copied_at)}" if restored.copied_at else ""
    return f"from the copy{when}; nobody has said yet that the days since were compared"


def _facts(shown: api_status.Status) -> Iterator[tuple[str, str]]:
    terminal, gateway = shown.terminal, shown.gateway
    who = f"{escape(terminal.sn)}, activated {local_time(terminal.activated_at)}" if terminal.sn else "not activated"
    yield "terminal", f"{who}, device id {escape(terminal.device_id or '')}"
    if shown.key is not None:
        yield "key", key_words(shown.key)
        yield "", f"renewed next at about {local_time(shown.key.next_checkin)}" if shown.key.next_checkin else ""
    reachable = "reachable" if gateway.reachable else "not reachable"
    yield "gateway", f"{reachable}, last answer {since(gateway.last_answer_at)}"
    for device in shown.devices:
        detail = f": {escape(device.detail)}" if device.detail else ""
        when = f" since {local_time(device.since)}" if device.since and detail else ""
        name = "" if device.name == device.kind else f"{escape(device.name)} "
        yield escape(device.kind), f"{name}{escape(device.state)}{when}{detail}"
    yield "sale", f"{shown.sale} is open (terminald show {shown.sale})" if shown.sale else "none open"
    yield "unresolved", f"{shown.unresolved} orders and refunds are being followed" if shown.unresolved else ""
    of_key = shown.key.attention if shown.key else None
    of_disk = shown.disk.attention if shown.disk else None
    of_sales = shown.attention - (of_key is not None) - (of_disk is not None)
    yield "attention", f"key: {escape(of_key.code)}: {escape(of_key.advice)}" if of_key else ""
    yield "" if of_key else "attention", f"{of_sales} need a person: terminald sales --attention" if of_sales else ""
    yield "disk", _disk_words(shown.disk) if shown.disk else ""
    yield "printing", f"{shown.print_queue} receipts are waiting" if shown.print_queue else ""
    yield "clock", _clock_words(shown)
    yield "draining", "yes: new sales are refused" if shown.draining else ""
    yield "restored", _restored_words(shown.restored) if shown.restored else ""
    yield "version", _version_words(shown)
