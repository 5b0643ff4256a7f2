import json

import pytest

from terminald.core import attempt as attempts
from terminald.core import custody as keys
from terminald.core import refund as refunds
from terminald.core.readiness import Reason
from terminald.core.refund_answers import FOR_NOW
from terminald.errors import ApiError
from terminald.wire.api_problems import (
    ATTENTION_ADVICE,
    MAX_DETAIL,
    PROBLEMS,
    READINESS_ADVICE,
    advice,
    problem_json,
)


@pytest.mark.parametrize("code", sorted(PROBLEMS))
def test_every_code_is_a_whole_problem(code: str) -> None:
    status, body = problem_json(ApiError(code, "what happened"))
    kind = PROBLEMS[code]
    assert status == kind.status
    assert json.loads(body) == {
        "type": f"urn:terminald:{code}",
        "title": kind.title,
        "status": status,
        "detail": "what happened",
        "advice": kind.advice,
        "code": code,
    }
    assert kind.title
    assert kind.advice


def test_the_published_statuses_are_kept() -> None:
    published = {"reference_conflict": 409, "busy": 409, "not_ready": 503, "invalid_request": 422}
    assert {code: PROBLEMS[code].status for code in published} == published


def test_a_field_and_reasons_are_told_when_there_are_any() -> None:
    _, body = problem_json(ApiError("invalid_request", "amount: too much", field="amount"))
    assert json.loads(body)["field"] == "amount"
    _, body = problem_json(ApiError("not_ready", "no", reasons=("paper_out", "gateway_unreachable")))
    told = json.loads(body)
    assert told["reasons"] == ["paper_out", "gateway_unreachable"]
    assert told["advice"] == f"{advice('paper_out')} {advice('gateway_unreachable')}"


def test_a_code_of_no_table_is_our_fault_and_its_detail_stays_inside() -> None:
    status, body = problem_json(ApiError("secret_state", "internals"))
    assert status == 500
    assert json.loads(body)["code"] == "internal_error"
    assert b"internals" not in body


def test_a_long_detail_is_cut() -> None:
    _, body = problem_json(ApiError("invalid_request", "x" * 100_000, field="y" * 100_000))
    assert len(body) < 3 * MAX_DETAIL


def test_there_is_advice_for_all_that_needs_a_person() -> None:
    held_up = {refunds._held_up_by(code) for code in (*FOR_NOW, "UPAY_TCP_ORDER_NOT_REFUNDABLE", "")}
    raised = {
        *attempts._ATTENTION.values(),
        *refunds._ATTENTION.values(),
        *held_up,
        *keys._ATTENTION.values(),
        *("checkin_refused", "checkin_overdue", "key_unproven"),
        *("delivery_overdue", "delivered_and_returned", "disk_slow", "journal_damaged", "journal_too_new"),
    }
    assert raised == ATTENTION_ADVICE.keys()
    assert {reason.value for reason in Reason} == READINESS_ADVICE.keys()
    for code in [*ATTENTION_ADVICE, *READINESS_ADVICE]:
        assert advice(code).endswith(".")
    assert advice("something_new").endswith(".")


def test_what_it_is_about_has_its_advice_before_all_others() -> None:
    _, body = problem_json(ApiError("unhealthy", "…", reasons=("journal_failed",), matter="journal_damaged"))
    assert json.loads(body)["advice"] == ATTENTION_ADVICE["journal_damaged"]
    assert json.loads(body)["reasons"] == ["journal_failed"]
