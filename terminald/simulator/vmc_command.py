"""``terminald simulate vmc``: the options and the program."""

import argparse
import asyncio
import signal
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from terminald.simulator.vmc_device import SimulatedVmc
from terminald.simulator.vmc_firmware import AFTERWARDS, Firmware
from terminald.simulator.vmc_line import ENDS, Manner
from terminald.simulator.vmc_machine import MachineModel, Outcome
from terminald.simulator.vmc_script import answer, converse, help_text, perform


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``simulate vmc``."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = f"while it runs, type, or put into a script:\n{help_text()}"
    option = parser.add_argument
    option("--link", type=Path, metavar="PATH", help="keep a symbolic link to the adapter here")
    option("--script", type=Path, metavar="FILE", help="do first what is written there; # begins a comment")
    option("--quiet", action="store_true", help="do not show the conversation")
    machine = parser.add_argument_group("the machine").add_argument
    machine("--dispense", choices=list(Outcome), default=Outcome.OK, help="how dispensing ends (default: %(default)s)")
    machine("--dispensing", type=float, default=2.0, metavar="S", help="how long it takes (default: %(default)s)")
    machine("--patience", type=float, metavar="S", help="how long it waits for an answer (default: what it is told)")
    machine("--at-limit", choices=("cancel", "reset"), default="cancel", help="what it does then")
    machine("--no-always-idle", action="store_true", help="it asks in sessions only")
    machine("--currency", default="", metavar="CODE", help="it takes this one only, such as 1156 for CNY")
    machine("--needs-restore-funds", action="store_true", help="it tells failures only readers that can return money")
    machine("--own-power", action="store_true", help="the adapter has power when the machine has none")
    firmware = parser.add_argument_group("the adapter").add_argument
    firmware("--old", action="store_true", help="says ONLINE for ENABLED")
    firmware("--after-deny", choices=AFTERWARDS, default="idle+state", help="status lines after a denial")
    firmware("--after-cancel", choices=AFTERWARDS, default="idle+state", help="after a VEND CANCEL")
    firmware("--after-failure", choices=AFTERWARDS, default="idle+state", help="after a VEND FAILURE")
    firmware("--tells-reset", choices=("vend", "always", "never"), default="vend", help="when it says VEND 5")
    firmware("--quotes", choices=("documented", "all", "none"), default="documented", help="around errors")
    firmware("--stop-fails", action="store_true", help="C,STOP does not deny")
    firmware("--disabled-refuses", action="store_true", help="an approval does not reach a machine that has disabled")
    firmware("--at-vend-timeout", choices=("nothing", "end"), default="nothing", help="with mdb-timeout-vend")
    firmware("--banner", default="", metavar="TEXT", help="what it says when it has booted")
    line = parser.add_argument_group("the line").add_argument
    line("--end", choices=list(ENDS), default="crlf", help="what ends each line (default: %(default)s)")
    line("--delay", type=float, default=0, metavar="MS", help="how late each line is")
    line("--merge", type=float, default=0, metavar="MS", help="lines of so long come in one write")
    line("--chunk", type=int, metavar="N", help="lines come in pieces of N bytes")
    line("--gap", type=float, default=5, metavar="MS", help="between pieces (default: %(default)s)")
    line("--echo", action="store_true", help="what the host sends comes back")
    line("--interleave", type=float, default=0, metavar="PERCENT", help="lines that mean nothing in between")
    line("--repeats", type=int, default=1, metavar="N", help="how often a request is sent")
    line("--seed", type=int, default=0, help="decides what noise looks like")


def machine_of(args: argparse.Namespace, *, note: Callable[[str], None] = lambda _: None) -> SimulatedVmc:
    """Return the machine that the options describe, not running yet."""
    model = MachineModel(
        supports_always_idle=not args.no_always_idle,
        max_wait_s=args.patience,
        at_max_wait=args.at_limit,
        currency=args.currency,
        needs_restore_funds=args.needs_restore_funds,
        powers_adapter=not args.own_power,
        outcome=Outcome(args.dispense),
        dispensing_s=args.dispensing,
    )
    firmware = Firmware(
        banner=args.banner,
        enabled_word="ONLINE" if args.old else "ENABLED",
        after_deny=args.after_deny,
        after_cancel=args.after_cancel,
        after_failure=args.after_failure,
        tells_reset=args.tells_reset,
        stop_denies=not args.stop_fails,
        approves_when_disabled=not args.disabled_refuses,
        at_vend_timeout=args.at_vend_timeout,
        quotes=args.quotes,
    )
    manner = Manner(
        end=ENDS[args.end],
        delay_s=args.delay / 1000,
        merge_s=args.merge / 1000,
        chunk=args.chunk,
        gap_s=args.gap / 1000,
        is_echoing=args.echo,
        interleave=args.interleave / 100,
        repeats=args.repeats,
    )
    return SimulatedVmc(link=args.link, model=model, firmware=firmware, manner=manner, seed=args.seed, note=note)


def main(args: argparse.Namespace) -> int:
    """Run a machine until it is interrupted or told to quit.

    Returns:
        0, or 1 when ``judge`` or ``until`` was not content, or a file or the link can not be used.
    """
    script: Path | None = args.script
    try:
        lines = [] if script is None else script.read_text(encoding="utf-8").splitlines()
        return asyncio.run(_serve(args, lines))
    except (OSError, UnicodeDecodeError) as exc:
        print(f"simulate vmc: {exc}", file=sys.stderr)
        return 1


async def _serve(args: argparse.Namespace, script: list[str]) -> int:
    loop = asyncio.get_running_loop()
    is_announced = False

    def note(text: str) -> None:
        if is_announced and not args.quiet:
            answer(text)

    async with machine_of(args, note=note) as vmc:
        print(f"adapter on {vmc.path}", flush=True)
        print(f'[[vending]] driver = "qibixx", device = "{vmc.path}"', flush=True)
        is_announced = True
        talking = asyncio.create_task(_talk(vmc, script))
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, talking.cancel)
        with suppress(asyncio.CancelledError):
            return 0 if await talking else 1
    return 0


async def _talk(vmc: SimulatedVmc, script: list[str]) -> bool:
    """Obey the script, then what is typed, until it says quit. Returns whether nothing was found wrong."""
    go_on, is_good = await converse(vmc, script)
    if not go_on:
        return is_good
    loop = asyncio.get_running_loop()
    typed: asyncio.Queue[str] = asyncio.Queue()
    # A thread, because standard input may be a file, which an event loop can not wait for.
    threading.Thread(target=_read_commands, args=(loop, typed), daemon=True).start()
    while go_on:
        go_on, went_well = await perform(vmc, await typed.get())
        is_good = is_good and went_well
    return is_good


def _read_commands(loop: asyncio.AbstractEventLoop, typed: asyncio.Queue[str]) -> None:
    for line in sys.stdin:
        with suppress(RuntimeError):  # the loop has ended
            loop.call_soon_threadsafe(typed.put_nowait, line)
