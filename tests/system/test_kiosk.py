"""A kiosk without a host application: the real daemon, the simulated gateway and scanner, and a command."""

import json
import signal
import stat
from pathlib import Path

import pytest

from terminald.simulator.printer_paper import print_job
from tests.system.rig import Bench, Sale

pytestmark = pytest.mark.system

GOOD, OTHER, DECLINED = "130000000000000099", "130000000000000199", "130000000000000020"
WAITS_FOR_CUSTOMER = "130000000000000212"

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
CATALOGUE = """\
[kiosk]
mode = "catalogue"
pause = "100ms"
clear = "CLEAR-BASKET"
basket_window = "2s"
[[kiosk.product]]
barcode = "6901234567892"
name = "Cola 330ml"
price = 350
[[kiosk.product]]
barcode = "6901234567908"
name = "Crisps"
price = 600
"""


def configure(terminal: Bench, text: str) -> None:
    terminal.config.write_text(f"{terminal.config.read_text()}{text}")


def command(terminal: Bench, script: str, timeout: str = "5s") -> None:
    """Have this script run for every paid sale. It counts its runs, and keeps what it was given."""
    path = terminal.directory / "serve"
    heading = f'#!/bin/sh\ncd {terminal.directory}\necho run "$@" >> runs\ncat > given\n'
    path.write_text(f"{heading}{script}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    configure(terminal, FIXED + COMMAND.format(script=path, timeout=timeout))


def runs(terminal: Bench) -> list[str]:
    path = terminal.directory / "runs"
    return path.read_text().splitlines() if path.exists() else []


def sales(terminal: Bench) -> list[dict[str, object]]:
    found: list[dict[str, object]] = terminal.api.get("/v1/sales").json()["sales"]
    return found


def only_sale(terminal: Bench) -> Sale:
    (sale,) = sales(terminal)
    return terminal.sale(str(sale["id"]))


def events(terminal: Bench, topic: str) -> list[dict[str, object]]:
    """Return what was told so far; the stream goes on for ever, and is left at its sign of life."""
    done = terminal.terminald("events", "--since", "0", "--topic", topic, "--json")
    return [json.loads(line)["data"] for line in done.stdout.splitlines()]


def start(terminal: Bench) -> None:
    terminal.start()
    terminal.wait_ready()


def scan_until_sold(terminal: Bench, code: str, number: int = 1) -> None:
    """Hold a phone before the reader again and again: a kiosk rests after its start."""

    def is_sold() -> bool:
        if len(sales(terminal)) >= number:
            return True
        terminal.scanner.scan(code, prefix="]Q1")
        return False

    import time

    time.sleep(0.5)
    terminal.scanner.scan(code, prefix="]Q1")
    terminal.wait(lambda: len(sales(terminal)) >= number, "a sale")


def test_a_code_pays_the_fixed_price_and_the_command_is_run_once(terminal: Bench) -> None:
    command(terminal, "exit 0")
    start(terminal)
    scan_until_sold(terminal, GOOD)
    sale = only_sale(terminal)
    terminal.wait_state(sale.id, "completed")
    print(terminal.log.read_text())
    assert runs(terminal) == ["run --lane 2"]
    print((terminal.directory/"given").read_text())
    assert terminal.books().kept == 500
