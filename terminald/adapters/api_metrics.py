"""The status as metrics. To add a family is to add it to one of the groups; none may hold a secret (I7)."""

from collections.abc import Iterable, Iterator
from typing import get_args

from terminald.adapters.ports import Status
from terminald.adapters.ports_devices import DeviceState
from terminald.core.events import Blockage
from terminald.core.ids import WallTime
from terminald.wire.api_problems import READINESS_ADVICE
from terminald.wire.api_shapes import KEY_STATES
from terminald.wire.api_status import StopCode
from terminald.wire.metrics import Family, Sample, encode, flags, gauge, up


def metrics_text(status: Status, figures: Iterable[Family], version: str) -> bytes:
    """Write everything that ``GET /metrics`` shows; figures are those beside the status. Version is terminald's."""
    return encode((*status_families(status, version), *figures))


def status_families(status: Status, version: str) -> Iterator[Family]:
    """Yield what the status says."""
    yield from _of_the_daemon(status, version)
    yield from _of_readiness(status)
    yield from _of_the_key(status)
    yield from _of_the_parts(status)
    yield from _of_open_work(status)


def _of_the_daemon(status: Status, version: str) -> Iterator[Family]:
    yield up(is_up=True)
    yield Family(
        name="terminald_build_info",
        help="1, with the version of terminald.",
        samples=(Sample(value=1, labels=(("version", version),)),),
    )
    yield gauge("terminald_uptime_seconds", "How long terminald has been running.", status.uptime_s)
    yield gauge("terminald_draining", "1 while new sales are refused on purpose.", status.is_draining)


def _of_readiness(status: Status) -> Iterator[Family]:
    yield gauge("terminald_ready", "1 while a sale would be begun.", not status.reasons)
    about = "1 for each reason against beginning a sale."
    yield flags("terminald_not_ready", about, "reason", READINESS_ADVICE, status.reasons)
    stopped = () if status.stopped is None else (status.stopped.code,)
    about = (
        "1 while terminald serves without its journal, for this reason; what only the journal knows is missing then."
    )
    yield flags("terminald_stopped", about, "code", get_args(StopCode), stopped)


def _of_the_key(status: Status) -> Iterator[Family]:
    key = status.key
    known, now = KEY_STATES, () if key is None else (key.state,)
    yield flags("terminald_key_state", "1 for the state of the terminal's key.", "state", known, now)
    yield gauge("terminald_key_age_seconds", "Age of the terminal's key.", None if key is None else key.age_s)
    yield gauge(
        "terminald_key_rotated_timestamp_seconds",
        "When the terminal's key was renewed last.",
        None if key is None else _seconds(key.rotated_at),
    )
    yield gauge(
        "terminald_key_next_checkin_timestamp_seconds",
        "About when the terminal's key is renewed next; missing while no renewal is sent by itself.",
        None if key is None else _seconds(key.next_checkin),
    )
    yield Family(
        name="terminald_key_checkins_total",
        help="Check-ins since this start, by what came of them.",
        kind="counter",
        samples=tuple(Sample(value=count, labels=(("outcome", name),)) for name, count in status.checkins.items()),
    )


def _of_the_parts(status: Status) -> Iterator[Family]:
    yield gauge("terminald_gateway_reachable", "1 while the gateway answers.", status.is_gateway_reachable)
    yield gauge(
        "terminald_gateway_last_answer_timestamp_seconds",
        "When the gateway answered last.",
        _seconds(status.last_answer_at),
    )
    yield Family(
        name="terminald_devices",
        help="1 for the state of each device.",
        samples=tuple(
            Sample(
                value=report.state is state,
                labels=(("name", report.name), ("kind", report.kind), ("state", state.value)),
            )
            for report in status.devices
            for state in DeviceState
        ),
    )
    blocked = [report.blocked_by.value for report in status.devices if report.blocked_by is not None]
    known = [one.value for one in Blockage] if any(report.kind == "printer" for report in status.devices) else ()
    yield flags("terminald_printer_blocked", "1 for what keeps the printer from printing.", "by", known, blocked)
    yield gauge("terminald_clock_synchronized", "1 while the time of day is known.", status.is_clock_synchronized)


def _of_open_work(status: Status) -> Iterator[Family]:
    yield gauge("terminald_sale_open", "1 while a customer is being served.", status.sale is not None)
    yield gauge("terminald_unresolved", "Orders that are followed to their end, without a customer.", status.unresolved)
    yield gauge(
        "terminald_attention",
        "What a person should look at: payments, the key, the disk, a damaged journal.",
        status.attention,
    )
    yield gauge("terminald_print_queue", "Receipts that are not printed yet.", status.print_queue)


def _seconds(wall: WallTime | None) -> float | None:
    return None if wall is None else wall / 1000
