"""``terminald simulate scanner``: the options, what a person may type, and the program."""

import argparse
import contextlib
import signal
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from terminald.simulator.scanner_device import PREFIXES, SUFFIXES, SimulatedScanner
from terminald.simulator.scanner_engine import ENGINES, INTERVAL_S, ScannerWindow

#: As much as a person would ask for; more only fills the line.
NOISE_LIMIT: Final = 1 << 20
_LOST: Final = "lost: the host does not read, or the scanner is unplugged"

HELP: Final = """\
CODE          scan CODE
:burst CODE   scan CODE byte by byte
:twice CODE   scan CODE twice, glued
:half CODE    scan the first half of CODE, without its end
:leave CODE   leave CODE before the window: with --mode continuous it is read again and again, with an --engine
              whenever the host wants a code
:away         take it away
:noise N      send N random bytes, as a bad cable does
:unplug       pull the plug
:replug       plug in again, as another device
:help         this text"""


def converse(
    scanner: SimulatedScanner,
    lines: Iterable[str],
    *,
    suffix: str = "\r",
    prefix: str = "",
    window: ScannerWindow | None = None,
) -> None:
    """Obey the lines that a person types, until they end; see :data:`HELP`.

    With a window of a triggered engine, a code is held before it until it is read.
    """
    for line in lines:
        command, _, argument = line.strip().partition(" ")
        argument = argument.strip()
        match command:
            case "":
                pass
            case ":unplug":
                scanner.unplug()
            case ":replug":
                scanner.replug()
                print(scanner.path, flush=True)
            case ":leave" if argument and window is not None:
                window.leave(argument)
            case ":away" if window is not None:
                window.take_away()
            case _ if not command.startswith(":") and window is not None and window.is_triggered:
                _show(window, line.strip())
            case _:
                _send(scanner, line.strip(), suffix=suffix, prefix=prefix)


def _send(scanner: SimulatedScanner, line: str, *, suffix: str, prefix: str) -> None:
    command, _, argument = line.partition(" ")
    argument = argument.strip()
    match command:
        case ":noise" if argument.isdecimal():
            sent = scanner.noise(min(int(argument), NOISE_LIMIT))
        case ":burst" if argument:
            sent = scanner.scan(argument, suffix=suffix, prefix=prefix, chunk=1)
        case ":twice" if argument:
            sent = scanner.scan(argument, suffix=suffix, prefix=prefix, times=2)
        case ":half" if argument:
            sent = scanner.scan(argument[: len(argument) // 2], suffix="", prefix=prefix)
        case _ if command.startswith(":"):
            print(HELP, flush=True)
            sent = True
        case _:
            sent = scanner.scan(line, suffix=suffix, prefix=prefix)
    if not sent:
        print(_LOST, flush=True)


def _show(window: ScannerWindow, code: str) -> None:
    if not window.is_lit:
        print("dark: it is read when the host switches the engine on", flush=True)
    window.show(code)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = f"while it runs, type:\n{HELP}"
    option = parser.add_argument
    option("--link", type=Path, help="a symbolic link to keep pointing to the scanner")
    option("--suffix", choices=sorted(SUFFIXES), default="cr", help="what ends each code (default: cr)")
    option("--prefix", default="", help=f"what precedes each code: {', '.join(PREFIXES)}, or a text (default: none)")
    option("--mode", choices=("single", "continuous"), default="single", help="how often it reads what stays there")
    option("--interval", type=int, default=round(INTERVAL_S * 1000), metavar="MS", help="of reading the same again")
    option("--engine", choices=ENGINES, help="reads only when the host says so, in the manner of this one")
    option("--baudrate", type=int, metavar="N", help="its speed: a host with another one gets garbage")
    option("--seed", type=int, default=0, help="decides what noise looks like")


def main(args: argparse.Namespace) -> int:
    """Print the scanner's path, then scan what is typed until the end of input. Returns the exit code."""
    suffix = SUFFIXES[args.suffix]
    prefix = PREFIXES.get(args.prefix, args.prefix)
    # So that the link is removed when a service manager or a test ends this program.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        scanner = SimulatedScanner(link=args.link, seed=args.seed, baudrate=args.baudrate)
    except OSError as exc:
        print(exc, file=sys.stderr)
        return 1
    window = ScannerWindow(
        scanner,
        engine=ENGINES[args.engine] if args.engine else None,
        is_continuous=args.mode == "continuous",
        interval_s=args.interval / 1000,
        suffix=suffix,
        prefix=prefix,
    )
    with scanner, window, contextlib.suppress(KeyboardInterrupt):
        print(scanner.path, flush=True)
        converse(scanner, sys.stdin, suffix=suffix, prefix=prefix, window=window)
    return 0
