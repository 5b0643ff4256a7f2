"""``terminald simulate printer``: the options, what a person may type, and the program."""

import argparse
import asyncio
import signal
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from terminald.simulator.printer_buffer import BUFFER_BYTES, READY_FREE
from terminald.simulator.printer_device import COOLING_S, Model, SimulatedPrinter
from terminald.simulator.printer_paper import font_note
from terminald.simulator.printer_status import ANSWERS, Manner

#: Start, eight, stop.
BITS_PER_BYTE: Final = 10
#: How a line without its voltage reads.
BREAK: Final = b"\x00"


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """What a person types: words, then one argument where there is one. Perform raises ValueError for a bad one."""

    words: str
    argument: str = ""
    help: str
    perform: Callable[[SimulatedPrinter, str], None]


def _delay(printer: SimulatedPrinter, text: str) -> None:
    printer.manner = replace(printer.manner, delay_s=_number(text) / 1000)


def _garbage(printer: SimulatedPrinter, text: str) -> None:
    printer.manner = replace(printer.manner, garbage=_number(text) / 100)


def _overheat(printer: SimulatedPrinter, text: str) -> None:
    printer.overheat(for_s=_number(text) if text else COOLING_S)


def _power_cycle(printer: SimulatedPrinter, text: str) -> None:
    _power_off(printer, text)
    printer.power_on()


def _power_off(printer: SimulatedPrinter, text: str) -> None:
    if text not in ("", "hangup"):
        raise ValueError
    printer.power_off(hangs_up=text == "hangup")


def _answers(printer: SimulatedPrinter, text: str) -> None:
    if text not in ANSWERS:
        raise ValueError
    printer.manner = replace(printer.manner, answers=ANSWERS[text])


def _show(printer: SimulatedPrinter) -> None:
    bits = " ".join(f"{printer.condition.real_time(kind):02x}" for kind in (1, 2, 3, 4))
    print(f"DLE EOT 1 to 4: {bits}; GS r 1: {printer.condition.sensor():02x}", end="; ")
    print(f"received {printer.received}, overrun {printer.overrun}, not understood {printer.unknown}", flush=True)


COMMANDS: Final = (
    Command(words="paper out", help="take the paper out", perform=lambda p, _: p.set_paper(is_out=True)),
    Command(words="paper ok", help="put a full roll in", perform=lambda p, _: p.set_paper(is_out=False)),
    Command(words="paper low", help="little is left", perform=lambda p, _: p.set_paper_low(is_low=True)),
    Command(
        words="paper left",
        argument="MM",
        help="put a roll in that ends after so much",
        perform=lambda p, text: p.load_paper(_number(text)),
    ),
    Command(words="cover open", help="open the cover", perform=lambda p, _: p.set_cover(is_open=True)),
    Command(words="cover closed", help="close it", perform=lambda p, _: p.set_cover(is_open=False)),
    Command(words="offline", help="press the button", perform=lambda p, _: p.set_online(is_online=False)),
    Command(words="online", help="press it again", perform=lambda p, _: p.set_online(is_online=True)),
    Command(words="cutter jam", help="the next cut jams", perform=lambda p, _: p.set_cutter(is_jammed=True)),
    Command(words="cutter free", help="it goes on with the cut", perform=lambda p, _: p.set_cutter(is_jammed=False)),
    Command(words="head hot", argument="[SECONDS]", help="too hot to print, until it has cooled", perform=_overheat),
    Command(words="broken", help="an error until it is switched off and on", perform=lambda p, _: p.break_down()),
    Command(
        words="power off",
        argument="[hangup]",
        help="the buffer is lost; the line stays, or hangs up",
        perform=_power_off,
    ),
    Command(words="power on", help="settings are forgotten", perform=lambda p, _: p.power_on()),
    Command(words="power cycle", argument="[hangup]", help="both", perform=_power_cycle),
    Command(words="unplug", help="pull the cable; it prints on", perform=lambda p, _: p.unplug()),
    Command(words="plug in", help="as another device under the same link", perform=lambda p, _: p.plug_in()),
    Command(words="answers", argument="|".join(ANSWERS), help="what it answers from now on", perform=_answers),
    Command(words="delay", argument="MS", help="how long each answer takes", perform=_delay),
    Command(words="garbage", argument="PERCENT", help="so many status bytes are wrong", perform=_garbage),
    Command(words="send", argument="HEX", help="bytes unasked", perform=lambda p, text: p.send(bytes.fromhex(text))),
    Command(words="status", help="what it would answer", perform=lambda p, _: _show(p)),
    Command(words="help", help="this list", perform=lambda _p, _: print(help_text(), flush=True)),
)


def help_text() -> str:
    """Return the table of what may be typed."""
    left = [f"{command.words} {command.argument}".rstrip() for command in COMMANDS]
    width = max(map(len, left))
    return "\n".join(f"{words:{width}}  {command.help}" for words, command in zip(left, COMMANDS, strict=True))


def obey(printer: SimulatedPrinter, line: str) -> None:
    """Do what a person has typed, or say why not."""
    typed = " ".join(line.split())
    if not typed:
        return
    for command in COMMANDS:
        argument = typed[len(command.words) :]
        if not typed.lower().startswith(command.words) or (argument and not argument.startswith(" ")):
            continue
        if argument and not command.argument:
            continue
        try:
            command.perform(printer, argument.strip())
        except (ValueError, OSError):
            print(f"write: {command.words} {command.argument}", flush=True)
        return
    print("not a command; help lists them: " + ", ".join(command.words for command in COMMANDS), flush=True)


def _number(text: str) -> float:
    number = float(text)
    if not 0 <= number <= 1_000_000:  # noqa: PLR2004 - a kilometre of paper, or eleven days
        raise ValueError
    return number


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``simulate printer``."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = f"while it runs, type:\n{help_text()}"
    option = parser.add_argument
    option("--link", type=Path, metavar="PATH", help="keep a symbolic link to the device here")
    option("--out", type=Path, default=Path("receipts"), metavar="DIR", help="where the pictures go")
    option("--width", type=int, choices=(384, 512, 576), default=384, help="dots across the paper")
    option("--encoding", choices=("gbk", "gb18030", "utf-8"), default="gbk", help="character set")
    option("--flow", choices=("rtscts", "xonxoff", "none"), default="rtscts", help="flow control")
    option("--baud", type=_number, default=0, metavar="N", help="the time that a line takes; 0: none")
    option("--break", dest="break_", action="store_true", help="a NUL on the line when it is switched off")
    option("--speed", type=int, default=0, metavar="N", help="bytes understood per second; 0: at once")
    option("--head", type=_number, default=0, metavar="N", help="millimetres printed per second; 0: at once")
    option("--buffer", type=int, default=BUFFER_BYTES, metavar="N", help="bytes received ahead (default: %(default)s)")
    option("--paper", type=_number, metavar="MM", help="what is left on the first roll; later ones are full")
    option("--answers", choices=ANSWERS, default="all", help="clone: no process id; status: no GS r (default: all)")
    option("--delay", type=_number, default=0, metavar="MS", help="how long each answer takes")
    option("--garbage", type=_number, default=0, metavar="PERCENT", help="so many status bytes are wrong")
    option("--asb", action="store_true", help="send the automatic status unasked")
    option("--seed", type=int, default=0, help="decides what garbage looks like")


def main(args: argparse.Namespace) -> int:
    """Run a printer until it is interrupted; what happens to it is typed on standard input."""
    if note := font_note():
        print(f"note: {note}", file=sys.stderr)
    if args.buffer < READY_FREE:
        print(f"simulate printer: a buffer has at least {READY_FREE} bytes", file=sys.stderr)
        return 1
    manner = Manner(
        answers=ANSWERS[args.answers],
        delay_s=args.delay / 1000,
        garbage=args.garbage / 100,
        is_asb_unasked=args.asb,
    )
    printer = SimulatedPrinter(
        out=args.out,
        width_dots=args.width,
        encoding=args.encoding,
        flow=args.flow,
        bytes_per_second=args.speed,
        buffer_bytes=args.buffer,
        link=args.link,
        model=Model(
            mm_per_second=args.head,
            paper_mm=args.paper,
            line_bytes_per_second=args.baud / BITS_PER_BYTE,
            last_word=BREAK if args.break_ else b"",
            manner=manner,
            seed=args.seed,
        ),
    )
    try:
        asyncio.run(_serve(printer, args.link))
    except OSError as exc:
        print(f"simulate printer: {exc}", file=sys.stderr)
        return 1
    return 0


async def _serve(printer: SimulatedPrinter, link: Path | None) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    async with printer:
        print(f"printer on {link or printer.device}", flush=True)
        print(f'[printer] driver = "serial", device = "{link or printer.device}"', flush=True)
        print("commands: " + ", ".join(command.words for command in COMMANDS), flush=True)
        # A thread, because standard input may be a file, which an event loop can not wait for.
        threading.Thread(target=_read_commands, args=(loop, printer), daemon=True).start()
        stopping = asyncio.create_task(stop.wait())
        count = 0
        while not stopping.done():
            printing = asyncio.create_task(printer.wait_receipt(count + 1))
            await asyncio.wait({stopping, printing}, return_when=asyncio.FIRST_COMPLETED)
            if printing.done():
                count += 1
                print(f"printed {printing.result().png}", flush=True)
            printing.cancel()
    for receipt in printer.receipts[count:]:  # torn off at the end
        print(f"printed {receipt.png}", flush=True)


def _read_commands(loop: asyncio.AbstractEventLoop, printer: SimulatedPrinter) -> None:
    for line in sys.stdin:
        with suppress(RuntimeError):  # the loop has ended
            loop.call_soon_threadsafe(obey, printer, line)
