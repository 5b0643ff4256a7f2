"""Answers to a log upload."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from terminald.core.events import Fault
from terminald.wire.upay import LogAnswer, LogFate, decode_upload
from tests.wire.upay_answers import refusal


@pytest.mark.parametrize(
    "body",
    [
        b'{"result_code":"200"}',
        b'{"result_code":"200","error_code":"SUCCESS","error_message":"ok"}',
        b'{"result_code":"200","biz_response":{"result_code":"SUCCESS"}}',
    ],
)
def test_a_log_is_taken_when_the_result_code_says_so(body: bytes) -> None:
    assert decode_upload(200, body) == LogAnswer(fate=LogFate.TAKEN)


@pytest.mark.parametrize(
    ("status", "body", "fate"),
    [
        (200, refusal("INVALID_PARAMS"), LogFate.REFUSED),
        (413, b"<html>", LogFate.REFUSED),
        (200, refusal("ILLEGAL_SIGN"), LogFate.UNCERTAIN),
        (200, refusal("TERMINAL_NOT_EXISTS"), LogFate.UNCERTAIN),
        (200, refusal("UNKNOWN_SYSTEM_ERROR", "500"), LogFate.UNCERTAIN),
        (200, refusal("INVALID_PARAMS", biz_response={"x": "1"}), LogFate.UNCERTAIN),
        (502, b'{"result_code":"200"}', LogFate.UNCERTAIN),
        (200, b"<html>", LogFate.UNCERTAIN),
        (200, b"", LogFate.UNCERTAIN),
    ],
)
def test_what_is_not_taken_says_why_and_whether_the_next_one_might_be(status: int, body: bytes, fate: LogFate) -> None:
    answer = decode_upload(status, body)
    assert answer.fate is fate
    assert answer.fault is not None
    assert answer.fault.code


def test_the_gateways_words_are_kept() -> None:
    assert decode_upload(200, refusal("INVALID_PARAMS")).fault == Fault(code="INVALID_PARAMS", message="错误")


@given(status=st.integers(100, 599), body=st.binary())
def test_no_answer_raises(status: int, body: bytes) -> None:
    assert (decode_upload(status, body).fault is None) == (decode_upload(status, body).fate is LogFate.TAKEN)
