"""The records of one sale are found among those of others: all of them, or it is said that some are missing."""

import asyncio
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from terminald.adapters.journal_sqlite import SqliteJournal
from terminald.adapters.ports import Batch, Entry
from terminald.adapters.ports_story import RecordPage
from terminald.core.book import Book, SaleView, view
from terminald.core.events import PayConfirmed
from terminald.core.ids import Instant, SaleId, WallTime
from terminald.core.schedule import DAY, HOUR, MINUTE, Now
from terminald.core.spool import JobState
from terminald.core.stimuli import NO_SALE, Record
from terminald.core.story_told import LoggedRecord
from terminald.engine_story import PIECE_ROWS, Limits, read_records
from terminald.errors import ApiError
from tests.core.machine_builders import NOON, SALE_ID, after
from tests.core.story_life import SaleStory
from tests.core.story_samples import STORIES, lost_answer, open_reversal, paid, refunded
from tests.engine_bench import CODE, engine_bench
from tests.simulation.inline_journal import InlineJournal

NOISE = Record(kind="device", subject="front", sale_id=NO_SALE, cause="DeviceChanged", before="", after="ready")


class Log(InlineJournal):
    """A journal that counts the pieces that are read of it."""

    pieces = 0
    longest = 0

    def note(self, now: Now, *records: Record) -> None:
        self.store.commit(Batch(now=now, entries=tuple(Entry(record=one, topic="", body=b"") for one in records)))

    async def records_of(self, seq: int, sale_id: SaleId, limit: int) -> RecordPage:
        self.pieces += 1
        self.longest = max(self.longest, limit)
        return await super().records_of(seq, sale_id, limit)


@pytest.fixture
def log(tmp_path: Path) -> Iterator[Log]:
    with closing(SqliteJournal(tmp_path / "journal.db")) as store:
        yield Log(store)


def moment(logged: LoggedRecord) -> Now:
    return Now(instant=logged.at, wall=logged.wall)


def put(log: Log, story: SaleStory, *, noise: int = 0) -> SaleView:
    """Write a sale's records into the log, with so many rows of other things before each of them."""
    for logged in story.records:
        log.note(moment(logged), *[NOISE] * noise, logged.record)
    found = view(story.book, SALE_ID)
    assert found is not None
    return found


def read(log: Log, found: SaleView, limits: Limits | None = None) -> tuple[list[Record], bool]:
    records, is_whole = asyncio.run(read_records(log, found, limits or Limits()))
    assert [one.seq for one in records] == sorted({one.seq for one in records})
    return [one.record for one in records], is_whole


@pytest.mark.parametrize(
    ("name", "noise"),
    [*((name, noise) for name in STORIES for noise in (0, 3)), ("paid", 700), ("refunded", 700), ("undelivered", 700)],
)
def test_every_record_of_a_sale_is_found_once(log: Log, name: str, noise: int) -> None:
    story = STORIES[name]()
    log.note(after(NOON, -2 * HOUR), *[NOISE] * 900)
    found = put(log, story, noise=noise)
    log.note(after(story.now, HOUR), *[NOISE] * 900)
    records, is_whole = read(log, found)
    assert records == [one.record for one in story.records]
    assert is_whole


def test_what_happened_long_after_is_found_without_reading_what_lies_between(log: Log) -> None:
    """A customer who comes back after a year."""
    first, year = paid(), 365 * DAY
    put(log, first)
    for number in range(60):
        log.note(after(first.now, DAY + number * DAY), *[NOISE] * 2_000)
    later = refunded()
    news = later.records[len(first.records) :]
    for logged in news:
        log.note(after(moment(logged), year), logged.record)
    found = view(later.book, SALE_ID)
    assert found is not None
    refund = replace(found.refunds[0], opened=Instant(found.refunds[0].opened + year))
    records, is_whole = read(log, replace(found, refunds=(refund,)))
    assert records == [one.record for one in later.records]
    assert is_whole
    assert log.pieces < 10
    assert log.longest == PIECE_ROWS


def test_what_ended_long_after_is_found_by_the_calendar(log: Log) -> None:
    """A copy of the receipt has no moment of its own but the day on which it was asked for."""
    story = paid()
    found = put(log, story)
    for number in range(60):
        log.note(after(story.now, DAY + number * DAY), *[NOISE] * 2_000)
    copy = replace(found.jobs[0], created_at=WallTime(story.now.wall + 90 * DAY), state=JobState.EXPIRED)
    asked = Record(kind="print", subject="copy", sale_id=SALE_ID, cause="JobEnqueued", before="", after="queued")
    log.note(after(story.now, 90 * DAY), asked)
    records, is_whole = read(log, replace(found, jobs=(*found.jobs, copy)))
    assert records[-1] == asked
    assert is_whole
    assert log.pieces < 10


def test_a_sale_that_is_still_open_is_read_to_the_end_of_the_log(log: Log) -> None:
    story = open_reversal()
    found = put(log, story)
    for number in range(1, 4):
        log.note(after(story.now, number * MINUTE), *[NOISE] * PIECE_ROWS)
    last = replace(story.records[-1].record, cause="QueryFailed")
    log.note(after(story.now, 5 * MINUTE), last)
    records, is_whole = read(log, found)
    assert records[-1] == last
    assert is_whole


def test_where_the_beginning_is_missing_it_is_said(log: Log) -> None:
    story = paid()
    for logged in story.records[1:]:
        log.note(moment(logged), logged.record)
    found = view(story.book, SALE_ID)
    assert found is not None
    records, is_whole = read(log, found)
    assert records == [one.record for one in story.records[1:]]
    assert not is_whole


def test_where_nothing_is_left_it_is_said(log: Log) -> None:
    found = view(paid().book, SALE_ID)
    assert found is not None
    assert read(log, found) == ([], False)


def test_where_an_order_is_missing_it_is_said(log: Log) -> None:
    story = paid()
    for logged in story.records:
        if logged.record.kind != "attempt":
            log.note(moment(logged), logged.record)
    found = view(story.book, SALE_ID)
    assert found is not None
    assert not read(log, found)[1]


def test_reading_ends_however_long_the_log_is(log: Log) -> None:
    """I11."""
    story = lost_answer()
    found = put(log, story)
    log.note(after(story.now, MINUTE), *[NOISE] * (PIECE_ROWS * 5))
    records, is_whole = read(log, found, Limits(pieces=3))
    assert records == [one.record for one in story.records]
    assert not is_whole
    assert log.pieces == 3


def test_records_are_kept_up_to_a_bound(log: Log) -> None:
    """I11."""
    story = lost_answer()
    found = put(log, story)
    again = story.records[-1].record
    log.note(after(story.now, MINUTE), *[again] * (PIECE_ROWS * 5))
    records, is_whole = read(log, found, Limits(records=PIECE_ROWS))
    assert len(records) < PIECE_ROWS * 2
    assert not is_whole


# --- the desk --------------------------------------------------------------------------------------------------------


def test_the_desk_gives_all_that_is_known_of_a_sale(tmp_path: Path) -> None:
    async def main() -> None:
        async with engine_bench(tmp_path / "journal.db") as bench:
            await bench.open()
            await bench.desk.present_code("order", CODE)
            waiting = await bench.desk.dossier("order")
            await bench.gateway.answer(type(bench.gateway.asked[-1]), PayConfirmed())
            done = await bench.desk.dossier("order")
            with pytest.raises(ApiError) as refused:
                await bench.desk.dossier("nobody")
        assert refused.value.code == "not_found"
        assert waiting.view.sale.state.value == "processing"
        assert [one.record.cause for one in waiting.records] == ["SaleOpened", "CodeScanned", "AttemptOpened"]
        assert done.view.sale.state.value == "completed"
        assert done.records[-1].record.cause == "DeliveryWaived"
        assert (done.is_whole, done.offset, done.returns_overdue) == (True, 8 * HOUR, False)
        assert done.now.instant >= done.records[-1].at

    asyncio.run(main())


def test_the_book_is_not_touched_by_asking(tmp_path: Path) -> None:
    async def main() -> None:
        async with engine_bench(tmp_path / "journal.db") as bench:
            await bench.open()
            before = bench.engine.book
            await bench.desk.dossier("order")
            assert bench.engine.book is before
            assert before != Book()

    asyncio.run(main())
