"""What a person may type while the vending machine runs, its scripts, and the program."""

import argparse
import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from terminald.simulator.vmc import Outcome, SimulatedVmc, add_arguments, help_text, obey
from terminald.simulator.vmc_command import machine_of
from terminald.simulator.vmc_script import COMMANDS, converse
from tests.simulator.vmc_host import QUICK, SETTINGS, WAIT_S, PtyHost

PROGRAM = (
    "import argparse, sys; from terminald.simulator import vmc;"
    "parser = argparse.ArgumentParser(); vmc.add_arguments(parser);"
    "sys.exit(vmc.main(parser.parse_args()))"
)


def play(scene: Callable[[SimulatedVmc, PtyHost], Awaitable[None]]) -> None:
    async def run() -> None:
        async with asyncio.timeout(2 * WAIT_S), SimulatedVmc(model=QUICK) as vmc:
            with PtyHost(vmc.path) as host:
                await host.set_up()
                await scene(vmc, host)

    asyncio.run(run())


def test_each_command_does_what_its_method_does() -> None:
    async def scene(vmc: SimulatedVmc, host: PtyHost) -> None:
        assert obey(vmc, "select 2.00 5") is None
        assert obey(vmc, "again") is None
        assert obey(vmc, "select 2.00") == "the machine takes cash only: waiting for the payment"
        assert obey(vmc, "cash") is None
        assert obey(vmc, "select 2") is None
        assert obey(vmc, "refuse 2") is None
        assert obey(vmc, "cancel") is None
        assert obey(vmc, "cancel") == "there is nothing to cancel"
        assert obey(vmc, "cash") == "there is no open request"
        await host.expect("c,STATUS,VEND,2.00,5", "c,STATUS,VEND,2.00,5", "c,ERR,VEND 1", "c,STATUS,IDLE")
        await host.expect("c,STATUS,ENABLED", "c,STATUS,VEND,2,65535", "c,ERR,VEND 1", "c,STATUS,IDLE")
        await host.expect("c,STATUS,ENABLED")
        assert obey(vmc, "dispense jam 3") is None
        assert (vmc.machine.model.outcome, vmc.machine.model.dispensing_s) == (Outcome.JAM, 3)
        assert obey(vmc, "disable") is None
        assert obey(vmc, "enable") is None
        assert obey(vmc, "say  c,ERR,-3") is None
        await host.expect("c,STATUS,DISABLED", "c,STATUS,ENABLED", "c,ERR,-3")
        assert obey(vmc, "end lf") is None
        assert obey(vmc, "delay 5") is None
        assert (vmc.manner.end, vmc.manner.delay_s) == ("\n", 0.005)
        assert obey(vmc, "patience 45") is None
        patience_s = [vmc.machine.model.max_wait_s]
        assert obey(vmc, "patience reader") is None
        assert [*patience_s, vmc.machine.model.max_wait_s] == [45, None]
        assert obey(vmc, "always-idle off") is None
        assert not vmc.machine.model.supports_always_idle
        assert obey(vmc, "noise 0") is None

    play(scene)


def test_power_and_plug_and_silence_by_hand() -> None:
    async def scene(vmc: SimulatedVmc, host: PtyHost) -> None:
        for line in ("deaf on", "mute on", "reset out"):
            assert obey(vmc, line) is None
        await vmc.until_status("ENABLED")
        host.send("V")
        for line in ("unplug", "deaf off", "mute off"):
            assert obey(vmc, line) is None
        await host.until(lambda: host.is_hung_up)
        assert host.seen == []
        assert obey(vmc, "again") is None
        assert obey(vmc, "state") == "reader UNPLUGGED; machine no reader; not configured"
        assert obey(vmc, "replug") is None
        assert obey(vmc, "power cut out") is None
        assert vmc.status == "UNPLUGGED"
        assert obey(vmc, "power on") is None
        assert obey(vmc, "state") == "reader OFF; machine no reader; not configured"
        with PtyHost(vmc.path) as again:
            await again.set_up()
            assert obey(vmc, "state") == f"reader ENABLED; machine ready; {' '.join(SETTINGS)}"

    play(scene)


@pytest.mark.parametrize(
    ("line", "answer"),
    [
        ("", None),
        ("# a comment", None),
        ("dance", "not a command; help lists them: "),
        ("cash now", "not a command; help lists them: "),
        ("power", "not a command; help lists them: "),
        ("select", "write: select PRICE [ITEM]"),
        ("select 1 2 3", "write: select PRICE [ITEM]"),
        ("select 1 65536", "write: select PRICE [ITEM]"),
        ("select 1 cola", "invalid literal for int() with base 10: 'cola'\nwrite: select PRICE [ITEM]"),
        ("dispense", "write: dispense ok|fail|jam|silent|empty [SECONDS]"),
        ("dispense lots", "'lots' is not a valid Outcome\nwrite: dispense ok"),
        ("dispense ok -1", "write: dispense"),
        ("reset in", "write: reset [out]"),
        ("mute", "write: mute on|off"),
        ("delay", "write: delay MS"),
        ("end tab", "write: end crlf|lf|cr"),
        ("help", "select PRICE [ITEM]"),
        ("books", "empty"),
    ],
)
def test_what_is_typed_wrongly_is_told_and_does_nothing(line: str, answer: str | None) -> None:
    vmc = SimulatedVmc(model=QUICK)
    said = obey(vmc, line)
    assert said == answer if answer is None else (said or "").startswith(answer)
    assert not vmc.notes


def test_help_names_everything() -> None:
    for command in COMMANDS:
        assert f"{command.words} {command.arguments}".rstrip() in help_text()


def test_a_script_waits_and_judges(capsys: pytest.CaptureFixture[str]) -> None:
    async def scene(vmc: SimulatedVmc, host: PtyHost) -> None:
        assert await converse(vmc, ["select 1.00 5", "until VEND", "sleep 0"]) == (True, True)
        host.send("C,VEND,1.00", "C,VEND,1.00")
        script = ["until ENDED 30", "until ENABLED", "books", "judge", "until VEND 0.01", "quit", "cancel"]
        assert await converse(vmc, script) == (False, False)
        assert await converse(vmc, ["until NOWHERE"]) == (True, True)

    play(scene)
    said = capsys.readouterr().out
    assert "vend 1: item 5 for 1.00: approved 1.00" in said
    assert "C,VEND,1.00\nnot VEND after 0.01 s: reader ENABLED; machine ready; " in said
    assert "not a command" in said
    assert "nothing to cancel" not in said


def test_options_become_the_machine_the_adapter_and_the_line() -> None:
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    assert help_text() in parser.format_help()
    options = (
        "--no-always-idle --patience 45 --at-limit reset --own-power --dispense fail --dispensing 7 --end lf --chunk 3"
    )
    vmc = machine_of(parser.parse_args(options.split()))
    model = vmc.machine.model
    assert (model.supports_always_idle, model.max_wait_s, model.at_max_wait) == (False, 45, "reset")
    assert (model.powers_adapter, model.outcome, model.dispensing_s) == (False, Outcome.FAIL, 7)
    assert (vmc.manner.end, vmc.manner.chunk) == ("\n", 3)


@pytest.mark.parametrize("is_ended_by_signal", [True, False])
def test_the_program_plays_its_script_then_what_is_typed(tmp_path: Path, *, is_ended_by_signal: bool) -> None:
    link, script = tmp_path / "vmc", tmp_path / "script"
    script.write_text("state\n# nothing yet\n")
    command = [sys.executable, "-c", PROGRAM, "--link", str(link), "--script", str(script), "--dispensing", "0"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stdout.readline() == f"adapter on {link}\n"
        assert str(link) in process.stdout.readline()
        fd = os.open(link, os.O_RDWR | os.O_NOCTTY)
        assert process.stdout.readline().startswith("reader OFF")
        os.write(fd, b"V\n")
        assert process.stdout.readline() == "> V\n"
        assert os.read(fd, 100) == b"v,4.0.2.0,0123456789abcdef\r\n"
        os.close(fd)
        if is_ended_by_signal:
            process.send_signal(signal.SIGTERM)
        else:
            process.stdin.write("judge\nquit\n")
            process.stdin.flush()
        assert process.wait(timeout=WAIT_S) == 0
    assert not link.is_symlink()


@pytest.mark.parametrize("broken", ["link", "script"])
def test_the_program_says_why_it_can_not_start(tmp_path: Path, broken: str) -> None:
    link = tmp_path / "vmc"
    if broken == "link":
        link.write_text("kept")
    arguments = ["--link", str(link), *(["--script", str(tmp_path / "none")] if broken == "script" else [])]
    result = subprocess.run(
        [sys.executable, "-c", PROGRAM, *arguments], check=False, capture_output=True, text=True, timeout=WAIT_S
    )
    assert result.returncode == 1
    assert result.stderr.startswith("simulate vmc: ")
