"""The event log as server-sent events. The log is the queue: a stream holds one page of it, and never the engine.

Form: WHATWG HTML, server-sent events. The id of an event is its sequence number in the journal.
"""

import asyncio
import logging
from collections.abc import Iterable
from typing import Final

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from terminald.adapters.api_limits import ApiLimits
from terminald.adapters.ports import Desk, LoggedEvent
from terminald.errors import ApiError, JournalUnavailable
from terminald.logs import log_event
from terminald.logs_ids import LogId
from terminald.wire.api import parse_number

_log = logging.getLogger(__name__)

#: Events read and sent at once, some 200 KiB: a host that was away for a day catches up in seconds.
PAGE: Final = 100
#: Sequence numbers are 64-bit in the journal.
_MAX_SEQ: Final = 2**63 - 1
#: How soon a browser's EventSource comes back.
_RETRY_MS: Final = 1_000

_HEADERS: Final = [(b"content-type", b"text/event-stream; charset=utf-8"), (b"cache-control", b"no-store")]
_HEARTBEAT: Final = b":\n\n"


class EventStreams:
    """Opens streams; at most so many at once."""

    def __init__(self, desk: Desk, stopping: asyncio.Event, limits: ApiLimits) -> None:
        """All streams end when stopping is set."""
        self._desk = desk
        self._stopping = stopping
        self._limits = limits
        self._open = 0
        self._reading = asyncio.Lock()
        #: The last page that was read, with the position after which it begins, and the newest event before it was.
        self._page: tuple[int, int, tuple[LoggedEvent, ...]] = (-1, -1, ())

    async def open(self, last_event_id: str | None, since: str | None) -> Response:
        """Return a stream that begins after a position: Last-Event-ID, else since, else the newest event.

        Raises:
            ApiError: invalid_request, events_unknown, overloaded.
            JournalUnavailable: the log can not be read.
        """
        newest = self._desk.last_seq()
        if last_event_id is not None:
            position = parse_number("Last-Event-ID", last_event_id, least=0, most=_MAX_SEQ)
        elif since is not None:
            position = parse_number("since", since, least=0, most=_MAX_SEQ)
        else:
            position = newest
        if position > newest:
            detail = f"{position} is after the newest event, {newest}: the journal was replaced since."
            raise ApiError("events_unknown", detail)
        if 0 < position < (oldest := (await self._desk.forgotten()).seq):
            detail = f"events up to {oldest} were deleted with old sales, and {position} is before it."
            raise ApiError("events_unknown", detail)
        # Read before the answer begins, while a failure can still be told as a problem.
        await self._desk.events_after(position, 1)
        if self._open >= self._limits.max_streams:
            raise ApiError("overloaded", f"There are {self._limits.max_streams} event streams already.")
        return _Stream(self, position)

    async def serve(self, position: int, receive: Receive, send: Send) -> None:
        """Send events until the host goes away, the journal fails, or terminald is stopped."""
        self._open += 1
        gone = asyncio.create_task(_until_gone(receive))
        stopping = asyncio.create_task(self._stopping.wait())
        try:
            await send({"type": "http.response.start", "status": 200, "headers": _HEADERS})
            await _send_chunk(send, f"retry: {_RETRY_MS}\nid: {position}\n\n".encode())
            await self._follow(position, send, gone, stopping)
            await _send_chunk(send, b"", is_last=True)
        except JournalUnavailable as exc:
            log_event(_log, LogId.STREAM_ENDED, detail=str(exc))
            await _send_chunk(send, b"", is_last=True)
        finally:
            self._open -= 1
            gone.cancel()
            stopping.cancel()

    async def _read(self, position: int) -> tuple[LoggedEvent, ...]:
        """Return the events after a position. Streams that wait for the same ones have one read in common."""
        async with self._reading:
            newest = self._desk.last_seq()
            if self._page[:2] != (position, newest):
                self._page = (position, newest, await self._desk.events_after(position, PAGE))
            return self._page[2]

    async def _follow(self, position: int, send: Send, gone: asyncio.Task[None], stopping: asyncio.Task[bool]) -> None:
        while not (gone.done() or stopping.done()):
            newest = self._desk.last_seq()
            page = await self._read(position)
            if page:
                position = page[-1].seq
                await _send_chunk(send, _frames(page))
                continue
            # What lies between is not public. Without this step it would be found as news again and again.
            position = max(position, newest)
            news = asyncio.create_task(self._desk.wait_for_event(position))
            try:
                done, _ = await asyncio.wait(
                    {news, gone, stopping}, timeout=self._limits.heartbeat_s, return_when=asyncio.FIRST_COMPLETED
                )
            finally:
                news.cancel()
            if news in done:
                news.result()
            if not done:
                await _send_chunk(send, _HEARTBEAT)


class _Stream(Response):
    """An answer that is sent by :meth:`EventStreams.serve`."""

    def __init__(self, streams: EventStreams, position: int) -> None:
        super().__init__()
        self._streams = streams
        self._position = position

    async def __call__(self, _scope: Scope, receive: Receive, send: Send) -> None:
        await self._streams.serve(self._position, receive, send)


async def _until_gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _send_chunk(send: Send, data: bytes, *, is_last: bool = False) -> None:
    await send({"type": "http.response.body", "body": data, "more_body": not is_last})


def _frames(page: Iterable[LoggedEvent]) -> bytes:
    return b"".join(_frame(event) for event in page)


def _frame(event: LoggedEvent) -> bytes:
    lines = b"".join(b"data: %b\n" % line for line in event.body.splitlines())
    return b"id: %d\nevent: %b\n%b\n" % (event.seq, event.topic.encode(), lines)
