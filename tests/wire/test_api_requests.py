import json
from collections.abc import Callable
from dataclasses import replace
from typing import TypeVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from terminald.core.commands import Goods, OrderText
from terminald.core.ids import Reference, WallTime
from terminald.core.money import Fen
from terminald.core.sale_table import SaleOrder
from terminald.errors import ApiError
from terminald.wire.api import (
    decode_closing_request,
    decode_code_request,
    decode_drain_request,
    decode_empty_request,
    decode_refund_request,
    decode_resume_request,
    decode_sale_request,
    decode_undelivered_request,
    parse_flag,
    parse_number,
    parse_time,
)
from terminald.wire.api_problems import PROBLEMS
from terminald.wire.api_shapes import CodeRequest
from terminald.wire.api_views import rfc3339
from tests.wire.api_samples import DEFAULTS

T = TypeVar("T")
LEAST: dict[str, object] = {"reference": "order-1", "amount": 350, "subject": "Cola"}
LINE: dict[str, object] = {"id": "c", "name": "Cola", "quantity": 2, "price": 175}


def decode(**fields: object) -> SaleOrder:
    return decode_sale_request(json.dumps({**LEAST, **fields}).encode(), DEFAULTS)


def refusal(run: Callable[[], object]) -> ApiError:
    with pytest.raises(ApiError) as caught:
        run()
    assert caught.value.code in PROBLEMS
    return caught.value


def test_the_least_request_takes_the_defaults() -> None:
    assert decode() == SaleOrder(
        reference=Reference("order-1"),
        amount=Fen(350),
        methods=("scan",),
        text=OrderText(subject="Cola", operator="kiosk"),
        wants_receipt=True,
    )


def test_every_field_arrives() -> None:
    found = decode(
        methods=["scan"],
        payway="3",
        description="one bottle",
        operator="night",
        goods=[LINE, {"name": "Bag", "quantity": 1, "price": 0, "promotion": True}],
        reflect="r",
        delivery="none",
        receipt=False,
    )
    assert found.text == OrderText(
        subject="Cola",
        operator="night",
        payway="3",
        description="one bottle",
        reflect="r",
        goods=(
            Goods(id="c", name="Cola", quantity=2, price=Fen(175)),
            Goods(id="", name="Bag", quantity=1, price=Fen(0), promotion=True),
        ),
    )
    assert not found.wants_receipt


def test_null_means_missing() -> None:
    optional = ("methods", "payway", "description", "operator", "goods", "reflect", "delivery", "receipt")
    assert decode(**dict.fromkeys(optional)) == decode()


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *[("amount", value) for value in (0, -1, 100_001, 10**30, True, 3.5, 3.0, "350", None, [350])],
        *[("reference", value) for value in ("", "r" * 65, " r", "r ", "a\nb", "a\u2028b", 7)],
        *[("subject", value) for value in ("", "  ", "s" * 65, "a\x1b@b", "a\x00b", "a\u202eb")],
        *[("description", value) for value in ("d" * 257, "a\x10b", 3)],
        *[("operator", value) for value in ("", "o" * 33, "a\x7fb")],
        *[("reflect", value) for value in ("r" * 65, "a\x85b")],
        *[("payway", value) for value in ("9", "0", "", 3)],
        *[("methods", value) for value in ([], ["scan", "scan"], "scan")],
        *[("methods[0]", value) for value in (["nfc"], [1])],
        *[("receipt", value) for value in (1, "true")],
        ("delivery", "later"),
        ("goods", [LINE] * 51),
        ("goods[0]", ["Cola"]),
        *[("goods[0].name", [{**LINE, "name": value}]) for value in ("", "n" * 33, "a\x1bb")],
        *[("goods[0].id", [{**LINE, "id": value}]) for value in ("i" * 33, "a\tb")],
        *[("goods[1].quantity", [LINE, {**LINE, "quantity": value}]) for value in (0, 10_000, 1.5)],
        *[("goods[1].price", [LINE, {**LINE, "price": value}]) for value in (-1, 10**10, "1")],
        ("goods[0].color", [{**LINE, "color": "red"}]),
        ("goods[0].name", [{"quantity": 1, "price": 1}]),
        ("nonsense", 1),
    ],
)
def test_a_wrong_field_is_named(field: str, value: object) -> None:
    error = refusal(lambda: decode(**{field.partition("[")[0].partition(".")[0]: value}))
    assert error.code == "invalid_request"
    assert error.field == field
    assert field in error.detail


@pytest.mark.parametrize("field", sorted(LEAST))
def test_a_missing_field_is_named(field: str) -> None:
    body = {name: value for name, value in LEAST.items() if name != field}
    error = refusal(lambda: decode_sale_request(json.dumps(body).encode(), DEFAULTS))
    assert (error.code, error.field) == ("invalid_request", field)


@pytest.mark.parametrize(
    ("methods", "in_order"),
    [
        (["scan"], ("scan",)),
        (["qr"], ("qr",)),
        (["qr", "scan"], ("scan", "qr")),
        (["scan", "qr"], ("scan", "qr")),
    ],
)
def test_methods_mean_the_same_in_any_order(methods: list[str], in_order: tuple[str, ...]) -> None:
    found = decode(methods=methods)
    assert (found.methods, found.takes_codes, found.offers_qr) == (in_order, "scan" in methods, "qr" in methods)
    assert found == decode_sale_request(json.dumps(LEAST).encode(), replace(DEFAULTS, methods=tuple(methods)))


@pytest.mark.parametrize("methods", [["qr"], ["scan", "qr"]])
def test_payway_says_whose_app_a_qr_is_for_and_leaves_scanned_codes_to_the_gateway(methods: list[str]) -> None:
    found = decode(methods=methods, payway="1")
    assert (found.qr_payway, found.text.payway) == ("1", "")
    assert decode(methods=methods).qr_payway == DEFAULTS.qr_payway
    assert decode(payway="1").qr_payway == ""


@pytest.mark.parametrize("payway", ["6", "7", "8", "15", "16", "18"])
def test_a_qr_for_an_app_that_reads_none_is_refused(payway: str) -> None:
    error = refusal(lambda: decode(methods=["qr"], payway=payway))
    assert (error.code, error.field) == ("invalid_request", "payway")
    assert "1, 2, 3, 4, 5, 17" in error.detail
    assert decode(methods=["scan"], payway=payway).text.payway == payway


def test_delivery_is_reported_where_the_sale_or_else_the_configuration_says_so() -> None:
    assert decode(delivery="confirm").reports_delivery
    assert not decode().reports_delivery
    asks = replace(DEFAULTS, delivery="confirm")
    assert decode_sale_request(json.dumps(LEAST).encode(), asks).reports_delivery
    assert not decode_sale_request(json.dumps({**LEAST, "delivery": "none"}).encode(), asks).reports_delivery


def test_printable_text_of_any_script_is_taken() -> None:
    text = "可乐 330ml\u00a0🥤 👩\u200d🍳\u3000"
    assert decode(subject=text, reference="订单/1").text.subject == text


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"\xff",
        b'{"reference":"r","amount":1,"subject":"s"} x',
        b'{"reference":"\xff"}',
        b'{"reference":"\\ud800"}',
        b"{'a':1}",
    ],
)
def test_what_is_not_json_is_said_to_be_that(body: bytes) -> None:
    assert refusal(lambda: decode_sale_request(body, DEFAULTS)).code == "invalid_json"


@pytest.mark.parametrize("body", [b"[]", b"null", b"7", b'"x"', b"[" * 60_000])
def test_what_is_not_an_object_is_wrong_as_a_whole(body: bytes) -> None:
    error = refusal(lambda: decode_sale_request(body, DEFAULTS))
    assert (error.code, error.field) == ("invalid_request", None)


def test_a_payment_code_in_the_wrong_place_is_not_repeated_in_the_refusal() -> None:
    """I7."""
    code = "130812345678901147"
    for body in (
        {**LEAST, "payway": code},
        {**LEAST, "methods": [code]},
        {**LEAST, "delivery": code},
        {**LEAST, "amount": code},
        {**LEAST, "reference": code + "\n"},
        {"code": [code]},
    ):
        for decoder in (decode_code_request, lambda body: decode_sale_request(body, DEFAULTS)):
            error = refusal(lambda decoder=decoder, body=body: decoder(json.dumps(body).encode()))  # type: ignore[misc]  # bound now
            assert code not in repr((error.args, error.detail, error.field))


def test_a_long_name_of_an_unknown_field_is_cut() -> None:
    error = refusal(lambda: decode(**{"x" * 10_000: 1}))
    assert error.field is not None
    assert len(error.field) < 100


def test_a_payment_code_is_decoded_and_masked() -> None:
    """I7."""
    code = decode_code_request(b'{"code":"130812345678901147"}')
    assert code.reveal() == "130812345678901147"
    assert "5678" not in repr(code)
    assert "5678" not in repr(CodeRequest(code="130812345678901147"))


@pytest.mark.parametrize(("body", "field"), [(b"{}", "code"), (b'{"code":""}', "code"), (b'{"code":"1","x":1}', "x")])
def test_a_wrong_code_request_names_the_field(body: bytes, field: str) -> None:
    assert refusal(lambda: decode_code_request(body)).field == field


def test_a_call_without_input_takes_nothing_or_an_empty_object() -> None:
    decode_empty_request(b"")
    decode_empty_request(b"{}")
    assert refusal(lambda: decode_empty_request(b'{"amount":1}')).field == "amount"


@pytest.mark.parametrize(
    ("body", "ends_with_a_restart"),
    [(b"", False), (b"{}", False), (b'{"until":"resume"}', False), (b'{"until":"restart"}', True)],
)
def test_a_drain_lasts_until_it_is_resumed_or_the_next_start(body: bytes, *, ends_with_a_restart: bool) -> None:
    assert decode_drain_request(body) is ends_with_a_restart
    assert refusal(lambda: decode_drain_request(b'{"until":"tomorrow"}')).field == "until"


@pytest.mark.parametrize(
    ("body", "is_compared"),
    [(b"", False), (b"{}", False), (b'{"code":null}', False), (b'{"code":"journal_restored"}', True)],
)
def test_a_restored_journal_is_resumed_by_its_name(body: bytes, *, is_compared: bool) -> None:
    assert decode_resume_request(body) is is_compared
    assert refusal(lambda: decode_resume_request(b'{"code":"draining"}')).field == "code"
    assert refusal(lambda: decode_resume_request(b'{"code":true}')).field == "code"


# --- paid sales ------------------------------------------------------------------------------------------------------


def test_what_did_not_come_out_is_all_or_goods_of_some_worth() -> None:
    assert decode_undelivered_request(b"") is None
    assert decode_undelivered_request(b"{}") is None
    assert decode_undelivered_request(b'{"amount":null}') is None
    assert decode_undelivered_request(b'{"amount":100}') == 100


def test_a_refund_has_a_reference_and_an_amount_or_all_that_is_left() -> None:
    assert decode_refund_request('{"reference":"退款/1"}'.encode()) == ("退款/1", None)
    assert decode_refund_request(b'{"reference":"back-1","amount":null}') == ("back-1", None)
    assert decode_refund_request(b'{"reference":"back-1","amount":100}') == ("back-1", 100)


def test_a_person_who_closes_says_why() -> None:
    assert decode_closing_request('{"reason":"现金退还 3.50"}'.encode()) == ("现金退还 3.50", None)
    assert decode_closing_request(b'{"reason":"r","code":"refund_open"}') == ("r", "refund_open")


WRONG_AMOUNTS: list[object] = [0, -1, 3.5, True, "1", 10**30]
WRONG_NAMES: list[object] = ["", " r", "a\nb", 7, None, "r" * 65]
WRONG_REASONS: list[object] = ["", "  ", "a\x1bb", 1, None, "r" * 201]


@pytest.mark.parametrize(
    ("decoder", "body", "field"),
    [
        *[(decode_undelivered_request, {"amount": value}, "amount") for value in WRONG_AMOUNTS],
        (decode_undelivered_request, {"sum": 1}, "sum"),
        (decode_refund_request, {}, "reference"),
        *[(decode_refund_request, {"reference": value}, "reference") for value in WRONG_NAMES],
        *[(decode_refund_request, {"reference": "r", "amount": value}, "amount") for value in WRONG_AMOUNTS],
        (decode_refund_request, {"reference": "r", "reason": "x"}, "reason"),
        (decode_closing_request, {}, "reason"),
        *[(decode_closing_request, {"reason": value}, "reason") for value in WRONG_REASONS],
        *[(decode_closing_request, {"reason": "x", "code": value}, "code") for value in ("", "a\x1bb", 1, "c" * 65)],
        (decode_closing_request, {"reason": "x", "since": "y"}, "since"),
    ],
)
def test_a_wrong_field_about_a_paid_sale_is_named(
    decoder: Callable[[bytes], object], body: dict[str, object], field: str
) -> None:
    error = refusal(lambda: decoder(json.dumps(body).encode()))
    assert (error.code, error.field) == ("invalid_request", field)


@pytest.mark.parametrize("decoder", [decode_refund_request, decode_closing_request])
def test_an_empty_body_is_no_request(decoder: Callable[[bytes], object]) -> None:
    assert refusal(lambda: decoder(b"")).code == "invalid_json"


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=10,
)
fields = st.sampled_from(
    [*LEAST, "methods", "payway", "description", "operator", "goods", "reflect", "delivery", "receipt", "other"]
)


def attempt(run: Callable[[], T]) -> T | None:
    """Return what was decoded; None for a refusal. Anything else that is raised fails the test."""
    try:
        return run()
    except ApiError:
        return None


def only_an_order_or_a_refusal(body: bytes) -> None:
    found = attempt(lambda: decode_sale_request(body, DEFAULTS))
    if found:
        assert 1 <= found.amount <= DEFAULTS.max_amount
        assert found.reference.isprintable()
        assert all(char >= " " and char != "\x7f" for char in found.text.subject + found.text.description)


@given(st.binary(max_size=300))
def test_bytes_become_an_order_or_a_refusal(body: bytes) -> None:
    only_an_order_or_a_refusal(body)
    attempt(lambda: decode_code_request(body))
    attempt(lambda: decode_drain_request(body))
    attempt(lambda: decode_empty_request(body))
    attempt(lambda: decode_undelivered_request(body))
    attempt(lambda: decode_refund_request(body))
    attempt(lambda: decode_closing_request(body))


@given(st.dictionaries(fields, json_values))
def test_json_becomes_an_order_or_a_refusal(changes: dict[str, object]) -> None:
    only_an_order_or_a_refusal(json.dumps({**LEAST, **changes}).encode())
    only_an_order_or_a_refusal(json.dumps({**LEAST, "goods": [{**LINE, **changes}]}).encode())


@given(st.text(), fields)
def test_text_in_any_field_becomes_an_order_or_a_refusal(text: str, field: str) -> None:
    only_an_order_or_a_refusal(json.dumps({**LEAST, field: text}).encode())


# --- values of parameters --------------------------------------------------------------------------------------------


@given(st.integers(min_value=0, max_value=253_402_214_400_000))
def test_a_time_that_was_written_is_read_again(wall: int) -> None:
    assert parse_time("since", rfc3339(WallTime(wall))) == wall


@pytest.mark.parametrize(
    "text",
    [
        "2025-01-31T08:00:00+00:00",
        "2025-01-31T16:00:00+08:00",
        "2025-01-31T16:00:00 08:00",  # + in a query string
        "2025-01-31t08:00:00z",
        "2025-01-31T08:00:00.000999999Z",
        "2025-01-31T02:30:00.0-05:30",
    ],
)
def test_times_of_any_offset_are_read(text: str) -> None:
    assert parse_time("since", text) == 1_738_310_400_000


@pytest.mark.parametrize(
    "text",
    [
        "",
        "2025-01-31",
        "2025-01-31T08:00:00",
        "2025-02-30T08:00:00Z",
        "2025-01-31T24:30:00Z",
        "2025-01-31T08:00:00+25:00",
        "0000-01-01T00:00:00Z",
        "2025-W05-5T08:00:00Z",
        "1738310400",
        "２０２５-01-31T08:00:00Z",
        "2025-01-31T08:00:001Z",
    ],
)
def test_what_is_no_time_is_refused(text: str) -> None:
    assert refusal(lambda: parse_time("since", text)).field == "since"


@given(st.text(max_size=40))
def test_any_text_is_a_time_or_refused(text: str) -> None:
    attempt(lambda: parse_time("since", text))


@pytest.mark.parametrize("text", ["", "0", "201", "-1", "1.0", "１", "9" * 5_000, " 1"])
def test_what_is_no_number_in_range_is_refused(text: str) -> None:
    assert refusal(lambda: parse_number("limit", text, least=1, most=200)).field == "limit"


def test_numbers_and_flags_are_read() -> None:
    assert parse_number("limit", "200", least=1, most=200) == 200
    assert parse_flag("attention", "true")
    assert not parse_flag("attention", "false")
    assert refusal(lambda: parse_flag("attention", "1")).field == "attention"
