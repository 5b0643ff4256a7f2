"""A kiosk that sends pulses: the real daemon, with a GPIO chip that is a file in place of libgpiod's package."""

import os
import select
import signal
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest

from tests.system.rig import Bench, Sale

pytestmark = pytest.mark.system

GOOD, OTHER = "130000000000000099", "130000000000000199"
LIBRARY = Path(__file__).parent / "chip_in_a_file"
CONFIG = """\
[kiosk]
mode = "fixed"
amount = 500
pause = "300ms"
action = "gpio"
[kiosk.gpio]
chip = "{directory}/chip"
line = "GPIO17"
width = "{width}"
gap = "100ms"
pulse_value = 100
inhibit = "GPIO27"
"""


def configure(terminal: Bench, *, width: str = "50ms", on_overdue: str = "attention") -> None:
    """Configure five pulses; the input is pulled up, and so not active."""
    (terminal.directory / "chip.input").write_text("1")
    os.mkfifo(terminal.directory / "chip.edges")
    text = terminal.config.read_text().replace("[sale]\n", f'[sale]\non_overdue = "{on_overdue}"\n')
    terminal.config.write_text(text + CONFIG.format(directory=terminal.directory, width=width))


def start(terminal: Bench) -> None:
    line = [sys.executable, "-m", "terminald", "--config", str(terminal.config), "run"]
    with terminal.log.open("ab") as log:
        terminal.daemon = subprocess.Popen(line, stdout=log, stderr=log, env={**os.environ, "PYTHONPATH": str(LIBRARY)})


def start_and_rest(terminal: Bench) -> None:
    start(terminal)
    terminal.wait_ready()
    select.select([], [], [], 0.5)


def levels(terminal: Bench) -> list[tuple[float, str]]:
    """Return when the line went where."""
    lines = (line.split() for line in (terminal.directory / "chip").read_text().splitlines())
    return [(float(at), level) for at, name, level in lines if name == "GPIO17"]


def pulses(terminal: Bench) -> int:
    return [level for _, level in levels(terminal)].count("1")


def inhibit(terminal: Bench, *, is_on: bool) -> None:
    """Let the machine pull the line down, or let go of it."""
    (terminal.directory / "chip.input").write_text("0" if is_on else "1")
    edges = os.open(terminal.directory / "chip.edges", os.O_WRONLY)
    os.write(edges, b"e")
    os.close(edges)


def pay(terminal: Bench, code: str) -> Sale:
    known = terminal.api.get("/v1/sales").json()["sales"]
    terminal.scanner.scan(code, prefix="]Q1")
    terminal.wait(lambda: len(terminal.api.get("/v1/sales").json()["sales"]) > len(known), "a sale")
    return terminal.sale(str(terminal.api.get("/v1/sales").json()["sales"][0]["id"]))


def test_a_sale_is_told_by_as_many_pulses_as_it_is_worth(terminal: Bench) -> None:
    configure(terminal)
    start_and_rest(terminal)
    assert [level for _, level in levels(terminal)] == ["0"], "inactive from the start"
    terminal.wait_state(pay(terminal, GOOD).id, "completed")
    told = levels(terminal)[1:]
    assert [level for _, level in told] == ["1", "0"] * 5
    lengths = [after - before for (before, _), (after, _) in pairwise(told)]
    assert min(lengths[::2]) >= 0.05, "a pulse is never shorter"
    assert min(lengths[1::2]) >= 0.1, "nor is a gap"
    assert terminal.books().kept == 500
    assert terminal.stop() == 0


def test_while_the_machine_inhibits_no_money_is_taken(terminal: Bench) -> None:
    configure(terminal)
    start_and_rest(terminal)
    inhibit(terminal, is_on=True)
    terminal.wait(lambda: terminal.status().get("reasons") == ["inhibited"], "not ready")
    terminal.scanner.scan(GOOD, prefix="]Q1")
    select.select([], [], [], 0.5)
    assert terminal.books().orders == []
    inhibit(terminal, is_on=False)
    terminal.wait_ready()
    select.select([], [], [], 0.5)
    terminal.wait_state(pay(terminal, GOOD).id, "completed")
    assert pulses(terminal) == 5


@pytest.mark.parametrize(("on_overdue", "state", "kept"), [("attention", "paid", 500), ("return", "returned", 0)])
def test_killed_in_the_middle_of_the_pulses_none_is_sent_again_and_it_is_known_how_many_were_at_most(
    terminal: Bench, on_overdue: str, state: str, kept: int
) -> None:
    configure(terminal, width="500ms", on_overdue=on_overdue)
    start_and_rest(terminal)
    sale = pay(terminal, GOOD)
    terminal.wait(lambda: pulses(terminal) == 3, "the third pulse")
    terminal.stop(signal.SIGKILL)
    assert (pulses(terminal), levels(terminal)[-1][1]) == (3, "1"), "the line is left as it was"
    start_and_rest(terminal)
    terminal.wait_state(sale.id, state)
    terminal.wait(lambda: "3 of 5 steps at most" in terminal.terminald("explain", sale.id).stdout, "told")
    assert (terminal.books().kept, pulses(terminal), levels(terminal)[-1][1]) == (kept, 3, "0")
    other = pay(terminal, OTHER)
    terminal.wait_state(other.id, "completed")
    assert pulses(terminal) == 8
