"""The report to a fleet's broker, put together from its configuration. Without it the terminal sells as well."""

import asyncio
import logging
import random
from collections.abc import Callable
from pathlib import Path

import terminald
from terminald.adapters.fingerprint import SOURCES, derive_device_id
from terminald.adapters.fleet_broker import BrokerSettings, make_broker
from terminald.adapters.journal_fleet import ThreadFleetJournal
from terminald.adapters.journal_thread import JournalThread
from terminald.adapters.ports import Status
from terminald.adapters.ports_fleet import FleetBroker, FleetMark
from terminald.app_board import Sources, is_copy_foreign, remembered_device_id
from terminald.config import Config
from terminald.config_mqtt import key_path, read_password
from terminald.config_rules import NotAllowed
from terminald.core.ids import WallTime
from terminald.engine import Engine
from terminald.engine_fleet import JOURNAL_PAUSE_S, FleetCourier
from terminald.engine_fleet_link import FleetLink, FleetTerms, Silence
from terminald.errors import FleetError, JournalError, JournalUnavailable
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
    broker = await _broker(config, status.device_id)
    if broker is None:
        return
    mark = await _open_mark(journal, begin)
    courier = FleetCourier(
        engine,
        look,
        broker=broker,
        journal=journal,
        voice=_voice(config, status.device_id, status.terminal_sn, mark.log),
        mark=mark,
        terms=_terms(config),
        jitter=random.SystemRandom().random,
    )
    await courier.run()


async def run_stopped_fleet(
    config: Config, look: Callable[[], Status], wall: Callable[[], WallTime], file: Path, sources: Sources = SOURCES
) -> None:
    """Tell the broker that terminald is stopped, until cancelled; file is the journal that can not be used.

    Look returns the present state, wall the time of day.

    The status is told, and that the terminal is there. What discovery says the broker has kept from better times: what
    only the journal knows is not told anew.
    """
    if config.mqtt.url is None:
        return
    device_id = _topic_id(config, file, sources)
    broker = None if device_id is None else await _broker(config, device_id)
    if device_id is None or broker is None:
        return
    voice = _voice(config, device_id, "", "")
    link = FleetLink(broker, voice, _terms(config), wall=wall, jitter=random.SystemRandom().random)
    await link.keep((), lambda session: link.keep_status(session, look, Silence()))


def _topic_id(config: Config, file: Path, sources: Sources) -> str | None:
    """Return the device id that names the topics of a terminal without its journal; None where that would be a guess.

    A card that was copied to another board would speak in the name of the terminal from which it comes.
    """
    if is_copy_foreign(file, sources):
        log_event(_log, LogId.BROKER_NONE, reason="nameless", detail="the journal's copy is of another board")
        return None
    known = remembered_device_id(config, file, sources)
    if known or config.mqtt.name:
        return known
    try:
        return derive_device_id(sources)
    except JournalUnavailable as exc:
        log_event(_log, LogId.BROKER_NONE, reason="nameless", detail=str(exc))
        return None


async def _broker(config: Config, device_id: str) -> FleetBroker | None:
    """Return the broker; None where none can be used: then the log says why."""
    try:
        # The library takes its time to import, on a small board.
        return await asyncio.to_thread(lambda: make_broker(broker_settings(config, device_id)))
    except FleetError as exc:
        log_event(_log, LogId.BROKER_NONE, reason=exc.code, detail=exc.detail)
        return None


def _voice(config: Config, device_id: str, terminal_sn: str, log: str) -> FleetVoice:
    name = fleet_name(config, device_id)
    about = About(
        name=name,
        label=config.terminal.name,
        device_id=device_id,
        terminal_sn=terminal_sn,
        version=terminald.__version__,
        log=log,
    )
    return FleetVoice(root=f"{config.mqtt.prefix}/{name}", about=about)


def _terms(config: Config) -> FleetTerms:
    return FleetTerms(jitter_s=config.mqtt.jitter / 1000, max_rate=config.mqtt.max_rate)


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
