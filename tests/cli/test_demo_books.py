"""The demo's last step: what it calls an agreement."""

import msgspec

from terminald.cli.demo_books import compare, rows, verdict
from terminald.core.sale_table import DeliveryState
from terminald.simulator.gateway import BooksView, OrderView
from terminald.simulator.gateway_view import Totals
from terminald.wire import api_shapes as shapes


def sale(reference: str, *client_sns: str, paid: int) -> shapes.Sale:
    return shapes.Sale(
        id=f"id-{reference}",
        reference=reference,
        state=shapes.ShownState.COMPLETED if paid else shapes.ShownState.CANCELED,
        amount=350,
        subject="Cola",
        methods=("scan",),
        qr=None,
        attempts=tuple(
            shapes.Attempt(
                client_sn=client_sn,
                kind="scan",
                sn=None,
                trade_no=None,
                payway=None,
                code=None,
                outcome=shapes.Outcome.PAID,
                error=None,
                started_at="",
                ended_at=None,
            )
            for client_sn in client_sns
        ),
        paid=paid,
        returned=0,
        refunds=(),
        delivery=shapes.Delivery(required=False, state=DeliveryState.NONE, deadline=None),
        vend=None,
        receipt="off",
        reason=None,
        attention=None,
        created_at="",
        updated_at="",
        closed_at=None,
    )


def order(client_sn: str, *, paid: int, refunded: int = 0) -> OrderView:
    return OrderView(
        client_sn=client_sn,
        sn="",
        terminal_sn="",
        payway="3",
        status="",
        total=350,
        paid=paid,
        refunded=refunded,
        net=paid - refunded,
        submits=1,
        qr_code="",
        transactions=(),
    )


def books(*orders: OrderView, duplicates: int = 0) -> BooksView:
    totals = Totals(orders=len(orders), paid=0, refunded=0, net=0)
    return BooksView(orders=orders, totals=totals, terminals=(), duplicate_submits=duplicates)


SALES = (sale("b", "b1", "b2", paid=350), sale("a", "a1", paid=0))
RIGHT = books(order("b1", paid=0), order("b2", paid=350), order("a1", paid=350, refunded=350))


def test_the_same_money_on_both_sides_agrees() -> None:
    compared = compare(SALES, RIGHT)
    assert compared.is_right
    assert [row[0] for row in rows(compared)] == ["sale", "a", "b"]
    assert verdict(compared).startswith("The books agree: 2 sales, 2 charges, 3.50 yuan on both sides")


def test_two_charges_of_one_sale_differ() -> None:
    compared = compare(SALES, books(order("b1", paid=350), order("b2", paid=350)))
    assert not compared.is_right
    assert verdict(compared) == "THE BOOKS DO NOT AGREE: sale b differs."
    assert rows(compared)[2][-1] == "DIFFER"


def test_money_that_was_kept_of_a_canceled_sale_differs() -> None:
    assert not compare(SALES, books(order("b2", paid=350), order("a1", paid=350))).is_right


def test_money_that_never_came_differs() -> None:
    assert not compare(SALES, books(order("a1", paid=0))).is_right


def test_an_order_that_terminald_does_not_know_is_named() -> None:
    strange = msgspec.structs.replace(RIGHT, orders=(*RIGHT.orders, order("x9", paid=1)))
    assert "order x9, which terminald does not know" in verdict(compare(SALES, strange))


def test_a_payment_that_was_submitted_twice_is_named() -> None:
    """I2"""
    compared = compare(SALES, msgspec.structs.replace(RIGHT, duplicate_submits=1))
    assert not compared.is_right
    assert "1 payments were submitted twice" in verdict(compared)
