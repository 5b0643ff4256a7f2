"""The composition root: configuration → adapters → one task group → ordered shutdown."""

import asyncio
import contextlib
import hashlib
import logging
import random
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import terminald
from terminald.adapters import clock as clocks
from terminald.adapters.api_door import Door, terms_of
from terminald.adapters.api_listeners import listening
from terminald.adapters.api_peer import gate_of
from terminald.adapters.api_server import ApiServer
from terminald.adapters.device_watch import DeviceWatch
from terminald.adapters.gateway_http import Credentials, HttpGateway
from terminald.adapters.gateway_line import GatewaySettings
from terminald.adapters.journal_check import SMALL_BYTES
from terminald.adapters.journal_meter import MeteredJournal
from terminald.adapters.journal_sqlite import SqliteJournal
from terminald.adapters.journal_thread import JournalThread
from terminald.adapters.log_courier import GatewayCourier
from terminald.adapters.log_store import LogStore
from terminald.adapters.ports_devices import Device, DeviceReport
from terminald.adapters.printer_dialog import PrinterDialog
from terminald.adapters.printers import make_dialog, make_profile
from terminald.adapters.receipt_sender import ReceiptSender, Stationery
from terminald.adapters.scanners import make_scanner
from terminald.adapters.state_directory import lock
from terminald.adapters.systemd import extending
from terminald.app_board import settle_device_id
from terminald.app_chores import JOURNAL_NAME, chores, disk_watch, spare_bytes
from terminald.app_figures import all_figures
from terminald.app_kiosk import Parts, is_on, make_kiosk, make_output, required_parts
from terminald.app_reload import PRINTER, Reloader, Supervised, changed_devices
from terminald.app_vending import make_vmcs, vend_terms
from terminald.app_vitals import Vitals
from terminald.config import Config
from terminald.config_token import read_api_token
from terminald.core.custody import begin
from terminald.core.events import Event
from terminald.core.ids import Duration, Secret
from terminald.core.schedule import MINUTE, Rules
from terminald.core.terminal import Terminal
from terminald.engine import Engine
from terminald.engine_clock import ClockWatch
from terminald.engine_commands import World
from terminald.engine_desk import EngineDesk
from terminald.engine_kiosk import KioskHost
from terminald.engine_log_upload import LogUploads
from terminald.engine_vending import VendingHost
from terminald.errors import JournalCorrupt, JournalHeld, JournalTooNew, JournalUnavailable
from terminald.logs import log_event, protect
from terminald.logs_ids import LogId
from terminald.wire.api import SaleDefaults
from terminald.wire.metrics import Family

log = logging.getLogger(__name__)

#: How long a payment in progress is followed after SIGTERM; below systemd's usual 45 s for stopping a service.
STOP_GRACE_S = 30.0
#: How long a reload waits for slips before it exchanges the printer: a long receipt at 9600 baud.
PRINT_PATIENCE_S = 10.0


def open_journal(config: Config, stack: ExitStack) -> MeteredJournal:
    """Lock the state directory and open the journal in it; the stack lets go of both.

    Raises:
        JournalError: held by another process, not writable, corrupt or too new.
    """
    stack.enter_context(lock(config.state.directory))
    journal = MeteredJournal(config.state.directory / JOURNAL_NAME, most_bytes=SMALL_BYTES)
    stack.callback(journal.close)
    return journal


def rules_of(config: Config, terminal_sn: str, refund_series: int = 0) -> Rules:
    """Return the lengths of time that the machines obey. The check-in's jitter is the terminal's own, for ever.

    Its time is that of ``gateway.timezone``: a board's own zone is UTC on most images, and a key is renewed while the
    business at the terminal sleeps.
    """
    at, spread = config.checkin.at, config.checkin.jitter
    own = int.from_bytes(hashlib.blake2b(terminal_sn.encode(), digest_size=8).digest())
    checkin_at = (at.hour * 60 + at.minute) * MINUTE + own % (spread + 1)
    offset = config.gateway.timezone.utcoffset(None)
    return Rules(
        payment_window=config.sale.payment_window,
        poll_interval=config.sale.poll_interval,
        poll_window=config.sale.poll_window,
        late_lookups=config.sale.late_lookups,
        qr_window=config.sale.qr_window,
        delivery_window=config.sale.delivery_window,
        returns_overdue=config.sale.on_overdue == "return",
        job_lifetime=config.printer.job_lifetime,
        day_offset=Duration(int(offset.total_seconds() * 1000)),
        checkin_at=Duration(checkin_at),
        refund_series=refund_series,
    )


class App:
    """The daemon, put together. One instance for the life of the process."""

    def __init__(
        self, config: Config, journal: MeteredJournal, file: Path | None = None, token: Secret | None = None
    ) -> None:
        """The journal is open and locked; everything else is made here and opened by :meth:`run`.

        File is what the configuration was read from, and is read again from; None: it is not read again. Token is what
        callers over TCP present.
        """
        self._config = config
        jitter = random.SystemRandom().random
        device_id = settle_device_id(config, journal)
        custody, terminal = journal.load_custody(), journal.load_terminal()
        _protect_keys(terminal)
        boot = journal.open_boot(clocks.boot_id(), clocks.boottime_ms())
        self._is_new_boot = boot.is_new
        clock = clocks.SystemClock(boot.offset, floor=journal.time_floor(), jitter=jitter)
        self._journal = JournalThread(journal)
        self._gateway = _make_gateway(config, self._credentials, clock)
        self._scanners = [make_scanner(one, self._take_frame) for one in config.scanners]
        self._vmcs = make_vmcs(config, self._take_vend, self._note_device)
        self._device_watch = DeviceWatch()
        self._printer = make_dialog(config.printer, self._note_device, self._device_watch)
        self._output = make_output(config, self._note_device)
        world = World(
            journal=self._journal,
            gateway=self._gateway,
            clock=clock,
            scanners=() if is_on(config) else self._scanners,
            receipts=None if self._printer is None else _receipt_sender(config, self._printer),
            salt=journal.salt(),
            new_id=clocks.new_ulid,
            jitter=jitter,
            has_disk_space=disk_watch(config),
            vmcs=self._vmcs,
        )
        rules = rules_of(config, terminal.terminal_sn if terminal else "", journal.series())
        if custody is None and terminal is not None:
            custody = begin(terminal, now=clock.now(), rules=rules)
        self._engine = Engine(
            world,
            rules=rules,
            required=required_parts(config),
            book=journal.load_book(clock.now().instant),
            custody=custody,
            last_seq=journal.last_seq(),
            hold=journal.load_hold(),
        )
        self._desk = self._make_desk(config, device_id)
        self._desk.copied_at = journal.restored_from()
        self._kiosk = self._make_kiosk(config, journal)
        self._vending = VendingHost(self._engine, vend_terms(config, sale_defaults(config)))
        self._door = Door(terms_of(config.api, token))
        self._api = self._make_api(config, clock)
        self._vitals = Vitals(self._engine, self._desk.status, answers=self._api.answers)
        self._clock_watch = ClockWatch(self._engine, take_step=clock.take_step)
        self._reloader = Reloader(file, config, self._take_config, self._vitals)
        self._supervised = Supervised(note=self._note_device, jitter=jitter, watch=self._device_watch)
        self._api.take_figures(self._figures(journal))

    def _make_kiosk(self, config: Config, journal: SqliteJournal) -> KioskHost | None:
        parts = Parts(
            engine=self._engine,
            desk=self._desk,
            scanners=self._scanners,
            output=self._output,
            journal=self._journal,
            mark=journal.load_mark(),
        )
        return make_kiosk(config, parts, sale_defaults(config))

    def _make_desk(self, config: Config, device_id: str) -> EngineDesk:
        return EngineDesk(
            self._engine,
            device_id=device_id,
            code_pattern=config.sale.payment_code,
            request_s=gateway_settings(config).deadline_s,
            stationery=stationery_of(config),
            columns=config.printer.columns,
        )

    def _make_api(self, config: Config, clock: clocks.SystemClock) -> ApiServer:
        gate, version = gate_of(config.api.admin_group), terminald.__version__
        return ApiServer(self._desk, sale_defaults(config), clock.now, version, gate=gate, door=self._door)

    def _credentials(self) -> Credentials | None:
        return self._engine.keeper.credentials()

    def _figures(self, journal: MeteredJournal) -> Callable[[], Iterator[Family]]:
        measured = (self._gateway, journal.meter, self._supervised)
        return partial(all_figures, self._engine, measured, self._config.state.directory)

    def _note_device(self, report: DeviceReport) -> None:
        self._engine.note_device(report)

    def _take_frame(self, scanner: str, text: str) -> None:
        (self._kiosk or self._desk).take_frame(scanner, text)

    def _take_vend(self, machine: str, event: Event) -> None:
        self._vending.take(machine, event)

    async def run(self) -> None:
        """Serve until SIGTERM or SIGINT; then drain, and stop. A bug in any part ends it with an exception group."""
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop.set)
        loop.add_signal_handler(signal.SIGHUP, self._reloader.request)
        try:
            with listening(self._config.api) as sockets:
                async with asyncio.TaskGroup() as tasks:
                    await self._serve(sockets, tasks, stop)
        finally:
            self._device_watch.close()
            await self._gateway.aclose()
            await self._journal.aclose()

    async def _serve(self, sockets: tuple[socket.socket, ...], tasks: asyncio.TaskGroup, stop: asyncio.Event) -> None:
        """Start every part, and stop them in the order in which they can be missed."""
        api = tasks.create_task(self._api.serve(*sockets))
        running = [tasks.create_task(self._engine.run(is_new_boot=self._is_new_boot))]
        self._supervised.start(tasks, self._devices())
        running.append(tasks.create_task(self._reloader.run()))
        if self._config.checkin.upload_log:
            running.append(tasks.create_task(self._log_uploads().run()))
        beside = chores(self._engine, self._desk, self._journal, self._config.state, lambda: spare_bytes(self._config))
        running += [tasks.create_task(chore) for chore in beside]
        if self._config.mqtt.url is not None:
            from terminald.app_fleet import run_fleet  # noqa: PLC0415 - costs 6 ms, and few terminals have a broker

            running.append(tasks.create_task(run_fleet(self._config, self._engine, self._desk.status, self._journal)))
        running.append(tasks.create_task(self._clock_watch.run()))
        running.append(tasks.create_task(self._vitals.run()))
        if self._kiosk is not None:
            running.append(tasks.create_task(self._kiosk.run()))
        await stop.wait()
        self._vitals.stop()
        log_event(log, LogId.STOPPING)
        grace_ends = asyncio.get_running_loop().time() + STOP_GRACE_S
        await self._engine.drain(STOP_GRACE_S)
        if self._kiosk is not None:
            await self._kiosk.finish(grace_ends - asyncio.get_running_loop().time())
        self._api.stop()
        await api
        for task in running:
            task.cancel()
        self._supervised.cancel()

    def _log_uploads(self) -> LogUploads:
        store = LogStore(self._config.state.directory)
        return LogUploads(self._engine, GatewayCourier(self._journal, self._gateway, store))

    def _devices(self) -> list[Device]:
        optional = (self._printer, self._output)
        return [*self._scanners, *(one for one in optional if one is not None), *self._vmcs.values()]

    async def _take_config(self, config: Config, token: Secret | None) -> None:
        """Go on with another configuration. What is open keeps its deadlines; what did not change is not touched."""
        before, self._config = self._config, config
        self._door.take(terms_of(config.api, token))
        gone = changed_devices(before, config)
        if PRINTER in gone:
            await self._let_print()
        was_armed = any(one.is_armed for one in self._scanners)
        await self._supervised.end(gone)
        kept = {one.name: one for one in self._scanners if one.name not in gone}
        self._scanners[:] = [kept.get(one.name) or make_scanner(one, self._take_frame) for one in config.scanners]
        for scanner in self._scanners if was_armed else ():
            if scanner.name not in kept:
                scanner.arm()
        if PRINTER in gone:
            self._printer = make_dialog(config.printer, self._note_device, self._device_watch)
        for name in gone:
            self._engine.devices.pop(name, None)
        self._exchange(config)
        self._supervised.start_more(self._devices())

    async def _let_print(self) -> None:
        """Give what is being printed time to come out of the printer that is about to be exchanged."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(PRINT_PATIENCE_S):
                while self._desk.status().print_queue:
                    await self._engine.wait_for_event(self._engine.last_seq)

    def _exchange(self, config: Config) -> None:
        """Give every part what it goes by from now on; no part waits in between."""
        engine, world, keeper = self._engine, self._engine.world, self._engine.keeper
        world.receipts = None if self._printer is None else _receipt_sender(config, self._printer)
        world.has_disk_space = disk_watch(config)
        custody = keeper.custody
        sn = custody.terminal.terminal_sn if custody else ""
        engine.rules = keeper.rules = rules_of(config, sn, engine.rules.refund_series)
        engine.required = required_parts(config)
        self._desk.code_pattern = config.sale.payment_code
        self._desk.stationery, self._desk.columns = stationery_of(config), config.printer.columns
        self._api.take_defaults(sale_defaults(config))


def run(config: Config, file: Path | None = None) -> None:
    """Run the daemon in the foreground until it is told to stop. At a SIGHUP the file is read again.

    With a journal that is damaged, of a newer version, or that can not be opened now, it sells nothing, and says so,
    until that is over; then it ends, to be started again.

    Raises:
        TerminaldError: it can not start, or has to be started again; the message says why and what to do.
    """
    token = read_api_token(config)
    try:
        with ExitStack() as stack:
            with extending("starting: checking the journal, and bringing it to this version"):
                daemon = App(config, open_journal(config, stack), file, token)
            asyncio.run(daemon.run())
    except JournalHeld:
        raise
    except (JournalCorrupt, JournalTooNew, JournalUnavailable) as exc:
        from terminald.app_stopped import serve_stopped  # noqa: PLC0415 - with what it needs alone: see App._serve

        journal = config.state.directory / JOURNAL_NAME
        asyncio.run(serve_stopped(config, sale_defaults(config), journal, exc, Door(terms_of(config.api, token))))


def _protect_keys(terminal: Terminal | None) -> None:
    for key in (terminal.current_key, terminal.previous_key) if terminal else ():
        if key is not None:
            protect(key)


def _make_gateway(
    config: Config, credentials: Callable[[], Credentials | None], clock: clocks.SystemClock
) -> HttpGateway:
    return HttpGateway(
        gateway_settings(config),
        credentials=credentials,
        on_time=clock.note_gateway_time,
        is_clock_right=clock.is_system_right,
    )


def gateway_settings(config: Config) -> GatewaySettings:
    """Return where the gateway is and how long to wait for it."""
    return GatewaySettings(
        url=config.gateway.url,
        connect_timeout_s=config.gateway.connect_timeout / 1000,
        read_timeout_s=config.gateway.read_timeout / 1000,
        ca_file=config.gateway.ca_file,
    )


def sale_defaults(config: Config) -> SaleDefaults:
    """Return what a sale is when the host does not say."""
    return SaleDefaults(
        methods=config.sale.methods,
        operator=config.terminal.operator,
        max_amount=config.sale.max_amount,
        receipt=config.printer.driver != "none" and config.receipt.print_when != "never",
        qr_payway=config.sale.qr_payway,
        delivery=config.sale.delivery,
        refund_slips=config.receipt.print_when == "all",
    )


def _receipt_sender(config: Config, printer: PrinterDialog) -> ReceiptSender:
    return ReceiptSender(printer, make_profile(config.printer), stationery_of(config))


def stationery_of(config: Config) -> Stationery:
    """Return what is the same on every receipt of this terminal."""
    return Stationery(
        terminal_name=config.terminal.name,
        header=config.receipt.header,
        footer=config.receipt.footer,
        language=config.receipt.language,
        zone=config.gateway.timezone,
    )
