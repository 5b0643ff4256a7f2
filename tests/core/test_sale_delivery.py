"""Transcripts of paid sales: their goods are reported or not, and their money goes back."""

from dataclasses import replace

import pytest

from terminald.core.commands import Command, EnqueuePrint, OpenReturn
from terminald.core.events import Event, PowerReturned, Recovered
from terminald.core.ids import RefundId
from terminald.core.money import Fen
from terminald.core.return_events import (
    AllReturned,
    Delivered,
    DeliveryLapsed,
    DeliveryUnheard,
    DeliveryWindowClosed,
    PartUndelivered,
    RefundBegun,
    RefundDone,
    RefundFailed,
    ReturnBegun,
    Undelivered,
)
from terminald.core.sale import concerns
from terminald.core.sale_table import DeliveryState, SaleState
from terminald.core.schedule import HOUR
from terminald.core.tables import Attention
from terminald.errors import IllegalTransition
from tests.core.machine_builders import AMOUNT, BOTH_ORDER, ORDER, REFUND_ID, RULES, SALE_ID
from tests.core.sale_life import OFFERS, PAID, SECOND_SN, SaleLife, scanned, unpaid

S, D = SaleState, DeliveryState
REPORTING = replace(ORDER, reports_delivery=True)
RETURNING_RULES = replace(RULES, returns_overdue=True)
OTHER_REFUND = RefundId(f"{SALE_ID}-r2")
RETURN_ALL = OpenReturn(sale_id=SALE_ID)
BEGUN = ReturnBegun(refund_id=REFUND_ID, amount=AMOUNT)


def paid(*history: Event) -> SaleLife:
    """A paid sale whose delivery is reported, and what was told since."""
    return SaleLife(scanned(), PAID, *history, order=REPORTING)


def part(amount: int, refund_id: RefundId = REFUND_ID) -> RefundDone:
    return RefundDone(refund_id=refund_id, amount=Fen(amount))


def failed(refund_id: RefundId = REFUND_ID) -> RefundFailed:
    return RefundFailed(refund_id=refund_id, amount=AMOUNT)


# --- the goods -------------------------------------------------------------------------------------------------------


def test_a_paid_sale_waits_for_the_report() -> None:
    life = SaleLife(scanned(), order=REPORTING)
    assert life.tell(PAID) == (EnqueuePrint(sale_id=SALE_ID),)
    assert life.is_in(S.PAID)
    assert life.sale.delivery is D.PENDING
    assert life.wakes_with(DeliveryWindowClosed, in_ms=RULES.delivery_window)


@pytest.mark.parametrize("way", ["qr", "switching"])
def test_so_does_one_that_was_paid_by_qr(way: str) -> None:
    life = SaleLife(order=replace(BOTH_ORDER, reports_delivery=True))
    if way == "switching":
        life.tell(scanned())
    life.tell(replace(PAID, client_sn=OFFERS[0]))
    assert (life.sale.state, life.sale.delivery) == (S.PAID, D.PENDING)
    assert life.wakes_with(DeliveryWindowClosed, in_ms=RULES.delivery_window)


def test_the_goods_came_out() -> None:
    life = paid()
    assert life.tell(Delivered()) == ()
    assert (life.sale.state, life.sale.delivery, life.sale.closed_at) == (S.COMPLETED, D.DELIVERED, life.now.wall)
    assert life.wakeup is None


def test_nothing_came_out_and_the_money_goes_back_without_anyone_asking() -> None:
    life = paid()
    assert life.tell(Undelivered()) == (RETURN_ALL,)
    assert (life.sale.state, life.sale.delivery) == (S.RETURNING, D.UNDELIVERED)
    assert life.wakeup is None
    life.tell(BEGUN)
    assert life.tell(AllReturned(refund_id=REFUND_ID, amount=AMOUNT)) == ()
    assert (life.sale.state, life.sale.returned, life.sale.closed_at) == (S.RETURNED, AMOUNT, life.now.wall)


def test_a_part_did_not_come_out() -> None:
    life = paid()
    assert life.tell(PartUndelivered(amount=Fen(100))) == (OpenReturn(sale_id=SALE_ID, amount=Fen(100)),)
    assert (life.sale.state, life.sale.delivery) == (S.COMPLETED, D.UNDELIVERED)
    life.tell(RefundBegun(refund_id=REFUND_ID, amount=Fen(100)))
    life.tell(part(100))
    assert (life.sale.state, life.sale.returned) == (S.COMPLETED, 100)


@pytest.mark.parametrize("event", [DeliveryWindowClosed(), PowerReturned()], ids=["silence", "power"])
def test_without_a_report_in_time_a_person_is_called(event: Event) -> None:
    """A power cut between paid and delivered is not forgotten (I5)."""
    life = paid()
    assert life.tell(event) == ()
    assert (life.sale.state, life.sale.delivery) == (S.PAID, D.OVERDUE)
    assert life.sale.attention == Attention(code="delivery_overdue", since=life.now.instant)
    assert life.wakeup is None, "it waits for the host or a person"
    before = life.sale
    assert life.tell(PowerReturned()) == ()
    assert life.sale == replace(before, updated_at=life.now.wall), "the call for a person keeps its time"


@pytest.mark.parametrize("event", [DeliveryWindowClosed(), PowerReturned()], ids=["silence", "power"])
def test_or_the_money_goes_back(event: Event) -> None:
    life = SaleLife(scanned(), PAID, order=REPORTING, rules=RETURNING_RULES)
    assert life.tell(event) == (RETURN_ALL,)
    assert (life.sale.state, life.sale.delivery, life.sale.attention) == (S.RETURNING, D.OVERDUE, None)


@pytest.mark.parametrize(
    "event", [DeliveryWindowClosed(), PowerReturned(), DeliveryLapsed()], ids=["silence", "power", "machine"]
)
def test_no_money_goes_back_for_want_of_a_report_that_an_old_copy_may_not_know(event: Event) -> None:
    life = SaleLife(scanned(), PAID, order=REPORTING, rules=replace(RETURNING_RULES, is_restored=True))
    assert life.tell(event) == ()
    assert (life.sale.state, life.sale.delivery) == (S.PAID, D.OVERDUE)
    assert life.sale.attention == Attention(code="delivery_overdue", since=life.now.instant)


def test_no_money_goes_back_where_perhaps_nobody_could_report() -> None:
    life = SaleLife(scanned(), PAID, order=REPORTING, rules=RETURNING_RULES)
    assert life.tell(DeliveryUnheard()) == ()
    assert (life.sale.state, life.sale.delivery) == (S.PAID, D.OVERDUE)
    assert life.sale.attention == Attention(code="delivery_overdue", since=life.now.instant)


def test_a_restart_of_the_process_leaves_the_host_its_time() -> None:
    life = paid()
    due = life.wakeup
    assert life.tell(Recovered()) == ()
    assert life.wakeup == due
    assert life.sale.delivery is D.PENDING


@pytest.mark.parametrize(
    ("report", "commands", "state", "delivery"),
    [
        (Delivered(), (), S.COMPLETED, D.DELIVERED),
        (Undelivered(), (RETURN_ALL,), S.RETURNING, D.UNDELIVERED),
        (PartUndelivered(amount=Fen(1)), (OpenReturn(sale_id=SALE_ID, amount=Fen(1)),), S.COMPLETED, D.UNDELIVERED),
    ],
    ids=["delivered", "undelivered", "part"],
)
def test_a_late_report_is_honoured(
    report: Event, commands: tuple[Command, ...], state: SaleState, delivery: DeliveryState
) -> None:
    life = paid(DeliveryWindowClosed())
    assert life.tell(report, later=HOUR) == commands
    assert (life.sale.state, life.sale.delivery, life.sale.attention) == (state, delivery, None)


@pytest.mark.parametrize("is_back", [False, True])
def test_a_report_that_comes_after_the_money_went_back_calls_a_person(*, is_back: bool) -> None:
    life = SaleLife(scanned(), PAID, DeliveryWindowClosed(), BEGUN, order=REPORTING, rules=RETURNING_RULES)
    if is_back:
        life.tell(AllReturned(refund_id=REFUND_ID, amount=AMOUNT))
    state = life.sale.state
    assert life.tell(Delivered()) == ()
    assert (life.sale.state, life.sale.delivery) == (state, D.DELIVERED)
    assert life.sale.attention == Attention(code="delivered_and_returned", since=life.now.instant)


@pytest.mark.parametrize("report", [Delivered(), Undelivered(), PartUndelivered(amount=Fen(1))])
def test_what_is_reported_is_not_reported_otherwise(report: Event) -> None:
    life = paid(Delivered())
    with pytest.raises(IllegalTransition):
        life.tell(report)


# --- money that goes back --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("history", [(), (Delivered(),)], ids=["paid", "completed"])
def test_parts_go_back_until_nothing_is_left(history: tuple[Event, ...]) -> None:
    """I9."""
    life = paid(*history)
    state = life.sale.state
    for number, amount in enumerate((100, 200), 1):
        assert life.tell(RefundBegun(refund_id=REFUND_ID, amount=Fen(amount))) == ()
        assert life.tell(part(amount)) == ()
        assert (life.sale.state, life.sale.returned) == (state, 100 if number == 1 else 300)
    life.tell(part(50))
    assert (life.sale.state, life.sale.returned) == (S.RETURNED, AMOUNT)
    assert life.wakeup is None


def test_a_refund_that_was_refused_changes_nothing() -> None:
    life = paid(Delivered(), RefundBegun(refund_id=REFUND_ID, amount=Fen(100)))
    before = life.sale
    assert life.tell(failed()) == ()
    assert life.sale == replace(before, updated_at=life.now.wall)


def test_a_return_waits_for_the_parts_before_it() -> None:
    life = paid(RefundBegun(refund_id=REFUND_ID, amount=Fen(100)), Undelivered())
    life.tell(ReturnBegun(refund_id=OTHER_REFUND, amount=Fen(250)))
    assert life.sale.whole == OTHER_REFUND
    life.tell(failed())
    assert life.is_in(S.RETURNING), "the part was refused, and the return goes on"
    life.tell(part(100))
    assert (life.sale.state, life.sale.returned) == (S.RETURNING, 100)
    life.tell(AllReturned(refund_id=OTHER_REFUND, amount=Fen(250)))
    assert (life.sale.state, life.sale.returned) == (S.RETURNED, AMOUNT)


def test_a_return_that_was_refused_leaves_the_sale_completed() -> None:
    life = paid(Delivered(), BEGUN)
    assert life.tell(failed()) == ()
    assert (life.sale.state, life.sale.whole, life.sale.returned) == (S.COMPLETED, None, 0)
    assert life.sale.closed_at == life.now.wall


@pytest.mark.parametrize("overdue", [(), (DeliveryWindowClosed(),)], ids=["pending", "overdue"])
def test_a_return_that_was_refused_does_not_make_the_report_forgotten(overdue: tuple[Event, ...]) -> None:
    """I5: the goods are still to come out."""
    life = paid(*overdue, BEGUN)
    assert life.is_in(S.RETURNING)
    assert life.tell(failed()) == ()
    assert (life.sale.state, life.sale.whole, life.sale.closed_at) == (S.PAID, None, None)
    assert (life.wakeup is None) == bool(overdue)
    assert life.tell(Undelivered()) == (RETURN_ALL,)


def test_a_return_for_want_of_a_report_that_a_person_closed_is_the_end() -> None:
    life = SaleLife(scanned(), PAID, DeliveryWindowClosed(), BEGUN, order=REPORTING, rules=RETURNING_RULES)
    assert life.tell(failed()) == ()
    assert life.is_in(S.COMPLETED)


@pytest.mark.parametrize("restart", [Recovered(), PowerReturned()])
def test_a_return_outlives_a_restart(restart: Event) -> None:
    """I5."""
    life = paid(BEGUN)
    before = life.sale
    assert life.tell(restart) == ()
    assert life.sale == replace(before, updated_at=life.now.wall)


def test_when_all_is_back_no_refund_moves_the_sale() -> None:
    life = paid(BEGUN, AllReturned(refund_id=REFUND_ID, amount=AMOUNT))
    assert not concerns(life.sale, part(100, OTHER_REFUND))
    assert concerns(life.sale, Delivered())
    assert concerns(paid(BEGUN).sale, part(100, OTHER_REFUND))


def test_no_refund_is_begun_of_a_sale_that_is_not_paid() -> None:
    for history in ((), (scanned(),), (scanned(), unpaid(), scanned(SECOND_SN))):
        life = SaleLife(*history)
        with pytest.raises(IllegalTransition):
            life.tell(BEGUN)
