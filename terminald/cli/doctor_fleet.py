"""The check of a fleet's broker: is it there, is it the right one, and does it let this terminal in."""

import asyncio
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Final

from terminald.adapters.fingerprint import derive_device_id
from terminald.adapters.fleet_broker import BrokerSettings, make_broker
from terminald.adapters.journal_look import JournalLook
from terminald.app_board import remembered_device_id
from terminald.app_chores import JOURNAL_NAME
from terminald.app_fleet import broker_settings, fleet_name
from terminald.cli.doctor_findings import Finding, ok, warn
from terminald.config import Config
from terminald.errors import FleetError, JournalUnavailable

_CHECK: Final = "mqtt"
_ADVICE: Final[Mapping[str, str]] = {
    "clock": "let the system keep the time: timedatectl set-ntp true",
    "certificate": "name the broker's authority in mqtt.ca_file, and the broker in mqtt.url as its certificate does",
    "unreachable": "is mqtt.url right, and the network up?",
    "refused": "does the broker know mqtt.username with this password, and allow this client id?",
    "unavailable": "does the broker speak MQTT 5, and know this terminal's certificate?",
    "unfit": "let the broker allow QoS 1 and retained messages, and send nothing unasked",
}


def check_fleet(config: Config, journal: JournalLook | None) -> Iterator[Finding]:
    """Connect as the daemon does, under a client id beside its own; nothing is published. Silent where none is meant.

    Payments need no broker: nothing here is worse than a warning.
    """
    if config.mqtt.url is None:
        return
    device_id = _device_id(config, journal)
    try:
        settings = broker_settings(config, device_id)
        beside = replace(settings, client_id=f"{settings.client_id}-doctor")
        asyncio.run(_connect(beside))
    except FleetError as exc:
        yield warn(_CHECK, f"{config.mqtt.url.host}: {exc.detail}", _ADVICE.get(exc.code, ""))
        return
    topics = f"{config.mqtt.prefix}/{fleet_name(config, device_id)}/#"
    how = "" if settings.has_tls else ", without encryption"
    yield ok(_CHECK, f"{settings.place} lets this terminal in{how}; its topics are {topics}")


def _device_id(config: Config, journal: JournalLook | None) -> str:
    """Return the device id by which the daemon names its topics; that of the next start where there is none yet."""
    if journal is not None and journal.device_id:
        return journal.device_id
    try:
        return remembered_device_id(config, config.state.directory / JOURNAL_NAME) or derive_device_id()
    except JournalUnavailable:
        return config.terminal.device_id


async def _connect(settings: BrokerSettings) -> None:
    async with make_broker(settings).session(None):
        pass
