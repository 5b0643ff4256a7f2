"""A kiosk without a host application: the real daemon, the simulated gateway and scanner, and a command."""

import json
import select
import signal
import sqlite3
import stat
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import msgspec
import pytest
from PIL import Image

from terminald.core.receipt import Line
from terminald.simulator.printer_paper import print_job
from terminald.wire.api_kiosk import SoldSale
from tests.drawn_text import is_drawn
from tests.system.rig import Bench, Sale

pytestmark = pytest.mark.system

GOOD, OTHER, DECLINED = "130000000000000099", "130000000000000199", "130000000000000020"
WAITS_FOR_CUSTOMER = "130000000000000212"
COLA, CRISPS = "6901234567892", "6901234567908"

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
CATALOGUE = f"""\
[kiosk]
mode = "catalogue"
pause = "300ms"
clear = "CLEAR-BASKET"
basket_window = "2s"
[[kiosk.product]]
barcode = "{COLA}"
name = "Cola 330ml"
price = 350
[[kiosk.product]]
barcode = "{CRISPS}"
name = "Crisps"
price = 600
"""


def configure(terminal: Bench, text: str) -> None:
    terminal.config.write_text(terminal.config.read_text() + text)


def command(terminal: Bench, script: str, *, timeout: str = "5s", on_overdue: str = "attention") -> None:
    """Have this script run for every paid sale. It counts its runs, and keeps what it was given."""
    path = terminal.directory / "serve"
    path.write_text(f'#!/bin/sh\ncd {terminal.directory}\necho run "$@" >> runs\ncat > given\n{script}\n')
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    configure(terminal, FIXED + COMMAND.format(script=path, timeout=timeout))
    settings = terminal.config.read_text().replace("[sale]\n", f'[sale]\non_overdue = "{on_overdue}"\n')
    terminal.config.write_text(settings)


def runs(terminal: Bench) -> list[str]:
    path = terminal.directory / "runs"
    return path.read_text().splitlines() if path.exists() else []


def sales(terminal: Bench) -> list[Sale]:
    """Return all sales, newest first."""
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


def start_to_die(terminal: Bench, when: str) -> None:
    """Start it so that it dies when the action is put on record."""
    line = [sys.executable, "-m", "tests.system.kiosk_killer", str(terminal.config), when]
    with terminal.log.open("ab") as log:
        terminal.daemon = subprocess.Popen(line, stdout=log, stderr=log)
    terminal.wait_ready()
    rest()


def show(terminal: Bench, text: str) -> None:
    terminal.scanner.scan(text, prefix="]Q1")


def pay(terminal: Bench, code: str) -> Sale:
    """Show a payment code, and return the sale that it has begun."""
    known = len(sales(terminal))
    show(terminal, code)
    terminal.wait(lambda: len(sales(terminal)) > known, "a sale")
    return sales(terminal)[0]


def events(terminal: Bench, topic: str) -> list[dict[str, object]]:
    """Return the bodies of what was told so far: the stream of events has no end to wait for."""
    with closing(sqlite3.connect(terminal.directory / "state" / "journal.db")) as journal:
        found = journal.execute("SELECT body FROM events WHERE topic = ? ORDER BY seq", (topic,)).fetchall()
    return [json.loads(body) for (body,) in found]


# --- a fixed price ---------------------------------------------------------------------------------------------------


def test_a_code_pays_the_fixed_price_and_the_command_is_run_once_with_the_sale(terminal: Bench) -> None:
    command(terminal, "exit 0")
    start(terminal)
    sale = terminal.wait_state(pay(terminal, GOOD).id, "completed")
    assert (sale.amount, sale.paid) == (500, 500)
    assert runs(terminal) == ["run --lane 2"]
    given = msgspec.json.decode((terminal.directory / "given").read_bytes(), type=SoldSale)
    assert (given.id, given.state.value, given.paid, given.subject) == (sale.id, "paid", 500, "Laundry")
    assert terminal.books().kept == 500
    assert terminal.stop() == 0


def test_a_phone_that_stays_before_the_reader_pays_once_also_after_a_restart(terminal: Bench) -> None:
    command(terminal, "exit 0")
    start(terminal)
    sale = pay(terminal, GOOD)
    for _ in range(5):
        show(terminal, GOOD)
        rest(0.1)
    terminal.wait_state(sale.id, "completed")
    rest()
    for code in (GOOD, OTHER):
        show(terminal, code)
        rest(0.1)
    assert terminal.stop() == 0
    start(terminal)
    show(terminal, GOOD)
    rest()
    assert [one.id for one in sales(terminal)] == [sale.id]
    assert (terminal.books().kept, len(terminal.books().orders), len(runs(terminal))) == (500, 1, 1)
    reasons = [one["reason"] for one in events(terminal, "scan")]
    assert set(reasons) >= {"still_there", "code_reused"}
    assert len(reasons) <= 5, "what is read again and again is told once"


def test_a_second_customer_waits_for_the_end_of_the_sale(terminal: Bench) -> None:
    terminal.configure(poll_window='"20s"')
    command(terminal, "exit 0")
    start(terminal)
    first = pay(terminal, WAITS_FOR_CUSTOMER)
    terminal.wait_state(first.id, "processing")
    show(terminal, OTHER)
    rest()
    assert len(sales(terminal)) == 1
    assert [(one["reason"], one["sale"]) for one in events(terminal, "scan")] == [("sale_open", first.id)]
    terminal.pay(terminal.sale(first.id))
    terminal.wait_state(first.id, "completed")
    rest()
    second = pay(terminal, OTHER)
    terminal.wait_state(second.id, "completed")
    assert (terminal.books().kept, len(runs(terminal))) == (1000, 2)


def test_a_declined_code_is_followed_by_another_one_in_the_same_sale(terminal: Bench) -> None:
    command(terminal, "exit 0")
    start(terminal)
    sale = pay(terminal, DECLINED)
    terminal.wait_state(sale.id, "awaiting_payment")
    terminal.wait(lambda: terminal.sale(sale.id).attempts[-1].outcome == "declined", "declined")
    show(terminal, OTHER)
    sale = terminal.wait_state(sale.id, "completed")
    assert [one.outcome for one in sale.attempts] == ["declined", "paid"]
    assert (terminal.books().kept, len(sales(terminal))) == (500, 1)


# --- an action that fails --------------------------------------------------------------------------------------------


def test_a_command_that_fails_gives_the_money_back(terminal: Bench) -> None:
    command(terminal, "exit 3")
    start(terminal)
    sale = pay(terminal, GOOD)
    terminal.wait_state(sale.id, "returned")
    assert (terminal.books().kept, terminal.books().orders[0].paid, len(runs(terminal))) == (0, 500, 1)
    story = terminal.terminald("explain", sale.id).stdout
    assert "ended with exit code 3" in story
    assert terminal.stop() == 0


def test_a_command_that_hangs_is_killed_with_its_children_and_the_money_goes_back(terminal: Bench) -> None:
    command(terminal, "echo $$ > pids\nsleep 100 & echo $! >> pids\nwait", timeout="500ms")
    start(terminal)
    sale = pay(terminal, GOOD)
    terminal.wait_state(sale.id, "returned")
    for pid in (terminal.directory / "pids").read_text().split():
        assert not Path(f"/proc/{pid}/cmdline").exists() or not Path(f"/proc/{pid}/cmdline").read_bytes()
    assert terminal.books().kept == 0


def test_a_command_that_is_not_there_gives_the_money_back(terminal: Bench) -> None:
    command(terminal, "exit 0")
    (terminal.directory / "serve").unlink()
    start(terminal)
    terminal.wait_state(pay(terminal, GOOD).id, "returned")
    assert terminal.books().kept == 0


# --- SIGKILL ---------------------------------------------------------------------------------------------------------


def test_killed_between_payment_and_action_the_money_goes_back_and_nothing_is_run(terminal: Bench) -> None:
    """The payment is on disk, the mark of the action is not: it provably was not begun."""
    command(terminal, "exit 0")
    start_to_die(terminal, "before")
    show(terminal, GOOD)
    terminal.wait(lambda: not terminal.is_alive(), "dead")
    assert terminal.books().kept == 500
    start(terminal)
    (sale,) = sales(terminal)
    terminal.wait_state(sale.id, "returned")
    assert (terminal.books().kept, runs(terminal)) == (0, [])


@pytest.mark.parametrize(("on_overdue", "state", "kept"), [("attention", "paid", 500), ("return", "returned", 0)])
def test_killed_during_the_action_it_is_not_run_again_and_the_policy_decides(
    terminal: Bench, on_overdue: str, state: str, kept: int
) -> None:
    """What became of it nobody knows: here the gate was opened after the daemon had died."""
    command(terminal, "touch begun\nsleep 2\nexit 0", on_overdue=on_overdue)
    start(terminal)
    sale = pay(terminal, GOOD)
    terminal.wait((terminal.directory / "begun").exists, "begun")
    terminal.stop(signal.SIGKILL)
    start(terminal)
    terminal.wait_state(sale.id, state)
    shown = terminal.api.get(f"/v1/sales/{sale.id}").json()
    if state == "paid":
        terminal.wait(lambda: _attention(terminal, sale) == "delivery_overdue", "a person is called")
    assert (shown["paid"], terminal.books().kept, len(runs(terminal))) == (500, kept, 1)
    assert "1 of 1 steps at most" in terminal.terminald("explain", sale.id).stdout
    rest()
    other = pay(terminal, OTHER)
    terminal.wait_state(other.id, "completed")
    assert len(runs(terminal)) == 2


def _attention(terminal: Bench, sale: Sale) -> str:
    found = terminal.api.get(f"/v1/sales/{sale.id}").json()["attention"]
    return str(found["code"]) if found else ""


def test_killed_when_the_action_is_on_record_and_not_begun_it_is_not_run_either(terminal: Bench) -> None:
    """At most once: nobody can know that the mark was all."""
    command(terminal, "exit 0", on_overdue="return")
    start_to_die(terminal, "after")
    show(terminal, GOOD)
    terminal.wait(lambda: not terminal.is_alive(), "dead")
    start(terminal)
    (sale,) = sales(terminal)
    terminal.wait_state(sale.id, "returned")
    assert (terminal.books().kept, runs(terminal)) == (0, [])


def test_killed_while_the_code_is_with_the_gateway_a_payment_goes_back_unserved(terminal: Bench) -> None:
    terminal.configure(poll_window='"20s"')
    command(terminal, "exit 0")
    start(terminal)
    sale = pay(terminal, WAITS_FOR_CUSTOMER)
    terminal.wait_state(sale.id, "processing")
    terminal.stop(signal.SIGKILL)
    terminal.pay(sale if sale.attempts else terminal.sale(sale.id))
    start(terminal)
    terminal.wait_state(sale.id, "returned")
    assert (terminal.books().kept, runs(terminal)) == (0, [])


def test_a_stop_lets_the_action_end(terminal: Bench) -> None:
    command(terminal, "touch begun\nsleep 1\nexit 0")
    start(terminal)
    sale = pay(terminal, GOOD)
    terminal.wait((terminal.directory / "begun").exists, "begun")
    assert terminal.stop() == 0
    start(terminal)
    assert terminal.sale(sale.id).state == "completed"
    assert (terminal.books().kept, len(runs(terminal))) == (500, 1)


# --- a catalogue -----------------------------------------------------------------------------------------------------


def test_a_basket_is_paid_by_one_code_and_its_lines_are_on_the_receipt(terminal: Bench) -> None:
    configure(terminal, CATALOGUE)
    start(terminal)
    for barcode in (COLA, CRISPS, COLA):
        terminal.scanner.scan(barcode, prefix="]E0")
        rest(0.1)
    sale = terminal.wait_state(pay(terminal, GOOD).id, "completed")
    assert (sale.amount, sale.paid, terminal.books().kept) == (1300, 1300, 1300)
    terminal.wait(lambda: terminal.sale(sale.id).receipt == "unverified", "printed")
    (sheet,) = print_job((terminal.directory / "receipts.bin").read_bytes(), width_dots=384, encoding="gbk")
    lines = [line.strip() for line in sheet.text.splitlines()]
    assert any(line.startswith("Cola 330ml") and line.endswith("x2  7.00") for line in lines)
    assert any(line.startswith("Crisps") and line.endswith("6.00") for line in lines)
    assert "13.00" in sheet.text
    drawn = terminal.directory / "receipt.png"
    assert terminal.terminald("receipt", sale.id, "--png", str(drawn)).returncode == 0
    with Image.open(drawn) as picture:
        for paper in (sheet.draw(), picture):
            assert is_drawn(paper, Line(text="Cola 330ml              x2  7.00"))
            assert is_drawn(paper, Line(text="Crisps                      6.00"))
            assert is_drawn(paper, Line(text="￥13.00", align="center", bold=True, double=True))
            assert not is_drawn(paper, Line(text="￥13.50", align="center", bold=True, double=True))
    shown = terminal.terminald("receipt", sale.id, "--text").stdout
    assert "Cola 330ml" in shown
    causes = [(one["cause"], one["total"]) for one in events(terminal, "basket")]
    assert causes == [("added", 350), ("added", 950), ("added", 1300), ("ended", 0)]


def test_a_basket_is_cleared_by_its_barcode_and_by_time_and_what_is_unknown_is_announced(terminal: Bench) -> None:
    configure(terminal, CATALOGUE)
    start(terminal)
    for text in (COLA, "CLEAR-BASKET", "6900000000001", CRISPS):
        terminal.scanner.scan(text)
        rest(0.1)
    rest(2.2)
    show(terminal, GOOD)
    rest()
    assert sales(terminal) == []
    causes = [(one["cause"], one["total"]) for one in events(terminal, "basket")]
    assert causes == [("added", 350), ("cleared", 0), ("added", 600), ("expired", 0)]
    assert [one["reason"] for one in events(terminal, "scan")] == ["unknown_product", "basket_empty"]
    assert "no product has the barcode log_id=barcode_unknown detail=6900000000001" in terminal.log.read_text()


def test_check_says_that_a_machine_is_missing_and_the_daemon_is_not_ready_without_it(terminal: Bench) -> None:
    """There is no GPIO chip here: the terminal says so, and takes no money."""
    configure(terminal, FIXED + 'action = "gpio"\n[kiosk.gpio]\nchip = "no-such-chip"\nline = "GPIO17"\n')
    terminal.start()
    terminal.wait(lambda: terminal.status().get("reasons") == ["output_absent"], "not ready")
    show(terminal, GOOD)
    rest()
    assert sales(terminal) == []
    shown = terminal.terminald("status").stdout
    assert "no GPIO chip has the label or name no-such-chip" in shown
