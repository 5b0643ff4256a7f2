"""``terminald doctor --print``: a ticket about this terminal, printed as receipts are, and what became of it."""

import asyncio
import platform
import socket
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Final

import terminald
from terminald.adapters.journal_look import JournalLook
from terminald.adapters.network_look import addresses
from terminald.adapters.ports_devices import DeviceReport
from terminald.adapters.printer_dialog import PrinterDialog
from terminald.adapters.printers import make_dialog, make_profile
from terminald.cli.doctor_devices import daemon_pid, fault_of, is_held_by_daemon, printer_words
from terminald.cli.doctor_findings import Finding, Verdict, fail, note
from terminald.config import Config
from terminald.core.events import JobBlocked, JobInterrupted, JobPrinted, JobSent, PrintAnswer
from terminald.core.self_test import SelfTest, layout_self_test
from terminald.errors import DeviceError
from terminald.logs import escape
from terminald.wire.escpos import encode

#: A ticket as pictures takes 25 s at 9600 baud; and somebody may have to put in paper.
PRINT_S: Final = 60.0

_STOP: Final = (
    "stop it (systemctl stop terminald.socket terminald) and try again, or let it print: terminald receipt SALE"
)
_LOOK: Final = (
    "look at it: is it whole and cut, is the sample Chinese, is the ruler on one line, can a phone read the code"
)


def check_print(
    config: Config, journal: JournalLook | None, gateway: Sequence[str], limit_s: float = PRINT_S
) -> Iterator[Finding]:
    """Print the self-test ticket. Gateway: what is known about it, for the ticket."""
    if config.printer.driver == "none":
        yield fail("print", "no printer is configured", "set [printer]; terminald doctor finds likely ones")
        return
    try:
        yield asyncio.run(_print(config, self_test(config, journal, gateway), limit_s))
    except DeviceError as exc:
        daemon = daemon_pid(config)
        if is_held_by_daemon(exc, daemon):
            yield fail("print", f"the printer is held by terminald (process {daemon})", _STOP)
        else:
            yield fault_of("print", config.printer.driver, exc)


def self_test(config: Config, journal: JournalLook | None, gateway: Sequence[str]) -> SelfTest:
    """Say what the ticket says, but for the printer's own words."""
    terminal = journal.terminal if journal else None
    return SelfTest(
        language=config.receipt.language,
        terminal_name=config.terminal.name,
        terminal_sn=terminal.terminal_sn if terminal else "",
        device_id=terminal.device_id if terminal else config.terminal.device_id,
        version=f"terminald {terminald.__version__}",
        machine=f"{platform.system()} {platform.release()} {platform.machine()}",
        host=socket.gethostname(),
        addresses=addresses(),
        gateway=tuple(gateway),
        printer="",
        time=datetime.now(config.gateway.timezone).strftime("%Y-%m-%d %H:%M:%S"),
    )


async def _print(config: Config, ticket: SelfTest, limit_s: float) -> Finding:
    """Print on the configured printer; the daemon does not have it.

    Raises:
        DeviceError: it can not be opened, or went away.
    """
    dialog = make_dialog(config.printer, _ignore)
    if dialog is None:
        return fail("print", "no printer is configured", "set [printer]")
    await dialog.open()
    serving = asyncio.ensure_future(dialog.run())
    try:
        words = f"{config.printer.driver} {config.printer.device}; {printer_words(dialog, config.printer)}"
        return await _send(config, dialog, ticket, words, limit_s)
    finally:
        serving.cancel()
        await asyncio.wait({serving})
        await dialog.close()


async def _send(config: Config, dialog: PrinterDialog, ticket: SelfTest, words: str, limit_s: float) -> Finding:
    stopped: list[PrintAnswer] = []

    def tell(answer: PrintAnswer) -> None:
        stopped.append(answer)
        if sys.stderr.isatty():
            print(escape(f"the printer has stopped: {answer.evidence}"), file=sys.stderr, flush=True)

    async def draw() -> bytes:
        profile = make_profile(config.printer)
        marks = layout_self_test(replace(ticket, printer=words), columns=profile.columns)
        return await asyncio.to_thread(encode, marks, profile)

    try:
        async with asyncio.timeout(limit_s):
            return verdict_of(await dialog.print(draw, tell, may_repeat=False))
    except TimeoutError:
        why = stopped[-1].evidence if stopped else "it takes nothing more, and does not say why"
        return fail("print", f"blocked: {why}", "clear that, and try again; a rest of the ticket may come out before")


def verdict_of(answer: PrintAnswer) -> Finding:
    """Say what became of the ticket, and what to do."""
    match answer:
        case JobPrinted(evidence=evidence):
            return Finding(check="print", verdict=Verdict.OK, what=f"printed: {evidence}", advice=_LOOK)
        case JobSent(evidence=evidence):
            return note("print", f"unverified: {evidence}", _LOOK)
        case JobBlocked(evidence=evidence) | JobInterrupted(evidence=evidence):
            what, _, advice = evidence.partition(": ")
            return fail("print", f"blocked: {what}", advice or "clear that, and try again")
        case _:
            return fail("print", f"not printed: {answer.evidence}", "check the cable and the power, and try again")


def _ignore(_: DeviceReport) -> None:
    pass
