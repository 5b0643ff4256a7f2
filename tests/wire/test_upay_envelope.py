"""The envelope: anything may come, and nothing but the documents' shape is read."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from terminald.wire.upay_envelope import MAX_BODY, clean, is_key_refused, is_terminal_refused, parse_fen, read_envelope

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=12,
)


@given(st.integers(), st.binary())
def test_no_bytes_raise(status: int, body: bytes) -> None:
    read_envelope(status, body)
    read_envelope(200, body)


@given(JSON, JSON, JSON)
def test_no_json_raises(document: object, biz: object, data: object) -> None:
    for nested in (document, {"result_code": "200", "biz_response": biz}):
        read_envelope(200, json.dumps(nested).encode())
    inner = {"result_code": document, "data": data}
    envelope = read_envelope(200, json.dumps({"result_code": "200", "biz_response": inner}).encode())
    if envelope is not None:
        assert all(isinstance(value, str) for value in {**envelope.flat, **envelope.data}.values())


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b"\xff\xfe{}",
        b"[]",
        b'"200"',
        b"{}",
        b'{"result_code": null}',
        b'{"result_code": ""}',
        b'{"result_code": true}',
        b'{"result_code": 2.5}',
        b'{"result_code": "200"} trailing',
        b'{"result_code": "200", "result_code": "200"}',
        b'{"result_code": "200", "x ": 1, "x  ": 2}',
        b'{"result_code": "200", "biz_response": {"result_code": "PAY_FAIL", "result_code": "PAY_SUCCESS"}}',
        b'{"result_code": "200", "x": NaN}',
        b'{"result_code": "200", "x": -Infinity}',
        b'{"result_code": "200", "x": ' + b"9" * 5000 + b"}",
        b'{"result_code": "200", "x": ' + b"[" * 100_000,
        b'{"result_code": "200"}'.ljust(MAX_BODY + 1),
        '{"result_code": "200"}'.encode("utf-16"),
    ],
    ids=lambda body: repr(body[:50]),
)
def test_what_is_not_the_envelope_is_not_read(body: bytes) -> None:
    assert read_envelope(200, body) is None


@pytest.mark.parametrize("status", [-1, 0, 100, 199, 300, 302, 400, 404, 500, 502, 999])
def test_only_a_success_of_http_is_read(status: int) -> None:
    assert read_envelope(status, b'{"result_code": "200"}') is None


def test_names_with_a_trailing_blank_are_read_and_the_exact_one_wins() -> None:
    body = {
        "result_code ": 200,
        "biz_response": {"data": {"total_amount ": "1", "total_amount": "2", "operator ": "o"}},
    }
    for shuffled in (
        body,
        {**body, "biz_response": {"data": {"total_amount": "2", "operator ": "o", "total_amount ": "1"}}},
    ):
        envelope = read_envelope(200, json.dumps(shuffled).encode())
        assert envelope is not None
        assert envelope.outer.result_code == "200"
        assert envelope.data == {"total_amount": "2", "operator": "o"}


def test_only_text_and_whole_numbers_are_values() -> None:
    data = {"a": "x", "b": 7, "c": None, "d": 1.5, "e": True, "f": [], "g": {}}
    envelope = read_envelope(200, json.dumps({"result_code": "200", "biz_response": {"data": data}}).encode())
    assert envelope is not None
    assert envelope.data == {"a": "x", "b": "7"}


@pytest.mark.parametrize(
    ("biz", "has_biz"), [(None, False), ({}, False), ({"x": "y"}, True), ("text", True), ([1], True)]
)
def test_anything_in_the_place_of_the_second_layer_counts_as_one(biz: object, *, has_biz: bool) -> None:
    envelope = read_envelope(200, json.dumps({"result_code": "400", "biz_response": biz}).encode())
    assert envelope is not None
    assert envelope.has_biz is has_biz


@pytest.mark.parametrize(
    ("body", "refused"),
    [
        ({"result_code": "400", "error_code": "ILLEGAL_SIGN"}, True),
        ({"result_code": "400", "error_code": "INVALID_PARAMS"}, False),
        ({"result_code": "500", "error_code": "ILLEGAL_SIGN"}, False),
        ({"result_code": "200", "error_code": "ILLEGAL_SIGN"}, False),
        ({"result_code": "400", "error_code": "ILLEGAL_SIGN", "biz_response": {"result_code": "PAY_SUCCESS"}}, False),
        ({"error_code": "ILLEGAL_SIGN"}, False),
    ],
)
def test_only_the_first_layer_alone_refuses_a_signature(body: object, *, refused: bool) -> None:
    """I2: the same bytes are sent again only where the gateway provably did nothing."""
    assert is_key_refused(200, json.dumps(body).encode()) is refused
    assert not is_key_refused(502, json.dumps(body).encode())


@pytest.mark.parametrize(
    ("text", "fen"),
    [("0", 0), ("350", 350), ("0350", 350), ("9999999999", 9_999_999_999), ("10000000000", None), ("", None),
     ("-1", None), ("+1", None), ("1.0", None), ("1e3", None), (" 1", None), ("1\n", None), ("１", None), ("²", None),
     ("0x1", None), ("1_0", None)],
)  # fmt: skip
def test_amounts_are_ascii_digits_and_nothing_else(text: str, fen: int | None) -> None:
    assert parse_fen(text) == fen


@given(st.text(), st.integers(min_value=1, max_value=300))
def test_cleaned_text_can_be_stored_and_shown(text: str, longest: int) -> None:
    cleaned = clean(text, longest)
    assert len(cleaned) <= longest
    assert cleaned.isprintable()
    cleaned.encode()


@pytest.mark.parametrize(
    ("body", "is_refused"),
    [
        (b'{"result_code":"400","error_code":"TERMINAL_NOT_EXISTS"}', True),
        (b'{"result_code":"200","biz_response":{"result_code":"FAIL","error_code":"UPAY_TERMINAL_NOT_EXISTS"}}', True),
        (b'{"result_code":"400","error_code":"ILLEGAL_SIGN"}', False),
        (b'{"result_code":"200","biz_response":{"result_code":"FAIL","error_code":"UPAY_ORDER_NOT_EXISTS"}}', False),
        (b"<html>", False),
    ],
)
def test_either_layer_may_refuse_the_terminal(body: bytes, *, is_refused: bool) -> None:
    assert is_terminal_refused(200, body) is is_refused
