"""What a person may type while ``terminald simulate vmc`` runs, or put into a script."""

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Final

from terminald.simulator.vmc_device import SimulatedVmc
from terminald.simulator.vmc_firmware import Reader
from terminald.simulator.vmc_line import ENDS
from terminald.simulator.vmc_machine import UNDEFINED_ITEM, Outcome
from terminald.simulator.vmc_world import UNPLUGGED

#: How long ``until`` waits when it is not told: longer than a machine waits for a payment.
UNTIL_S: Final = 300.0
_ENDED: Final = "ENDED"
_OUTCOMES: Final = "|".join(Outcome)


class WrongUsage(ValueError):
    """What was typed has a wrong argument."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """What a person types: words, then arguments. Perform returns what to answer; may raise ValueError."""

    words: str
    arguments: str = ""
    help: str
    perform: Callable[[SimulatedVmc, list[str]], str | None]


def _select(vmc: SimulatedVmc, arguments: list[str]) -> str | None:
    if not 1 <= len(arguments) <= 2:  # noqa: PLR2004 - PRICE [ITEM]
        raise WrongUsage
    price = arguments[0]
    item = int(arguments[1]) if arguments[1:] else UNDEFINED_ITEM
    if not 0 <= item <= UNDEFINED_ITEM:
        raise WrongUsage
    why_not = vmc.machine.why_not(price)
    return f"the machine takes cash only: {why_not}" if vmc.select(price, item) is None else None


def _dispense(vmc: SimulatedVmc, arguments: list[str]) -> None:
    if not 1 <= len(arguments) <= 2:  # noqa: PLR2004 - OUTCOME [SECONDS]
        raise WrongUsage
    vmc.dispense(arguments[0], _number(arguments[1]) if arguments[1:] else 0)


def _comes_out(arguments: list[str]) -> bool:
    if arguments not in ([], ["out"]):
        raise WrongUsage
    return bool(arguments)


def _switch(arguments: list[str]) -> bool:
    if arguments not in (["on"], ["off"]):
        raise WrongUsage
    return arguments == ["on"]


def _number(text: str) -> float:
    number = float(text)
    if not 0 <= number <= 1_000_000:  # noqa: PLR2004 - eleven days
        raise WrongUsage
    return number


def _one(arguments: list[str]) -> float:
    if len(arguments) != 1:
        raise WrongUsage
    return _number(arguments[0])


def _mute(vmc: SimulatedVmc, arguments: list[str]) -> None:
    vmc.is_mute = _switch(arguments)


def _deaf(vmc: SimulatedVmc, arguments: list[str]) -> None:
    vmc.is_deaf = _switch(arguments)


def _refuse(vmc: SimulatedVmc, arguments: list[str]) -> None:
    vmc.refuse(int(_one(arguments)) if arguments else 1)


def _patience(vmc: SimulatedVmc, arguments: list[str]) -> None:
    vmc.set_patience(None if arguments == ["reader"] else _one(arguments))


def _delay(vmc: SimulatedVmc, arguments: list[str]) -> None:
    vmc.manner = replace(vmc.manner, delay_s=_one(arguments) / 1000)


def _end(vmc: SimulatedVmc, arguments: list[str]) -> None:
    if len(arguments) != 1 or arguments[0] not in ENDS:
        raise WrongUsage
    vmc.manner = replace(vmc.manner, end=ENDS[arguments[0]])


def _books(vmc: SimulatedVmc) -> str:
    lines = [*map(str, vmc.books.vends), *(f"{each.misdeed}: {each.line}" for each in vmc.books.violations)]
    return "\n".join(lines) or "empty"


def _state(vmc: SimulatedVmc) -> str:
    settings = " ".join(f"{key}={value}" for key, value in (vmc.adapter.conf if vmc.adapter else {}).items())
    return f"reader {vmc.status}; machine {vmc.machine.phase}; {settings or 'not configured'}"


COMMANDS: Final = (
    Command(words="select", arguments="PRICE [ITEM]", help="the customer selects goods: 2.00 5", perform=_select),
    Command(
        words="cancel",
        help="the coin return lever",
        perform=lambda vmc, _: None if vmc.cancel() else "there is nothing to cancel",
    ),
    Command(
        words="cash",
        help="the customer pays the open request in cash",
        perform=lambda vmc, _: None if vmc.cash() else "there is no open request",
    ),
    Command(
        words="dispense",
        arguments=f"{_OUTCOMES} [SECONDS]",
        help="how dispensing ends from now on, and the one under way",
        perform=_dispense,
    ),
    Command(
        words="reset",
        arguments="[out]",
        help="the machine resets itself and the reader; out: the goods fall",
        perform=lambda vmc, arguments: vmc.reset(comes_out=_comes_out(arguments)),
    ),
    Command(words="disable", help="the machine disables the reader", perform=lambda vmc, _: vmc.disable()),
    Command(words="enable", help="and enables it again", perform=lambda vmc, _: vmc.enable()),
    Command(
        words="power cut",
        arguments="[out]",
        help="no power for the machine, nor for the adapter (but --own-power)",
        perform=lambda vmc, arguments: vmc.power_cut(comes_out=_comes_out(arguments)),
    ),
    Command(words="power on", help="power is back; nothing is configured", perform=lambda vmc, _: vmc.power_on()),
    Command(words="unplug", help="pull the adapter's plug", perform=lambda vmc, _: vmc.unplug()),
    Command(words="replug", help="plug in again, as another device", perform=lambda vmc, _: vmc.replug()),
    Command(
        words="always-idle",
        arguments="on|off",
        help="does the machine ask without a session; from its next reset",
        perform=lambda vmc, arguments: vmc.set_always_idle(is_supported=_switch(arguments)),
    ),
    Command(
        words="patience", arguments="SECONDS|reader", help="how long it waits for the next payments", perform=_patience
    ),
    Command(words="again", help="send the line of the open request again", perform=lambda vmc, _: vmc.repeat_request()),
    Command(words="refuse", arguments="[N]", help='answer the next N approvals with "VEND -3"', perform=_refuse),
    Command(words="mute", arguments="on|off", help="the adapter says nothing", perform=_mute),
    Command(words="deaf", arguments="on|off", help="what the host sends is lost", perform=_deaf),
    Command(
        words="say", arguments="LINE", help="send any line", perform=lambda vmc, arguments: vmc.say(" ".join(arguments))
    ),
    Command(
        words="noise",
        arguments="N",
        help="send N random bytes",
        perform=lambda vmc, arguments: vmc.noise(int(_one(arguments))),
    ),
    Command(words="end", arguments="|".join(ENDS), help="what ends each line", perform=_end),
    Command(
        words="delay",
        arguments="MS",
        help="how late each line is",
        perform=_delay,
    ),
    Command(words="books", help="each vend, and what the host did wrong", perform=lambda vmc, _: _books(vmc)),
    Command(words="state", help="of reader and machine, and what is configured", perform=lambda vmc, _: _state(vmc)),
    Command(words="help", help="this list", perform=lambda _vmc, _: help_text()),
)
_STATES: Final = {*Reader, UNPLUGGED, _ENDED}
_WAITING: Final = (
    ("sleep SECONDS", "wait"),
    ("until STATE [SECONDS]", "wait for the reader (ENABLED, IDLE, VEND, APPROVED, …), or ENDED: all vends"),
    ("judge", "say what must never be; the exit code is 1 if there is something"),
    ("quit", "end the program"),
)


def help_text() -> str:
    """Return the table of what may be typed."""
    rows = [(f"{each.words} {each.arguments}".rstrip(), each.help) for each in COMMANDS]
    rows += _WAITING
    width = min(28, max(len(left) for left, _ in rows))
    return "\n".join(f"{left:{width}}  {right}" for left, right in rows)


def obey(vmc: SimulatedVmc, line: str) -> str | None:
    """Do what a person has typed. Returns what to answer, if anything; never raises for what was typed."""
    words = line.split()
    if not words or words[0].startswith("#"):
        return None
    for command in COMMANDS:
        own = command.words.split()
        if words[: len(own)] != own or (words[len(own) :] and not command.arguments):
            continue
        try:
            return command.perform(vmc, words[len(own) :])
        except (ValueError, OSError) as exc:
            return f"{exc}\n".lstrip() + f"write: {command.words} {command.arguments}".rstrip()
    return "not a command; help lists them: " + ", ".join(each.words for each in COMMANDS)


async def converse(vmc: SimulatedVmc, lines: Iterable[str]) -> tuple[bool, bool]:
    """Obey the lines of a script, with what makes it wait. Returns whether it may go on, and whether all was good."""
    is_good = True
    for line in lines:
        go_on, went_well = await perform(vmc, line)
        is_good = is_good and went_well
        if not go_on:
            return False, is_good
    return True, is_good


async def perform(vmc: SimulatedVmc, line: str) -> tuple[bool, bool]:
    """Obey one line; see :func:`converse`."""
    words = line.split()
    found: list[str] = []
    match words:
        case ["sleep", seconds] if _is_number(seconds):
            await asyncio.sleep(float(seconds))
        case ["until", state, *rest] if state in _STATES and all(map(_is_number, rest)) and len(rest) <= 1:
            found = await _until(vmc, state, float(rest[0]) if rest else UNTIL_S)
        case ["judge"]:
            found = vmc.books.judge()
            answer("\n".join(found) or "nothing is wrong")
        case ["quit"]:
            return False, True
        case _:
            answer(obey(vmc, line))
    return True, not found


async def _until(vmc: SimulatedVmc, state: str, seconds: float) -> list[str]:
    def is_reached() -> bool:
        return all(vend.end for vend in vmc.books.vends) if state == _ENDED else vmc.status == state

    try:
        async with asyncio.timeout(seconds):
            await vmc.until(is_reached)
    except TimeoutError:
        answer(f"not {state} after {seconds:g} s: {_state(vmc)}")
        return [state]
    return []


def _is_number(text: str) -> bool:
    return text.replace(".", "", 1).isdecimal()


def answer(text: str | None) -> None:
    """Show something, if there is something."""
    if text:
        print(text, flush=True)
