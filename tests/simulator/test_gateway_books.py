"""The books keep their rules, whatever a terminal and its customers do."""

from typing import Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from terminald.simulator.gateway import BooksView, Fault, OrderView
from tests.simulator.gateway_terminal import Terminal, new_terminal

FINAL = {"PAID", "PAY_CANCELED", "REFUNDED", "PARTIAL_REFUNDED", "CANCELED"}
MIDNIGHT_AFTER_S = 14 * 3600.0
"""From the default start, ten in the morning UTC+8, to the end of the business day."""


def test_a_repeated_client_sn_changes_nothing_but_is_counted() -> None:
    """I2 is judged by this number."""
    terminal = new_terminal()
    terminal.pay("00")
    before = terminal.entry()
    assert terminal.pay("01", amount=999).result == "CLIENT_SN_CONFLICT"
    assert terminal.precreate().result == "CLIENT_SN_CONFLICT"
    after = terminal.entry()
    assert (after.submits, terminal.world.view().duplicate_submits) == (3, 2)
    assert (after.total, after.paid, after.status, after.sn) == (before.total, before.paid, before.status, before.sn)


def test_a_payment_code_pays_once() -> None:
    terminal = new_terminal()
    terminal.pay("00", "order-1")
    answer = terminal.pay("00", "order-2")
    assert (answer.biz_response.result_code, answer.result) == ("PAY_FAIL", "INVALID_BARCODE")
    assert terminal.entry("order-2").paid == 0


def test_a_declined_payment_code_may_be_tried_again() -> None:
    terminal = new_terminal()
    terminal.pay("20", "order-1")
    assert terminal.pay("20", "order-2").result == "INSUFFICIENT_FUND"


@pytest.mark.parametrize("call", ["cancel", "revoke"])
def test_a_paid_order_goes_back_whole_and_only_once(call: str) -> None:
    terminal = new_terminal()
    terminal.pay("00")
    answer = terminal.send(call, client_sn="order-1")
    assert (answer.result, answer.order_status, answer.data["net_amount"]) == ("CANCEL_SUCCESS", "CANCELED", "0")
    again = terminal.send(call, client_sn="order-1")
    assert (again.biz_response.result_code, again.result) == ("FAIL", "UPAY_CANCEL_ORDER_NOOP")
    entry = terminal.entry()
    assert (entry.paid, entry.refunded, entry.net) == (350, 350, 0)
    assert [(transaction.kind, transaction.status) for transaction in entry.transactions] == [
        ("pay", "SUCCESS"),
        (call, "SUCCESS"),
    ]


def test_a_cancel_of_a_payment_in_progress_stops_it_for_good() -> None:
    terminal = new_terminal()
    terminal.pay("10")
    assert terminal.cancel().result == "CANCEL_ABORT_SUCCESS"
    terminal.clock.now += 100
    assert terminal.query().order_status == "CANCELED"
    assert terminal.entry().paid == 0
    assert terminal.entry().transactions[0].status == "FAIL_CANCELED"


def test_an_order_that_closed_unpaid_is_already_undone() -> None:
    terminal = new_terminal()
    terminal.pay("20")
    assert terminal.cancel().result == "UPAY_CANCEL_ORDER_NOOP"
    assert terminal.query().order_status == "PAY_CANCELED"


@pytest.mark.parametrize("call", ["cancel", "revoke"])
def test_a_partly_refunded_order_can_not_be_cancelled(call: str) -> None:
    terminal = new_terminal()
    terminal.pay("00")
    terminal.refund("r1", 1)
    assert terminal.send(call, client_sn="order-1").result == "UPAY_CANCEL_INVALID_ORDER_STATE"
    assert terminal.entry().net == 349


@pytest.mark.parametrize(
    ("seconds", "result"),
    [(MIDNIGHT_AFTER_S - 1, "CANCEL_SUCCESS"), (MIDNIGHT_AFTER_S, "UPAY_CANCEL_INVALID_ORDER_STATE")],
)
def test_a_revoke_is_possible_until_midnight_utc_plus_8(seconds: float, result: str) -> None:
    """I10 stands on this."""
    terminal = new_terminal()
    terminal.pay("00")
    terminal.clock.now = seconds
    assert terminal.send("revoke", client_sn="order-1").result == result
    if result != "CANCEL_SUCCESS":
        assert terminal.refund("r1", 350).result == "REFUND_SUCCESS"


def test_an_open_order_can_be_cancelled_after_midnight() -> None:
    terminal = new_terminal()
    terminal.pay("12")
    terminal.clock.now = MIDNIGHT_AFTER_S + 1
    assert terminal.cancel().result == "CANCEL_ABORT_SUCCESS"


def test_refunds_go_on_until_nothing_is_left() -> None:
    terminal = new_terminal()
    terminal.pay("00")
    first = terminal.refund("r1", 100)
    assert (first.result, first.order_status, first.data["net_amount"]) == ("REFUND_SUCCESS", "PARTIAL_REFUNDED", "250")
    assert first.data["client_tsn"] == "order-1-r1"
    assert terminal.refund("r2", 251).result == "REFUNDABLE_AMOUNT_NOT_ENOUGH"
    last = terminal.refund("r2", 250)
    assert (last.order_status, last.data["net_amount"]) == ("REFUNDED", "0")
    assert terminal.refund("r3", 1).result == "UPAY_REFUND_INVALID_ORDER_STATE"
    assert terminal.query().data["client_tsn"] == "order-1-r2"


def test_a_repeated_refund_is_carried_out_once() -> None:
    """I9 stands on this: also when nothing is left, and whatever amount the repeat names."""
    terminal = new_terminal()
    terminal.pay("00")
    terminal.refund("r1", 350)
    for amount in (350, 1):
        answer = terminal.refund("r1", amount)
        assert (answer.biz_response.result_code, answer.result) == ("FAIL", "UPAY_REFUND_ORDER_NOOP")
    assert terminal.entry().refunded == 350


def test_a_refund_whose_answer_was_refused_may_be_repeated_with_the_same_number() -> None:
    terminal = new_terminal()
    terminal.pay("00")
    assert terminal.refund("r1", 351).result == "REFUNDABLE_AMOUNT_NOT_ENOUGH"
    assert terminal.refund("r1", 350).result == "REFUND_SUCCESS"


@pytest.mark.parametrize("digits", ["12", "20", "30"])
def test_an_unpaid_order_has_nothing_to_refund(digits: str) -> None:
    terminal = new_terminal()
    terminal.pay(digits)
    assert terminal.refund("r1", 1).result == "UPAY_REFUND_INVALID_ORDER_STATE"
    assert terminal.refund("r1", 1, "unknown").result == "UPAY_ORDER_NOT_EXISTS"


def test_a_refund_is_too_late_after_three_months() -> None:
    terminal = new_terminal()
    terminal.pay("00")
    terminal.key = ""
    for _ in range(91):
        terminal.world.advance(86_400)
    terminal.key = terminal.world.terminals.check_in(
        terminal.world.terminals.by_sn[terminal.sn], "device-1", now_s=terminal.world.now_s()
    )
    assert terminal.refund("r1", 1).result == "UPAY_REFUND_INVALID_ORDER_STATE"


def test_a_qr_order_waits_for_its_customer_and_closes_after_its_life() -> None:
    terminal = new_terminal()
    answer = terminal.precreate()
    assert (answer.result, answer.order_status, answer.data["status"]) == ("PRECREATE_SUCCESS", "CREATED", "IN_PROG")
    assert answer.data["sub_payway"] == "2"
    assert 0 < len(answer.data["qr_code"]) <= 128
    terminal.clock.now = 239.9
    assert terminal.query().order_status == "CREATED"
    terminal.clock.now = 240
    assert terminal.query().order_status == "PAY_CANCELED"
    assert not terminal.world.customer("pay", qr_code=answer.data["qr_code"])
    assert terminal.entry().paid == 0


@pytest.mark.parametrize(("action", "status", "paid"), [("pay", "PAID", 350), ("refuse", "PAY_CANCELED", 0)])
def test_a_customer_acts_on_a_qr_order_once(action: Literal["pay", "refuse"], status: str, paid: int) -> None:
    terminal = new_terminal()
    qr_code = terminal.precreate().data["qr_code"]
    assert terminal.world.customer(action, qr_code=qr_code)
    assert not terminal.world.customer(action, qr_code=qr_code)
    assert not terminal.world.customer("pay", qr_code="other")
    assert not terminal.world.customer("pay", client_sn="other")
    assert (terminal.query().order_status, terminal.entry().paid) == (status, paid)


def test_a_cancelled_qr_order_can_not_be_paid_any_more() -> None:
    terminal = new_terminal()
    qr_code = terminal.precreate().data["qr_code"]
    assert terminal.cancel().result == "CANCEL_SUCCESS"
    assert not terminal.world.customer("pay", qr_code=qr_code)


def test_orders_advance_each_at_its_own_time_even_when_nobody_asks() -> None:
    terminal = new_terminal()
    terminal.pay("10", "order-1")
    terminal.clock.now += 1
    terminal.pay("11", "order-2")
    terminal.world.advance(1000)
    first, second = terminal.world.view().orders
    assert [order.transactions[0].finished for order in (first, second)] == [
        first.transactions[0].started + 6000,
        first.transactions[0].started + 31_000,
    ]


CLIENT_SNS = st.sampled_from(["a", "b", "c"])
#: What the gateway and its customers may do with the next cancel, revoke, refund or pre-create.
SCRIPTED = [
    Fault(kind="refund_error"),
    Fault(kind="cancel_error"),
    Fault(kind="in_progress", seconds=30),
    Fault(kind="paid_meanwhile"),
    Fault(kind="paid_first"),
    Fault(kind="qr_paid", seconds=5),
    Fault(kind="declined", error_code="ACCOUNT_BALANCE_NOT_ENOUGH"),
]
COMMANDS = st.one_of(
    st.tuples(st.just("pay"), CLIENT_SNS, st.integers(0, 99)),
    st.tuples(
        st.sampled_from(["precreate", "query", "cancel", "revoke", "customer", "refuse"]), CLIENT_SNS, st.just(0)
    ),
    st.tuples(st.just("refund"), CLIENT_SNS, st.integers(1, 400)),
    st.tuples(st.just("wait"), st.just("a"), st.integers(0, 100)),
    st.tuples(st.just("script"), st.just("a"), st.integers(0, len(SCRIPTED) - 1)),
)


def perform(terminal: Terminal, verb: str, client_sn: str, number: int) -> None:
    if verb == "pay":
        terminal.carry(terminal.pay_request(f"{number:02d}", client_sn))
    elif verb == "script":
        terminal.world.faults.add(SCRIPTED[number])
    elif verb == "precreate":
        terminal.precreate(client_sn)
    elif verb == "customer":
        terminal.world.customer("pay", client_sn=client_sn)
    elif verb == "refuse":
        terminal.world.customer("refuse", client_sn=client_sn)
    elif verb == "refund":
        terminal.carry(terminal.refund_request(f"r{number % 5}", number, client_sn))
    elif verb == "wait":
        terminal.clock.now += number
    else:
        terminal.carry(terminal.request(verb, client_sn=client_sn))


def may_follow(before: OrderView, after: OrderView, verb: str) -> bool:
    """Tell whether a final order was left only as the documents allow."""
    if before.status not in FINAL or before.status == after.status:
        return True
    if before.status == "PAID" and verb in {"cancel", "revoke"}:
        return after.status in {"CANCELED", "CANCEL_ERROR", "CANCEL_INPROGRESS"}
    return before.status in {"PAID", "PARTIAL_REFUNDED"} and verb == "refund" and "REFUND" in after.status


def check_conservation(books: BooksView) -> None:
    for order in books.orders:
        assert order.paid in (0, order.total)
        assert 0 <= order.refunded <= order.paid
        assert order.net == order.paid - order.refunded
        done = [entry for entry in order.transactions if entry.kind == "refund" and entry.status == "SUCCESS"]
        refunds = sum(entry.amount for entry in done)
        assert len({entry.client_tsn for entry in done}) == len(done)
        if order.status in {"PAID", "PARTIAL_REFUNDED", "REFUNDED", "REFUND_ERROR", "REFUND_INPROGRESS"}:
            assert (order.paid, order.refunded) == (order.total, refunds)
        elif order.status in {"CANCEL_ERROR", "CANCEL_INPROGRESS"}:
            assert order.refunded == 0
        else:
            assert order.net == 0
    assert books.totals.net == books.totals.paid - books.totals.refunded
    assert books.duplicate_submits == sum(order.submits - 1 for order in books.orders)


@given(commands=st.lists(COMMANDS, max_size=25))
@settings(max_examples=300, deadline=None)
def test_money_is_conserved_and_final_states_stay(commands: list[tuple[str, str, int]]) -> None:
    terminal = new_terminal()
    for verb, client_sn, number in commands:
        before = {order.client_sn: order for order in terminal.world.view().orders}
        perform(terminal, verb, client_sn, number)
        books = terminal.world.view()
        check_conservation(books)
        assert all(
            may_follow(before[order.client_sn], order, verb) for order in books.orders if order.client_sn in before
        )


@given(commands=st.lists(COMMANDS, max_size=12), client_sn=CLIENT_SNS)
@settings(max_examples=150, deadline=None)
def test_a_query_changes_nothing_and_a_second_cancel_does_nothing(
    commands: list[tuple[str, str, int]], client_sn: str
) -> None:
    terminal = new_terminal()
    for command in commands:
        perform(terminal, *command)
    terminal.world.faults.clear()
    before = terminal.world.view()
    terminal.carry(terminal.request("query", client_sn=client_sn))
    assert terminal.world.view() == before
    for _ in range(3):
        terminal.carry(terminal.request("cancel", client_sn=client_sn))
    settled = terminal.world.view()
    terminal.carry(terminal.request("cancel", client_sn=client_sn))
    assert terminal.world.view() == settled
