"""Whether the loop stands still while a slow printer takes a receipt: how long a call takes beside it."""

import time
from functools import partial
from pathlib import Path

from terminald.simulator.printer import SimulatedPrinter
from tests.bench.table import Row, Section
from tests.bench.terminal import pause, payment_code
from tests.system.rig import Bench, bench
from tests.threaded_printer import ThreadedPrinter

#: A tenth of 9600 baud: 8 data bits, a start bit and a stop bit.
_BYTES_A_SECOND = 960
_BETWEEN_S = 0.01
_WARM_UPS = 20


def measure(directory: Path, *, calls: int) -> Section:
    """Print receipts one after the other, and ask for the status all the while; then ask with nothing to print."""
    directory.mkdir()
    link = directory / "printer"
    slow = partial(SimulatedPrinter, link=link, flow="xonxoff", bytes_per_second=_BYTES_A_SECOND)
    with bench(directory) as terminal, ThreadedPrinter(slow) as made:
        there = f'driver = "file"\ndevice = "{directory}/receipts.bin"'
        serial = f'driver = "serial"\ndevice = "{link}"\nbaudrate = 9600\nflow = "xonxoff"'
        terminal.config.write_text(terminal.config.read_text().replace(there, serial))
        terminal.start()
        terminal.wait_ready()
        _sell(terminal, 1)
        terminal.wait(lambda: terminal.sale("print-1").receipt == "printed", "a first receipt")
        for _ in range(_WARM_UPS):
            _call_ms(terminal)
        quiet = tuple(_call_ms(terminal) for _ in range(calls))
        received, busy, number = made.printer.received, list[float](), 1
        while len(busy) < calls:
            if terminal.sale(f"print-{number}").receipt == "printed":
                number += 1
                _sell(terminal, number)
            busy += [_call_ms(terminal) for _ in range(20)]
        received = made.printer.received - received
        terminal.stop()
    return Section(
        title="Printing: a call of the API while a serial printer takes receipts at 9600 baud",
        rows=(
            Row(name="a call, while it prints", values=tuple(busy), unit="ms"),
            Row(name="a call, nothing to print", values=quiet, unit="ms", role="beside", most=1.5, most_p99=3.0),
            Row(name="the longest stall of the loop, at most", values=(max(busy),), unit="ms"),
        ),
        notes=(
            f"{number - 1} receipts, {received:,} bytes taken meanwhile. What a printer takes, the loop hands over.",
        ),
    )


def _sell(terminal: Bench, number: int) -> None:
    reference = f"print-{number}"
    terminal.open_sale(reference).raise_for_status()
    code = {"code": payment_code(number)}
    terminal.api.post(f"/v1/sales/{reference}/payment-code", json=code).raise_for_status()
    terminal.wait_state(reference, "completed")


def _call_ms(terminal: Bench) -> float:
    pause(_BETWEEN_S)
    begin = time.monotonic_ns()
    terminal.api.get("/v1/status").raise_for_status()
    return (time.monotonic_ns() - begin) / 1e6
