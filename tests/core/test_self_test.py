"""The self-test ticket: no line is wider than the paper, and nothing of what it names gets out of its line."""

import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from terminald.core.ids import PaymentCode
from terminald.core.receipt import Line, QrMark, display_width, render_text
from terminald.core.self_test import SAMPLE, SelfTest, layout_self_test, ruler
from terminald.wire.barcode import classify
from terminald.wire.escpos import MAX_QR_BYTES

SLIP = SelfTest(
    language="zh",
    terminal_name="lobby-7",
    terminal_sn="12609425781562906",
    device_id="099a1e754400de42b41bfe82f3fcc01f",
    version="0.1.0",
    machine="Linux 6.12 aarch64",
    host="pi-7",
    addresses=("eth0 192.168.1.7", "eth0 2001:db8::7"),
    gateway=("https://vsi-api.shouqianba.com", "answers in 184 ms"),
    printer="answers, nothing is wrong",
    time="2026-11-23 02:30:04",
)


@pytest.mark.parametrize("columns", [16, 32, 42, 48])
def test_the_ruler_is_as_wide_as_the_paper_and_tens_are_numbered(columns: int) -> None:
    assert len(ruler(columns)) == columns
    assert [place for place, char in enumerate(ruler(columns), 1) if char.isdigit()] == [*range(10, columns, 10)]
    assert Line(text=ruler(columns)) in layout_self_test(SLIP, columns=columns)


@pytest.mark.parametrize("language", ["zh", "en"])
@pytest.mark.parametrize("columns", [16, 32, 42, 48])
def test_everything_is_on_the_ticket(language: str, columns: int) -> None:
    slip = replace(SLIP, language=language)  # type: ignore[arg-type]  # one of the two
    text = render_text(layout_self_test(slip, columns=columns), columns)
    joined = text.replace(" ", "").replace("\n", "")
    for part in (SLIP.terminal_sn, SLIP.device_id, SLIP.gateway[0], *SLIP.addresses, SLIP.time, SAMPLE):
        assert part.replace(" ", "") in joined


def test_a_terminal_without_identity_or_network_has_a_ticket_too() -> None:
    slip = replace(SLIP, terminal_sn="", addresses=(), gateway=(), printer="")
    assert "未激活" in render_text(layout_self_test(slip, columns=32), 32)


def test_paper_can_be_too_narrow() -> None:
    with pytest.raises(ValueError, match="15 columns are too few"):
        layout_self_test(SLIP, columns=15)


@given(st.text(max_size=60), st.sampled_from([16, 32, 42, 48]))
def test_no_text_is_wider_than_the_paper_or_leaves_its_line(text: str, columns: int) -> None:
    slip = replace(SLIP, terminal_name=text, terminal_sn=text, host=text, addresses=(text, text), printer=text)
    for mark in layout_self_test(slip, columns=columns):
        if isinstance(mark, QrMark):
            assert mark.content.isprintable()
            assert 0 < len(mark.content.encode(errors="replace")) <= MAX_QR_BYTES
        else:
            assert mark.text.isprintable()
            assert display_width(mark.text) * (2 if mark.double else 1) <= columns


def test_the_code_on_the_ticket_pays_nothing() -> None:
    assert len(SLIP.qr_content) < MAX_QR_BYTES
    assert not isinstance(classify(SLIP.qr_content, re.compile(".*")), PaymentCode)
