"""What each pair of last digits does, on a virtual clock."""

import pytest

from terminald.simulator.gateway import OUTCOMES, Delivery, Fault, Plan, outcomes_table
from tests.simulator.gateway_terminal import Answer, Terminal, decode, new_terminal


def plan_of(terminal: Terminal, digits: str) -> Plan:
    return terminal.world.plan(terminal.pay_request(digits))


def statuses_over_time(terminal: Terminal, *seconds: float) -> list[str]:
    """Return the order's status after each further wait."""
    result = []
    for wait in seconds:
        terminal.clock.now += wait
        result.append(terminal.query().order_status)
    return result


@pytest.mark.parametrize("digits", ["00", "01", "15", "25", "39", "59", "99"])
def test_any_other_digits_pay_at_once(digits: str) -> None:
    terminal = new_terminal()
    answer = terminal.pay(digits)
    assert (answer.result, answer.order_status, answer.data["status"]) == ("PAY_SUCCESS", "PAID", "SUCCESS")
    assert (terminal.entry().paid, terminal.entry().net) == (350, 350)


@pytest.mark.parametrize(
    ("digits", "first", "wait", "then"),
    [
        ("10", ("PAY_IN_PROGRESS", "CREATED", "IN_PROG"), 6, "PAID"),
        ("11", ("PAY_IN_PROGRESS", "CREATED", "IN_PROG"), 30, "PAID"),
        ("13", ("PAY_IN_PROGRESS", "CREATED", "IN_PROG"), 6, "PAY_CANCELED"),
        ("14", ("PAY_IN_PROGRESS", "CREATED", "IN_PROG"), 70, "PAID"),
        ("30", ("PAY_FAIL_ERROR", "PAY_ERROR", "FAIL_ERROR"), 10, "PAY_CANCELED"),
        ("31", ("PAY_FAIL_ERROR", "PAY_ERROR", "FAIL_ERROR"), 10, "PAID"),
        ("32", ("PAY_FAIL_IN_PROGRESS", "PAY_ERROR", "FAIL_IO_1"), 6, "PAY_CANCELED"),
        ("33", ("PAY_IN_PROGRESS", "CREATED", "FAIL_PROTOCOL_1"), 120, "PAY_CANCELED"),
    ],
)
def test_an_order_that_is_not_final_ends_at_its_time(
    digits: str, first: tuple[str, str, str], wait: float, then: str
) -> None:
    terminal = new_terminal()
    answer = terminal.pay(digits)
    assert (answer.result, answer.order_status, answer.data["status"]) == first
    assert "trade_no" not in answer.data
    assert statuses_over_time(terminal, wait - 0.1, 0.1, 10_000) == [first[1], then, then]
    assert terminal.entry().paid == (350 if then == "PAID" else 0)
    finished = terminal.entry().transactions[-1].finished
    assert finished == terminal.entry().transactions[-1].started + wait * 1000


@pytest.mark.parametrize("digits", ["12", "60", "61", "62", "63", "64"])
def test_an_order_in_progress_for_ever_waits_for_a_cancel(digits: str) -> None:
    terminal = new_terminal()
    assert terminal.pay(digits).result == "PAY_IN_PROGRESS"
    assert statuses_over_time(terminal, 60, 3600) == ["CREATED", "CREATED"]


@pytest.mark.parametrize(
    ("digits", "error"),
    [
        ("20", "INSUFFICIENT_FUND"),
        ("21", "EXPIRED_BARCODE"),
        ("22", "INVALID_BARCODE"),
        ("23", "BUYER_OVER_DAILY_LIMIT"),
        ("24", "TRADE_FAILED"),
    ],
)
def test_a_decline_takes_no_money_and_is_final(digits: str, error: str) -> None:
    terminal = new_terminal()
    answer = terminal.pay(digits)
    assert (answer.biz_response.result_code, answer.result) == ("PAY_FAIL", error)
    assert (answer.order_status, answer.data["status"]) == ("PAY_CANCELED", "FAIL_CANCELED")
    assert statuses_over_time(terminal, 10_000) == ["PAY_CANCELED"]
    assert terminal.entry().paid == 0


@pytest.mark.parametrize(("digits", "paid"), [("40", 350), ("41", 0)])
def test_a_lost_answer_was_charged_and_a_lost_request_was_not(digits: str, paid: int) -> None:
    terminal = new_terminal()
    assert terminal.carry(terminal.pay_request(digits)) is None
    assert terminal.world.view().totals.paid == paid
    assert terminal.query().result == ("SUCCESS" if paid else "UPAY_ORDER_NOT_EXISTS")


def test_a_delayed_request_arrives_after_the_terminal_gave_up() -> None:
    terminal = new_terminal()
    request = terminal.pay_request("42")
    plan = terminal.world.plan(request)
    assert (plan.arrives, plan.arrival_delay_s) == (True, 20)
    terminal.clock.now = 19
    assert terminal.query().result == "UPAY_ORDER_NOT_EXISTS"
    assert terminal.cancel().result == "UPAY_ORDER_NOT_EXISTS"
    terminal.clock.now = 20
    terminal.world.receive(request)
    assert terminal.query().order_status == "PAID"


@pytest.mark.parametrize(("digits", "slow", "trickle"), [("43", 10, 0), ("53", 0, 20)])
def test_a_slow_answer_is_true_and_charged_at_once(digits: str, slow: float, trickle: float) -> None:
    terminal = new_terminal()
    plan = plan_of(terminal, digits)
    assert (plan.arrives, plan.answer_delay_s, plan.trickle_s) == (True, slow, trickle)
    response = terminal.world.receive(terminal.pay_request(digits))
    assert terminal.world.answer(plan, response) == response


@pytest.mark.parametrize(
    ("digits", "status", "body"),
    [
        ("44", 502, b"<!DOCTYPE"),
        ("45", 200, b"<!DOCTYPE"),
        ("46", 200, b"\xff\xfe"),
        ("47", 200, b""),
        ("49", 302, b""),
    ],
)
def test_an_answer_that_says_nothing_was_charged(digits: str, status: int, body: bytes) -> None:
    terminal = new_terminal()
    response = terminal.carry(terminal.pay_request(digits))
    assert response is not None
    assert response.status == status
    assert response.body[:9].startswith(body)
    assert bool(response.body) is bool(body)
    assert "Date" in response.headers
    assert terminal.query().order_status == "PAID"


def test_a_huge_answer_is_the_true_one_and_five_megabytes() -> None:
    terminal = new_terminal()
    response = terminal.carry(terminal.pay_request("48"))
    assert response is not None
    assert len(response.body) == 5_000_000
    assert decode(response).result == "PAY_SUCCESS"


@pytest.mark.parametrize(("digits", "name"), [("50", "total_amount"), ("51", "client_sn"), ("54", "terminal_sn")])
def test_a_lying_answer_lies_to_pay_and_query_alike(digits: str, name: str) -> None:
    terminal = new_terminal()
    truth = {"total_amount": "350", "client_sn": "order-1", "terminal_sn": terminal.sn}
    for answer in (terminal.pay(digits), terminal.query(), terminal.query()):
        assert answer.order_status == "PAID"
        assert {key for key, value in truth.items() if answer.data[key] != value} == {name}
    assert (terminal.entry().total, terminal.entry().paid) == (350, 350)
    assert terminal.pay("00", "order-2").data["total_amount"] == "350"


def test_an_illegal_sign_happens_once_and_did_nothing() -> None:
    """I2: the one repeat that is allowed."""
    terminal = new_terminal()
    assert terminal.pay("52").error_code == "ILLEGAL_SIGN"
    assert terminal.world.view().orders == ()
    assert terminal.pay("52").result == "PAY_SUCCESS"
    assert terminal.world.view().duplicate_submits == 0


def test_a_customer_who_pays_during_the_cancel_gets_it_back() -> None:
    terminal = new_terminal()
    terminal.pay("60")
    answer = terminal.cancel()
    assert (answer.result, answer.order_status, answer.data["net_amount"]) == ("CANCEL_SUCCESS", "CANCELED", "0")
    assert (terminal.entry().paid, terminal.entry().refunded, terminal.entry().net) == (350, 350, 0)


def test_the_first_cancels_answer_is_lost_after_it_ran() -> None:
    terminal = new_terminal()
    terminal.pay("61")
    assert terminal.carry(terminal.request("cancel", client_sn="order-1")) is None
    assert terminal.query().order_status == "CANCELED"
    assert terminal.cancel().result == "UPAY_CANCEL_ORDER_NOOP"


def test_a_slow_cancel_is_in_progress_for_ten_seconds() -> None:
    terminal = new_terminal()
    terminal.pay("62")
    first = terminal.cancel()
    assert (first.result, first.order_status) == ("CANCEL_IN_PROGRESS", "CANCEL_INPROGRESS")
    assert not terminal.world.customer("pay", client_sn="order-1")
    terminal.clock.now += 9.9
    assert terminal.cancel().result == "CANCEL_IN_PROGRESS"
    assert statuses_over_time(terminal, 0, 0.1) == ["CANCEL_INPROGRESS", "CANCELED"]
    assert terminal.cancel().result == "UPAY_CANCEL_ORDER_NOOP"


def test_two_cancels_fail_and_the_third_succeeds() -> None:
    terminal = new_terminal()
    terminal.pay("63")
    answers: list[Answer] = [terminal.cancel() for _ in range(4)]
    assert [answer.result for answer in answers] == [
        "CANCEL_ERROR",
        "CANCEL_ERROR",
        "CANCEL_ABORT_SUCCESS",
        "UPAY_CANCEL_ORDER_NOOP",
    ]
    assert answers[1].order_status == "CANCEL_ERROR"


def test_a_customer_who_paid_before_the_cancel_needs_a_refund() -> None:
    terminal = new_terminal()
    terminal.pay("64")
    for call in ("cancel", "cancel", "revoke"):
        assert terminal.send(call, client_sn="order-1").result == "UPAY_CANCEL_INVALID_ORDER_STATE"
    assert terminal.query().order_status == "PAID"
    assert terminal.refund("r1", 350).result == "REFUND_SUCCESS"
    assert terminal.entry().net == 0


def test_a_customer_whom_a_failed_cancel_kept_from_paying_needs_nothing() -> None:
    terminal = new_terminal()
    terminal.world.faults.add(Fault(kind="cancel_error", path="cancel"))
    terminal.pay("64")
    assert [terminal.cancel().result for _ in range(2)] == ["CANCEL_ERROR", "CANCEL_ABORT_SUCCESS"]
    assert (terminal.entry().paid, terminal.entry().net) == (0, 0)


@pytest.mark.parametrize(
    ("digits", "revoked", "refunded", "net"),
    [
        ("70", "", "REFUND_ERROR", 350),
        ("71", "CANCEL_ERROR", "REFUND_SUCCESS", 250),
        ("72", "UPAY_TCP_ORDER_NOT_REFUNDABLE", "REFUND_SUCCESS", 250),
        ("73", "UPAY_TCP_ORDER_NOT_REFUNDABLE", "UPAY_TCP_ORDER_NOT_REFUNDABLE", 350),
        ("74", "ACCOUNT_BALANCE_NOT_ENOUGH", "ACCOUNT_BALANCE_NOT_ENOUGH", 350),
        ("77", "", "REFUND_IN_PROGRESS", 350),
        ("78", "CANCEL_IN_PROGRESS", "", 350),
    ],
)
def test_a_payment_may_be_hard_to_give_back(digits: str, revoked: str, refunded: str, net: int) -> None:
    terminal = new_terminal()
    assert terminal.pay(digits).result == "PAY_SUCCESS"
    if revoked:
        assert terminal.revoke().result == revoked
    if refunded:
        assert terminal.refund("r1", 100).result == refunded
    assert terminal.entry().net == net
    assert terminal.pay("00", "order-2").result == "PAY_SUCCESS"
    assert terminal.revoke("order-2").result == "CANCEL_SUCCESS"


def test_what_stands_in_the_way_goes_when_the_gateway_is_told() -> None:
    terminal = new_terminal()
    terminal.pay("74")
    assert terminal.world.faults.disarm("declined", "order-1") == 3
    assert terminal.revoke().result == "CANCEL_SUCCESS"


@pytest.mark.parametrize(("digits", "call", "status"), [("75", "refund", "REFUNDED"), ("76", "revoke", "CANCELED")])
def test_the_first_answer_of_giving_back_is_lost_after_it_ran(digits: str, call: str, status: str) -> None:
    terminal = new_terminal()
    terminal.pay(digits)
    request = terminal.refund_request("r1", 350) if call == "refund" else terminal.request(call, client_sn="order-1")
    assert terminal.carry(request) is None
    assert terminal.query().order_status == status


def test_a_delayed_refund_is_done_when_it_arrives() -> None:
    terminal = new_terminal()
    terminal.pay("79")
    plan = terminal.world.plan(terminal.refund_request("r1", 350))
    assert (plan.arrives, plan.arrival_delay_s) == (True, 20)


@pytest.mark.parametrize("speed", [0.5, 10.0])
def test_speed_divides_every_duration(speed: float) -> None:
    terminal = new_terminal(speed=speed)
    terminal.pay("11")
    assert statuses_over_time(terminal, 30 / speed - 0.01, 0.02) == ["CREATED", "PAID"]
    plan = terminal.world.plan(terminal.pay_request("42", "order-2"))
    assert plan.arrival_delay_s == pytest.approx(20 / speed)


def test_a_repeated_client_sn_is_refused_without_the_outcomes_faults() -> None:
    terminal = new_terminal()
    terminal.carry(terminal.pay_request("40"))
    assert terminal.pay("40").result == "CLIENT_SN_CONFLICT"
    assert plan_of(terminal, "41").delivery is Delivery.SEND


def test_the_table_names_every_pair_once() -> None:
    lines = outcomes_table().splitlines()
    assert len(lines) == len(OUTCOMES) + 2
    for digits in OUTCOMES:
        assert sum(line.startswith(f"  {digits}  ") for line in lines) == 1
