"""What is in a log, and what never is; and how much at most."""

import gzip
import json
import random
from collections.abc import Callable
from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from terminald.adapters.log_pack import MAX_FIELD, MAX_PACKED, MAX_PLAIN, MAX_ROWS, LogLine, pack, write_lines
from terminald.adapters.ports import LoggedRecord
from terminald.core.ids import SaleId, Secret, WallTime
from terminald.core.ledger import Record
from terminald.logs import protect

KEY = 'MARKED"KEY-69c2f871'
CODE = "130818341921441147"


RECORD = Record(
    kind="attempt",
    subject="01M833VH70G827C4F6ZEKG40CN",
    sale_id=SaleId("01M833VGPC7VPSMBC9CZ4MKB33"),
    cause="PayConfirmed",
    before="submitting",
    after="paid",
)
WITH_TEXT: dict[str, Callable[[str], Record]] = {
    "kind": lambda text: replace(RECORD, kind=text),
    "subject": lambda text: replace(RECORD, subject=text),
    "sale": lambda text: replace(RECORD, sale_id=SaleId(text)),
    "cause": lambda text: replace(RECORD, cause=text),
    "before": lambda text: replace(RECORD, before=text),
    "after": lambda text: replace(RECORD, after=text),
}


def row(seq: int = 1, record: Record = RECORD) -> LoggedRecord:
    return LoggedRecord(seq=seq, wall=WallTime(1_769_832_000_000), record=record)


def random_lines(count: int, size: int) -> list[LogLine]:
    """Return lines that can not be compressed below three quarters."""
    rng = random.Random(1)
    return [LogLine(seq=seq, text=rng.randbytes(size // 2).hex().encode() + b"\n") for seq in range(1, count + 1)]


def unpacked(data: bytes) -> list[dict[str, object]]:
    return [json.loads(line) for line in gzip.decompress(data).splitlines()]


def test_a_line_says_what_happened_when() -> None:
    log = pack(write_lines([row(7)]), 0)
    assert (log.first, log.last, log.rows) == (7, 7, 1)
    assert unpacked(log.data) == [
        {
            "seq": 7,
            "at": "2026-01-31T04:00:00.000+00:00",
            "kind": "attempt",
            "subject": "01M833VH70G827C4F6ZEKG40CN",
            "cause": "PayConfirmed",
            "before": "submitting",
            "after": "paid",
            "sale": "01M833VGPC7VPSMBC9CZ4MKB33",
        }
    ]


@given(
    field=st.sampled_from(sorted(WITH_TEXT)),
    around=st.tuples(st.text("ab ", max_size=300), st.text("ab ", max_size=300)),
)
def test_no_key_and_no_whole_payment_code_is_in_a_line(field: str, around: tuple[str, str]) -> None:
    """I7, also where a text is cut, and where JSON would write the key in another way."""
    protect(Secret(KEY))
    for secret in (KEY, CODE):
        (line,) = write_lines([row(record=WITH_TEXT[field](secret.join(around)))])
        written = json.loads(line.text)[field]
        assert len(written) <= MAX_FIELD
        assert not any(part in written for part in ("MARKED", "69c2f871", CODE, CODE[4:-4]))


@given(st.text(max_size=40))
def test_whatever_a_row_says_stays_on_its_line(text: str) -> None:
    (line,) = write_lines([row(record=WITH_TEXT["subject"](text))])
    assert line.text.count(b"\n") == 1
    assert line.text.endswith(b"\n")
    assert json.loads(line.text)["kind"] == "attempt"


def test_the_header_bears_no_time() -> None:
    data = pack(write_lines([row()]), 0).data
    assert data[:4] == b"\x1f\x8b\x08\x00"
    assert data[4:8] == bytes(4)


def test_rows_that_are_in_no_log_are_told() -> None:
    log = pack(write_lines([row(31)]), 30)
    assert unpacked(log.data)[0] == {"kind": "left_out", "rows": 30}
    assert (log.first, log.rows) == (31, 1)


def test_a_log_has_at_most_so_many_rows() -> None:
    """I11."""
    lines = [LogLine(seq=seq, text=b"{}\n") for seq in range(1, MAX_ROWS + 10)]
    log = pack(lines, 0)
    assert (log.rows, log.last) == (MAX_ROWS, MAX_ROWS)


def test_a_log_is_at_most_so_long_before_and_after_it_is_packed() -> None:
    """I11."""
    plain = [LogLine(seq=seq, text=b"x" * 1023 + b"\n") for seq in range(1, 5000)]
    log = pack(plain, 0)
    assert len(gzip.decompress(log.data)) == MAX_PLAIN == log.rows * 1024
    dense = pack(random_lines(1000, 4096), 0)
    assert MAX_PACKED / 4 < len(dense.data) <= MAX_PACKED
    assert dense.last == dense.rows < 1000


@settings(max_examples=20, deadline=None)
@given(count=st.integers(1, 60), size=st.sampled_from([64, 4096, 60_000]), left_out=st.sampled_from([0, 5]))
def test_what_does_not_fit_is_for_the_next_log(count: int, size: int, left_out: int) -> None:
    lines = random_lines(count, size)
    packed = b""
    while lines:
        log = pack(lines, left_out)
        assert len(log.data) <= MAX_PACKED
        assert (log.first, log.last) == (lines[0].seq, lines[log.rows - 1].seq)
        text = gzip.decompress(log.data)
        packed += text.partition(b"\n")[2] if left_out else text
        lines, left_out = lines[log.rows :], 0
    assert packed == b"".join(line.text for line in random_lines(count, size))


def test_a_busy_day_fits() -> None:
    """The bounds are those of the constants' reasons: ten thousand rows of a thousand sales in one log."""
    rng = random.Random(1)
    sales = ["".join(rng.choices("0123456789ABCDEFGHJKMNPQRSTVWXYZ", k=26)) for _ in range(1000)]
    rows = [
        LoggedRecord(
            seq=number + 1,
            wall=WallTime(1_769_832_000_000 + number * 8000 + rng.randrange(4000)),
            record=Record(
                kind=("sale", "attempt", "print")[number % 3],
                subject=sales[number // 10][::-1] if number % 3 else sales[number // 10],
                sale_id=SaleId(sales[number // 10]),
                cause="PayConfirmed",
                before="submitting",
                after="paid",
            ),
        )
        for number in range(10_000)
    ]
    assert pack(write_lines(rows), 0).rows == 10_000
