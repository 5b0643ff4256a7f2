"""What the gateway, its providers and its customers can be told to do with pre-creates, revokes and refunds."""

import pytest

from terminald.simulator.gateway import Delivery, Fault
from terminald.simulator.gateway_faults import FaultKind, FaultPath
from tests.simulator.gateway_terminal import Answer, Terminal, new_terminal

MIDNIGHT_AFTER_S = 14 * 3600.0


def scripted(*faults: Fault) -> Terminal:
    """Return a terminal at a gateway that was told to do this."""
    terminal = new_terminal()
    terminal.world.faults.add(*faults)
    return terminal


def paid(*faults: Fault) -> Terminal:
    """Return the same with one paid order of 350."""
    terminal = scripted(*faults)
    assert terminal.pay("00").result == "PAY_SUCCESS"
    return terminal


def told(answer: Answer) -> tuple[str, str]:
    """Return both codes of the second layer."""
    return answer.biz_response.result_code, answer.biz_response.error_code


# --- refusals until told ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("error_code", ["ACCOUNT_BALANCE_NOT_ENOUGH", "UPAY_TCP_ORDER_NOT_REFUNDABLE"])
def test_money_does_not_go_back_until_the_gateway_is_told(error_code: str) -> None:
    terminal = paid(*(Fault(kind="declined", path=path, error_code=error_code, count=None) for path in BACK))
    for _ in range(3):
        assert told(terminal.refund("r1", 100)) == ("REFUND_FAIL", error_code)
        assert told(terminal.revoke()) == ("CANCEL_ERROR", error_code)
        assert told(terminal.cancel()) == ("CANCEL_ERROR", error_code)
    assert (terminal.query().order_status, terminal.entry().net) == ("PAID", 350)
    assert terminal.world.faults.disarm("declined") == 3
    assert terminal.refund("r1", 100).result == "REFUND_SUCCESS"


BACK: tuple[FaultPath, ...] = ("cancel", "revoke", "refund")


def test_a_refusal_is_said_as_the_call_says_it_and_nothing_is_entered() -> None:
    terminal = scripted(Fault(kind="declined", error_code="TRADE_FAILED", count=4))
    assert told(terminal.pay("00")) == ("PAY_FAIL", "TRADE_FAILED")
    assert told(terminal.precreate("order-2")) == ("PRECREATE_FAIL", "TRADE_FAILED")
    assert terminal.world.view().orders == ()
    assert told(terminal.query()) == ("FAIL", "UPAY_ORDER_NOT_EXISTS")
    assert told(terminal.precreate()) == ("PRECREATE_FAIL", "TRADE_FAILED")
    assert told(terminal.precreate()) == ("PRECREATE_FAIL", "TRADE_FAILED")
    assert terminal.precreate().result == "PRECREATE_SUCCESS"


def test_a_query_can_be_refused_and_says_nothing_of_the_order() -> None:
    terminal = paid(Fault(kind="declined", path="query", error_code="UPAY_TERMINAL_STATUS_ABNORMAL"))
    answer = terminal.query()
    assert told(answer) == ("FAIL", "UPAY_TERMINAL_STATUS_ABNORMAL")
    assert answer.data == {}
    assert terminal.query().order_status == "PAID"


def test_a_request_that_is_not_in_order_meets_no_script() -> None:
    terminal = paid(Fault(kind="declined", path="refund", error_code="ACCOUNT_BALANCE_NOT_ENOUGH"))
    assert terminal.send("refund", client_sn="order-1").error_code == "INVALID_PARAMS"
    assert terminal.refund("r1", 1, "unknown").result == "UPAY_ORDER_NOT_EXISTS"
    assert len(terminal.world.faults) == 1


# --- refunds ---------------------------------------------------------------------------------------------------------


def test_a_refund_that_ends_in_an_error_moves_nothing_and_may_be_repeated() -> None:
    """I9: under the same number, which is carried out once."""
    terminal = paid(Fault(kind="refund_error", count=2))
    for _ in range(2):
        answer = terminal.refund("r1", 100)
        assert (answer.result, answer.order_status, answer.data["status"]) == (
            "REFUND_ERROR",
            "REFUND_ERROR",
            "REFUND_ERROR",
        )
        assert (answer.data["net_amount"], answer.data["client_tsn"]) == ("350", "order-1-r1")
    assert terminal.revoke().result == "UPAY_CANCEL_INVALID_ORDER_STATE"
    assert terminal.query().order_status == "REFUND_ERROR"
    assert terminal.refund("r1", 100).order_status == "PARTIAL_REFUNDED"
    assert terminal.refund("r1", 100).result == "UPAY_REFUND_ORDER_NOOP"
    assert terminal.entry().net == 250


def test_an_error_after_an_earlier_refund_keeps_what_that_one_left() -> None:
    terminal = paid(Fault(kind="refund_error", skip=1))
    terminal.refund("r1", 100)
    answer = terminal.refund("r2", 50)
    assert (answer.order_status, answer.data["net_amount"], answer.data["client_tsn"]) == (
        "REFUND_ERROR",
        "250",
        "order-1-r2",
    )
    assert terminal.refund("r3", 250).order_status == "REFUNDED"


def test_a_refund_in_progress_is_done_at_its_time() -> None:
    terminal = paid(Fault(kind="in_progress", path="refund", seconds=10))
    first = terminal.refund("r1", 100)
    assert (first.result, first.order_status, first.data["status"]) == (
        "REFUND_IN_PROGRESS",
        "REFUND_INPROGRESS",
        "IN_PROG",
    )
    assert (first.data["net_amount"], first.data["client_tsn"]) == ("350", "order-1-r1")
    terminal.clock.now += 9.9
    assert terminal.refund("r1", 100).result == "REFUND_IN_PROGRESS"
    assert terminal.refund("r2", 100).result == "UPAY_REFUND_INVALID_ORDER_STATE"
    assert terminal.revoke().result == "UPAY_CANCEL_INVALID_ORDER_STATE"
    terminal.clock.now += 0.1
    done = terminal.query()
    assert (done.order_status, done.data["status"], done.data["net_amount"]) == ("PARTIAL_REFUNDED", "SUCCESS", "250")
    assert terminal.refund("r1", 100).result == "UPAY_REFUND_ORDER_NOOP"


# --- revokes ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("call", ["cancel", "revoke"])
def test_a_revoke_that_ends_in_an_error_moves_nothing_and_may_be_repeated(call: str) -> None:
    terminal = paid(Fault(kind="cancel_error", count=2))
    for _ in range(2):
        answer = terminal.send(call, client_sn="order-1")
        assert (answer.result, answer.order_status) == ("CANCEL_ERROR", "CANCEL_ERROR")
        assert terminal.entry().net == 350
    assert terminal.send(call, client_sn="order-1").result == "CANCEL_SUCCESS"
    assert (terminal.entry().paid, terminal.entry().net) == (350, 0)


def test_after_a_revoke_that_ended_in_an_error_a_refund_helps() -> None:
    terminal = paid(Fault(kind="cancel_error", count=None))
    terminal.revoke()
    assert terminal.refund("r1", 350).order_status == "REFUNDED"
    assert terminal.revoke().result == "UPAY_CANCEL_INVALID_ORDER_STATE"


def test_a_revoke_that_ended_in_an_error_is_not_repeated_on_the_next_day() -> None:
    """I10."""
    terminal = paid(Fault(kind="cancel_error"))
    terminal.revoke()
    terminal.clock.now = MIDNIGHT_AFTER_S
    assert terminal.revoke().result == "UPAY_CANCEL_INVALID_ORDER_STATE"
    assert terminal.refund("r1", 350).order_status == "REFUNDED"


def test_an_unpaid_order_whose_cancel_ended_in_an_error_has_nothing_to_refund() -> None:
    terminal = scripted(Fault(kind="cancel_error"))
    terminal.precreate()
    assert terminal.cancel().order_status == "CANCEL_ERROR"
    assert terminal.refund("r1", 1).result == "UPAY_REFUND_INVALID_ORDER_STATE"
    assert terminal.cancel().result == "CANCEL_SUCCESS"
    assert terminal.entry().paid == 0


def test_a_revoke_in_progress_is_done_at_its_time() -> None:
    terminal = paid(Fault(kind="in_progress", path="revoke", seconds=30))
    assert terminal.revoke().order_status == "CANCEL_INPROGRESS"
    assert terminal.entry().net == 350
    terminal.clock.now += 29
    assert terminal.revoke().result == "CANCEL_IN_PROGRESS"
    terminal.clock.now += 1
    assert (terminal.query().order_status, terminal.entry().net) == ("CANCELED", 0)


# --- the QR and its customer -----------------------------------------------------------------------------------------


def test_a_customer_who_pays_the_qr_in_the_moment_of_its_reversal_gets_it_back() -> None:
    """I3."""
    terminal = scripted(Fault(kind="paid_meanwhile"))
    terminal.precreate()
    answer = terminal.cancel()
    assert (answer.result, answer.order_status) == ("CANCEL_SUCCESS", "CANCELED")
    assert (terminal.entry().paid, terminal.entry().refunded) == (350, 350)


def test_a_customer_who_paid_the_qr_just_before_its_reversal_needs_a_refund() -> None:
    terminal = scripted(Fault(kind="paid_first"))
    terminal.precreate()
    assert terminal.cancel().result == "UPAY_CANCEL_INVALID_ORDER_STATE"
    assert (terminal.query().order_status, terminal.entry().net) == ("PAID", 350)
    assert terminal.cancel().result == "CANCEL_SUCCESS"


def test_a_reversed_order_can_not_be_paid_in_the_moment_of_the_second_cancel() -> None:
    terminal = scripted(Fault(kind="paid_first", skip=1))
    terminal.precreate()
    assert terminal.cancel().result == "CANCEL_SUCCESS"
    assert terminal.cancel().result == "UPAY_CANCEL_ORDER_NOOP"
    assert terminal.entry().paid == 0


def test_a_customer_can_be_told_to_pay_the_qr_after_a_while() -> None:
    terminal = scripted(Fault(kind="qr_paid", seconds=6))
    assert terminal.precreate().order_status == "CREATED"
    terminal.clock.now += 5.9
    assert terminal.query().order_status == "CREATED"
    terminal.clock.now += 0.1
    answer = terminal.query()
    assert (answer.order_status, answer.data["sub_payway"]) == ("PAID", "2")
    assert terminal.revoke().result == "CANCEL_SUCCESS"


def test_a_customer_who_comes_after_the_qrs_life_pays_nothing() -> None:
    terminal = scripted(Fault(kind="qr_paid", seconds=240))
    terminal.precreate()
    terminal.clock.now += 1000
    assert (terminal.query().order_status, terminal.entry().paid) == ("PAY_CANCELED", 0)


def test_a_qr_order_can_be_told_to_live_shorter() -> None:
    terminal = scripted(Fault(kind="qr_life", seconds=90))
    qr_code = terminal.precreate().data["qr_code"]
    terminal.clock.now += 90
    assert terminal.query().order_status == "PAY_CANCELED"
    assert not terminal.world.customer("pay", qr_code=qr_code)
    terminal.precreate("order-2")
    terminal.clock.now += 239
    assert terminal.query("order-2").order_status == "CREATED"


def test_an_offer_can_be_answered_without_its_qr() -> None:
    terminal = scripted(Fault(kind="no_qr_code", path="precreate"))
    answer = terminal.precreate()
    assert (answer.result, answer.order_status) == ("PRECREATE_SUCCESS", "CREATED")
    assert "qr_code" not in answer.data
    assert "qr_code" in terminal.query().data


# --- together with what happens on the way ---------------------------------------------------------------------------

ROAD: tuple[tuple[FaultKind, bool], ...] = (
    ("lose_answer", True), ("close_answer", True), ("reset", True), ("lose_request", False), ("close_request", False),
)  # fmt: skip


@pytest.mark.parametrize(("kind", "arrives"), ROAD)
@pytest.mark.parametrize(
    ("call", "status"),
    [("precreate", "CREATED"), ("cancel", "CANCELED"), ("revoke", "CANCELED"), ("refund", "PARTIAL_REFUNDED")],
)
def test_what_is_lost_was_carried_out_or_not(kind: FaultKind, call: FaultPath, status: str, *, arrives: bool) -> None:
    terminal = scripted(Fault(kind=kind, path=call))
    if call != "precreate":
        terminal.pay("00")
    common = {"total_amount": "350", "payway": "3", "subject": "Cola", "operator": "kiosk"}
    refund = {"refund_request_no": "r1", "refund_amount": "100"}
    assert terminal.carry(terminal.request(call, client_sn="order-1", **common, **refund)) is None
    before = "" if call == "precreate" else "PAID"
    assert terminal.query().order_status == (status if arrives else before)


@pytest.mark.parametrize("call", ["precreate", "cancel", "revoke", "refund"])
def test_a_delayed_request_changes_the_books_when_it_arrives(call: FaultPath) -> None:
    terminal = scripted(Fault(kind="delay_request", path=call, seconds=20))
    if call != "precreate":
        terminal.pay("00")
    before = terminal.world.view()
    common = {"total_amount": "350", "payway": "3", "subject": "Cola", "operator": "kiosk"}
    request = terminal.request(call, client_sn="order-1", refund_request_no="r1", refund_amount="100", **common)
    plan = terminal.world.plan(request)
    assert (plan.arrives, plan.arrival_delay_s) == (True, 20)
    terminal.clock.now += 19
    assert terminal.world.view() == before
    terminal.clock.now += 1
    terminal.world.receive(request)
    assert terminal.world.view() != before


def test_an_answer_can_be_lost_of_a_request_that_the_gateway_treats_badly() -> None:
    terminal = paid(Fault(kind="refund_error"), Fault(kind="close_answer", path="refund"))
    plan = terminal.world.plan(terminal.refund_request("r1", 100))
    assert plan.delivery is Delivery.CLOSE
    terminal.world.receive(terminal.refund_request("r1", 100))
    assert terminal.query().order_status == "REFUND_ERROR"
    assert len(terminal.world.faults) == 0


def test_what_never_arrives_meets_no_script() -> None:
    terminal = paid(Fault(kind="close_request", path="refund"), Fault(kind="refund_error"))
    assert terminal.carry(terminal.refund_request("r1", 100)) is None
    assert terminal.query().order_status == "PAID"
    assert terminal.refund("r1", 100).result == "REFUND_ERROR"
