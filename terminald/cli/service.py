"""``terminald run`` and ``terminald check``."""

import argparse
import faulthandler
import logging
import signal
import sys
from collections.abc import Iterator

import msgspec

from terminald import app, logs
from terminald.cli.outcome import CONFIG_WRONG, DONE, FAILED, say_warning
from terminald.cli.words import fields
from terminald.config import Config, load
from terminald.config_advice import warnings
from terminald.config_kiosk import KioskConfig
from terminald.config_token import read_api_token
from terminald.core.money import format_yuan
from terminald.errors import ConfigError
from terminald.logs import log_event
from terminald.logs_ids import LogId

log = logging.getLogger(__name__)

#: The process's own, whatever sys.stderr is by then.
STANDARD_ERROR = 2


class _Verdict(msgspec.Struct, frozen=True, kw_only=True):
    ok: bool
    faults: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


def run(args: argparse.Namespace) -> int:
    """Run the daemon until it is told to stop."""
    # What the watchdog kills says where it hung: lines of code, and nothing of what they hold.
    faulthandler.enable(STANDARD_ERROR)
    # A reload that comes so early has nothing to reload, and would end the process.
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    config = load(args.config)
    logs.configure(config.log.level, stream=sys.stderr)
    try:
        app.run(config, args.config)
    except ExceptionGroup:
        # A bug in some part. Logged, because the log redacts what a traceback may hold.
        log_event(log, LogId.CRASHED, exc_info=True)
        return FAILED
    return DONE


def check(args: argparse.Namespace) -> int:
    """Report every fault of the configuration, or what it says."""
    try:
        config = load(args.config)
        read_api_token(config)
    except ConfigError as exc:
        if args.json:
            print(msgspec.json.encode(_Verdict(ok=False, faults=tuple(exc.faults))).decode())
            return CONFIG_WRONG
        raise
    doubts = warnings(config)
    if args.json:
        print(msgspec.json.encode(_Verdict(ok=True, warnings=doubts)).decode())
        return DONE
    for doubt in doubts:
        say_warning(doubt)
    print(f"ok: {args.config}")
    print(fields(_summary(config), indent="  "))
    return DONE


def _summary(config: Config) -> Iterator[tuple[str, str]]:
    yield "gateway", config.gateway.url
    yield "state", str(config.state.directory)
    yield "API", str(config.api.socket)
    if config.api.listen:
        pages = ", ".join(config.api.allowed_origins) or "no origin"
        yield "over TCP", f"{config.api.listen}, for pages of {pages}"
    yield "scanners", ", ".join(f"{one.name} on {one.device}" for one in config.scanners) or "none: the host scans"
    printer = config.printer
    where = f"{printer.driver} {printer.device}, {printer.columns} columns"
    yield "printer", "none" if printer.driver == "none" else where
    if config.kiosk.mode != "off":
        yield "kiosk", _kiosk_words(config.kiosk)
    if config.vending:
        yield "vending", ", ".join(f"{one.name} on {one.device}" for one in config.vending)


def _kiosk_words(kiosk: KioskConfig) -> str:
    """Say what is sold without a host, and what is done when it is paid."""
    sold = f"{format_yuan(kiosk.amount)} yuan by each code ({kiosk.subject})"
    if kiosk.mode == "catalogue":
        sold = f"{len(kiosk.products)} product{'s' if len(kiosk.products) > 1 else ''} to scan"
    match kiosk.action:
        case "command":
            return f"{sold}; then {kiosk.command.argv[0]} is run"
        case "gpio":
            return f"{sold}; then pulses on {kiosk.gpio.chip} {kiosk.gpio.line}"
    return sold
