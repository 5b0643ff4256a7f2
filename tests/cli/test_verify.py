"""Every way in which journal, gateway and host can differ has its name, and what agrees has none."""

from dataclasses import replace

import msgspec
import pytest

from terminald.cli.host_list import HostLine, HostList
from terminald.cli.verify import beside_host, left_out, ours_only, verified
from terminald.core.attempt_table import AttemptState
from terminald.core.book import SaleView
from terminald.core.events import OrderFacts
from terminald.core.ids import ClientSn
from terminald.core.money import Fen
from terminald.core.refund_table import RefundState
from terminald.core.sale_table import SaleState
from terminald.wire import api_shapes as shapes
from terminald.wire.api_report import Report, SaleOnDay, report_json
from terminald.wire.api_views import sale_shape
from tests.wire.api_samples import NOW, attempt, paid_view, refund, sale
from tests.wire.report_samples import day_report

NET = {"paid": 350, "closed": 0, "returned": 0, "absent": 0}


def asked(view: SaleView, answer: str, net: int | None = None) -> shapes.QueriedSale:
    look = shapes.OrderLook(client_sn="A1", answer=answer, net=NET.get(answer) if net is None else net)
    return shapes.QueriedSale(sale=sale_shape(view, NOW), orders=(look,))


def kinds(view: SaleView, answer: str, net: int | None = None) -> list[str]:
    return [one.kind for one in verified(asked(view, answer, net))]


def returned(amount: int, *, open_: int = 0) -> SaleView:
    view = paid_view()
    refunds = (refund(amount=amount),) if amount else ()
    if open_:
        refunds = (*refunds, refund(2, state=RefundState.PROVING, amount=open_))
    return replace(view, sale=replace(view.sale, returned=Fen(amount)), refunds=refunds)


def unpaid(state: AttemptState, of_sale: SaleState = SaleState.CANCELED) -> SaleView:
    one = attempt(state=state, facts=OrderFacts())
    return SaleView(sale=sale(state=of_sale, attempts=("A1",), reason="host"), attempts=(one,))


@pytest.mark.parametrize(
    ("view", "answer", "net"),
    [
        (paid_view(), "paid", None),
        (returned(100), "partly_returned", 250),
        (returned(350), "returned", None),
        (returned(350), "closed", None),  # revoked
        (returned(0, open_=100), "paid", None),
        (unpaid(AttemptState.DECLINED), "closed", None),
        (unpaid(AttemptState.REVERSED), "absent", None),
        (unpaid(AttemptState.REVERSED), "returned", None),
        (unpaid(AttemptState.WATCHING), "absent", None),
    ],
)
def test_what_agrees_is_no_difference(view: SaleView, answer: str, net: int | None) -> None:
    assert kinds(view, answer, net) == []


@pytest.mark.parametrize(
    ("view", "answer", "net", "kind"),
    [
        (paid_view(), "absent", None, "not_paid_there"),
        (returned(350), "absent", None, "not_paid_there"),
        (paid_view(), "closed", None, "not_paid_there"),
        (returned(100), "closed", None, "not_paid_there"),
        (paid_view(), "returned", None, "returned_there"),
        (paid_view(), "partly_returned", 300, "returned_there"),
        (returned(100), "partly_returned", 200, "returned_there"),
        (returned(100), "paid", None, "returned_here"),
        (returned(350), "partly_returned", 100, "returned_here"),
        (paid_view(), "mismatched", None, "mismatched"),
        (unpaid(AttemptState.DECLINED), "mismatched", None, "mismatched"),
        (paid_view(), "unanswered", None, "not_verified"),
        (paid_view(), "pending", None, "not_verified"),
        (paid_view(), "errored", None, "not_verified"),
        (paid_view(), "partly_returned", None, "not_verified"),
        (unpaid(AttemptState.DECLINED), "unanswered", None, "not_verified"),
        (unpaid(AttemptState.DECLINED), "pending", None, "not_verified"),
        (unpaid(AttemptState.WATCHING), "errored", None, "not_verified"),
        (unpaid(AttemptState.REVERSED), "paid", None, "paid_there"),
        (unpaid(AttemptState.REVERSING, SaleState.CANCELING), "paid", None, "paid_there"),
        (unpaid(AttemptState.DECLINED), "partly_returned", 50, "paid_there"),
        (unpaid(AttemptState.POLLING, SaleState.PROCESSING), "pending", None, "not_settled"),
        (unpaid(AttemptState.OFFERED, SaleState.AWAITING_PAYMENT), "pending", None, "not_settled"),
        (unpaid(AttemptState.SUBMITTING, SaleState.PROCESSING), "paid", None, "not_settled"),
        (unpaid(AttemptState.REVERSING, SaleState.CANCELING), "pending", None, "not_settled"),
        (returned(0, open_=100), "partly_returned", 250, "not_settled"),
        # What is on its way back explains so much, and no more.
        (returned(0, open_=100), "partly_returned", 200, "returned_there"),
    ],
)
def test_a_difference_has_its_name(view: SaleView, answer: str, net: int | None, kind: str) -> None:
    (found,) = verified(asked(view, answer, net))
    assert found.kind == kind
    assert (found.sale, found.reference, found.client_sn) == ("01JDSALE", "order-8841", "A1")
    assert found.is_being_undone == (kind == "paid_there")
    assert len(found.detail) > 20


def test_a_difference_says_how_much() -> None:
    (found,) = verified(asked(returned(100), "partly_returned", 200))
    assert (found.here, found.there) == (250, 200)
    assert "0.50 yuan was returned there and not here" in found.detail
    (found,) = verified(asked(unpaid(AttemptState.REVERSED), "paid"))
    assert (found.here, found.there) == (0, 350)
    assert "gives it back by itself" in found.detail


def test_every_order_of_a_sale_is_compared() -> None:
    view = paid_view()
    two = replace(
        view,
        sale=replace(view.sale, attempts=(ClientSn("A0"), ClientSn("A1"))),
        attempts=(attempt("A0", state=AttemptState.DECLINED), view.attempts[0]),
    )
    looks = (
        shapes.OrderLook(client_sn="A0", answer="paid", net=350),
        shapes.OrderLook(client_sn="A1", answer="paid", net=350),
    )
    found = verified(shapes.QueriedSale(sale=sale_shape(two, NOW), orders=looks))
    assert [(one.kind, one.client_sn) for one in found] == [("paid_there", "A0")]


def test_sales_beyond_one_answer_are_told() -> None:
    whole = msgspec.json.decode(report_json(day_report(), NOW, with_sales=True), type=Report)
    assert list(left_out(whole)) == []
    (found,) = left_out(msgspec.structs.replace(whole, left_out=7))
    assert (found.kind, found.detail) == ("not_verified", "7 more sales of the day were not compared")


# --- the host --------------------------------------------------------------------------------------------------------

OURS = SaleOnDay(id="01J", reference="r", paid=350, returned=100)


def line(paid: int, returned: int | None) -> HostLine:
    return HostLine(reference="r", paid=paid, returned=returned)


@pytest.mark.parametrize("same", [line(350, 100), line(350, None)])
def test_a_line_that_agrees_is_no_difference(same: HostLine) -> None:
    assert list(beside_host(same, OURS, None)) == []


@pytest.mark.parametrize("nothing", [line(0, 0), line(0, None)])
def test_a_line_of_what_moved_nothing_is_none(nothing: HostLine) -> None:
    assert list(beside_host(nothing, None, None)) == []


@pytest.mark.parametrize("other", [line(300, 100), line(350, 0), line(300, None), line(0, 0)])
def test_a_line_with_other_amounts(other: HostLine) -> None:
    (found,) = beside_host(other, OURS, None)
    assert (found.kind, found.sale, found.reference, found.here) == ("host_differs", "01J", "r", 250)
    assert ("returned" in found.detail) == (other.returned is not None)


def test_a_line_of_a_sale_of_another_day_or_none() -> None:
    (found,) = beside_host(line(350, 0), None, sale_shape(paid_view(), NOW))
    assert (found.kind, found.sale) == ("host_only", "01JDSALE")
    assert "nothing of it moved on this day: paid 3.50 yuan with WeChat Pay" in found.detail
    (found,) = beside_host(line(350, 0), None, None)
    assert (found.kind, found.sale, found.there) == ("host_only", None, 350)
    assert "there is no such sale here" in found.detail


def test_sales_that_the_host_does_not_have() -> None:
    sales = (
        OURS,
        SaleOnDay(id="02J", reference="canceled", paid=0, returned=0),
        SaleOnDay(id="03J", reference="older", paid=0, returned=50),
    )
    with_returns = ours_only(sales, HostList(lines=(), has_returns=True))
    assert [(one.kind, one.sale, one.here) for one in with_returns] == [
        ("host_missing", "01J", 250),
        ("host_missing", "03J", -50),
    ]
    without = ours_only(sales, HostList(lines=(), has_returns=False))
    assert [(one.sale, one.detail) for one in without] == [
        ("01J", "here it is 3.50 yuan paid; the host does not list it")
    ]
