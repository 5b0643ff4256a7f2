"""Keys, tokens and payment codes are shown nowhere (I7)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from terminald.core.commands import OpenAttempt, SubmitPayment
from terminald.core.events import CodeScanned
from terminald.core.ids import ClientSn, PaymentCode, SaleId, Secret, WallTime
from terminald.core.terminal import Terminal
from tests.core.machine_builders import AMOUNT, CLIENT_SN, TEXT

KEY = "0123456789abcdef0123456789abcdef"
WHOLE = "130812345678901147"
codes = st.text(st.sampled_from("0123456789"), min_size=16, max_size=24)


def test_a_secret_is_given_away_by_its_one_method_only() -> None:
    secret = Secret(KEY)
    assert secret.reveal() == KEY
    for shown in (repr(secret), str(secret), f"{secret}", f"{secret!r:>40}", "%s" % secret, repr([secret])):  # noqa: UP031 - every way of formatting is tried
        assert KEY not in shown
        assert "***" in shown
    assert not hasattr(secret, "__dict__")


def test_secrets_are_compared_by_what_they_are() -> None:
    assert Secret(KEY) == Secret(KEY)
    assert Secret(KEY) != Secret("other")
    assert Secret(KEY) != KEY
    assert PaymentCode(KEY) != Secret(KEY)
    assert Secret(KEY) != PaymentCode(KEY)
    assert len({Secret(KEY), Secret(KEY), Secret("other")}) == 2


def test_a_terminal_does_not_show_its_keys() -> None:
    terminal = Terminal(
        terminal_sn="100",
        device_id="d",
        current_key=Secret(KEY),
        previous_key=Secret(KEY[::-1]),
        activated_at=WallTime(0),
        rotated_at=WallTime(0),
    )
    assert KEY not in repr(terminal)
    assert KEY[::-1] not in repr(terminal)


@pytest.mark.parametrize(
    ("code", "masked"),
    [("130812345678901147", "1308…1147"), ("123456789012", "1234…9012"), ("12345678901", "…"), ("", "…")],
)
def test_a_code_is_shown_by_its_ends(code: str, masked: str) -> None:
    assert PaymentCode(code).masked == masked


@given(codes)
def test_neither_mask_nor_digest_contains_the_code(code: str) -> None:
    found = PaymentCode(code)
    assert found.reveal() == code
    assert len(found.masked) == 9
    assert code not in found.masked
    assert code not in found.digest(b"salt")
    assert repr(found) == f"PaymentCode({found.masked})"


@given(codes, codes, st.binary(min_size=1, max_size=64))
def test_a_digest_recognises_the_same_code_and_no_other(one: str, other: str, salt: bytes) -> None:
    digest = PaymentCode(one).digest(salt)
    assert len(bytes.fromhex(digest)) == 16
    assert (digest == PaymentCode(other).digest(salt)) == (one == other)
    assert digest != PaymentCode(one).digest(salt + b"x" if len(salt) < 64 else b"x")


def test_codes_are_compared_by_what_they_are() -> None:
    assert PaymentCode(WHOLE) == PaymentCode(WHOLE)
    assert PaymentCode(WHOLE) != PaymentCode(WHOLE[::-1])
    assert PaymentCode(WHOLE) != WHOLE
    assert len({PaymentCode(WHOLE), PaymentCode(WHOLE), PaymentCode(WHOLE[::-1])}) == 2


@pytest.mark.parametrize(
    "carrier",
    [
        CodeScanned(client_sn=ClientSn("t"), code=PaymentCode(WHOLE), digest="d"),
        OpenAttempt(sale_id=SaleId("s"), client_sn=ClientSn("t"), code=PaymentCode(WHOLE), digest="d"),
        SubmitPayment(client_sn=CLIENT_SN, token=1, amount=AMOUNT, code=PaymentCode(WHOLE), text=TEXT),
    ],
    ids=["event", "between machines", "command"],
)
def test_what_carries_a_code_does_not_show_it(carrier: object) -> None:
    assert WHOLE not in repr(carrier)
    assert WHOLE not in str(carrier)
