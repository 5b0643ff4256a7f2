"""``terminald doctor``: test each part for real, and say in one line how it is and what to do.

Works without the daemon and beside it. To add a check is to write a function that yields findings, and to name it in
:func:`examine`. With ``--scan`` and ``--print`` a person takes part, and the devices must not be the daemon's.
"""

import argparse
import asyncio
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec

from terminald.adapters.gateway_http import Credentials
from terminald.adapters.gateway_look import GatewayLook, look_with_keys, look_without_identity
from terminald.adapters.journal_look import JournalLook, look
from terminald.adapters.ports import LinkState
from terminald.app import gateway_settings
from terminald.cli.doctor_devices import check_printer, check_scanners, check_unmentioned, check_vending
from terminald.cli.doctor_findings import Finding, Verdict, fail, ok, warn
from terminald.cli.doctor_fleet import check_fleet
from terminald.cli.doctor_gateway import check_clock, check_gateway, check_identity, check_keys
from terminald.cli.doctor_kiosk import check_kiosk
from terminald.cli.doctor_machine import check_journal, check_state
from terminald.cli.doctor_print import check_print
from terminald.cli.doctor_scan import check_scans
from terminald.cli.doctor_tcp import check_tcp
from terminald.cli.doctor_unit import check_access, check_socket, check_unit
from terminald.cli.outcome import CONFIG_WRONG, DONE, FAILED
from terminald.config import Config, load
from terminald.config_advice import warnings
from terminald.core.terminal import Terminal
from terminald.errors import ConfigError, JournalError
from terminald.logs import escape, protect


class _Line(msgspec.Struct, frozen=True, kw_only=True):
    check: str
    verdict: Verdict
    what: str
    advice: str
    lines: tuple[str, ...]


class _Report(msgspec.Struct, frozen=True, kw_only=True):
    ok: bool
    findings: tuple[_Line, ...]


def doctor(args: argparse.Namespace) -> int:
    """Examine everything; 1 when something fails, 78 when it is the configuration."""
    found: list[Finding] = []
    for finding in examine(args.config, scans=args.scan, prints=args.print_ticket):
        found.append(finding)
        if not args.json:
            print("\n".join(_lines(finding)), flush=True)
    failed = {finding.check for finding in found if finding.verdict is Verdict.FAIL}
    if args.json:
        lines = tuple(
            _Line(check=one.check, verdict=one.verdict, what=one.what, advice=one.advice, lines=one.lines)
            for one in found
        )
        print(msgspec.json.encode(_Report(ok=not failed, findings=lines)).decode())
    if "config" in failed:
        return CONFIG_WRONG
    return FAILED if failed else DONE


def _lines(finding: Finding) -> Iterator[str]:
    advice = f" → {finding.advice}" if finding.advice else ""
    yield escape(f"{finding.verdict.value:<5} {finding.check:<9} {finding.what}{advice}")
    yield from (escape(f"{'':16}{line}") for line in finding.lines)


def examine(path: Path, *, scans: bool = False, prints: bool = False) -> Iterator[Finding]:
    """Yield what each check finds, as it is found. Without a configuration there is nothing to look at."""
    try:
        config = load(path)
    except ConfigError as exc:
        yield from (fail("config", fault, "") for fault in exc.faults)
        return
    yield from _check_config(config, path)
    yield from check_state(config)
    journal = _look(config)
    yield from check_journal(journal)
    known = journal if isinstance(journal, JournalLook) and journal.is_readable else None
    is_unread = journal is not None and known is None
    if not is_unread:
        yield from check_identity(config, known)
    gateway: list[str] = []
    for finding in _check_gateway(config, known, is_unread=is_unread):
        if finding.check == "gateway":
            gateway += [config.gateway.url, finding.what.removeprefix(config.gateway.url).strip(" :")]
        yield finding
    yield from check_unit()
    yield from check_socket()
    yield from check_tcp(config)
    yield from check_access(config)
    yield from check_scanners(config)
    yield from check_printer(config)
    yield from check_kiosk(config)
    yield from check_vending(config)
    yield from check_unmentioned(config)
    yield from check_fleet(config, known)
    if scans:
        yield from check_scans(config)
    if prints:
        yield from check_print(config, known, gateway)


def _check_config(config: Config, path: Path) -> Iterator[Finding]:
    doubts = warnings(config)
    yield from (warn("config", doubt, "") for doubt in doubts)
    if not doubts:
        yield ok("config", str(path))


def _look(config: Config) -> JournalLook | JournalError | None:
    try:
        found = look(config.state.directory / "journal.db")
    except JournalError as exc:
        return exc
    if found is not None and found.terminal is not None:
        for key in (found.terminal.current_key, found.terminal.previous_key):
            if key is not None:
                protect(key)
    return found


def _check_gateway(config: Config, journal: JournalLook | None, *, is_unread: bool) -> Iterator[Finding]:
    if sys.stderr.isatty():
        print(f"asking {escape(config.gateway.url)} …", file=sys.stderr, flush=True)
    try:
        heard = _ask(config, journal)
        if journal is not None and heard.current.state is LinkState.KEY_REFUSED:
            # A daemon beside us may have renewed the key between our looking at it and our asking about it.
            newer = _look(config)
            if isinstance(newer, JournalLook) and newer.terminal != journal.terminal:
                journal, heard = newer, _ask(config, newer)
    except ValueError as exc:
        yield fail("gateway", str(exc), "correct the configuration")
        return
    yield from check_clock(heard)
    terminal = journal.terminal if journal else None
    unsigned = "" if terminal else "the journal can not be read" if is_unread else "there is no identity"
    yield from check_gateway(config, heard, unsigned=unsigned)
    if journal is not None and terminal is not None:
        yield from check_keys(journal, terminal, heard)


def _ask(config: Config, journal: JournalLook | None) -> GatewayLook:
    settings = gateway_settings(config)
    if journal is None or journal.terminal is None:
        return asyncio.run(look_without_identity(settings))
    return asyncio.run(look_with_keys(settings, _credentials(journal, journal.terminal)))


def _credentials(journal: JournalLook, terminal: Terminal) -> Credentials:
    rotation = journal.rotation
    return Credentials(
        terminal_sn=terminal.terminal_sn,
        device_id=terminal.device_id,
        current=terminal.current_key,
        previous=terminal.previous_key,
        version=1 if rotation is None else rotation.version,
        previous_version=0 if rotation is None else rotation.previous_version,
    )
