"""A kiosk without a host application: the real daemon, the simulated gateway and scanner, and a command."""

import json
import select
import stat

import msgspec
import pytest

from terminald.wire.api_kiosk import SoldSale
from tests.system.rig import Bench, Sale

pytestmark = pytest.mark.system

GOOD = "130000000000000099"

FIXED = """\
[kiosk]
mode = "fixed"
amount = 500
subject = "Laundry"
pause = "300ms"
"""
COMMAND = """\
action = "command"
[kiosk.command]
argv = ["{script}", "--lane", "2"]
timeout = "{timeout}"
"""


def configure(terminal: Bench, text: str) -> None:
    terminal.config.write_text(terminal.config.read_text() + text)


def command(terminal: Bench, script: str, timeout: str = "5s") -> None:
    """Have this script run for every paid sale. It counts its runs, and keeps what it was given."""
    path = terminal.directory / "serve"
    path.write_text(f'#!/bin/sh\ncd {terminal.directory}\necho run "$@" >> runs\ncat > given\n{script}\n')
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    configure(terminal, FIXED + COMMAND.format(script=path, timeout=timeout))


def runs(terminal: Bench) -> list[str]:
    path = terminal.directory / "runs"
    return path.read_text().splitlines() if path.exists() else []


def sales(terminal: Bench) -> list[Sale]:
    found: list[dict[str, object]] = terminal.api.get("/v1/sales").json()["sales"]
    return [terminal.sale(str(one["id"])) for one in found]


def rest(seconds: float = 0.5) -> None:
    """Let the reader see no code for longer than the pause: nothing tells when that is over."""
    select.select([], [], [], seconds)


def start(terminal: Bench) -> None:
    """Start it, and wait until a code may pay: a kiosk rests after a start."""
    terminal.start()
    terminal.wait_ready()
    rest()


def pay(terminal: Bench, code: str) -> Sale:
    """Show a payment code, and return the sale that it has begun."""
    known = len(sales(terminal))
    terminal.scanner.scan(code, prefix="]Q1")
    terminal.wait(lambda: len(sales(terminal)) > known, "a sale")
    return sales(terminal)[0]


def test_a_code_pays_the_fixed_price_and_the_command_is_run_once_with_the_sale(terminal: Bench) -> None:
    command(terminal, "exit 0")
    start(terminal)
    sale = terminal.wait_state(pay(terminal, GOOD).id, "completed")
    assert (sale.amount, sale.paid) == (500, 500)
    assert runs(terminal) == ["run --lane 2"]
    given = msgspec.json.decode((terminal.directory / "given").read_bytes(), type=SoldSale)
    assert (given.id, given.state.value, given.paid, given.subject) == (sale.id, "paid", 500, "Laundry")
    assert json.loads((terminal.directory / "given").read_bytes())["goods"] == []
    assert terminal.books().kept == 500
    assert terminal.stop() == 0
