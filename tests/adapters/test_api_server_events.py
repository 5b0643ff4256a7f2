"""The event stream: nothing is lost or doubled, and nobody waits for a host that does not read (I8, I11)."""

import asyncio
import contextlib
import json
import logging
import select
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from starlette.types import Message

from terminald.adapters.api_events import PAGE, EventStreams
from terminald.adapters.api_limits import HEARTBEAT_S, ApiLimits
from terminald.errors import JournalUnavailable
from tests.adapters.api_desk import FakeDesk, Served, serving
from tests.adapters.sse_reader import SseReader

URL = "/v1/events"


@asynccontextmanager
async def following(
    client: httpx.AsyncClient, reader: SseReader, **request: dict[str, str]
) -> AsyncIterator[AsyncIterator[bytes]]:
    async with client.stream("GET", URL, **request) as answer:  # type: ignore[arg-type]  # headers or params
        assert answer.status_code == 200
        assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"
        chunks = answer.aiter_raw()
        # The position comes first, so that a host which is cut off at once can resume.
        while not reader.last_id:
            reader.feed(await anext(chunks))
        yield chunks


async def read_until(chunks: AsyncIterator[bytes], reader: SseReader, count: int) -> None:
    while len(reader.events) < count:
        reader.feed(await anext(chunks))


def numbers(reader: SseReader) -> list[int]:
    return [int(event.id) for event in reader.events]


def test_a_stream_begins_after_the_newest_event_and_tells_where_that_is(tmp_path: Path) -> None:
    async def story() -> None:
        desk = FakeDesk()
        for _ in range(3):
            desk.publish()
        reader = SseReader()
        async with serving(tmp_path, desk) as served, following(served.client, reader) as chunks:
            assert reader.last_id == "3"
            desk.publish(b'{"n":4}', topic="print")
            await read_until(chunks, reader, 1)
        assert [(event.id, event.topic, event.data) for event in reader.events] == [("4", "print", '{"n":4}')]

    asyncio.run(story())


@pytest.mark.parametrize(
    ("headers", "params"),
    [({"Last-Event-ID": "2"}, {}), ({}, {"since": "2"}), ({"Last-Event-ID": "2"}, {"since": "0"})],
)
def test_a_stream_resumes_after_the_last_event_that_was_seen(
    tmp_path: Path, headers: dict[str, str], params: dict[str, str]
) -> None:
    async def story() -> None:
        desk = FakeDesk()
        for _ in range(3 * PAGE):
            desk.publish()
        reader = SseReader()
        async with (
            serving(tmp_path, desk) as served,
            following(served.client, reader, headers=headers, params=params) as chunks,
        ):
            await read_until(chunks, reader, 3 * PAGE - 2)
        assert numbers(reader) == list(range(3, 3 * PAGE + 1))

    asyncio.run(story())


def test_nothing_is_lost_or_doubled_over_reconnects(tmp_path: Path) -> None:
    async def follow(served: Served, rng: Random, total: int) -> SseReader:
        reader = SseReader()
        while len(reader.events) < total:
            at_once = SseReader()
            headers = {"Last-Event-ID": reader.last_id or "0"}
            async with following(served.client, at_once, headers=headers) as chunks:
                want = rng.randint(0, min(7, total - len(reader.events)))
                await read_until(chunks, at_once, want)
            reader.events += at_once.events
            reader.last_id = at_once.last_id
        return reader

    async def story() -> None:
        desk, total = FakeDesk(), 200

        async def publish() -> None:
            for _ in range(total):
                desk.publish()
                await asyncio.sleep(0)

        async with serving(tmp_path, desk) as served, asyncio.TaskGroup() as tasks:
            tasks.create_task(publish())
            followers = [tasks.create_task(follow(served, Random(seed), total)) for seed in range(3)]
        for follower in followers:
            assert numbers(follower.result()) == list(range(1, total + 1))

    asyncio.run(story())


@pytest.mark.parametrize(
    ("headers", "params", "status", "code"),
    [
        ({"Last-Event-ID": "x"}, {}, 422, "invalid_request"),
        ({"Last-Event-ID": ""}, {}, 422, "invalid_request"),
        ({}, {"since": "-1"}, 422, "invalid_request"),
        ({}, {"since": str(2**63)}, 422, "invalid_request"),
        ({}, {"since": "2"}, 410, "events_unknown"),
        ({}, {"until": "2"}, 422, "invalid_request"),
    ],
)
def test_a_position_that_is_wrong_or_unknown_is_refused(
    tmp_path: Path, headers: dict[str, str], params: dict[str, str], status: int, code: str
) -> None:
    async def story() -> None:
        desk = FakeDesk()
        desk.publish()
        async with serving(tmp_path, desk) as served:
            answer = await served.client.get(URL, headers=headers, params=params)
        assert (answer.status_code, answer.json()["code"]) == (status, code)

    asyncio.run(story())


def test_a_position_before_deleted_events_is_refused_and_the_beginning_is_not(tmp_path: Path) -> None:
    async def story() -> None:
        desk = FakeDesk(forgotten_seq=2)
        for _ in range(4):
            desk.publish()
        async with serving(tmp_path, desk) as served:
            answer = await served.client.get(URL, params={"since": "1"})
            assert (answer.status_code, answer.json()["code"]) == (410, "events_unknown")
            for since in ("0", "2", "4"):
                async with served.client.stream("GET", URL, params={"since": since}) as follower:
                    assert follower.status_code == 200

    asyncio.run(story())


def test_a_quiet_stream_has_a_heartbeat(tmp_path: Path) -> None:
    assert HEARTBEAT_S <= 15

    async def story() -> None:
        reader = SseReader()
        limits = ApiLimits(heartbeat_s=0.01)
        async with serving(tmp_path, FakeDesk(), limits) as served, following(served.client, reader) as chunks:
            while reader.comments < 3:
                reader.feed(await anext(chunks))

    asyncio.run(story())


def test_a_stream_that_can_not_be_read_is_refused_and_one_that_fails_later_ends(tmp_path: Path) -> None:
    async def story() -> None:
        desk, reader = FakeDesk(), SseReader()
        async with serving(tmp_path, desk) as served:
            async with following(served.client, reader) as chunks:
                desk.log_failure = JournalUnavailable("disk full")
                desk.publish()
                with pytest.raises(StopAsyncIteration):
                    await anext(chunks)
            assert (await served.client.get(URL)).json()["code"] == "journal_failed"
            desk.log_failure = None
            async with following(served.client, reader, params={"since": reader.last_id}) as chunks:
                await read_until(chunks, reader, 1)
        assert numbers(reader) == [1]

    asyncio.run(story())


def test_a_fault_in_a_stream_cuts_it_and_no_other(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async def story() -> None:
        desk, reader = FakeDesk(), SseReader()
        async with serving(tmp_path, desk) as served:
            async with following(served.client, reader) as chunks:
                desk.log_failure = RuntimeError("a bug")
                desk.publish()
                with pytest.raises(httpx.RemoteProtocolError):
                    await anext(chunks)
            assert (await served.client.get("/v1/status")).status_code == 200

    asyncio.run(story())
    assert "a bug" in caplog.text


def test_streams_are_limited_and_leave_room_when_they_end(tmp_path: Path) -> None:
    """I11."""

    async def story() -> None:
        desk = FakeDesk()
        async with serving(tmp_path, desk, ApiLimits(max_streams=1, heartbeat_s=0.01)) as served:
            async with following(served.client, SseReader()):
                answer = await served.client.get(URL)
                assert (answer.status_code, answer.json()["code"]) == (503, "overloaded")
            while (await served.client.send(served.client.build_request("GET", URL), stream=True)).is_error:
                pass

    asyncio.run(story())


def test_streams_end_in_order_when_terminald_stops(tmp_path: Path) -> None:
    async def story() -> None:
        reader = SseReader()
        async with serving(tmp_path, FakeDesk()) as served, following(served.client, reader) as chunks:
            served.server.stop()
            assert [chunk async for chunk in chunks] == []
            await served.task

    asyncio.run(story())


def test_a_host_that_does_not_read_is_dropped_and_nobody_else_notices(tmp_path: Path) -> None:
    """I8, I11: the page that it does not take is all that is held for it."""
    total = 2_000
    body = json.dumps({"filler": "x" * 2_000}).encode()

    async def story() -> None:
        desk, reader = FakeDesk(), SseReader()
        async with serving(tmp_path, desk, ApiLimits(stall_s=1)) as served:
            with socket.socket(socket.AF_UNIX) as stalled:
                stalled.connect(str(served.path))
                stalled.sendall(b"GET /v1/events?since=0 HTTP/1.1\r\nHost: x\r\n\r\n")
                async with following(served.client, reader, params={"since": "0"}) as chunks:
                    for _ in range(total):
                        desk.publish(body)
                    await read_until(chunks, reader, total)
                await asyncio.to_thread(wait_for_hangup, stalled)
                stalled.settimeout(5)
                taken = 0
                with contextlib.suppress(ConnectionResetError):
                    while data := stalled.recv(1 << 20):
                        taken += len(data)
            assert (await served.client.get("/v1/status")).status_code == 200
        assert numbers(reader) == list(range(1, total + 1))
        assert taken < total * len(body) / 2

    asyncio.run(story())


def wait_for_hangup(sock: socket.socket) -> None:
    poller = select.poll()
    poller.register(sock, 0)
    assert poller.poll(5_000), "the server still holds the connection"


def test_a_stalled_host_does_not_hold_up_the_end(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async def story() -> None:
        desk = FakeDesk()
        for _ in range(500):
            desk.publish(b'"' + b"x" * 5_000 + b'"')
        async with serving(tmp_path, desk, ApiLimits(stall_s=60, grace_s=0.05)) as served:
            with socket.socket(socket.AF_UNIX) as stalled:
                stalled.connect(str(served.path))
                stalled.sendall(b"GET /v1/events?since=0 HTTP/1.1\r\nHost: x\r\n\r\n")
                assert (await served.client.get("/v1/status")).status_code == 200
                served.server.stop()
                await served.task

    asyncio.run(story())
    assert [record for record in caplog.records if record.levelno >= logging.ERROR] == []


# --- without a server ------------------------------------------------------------------------------------------------


async def follow_directly(desk: FakeDesk, after: int, budget: int, limits: ApiLimits) -> SseReader:
    """Follow until so many bytes have come, then go away in the middle of whatever is being sent."""
    reader, gone = SseReader(), asyncio.Event()
    left = budget

    async def receive() -> Message:
        await gone.wait()
        return {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        nonlocal left
        if message["type"] == "http.response.start":
            return
        data: bytes = message["body"]
        reader.feed(data[:left])
        left -= max(len(data), 60)  # a quiet stream ends as well
        if left <= 0:
            gone.set()
        await asyncio.sleep(0)

    await EventStreams(desk, asyncio.Event(), limits).serve(after, receive, send)
    return reader


@settings(deadline=None)  # the machine may be busy
@given(
    budgets=st.lists(st.integers(min_value=30, max_value=700), min_size=1, max_size=30),
    steps=st.lists(st.sampled_from(["publish", "publish", "private", "wait"]), max_size=60),
)
def test_wherever_a_stream_is_cut_the_next_one_goes_on(budgets: list[int], steps: list[str]) -> None:
    """Events are whole or not there; what was cut comes again; rows that are not public are no news."""

    async def story() -> None:
        desk = FakeDesk()

        async def publish() -> None:
            for step in steps:
                if step == "publish":
                    desk.publish(b'{"n":%d}' % desk.last_seq())
                elif step == "private":
                    desk.note_privately()
                await asyncio.sleep(0)

        publishing = asyncio.create_task(publish())
        limits = ApiLimits(heartbeat_s=0.0001)
        seen, position = [], 0
        for budget in budgets:
            reader = await follow_directly(desk, position, budget, limits)
            seen += reader.events
            position = int(reader.last_id or position)
        await publishing
        while position < (desk.log[-1].seq if desk.log else 0):
            reader = await follow_directly(desk, position, 500, limits)
            seen += reader.events
            position = int(reader.last_id or position)
        assert [(int(event.id), event.topic, event.data.encode()) for event in seen] == [
            (event.seq, event.topic, event.body) for event in desk.log
        ]

    asyncio.run(story())


def test_data_of_several_lines_arrives_whole() -> None:
    async def story() -> None:
        desk = FakeDesk()
        desk.publish(b'{\n"a":1}')
        reader = await follow_directly(desk, 0, 300, ApiLimits(heartbeat_s=0.001))
        assert reader.events[0].data == '{\n"a":1}'

    asyncio.run(story())


def test_rows_that_are_not_public_do_not_keep_a_stream_busy() -> None:
    async def story() -> None:
        desk = FakeDesk()
        desk.note_privately()
        reads = 0
        read = desk.events_after

        class CountingDesk(FakeDesk):
            async def events_after(self, seq: int, limit: int) -> tuple[object, ...]:  # type: ignore[override]  # counted
                nonlocal reads
                reads += 1
                return await read(seq, limit)

        counting = CountingDesk(private=desk.private)
        await follow_directly(counting, 0, 40, ApiLimits(heartbeat_s=0.001))
        assert reads < 20

    asyncio.run(story())
