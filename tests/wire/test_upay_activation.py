"""Answers to activation and check-in."""

import json

import pytest

from terminald.core.events import Fault
from terminald.core.ids import Secret
from terminald.wire.upay import Activated, ActivationRefused, ActivationUnknown, decode_activation
from tests.wire.upay_answers import refusal

KEY = "69c2f87182ba77a0acb47c40ad9e0a2d"


def flat(**fields: object) -> bytes:
    return json.dumps({"result_code": "200", "biz_response": fields}).encode()


def test_identity_and_key_stand_directly_under_biz_response() -> None:
    said = decode_activation(200, flat(terminal_sn="100000000000001", terminal_key=KEY, merchant="m"))
    assert said == Activated(terminal_sn="100000000000001", terminal_key=Secret(KEY))
    assert KEY not in repr(said)  # I7


@pytest.mark.parametrize("code", ["INVALID_PARAMS", "ILLEGAL_SIGN", "ANY_CODE_FOR_A_USED_UP_CODE"])
def test_a_refusal_by_the_first_layer_is_definite(code: str) -> None:
    assert decode_activation(200, refusal(code)) == ActivationRefused(Fault(code=code, message="错误"))


def test_a_refusal_by_the_second_layer_is_definite_without_an_identity() -> None:
    assert decode_activation(200, flat(result_code="FAIL", error_code="X", error_message="m")) == ActivationRefused(
        Fault(code="X", message="m")
    )
    assert isinstance(decode_activation(200, flat(result_code="FAIL", terminal_sn="1")), ActivationUnknown)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        refusal("UNKNOWN_SYSTEM_ERROR", "500"),
        refusal("INVALID_PARAMS", biz_response={"terminal_sn": "1", "terminal_key": KEY}),
        flat(),
        flat(result_code="SUCCESS"),
        flat(terminal_sn="1"),
        flat(terminal_key=KEY),
        flat(terminal_sn="1 2", terminal_key=KEY),
        flat(terminal_sn="1" * 33, terminal_key=KEY),
        flat(terminal_sn="1", terminal_key="k" * 129),
        flat(terminal_sn="1", terminal_key="line\nbreak"),
        flat(terminal_sn="终端", terminal_key=KEY),
    ],
    ids=lambda body: repr(body[:70]),
)
def test_everything_else_may_have_spent_a_use_of_the_code(body: bytes) -> None:
    said = decode_activation(200, body)
    assert isinstance(said, ActivationUnknown)
    assert KEY not in repr(said)


def test_a_lost_answer_may_have_spent_a_use_of_the_code() -> None:
    assert isinstance(decode_activation(504, flat(terminal_sn="1", terminal_key=KEY)), ActivationUnknown)
