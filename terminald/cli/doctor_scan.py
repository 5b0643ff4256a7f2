"""``terminald doctor --scan``: wait for one scan of each scanner, and say what arrived. Never the code itself (I7)."""

import asyncio
import re
import sys
from collections.abc import Iterator
from typing import Final

from terminald.adapters.scan_delivery import ScannerCounters
from terminald.adapters.scanner_hid import HidScanner
from terminald.adapters.scanner_serial import SerialScanner
from terminald.adapters.scanners import make_scanner
from terminald.cli.doctor_devices import daemon_pid, fault_of, is_held_by_daemon
from terminald.cli.doctor_findings import Finding, fail, ok
from terminald.config import Config, ScannerConfig
from terminald.core.ids import PaymentCode
from terminald.errors import DeviceError
from terminald.logs import escape
from terminald.wire.barcode import NotPaymentCode, bare, classify

#: For a technician to walk to the scanner and hold a code before it.
SCAN_S: Final = 30.0
#: How often it is looked whether something arrived that is no code.
_LOOK_S: Final = 0.1

_STOP: Final = (
    "stop it (systemctl stop terminald.socket terminald) and try again, or watch its scans: "
    "terminald events --topic scan"
)
_SPEED: Final = "set baudrate as the scanner has it, and the scanner to 8 data bits, no parity, 1 stop bit"
_KEYS: Final = "set the scanner to the US keyboard layout, and to send plain characters"


def check_scans(config: Config, limit_s: float = SCAN_S) -> Iterator[Finding]:
    """Wait for a scan of each configured scanner, one scanner after the other."""
    if not config.scanners:
        yield fail("scan", "no scanner is configured", "add a [[scanner]]; terminald doctor finds likely ones")
    for settings in config.scanners:
        if sys.stderr.isatty():
            words = f"{settings.name}: scan any code now, within {limit_s:.0f} s …"
            print(escape(words), file=sys.stderr, flush=True)
        yield _scan(config, settings, limit_s)


def _scan(config: Config, settings: ScannerConfig, limit_s: float) -> Finding:
    try:
        return asyncio.run(_listen(settings, config.sale.payment_code, limit_s))
    except DeviceError as exc:
        daemon = daemon_pid(config)
        if is_held_by_daemon(exc, daemon):
            return fail("scan", f"{settings.name}: held by terminald (process {daemon})", _STOP)
        return fault_of("scan", settings.name, exc)


async def _listen(settings: ScannerConfig, pattern: re.Pattern[str], limit_s: float) -> Finding:
    """Return what the next scan is, or what is wrong with it.

    Raises:
        DeviceError: the scanner can not be opened, or went away.
    """
    loop = asyncio.get_running_loop()
    scans: list[str] = []
    scanner = make_scanner(settings, lambda _, text: scans.append(text))
    await scanner.open()
    running = asyncio.ensure_future(scanner.run())
    try:
        scanner.arm()
        before, until = scanner.counters, loop.time() + limit_s
        while not scans and not running.done() and loop.time() < until:
            if (wrong := _wrong(settings, before, scanner.counters)) is not None:
                return wrong
            await asyncio.wait({running}, timeout=_LOOK_S)
        if scans:
            return describe(settings, scans[0], pattern)
        if running.done():
            running.result()
        return _nothing(settings, limit_s)
    finally:
        await _end(scanner, running)


async def _end(scanner: SerialScanner | HidScanner, running: asyncio.Future[None]) -> None:
    scanner.disarm()
    running.cancel()
    await asyncio.wait({running})
    await scanner.close()


def _wrong(settings: ScannerConfig, before: ScannerCounters, now: ScannerCounters) -> Finding | None:
    """Say what is wrong with what arrived and is no frame; None when nothing did."""
    name = settings.name
    if now.truncated > before.truncated:
        what = f"{name}: a code arrived without an end: suffix {settings.suffix!r} was not seen"
        return fail("scan", what, 'set the scanner to suffix CR (Enter); or suffix = "none" where it can have none')
    if now.garbled > before.garbled:
        what = f"{name}: what arrived is not text"
        return fail("scan", what, _SPEED if settings.driver == "serial" else _KEYS)
    if now.dropped > before.dropped:
        what = f"{name}: more arrived than any code has, without an end"
        return fail("scan", what, "set the scanner to suffix CR (Enter), and not to continuous mode")
    return None


def _nothing(settings: ScannerConfig, limit_s: float) -> Finding:
    advice = "does it beep? then look at its interface (USB serial or keyboard), its cable, and the configured path"
    if settings.driver == "serial" and not settings.trigger_on:
        advice += "; an engine that waits for its host needs trigger_on"
    return fail("scan", f"{settings.name}: nothing arrived within {limit_s:.0f} s", advice)


def describe(settings: ScannerConfig, frame: str, pattern: re.Pattern[str]) -> Finding:
    """Say what a frame is: its length, its masked form, its end, and whether it may pay."""
    code = bare(frame)
    end = "ended by silence, as configured" if settings.suffix == "none" else f"suffix seen ({settings.suffix})"
    prefix = f", AIM prefix {frame[: len(frame) - len(code)]}" if code != frame else ""
    what = f"{settings.name}: {len(code)} characters, {PaymentCode(code).masked}{prefix}, {end}"
    match classify(frame, pattern):
        case NotPaymentCode(reason=reason):
            return ok("scan", f"{what}: the scanner works; no payment code ({reason})")
        case _:
            return ok("scan", f"{what}: a payment code")
