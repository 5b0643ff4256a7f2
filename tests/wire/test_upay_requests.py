"""Requests: the fields of the documents, all of them text, within their limits."""

import json
from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from terminald.core.commands import Goods, OfferOrder, OrderText, RefundOrder, SubmitPayment
from terminald.core.ids import ClientSn, PaymentCode, Secret
from terminald.core.money import MAX_AMOUNT, Fen
from terminald.simulator.gateway_protocol import decode
from terminald.wire import upay
from terminald.wire.upay_requests import MAX_GOODS

SN = "100000000000001"
TEXT = OrderText(subject="Cola", operator="kiosk")
PAY = SubmitPayment(
    client_sn=ClientSn("c-1"), token=1, amount=Fen(350), code=PaymentCode("130818341921441147"), text=TEXT
)
OFFER = OfferOrder(client_sn=ClientSn("c-1"), token=1, amount=Fen(350), payway="3", text=TEXT)
REFUND = RefundOrder(
    client_sn=ClientSn("c-1"), token=2, amount=Fen(350), request_no="undo", refund_amount=Fen(100), operator="kiosk"
)
GOODS = Goods(id="g1", name="可乐", quantity=2, price=Fen(175))


def pay(command: SubmitPayment = PAY, terminal_sn: str = SN, device_id: str = "") -> bytes:
    return upay.encode_pay(command, terminal_sn=terminal_sn, device_id=device_id)


def precreate(command: OfferOrder = OFFER, terminal_sn: str = SN, device_id: str = "") -> bytes:
    return upay.encode_precreate(command, terminal_sn=terminal_sn, device_id=device_id)


def test_pay_without_options_has_the_required_fields_only() -> None:
    assert json.loads(pay()) == {
        "terminal_sn": SN,
        "client_sn": "c-1",
        "total_amount": "350",
        "dynamic_id": "130818341921441147",
        "subject": "Cola",
        "operator": "kiosk",
    }


def test_pay_with_everything() -> None:
    text = replace(
        TEXT,
        payway="3",
        description="d",
        reflect="r",
        goods=(GOODS, replace(GOODS, id="", promotion=True, price=Fen(0))),
    )
    body = json.loads(pay(replace(PAY, text=text), device_id="dev-1"))
    assert body["payway"] == "3"
    assert (body["description"], body["reflect"], body["device_id"]) == ("d", "r", "dev-1")
    assert body["goods_details"] == [
        {"goods_id": "g1", "goods_name": "可乐", "quantity": "2", "price": "175", "promotion_type": "0"},
        {"goods_id": "2", "goods_name": "可乐", "quantity": "2", "price": "0", "promotion_type": "1"},
    ]


def test_precreate_names_its_provider_and_is_for_a_qr() -> None:
    """What a basket prefers for scanned codes does not matter: the provider is the order's own."""
    assert json.loads(precreate(replace(OFFER, text=replace(TEXT, payway="2")))) == {
        "terminal_sn": SN,
        "client_sn": "c-1",
        "total_amount": "350",
        "payway": "3",
        "subject": "Cola",
        "operator": "kiosk",
    }


def test_precreate_and_pay_describe_a_sale_alike() -> None:
    text = replace(TEXT, description="d", reflect="r", goods=(GOODS,))
    paid = json.loads(pay(replace(PAY, text=text), device_id="dev-1"))
    offered = json.loads(precreate(replace(OFFER, text=text), device_id="dev-1"))
    assert {name: value for name, value in paid.items() if name != "dynamic_id"} == {
        name: value for name, value in offered.items() if name != "payway"
    }


def test_bodies_are_compact_and_utf8() -> None:
    body = pay(replace(PAY, text=replace(TEXT, subject="可乐")))
    assert '"subject":"可乐"'.encode() in body
    assert b": " not in body


def test_query_cancel_and_revoke_name_the_order() -> None:
    for encode in (upay.encode_query, upay.encode_cancel, upay.encode_revoke):
        assert json.loads(encode("c-1", terminal_sn=SN)) == {"terminal_sn": SN, "client_sn": "c-1"}


def test_refund_carries_its_number_and_its_own_amount() -> None:
    """I9: the number is what makes a repeat the same refund."""
    assert json.loads(upay.encode_refund(REFUND, terminal_sn=SN)) == {
        "terminal_sn": SN,
        "client_sn": "c-1",
        "refund_request_no": "undo",
        "refund_amount": "100",
        "operator": "kiosk",
    }


def test_activation_and_check_in() -> None:
    body = upay.encode_activate(app_id="a", code=Secret("123"), device_id="d", client_sn="7", name="lobby", os_info="o")
    assert json.loads(body) == {
        "app_id": "a", "code": "123", "device_id": "d", "client_sn": "7", "name": "lobby", "os_info": "o",
    }  # fmt: skip
    assert json.loads(upay.encode_checkin(terminal_sn=SN, device_id="d", sdk_version="1")) == {
        "terminal_sn": SN,
        "device_id": "d",
        "sdk_version": "1",
    }


def test_an_independent_reader_of_the_documents_accepts_every_request() -> None:
    full = replace(TEXT, payway="3", description="d" * 256, reflect="r" * 64, goods=(GOODS,))
    for path, body in {
        upay.PAY_PATH: pay(replace(PAY, text=full), device_id="d" * 32),
        upay.QUERY_PATH: upay.encode_query("c-1", terminal_sn=SN),
        upay.PRECREATE_PATH: precreate(replace(OFFER, text=full), device_id="d" * 32),
        upay.CANCEL_PATH: upay.encode_cancel("c-1", terminal_sn=SN),
        upay.REVOKE_PATH: upay.encode_revoke("c-1", terminal_sn=SN),
        upay.REFUND_PATH: upay.encode_refund(REFUND, terminal_sn=SN),
        upay.ACTIVATE_PATH: upay.encode_activate(app_id="a", code=Secret("1"), device_id="d"),
        upay.CHECKIN_PATH: upay.encode_checkin(terminal_sn=SN, device_id="d"),
    }.items():
        assert decode(path, body)


def test_a_refund_number_may_have_20_characters() -> None:
    """Documents, refund_request_no: the simulated gateway, which was written from them, takes it."""
    body = upay.encode_refund(replace(REFUND, request_no="n" * 20, operator="o" * 32), terminal_sn=SN)
    assert decode(upay.REFUND_PATH, body)["refund_request_no"] == "n" * 20


FAULTY: dict[str, Callable[[], bytes]] = {
    "terminal_sn": lambda: pay(terminal_sn="x" * 33),
    "client_sn": lambda: pay(replace(PAY, client_sn=ClientSn("c 1"))),
    "total_amount": lambda: pay(replace(PAY, amount=Fen(MAX_AMOUNT + 1))),
    "dynamic_id": lambda: pay(replace(PAY, code=PaymentCode("1" * 33))),
    "subject": lambda: pay(replace(PAY, text=replace(TEXT, subject=""))),
    "operator": lambda: pay(replace(PAY, text=replace(TEXT, operator="o" * 33))),
    "payway": lambda: pay(replace(PAY, text=replace(TEXT, payway="333"))),
    "description": lambda: pay(replace(PAY, text=replace(TEXT, description="d" * 257))),
    "reflect": lambda: pay(replace(PAY, text=replace(TEXT, reflect="r\udc80"))),
    "device_id": lambda: pay(device_id="d" * 33),
    "goods_name": lambda: pay(replace(PAY, text=replace(TEXT, goods=(replace(GOODS, name="n" * 33),)))),
    "quantity": lambda: pay(replace(PAY, text=replace(TEXT, goods=(replace(GOODS, quantity=0),)))),
    "goods_details": lambda: pay(replace(PAY, text=replace(TEXT, goods=(GOODS,) * (MAX_GOODS + 1)))),
    "refund_request_no": lambda: upay.encode_refund(replace(REFUND, request_no="n" * 21), terminal_sn=SN),
    "refund_amount": lambda: upay.encode_refund(replace(REFUND, refund_amount=Fen(0)), terminal_sn=SN),
    "code": lambda: upay.encode_activate(app_id="a", code=Secret(""), device_id="d"),
}


FAULTY_OFFERS: dict[str, Callable[[], bytes]] = {
    "terminal_sn": lambda: precreate(terminal_sn=""),
    "client_sn": lambda: precreate(replace(OFFER, client_sn=ClientSn("c" * 33))),
    "total_amount": lambda: precreate(replace(OFFER, amount=Fen(0))),
    "payway": lambda: precreate(replace(OFFER, payway="")),
    "subject": lambda: precreate(replace(OFFER, text=replace(TEXT, subject="s" * 65))),
    "operator": lambda: precreate(replace(OFFER, text=replace(TEXT, operator=""))),
    "description": lambda: precreate(replace(OFFER, text=replace(TEXT, description="d" * 257))),
    "reflect": lambda: precreate(replace(OFFER, text=replace(TEXT, reflect="r" * 65))),
    "device_id": lambda: precreate(device_id="d" * 33),
    "goods_id": lambda: precreate(replace(OFFER, text=replace(TEXT, goods=(replace(GOODS, id="i" * 33),)))),
    "goods_details": lambda: precreate(replace(OFFER, text=replace(TEXT, goods=(GOODS,) * (MAX_GOODS + 1)))),
}


@pytest.mark.parametrize("field", FAULTY_OFFERS)
def test_a_precreate_beyond_the_limits_is_refused_by_its_field(field: str) -> None:
    with pytest.raises(ValueError, match=f"^{field}: "):
        FAULTY_OFFERS[field]()


@pytest.mark.parametrize("field", FAULTY)
def test_what_is_beyond_the_limits_is_refused_by_its_field(field: str) -> None:
    with pytest.raises(ValueError, match=f"^{field}: "):
        FAULTY[field]()


@given(st.text(min_size=33, max_size=64))
def test_a_refusal_never_shows_a_payment_code(code: str) -> None:
    """I7."""
    with pytest.raises(ValueError, match=r"dynamic_id: 1 to 32 characters") as caught:
        pay(replace(PAY, code=PaymentCode(code)))
    assert caught.value.__context__ is None
