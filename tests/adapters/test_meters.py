"""What is counted and measured while the process lives, each at the place where it happens."""

import asyncio
import sqlite3
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from terminald.adapters.device_meter import DeviceMeter
from terminald.adapters.gateway_http import HttpGateway
from terminald.adapters.gateway_meter import BOUNDS_S, CALLS, CLASSES
from terminald.adapters.journal_meter import MeteredJournal
from terminald.adapters.journal_thread import JournalThread
from terminald.adapters.machine_look import disk_figures, process_figures
from terminald.adapters.meters import OTHER, Counter, Stopwatch
from terminald.adapters.ports import Batch
from terminald.adapters.supervisor import supervise
from terminald.core.commands import GatewayCommand
from terminald.errors import DeviceLost, DeviceMissing, JournalUnavailable
from terminald.wire import upay_requests
from terminald.wire.metrics import Family
from tests.adapters.gateway_orders import ABSENT, ILLEGAL_SIGN, PAID, PAY, QUERY, free_port, gateway_at
from tests.adapters.raw_gateway import Act, hangs, raw_gateway, resets, says
from tests.core.machine_builders import NOON


def values(families: Iterable[Family]) -> dict[tuple[str, str], float]:
    """Return the numbers by the name with its suffix, and the values of the labels."""
    return {
        (family.name + one.suffix, ",".join(value for _, value in one.labels)): one.value
        for family in families
        for one in family.samples
    }


# --- counters and stopwatches ----------------------------------------------------------------------------------------


def test_every_known_word_is_there_from_the_start() -> None:
    counter = Counter("x_total", "About.", "reason", ("a", "b"))
    assert values([counter.family()]) == {("x_total", "a"): 0, ("x_total", "b"): 0}
    counter.add("b")
    counter.add("b")
    assert values([counter.family()]) == {("x_total", "a"): 0, ("x_total", "b"): 2}
    assert counter.family().kind == "counter"


def test_an_unknown_word_makes_no_label_of_its_own() -> None:
    """Labels are bounded, whatever comes from outside."""
    open_ended, closed = Counter("x", "", "w", ("a", OTHER)), Counter("x", "", "w", ("a",))
    for counter in (open_ended, closed):
        counter.add("never heard of")
    assert values([open_ended.family()]) == {("x", "a"): 0, ("x", OTHER): 1}
    assert values([closed.family()]) == {("x", "a"): 0}


def test_a_counter_without_a_label_is_one_number() -> None:
    counter = Counter("x_total", "About.")
    counter.add()
    assert values([counter.family()]) == {("x_total", ""): 1}


def test_a_stopwatch_shows_the_words_that_it_has_seen() -> None:
    watch = Stopwatch("x_seconds", "About.", (1, 2), "call", ("a", "b"))
    assert watch.family().samples == ()
    watch.note(2, "b")
    watch.note(2.5, "b")
    assert values([watch.family()]) == {
        ("x_seconds_bucket", "b,1"): 0,
        ("x_seconds_bucket", "b,2"): 1,
        ("x_seconds_bucket", "b,+Inf"): 2,
        ("x_seconds_sum", "b"): 4.5,
        ("x_seconds_count", "b"): 2,
    }


@given(st.lists(st.floats(min_value=0, max_value=100)), st.lists(st.integers(0, 99), min_size=1, unique=True))
def test_each_bucket_has_what_took_no_longer_than_its_bound(took: list[float], bounds: list[int]) -> None:
    bounds.sort()
    watch = Stopwatch("x", "", bounds)
    for one in took:
        watch.note(one)
    found = values([watch.family()])
    for bound in bounds:
        assert found["x_bucket", str(bound)] == sum(one <= bound for one in took)
    assert found["x_bucket", "+Inf"] == found["x_count", ""] == len(took)
    assert found["x_sum", ""] == pytest.approx(sum(took))


# --- the gateway -----------------------------------------------------------------------------------------------------


def asked(*acts: Act, commands: tuple[GatewayCommand, ...], read_s: float = 5.0) -> dict[tuple[str, str], float]:
    """Perform commands against a server that does these acts, and return what was measured."""

    async def run() -> HttpGateway:
        async with raw_gateway(*acts) as server:
            gateway = gateway_at(server.url, read_s=read_s)
            for command in commands:
                await gateway.perform(command)
            await gateway.aclose()
            return gateway

    return values(asyncio.run(run()).figures())


def errors(found: dict[tuple[str, str], float]) -> dict[str, float]:
    return {word: value for (name, word), value in found.items() if name.endswith("errors_total") and value}


def test_an_answer_is_timed_by_its_call() -> None:
    found = asked(says(PAID), says(ABSENT), says(ABSENT), commands=(PAY, QUERY, QUERY))
    name = "terminald_gateway_request_duration_seconds"
    assert (found[f"{name}_count", "pay"], found[f"{name}_count", "query"]) == (1, 2)
    assert found[f"{name}_bucket", f"query,{BOUNDS_S[-1]}"] == 2
    assert 0 < found[f"{name}_sum", "query"] < 5
    assert (f"{name}_count", "refund") not in found
    assert errors(found) == {}


@pytest.mark.parametrize(
    ("act", "word"),
    [
        (says(ILLEGAL_SIGN), "refused"),
        (
            says(b'{"result_code":"200","biz_response":{"result_code":"FAIL","error_code":"INVALID_TERMINAL"}}'),
            "refused",
        ),
        (says(b'{"result_code":"500","error_code":"UNKNOWN_SYSTEM_ERROR","error_message":"x"}'), "failed"),
        (says(b"<html>"), "unreadable"),
        (says(PAID, status="502 Bad Gateway"), "unreadable"),
        (resets(), "unanswered"),
        (hangs(), "unanswered"),
    ],
)
def test_what_comes_to_nothing_is_counted_by_how_far_it_came(act: Act, word: str) -> None:
    found = asked(act, commands=(PAY,), read_s=0.3)
    assert errors(found) == {word: 1}
    is_answered = word != "unanswered"
    assert found.get(("terminald_gateway_request_duration_seconds_count", "pay"), 0) == int(is_answered)


def test_a_request_that_never_left_is_counted_and_not_timed() -> None:
    async def run() -> HttpGateway:
        gateway = gateway_at(f"http://127.0.0.1:{free_port()}")
        await gateway.perform(PAY)
        await gateway.aclose()
        return gateway

    found = values(asyncio.run(run()).figures())
    assert errors(found) == {"not_sent": 1}
    assert {word for name, word in found if name.endswith("errors_total")} == set(CLASSES)


def test_a_declined_payment_is_no_error() -> None:
    declined = b'{"result_code":"200","biz_response":{"result_code":"PAY_FAIL","error_code":"X"}}'
    assert errors(asked(says(declined), commands=(PAY,))) == {}


def test_every_address_that_the_daemon_calls_has_a_name() -> None:
    paths = {value for name, value in vars(upay_requests).items() if name.endswith("_PATH")}
    assert set(CALLS) == paths - {upay_requests.ACTIVATE_PATH}


# --- the journal -----------------------------------------------------------------------------------------------------


def test_commits_are_timed_and_failures_counted(tmp_path: Path) -> None:
    file = tmp_path / "journal.db"

    async def run() -> dict[tuple[str, str], float]:
        store = MeteredJournal(file)
        journal = JournalThread(store)
        await journal.commit(Batch(now=NOON))
        await journal.commit(Batch(now=NOON))
        with closing(sqlite3.connect(file)) as other:
            other.execute("DROP TABLE sales")
            other.execute("DROP TABLE settings")
            with pytest.raises(JournalUnavailable):
                await journal.commit(Batch(now=NOON))
        found = values(store.meter.figures())
        await journal.aclose()
        return found

    found = asyncio.run(run())
    name = "terminald_journal_commit_duration_seconds"
    assert (found[f"{name}_count", ""], found[f"{name}_bucket", "10"]) == (2, 2)
    assert 0 < found[f"{name}_sum", ""] < 10
    assert found["terminald_journal_commit_failures_total", ""] == 1


# --- devices ---------------------------------------------------------------------------------------------------------


class Cable:
    """A scanner on a cable that comes off so many times, and then is gone."""

    name, kind, watched = "front", "scanner", (Path("/dev/front"),)

    def __init__(self, losses: int) -> None:
        self.left = losses
        self.gone = asyncio.Event()

    async def open(self) -> None:
        if not self.left:
            self.gone.set()
            raise DeviceMissing(self.name, "gone")

    async def run(self) -> None:
        self.left -= 1
        raise DeviceLost(self.name, "came off")

    async def close(self) -> None:
        pass


@pytest.mark.parametrize(("losses", "again"), [(0, 0), (1, 0), (7, 6)])
def test_each_opening_after_the_first_is_counted(losses: int, again: int) -> None:
    """Also those of a device that comes and goes so often that it is reported once."""

    async def run() -> dict[tuple[str, str], float]:
        meter, cable = DeviceMeter(), Cable(losses)
        device = meter.wrap(cable)
        assert (device.name, device.kind, device.watched) == (cable.name, cable.kind, cable.watched)

        async def hurry(_: float) -> None:
            await asyncio.sleep(0)

        task = asyncio.create_task(supervise(device, lambda _: None, jitter=lambda: 0.0, sleep=hurry))
        await cable.gone.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return values(meter.figures())

    assert asyncio.run(run()) == {("terminald_device_reconnects_total", "front,scanner"): again}


def test_a_device_that_takes_the_place_of_another_goes_on_with_its_name() -> None:
    """A reload exchanges the object; a counter goes down at a start alone."""
    meter = DeviceMeter()
    meter.wrap(Cable(0))
    for _ in range(3):
        meter.note_opened("front", "scanner")
    meter.wrap(Cable(0))
    assert values(meter.figures()) == {("terminald_device_reconnects_total", "front,scanner"): 2}


# --- the machine -----------------------------------------------------------------------------------------------------


def test_the_disk_and_the_journal_have_sizes(tmp_path: Path) -> None:
    (tmp_path / "journal.db").write_bytes(b"x" * 100)
    found = values(disk_figures(tmp_path))
    assert found["terminald_journal_size_bytes", "journal"] == 100
    assert ("terminald_journal_size_bytes", "log") not in found
    assert 0 <= found["terminald_disk_free_bytes", ""] <= found["terminald_disk_size_bytes", ""]


def test_what_can_not_be_read_is_missing(tmp_path: Path) -> None:
    assert values(disk_figures(tmp_path / "none")) == {}
    assert {name for name, _ in values(process_figures(tmp_path))} == {"terminald_process_cpu_seconds_total"}
    (tmp_path / "statm").write_text("")
    assert ("terminald_process_resident_memory_bytes", "") not in values(process_figures(tmp_path))


def test_a_process_uses_something() -> None:
    found = values(process_figures())
    assert 1_000_000 < found["terminald_process_resident_memory_bytes", ""] < 10_000_000_000
    assert found["terminald_process_open_fds", ""] >= 3
    assert found["terminald_process_threads", ""] >= 1
    assert found["terminald_process_cpu_seconds_total", ""] > 0
