"""What the local API takes and shows of the engine's own values: filters, status, devices, looks at the gateway."""

from collections.abc import Mapping
from typing import Final

import msgspec

from terminald.adapters.ports import KeyAttention, KeyStatus, OrderLook, SaleFilter, Status
from terminald.adapters.ports_care import DiskStatus, RestoredFrom, Standstill
from terminald.adapters.ports_devices import DeviceReport
from terminald.core.book import SaleView
from terminald.core.ids import WallTime
from terminald.core.schedule import Now
from terminald.errors import ApiError
from terminald.logs import redact
from terminald.wire import api_shapes as shapes
from terminald.wire import api_status
from terminald.wire.api import is_name, parse_flag, parse_number, parse_time
from terminald.wire.api_calls import MAX_LIMIT
from terminald.wire.api_problems import advice
from terminald.wire.api_views import rfc3339, rfc3339_or_none, sale_shape

#: References, ids, ``sn`` and ``client_sn`` are all this short.
MAX_NAME: Final = 64
#: Why a person is called to the disk.
DISK_SLOW: Final = "disk_slow"

_STATES: Final = frozenset(state.value for state in shapes.ShownState)
#: Events by their public words; whatever else is heard of an order says nothing about it.
_ANSWERS: Final = {
    "OrderPaid": "paid",
    "OrderPending": "pending",
    "OrderErrored": "errored",
    "OrderClosed": "closed",
    "OrderReturned": "returned",
    "OrderPartlyReturned": "partly_returned",
    "OrderAbsent": "absent",
    "AnswerMismatched": "mismatched",
}
_NO_ANSWER: Final = "unanswered"


def decode_filter(query: Mapping[str, str]) -> SaleFilter:
    """Read the parameters of ``GET /v1/sales``; those that are missing or empty do not restrict.

    Raises:
        ApiError: invalid_request, naming the parameter.
    """
    given = {name: value for name, value in query.items() if value}
    for name in ("reference", "cursor"):
        value = given.get(name, "")
        if len(value) > MAX_NAME or not is_name(value):
            raise ApiError("invalid_request", f"{name}: expected up to {MAX_NAME} printable characters", field=name)
    state = given.get("state", "")
    if state and state not in _STATES:
        raise ApiError("invalid_request", f"state: expected one of {', '.join(sorted(_STATES))}", field="state")
    usual = SaleFilter()
    return SaleFilter(
        reference=given.get("reference", ""),
        state=state,
        since=parse_time("since", given["since"]) if "since" in given else None,
        until=parse_time("until", given["until"]) if "until" in given else None,
        needs_attention=parse_flag("attention", given.get("attention", "false")),
        limit=parse_number("limit", given.get("limit", str(usual.limit)), least=1, most=MAX_LIMIT),
        cursor=given.get("cursor", ""),
    )


def queried_json(view: SaleView, looks: tuple[OrderLook, ...], now: Now) -> bytes:
    """Write a sale with what the gateway said just now of each attempt."""
    orders = tuple(
        shapes.OrderLook(client_sn=look.client_sn, answer=_ANSWERS.get(look.answer, _NO_ANSWER), net=look.net)
        for look in looks
    )
    return msgspec.json.encode(shapes.QueriedSale(sale=sale_shape(view, now), orders=orders))


def status_json(status: Status, version: str) -> bytes:
    """Write the status; ready means that there is no reason not to be."""
    return msgspec.json.encode(
        api_status.Status(
            ready=not status.reasons,
            reasons=status.reasons,
            terminal=api_status.Terminal(
                sn=status.terminal_sn or None,
                device_id=status.device_id or None,
                activated_at=rfc3339_or_none(status.activated_at),
            ),
            key=None if status.key is None else _key(status.key),
            gateway=api_status.GatewayLink(
                reachable=status.is_gateway_reachable, last_answer_at=rfc3339_or_none(status.last_answer_at)
            ),
            devices=tuple(_device(report) for report in status.devices),
            sale=status.sale,
            unresolved=status.unresolved,
            attention=status.attention,
            print_queue=status.print_queue,
            clock=api_status.ClockStatus(synchronized=status.is_clock_synchronized),
            draining=status.is_draining,
            in_flight=status.is_in_flight,
            disk=None if status.disk is None else _disk(status.disk),
            stopped=None if status.stopped is None else _stopped(status.stopped),
            restored=None if status.restored is None else _restored(status.restored),
            version=version,
            uptime_s=status.uptime_s,
        )
    )


def health_json(version: str) -> bytes:
    """Write that this version serves."""
    return msgspec.json.encode(api_status.Health(healthy=True, version=version))


def device_event(report: DeviceReport) -> bytes:
    """Write the body of a ``device`` event: the device as the status shows it."""
    return msgspec.json.encode(_device(report))


def key_event(key: KeyStatus) -> bytes:
    """Write the body of a ``key`` event: the key as the status shows it."""
    return msgspec.json.encode(shapes.KeyEvent(key=_key(key)))


def key_attention_event(attention: KeyAttention) -> bytes:
    """Write the body of an ``attention`` event about the key."""
    code, since = attention.code, rfc3339(attention.since)
    return msgspec.json.encode(
        shapes.AttentionEvent(sale=None, client_sn=None, code=code, since=since, advice=advice(code))
    )


def key_json(key: KeyStatus) -> bytes:
    """Write the key as the status shows it."""
    return msgspec.json.encode(_key(key))


def disk_attention_event(since: WallTime) -> bytes:
    """Write the body of an ``attention`` event about a slow disk."""
    return msgspec.json.encode(
        shapes.AttentionEvent(sale=None, client_sn=None, code=DISK_SLOW, since=rfc3339(since), advice=advice(DISK_SLOW))
    )


def _disk(disk: DiskStatus) -> api_status.Disk:
    shown = None
    if disk.slow_since is not None:
        shown = shapes.Attention(code=DISK_SLOW, since=rfc3339(disk.slow_since), advice=advice(DISK_SLOW))
    return api_status.Disk(
        free_mb=disk.free_mb,
        commit_p99_ms=disk.commit_p99_ms,
        copied_at=rfc3339_or_none(disk.copied_at),
        attention=shown,
    )


def _stopped(stopped: Standstill) -> api_status.Stopped:
    return api_status.Stopped(
        code=stopped.code, since=rfc3339(stopped.since), detail=redact(stopped.detail), advice=advice(stopped.code)
    )


def _restored(restored: RestoredFrom) -> api_status.Restored:
    return api_status.Restored(copied_at=rfc3339_or_none(restored.copied_at))


def _key(key: KeyStatus) -> shapes.Key:
    shown = None
    if (raised := key.attention) is not None:
        shown = shapes.Attention(code=raised.code, since=rfc3339(raised.since), advice=advice(raised.code))
    return shapes.Key(
        age_s=key.age_s,
        rotated_at=rfc3339(key.rotated_at),
        next_checkin=rfc3339_or_none(key.next_checkin),
        state=key.state,
        attention=shown,
    )


def _device(report: DeviceReport) -> shapes.Device:
    return shapes.Device(
        name=report.name,
        kind=report.kind,
        state=report.state.value,
        detail=report.detail,
        since=rfc3339_or_none(report.since),
    )
