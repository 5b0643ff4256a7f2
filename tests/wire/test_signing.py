"""The signature over the exact bytes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from terminald.core.ids import Secret
from terminald.wire.signing import authorization, sign


def test_is_md5_of_body_and_key() -> None:
    # printf '{"a":"1"}secret' | md5sum
    assert sign(b'{"a":"1"}', Secret("secret")) == "d61b45547895f84e0b56edc64a154fa9"


def test_a_key_is_taken_as_utf8() -> None:
    # printf '钥' | md5sum
    assert sign(b"", Secret("钥")) == "e1c29bb4f942ad5ec8274ba5d6d8abea"


@given(st.binary(), st.text(st.characters(codec="utf-8")))
def test_is_32_lower_case_hex_digits(body: bytes, key: str) -> None:
    signed = sign(body, Secret(key))
    assert len(signed) == 32
    assert set(signed) <= set("0123456789abcdef")


def test_the_header_is_serial_number_one_blank_signature() -> None:
    key = Secret("k1")
    assert authorization("100001", b"{}", key) == f"100001 {sign(b'{}', key)}"


@pytest.mark.parametrize("sn", ["", "two words", "line\r\nbreak", "终端", "x" * 65, "tab\t"])
def test_a_serial_number_that_is_not_one_word_is_refused(sn: str) -> None:
    with pytest.raises(ValueError, match="serial number") as caught:
        authorization(sn, b"{}", Secret("MARKED"))
    assert "MARKED" not in str(caught.value)
