"""Reading the configuration again while the daemon runs: what can change takes effect, what can not is said.

A configuration with a fault changes nothing at all. Of one without, the devices, the receipts, the sales to come, the
check-in, the requirements and the log level are taken over, and for callers over TCP the token and the pages. What the
terminal is, where it keeps its state, whom it talks to and where it listens hold until a restart.
"""

import asyncio
import logging
import sys
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import fields, replace
from pathlib import Path
from typing import Final, NoReturn

from terminald import logs
from terminald.adapters.device_meter import DeviceMeter
from terminald.adapters.device_watch import DeviceWatch
from terminald.adapters.ports_devices import Device, DeviceSink
from terminald.adapters.supervisor import supervise
from terminald.app_vitals import Vitals
from terminald.config import ApiConfig, CheckinConfig, Config, load
from terminald.config_decode import Section
from terminald.config_token import read_api_token
from terminald.core.ids import Secret
from terminald.errors import ConfigError
from terminald.logs import log_event
from terminald.logs_ids import LogId

_log = logging.getLogger(__name__)

#: The printer's name among the devices.
PRINTER: Final = "printer"
#: Tables that hold until a restart: identity, gateway, state, callers, and hosts that live as long as the daemon.
_LASTING: Final = ("terminal", "gateway", "state", "api", "kiosk", "vending", "mqtt")
#: Faults that the log gets; check shows them all.
MOST_FAULTS: Final = 20


class Reloader:
    """Carries out one reload after the other. One instance for the life of the process."""

    def __init__(
        self,
        file: Path | None,
        config: Config,
        take: Callable[[Config, Secret | None], Awaitable[None]],
        vitals: Vitals,
    ) -> None:
        """Take goes on with another configuration, and the token of the API that it names; vitals tell of it.

        Without a file nothing can be read again.
        """
        self._file = file
        self._config = config
        self._take = take
        self._vitals = vitals
        self._wanted = asyncio.Event()

    def request(self) -> None:
        """Ask for a reload; any number of requests before it begins are one."""
        self._wanted.set()

    async def run(self) -> NoReturn:
        """Serve requests until cancelled."""
        while True:
            await self._wanted.wait()
            self._wanted.clear()
            self._vitals.begin_reload()
            remark = self._vitals.remark
            try:
                remark = await self._reload()
            finally:
                self._vitals.end_reload(remark)

    async def _reload(self) -> str:
        """Return what remains to be said about it."""
        if self._file is None:
            log_event(_log, LogId.RELOAD_IMPOSSIBLE)
            return ""
        try:
            config, late = merged(self._config, load(self._file))
            token = read_api_token(config)
        except ConfigError as exc:
            for fault in exc.faults[:MOST_FAULTS]:
                log_event(_log, LogId.CONFIG_REFUSED, detail=fault)
            return f"the configuration is wrong ({len(exc.faults)} by terminald check), the one before is kept"
        await self._take(config, token)
        self._config = config
        logs.configure(config.log.level, stream=sys.stderr)
        log_event(_log, LogId.CONFIG_RELOADED)
        if late:
            log_event(_log, LogId.RESTART_NEEDED, detail=", ".join(late))
            return f"a restart is needed for {', '.join(late)}"
        return ""


def merged(old: Config, new: Config) -> tuple[Config, tuple[str, ...]]:
    """Return the new configuration with what lasts of the old one, and the names of the keys that had to be kept."""
    late: list[str] = []
    old = replace(old, api=_api(old.api, new.api))
    # Hosts of the daemon's own take the terms of their sales, and their scanners, with the start.
    has_own_host = old.kiosk.mode != "off" or bool(old.vending)
    lasting = (*_LASTING, *(("sale", "scanners") if has_own_host else ()))
    for name in lasting:
        late += _differing(name, getattr(old, name), getattr(new, name))
    checkin = new.checkin
    if checkin.upload_log != old.checkin.upload_log:
        late.append("checkin.upload_log")
        checkin = CheckinConfig(at=checkin.at, jitter=checkin.jitter, upload_log=old.checkin.upload_log)
    kept = {name: getattr(old, name) for name in lasting}
    return replace(new, checkin=checkin, **kept), tuple(late)


def _api(old: ApiConfig, new: ApiConfig) -> ApiConfig:
    """Return the old table, with the new terms for callers over TCP while the port is the same."""
    if new.listen != old.listen:
        return old
    return replace(old, token_file=new.token_file, allowed_origins=new.allowed_origins)


def _differing(name: str, old: Section | tuple[Section, ...], new: Section | tuple[Section, ...]) -> Iterable[str]:
    """Yield what was changed in one table, by its keys; of a list of tables its name."""
    if old == new:
        return
    if isinstance(old, tuple) or isinstance(new, tuple):
        yield name
        return
    for one in fields(old):
        if getattr(old, one.name) != getattr(new, one.name):
            yield f"{name}.{one.name}"


def changed_devices(old: Config, new: Config) -> frozenset[str]:
    """Return the names of the devices that are to be closed: gone, or configured otherwise now."""
    now = {one.name: one for one in new.scanners}
    gone = {one.name for one in old.scanners if now.get(one.name) != one}
    # How long a slip is wanted is nothing that the printer knows.
    if replace(old.printer, job_lifetime=new.printer.job_lifetime) != new.printer:
        gone.add(PRINTER)
    return frozenset(gone)


class Supervised:
    """The devices in service, each with a task that can be ended by the device's name."""

    def __init__(self, *, note: DeviceSink, jitter: Callable[[], float], watch: DeviceWatch) -> None:
        """Note is told of every change of a device's state."""
        self._note = note
        self._jitter = jitter
        self._watch = watch
        self._meter = DeviceMeter()
        #: What was counted of the devices.
        self.figures = self._meter.figures
        self._group: asyncio.TaskGroup | None = None
        self._tasks: dict[str, asyncio.Task[None]] = {}

    def start(self, group: asyncio.TaskGroup, devices: Iterable[Device]) -> None:
        """Put devices into service, as tasks of the group."""
        self._group = group
        self.start_more(devices)

    def start_more(self, devices: Iterable[Device]) -> None:
        """Put those into service that are not."""
        for device in devices:
            if self._group is not None and device.name not in self._tasks:
                self._tasks[device.name] = self._group.create_task(self._supervise(device))

    async def end(self, names: Iterable[str]) -> None:
        """Take devices out of service, and return when they are closed."""
        ended = [task for task in (self._tasks.pop(name, None) for name in names) if task is not None]
        for task in ended:
            task.cancel()
        if ended:
            await asyncio.wait(ended)

    def cancel(self) -> None:
        """Take all of them out of service."""
        for task in self._tasks.values():
            task.cancel()

    async def _supervise(self, device: Device) -> None:
        await supervise(self._meter.wrap(device), self._note, jitter=self._jitter, watch=self._watch)
