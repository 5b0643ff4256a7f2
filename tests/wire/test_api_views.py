import json
from dataclasses import replace

import pytest

from terminald.core.attempt_table import AttemptState
from terminald.core.book import SaleView
from terminald.core.commands import Goods, OrderText
from terminald.core.events import Fault, OrderFacts
from terminald.core.ids import ClientSn, Instant, SaleId, WallTime
from terminald.core.money import Fen
from terminald.core.refund_table import RefundKind, RefundState
from terminald.core.sale_table import DeliveryState, SaleState
from terminald.core.spool import JobState
from terminald.core.tables import Attention
from terminald.wire import api_shapes as shapes
from terminald.wire.api_problems import advice
from terminald.wire.api_receipt import receipt_json
from terminald.wire.api_views import (
    attention_event,
    print_event,
    readiness_event,
    refund_event,
    refund_json,
    refund_shape,
    rfc3339,
    sale_event,
    sale_json,
    sale_shape,
    sales_json,
    scan_event,
)
from tests.wire.api_samples import (
    MORNING,
    NOW,
    attempt,
    job,
    offer,
    order,
    paid_view,
    qr_view,
    refund,
    refunded_view,
    sale,
)

SWITCHING = SaleState.SWITCHING


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
        "vend": None,
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


SHOWN = {JobState.LOST: "queued", JobState.REPRINTING: "printing"}


@pytest.mark.parametrize("state", JobState)
def test_the_receipt_is_that_of_the_latest_job(state: JobState) -> None:
    jobs = (job(JobState.FAILED), job(state, number=2, is_copy=True))
    assert sale_shape(SaleView(sale=sale(), attempts=(), jobs=jobs), NOW).receipt == SHOWN.get(state, state.value)


@pytest.mark.parametrize("slip", ["qr", "refund"])
def test_other_slips_are_no_receipt(slip: str) -> None:
    jobs = (job(JobState.UNVERIFIED), job(JobState.FAILED, number=2, slip=slip))
    assert sale_shape(SaleView(sale=sale(), attempts=(), jobs=jobs), NOW).receipt == "unverified"
    assert sale_shape(SaleView(sale=sale(), attempts=(), jobs=jobs[1:]), NOW).receipt == "off"


def test_without_a_job_the_receipt_is_off() -> None:
    assert sale_shape(view_in(SaleState.AWAITING_PAYMENT), NOW).receipt == "off"


@pytest.mark.parametrize("state", SaleState)
def test_a_reason_is_given_only_while_the_sale_is_not_to_be_paid(state: SaleState) -> None:
    is_given = state in (SaleState.CANCELING, SaleState.CANCELED)
    assert sale_shape(view_in(state, "declined"), NOW).reason == ("declined" if is_given else None)
    assert sale_shape(view_in(state), NOW).reason is None


def test_attention_is_told_on_the_calendar_of_now() -> None:
    alarm = Attention(code="reversal_open", since=Instant(NOW.instant - 61_500))
    view = SaleView(sale=sale(), attempts=(attempt("A0"), attempt("A1", attention=alarm)), jobs=())
    assert sale_shape(view, NOW).attention == shapes.Attention(
        code="reversal_open", since="2025-01-31T07:58:58.500+00:00", advice=advice("reversal_open")
    )


def test_the_goods_call_a_person_before_the_money_that_goes_back_and_that_before_the_orders() -> None:
    codes = ("delivery_overdue", "merchant_balance", "order_errored")
    goods, money, ordered = (Attention(code=code, since=NOW.instant) for code in codes)
    view = SaleView(
        sale=replace(sale(), attention=goods),
        attempts=(attempt(attention=ordered),),
        refunds=(refund(1), refund(2, state=RefundState.BLOCKED, attention=money)),
    )
    assert shown_attention(view) == "delivery_overdue"
    view = replace(view, sale=sale())
    assert shown_attention(view) == "merchant_balance"
    assert shown_attention(replace(view, refunds=())) == "order_errored"


def shown_attention(view: SaleView) -> str | None:
    shown = sale_shape(view, NOW).attention
    return None if shown is None else shown.code


# --- QR, money that goes back, delivery ------------------------------------------------------------------------------


def test_a_qr_is_shown_with_its_wallet_and_its_end() -> None:
    shown = sale_shape(qr_view(), NOW)
    assert shown.qr == shapes.Qr(content="https://qr.example/1", payway="3", expires_at="2025-01-31T08:00:40.000+00:00")
    assert (shown.attempts[0].kind, shown.attempts[0].outcome) == ("qr", shapes.Outcome.OFFERED)
    assert shown.attempts[0].code is None


@pytest.mark.parametrize("state", [state for state in AttemptState if state is not AttemptState.OFFERED])
def test_a_qr_is_shown_only_while_its_order_is_offered(state: AttemptState) -> None:
    assert sale_shape(qr_view(state=state), NOW).qr is None


@pytest.mark.parametrize("state", [state for state in SaleState if state is not SaleState.AWAITING_PAYMENT])
def test_a_qr_is_shown_only_while_the_sale_waits_for_payment(state: SaleState) -> None:
    assert sale_shape(qr_view(state), NOW).qr is None


def test_a_qr_is_not_shown_from_its_end_on() -> None:
    """A host that draws what it gets can not show a QR that is not to be paid any more."""
    last = replace(NOW, instant=Instant(NOW.instant + 39_999))
    assert sale_shape(qr_view(), last).qr is not None
    assert sale_shape(qr_view(), replace(last, instant=Instant(last.instant + 1))).qr is None


def test_of_several_qr_orders_the_offered_one_is_shown() -> None:
    view = replace(qr_view(), attempts=(offer("Q0", state=AttemptState.DECLINED), offer("Q1")))
    shown = sale_shape(view, NOW)
    assert shown.qr is not None
    assert [one.client_sn for one in shown.attempts] == ["Q0", "Q1"]


def test_a_sale_whose_qr_is_undone_for_a_code_is_processing() -> None:
    held = attempt("A1", state=AttemptState.HELD)
    view = replace(qr_view(SWITCHING, AttemptState.REVERSING), attempts=(offer(state=AttemptState.REVERSING), held))
    shown = sale_shape(view, NOW)
    assert shown.state is shapes.ShownState.PROCESSING
    assert [one.outcome.value for one in shown.attempts] == ["reversing", "held"]


def test_every_state_of_a_sale_has_a_public_word() -> None:
    assert {state.shown for state in SaleState} == {state.value for state in shapes.ShownState}
    for state in SaleState:
        assert shapes.ShownState(state.shown).is_final == state.is_final


def test_refunds_are_shown_with_what_became_of_them() -> None:
    shown = json.loads(sale_json(refunded_view(), NOW))
    assert (shown["paid"], shown["returned"]) == (350, 100)
    assert shown["refunds"] == [
        {
            "id": "01JDSALE-r1",
            "reference": "back-1",
            "kind": "refund",
            "amount": 100,
            "state": "done",
            "error": None,
            "started_at": "2025-01-31T08:00:03.000+00:00",
            "ended_at": "2025-01-31T08:00:04.000+00:00",
        },
        {
            "id": "01JDSALE-r2",
            "reference": "back-2",
            "kind": "refund",
            "amount": 50,
            "state": "proving",
            "error": None,
            "started_at": "2025-01-31T08:00:03.000+00:00",
            "ended_at": None,
        },
    ]


def test_a_refund_without_a_name_and_the_last_refusal_are_told() -> None:
    fault = Fault(code="ACCOUNT_BALANCE_NOT_ENOUGH", message="余额不足")
    shown = refund_shape(refund(state=RefundState.BLOCKED, kind=RefundKind.RETURN, reference="", fault=fault))
    assert (shown.reference, shown.kind, shown.state) == (None, RefundKind.RETURN, RefundState.BLOCKED)
    assert shown.error == shapes.Error(code="ACCOUNT_BALANCE_NOT_ENOUGH", message="余额不足")


def test_delivery_is_shown_until_it_is_reported() -> None:
    wanted = replace(order(), reports_delivery=True)
    opened = sale(state=SaleState.AWAITING_PAYMENT, wanted=wanted)
    pending = replace(
        sale(state=SaleState.PAID, wanted=wanted),
        delivery=DeliveryState.PENDING,
        delivery_ends=Instant(NOW.instant + 180_000),
    )
    done = replace(sale(wanted=wanted), delivery=DeliveryState.DELIVERED)
    told = [json.loads(sale_json(SaleView(sale=one, attempts=()), NOW))["delivery"] for one in (opened, pending, done)]
    assert told == [
        {"required": True, "state": "none", "deadline": None},
        {"required": True, "state": "pending", "deadline": "2025-01-31T08:03:00.000+00:00"},
        {"required": True, "state": "delivered", "deadline": None},
    ]


def test_a_returned_sale_says_what_was_paid_and_that_all_of_it_went_back() -> None:
    returned = replace(sale(state=SaleState.RETURNED), returned=Fen(350))
    shown = sale_shape(SaleView(sale=returned, attempts=(attempt(),)), NOW)
    assert (shown.state.value, shown.paid, shown.returned, shown.reason) == ("returned", 350, 350, None)
    assert shown.closed_at is not None


# --- pages and events ------------------------------------------------------------------------------------------------


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
        "slip": "receipt",
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
    assert json.loads(attention_event(SaleId("01JDSALE"), ClientSn("A1"), attention, NOW)) == {
        "sale": "01JDSALE",
        "client_sn": "A1",
        "code": "order_errored",
        "since": "2025-01-31T07:59:59.000+00:00",
        "advice": advice("order_errored"),
    }
    assert json.loads(attention_event(SaleId("01JDSALE"), None, attention, NOW))["client_sn"] is None
    assert json.loads(refund_event(refund())) == {"sale": "01JDSALE", "refund": json.loads(refund_json(refund()))}
    assert json.loads(readiness_event(())) == {"ready": True, "reasons": []}
    assert json.loads(readiness_event(("paper_out",))) == {"ready": False, "reasons": ["paper_out"]}


def test_a_receipt_as_text_is_shown_as_it_is_described() -> None:
    cola = Goods(id="69", name="Cola", quantity=2, price=Fen(350))
    order = OrderText(subject="Drinks", operator="kiosk", goods=(cola,))
    body = json.loads(receipt_json(SaleId("01"), 32, "支付凭证\n", order))
    goods = [{"id": "69", "name": "Cola", "quantity": 2, "price": 350}]
    assert body == {"sale": "01", "columns": 32, "text": "支付凭证\n", "goods": goods, "operator": "kiosk"}
