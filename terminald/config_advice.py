"""What is allowed in a configuration, and yet worth a second look before a terminal goes into service."""

import grp
import os
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

from terminald.config import ApiConfig, Config
from terminald.config_fonts import PACKAGE, find_font, has_chinese
from terminald.config_mqtt import doubts_of_mqtt
from terminald.config_rules import format_duration, is_loopback, parse_duration
from terminald.config_text import Place

#: Below these values the gateway's documents are not kept (Web API documents, pay and pre-create).
_DOCUMENTED = (
    (("sale", "poll_interval"), "3s", "the gateway asks for at least 3s between queries"),
    (("sale", "poll_window"), "40s", "the gateway asks to query for 40s to 50s before an order is reversed"),
    (("sale", "qr_window"), "90s", "an order with a QR code lives for at least 90s at the gateway"),
)
#: A receipt whose text is drawn, on 58 mm paper; and the speed below which one takes longer than a customer waits.
_DRAWN_BYTES = 20_000
_DRAWN_BAUDRATE = 38_400


def warnings(config: Config) -> tuple[str, ...]:
    """Return each doubt as ``file:line: key: what, and what to do``."""
    doubts = (
        *_too_short(config),
        *_without_effect(config),
        *_of_kiosk(config),
        *_of_vending(config),
        *_drawn(config),
        *_too_open(config),
        *_too_closed(config),
        *_of_tcp(config),
        *doubts_of_mqtt(config.mqtt),
    )
    places = config.places
    return tuple(places.fault(place, what) for place, what in sorted(doubts, key=lambda doubt: places.line(doubt[0])))


def _too_short(config: Config) -> Iterator[tuple[Place, str]]:
    values = (config.sale.poll_interval, config.sale.poll_window, config.sale.qr_window)
    for value, (place, least, why) in zip(values, _DOCUMENTED, strict=True):
        if value < parse_duration(least):
            yield place, f"{format_duration(value)} is short: {why}; use it with a simulated gateway only"
    if not config.sale.late_lookups:
        yield (
            ("sale", "late_lookups"),
            "is empty: a request that arrives after a reversal is found at the end of the day",
        )


def _without_effect(config: Config) -> Iterator[tuple[Place, str]]:
    if "scanner" in config.readiness.require and not config.scanners:
        what = '"scanner" is required, and there is no [[scanner]]: the terminal will never be ready; add one'
        yield ("readiness", "require"), what
    for index, scanner in enumerate(config.scanners):
        if scanner.trigger_on and not scanner.trigger_off:
            what = "is empty: after a sale the engine reads until it has read something or its own time is over; set it"
            yield ("scanner", index, "trigger_off"), what
        if scanner.trigger_off and not scanner.trigger_on:
            yield ("scanner", index, "trigger_on"), "is empty: the engine is switched off and never on; set it"
    if config.printer.driver == "none":
        if "printer" in config.readiness.require:
            what = '"printer" is required, and printer.driver is "none": the terminal will never be ready'
            yield ("readiness", "require"), what
        if config.printer.device:
            yield ("printer", "device"), 'has no effect while printer.driver is "none": nothing is printed'


def _too_closed(config: Config) -> Iterator[tuple[Place, str]]:
    place: Place = ("api", "admin_group")
    group = config.api.admin_group
    if group in ("", ApiConfig().admin_group):
        return
    try:
        grp.getgrnam(group)
    except KeyError:
        yield place, f"{group} is not a group of this machine: only root can give money back; run: addgroup {group}"


def _of_tcp(config: Config) -> Iterator[tuple[Place, str]]:
    api = config.api
    if api.listen is None:
        for key, is_set in (("token_file", api.token_file is not None), ("allowed_origins", bool(api.allowed_origins))):
            if is_set:
                yield ("api", key), "has no effect while api.listen is empty: nobody can call over TCP"
        return
    if api.token_file is not None and _mode(api.token_file) & 0o020:
        yield ("api", "token_file"), f"may be changed by its group; run: chmod g-w {api.token_file}"
    for origin in api.allowed_origins:
        host = urlsplit(origin).hostname or ""
        if origin.startswith("http:") and not is_loopback(host):
            what = f"{origin} is not encrypted: whoever is between it and this machine can take the token; use https"
            yield ("api", "allowed_origins"), what


def _of_kiosk(config: Config) -> Iterator[tuple[Place, str]]:
    kiosk = config.kiosk
    if kiosk.mode == "off" and kiosk.action != "none":
        yield ("kiosk", "action"), 'has no effect while kiosk.mode is "off"; set it'
    if kiosk.mode != "catalogue" and kiosk.products:
        yield ("kiosk", "product"), 'has no effect: products are scanned with kiosk.mode = "catalogue" only'
    if kiosk.mode != "off" and not config.scanners:
        yield ("kiosk", "mode"), "there is no [[scanner]], and nobody else shows codes to a kiosk; add one"
    if kiosk.action == "command" and not os.access(kiosk.command.argv[0], os.X_OK):
        what = f"{kiosk.command.argv[0]} is not there, or can not be run by this user; every sale would be given back"
        yield ("kiosk", "command", "argv"), what


def _of_vending(config: Config) -> Iterator[tuple[Place, str]]:
    """Doubts about how the customer of a vending machine is to pay."""
    methods = config.sale.methods
    if not config.vending or ("scan" in methods and config.scanners):
        return
    if "qr" not in methods:
        if "scanner" not in config.readiness.require:
            what = 'there is no [[scanner]], and nobody else shows codes to a vending machine; add one, or offer "qr"'
            yield ("sale", "methods"), what
        return
    is_seen = "is seen by nobody but a program that follows GET /v1/events and shows it"
    by_code = 'take codes as well ("scan" in sale.methods, and a [[scanner]])'
    if config.printer.driver == "none":
        yield ("printer", "driver"), f'"none": the QR of a vend {is_seen}; set a printer, or {by_code}'
    elif config.receipt.print_when == "never":
        yield ("receipt", "print"), f'"never": the QR of a vend {is_seen}; set "paid", or {by_code}'


def _drawn(config: Config) -> Iterator[tuple[Place, str]]:
    """Doubts about a printer that gets its text as pictures."""
    printer = config.printer
    if printer.driver == "none":
        return
    if printer.encoding != "raster":
        if printer.font is not None:
            yield ("printer", "font"), 'has no effect: text is drawn with printer.encoding = "raster" only'
        return
    font = find_font(printer.font)
    if font is None or not has_chinese(font):
        if printer.font is None:
            what = f"no font with Chinese characters was found, they are printed as ?; run: apt install {PACKAGE}"
            yield ("printer", "encoding"), what
        else:
            what = "is not there" if font is None else "can not be read, or has no Chinese characters"
            advice = f"which are printed as ?; leave it empty and run: apt install {PACKAGE}"
            yield ("printer", "font"), f"{printer.font} {what}, {advice}"
    if printer.driver == "serial" and printer.baudrate < _DRAWN_BAUDRATE:
        seconds = _DRAWN_BYTES * 10 // printer.baudrate
        what = f"is slow for text as pictures: a receipt takes about {seconds} s; set the printer to 115200 and say so"
        yield ("printer", "baudrate"), what


def _too_open(config: Config) -> Iterator[tuple[Place, str]]:
    if config.gateway.url.startswith("http:"):
        yield ("gateway", "url"), "is not encrypted: use it with a simulated gateway only"
    if config.api.socket_mode & 0o007:
        yield ("api", "socket_mode"), "lets every user of this machine sell; set api.socket_group and 0660"
    if _mode(config.state.directory) & 0o077:
        yield ("state", "directory"), f"is open to other users; run: chmod 0700 {config.state.directory}"
    key_file = config.vendor.key_file
    if key_file and _mode(key_file) & 0o007:
        yield ("vendor", "key_file"), f"is open to every user, and activate refuses it; run: chmod 0600 {key_file}"
    if _mode(Path(config.places.file)) & 0o022:
        yield ("file",), f"may be changed by other users; run: chmod go-w {config.places.file}"


def _mode(path: Path) -> int:
    """Return the permissions of what is there; 0 when nothing is, or it cannot be seen."""
    try:
        return path.stat().st_mode & 0o777
    except OSError:
        return 0
