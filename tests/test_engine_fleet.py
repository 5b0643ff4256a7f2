"""What the fleet's broker is told, when, and how much of it: on virtual time, with a broker that does as told."""

import asyncio
import json
import logging
import sqlite3
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from itertools import pairwise
from pathlib import Path

import pytest

from terminald.adapters.journal_fleet import read_page
from terminald.adapters.journal_sqlite import SqliteJournal
from terminald.adapters.ports import Batch, Entry
from terminald.adapters.ports_devices import DeviceReport, DeviceState
from terminald.adapters.ports_fleet import FleetMark, FleetSession, LoggedRow
from terminald.core.ids import Instant, SaleId, WallTime
from terminald.core.schedule import Now
from terminald.core.stimuli import Record
from terminald.engine_fleet import (
    CHUNK,
    MARK_EVERY_S,
    PAGE,
    PATIENCE_S,
    REFUSED_PAUSE_S,
    FleetCourier,
)
from terminald.engine_fleet_link import GOODBYE_S, LONGEST_WAIT_S, STATUS_LEAST_S, STATUS_MOST_S, FleetTerms
from terminald.errors import FleetError, FleetRefused, JournalUnavailable
from terminald.wire.fleet import About, FleetMessage, FleetVoice
from tests.engine_bench import CODE, Bench, engine_bench
from tests.simulation.virtual_time import run_virtually

JITTER_S = 30.0
RATE = 20


class Broker:
    """Takes what it is sent, and notes when. Implements the port and its session."""

    def __init__(self) -> None:
        self.taken: list[tuple[float, FleetMessage]] = []
        self.connected: list[float] = []
        #: Raised by the tries to connect that come next.
        self.closed_with: list[Exception] = []
        #: Asked about each message before it is taken; may raise.
        self.judge: Callable[[FleetMessage], None] = lambda _: None
        self.stalls = False
        self.max_payload = 100_000
        self.most_at_once = 0
        self._lost: asyncio.Future[None] | None = None

    @asynccontextmanager
    async def session(self, will: FleetMessage | None) -> AsyncIterator[FleetSession]:
        assert will is not None
        assert json.loads(will.payload)["reason"] == "lost"
        self.connected.append(asyncio.get_running_loop().time())
        if self.closed_with:
            raise self.closed_with.pop(0)
        self._lost = asyncio.get_running_loop().create_future()
        yield self

    async def deliver(self, messages: Sequence[FleetMessage]) -> None:
        self.most_at_once = max(self.most_at_once, len(messages))
        if self.stalls:
            await asyncio.Event().wait()
        await asyncio.sleep(0.05)
        for index, message in enumerate(messages):
            try:
                self.judge(message)
            except FleetRefused as exc:
                raise FleetRefused(index, exc.reason, exc.detail) from exc
            self.taken.append((asyncio.get_running_loop().time(), message))

    async def wait_lost(self) -> None:
        assert self._lost is not None
        await self._lost

    def lose(self, code: str = "lost") -> None:
        assert self._lost is not None
        self._lost.set_exception(FleetError(code, "as the test wants it"))

    def told(self, part: str) -> list[dict[str, object]]:
        return [json.loads(message.payload) for _, message in self.taken if f"/{part}" in message.topic]

    def seqs(self) -> list[object]:
        return [one["seq"] for one in self.told("events/")]


class Journal:
    """The real journal's pages, with a count."""

    def __init__(self, store: SqliteJournal) -> None:
        self._store = store
        self.pages: list[float] = []
        self.marks: list[int] = []
        self.is_broken = False

    async def page(self, seq: int, limit: int) -> tuple[LoggedRow, ...]:
        assert limit <= PAGE
        if self.is_broken:
            raise JournalUnavailable("the disk is gone")
        self.pages.append(asyncio.get_running_loop().time())
        return self._store.read(lambda connection: read_page(connection, seq, limit))

    async def put_mark(self, mark: FleetMark) -> None:
        if self.is_broken:
            raise JournalUnavailable("the disk is full")
        self.marks.append(mark.seq)


class Report:
    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self.broker = Broker()
        self.journal = Journal(bench.journal.store)
        self.chance = 1.0
        #: Where the history begins that the broker does not know.
        self.start = bench.engine.last_seq
        self._task: asyncio.Task[None] | None = None

    def log(self, count: int, *, topic: str = "sale", size: int = 1) -> None:
        """Log events as if there had been time for it."""
        now = Now(instant=Instant(0), wall=WallTime(0), is_trusted=True)
        record = Record(kind="sale", subject="s", sale_id=SaleId("s"), cause="Test", before="", after="")
        body = b'"%b"' % (b"x" * size) if topic else b""
        entries = tuple(Entry(record=record, topic=topic, body=body) for _ in range(count))
        self.bench.engine.last_seq = self.bench.journal.store.commit(Batch(now=now, entries=entries))

    def delete(self, first: int, last: int) -> None:
        def work(connection: sqlite3.Connection) -> None:
            connection.execute("DELETE FROM events WHERE seq BETWEEN ? AND ?", (first, last))

        self.bench.journal.store.write("pruning", work)

    def begin(self) -> None:
        about = About(name="t", label="t", device_id="t", terminal_sn="t", version="0", log="l")
        courier = FleetCourier(
            self.bench.engine,
            self.bench.desk.status,
            broker=self.broker,
            journal=self.journal,
            voice=FleetVoice(root="terminald/t", about=about),
            mark=FleetMark(log="l", seq=self.start),
            terms=FleetTerms(jitter_s=JITTER_S, max_rate=RATE),
            jitter=lambda: self.chance,
        )
        self._task = asyncio.create_task(courier.run())

    async def end(self) -> None:
        assert self._task is not None
        assert not self._task.done()
        self._task.cancel()
        with suppress(asyncio.CancelledError):
            await self._task
        self._task = None


@asynccontextmanager
async def reporting(tmp_path: Path) -> AsyncIterator[Report]:
    async with engine_bench(tmp_path / "journal.db") as bench:
        yield Report(bench)


def test_what_was_logged_long_ago_is_told_in_pages_at_the_rate_that_is_allowed(tmp_path: Path) -> None:
    async def live() -> None:
        async with reporting(tmp_path) as report:
            report.log(600)
            report.begin()
            await asyncio.sleep(JITTER_S)
            broker = report.broker
            await asyncio.sleep(15)
            assert len(broker.seqs()) <= 15 * RATE + CHUNK
            await asyncio.sleep(30)
            assert broker.seqs() == list(range(report.start + 1, report.start + 601))
            assert broker.most_at_once <= CHUNK
            await report.end()

    run_virtually(live())


def test_the_mark_is_seldom_written_and_at_the_end(tmp_path: Path) -> None:
    async def live() -> None:
        async with reporting(tmp_path) as report:
            report.begin()
            await asyncio.sleep(JITTER_S)
            for _ in range(600):
                report.log(1)
                report.bench.engine._announce()
                await asyncio.sleep(1)
            assert len(report.broker.seqs()) >= 599
            assert 9 <= len(report.journal.marks) <= 600 / MARK_EVERY_S + 1
            await report.end()
            assert report.journal.marks[-1] == report.bench.engine.last_seq
            assert report.journal.marks == sorted(report.journal.marks)
            marks = len(report.journal.marks)
            report.start = report.journal.marks[-1]
            report.begin()
            await asyncio.sleep(300)
            await report.end()
            assert len(report.journal.marks) == marks, "nothing new, nothing written"

    run_virtually(live())


@pytest.mark.parametrize("deleted", [(1, 3), (1, 10), (4, 6), (8, 10)], ids=["first", "all", "middle", "last"])
def test_what_is_not_in_the_log_any_more_is_a_gap(deleted: tuple[int, int], tmp_path: Path) -> None:
    async def live() -> None:
        async with reporting(tmp_path) as report:
            report.log(10)
            first, last = (report.start + number for number in deleted)
            report.delete(first, last)
            report.begin()
            await asyncio.sleep(2 * JITTER_S)
            assert [one["data"] for one in report.broker.told("events/gap")] == [{"from": first, "to": last}]
            rest = [seq for seq in range(report.start + 1, report.start + 11) if not first <= seq <= last]
            assert [seq for seq in report.broker.seqs() if seq != last] == rest
            report.log(1)
            report.bench.engine._announce()
            await asyncio.sleep(5)
            assert report.broker.seqs()[-1] == report.start + 11
            await report.end()

    run_virtually(live())


def test_rows_that_are_not_public_are_passed_over_without_a_gap(tmp_path: Path) -> None:
    async def live() -> None:
        async with reporting(tmp_path) as report:
            report.log(3)
            report.log(120, topic="")
            report.log(1)
            report.begin()
            await asyncio.sleep(2 * JITTER_S)
            assert report.broker.seqs() == [report.start + number for number in (1, 2, 3, 124)]
            await report.end()
            assert report.journal.marks[-1] == report.bench.engine.last_seq

    run_virtually(live())


def test_a_broker_that_does_not_allow_it_is_asked_again_and_nothing_is_skipped(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(message: FleetMessage) -> None:
        if "/events/" in message.topic:
            raise FleetRefused(0, 0x87, "Not authorized")

    async def live() -> None:
        async with reporting(tmp_path) as report:
            report.log(5)
            report.broker.judge = refuse
            report.begin()
            await asyncio.sleep(JITTER_S + 10 * REFUSED_PAUSE_S)
            assert report.broker.seqs() == []
            assert len(report.broker.told("status")) >= 1, "the status is told all the same"
            assert len(report.broker.connected) == 1
            report.broker.judge = lambda _: None
            await asyncio.sleep(2 * REFUSED_PAUSE_S)
            assert report.broker.seqs() == [report.start + number for number in range(1, 6)]
            await report.end()

    with caplog.at_level(logging.INFO, "terminald"):
        run_virtually(live())
    assert sum(record.levelno == logging.WARNING for record in caplog.records) == 1


@pytest.mark.parametrize("how", ["known before", "refused", "breaks the connection"])
def test_an_event_that_is_too_large_leaves_its_number_and_does_not_stop_the_others(how: str, tmp_path: Path) -> None:
    async def live() -> None:
        async with reporting(tmp_path) as report:
            broker = report.broker

            def judge(message: FleetMessage) -> None:
                if len(message.payload) > 5_000 and how == "refused":
                    raise FleetRefused(0, 0x95, "Packet too large")
                if len(message.payload) > 5_000:
                    raise FleetError("protocol", "the connection has ended")

            if how == "known before":
                broker.max_payload = 5_000
            broker.judge = judge
            report.log(3)
            report.log(1, size=6_000)
            report.log(3)
            report.begin()
            await asyncio.sleep(3600 * 2)
            seqs = broker.seqs()
            assert sorted(set(map(str, seqs))) == sorted(str(report.start + number) for number in range(1, 8))
            assert seqs[-3:] == [report.start + number for number in (5, 6, 7)]
            (stub,) = (one for one in broker.told("events/") if one.get("omitted"))
            assert (stub["seq"], stub["data"]) == (report.start + 4, None)
            await report.end()

    run_virtually(live())


def test_a_link_that_breaks_does_not_make_an_event_too_large(tmp_path: Path) -> None:
    async def live() -> None:
        async with reporting(tmp_path) as report:
            broker, failures = report.broker, iter(range(12))

            def judge(message: FleetMessage) -> None:
                if "/events/" in message.topic and next(failures, None) is not None:
                    raise FleetError("lost", "the connection has ended")

            broker.judge = judge
            report.log(1)
            report.begin()
            await asyncio.sleep(3600 * 4)
            assert [one["data"] for one in broker.told("events/")] == ["x"]
            await report.end()

    run_virtually(live())


def test_a_status_at_which_a_connection_ends_does_not_cost_an_event(tmp_path: Path) -> None:
    def judge(message: FleetMessage) -> None:
        if "/status" in message.topic:
            raise FleetError("protocol", "the connection has ended")

    async def live() -> None:
        async with reporting(tmp_path) as report:
            report.broker.judge = judge
            report.log(3)
            report.begin()
            await asyncio.sleep(3600)
            report.broker.judge = lambda _: None
            await asyncio.sleep(3600)
            assert [one["data"] for one in report.broker.told("events/")] == ["x"] * 3
            await report.end()

    run_virtually(live())


def test_a_status_that_is_too_large_is_left_out(tmp_path: Path) -> None:
    async def live() -> None:
        async with reporting(tmp_path) as report:
            report.broker.max_payload = 200
            report.log(3)
            report.begin()
            await asyncio.sleep(2 * JITTER_S)
            assert len(report.broker.told("events/")) == 3
            assert report.broker.told("status") == []
            await report.end()

    run_virtually(live())


def test_tries_to_connect_are_spread_and_become_rare(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async def live() -> None:
        async with reporting(tmp_path) as report:
            broker = report.broker
            broker.closed_with = [FleetError("unreachable", "refused")] * 8
            report.begin()
            await asyncio.sleep(3600)
            assert [round(at) for at in broker.connected[:7]] == [30, 90, 210, 450, 930, 1530, 2130]
            assert max(after - before for before, after in pairwise(broker.connected)) < LONGEST_WAIT_S + 1
            await asyncio.sleep(2 * LONGEST_WAIT_S)
            assert broker.told("online")[-1]["online"] is True
            # A connection that lasted is come back to soon, by chance within the jitter.
            report.chance = 0.5
            began = asyncio.get_running_loop().time()
            broker.lose()
            await asyncio.sleep(JITTER_S)
            assert broker.connected[-1] - began == pytest.approx(JITTER_S / 2, abs=0.1)
            await report.end()

    with caplog.at_level(logging.INFO, "terminald"):
        run_virtually(live())
    told = [record.__dict__["fields"]["reason"] for record in caplog.records if "broker" in record.getMessage()]
    assert told == ["unreachable", "unreachable", "lost", "lost"], "each cause once, and its end"


def test_two_of_one_name_do_not_chase_each_other_for_ever(tmp_path: Path) -> None:
    """Connections that end soon are no success: each comes back later than the last time."""

    async def live() -> None:
        async with reporting(tmp_path) as report:
            report.begin()
            for _ in range(4 * 3600):
                await asyncio.sleep(1)
                if report.broker._lost is not None and not report.broker._lost.done():
                    report.broker.lose("taken_over")
            assert len(report.broker.connected) < 32
            await report.end()

    run_virtually(live())


def test_history_waits_while_somebody_is_served_and_not_for_ever(tmp_path: Path) -> None:
    async def live() -> None:
        async with reporting(tmp_path) as report:
            report.log(PAGE * 4)
            await report.bench.open()
            report.begin()
            await asyncio.sleep(JITTER_S + 2 * PATIENCE_S - 1)
            assert len(report.journal.pages) == 1
            await asyncio.sleep(4 * PATIENCE_S)
            assert len(report.journal.pages) >= 4, "a terminal that is never quiet is heard of as well"
            await report.end()

    run_virtually(live())


def test_the_mark_is_not_written_while_somebody_is_served(tmp_path: Path) -> None:
    async def live() -> None:
        async with reporting(tmp_path) as report:
            report.log(3)
            report.begin()
            await asyncio.sleep(JITTER_S + 5)
            assert len(report.broker.seqs()) == 3
            await report.bench.open()
            await asyncio.sleep(MARK_EVERY_S + 10)
            assert report.journal.marks == []
            await report.bench.desk.cancel("order")
            await asyncio.sleep(1)
            assert len(report.journal.marks) == 1
            await report.end()

    run_virtually(live())


def test_what_happens_now_is_told_at_once_also_during_a_sale(tmp_path: Path) -> None:
    async def live() -> None:
        async with reporting(tmp_path) as report:
            report.begin()
            await asyncio.sleep(2 * JITTER_S)
            known = len(report.broker.seqs())
            await report.bench.open()
            await report.bench.desk.present_code("order", CODE)
            await asyncio.sleep(1)
            states = [one["data"] for one in report.broker.told("events/sale")]
            assert len(report.broker.seqs()) > known
            assert isinstance(states[-1], dict)
            assert states[-1]["state"] == "processing"
            assert CODE not in json.dumps(states)
            await report.end()

    run_virtually(live())


def test_a_fault_of_the_library_ends_a_connection_and_nothing_else(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def live() -> None:
        async with reporting(tmp_path) as report:
            report.broker.closed_with = [KeyError("a bug of somebody")]
            report.begin()
            await asyncio.sleep(4 * JITTER_S)
            assert report.broker.told("online")[-1]["online"] is True
            await report.end()

    run_virtually(live())
    assert "failed unforeseen" in caplog.text


def test_a_journal_that_can_not_be_read_or_written_is_waited_for(tmp_path: Path) -> None:
    async def live() -> None:
        async with reporting(tmp_path) as report:
            report.log(3)
            report.journal.is_broken = True
            report.begin()
            await asyncio.sleep(2 * JITTER_S)
            assert report.broker.seqs() == []
            report.journal.is_broken = False
            await asyncio.sleep(10)
            assert len(report.broker.seqs()) == 3
            report.journal.is_broken = True
            await asyncio.sleep(3 * MARK_EVERY_S)
            report.journal.is_broken = False
            await asyncio.sleep(2 * MARK_EVERY_S)
            assert report.journal.marks == [report.bench.engine.last_seq]
            await report.end()

    run_virtually(live())


def test_the_status_is_told_when_it_changes_and_not_too_often(tmp_path: Path) -> None:
    async def live() -> None:
        async with reporting(tmp_path) as report:
            report.begin()
            await asyncio.sleep(2 * JITTER_S)
            broker = report.broker
            before = len(broker.told("status"))
            await asyncio.sleep(STATUS_MOST_S / 2)
            assert len(broker.told("status")) == before, "its age and the uptime are no change"
            await asyncio.sleep(STATUS_MOST_S)
            assert len(broker.told("status")) == before + 1
            for number in range(200):
                report.bench.engine.note_device(
                    DeviceReport(name="p", kind="printer", state=DeviceState.READY, detail=str(number))
                )
                await asyncio.sleep(0.1)
            assert len(broker.told("status")) - before - 1 <= 20 / STATUS_LEAST_S + 1
            await asyncio.sleep(2 * STATUS_LEAST_S)
            assert '"detail": "199"' in json.dumps(broker.told("status")[-1])
            await report.end()

    run_virtually(live())


def test_the_end_is_told_and_a_broker_that_stalls_does_not_hold_it_up(tmp_path: Path) -> None:
    async def live() -> None:
        async with reporting(tmp_path) as report:
            loop = asyncio.get_running_loop()
            report.begin()
            await asyncio.sleep(2 * JITTER_S)
            await report.end()
            assert report.broker.told("online")[-1] | {"since": ""} == {
                "online": False, "version": "0", "since": "", "reason": "stopped",
            }  # fmt: skip
            report.begin()
            await asyncio.sleep(2 * JITTER_S)
            report.broker.stalls = True
            began = loop.time()
            await report.end()
            assert loop.time() - began <= GOODBYE_S + 0.1

    run_virtually(live())
