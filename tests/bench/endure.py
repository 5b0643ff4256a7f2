"""``python -m tests.bench.endure``: whether anything grows in a daemon that sells and sells.

The real daemon sells at a steady rate on a line, with a host that follows its events; some customers hesitate, some
hosts cancel, some money goes back. It is looked at before each sale. Exit code 1 when descriptors or threads grow, or
memory and the journal's log by more than :mod:`tests.bench.verdict` names.
"""

import argparse
import contextlib
import sys
import tempfile
import threading
import time
from pathlib import Path

import httpx

from tests.bench import processes
from tests.bench.terminal import pause, payment_code
from tests.bench.verdict import Sample, growth
from tests.system.rig import PATIENCE_S, Bench, bench

#: Every so many sales something else than a good payment happens.
HESITANT_EACH, CANCELED_EACH, REFUNDED_EACH = 7, 11, 13
#: A wallet whose customer takes half a minute to confirm: the host cancels before.
HESITANT = "11"


def _look(terminal: Bench, pid: int, sales: int) -> Sample:
    journal = terminal.directory / "state" / "journal.db"
    log = journal.with_name("journal.db-wal")
    return Sample(
        sales=sales,
        resident_mb=processes.memory_mb(pid)[0],
        descriptors=_descriptors(pid, journal),
        threads=processes.threads(pid),
        log_mb=log.stat().st_size / 1e6 if log.exists() else 0.0,
        journal_mb=journal.stat().st_size / 1e6,
    )


def _descriptors(pid: int, journal: Path) -> int:
    """Return how many are open, without the one that SQLite keeps of a reader that has ended (the first weekly copy).

    Closing it would drop the locks of the connection that writes; the next reader gets it (SQLite, os_unix.c). So there
    is one at most, and a second one counts.
    """
    opened = list[Path]()
    for file in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # closed meanwhile
            opened.append(file.readlink())
    return len(opened) - (opened.count(journal) > 1)


def _sell(terminal: Bench, number: int) -> None:
    reference = f"endure-{number}"
    opened = terminal.open_sale(reference)
    if opened.status_code != httpx.codes.CREATED:
        raise AssertionError(opened.text)
    if number % CANCELED_EACH == 0:
        terminal.api.post(f"/v1/sales/{reference}/cancel", json={}).raise_for_status()
        return
    code = payment_code(number)
    if number % HESITANT_EACH == 0:
        terminal.api.post(f"/v1/sales/{reference}/payment-code", json={"code": code[:-2] + HESITANT})
        terminal.wait(lambda: len(terminal.sale(reference).attempts) == 1, "an attempt")
        terminal.api.post(f"/v1/sales/{reference}/cancel", json={})
        terminal.wait_state(reference, "canceled", "completed")
        return
    pause(0.06)
    terminal.scanner.send(code.encode() + b"\r")
    terminal.wait_state(reference, "completed")
    if number % REFUNDED_EACH == 0:
        refund = {"reference": f"back-{number}", "amount": 100}
        terminal.api.post(f"/v1/sales/{reference}/refunds", json=refund).raise_for_status()


def _follow(terminal: Bench, seen: list[int]) -> None:
    transport = httpx.HTTPTransport(uds=str(terminal.directory / "api.sock"))
    with (
        contextlib.suppress(httpx.TransportError),  # it ends with the daemon
        httpx.Client(transport=transport, base_url="http://terminald", timeout=PATIENCE_S) as client,
        client.stream("GET", "/v1/events") as events,
    ):
        for _ in events.iter_lines():
            seen[0] += 1


def _show(sample: Sample) -> None:
    sys.stdout.write(
        f"{sample.sales:8} sales  {sample.resident_mb:6.1f} MB resident  {sample.descriptors:3} descriptors "
        f"{sample.threads:3} threads  {sample.log_mb:5.1f} MB log  {sample.journal_mb:6.1f} MB journal\n"
    )
    sys.stdout.flush()


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.endure", description=__doc__.partition("\n")[0])
    parser.add_argument("--minutes", type=float, default=30.0, help="how long (%(default)s)")
    parser.add_argument("--rate", type=float, default=1.0, help="sales a second (%(default)s)")
    parser.add_argument("--directory", type=Path, default=Path("/var/tmp"), help="on the disk to use")  # noqa: S108 - a default that anybody may change
    arguments = parser.parse_args()
    samples, seen, late = list[Sample](), [0], 0
    with (
        tempfile.TemporaryDirectory(dir=arguments.directory, prefix="terminald-endure-") as directory,
        bench(Path(directory)) as terminal,
    ):
        terminal.start()
        terminal.wait_ready()
        if terminal.daemon is None:
            raise AssertionError("not started")
        threading.Thread(target=_follow, args=(terminal, seen), daemon=True).start()
        began = time.monotonic()
        for number in range(1, int(arguments.minutes * 60 * arguments.rate) + 1):
            _sell(terminal, number)
            ahead = began + number / arguments.rate - time.monotonic()
            late += ahead < 0
            pause(max(0.0, ahead))
            samples.append(_look(terminal, terminal.daemon.pid, number))
            if number % max(1, int(60 * arguments.rate)) == 0:
                _show(samples[-1])
        minutes = (time.monotonic() - began) / 60
    found = growth(samples)
    sys.stdout.write(f"{minutes:.1f} min, {seen[0]} lines of events heard, {late} sales took longer than their turn\n")
    sys.stdout.writelines(f"{what}\n" for what in found or ["nothing grew"])
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
