"""The daemon without a journal: it sells nothing, says why to whoever asks, and waits to be restored.

A host that can open the socket and reads a reason can tell its customers; one that finds nobody there can not.
"""

# ruff: noqa: ARG002 - it implements a port, and refuses every call
import asyncio
import logging
import signal
import time
from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path
from typing import Final, NoReturn

import terminald
from terminald.adapters.api_door import Door
from terminald.adapters.api_listeners import listening
from terminald.adapters.api_peer import gate_of
from terminald.adapters.api_server import ApiServer
from terminald.adapters.clock import is_synchronized
from terminald.adapters.journal_check import SMALL_BYTES
from terminald.adapters.journal_faults import EVIDENCE
from terminald.adapters.journal_file import damage_noted_at
from terminald.adapters.journal_sqlite import SqliteJournal
from terminald.adapters.ports import KeyStatus, LoggedEvent, OrderLook, SaleFilter, Status
from terminald.adapters.ports_care import Forgotten, Standstill
from terminald.adapters.ports_receipts import WrittenReceipt
from terminald.adapters.state_directory import lock
from terminald.adapters.systemd import has_passed_sockets, notify, status
from terminald.app_board import remembered_device_id
from terminald.app_fleet import run_stopped_fleet
from terminald.app_reload import MOST_FAULTS
from terminald.config import Config, load
from terminald.config_token import read_api_token
from terminald.core.book import SaleView
from terminald.core.events import PrintAnswer
from terminald.core.ids import Instant, WallTime
from terminald.core.money import Fen
from terminald.core.readiness import Reason
from terminald.core.refund_table import Refund
from terminald.core.report import DayReport
from terminald.core.sale_table import SaleOrder
from terminald.core.schedule import Now
from terminald.core.story import Dossier
from terminald.errors import ApiError, ConfigError, JournalCorrupt, JournalError, JournalTooNew, JournalUnavailable
from terminald.logs import log_event
from terminald.logs_ids import LogId
from terminald.wire.api import SaleDefaults
from terminald.wire.api_status import StopCode

log = logging.getLogger(__name__)

#: How often it is looked whether the journal is another one, and the watchdog fed.
LOOK_S: Final = 2.0
#: How long the end waits for the report to the fleet's broker, which takes leave in words.
LEAVE_S: Final = 5.0
#: What the service manager is told.
WORDS: Final[Mapping[StopCode, str]] = {
    "journal_damaged": "stopped: the journal is damaged; nothing is sold before terminald restore",
    "journal_too_new": "stopped: a newer terminald wrote the journal; nothing is sold before that is installed again",
    "journal_failed": "stopped: the journal can not be opened or written; nothing is sold until it can",
}
_LOG_IDS: Final[Mapping[StopCode, LogId]] = {
    "journal_damaged": LogId.JOURNAL_DAMAGED,
    "journal_too_new": LogId.JOURNAL_TOO_NEW,
    "journal_failed": LogId.JOURNAL_FAILED,
}


def stop_code(fault: JournalError) -> StopCode:
    """Return why terminald serves without its journal."""
    match fault:
        case JournalCorrupt():
            return "journal_damaged"
        case JournalTooNew():
            return "journal_too_new"
        case _:
            return "journal_failed"


class StoppedDesk:
    """Implements :class:`terminald.adapters.ports.Desk`, and refuses everything."""

    def __init__(self, fault: JournalError, clock: Callable[[], Now], *, file: Path, device_id: str = "") -> None:
        """Fault says what is wrong with the journal in the file. Device_id: empty where it is not known without it."""
        self._clock = clock
        self._device_id = device_id
        began = clock()
        self._started = began.instant
        self._stopped = Standstill(
            code=stop_code(fault),
            since=damage_noted_at(file) or began.wall,
            # What to do is said beside it.
            detail=str(fault).removesuffix(f"; {EVIDENCE}"),
        )

    def _refuse(self) -> NoReturn:
        raise ApiError("journal_failed", f"terminald is stopped: {self._stopped.detail}", matter=self._stopped.code)

    async def open_sale(self, order: SaleOrder) -> tuple[SaleView, bool]:
        """Refuse: whether this reference was paid already nobody knows."""
        self._refuse()

    async def get_sale(self, name: str) -> SaleView:
        """Refuse."""
        self._refuse()

    async def list_sales(self, wanted: SaleFilter) -> tuple[SaleView, ...]:
        """Refuse."""
        self._refuse()

    async def present_code(self, name: str, code: str) -> SaleView:
        """Refuse."""
        self._refuse()

    async def cancel(self, name: str) -> SaleView:
        """Refuse."""
        self._refuse()

    async def deliver(self, name: str) -> SaleView:
        """Refuse."""
        self._refuse()

    async def undeliver(self, name: str, amount: Fen | None) -> SaleView:
        """Refuse."""
        self._refuse()

    async def refund(self, name: str, reference: str, amount: Fen | None) -> Refund:
        """Refuse."""
        self._refuse()

    async def revoke(self, name: str) -> Refund:
        """Refuse."""
        self._refuse()

    async def close_attention(self, name: str, reason: str, code: str | None = None) -> SaleView:
        """Refuse."""
        self._refuse()

    async def query(self, name: str) -> tuple[SaleView, tuple[OrderLook, ...]]:
        """Refuse."""
        self._refuse()

    async def print_copy(self, name: str) -> SaleView:
        """Refuse."""
        self._refuse()

    async def receipt_text(self, name: str) -> WrittenReceipt:
        """Refuse."""
        self._refuse()

    async def dossier(self, name: str) -> Dossier:
        """Refuse."""
        self._refuse()

    async def report(self, day: int | None) -> DayReport:
        """Refuse."""
        self._refuse()

    async def print_report(self, day: int | None) -> PrintAnswer:
        """Refuse."""
        self._refuse()

    async def check_in(self) -> KeyStatus:
        """Refuse: the answer could not be kept."""
        self._refuse()

    async def drain(self, *, until_restart: bool) -> None:
        """Refuse: there is nothing to drain, and nowhere to note it."""
        self._refuse()

    async def resume(self, *, is_compared: bool = False) -> None:
        """Refuse."""
        self._refuse()

    async def prove_health(self) -> None:
        """Refuse, with the reason."""
        reasons, what = (Reason.JOURNAL_FAILED.value,), f"terminald is stopped: {self._stopped.detail}"
        raise ApiError("unhealthy", what, reasons=reasons, matter=self._stopped.code)

    async def forgotten(self) -> Forgotten:
        """Refuse."""
        self._refuse()

    async def events_after(self, seq: int, limit: int) -> tuple[LoggedEvent, ...]:
        """Refuse."""
        self._refuse()

    def last_seq(self) -> int:
        """Refuse: a host that resumes is not to hear that the log does not reach so far."""
        self._refuse()

    async def wait_for_event(self, seq: int) -> None:
        """Wait for ever."""
        await asyncio.Event().wait()

    def status(self) -> Status:
        """Return that terminald is stopped, and why; what only the journal says is not known."""
        return Status(
            reasons=(Reason.JOURNAL_FAILED.value,),
            terminal_sn="",
            device_id=self._device_id,
            activated_at=None,
            key=None,
            checkins={},
            is_gateway_reachable=None,
            last_answer_at=None,
            devices=(),
            sale=None,
            unresolved=None,
            # A file that can not be opened is opened when it can; any other waits for a person.
            attention=int(self._stopped.code != "journal_failed"),
            print_queue=None,
            is_clock_synchronized=is_synchronized(),
            is_draining=False,
            is_in_flight=False,
            uptime_s=(self._clock().instant - self._started) // 1000,
            stopped=self._stopped,
        )


def _now() -> Now:
    return Now(instant=Instant(time.monotonic_ns() // 1_000_000), wall=WallTime(time.time_ns() // 1_000_000))


async def serve_stopped(config: Config, defaults: SaleDefaults, file: Path, fault: JournalError, door: Door) -> None:
    """Answer calls until SIGTERM or SIGINT, or until the journal's file is another one than that which is not used.

    At a SIGHUP it ends as well, to be started again with the configuration as it is by then, when that has no fault.

    One that can not be opened for now is tried again and again instead.

    The state directory is not held meanwhile: whoever restores the journal needs it.

    Raises:
        JournalUnavailable: it can be opened again, and there is no service manager that holds the socket, and starts
            what has ended: others may start only what has failed.
    """
    is_started_again = has_passed_sockets()
    stop = _stop_by_signals(config)
    gate, version = gate_of(config.api.admin_group), terminald.__version__
    desk = StoppedDesk(fault, _now, file=file, device_id=remembered_device_id(config, file))
    api = ApiServer(desk, defaults, _now, version, gate=gate, door=door)
    code, unused = stop_code(fault), _identity(file)
    log_event(log, _LOG_IDS[code], detail=str(fault))

    with listening(config.api) as sockets:
        serving = asyncio.create_task(api.serve(*sockets))
        await api.answers.wait()
        notify("READY=1", status(WORDS[code]))
        telling = asyncio.create_task(run_stopped_fleet(config, desk.status, lambda: _now().wall, file))
        telling.add_done_callback(_note_end)
        while not stop.is_set() and not await _is_over(code, file, unused):
            notify("WATCHDOG=1")
            try:
                async with asyncio.timeout(LOOK_S):
                    await stop.wait()
            except TimeoutError:
                continue
        if not stop.is_set() and code != "journal_failed":
            log_event(log, LogId.JOURNAL_REPLACED)
        notify("STOPPING=1")
        api.stop()
        telling.cancel()
        await serving
        await asyncio.wait({telling}, timeout=LEAVE_S)
    if code == "journal_failed" and not stop.is_set() and not is_started_again:
        # What it was is told as well: it need not have been the file.
        raise JournalUnavailable(f"the journal can be opened again: start terminald again (it was: {fault})")


def _stop_by_signals(config: Config) -> asyncio.Event:
    """Return what is set when a signal asks for the end."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)

    def take_config() -> None:
        if _is_right(Path(config.places.file)):
            log_event(log, LogId.CONFIG_RELOADED)
            stop.set()

    loop.add_signal_handler(signal.SIGHUP, take_config)
    return stop


def _is_right(file: Path) -> bool:
    """Return whether the next start would take this configuration; the log says why not."""
    try:
        read_api_token(load(file))
    except ConfigError as exc:
        for fault in exc.faults[:MOST_FAULTS]:
            log_event(log, LogId.CONFIG_REFUSED, detail=fault)
        return False
    return True


def _note_end(telling: asyncio.Task[None]) -> None:
    """Log a report that ended by a bug: callers are served all the same."""
    if not telling.cancelled() and (failure := telling.exception()) is not None:
        log_event(log, LogId.BROKER_NONE, reason="fault", detail=type(failure).__name__, exc_info=failure)


async def _is_over(code: StopCode, file: Path, unused: tuple[int, int] | None) -> bool:
    """Return whether the journal is another one than that which is not used, or can be used; feed the watchdog."""
    if code != "journal_failed":
        return _identity(file) != unused
    look = asyncio.create_task(asyncio.to_thread(_is_usable, file))
    # A dying card, or one that others hold, takes its time; that is no reason to be killed for.
    while not (await asyncio.wait({look}, timeout=LOOK_S))[0]:
        notify("WATCHDOG=1")
    return look.result()


def _is_usable(file: Path) -> bool:
    """Return whether it can be opened and written now, or is another case by now. Blocks.

    It is looked through as far as a start does that: of a large one the daemon does it beside the sales.
    """
    try:
        with lock(file.parent), closing(SqliteJournal(file, most_bytes=SMALL_BYTES)) as journal:
            journal.prove()
    except JournalUnavailable:
        return False
    except JournalError:
        return True
    return True


def _identity(file: Path) -> tuple[int, int] | None:
    """Return what tells one file from another at the same place; None where none is."""
    try:
        found = file.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino
