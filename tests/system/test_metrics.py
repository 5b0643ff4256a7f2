"""The metrics of a running daemon: those that the rules and the dashboard ask for, in a form that collectors read."""

import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.every_metric import families
from tests.metric_files import Samples, expressions, read_samples, unknown_in
from tests.system.rig import Bench, bench
from tests.system.vending import PRICE, VendingMachine, configure

pytestmark = [pytest.mark.system, pytest.mark.timeout(180)]

#: Accepted at once.
PAID = "130000000000000000"
#: What depends on the configuration: the names of devices, and which kinds there are.
FREE = frozenset({"name", "kind"})
#: For anything but a scrape that waits for a disk or a network.
MOST_SCRAPE_S = 1.0


@pytest.fixture(scope="module")
def selling(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    """A terminal that has sold once."""
    with bench(tmp_path_factory.mktemp("metrics")) as made:
        made.start()
        made.wait_ready()
        made.open_sale("first")
        made.scanner.scan(PAID)
        made.wait_state("first", "completed")
        made.wait(lambda: made.sale("first").receipt == "unverified", "the receipt")
        yield made


def scrape(terminal: Bench) -> str:
    answer = terminal.api.get("/metrics")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    return answer.text


def value(samples: str, name: str) -> float:
    return float(next(line for line in samples.splitlines() if line.startswith(f"{name} ")).rpartition(" ")[2])


def test_rules_and_dashboard_ask_for_what_a_daemon_shows(selling: Bench) -> None:
    known: Samples = read_samples(scrape(selling))
    found = [(where, one) for where, expr in expressions() for one in unknown_in(expr, known, free=FREE)]
    assert found == []


def test_every_metric_is_shown_and_no_other(selling: Bench) -> None:
    shown = {line.split()[2] for line in scrape(selling).splitlines() if line.startswith("# TYPE")}
    assert shown == {family.name for family in families()}


def test_what_was_done_is_counted(selling: Bench) -> None:
    text = scrape(selling)
    assert value(text, 'terminald_sales_total{outcome="completed"}') == 1
    assert value(text, 'terminald_attempts_total{outcome="paid"}') == 1
    assert value(text, 'terminald_prints_total{outcome="unverified"}') == 1
    assert value(text, 'terminald_gateway_request_duration_seconds_count{call="pay"}') == 1
    assert value(text, "terminald_journal_commit_duration_seconds_count") > 5
    assert value(text, "terminald_process_resident_memory_bytes") > 10_000_000
    assert value(text, 'terminald_device_reconnects_total{name="front",kind="scanner"}') == 0


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not installed (Debian: package prometheus)")
def test_prometheus_reads_what_a_daemon_shows_and_the_command_prints(selling: Bench) -> None:
    printed = selling.terminald("metrics")
    assert printed.returncode == 0, printed.stderr
    assert read_samples(printed.stdout).keys() == read_samples(scrape(selling)).keys()
    for text in (scrape(selling), printed.stdout):
        done = subprocess.run(
            ["promtool", "check", "metrics"],  # noqa: S607 - wherever it is
            input=text.encode(),
            check=False,
            capture_output=True,
        )
        assert done.returncode == 0, done.stderr.decode()
        assert not done.stderr


def test_the_file_for_a_collector_is_what_the_daemon_shows(selling: Bench, tmp_path: Path) -> None:
    file = tmp_path / "terminald.prom"
    done = selling.terminald("metrics", "--out", str(file))
    assert done.returncode == 0, done.stderr
    assert read_samples(file.read_text()).keys() == read_samples(scrape(selling)).keys()
    assert file.stat().st_mode & 0o777 == 0o644


def test_a_scrape_is_quick(selling: Bench) -> None:
    began = time.monotonic()
    scrape(selling)
    assert time.monotonic() - began < MOST_SCRAPE_S


def test_a_vending_machine_is_seen_counted_and_timed(terminal: Bench) -> None:
    configure(terminal)
    with VendingMachine(terminal.directory / "vmc") as machine:
        terminal.start()
        terminal.wait(lambda: machine.status() == "ENABLED", "the reader on the bus")
        machine.do(f"select {PRICE} 5")
        terminal.wait(lambda: value(scrape(terminal), "terminald_sale_open") == 1, "the sale")
        terminal.scanner.scan(PAID)
        terminal.wait(lambda: value(scrape(terminal), 'terminald_vends_total{outcome="done"}') == 1, "the goods")
        text = scrape(terminal)
        assert value(text, "terminald_vend_approval_duration_seconds_count") == 1
        assert value(text, 'terminald_devices{name="snacks",kind="vmc",state="ready"}') == 1
        machine.do("unplug")
        terminal.wait(lambda: _is_away(terminal), "the adapter away")
        machine.do("replug")
        again = 'terminald_device_reconnects_total{name="snacks",kind="vmc"}'
        terminal.wait(lambda: value(scrape(terminal), again) == 1, "the adapter again")


def _is_away(terminal: Bench) -> bool:
    return value(scrape(terminal), 'terminald_devices{name="snacks",kind="vmc",state="absent"}') == 1
