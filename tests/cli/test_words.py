"""Plain words."""

import json
from dataclasses import replace

import msgspec
import pytest

from terminald.cli.words import (
    delivery_words,
    fields,
    key_words,
    local_time,
    outcome_words,
    reason_words,
    refund_words,
    since,
    span,
    state_words,
    table,
)
from terminald.core.attempt_table import AttemptState
from terminald.core.book import SaleView
from terminald.core.events import Fault
from terminald.core.ids import Instant
from terminald.core.money import Fen
from terminald.core.refund_table import RefundState
from terminald.core.sale_table import DeliveryState, SaleState
from terminald.wire import api_shapes as shapes
from terminald.wire.api_views import refund_json, sale_json
from tests.wire.api_samples import NOW, attempt, order, paid_view, qr_view, refund, refunded_view, sale


def shown(view: SaleView) -> shapes.Sale:
    return msgspec.json.decode(sale_json(view, NOW), type=shapes.Sale)


def shown_refund(state: RefundState, fault: Fault | None = None) -> shapes.Refund:
    return msgspec.json.decode(refund_json(refund(state=state, fault=fault)), type=shapes.Refund)


# --- sales -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("state", SaleState)
def test_every_state_of_a_sale_has_one_line(state: SaleState) -> None:
    words = state_words(shown(SaleView(sale=sale(state=state, reason="host"), attempts=())))
    assert words
    assert "\n" not in words


@pytest.mark.parametrize(
    ("methods", "words"),
    [
        (("scan",), "waiting for the customer's payment code"),
        (("qr",), "waiting for the customer to scan the QR"),
        (("scan", "qr"), "waiting for the customer's payment code, or for the customer to scan the QR"),
    ],
)
def test_a_sale_that_waits_says_for_what(methods: tuple[str, ...], words: str) -> None:
    wanted = replace(order(), methods=methods)
    assert (
        state_words(shown(SaleView(sale=sale(state=SaleState.AWAITING_PAYMENT, wanted=wanted), attempts=()))) == words
    )


def test_a_code_that_is_held_back_is_told() -> None:
    view = qr_view(SaleState.SWITCHING, AttemptState.REVERSING)
    held = replace(view, attempts=(*view.attempts, attempt(state=AttemptState.HELD)))
    assert "the QR is being undone first" in state_words(shown(held))
    assert "may have to confirm on the phone" in state_words(shown(view))


def test_what_has_gone_back_and_what_is_on_its_way_is_told() -> None:
    assert state_words(shown(paid_view())) == "paid 3.50 yuan with WeChat Pay, transaction 7894"
    assert state_words(shown(refunded_view())) == (
        "paid 3.50 yuan with WeChat Pay, transaction 7894; 1.00 yuan of it has gone back; "
        "0.50 yuan of it is on its way back"
    )
    returning = SaleView(sale=sale(state=SaleState.RETURNING), attempts=(attempt(),))
    assert state_words(shown(returning)) == "paid 3.50 yuan, and the money is on its way back"
    in_part = replace(returning, sale=replace(returning.sale, returned=Fen(100)))
    assert state_words(shown(in_part)) == "paid 3.50 yuan, 1.00 yuan has gone back, and the rest is on its way back"
    all_back = SaleView(sale=sale(state=SaleState.RETURNED), attempts=(attempt(),))
    assert state_words(shown(all_back)) == "paid 3.50 yuan, and all of it has gone back"


def test_a_report_that_is_awaited_is_told_and_until_when() -> None:
    wanted = replace(order(), reports_delivery=True)
    pending = replace(
        sale(state=SaleState.PAID, wanted=wanted),
        delivery=DeliveryState.PENDING,
        delivery_ends=Instant(NOW.instant + 1_000),
    )
    told = shown(SaleView(sale=pending, attempts=(attempt(),)))
    assert state_words(told).endswith("it is not reported yet whether the goods came out")
    assert delivery_words(told.delivery).endswith(local_time("2025-01-31T08:00:01+00:00", with_date=False))
    assert delivery_words(shown(paid_view()).delivery) == ""


@pytest.mark.parametrize("state", DeliveryState)
def test_every_state_of_the_goods_has_words(state: DeliveryState) -> None:
    delivery = shapes.Delivery(required=True, state=state, deadline=None)
    assert delivery_words(delivery) not in ("", state.value)


@pytest.mark.parametrize("outcome", shapes.Outcome)
def test_every_outcome_has_words_and_says_what_went_wrong(outcome: shapes.Outcome) -> None:
    error = {"code": "C", "message": "m\x1b[2J"}
    one = json.loads(sale_json(paid_view(), NOW))["attempts"][0] | {"outcome": outcome.value, "error": error}
    words = outcome_words(msgspec.convert(one, shapes.Attempt))
    assert words.endswith(" (C m\\x1b[2J)")


@pytest.mark.parametrize("state", RefundState)
def test_every_state_of_a_refund_has_words_and_says_what_went_wrong(state: RefundState) -> None:
    plain = refund_words(shown_refund(state))
    assert plain
    assert refund_words(shown_refund(state, Fault(code="C", message="m"))) == (
        plain if state is RefundState.DONE else f"{plain} (C m)"
    )


def test_an_unknown_state_of_the_key_is_shown_as_it_is() -> None:
    key = shapes.Key(age_s=60, rotated_at="", next_checkin=None, state="fresh", attention=None)
    assert key_words(key) == "accepted, 1 min old"
    assert key_words(msgspec.structs.replace(key, state="eaten\x1b")) == "eaten\\x1b, 1 min old"


# --- times and tables ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-5, "0 s"),
        (0, "0 s"),
        (59.9, "59 s"),
        (60, "1 min"),
        (61, "1 min 1 s"),
        (3600, "1 h"),
        (3700, "1 h 1 min"),
        (90_000, "1 d 1 h"),
        (86_400 * 3 + 60, "3 d"),
    ],
)
def test_spans_have_two_units(seconds: float, text: str) -> None:
    assert span(seconds) == text


def test_times() -> None:
    assert local_time(None) == "-"
    assert local_time("2026-01-31T12:00:00.000+00:00").startswith("2026-01-31 ")
    assert local_time("soon\x1b") == "soon\\x1b"
    assert since(None) == "never"
    assert since("soon") == "never"
    assert since("1970-01-01T00:00:00+00:00").endswith(" ago")


def test_an_unknown_reason_is_shown_as_it_is() -> None:
    assert reason_words("new_reason") == "new_reason"
    assert reason_words(None) == "no reason is given"


def test_wide_characters_keep_the_columns() -> None:
    rows = [("name", "yuan"), ("可乐", "3.50"), ("Cola", "12.00")]
    assert table(rows, right=(1,)).splitlines() == ["name   yuan", "可乐   3.50", "Cola  12.00"]


def test_empty_values_are_left_out() -> None:
    assert fields([("a", "1"), ("b", "")], indent=" ") == " a           1"
