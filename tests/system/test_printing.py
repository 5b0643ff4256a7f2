"""The real daemon and a simulated printer on a pseudo terminal: what is on paper, and what the host was told of it."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

import pytest

from terminald.simulator.printer import SimulatedPrinter
from tests.system.rig import Bench
from tests.threaded_printer import ThreadedPrinter

pytestmark = pytest.mark.system

#: What the printer is sent before its first receipt at most: questions, and the end of a command that was broken off.
PREFACE = 260
GOOD = "130000000000000099"


@contextmanager
def printer_at(terminal: Bench) -> Iterator[ThreadedPrinter]:
    """Plug a slow printer in, and configure the terminal for it."""
    link = terminal.directory / "printer"
    there = f'driver = "file"\ndevice = "{terminal.directory}/receipts.bin"'
    serial = f'driver = "serial"\ndevice = "{link}"\nflow = "xonxoff"'
    config = terminal.config.read_text()
    assert there in config
    required = 'require = ["gateway", "scanner", "printer"]\nmin_free_disk_mb'
    terminal.config.write_text(config.replace(there, serial).replace("min_free_disk_mb", required))
    slow = partial(SimulatedPrinter, link=link, flow="xonxoff", bytes_per_second=300)
    with ThreadedPrinter(slow) as made:
        yield made


def sell(terminal: Bench, reference: str) -> None:
    assert terminal.open_sale(reference).status_code == 201
    terminal.scanner.scan(GOOD[:-3] + reference[-1] + GOOD[-2:])
    assert terminal.wait_state(reference, "completed").paid == 350


def test_paper_that_ends_in_mid_job_is_refilled_and_exactly_one_receipt_is_on_paper(terminal: Bench) -> None:
    """I8: the sale is complete all the while."""
    with printer_at(terminal) as made:
        terminal.start()
        terminal.wait_ready()
        sell(terminal, "order-1")
        terminal.wait(lambda: made.printer.received > PREFACE + 200, "the receipt is on its way")
        made.do(lambda: made.printer.set_paper(is_out=True))
        terminal.wait(lambda: terminal.sale("order-1").receipt == "blocked", "paper is out")
        terminal.wait(lambda: terminal.status().get("reasons") == ["paper_out"], "not ready")
        assert made.texts() == []
        assert terminal.sale("order-1").state == "completed"
        made.do(lambda: made.printer.set_paper(is_out=False))
        terminal.wait(lambda: terminal.sale("order-1").receipt == "printed", "printed after the refill")
        terminal.wait_ready()
        (receipt,) = made.texts()
        assert "Cola" in receipt
        assert "补打" not in receipt
        assert terminal.stop() == 0


def test_a_receipt_of_a_printer_without_paper_waits_for_it(terminal: Bench) -> None:
    with printer_at(terminal) as made:
        terminal.config.write_text(terminal.config.read_text().replace(', "printer"]', "]"))
        terminal.start()
        terminal.wait_ready()
        made.do(lambda: made.printer.set_paper(is_out=True))
        sell(terminal, "order-1")
        terminal.wait(lambda: terminal.sale("order-1").receipt == "blocked", "paper is out")
        devices = terminal.status()["devices"]
        assert isinstance(devices, list)
        printer = next(device for device in devices if device["name"] == "printer")
        assert (printer["state"], "new roll" in printer["detail"]) == ("faulty", True)
        made.do(lambda: made.printer.set_paper(is_out=False))
        terminal.wait(lambda: terminal.sale("order-1").receipt == "printed", "printed")
        (receipt,) = made.texts()
        assert "补打" not in receipt
        shown = terminal.terminald("receipt", "order-1", "--text")
        assert shown.returncode == 0
        assert "Cola" in shown.stdout
        assert terminal.stop() == 0


def test_a_printer_that_is_pulled_out_in_mid_receipt_changes_nothing_about_the_money(terminal: Bench) -> None:
    """I8: the sale is paid and complete all the while.

    The printer took all of the receipt. What it did with it while nobody could hear it is not known, and so it is not
    printed twice.
    """
    with printer_at(terminal) as made:
        terminal.start()
        terminal.wait_ready()
        sell(terminal, "order-1")
        before, kept = terminal.sale("order-1"), terminal.books().kept
        terminal.wait(lambda: made.printer.received > PREFACE + 200, "the receipt is on its way")
        made.do(made.printer.unplug)
        terminal.wait(lambda: terminal.sale("order-1").receipt == "blocked", "it is waited for")
        assert (terminal.sale("order-1").state, terminal.sale("order-1").paid) == ("completed", 350)
        made.do(made.printer.plug_in)
        terminal.wait(lambda: terminal.sale("order-1").receipt == "unverified", "told when it is back")
        after = terminal.sale("order-1")
        assert (after.state, after.paid, after.attempts) == (before.state, before.paid, before.attempts)
        assert terminal.books().kept == kept == 350
        assert sum("Cola" in text for text in made.texts()) <= 1
        assert terminal.stop() == 0
