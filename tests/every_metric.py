"""Every family of metrics that the daemon can show, without a daemon."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from terminald.adapters.api_metrics import status_families
from terminald.adapters.device_meter import DeviceMeter
from terminald.adapters.gateway_line import GatewaySettings, Line
from terminald.adapters.gateway_meter import MeteredLine
from terminald.adapters.journal_meter import CommitMeter
from terminald.adapters.machine_look import disk_figures, process_figures
from terminald.adapters.ports_devices import DeviceReport, DeviceState
from terminald.core.book import Book
from terminald.engine_figures import engine_figures
from terminald.engine_tally import Tally
from terminald.wire.metrics import Family
from tests.adapters.api_desk import STATUS
from tests.core.machine_builders import NOON


def families() -> Iterator[Family]:
    """Yield what the composition root puts together, in its order."""
    printer = DeviceReport(name="printer", kind="printer", state=DeviceState.READY, detail="")
    status = replace(STATUS, last_answer_at=STATUS.activated_at, devices=(*STATUS.devices, printer))
    yield from status_families(status, "0")
    yield from engine_figures(Book(), Tally(), NOON)
    settings = GatewaySettings(url="http://127.0.0.1:1", connect_timeout_s=1, read_timeout_s=1)
    yield from MeteredLine(Line(settings, None)).figures()
    yield from CommitMeter().figures()
    yield from DeviceMeter().figures()
    yield from disk_figures(Path("/"))
    yield from process_figures()
