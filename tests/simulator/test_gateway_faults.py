"""Scripted faults strike the requests they are meant for, as often as they say."""

import json
from typing import get_args

import msgspec
import pytest

from terminald.simulator.gateway import Delivery, Fault, Plan, Request
from terminald.simulator.gateway_faults import CONDUCT, KINDS, FaultKind, kinds_table
from tests.simulator.gateway_terminal import Terminal, decode, new_terminal

#: What happens on the way; what the gateway itself does is tested beside the books.
ROAD: tuple[FaultKind, ...] = tuple(kind for kind in get_args(FaultKind) if kind not in CONDUCT)


def strikes(terminal: Terminal, *calls: str) -> list[bool]:
    """Plan requests about one order, and tell which a fault strikes."""
    return [terminal.world.plan(terminal.request(call, client_sn="order-1")).fault is not None for call in calls]


def test_a_fault_strikes_its_path_as_often_as_it_says() -> None:
    terminal = new_terminal()
    terminal.world.faults.add(Fault(kind="empty", path="query", count=2, skip=1))
    assert strikes(terminal, "query", "cancel", "query", "query", "query") == [False, False, True, True, False]
    assert len(terminal.world.faults) == 0


def test_a_fault_without_count_never_ends_until_it_is_cleared() -> None:
    terminal = new_terminal()
    terminal.world.faults.add(Fault(kind="empty", count=None))
    assert strikes(terminal, *["query", "cancel"] * 5) == [True] * 10
    terminal.world.faults.clear()
    assert strikes(terminal, "query") == [False]


def test_the_first_fault_that_fits_strikes_alone() -> None:
    terminal = new_terminal()
    terminal.world.faults.add(Fault(kind="empty", path="query"), Fault(kind="html", path="*"))
    plans = [terminal.world.plan(terminal.request(call, client_sn="order-1")) for call in ("query", "query", "query")]
    assert [plan.fault.kind if plan.fault else None for plan in plans] == ["empty", "html", None]


def test_a_fault_about_one_order_leaves_others_alone() -> None:
    terminal = new_terminal()
    first = terminal.pay("00", "order-1")
    terminal.pay("01", "order-2")
    terminal.world.faults.add(Fault(kind="empty", client_sn="order-1", count=None))
    by_sn = terminal.world.plan(terminal.request("query", sn=first.data["sn"]))
    other = terminal.world.plan(terminal.request("query", client_sn="order-2"))
    assert (by_sn.fault is None, other.fault is None) == (False, True)


def test_no_fault_strikes_a_path_that_does_not_exist() -> None:
    terminal = new_terminal()
    terminal.world.faults.add(Fault(kind="lose_request", count=None))
    assert terminal.world.plan(Request(path="/elsewhere")) == Plan()


@pytest.mark.parametrize(
    ("kind", "plan"),
    [
        ("lose_request", Plan(arrives=False, delivery=Delivery.HANG)),
        ("close_request", Plan(arrives=False, delivery=Delivery.CLOSE)),
        ("lose_answer", Plan(delivery=Delivery.HANG)),
        ("close_answer", Plan(delivery=Delivery.CLOSE)),
        ("reset", Plan(delivery=Delivery.RESET)),
        ("delay_request", Plan(arrival_delay_s=5)),
        ("slow", Plan(answer_delay_s=5)),
        ("trickle", Plan(trickle_s=5)),
        ("illegal_sign", Plan(arrives=False)),
        ("empty", Plan()),
    ],
)
def test_the_plan_says_what_the_transport_does(kind: FaultKind, plan: Plan) -> None:
    terminal = new_terminal(speed=2)
    fault = Fault(kind=kind, path="pay", seconds=10)
    terminal.world.faults.add(fault)
    actual = terminal.world.plan(terminal.pay_request("00"))
    assert actual.fault == fault
    assert (actual.arrives, actual.delivery) == (plan.arrives, plan.delivery)
    assert (actual.arrival_delay_s, actual.answer_delay_s, actual.trickle_s) == (
        plan.arrival_delay_s,
        plan.answer_delay_s,
        plan.trickle_s,
    )


@pytest.mark.parametrize("kind", ROAD)
@pytest.mark.parametrize("arrives", [True, False])
def test_every_kind_has_an_answer_whether_or_not_the_request_arrived(kind: FaultKind, *, arrives: bool) -> None:
    terminal = new_terminal()
    terminal.world.faults.add(Fault(kind=kind, path="pay", arrives=arrives))
    request = terminal.pay_request("00")
    plan = terminal.world.plan(request)
    response = terminal.world.receive(request) if plan.arrives else None
    answer = terminal.world.answer(plan, response)
    assert 200 <= answer.status <= 599
    assert terminal.world.view().totals.orders == int(plan.arrives)


@pytest.mark.parametrize("kind", ["wrong_amount", "wrong_client_sn", "wrong_terminal_sn", "flawed_fields"])
def test_a_lie_needs_an_order_to_lie_about(kind: FaultKind) -> None:
    terminal = new_terminal()
    terminal.world.faults.add(Fault(kind=kind, path="query"))
    request = terminal.request("query", client_sn="unknown")
    plan = terminal.world.plan(request)
    answer = terminal.world.answer(plan, terminal.world.receive(request))
    assert decode(answer).result == "UPAY_ORDER_NOT_EXISTS"


def test_the_documents_misprints_can_be_scripted() -> None:
    terminal = new_terminal()
    terminal.world.faults.add(Fault(kind="flawed_fields", path="pay"))
    data = terminal.pay("00").data
    assert data["total_amount "] == "350"
    assert data["operator "] == "kiosk"
    assert data["ctime"].count("-") == 2
    assert "total_amount" not in data


def test_a_system_error_was_carried_out_all_the_same() -> None:
    terminal = new_terminal()
    terminal.world.faults.add(Fault(kind="system_error", path="pay"))
    answer = terminal.pay("00")
    assert (answer.result_code, answer.error_code) == ("500", "UNKNOWN_SYSTEM_ERROR")
    assert terminal.query().order_status == "PAID"


def test_a_page_of_html_may_come_from_a_proxy_that_never_passed_the_request_on() -> None:
    terminal = new_terminal()
    terminal.world.faults.add(Fault(kind="http_status", status=503, path="pay", arrives=False))
    response = terminal.carry(terminal.pay_request("00"))
    assert response is not None
    assert response.status == 503
    assert terminal.query().result == "UPAY_ORDER_NOT_EXISTS"


def test_every_kind_is_explained_to_people() -> None:
    assert set(KINDS) == set(get_args(FaultKind))
    lines = kinds_table().splitlines()
    assert all(sum(line.startswith(f"  {kind} ") for line in lines) == 1 for kind in KINDS)


def test_faults_are_disarmed_by_kind_and_order() -> None:
    terminal = new_terminal()
    terminal.world.faults.add(
        Fault(kind="empty", client_sn="order-1"), Fault(kind="empty", client_sn="order-2"), Fault(kind="html")
    )
    assert terminal.world.faults.disarm("empty", "order-2") == 1
    assert terminal.world.faults.disarm("reset") == 0
    assert terminal.world.faults.disarm("empty") == 1
    assert terminal.world.faults.disarm() == 1
    assert len(terminal.world.faults) == 0


@pytest.mark.parametrize(
    "fault",
    [
        {"kind": "unknown"},
        {"kind": "empty", "path": "/upay/v2/pay"},
        {"kind": "empty", "count": 0},
        {"kind": "empty", "skip": -1},
        {"kind": "slow", "seconds": -1},
        {"kind": "slow", "secnds": 1},
        {"kind": "http_status", "status": 99},
        {"kind": "declined"},
        {"kind": "declined", "error_code": "NOT_A_CODE"},
        {"kind": "declined", "error_code": "TRADE_FAILED", "path": "checkin"},
        {"kind": "empty", "error_code": "TRADE_FAILED"},
        {"kind": "refund_error", "path": "revoke"},
        {"kind": "qr_paid", "path": "pay"},
    ],
)
def test_a_script_with_a_mistake_is_refused(fault: dict[str, str | int]) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(json.dumps(fault), type=Fault)
