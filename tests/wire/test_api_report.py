"""The report of a day as JSON, and the day that is asked for."""

import json
from dataclasses import replace

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from terminald.core.events import (
    JobBlocked,
    JobBroken,
    JobInterrupted,
    JobLost,
    JobPrinted,
    JobSent,
    PrintAnswer,
    PrinterAbsent,
)
from terminald.core.ids import Duration, SaleId, WallTime
from terminald.core.report import BusinessDay, report_of
from terminald.core.schedule import HOUR
from terminald.errors import ApiError
from terminald.wire.api_report import (
    MAX_SALES,
    Report,
    day_text,
    decode_day,
    decode_wants_sales,
    is_over,
    offset_text,
    printed_json,
    report_json,
)
from terminald.wire.openapi import openapi_json
from tests.wire.api_samples import NOW, Json, schema_faults
from tests.wire.report_samples import DAY, day_report

DOCUMENT: Json = json.loads(openapi_json("1.2.3"))


def test_a_report_is_shown_as_it_is_described() -> None:
    body = json.loads(report_json(day_report(), NOW, with_sales=True))
    assert body == {
        "day": "2025-01-31",
        "timezone": "+08:00",
        "over": False,
        "made_at": "2025-01-31T08:00:00.000+00:00",
        "providers": [
            {"count": 1, "sold": 350, "returns": 0, "returned": 0, "net": 350, "payway": "2"},
            {"count": 2, "sold": 700, "returns": 1, "returned": 100, "net": 600, "payway": "3"},
        ],
        "total": {"count": 3, "sold": 1050, "returns": 1, "returned": 100, "net": 950},
        "in_doubt": {"count": 1, "amount": 50, "sales": ["01JDSALE3"]},
        "sales": [
            {"id": "01JDSALE1", "reference": "order-8841", "paid": 350, "returned": 0},
            {"id": "01JDSALE2", "reference": "order-8841", "paid": 350, "returned": 0},
            {"id": "01JDSALE3", "reference": "order-8841", "paid": 350, "returned": 100},
        ],
        "left_out": 0,
    }
    assert schema_faults(body, {"$ref": "#/components/schemas/Report"}, DOCUMENT) == []


def test_sales_are_named_only_when_they_are_asked_for() -> None:
    shown = msgspec.json.decode(report_json(day_report(), NOW, with_sales=False), type=Report)
    assert (shown.sales, shown.left_out) == (None, 0)


def test_an_answer_names_so_many_sales_and_counts_the_others() -> None:
    """I11."""
    one = day_report().sales[-1]
    many = report_of(DAY, (replace(one, sale_id=SaleId(f"{number:06}")) for number in range(MAX_SALES + 3)))
    shown = msgspec.json.decode(report_json(many, NOW, with_sales=True), type=Report)
    assert (len(shown.sales or ()), shown.left_out, shown.total.count) == (MAX_SALES, 3, MAX_SALES + 3)
    assert (len(shown.in_doubt.sales), shown.in_doubt.count) == (MAX_SALES, MAX_SALES + 3)


def test_a_provider_that_is_not_known_is_null() -> None:
    unnamed = report_of(DAY, (replace(one, payway="") for one in day_report().sales))
    shown = msgspec.json.decode(report_json(unnamed, NOW, with_sales=False), type=Report)
    assert [one.payway for one in shown.providers] == [None]


def test_a_day_is_over_when_a_clock_that_is_trusted_says_so() -> None:
    """I10."""
    late = replace(NOW, wall=DAY.end, is_trusted=True)
    assert is_over(day_report(), late)
    assert not is_over(day_report(), replace(late, wall=WallTime(DAY.end - 1)))
    assert not is_over(day_report(), replace(late, is_trusted=False))


@given(st.integers(0, 2_932_896))
def test_days_are_read_as_they_are_written(number: int) -> None:
    assert decode_day({"day": day_text(number)}) == number


def test_the_first_day_and_no_day() -> None:
    assert decode_day({"day": "1970-01-01"}) == 0
    assert decode_day({"day": "2025-01-31"}) == DAY.number
    assert decode_day({"day": ""}) is None
    assert decode_day({}) is None


@pytest.mark.parametrize("text", ["1969-12-31", "2025-02-30", "20250131", "2025-W05-5", "today", "２０２５-01-31"])
def test_what_is_no_day_is_refused_by_name(text: str) -> None:
    with pytest.raises(ApiError) as refused:
        decode_day({"day": text})
    assert (refused.value.code, refused.value.field) == ("invalid_request", "day")


def test_sales_are_wanted_or_not() -> None:
    assert decode_wants_sales({"sales": "true"})
    assert not decode_wants_sales({"sales": ""})
    assert not decode_wants_sales({})
    with pytest.raises(ApiError, match="sales"):
        decode_wants_sales({"sales": "yes"})


@pytest.mark.parametrize(
    ("hours", "text"), [(8, "+08:00"), (0, "+00:00"), (-3.5, "-03:30"), (5.75, "+05:45"), (14, "+14:00")]
)
def test_offsets_are_written_as_the_configuration_has_them(hours: float, text: str) -> None:
    assert offset_text(Duration(int(hours * HOUR))) == text
    assert BusinessDay(number=0, offset=Duration(int(hours * HOUR))).start == -hours * HOUR


@pytest.mark.parametrize(
    ("answer", "state"),
    [
        (JobPrinted(evidence="printed"), "printed"),
        (JobSent(evidence="sent"), "unverified"),
        (JobBlocked(evidence="no paper"), "blocked"),
        (JobInterrupted(evidence="no paper"), "blocked"),
        (JobLost(evidence="gone"), "failed"),
        (JobBroken(evidence="cut off"), "failed"),
        (PrinterAbsent(evidence="not there"), "absent"),
    ],
)
def test_what_is_known_about_the_paper_is_told(answer: PrintAnswer, state: str) -> None:
    body = json.loads(printed_json(answer))
    assert body == {"state": state, "detail": answer.evidence}
    assert schema_faults(body, {"$ref": "#/components/schemas/PrintedSlip"}, DOCUMENT) == []
