"""From the journal's rows to a file to the gateway: each row once, the same bytes at each try, and never in the way."""

import asyncio
import gzip
import json
import resource
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from terminald.adapters.gateway_http import HttpGateway
from terminald.adapters.journal_sqlite import SqliteJournal
from terminald.adapters.journal_thread import JournalThread
from terminald.adapters.log_courier import PAGE_ROWS, GatewayCourier
from terminald.adapters.log_pack import MAX_ROWS, PackedLog
from terminald.adapters.log_store import DIRECTORY, MAX_FILES, LogStore
from terminald.adapters.ports import Batch, Entry, LogCourier
from terminald.core.ids import SaleId, Secret
from terminald.core.stimuli import Record
from terminald.logs import protect
from tests.adapters.gateway_orders import CODE, ILLEGAL_SIGN, KEY, gateway_at
from tests.adapters.raw_gateway import Act, RawGateway, raw_gateway, resets, says
from tests.core.machine_builders import NOON
from tests.log_lines import lines

OK = b'{"result_code":"200","error_code":"SUCCESS"}'
REFUSED = b'{"result_code":"400","error_code":"INVALID_PARAMS"}'
BROKEN = b'{"result_code":"500","error_code":"UNKNOWN_SYSTEM_ERROR"}'


class Moods:
    """Quiet, until the test says otherwise; counts how often quiet was asked for."""

    def __init__(self) -> None:
        self._quiet, self._busy = asyncio.Event(), asyncio.Event()
        self._quiet.set()
        self.was_asked = asyncio.Event()
        self.asked = 0

    def serve_somebody(self) -> None:
        self._quiet.clear()
        self._busy.set()

    def serve_nobody(self) -> None:
        self._busy.clear()
        self._quiet.set()

    async def wait_quiet(self) -> None:
        self.asked += 1
        self.was_asked.set()
        await self._quiet.wait()

    async def wait_busy(self) -> None:
        await self._busy.wait()


def hangs_after(arrival: asyncio.Event) -> Act:
    """Tell when a request has arrived, and never answer it."""

    async def act(_: asyncio.StreamWriter) -> bool:
        arrival.set()
        await asyncio.get_running_loop().create_future()
        return False

    return act


@dataclass(slots=True)
class Desk:
    """A journal, a gateway that does what it is told, and the courier between them."""

    state: Path
    journal: JournalThread
    server: RawGateway
    gateway: HttpGateway
    store: LogStore
    courier: LogCourier
    calm: Moods = field(default_factory=Moods)

    async def note(self, *subjects: str) -> int:
        """Commit a row for each."""
        records = [
            Record(kind="sale", subject=each, sale_id=SaleId("s"), cause="Told", before="", after="paid")
            for each in subjects
        ]
        entries = tuple(Entry(record=one, topic="sale", body=b"MARKED-BODY") for one in records)
        return await self.journal.commit(Batch(now=NOON, entries=entries))

    async def carry_out(self) -> None:
        await self.courier.carry_out(self.calm)

    def ranges(self) -> list[tuple[int, int]]:
        return [(one.first, one.last) for one in self.store.waiting()]

    def sent(self) -> list[list[object]]:
        """Return the subjects in each log that arrived."""
        return [
            [json.loads(line).get("subject") for line in gzip.decompress(one.body).splitlines()]
            for one in self.server.seen
        ]


@asynccontextmanager
async def desk(state: Path, *acts: Act) -> AsyncIterator[Desk]:
    async with raw_gateway(*acts) as server:
        journal = JournalThread(SqliteJournal(state / "journal.db"))
        gateway = gateway_at(server.url)
        store = LogStore(state)
        try:
            yield Desk(state, journal, server, gateway, store, GatewayCourier(journal, gateway, store))
        finally:
            await gateway.aclose()
            await journal.aclose()


def test_what_was_logged_since_the_last_time_is_sent_and_deleted(tmp_path: Path) -> None:
    async def main() -> None:
        async with desk(tmp_path, says(OK), says(OK)) as here:
            await here.note("a", "b")
            await here.carry_out()
            await here.note("c")
            await here.carry_out()
            assert here.sent() == [["a", "b"], ["c"]]
            assert here.ranges() == []
            await here.carry_out()
            assert len(here.server.seen) == 2

    asyncio.run(main())


def test_no_key_no_code_and_nothing_that_hosts_are_told_is_sent(tmp_path: Path) -> None:
    """I7."""

    async def main() -> None:
        async with desk(tmp_path, says(OK)) as here:
            protect(Secret(KEY))
            await here.note(KEY, CODE)
            await here.carry_out()
            (seen,) = here.server.seen
            text = gzip.decompress(seen.body).decode()
            assert text.count("\n") == 2
            assert not any(secret in text for secret in (KEY, CODE, "MARKED-BODY"))

    asyncio.run(main())


@pytest.mark.parametrize("act", [resets(), says(BROKEN), says(ILLEGAL_SIGN), says(b"<html>")])
def test_what_was_not_taken_is_kept_and_sent_again_the_same_byte_for_byte(tmp_path: Path, act: Act) -> None:
    """Once for each run, the oldest first; a restart in between changes nothing."""

    async def main() -> None:
        async with desk(tmp_path, act) as here:
            await here.note("a")
            await here.carry_out()
            (first,) = here.server.seen
            assert here.ranges() == [(1, 1)]
        async with desk(tmp_path, says(OK), says(OK)) as here:
            await here.note("b")
            await here.carry_out()
            assert here.sent() == [["a"], ["b"]]
            assert here.server.seen[0].body == first.body
            assert here.ranges() == []

    asyncio.run(main())


def test_a_log_that_is_refused_for_itself_does_not_hold_up_the_others(tmp_path: Path) -> None:
    async def main() -> None:
        async with desk(tmp_path, resets(), says(REFUSED), says(OK)) as here:
            await here.note("a")
            await here.carry_out()
            await here.note("b")
            await here.carry_out()
            assert here.sent() == [["a"], ["a"], ["b"]]
            assert here.ranges() == [(1, 1)]

    asyncio.run(main())


def test_after_an_answer_that_never_came_nothing_more_is_sent_in_this_run(tmp_path: Path) -> None:
    async def main() -> None:
        async with desk(tmp_path, resets(), resets()) as here:
            await here.note("a")
            await here.carry_out()
            await here.note("b")
            await here.carry_out()
            assert here.sent() == [["a"], ["a"]]
            assert here.ranges() == [(1, 1), (2, 2)]

    asyncio.run(main())


def test_an_upload_is_given_up_when_somebody_is_to_be_served(tmp_path: Path) -> None:
    async def main() -> None:
        arrival = asyncio.Event()
        async with desk(tmp_path, hangs_after(arrival), says(OK)) as here:
            await here.note("a")
            run = asyncio.create_task(here.carry_out())
            await arrival.wait()
            here.calm.serve_somebody()
            await run
            assert here.ranges() == [(1, 1)]
            here.calm.serve_nobody()
            await here.carry_out()
            assert here.server.seen[0].body == here.server.seen[1].body
            assert here.ranges() == []

    asyncio.run(main())


def test_nothing_is_read_stored_or_sent_while_somebody_is_served(tmp_path: Path) -> None:
    async def main() -> None:
        async with desk(tmp_path, says(OK)) as here:
            await here.note("a")
            here.calm.serve_somebody()
            run = asyncio.create_task(here.carry_out())
            await here.calm.was_asked.wait()
            assert not (tmp_path / DIRECTORY).exists()
            here.calm.serve_nobody()
            await run
            assert here.sent() == [["a"]]

    asyncio.run(main())


def test_rows_are_read_in_pages_and_a_quiet_moment_is_waited_for_before_each(tmp_path: Path) -> None:
    async def main() -> None:
        async with desk(tmp_path, says(OK)) as here:
            await here.note(*(str(number) for number in range(3 * PAGE_ROWS)))
            await here.carry_out()
            assert here.sent() == [[str(number) for number in range(3 * PAGE_ROWS)]]
            assert here.calm.asked >= 3

    asyncio.run(main())


def test_rows_beyond_what_one_log_may_have_are_left_out_and_told(tmp_path: Path) -> None:
    """I11: the newest are kept."""

    async def main() -> None:
        async with desk(tmp_path, says(OK)) as here:
            end = await here.note(*["x"] * (MAX_ROWS + 3))
            await here.carry_out()
            lines = gzip.decompress(here.server.seen[0].body).splitlines()
            assert json.loads(lines[0]) == {"kind": "left_out", "rows": 3}
            assert [json.loads(lines[at])["seq"] for at in (1, -1)] == [4, end]
            assert await here.journal.packed_seq() == end

    asyncio.run(main())


def test_a_crash_between_the_file_and_the_note_packs_no_row_twice(tmp_path: Path) -> None:
    async def main() -> None:
        async with desk(tmp_path, says(OK), says(OK)) as here:
            await here.note("a", "b")
            here.store.store(PackedLog(first=1, last=2, rows=2, data=gzip.compress(b'{"subject": "stored"}')))
            await here.note("c")
            await here.carry_out()
            assert here.sent() == [["stored"], ["c"]]

    asyncio.run(main())


def test_files_of_another_journal_are_sent_and_hide_no_row(tmp_path: Path) -> None:
    async def main() -> None:
        async with desk(tmp_path, says(OK), says(OK)) as here:
            here.store.store(PackedLog(first=500, last=900, rows=401, data=gzip.compress(b'{"subject": "foreign"}')))
            await here.note("a")
            await here.carry_out()
            assert here.sent() == [["a"], ["foreign"]]
            assert await here.journal.packed_seq() == 1

    asyncio.run(main())


def test_the_oldest_logs_are_dropped_when_none_can_be_sent(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """I11, and it is said."""

    async def main() -> None:
        async with desk(tmp_path) as here:
            for number in range(MAX_FILES + 2):
                await here.note(str(number))
                await here.carry_out()
            assert here.ranges() == [(seq, seq) for seq in range(3, MAX_FILES + 3)]

    asyncio.run(main())
    assert [record.getMessage() for record in caplog.records].count("a log was dropped: too many wait") == 2


def test_a_full_disk_is_a_line_in_the_log_and_what_waits_is_sent_all_the_same(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A file that can not be written leaves the rows for the next time."""

    async def main() -> None:
        async with desk(tmp_path, resets(), says(OK), says(OK)) as here:
            await here.note("a")
            await here.carry_out()
            await here.note(*(str(number) for number in range(50)))
            soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
            resource.setrlimit(resource.RLIMIT_FSIZE, (200, hard))
            try:
                await here.carry_out()
            finally:
                resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
            assert here.ranges() == []
            await here.carry_out()
            assert here.sent() == [["a"], ["a"], [str(number) for number in range(50)]]

    asyncio.run(main())
    assert any("failed here reason=it was not stored detail=" in one for one in lines(caplog.records))


def test_a_place_that_can_not_be_used_is_a_line_in_the_log(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        async with desk(tmp_path) as here:
            (tmp_path / DIRECTORY).write_text("a file where the directory should be")
            await here.note("a")
            await here.carry_out()
            assert here.server.seen == []

    asyncio.run(main())
    assert [record.levelname for record in caplog.records] == ["WARNING", "WARNING"]


def test_a_journal_that_can_not_be_used_stops_everything_and_raises_nothing(tmp_path: Path) -> None:
    """Nothing is deleted whose rows are not known to be packed."""

    async def main() -> None:
        async with desk(tmp_path, says(OK)) as here:
            await here.note("a")
            here.store.store(PackedLog(first=1, last=1, rows=1, data=b"x"))
            await here.journal.aclose()
            await here.carry_out()
            assert here.server.seen == []
            assert here.ranges() == [(1, 1)]

    asyncio.run(main())


def test_a_run_that_is_cancelled_sends_nothing_more(tmp_path: Path) -> None:
    async def main() -> None:
        arrival = asyncio.Event()
        async with desk(tmp_path, hangs_after(arrival)) as here:
            await here.note("a")
            run = asyncio.create_task(here.carry_out())
            await arrival.wait()
            run.cancel()
            await asyncio.gather(run, return_exceptions=True)
            assert run.cancelled()
            assert here.ranges() == [(1, 1)]

    asyncio.run(main())
