"""The report to a fleet's broker, put together from its configuration. Without it the terminal sells as well."""

import asyncio
import logging
import random
from collections.abc import Callable

import terminald
from terminald.adapters.fleet_broker import BrokerSettings, make_broker
from terminald.adapters.journal_fleet import ThreadFleetJournal
from terminald.adapters.journal_thread import JournalThread
from terminald.adapters.ports import Status
from terminald.adapters.ports_fleet import FleetMark
from terminald.config import Config
from terminald.config_mqtt import key_path, read_password
from terminald.config_rules import NotAllowed
from terminald.engine import Engine
from terminald.engine_fleet import JOURNAL_PAUSE_S, FleetCourier, FleetTerms
from terminald.errors import FleetError, JournalError
from terminald.logs import log_event, protect
from terminald.logs_ids import LogId
from terminald.wire.fleet import About, FleetVoice, topic_name

_log = logging.getLogger(__name__)


async def run_fleet(config: Config, engine: Engine, look: Callable[[], Status], thread: JournalThread) -> None:
    """Report until cancelled; return where no broker is configured, or none can be used: then the log says why.

    Look returns the present state. Whatever fails here, nothing else does.
    """
    if config.mqtt.url is None:
        return
    # What this start logs is told, also where nothing was told before.
    begin = engine.last_seq
    status, journal = look(), ThreadFleetJournal(thread)
    try:
        # The library takes its time to import, on a small board.
        broker = await asyncio.to_thread(lambda: make_broker(broker_settings(config, status.device_id)))
    except FleetError as exc:
        log_event(_log, LogId.BROKER_NONE, reason=exc.code, detail=exc.detail)
        return
    mark = await _open_mark(journal, begin)
    name = fleet_name(config, status.device_id)
    about = About(
        name=name,
        label=config.terminal.name,
        device_id=status.device_id,
        terminal_sn=status.terminal_sn,
        version=terminald.__version__,
        log=mark.log,
    )
    courier = FleetCourier(
        engine,
        look,
        broker=broker,
        journal=journal,
        voice=FleetVoice(root=f"{config.mqtt.prefix}/{name}", about=about),
        mark=mark,
        terms=FleetTerms(jitter_s=config.mqtt.jitter / 1000, max_rate=config.mqtt.max_rate),
        jitter=random.SystemRandom().random,
    )
    await courier.run()


async def _open_mark(journal: ThreadFleetJournal, begin: int) -> FleetMark:
    while True:
        try:
            return await journal.open_mark(begin)
        except JournalError as exc:
            log_event(_log, LogId.BROKER_UNREAD, detail=str(exc))
            await asyncio.sleep(JOURNAL_PAUSE_S)


def fleet_name(config: Config, device_id: str) -> str:
    """Return the terminal's level in topics."""
    return config.mqtt.name or topic_name(device_id)


def broker_settings(config: Config, device_id: str) -> BrokerSettings:
    """Return how the broker is reached; only where one is configured. The password is protected in logs from now on.

    Raises:
        FleetError: a secret can not be read.
    """
    mqtt = config.mqtt
    if mqtt.url is None:
        raise FleetError("off", "mqtt.url is empty")
    try:
        password, key_file = read_password(mqtt), key_path(mqtt)
    except NotAllowed as exc:
        raise FleetError("file", str(exc)) from exc
    if password is not None:
        protect(password)
    return BrokerSettings(
        host=mqtt.url.host,
        port=mqtt.url.port,
        has_tls=mqtt.url.has_tls,
        client_id=f"terminald-{fleet_name(config, device_id)}",
        username=mqtt.username,
        password=password,
        ca_file=mqtt.ca_file,
        certificate_file=mqtt.certificate_file,
        key_file=key_file,
        keep_alive_s=mqtt.keep_alive // 1000,
    )
