"""Checks of the configured devices, opened as the daemon opens them, and of those that are not configured."""

import asyncio
import json
import os
import re
from collections.abc import Iterator
from pathlib import Path

from terminald.adapters.device_discovery import FoundDevice, Places, find_devices, unmentioned
from terminald.adapters.device_faults import opening_fault
from terminald.adapters.device_holder import holder_of
from terminald.adapters.input_nodes import NoSuchKeyboard, open_keyboard
from terminald.adapters.ports_devices import DeviceReport
from terminald.adapters.printer_dialog import PrinterDialog
from terminald.adapters.printers import make_dialog
from terminald.adapters.scanners import make_scanner
from terminald.adapters.state_directory import LOCK_NAME
from terminald.adapters.vmcs import make_vmc
from terminald.cli.doctor_findings import Finding, fail, note, ok, warn
from terminald.config import Config, PrinterConfig, ScannerConfig
from terminald.config_vending import VendingConfig
from terminald.errors import DeviceAbsent, DeviceError, DeviceHeld

_DEVICES = Path("/dev")


def daemon_pid(config: Config) -> int | None:
    """Return the process that has the state directory, which is the daemon; None when none is to be seen."""
    holder = holder_of(str(config.state.directory / LOCK_NAME))
    return None if holder is None or holder.pid == os.getpid() else holder.pid


def is_held_by_daemon(error: DeviceError, daemon: int | None) -> bool:
    """Tell whether the daemon is the one that has a device; where nobody is named, it is taken for that."""
    if daemon is None or not isinstance(error, DeviceHeld):
        return False
    named = re.search(r"process (\d+)|number (\d+)", error.detail)
    return named is None or str(daemon) in named.groups()


def fault_of(check: str, name: str, error: DeviceError) -> Finding:
    """Say what a device's own error says: what is wrong, then what to do."""
    what, separator, advice = error.detail.partition("; ")
    if not separator:
        what, _, advice = error.detail.partition(": ")
    return fail(check, f"{name}: {what}", advice)


# --- scanners --------------------------------------------------------------------------------------------------------


def check_scanners(config: Config) -> Iterator[Finding]:
    """Whether each scanner is there, and can be opened with its settings."""
    for scanner in config.scanners:
        yield _keyboard(scanner) if scanner.driver == "hid" else _serial(scanner, config)


def _serial(scanner: ScannerConfig, config: Config) -> Finding:
    try:
        asyncio.run(_try_scanner(scanner))
    except DeviceError as exc:
        daemon = daemon_pid(config)
        if is_held_by_daemon(exc, daemon):
            return ok("scanner", f"{scanner.name}: {scanner.device} is in use by terminald (process {daemon})")
        return fault_of("scanner", scanner.name, exc)
    return ok("scanner", f"{scanner.name}: {scanner.device} is there, and can be opened{as_root()}")


async def _try_scanner(settings: ScannerConfig) -> None:
    scanner = make_scanner(settings, lambda *_: None)
    try:
        await scanner.open()
    finally:
        await scanner.close()


def _keyboard(scanner: ScannerConfig) -> Finding:
    """Open the keyboard without a grab, for a moment: the daemon may be using it, or somebody may type on it."""
    try:
        node = open_keyboard(scanner.keyboard)
    except NoSuchKeyboard as exc:
        what, _, advice = str(exc).partition("; ")
        return fail("scanner", f"{scanner.name}: {what}", advice)
    except OSError as exc:
        detail = opening_fault(exc.filename or scanner.device, exc, group="input")
        return fault_of("scanner", scanner.name, DeviceAbsent(scanner.name, detail))
    node.close()
    return ok("scanner", f"{scanner.name}: {node.path} is there, and types codes{as_root()}")


def as_root() -> str:
    """Return what is to be said of a device that root could open."""
    return "; whether the service may use it is not judged, because this is root" if os.geteuid() == 0 else ""


# --- the printer -----------------------------------------------------------------------------------------------------


def check_printer(config: Config) -> Iterator[Finding]:
    """Whether the printer is there, can be opened, and what it says when it is asked how it is."""
    printer = config.printer
    if printer.driver == "none":
        return
    if printer.driver == "file" and not Path(printer.device).is_relative_to(_DEVICES):
        yield _file(printer)
        return
    name = _printer_name(printer)
    try:
        yield asyncio.run(_ask_printer(printer, name))
    except DeviceError as exc:
        daemon = daemon_pid(config)
        if is_held_by_daemon(exc, daemon):
            yield ok("printer", f"{name} is in use by terminald (process {daemon}): see terminald status")
        else:
            yield fault_of("printer", printer.driver, exc)


def _printer_name(printer: PrinterConfig) -> str:
    return f"{printer.driver}: {printer.device}"


async def _ask_printer(settings: PrinterConfig, name: str) -> Finding:
    dialog = make_dialog(settings, _ignore)
    if dialog is None:
        raise DeviceAbsent("printer", "there is none; set printer.driver")
    try:
        await dialog.open()
        said = printer_words(dialog, settings)
        if not dialog.complaint:
            return ok("printer", f"{name} is there; {said}{'' if settings.driver == 'network' else as_root()}")
        what, _, advice = dialog.complaint.partition(": ")
        judge = fail if dialog.is_blocked else warn
        return judge("printer", f"{name} is there, and says: {what}", advice or "put in a new roll soon")
    finally:
        await dialog.close()


def printer_words(dialog: PrinterDialog, settings: PrinterConfig) -> str:
    """Say what an open printer answered to the questions about its state."""
    if settings.status == "none":
        return "it is not asked how it is"
    if dialog.complaint:
        return dialog.complaint
    return "it answers, and nothing is wrong" if dialog.answers else "it does not answer questions about its state"


def _ignore(_: DeviceReport) -> None:
    pass


def _file(printer: PrinterConfig) -> Finding:
    path = Path(printer.device)
    if os.access(path if path.exists() else path.parent, os.W_OK):
        return ok("printer", f"file: {path} can be written")
    return fail("printer", f"file: {path} can not be written", "check the path and its permissions")


# --- vending machines ------------------------------------------------------------------------------------------------


def check_vending(config: Config) -> Iterator[Finding]:
    """Whether the adapter of each vending machine is there, and takes its settings; its reader is not on the bus."""
    for machine in config.vending:
        try:
            asyncio.run(_try_vmc(machine))
        except DeviceError as exc:
            daemon = daemon_pid(config)
            if is_held_by_daemon(exc, daemon):
                yield ok("vending", f"{machine.name}: {machine.device} is in use by terminald (process {daemon})")
            else:
                yield fault_of("vending", machine.name, exc)
        else:
            yield ok("vending", f"{machine.name}: {machine.device} takes its settings{as_root()}")


async def _try_vmc(settings: VendingConfig) -> None:
    vmc = make_vmc(settings, lambda *_: None, lambda _: None)
    try:
        await vmc.open()
    finally:
        await vmc.close()


# --- devices that are not configured ---------------------------------------------------------------------------------


def check_unmentioned(config: Config, places: Places | None = None) -> Iterator[Finding]:
    """Name what looks like a scanner or a printer and is not in the configuration, with the lines to add."""
    taken = {one.name for one in config.scanners}
    for found in unmentioned(find_devices(places), tuple(_mentioned(config))):
        what = f"{found.device} looks like a {found.kind}, and is not in the configuration"
        if found.name and found.name not in found.device:
            what = f"{found.device} ({found.name}) looks like a {found.kind}, and is not in the configuration"
        advice = "if it is to be used, add these lines to it, and restart terminald"
        if found.kind == "printer" and config.printer.driver != "none":
            advice = "if it is to be used instead of the configured one, replace [printer] with these lines"
        yield note("found", what, advice, lines=toml_of(found, taken))
        if found.kind == "scanner":
            taken.add(scanner_name(taken))


def _mentioned(config: Config) -> Iterator[str]:
    yield from (scanner.device for scanner in config.scanners)
    yield from (vending.device for vending in config.vending)
    if config.printer.driver != "none":
        yield config.printer.device


def toml_of(found: FoundDevice, taken: set[str]) -> tuple[str, ...]:
    """Write the lines that configure a device; taken: the names of scanners that there are."""
    # A JSON text is a TOML text, where nothing is written as a pair of surrogates.
    device = json.dumps(found.device, ensure_ascii=False)
    if found.kind == "printer":
        more = ("baudrate = 9600  # as on the printer's self-test page",) if found.driver == "serial" else ()
        return ("[printer]", f'driver = "{found.driver}"', f"device = {device}", *more)
    return ("[[scanner]]", f'name = "{scanner_name(taken)}"', f'driver = "{found.driver}"', f"device = {device}")


def scanner_name(taken: set[str]) -> str:
    """Return a name that no scanner has."""
    return next(name for number in range(1, len(taken) + 2) if (name := f"scanner-{number}") not in taken)
