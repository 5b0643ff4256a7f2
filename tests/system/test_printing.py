"""The real daemon and a simulated printer on a pseudo terminal: what is on paper, and what the host was told of it."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from terminald.simulator.printer import SimulatedPrinter
from tests.system.rig import Bench

pytestmark = pytest.mark.system

GOOD = "130000000000000099"


class ThreadedPrinter:
    """A simulated printer with an event loop of its own."""

    def __init__(self, link: Path) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self.printer = SimulatedPrinter(link=link, flow="xonxoff", bytes_per_second=300)

    def start(self) -> None:
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self.printer.__aenter__(), self._loop).result(10)

    def stop(self) -> None:
        asyncio.run_coroutine_threadsafe(self.printer.__aexit__(None, None, None), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    def do(self, what: Callable[[], None]) -> None:
        self._loop.call_soon_threadsafe(what)

    def texts(self) -> list[str]:
        return [sheet.text for sheet in list(self.printer.receipts)]


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
    made = ThreadedPrinter(link)
    made.start()
    try:
        yield made
    finally:
        made.stop()


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
        terminal.wait(lambda: made.printer.received > 200, "the receipt is on its way")
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
