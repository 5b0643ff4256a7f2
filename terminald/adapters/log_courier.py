"""The day's event log on its way to the gateway: packed, stored, sent, and deleted when it was taken.

The order is what makes it safe to be killed anywhere: a log is a durable file before the journal notes how far the
events are packed, and that is noted before the file may be sent and deleted. So no row is packed twice, and none is
missed. A power cut, or a lost answer, between the gateway's 200 and the deletion sends the same bytes again.
"""

import asyncio
import logging
from collections.abc import Sequence

from terminald.adapters.gateway_http import HttpGateway
from terminald.adapters.journal_thread import JournalThread
from terminald.adapters.log_pack import MAX_PLAIN, MAX_ROWS, LogLine, pack, write_lines
from terminald.adapters.log_store import LogStore, WaitingLog
from terminald.adapters.ports import Calm
from terminald.core.events import Fault
from terminald.errors import JournalError
from terminald.logs import log_event
from terminald.logs_ids import LogId
from terminald.wire.upay import LogAnswer, LogFate

_log = logging.getLogger(__name__)

#: Rows that are read at once. A commit waits for one page at most, which is some milliseconds, also on a slow card.
PAGE_ROWS = 200

_INTERRUPTED = LogAnswer(
    fate=LogFate.UNCERTAIN, fault=Fault(code="interrupted", message="the link is wanted for something else")
)


class GatewayCourier:
    """Implements :class:`terminald.adapters.ports.LogCourier`. One run at a time."""

    def __init__(self, journal: JournalThread, gateway: HttpGateway, store: LogStore) -> None:
        """Files are read and written in threads: a slow disk delays nobody else."""
        self._journal = journal
        self._gateway = gateway
        self._store = store

    async def carry_out(self, calm: Calm) -> None:
        """Pack what is new, then send what waits, the oldest first and each once; between all steps wait for quiet.

        Never raises for anything that disk, journal, network or gateway do: what was not done is logged, and done in a
        later run. Cancelled, a file is stored or deleted all the same, or not; never half.
        """
        for step, failed in (
            (self._pack, "it was not stored"),
            (self._send, "those that wait were not sent"),
        ):
            try:
                await step(calm)
            except (OSError, JournalError) as exc:
                log_event(_log, LogId.UPLOAD_FAILED, reason=failed, detail=str(exc))

    # --- packing ---

    async def _pack(self, calm: Calm) -> None:
        await calm.wait_quiet()
        end = await self._journal.last_seq()
        packed = await self._settle_position(await asyncio.to_thread(self._store.waiting))
        start = max(packed, end - MAX_ROWS)
        lines = await self._lines(start, end, calm)
        if not lines:
            return
        log = await asyncio.to_thread(pack, lines, start - packed)
        stored = await asyncio.to_thread(self._store.store, log)
        await self._journal.note_packed(log.last)
        log_event(_log, LogId.LOG_PACKED, path=stored.path.name, count=log.rows)
        if start > packed:
            log_event(_log, LogId.LOG_TRUNCATED, count=start - packed)
        for dropped in await asyncio.to_thread(self._store.make_room):
            log_event(_log, LogId.LOG_DISCARDED, path=dropped.path.name)

    async def _lines(self, seq: int, end: int, calm: Calm) -> Sequence[LogLine]:
        """Return the rows after seq up to the end, or as many of them as one log may have."""
        lines: list[LogLine] = []
        size = 0
        while seq < end and size <= MAX_PLAIN:
            await calm.wait_quiet()
            page = await self._journal.records_after(seq, min(PAGE_ROWS, end - seq))
            if not page:
                break
            written = await asyncio.to_thread(write_lines, page)
            seq = page[-1].seq
            lines += written
            size += sum(len(line.text) for line in written)
        return lines

    async def _settle_position(self, waiting: Sequence[WaitingLog]) -> int:
        """Return which row was packed last, after it is noted.

        A crash may have come between a file and the note. A file with rows that the journal does not have is of
        another journal, and says nothing.
        """
        end, noted = await self._journal.last_seq(), await self._journal.packed_seq()
        packed = max([noted, *(log.last for log in waiting if log.last <= end)])
        if packed > noted:
            await self._journal.note_packed(packed)
        return packed

    # --- sending ---

    async def _send(self, calm: Calm) -> None:
        waiting = await asyncio.to_thread(self._store.waiting)
        await self._settle_position(waiting)
        for log in waiting:
            await calm.wait_quiet()
            data = await asyncio.to_thread(self._store.read, log)
            answer = await self._upload(data, calm)
            fault = answer.fault
            if fault is not None:
                log_event(_log, LogId.LOG_NOT_TAKEN, path=log.path.name, code=fault.code, detail=fault.message)
            if answer.fate is LogFate.TAKEN:
                await asyncio.to_thread(self._store.delete, log)
                log_event(_log, LogId.LOG_UPLOADED, path=log.path.name)
            elif answer.fate is LogFate.UNCERTAIN:
                return

    async def _upload(self, data: bytes, calm: Calm) -> LogAnswer:
        """Send one log, and give it up when somebody is to be served: a payment has the link for itself."""
        upload = asyncio.create_task(self._gateway.upload_log(data))
        busy = asyncio.create_task(calm.wait_busy())
        try:
            await asyncio.wait({upload, busy}, return_when=asyncio.FIRST_COMPLETED)
            return upload.result() if upload.done() else _INTERRUPTED
        finally:
            upload.cancel()
            busy.cancel()
            await asyncio.gather(upload, busy, return_exceptions=True)
