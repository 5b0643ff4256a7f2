import json
from dataclasses import replace

import pytest

from terminald.core.attempt_table import AttemptState
from terminald.core.book import SaleView
from terminald.core.events import Fault, OrderFacts
from terminald.core.ids import Instant, SaleId, WallTime
from terminald.core.sale_table import SaleState
from terminald.core.spool import JobState
from terminald.core.tables import Attention
from terminald.wire import api_shapes as shapes
from terminald.wire.api_problems import advice
from terminald.wire.api_views import (
    attention_event,
    print_event,
    readiness_event,
    rfc3339,
    sale_event,
    sale_json,
    sale_shape,
    sales_json,
    scan_event,
)
from tests.wire.api_samples import MORNING, NOW, attempt, job, order, paid_view, sale


def view_in(state: SaleState, reason: str = "") -> SaleView:
    return SaleView(sale=sale(state=state, reason=reason), attempts=(), jobs=())


def test_a_sale_has_the_published_shape() -> None:
    assert json.loads(sale_json(paid_view(), NOW)) == {
        "id": "01JDSALE",
        "reference": "order-8841",
        "state": "completed",
        "amount": 350,
        "subject": "Cola",
        "methods": ["scan"],
        "qr": None,
        "attempts": [
            {
                "client_sn": "A1",
                "kind": "scan",
                "sn": "7894",
                "trade_no": "4200",
                "payway": "3",
                "code": "1308…1147",
                "outcome": "paid",
                "error": None,
                "started_at": "2025-01-31T08:00:01.000+00:00",
                "ended_at": "2025-01-31T08:00:02.000+00:00",
            }
        ],
        "paid": 350,
        "returned": 0,
        "refunds": [],
        "delivery": {"required": False, "state": "none", "deadline": None},
        "receipt": "unverified",
        "reason": None,
        "attention": None,
        "created_at": "2025-01-31T08:00:00.000+00:00",
        "updated_at": "2025-01-31T08:00:02.500+00:00",
        "closed_at": "2025-01-31T08:00:02.500+00:00",
    }


def test_what_is_not_known_of_an_attempt_is_null_and_its_fault_is_shown() -> None:
    fault = Fault(code="EXPIRED_BARCODE", message="付款码已过期")
    declined = attempt(state=AttemptState.DECLINED, fault=fault, facts=OrderFacts())
    shown = sale_shape(SaleView(sale=sale(), attempts=(declined,), jobs=()), NOW).attempts[0]
    assert (shown.sn, shown.trade_no, shown.payway) == (None, None, None)
    assert shown.error == shapes.Error(code="EXPIRED_BARCODE", message="付款码已过期")


def test_every_state_of_an_attempt_has_a_public_word() -> None:
    assert shapes.OUTCOMES.keys() == set(AttemptState)
    for state in AttemptState:
        outcome = shapes.OUTCOMES[state]
        assert (outcome is shapes.Outcome.PAID) == (state is AttemptState.PAID)


@pytest.mark.parametrize("state", JobState)
def test_the_receipt_is_that_of_the_latest_job(state: JobState) -> None:
    jobs = (job(JobState.FAILED), job(state, number=2, is_copy=True))
    assert sale_shape(SaleView(sale=sale(), attempts=(), jobs=jobs), NOW).receipt == state.value


def test_without_a_job_the_receipt_is_off() -> None:
    assert sale_shape(view_in(SaleState.AWAITING_PAYMENT), NOW).receipt == "off"


@pytest.mark.parametrize("state", SaleState)
def test_a_reason_is_given_only_while_the_sale_is_not_to_be_paid(state: SaleState) -> None:
    is_given = state in (SaleState.CANCELING, SaleState.CANCELED)
    assert sale_shape(view_in(state, "declined"), NOW).reason == ("declined" if is_given else None)
    assert sale_shape(view_in(state), NOW).reason is None


def test_attention_is_the_oldest_one_on_the_calendar_of_now() -> None:
    calm = attempt("A0")
    late = attempt("A1", attention=Attention(code="order_errored", since=Instant(NOW.instant - 1_000)))
    early = attempt("A2", attention=Attention(code="reversal_open", since=Instant(NOW.instant - 61_500)))
    shown = sale_shape(SaleView(sale=sale(), attempts=(calm, late, early), jobs=()), NOW).attention
    assert shown == shapes.Attention(
        code="reversal_open", since="2025-01-31T07:58:58.500+00:00", advice=advice("reversal_open")
    )


def test_a_page_of_sales_has_a_cursor_while_it_is_full() -> None:
    views = (paid_view("02"), paid_view("01"))
    full = json.loads(sales_json(views, NOW, limit=2))
    assert [one["id"] for one in full["sales"]] == ["02", "01"]
    assert full["next_cursor"] == "01"
    assert json.loads(sales_json(views, NOW, limit=3))["next_cursor"] is None
    assert json.loads(sales_json((), NOW, limit=1)) == {"sales": [], "next_cursor": None}


@pytest.mark.parametrize(
    ("wall", "text"),
    [
        (MORNING, "2025-01-31T08:00:00.000+00:00"),
        (MORNING + 1, "2025-01-31T08:00:00.001+00:00"),
        (-5, "1970-01-01T00:00:00.000+00:00"),
        (10**18, "9999-12-31T00:00:00.000+00:00"),
    ],
)
def test_times_are_utc_with_milliseconds_whatever_the_clock_says(wall: int, text: str) -> None:
    assert rfc3339(WallTime(wall)) == text


def test_a_sale_event_is_the_sale() -> None:
    canceled = replace(paid_view(), sale=sale(state=SaleState.CANCELED, wanted=order("r2")))
    assert sale_event(canceled, NOW) == sale_json(canceled, NOW)


def test_the_other_events_say_what_changed() -> None:
    assert json.loads(print_event(job(is_copy=True))) == {
        "job": "01JDSALE-1",
        "sale": "01JDSALE",
        "copy": True,
        "state": "unverified",
        "detail": "sent",
    }
    assert json.loads(scan_event(SaleId("01"), "front", "not_a_payment_code", "13 digits")) == {
        "sale": "01",
        "device": "front",
        "reason": "not_a_payment_code",
        "detail": "13 digits",
    }
    assert json.loads(scan_event(None, "front", "unarmed", ""))["sale"] is None
    attention = Attention(code="order_errored", since=Instant(NOW.instant - 1_000))
    assert json.loads(attention_event(attempt(), attention, NOW)) == {
        "sale": "01JDSALE",
        "client_sn": "A1",
        "code": "order_errored",
        "since": "2025-01-31T07:59:59.000+00:00",
        "advice": advice("order_errored"),
    }
    assert json.loads(readiness_event(())) == {"ready": True, "reasons": []}
    assert json.loads(readiness_event(("paper_out",))) == {"ready": False, "reasons": ["paper_out"]}
