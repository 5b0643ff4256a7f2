"""The terminal's own events as lines of JSON, and as the bytes that are uploaded.

A line says when (with the offset from UTC), what kind of thing, which one, why, from where to where, and of which sale.
What hosts are told of an event is not in it: neither subject, goods and reference of a sale nor what the gateway said.
"""

import gzip
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Final

import msgspec

from terminald.adapters.ports import LoggedRecord
from terminald.logs import redact
from terminald.wire.api_views import rfc3339

#: Rows of one log. A kiosk that sells a thousand times a day writes about ten rows for each sale: this is twice that.
MAX_ROWS: Final = 20_000
#: A log before it is packed, in bytes: it is held in memory, and twice while it is packed, on a board that has little.
MAX_PLAIN: Final = 4 * 1024 * 1024
#: A log as it is sent, in bytes. The documents name no limit; web servers usually refuse more than 1 MiB, and a mobile
#: link of 300 kbit/s carries half of that within the gateway's read timeout.
MAX_PACKED: Final = 512 * 1024
#: A text of a row, in characters: all of ours are shorter, but for the configured name of a device.
MAX_FIELD: Final = 256


class _Line(msgspec.Struct, frozen=True, kw_only=True):
    seq: int
    at: str
    kind: str
    subject: str
    cause: str
    before: str
    after: str
    sale: str


class _LeftOut(msgspec.Struct, frozen=True, kw_only=True):
    kind: str = "left_out"
    rows: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LogLine:
    """One row as it is uploaded: JSON, and a newline."""

    seq: int
    text: bytes = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class PackedLog:
    """One log, ready to be sent: the rows with sequence numbers from first to last."""

    first: int
    last: int
    rows: int
    data: bytes = field(repr=False)


def write_lines(page: Sequence[LoggedRecord]) -> list[LogLine]:
    """Return a line for each row, without keys and without whole payment codes (I7)."""
    return [LogLine(seq=row.seq, text=_write(_line(row))) for row in page]


def pack(lines: Sequence[LogLine], left_out: int) -> PackedLog:
    """Pack as many of the lines, of which there is one, as one log may have; the rest is for the next.

    Left_out is the number of rows before them that are in no log; it is told in a line of its own. The header of the
    file bears no time: the same lines give the same bytes.
    """
    head = [_write(_LeftOut(rows=left_out))] if left_out else []
    texts = [line.text for line in lines[:MAX_ROWS]]
    sizes = accumulate(map(len, texts), initial=sum(map(len, head)))
    rows = max(1, sum(size <= MAX_PLAIN for size in sizes) - 1)
    data = _compress([*head, *texts[:rows]])
    while rows > 1 and len(data) > MAX_PACKED:
        rows //= 2
        data = _compress([*head, *texts[:rows]])
    return PackedLog(first=lines[0].seq, last=lines[rows - 1].seq, rows=rows, data=data)


def _line(row: LoggedRecord) -> _Line:
    record = row.record
    return _Line(
        seq=row.seq,
        at=rfc3339(row.wall),
        kind=_clean(record.kind),
        subject=_clean(record.subject),
        cause=_clean(record.cause),
        before=_clean(record.before),
        after=_clean(record.after),
        sale=_clean(record.sale_id),
    )


def _clean(text: str) -> str:
    """Redact before cutting: half a secret is not recognised."""
    return redact(text)[:MAX_FIELD]


def _write(line: _Line | _LeftOut) -> bytes:
    return msgspec.json.encode(line) + b"\n"


def _compress(lines: Sequence[bytes]) -> bytes:
    return gzip.compress(b"".join(lines), mtime=0)
