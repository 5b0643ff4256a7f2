import argparse
import asyncio
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from terminald.simulator.printer import SimulatedPrinter, add_arguments, main
from terminald.simulator.printer_command import COMMANDS, help_text, obey
from tests.simulator.printer_host import FINE, STATUS, Host

Capture = pytest.CaptureFixture[str]
Look = Callable[[SimulatedPrinter], object]


@pytest.mark.parametrize(
    ("lines", "look", "seen"),
    [
        (["paper out"], lambda p: p.condition.is_paper_out, True),
        (["paper out", "paper ok"], lambda p: p.condition.is_paper_out, False),
        (["paper low"], lambda p: p.condition.is_paper_low, True),
        (["paper left 0"], lambda p: p.condition.is_paper_out, True),
        (["cover open"], lambda p: p.condition.is_cover_open, True),
        (["cover open", "cover closed"], lambda p: p.condition.is_cover_open, False),
        (["offline"], lambda p: p.is_stopped, True),
        (["offline", "online"], lambda p: p.is_stopped, False),
        (["head hot"], lambda p: p.condition.is_head_hot, True),
        (["head hot 60"], lambda p: p.condition.is_head_hot, True),
        (["cutter jam", "cutter free"], lambda p: p.is_stopped, False),
        (["broken"], lambda p: p.condition.is_broken, True),
        (["broken", "power cycle"], lambda p: p.condition.is_broken, False),
        (["power off"], lambda p: p.is_stopped, True),
        (["power off hangup", "power on"], lambda p: p.is_stopped, False),
        (["power cycle hangup", "unplug", "plug in"], lambda p: p.is_stopped, False),
        (["answers none"], lambda p: p.manner.answers, frozenset()),
        (["delay 250"], lambda p: p.manner.delay_s, 0.25),
        (["garbage 10"], lambda p: p.manner.garbage, 0.1),
    ],
)
def test_each_condition_can_be_typed(lines: list[str], look: Look, seen: object, capsys: Capture) -> None:
    async def scene() -> None:
        async with SimulatedPrinter() as printer:
            for line in lines:
                obey(printer, line)
            assert look(printer) == seen
            printer.cool()

    asyncio.run(scene())
    assert capsys.readouterr().out == ""


def test_a_person_sees_what_it_would_answer_and_can_send_bytes(capsys: Capture) -> None:
    async def scene() -> None:
        async with SimulatedPrinter() as printer:
            with Host(printer.device) as host:
                obey(printer, "send 14 00 00 0f")
                assert await host.answer(4) == b"\x14\x00\x00\x0f"
                assert await host.ask(STATUS, 4) == FINE
                obey(printer, "Cover  OPEN\n")
                obey(printer, "status")
                obey(printer, "help")

    asyncio.run(scene())
    said = capsys.readouterr().out
    assert said == (
        "DLE EOT 1 to 4: 1a 16 12 12; GS r 1: 00; received 12, overrun 0, not understood 0\n" + help_text() + "\n"
    )


def test_what_is_mistyped_changes_nothing_and_is_said(capsys: Capture) -> None:
    async def scene() -> None:
        async with SimulatedPrinter() as printer:
            lines = ["paper left", "paper left -1", "garbage much", "answers yes", "power off now", "send xy", ""]
            for line in [*lines, "offlined", "offline now", "sing"]:
                obey(printer, line)
            assert not printer.is_stopped

    asyncio.run(scene())
    said = capsys.readouterr().out.splitlines()
    assert said[:6] == [
        "write: paper left MM",
        "write: paper left MM",
        "write: garbage PERCENT",
        "write: answers all|clone|status|none",
        "write: power off [hangup]",
        "write: send HEX",
    ]
    assert [line.split(";")[0] for line in said[6:]] == ["not a command"] * 3


def test_the_readme_names_every_command_and_option_of_a_fault() -> None:
    readme = (Path(__file__).parents[2] / "README.md").read_text().partition("The simulated printer fails")[2]
    rows = readme.partition("|---|")[2].partition("\n\n")[0]
    assert [command.words for command in COMMANDS if f"`{command.words}" not in rows] == []
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    typed = [option.split()[0] for option in re.findall("`(--[^`]*)`", rows)]
    assert set(typed) <= set(re.findall(r"^  (--[a-z]+)", parser.format_help(), re.MULTILINE))


def test_the_help_lists_every_command_and_an_impossible_buffer_is_refused(capsys: Capture) -> None:
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    listed = parser.format_help()
    assert all(command.words in listed for command in COMMANDS)
    assert main(parser.parse_args(["--buffer", "100"])) == 1
    assert "at least 528 bytes" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        parser.parse_args(["--paper", "-3"])
